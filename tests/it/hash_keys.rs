//! One hash key replaces another while logins run: whatever is found by a number,
//! a call or a request id is found by every replica, whichever key it uses.

use std::sync::Arc;

use ciba_gateway::grpc::v1::Outcome;
use ciba_gateway::session::{CallId, Event};
use ciba_gateway::store::hash::HashKeys;
use ciba_gateway::store::redis::RedisStore;
use ciba_gateway::store::{Admitted, Asker, Counted, Counter, Question, Reservation, Reserved, SessionStore};
use ciba_gateway::timestamp::Timestamp;

use crate::support::configuration::{Configuration, store_keys};
use crate::support::gateway::{Gateway, Serve};
use crate::support::redis_server::RedisServer;
use crate::support::reservations::{
    NOW, accepted, charged, limit, login_id, number, reservation, reservation_at, secs, tenant,
};
use crate::support::simulators::Vipps;
use crate::support::stores::{advance, load, refusal, replica_that_hashes, reserve};

const OLD: [u8; 32] = [9; 32];
const NEW: [u8; 32] = [10; 32];

/// The replicas of a rotation: before it, and of its two steps.
async fn replicas() -> (RedisServer, [RedisStore; 3]) {
    let server = RedisServer::start().await;
    let keys = [HashKeys::new(OLD), HashKeys::new(OLD).beside(NEW), HashKeys::new(NEW).beside(OLD)];
    let replicas = keys.map(|keys| replica_that_hashes(&server, keys));
    (server, replicas)
}

fn for_number_of(owner: u8, seed: u8, at: Timestamp) -> Reservation {
    let mut reservation = reservation_at(seed, at);
    Arc::make_mut(&mut reservation.session.terms).person = number(owner).into();
    reservation
}

/// SR28: a live number, a spent request id and a phone call.
#[tokio::test]
async fn claims_are_found_under_either_key() {
    let (_server, [before, first, second]) = replicas().await;
    let mut start = reservation(1);
    Arc::make_mut(&mut start.session.terms).call = CallId::new("call-7").ok();
    let record = reserve(&before, &start).await;
    // Back and forth, as balancers send callers during a deploy.
    for store in [&second, &first, &second, &second, &first] {
        let mut again = start.clone();
        again.session.id = login_id(9);
        assert_eq!(refusal(store, &for_number_of(1, 2, NOW)).await, Reserved::NumberBusy(login_id(1)));
        assert_eq!(refusal(store, &again).await, Reserved::Existing(login_id(1)));
        let mut other_content = again;
        Arc::make_mut(&mut other_content.session.terms).content = [77; 32];
        assert_eq!(refusal(store, &other_content).await, Reserved::RequestIdReused);
        let call = CallId::new("call-7").expect("a call");
        assert_eq!(store.login_of_call(&tenant("acme"), &call).await.expect("an answer"), Some(login_id(1)));
        let of_number = store.logins_of_number(&tenant("acme"), &number(1), NOW).await.expect("an answer");
        assert_eq!(of_number, [login_id(1)]);
    }
    // Its end frees them for everybody.
    advance(&second, &load(&second, &record, NOW).await.expect("a login"), Event::Cancelled, NOW).await;
    reserve(&first, &for_number_of(1, 2, NOW)).await;
    assert_eq!(refusal(&second, &for_number_of(1, 3, NOW)).await, Reserved::NumberBusy(login_id(2)));
}

/// SR28, SR7: what was counted stays counted, and once.
#[tokio::test]
async fn limits_hold_under_either_key() {
    let (_server, [before, first, second]) = replicas().await;
    for (seed, store) in [(1, &before), (2, &second), (3, &first)] {
        let at = NOW.plus(secs(u64::from(seed)));
        let record = reserve(store, &charged(for_number_of(1, seed, at), limit(3, 600))).await;
        advance(store, &record, Event::Cancelled, at).await;
    }
    let reached = Reserved::LimitReached { counter: Counter::Number, retry_after: secs(591) };
    for store in [&second, &first] {
        let fourth = charged(for_number_of(1, 4, NOW.plus(secs(10))), limit(3, 600));
        assert_eq!(refusal(store, &fourth).await, reached);
        let Reservation { charges, cool_down, now, session, .. } = &fourth;
        let asker = Asker::from(&*session.terms);
        let question = Question { asker, charges, cool_down: *cool_down, now: *now };
        let counted = store.count(&question).await.expect("an answer");
        assert_eq!(counted, Counted::LimitReached { counter: Counter::Number, retry_after: secs(591) });
    }
    reserve(&second, &charged(for_number_of(1, 5, NOW.plus(secs(601))), limit(3, 600))).await;
}

