//! A cluster loses a master and moves a slot, and logins go on.

use std::time::Duration;

use ciba_gateway::grpc::v1::{Login, Outcome, StartLoginRequest};
use tokio::time::Instant;
use tonic::Code;

use crate::support::caller::{Caller, till};
use crate::support::cluster::Cluster;
use crate::support::configuration::Configuration;
use crate::support::eventually::eventually;
use crate::support::gateway::Gateway;
use crate::support::simulators::Vipps;

const PENDING: &str = "+4712345678";
const LATER: &str = "+4712345679";
/// From the promotion of the replica to the first login that starts.
const SERVICE_BACK_WITHIN: Duration = Duration::from_secs(10);

#[tokio::test]
async fn logins_outlive_a_node_that_is_killed() {
    let mut nodes = Cluster::start().await;
    let story = Story::begin(&nodes).await;
    nodes.nodes[0].stop();
    story.goes_on_after_promotion(&nodes, "killed").await;
}

#[tokio::test]
async fn logins_outlive_a_node_that_falls_silent() {
    let nodes = Cluster::start().await;
    let story = Story::begin(&nodes).await;
    nodes.nodes[0].pause();
    story.goes_on_after_promotion(&nodes, "silent").await;
}

/// Starts come in while the tenant's keys are on two nodes.
#[tokio::test]
async fn logins_outlive_the_move_of_their_slot() {
    let nodes = Cluster::start().await;
    let story = Story::begin(&nodes).await;
    let (caller, start) = (story.gateway.caller(), till(LATER));
    let mut refused = 0;
    nodes
        .move_slot(async || match caller.start(start.clone()).await {
            Ok(_) => {}
            Err(status) => {
                assert_eq!(status.code(), Code::Unavailable, "{status}");
                refused += 1;
            }
        })
        .await;
    println!("{refused} starts were refused during the move");
    story.ends_well(&start).await;
}

struct Story {
    vipps: Vipps,
    gateway: Gateway,
    pending: Login,
}

impl Story {
    /// One gateway and a login that a phone shows, on the first node.
    async fn begin(nodes: &Cluster) -> Self {
        let vipps = Vipps::start().await;
        let configuration = Configuration::new(&vipps.issuer()).with_redis_that(&nodes.configuration());
        let gateway = Gateway::ready(&configuration).await;
        let pending = gateway.caller().at_a_till(PENDING).await;
        let mut first = nodes.nodes[0].commands().await;
        let keys: Vec<String> = redis::cmd("KEYS").arg("*:login:*").query_async(&mut first).await.expect("an answer");
        assert_eq!(keys.len(), 1, "the login is on the first node");
        Self { vipps, gateway, pending }
    }

    async fn goes_on_after_promotion(&self, nodes: &Cluster, how: &str) {
        let gone = Instant::now();
        let start = till(LATER);
        let promotion = async {
            eventually("the replica is promoted", async || nodes.nodes[3].is_master().await.then_some(())).await;
            Instant::now()
        };
        let service = async {
            honest_start(&self.gateway.caller(), &start).await;
            Instant::now()
        };
        let (promoted, back) = tokio::join!(promotion, service);
        println!("node {how}: promotion after {:?}, service after {:?}", promoted - gone, back - gone);
        assert!(back.saturating_duration_since(promoted) < SERVICE_BACK_WITHIN);
        self.ends_well(&start).await;
    }

    /// Both logins are there, rang once and can be approved.
    async fn ends_well(&self, start: &StartLoginRequest) {
        let caller = self.gateway.caller();
        let started = honest_start(&caller, start).await;
        for (login, number) in [(&self.pending, PENDING), (&started, LATER)] {
            assert_eq!(self.vipps.rings(number), 1, "{number} rings once");
            assert_eq!(self.vipps.simulator.approve(number), 1);
            assert_eq!(caller.end_of(&login.login_id).await.outcome(), Outcome::Approved);
        }
    }
}

/// Starts until it works; until then it is an outage and nothing else.
async fn honest_start(caller: &Caller, start: &StartLoginRequest) -> Login {
    eventually("a login starts", async || match caller.start(start.clone()).await {
        Ok(login) => Some(login),
        Err(status) => {
            assert_eq!(status.code(), Code::Unavailable, "{status}");
            None
        }
    })
    .await
}
