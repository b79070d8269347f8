//! Shared state of one process, in memory: for the demo, for tests and for a
//! gateway that is not replicated. Everything is lost with the process.
//!
//! Passes the same contract tests as `redis`. What is past its time at the
//! `now` of a call is not seen by it, whether or not it was swept up already.

mod tenant;

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::broadcast;

use self::tenant::Tenant;
use super::{Batch, Events, Incarnation, Pulse, Record, Reservation, Reserved, Saved, SessionStore, StoreError, Wake};
use crate::session::{LoginId, RequestId, TenantId};
use crate::timestamp::Timestamp;

const LATER: StoreError = StoreError::Unreadable("not yet supported");

/// Wakes a slow receiver may be behind before it has missed some.
const WAKE_BACKLOG: usize = 4096;

/// See the module.
pub struct MemoryStore {
    tenants: Mutex<HashMap<TenantId, Tenant>>,
    wakes: broadcast::Sender<Wake>,
}

impl MemoryStore {
    /// An empty store.
    #[must_use]
    pub fn new() -> Self {
        let (wakes, _) = broadcast::channel(WAKE_BACKLOG);
        Self { tenants: Mutex::default(), wakes }
    }

    fn with<T>(&self, tenant: &TenantId, work: impl FnOnce(&mut Tenant) -> T) -> T {
        // A panic elsewhere cannot have left half a change: each is one step.
        let mut tenants = self.tenants.lock().unwrap_or_else(PoisonError::into_inner);
        work(tenants.entry(tenant.clone()).or_default())
    }

    fn tell(&self, record: &Record) {
        let wake = Wake::Changed {
            tenant: record.session.terms.tenant.clone(),
            login: record.session.id.clone(),
            version: record.version,
        };
        // Nobody listening is no failure.
        let _ = self.wakes.send(wake);
    }
}

impl Default for MemoryStore {
    fn default() -> Self {
        Self::new()
    }
}

#[async_trait]
impl SessionStore for MemoryStore {
    async fn reserve(&self, reservation: &Reservation) -> Result<Reserved, StoreError> {
        let reserved = self.with(&reservation.session.terms.tenant, |tenant| {
            tenant.sweep(reservation.now);
            tenant.reserve(reservation)
        });
        if let Reserved::New(record) = &reserved {
            self.tell(record);
        }
        Ok(reserved)
    }

    async fn release(&self, record: &Record, request_id: &RequestId, refund: bool) -> Result<(), StoreError> {
        let tenant = &record.session.terms.tenant;
        if let Some(mut released) = self.with(tenant, |tenant| tenant.release(record, request_id, refund)) {
            released.version += 1;
            self.tell(&released);
        }
        Ok(())
    }

    async fn load(&self, tenant: &TenantId, login: &LoginId, now: Timestamp) -> Result<Option<Record>, StoreError> {
        Ok(self.with(tenant, |tenant| tenant.load(login, now)))
    }

    async fn save(&self, record: &Record, now: Timestamp, identity_window: Duration) -> Result<Saved, StoreError> {
        let saved = self.with(&record.session.terms.tenant, |tenant| tenant.save(record, now, identity_window));
        if let Saved::Written(record) = &saved {
            self.tell(record);
        }
        Ok(saved)
    }

    async fn list(&self, tenant: &TenantId, now: Timestamp, limit: usize) -> Result<Vec<Record>, StoreError> {
        Ok(self.with(tenant, |tenant| {
            tenant.sweep(now);
            tenant.list(now, limit)
        }))
    }

    fn wakes(&self) -> broadcast::Receiver<Wake> {
        self.wakes.subscribe()
    }

    async fn beat(&self, _: &Incarnation, _: Timestamp) -> Result<Pulse, StoreError> {
        Err(LATER)
    }
    async fn leave(&self, _: &Incarnation) -> Result<(), StoreError> {
        Err(LATER)
    }
    async fn bury(&self, _: &Incarnation) -> Result<(), StoreError> {
        Err(LATER)
    }
    async fn adopt(
        &self,
        _: &TenantId,
        _: &Incarnation,
        _: &Incarnation,
        _: Option<&LoginId>,
        _: usize,
        _: Timestamp,
    ) -> Result<Batch, StoreError> {
        Err(LATER)
    }
    async fn owned(
        &self,
        _: &TenantId,
        _: &Incarnation,
        _: Option<&LoginId>,
        _: usize,
        _: Timestamp,
    ) -> Result<Batch, StoreError> {
        Err(LATER)
    }
    async fn events(&self, _: &TenantId, _: u64, _: usize, _: Timestamp) -> Result<Events, StoreError> {
        Err(LATER)
    }
    async fn new_epoch(&self, _: &TenantId, _: &str, _: u64) -> Result<(), StoreError> {
        Err(LATER)
    }

    async fn ping(&self) -> Result<(), StoreError> {
        Ok(())
    }

    fn kind(&self) -> &'static str {
        "memory"
    }
}
