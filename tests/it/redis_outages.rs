//! Redis goes away in every way it can, and comes back.

use std::time::Duration;

use tokio::time::Instant;

use ciba_gateway::store::redis::RedisStore;
use ciba_gateway::store::{SessionStore, StoreError, Wake};

use crate::support::eventually::eventually;
use crate::support::redis_server::RedisServer;
use crate::support::reservations::{NOW, accepted, login_id, reservation, tenant};
use crate::support::stores::{accept_loss, advance, load, refusal, replica, replica_that_does_not_listen, reserve};

#[tokio::test]
async fn a_gateway_starts_before_its_redis() {
    let mut server = RedisServer::not_yet_started();
    let store = replica(&server);
    let mut wakes = store.wakes();
    assert_unavailable(&store).await;

    server.start_again().await;
    eventually("the store answers", async || store.ping().await.ok()).await;
    reserve(&store, &reservation(1)).await;
    eventually("the store listens", async || (wakes.try_recv() == Ok(Wake::Missed)).then_some(())).await;
}

#[tokio::test]
async fn a_killed_redis_is_unavailable_and_comes_back_with_what_it_knew() {
    let mut server = RedisServer::start().await;
    let (store, other) = (replica(&server), replica(&server));
    let mut wakes = store.wakes();
    eventually("the store listens", async || (wakes.try_recv() == Ok(Wake::Missed)).then_some(())).await;
    let record = reserve(&store, &reservation(1)).await;

    server.stop();
    assert_unavailable(&store).await;
    server.start_again().await;
    eventually("the store answers", async || store.ping().await.ok()).await;

    assert_eq!(load(&store, &record, NOW).await, Some(record.clone()));
    eventually("the store says what was missed", async || (wakes.try_recv() == Ok(Wake::Missed)).then_some(())).await;
    let pending = advance(&other, &record, accepted(), NOW).await;
    let heard = Wake::Changed { tenant: tenant("acme"), login: record.session.id, version: pending.version };
    eventually("changes are heard again", async || (wakes.try_recv().ok()? == heard).then_some(())).await;
}

#[tokio::test]
async fn the_first_call_after_a_restart_succeeds() {
    let mut server = RedisServer::start().await;
    let store = replica(&server);
    let record = reserve(&store, &reservation(1)).await;
    server.stop();
    assert_unavailable(&store).await;
    assert_unavailable(&store).await;
    server.start_again().await;
    assert_eq!(load(&store, &record, NOW).await, Some(record));
}

#[tokio::test]
async fn an_emptied_redis_knows_no_script() {
    let mut server = RedisServer::start().await;
    let store = replica(&server);
    reserve(&store, &reservation(1)).await;
    server.stop();
    server.start_again_empty().await;
    eventually("the store answers", async || store.ping().await.ok()).await;
    accept_loss(&store).await;
    reserve(&store, &reservation(1)).await;
}

#[tokio::test]
async fn a_frozen_redis_is_noticed_in_time() {
    let server = RedisServer::start().await;
    let store = replica(&server);
    let record = reserve(&store, &reservation(1)).await;
    let mut wakes = store.wakes();

    server.pause();
    let began = Instant::now();
    assert_unavailable(&store).await;
    assert!(began.elapsed() < Duration::from_secs(2), "it took {:?}", began.elapsed());
    assert_unavailable(&store).await;
    server.resume();

    eventually("the store answers", async || store.ping().await.ok()).await;
    assert_eq!(load(&store, &record, NOW).await, Some(record));
    eventually("the store listens anew", async || (wakes.try_recv() == Ok(Wake::Missed)).then_some(())).await;
}

#[tokio::test]
async fn a_silent_connection_is_replaced_after_two_time_outs() {
    let server = RedisServer::start().await;
    let store = replica_that_does_not_listen(&server);
    store.ping().await.expect("the store answers");
    let silent = newest_connection(&server).await;

    server.pause();
    assert_unavailable(&store).await;
    assert_unavailable(&store).await;
    server.resume();
    eventually("the store answers", async || store.ping().await.ok()).await;
    assert!(newest_connection(&server).await > silent);
}

#[tokio::test]
async fn a_silent_moment_costs_no_connection() {
    let server = RedisServer::start().await;
    let store = replica_that_does_not_listen(&server);
    store.ping().await.expect("the store answers");
    let connection = newest_connection(&server).await;

    server.pause();
    assert_unavailable(&store).await;
    server.resume();
    eventually("the store answers", async || store.ping().await.ok()).await;
    assert_eq!(newest_connection(&server).await, connection);
}

#[tokio::test]
async fn a_demoted_primary_is_unavailable_until_it_is_one_again() {
    let server = RedisServer::start().await;
    let store = replica(&server);
    reserve(&store, &reservation(1)).await;

    replicate(&server, &["127.0.0.1", "1"]).await;
    let refused = store.reserve(&reservation(2)).await;
    assert!(matches!(refused, Err(StoreError::Unavailable(_))), "{refused:?}");
    replicate(&server, &["NO", "ONE"]).await;
    reserve(&store, &reservation(2)).await;
}

#[tokio::test]
async fn an_outage_ends_no_reservation() {
    let mut server = RedisServer::start().await;
    let store = replica(&server);
    let record = reserve(&store, &reservation(1)).await;
    server.stop();
    assert_unavailable(&store).await;
    server.start_again().await;
    eventually("the store answers", async || store.ping().await.ok()).await;

    let mut retry = reservation(1);
    retry.session.id = reservation(2).session.id;
    let expected = ciba_gateway::store::Reserved::Existing(record.session.id);
    assert_eq!(refusal(&store, &retry).await, expected);
}

async fn assert_unavailable(store: &RedisStore) {
    let answer = store.load(&tenant("acme"), &login_id(1), NOW).await;
    assert!(matches!(answer, Err(StoreError::Unavailable(_))), "{answer:?}");
}

async fn replicate(server: &RedisServer, primary: &[&str]) {
    let mut line = server.commands().await;
    let done: redis::RedisResult<()> = redis::cmd("REPLICAOF").arg(primary).query_async(&mut line).await;
    done.expect("redis-server takes the command");
}

/// The number of the newest connection but the one that asks.
async fn newest_connection(server: &RedisServer) -> u64 {
    let mut line = server.commands().await;
    let own: u64 = redis::cmd("CLIENT").arg("ID").query_async(&mut line).await.expect("an answer");
    let listed: String = redis::cmd("CLIENT").arg("LIST").query_async(&mut line).await.expect("an answer");
    let ids = listed.lines().filter_map(|client| client.strip_prefix("id=")?.split(' ').next()?.parse().ok());
    ids.filter(|id| *id != own).max().expect("a connection")
}
