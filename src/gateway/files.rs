//! Watches the files that the configuration was read from.
//!
//! Looks at what they say once a second. A change is taken when two looks in a row
//! see the same: somebody may still be writing, and half a file can be without
//! mistakes and lack half of the clients. SIGHUP reads at once. Called by the
//! command line; what becomes of a configuration is `reload`'s business.

use std::convert::Infallible;
use std::future::pending;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::signal::unix::Signal;
use tokio::sync::mpsc;
use tracing::{info, warn};

use crate::config::{Config, Files, Mistakes, variables};

/// Between two looks.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// Tells of each change of the file at `path`, and of the files that it names, since
/// it said what is in `files`; and of what it says at each `hangup`.
pub async fn watch(
    path: PathBuf,
    files: Files,
    mut hangup: Signal,
    tell: mpsc::Sender<Result<Config, Mistakes>>,
) -> Infallible {
    let path = Arc::new(path);
    let mut known = Arc::new(files);
    let mut seen: Option<Files> = None;
    loop {
        let is_told = tokio::select! {
            Some(()) = hangup.recv() => true,
            () = tokio::time::sleep(LOOK_EVERY) => false,
        };
        if !is_told {
            let now = look(&known).await;
            let is_settled = seen.as_ref() == Some(&now);
            seen = (now != *known).then_some(now);
            if seen.is_none() || !is_settled {
                continue;
            }
        }
        info!(on_signal = is_told, "the configuration is read again");
        let reading = Arc::clone(&path);
        let read = tokio::task::spawn_blocking(move || Config::load_with_files(&reading, variables()));
        let Ok((read, files)) = read.await else {
            warn!("the configuration could not be read again");
            continue;
        };
        (known, seen) = (Arc::new(files), None);
        if tell.send(read).await.is_err() {
            // Nobody wants to know any more: the gateway stops.
            return pending().await;
        }
    }
}

/// What the files say now; what they said before when that cannot be found out.
async fn look(files: &Arc<Files>) -> Files {
    let looking = Arc::clone(files);
    let now = tokio::task::spawn_blocking(move || looking.now()).await;
    now.unwrap_or_else(|_| Files::clone(files))
}
