//! Who in this process wants to hear of which login.
//!
//! Holds the newest record of every login that somebody subscribed to, and
//! nothing of the others. A subscriber sees the latest state, not each one in
//! between; a tenant's subscriber sees each change that this process made or
//! heard of, once.

use std::collections::hash_map::Entry;
use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::{broadcast, watch};

use crate::session::{LoginId, TenantId};
use crate::store::Record;
use crate::timestamp::Timestamp;

/// Changes that a tenant's subscriber may be behind before it is told that it lags.
const TENANT_BUFFER: usize = 1024;
/// Logins of which it is remembered what a tenant's subscribers were told.
const TOLD_LOGINS: usize = 4096;

type Key = (TenantId, LoginId);
type Latest = watch::Sender<Option<Arc<Record>>>;

/// Cheap to clone; all clones are one.
#[derive(Clone, Default)]
pub struct Hub(Arc<Mutex<Subscribers>>);

#[derive(Default)]
struct Subscribers {
    logins: HashMap<Key, Latest>,
    tenants: HashMap<TenantId, Audience>,
}

/// A tenant's subscribers.
struct Audience {
    sender: broadcast::Sender<Arc<Record>>,
    /// Since when there has been one all the time.
    since: Timestamp,
    /// [`Record::age`] of what they were told: a store may report one's own
    /// writes, and report them twice.
    told: HashMap<LoginId, (bool, u64)>,
    /// Oldest first.
    order: VecDeque<LoginId>,
}

/// How a record became known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Found {
    /// It was just written, here or elsewhere.
    Changed,
    /// Somebody looked; it may have been so for long.
    Read,
}

impl Audience {
    fn new(since: Timestamp) -> Self {
        Self { sender: broadcast::Sender::new(TENANT_BUFFER), since, told: HashMap::new(), order: VecDeque::new() }
    }

    fn is_empty(&self) -> bool {
        self.sender.receiver_count() == 0
    }

    fn tell(&mut self, record: &Arc<Record>, found: Found) {
        let is_news = match self.told.get(&record.session.id) {
            Some(told) => *told < record.age(),
            None => found == Found::Changed,
        };
        if self.is_empty() || !is_news {
            return;
        }
        if self.told.insert(record.session.id.clone(), record.age()).is_none() {
            self.order.push_back(record.session.id.clone());
        }
        if self.order.len() > TOLD_LOGINS
            && let Some(oldest) = self.order.pop_front()
        {
            self.told.remove(&oldest);
        }
        // No receiver is no error: the last one has just left.
        let _ = self.sender.send(Arc::clone(record));
    }
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

    pub(super) fn subscribe_tenant(&self, tenant: &TenantId, now: Timestamp) -> broadcast::Receiver<Arc<Record>> {
        let mut subscribers = self.lock();
        let audience = subscribers.tenants.entry(tenant.clone()).or_insert_with(|| Audience::new(now));
        if audience.is_empty() {
            *audience = Audience::new(now);
        }
        audience.sender.subscribe()
    }

    /// Tells the subscribers, unless they know as much already.
    pub(super) fn publish(&self, record: &Arc<Record>, found: Found) {
        let tenant = &record.session.terms.tenant;
        let mut subscribers = self.lock();
        if let Some(latest) = subscribers.logins.get(&(tenant.clone(), record.session.id.clone())) {
            tell(latest, record);
        }
        if let Some(audience) = subscribers.tenants.get_mut(tenant) {
            audience.tell(record, found);
        }
    }

    /// Whether a change to `version` is news to somebody here.
    pub(super) fn wants(&self, tenant: &TenantId, login: &LoginId, version: u64) -> bool {
        let subscribers = self.lock();
        let watchers = subscribers.logins.get(&(tenant.clone(), login.clone()));
        let audience = subscribers.tenants.get(tenant).filter(|audience| !audience.is_empty());
        watchers.is_some_and(|latest| latest.borrow().as_ref().is_none_or(|known| known.version < version))
            || audience.is_some_and(|audience| audience.told.get(login).is_none_or(|(_, told)| *told < version))
    }

    /// Tenants with subscribers, and since when.
    pub(super) fn audiences(&self) -> Vec<(TenantId, Timestamp)> {
        let subscribers = self.lock();
        let audiences = subscribers.tenants.iter().filter(|(_, audience)| !audience.is_empty());
        audiences.map(|(tenant, audience)| (tenant.clone(), audience.since)).collect()
    }

    pub(super) fn watched(&self) -> Vec<Key> {
        self.lock().logins.keys().cloned().collect()
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
        if let Entry::Occupied(entry) = subscribers.logins.entry(self.key.clone())
            && entry.get().receiver_count() <= 1
        {
            entry.remove();
        }
    }
}

#[cfg(test)]
mod tests;
