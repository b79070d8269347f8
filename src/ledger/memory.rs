//! The logins that this process answers for, as it last knew them.
//!
//! A store may lose what it had acknowledged: it was emptied, restored, or
//! failed over to a replica that was behind. Whoever remembers a login puts it
//! back, so that it is neither lost nor started a second time. Live logins are
//! remembered by their owner, and ends for a while by whoever wrote them.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::session::{LoginId, TenantId};
use crate::store::Record;
use crate::timestamp::Timestamp;

/// How long an end is remembered. A store that is behind by more than this has
/// lost more than a failover loses.
const ENDS_REMEMBERED: Duration = Duration::from_secs(60);

type Key = (TenantId, LoginId);

/// Cheap to clone; all clones are one.
#[derive(Clone, Default)]
pub(super) struct Memory(Arc<Mutex<Remembered>>);

#[derive(Default)]
struct Remembered {
    logins: HashMap<Key, Arc<Record>>,
    /// Ends in the order in which they are forgotten.
    ends: VecDeque<(Timestamp, Key)>,
}

impl Memory {
    /// This process answers for the login, which stands so.
    pub(super) fn remember(&self, record: &Arc<Record>, now: Timestamp) {
        let key = key(record);
        let mut remembered = self.lock();
        remembered.forget_old_ends(now);
        if remembered.logins.get(&key).is_some_and(|known| known.age() >= record.age()) {
            return;
        }
        if record.session.has_ended() {
            remembered.ends.push_back((now.plus(ENDS_REMEMBERED), key.clone()));
        }
        remembered.logins.insert(key, Arc::clone(record));
    }

    /// The store has this. What is remembered follows it, or is given up when the
    /// login is somebody else's by now.
    pub(super) fn saw(&self, record: &Arc<Record>) {
        let key = key(record);
        let mut remembered = self.lock();
        let Some(known) = remembered.logins.get(&key).filter(|known| known.age() < record.age()) else {
            return;
        };
        if record.session.has_ended() || known.owner != record.owner {
            remembered.logins.remove(&key);
        } else {
            remembered.logins.insert(key, Arc::clone(record));
        }
    }

    /// The login was never there.
    pub(super) fn forget(&self, record: &Record) {
        self.lock().logins.remove(&key(record));
    }

    pub(super) fn recall(&self, tenant: &TenantId, login: &LoginId) -> Option<Arc<Record>> {
        self.lock().logins.get(&(tenant.clone(), login.clone())).cloned()
    }

    /// Whether a change to `version` concerns what is remembered.
    pub(super) fn wants(&self, tenant: &TenantId, login: &LoginId, version: u64) -> bool {
        self.recall(tenant, login).is_some_and(|known| known.version < version)
    }

    /// Everything that is remembered of the tenant at `now`.
    pub(super) fn of(&self, tenant: &TenantId, now: Timestamp) -> Vec<Arc<Record>> {
        let mut remembered = self.lock();
        remembered.forget_old_ends(now);
        let of_tenant = |((of, _), record): (&Key, &Arc<Record>)| (of == tenant).then(|| Arc::clone(record));
        remembered.logins.iter().filter_map(of_tenant).collect()
    }

    fn lock(&self) -> MutexGuard<'_, Remembered> {
        // Nothing in there can be left half done.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Remembered {
    fn forget_old_ends(&mut self, now: Timestamp) {
        while let Some((_, key)) = self.ends.pop_front_if(|(until, _)| *until <= now) {
            self.logins.remove(&key);
        }
    }
}

fn key(record: &Record) -> Key {
    (record.session.terms.tenant.clone(), record.session.id.clone())
}

#[cfg(test)]
mod tests;
