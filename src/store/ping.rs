//! That the provider has news of a login, said to all replicas at once.

use std::fmt;

use super::hash::HashKeys;
use crate::ciba::AuthReqId;

/// How a request is marked, as the digests of [`super::hash`] are written.
const MARK_LENGTH: usize = 22;
/// One for each hash key.
const MOST_MARKS: usize = 2;

/// The provider has news of one request, which is marked and not named: by its keyed hash
/// under each hash key that is known. May be lost or come twice, and may be of a request
/// that nobody has.
#[derive(Clone, PartialEq, Eq)]
pub struct Ping {
    marks: Vec<String>,
}

impl Ping {
    /// The ping of this request.
    #[must_use]
    pub fn of(request: &AuthReqId, hash_keys: &HashKeys) -> Self {
        let keys = [Some(hash_keys), hash_keys.other()].into_iter().flatten();
        let mark = |keys: &HashKeys| keys.for_gateway().digest("ping", &[request.expose().as_bytes()]);
        Self { marks: keys.map(mark).collect() }
    }

    /// Under any of them the request may be known.
    pub fn marks(&self) -> impl Iterator<Item = &str> {
        self.marks.iter().map(String::as_str)
    }

    /// As a message.
    pub(super) fn written(&self) -> String {
        self.marks.join(" ")
    }

    /// Reads [`Ping::written`].
    pub(super) fn read(text: &str) -> Option<Self> {
        let marks: Vec<_> = text.splitn(MOST_MARKS + 1, ' ').map(str::to_owned).collect();
        let are_marks = marks.len() <= MOST_MARKS && marks.iter().all(|mark| mark.len() == MARK_LENGTH);
        are_marks.then_some(Self { marks })
    }
}

impl fmt::Debug for Ping {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Ping(…)")
    }
}
