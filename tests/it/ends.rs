//! How logins end when several things happen at once: the first outcome wins.

use std::time::Duration;

use ciba_gateway::ciba::PollAnswer;
use ciba_gateway::provider::IdentifyError;
use ciba_gateway::session::FailureReason;
use futures_util::future::join_all;

use crate::support::client::{NUMBER, at_the_till, standing};
use crate::support::fake_provider::Asked;
use crate::support::stage::{Stage, pass, secs};

/// SR26: tokens that arrive after a cancel are dropped unseen, and revoked once.
#[tokio::test(start_paused = true)]
async fn a_cancel_beats_a_poll_in_flight() {
    let (stage, gateway) = Stage::with_gateway();
    stage.provider.poll_takes(secs(3));
    stage.provider.person_approves();
    let desk = gateway.desk();
    let login = desk.start(at_the_till("r-1", NUMBER)).await;
    pass(secs(6)).await;
    assert_eq!(desk.cancel(&login).await, "cancelled");
    pass(secs(60)).await;
    assert_eq!(desk.sees(&login).await, "cancelled");
    let provider = &stage.provider;
    assert_eq!(
        (provider.count(Asked::Poll), provider.count(Asked::Revoke), provider.count(Asked::Identify)),
        (1, 1, 0)
    );
    assert_eq!(gateway.poller.owned(), 0);
}

#[tokio::test(start_paused = true)]
async fn nothing_is_polled_after_a_cancel() {
    let (stage, owner) = Stage::with_gateway();
    let login = owner.desk().start(at_the_till("r-1", NUMBER)).await;
    pass(secs(7)).await;
    assert_eq!(stage.gateway().desk().cancel(&login).await, "cancelled", "from another replica");
    pass(secs(60)).await;
    assert_eq!(stage.provider.count(Asked::Poll), 1);
    assert_eq!(owner.desk().cancel(&login).await, "cancelled", "safe to repeat");
}

/// SR26: nobody is asked who it was once the login is cancelled.
#[tokio::test(start_paused = true)]
async fn a_cancel_beats_an_identification_in_flight() {
    for userinfo_is_down in [false, true] {
        let (stage, gateway) = Stage::with_gateway();
        stage.provider.person_approves();
        if userinfo_is_down {
            stage.provider.userinfo_goes_down();
        }
        stage.provider.identify_takes(secs(4));
        let desk = gateway.desk();
        let login = desk.start(at_the_till("r-1", NUMBER)).await;
        pass(secs(6)).await;
        assert_eq!(desk.sees(&login).await, "redeemed");
        assert_eq!(desk.cancel(&login).await, "cancelled");
        pass(secs(60)).await;
        assert_eq!(desk.sees(&login).await, "cancelled");
        assert_eq!((stage.provider.count(Asked::Identify), stage.provider.count(Asked::Revoke)), (1, 1));
        assert_eq!(gateway.poller.owned(), 0);
    }
}

#[tokio::test(start_paused = true)]
async fn a_cancel_after_the_end_changes_nothing() {
    let (stage, gateway) = Stage::with_gateway();
    stage.provider.person_denies();
    let desk = gateway.desk();
    let login = desk.start(at_the_till("r-1", NUMBER)).await;
    let end = desk.wait_for_end(&login).await;
    pass(secs(3)).await;
    assert_eq!(desk.try_cancel(&login.login_id).await.expect("a login"), end);
    assert_eq!(stage.provider.count(Asked::Revoke), 0);
}

#[tokio::test(start_paused = true)]
async fn userinfo_that_comes_back_in_time_is_read() {
    let (stage, gateway) = Stage::with_gateway();
    stage.provider.person_approves();
    stage.provider.userinfo_goes_down();
    let desk = gateway.desk();
    let login = desk.start(at_the_till("r-1", NUMBER)).await;
    pass(secs(25)).await;
    assert_eq!(desk.sees(&login).await, "redeemed");
    stage.provider.userinfo_comes_back();
    assert_eq!(standing(&desk.wait_for_end(&login).await), "approved");
}

