//! How a line is sealed, and how its seal is checked.
//!
//! A line is one JSON object whose last member is `mac`: HMAC-SHA256 (RFC 2104)
//! under the audit key of exactly the bytes of the line without that member, as
//! base64url. It covers `prev`, the `mac` of the run's line before.

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

use super::entry::Subject;
use crate::store::hash::mac;
use crate::timestamp::Timestamp;

/// The form of the lines.
pub(super) const VERSION: u32 = 1;
/// What every line begins with.
pub(super) const BEGINNING: &[u8] = br#"{"v":1,"run":""#;
/// What comes between a line's other members and its seal.
const BEFORE_MAC: &str = r#","mac":""#;
const AFTER_MAC: &str = r#""}"#;

/// What a run says about itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "what", rename_all = "snake_case")]
pub(super) enum Mark {
    /// The run begins; by which version of the gateway.
    Began { version: &'static str },
    /// It goes on.
    Heartbeat,
    /// So many records before this place found no room.
    Lost { lost: u64 },
    /// It is over in good order: nothing follows.
    Closed,
}

/// The names of [`Mark::Began`] and [`Mark::Closed`].
pub(super) const BEGAN: &str = "began";
pub(super) const CLOSED: &str = "closed";

#[derive(Serialize)]
struct Line<'l, W> {
    v: u32,
    run: &'l str,
    seq: u64,
    time: String,
    #[serde(flatten)]
    what: &'l W,
    #[serde(flatten)]
    subject: Option<&'l Subject>,
    prev: &'l str,
}

/// The chain of one run, as it is made.
pub(super) struct Chain {
    key: Zeroizing<[u8; 32]>,
    run: String,
    seq: u64,
    prev: String,
}

impl Chain {
    pub(super) fn begin(key: Zeroizing<[u8; 32]>, run: String) -> Self {
        Self { key, run, seq: 0, prev: String::new() }
    }

    /// The next line, with its line end.
    pub(super) fn seal(
        &mut self,
        at: Timestamp,
        what: &impl Serialize,
        subject: Option<&Subject>,
    ) -> Result<String, serde_json::Error> {
        let seq = self.seq + 1;
        let line = Line { v: VERSION, run: &self.run, seq, time: at.rfc3339(), what, subject, prev: &self.prev };
        let mut text = serde_json::to_string(&line)?;
        let mac = seal_of(&self.key, text.as_bytes());
        text.truncate(text.len() - 1);
        text.push_str(BEFORE_MAC);
        text.push_str(&mac);
        text.push_str(AFTER_MAC);
        text.push('\n');
        (self.seq, self.prev) = (seq, mac);
        Ok(text)
    }
}

fn seal_of(key: &[u8; 32], text: &[u8]) -> String {
    BASE64_URL_SAFE_NO_PAD.encode(mac(key, &[text]))
}

/// What a line that was read says of its place.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub(super) struct Written {
    pub(super) v: u32,
    pub(super) run: String,
    pub(super) seq: u64,
    pub(super) what: String,
    pub(super) prev: String,
    pub(super) mac: String,
}

impl Written {
    /// `None` for what is no line of ours, or only a part of one.
    pub(super) fn read(line: &[u8]) -> Option<Self> {
        let written: Self = serde_json::from_slice(line).ok()?;
        (written.v == VERSION).then_some(written)
    }

    /// Whether `line`, which it was read from, is as it was sealed.
    pub(super) fn is_genuine(&self, key: &[u8; 32], line: &[u8]) -> bool {
        let end = format!("{BEFORE_MAC}{}{AFTER_MAC}", self.mac);
        let Some(open) = line.strip_suffix(end.as_bytes()) else {
            return false;
        };
        let mut sealed = open.to_vec();
        sealed.push(b'}');
        seal_of(key, &sealed).as_bytes().ct_eq(self.mac.as_bytes()).into()
    }
}
