//! What this process knows of the tenants' streams, which tells whether Redis has
//! lost what it had acknowledged.
//!
//! Numbers only rise and epochs do not come back: a stream that is of another
//! epoch than the known one, or shorter, belongs to a Redis that was emptied,
//! restored or failed over to a replica that was behind.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::session::TenantId;
use crate::store::Position;
use crate::timestamp::Timestamp;

/// How long to wait when nobody can say.
const SHORTEST_WAIT: Duration = Duration::from_secs(1);

/// A stream's head as it was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Head {
    pub(super) position: Position,
    /// When the epoch began.
    pub(super) begun: Timestamp,
}

/// What `HMGET` brings of a head.
pub(super) type RawHead = (Option<String>, Option<u64>, Option<u64>);

/// The names of the fields of [`RawHead`].
pub(super) const HEAD_FIELDS: [&str; 3] = ["epoch", "newest", "begun"];

impl Head {
    pub(super) fn read((epoch, newest, begun): RawHead) -> Option<Self> {
        let position = Position { epoch: epoch?, number: newest? };
        Some(Self { position, begun: Timestamp::from_millis(begun.unwrap_or_default()) })
    }
}

/// See the module.
pub(super) struct Known {
    /// For how long after the beginning of an epoch nothing is sure.
    settle_time: Duration,
    streams: Mutex<HashMap<TenantId, Stream>>,
}

#[derive(Default)]
struct Stream {
    known: Option<Position>,
    /// What is known instead once everything was put right.
    next: Option<Position>,
}

impl Known {
    pub(super) fn new(settle_time: Duration) -> Self {
        Self { settle_time, streams: Mutex::default() }
    }

    pub(super) const fn settle_time(&self) -> Duration {
        self.settle_time
    }

    pub(super) fn position(&self, tenant: &TenantId) -> Option<Position> {
        self.lock().get(tenant)?.known.clone()
    }

    /// Redis has told of this place.
    pub(super) fn saw(&self, tenant: &TenantId, epoch: &str, number: u64) {
        let mut streams = self.lock();
        let stream = streams.entry(tenant.clone()).or_default();
        match &mut stream.known {
            Some(known) if known.epoch == epoch => known.number = known.number.max(number),
            Some(_) => {}
            None => stream.known = Some(Position { epoch: epoch.to_owned(), number }),
        }
    }

    /// What was lost, if `head` shows a loss of what was `known` before it was asked
    /// for: others may have seen more while it was under way.
    pub(super) fn lost(known: Option<Position>, head: Option<&Head>) -> Option<Position> {
        let known = known?;
        let is_there = |head: &Head| head.position.epoch == known.epoch && head.position.number >= known.number;
        (!head.is_some_and(is_there)).then_some(known)
    }

    /// How long nothing can be said of a login that is not there; `known` as for
    /// [`Known::lost`].
    pub(super) fn is_unsure_for(
        &self,
        known: Option<Position>,
        head: Option<&Head>,
        now: Timestamp,
    ) -> Option<Duration> {
        if Self::lost(known, head).is_some() {
            return Some(self.settle_time.max(SHORTEST_WAIT));
        }
        // A clock that is ahead of ours makes nobody wait longer.
        let settled = head.map_or(now, |head| head.begun.min(now)).plus(self.settle_time);
        Some(settled.since(now)).filter(|wait| !wait.is_zero())
    }

    /// What follows a loss.
    pub(super) fn begins_anew(&self, tenant: &TenantId, head: Head) {
        self.lock().entry(tenant.clone()).or_default().next = Some(head.position);
    }

    pub(super) fn is_put_right(&self, tenant: &TenantId) {
        if let Some(stream) = self.lock().get_mut(tenant)
            && let Some(next) = stream.next.take()
        {
            stream.known = Some(next);
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<TenantId, Stream>> {
        // Nothing in there can be left half done.
        self.streams.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const T0: Timestamp = Timestamp::from_millis(1_700_000_000_000);
    const SETTLE: Duration = Duration::from_secs(5);

    fn tenant() -> TenantId {
        TenantId::new("acme").unwrap()
    }

    fn head(epoch: &str, number: u64) -> Head {
        Head { position: Position { epoch: epoch.to_owned(), number }, begun: T0 }
    }

    fn knowing(number: u64) -> Known {
        let known = Known::new(SETTLE);
        known.saw(&tenant(), "one", number);
        known
    }

    #[test]
    fn a_longer_stream_of_the_same_epoch_has_lost_nothing() {
        let known = knowing(7);
        for number in [7, 8, 100] {
            assert_eq!(Known::lost(known.position(&tenant()), Some(&head("one", number))), None);
        }
    }

    #[test]
    fn a_shorter_stream_another_epoch_or_none_is_a_loss() {
        let known = knowing(7);
        for head in [Some(head("one", 6)), Some(head("two", 9)), None] {
            assert_eq!(Known::lost(known.position(&tenant()), head.as_ref()).map(|lost| lost.number), Some(7));
            assert_eq!(
                known.is_unsure_for(known.position(&tenant()), head.as_ref(), T0.plus(SETTLE * 9)),
                Some(SETTLE)
            );
        }
    }

    #[test]
    fn whoever_knows_nothing_misses_nothing_but_waits_after_a_beginning() {
        let known = Known::new(SETTLE);
        assert_eq!(Known::lost(known.position(&tenant()), None), None);
        let wait = |after| known.is_unsure_for(known.position(&tenant()), Some(&head("one", 3)), T0.plus(after));
        assert_eq!(wait(Duration::from_secs(2)), Some(Duration::from_secs(3)));
        assert_eq!(wait(SETTLE), None);
    }

    #[test]
    fn a_loss_lasts_until_everything_was_put_right() {
        let known = knowing(7);
        known.begins_anew(&tenant(), head("two", 7));
        known.saw(&tenant(), "two", 9);
        assert!(Known::lost(known.position(&tenant()), Some(&head("two", 9))).is_some());
        known.is_put_right(&tenant());
        assert_eq!(Known::lost(known.position(&tenant()), Some(&head("two", 9))), None);
        assert!(Known::lost(known.position(&tenant()), Some(&head("one", 9))).is_some());
    }
}
