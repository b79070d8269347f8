//! Which proven requests have been here, for as long as they could be sent again.
//!
//! Only the provider can make an entry, because only what is proven is looked up; and
//! there are never more than [`MOST`]. Of more than that the oldest are forgotten: what
//! such a repetition asks for is done a second time, which does no harm.

use std::collections::{HashSet, VecDeque};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use super::proof::{Signature, TIME_WINDOW};
use crate::timestamp::Timestamp;

/// 64 bytes each, more or less.
pub(super) const MOST: usize = 16_384;
/// What was dated ahead of the present can be sent until both windows are over.
const KEPT: Duration = TIME_WINDOW.saturating_mul(2);

/// See the module.
#[derive(Default)]
pub(super) struct Seen(Mutex<Inner>);

#[derive(Default)]
struct Inner {
    by_age: VecDeque<(Timestamp, Signature)>,
    signatures: HashSet<Signature>,
}

impl Seen {
    /// Whether this is the first time.
    pub(super) fn is_new(&self, signature: Signature, now: Timestamp) -> bool {
        let mut inner = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        while inner.by_age.front().is_some_and(|(at, _)| now > at.plus(KEPT)) {
            inner.forget_oldest();
        }
        if !inner.signatures.insert(signature) {
            return false;
        }
        if inner.by_age.len() >= MOST {
            inner.forget_oldest();
        }
        inner.by_age.push_back((now, signature));
        true
    }

    /// It may come again unless [`Unheard::was_heard`] says otherwise: whoever hears it
    /// may be broken off, because time is up or the caller has hung up.
    pub(super) const fn unless_heard(&self, signature: Signature) -> Unheard<'_> {
        Unheard { seen: self, signature: Some(signature) }
    }

    fn forget(&self, signature: &Signature) {
        let mut inner = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if inner.signatures.remove(signature) {
            inner.by_age.retain(|(_, other)| other != signature);
        }
    }
}

/// A request that nobody has dealt with yet; forgotten when it is dropped.
pub(super) struct Unheard<'s> {
    seen: &'s Seen,
    signature: Option<Signature>,
}

impl Unheard<'_> {
    /// It was dealt with, and need not come again.
    pub(super) fn was_heard(mut self) {
        self.signature = None;
    }
}

impl Drop for Unheard<'_> {
    fn drop(&mut self) {
        if let Some(signature) = self.signature {
            self.seen.forget(&signature);
        }
    }
}

impl Inner {
    fn forget_oldest(&mut self) {
        if let Some((_, oldest)) = self.by_age.pop_front() {
            self.signatures.remove(&oldest);
        }
    }
}
