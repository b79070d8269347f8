//! Waiting for something to come true, not for time to pass.

use std::time::Duration;

const LOOK_EVERY: Duration = Duration::from_millis(20);
const LOOKS: u32 = 1000;

/// Looks again and again, for twenty seconds at most, until there is something.
pub(crate) async fn eventually<T>(what: &str, look: impl AsyncFnMut() -> Option<T>) -> T {
    match eventually_some(look).await {
        Some(found) => found,
        None => panic!("waited in vain until {what}"),
    }
}

/// As [`eventually`], for those who have more to say about a wait in vain.
pub(crate) async fn eventually_some<T>(mut look: impl AsyncFnMut() -> Option<T>) -> Option<T> {
    let mut ticks = tokio::time::interval(LOOK_EVERY);
    for _ in 0..LOOKS {
        ticks.tick().await;
        if let Some(found) = look().await {
            return Some(found);
        }
    }
    None
}
