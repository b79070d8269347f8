//! What the fraud desk gets, and how it is signed: the format of Standard Webhooks
//! (standardwebhooks.com), symmetric. Pure.

use std::fmt;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde::Serialize;
use zeroize::Zeroizing;

use super::Kind;
use crate::audit::{Entry, Subject, What};
use crate::store::hash::mac;
use crate::timestamp::Timestamp;

const PREFIX: &str = "whsec_";
/// Bytes of a secret, as the format wants it.
const SECRET_BYTES: std::ops::RangeInclusive<usize> = 24..=64;

/// What the gateway signs with and the fraud desk verifies with. Prints nothing;
/// wiped when dropped.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(Zeroizing<Vec<u8>>);

impl Secret {
    /// The secret made of those bytes.
    #[must_use]
    pub fn from_random(bytes: [u8; 32]) -> Self {
        Self(Zeroizing::new(bytes.to_vec()))
    }

    /// Reads `whsec_` and 24 to 64 bytes in standard base64.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let bytes = Zeroizing::new(BASE64_STANDARD.decode(text.strip_prefix(PREFIX)?).ok()?);
        SECRET_BYTES.contains(&bytes.len()).then_some(Self(bytes))
    }

    /// As it is written.
    #[must_use]
    pub fn expose(&self) -> Zeroizing<String> {
        Zeroizing::new(format!("{PREFIX}{}", BASE64_STANDARD.encode(&*self.0)))
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

/// One signal on its way. Nothing in it is readable about a person.
#[derive(Clone, Debug)]
pub(super) struct Message {
    pub(super) kind: Kind,
    /// The same however often it is sent.
    pub(super) id: String,
    pub(super) body: String,
}

#[derive(Serialize)]
struct Body {
    #[serde(rename = "type")]
    kind: Kind,
    timestamp: String,
    data: Data,
}

/// The members that the line in the audit log has.
#[derive(Serialize)]
struct Data {
    #[serde(flatten)]
    what: What,
    #[serde(flatten)]
    subject: Subject,
}

impl Message {
    /// What is told of an entry that was noted then; `hash` as in the audit log, if
    /// there is one.
    pub(super) fn new(
        kind: Kind,
        id: String,
        at: Timestamp,
        entry: &Entry,
        hash: Option<String>,
    ) -> Result<Self, serde_json::Error> {
        let data = Data { what: entry.what, subject: Subject::new(entry.clone(), hash) };
        let body = serde_json::to_string(&Body { kind, timestamp: at.rfc3339(), data })?;
        Ok(Self { kind, id, body })
    }

    /// The signatures of what is sent at that time, one for each secret.
    pub(super) fn signatures(&self, secrets: &[Secret], now: Timestamp) -> String {
        let signed = format!("{}.{}.{}", self.id, now.as_secs(), self.body);
        let signature =
            |secret: &Secret| format!("v1,{}", BASE64_STANDARD.encode(mac(&secret.0, &[signed.as_bytes()])));
        secrets.iter().map(signature).collect::<Vec<_>>().join(" ")
    }
}
