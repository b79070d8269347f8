//! Shared state of all replicas in Redis, 7.0 or newer.
//!
//! ```text
//! cg1:{tenant}:login:<login id>      the record: a hash of clear fields and sealed blobs
//! cg1:{tenant}:identity:<login id>   who it was, sealed
//! cg1:{tenant}:number:<hash>         the live login of a phone number, and until when
//! cg1:{tenant}:code:<hash>           the live login of a code, and until when
//! cg1:{tenant}:request:<hash>        the login of a request id, and the digest of its content
//! cg1:{tenant}:log:<hash>            starts for a phone number, by time
//! cg1:{tenant}:logins                logins by time
//! cg1:{tenant}:owned:<incarnation>   the live logins of one process run
//! cg1:{tenant}:stream                the stream's epoch and newest number
//! cg1:{tenant}:events                the stream's entries
//! cg1:{tenant}:wake                  the channel on which changes are announced
//! cg1:heartbeats                     signs of life of all process runs
//! ```
//!
//! Every method is one round trip: one script, or one transaction of reads.
//! Scripts compare versions and times; what a transition means is decided by
//! whoever calls. Times are those handed in: the TTL of a key only cleans up.
//! Redis being away is an ordinary answer here ([`StoreError::Unavailable`]),
//! also when the store is made; it is used again as soon as it is back.

mod calls;
mod link;
mod names;
mod script;
mod sealed;
mod shares;
mod wakes;

use std::time::Duration;

use ::redis::{Client, IntoConnectionInfo, RedisError, cmd};
use async_trait::async_trait;
use secrecy::{ExposeSecret, SecretString};
use tokio::sync::broadcast;
use tokio::task::JoinSet;

use self::calls::Calls;
use self::link::Link;
use self::sealed::{Raw, RawFields, RawIdentity};
use self::shares::RawBatch;
use self::wakes::Listener;
use super::hash::HashKeys;
use super::seal::KeyRing;
use super::{Batch, Events, Incarnation, Pulse, Record, Reservation, Reserved, Saved, SessionStore, StoreError, Wake};
use crate::session::{LoginId, RequestId, TenantId};
use crate::timestamp::Timestamp;

/// Wakes a slow receiver may be behind before it has missed some.
const WAKE_BACKLOG: usize = 4096;

/// Where Redis is and how long to wait for it.
#[derive(Clone, Debug)]
pub struct Settings {
    /// `redis://` or `rediss://`, with or without user and password.
    pub url: SecretString,
    /// In the place of the one in the URL.
    pub username: Option<String>,
    /// In the place of the one in the URL.
    pub password: Option<SecretString>,
    /// For making a connection.
    pub connect_timeout: Duration,
    /// For each answer.
    pub response_timeout: Duration,
    /// Between two signs of life of the subscription.
    pub ping_interval: Duration,
}

impl Settings {
    /// The usual times for the Redis at `url`.
    #[must_use]
    pub fn new(url: impl Into<SecretString>) -> Self {
        Self {
            url: url.into(),
            username: None,
            password: None,
            connect_timeout: Duration::from_secs(1),
            response_timeout: Duration::from_millis(500),
            ping_interval: Duration::from_secs(2),
        }
    }

    fn client(&self) -> Result<Client, RedisError> {
        let info = self.url.expose_secret().into_connection_info()?;
        let mut access = info.redis_settings().clone();
        if let Some(username) = &self.username {
            access = access.set_username(username);
        }
        if let Some(password) = &self.password {
            access = access.set_password(password.expose_secret());
        }
        Client::open(info.set_redis_settings(access))
    }
}

/// Why no store can be made. That Redis is away is no reason.
#[derive(Debug, thiserror::Error)]
pub enum SetupError {
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

/// What [`RedisStore::survey`] found.
#[derive(Clone, Debug)]
pub struct Survey {
    /// As Redis writes it, such as `7.0.15`.
    pub version: String,
    /// `maxmemory-policy`; absent where it may not be read.
    pub eviction: Option<String>,
    /// Its clock.
    pub time: Timestamp,
}

/// See the module.
pub struct RedisStore {
    link: Link,
    calls: Calls,
    wakes: broadcast::Sender<Wake>,
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
        let client = settings.client()?;
        let link = Link::new(client.clone(), settings.connect_timeout, settings.response_timeout)?;
        let calls = Calls::new(ring, hash_keys).map_err(|_| SetupError::NoRandomness)?;
        let (wakes, _) = broadcast::channel(WAKE_BACKLOG);
        let mut listener = JoinSet::new();
        if !tenants.is_empty() {
            let writer = calls.writer().to_owned();
            listener.spawn(Listener { client, settings, tenants, wakes: wakes.clone(), writer }.run());
        }
        Ok(Self { link, calls, wakes, _listener: listener })
    }

