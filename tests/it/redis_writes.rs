//! What several gateways do to one Redis, and what it costs.

use ciba_gateway::session::Event;
use ciba_gateway::store::{Position, PutBack, Reserved, Saved, SessionStore, StoreError, Wake};
use futures_util::future::join_all;

use crate::support::eventually::eventually;
use crate::support::redis_server::RedisServer;
use crate::support::reservations::{
    NOW, accepted, after, charged, incarnation, limit, login_id, redeemed, reservation, tenant,
};
use crate::support::stores::{WINDOW, adopt, advance, events, list, load, owned, replica, reserve, save};

#[tokio::test]
async fn every_method_is_one_round_trip() {
    let server = RedisServer::start().await;
    let store = replica(&server);
    // The first call of each script carries its text.
    every_method_once(&store, 1).await;
    let before = store.round_trips();
    every_method_once(&store, 3).await;
    assert_eq!(store.round_trips() - before, 15);
}

/// Two reservations, and every other method once.
async fn every_method_once(store: &dyn SessionStore, seed: u8) {
    let kept = reserve(store, &charged(reservation(seed), limit(5, 600))).await;
    let released = reserve(store, &reservation(seed + 1)).await;
    store.release(&released, true).await.expect("the store answers");
    let pending = advance(store, &kept, accepted(), NOW).await;
    assert_eq!(load(store, &pending, NOW).await, Some(pending));
    list(store, "acme", NOW, 10).await;

    let epoch = events(store, NOW).await.epoch;
    assert!(store.still_has(&tenant("acme"), NOW).await.expect("the store answers"));
    let put_back = store.put_back(&kept, NOW, WINDOW).await;
    assert_eq!(put_back.expect("the store answers"), PutBack::Kept);
    store.new_epoch(&tenant("nobody"), &Position { epoch, number: 99 }, NOW).await.expect("the store answers");
    assert!(!owned(store, "first-run").await.is_empty());
    assert!(!adopt(store, "first-run", "second-run").await.is_empty());
    let run = incarnation("first-run");
    store.beat(&run, NOW).await.expect("the store answers");
    store.leave(&run).await.expect("the store answers");
    store.bury(&run).await.expect("the store answers");
}

/// However many logins there are: what a batch costs does not depend on it.
#[tokio::test]
async fn a_batch_is_one_round_trip() {
    let server = RedisServer::start().await;
    let store = replica(&server);
    reserve(&store, &reservation(0)).await;
    adopt(&store, "first-run", "second-run").await;
    for seed in 1..=20 {
        reserve(&store, &reservation(seed)).await;
    }
    let before = store.round_trips();
    assert_eq!(adopt(&store, "first-run", "second-run").await.len(), 20);
    assert_eq!(store.round_trips() - before, 1);
}

#[tokio::test]
async fn of_two_gateways_that_end_a_login_alike_one_has_done_it() {
    let server = RedisServer::start().await;
    let (one, other) = (replica(&server), replica(&server));
    let record = reserve(&one, &reservation(1)).await;
    let ended = after(&record, Event::Cancelled, NOW);
    save(&one, &ended, NOW).await;
    assert_eq!(other.save(&ended, NOW, WINDOW).await.expect("the store answers"), Saved::Conflict);
}

#[tokio::test]
async fn two_gateways_ring_once_for_one_request_id() {
    let server = RedisServer::start().await;
    let gateways = [replica(&server), replica(&server)];
    let retries: Vec<_> = (0..50)
        .map(|seed| {
            let mut retry = reservation(1);
            retry.session.id = login_id(seed);
            retry
        })
        .collect();
    let calls = retries.iter().enumerate().map(|(at, retry)| gateways[at % 2].reserve(retry));
    let answers = join_all(calls).await;
    let new = answers.iter().filter(|answer| matches!(answer, Ok(Reserved::New(_)))).count();
    let existing = answers.iter().filter(|answer| matches!(answer, Ok(Reserved::Existing(_)))).count();
    assert_eq!((new, existing), (1, 49));
}

#[tokio::test]
async fn a_gateway_hears_what_another_writes() {
    let server = RedisServer::start().await;
    let (writer, listener) = (replica(&server), replica(&server));
    let mut wakes = listener.wakes();
    eventually("the store listens", async || (wakes.try_recv() == Ok(Wake::Missed)).then_some(())).await;

    let record = reserve(&writer, &reservation(1)).await;
    let expected = Wake::Changed { tenant: tenant("acme"), login: record.session.id, version: 1 };
    assert_eq!(eventually("the change is announced", async || wakes.try_recv().ok()).await, expected);
}

#[tokio::test]
async fn without_memory_starts_are_shed_and_logins_can_end() {
    let server = RedisServer::start().await;
    let store = replica(&server);
    let starting = reserve(&store, &reservation(1)).await;
    let released = reserve(&store, &reservation(2)).await;
    let pending = advance(&store, &starting, accepted(), NOW).await;
    configure(&server, "maxmemory", "1").await;

    let refused = store.reserve(&reservation(3)).await;
    assert!(matches!(refused, Err(StoreError::Full(_))), "{refused:?}");
    store.release(&released, true).await.expect("the store answers");
    store.beat(&incarnation("second-run"), NOW).await.expect("the store answers");
    store.leave(&incarnation("first-run")).await.expect("the store answers");
    store.bury(&incarnation("first-run")).await.expect("the store answers");
    let adopted = adopt(&store, "first-run", "second-run").await.remove(0);
    assert_eq!(adopted.session, pending.session);
    let redeemed = advance(&store, &adopted, redeemed(), NOW).await;
    let ended = advance(&store, &redeemed, Event::Cancelled, NOW).await;
    assert_eq!(list(&store, "acme", NOW, 10).await, [ended]);
    let found = events(&store, NOW).await;
    assert_eq!((found.newest, found.entries.len()), (6, 6));
    store.new_epoch(&tenant("acme"), &Position { number: 99, ..found.end() }, NOW).await.expect("the store answers");
}

async fn configure(server: &RedisServer, name: &str, value: &str) {
    let mut line = server.commands().await;
    let set: redis::RedisResult<()> = redis::cmd("CONFIG").arg("SET").arg(name).arg(value).query_async(&mut line).await;
    set.expect("redis-server takes the setting");
}
