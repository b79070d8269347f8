//! When the provider is asked, and when it is left alone.

use std::time::Duration;

use ciba_gateway::ciba::{PollAnswer, Refusal};
use ciba_gateway::grpc::v1;

use crate::support::client::{NUMBER, OTHER_NUMBER, at_the_till, on_a_call, standing};
use crate::support::fake_provider::{Asked, FakeProvider, pending, slow_down, trouble};
use crate::support::stage::{Stage, pass, secs};

fn lasting(seconds: i64) -> v1::StartLoginRequest {
    let lifetime = Some(prost_types::Duration { seconds, nanos: 0 });
    v1::StartLoginRequest { lifetime, ..at_the_till("r-1", NUMBER) }
}

/// From the end of each answer to the next sending.
fn pauses(provider: &FakeProvider) -> Vec<Duration> {
    let polls = provider.requests(Asked::Poll);
    let answered = polls.iter().filter_map(|poll| poll.answered_at);
    answered.zip(polls.iter().skip(1)).map(|(answered, next)| next.sent_at.since(answered)).collect()
}

#[tokio::test(start_paused = true)]
async fn one_interval_lies_between_an_answer_and_the_next_question() {
    let (stage, gateway) = Stage::with_gateway();
    stage.provider.poll_takes(secs(3));
    gateway.desk().start(at_the_till("r-1", NUMBER)).await;
    pass(secs(40)).await;
    assert_eq!(stage.provider.polled_after(), [5, 13, 21, 29, 37]);
    assert!(!stage.provider.was_polled_twice_at_once());
}

/// R15: interval 31 s, no poll earlier, the first one included.
#[tokio::test(start_paused = true)]
async fn a_long_interval_is_respected() {
    let (stage, gateway) = Stage::with_gateway();
    stage.provider.interval_is(secs(31));
    gateway.desk().start(at_the_till("r-1", NUMBER)).await;
    pass(secs(130)).await;
    assert_eq!(stage.provider.polled_after(), [31, 62, 93, 124]);
}

/// R16: the second poll answers `slow_down`; five seconds more, for good.
#[tokio::test(start_paused = true)]
async fn slow_down_lasts() {
    let (stage, gateway) = Stage::with_gateway();
    stage.provider.answers_polls([pending(), slow_down(), pending(), pending(), slow_down()]);
    gateway.desk().start(at_the_till("r-1", NUMBER)).await;
    pass(secs(80)).await;
    assert_eq!(stage.provider.polled_after(), [5, 10, 20, 30, 40, 55, 70]);
}

#[tokio::test(start_paused = true)]
async fn a_brake_is_obeyed_once() {
    for answer in
        [PollAnswer::Pending { retry_after: Some(secs(23)) }, PollAnswer::Trouble { retry_after: Some(secs(23)) }]
    {
        let (stage, gateway) = Stage::with_gateway();
        stage.provider.answers_polls([answer]);
        gateway.desk().start(at_the_till("r-1", NUMBER)).await;
        pass(secs(36)).await;
        assert_eq!(stage.provider.polled_after(), [5, 28, 33]);
    }
}

#[tokio::test(start_paused = true)]
async fn trouble_backs_off_and_never_polls_earlier() {
    let (stage, gateway) = Stage::with_gateway();
    stage.provider.answers_polls([trouble(), trouble(), trouble(), trouble(), pending()]);
    gateway.desk().start(at_the_till("r-1", NUMBER)).await;
    pass(secs(200)).await;
    let pauses = pauses(&stage.provider);
    for (pause, least) in pauses.iter().zip([5, 10, 20, 40]) {
        assert!((secs(least)..=secs(least) * 3 / 2).contains(pause), "{pauses:?}");
    }
    assert_eq!(pauses[4], secs(5), "an answer ends the back-off");
}

/// An approval in the last seconds is still seen.
#[tokio::test(start_paused = true)]
async fn the_last_poll_falls_just_before_the_end() {
    let (stage, gateway) = Stage::with_gateway();
    stage.provider.interval_is(secs(25));
    let login = gateway.desk().start(lasting(60)).await;
    pass(secs(58)).await;
    assert_eq!(stage.provider.polled_after(), [25]);
    stage.provider.person_approves();
    assert_eq!(standing(&gateway.desk().wait_for_end(&login).await), "approved");
    assert_eq!(stage.provider.polled_after(), [25, 59]);
}

/// R22-R24: the poller stops for good; nothing more for longer than five seconds.
#[tokio::test(start_paused = true)]
async fn an_answer_that_ends_the_login_is_the_last() {
    for (answer, end) in [
        (PollAnswer::Refused(Refusal::InvalidRequest), "request_refused"),
        (PollAnswer::Denied, "denied"),
        (PollAnswer::Expired, "expired"),
        (PollAnswer::Refused(Refusal::TransactionFailed), "provider_error"),
    ] {
        let (stage, gateway) = Stage::with_gateway();
        stage.provider.answers_polls([pending(), pending(), answer]);
        let desk = gateway.desk();
        let login = desk.start(at_the_till("r-1", NUMBER)).await;
        assert_eq!(standing(&desk.wait_for_end(&login).await), end);
        stage.provider.person_approves();
        pass(secs(400)).await;
        assert_eq!(stage.provider.count(Asked::Poll), 3);
        assert_eq!((desk.sees(&login).await.as_str(), stage.provider.count(Asked::Identify)), (end, 0));
        assert_eq!(gateway.poller.owned(), 0, "no task is left");
    }
}