    /// What an operator should know about this Redis.
    ///
    /// # Errors
    /// When it does not answer.
    pub async fn survey(&self) -> Result<Survey, StoreError> {
        let server: String = self.link.command(cmd("INFO").arg("server")).await?;
        let version = server.lines().find_map(|line| line.strip_prefix("redis_version:")).unwrap_or("unknown");
        let (seconds, micros): (u64, u64) = self.link.command(&cmd("TIME")).await?;
        // An ACL may keep CONFIG from us; that is no fault.
        let policy: Result<Vec<String>, _> = self.link.command(cmd("CONFIG").arg("GET").arg("maxmemory-policy")).await;
        Ok(Survey {
            version: version.trim().to_owned(),
            eviction: policy.ok().and_then(|found| found.into_iter().nth(1)),
            time: Timestamp::from_millis(seconds.saturating_mul(1000).saturating_add(micros / 1000)),
        })
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

    /// How often commands were sent to Redis so far; listening not counted.
    #[must_use]
    pub fn round_trips(&self) -> u64 {
        self.link.round_trips()
    }
}

#[async_trait]
impl SessionStore for RedisStore {
    async fn reserve(&self, reservation: &Reservation) -> Result<Reserved, StoreError> {
        let record = reservation.first_record();
        let answer: Vec<String> = self.link.call(&self.calls.reserve(reservation, &record)?).await?;
        let answer: Vec<_> = answer.iter().map(String::as_str).collect();
        match answer.as_slice() {
            ["new"] => Ok(Reserved::New(record)),
            ["existing", login] => LoginId::parse(login).map(Reserved::Existing).map_err(|_| UNKNOWN_ANSWER),
            ["reused"] => Ok(Reserved::RequestIdReused),
            ["number_busy"] => Ok(Reserved::NumberBusy),
            ["limit_reached", wait] => {
                let retry_after = wait.parse().map(Duration::from_millis).map_err(|_| UNKNOWN_ANSWER)?;
                Ok(Reserved::LimitReached { retry_after })
            }
            ["code_taken"] => Ok(Reserved::CodeTaken),
            _ => Err(UNKNOWN_ANSWER),
        }
    }

    async fn release(&self, record: &Record, request_id: &RequestId, refund: bool) -> Result<(), StoreError> {
        let answer: String = self.link.call(&self.calls.release(record, request_id, refund)?).await?;
        tracing::debug!(session.id = %record.session.id, answer, "reservation taken back");
        Ok(())
    }

    async fn load(&self, tenant: &TenantId, login: &LoginId, now: Timestamp) -> Result<Option<Record>, StoreError> {
        let raw: Raw = self.link.pipeline(&self.calls.load(tenant, login)).await?;
        self.calls.open(tenant, login, raw, now)
    }

    async fn save(&self, record: &Record, now: Timestamp, identity_window: Duration) -> Result<Saved, StoreError> {
        let next = Record { version: record.version + 1, ..record.clone() };
        let answer: String = self.link.call(&self.calls.save(record.version, &next, now, identity_window)?).await?;
        match answer.as_str() {
            "written" => Ok(Saved::Written(next)),
            "conflict" => Ok(Saved::Conflict),
            "gone" => Ok(Saved::Gone),
            _ => Err(UNKNOWN_ANSWER),
        }
    }

    async fn list(&self, tenant: &TenantId, now: Timestamp, limit: usize) -> Result<Vec<Record>, StoreError> {
        let found: Vec<(String, RawFields, RawIdentity)> = self.link.call(&self.calls.list(tenant, now, limit)).await?;
        self.open_all(tenant, found, now)
    }

    fn wakes(&self) -> broadcast::Receiver<Wake> {
        self.wakes.subscribe()
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
        shares::events(self.link.call(&self.calls.events(tenant, after, limit, now)?).await?)
    }

    async fn new_epoch(&self, tenant: &TenantId, epoch: &str, remembered: u64) -> Result<(), StoreError> {
        let answer: String = self.link.call(&self.calls.new_epoch(tenant, epoch, remembered)?).await?;
        tracing::info!(%tenant, answer, "a new epoch was asked for");
        Ok(())
    }

    async fn ping(&self) -> Result<(), StoreError> {
        self.link.command(&cmd("PING")).await
    }

    fn kind(&self) -> &'static str {
        "redis"
    }
}