/// SR28, SR9: who has said no is left alone.
#[tokio::test]
async fn a_denial_holds_under_either_key() {
    let (_server, [before, first, second]) = replicas().await;
    let pending = advance(&before, &reserve(&before, &reservation(1)).await, accepted(), NOW).await;
    advance(&before, &pending, Event::Denied, NOW).await;
    for store in [&second, &first] {
        let next = for_number_of(1, 2, NOW.plus(secs(100)));
        assert_eq!(refusal(store, &next).await, Reserved::CoolingDown { retry_after: secs(200) });
    }
}

/// SR28, SR8: over all tenants too, and the provider's wish for a pause.
#[tokio::test]
async fn what_holds_over_all_tenants_holds_under_either_key() {
    let (_server, [before, first, second]) = replicas().await;
    let admit = async |store: &RedisStore, seed: u8| {
        let start = for_number_of(1, seed, NOW);
        store.admit(Asker::from(&*start.session.terms), limit(2, 3600), NOW).await.expect("an answer")
    };
    assert_eq!(admit(&before, 1).await, Admitted::Counted);
    assert_eq!(admit(&second, 1).await, Admitted::Counted, "under the new key for the first time");
    assert_eq!(admit(&second, 2).await, Admitted::Counted);
    for store in [&first, &second] {
        assert_eq!(admit(store, 3).await, Admitted::LimitReached { retry_after: secs(3600) });
    }
    let start = for_number_of(1, 2, NOW);
    second.give_back(Asker::from(&*start.session.terms)).await.expect("an answer");
    first.back_off(&number(1), NOW.plus(secs(30)), NOW).await.expect("an answer");
    for store in [&first, &second, &before] {
        assert_eq!(admit(store, 3).await, Admitted::BackedOff { retry_after: secs(30) });
    }
}

fn configuration(vipps: &Vipps, redis: &RedisServer, line: &str) -> Configuration {
    let [hash_key, _] = store_keys();
    let mut configuration = Configuration::new(&vipps.issuer()).with_redis(redis);
    configuration.store = configuration.store.replace(&format!("hash_key = \"{hash_key}\""), line);
    configuration
}

/// SR28: as the operator does it.
#[tokio::test]
async fn a_hash_key_is_replaced_in_two_steps_while_logins_run() {
    let (vipps, redis) = (Vipps::start().await, RedisServer::start().await);
    let [old, new] = store_keys();
    let with = |lines: String| configuration(&vipps, &redis, &lines);
    let mut before = Serve::ready(&with(format!("hash_key = \"{old}\""))).await;
    let first = Gateway::ready(&with(format!("hash_key = \"{old}\"\nother_hash_key = \"{new}\""))).await;
    let early = before.caller().at_a_till("+4712345678").await;
    before.process.signal("TERM");
    before.process.ended().await;
    let second = Gateway::ready(&with(format!("hash_key = \"{new}\"\nother_hash_key = \"{old}\""))).await;
    for gateway in [&first, &second] {
        let busy = gateway.caller().start(crate::support::caller::till("+4712345678")).await.expect_err("a refusal");
        assert!(busy.message().contains("live login"), "{busy}");
    }
    vipps.simulator.approve("+4712345678");
    assert_eq!(second.caller().end_of(&early.login_id).await.outcome(), Outcome::Approved);
    let late = second.caller().at_a_till("+4712345678").await;
    assert_eq!(first.caller().cancel(&late.login_id).await.outcome(), Outcome::Cancelled);
    assert_eq!(vipps.rings("+4712345678"), 2);
}
