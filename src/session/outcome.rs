//! How a login ends, and why.

use serde::{Deserialize, Serialize};

use crate::ciba::Refusal;
use crate::identity::Identity;
use crate::timestamp::Timestamp;

/// See [`State::Ended`](super::State::Ended).
#[derive(Clone, Debug, PartialEq)]
pub struct Ended {
    /// When.
    pub at: Timestamp,
    /// How.
    pub outcome: Outcome,
}

/// How a login ended. The first one wins, for ever.
#[derive(Clone, Debug, PartialEq)]
pub enum Outcome {
    /// The person said yes and was verified.
    Approved {
        /// Who it is; gone once it was erased or its window is over.
        identity: Option<Box<Identity>>,
    },
    /// The person said no.
    Denied,
    /// Nobody answered in time.
    Expired,
    /// The caller ended it.
    Cancelled,
    /// It could not be carried through; nobody said no.
    Failed(FailureReason),
}

/// Why a login failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FailureReason {
    /// The provider's answer to the start is unknown: the phone may have rung.
    StartUnknown,
    /// No usable account at this number.
    PersonUnknown,
    /// The person must update the app.
    AppTooOld,
    /// The provider refused the request as malformed or not allowed.
    RequestRefused,
    /// The sales unit may not ask for one of the claims.
    ScopeRefused,
    /// The sales unit is not enabled for this flow.
    NotEnabled,
    /// The provider refused by its own policy; nobody was asked.
    PolicyRefused,
    /// The provider gave an error that is not documented, or an answer that is none.
    ProviderError,
    /// The provider could not be reached for as long as it mattered.
    ProviderUnavailable,
    /// The approval was collected but its result was lost on the way.
    ResultLost,
    /// The ID token did not verify.
    IdTokenInvalid,
    /// Userinfo speaks about another person than the ID token, or cannot be read.
    UserinfoInvalid,
    /// The provider would not tell who the person is, though it had given a token for
    /// that.
    UserinfoRefused,
    /// The approved account has another phone number than was asked.
    PhoneMismatch,
    /// Not the person that the caller expected.
    OtherPerson,
    /// Approved, but a claim that this login must have did not come.
    ClaimMissing,
    /// Approved, but the code was not typed in time.
    CodeNotConfirmed,
    /// Three wrong codes.
    CodeMismatch,
    /// The gateway has a defect that this login ran into.
    Internal,
}

#[cfg(test)]
impl FailureReason {
    pub(crate) const ALL: [Self; 19] = [
        Self::StartUnknown,
        Self::PersonUnknown,
        Self::AppTooOld,
        Self::RequestRefused,
        Self::ScopeRefused,
        Self::NotEnabled,
        Self::PolicyRefused,
        Self::ProviderError,
        Self::ProviderUnavailable,
        Self::ResultLost,
        Self::IdTokenInvalid,
        Self::UserinfoInvalid,
        Self::UserinfoRefused,
        Self::PhoneMismatch,
        Self::OtherPerson,
        Self::ClaimMissing,
        Self::CodeNotConfirmed,
        Self::CodeMismatch,
        Self::Internal,
    ];
}

impl From<Refusal> for FailureReason {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::PersonUnknown => Self::PersonUnknown,
            Refusal::AppTooOld => Self::AppTooOld,
            Refusal::InvalidRequest => Self::RequestRefused,
            Refusal::InvalidScope => Self::ScopeRefused,
            Refusal::UnauthorizedClient => Self::NotEnabled,
            Refusal::Policy => Self::PolicyRefused,
            Refusal::TransactionFailed | Refusal::UnknownError | Refusal::InvalidReply => Self::ProviderError,
        }
    }
}

impl Ended {
    pub(super) fn erased(self) -> Self {
        match self.outcome {
            Outcome::Approved { .. } => Self { outcome: Outcome::Approved { identity: None }, ..self },
            Outcome::Denied | Outcome::Expired | Outcome::Cancelled | Outcome::Failed(_) => self,
        }
    }
}

impl Outcome {
    /// The outcome's name, for logs and metrics.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Approved { .. } => "approved",
            Self::Denied => "denied",
            Self::Expired => "expired",
            Self::Cancelled => "cancelled",
            Self::Failed(_) => "failed",
        }
    }
}
