//! The store or the line to it fails, at the worst moments.

use std::time::Duration;

use ciba_gateway::ciba::StartAnswer;
use tonic::Code;

use crate::support::client::{NUMBER, at_the_till, standing};
use crate::support::fake_provider::Asked;
use crate::support::stage::{Stage, pass, secs};

/// The first poll falls into an outage that begins now.
const ALMOST_A_POLL: Duration = Duration::from_millis(4500);

#[tokio::test(start_paused = true)]
async fn a_store_that_is_down_starts_nothing_and_reads_as_nothing() {
    let (stage, gateway) = Stage::with_gateway();
    let desk = gateway.desk();
    let login = desk.start(at_the_till("r-1", NUMBER)).await;
    gateway.store.goes_down();
    let refusals = [
        desk.refused(at_the_till("r-2", "+4791234500")).await,
        desk.try_get(&login.login_id).await.expect_err("not NOT_FOUND"),
        desk.try_wait(&login.login_id, 1).await.expect_err("an outage"),
        desk.try_cancel(&login.login_id).await.expect_err("an outage"),
    ];
    for refusal in refusals {
        assert_eq!((refusal.code, refusal.reason.as_str()), (Code::Unavailable, "STORE_UNAVAILABLE"));
        assert_eq!(refusal.retry_after, Some(secs(2)));
    }
    assert_eq!(stage.provider.count(Asked::Start), 1);
}

/// The claim was made, the answer was lost: nothing may be left of it, because
/// nobody rings for it.
#[tokio::test(start_paused = true)]
async fn a_claim_whose_answer_is_lost_is_taken_back() {
    let (stage, gateway) = Stage::with_gateway();
    let desk = gateway.desk();
    for i in 1..=3 {
        gateway.store.loses_answers();
        assert_eq!(desk.refused(at_the_till(&format!("r-{i}"), NUMBER)).await.reason, "STORE_UNAVAILABLE");
        gateway.store.comes_back();
    }
    pass(secs(1)).await;
    assert_eq!(desk.list().await, []);
    let login = desk.start(at_the_till("r-1", NUMBER)).await;
    assert_eq!(standing(&login), "pending", "number, request_id and guard are free");
    assert_eq!(stage.provider.count(Asked::Start), 1);
}

/// Nothing was sent, and the store went down meanwhile.
#[tokio::test(start_paused = true)]
async fn a_start_that_did_not_happen_is_taken_back_when_the_store_is_back() {
    let (stage, gateway) = Stage::with_gateway();
    let desk = gateway.desk();
    stage.provider.answers_starts([StartAnswer::NotSent]);
    stage.provider.start_takes(secs(2));
    let going_down = async {
        pass(secs(1)).await;
        gateway.store.goes_down();
    };
    let (refusal, ()) = tokio::join!(desk.refused(at_the_till("r-1", NUMBER)), going_down);
    assert_eq!(refusal.reason, "PROVIDER_UNAVAILABLE");
    pass(secs(10)).await;
    gateway.store.comes_back();
    pass(secs(1)).await;
    assert_eq!(standing(&desk.start(at_the_till("r-1", NUMBER)).await), "pending");
}

/// The phone rings while the store is away: the answer is written later.
#[tokio::test(start_paused = true)]
async fn an_accepted_start_waits_for_the_store() {
    let (stage, gateway) = Stage::with_gateway();
    let desk = gateway.desk();
    stage.provider.start_takes(secs(2));
    let outage = async {
        pass(secs(1)).await;
        gateway.store.goes_down();
        pass(secs(20)).await;
        gateway.store.comes_back();
    };
    let (login, ()) = tokio::join!(desk.start(at_the_till("r-1", NUMBER)), outage);
    assert_eq!(standing(&login), "pending");
    stage.provider.person_approves();
    assert_eq!(standing(&desk.wait_for_end(&login).await), "approved");
    assert_eq!(stage.provider.count(Asked::Start), 1);
}

