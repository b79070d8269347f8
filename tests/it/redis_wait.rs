//! Starts and ends of logins wait for a replica, when the operator wants it.

use std::fmt::Debug;
use std::time::Duration;

use ciba_gateway::grpc::v1::Outcome;
use ciba_gateway::session::Event;
use ciba_gateway::store::redis::{RedisStore, Settings, Wait};
use ciba_gateway::store::{Record, SessionStore, StoreError};
use redis::cmd;
use tonic::Code;

use crate::support::caller::{refusal, till};
use crate::support::configuration::Configuration;
use crate::support::eventually::eventually;
use crate::support::gateway::Gateway;
use crate::support::redis_server::RedisServer;
use crate::support::reservations::{NOW, accepted, after, reservation};
use crate::support::simulators::Vipps;
use crate::support::stores::{WINDOW, advance, replica_at, reserve};

const NUMBER: &str = "+4712345678";

async fn master_and_replica() -> (RedisServer, RedisServer) {
    let master = RedisServer::start().await;
    let replica = RedisServer::replica_of(&master).await;
    (master, replica)
}

fn store_that_waits(master: &RedisServer) -> RedisStore {
    let wait = Wait { replicas: 1, timeout: Duration::from_secs(1) };
    replica_at(Settings { wait: Some(wait), ..Settings::new(master.url()) })
}

/// Whether the replica has the record in that state by now.
async fn has(replica: &RedisServer, record: &Record, state: &str) -> bool {
    let key = format!("cg1:{{acme}}:login:{}", record.session.id);
    let found: Option<String> =
        cmd("HGET").arg(key).arg("state").query_async(&mut replica.commands().await).await.expect("an answer");
    found.as_deref() == Some(state)
}

/// Whatever else goes wrong on the way, replicas are what it lacks, and it never
/// succeeds.
async fn lacks_replicas<T: Debug>(mut call: impl AsyncFnMut() -> Result<T, StoreError>) {
    eventually("replicas are missed", async || match call().await {
        Err(StoreError::Unavailable(reason)) => reason.to_string().contains("replicas have the write").then_some(()),
        other => panic!("{other:?}"),
    })
    .await;
}

/// The next call comes on another connection.
async fn cut_connections(master: &RedisServer) {
    let mut line = master.commands().await;
    let kill = cmd("CLIENT").arg("KILL").arg("TYPE").arg("normal").clone();
    kill.query_async::<()>(&mut line).await.expect("redis-server takes the command");
}

#[tokio::test]
async fn a_start_counts_once_a_replica_has_it() {
    let (master, replica) = master_and_replica().await;
    let store = store_that_waits(&master);
    reserve(&store, &reservation(1)).await;
    replica.pause();
    lacks_replicas(async || store.reserve(&reservation(2)).await).await;
    // The write was made already; that alone makes it no safer.
    cut_connections(&master).await;
    lacks_replicas(async || store.reserve(&reservation(2)).await).await;
    replica.resume();
    let late = eventually("the replica is back", async || store.reserve(&reservation(2)).await.ok()).await;
    assert_eq!(late, ciba_gateway::store::Reserved::New(reservation(2).first_record()));
}

#[tokio::test]
async fn an_end_counts_once_a_replica_has_it() {
    let (master, replica) = master_and_replica().await;
    let store = store_that_waits(&master);
    let starting = reserve(&store, &reservation(1)).await;
    replica.pause();
    let pending = advance(&store, &starting, accepted(), NOW).await;
    let cancelled = after(&pending, Event::Cancelled, NOW);
    lacks_replicas(async || store.save(&cancelled, NOW, WINDOW).await).await;
    cut_connections(&master).await;
    lacks_replicas(async || store.save(&cancelled, NOW, WINDOW).await).await;
    replica.resume();
    eventually("the replica is back", async || store.save(&cancelled, NOW, WINDOW).await.ok()).await;
    assert!(has(&replica, &pending, "ended").await);
}

/// Through the front door: no phone rings for a start that a replica lacks, and
/// an approval is shown once it is safe.
#[tokio::test]
async fn without_its_replica_a_gateway_starts_nothing_and_loses_nothing() {
    let (vipps, (master, replica)) = (Vipps::start().await, master_and_replica().await);
    let configuration = Configuration::new(&vipps.issuer()).with_redis(&master);
    let gateway = Gateway::ready(&configuration.with_store_line("wait_replicas = 1")).await;
    let caller = gateway.caller();
    let login = caller.at_a_till(NUMBER).await;

    replica.pause();
    let start = till("+4712345679");
    let refused = caller.start(start.clone()).await.expect_err("a refusal");
    assert_eq!(refusal(&refused), (Code::Unavailable, "STORE_UNAVAILABLE".into(), true), "{refused}");
    assert_eq!(vipps.simulator.waiting().len(), 1, "no other phone rings");
    vipps.simulator.approve(NUMBER);
    replica.resume();

    assert_eq!(caller.end_of(&login.login_id).await.outcome(), Outcome::Approved);
    let started = eventually("the same start works", async || caller.start(start.clone()).await.ok()).await;
    let again = caller.start(start).await.expect("the same login");
    assert_eq!(started.login_id, again.login_id);
    assert_eq!(vipps.simulator.waiting().len(), 1, "it rings once");
}
