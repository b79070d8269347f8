//! The seam to the OpenID provider: check a number, start, poll, identify.
//!
//! [`Provider`] is what `logins` and `poller` know of it. Discovery, signing
//! keys, ID-token verification and userinfo are behind it, in [`openid`]; what one
//! vendor does in its own way is in its profile, [`vipps`], and what the standard
//! leaves open in [`generic`].
//! Everything the provider says is untrusted input with a bound. One value
//! serves one credential (a sales unit). It keeps no logins and knows no store.

use async_trait::async_trait;
use secrecy::SecretString;

use self::openid::InvalidSettings;
use self::vipps::Platform;
use crate::ciba::{AuthReqId, CheckAnswer, PollAnswer, RedirectCode, Refusal, StartAnswer, Tokens};
use crate::identity::Identity;
use crate::phone::PhoneNumber;
use crate::session::{FailureReason, Terms};
use crate::timestamp::Timestamp;

pub mod generic;
pub mod openid;
pub mod shop;
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

    /// Whether a login may end on a page of the phone's browser.
    fn offers_redirect(&self) -> bool {
        false
    }

    /// Exchanges what a landing was given, within the time that a poll may take. Called
    /// once per code: a provider may take back what it gave for one that comes twice.
    /// The answer is one of a poll's.
    async fn exchange_code(&self, _code: &RedirectCode) -> PollAnswer {
        PollAnswer::Refused(Refusal::UnauthorizedClient)
    }

    /// Verifies the ID token that came for a code, and says which request it answers.
    /// Whose that is must be found out before anything is done with the tokens.
    ///
    /// # Errors
    /// [`IdentifyError::Rejected`] is final; it may name no request, or several.
    async fn request_of(&self, _tokens: &Tokens) -> Result<AuthReqId, IdentifyError> {
        Err(IdentifyError::Rejected(FailureReason::IdTokenInvalid))
    }

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

    /// What it does for shops; `None` where it is not set up for that.
    fn shop(&self) -> Option<&dyn shop::Shop> {
        None
    }

    /// Whether starts can be expected to work: metadata and keys are at hand.
    ///
    /// # Errors
    /// Says what is missing, for an operator.
    async fn check(&self) -> Result<(), ProviderProblem>;
}

/// What whoever runs the gateway does with a provider, beside logging people in.
#[async_trait]
pub trait Operated: Provider {
    /// Our time and the provider's; `None` when it cannot be reached or does not say.
    async fn server_time(&self) -> Option<(Timestamp, Timestamp)>;

    /// Sends a start that cannot be one, which shows whether the credential may start
    /// logins. Rings no phone.
    async fn try_start(&self) -> StartAnswer;

    /// Gets other secrets ready. What comes back puts them in the place of the present
    /// ones, and says whether they are others than before.
    ///
    /// # Errors
    /// When one cannot be sent.
    fn prepare(&self, given: NewSecrets<'_>) -> Result<Box<dyn FnOnce() -> bool + Send + '_>, InvalidSettings>;

    /// The way to the vendor's other APIs, where the provider has some and there is a
    /// key for them.
    fn platform(&self) -> Option<&Platform> {
        None
    }
}

/// The secrets of one credential, as the configuration has them.
#[derive(Clone, Copy)]
pub struct NewSecrets<'s> {
    /// The client's secret.
    pub client_secret: &'s SecretString,
    /// The other one, while one replaces the other.
    pub client_secret_next: Option<&'s SecretString>,
    /// The key of the vendor's platform.
    pub subscription_key: Option<&'s SecretString>,
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
