//! What looks like fraud among the things that happen: one entry of the audit log,
//! one signal or none. Pure.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::audit::What;
use crate::session::FailureReason;

/// A kind of signal, by the name that the fraud desk, the configuration and the
/// metrics have for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Kind {
    /// A person said no.
    #[serde(rename = "login.denied")]
    Denied,
    /// A person said no who has said no of late.
    #[serde(rename = "login.denied_again")]
    DeniedAgain,
    /// Somebody approved who is not who was asked or expected.
    #[serde(rename = "login.other_person")]
    OtherPerson,
    /// A wrong code was typed, and there may be another try.
    #[serde(rename = "code.wrong")]
    CodeWrong,
    /// A wrong code was typed, and it was the last try.
    #[serde(rename = "code.exhausted")]
    CodeExhausted,
    /// The person approved, and nobody on the call had the code.
    #[serde(rename = "code.not_typed")]
    CodeNotTyped,
    /// There was too much of something.
    #[serde(rename = "limit.reached")]
    LimitReached,
    /// A start or check was refused that the tenant does not allow.
    #[serde(rename = "start.not_allowed")]
    StartNotAllowed,
    /// A caller looked at the login of somebody else who has been identified.
    #[serde(rename = "identity.withheld")]
    IdentityWithheld,
    /// A caller wanted to do something to a login that is not theirs.
    #[serde(rename = "call.refused")]
    CallRefused,
}

impl Kind {
    /// Every one.
    pub const ALL: [Self; 10] = [
        Self::Denied,
        Self::DeniedAgain,
        Self::OtherPerson,
        Self::CodeWrong,
        Self::CodeExhausted,
        Self::CodeNotTyped,
        Self::LimitReached,
        Self::StartNotAllowed,
        Self::IdentityWithheld,
        Self::CallRefused,
    ];

    /// The signal that something which happened is.
    #[must_use]
    pub fn of(what: &What) -> Option<Self> {
        match what {
            What::StartRefused { reason, .. } | What::CheckRefused { reason, .. } => Self::of_refusal(reason),
            What::CodeTried { matched: true, .. } => None,
            What::CodeTried { matched: false, tries_left: 0 } => Some(Self::CodeExhausted),
            What::CodeTried { matched: false, .. } => Some(Self::CodeWrong),
            What::IdentityWithheld => Some(Self::IdentityWithheld),
            What::CallRefused { .. } => Some(Self::CallRefused),
            What::Ended { denials: 0, reason: Some(reason), .. } => match reason {
                FailureReason::OtherPerson | FailureReason::PhoneMismatch => Some(Self::OtherPerson),
                FailureReason::CodeNotConfirmed => Some(Self::CodeNotTyped),
                // Of three wrong codes the tries tell already.
                _ => None,
            },
            What::Ended { denials: 1, .. } => Some(Self::Denied),
            What::Ended { denials: 2.., .. } => Some(Self::DeniedAgain),
            What::Ended { denials: 0, outcome, reason: None } => (*outcome == "denied").then_some(Self::Denied),
            What::CheckAsked
            | What::CheckAnswered
            | What::StartAsked
            | What::PushAccepted
            | What::ProviderAnswered { .. }
            | What::CodeGivenUp
            | What::TakenOver { .. }
            | What::IdentityRead
            | What::Joined
            | What::Replaced
            | What::HandedOver
            | What::Cancelled
            | What::Erased
            | What::Landed
            | What::LandedWithout { .. }
            | What::LandingRefused { .. }
            | What::ShopQrCreated
            | What::ShopQrDeleted
            | What::PersonalQrExchanged => None,
        }
    }

    /// By the reason that the caller was told.
    fn of_refusal(reason: &str) -> Option<Self> {
        match reason {
            "TOO_MANY_STARTS" => Some(Self::LimitReached),
            "AGENT_NOT_PROVEN" | "BLOCKED" | "QUIET_HOURS" | "ROLE_MISSING" => Some(Self::StartNotAllowed),
            _ => reason.ends_with("_NOT_ALLOWED").then_some(Self::StartNotAllowed),
        }
    }

    /// Whether a caller can bring it about again and again, at no cost.
    #[must_use]
    pub(super) const fn is_endless(self) -> bool {
        matches!(self, Self::LimitReached | Self::StartNotAllowed | Self::IdentityWithheld | Self::CallRefused)
    }
}

/// What there was too much of, where that was it.
pub(super) const fn limit(what: &What) -> Option<&'static str> {
    match what {
        What::StartRefused { limit, .. } | What::CheckRefused { limit, .. } => *limit,
        _ => None,
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.serialize(f)
    }
}
