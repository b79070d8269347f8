//! Shared state of all replicas in Redis, 7.0 or newer.
//!
//! ```text
//! cg1:{tenant}:login:<login id>      the record: a hash of clear fields and sealed blobs
//! cg1:{tenant}:identity:<login id>   who it was, sealed
//! cg1:{tenant}:number:<hash>         the live login of a phone number, and until when
//! cg1:{tenant}:code:<hash>           the live login of a code, and until when
//! cg1:{tenant}:request:<hash>        the login of a request id, and the digest of its content
//! cg1:{tenant}:landing:<hash>        the live login that a landing with this auth_req_id ends
//! cg1:{tenant}:withdrawn:<login id>  a reservation that was taken back
//! cg1:{tenant}:log:<counter>:<hash>  starts for a number, by an agent, from a till ..., by time
//! cg1:{tenant}:denials:<hash>        how often a number's person has said no, and when last
//! cg1:{tenant}:check-in:<id>         somebody who scanned a shop's QR code; the id is a keyed hash, the token sealed
//! cg1:{tenant}:check-ins             those who wait to be asked, by time
//! cg1:{tenant}:logins                logins by time
//! cg1:{tenant}:owned:<incarnation>   the live logins of one process run
//! cg1:{tenant}:stream                the stream's epoch and newest number
//! cg1:{tenant}:events                the stream's entries
//! cg1:{tenant}:wake                  the channel on which changes are announced
//! cg1:heartbeats                     signs of life of all process runs
//! cg1:pings                          the channel on which the provider's pings are passed on
//! cg1:number:{<hash>}:log            starts for a phone number over all tenants, by time
//! cg1:number:{<hash>}:back-off       until when the provider wants to hear nothing for it
//! ```
//!
//! Every method is one round trip: one script. All keys of one call are a
//! tenant's, a number's, or the heartbeats, so that it goes to one node of a cluster.
//! Scripts compare versions and times; what a transition means is decided by
//! whoever calls. Times are those handed in: the TTL of a key only cleans up.
//! Redis being away is an ordinary answer here ([`StoreError::Unavailable`]),
//! also when the store is made; it is used again as soon as it is back.

mod calls;
mod check_ins;
mod known;
mod link;
mod names;
mod nodes;
mod script;
mod sealed;
mod settings;
mod shares;
mod survey;
mod wakes;

use std::sync::Arc;
use std::time::Duration;

use ::redis::{FromRedisValue, RedisError, cmd};
use async_trait::async_trait;
use tokio::sync::broadcast;
use tokio::task::JoinSet;

use self::calls::Calls;
use self::known::{Head, Known, RawHead};
use self::link::Link;
use self::names::PINGS;
use self::nodes::Nodes;
use self::script::Call;
use self::sealed::{RawFields, RawIdentity};
pub use self::settings::{Access, Place, Settings, Wait};
use self::shares::RawBatch;
pub use self::survey::Survey;
use self::wakes::Listener;
use super::hash::HashKeys;
use super::seal::KeyRing;
use super::{
    Admitted, Asker, Batch, Counted, Counter, Events, Incarnation, Limit, Listed, Page, Ping, Position, Pulse, PutBack,
    Question, Rank, Record, Reservation, Reserved, Saved, SessionStore, StoreError, Wake,
};
use crate::ciba::AuthReqId;
use crate::phone::PhoneNumber;
use crate::session::{CallId, LoginId, State, TenantId};
use crate::timestamp::Timestamp;

/// Wakes a slow receiver may be behind before it has missed some.
const WAKE_BACKLOG: usize = 4096;
/// Pings a slow receiver may be behind before it has missed some.
const PING_BACKLOG: usize = 1024;

