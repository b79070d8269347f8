//! The one place where a clock is read.
//!
//! Rules take a [`Timestamp`]; whoever calls them gets it from a [`Clock`].
//! Tests use [`Clock::following_tokio`], which stands still while tokio's time
//! is paused and jumps with it.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::timestamp::Timestamp;

/// Tells the present, and waits for a time. Cheap to clone.
#[derive(Clone)]
pub struct Clock(Arc<dyn Fn() -> Timestamp + Send + Sync>);

impl Clock {
    /// The machine's wall clock.
    #[must_use]
    pub fn system() -> Self {
        Self(Arc::new(system_now))
    }

    /// A clock that starts at `origin` and runs with tokio's time.
    #[must_use]
    pub fn following_tokio(origin: Timestamp) -> Self {
        let started = tokio::time::Instant::now();
        Self(Arc::new(move || origin.plus(started.elapsed())))
    }

    /// The present.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        (self.0)()
    }

    /// The clock as a function, for adapters that only ask the time.
    #[must_use]
    pub fn as_fn(&self) -> Arc<dyn Fn() -> Timestamp + Send + Sync> {
        Arc::clone(&self.0)
    }

    /// Waits until `at`; returns at once when it has passed.
    pub async fn sleep_until(&self, at: Timestamp) {
        // A wall clock may be set back or forward while we sleep: look again.
        const LONGEST_NAP: Duration = Duration::from_secs(60);
        loop {
            let remaining = at.since(self.now());
            if remaining.is_zero() {
                return;
            }
            tokio::time::sleep(remaining.min(LONGEST_NAP)).await;
        }
    }
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
