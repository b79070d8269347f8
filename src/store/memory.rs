//! Shared state of one process, in memory: for the demo, for tests and for a
//! gateway that is not replicated. Everything is lost with the process.
//!
//! Passes the same contract tests as `redis`. What is past its time at the
//! `now` of a call is not seen by it, whether or not it was swept up already.

mod check_ins;
mod counting;
mod numbers;
mod stream;
mod tenant;

use std::collections::hash_map::Entry;
use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::broadcast;

use self::numbers::Numbers;
use self::tenant::Tenant;
use super::events::random_epoch;
use super::hash::HashKeys;
use super::{
    Admitted, Asker, Batch, Counted, Events, Incarnation, Limit, Listed, Page, Ping, Position, Pulse, PutBack,
    Question, Record, Reservation, Reserved, Saved, SessionStore, Sign, StoreError, Wake,
};
use crate::ciba::AuthReqId;
use crate::phone::PhoneNumber;
use crate::session::{CallId, LoginId, TenantId};
use crate::timestamp::Timestamp;

/// Wakes a slow receiver may be behind before it has missed some.
const WAKE_BACKLOG: usize = 4096;
/// Pings a slow receiver may be behind before it has missed some.
const PING_BACKLOG: usize = 1024;

/// See the module. One handle is one replica; [`MemoryStore::replica`] makes
/// another one of the same store.
pub struct MemoryStore {
    shared: Arc<Shared>,
    /// Where this replica hears of what the others change.
    wakes: broadcast::Sender<Wake>,
}

struct Shared {
    tenants: Mutex<HashMap<TenantId, Tenant>>,
    signs: Mutex<BTreeMap<Incarnation, Sign>>,
    listeners: Mutex<Vec<broadcast::Sender<Wake>>>,
    numbers: Mutex<Numbers>,
    check_ins: Mutex<check_ins::CheckIns>,
    pings: broadcast::Sender<Ping>,
    /// What pings are marked with; nothing of it leaves this process.
    hash_keys: HashKeys,
}

impl Default for Shared {
    fn default() -> Self {
        Self {
            tenants: Mutex::default(),
            signs: Mutex::default(),
            listeners: Mutex::default(),
            numbers: Mutex::default(),
            check_ins: Mutex::default(),
            pings: broadcast::Sender::new(PING_BACKLOG),
            hash_keys: HashKeys::new([0; 32]),
        }
    }
}

impl MemoryStore {
    /// An empty store.
    #[must_use]
    pub fn new() -> Self {
        Self::over(Arc::default())
    }

    /// Another replica that shares everything in here.
    #[must_use]
    pub fn replica(&self) -> Self {
        Self::over(Arc::clone(&self.shared))
    }

    fn over(shared: Arc<Shared>) -> Self {
        let (wakes, _) = broadcast::channel(WAKE_BACKLOG);
        lock(&shared.listeners).push(wakes.clone());
        Self { shared, wakes }
    }

    fn with<T>(&self, tenant: &TenantId, work: impl FnOnce(&mut Tenant) -> T) -> Result<T, StoreError> {
        let mut tenants = lock(&self.shared.tenants);
        match tenants.entry(tenant.clone()) {
            Entry::Occupied(mut known) => Ok(work(known.get_mut())),
            Entry::Vacant(new) => Ok(work(new.insert(Tenant::new(random_epoch()?)))),
        }
    }

    fn tell_others(&self, record: &Record) {
        let wake = Wake::Changed {
            tenant: record.session.terms.tenant.clone(),
            login: record.session.id.clone(),
            version: record.version,
        };
        self.wake_others(&wake);
    }

    fn wake_others(&self, wake: &Wake) {
        for listener in lock(&self.shared.listeners).iter().filter(|listener| !listener.same_channel(&self.wakes)) {
            // Nobody listening is no failure.
            let _ = listener.send(wake.clone());
        }
    }
}

impl Default for MemoryStore {
    fn default() -> Self {
        Self::new()
    }
}

impl Drop for MemoryStore {
    fn drop(&mut self) {
        lock(&self.shared.listeners).retain(|listener| !listener.same_channel(&self.wakes));
    }
}

/// A panic elsewhere cannot have left half a change: each is one step.
fn lock<T>(shared: &Mutex<T>) -> MutexGuard<'_, T> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

#[async_trait]
impl SessionStore for MemoryStore {
    async fn reserve(&self, reservation: &Reservation) -> Result<Reserved, StoreError> {
        let reserved = self.with(&reservation.session.terms.tenant, |tenant| {
            tenant.sweep(reservation.now);
            if tenant.is_withdrawn(&reservation.session.id) { None } else { Some(tenant.reserve(reservation)) }
        })?;
        let reserved = reserved
            .ok_or_else(|| StoreError::Unavailable("the reservation was taken back before it arrived".into()))?;
        if let Reserved::New(record) = &reserved {
            self.tell_others(record);
        }
        Ok(reserved)
    }

    async fn admit(&self, asker: Asker<'_>, limit: Limit, now: Timestamp) -> Result<Admitted, StoreError> {
        Ok(lock(&self.shared.numbers).admit(asker, limit, now))
    }

    async fn give_back(&self, asker: Asker<'_>) -> Result<(), StoreError> {
        lock(&self.shared.numbers).give_back(asker);
        Ok(())
    }

    async fn started_before(
        &self,
        asker: Asker<'_>,
        content: &[u8; 32],
        now: Timestamp,
    ) -> Result<Option<Reserved>, StoreError> {
        self.with(asker.tenant, |tenant| tenant.started_before(asker, content, now))
    }

    async fn count(&self, question: &Question<'_>) -> Result<Counted, StoreError> {
        self.with(question.asker.tenant, |tenant| tenant.count(question))
    }