/// Why no store can be made. That Redis is away is no reason.
#[derive(Debug, thiserror::Error)]
pub enum SetupError {
    /// In a cluster nobody can wait for replicas: the library connects to its
    /// nodes anew by itself, and WAIT speaks of one connection's writes only.
    #[error("waiting for replicas is not possible in a cluster")]
    WaitInCluster,
    /// The settings name no Redis.
    #[error("the Redis settings cannot be used")]
    Settings(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The system gives no random bytes.
    #[error("no random bytes")]
    NoRandomness,
}

const UNKNOWN_ANSWER: StoreError = StoreError::Unreadable("a script gave an unknown answer");

impl From<RedisError> for SetupError {
    fn from(error: RedisError) -> Self {
        Self::Settings(Box::new(error))
    }
}

/// See the module.
pub struct RedisStore {
    link: Link,
    /// For writes that wait for replicas.
    kept: Option<(Link, Wait)>,
    calls: Calls,
    known: Known,
    wakes: broadcast::Sender<Wake>,
    pings: broadcast::Sender<Ping>,
    /// Ends the listener when the store is dropped.
    _listener: JoinSet<()>,
}

impl RedisStore {
    /// A store that connects by itself, now or as soon as Redis is there, and
    /// listens to the changes of `tenants`. Needs a tokio runtime.
    ///
    /// # Errors
    /// When the settings cannot be used; not when Redis is away.
    pub fn connect(
        settings: Settings,
        tenants: Vec<TenantId>,
        ring: KeyRing,
        hash_keys: HashKeys,
    ) -> Result<Self, SetupError> {
        let nodes = Arc::new(Nodes::new(&settings)?);
        if settings.wait.is_some() && nodes.are_a_cluster() {
            return Err(SetupError::WaitInCluster);
        }
        let link = Link::new(Arc::clone(&nodes), Duration::ZERO);
        let kept = settings.wait.map(|wait| (Link::new(Arc::clone(&nodes), wait.timeout), wait));
        let calls = Calls::new(ring, hash_keys, settings.formats).map_err(|_| SetupError::NoRandomness)?;
        let known = Known::new(settings.settle_time);
        let (wakes, pings) = (broadcast::Sender::new(WAKE_BACKLOG), broadcast::Sender::new(PING_BACKLOG));
        let mut listener = JoinSet::new();
        if !tenants.is_empty() {
            let writer = calls.writer().to_owned();
            let told = (wakes.clone(), pings.clone());
            listener.spawn(Listener { nodes, settings, tenants, wakes: told.0, pings: told.1, writer }.run());
        }
        Ok(Self { link, kept, calls, known, wakes, pings, _listener: listener })
    }

    /// Seals with the active key of this ring and opens with all of it from now on.
    pub fn renew_seal_keys(&self, ring: KeyRing) {
        self.calls.renew_ring(ring);
    }

    /// What an operator should know about each node where data is written.
    ///
    /// # Errors
    /// When one does not answer.
    pub async fn survey(&self) -> Result<Vec<Survey>, StoreError> {
        let told: Vec<(String, String)> = self.link.command_to_masters(&cmd("INFO")).await?;
        Ok(told.into_iter().map(|(node, info)| Survey::read(node, &info)).collect())
    }

    /// Redis has told of this place of the tenant's stream, if of any.
    fn saw(&self, tenant: &TenantId, epoch: &str, number: u64) {
        if !epoch.is_empty() {
            self.known.saw(tenant, epoch, number);
        }
    }

    async fn head(&self, tenant: &TenantId) -> Result<Option<Head>, StoreError> {
        self.link.command(&self.calls.head(tenant)).await.map(Head::read)
    }

    /// Calls a script whose write must not be lost with the master.
    async fn call_kept<T: FromRedisValue + Send>(
        &self,
        call: &Call,
        wrote: impl Fn(&T) -> bool + Send,
    ) -> Result<T, StoreError> {
        match &self.kept {
            Some((link, wait)) => link.call_and_wait(call, *wait, wrote).await,
            None => self.link.call(call).await,
        }
    }

    fn open_batch(
        &self,
        tenant: &TenantId,
        (next, found, left_behind): RawBatch,
        now: Timestamp,
    ) -> Result<Batch, StoreError> {
        let next = Some(next).filter(|next| !next.is_empty());
        let next = next.map(|next| LoginId::parse(&next).map_err(|_| UNKNOWN_ANSWER)).transpose()?;
        Ok(Batch { records: self.open_all(tenant, found, now)?, next, left_behind })
    }

    fn open_all(
        &self,
        tenant: &TenantId,
        found: Vec<(String, RawFields, RawIdentity)>,
        now: Timestamp,
    ) -> Result<Vec<Record>, StoreError> {
        let mut records = Vec::with_capacity(found.len());
        for (login, fields, identity) in found {
            let login = LoginId::parse(&login).map_err(|_| UNKNOWN_ANSWER)?;
            match self.calls.open(tenant, &login, (fields, identity), now) {
                Ok(record) => records.extend(record),
                // Written by a newer version or under a key that this replica
                // lacks: others can read it, and the rest must not suffer.
                Err(error) => tracing::warn!(%error, session.id = %login, "a login that cannot be read is left out"),
            }
        }
        Ok(records)
    }

