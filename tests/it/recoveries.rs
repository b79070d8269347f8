//! The gateway starts whatever is down, says so, and recovers by itself.

use ciba_gateway::grpc::v1::{Login, LoginState, Outcome};
use serde_json::Value;
use tonic::Code;

use crate::support::caller::{Caller, refusal, till};
use crate::support::configuration::Configuration;
use crate::support::eventually::eventually;
use crate::support::gateway::{Gateway, local, wait_until_ready};
use crate::support::http;
use crate::support::redis_server::RedisServer;
use crate::support::simulators::{Vipps, quick};

const NUMBER: &str = "+4712345678";

async fn readiness(gateway: &Gateway) -> (u16, Value) {
    let (status, body) = http::get(&format!("http://{}/readyz", gateway.http)).await.expect("an answer");
    (status, serde_json::from_str(&body).expect("JSON"))
}

async fn assert_unavailable(caller: &Caller, reason: &str) {
    let refused = caller.start(till(NUMBER)).await.expect_err("a refusal");
    assert_eq!(refusal(&refused), (Code::Unavailable, reason.into(), true), "{refused}");
}

fn assert_approved(login: &Login) {
    assert_eq!(login.outcome(), Outcome::Approved, "{login:?}");
}

#[tokio::test]
async fn a_gateway_waits_for_its_provider() {
    let place = local().await;
    let address = place.local_addr().expect("an address");
    drop(place);
    let issuer = format!("http://{address}/access-management-1.0/access/");
    let gateway = Gateway::start(&Configuration::new(&issuer)).await;
    let caller = gateway.caller();
    let (status, report) = eventually("the provider is found missing", async || {
        let (status, report) = readiness(&gateway).await;
        (report["store"] == "ok" && report["providers"]["nordlys"] != "not checked yet").then_some((status, report))
    })
    .await;
    assert_eq!(status, 503, "{report}");
    assert_unavailable(&caller, "PROVIDER_UNAVAILABLE").await;

    let listener = eventually("the port is free", async || tokio::net::TcpListener::bind(address).await.ok()).await;
    let vipps = Vipps::with(listener, quick()).await;
    wait_until_ready(gateway.http).await;
    let login = caller.at_a_till(NUMBER).await;
    vipps.simulator.approve(NUMBER);
    assert_approved(&caller.end_of(&login.login_id).await);
}

#[tokio::test]
async fn a_gateway_waits_for_its_redis() {
    let (vipps, mut redis) = (Vipps::start().await, RedisServer::not_yet_started());
    let gateway = Gateway::start(&Configuration::new(&vipps.issuer()).with_redis(&redis)).await;
    let caller = gateway.caller();
    assert_unavailable(&caller, "STORE_UNAVAILABLE").await;
    let (status, report) = readiness(&gateway).await;
    assert_eq!(status, 503, "{report}");
    assert!(vipps.simulator.waiting().is_empty(), "a phone rang that nobody can answer for");

    redis.start_again().await;
    wait_until_ready(gateway.http).await;
    let login = caller.at_a_till(NUMBER).await;
    vipps.simulator.approve(NUMBER);
    assert_approved(&caller.end_of(&login.login_id).await);
}

#[tokio::test]
async fn an_outage_of_redis_ends_no_login() {
    let (vipps, mut redis) = (Vipps::start().await, RedisServer::start().await);
    let gateway = Gateway::ready(&Configuration::new(&vipps.issuer()).with_redis(&redis)).await;
    let caller = gateway.caller();
    let login = caller.at_a_till(NUMBER).await;

    redis.stop();
    let refused = caller.get(&login.login_id).await.expect_err("a refusal");
    assert_eq!(refusal(&refused), (Code::Unavailable, "STORE_UNAVAILABLE".into(), true), "{refused}");
    assert_unavailable(&caller, "STORE_UNAVAILABLE").await;
    eventually("it is not ready", async || (readiness(&gateway).await.0 == 503).then_some(())).await;
    // Collected in the middle of the outage or after it.
    vipps.simulator.approve(NUMBER);

    redis.start_again().await;
    wait_until_ready(gateway.http).await;
    let read = caller.get(&login.login_id).await.expect("the login");
    assert!(read.state() != LoginState::Ended || read.outcome() == Outcome::Approved, "{read:?}");
    assert_approved(&caller.end_of(&login.login_id).await);
}
