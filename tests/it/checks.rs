//! Asking whether a number can log in: answered, and guarded as a start is.

use ciba_gateway::ciba::{CheckAnswer, Refusal as ProviderRefusal};
use ciba_gateway::grpc::v1;
use tonic::Code;

use crate::support::client::{NUMBER, OTHER_NUMBER, about, at_the_till, standing};
use crate::support::fake_provider::Asked;
use crate::support::stage::{GUARD_WINDOW, Stage, pass, secs};

#[tokio::test(start_paused = true)]
async fn a_number_is_usable_or_not() {
    let (stage, gateway) = Stage::with_gateway();
    stage.provider.answers_checks([CheckAnswer::Usable(false), CheckAnswer::Usable(true)]);
    let desk = gateway.desk();
    assert_eq!(desk.check(about(NUMBER)).await, Ok(false));
    assert_eq!(desk.check(about(OTHER_NUMBER)).await, Ok(true));
    assert_eq!(stage.provider.count(Asked::Start), 0);
}

#[tokio::test(start_paused = true)]
async fn what_the_provider_does_not_say_is_no_answer_about_the_number() {
    for (answer, code, reason) in [
        (CheckAnswer::Busy { retry_after: None }, Code::ResourceExhausted, "PROVIDER_BUSY"),
        (CheckAnswer::CredentialsRefused, Code::FailedPrecondition, "PROVIDER_CREDENTIALS_REFUSED"),
        (CheckAnswer::Refused(ProviderRefusal::UnauthorizedClient), Code::FailedPrecondition, "PROVIDER_REFUSED"),
        (CheckAnswer::NotOffered, Code::Unimplemented, "NOT_SUPPORTED"),
        (CheckAnswer::Unavailable, Code::Unavailable, "PROVIDER_UNAVAILABLE"),
    ] {
        let (stage, gateway) = Stage::with_gateway();
        stage.provider.answers_checks([answer]);
        let refusal = gateway.desk().check(about(NUMBER)).await.expect_err("a refusal");
        assert_eq!((refusal.code, refusal.reason.as_str()), (code, reason));
    }
}

/// SR8: a check counts as a start does, and starts count for checks.
#[tokio::test(start_paused = true)]
async fn checks_and_starts_count_together() {
    let (stage, gateway) = Stage::with_gateway();
    let desk = gateway.desk();
    desk.check(about(NUMBER)).await.expect("an answer");
    let login = desk.start(at_the_till("r-1", NUMBER)).await;
    desk.cancel(&login).await;
    pass(secs(60)).await;
    desk.check(about(NUMBER)).await.expect("an answer");
    let check = desk.check(about(NUMBER)).await.expect_err("a refusal");
    let start = desk.refused(at_the_till("r-2", NUMBER)).await;
    for refusal in [check, start] {
        assert_eq!((refusal.code, refusal.reason.as_str()), (Code::ResourceExhausted, "TOO_MANY_STARTS"));
        assert_eq!((refusal.told("limit"), refusal.retry_after), (Some("number"), Some(GUARD_WINDOW - secs(60))));
    }
    assert_eq!((stage.provider.count(Asked::Check), stage.provider.count(Asked::Start)), (2, 1));
}

/// SR9: who has said no is not asked about either.
#[tokio::test(start_paused = true)]
async fn nobody_asks_about_a_number_that_has_said_no() {
    let (stage, gateway) = Stage::with_gateway();
    let desk = gateway.desk();
    stage.provider.person_denies();
    let login = desk.start(at_the_till("r-1", NUMBER)).await;
    assert_eq!(standing(&desk.wait_for_end(&login).await), "denied");
    let refusal = desk.check(about(NUMBER)).await.expect_err("a refusal");
    assert_eq!((refusal.reason.as_str(), refusal.told("limit")), ("TOO_MANY_STARTS", Some("number")));
    assert_eq!(stage.provider.count(Asked::Check), 0);
}

/// A pause that the provider wants holds for checks and starts alike.
#[tokio::test(start_paused = true)]
async fn a_busy_provider_is_left_alone() {
    let (stage, gateway) = Stage::with_gateway();
    stage.provider.answers_checks([CheckAnswer::Busy { retry_after: Some(secs(40)) }]);
    let desk = gateway.desk();
    let busy = desk.check(about(NUMBER)).await.expect_err("a refusal");
    assert_eq!((busy.reason.as_str(), busy.retry_after), ("PROVIDER_BUSY", Some(secs(40))));
    pass(secs(10)).await;
    let start = desk.refused(at_the_till("r-1", NUMBER)).await;
    assert_eq!((start.reason.as_str(), start.retry_after), ("PROVIDER_BUSY", Some(secs(30))));
    assert_eq!(stage.provider.count(Asked::Start), 0);
    pass(secs(30)).await;
    assert_eq!(desk.check(about(NUMBER)).await, Ok(true));
}

/// SR2: a client keeps to its channels; nothing is asked for others.
#[tokio::test(start_paused = true)]
async fn a_check_needs_what_a_start_needs() {
    let (stage, gateway) = Stage::with_gateway();
    let kiosk = gateway.kiosk();
    let on_a_call = v1::CheckPhoneRequest { channel: v1::Channel::CallCentre.into(), ..about(NUMBER) };
    let refusal = kiosk.check(on_a_call.clone()).await.expect_err("a refusal");
    assert_eq!(refusal.fields, ["agent_id"]);
    let with_agent = v1::CheckPhoneRequest { agent_id: "ada".to_owned(), ..on_a_call };
    assert_eq!(kiosk.check(with_agent).await.expect_err("a refusal").reason, "CHANNEL_NOT_ALLOWED");
    let nothing = gateway.desk().check(v1::CheckPhoneRequest::default()).await.expect_err("a refusal");
    assert_eq!(nothing.fields, ["phone_number", "channel"]);
    assert_eq!(stage.provider.count(Asked::Check), 0);
}
