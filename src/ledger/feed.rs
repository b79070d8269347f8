//! The tenants' streams as this process reads them: one reader for each tenant,
//! whoever and however many watch.
//!
//! A reader goes on from the newest number it knows when it is nudged, and once
//! in [`REREAD`] in any case, so that nothing is missed when every wake-up is
//! lost. What it has read stays at hand for a while. Nobody waits for a slow
//! watcher: one that falls behind what is at hand is told so. Filled by
//! [`super::Ledger::follow`]; read by `logins::watch`.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{Notify, watch};

use crate::session::TenantId;
use crate::store::{Events, LoginEvent, Position};

/// Within this time every change is seen, whatever is lost.
pub const REREAD: Duration = Duration::from_secs(5);
/// Events that are kept at hand for those who watch.
const AT_HAND: usize = 2048;

/// All tenants' feeds. Cheap to clone; all clones are one.
#[derive(Clone, Default)]
pub(super) struct Feeds(Arc<Mutex<HashMap<TenantId, Feed>>>);

impl Feeds {
    pub(super) fn of(&self, tenant: &TenantId) -> Feed {
        self.lock().entry(tenant.clone()).or_default().clone()
    }

    pub(super) fn nudge_all(&self) {
        self.lock().values().for_each(Feed::nudge);
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<TenantId, Feed>> {
        // Nothing in there can be left half done.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One tenant's feed. Cheap to clone; all clones are one.
#[derive(Clone, Default)]
pub struct Feed(Arc<Shared>);

#[derive(Default)]
struct Shared {
    window: Mutex<Window>,
    /// Counts what came; its receivers are those who watch.
    news: watch::Sender<u64>,
    nudge: Notify,
}

/// What is at hand, without gaps.
#[derive(Default)]
struct Window {
    end: Option<Position>,
    events: VecDeque<Arc<LoginEvent>>,
}

/// What a watcher finds after its place.
#[derive(Debug)]
pub enum Ahead {
    /// These, in order; none when it is level with the feed.
    Events(Vec<Arc<LoginEvent>>),
    /// It is not known here what comes next: ask the store.
    Unknown,
}

impl Feed {
    /// Hears whenever there may be something new. As long as somebody listens
    /// the stream is followed.
    #[must_use]
    pub fn listen(&self) -> watch::Receiver<u64> {
        let news = self.0.news.subscribe();
        self.nudge();
        news
    }

    /// Has the stream read on now.
    pub fn nudge(&self) {
        self.0.nudge.notify_one();
    }

    /// At most `limit` of the events after `position` that are at hand.
    #[must_use]
    pub fn after(&self, position: &Position, limit: usize) -> Ahead {
        let window = self.window();
        let Some(end) = window.end.as_ref().filter(|end| end.epoch == position.epoch) else {
            return Ahead::Unknown;
        };
        let first = window.events.front().map_or(end.number + 1, |event| event.number);
        let Some(skipped) = (position.number + 1).checked_sub(first) else {
            return Ahead::Unknown;
        };
        let skipped = usize::try_from(skipped).unwrap_or(usize::MAX);
        Ahead::Events(window.events.iter().skip(skipped).take(limit).cloned().collect())
    }

    pub(super) fn is_wanted(&self) -> bool {
        self.0.news.receiver_count() > 0
    }

    pub(super) async fn nudged(&self) {
        self.0.nudge.notified().await;
    }

    /// How far the stream was read.
    pub(super) fn end(&self) -> Option<Position> {
        self.window().end.clone()
    }

    /// Nobody watches: what comes meanwhile is not followed.
    pub(super) fn forget(&self) {
        *self.window() = Window::default();
    }

    /// Takes in what the store has after [`Feed::end`].
    pub(super) fn take_in(&self, found: Events) {
        let mut window = self.window();
        let goes_on = match (&window.end, found.entries.first()) {
            (Some(end), Some(first)) => end.epoch == found.epoch && first.number == end.number + 1,
            (Some(end), None) => end.epoch == found.epoch && found.newest == end.number,
            (None, _) => false,
        };
        if !goes_on {
            *window = Window::default();
        }
        let number = found.entries.last().map_or(found.newest, |last| last.number);
        window.end = Some(Position { epoch: found.epoch, number });
        window.events.extend(found.entries.into_iter().map(Arc::new));
        let surplus = window.events.len().saturating_sub(AT_HAND);
        window.events.drain(..surplus);
        drop(window);
        self.0.news.send_modify(|count| *count += 1);
    }

    fn window(&self) -> MutexGuard<'_, Window> {
        // Nothing in there can be left half done.
        self.0.window.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests;
