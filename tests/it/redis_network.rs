//! The line to Redis is slow, stalls, swallows everything or is cut, and comes
//! back.

use std::time::Duration;

use ciba_gateway::grpc::v1::{FailureReason, Login, Outcome};
use tokio::time::Instant;
use tonic::Code;

use crate::support::caller::{refusal, till};
use crate::support::configuration::Configuration;
use crate::support::eventually::eventually;
use crate::support::gateway::Gateway;
use crate::support::island::Island;
use crate::support::proxy::{Proxy, Weather};
use crate::support::redis_server::{PASSWORD, RedisServer, USERNAME};
use crate::support::simulators::Vipps;

const NUMBER: &str = "+4712345678";
const LATER: &str = "+4712345679";
/// Once the line is good again: two time-outs of a second each, and a connection.
const SERVICE_BACK_WITHIN: Duration = Duration::from_secs(5);

/// A gateway whose line to Redis is bad at times.
struct Story {
    vipps: Vipps,
    line: Proxy,
    gateway: Gateway,
    _server: RedisServer,
}

impl Story {
    async fn begin() -> Self {
        let (vipps, server) = (Vipps::start().await, RedisServer::start().await);
        let line = Proxy::to(server.port()).await;
        let url = format!("redis://{USERNAME}:{PASSWORD}@127.0.0.1:{}", line.port);
        let gateway = Gateway::ready(&Configuration::new(&vipps.issuer()).with_redis_at(&url)).await;
        Self { vipps, line, gateway, _server: server }
    }

    async fn approved(&self, login: &Login, number: &str) {
        assert_eq!(self.vipps.simulator.approve(number), 1);
        assert_eq!(self.gateway.caller().end_of(&login.login_id).await.outcome(), Outcome::Approved);
    }

    /// Nothing starts in this weather, and what runs ends well after it.
    async fn weathers(&self, weather: Weather) {
        let caller = self.gateway.caller();
        let login = caller.at_a_till(NUMBER).await;
        self.line.becomes(weather);
        let start = till(LATER);
        for _ in 0..2 {
            let refused = caller.start(start.clone()).await.expect_err("a refusal");
            assert_eq!(refusal(&refused), (Code::Unavailable, "STORE_UNAVAILABLE".into(), true), "{refused}");
        }
        assert_eq!(self.vipps.rings(LATER), 0, "no other phone rings");
        assert_eq!(self.vipps.simulator.approve(NUMBER), 1);

        self.line.is_good_again();
        let good = Instant::now();
        let started = eventually("a login starts", async || caller.start(start.clone()).await.ok()).await;
        println!("{weather:?}: service {:?} after the line was good", good.elapsed());
        assert!(good.elapsed() < SERVICE_BACK_WITHIN, "{:?}", good.elapsed());
        assert_eq!(caller.end_of(&login.login_id).await.outcome(), Outcome::Approved);
        match started.failure_reason() {
            // A claim that was held up on the line and came after it was taken
            // back: nobody knows any more whether the phone was asked.
            FailureReason::StartUnknown => assert_eq!(self.vipps.rings(LATER), 0, "it was not asked"),
            _ => {
                assert_eq!(self.vipps.rings(LATER), 1, "it rings once");
                self.approved(&started, LATER).await;
            }
        }
    }
}

#[tokio::test]
async fn a_slow_line_is_a_line() {
    let story = Story::begin().await;
    story.line.becomes(Weather::Late(Duration::from_millis(200)));
    let began = Instant::now();
    let login = story.gateway.caller().at_a_till(NUMBER).await;
    assert!(began.elapsed() > Duration::from_millis(400), "the line is slow");
    story.approved(&login, NUMBER).await;
}

#[tokio::test]
async fn logins_outlive_a_line_that_stalls() {
    Story::begin().await.weathers(Weather::Stalled).await;
}

#[tokio::test]
async fn logins_outlive_a_line_that_swallows_everything() {
    Story::begin().await.weathers(Weather::BlackHole).await;
}

#[tokio::test]
async fn logins_outlive_a_line_that_is_cut() {
    Story::begin().await.weathers(Weather::Cut).await;
}

/// A real link between two hosts. Where hosts cannot be made, as without root, the
/// stories above stand for it.
#[tokio::test]
async fn logins_outlive_a_link_that_is_down() {
    let Some(island) = Island::make().await else {
        return println!("NOT RUN: network namespaces cannot be made here");
    };
    let vipps = Vipps::start().await;
    let place = format!("url = \"{}\"\nplaintext = \"trusted-network\"", island.url());
    let gateway = Gateway::ready(&Configuration::new(&vipps.issuer()).with_redis_that(&place)).await;
    let caller = gateway.caller();
    let login = caller.at_a_till(NUMBER).await;
    island.link_goes_down();
    let start = till(LATER);
    for _ in 0..2 {
        let refused = caller.start(start.clone()).await.expect_err("a refusal");
        assert_eq!(refusal(&refused), (Code::Unavailable, "STORE_UNAVAILABLE".into(), true), "{refused}");
    }
    assert_eq!(vipps.rings(LATER), 0, "no other phone rings");
    vipps.simulator.approve(NUMBER);

    island.link_comes_back();
    let good = Instant::now();
    eventually("a login starts", async || caller.start(start.clone()).await.ok()).await;
    assert!(good.elapsed() < SERVICE_BACK_WITHIN, "it took {:?}", good.elapsed());
    assert_eq!(caller.end_of(&login.login_id).await.outcome(), Outcome::Approved);
}
