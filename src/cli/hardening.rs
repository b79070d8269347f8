//! What the process asks of the system before it knows a secret.

use rustix::process::{DumpableBehavior, Resource, Rlimit, set_dumpable_behavior, setrlimit};
use tracing::warn;

/// A crash must not write keys and phone numbers to a disk: no core file, and
/// nobody of the same user may look into the memory. Best effort: what cannot be
/// had is given back to be said once there is a log.
pub(super) fn no_memory_dumps() -> Vec<(&'static str, std::io::Error)> {
    let no_core = setrlimit(Resource::Core, Rlimit { current: Some(0), maximum: Some(0) });
    let mut refused = vec![("core files cannot be switched off", no_core)];
    #[cfg(target_os = "linux")]
    refused.push(("the memory cannot be hidden", set_dumpable_behavior(DumpableBehavior::NotDumpable)));
    refused.into_iter().filter_map(|(what, done)| Some((what, done.err()?.into()))).collect()
}

/// Says what could not be had.
pub(super) fn tell(refused: &[(&'static str, std::io::Error)]) {
    for (what, error) in refused {
        warn!(%error, what, "a crash may write secrets to a disk");
    }
}
