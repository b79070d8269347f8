//! Reads and changes logins: the one way from an event to a record.
//!
//! A read applies the deadline before it shows anything; a change is decided by
//! compare-and-set and repeated on a conflict, so that the first terminal
//! outcome wins; whoever watches is told. Which event happens is decided by
//! `logins` and `poller`; what it means by `session`; where it is kept by `store`.

mod check_ins;
mod feed;
mod follow;
mod hub;
mod memory;
mod recovery;

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::broadcast;
use tracing::{info, warn};

use feed::Feeds;
pub use feed::{Ahead, Feed, REREAD};
pub use hub::{Hub, Subscription};
use memory::Memory;
use recovery::Suspicion;

use crate::audit::Audit;
use crate::ciba::AuthReqId;
use crate::clock::Clock;
use crate::phone::PhoneNumber;
use crate::session::{CallId, Event, LoginId, Outcome, Session, State, TenantId};
use crate::store::{
    Admitted, Asker, Counted, Events, Limit, Page, Ping, Position, Question, Rank, Record, Reservation, Reserved,
    Saved, SessionStore, StoreError,
};
use crate::telemetry::{Metrics, StoreOperation};

/// Conflicts in a row after which something is wrong with the store.
const MAX_CONFLICTS: usize = 50;
/// Entries of a stream that are read at once.
pub const EVENTS_PAGE: usize = 200;

/// Shared by the use cases and the poller. Cheap to clone.
#[derive(Clone)]
pub struct Ledger {
    store: Arc<dyn SessionStore>,
    clock: Clock,
    hub: Hub,
    feeds: Feeds,
    boards: check_ins::Boards,
    memory: Memory,
    suspicion: Suspicion,
    identity_window: Duration,
    metrics: Arc<Metrics>,
    audit: Audit,
}

/// What became of an event.
#[derive(Clone, Debug)]
pub enum Applied {
    /// It happened; the record now.
    Done(Arc<Record>),
    /// It cannot happen (any more); the record as it stands.
    Refused(Arc<Record>),
    /// The login is not in the store.
    Gone,
}

impl Ledger {
    /// A ledger over `store`. An identity is readable for `identity_window`
    /// after the end.
    #[must_use]
    pub fn new(store: Arc<dyn SessionStore>, clock: Clock, identity_window: Duration, metrics: Arc<Metrics>) -> Self {
        Self {
            store,
            clock,
            hub: Hub::default(),
            feeds: Feeds::default(),
            boards: check_ins::Boards::default(),
            memory: Memory::default(),
            suspicion: Suspicion::default(),
            identity_window,
            metrics,
            audit: Audit::off(),
        }
    }

    /// The same, and what happens is noted there.
    #[must_use]
    pub fn with_audit(self, audit: Audit) -> Self {
        Self { audit, ..self }
    }

    /// Where to note what happens.
    #[must_use]
    pub const fn audit(&self) -> &Audit {
        &self.audit
    }

    /// The clock that decides here.
    #[must_use]
    pub const fn clock(&self) -> &Clock {
        &self.clock
    }

