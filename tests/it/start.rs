//! Starting a login: its three ends, one push for each `request_id`, and one
//! live login for each number.

use std::time::Duration;

use ciba_gateway::ciba::{Refusal as ProviderRefusal, StartAnswer, Unclear};
use futures_util::future::join_all;
use tonic::Code;

use crate::support::client::{NUMBER, OTHER_NUMBER, at_the_till, on_a_call, standing};
use crate::support::fake_provider::{Asked, FULL_NAME, SUBJECT};
use crate::support::stage::{GUARD_WINDOW, Stage, pass, secs};

/// R11: two pendings, success, then the resource call.
#[tokio::test(start_paused = true)]
async fn a_person_is_asked_and_says_yes() {
    let (stage, gateway) = Stage::with_gateway();
    let desk = gateway.desk();
    let login = desk.start(at_the_till("r-1", NUMBER)).await;
    assert_eq!(standing(&login), "pending");
    pass(secs(12)).await;
    stage.provider.person_approves();
    let login = desk.wait_for_end(&login).await;
    assert_eq!(standing(&login), "approved");
    let identity = login.identity.expect("an identity");
    assert_eq!((identity.sub.as_str(), identity.name.as_str()), (SUBJECT, FULL_NAME));
    assert_eq!(stage.provider.polled_after(), [5, 10, 15]);
    assert_eq!(stage.provider.count(Asked::Identify), 1);
}

/// The second end: answered about the person. OK, and never polled.
#[tokio::test(start_paused = true)]
async fn an_answer_about_the_person_is_an_end_not_an_error() {
    for (answer, end) in [
        (ProviderRefusal::PersonUnknown, "person_unknown"),
        (ProviderRefusal::AppTooOld, "app_too_old"),
        (ProviderRefusal::InvalidScope, "scope_refused"),
        (ProviderRefusal::UnknownError, "provider_error"),
    ] {
        let (stage, gateway) = Stage::with_gateway();
        stage.provider.answers_starts([StartAnswer::Refused(answer)]);
        let desk = gateway.desk();
        let login = desk.start(at_the_till("r-1", NUMBER)).await;
        assert_eq!(standing(&login), end);
        pass(secs(60)).await;
        assert_eq!(stage.provider.count(Asked::Poll), 0, "R17-R21: no poll after {end}");
        // The request_id is spent: the same login again, and no second push.
        assert_eq!(desk.start(at_the_till("r-1", NUMBER)).await.login_id, login.login_id);
        assert_eq!(stage.provider.count(Asked::Start), 1);
    }
}

/// The third end: the phone may be ringing, so the `request_id` stays spent.
#[tokio::test(start_paused = true)]
async fn an_answer_that_says_nothing_ends_as_unknown() {
    for unclear in [Unclear::TimedOut, Unclear::Interrupted, Unclear::Status(502), Unclear::Unreadable] {
        let (stage, gateway) = Stage::with_gateway();
        stage.provider.answers_starts([StartAnswer::Unclear(unclear)]);
        let desk = gateway.desk();
        let login = desk.start(at_the_till("r-1", NUMBER)).await;
        assert_eq!(standing(&login), "start_unknown");
        assert_eq!(desk.start(at_the_till("r-1", NUMBER)).await.login_id, login.login_id);
        assert_eq!(stage.provider.count(Asked::Start), 1);
    }
}

/// The first end: nothing was started, and the same `request_id` works later.
#[tokio::test(start_paused = true)]
async fn a_start_that_did_not_happen_can_be_tried_again() {
    for (answer, code, reason, retry_after) in [
        (StartAnswer::NotSent, Code::Unavailable, "PROVIDER_UNAVAILABLE", Some(secs(2))),
        (StartAnswer::Busy { retry_after: Some(secs(17)) }, Code::ResourceExhausted, "PROVIDER_BUSY", Some(secs(17))),
        (StartAnswer::Busy { retry_after: None }, Code::ResourceExhausted, "PROVIDER_BUSY", Some(secs(30))),
        (StartAnswer::CredentialsRefused, Code::FailedPrecondition, "PROVIDER_CREDENTIALS_REFUSED", None),
    ] {
        let (stage, gateway) = Stage::with_gateway();
        stage.provider.answers_starts([answer]);
        let desk = gateway.desk();
        let refusal = desk.refused(at_the_till("r-1", NUMBER)).await;
        assert_eq!((refusal.code, refusal.reason.as_str(), refusal.retry_after), (code, reason, retry_after));
        assert_eq!(desk.list().await, [], "nothing is left of it");
        pass(retry_after.unwrap_or_default()).await;
        assert_eq!(standing(&desk.start(at_the_till("r-1", NUMBER)).await), "pending");
    }
}

