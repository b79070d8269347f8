//! From status, headers and body to what they mean.
//!
//! The status is read first and the body second: gateways in front of the
//! provider answer 401, 403 and 429 in formats of their own. Error words are
//! looked for in `error` and in `error_code`, at the start and at the token
//! endpoint alike, because the vendor documents them in both.

use std::time::Duration;

use serde::Deserialize;
use serde_json::{Map, Value};

use super::{Accepted, AuthReqId, CheckAnswer, DEFAULT_INTERVAL, PollAnswer, Refusal, StartAnswer, Tokens, Unclear};
use crate::timestamp::Timestamp;

/// An `interval` outside of this is no interval.
const INTERVAL_SECONDS: std::ops::RangeInclusive<u64> = 1..=300;
const EXPIRES_IN_SECONDS: std::ops::RangeInclusive<u64> = 1..=86_400;
const RETRY_AFTER_SECONDS: std::ops::RangeInclusive<u64> = 1..=3_600;

/// An HTTP answer of the provider, as far as the protocol needs it.
#[derive(Clone, Copy, Debug)]
pub struct Reply<'a> {
    /// HTTP status code.
    pub status: u16,
    /// The value of `Retry-After`, when there is one: seconds or an HTTP date.
    pub retry_after: Option<&'a str>,
    /// The body as it came, of bounded length.
    pub body: &'a [u8],
    /// When the answer was complete; a `Retry-After` date is relative to it.
    pub received_at: Timestamp,
}

/// What the answer to the vendor's `user-exists` means (Login API's OpenAPI
/// document; errors as at the start, since none are documented).
#[must_use]
pub fn check_answer(reply: Reply<'_>) -> CheckAnswer {
    #[derive(Deserialize)]
    struct Exists {
        exists: bool,
    }
    match reply.status {
        200 => object::<Exists>(reply.body).map_or(CheckAnswer::Unavailable, |body| CheckAnswer::Usable(body.exists)),
        429 => CheckAnswer::Busy { retry_after: reply.retry_after() },
        400 | 401 | 403 | 422 => match Word::find(reply.body) {
            Some(Word::InvalidClient) => CheckAnswer::CredentialsRefused,
            Some(Word::UnknownUser | Word::OldApp) => CheckAnswer::Usable(false),
            Some(word) => CheckAnswer::Refused(word.refusal()),
            None if reply.status == 401 => CheckAnswer::CredentialsRefused,
            None if is_problem(reply) => CheckAnswer::Refused(Refusal::UnknownError),
            None => CheckAnswer::Unavailable,
        },
        404 | 405 | 501 => CheckAnswer::NotOffered,
        _ => CheckAnswer::Unavailable,
    }
}

/// What the answer to a backchannel authentication request means
/// (CIBA Core, sections 7.3 and 13; the vendor's `error_code` values).
#[must_use]
pub fn start_answer(reply: Reply<'_>) -> StartAnswer {
    match reply.status {
        200 => acknowledgement(reply.body),
        429 => StartAnswer::Busy { retry_after: reply.retry_after() },
        400 | 401 | 403 | 422 => match Word::find(reply.body) {
            Some(Word::InvalidClient) => StartAnswer::CredentialsRefused,
            Some(Word::AccessDenied) => StartAnswer::Refused(Refusal::Policy),
            Some(word) => StartAnswer::Refused(word.refusal()),
            None if reply.status == 401 => StartAnswer::CredentialsRefused,
            None if is_problem(reply) => StartAnswer::Refused(Refusal::UnknownError),
            None => StartAnswer::Unclear(Unclear::Status(reply.status)),
        },
        status => StartAnswer::Unclear(Unclear::Status(status)),
    }
}

/// Whether it is the problem object of the vendor's platform (its "Errors" page; RFC
/// 7807), with which a request is refused before anything is done.
fn is_problem(reply: Reply<'_>) -> bool {
    let names = ["title", "detail", "extraDetails"];
    matches!(reply.status, 400 | 422)
        && object::<Map<String, Value>>(reply.body)
            .is_some_and(|body| names.iter().any(|name| body.contains_key(*name)))
}

