//! Waiting for something to come true, not for time to pass.

use std::time::Duration;

const LOOK_EVERY: Duration = Duration::from_millis(20);
const LOOKS: u32 = 500;

/// Looks again and again, for ten seconds at most, until there is something.
pub(crate) async fn eventually<T>(what: &str, mut look: impl AsyncFnMut() -> Option<T>) -> T {
    let mut ticks = tokio::time::interval(LOOK_EVERY);
    for _ in 0..LOOKS {
        ticks.tick().await;
        if let Some(found) = look().await {
            return found;
        }
    }
    panic!("waited in vain until {what}");
}
