//! The protocol: words of OpenID CIBA Core 1.0 in poll mode, what an answer of
//! the provider means, and when it may be asked again.
//!
//! Pure: an answer comes in as status, headers and body and goes out as a
//! [`CheckAnswer`], [`StartAnswer`] or [`PollAnswer`]; [`Schedule`] turns the last
//! into the time of the next poll. Sends nothing, reads no clock, decides nothing about
//! a login. Called by `provider` (answers) and `poller` (schedule).

mod answer;
mod redirect;
mod schedule;

use std::fmt;
use std::time::Duration;

use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

pub use answer::{Reply, check_answer, poll_answer, refuses_client, start_answer};
pub use redirect::{MAX_CODE, REDIRECT_FLOW, REDIRECT_GRANT_TYPE, RedirectCode, RedirectError};
pub use schedule::{Schedule, Step};

/// The `grant_type` of a poll (CIBA Core, section 10.1).
pub const GRANT_TYPE: &str = "urn:openid:params:grant-type:ciba";

/// The interval when the provider names none (CIBA Core, section 7.3).
pub const DEFAULT_INTERVAL: Duration = Duration::from_secs(5);

/// No login lives longer, whatever the provider says.
pub const MAX_LIFETIME: Duration = Duration::from_secs(600);

/// The provider's handle for one authentication request. A bearer of it can
/// collect the tokens, so it prints redacted.
#[derive(Clone)]
pub struct AuthReqId(SecretString);

impl AuthReqId {
    /// Takes what CIBA Core section 7.3 allows: letters, digits, `.`, `-`, `_`;
    /// at most 1024 of them.
    #[must_use]
    pub fn new(text: &str) -> Option<Self> {
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_');
        let fits = !text.is_empty() && text.len() <= 1024 && text.bytes().all(allowed);
        fits.then(|| Self(text.into()))
    }

    /// The value, for the poll request and for sealing alone.
    #[must_use]
    pub fn expose(&self) -> &str {
        self.0.expose_secret()
    }
}

impl PartialEq for AuthReqId {
    fn eq(&self, other: &Self) -> bool {
        self.expose() == other.expose()
    }
}

impl fmt::Debug for AuthReqId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AuthReqId(…)")
    }
}

impl Serialize for AuthReqId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.expose())
    }
}

impl<'de> Deserialize<'de> for AuthReqId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::new(&text).ok_or_else(|| serde::de::Error::custom("not an auth_req_id"))
    }
}

/// What the single-use exchange gave, unverified. Prints redacted.
#[derive(Clone, Serialize, Deserialize)]
pub struct Tokens {
    #[serde(serialize_with = "expose")]
    access_token: SecretString,
    #[serde(serialize_with = "expose_option")]
    id_token: Option<SecretString>,
}

impl Tokens {
    /// Tokens as they came; neither has been checked.
    #[must_use]
    pub fn new(access_token: String, id_token: Option<String>) -> Self {
        Self { access_token: access_token.into(), id_token: id_token.map(SecretString::from) }
    }

    /// The access token, for the userinfo request, `at_hash` and revocation alone.
    #[must_use]
    pub fn access_token(&self) -> &str {
        self.access_token.expose_secret()
    }

    /// The ID token, when one came.
    #[must_use]
    pub fn id_token(&self) -> Option<&str> {
        self.id_token.as_ref().map(ExposeSecret::expose_secret)
    }
}

impl fmt::Debug for Tokens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Tokens(…)")
    }
}

impl PartialEq for Tokens {
    fn eq(&self, other: &Self) -> bool {
        self.access_token() == other.access_token() && self.id_token() == other.id_token()
    }
}

fn expose<S: Serializer>(secret: &SecretString, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(secret.expose_secret())
}

fn expose_option<S: Serializer>(secret: &Option<SecretString>, serializer: S) -> Result<S::Ok, S::Error> {
    match secret {
        Some(secret) => serializer.serialize_some(secret.expose_secret()),
        None => serializer.serialize_none(),
    }
}