/// Whether an answer of any endpoint refuses the client itself (`invalid_client` of
/// RFC 6749, section 5.2), which is said before anything is done.
#[must_use]
pub fn refuses_client(reply: Reply<'_>) -> bool {
    matches!(reply.status, 400 | 401) && Word::find(reply.body) == Some(Word::InvalidClient)
}

/// What the answer to a token request means (CIBA Core, section 11; the
/// vendor's `error_code` values).
#[must_use]
pub fn poll_answer(reply: Reply<'_>) -> PollAnswer {
    let retry_after = reply.retry_after();
    match reply.status {
        200 => exchange(reply.body),
        400 | 401 | 403 => match Word::find(reply.body) {
            Some(Word::AuthorizationPending) => PollAnswer::Pending { retry_after },
            Some(Word::SlowDown) => PollAnswer::SlowDown { retry_after },
            // A 401 is about our credentials; a person's "no" does not come with it.
            Some(Word::AccessDenied) if reply.status == 401 => PollAnswer::Trouble { retry_after },
            Some(Word::AccessDenied) => PollAnswer::Denied,
            Some(Word::ExpiredToken) => PollAnswer::Expired,
            Some(Word::InvalidGrant) => PollAnswer::InvalidGrant,
            Some(Word::InvalidClient) => PollAnswer::CredentialsRefused,
            Some(word) => PollAnswer::Refused(word.refusal()),
            None => PollAnswer::Trouble { retry_after },
        },
        // Some providers put the brake of RFC 8628 on as 429 or 503.
        429 | 503 if Word::find(reply.body) == Some(Word::SlowDown) => PollAnswer::SlowDown { retry_after },
        _ => PollAnswer::Trouble { retry_after },
    }
}

impl Reply<'_> {
    /// How long the server wants to hear nothing, in seconds or as a date (RFC 9110,
    /// section 10.2.3); 1 s to an hour, whatever it says.
    pub(crate) fn retry_after(&self) -> Option<Duration> {
        let text = self.retry_after?.trim();
        let is_number = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        // More digits than fit are a long time, not none.
        let seconds = if is_number { text.parse().unwrap_or(u64::MAX) } else { self.seconds_until(text)? };
        Some(Duration::from_secs(seconds.clamp(*RETRY_AFTER_SECONDS.start(), *RETRY_AFTER_SECONDS.end())))
    }

    fn seconds_until(&self, date: &str) -> Option<u64> {
        let at = httpdate::parse_http_date(date).ok()?;
        let since_epoch = at.duration_since(std::time::UNIX_EPOCH).ok()?;
        // Rounded up: the date names the first second in which to come back.
        Some(since_epoch.as_secs().saturating_sub(self.received_at.as_secs()))
    }
}

/// Numbers come as numbers or, on some of the vendor's platforms, as text.
#[derive(Deserialize)]
#[serde(untagged)]
enum Seconds {
    Number(u64),
    Text(String),
}

impl Seconds {
    fn within(&self, range: &std::ops::RangeInclusive<u64>) -> Option<Duration> {
        let seconds = match self {
            Self::Number(seconds) => *seconds,
            Self::Text(text) => text.parse().ok()?,
        };
        range.contains(&seconds).then(|| Duration::from_secs(seconds))
    }
}

#[derive(Deserialize)]
struct Acknowledgement {
    auth_req_id: String,
    expires_in: Seconds,
    interval: Option<Seconds>,
}

/// Reads a JSON object, and nothing else: serde would take an array for a
/// struct, member by member, and any bytes in members that nobody reads.
fn object<'a, T: Deserialize<'a>>(body: &'a [u8]) -> Option<T> {
    let text = std::str::from_utf8(body).ok()?;
    let is_object = text.trim_ascii_start().starts_with('{');
    is_object.then(|| serde_json::from_str(text).ok())?
}

fn acknowledgement(body: &[u8]) -> StartAnswer {
    let accepted = object::<Acknowledgement>(body).and_then(|body| {
        let interval = match body.interval {
            Some(interval) => interval.within(&INTERVAL_SECONDS)?,
            None => DEFAULT_INTERVAL,
        };
        Some(Accepted {
            auth_req_id: AuthReqId::new(&body.auth_req_id)?,
            expires_in: body.expires_in.within(&EXPIRES_IN_SECONDS)?,
            interval,
        })
    });
    accepted.map_or(StartAnswer::Unclear(Unclear::Unreadable), StartAnswer::Accepted)
}

