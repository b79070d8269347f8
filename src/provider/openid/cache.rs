//! A document of the provider, fetched when needed and kept for a while.
//!
//! One fetch at a time, however many ask. A document past its age goes on being
//! used while it is fetched anew in the background, and as long as that fails.
//! After a failure, and after a renewal on demand, there is a pause.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use tokio_util::task::TaskTracker;
use url::Url;

use super::Clock;
use crate::provider::ProviderProblem;
use crate::timestamp::Timestamp;

/// The least time from a failed fetch to the next, and from any fetch to a
/// renewal on demand.
pub(in crate::provider) const PAUSE: Duration = Duration::from_secs(5);

/// How a document is fetched.
#[async_trait]
pub(super) trait Fetch: Send + Sync + 'static {
    type Document: Send + Sync + 'static;

    /// Fetches and checks it; says also how long it may be kept.
    async fn fetch(&self, from: &Url) -> Result<(Self::Document, Duration), ProviderProblem>;
}

/// A document that was renewed on demand, or why not.
pub(super) enum Renewal<T> {
    /// Fetched after the demand.
    Renewed(Arc<T>),
    /// The one at hand is too new to ask again.
    TooSoon,
    /// The fetch failed, now or a moment ago.
    Failed,
}

/// See the module.
pub(super) struct Cached<F: Fetch> {
    shared: Arc<Shared<F>>,
    background: TaskTracker,
}

struct Shared<F: Fetch> {
    fetch: F,
    clock: Clock,
    state: Mutex<State<F::Document>>,
    flight: Arc<tokio::sync::Mutex<()>>,
}

struct State<T> {
    held: Option<Held<T>>,
    failed: Option<Failed>,
    generation: u64,
}

struct Held<T> {
    document: Arc<T>,
    from: Url,
    fetched_at: Timestamp,
    max_age: Duration,
}

struct Failed {
    at: Timestamp,
    problem: ProviderProblem,
}

impl<F: Fetch> Cached<F> {
    pub(super) fn new(fetch: F, clock: Clock) -> Self {
        let state = Mutex::new(State { held: None, failed: None, generation: 0 });
        let shared = Shared { fetch, clock, state, flight: Arc::default() };
        Self { shared: Arc::new(shared), background: TaskTracker::new() }
    }

    /// Counts the fetches that succeeded; for [`Cached::renew`].
    pub(super) fn generation(&self) -> u64 {
        self.shared.state().generation
    }

    /// The document at hand, or a new one when there is none from this address.
    pub(super) async fn get(&self, from: &Url) -> Result<Arc<F::Document>, ProviderProblem> {
        if let Some(document) = self.at_hand(from) {
            return Ok(document);
        }
        let _flight = self.shared.flight.lock().await;
        if let Some(document) = self.at_hand(from) {
            return Ok(document);
        }
        if let Some(problem) = self.shared.recent_failure() {
            return Err(problem);
        }
        self.shared.fetch(from).await
    }

    /// A document newer than `generation`: fetched now, unless somebody else
    /// just did or the pause forbids it.
    pub(super) async fn renew(&self, from: &Url, generation: u64) -> Renewal<F::Document> {
        let _flight = self.shared.flight.lock().await;
        if self.generation() > generation
            && let Some(document) = self.at_hand(from)
        {
            return Renewal::Renewed(document);
        }
        if self.shared.recent_failure().is_some() {
            return Renewal::Failed;
        }
        if self.shared.is_new(from) {
            return Renewal::TooSoon;
        }
        self.shared.fetch(from).await.map_or(Renewal::Failed, Renewal::Renewed)
    }

    fn at_hand(&self, from: &Url) -> Option<Arc<F::Document>> {
        let (document, is_old) = {
            let state = self.shared.state();
            let held = state.held.as_ref().filter(|held| held.from == *from)?;
            let is_old = has_passed(held.max_age, held.fetched_at, (self.shared.clock)());
            (Arc::clone(&held.document), is_old)
        };
        if is_old && self.shared.recent_failure().is_none() {
            self.renew_in_background(from);
        }
        Some(document)
    }

    fn renew_in_background(&self, from: &Url) {
        let Ok(flight) = Arc::clone(&self.shared.flight).try_lock_owned() else {
            return;
        };
        let (shared, from) = (Arc::clone(&self.shared), from.clone());
        self.background.spawn(async move {
            let _flight = flight;
            // A failure has been written down and logged.
            let _: Result<_, ProviderProblem> = shared.fetch(&from).await;
        });
    }
}

impl<F: Fetch> Shared<F> {
    /// Holds no lock across an await, and nothing under it can panic half-way.
    fn state(&self) -> MutexGuard<'_, State<F::Document>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn recent_failure(&self) -> Option<ProviderProblem> {
        let now = (self.clock)();
        let state = self.state();
        state.failed.as_ref().filter(|failed| !has_passed(PAUSE, failed.at, now)).map(|failed| failed.problem.clone())
    }

    fn is_new(&self, from: &Url) -> bool {
        let now = (self.clock)();
        let state = self.state();
        state.held.as_ref().is_some_and(|held| held.from == *from && !has_passed(PAUSE, held.fetched_at, now))
    }

    async fn fetch(&self, from: &Url) -> Result<Arc<F::Document>, ProviderProblem> {
        let fetched_at = (self.clock)();
        let result = self.fetch.fetch(from).await;
        let mut state = self.state();
        match result {
            Ok((document, max_age)) => {
                let document = Arc::new(document);
                state.held = Some(Held { document: Arc::clone(&document), from: from.clone(), fetched_at, max_age });
                state.failed = None;
                state.generation += 1;
                Ok(document)
            }
            Err(problem) => {
                tracing::warn!(%problem, "provider document could not be fetched");
                state.failed = Some(Failed { at: (self.clock)(), problem: problem.clone() });
                Err(problem)
            }
        }
    }
}

/// A clock that was set back counts as time passed: better one fetch too many
/// than none for an hour.
pub(in crate::provider) fn has_passed(time: Duration, since: Timestamp, now: Timestamp) -> bool {
    now < since || now.since(since) >= time
}
