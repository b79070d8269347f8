//! The vendor's redirect variant: the app ends on a page and not in itself.
//!
//! The phone's browser lands with a `code` or with an `error`, and with nothing that
//! names the login (vendor's guide to merchant-initiated login).

use std::fmt;

use secrecy::{ExposeSecret, SecretString};

/// The `grant_type` that exchanges a landing's code.
pub const REDIRECT_GRANT_TYPE: &str = "urn:vipps:params:grant-type:ciba-redirect";

/// The `requested_flow` of a start whose person lands on a page.
pub const REDIRECT_FLOW: &str = "login_to_webpage";

/// Longer codes and errors are refused unread.
pub const MAX_CODE: usize = 1024;
const MAX_ERROR: usize = 64;

/// What a landing's page is given, once. A bearer of it can collect the tokens, so it
/// prints redacted.
#[derive(Clone)]
pub struct RedirectCode(SecretString);

impl RedirectCode {
    /// Takes 1 to 1024 visible ASCII characters (RFC 6749, appendix A.11).
    #[must_use]
    pub fn new(text: &str) -> Option<Self> {
        let fits = (1..=MAX_CODE).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic());
        fits.then(|| Self(text.into()))
    }

    /// The value, for the exchange and for telling one from another alone.
    #[must_use]
    pub fn expose(&self) -> &str {
        self.0.expose_secret()
    }
}

impl fmt::Debug for RedirectCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RedirectCode(…)")
    }
}

/// Why the phone landed without a code. Only a word: what is told besides may hold
/// anything.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RedirectError {
    /// `access_denied`: the person said no.
    Denied,
    /// `outdated_app_version`.
    AppTooOld,
    /// `invalid_app_callback_uri`, `app_callback_uri_not_registered`: the page's
    /// address is not one of the sales unit's.
    UriRefused,
    /// `server_error`
    Server,
    /// `login_required`
    LoginRequired,
    /// `wrong_challenge`
    WrongChallenge,
    /// `unknown_reject_reason`: not said who or what has rejected it.
    Unexplained,
    /// None of those that the vendor lists.
    Unknown,
}

impl RedirectError {
    /// Reads the parameter `error`; a text that cannot be one is none.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        // RFC 6749, section 4.1.2.1
        let fits = (1..=MAX_ERROR).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic());
        fits.then_some(match text {
            "access_denied" => Self::Denied,
            "outdated_app_version" | "old_app" => Self::AppTooOld,
            "invalid_app_callback_uri" | "app_callback_uri_not_registered" => Self::UriRefused,
            "server_error" => Self::Server,
            "login_required" => Self::LoginRequired,
            "wrong_challenge" => Self::WrongChallenge,
            "unknown_reject_reason" => Self::Unexplained,
            _ => Self::Unknown,
        })
    }

    /// A word of ours for it, for logs and metrics.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Denied => "access_denied",
            Self::AppTooOld => "outdated_app_version",
            Self::UriRefused => "uri_refused",
            Self::Server => "server_error",
            Self::LoginRequired => "login_required",
            Self::WrongChallenge => "wrong_challenge",
            Self::Unexplained => "unknown_reject_reason",
            Self::Unknown => "unknown",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_is_bounded_and_prints_redacted() {
        for wrong in ["", "with space", "æ", "line\nbreak", &"a".repeat(MAX_CODE + 1)] {
            assert!(RedirectCode::new(wrong).is_none());
        }
        let code = RedirectCode::new("a.B-c_1~/+=").unwrap();
        assert_eq!(format!("{code:?}"), "RedirectCode(…)");
    }

    #[test]
    fn only_a_no_is_a_no() {
        let denied = |word: &str| RedirectError::parse(word) == Some(RedirectError::Denied);
        assert!(denied("access_denied"));
        for other in ["ACCESS_DENIED", "denied", "unknown_reject_reason", "login_required", "unheard_of"] {
            assert!(!denied(other) && RedirectError::parse(other).is_some(), "{other}");
        }
        for no_error in ["", "two words", &"a".repeat(MAX_ERROR + 1)] {
            assert_eq!(RedirectError::parse(no_error), None);
        }
    }
}
