//! Who in this process wants to hear of which login.
//!
//! Holds the newest record of every login that somebody subscribed to, and
//! nothing of the others. A subscriber sees the latest state, not each one in
//! between; a tenant's subscriber sees each change that this process made or
//! heard of, once.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::watch;

use crate::session::{LoginId, TenantId};
use crate::store::Record;

type Key = (TenantId, LoginId);
type Latest = watch::Sender<Option<Arc<Record>>>;

/// Cheap to clone; all clones are one.
#[derive(Clone, Default)]
pub struct Hub(Arc<Mutex<Subscribers>>);

type Subscribers = HashMap<Key, Latest>;

impl Hub {
    /// Hears of one login from now on. Empty until something is published:
    /// subscribe first, then read the store, so that no change falls between.
    #[must_use]
    pub fn subscribe(&self, tenant: &TenantId, login: &LoginId) -> Subscription {
        let key = (tenant.clone(), login.clone());
        let receiver = self.lock().entry(key.clone()).or_insert_with(|| watch::Sender::new(None)).subscribe();
        Subscription { hub: self.clone(), key, receiver }
    }

    /// Hears of what comes after `record`, which is no news any more: when its
    /// own wake-up arrives late, nobody has to read it again.
    #[must_use]
    pub fn subscribe_after(&self, record: &Arc<Record>) -> Subscription {
        let key = (record.session.terms.tenant.clone(), record.session.id.clone());
        let mut subscribers = self.lock();
        let latest = subscribers.entry(key.clone()).or_insert_with(|| watch::Sender::new(None));
        tell(latest, record);
        Subscription { hub: self.clone(), receiver: latest.subscribe(), key }
    }

    /// Tells the subscribers, unless they know as much already.
    pub(super) fn publish(&self, record: &Arc<Record>) {
        let key = (record.session.terms.tenant.clone(), record.session.id.clone());
        if let Some(latest) = self.lock().get(&key) {
            tell(latest, record);
        }
    }

    /// Whether a change to `version` is news to somebody here.
    pub(super) fn wants(&self, tenant: &TenantId, login: &LoginId, version: u64) -> bool {
        let subscribers = self.lock();
        let watchers = subscribers.get(&(tenant.clone(), login.clone()));
        watchers.is_some_and(|latest| latest.borrow().as_ref().is_none_or(|known| known.version < version))
    }

    /// Whether anybody watches a login of the tenant.
    pub(super) fn watches(&self, tenant: &TenantId) -> bool {
        self.lock().keys().any(|(watched, _)| watched == tenant)
    }

    pub(super) fn watched(&self) -> Vec<Key> {
        self.lock().keys().cloned().collect()
    }

    fn lock(&self) -> MutexGuard<'_, Subscribers> {
        // Nothing in here can be left half done.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Tells the subscribers of one login, unless they know as much already.
fn tell(latest: &Latest, record: &Arc<Record>) {
    latest.send_if_modified(|known| {
        let is_news = known.as_ref().is_none_or(|known| known.age() < record.age());
        if is_news {
            *known = Some(Arc::clone(record));
        }
        is_news
    });
}

/// One subscriber's view of one login.
pub struct Subscription {
    hub: Hub,
    key: Key,
    receiver: watch::Receiver<Option<Arc<Record>>>,
}

impl Subscription {
    /// The newest record that was published, now marked as seen.
    pub fn latest(&mut self) -> Option<Arc<Record>> {
        self.receiver.borrow_and_update().clone()
    }

    /// Waits for a record that [`Subscription::latest`] has not returned yet.
    pub async fn changed(&mut self) {
        if self.receiver.changed().await.is_err() {
            // The sender lives in the hub as long as there is a subscription.
            std::future::pending::<()>().await;
        }
    }

    /// Waits until the login has ended.
    pub async fn ended(&mut self) {
        let ended = |record: &Option<Arc<Record>>| record.as_ref().is_some_and(|record| record.session.has_ended());
        if self.receiver.wait_for(ended).await.is_err() {
            // As above.
            std::future::pending::<()>().await;
        }
        self.receiver.mark_changed();
    }
}

impl Drop for Subscription {
    fn drop(&mut self) {
        let mut subscribers = self.hub.lock();
        if let Entry::Occupied(entry) = subscribers.entry(self.key.clone())
            && entry.get().receiver_count() <= 1
        {
            entry.remove();
        }
    }
}

#[cfg(test)]
pub(super) mod tests;
