//! The seam to the OpenID provider: check a number, start, poll, identify.
//!
//! [`Provider`] is what `logins` and `poller` know of it. Discovery, signing
//! keys, ID-token verification and userinfo are behind it, in [`vipps`].
//! Everything the provider says is untrusted input with a bound. One value
//! serves one credential (a sales unit). It keeps no logins and knows no store.

use async_trait::async_trait;

use crate::ciba::{AuthReqId, CheckAnswer, PollAnswer, StartAnswer, Tokens};
use crate::identity::Identity;
use crate::phone::PhoneNumber;
use crate::session::{FailureReason, Terms};

pub mod vipps;

/// One credential at an OpenID provider that offers CIBA in poll mode.
#[async_trait]
pub trait Provider: Send + Sync {
    /// Asks whether a number has an account that can be asked. Shows nothing on the
    /// phone.
    async fn user_exists(&self, phone: &PhoneNumber) -> CheckAnswer;

    /// Asks for one login. Called once per login: a repeated start is a new
    /// request on the phone.
    async fn start(&self, terms: &Terms) -> StartAnswer;

    /// Polls once, within the time that the provider's configuration allows a
    /// poll. The caller drops it after one interval.
    async fn poll(&self, auth_req_id: &AuthReqId) -> PollAnswer;

    /// Verifies what the exchange gave, reads userinfo and compares it with what
    /// was asked: same `sub` in both, the number that was rung, the expected
    /// subject.
    ///
    /// # Errors
    /// [`IdentifyError::Rejected`] is final; [`IdentifyError::Unavailable`] may
    /// be tried again while the access token lives.
    async fn identify(&self, tokens: &Tokens, terms: &Terms) -> Result<Identity, IdentifyError>;

    /// Asks the provider to forget the access token. Best effort, one request.
    async fn revoke(&self, tokens: &Tokens);

    /// Whether starts can be expected to work: metadata and keys are at hand.
    ///
    /// # Errors
    /// Says what is missing, for an operator.
    async fn check(&self) -> Result<(), ProviderProblem>;
}

/// Why a person was not identified.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum IdentifyError {
    /// What came must not be believed.
    #[error("the provider's answer was rejected: {0:?}")]
    Rejected(FailureReason),
    /// The provider could not be asked just now.
    #[error("the provider cannot be reached")]
    Unavailable,
}

/// Why a provider is not ready, in words for an operator; free of secrets.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct ProviderProblem(pub String);