    /// How often commands were sent to Redis so far; listening and waiting for
    /// replicas not counted.
    #[must_use]
    pub fn round_trips(&self) -> u64 {
        self.link.round_trips() + self.kept.as_ref().map_or(0, |(link, _)| link.round_trips())
    }
}

/// What [`script::LOAD`] answers.
type RawLoad = (RawFields, RawIdentity, RawHead);

/// What [`script::LIST`] answers: the last login that was looked at, and logins.
type RawList = (String, String, Vec<(String, RawFields, RawIdentity)>);

fn millis(text: &str) -> Result<Duration, StoreError> {
    text.parse().map(Duration::from_millis).map_err(|_| UNKNOWN_ANSWER)
}

fn counter(name: &str) -> Result<Counter, StoreError> {
    Counter::ALL.into_iter().find(|counter| counter.name() == name).ok_or(UNKNOWN_ANSWER)
}

fn rank(at: &str, login: &str) -> Result<Rank, StoreError> {
    let created_at = at.parse().map(Timestamp::from_millis).map_err(|_| UNKNOWN_ANSWER)?;
    Ok(Rank { created_at, login: LoginId::parse(login).map_err(|_| UNKNOWN_ANSWER)? })
}

#[async_trait]
impl SessionStore for RedisStore {
    async fn reserve(&self, reservation: &Reservation) -> Result<Reserved, StoreError> {
        let record = Record { format: self.calls.formats().newest(), ..reservation.first_record() };
        let tenant = &record.session.terms.tenant;
        let (position, settle_time) = (self.known.position(tenant), self.known.settle_time());
        let call = self.calls.reserve(reservation, &record, position, settle_time)?;
        let is_new = |answer: &Vec<String>| answer.first().is_some_and(|word| word == "new");
        let answer: Vec<String> = self.call_kept(&call, is_new).await?;
        let answer: Vec<_> = answer.iter().map(String::as_str).collect();
        match answer.as_slice() {
            ["new", epoch, number] => {
                self.saw(tenant, epoch, number.parse().map_err(|_| UNKNOWN_ANSWER)?);
                Ok(Reserved::New(record))
            }
            ["withdrawn"] => Err(StoreError::Unavailable("the reservation was taken back before it arrived".into())),
            ["recovering", wait] => Err(StoreError::Recovering { retry_after: millis(wait)? }),
            ["existing", login] => LoginId::parse(login).map(Reserved::Existing).map_err(|_| UNKNOWN_ANSWER),
            ["reused"] => Ok(Reserved::RequestIdReused),
            ["joined", login] => LoginId::parse(login).map(Reserved::Joined).map_err(|_| UNKNOWN_ANSWER),
            ["number_busy", login] => LoginId::parse(login).map(Reserved::NumberBusy).map_err(|_| UNKNOWN_ANSWER),
            ["call_busy", login] => LoginId::parse(login).map(Reserved::CallBusy).map_err(|_| UNKNOWN_ANSWER),
            ["cooling_down", wait] => Ok(Reserved::CoolingDown { retry_after: millis(wait)? }),
            ["limit_reached", wait, which] => {
                Ok(Reserved::LimitReached { counter: counter(which)?, retry_after: millis(wait)? })
            }
            ["code_taken"] => Ok(Reserved::CodeTaken),
            _ => Err(UNKNOWN_ANSWER),
        }
    }

    async fn admit(&self, asker: Asker<'_>, limit: Limit, now: Timestamp) -> Result<Admitted, StoreError> {
        let mut is_counted = false;
        let mut admitted = Admitted::Before;
        for call in self.calls.admit(asker, limit, now) {
            let (answer, wait): (String, u64) = self.link.call(&call).await?;
            let retry_after = Duration::from_millis(wait);
            admitted = match answer.as_str() {
                "counted" => Admitted::Counted,
                "before" => Admitted::Before,
                "limit_reached" => Admitted::LimitReached { retry_after },
                "backed_off" => Admitted::BackedOff { retry_after },
                _ => return Err(UNKNOWN_ANSWER),
            };
            match admitted {
                Admitted::Counted => is_counted = true,
                Admitted::Before => {}
                Admitted::LimitReached { .. } | Admitted::BackedOff { .. } => {
                    if is_counted {
                        self.give_back(asker).await?;
                    }
                    return Ok(admitted);
                }
            }
        }
        Ok(admitted)
    }

    async fn give_back(&self, asker: Asker<'_>) -> Result<(), StoreError> {
        for command in self.calls.give_back(asker) {
            self.link.command::<()>(&command).await?;
        }
        Ok(())
    }