    /// What kind of store is underneath, for people.
    #[must_use]
    pub fn store_kind(&self) -> &'static str {
        self.store.kind()
    }

    /// How all replicas are told that the provider has news of that request.
    #[must_use]
    pub fn ping_of(&self, request: &AuthReqId) -> Ping {
        self.store.ping_of(request)
    }

    /// Tells all replicas: see [`SessionStore::pass_on`].
    ///
    /// # Errors
    /// When the store cannot be asked.
    pub async fn pass_on(&self, ping: &Ping) -> Result<(), StoreError> {
        self.counted(StoreOperation::Ping, self.store.pass_on(ping).await)
    }

    /// Hears what is passed on.
    #[must_use]
    pub fn pings(&self) -> broadcast::Receiver<Ping> {
        self.store.pings()
    }

    /// Claims everything that one start needs, or nothing: see
    /// [`SessionStore::reserve`].
    ///
    /// # Errors
    /// When the store cannot be asked; whether the claim was made is then unknown.
    pub async fn reserve(&self, reservation: &Reservation) -> Result<Reserved, StoreError> {
        self.counted(StoreOperation::Reserve, self.store.reserve(reservation).await)
    }

    /// Counts a start for its number over all tenants: see [`SessionStore::admit`].
    ///
    /// # Errors
    /// When the store cannot be asked; whether it was counted is then unknown.
    pub async fn admit(&self, asker: Asker<'_>, limit: Limit) -> Result<Admitted, StoreError> {
        self.counted(StoreOperation::Admit, self.store.admit(asker, limit, self.clock.now()).await)
    }

    /// Takes [`Ledger::admit`] back.
    ///
    /// # Errors
    /// When the store cannot be asked; it then stays counted.
    pub async fn give_back(&self, asker: Asker<'_>) -> Result<(), StoreError> {
        self.counted(StoreOperation::Release, self.store.give_back(asker).await)
    }

    /// What a `request_id` stands for already: see [`SessionStore::started_before`].
    ///
    /// # Errors
    /// When the store cannot be asked.
    pub async fn started_before(&self, asker: Asker<'_>, content: &[u8; 32]) -> Result<Option<Reserved>, StoreError> {
        self.counted(StoreOperation::Find, self.store.started_before(asker, content, self.clock.now()).await)
    }

    /// Counts a question about a number: see [`SessionStore::count`].
    ///
    /// # Errors
    /// When the store cannot be asked; whether it was counted is then unknown.
    pub async fn count(&self, question: &Question<'_>) -> Result<Counted, StoreError> {
        self.counted(StoreOperation::Count, self.store.count(question).await)
    }

    /// Keeps everybody from starting a login for the number for that long.
    ///
    /// # Errors
    /// When the store cannot be asked.
    pub async fn back_off(&self, number: &PhoneNumber, pause: Duration) -> Result<(), StoreError> {
        let now = self.clock.now();
        self.counted(StoreOperation::Admit, self.store.back_off(number, now.plus(pause), now).await)
    }

    /// Takes a reservation back, because nothing was started.
    ///
    /// # Errors
    /// When the store cannot be asked; the login then ends by its deadline.
    pub async fn release(&self, record: &Record, refund: bool) -> Result<(), StoreError> {
        self.memory.forget(record);
        self.counted(StoreOperation::Release, self.store.release(record, refund).await)
    }

    /// How long an identity is readable after the end.
    #[must_use]
    pub const fn identity_window(&self) -> Duration {
        self.identity_window
    }

    /// Where changes are counted.
    #[must_use]
    pub fn metrics(&self) -> &Metrics {
        &self.metrics
    }

    /// The login as it is now. One whose deadline has passed is ended, in the
    /// store too, before it is shown: no second outcome can follow.
    ///
    /// # Errors
    /// When the store cannot be asked; never when the login is merely absent.
    pub async fn read(&self, tenant: &TenantId, login: &LoginId) -> Result<Option<Arc<Record>>, StoreError> {
        let Some(record) = self.load(tenant, login).await? else {
            return Ok(None);
        };
        let record = self.settle(record).await?;
        if let Some(record) = &record {
            self.memory.saw(record);
            self.hub.publish(record);
        }
        Ok(record)
    }

    /// Lets `event` happen to the login of which `record` is the newest known
    /// record; a stale one costs one more round trip.
    ///
    /// # Errors
    /// When the store cannot be asked. The event may or may not have happened.
    pub async fn apply(&self, record: &Arc<Record>, event: &Event) -> Result<Applied, StoreError> {
        let mut current = Arc::clone(record);
        for _ in 0..MAX_CONFLICTS {
            let now = self.clock.now();
            let overdue = current.session.overdue(now);
            let next = match (overdue, event) {
                // The exchange is single-use: its result is kept although the time is up.
                (_, Event::Redeemed(_)) | (None, _) => current.session.clone().apply(event.clone(), now),
                (Some(overdue), _) => {
                    let settled = self.write(&current, overdue).await?;
                    match settled {
                        Saved::Written { record, denials } => current = self.written(&current, record, denials),
                        Saved::Conflict => {
                            current = match self.reload(&current).await? {
                                Some(record) => record,
                                None => return Ok(Applied::Gone),
                            }
                        }
                        Saved::Gone => return Ok(Applied::Gone),
                    }
                    continue;
                }
            };
            let Ok(next) = next else {
                return Ok(Applied::Refused(current));
            };
            if next == current.session {
                return Ok(Applied::Done(current));
            }
            match self.write(&current, next).await? {
                Saved::Written { record, denials } => {
                    return Ok(Applied::Done(self.written(&current, record, denials)));
                }
                Saved::Gone => return Ok(Applied::Gone),
                Saved::Conflict => match self.reload(&current).await? {
                    Some(record) => current = record,
                    None => return Ok(Applied::Gone),
                },
            }
        }
        Err(StoreError::Unreadable("a login changes faster than it can be written"))
    }

    /// The live login that a landing is about: see [`SessionStore::login_of_request`].
    ///
    /// # Errors
    /// When the store cannot be asked.
    pub async fn login_of_request(
        &self,
        tenant: &TenantId,
        auth_req_id: &AuthReqId,
    ) -> Result<Option<LoginId>, StoreError> {
        self.counted(StoreOperation::Find, self.store.login_of_request(tenant, auth_req_id).await)
    }

    /// The login of a phone call: see [`SessionStore::login_of_call`].
    ///
    /// # Errors
    /// When the store cannot be asked.
    pub async fn login_of_call(&self, tenant: &TenantId, call: &CallId) -> Result<Option<LoginId>, StoreError> {
        self.counted(StoreOperation::Find, self.store.login_of_call(tenant, call).await)
    }

    /// All logins for a number: see [`SessionStore::logins_of_number`].
    ///
    /// # Errors
    /// When the store cannot be asked.
    pub async fn logins_of_number(&self, tenant: &TenantId, number: &PhoneNumber) -> Result<Vec<LoginId>, StoreError> {
        self.counted(StoreOperation::Find, self.store.logins_of_number(tenant, number, self.clock.now()).await)
    }

    /// A page of the tenant's logins, newest first, deadlines applied, and where
    /// to go on; see [`SessionStore::list`].
    ///
    /// # Errors
    /// When the store cannot be asked.
    pub async fn list(&self, tenant: &TenantId, page: &Page) -> Result<(Vec<Arc<Record>>, Option<Rank>), StoreError> {
        let listed = self.store.list(tenant, self.clock.now(), page).await;
        let listed = self.counted(StoreOperation::List, listed)?;
        let mut settled = Vec::with_capacity(listed.records.len());
        for record in listed.records {
            settled.extend(self.settle(record).await?.filter(|record| !(page.live_only && record.session.has_ended())));
        }
        Ok((settled, listed.next))
    }

    /// The tenant's stream after number `after`, at most `limit` entries: see
    /// [`SessionStore::events`].
    ///
    /// # Errors
    /// When the store cannot be asked.
    pub async fn events(&self, tenant: &TenantId, after: u64, limit: usize) -> Result<Events, StoreError> {
        self.counted(StoreOperation::Events, self.store.events(tenant, after, limit, self.clock.now()).await)
    }

    /// Begins the tenant's stream anew: see [`SessionStore::new_epoch`].
    ///
    /// # Errors
    /// When the store cannot be asked.
    pub async fn begin_epoch(&self, tenant: &TenantId, lost: &Position) -> Result<(), StoreError> {
        warn!(%tenant, "the store has lost events; their stream begins anew");
        self.counted(StoreOperation::Events, self.store.new_epoch(tenant, lost, self.clock.now()).await)
    }

    /// The record as the store has it, without a look at its deadline.
    ///
    /// # Errors
    /// When the store cannot be asked.
    pub async fn peek(&self, tenant: &TenantId, login: &LoginId) -> Result<Option<Record>, StoreError> {
        self.load(tenant, login).await
    }

    /// Hears of one login from now on; see [`Hub::subscribe`].
    #[must_use]
    pub fn subscribe(&self, tenant: &TenantId, login: &LoginId) -> Subscription {
        self.hub.subscribe(tenant, login)
    }

    /// Hears of one login from `record` on; see [`Hub::subscribe_after`].
    #[must_use]
    pub fn subscribe_after(&self, record: &Arc<Record>) -> Subscription {
        self.hub.subscribe_after(record)
    }

    /// The feed of a tenant's changes.
    #[must_use]
    pub fn feed(&self, tenant: &TenantId) -> Feed {
        self.feeds.of(tenant)
    }

    /// Takes in a record that was written elsewhere in this process.
    #[must_use]
    pub fn adopt(&self, record: Record) -> Arc<Record> {
        let record = Arc::new(record);
        self.remember(&record);
        self.hub.publish(&record);
        record
    }

    /// This process answers for the login: should the store lose it, it is put back.
    pub fn remember(&self, record: &Arc<Record>) {
        self.memory.remember(record, self.clock.now());
    }

    async fn settle(&self, record: Record) -> Result<Option<Arc<Record>>, StoreError> {
        let Some(overdue) = record.session.overdue(self.clock.now()) else {
            return Ok(Some(Arc::new(record)));
        };
        match self.write(&record, overdue).await? {
            Saved::Written { record: next, denials } => Ok(Some(self.written(&record, next, denials))),
            Saved::Conflict => self.reload(&record).await,
            Saved::Gone => Ok(None),
        }
    }

    async fn reload(&self, record: &Record) -> Result<Option<Arc<Record>>, StoreError> {
        Ok(self.load(&record.session.terms.tenant, &record.session.id).await?.map(Arc::new))
    }

    async fn load(&self, tenant: &TenantId, login: &LoginId) -> Result<Option<Record>, StoreError> {
        let found = self.store.load(tenant, login, self.clock.now()).await;
        let found = match found {
            Ok(found) => self.insist(tenant, login, found.as_ref()).await.map(|kept| kept.or(found)),
            Err(StoreError::Recovering { retry_after }) => match self.insist(tenant, login, None).await {
                Ok(None) => Err(StoreError::Recovering { retry_after }),
                kept => kept,
            },
            Err(error) => Err(error),
        };
        self.counted(StoreOperation::Load, found)
    }

    async fn write(&self, current: &Record, next: Session) -> Result<Saved, StoreError> {
        let record = Record { session: next, ..current.clone() };
        let (tenant, login) = (&record.session.terms.tenant, &record.session.id);
        let mut saved = self.store.save(&record, self.clock.now(), self.identity_window).await;
        if matches!(saved, Ok(Saved::Gone)) && self.insist(tenant, login, None).await?.is_some() {
            // It is there again, and may be newer than what was to be written.
            saved = self.store.save(&record, self.clock.now(), self.identity_window).await;
        }
        self.counted(StoreOperation::Save, saved)
    }

    fn counted<T>(&self, operation: StoreOperation, result: Result<T, StoreError>) -> Result<T, StoreError> {
        if let Err(error) = &result {
            self.metrics.store_failed(operation);
            if matches!(error, StoreError::Unavailable(_) | StoreError::Recovering { .. }) {
                self.suspicion.raise();
            }
        }
        result
    }

    fn written(&self, before: &Record, record: Record, denials: u32) -> Arc<Record> {
        let record = Arc::new(record);
        let session = &record.session;
        if let State::Ended(ended) = &session.state
            && !before.session.has_ended()
        {
            self.metrics.login_ended(session.terms.channel, &ended.outcome);
            self.audit.note_end(&session.id, &session.terms, &ended.outcome, denials);
            let reason = match ended.outcome {
                Outcome::Failed(reason) => Some(tracing::field::debug(reason)),
                Outcome::Approved { .. } | Outcome::Denied | Outcome::Expired | Outcome::Cancelled => None,
            };
            info!(login.id = %session.id, tenant = %session.terms.tenant, channel = %session.terms.channel,
                outcome = ended.outcome.name(), reason, "login ended");
        }
        self.remember(&record);
        self.hub.publish(&record);
        self.nudge(&session.terms.tenant);
        record
    }
}
