//! A defect that one call or one login runs into is no other's.

use ciba_gateway::grpc::v1;
use tonic::Code;

use crate::support::client::{Client, NUMBER, OTHER_NUMBER, Refusal, at_the_till, standing};
use crate::support::fake_provider::Asked;
use crate::support::stage::{Gateway, Stage, pass, secs};

fn is_internal(refusal: &Refusal) {
    assert_eq!((refusal.code, refusal.reason.as_str()), (Code::Internal, "INTERNAL"), "{refusal:?}");
    assert!(!format!("{refusal:?}").contains("spilled"), "{refusal:?}");
}

fn counts(gateway: &Gateway, place: &str, panics: u32) {
    let page = gateway.metrics.encode().expect("metrics");
    let counted = format!("ciba_gateway_panics_total{{place=\"{place}\"}} {panics}\n");
    assert!(page.contains(&counted), "{counted} in {page}");
}

async fn till(desk: &Client, nth: u32, number: &str) -> v1::Login {
    desk.start(at_the_till(&format!("r-{nth}"), number)).await
}

#[tokio::test(start_paused = true)]
async fn a_call_that_panics_fails_alone() {
    let (_stage, gateway) = Stage::with_gateway();
    let desk = gateway.desk();
    let login = till(&desk, 1, NUMBER).await;
    let mut watch = desk.watch(&login).await;
    watch.login().await;
    gateway.store.panics_at("load", 1);
    is_internal(&desk.try_get(&login.login_id).await.expect_err("a defect"));
    assert_eq!(desk.sees(&login).await, "pending", "on the same connection");
    desk.cancel(&login).await;
    assert_eq!(watch.until_end().await, ["cancelled"], "a stream beside it notices nothing");
    counts(&gateway, "call", 1);
}

#[tokio::test(start_paused = true)]
async fn a_stream_that_panics_can_be_gone_on_with() {
    let (stage, gateway) = Stage::with_gateway();
    let desk = gateway.desk();
    let mut watch = desk.watch_all(Default::default()).await;
    let login = till(&desk, 1, NUMBER).await;
    assert_eq!(watch.login().await.login_id, login.login_id);
    // It is read again for the identity.
    stage.provider.person_approves();
    gateway.store.panics_at("load", 1);
    let refusal = watch.refusal().await;
    is_internal(&refusal);
    let mut resumed = desk.resume(&watch.cursor).await;
    let told = [resumed.login().await, resumed.login().await];
    assert_eq!(told.each_ref().map(standing), ["redeemed", "approved"]);
    assert!(told[1].identity.is_some());
    counts(&gateway, "call", 1);
}

/// The phone may be ringing: that is what is said.
#[tokio::test(start_paused = true)]
async fn a_start_that_panics_at_the_provider_is_unknown() {
    let (stage, gateway) = Stage::with_gateway();
    let desk = gateway.desk();
    stage.provider.panics_at(Asked::Start, 1);
    let login = till(&desk, 1, NUMBER).await;
    assert_eq!(standing(&login), "start_unknown");
    assert_eq!(till(&desk, 1, NUMBER).await.login_id, login.login_id, "nobody is rung twice");
    assert_eq!(stage.provider.count(Asked::Start), 1);
    till(&desk, 2, OTHER_NUMBER).await;
    counts(&gateway, "start", 1);
}

/// A claim that was made is not forgotten: it ends by its deadline.
#[tokio::test(start_paused = true)]
async fn a_start_that_panics_at_the_store_ends_by_its_deadline() {
    let (_stage, gateway) = Stage::with_gateway();
    let desk = gateway.desk();
    gateway.store.panics_at("save", 1);
    is_internal(&desk.refused(at_the_till("r-1", NUMBER)).await);
    counts(&gateway, "start", 1);
    assert_eq!(standing(&till(&desk, 1, NUMBER).await), "start_unknown", "a retry waits for it");
}

/// Taken up again, and no earlier than the provider allows.
#[tokio::test(start_paused = true)]
async fn a_login_whose_poll_panics_is_taken_up_again() {
    let (stage, gateway) = Stage::with_gateway();
    let desk = gateway.desk();
    let (login, other) = (till(&desk, 1, NUMBER).await, till(&desk, 2, OTHER_NUMBER).await);
    stage.provider.panics_at(Asked::Poll, 2);
    pass(secs(19)).await;
    stage.provider.person_approves();
    for login in [&login, &other] {
        assert_eq!(standing(&desk.wait_for_end(login).await), "approved");
    }
    let polls = stage.provider.requests(Asked::Poll);
    for login in [1, 2] {
        let at: Vec<_> = polls.iter().filter(|poll| poll.about == login).map(|poll| poll.sent_at.as_millis()).collect();
        assert!(at.windows(2).all(|two| two[1] - two[0] == 5000), "login {login}: {at:?}");
    }
    counts(&gateway, "login", 2);
}

#[tokio::test(start_paused = true)]
async fn an_approval_outlives_a_panic() {
    let (stage, gateway) = Stage::with_gateway();
    let desk = gateway.desk();
    let login = till(&desk, 1, NUMBER).await;
    stage.provider.panics_at(Asked::Identify, 2);
    stage.provider.person_approves();
    assert_eq!(standing(&desk.wait_for_end(&login).await), "approved");
    counts(&gateway, "login", 2);
}

/// Nobody waits for what never comes, and the number is free again.
#[tokio::test(start_paused = true)]
async fn a_login_that_panics_again_and_again_ends() {
    let (stage, gateway) = Stage::with_gateway();
    let desk = gateway.desk();
    for (nth, asked) in [(1, Asked::Poll), (2, Asked::Identify)] {
        stage.provider.person_approves();
        stage.provider.panics_at(asked, 1000);
        let login = till(&desk, nth, NUMBER).await;
        assert_eq!(standing(&desk.wait_for_end(&login).await), "internal");
        assert_eq!(stage.provider.count(asked), 3);
    }
    stage.provider.panics_at(Asked::Poll, 0);
    till(&desk, 3, NUMBER).await;
    counts(&gateway, "login", 6);
}
