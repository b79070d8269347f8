//! The simulator's time: protocol time that may run faster than the wall.
//!
//! Expiry, token lifetimes, early-poll measurement and latencies are measured
//! in *protocol time*: time since the simulator started, multiplied by the
//! speed, plus whatever a test has skipped. Time stamps inside an ID token and
//! in a `Retry-After` date are wall time, because the client under test
//! compares them with its own clock, which nobody speeds up.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokio::time::Instant;

/// Protocol time since the start of one simulator.
#[derive(Debug)]
pub(super) struct Clock {
    origin: Instant,
    speed: f64,
    skipped_ms: AtomicU64,
}

impl Clock {
    /// A clock that starts at zero and runs `speed` times as fast as the wall.
    pub(super) fn new(speed: f64) -> Self {
        Self { origin: Instant::now(), speed, skipped_ms: AtomicU64::new(0) }
    }

    /// Protocol time since the start.
    pub(super) fn now(&self) -> Duration {
        let skipped = Duration::from_millis(self.skipped_ms.load(Ordering::Relaxed));
        self.origin.elapsed().mul_f64(self.speed) + skipped
    }

    /// Lets protocol time jump ahead. Answers that are already being delayed
    /// are not hurried by it.
    pub(super) fn advance(&self, by: Duration) {
        self.skipped_ms.fetch_add(millis(by), Ordering::Relaxed);
    }

    /// Waits for a span of protocol time.
    pub(super) async fn sleep(&self, span: Duration) {
        if !span.is_zero() {
            tokio::time::sleep(span.div_f64(self.speed)).await;
        }
    }
}

/// Whole milliseconds of a span; spans beyond the range of `u64` stay at its end.
pub(super) fn millis(span: Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX)
}

/// The wall clock, for what a client compares with its own.
#[expect(clippy::disallowed_methods, reason = "the simulator is a party of its own, with its own clock")]
pub(super) fn wall_now() -> SystemTime {
    SystemTime::now()
}

/// The wall clock in seconds since 1970.
pub(super) fn wall_seconds() -> i64 {
    wall_now().duration_since(UNIX_EPOCH).ok().and_then(|since| i64::try_from(since.as_secs()).ok()).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn protocol_time_runs_at_the_given_speed() {
        let clock = Clock::new(60.0);
        tokio::time::advance(Duration::from_secs(1)).await;
        assert_eq!(clock.now().as_secs(), 60);
    }

    #[tokio::test(start_paused = true)]
    async fn advancing_skips_protocol_time_only() {
        let clock = Clock::new(1.0);
        clock.advance(Duration::from_secs(600));
        assert_eq!(clock.now(), Duration::from_secs(600));
    }

    #[tokio::test(start_paused = true)]
    async fn sleeping_is_scaled_too() {
        let clock = Clock::new(10.0);
        let before = Instant::now();
        clock.sleep(Duration::from_secs(10)).await;
        assert_eq!(before.elapsed().as_secs(), 1);
    }
}