#[tokio::test(start_paused = true)]
async fn thirty_seconds_without_userinfo_are_the_end() {
    let (stage, gateway) = Stage::with_gateway();
    stage.provider.person_approves();
    stage.provider.userinfo_goes_down();
    let desk = gateway.desk();
    let begun = stage.clock.now();
    let login = desk.start(at_the_till("r-1", NUMBER)).await;
    assert_eq!(standing(&desk.wait_for_end(&login).await), "provider_unavailable");
    assert_eq!(stage.clock.now().since(begun), secs(35));
    assert!(stage.provider.count(Asked::Identify) < 20, "it was not hammered");
    // Also when whoever asked for it is gone, and when one attempt never ends.
    let (stage, gateway) = Stage::with_gateway();
    stage.provider.person_approves();
    stage.provider.identify_takes(secs(3600));
    let login = gateway.desk().start(at_the_till("r-1", NUMBER)).await;
    assert_eq!(standing(&gateway.desk().wait_for_end(&login).await), "provider_unavailable");
}

/// R25-R50 end here: what must not be believed is no success.
#[tokio::test(start_paused = true)]
async fn a_rejected_answer_is_a_failure_without_an_identity() {
    for (reason, end) in [
        (FailureReason::IdTokenInvalid, "id_token_invalid"),
        (FailureReason::UserinfoInvalid, "userinfo_invalid"),
        (FailureReason::PhoneMismatch, "phone_mismatch"),
    ] {
        let (stage, gateway) = Stage::with_gateway();
        stage.provider.person_approves();
        stage.provider.does_not_identify(IdentifyError::Rejected(reason));
        let desk = gateway.desk();
        let login = desk.start(at_the_till("r-1", NUMBER)).await;
        let login = desk.wait_for_end(&login).await;
        assert_eq!((standing(&login).as_str(), login.identity), (end, None));
        assert_eq!(stage.provider.count(Asked::Identify), 1);
    }
}

/// An ended login is counted once, also when it is erased.
#[tokio::test(start_paused = true)]
async fn an_end_is_counted_once() {
    let (stage, gateway) = Stage::with_gateway();
    stage.provider.person_approves();
    let desk = gateway.desk();
    let login = desk.start(at_the_till("r-1", NUMBER)).await;
    desk.wait_for_end(&login).await;
    desk.erase(&login).await;
    desk.erase(&login).await;
    let metrics = gateway.metrics.encode().expect("metrics");
    let ended: Vec<_> = metrics.lines().filter(|line| line.contains("ended") && line.contains("approved")).collect();
    assert!(ended.len() == 1 && ended[0].ends_with(" 1"), "{ended:?}");
}

/// G3 (part): callers and poller race over a store that takes random time; all
/// who look see one outcome, for ever.
#[tokio::test(start_paused = true)]
async fn the_first_outcome_wins() {
    let mut outcomes = std::collections::BTreeSet::new();
    for seed in 0..150_u64 {
        let stage = Stage::new();
        let replicas = [stage.gateway(), stage.gateway(), stage.deaf_gateway()];
        match seed % 3 {
            0 => stage.provider.person_approves(),
            1 => stage.provider.answers_polls([PollAnswer::Denied]),
            _ => stage.provider.answers_polls([PollAnswer::Expired]),
        }
        let login = replicas[0].desk().start(at_the_till("r-1", NUMBER)).await;
        for (i, replica) in (0..).zip(&replicas) {
            replica.store.takes_random_time(seed * 7 + i);
        }
        let mut watches = Vec::new();
        for replica in &replicas {
            watches.push(replica.desk().watch(&login).await);
        }
        let desks: Vec<_> = replicas.iter().map(|replica| replica.desk()).collect();
        let cancels = join_all(desks.iter().skip(1).map(|desk| async {
            // The first poll is sent five seconds after the start.
            pass(Duration::from_millis(4900 + seed * 11 % 120)).await;
            desk.cancel(&login).await
        }));
        let (cancelled, seen) = tokio::join!(cancels, join_all(watches.iter_mut().map(|watch| watch.until_end())));
        let end = cancelled[0].clone();
        assert!(cancelled.iter().all(|outcome| *outcome == end), "seed {seed}: {cancelled:?}");
        assert!(seen.iter().all(|seen| seen.last() == Some(&end)), "seed {seed}: {end}, {seen:?}");
        pass(secs(400)).await;
        for desk in &desks {
            assert_eq!(desk.sees(&login).await, end, "seed {seed}");
        }
        outcomes.insert(end);
    }
    assert_eq!(outcomes.len(), 4, "the seeds must lead to different ends: {outcomes:?}");
}
