//! Read-back: the person reads the code from the app, the agent types it, and
//! until it matches nobody sees who it is.

use ciba_gateway::grpc::v1;
use ciba_gateway::language::Language;
use ciba_gateway::phone::BindingCode;
use tonic::Code;

use crate::support::client::{NUMBER, OTHER_NUMBER, at_the_till, on_a_call, standing};
use crate::support::fake_provider::{Asked, FULL_NAME, SUBJECT};
use crate::support::stage::{Stage, pass, secs};

fn matched(standing: &str) -> (bool, u32, String) {
    (true, 0, standing.to_owned())
}

fn wrong(tries_left: u32, standing: &str) -> (bool, u32, String) {
    (false, tries_left, standing.to_owned())
}

#[tokio::test(start_paused = true)]
async fn the_code_may_be_typed_before_the_approval() {
    let (stage, gateway) = Stage::with_gateway();
    let desk = gateway.desk();
    let login = desk.start(on_a_call("r-1", NUMBER)).await;
    let code = stage.provider.code_in_the_app();
    assert_eq!(desk.confirm(&login, &code).await, matched("pending"));
    assert_eq!(desk.confirm(&login, &code).await, matched("pending"), "again is harmless");
    assert!(desk.get(&login).await.code_matched);
    stage.provider.person_approves();
    let login = desk.wait_for_end(&login).await;
    assert_eq!((standing(&login).as_str(), login.identity.expect("an identity").sub.as_str()), ("approved", SUBJECT));
    assert_eq!(stage.provider.polled_after(), [5]);
}

#[tokio::test(start_paused = true)]
async fn the_code_may_be_typed_after_the_approval() {
    let (stage, gateway) = Stage::with_gateway();
    let desk = gateway.desk();
    stage.provider.person_approves();
    let login = desk.start(on_a_call("r-1", NUMBER)).await;
    pass(secs(40)).await;
    assert_eq!(desk.sees(&login).await, "awaiting_code");
    let spoken = stage.provider.code_in_the_app().to_lowercase();
    let spoken = format!(" {}-{} ", &spoken[..2], &spoken[2..]);
    assert_eq!(desk.confirm(&login, &spoken).await, matched("approved"));
    // As after a lost answer.
    assert_eq!(desk.confirm(&login, &spoken).await, matched("approved"));
    let late = desk.try_confirm(&login.login_id, &stage.provider.wrong_code(0)).await.expect_err("too late");
    assert_eq!((late.code, late.reason.as_str()), (Code::FailedPrecondition, "LOGIN_ENDED"));
}

/// SR15, G9: three tries, approved or not; then no identity ever.
#[tokio::test(start_paused = true)]
async fn three_wrong_codes_are_the_end() {
    for approved in [false, true] {
        let (stage, gateway) = Stage::with_gateway();
        let desk = gateway.desk();
        if approved {
            stage.provider.person_approves();
        }
        let login = desk.start(on_a_call("r-1", NUMBER)).await;
        pass(secs(7)).await;
        let now = if approved { "awaiting_code" } else { "pending" };
        let code = |nth| stage.provider.wrong_code(nth);
        assert_eq!(desk.confirm(&login, &code(0)).await, wrong(2, now));
        assert_eq!(desk.confirm(&login, &code(0)).await, wrong(2, now), "the same one again is not a try");
        assert_eq!(desk.confirm(&login, &code(1)).await, wrong(1, now));
        assert_eq!(desk.confirm(&login, &code(2)).await, wrong(0, "code_mismatch"));
        let right = desk.try_confirm(&login.login_id, &stage.provider.code_in_the_app()).await;
        assert_eq!(right.expect_err("too late").reason, "LOGIN_ENDED");
        stage.provider.person_approves();
        pass(secs(30)).await;
        assert_eq!(desk.sees(&login).await, "code_mismatch");
        assert!(!desk.heard().contains(SUBJECT) && !desk.heard().contains(FULL_NAME));
    }
}

#[tokio::test(start_paused = true)]
async fn a_typing_mistake_is_no_try() {
    let (stage, gateway) = Stage::with_gateway();
    let desk = gateway.desk();
    let login = desk.start(on_a_call("r-1", NUMBER)).await;
    for malformed in ["", "ABC", "B0O1I", "AAAA!", "AAAAAAAAA", "ÆØÅÆØ"] {
        let refusal = desk.try_confirm(&login.login_id, malformed).await.expect_err("no code");
        assert_eq!((refusal.code, refusal.fields), (Code::InvalidArgument, vec!["code".to_owned()]));
    }
    assert_eq!(desk.get(&login).await.code_tries_left, 3);
    assert_eq!(desk.confirm(&login, &stage.provider.code_in_the_app()).await, matched("pending"));
}

