//! The one place where a clock is read.
//!
//! Rules take a [`Timestamp`]; whoever calls them gets it from a [`Clock`]: the
//! machine's time, put right by what the store says the time is, so that all
//! replicas mean the same by "now". `replicas` does that with every sign of
//! life. Tests use [`Clock::following_tokio`], which stands still while tokio's
//! time is paused and jumps with it.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokio::sync::watch;
use tracing::warn;

use crate::timestamp::Timestamp;

/// A machine whose time is further off than this is worth a word.
const WORTH_A_WORD: u64 = 2000;
/// Times are cut to milliseconds.
const RESOLUTION: Duration = Duration::from_millis(1);

/// Tells the present, and waits for a time. Cheap to clone; all clones are one.
#[derive(Clone)]
pub struct Clock(Arc<Shared>);

struct Shared {
    local: Box<dyn Fn() -> Timestamp + Send + Sync>,
    /// Milliseconds that the store's clock is ahead of the local one.
    offset: watch::Sender<i64>,
    has_warned: AtomicBool,
}

impl Clock {
    /// The machine's wall clock.
    #[must_use]
    pub fn system() -> Self {
        Self::telling(system_now)
    }

    /// A clock that starts at `origin` and runs with tokio's time.
    #[must_use]
    pub fn following_tokio(origin: Timestamp) -> Self {
        let started = tokio::time::Instant::now();
        Self::telling(move || origin.plus(started.elapsed()))
    }

    /// A clock that has the time from `local`.
    #[must_use]
    pub fn telling(local: impl Fn() -> Timestamp + Send + Sync + 'static) -> Self {
        let (local, offset) = (Box::new(local), watch::Sender::new(0));
        Self(Arc::new(Shared { local, offset, has_warned: AtomicBool::new(false) }))
    }

    /// The present.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.0.now()
    }

    /// The clock as a function, for adapters that only ask the time.
    #[must_use]
    pub fn as_fn(&self) -> Arc<dyn Fn() -> Timestamp + Send + Sync> {
        let shared = Arc::clone(&self.0);
        Arc::new(move || shared.now())
    }

    /// Goes by the store from now on: it has just said that it was `time`, some
    /// time within `round_trip`. A difference that the round trip may explain
    /// changes nothing.
    pub fn follow(&self, time: Timestamp, round_trip: Duration) {
        let middle = self.now().minus(round_trip / 2);
        let (ahead, behind) = (time.since(middle), middle.since(time));
        if ahead.max(behind) <= round_trip / 2 + RESOLUTION {
            return;
        }
        let change = millis(ahead).saturating_sub(millis(behind));
        self.0.offset.send_modify(|offset| *offset = offset.saturating_add(change));
        let offset_ms = *self.0.offset.borrow();
        if offset_ms.unsigned_abs() > WORTH_A_WORD && !self.0.has_warned.swap(true, Ordering::Relaxed) {
            warn!(offset_ms, "this machine's clock is off; the store's time is used in its place");
        }
    }

    /// Waits until `at`; returns at once when it has passed.
    pub async fn sleep_until(&self, at: Timestamp) {
        // A wall clock may be set back or forward while we sleep: look again.
        const LONGEST_NAP: Duration = Duration::from_secs(60);
        let mut offset = self.0.offset.subscribe();
        loop {
            offset.mark_unchanged();
            let remaining = at.since(self.now());
            if remaining.is_zero() {
                return;
            }
            // Woken early when the clock is put right.
            let _ = tokio::time::timeout(remaining.min(LONGEST_NAP), offset.changed()).await;
        }
    }
}

impl Shared {
    fn now(&self) -> Timestamp {
        let offset = *self.offset.borrow();
        let by = Duration::from_millis(offset.unsigned_abs());
        if offset < 0 { (self.local)().minus(by) } else { (self.local)().plus(by) }
    }
}

fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

#[expect(clippy::disallowed_methods, reason = "this is the clock")]
fn system_now() -> Timestamp {
    let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp::from_millis(u64::try_from(since_epoch.as_millis()).unwrap_or(u64::MAX))
}

impl fmt::Debug for Clock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Clock")
    }
}

#[cfg(test)]
mod tests;
