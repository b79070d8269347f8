//! Who tends which login in this process: one at a time.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::session::{LoginId, TenantId};

type Key = (TenantId, LoginId);

/// Cheap to clone; all clones are one.
#[derive(Clone, Default)]
pub(super) struct Roster(Arc<Mutex<Turns>>);

#[derive(Default)]
struct Turns {
    /// The latest of each login.
    present: HashMap<Key, Arc<Signals>>,
    /// What logins still rest that became somebody else's. They may come back.
    parted: HashMap<Key, Instant>,
}

#[derive(Default)]
struct Signals {
    superseded: CancellationToken,
    done: CancellationToken,
    /// Nothing may be sent before.
    rests_until: Mutex<Option<Instant>>,
}

/// The turn to tend one login; it ends when this is dropped.
pub struct Turn {
    roster: Roster,
    key: Key,
    own: Arc<Signals>,
    previous: Option<Arc<Signals>>,
}

impl Roster {
    /// The next turn. Whoever tends the login now is told to come to an end.
    pub(super) fn next(&self, tenant: &TenantId, login: &LoginId) -> Turn {
        let (key, own) = ((tenant.clone(), login.clone()), Arc::<Signals>::default());
        let mut turns = self.lock();
        let previous = turns.present.insert(key.clone(), Arc::clone(&own));
        if let Some(until) = turns.parted.remove(&key) {
            own.rests_until(until);
        }
        drop(turns);
        if let Some(previous) = &previous {
            previous.superseded.cancel();
        }
        Turn { roster: self.clone(), key, own, previous }
    }

    /// Whether somebody tends the login.
    pub(super) fn has(&self, tenant: &TenantId, login: &LoginId) -> bool {
        self.lock().present.contains_key(&(tenant.clone(), login.clone()))
    }

    fn lock(&self) -> MutexGuard<'_, Turns> {
        // Nothing in there can be left half done.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Turn {
    /// Waits until the turn before has ended, and goes by its rest.
    pub(super) async fn begins(&self) {
        if let Some(previous) = &self.previous {
            previous.done.cancelled().await;
            if let Some(until) = previous.rest() {
                self.rests_until(until);
            }
        }
    }

    /// The login is somebody else's. Should it come back, it rests all the same.
    pub(super) fn parts(&self) {
        let (now, mut turns) = (Instant::now(), self.roster.lock());
        turns.parted.retain(|_, until| now < *until);
        if let Some(until) = self.rest().filter(|until| now < *until) {
            turns.parted.insert(self.key.clone(), until);
        }
    }

    /// Nothing may be sent before, in this turn or a later one.
    pub(super) fn rests_until(&self, at: Instant) {
        self.own.rests_until(at);
    }

    /// When something may be sent again, if that was said.
    pub(super) fn rest(&self) -> Option<Instant> {
        self.own.rest()
    }

    /// Whether the next turn waits for this one to end.
    pub(super) fn is_superseded(&self) -> bool {
        self.own.superseded.is_cancelled()
    }

    pub(super) async fn superseded(&self) {
        self.own.superseded.cancelled().await;
    }
}

impl Signals {
    fn rests_until(&self, at: Instant) {
        let mut rest = self.rests_until.lock().unwrap_or_else(PoisonError::into_inner);
        *rest = (*rest).max(Some(at));
    }

    fn rest(&self) -> Option<Instant> {
        *self.rests_until.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        let mut turns = self.roster.lock();
        if turns.present.get(&self.key).is_some_and(|latest| Arc::ptr_eq(latest, &self.own)) {
            turns.present.remove(&self.key);
        }
        self.own.done.cancel();
    }
}
