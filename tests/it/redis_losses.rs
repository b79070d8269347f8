//! A Redis that was emptied or rolled back: nobody is rung twice, nothing comes
//! true out of old data, and whoever watches is told.

use std::collections::HashSet;
use std::time::Duration;

use ciba_gateway::grpc::v1::{LoginState, Outcome};
use ciba_gateway::session::Event;
use ciba_gateway::simulator::Endpoint;
use ciba_gateway::store::redis::RedisStore;
use ciba_gateway::store::{PutBack, SessionStore, StoreError};
use tonic::Code;

use crate::support::caller::{Caller, refusal, till};
use crate::support::configuration::Configuration;
use crate::support::eventually::eventually;
use crate::support::gateway::{Gateway, Serve};
use crate::support::redis_server::RedisServer;
use crate::support::reservations::{NOW, accepted, login_id, reservation, reservation_at, secs, tenant};
use crate::support::simulators::Vipps;
use crate::support::stores::{WINDOW, advance, load, replica, replica_that_settles, reserve};

const NUMBER: &str = "+4712345678";

fn wait(answer: Result<impl std::fmt::Debug, StoreError>) -> Duration {
    match answer {
        Err(StoreError::Recovering { retry_after }) => retry_after,
        other => panic!("expected to be told to wait, got {other:?}"),
    }
}

async fn emptied(server: &mut RedisServer, store: &RedisStore) {
    server.stop();
    server.start_again_empty().await;
    eventually("the store answers", async || store.ping().await.ok()).await;
}

#[tokio::test]
async fn what_was_lost_is_not_said_to_be_absent() {
    let mut server = RedisServer::start().await;
    let store = replica(&server);
    let pending = advance(&store, &reserve(&store, &reservation(1)).await, accepted(), NOW).await;
    emptied(&mut server, &store).await;

    wait(store.load(&tenant("acme"), &pending.session.id, NOW).await);
    wait(store.reserve(&reservation(2)).await);
    assert!(!store.still_has(&tenant("acme"), NOW).await.expect("the store answers"));
    wait(store.load(&tenant("acme"), &pending.session.id, NOW).await);
    let put_back = store.put_back(&pending, NOW, WINDOW).await;
    assert_eq!(put_back.expect("the store answers"), PutBack::Written);
    store.is_put_right(&tenant("acme"));
    assert_eq!(load(&store, &pending, NOW).await, Some(pending));
    assert_eq!(store.load(&tenant("acme"), &login_id(9), NOW).await.expect("the store answers"), None);
    reserve(&store, &reservation(2)).await;
}

/// A replica that has just started remembers nothing, and others may.
#[tokio::test]
async fn an_empty_redis_is_left_alone_until_those_who_remember_have_had_time() {
    let server = RedisServer::start().await;
    let store = replica_that_settles(&server, secs(5));
    assert_eq!(wait(store.reserve(&reservation(1)).await), secs(5));
    assert_eq!(wait(store.reserve(&reservation_at(1, NOW.plus(secs(2)))).await), secs(3));
    assert_eq!(wait(store.load(&tenant("acme"), &login_id(1), NOW.plus(secs(4))).await), secs(1));
    let later = NOW.plus(secs(5));
    assert_eq!(store.load(&tenant("acme"), &login_id(1), later).await.expect("the store answers"), None);
    reserve(&store, &reservation_at(1, later)).await;
}

/// As after a failover to a replica that was behind.
#[tokio::test]
async fn a_redis_that_was_rolled_back_is_found_out() {
    let mut server = RedisServer::start().await;
    let store = replica(&server);
    let starting = reserve(&store, &reservation(1)).await;
    server.stop();
    let backup = server.backup();
    server.start_again().await;
    eventually("the store answers", async || store.ping().await.ok()).await;
    let pending = advance(&store, &starting, accepted(), NOW).await;
    let denied = advance(&store, &pending, Event::Denied, NOW).await;
    server.stop();
    server.start_again_from(&backup).await;
    eventually("the store answers", async || store.ping().await.ok()).await;

    wait(store.reserve(&reservation(2)).await);
    assert!(!store.still_has(&tenant("acme"), NOW).await.expect("the store answers"));
    let put_back = store.put_back(&denied, NOW, WINDOW).await;
    assert_eq!(put_back.expect("the store answers"), PutBack::Written);
    store.is_put_right(&tenant("acme"));
    assert_eq!(load(&store, &denied, NOW).await.map(|found| found.session), Some(denied.session));
}

/// Two gateways on that Redis.
async fn gateways(vipps: &Vipps, redis: &RedisServer) -> [Gateway; 2] {
    let configuration = configuration(vipps, redis);
    [Gateway::ready(&configuration).await, Gateway::ready(&configuration).await]
}

/// An emptied Redis is left alone for two seconds.
fn configuration(vipps: &Vipps, redis: &RedisServer) -> Configuration {
    let mut configuration = Configuration::new(&vipps.issuer()).with_redis(redis);
    configuration.store = configuration.store.replace("settle_time = \"0s\"", "settle_time = \"2s\"");
    configuration
}

