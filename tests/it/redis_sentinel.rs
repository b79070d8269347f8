//! The master goes away in every way it can, Sentinels choose another, and the
//! gateways follow.

use std::time::Duration;

use ciba_gateway::grpc::v1::{FailureReason, Login, Outcome, StartLoginRequest};
use tokio::time::Instant;
use tonic::Code;

use crate::support::caller::{Caller, till};
use crate::support::configuration::Configuration;
use crate::support::eventually::eventually;
use crate::support::gateway::Gateway;
use crate::support::sentinels::Sentinels;
use crate::support::simulators::Vipps;

const PENDING: &str = "+4712345678";
const LATER: &str = "+4712345679";
/// From the promotion of a replica to the first login that starts.
const SERVICE_BACK_WITHIN: Duration = Duration::from_secs(10);

#[tokio::test]
async fn logins_outlive_a_master_that_is_killed() {
    let mut nodes = Sentinels::start().await;
    let story = Story::begin(&nodes).await;
    nodes.nodes[0].stop();
    story.goes_on(&nodes, "killed").await;
}

/// And of the Sentinels the one that is asked first is silent too.
#[tokio::test]
async fn logins_outlive_a_master_that_falls_silent() {
    let nodes = Sentinels::start().await;
    let story = Story::begin(&nodes).await;
    nodes.silence_first_sentinel();
    nodes.nodes[0].pause();
    story.goes_on(&nodes, "silent").await;
}

#[tokio::test]
async fn logins_outlive_a_master_that_is_demoted() {
    let nodes = Sentinels::start().await;
    let story = Story::begin(&nodes).await;
    nodes.demote_master().await;
    story.goes_on(&nodes, "demoted").await;
}

/// Two gateways, and a login that a phone shows.
struct Story {
    vipps: Vipps,
    here: Gateway,
    there: Gateway,
    pending: Login,
}

impl Story {
    async fn begin(nodes: &Sentinels) -> Self {
        let vipps = Vipps::start().await;
        let configuration = Configuration::new(&vipps.issuer()).with_redis_that(&nodes.configuration());
        let configuration = configuration.with_store_line("wait_replicas = 1");
        let (here, there) = (Gateway::ready(&configuration).await, Gateway::ready(&configuration).await);
        let pending = here.caller().at_a_till(PENDING).await;
        Self { vipps, here, there, pending }
    }

    /// The master has just gone.
    async fn goes_on(&self, nodes: &Sentinels, how: &str) {
        let gone = Instant::now();
        let start = till(LATER);
        let caller = self.there.caller();
        let (started, (promoted, back)) = tokio::join!(honest_start(&caller, &start), async {
            nodes.promotion().await;
            let promoted = Instant::now();
            honest_start(&self.here.caller(), &till("+4712345680")).await;
            (promoted, Instant::now())
        });
        println!("master {how}: promotion after {:?}, service after {:?}", promoted - gone, back - gone);
        assert!(back - promoted < SERVICE_BACK_WITHIN, "{:?} after the promotion", back - promoted);

        let again = eventually("the same start is known", async || caller.start(start.clone()).await.ok()).await;
        assert_eq!(again.login_id, started.login_id);
        for (login, number, other) in [(&self.pending, PENDING, &self.there), (&started, LATER, &self.here)] {
            if login.failure_reason() == FailureReason::StartUnknown {
                // In flight when the master went: nobody knows, and nobody asks twice.
                assert!(self.vipps.rings(number) <= 1, "{number} rings once at most: {login:?}");
                continue;
            }
            assert_eq!(self.vipps.rings(number), 1, "{number} rings once: {login:?}");
            assert_eq!(self.vipps.simulator.approve(number), 1);
            assert_eq!(other.caller().end_of(&login.login_id).await.outcome(), Outcome::Approved);
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