    async fn started_before(
        &self,
        asker: Asker<'_>,
        content: &[u8; 32],
        now: Timestamp,
    ) -> Result<Option<Reserved>, StoreError> {
        for (command, digest) in self.calls.started_before(asker, content) {
            let found: (Option<String>, Option<String>, Option<u64>) = self.link.command(&command).await?;
            if let (Some(login), Some(content), Some(until)) = found
                && now.as_millis() < until
            {
                let login = LoginId::parse(&login).map_err(|_| UNKNOWN_ANSWER)?;
                let is_same = content == digest;
                return Ok(Some(if is_same { Reserved::Existing(login) } else { Reserved::RequestIdReused }));
            }
        }
        Ok(None)
    }

    async fn count(&self, question: &Question<'_>) -> Result<Counted, StoreError> {
        let (answer, wait, which): (String, u64, String) = self.link.call(&self.calls.count(question)).await?;
        let retry_after = Duration::from_millis(wait);
        match answer.as_str() {
            "counted" => Ok(Counted::Counted),
            "cooling_down" => Ok(Counted::CoolingDown { retry_after }),
            "limit_reached" => Ok(Counted::LimitReached { counter: counter(&which)?, retry_after }),
            _ => Err(UNKNOWN_ANSWER),
        }
    }

    async fn back_off(&self, number: &PhoneNumber, until: Timestamp, now: Timestamp) -> Result<(), StoreError> {
        for command in self.calls.back_off(number, until, now) {
            self.link.command::<()>(&command).await?;
        }
        Ok(())
    }

    async fn release(&self, record: &Record, refund: bool) -> Result<(), StoreError> {
        let answer: String = self.link.call(&self.calls.release(record, refund)?).await?;
        tracing::debug!(session.id = %record.session.id, answer, "reservation taken back");
        Ok(())
    }

    async fn load(&self, tenant: &TenantId, login: &LoginId, now: Timestamp) -> Result<Option<Record>, StoreError> {
        let known = self.known.position(tenant);
        let (fields, identity, head): RawLoad = self.link.call(&self.calls.load(tenant, login)).await?;
        let is_there = !fields.is_empty();
        let unsure = self.known.is_unsure_for(known, Head::read(head).as_ref(), now);
        match unsure {
            Some(retry_after) if !is_there => Err(StoreError::Recovering { retry_after }),
            _ => self.calls.open(tenant, login, (fields, identity), now),
        }
    }

    async fn save(&self, record: &Record, now: Timestamp, identity_window: Duration) -> Result<Saved, StoreError> {
        let next = Record { version: record.version + 1, ..record.clone() };
        let call = self.calls.save(record.version, &next, now, identity_window)?;
        let wrote = |answer: &(String, String, u64, u32)| answer.0 == "written";
        let (answer, epoch, number, denials): (String, String, u64, u32) = match next.session.state {
            State::Redeemed(_) | State::Ended(_) => self.call_kept(&call, wrote).await?,
            State::Starting(_) | State::Pending(_) | State::AwaitingCode(_) => self.link.call(&call).await?,
        };
        self.saw(&next.session.terms.tenant, &epoch, number);
        match answer.as_str() {
            "written" => Ok(Saved::Written { record: next, denials }),
            "conflict" => Ok(Saved::Conflict),
            "gone" => Ok(Saved::Gone),
            _ => Err(UNKNOWN_ANSWER),
        }
    }

    async fn login_of_request(
        &self,
        tenant: &TenantId,
        auth_req_id: &AuthReqId,
    ) -> Result<Option<LoginId>, StoreError> {
        let mut found = None;
        for command in self.calls.login_of_request(tenant, auth_req_id) {
            let login: Option<String> = self.link.command(&command).await?;
            found = login.or(found);
        }
        found.map(|login| LoginId::parse(&login).map_err(|_| UNKNOWN_ANSWER)).transpose()
    }

    async fn login_of_call(&self, tenant: &TenantId, call: &CallId) -> Result<Option<LoginId>, StoreError> {
        let mut found = None;
        for command in self.calls.login_of_call(tenant, call) {
            let login: Option<String> = self.link.command(&command).await?;
            found = login.or(found);
        }
        found.map(|login| LoginId::parse(&login).map_err(|_| UNKNOWN_ANSWER)).transpose()
    }

    async fn logins_of_number(
        &self,
        tenant: &TenantId,
        number: &PhoneNumber,
        now: Timestamp,
    ) -> Result<Vec<LoginId>, StoreError> {
        let mut logins = Vec::new();
        for command in self.calls.logins_of_number(tenant, number, now) {
            logins.extend(self.link.command::<Vec<String>>(&command).await?);
        }
        logins.iter().map(|login| LoginId::parse(login).map_err(|_| UNKNOWN_ANSWER)).collect()
    }

