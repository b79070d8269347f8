//! Who in this process wants to hear of which login.
//!
//! Holds the newest record of every login that somebody subscribed to, and
//! nothing of the others. A subscriber sees the latest state, not each one in
//! between; a tenant's subscriber sees each change that this process made or
//! heard of.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::{broadcast, watch};

use crate::session::{LoginId, TenantId};
use crate::store::Record;

/// Changes that a tenant's subscriber may be behind before it is told that it lags.
const TENANT_BUFFER: usize = 1024;

type Key = (TenantId, LoginId);
type Latest = watch::Sender<Option<Arc<Record>>>;

/// Cheap to clone; all clones are one.
#[derive(Clone, Default)]
pub struct Hub(Arc<Mutex<Subscribers>>);

#[derive(Default)]
struct Subscribers {
    logins: HashMap<Key, Latest>,
    tenants: HashMap<TenantId, broadcast::Sender<Arc<Record>>>,
}

impl Hub {
    /// Hears of one login from now on. Empty until something is published:
    /// subscribe first, then read the store, so that no change falls between.
    #[must_use]
    pub fn subscribe(&self, tenant: &TenantId, login: &LoginId) -> Subscription {
        let key = (tenant.clone(), login.clone());
        let receiver = self.lock().logins.entry(key.clone()).or_insert_with(|| watch::Sender::new(None)).subscribe();
        Subscription { hub: self.clone(), key, receiver }
    }

    /// Hears of what comes after `record`, which is no news any more: when its
    /// own wake-up arrives late, nobody has to read it again.
    #[must_use]
    pub fn subscribe_after(&self, record: &Arc<Record>) -> Subscription {
        let key = (record.session.terms.tenant.clone(), record.session.id.clone());
        let mut subscribers = self.lock();
        let latest = subscribers.logins.entry(key.clone()).or_insert_with(|| watch::Sender::new(None));
        tell(latest, record);
        Subscription { hub: self.clone(), receiver: latest.subscribe(), key }
    }

    pub(super) fn subscribe_tenant(&self, tenant: &TenantId) -> broadcast::Receiver<Arc<Record>> {
        let mut subscribers = self.lock();
        let sender = subscribers.tenants.entry(tenant.clone());
        sender.or_insert_with(|| broadcast::Sender::new(TENANT_BUFFER)).subscribe()
    }

    /// Tells the subscribers, unless they know a newer version already.
    pub(super) fn publish(&self, record: &Arc<Record>) {
        let tenant = &record.session.terms.tenant;
        let subscribers = self.lock();
        let mut is_news = true;
        if let Some(latest) = subscribers.logins.get(&(tenant.clone(), record.session.id.clone())) {
            is_news = tell(latest, record);
        }
        if let Some(sender) = subscribers.tenants.get(tenant).filter(|_| is_news) {
            // No receiver is no error: the last one has just left.
            let _ = sender.send(Arc::clone(record));
        }
    }

    /// Whether a change to `version` is news to somebody here.
    pub(super) fn wants(&self, tenant: &TenantId, login: &LoginId, version: u64) -> bool {
        let subscribers = self.lock();
        match subscribers.logins.get(&(tenant.clone(), login.clone())) {
            Some(latest) => latest.borrow().as_ref().is_none_or(|known| known.version < version),
            None => subscribers.tenants.get(tenant).is_some_and(|sender| sender.receiver_count() > 0),
        }
    }

    pub(super) fn watched(&self) -> Vec<Key> {
        self.lock().logins.keys().cloned().collect()
    }

    fn lock(&self) -> MutexGuard<'_, Subscribers> {
        // Nothing in here can be left half done.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether it was news.
fn tell(latest: &Latest, record: &Arc<Record>) -> bool {
    latest.send_if_modified(|known| {
        let is_newer = known.as_ref().is_none_or(|known| known.version < record.version);
        if is_newer {
            *known = Some(Arc::clone(record));
        }
        is_newer
    })
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
}

impl Drop for Subscription {
    fn drop(&mut self) {
        let mut subscribers = self.hub.lock();
        if let Entry::Occupied(entry) = subscribers.logins.entry(self.key.clone())
            && entry.get().receiver_count() <= 1
        {
            entry.remove();
        }
    }
}