/// `invalid_client` says nothing about the person: polling with the credential
/// pauses, for every login, and goes on later.
#[tokio::test(start_paused = true)]
async fn a_refused_credential_pauses_and_recovers() {
    let (stage, gateway) = Stage::with_gateway();
    stage.provider.answers_polls([PollAnswer::CredentialsRefused]);
    let desk = gateway.desk();
    let first = desk.start(at_the_till("r-1", NUMBER)).await;
    pass(secs(2)).await;
    let second = desk.start(at_the_till("r-2", OTHER_NUMBER)).await;
    pass(secs(62)).await;
    assert_eq!(stage.provider.polled_after(), [5], "nobody asks with it for a minute");
    assert_eq!((desk.sees(&first).await, desk.sees(&second).await), ("pending".to_owned(), "pending".to_owned()));
    stage.provider.person_approves();
    for login in [first, second] {
        assert_eq!(standing(&desk.wait_for_end(&login).await), "approved");
    }
}

/// SR31: a new secret ends the pause, for every login, within the interval of each.
#[tokio::test(start_paused = true)]
async fn a_renewed_credential_is_tried_at_once() {
    let (stage, gateway) = Stage::with_gateway();
    stage.provider.answers_polls([PollAnswer::CredentialsRefused]);
    stage.provider.person_approves();
    let desk = gateway.desk();
    let first = desk.start(at_the_till("r-1", NUMBER)).await;
    let second = desk.start(at_the_till("r-2", OTHER_NUMBER)).await;
    pass(secs(7)).await;
    assert_eq!(stage.provider.polled_after(), [5], "the second login is braked too");
    gateway.credential.renewed();
    pass(secs(5)).await;
    assert_eq!((desk.sees(&first).await, desk.sees(&second).await), ("approved".to_owned(), "approved".to_owned()));
    assert!(stage.provider.polled_after().iter().all(|gap| *gap >= 5), "{:?}", stage.provider.polled_after());
}

/// SR31: an answer to the old secret that arrives late brakes the new one no more.
#[tokio::test(start_paused = true)]
async fn a_late_refusal_of_the_old_secret_is_not_held_against_the_new_one() {
    let (stage, gateway) = Stage::with_gateway();
    stage.provider.answers_polls([PollAnswer::CredentialsRefused]);
    stage.provider.person_approves();
    stage.provider.poll_takes(secs(3));
    let desk = gateway.desk();
    let login = desk.start(at_the_till("r-1", NUMBER)).await;
    pass(secs(6)).await;
    gateway.credential.renewed();
    pass(secs(12)).await;
    assert_eq!(desk.sees(&login).await, "approved");
}

/// Another replica may just be writing the result.
#[tokio::test(start_paused = true)]
async fn a_result_is_lost_only_after_three_seconds_of_waiting_for_it() {
    let (stage, gateway) = Stage::with_gateway();
    stage.provider.answers_polls([PollAnswer::InvalidGrant]);
    let desk = gateway.desk();
    let login = desk.start(at_the_till("r-1", NUMBER)).await;
    pass(Duration::from_millis(7900)).await;
    assert_eq!(desk.sees(&login).await, "pending");
    pass(Duration::from_millis(200)).await;
    assert_eq!(desk.sees(&login).await, "result_lost");
    pass(secs(60)).await;
    assert_eq!(stage.provider.count(Asked::Poll), 1);
}

/// An outage is no expiry.
#[tokio::test(start_paused = true)]
async fn a_provider_that_is_gone_until_the_end_is_named() {
    let (stage, gateway) = Stage::with_gateway();
    stage.provider.answers_polls(vec![trouble(); 100]);
    let desk = gateway.desk();
    let login = desk.start(lasting(120)).await;
    assert_eq!(standing(&desk.wait_for_end(&login).await), "provider_unavailable");
    assert_eq!(desk.get(&login).await.end_time.expect("an end").seconds, 1_800_000_120);
}

#[tokio::test(start_paused = true)]
async fn a_provider_that_comes_back_before_the_end_is_forgiven() {
    let (stage, gateway) = Stage::with_gateway();
    stage.provider.answers_polls(vec![trouble(); 3]);
    let desk = gateway.desk();
    let login = desk.start(lasting(120)).await;
    assert_eq!(standing(&desk.wait_for_end(&login).await), "expired");
}

/// Typing a code changes the record, not the schedule.
#[tokio::test(start_paused = true)]
async fn a_change_of_the_login_does_not_make_a_poll_earlier() {
    let (stage, gateway) = Stage::with_gateway();
    stage.provider.answers_polls([slow_down()]);
    let desk = gateway.desk();
    let login = desk.start(on_a_call("r-1", NUMBER)).await;
    for nth in 0..2 {
        pass(secs(7)).await;
        desk.confirm(&login, &stage.provider.wrong_code(nth)).await;
    }
    pass(secs(13)).await;
    assert_eq!(stage.provider.polled_after(), [5, 15, 25]);
}

#[tokio::test(start_paused = true)]
async fn a_poller_that_stops_sees_the_poll_in_flight_through() {
    let (stage, gateway) = Stage::with_gateway();
    stage.provider.poll_takes(secs(4));
    stage.provider.person_approves();
    let desk = gateway.desk();
    let login = desk.start(at_the_till("r-1", NUMBER)).await;
    pass(secs(6)).await;
    gateway.stops_polling().await;
    assert_eq!(desk.sees(&login).await, "redeemed");
    pass(secs(20)).await;
    assert_eq!(stage.provider.count(Asked::Poll), 1);
}