    async fn list(&self, tenant: &TenantId, now: Timestamp, page: &Page) -> Result<Listed, StoreError> {
        let (at, login, found): RawList = self.link.call(&self.calls.list(tenant, now, page)).await?;
        let next = Some(at).filter(|at| !at.is_empty()).map(|at| rank(&at, &login)).transpose()?;
        Ok(Listed { records: self.open_all(tenant, found, now)?, next })
    }

    fn wakes(&self) -> broadcast::Receiver<Wake> {
        self.wakes.subscribe()
    }

    fn ping_of(&self, request: &AuthReqId) -> Ping {
        self.calls.ping_of(request)
    }

    async fn pass_on(&self, ping: &Ping) -> Result<(), StoreError> {
        self.link.command(cmd("PUBLISH").arg(PINGS).arg(ping.written())).await
    }

    fn pings(&self) -> broadcast::Receiver<Ping> {
        self.pings.subscribe()
    }

    async fn beat(&self, incarnation: &Incarnation, _now: Timestamp) -> Result<Pulse, StoreError> {
        self.link.call(&Calls::beat(incarnation)).await.map(shares::pulse)
    }

    async fn leave(&self, incarnation: &Incarnation) -> Result<(), StoreError> {
        self.link.call(&Calls::leave(incarnation)).await
    }

    async fn bury(&self, incarnation: &Incarnation) -> Result<(), StoreError> {
        self.link.command(&Calls::bury(incarnation)).await
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
        let raw: RawBatch = self.link.call(&self.calls.adopt(tenant, (from, to), after, limit, now)).await?;
        self.open_batch(tenant, raw, now)
    }

    async fn owned(
        &self,
        tenant: &TenantId,
        incarnation: &Incarnation,
        after: Option<&LoginId>,
        limit: usize,
        now: Timestamp,
    ) -> Result<Batch, StoreError> {
        let raw: RawBatch = self.link.call(&self.calls.owned(tenant, incarnation, after, limit, now)).await?;
        self.open_batch(tenant, raw, now)
    }

    async fn events(&self, tenant: &TenantId, after: u64, limit: usize, now: Timestamp) -> Result<Events, StoreError> {
        let raw = self.link.call(&self.calls.events(tenant, after, limit, now)?).await?;
        let found = self.calls.open_events(tenant, raw)?;
        self.saw(tenant, &found.epoch, found.newest);
        Ok(found)
    }

    async fn new_epoch(&self, tenant: &TenantId, lost: &Position, now: Timestamp) -> Result<(), StoreError> {
        let answer: String = self.link.call(&self.calls.new_epoch(tenant, lost, now)?).await?;
        tracing::info!(%tenant, answer, "a new epoch was asked for");
        Ok(())
    }

    async fn still_has(&self, tenant: &TenantId, now: Timestamp) -> Result<bool, StoreError> {
        let known = self.known.position(tenant);
        let head = self.head(tenant).await?;
        let lost = Known::lost(known, head.as_ref());
        match (&lost, &head) {
            (None, Some(Head { position: Position { epoch, number }, .. })) => {
                self.saw(tenant, epoch, *number);
                return Ok(true);
            }
            // Of another epoch already: somebody was faster.
            (Some(lost), Some(head)) if head.position.epoch != lost.epoch => {}
            (Some(lost), _) => self.new_epoch(tenant, lost, now).await?,
            (None, None) => self.new_epoch(tenant, &Position { epoch: String::new(), number: 0 }, now).await?,
        }
        let head = self.head(tenant).await?.ok_or(UNKNOWN_ANSWER)?;
        self.known.begins_anew(tenant, head);
        if lost.is_none() {
            self.known.is_put_right(tenant);
        }
        Ok(lost.is_none())
    }

    async fn put_back(
        &self,
        record: &Record,
        now: Timestamp,
        identity_window: Duration,
    ) -> Result<PutBack, StoreError> {
        let answer: String = self.link.call(&self.calls.put_back(record, now, identity_window)?).await?;
        match answer.as_str() {
            "written" => Ok(PutBack::Written),
            "kept" => Ok(PutBack::Kept),
            "withdrawn" => Ok(PutBack::Withdrawn),
            _ => Err(UNKNOWN_ANSWER),
        }
    }

    fn is_put_right(&self, tenant: &TenantId) {
        self.known.is_put_right(tenant);
    }

    async fn ping(&self) -> Result<(), StoreError> {
        self.link.command(&cmd("PING")).await
    }

    fn kind(&self) -> &'static str {
        "redis"
    }
}