/// How often the phone was rung.
fn pushes(vipps: &Vipps) -> usize {
    let requests = vipps.simulator.requests();
    requests.iter().filter(|request| request.endpoint == Endpoint::Backchannel).count()
}

async fn assert_waits(caller: &Caller, login_id: &str) {
    let refused = caller.get(login_id).await.expect_err("a refusal");
    let (code, reason, comes_back) = refusal(&refused);
    assert!(code == Code::Unavailable && reason.starts_with("STORE_") && comes_back, "{refused}");
}

/// G4, SR32: no second push, no lost login, one outcome, and streams say so.
#[tokio::test]
async fn an_emptied_redis_rings_nobody_twice_and_loses_no_login() {
    let (vipps, mut redis) = (Vipps::start().await, RedisServer::start().await);
    let [first, second] = gateways(&vipps, &redis).await;
    let start = till(NUMBER);
    let login = eventually("a new store is used", async || first.caller().start(start.clone()).await.ok()).await;
    let mut stream = second.caller().watch_all().await;
    let mut cursor = stream.message().await.expect("a message").expect("a message").cursor;
    redis.stop();
    redis.start_again_empty().await;

    // Whoever retries gets the same login or is told to wait, wherever he comes to.
    let retries = [first.caller(), second.caller()];
    let mut answers = HashSet::new();
    eventually("both know the login", async || {
        let mut known = 0;
        for caller in &retries {
            match caller.start(start.clone()).await {
                Ok(again) => {
                    known += usize::from(answers.insert(again.login_id.clone()) || again.login_id == login.login_id)
                }
                Err(status) => assert_eq!(refusal(&status).0, Code::Unavailable, "{status}"),
            }
            let _ = caller.get(&login.login_id).await.inspect_err(|status| {
                assert_eq!(refusal(status).0, Code::Unavailable, "{status}");
            });
        }
        (known == retries.len()).then_some(())
    })
    .await;
    assert_eq!(answers, HashSet::from([login.login_id.clone()]));
    assert_eq!(pushes(&vipps), 1);

    let told = loop {
        match stream.message().await {
            Ok(message) => cursor = message.expect("no stream ends without a word").cursor,
            // It may also have seen the outage itself: then it is gone on with.
            Err(status) if status.code() == Code::Unavailable => match second.caller().try_resume(&cursor).await {
                Ok(again) => stream = again,
                Err(status) => break status,
            },
            Err(status) => break status,
        }
    };
    assert_eq!((told.code(), refusal(&told).1.as_str()), (Code::OutOfRange, "EPOCH_CHANGED"));
    vipps.simulator.approve(NUMBER);
    for gateway in [&first, &second] {
        assert_eq!(gateway.caller().end_of(&login.login_id).await.outcome(), Outcome::Approved);
    }
    assert_eq!(pushes(&vipps), 1);
}

/// SR32: what has ended stays ended, whatever the restored data says.
#[tokio::test]
async fn an_end_stays_when_redis_goes_back_before_it() {
    let (vipps, mut redis) = (Vipps::start().await, RedisServer::start().await);
    let [first, second] = gateways(&vipps, &redis).await;
    let caller = first.caller();
    let login = eventually("a new store is used", async || caller.start(till(NUMBER)).await.ok()).await;
    redis.stop();
    let backup = redis.backup();
    redis.start_again().await;
    eventually("the store is back", async || caller.get(&login.login_id).await.ok()).await;
    assert_eq!(caller.cancel(&login.login_id).await.outcome(), Outcome::Cancelled);
    vipps.simulator.approve(NUMBER);
    redis.stop();
    redis.start_again_from(&backup).await;

    for gateway in [&first, &second] {
        let caller = gateway.caller();
        let ended = eventually("the login is known again", async || {
            let login = caller.get(&login.login_id).await.ok()?;
            (login.state() == LoginState::Ended).then_some(login)
        })
        .await;
        assert_eq!(ended.outcome(), Outcome::Cancelled);
    }
}

/// Nobody is left who remembers: first "wait", then the plain truth.
#[tokio::test]
async fn a_login_that_nobody_remembers_is_not_found_after_a_while() {
    let (vipps, mut redis) = (Vipps::start().await, RedisServer::start().await);
    let [_, second] = gateways(&vipps, &redis).await;
    let mut first = Serve::ready(&configuration(&vipps, &redis)).await;
    let login = eventually("a new store is used", async || first.caller().start(till(NUMBER)).await.ok()).await;
    first.process.signal("KILL");
    first.process.ended().await;
    redis.stop();
    redis.start_again_empty().await;
    let caller = second.caller();
    assert_waits(&caller, &login.login_id).await;
    let refused = eventually("it is said to be absent", async || {
        let refused = caller.get(&login.login_id).await.expect_err("nobody has it");
        (refused.code() != Code::Unavailable).then_some(refused)
    })
    .await;
    assert_eq!((refused.code(), refusal(&refused).1.as_str()), (Code::NotFound, "LOGIN_NOT_FOUND"));
}