/// The provider took the request; the phone shows it.
#[derive(Clone, Debug, PartialEq)]
pub struct Accepted {
    /// The handle to poll with.
    pub auth_req_id: AuthReqId,
    /// How long the provider keeps the request, counted from its answer.
    pub expires_in: Duration,
    /// The least time between two polls.
    pub interval: Duration,
}

/// Why the provider will not log this person in, or not with this request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// No account, not active, or not eligible (`unknown_user_id`, `invalid_user`).
    PersonUnknown,
    /// The app must be updated first (`old_app`, `outdated_app_version`).
    AppTooOld,
    /// `invalid_request`, `invalid_binding_message` and the like.
    InvalidRequest,
    /// `invalid_scope`: the sales unit may not ask for one of the claims.
    InvalidScope,
    /// `unauthorized_client`: the sales unit is not enabled for this flow.
    UnauthorizedClient,
    /// `access_denied` at the start: refused by policy, nobody was asked.
    Policy,
    /// `transaction_failed`.
    TransactionFailed,
    /// An error code that neither CIBA nor the vendor documents.
    UnknownError,
    /// A success that carries no tokens.
    InvalidReply,
}

/// What the answer to the question means whether a number can log in.
#[derive(Clone, Debug, PartialEq)]
pub enum CheckAnswer {
    /// Whether it has an account that can be asked.
    Usable(bool),
    /// The question was refused: as malformed, or because the sales unit may not ask.
    Refused(Refusal),
    /// Too many questions about this person.
    Busy {
        /// When the provider allows another, if it says so.
        retry_after: Option<Duration>,
    },
    /// `invalid_client`.
    CredentialsRefused,
    /// This provider answers no such question.
    NotOffered,
    /// Anything else: it says nothing about the number.
    Unavailable,
}

/// What the answer to a start request means.
#[derive(Clone, Debug, PartialEq)]
pub enum StartAnswer {
    /// The phone shows the request.
    Accepted(Accepted),
    /// The answer is about the person or the request; asking again is no use.
    Refused(Refusal),
    /// Too many requests for this person; nothing was started.
    Busy {
        /// When the provider allows another try, if it says so.
        retry_after: Option<Duration>,
    },
    /// `invalid_client`; nothing was started.
    CredentialsRefused,
    /// No connection could be made; nothing was started.
    NotSent,
    /// Anything else: the phone may be ringing.
    Unclear(Unclear),
}

/// In which way an answer to a start says nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unclear {
    /// No answer in time.
    TimedOut,
    /// The connection broke after the request may have been sent.
    Interrupted,
    /// A status that means neither yes nor no.
    Status(u16),
    /// A success whose body is not an acknowledgement.
    Unreadable,
}

/// What the answer to a poll means.
#[derive(Clone, Debug, PartialEq)]
pub enum PollAnswer {
    /// The single-use exchange happened.
    Redeemed(Tokens),
    /// Still waiting for the person.
    Pending {
        /// A brake the provider put on, if any.
        retry_after: Option<Duration>,
    },
    /// Polled too fast; the interval grows for good (CIBA Core, section 11).
    SlowDown {
        /// A further brake, if any.
        retry_after: Option<Duration>,
    },
    /// The person said no.
    Denied,
    /// The request expired at the provider.
    Expired,
    /// `invalid_grant`: unknown, another client's, or already exchanged.
    InvalidGrant,
    /// The provider refuses for good.
    Refused(Refusal),
    /// `invalid_client`: nothing polled with this credential can succeed.
    CredentialsRefused,
    /// Says nothing about the person: no answer, a server error, a proxy's page.
    Trouble {
        /// A brake the provider put on, if any.
        retry_after: Option<Duration>,
    },
}

#[cfg(test)]
mod tests;
