//! The keys of one identity provider, fetched in the background.
//!
//! They are fetched again before they are old, and early when a token names one that
//! is not among them: one fetch at a time, with a pause between two, however many
//! ask. While it fails, the last ones count for a while, and then none.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Notify, watch};
use tokio::task::JoinSet;
use tracing::{info, warn};

use super::key::{SigningKey, read};
use super::rules::Refused;
use super::source::Source;
use crate::clock::Clock;
use crate::config::{TokenAlgorithm, Tokens};
use crate::timestamp::Timestamp;

/// The least time between two fetches.
const PAUSE: Duration = Duration::from_secs(5);
/// How long a call waits for keys.
const PATIENCE: Duration = Duration::from_secs(3);

/// See the module.
pub(super) struct Keys {
    held: watch::Receiver<Held>,
    wanted: Arc<Notify>,
    kept: Duration,
    /// Ends with this value.
    _fetching: JoinSet<()>,
}

#[derive(Clone, Default)]
struct Held {
    keys: Arc<Vec<SigningKey>>,
    /// When these came; `None` while there are none.
    fetched_at: Option<Timestamp>,
    /// When somebody last tried to fetch them, and how often that was.
    tried_at: Timestamp,
    tries: u64,
}

impl Keys {
    pub(super) fn fetched_from(source: Source, settings: &Tokens, clock: Clock) -> Self {
        let (sender, held) = watch::channel(Held::default());
        let wanted = Arc::new(Notify::new());
        let fetching = Fetching {
            source,
            algorithms: settings.algorithms.clone(),
            max_age: settings.keys_max_age,
            held: sender,
            wanted: Arc::clone(&wanted),
            clock,
        };
        let mut tasks = JoinSet::new();
        tasks.spawn(fetching.go_on());
        Self { held, wanted, kept: settings.keys_kept, _fetching: tasks }
    }

    /// The keys that count now. Waits a moment for the very first ones.
    pub(super) async fn at_hand(&self, now: Timestamp) -> Result<Arc<Vec<SigningKey>>, Refused> {
        self.counting(&self.after(0).await, now).ok_or(Refused::KeysUnavailable)
    }

    /// Keys that were fetched for this question; `None` where they cannot be had, or
    /// were fetched a moment ago.
    pub(super) async fn renewed(&self, now: Timestamp) -> Option<Arc<Vec<SigningKey>>> {
        let Held { tried_at, tries, .. } = self.held.borrow().clone();
        self.wanted.notify_one();
        if now.since(tried_at) < PAUSE {
            return None;
        }
        let held = self.after(tries).await;
        if held.tries == tries { None } else { self.counting(&held, now) }
    }

    /// What is held after more than so many tries, or after some patience.
    async fn after(&self, tries: u64) -> Held {
        let mut held = self.held.clone();
        let _ = tokio::time::timeout(PATIENCE, held.wait_for(|held| held.tries > tries)).await;
        let held = held.borrow();
        held.clone()
    }

    fn counting(&self, held: &Held, now: Timestamp) -> Option<Arc<Vec<SigningKey>>> {
        let fetched_at = held.fetched_at?;
        (now.since(fetched_at) < self.kept).then(|| Arc::clone(&held.keys))
    }
}

struct Fetching {
    source: Source,
    algorithms: BTreeSet<TokenAlgorithm>,
    max_age: Duration,
    held: watch::Sender<Held>,
    wanted: Arc<Notify>,
    clock: Clock,
}

impl Fetching {
    async fn go_on(self) {
        let (mut was_well, issuer) = (true, self.source.issuer().to_owned());
        loop {
            let fetched = self.fetch().await;
            let tried_at = self.clock.now();
            let rest = fetched.as_ref().map_or(PAUSE, |(_, max_age)| self.max_age.min(*max_age));
            match &fetched {
                Ok(_) if was_well => {}
                Ok((keys, _)) => info!(issuer, keys = keys.len(), "the keys for callers' tokens are there again"),
                Err(problem) if was_well => warn!(issuer, problem, "the keys for callers' tokens cannot be fetched"),
                Err(_) => {}
            }
            was_well = fetched.is_ok();
            self.held.send_modify(|held| {
                if let Ok((keys, _)) = fetched {
                    held.keys = Arc::new(keys);
                    held.fetched_at = Some(tried_at);
                }
                held.tried_at = tried_at;
                held.tries += 1;
            });
            let pause = PAUSE.min(rest);
            tokio::time::sleep(pause).await;
            // Either somebody wants them early, or they are old.
            let _ = tokio::time::timeout(rest.saturating_sub(pause), self.wanted.notified()).await;
        }
    }

    async fn fetch(&self) -> Result<(Vec<SigningKey>, Duration), String> {
        let (document, max_age) = self.source.fetch().await?;
        let keys = read(&document, &self.algorithms).ok_or_else(|| "is not a readable key set".to_owned())?;
        if keys.is_empty() {
            warn!(issuer = self.source.issuer(), "no key in the key set can be used: no token holds");
        }
        Ok((keys, max_age))
    }
}
