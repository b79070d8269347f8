//! Two versions of the gateway, or two sets of seal keys, on one Redis: what a
//! deploy at noon looks like.

use ciba_gateway::grpc::v1::Outcome;
use ciba_gateway::session::Event;
use ciba_gateway::store::redis::{RedisStore, Settings};
use ciba_gateway::store::{Formats, Happened, Page, SessionStore, StoreError};

use crate::support::configuration::Configuration;
use crate::support::gateway::Gateway;
use crate::support::redis_server::RedisServer;
use crate::support::reservations::{NOW, accepted, incarnation, redeemed, reservation, tenant};
use crate::support::simulators::Vipps;
use crate::support::stores::{adopt, advance, events, load, owned, replica, replica_at, reserve};

const NUMBER: &str = "+4712345678";
const OTHER_NUMBER: &str = "+4712345679";

/// A replica of the version to come.
fn next_version(server: &RedisServer) -> RedisStore {
    replica_at(Settings { formats: Formats::NEXT, ..Settings::new(server.url()) })
}

/// A deploy: logins of the old version go on with the new one, and back again.
#[tokio::test]
async fn the_next_version_goes_on_with_logins_of_this_one_as_they_are() {
    let server = RedisServer::start().await;
    let (old, new) = (replica(&server), next_version(&server));
    let starting = reserve(&old, &reservation(1)).await;
    let pending = advance(&new, &load(&new, &starting, NOW).await.expect("a login"), accepted(), NOW).await;
    assert_eq!(adopt(&new, "first-run", "second-run").await.len(), 1);
    let adopted = load(&old, &pending, NOW).await.expect("the old version reads what the new one wrote");
    let redeemed = advance(&old, &adopted, redeemed(), NOW).await;
    assert_eq!(load(&new, &redeemed, NOW).await, Some(redeemed));
}

/// Whoever cannot read a login does not touch it, does not hide it, and leaves
/// it to those who can.
#[tokio::test]
async fn this_version_leaves_logins_of_the_next_one_alone() {
    let server = RedisServer::start().await;
    let (old, new) = (replica(&server), next_version(&server));
    let readable = reserve(&old, &reservation(1)).await;
    let newer = advance(&new, &reserve(&new, &reservation(2)).await, accepted(), NOW).await;

    let read = old.load(&tenant("acme"), &newer.session.id, NOW).await;
    assert!(matches!(read, Err(StoreError::Foreign(_))), "{read:?}");
    let page = Page { after: None, live_only: false, limit: 10 };
    let listed = old.list(&tenant("acme"), NOW, &page).await.expect("the store answers");
    assert_eq!(listed.records, std::slice::from_ref(&readable));
    let told = events(&old, NOW).await.entries;
    assert!(told.iter().any(|event| event.login == newer.session.id && event.what == Happened::Foreign), "{told:?}");

    let batch = old.adopt(&tenant("acme"), &incarnation("first-run"), &incarnation("second-run"), None, 10, NOW).await;
    let batch = batch.expect("the store answers");
    assert_eq!((batch.records.len(), batch.left_behind), (1, 1));
    assert_eq!(owned(&new, "first-run").await, std::slice::from_ref(&newer));
    let denied = advance(&new, &newer, Event::Denied, NOW).await;
    assert!(denied.session.has_ended());
}

/// A gateway that seals with `active` and opens with `keys`.
async fn gateway(vipps: &Vipps, redis: &RedisServer, active: &str, keys: &[(&str, u8)]) -> Gateway {
    use base64::Engine;
    let mut configuration = Configuration::new(&vipps.issuer()).with_redis(redis);
    let (rest, _) = configuration.store.split_once("[keys.seal]").expect("seal keys");
    let mut store = format!("{}[keys.seal]\n", rest.replace("\"one\"", &format!("\"{active}\"")));
    for (name, byte) in keys {
        let key = base64::prelude::BASE64_STANDARD.encode([*byte; 32]);
        store += &format!("{name} = \"{key}\"\n");
    }
    configuration.store = store;
    Gateway::ready(&configuration).await
}

/// SR27: first every replica can read the new key, then it is used.
#[tokio::test]
async fn a_seal_key_is_replaced_in_two_steps_while_logins_run() {
    let (vipps, redis) = (Vipps::start().await, RedisServer::start().await);
    let before = gateway(&vipps, &redis, "one", &[("one", 2)]).await;
    let early = before.caller().at_a_till(NUMBER).await;
    let readable = gateway(&vipps, &redis, "one", &[("one", 2), ("two", 3)]).await;
    let active = gateway(&vipps, &redis, "two", &[("one", 2), ("two", 3)]).await;
    let late = active.caller().at_a_till(OTHER_NUMBER).await;
    for number in [NUMBER, OTHER_NUMBER] {
        vipps.simulator.approve(number);
    }
    for gateway in [&readable, &active] {
        for login in [&early, &late] {
            assert_eq!(gateway.caller().end_of(&login.login_id).await.outcome(), Outcome::Approved);
        }
    }
}
