//! What a panic leaves in the log.

use tracing::error;

/// From now on a panic of any thread is logged by its place in the code, and not
/// by what it says: that may hold a number or a token.
pub fn log_panics() {
    std::panic::set_hook(Box::new(|panic| {
        let place = panic.location().map(ToString::to_string).unwrap_or_default();
        error!(place, "something panicked, which is a defect");
    }));
}