fn exchange(body: &[u8]) -> PollAnswer {
    #[derive(Deserialize)]
    struct TokenAnswer {
        access_token: String,
        token_type: String,
        id_token: Option<String>,
    }
    match object::<TokenAnswer>(body) {
        Some(answer) if answer.token_type.eq_ignore_ascii_case("bearer") && is_header_safe(&answer.access_token) => {
            PollAnswer::Redeemed(Tokens::new(answer.access_token, answer.id_token))
        }
        // A complete object that is no token answer is the provider's word; a
        // page of some proxy, or half an answer, is not.
        _ if object::<Map<String, Value>>(body).is_some() => PollAnswer::Refused(Refusal::InvalidReply),
        _ => PollAnswer::Trouble { retry_after: None },
    }
}

// The token goes into a header as it is (RFC 6750, section 2.1).
fn is_header_safe(token: &str) -> bool {
    !token.is_empty() && token.len() <= 8192 && token.bytes().all(|byte| byte.is_ascii_graphic())
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Word {
    AuthorizationPending,
    SlowDown,
    AccessDenied,
    ExpiredToken,
    InvalidGrant,
    InvalidClient,
    UnknownUser,
    OldApp,
    InvalidRequest,
    InvalidScope,
    UnauthorizedClient,
    TransactionFailed,
    Unknown,
}

impl Word {
    /// The word that a body carries; `None` when it is no error object.
    ///
    /// `error_code` wins where both are known words: it is where the vendor
    /// documents the more exact one. As a number it only repeats the status.
    fn find(body: &[u8]) -> Option<Self> {
        #[derive(Deserialize)]
        struct ErrorBody {
            error: Option<Value>,
            error_code: Option<Value>,
        }
        let body: ErrorBody = object(body)?;
        let word = |value: &Option<Value>| value.as_ref().and_then(Value::as_str).map(Self::of);
        match (word(&body.error_code), word(&body.error)) {
            (Some(Self::Unknown) | None, Some(word)) | (Some(word), _) => Some(word),
            (None, None) => None,
        }
    }

    fn of(text: &str) -> Self {
        match text {
            "authorization_pending" => Self::AuthorizationPending,
            "slow_down" => Self::SlowDown,
            "access_denied" => Self::AccessDenied,
            "expired_token" => Self::ExpiredToken,
            "invalid_grant" => Self::InvalidGrant,
            "invalid_client" => Self::InvalidClient,
            "unknown_user_id" | "invalid_user" => Self::UnknownUser,
            "old_app" | "outdated_app_version" => Self::OldApp,
            "invalid_request"
            | "invalid_binding_message"
            | "missing_user_code"
            | "invalid_user_code"
            | "expired_login_hint_token"
            | "expired_id_token_hint"
            | "invalid_id_token_hint" => Self::InvalidRequest,
            "invalid_scope" => Self::InvalidScope,
            "unauthorized_client" | "unsupported_grant_type" => Self::UnauthorizedClient,
            "transaction_failed" => Self::TransactionFailed,
            _ => Self::Unknown,
        }
    }

    /// The word as a refusal, where nothing more special holds at its endpoint.
    const fn refusal(self) -> Refusal {
        match self {
            Self::UnknownUser => Refusal::PersonUnknown,
            Self::OldApp => Refusal::AppTooOld,
            Self::InvalidRequest => Refusal::InvalidRequest,
            Self::InvalidScope => Refusal::InvalidScope,
            Self::UnauthorizedClient => Refusal::UnauthorizedClient,
            Self::AccessDenied => Refusal::Policy,
            Self::TransactionFailed => Refusal::TransactionFailed,
            Self::AuthorizationPending
            | Self::SlowDown
            | Self::ExpiredToken
            | Self::InvalidGrant
            | Self::InvalidClient
            | Self::Unknown => Refusal::UnknownError,
        }
    }
}
