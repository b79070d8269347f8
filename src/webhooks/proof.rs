//! Whether a request is the provider's: the signature of its Webhooks API.
//!
//! Signed are the method, the path with its query, the date, the host and the SHA-256 of
//! the body, by HMAC-SHA256 with the registration's secret (Webhooks API, "How to
//! authenticate the webhook event"). Pure: bytes and the present come in.

use std::time::Duration;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use http::header::AUTHORIZATION;
use http::{HeaderMap, Method};
use secrecy::{ExposeSecret, SecretString};
use sha2::{Digest, Sha256};
use subtle::{Choice, ConstantTimeEq};

use crate::timestamp::Timestamp;

/// How far a request's date may lie from the present, either way. What is older may be
/// somebody's who has listened; younger ones are told apart by their signature.
pub const TIME_WINDOW: Duration = Duration::from_secs(5 * 60);

/// `x-ms-date`: when it was signed, as an HTTP date (RFC 9110, section 5.6.7).
pub const DATE: &str = "x-ms-date";
/// `x-ms-content-sha256`: the SHA-256 of the body, in base64.
pub const CONTENT: &str = "x-ms-content-sha256";
/// What `Authorization` says before the signature, which is in base64.
pub const SCHEME: &str = "HMAC-SHA256 SignedHeaders=x-ms-date;host;x-ms-content-sha256&Signature=";

/// An HMAC-SHA256.
pub type Signature = [u8; 32];

/// What is signed.
#[derive(Clone, Copy, Debug)]
pub struct Signed<'r> {
    /// The method.
    pub method: &'r Method,
    /// The path with its query, as the request line has it.
    pub path_and_query: &'r str,
    /// The host, with its port where that is not the scheme's.
    pub host: &'r str,
    /// What [`DATE`] says.
    pub date: &'r str,
    /// What [`CONTENT`] says.
    pub content: &'r str,
}

impl Signed<'_> {
    /// The signature with that secret, which is taken as it is written.
    #[must_use]
    pub fn signature(&self, secret: &SecretString) -> Signature {
        let Self { method, path_and_query, host, date, content } = self;
        // A key may have any length (RFC 2104, section 2).
        let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(secret.expose_secret().as_bytes()) else {
            return [0; 32];
        };
        mac.update(format!("{method}\n{path_and_query}\n{date};{host};{content}").as_bytes());
        mac.finalize().into_bytes().into()
    }
}

/// What [`CONTENT`] says of a body.
#[must_use]
pub fn content(body: &[u8]) -> String {
    BASE64_STANDARD.encode(Sha256::digest(body))
}

/// What `Authorization` says with a signature.
#[must_use]
pub fn authorization(signature: &Signature) -> String {
    format!("{SCHEME}{}", BASE64_STANDARD.encode(signature))
}

/// Why a request is not taken for the provider's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unproven {
    /// A header is missing, there twice or unreadable, the body is another one, or the
    /// signature is nobody's who knows a secret.
    Forged,
    /// Rightly signed, too long ago or too far ahead.
    Stale,
}

/// One request as it came in.
#[derive(Clone, Copy, Debug)]
pub struct Request<'r> {
    /// The method.
    pub method: &'r Method,
    /// The path with its query, as the request line has it.
    pub path_and_query: &'r str,
    /// All headers; `Host` is not looked at.
    pub headers: &'r HeaderMap,
    /// The body, byte for byte.
    pub body: &'r [u8],
}

impl Request<'_> {
    /// Verifies it as one that was sent to `host`, by any of the secrets. All of them are
    /// tried in any case, and compared in constant time.
    ///
    /// # Errors
    /// What it lacks.
    pub fn verify(&self, host: &str, secrets: &[SecretString], now: Timestamp) -> Result<Signature, Unproven> {
        let (date, content) = (self.header(DATE)?, self.header(CONTENT)?);
        let shown = self.header(AUTHORIZATION.as_str())?.strip_prefix(SCHEME).ok_or(Unproven::Forged)?;
        let shown = BASE64_STANDARD.decode(shown).map_err(|_| Unproven::Forged)?;
        let shown: Signature = shown.try_into().map_err(|_| Unproven::Forged)?;
        if content != self::content(self.body) {
            return Err(Unproven::Forged);
        }
        let signed = Signed { method: self.method, path_and_query: self.path_and_query, host, date, content };
        let is_right = secrets.iter().fold(Choice::from(0), |is_right, secret| {
            is_right | signed.signature(secret).as_slice().ct_eq(shown.as_slice())
        });
        if !bool::from(is_right) {
            return Err(Unproven::Forged);
        }
        let signed_at = httpdate::parse_http_date(date).ok();
        let signed_at = signed_at.and_then(|at| at.duration_since(std::time::UNIX_EPOCH).ok());
        let signed_at = signed_at.and_then(|since| u64::try_from(since.as_millis()).ok()).ok_or(Unproven::Forged)?;
        let apart = Duration::from_millis(signed_at.abs_diff(now.as_millis()));
        if apart > TIME_WINDOW { Err(Unproven::Stale) } else { Ok(shown) }
    }

    /// A header that is there once.
    fn header(&self, name: &str) -> Result<&str, Unproven> {
        let mut values = self.headers.get_all(name).iter();
        match (values.next(), values.next()) {
            (Some(value), None) => value.to_str().map_err(|_| Unproven::Forged),
            (_, _) => Err(Unproven::Forged),
        }
    }
}