#[tokio::test(start_paused = true)]
async fn a_caller_who_hangs_up_does_not_stop_the_start() {
    let (stage, gateway) = Stage::with_gateway();
    stage.provider.start_takes(secs(4));
    let desk = gateway.desk();
    let hung_up = tokio::time::timeout(secs(1), desk.try_start(at_the_till("r-1", NUMBER))).await;
    assert!(hung_up.is_err());
    let login = desk.start(at_the_till("r-1", NUMBER)).await;
    assert_eq!(standing(&login), "pending");
    assert_eq!(stage.provider.count(Asked::Start), 1);
    stage.provider.person_approves();
    assert_eq!(standing(&desk.wait_for_end(&login).await), "approved");
}

/// The store may have made the claim: whoever hung up must not leave a login
/// that nobody asks the provider about.
#[tokio::test(start_paused = true)]
async fn a_caller_who_hangs_up_while_the_store_thinks_does_not_stop_the_start() {
    let (stage, gateway) = Stage::with_gateway();
    gateway.store.takes(secs(2));
    let desk = gateway.desk();
    for when in [secs(1), secs(3)] {
        let request = at_the_till(&format!("r-{}", when.as_secs()), &format!("+479123450{}", when.as_secs()));
        let hung_up = tokio::time::timeout(when, desk.try_start(request.clone())).await;
        assert!(hung_up.is_err());
        assert_eq!(standing(&desk.start(request).await), "pending");
    }
    assert_eq!(stage.provider.count(Asked::Start), 2);
}

/// G7.
#[tokio::test(start_paused = true)]
async fn fifty_callers_with_one_request_id_ring_once() {
    let (stage, gateway) = Stage::with_gateway();
    stage.provider.start_takes(secs(3));
    let (desk, other) = (gateway.desk(), stage.gateway().desk());
    let starts = (0..50).map(|i| if i % 2 == 0 { &desk } else { &other });
    let logins = join_all(starts.map(|caller| caller.start(at_the_till("r-1", NUMBER)))).await;
    assert_eq!(stage.provider.count(Asked::Start), 1);
    assert!(logins.iter().all(|login| login.login_id == logins[0].login_id && standing(login) == "pending"));
}

#[tokio::test(start_paused = true)]
async fn a_request_id_means_one_content() {
    let (stage, gateway) = Stage::with_gateway();
    let desk = gateway.desk();
    desk.start(at_the_till("r-1", NUMBER)).await;
    let changed = [
        at_the_till("r-1", OTHER_NUMBER),
        on_a_call("r-1", NUMBER),
        ciba_gateway::grpc::v1::StartLoginRequest { call_id: "c-1".to_owned(), ..at_the_till("r-1", NUMBER) },
    ];
    for request in changed {
        let refusal = desk.refused(request).await;
        assert_eq!((refusal.code, refusal.reason.as_str()), (Code::AlreadyExists, "REQUEST_ID_REUSED"));
    }
    assert_eq!(stage.provider.count(Asked::Start), 1);
    // Another tenant's client of the same name has its own.
    assert_eq!(standing(&gateway.stranger().start(at_the_till("r-1", OTHER_NUMBER)).await), "pending");
}

/// G8, SR7, SR6: at most one live login for a number, whoever asks.
#[tokio::test(start_paused = true)]
async fn a_number_has_one_live_login() {
    let (stage, gateway) = Stage::with_gateway();
    let desk = gateway.desk();
    let login = desk.start(on_a_call("r-1", NUMBER)).await;
    let bob = gateway.desk().without_agent();
    let refusal = bob
        .refused(ciba_gateway::grpc::v1::StartLoginRequest { agent_id: "bob".to_owned(), ..on_a_call("r-2", NUMBER) })
        .await;
    assert_eq!((refusal.code, refusal.reason.as_str()), (Code::FailedPrecondition, "NUMBER_BUSY"));
    for whose in ["ada", "desk", &login.login_id, "4791234567", "67"] {
        assert!(!refusal.message.contains(whose), "{refusal:?} says whose");
    }
    assert_eq!(stage.provider.count(Asked::Start), 1);
    desk.cancel(&login).await;
    assert_eq!(standing(&desk.start(on_a_call("r-3", NUMBER)).await), "pending");
}

