//! Who tends which login in this process: one at a time.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio_util::sync::CancellationToken;

use crate::session::{LoginId, TenantId};

type Key = (TenantId, LoginId);

/// Cheap to clone; all clones are one.
#[derive(Clone, Default)]
pub(super) struct Roster(Arc<Mutex<HashMap<Key, Arc<Signals>>>>);

#[derive(Default)]
struct Signals {
    superseded: CancellationToken,
    done: CancellationToken,
}

/// The turn to tend one login; it ends when this is dropped.
pub struct Turn {
    roster: Roster,
    key: Key,
    own: Arc<Signals>,
    previous: Option<CancellationToken>,
}

impl Roster {
    /// The next turn. Whoever tends the login now is told to come to an end.
    pub(super) fn next(&self, tenant: &TenantId, login: &LoginId) -> Turn {
        let (key, own) = ((tenant.clone(), login.clone()), Arc::<Signals>::default());
        let previous = self.lock().insert(key.clone(), Arc::clone(&own));
        let previous = previous.map(|previous| {
            previous.superseded.cancel();
            previous.done.clone()
        });
        Turn { roster: self.clone(), key, own, previous }
    }

    /// Whether somebody tends the login.
    pub(super) fn has(&self, tenant: &TenantId, login: &LoginId) -> bool {
        self.lock().contains_key(&(tenant.clone(), login.clone()))
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Key, Arc<Signals>>> {
        // Nothing in there can be left half done.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Turn {
    /// Waits until the turn before has ended.
    pub(super) async fn begins(&self) {
        if let Some(previous) = &self.previous {
            previous.cancelled().await;
        }
    }

    /// Whether the next turn waits for this one to end.
    pub(super) fn is_superseded(&self) -> bool {
        self.own.superseded.is_cancelled()
    }

    pub(super) async fn superseded(&self) {
        self.own.superseded.cancelled().await;
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        let mut turns = self.roster.lock();
        if turns.get(&self.key).is_some_and(|latest| Arc::ptr_eq(latest, &self.own)) {
            turns.remove(&self.key);
        }
        self.own.done.cancel();
    }
}