    async fn back_off(&self, number: &PhoneNumber, until: Timestamp, _now: Timestamp) -> Result<(), StoreError> {
        lock(&self.shared.numbers).back_off(number, until);
        Ok(())
    }

    async fn release(&self, record: &Record, refund: bool) -> Result<(), StoreError> {
        let tenant = &record.session.terms.tenant;
        if let Some(mut released) = self.with(tenant, |tenant| tenant.release(record, refund))? {
            released.version += 1;
            self.tell_others(&released);
        }
        Ok(())
    }

    async fn load(&self, tenant: &TenantId, login: &LoginId, now: Timestamp) -> Result<Option<Record>, StoreError> {
        self.with(tenant, |tenant| tenant.load(login, now))
    }

    async fn save(&self, record: &Record, now: Timestamp, identity_window: Duration) -> Result<Saved, StoreError> {
        let saved = self.with(&record.session.terms.tenant, |tenant| tenant.save(record, now, identity_window))?;
        if let Saved::Written { record, .. } = &saved {
            self.tell_others(record);
        }
        Ok(saved)
    }

    async fn login_of_request(
        &self,
        tenant: &TenantId,
        auth_req_id: &AuthReqId,
    ) -> Result<Option<LoginId>, StoreError> {
        self.with(tenant, |tenant| tenant.login_of_request(auth_req_id))
    }

    async fn login_of_call(&self, tenant: &TenantId, call: &CallId) -> Result<Option<LoginId>, StoreError> {
        self.with(tenant, |tenant| tenant.login_of_call(call))
    }

    async fn logins_of_number(
        &self,
        tenant: &TenantId,
        number: &PhoneNumber,
        _now: Timestamp,
    ) -> Result<Vec<LoginId>, StoreError> {
        self.with(tenant, |tenant| tenant.logins_of_number(number))
    }

    async fn list(&self, tenant: &TenantId, now: Timestamp, page: &Page) -> Result<Listed, StoreError> {
        self.with(tenant, |tenant| {
            tenant.sweep(now);
            tenant.list(now, page)
        })
    }

    fn wakes(&self) -> broadcast::Receiver<Wake> {
        self.wakes.subscribe()
    }

    fn ping_of(&self, request: &AuthReqId) -> Ping {
        Ping::of(request, &self.shared.hash_keys)
    }

    async fn pass_on(&self, ping: &Ping) -> Result<(), StoreError> {
        // Nobody listening is no failure.
        let _ = self.shared.pings.send(ping.clone());
        Ok(())
    }

    fn pings(&self) -> broadcast::Receiver<Ping> {
        self.shared.pings.subscribe()
    }

    async fn beat(&self, incarnation: &Incarnation, now: Timestamp) -> Result<Pulse, StoreError> {
        let mut signs = lock(&self.shared.signs);
        if let Sign::Beating(count) = signs.entry(incarnation.clone()).or_insert(Sign::Beating(0)) {
            *count += 1;
        }
        Ok(Pulse { signs: signs.clone(), time: now })
    }

    async fn leave(&self, incarnation: &Incarnation) -> Result<(), StoreError> {
        lock(&self.shared.signs).insert(incarnation.clone(), Sign::Left);
        Ok(())
    }

    async fn bury(&self, incarnation: &Incarnation) -> Result<(), StoreError> {
        lock(&self.shared.signs).remove(incarnation);
        Ok(())
    }

    async fn adopt(
        &self,
        tenant: &TenantId,
        from: &Incarnation,
        to: &Incarnation,
        after: Option<&LoginId>,
        limit: usize,
        now: Timestamp,
    ) -> Result<Batch, StoreError> {
        let batch = self.with(tenant, |tenant| tenant.adopt(from, to, after, limit, now))?;
        batch.records.iter().for_each(|record| self.tell_others(record));
        Ok(batch)
    }

    async fn owned(
        &self,
        tenant: &TenantId,
        incarnation: &Incarnation,
        after: Option<&LoginId>,
        limit: usize,
        now: Timestamp,
    ) -> Result<Batch, StoreError> {
        self.with(tenant, |tenant| tenant.owned(incarnation, after, limit, now))
    }

    async fn events(&self, tenant: &TenantId, after: u64, limit: usize, now: Timestamp) -> Result<Events, StoreError> {
        self.with(tenant, |tenant| tenant.events(after, limit, now))
    }

    async fn new_epoch(&self, tenant: &TenantId, lost: &Position, _now: Timestamp) -> Result<(), StoreError> {
        let fresh = random_epoch()?;
        self.with(tenant, |tenant| tenant.stream.begin_anew(lost, fresh))
    }

    /// It cannot lose anything without this process.
    async fn still_has(&self, _: &TenantId, _: Timestamp) -> Result<bool, StoreError> {
        Ok(true)
    }

    async fn put_back(
        &self,
        record: &Record,
        now: Timestamp,
        identity_window: Duration,
    ) -> Result<PutBack, StoreError> {
        let (tenant, login) = (&record.session.terms.tenant, &record.session.id);
        let written = self.with(tenant, |tenant| {
            if tenant.is_withdrawn(login) {
                return Err(PutBack::Withdrawn);
            }
            tenant.put_back(record, now, identity_window).ok_or(PutBack::Kept)
        })?;
        match written {
            Ok(written) => {
                self.tell_others(&written);
                Ok(PutBack::Written)
            }
            Err(why) => Ok(why),
        }
    }

    fn is_put_right(&self, _: &TenantId) {}

    async fn ping(&self) -> Result<(), StoreError> {
        Ok(())
    }

    fn kind(&self) -> &'static str {
        "memory"
    }
}
