//! Who hears of which ping.

use ciba_gateway::ciba::AuthReqId;
use ciba_gateway::store::Ping;

use crate::support::eventually::eventually;
use crate::support::reservations::AUTH_REQ_ID;
use crate::support::stores::{Stage, listening};

for_several_replicas!(a_ping_is_heard_by_every_replica_and_finds_its_request);

async fn a_ping_is_heard_by_every_replica_and_finds_its_request(stage: &Stage) {
    let other = stage.replica();
    let mut heard = [stage.store.pings(), other.pings()];
    tokio::join!(listening(&*stage.store), listening(&*other));
    let request = |text: &str| AuthReqId::new(text).expect("an auth_req_id");
    let (ping, next) = (stage.store.ping_of(&request(AUTH_REQ_ID)), stage.store.ping_of(&request("another-one")));
    for ping in [&ping, &ping, &next] {
        stage.store.pass_on(ping).await.expect("the store answers");
    }
    for heard in &mut heard {
        let mut all = Vec::new();
        eventually("all are heard", async || {
            all.extend(heard.try_recv());
            (all.last() == Some(&next)).then_some(())
        })
        .await;
        assert_eq!(all, [ping.clone(), ping.clone(), next.clone()]);
    }
    let marks = |ping: &Ping| ping.marks().map(str::to_owned).collect::<Vec<_>>();
    assert_eq!(marks(&ping), marks(&other.ping_of(&request(AUTH_REQ_ID))), "any replica knows it by the same mark");
    assert_ne!(marks(&ping), marks(&next));
    assert!(marks(&ping).iter().all(|mark| !mark.contains(AUTH_REQ_ID)));
    assert_eq!(format!("{ping:?}"), "Ping(…)");
}