#[tokio::test(start_paused = true)]
async fn the_code_must_be_typed_within_a_minute_of_the_approval() {
    for polled_to_the_end in [true, false] {
        let (stage, gateway) = Stage::with_gateway();
        let desk = gateway.desk();
        stage.provider.person_approves();
        let login = desk.start(on_a_call("r-1", NUMBER)).await;
        pass(secs(6)).await;
        if !polled_to_the_end {
            gateway.stops_polling().await;
        }
        pass(secs(58)).await;
        assert_eq!(desk.sees(&login).await, "awaiting_code");
        pass(secs(1)).await;
        let late = desk.try_confirm(&login.login_id, &stage.provider.code_in_the_app()).await;
        assert_eq!(late.expect_err("too late").reason, "LOGIN_ENDED");
        assert_eq!(desk.sees(&login).await, "code_not_confirmed");
        assert!(!desk.heard().contains(SUBJECT));
    }
}

/// SR13, SR14: neither the code nor the identity in any message, on any path.
#[tokio::test(start_paused = true)]
async fn nothing_leaves_before_the_match() {
    let (stage, gateway) = Stage::with_gateway();
    let desk = gateway.desk();
    let mut all = desk.watch_all(v1::WatchLoginsRequest::default()).await;
    stage.provider.person_approves();
    let login = desk.start(on_a_call("r-1", NUMBER)).await;
    let mut one = desk.watch(&login).await;
    desk.try_wait(&login.login_id, 10).await.expect("a login");
    desk.try_confirm(&login.login_id, &stage.provider.wrong_code(0)).await.expect("a verdict");
    desk.list().await;
    desk.get(&login).await;
    one.within(secs(1)).await;
    all.within(secs(1)).await;
    assert_eq!(stage.provider.count(Asked::Identify), 1);
    assert_eq!(desk.sees(&login).await, "awaiting_code");
    let code = stage.provider.code_in_the_app();
    let spelled = BindingCode::parse(&code).expect("a code").spelled(Language::English);
    for secret in [code.as_str(), spelled.as_str(), SUBJECT, FULL_NAME] {
        assert!(!desk.heard().contains(secret));
    }
    // Afterwards the identity is there, on the streams too; the code never is.
    desk.confirm(&login, &code).await;
    assert_eq!(one.login().await.identity.expect("an identity").sub, SUBJECT);
    assert_eq!(all.login().await.identity.expect("an identity").sub, SUBJECT);
    desk.list().await;
    assert!(!desk.heard().contains(&code) && !desk.heard().contains(&spelled));
    assert!(desk.heard().contains(FULL_NAME));
}

/// SR16, SR12: a code belongs to one login.
#[tokio::test(start_paused = true)]
async fn the_code_of_one_login_is_wrong_at_another() {
    let (stage, gateway) = Stage::with_gateway();
    let desk = gateway.desk();
    let first = desk.start(on_a_call("r-1", NUMBER)).await;
    let code = stage.provider.code_in_the_app();
    let second = desk.start(on_a_call("r-2", OTHER_NUMBER)).await;
    assert_eq!(desk.confirm(&second, &code).await, wrong(2, "pending"));
    assert_eq!(desk.confirm(&first, &code).await, matched("pending"));
}

#[tokio::test(start_paused = true)]
async fn only_the_agent_of_the_call_types_the_code() {
    let (stage, gateway) = Stage::with_gateway();
    let login = gateway.desk().start(on_a_call("r-1", NUMBER)).await;
    let code = stage.provider.code_in_the_app();
    for other in [gateway.desk().with_agent("bob"), gateway.desk().without_agent(), gateway.kiosk().with_agent("ada")] {
        let refusal = other.try_confirm(&login.login_id, &code).await.expect_err("not theirs");
        assert_eq!((refusal.code, refusal.reason.as_str()), (Code::PermissionDenied, "NOT_YOURS"));
    }
    assert_eq!(gateway.desk().get(&login).await.code_tries_left, 3);
}

#[tokio::test(start_paused = true)]
async fn a_login_without_read_back_takes_no_code() {
    let (stage, gateway) = Stage::with_gateway();
    let desk = gateway.desk();
    let read_out = v1::StartLoginRequest { code_mode: v1::CodeMode::ReadOut.into(), ..on_a_call("r-1", NUMBER) };
    for request in [read_out, at_the_till("r-2", OTHER_NUMBER)] {
        let login = desk.start(request).await;
        assert_eq!(login.code, stage.provider.code_in_the_app(), "it is there to be read out or shown");
        let refusal = desk.try_confirm(&login.login_id, &login.code).await.expect_err("no code is asked");
        assert_eq!((refusal.code, refusal.reason.as_str()), (Code::FailedPrecondition, "CODE_NOT_ASKED"));
    }
}

/// The try is counted by whoever writes first.
#[tokio::test(start_paused = true)]
async fn wrong_codes_from_two_replicas_are_all_counted() {
    let (stage, gateway) = Stage::with_gateway();
    let other = stage.gateway();
    let login = gateway.desk().start(on_a_call("r-1", NUMBER)).await;
    for (seed, replica) in [(1, &gateway), (2, &other)] {
        replica.store.takes_random_time(seed);
    }
    let (one, two) = (gateway.desk(), other.desk());
    let (first, second) = (stage.provider.wrong_code(0), stage.provider.wrong_code(1));
    tokio::join!(one.confirm(&login, &first), two.confirm(&login, &second));
    assert_eq!(one.get(&login).await.code_tries_left, 1);
}