/// The exchange is single-use: tokens that cannot be written are kept.
#[tokio::test(start_paused = true)]
async fn tokens_wait_for_the_store() {
    let (stage, gateway) = Stage::with_gateway();
    let desk = gateway.desk();
    let login = desk.start(at_the_till("r-1", NUMBER)).await;
    stage.provider.person_approves();
    pass(ALMOST_A_POLL).await;
    gateway.store.goes_down();
    pass(secs(60)).await;
    assert_eq!(stage.provider.count(Asked::Poll), 1);
    assert_eq!(stage.provider.count(Asked::Identify), 0, "written before anything else is done with them");
    gateway.store.comes_back();
    assert_eq!(standing(&desk.wait_for_end(&login).await), "approved");
    assert_eq!(stage.provider.count(Asked::Poll), 1);
}

#[tokio::test(start_paused = true)]
async fn tokens_whose_writing_was_not_answered_are_used_once() {
    let (stage, gateway) = Stage::with_gateway();
    let desk = gateway.desk();
    let login = desk.start(at_the_till("r-1", NUMBER)).await;
    stage.provider.person_approves();
    pass(ALMOST_A_POLL).await;
    gateway.store.loses_answers();
    pass(secs(8)).await;
    gateway.store.comes_back();
    assert_eq!(standing(&desk.wait_for_end(&login).await), "approved");
    assert_eq!((stage.provider.count(Asked::Poll), stage.provider.count(Asked::Revoke)), (1, 0));
}

/// Even when the time is up by the login's own clock.
#[tokio::test(start_paused = true)]
async fn tokens_are_kept_past_the_deadline_of_a_store_that_was_away() {
    let (stage, gateway) = Stage::with_gateway();
    let desk = gateway.desk();
    let login = desk.start(at_the_till("r-1", NUMBER)).await;
    pass(secs(294) + ALMOST_A_POLL).await;
    stage.provider.person_approves();
    gateway.store.goes_down();
    pass(secs(30)).await;
    gateway.store.comes_back();
    pass(secs(6)).await;
    assert_eq!(desk.sees(&login).await, "approved");
}

#[tokio::test(start_paused = true)]
async fn a_denial_waits_for_the_store() {
    let (stage, gateway) = Stage::with_gateway();
    let desk = gateway.desk();
    let login = desk.start(at_the_till("r-1", NUMBER)).await;
    stage.provider.person_denies();
    pass(ALMOST_A_POLL).await;
    gateway.store.goes_down();
    pass(secs(60)).await;
    gateway.store.comes_back();
    assert_eq!(standing(&desk.wait_for_end(&login).await), "denied");
    assert_eq!(stage.provider.count(Asked::Poll), 1);
}

/// A watcher is told of the outage, not of an end that is none.
#[tokio::test(start_paused = true)]
async fn a_store_that_is_down_at_the_deadline_is_no_expiry() {
    let (_stage, gateway) = Stage::with_gateway();
    let desk = gateway.desk();
    let login = desk.start(at_the_till("r-1", NUMBER)).await;
    gateway.stops_polling().await;
    let mut watch = desk.watch(&login).await;
    gateway.store.goes_down();
    assert_eq!(watch.login().await.login_id, login.login_id);
    let end = loop {
        match watch.next().await {
            crate::support::client::Seen::Heartbeat => {}
            other => break other,
        }
    };
    let crate::support::client::Seen::Refused(refusal) = end else { panic!("{end:?}") };
    assert_eq!((refusal.code, refusal.reason.as_str()), (Code::Unavailable, "STORE_UNAVAILABLE"));
}

/// The store forgot that the phone was asked, as after a failover; whoever asked
/// did not.
#[tokio::test(start_paused = true)]
async fn what_a_rolled_back_store_forgot_is_put_back() {
    let (stage, gateway) = Stage::with_gateway();
    stage.provider.person_approves();
    let desk = gateway.desk();
    gateway.store.forgets_writes();
    let login = desk.start(at_the_till("r-1", NUMBER)).await;
    gateway.store.comes_back();
    pass(secs(6)).await;
    assert_eq!(desk.sees(&login).await, "approved");
    assert_eq!((stage.provider.count(Asked::Start), stage.provider.count(Asked::Revoke)), (1, 0));
}
