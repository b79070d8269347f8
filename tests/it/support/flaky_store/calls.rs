//! The store's calls, each through the line as it is.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use ciba_gateway::ciba::AuthReqId;
use ciba_gateway::clock::Clock;
use ciba_gateway::phone::PhoneNumber;
use ciba_gateway::session::{CallId, CheckInId, LoginId, TenantId};
use ciba_gateway::store::check_ins::{CheckIn, CheckInStore, Taken, Waiting};
use ciba_gateway::store::memory::MemoryStore;
use ciba_gateway::store::{
    Admitted, Asker, Batch, Counted, Events, Incarnation, Limit, Listed, Page, Ping, Position, Pulse, PutBack,
    Question, Record, Reservation, Reserved, Saved, SessionStore, StoreError, Wake,
};
use ciba_gateway::timestamp::Timestamp;
use tokio::sync::broadcast;

use super::{FlakyStore, Weather, unavailable};

#[async_trait]
impl SessionStore for FlakyStore {
    async fn reserve(&self, reservation: &Reservation) -> Result<Reserved, StoreError> {
        let late = reservation.clone();
        self.linger("reserve", |store| async move { store.reserve(&late).await });
        self.call("reserve", self.store.reserve(reservation)).await
    }

    async fn admit(&self, asker: Asker<'_>, limit: Limit, now: Timestamp) -> Result<Admitted, StoreError> {
        self.call("admit", self.store.admit(asker, limit, now)).await
    }

    async fn give_back(&self, asker: Asker<'_>) -> Result<(), StoreError> {
        self.call("give_back", self.store.give_back(asker)).await
    }

    async fn started_before(
        &self,
        asker: Asker<'_>,
        content: &[u8; 32],
        now: Timestamp,
    ) -> Result<Option<Reserved>, StoreError> {
        self.call("started_before", self.store.started_before(asker, content, now)).await
    }

    async fn count(&self, question: &Question<'_>) -> Result<Counted, StoreError> {
        self.call("count", self.store.count(question)).await
    }

    async fn back_off(&self, number: &PhoneNumber, until: Timestamp, now: Timestamp) -> Result<(), StoreError> {
        self.call("back_off", self.store.back_off(number, until, now)).await
    }

    async fn release(&self, record: &Record, refund: bool) -> Result<(), StoreError> {
        let late = record.clone();
        self.linger("release", |store| async move { store.release(&late, refund).await });
        self.call("release", self.store.release(record, refund)).await
    }

    async fn load(&self, tenant: &TenantId, login: &LoginId, now: Timestamp) -> Result<Option<Record>, StoreError> {
        self.call("load", self.store.load(tenant, login, now)).await
    }

    async fn save(&self, record: &Record, now: Timestamp, identity_window: Duration) -> Result<Saved, StoreError> {
        if self.line().weather == Weather::Forgetful {
            let record = Record { version: record.version + 1, ..record.clone() };
            return Ok(Saved::Written { record, denials: 0 });
        }
        let late = record.clone();
        self.linger("save", |store| async move { store.save(&late, now, identity_window).await });
        self.call("save", self.store.save(record, now, identity_window)).await
    }

    async fn login_of_request(
        &self,
        tenant: &TenantId,
        auth_req_id: &AuthReqId,
    ) -> Result<Option<LoginId>, StoreError> {
        let found = self.call("login_of_request", self.store.login_of_request(tenant, auth_req_id)).await?;
        Ok(self.line().mistaken.clone().or(found))
    }

    async fn login_of_call(&self, tenant: &TenantId, call: &CallId) -> Result<Option<LoginId>, StoreError> {
        self.call("login_of_call", self.store.login_of_call(tenant, call)).await
    }

    async fn logins_of_number(
        &self,
        tenant: &TenantId,
        number: &PhoneNumber,
        now: Timestamp,
    ) -> Result<Vec<LoginId>, StoreError> {
        self.call("logins_of_number", self.store.logins_of_number(tenant, number, now)).await
    }

    async fn list(&self, tenant: &TenantId, now: Timestamp, page: &Page) -> Result<Listed, StoreError> {
        self.call("list", self.store.list(tenant, now, page)).await
    }

    async fn beat(&self, incarnation: &Incarnation, now: Timestamp) -> Result<Pulse, StoreError> {
        if self.line().weather == Weather::Beatless {
            return Err(unavailable());
        }
        let late = incarnation.clone();
        self.linger("beat", |store| async move { store.beat(&late, now).await });
        let beaten = async {
            let pulse = self.store.beat(incarnation, now).await?;
            Ok(Pulse { time: self.clock.as_ref().map_or(pulse.time, Clock::now), ..pulse })
        };
        self.at_once(beaten).await
    }

