//! Stores to tell stories about, and verbs that say what must go well.

use std::sync::Arc;
use std::time::Duration;

use ciba_gateway::session::{Event, TenantId};
use ciba_gateway::store::hash::HashKeys;
use ciba_gateway::store::memory::MemoryStore;
use ciba_gateway::store::redis::{RedisStore, Settings};
use ciba_gateway::store::seal::{KeyId, KeyRing};
use ciba_gateway::store::{Events, Page, Record, Reservation, Reserved, Saved, SessionStore, Wake};
use ciba_gateway::timestamp::Timestamp;
use tokio::sync::broadcast;

use super::eventually::eventually;
use super::redis_server::RedisServer;
use super::reservations::{NOW, after, incarnation, tenant};

/// How long identities are readable in these stories.
pub(crate) const WINDOW: Duration = Duration::from_secs(120);

/// A store, with what it lives on.
pub(crate) struct Stage {
    pub(crate) store: Arc<dyn SessionStore>,
    home: Home,
}

enum Home {
    Memory(MemoryStore),
    Redis(RedisServer),
    /// Whoever tells the story keeps the servers.
    Elsewhere(Settings),
}

impl Stage {
    pub(crate) async fn memory() -> Self {
        let first = MemoryStore::new();
        Self { store: Arc::new(first.replica()), home: Home::Memory(first) }
    }

    pub(crate) async fn redis() -> Self {
        let server = RedisServer::start().await;
        Self { store: Arc::new(replica(&server)), home: Home::Redis(server) }
    }

    /// Over servers that the story has.
    pub(crate) fn at(settings: Settings) -> Self {
        Self { store: Arc::new(replica_at(settings.clone())), home: Home::Elsewhere(settings) }
    }

    /// One more gateway on the same store.
    pub(crate) fn replica(&self) -> Arc<dyn SessionStore> {
        match &self.home {
            Home::Memory(store) => Arc::new(store.replica()),
            Home::Redis(server) => Arc::new(replica(server)),
            Home::Elsewhere(settings) => Arc::new(replica_at(settings.clone())),
        }
    }
}

/// One more gateway on that server.
pub(crate) fn replica(server: &RedisServer) -> RedisStore {
    replica_with(server, ring(1, &[1]))
}

/// One more gateway on that server, with these seal keys.
pub(crate) fn replica_with(server: &RedisServer, ring: KeyRing) -> RedisStore {
    connect(server, vec![tenant("acme"), tenant("other")], ring)
}

/// One more gateway on that server, with these hash keys.
pub(crate) fn replica_that_hashes(server: &RedisServer, hash_keys: HashKeys) -> RedisStore {
    let settings = at_once(Settings::new(server.url()));
    connect_with(settings, vec![tenant("acme"), tenant("other")], ring(1, &[1]), hash_keys)
}

/// A gateway that has no connection but the one for commands.
pub(crate) fn replica_that_does_not_listen(server: &RedisServer) -> RedisStore {
    connect(server, Vec::new(), ring(1, &[1]))
}

/// A gateway that leaves an empty server alone for so long.
pub(crate) fn replica_that_settles(server: &RedisServer, settle_time: Duration) -> RedisStore {
    connect_to(Settings { settle_time, ..Settings::new(server.url()) }, Vec::new(), ring(1, &[1]))
}

/// A gateway that finds Redis by these settings.
pub(crate) fn replica_at(settings: Settings) -> RedisStore {
    connect_to(at_once(settings), vec![tenant("acme"), tenant("other")], ring(1, &[1]))
}

fn connect(server: &RedisServer, tenants: Vec<TenantId>, ring: KeyRing) -> RedisStore {
    connect_to(at_once(Settings::new(server.url())), tenants, ring)
}

/// An empty Redis is used at once.
fn at_once(settings: Settings) -> Settings {
    Settings { settle_time: Duration::ZERO, ..settings }
}

fn connect_to(settings: Settings, tenants: Vec<TenantId>, ring: KeyRing) -> RedisStore {
    connect_with(settings, tenants, ring, HashKeys::new([9; 32]))
}