/// SR7: the next one is refused without any upstream call, and RetryInfo is true.
#[tokio::test(start_paused = true)]
async fn the_fourth_start_in_ten_minutes_waits_as_long_as_it_is_told() {
    let (stage, gateway) = Stage::with_gateway();
    let desk = gateway.desk();
    for i in 1..=3 {
        let login = desk.start(at_the_till(&format!("r-{i}"), NUMBER)).await;
        desk.cancel(&login).await;
        pass(secs(7)).await;
    }
    let refusal = desk.refused(at_the_till("r-4", NUMBER)).await;
    assert_eq!((refusal.code, refusal.reason.as_str()), (Code::ResourceExhausted, "TOO_MANY_STARTS"));
    let wait = refusal.retry_after.expect("RetryInfo");
    assert_eq!(wait, GUARD_WINDOW - secs(21));
    pass(wait - Duration::from_millis(10)).await;
    assert_eq!(desk.refused(at_the_till("r-4", NUMBER)).await.reason, "TOO_MANY_STARTS");
    assert_eq!(stage.provider.count(Asked::Start), 3);
    pass(Duration::from_millis(10)).await;
    assert_eq!(standing(&desk.start(at_the_till("r-4", NUMBER)).await), "pending");
}

#[tokio::test(start_paused = true)]
async fn only_a_start_that_was_not_sent_is_not_counted() {
    for (answer, counts) in [
        (StartAnswer::NotSent, false),
        (StartAnswer::CredentialsRefused, true),
        (StartAnswer::Busy { retry_after: None }, true),
    ] {
        let (stage, gateway) = Stage::with_gateway();
        let desk = gateway.desk();
        stage.provider.answers_starts(vec![answer.clone(); 3]);
        for i in 1..=3 {
            desk.refused(at_the_till(&format!("r-{i}"), NUMBER)).await;
        }
        let fourth = desk.try_start(at_the_till("r-4", NUMBER)).await;
        assert_eq!(fourth.is_err(), counts, "{answer:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_cancel_during_the_start_wins() {
    let (stage, gateway) = Stage::with_gateway();
    stage.provider.start_takes(secs(4));
    stage.provider.person_approves();
    let desk = gateway.desk();
    let cancelling = async {
        pass(secs(1)).await;
        let starting = desk.list().await.remove(0);
        assert_eq!(standing(&starting), "starting");
        assert_eq!(desk.cancel(&starting).await, "cancelled");
    };
    let (login, ()) = tokio::join!(desk.start(at_the_till("r-1", NUMBER)), cancelling);
    assert_eq!(standing(&login), "cancelled");
    pass(secs(60)).await;
    assert_eq!(desk.sees(&login).await, "cancelled");
    assert_eq!(stage.provider.count(Asked::Poll), 0);
}

/// Whoever waits with the same `request_id` is told that nothing was started.
#[tokio::test(start_paused = true)]
async fn a_retry_that_waits_for_a_start_that_is_taken_back_may_try_again() {
    let (stage, gateway) = Stage::with_gateway();
    stage.provider.start_takes(secs(3));
    stage.provider.answers_starts([StartAnswer::Busy { retry_after: None }]);
    let desk = gateway.desk();
    let (first, second) =
        tokio::join!(desk.refused(at_the_till("r-1", NUMBER)), desk.refused(at_the_till("r-1", NUMBER)));
    let mut reasons = [first.reason, second.reason];
    reasons.sort();
    assert_eq!(reasons, ["PROVIDER_BUSY", "START_WITHDRAWN"]);
    pass(secs(30)).await;
    assert_eq!(standing(&desk.start(at_the_till("r-1", NUMBER)).await), "pending");
}

/// SR18: whatever the provider grants, ten minutes and what was asked for hold.
#[tokio::test(start_paused = true)]
async fn a_generous_provider_does_not_lengthen_a_login() {
    for (lifetime, ends_after) in [(600, 605), (90, 95)] {
        let (stage, gateway) = Stage::with_gateway();
        stage.provider.grants(secs(900));
        let desk = gateway.desk();
        let lifetime = Some(prost_types::Duration { seconds: lifetime, nanos: 0 });
        let request = ciba_gateway::grpc::v1::StartLoginRequest { lifetime, ..at_the_till("r-1", NUMBER) };
        let begun = stage.clock.now();
        let login = desk.start(request).await;
        assert_eq!(standing(&desk.wait_for_end(&login).await), "expired");
        assert_eq!(stage.clock.now().since(begun).as_secs(), ends_after);
    }
}