    async fn leave(&self, incarnation: &Incarnation) -> Result<(), StoreError> {
        self.call("leave", self.store.leave(incarnation)).await
    }

    async fn bury(&self, incarnation: &Incarnation) -> Result<(), StoreError> {
        self.call("bury", self.store.bury(incarnation)).await
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
        if self.line().is_illiterate {
            let left_behind = self.store.owned(tenant, from, after, limit, now).await?.records.len();
            return Ok(Batch { records: Vec::new(), next: None, left_behind });
        }
        let late = (tenant.clone(), from.clone(), to.clone(), after.cloned());
        let late = |store: Arc<MemoryStore>| async move {
            let (tenant, from, to, after) = late;
            store.adopt(&tenant, &from, &to, after.as_ref(), limit, now).await
        };
        let delay = self.line().late_adoption.take();
        if let Some(delay) = delay {
            self.lingers(delay, late(Arc::clone(&self.store)));
            return Err(unavailable());
        }
        self.linger("adopt", late);
        let batch = self.call("adopt", self.store.adopt(tenant, from, to, after, limit, now)).await?;
        let is_lost = std::mem::take(&mut self.line().loses_adoption);
        if is_lost { Err(unavailable()) } else { Ok(batch) }
    }

    async fn owned(
        &self,
        tenant: &TenantId,
        incarnation: &Incarnation,
        after: Option<&LoginId>,
        limit: usize,
        now: Timestamp,
    ) -> Result<Batch, StoreError> {
        self.call("owned", self.store.owned(tenant, incarnation, after, limit, now)).await
    }

    async fn events(&self, tenant: &TenantId, after: u64, limit: usize, now: Timestamp) -> Result<Events, StoreError> {
        self.uncounted("events", self.store.events(tenant, after, limit, now)).await
    }

    async fn new_epoch(&self, tenant: &TenantId, lost: &Position, now: Timestamp) -> Result<(), StoreError> {
        self.call("new_epoch", self.store.new_epoch(tenant, lost, now)).await
    }

    async fn still_has(&self, tenant: &TenantId, now: Timestamp) -> Result<bool, StoreError> {
        self.uncounted("still_has", self.store.still_has(tenant, now)).await
    }

    async fn put_back(
        &self,
        record: &Record,
        now: Timestamp,
        identity_window: Duration,
    ) -> Result<PutBack, StoreError> {
        self.uncounted("put_back", self.store.put_back(record, now, identity_window)).await
    }

    fn is_put_right(&self, tenant: &TenantId) {
        self.store.is_put_right(tenant);
    }

    fn wakes(&self) -> broadcast::Receiver<Wake> {
        if self.is_deaf { self.silence.subscribe() } else { self.store.wakes() }
    }

    fn ping_of(&self, request: &AuthReqId) -> Ping {
        self.store.ping_of(request)
    }

    async fn pass_on(&self, ping: &Ping) -> Result<(), StoreError> {
        self.call("pass_on", self.store.pass_on(ping)).await
    }

    fn pings(&self) -> broadcast::Receiver<Ping> {
        if self.is_deaf { self.no_pings.subscribe() } else { self.store.pings() }
    }

    async fn ping(&self) -> Result<(), StoreError> {
        self.call("ping", self.store.ping()).await
    }

    fn kind(&self) -> &'static str {
        "flaky"
    }
}

#[async_trait]
impl CheckInStore for FlakyStore {
    async fn keep_check_in(
        &self,
        tenant: &TenantId,
        check_in: &CheckIn,
        now: Timestamp,
    ) -> Result<CheckInId, StoreError> {
        self.call("keep_check_in", self.store.keep_check_in(tenant, check_in, now)).await
    }

    async fn check_ins(&self, tenant: &TenantId, now: Timestamp) -> Result<Vec<Waiting>, StoreError> {
        self.uncounted("check_ins", self.store.check_ins(tenant, now)).await
    }

    async fn take_check_in(&self, asker: Asker<'_>, id: &CheckInId, now: Timestamp) -> Result<Taken, StoreError> {
        self.call("take_check_in", self.store.take_check_in(asker, id, now)).await
    }

    async fn put_check_in_back(&self, asker: Asker<'_>, id: &CheckInId, now: Timestamp) -> Result<(), StoreError> {
        self.call("put_check_in_back", self.store.put_check_in_back(asker, id, now)).await
    }
}