fn connect_with(settings: Settings, tenants: Vec<TenantId>, ring: KeyRing, hash_keys: HashKeys) -> RedisStore {
    let settings = Settings { ping_interval: Duration::from_millis(200), ..settings };
    RedisStore::connect(settings, tenants, ring, hash_keys).expect("settings that can be used")
}

pub(crate) fn ring(active: u8, keys: &[u8]) -> KeyRing {
    let keys = keys.iter().map(|key| (KeyId(u32::from(*key)), [*key; 32])).collect();
    KeyRing::new(KeyId(u32::from(active)), keys).expect("a key ring")
}

/// Reserves what must be free.
pub(crate) async fn reserve(store: &dyn SessionStore, reservation: &Reservation) -> Record {
    match store.reserve(reservation).await.expect("the store answers") {
        Reserved::New(record) => record,
        other => panic!("expected a new login, got {other:?}"),
    }
}

/// Reserves what must be refused.
pub(crate) async fn refusal(store: &dyn SessionStore, reservation: &Reservation) -> Reserved {
    match store.reserve(reservation).await.expect("the store answers") {
        Reserved::New(_) => panic!("expected a refusal, got a new login"),
        refusal => refusal,
    }
}

/// Saves what nobody else is writing.
pub(crate) async fn save(store: &dyn SessionStore, record: &Record, now: Timestamp) -> Record {
    match store.save(record, now, WINDOW).await.expect("the store answers") {
        Saved::Written { record, .. } => record,
        other => panic!("expected a write, got {other:?}"),
    }
}

/// Applies an event and saves the outcome.
pub(crate) async fn advance(store: &dyn SessionStore, record: &Record, event: Event, now: Timestamp) -> Record {
    save(store, &after(record, event, now), now).await
}

/// The record as it is seen at `now`.
pub(crate) async fn load(store: &dyn SessionStore, record: &Record, now: Timestamp) -> Option<Record> {
    let session = &record.session;
    store.load(&session.terms.tenant, &session.id, now).await.expect("the store answers")
}

/// The tenant's newest logins, at most `limit`.
pub(crate) async fn list(store: &dyn SessionStore, of: &str, now: Timestamp, limit: usize) -> Vec<Record> {
    let page = Page { after: None, live_only: false, limit };
    store.list(&tenant(of), now, &page).await.expect("the store answers").records
}

/// Takes the store as it is, whatever it has lost.
pub(crate) async fn accept_loss(store: &dyn SessionStore) {
    store.still_has(&tenant("acme"), NOW).await.expect("the store answers");
    store.is_put_right(&tenant("acme"));
}

/// What that owner's logins are, by what the new owner adopts of them in one go.
pub(crate) async fn adopt(store: &dyn SessionStore, from: &str, to: &str) -> Vec<Record> {
    let (from, to) = (incarnation(from), incarnation(to));
    let batch = store.adopt(&tenant("acme"), &from, &to, None, 100, NOW).await.expect("the store answers");
    assert_eq!(batch.next, None);
    batch.records
}

/// What that owner has.
pub(crate) async fn owned(store: &dyn SessionStore, owner: &str) -> Vec<Record> {
    let owner = incarnation(owner);
    store.owned(&tenant("acme"), &owner, None, 100, NOW).await.expect("the store answers").records
}

/// The tenant's stream from its beginning.
pub(crate) async fn events(store: &dyn SessionStore, now: Timestamp) -> Events {
    store.events(&tenant("acme"), 0, 1000, now).await.expect("the store answers")
}

/// Waits until what others change is heard.
pub(crate) async fn listening(store: &dyn SessionStore) -> broadcast::Receiver<Wake> {
    let mut wakes = store.wakes();
    // A subscription to a server says when it begins.
    if store.kind() == "redis" {
        eventually("the store listens", async || (wakes.try_recv() == Ok(Wake::Missed)).then_some(())).await;
    }
    wakes
}
