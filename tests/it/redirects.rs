//! Logins that end on a page of the phone's browser, handed over by the tenant's own
//! page; over a provider with behaviour and a clock that stands still. `landings` has
//! the gateway's page and a faithful provider.

use std::time::Duration;

use ciba_gateway::ciba::{PollAnswer, RedirectCode};
use ciba_gateway::grpc::v1;
use ciba_gateway::logins::{Landed, Landing};
use ciba_gateway::provider::IdentifyError;
use ciba_gateway::session::{FailureReason, LoginId, TenantId};
use tonic::Code;

use crate::support::client::{
    Client, NUMBER, OTHER_NUMBER, Refusal, at_the_till, landing_on, on_a_call, standing, with_code, with_error,
};
use crate::support::fake_provider::{Asked, code_of, trouble};
use crate::support::stage::{PAGE, Stage, pass, secs};

async fn starts(desk: &Client) -> v1::Login {
    desk.start(landing_on(PAGE, at_the_till("r-1", NUMBER))).await
}

fn is_rejected(refusal: &Refusal) -> bool {
    (refusal.code, refusal.reason.as_str()) == (Code::FailedPrecondition, "REDIRECT_REJECTED")
}

fn is_spent(refusal: &Refusal) -> bool {
    (refusal.code, refusal.reason.as_str()) == (Code::FailedPrecondition, "REDIRECT_CODE_REFUSED")
}

#[tokio::test(start_paused = true)]
async fn a_code_is_the_one_exchange_and_nothing_is_polled() {
    let (stage, gateway) = Stage::with_gateway();
    let desk = gateway.desk();
    let mut watch = desk.watch(&starts(&desk).await).await;
    pass(secs(120)).await;
    assert_eq!(gateway.poller.owned(), 1);
    assert_eq!(desk.lands(&code_of(1)).await, Ok((true, "approved".to_owned())));
    assert_eq!(watch.until_end().await.last().map(String::as_str), Some("approved"));
    pass(secs(600)).await;
    let provider = &stage.provider;
    assert_eq!((provider.count(Asked::Poll), provider.count(Asked::Code), provider.count(Asked::Identify)), (0, 1, 1));
    assert_eq!((provider.count(Asked::Revoke), gateway.poller.owned()), (0, 0));
}

/// The second is never seen by the provider, which may take the first back for it.
#[tokio::test(start_paused = true)]
async fn a_code_that_comes_twice_changes_nothing() {
    let (stage, gateway) = Stage::with_gateway();
    stage.provider.poll_takes(secs(2));
    let (desk, other) = (gateway.desk(), gateway.desk());
    let login = starts(&desk).await;
    let code = code_of(1);
    let (first, at_once) = tokio::join!(desk.lands(&code), other.lands(&code));
    assert_eq!(first, Ok((true, "approved".to_owned())));
    assert!(at_once.as_ref().is_err_and(is_spent), "{at_once:?}");
    let later = desk.lands(&code).await;
    assert!(later.as_ref().is_err_and(is_spent), "{later:?}");
    assert_eq!(stage.provider.count(Asked::Code), 1);
    // At another replica it is the provider that refuses it.
    let elsewhere = stage.gateway().desk().lands(&code).await;
    assert!(elsewhere.as_ref().is_err_and(is_spent), "{elsewhere:?}");
    assert_eq!(desk.sees(&login).await, "approved");
}

/// Whose it is says the token alone; what fits no login is revoked.
#[tokio::test(start_paused = true)]
async fn a_code_of_no_login_here_logs_nobody_in() {
    let (stage, gateway) = Stage::with_gateway();
    let desk = gateway.desk();
    let login = starts(&desk).await;
    let other = desk.start(landing_on(PAGE, at_the_till("r-2", OTHER_NUMBER))).await;
    let nobodys = desk.lands(&code_of(7)).await;
    assert!(nobodys.as_ref().is_err_and(is_rejected), "{nobodys:?}");
    let strangers = gateway.stranger().lands(&code_of(1)).await;
    assert!(strangers.as_ref().is_err_and(is_rejected), "{strangers:?}");
    let believed = v1::CompleteRedirectRequest { login_id: login.login_id.clone(), ..with_code(&code_of(2)) };
    let refusal = desk.try_complete(believed).await;
    assert!(refusal.as_ref().is_err_and(is_rejected), "{refusal:?}");
    let provider = &stage.provider;
    assert_eq!((provider.count(Asked::Revoke), provider.count(Asked::Identify)), (3, 0));
    for login in [&login, &other] {
        assert_eq!(desk.sees(login).await, "pending");
    }
    let metrics = gateway.metrics.encode().expect("metrics");
    assert!(metrics.contains(r#"landings_total{result="no_login"} 2"#), "{metrics}");
    assert!(metrics.contains(r#"landings_total{result="other_login"} 1"#));
}

/// The index only says where to look: the login must have that request itself.
#[tokio::test(start_paused = true)]
async fn a_store_that_names_the_wrong_login_logs_nobody_in() {
    let (stage, gateway) = Stage::with_gateway();
    let desk = gateway.desk();
    let login = starts(&desk).await;
    let other = desk.start(landing_on(PAGE, at_the_till("r-2", OTHER_NUMBER))).await;
    gateway.store.takes_every_request_for(LoginId::parse(&other.login_id).expect("an id"));
    let refusal = desk.lands(&code_of(1)).await;
    assert!(refusal.as_ref().is_err_and(is_rejected), "{refusal:?}");
    for login in [&login, &other] {
        assert_eq!(desk.sees(login).await, "pending");
    }
    assert_eq!((stage.provider.count(Asked::Revoke), stage.provider.count(Asked::Identify)), (1, 0));
}

#[tokio::test(start_paused = true)]
async fn a_code_of_a_login_that_has_ended_is_late() {
    let (stage, gateway) = Stage::with_gateway();
    let desk = gateway.desk();
    let login = starts(&desk).await;
    desk.cancel(&login).await;
    let late = desk.lands(&code_of(1)).await;
    assert!(late.as_ref().is_err_and(is_rejected), "{late:?}");
    // Nobody has looked at this one since its time was up.
    let second = desk.start(landing_on(PAGE, at_the_till("r-2", OTHER_NUMBER))).await;
    gateway.stops_polling().await;
    pass(secs(306)).await;
    let late = desk.lands(&code_of(2)).await;
    assert!(late.as_ref().is_err_and(is_rejected), "{late:?}");
    assert_eq!((desk.sees(&login).await.as_str(), desk.sees(&second).await.as_str()), ("cancelled", "expired"));
    assert_eq!((stage.provider.count(Asked::Revoke), stage.provider.count(Asked::Identify)), (2, 0));
}

/// It cannot be told whose it was, so that one ends by its time.
#[tokio::test(start_paused = true)]
async fn a_code_that_the_provider_refuses_leaves_the_login_to_its_clock() {
    let (stage, gateway) = Stage::with_gateway();
    let desk = gateway.desk();
    let login = starts(&desk).await;
    stage.provider.answers_polls([PollAnswer::InvalidGrant]);
    let believed = v1::CompleteRedirectRequest { login_id: login.login_id.clone(), ..with_code(&code_of(1)) };
    let refusal = desk.try_complete(believed).await;
    assert!(refusal.as_ref().is_err_and(is_spent), "{refusal:?}");
    pass(secs(304)).await;
    assert_eq!(desk.sees(&login).await, "pending");
    pass(secs(1)).await;
    assert_eq!(desk.sees(&login).await, "expired");
}

/// SR26: as a cancel beats a poll in flight.
#[tokio::test(start_paused = true)]
async fn a_cancel_beats_an_exchange_in_flight() {
    let (stage, gateway) = Stage::with_gateway();
    stage.provider.poll_takes(secs(3));
    let desk = gateway.desk();
    let login = starts(&desk).await;
    let code = code_of(1);
    let (landed, ()) = tokio::join!(desk.lands(&code), async {
        pass(secs(1)).await;
        assert_eq!(desk.cancel(&login).await, "cancelled");
    });
    assert!(landed.as_ref().is_err_and(is_rejected), "{landed:?}");
    pass(secs(60)).await;
    assert_eq!(desk.sees(&login).await, "cancelled");
    let provider = &stage.provider;
    assert_eq!((provider.count(Asked::Revoke), provider.count(Asked::Identify)), (1, 0));
}

/// The exchange is single-use: who hung up has not stopped it.
#[tokio::test(start_paused = true)]
async fn a_page_that_hangs_up_loses_nothing() {
    let (stage, gateway) = Stage::with_gateway();
    stage.provider.poll_takes(secs(3));
    let desk = gateway.desk();
    let login = starts(&desk).await;
    let code = code_of(1);
    tokio::time::timeout(secs(1), desk.lands(&code)).await.expect_err("it hung up");
    pass(secs(5)).await;
    assert_eq!(desk.sees(&login).await, "approved");
}

#[tokio::test(start_paused = true)]
async fn another_replica_lands_what_a_dead_one_has_started() {
    for is_adopted in [false, true] {
        let stage = Stage::new();
        let (first, second) = (stage.gateway(), stage.gateway());
        let login = starts(&first.desk()).await;
        pass(secs(2)).await;
        first.dies();
        pass(secs(if is_adopted { 20 } else { 0 })).await;
        let desk = second.desk();
        let (completed, _) = desk.lands(&code_of(1)).await.expect("it is taken");
        assert!(completed);
        assert_eq!(standing(&desk.wait_for_end(&login).await), "approved", "adopted: {is_adopted}");
        assert_eq!((stage.provider.count(Asked::Poll), stage.provider.count(Asked::Identify)), (0, 1));
    }
}

/// Who takes over keeps the time, and polls nothing.
#[tokio::test(start_paused = true)]
async fn a_login_that_was_taken_over_ends_by_its_time() {
    let stage = Stage::new();
    let (first, second) = (stage.gateway(), stage.gateway());
    let login = starts(&first.desk()).await;
    pass(secs(2)).await;
    first.dies();
    pass(secs(302)).await;
    assert_eq!((second.poller.owned(), second.desk().sees(&login).await.as_str()), (1, "pending"));
    pass(secs(2)).await;
    assert_eq!(second.desk().sees(&login).await, "expired");
    assert_eq!(stage.provider.count(Asked::Poll), 0);
}

#[tokio::test(start_paused = true)]
async fn the_code_in_the_app_is_typed_all_the_same() {
    let (stage, gateway) = Stage::with_gateway();
    let desk = gateway.desk();
    let login = desk.start(landing_on(PAGE, on_a_call("r-1", NUMBER))).await;
    assert_eq!(desk.lands(&code_of(1)).await, Ok((true, "awaiting_code".to_owned())));
    assert!(desk.confirm(&login, &stage.provider.code_in_the_app()).await.0);
    assert_eq!(desk.sees(&login).await, "approved");
}

/// An error says not whose it is, and anybody can open the page's address.
#[tokio::test(start_paused = true)]
async fn an_error_ends_a_login_by_the_word_of_whoever_has_it() {
    for (error, end) in [
        ("access_denied", "denied"),
        ("outdated_app_version", "app_too_old"),
        ("app_callback_uri_not_registered", "request_refused"),
        ("invalid_app_callback_uri", "request_refused"),
        ("server_error", "provider_error"),
        ("login_required", "provider_error"),
        ("wrong_challenge", "provider_error"),
        ("unknown_reject_reason", "provider_error"),
        ("unheard_of", "provider_error"),
    ] {
        let (_stage, gateway) = Stage::with_gateway();
        let desk = gateway.desk();
        let login = starts(&desk).await;
        let unnamed = v1::CompleteRedirectRequest { login_id: String::new(), ..with_error(error, &login) };
        let done = desk.try_complete(unnamed).await.expect("nothing is wrong with it");
        assert_eq!((done.completed, done.login), (false, None));
        let refusal = gateway.kiosk().try_complete(with_error(error, &login)).await.expect_err("not theirs");
        assert_eq!(refusal.reason, "NOT_YOURS");
        let refusal = gateway.stranger().try_complete(with_error(error, &login)).await.expect_err("not theirs");
        assert_eq!(refusal.reason, "LOGIN_NOT_FOUND");
        assert_eq!(desk.sees(&login).await, "pending", "{error}");

        let done = desk.try_complete(with_error(error, &login)).await.expect("it is theirs");
        assert_eq!((done.completed, done.login.as_ref().map(standing).as_deref()), (true, Some(end)), "{error}");
        let again = desk.try_complete(with_error("access_denied", &login)).await.expect("it is theirs");
        assert_eq!((again.completed, again.login.as_ref().map(standing).as_deref()), (false, Some(end)));
    }
}

#[tokio::test(start_paused = true)]
async fn an_error_ends_no_login_that_is_answered_in_the_app() {
    let (_stage, gateway) = Stage::with_gateway();
    let desk = gateway.desk();
    let login = desk.start(at_the_till("r-1", NUMBER)).await;
    let refusal = desk.try_complete(with_error("access_denied", &login)).await;
    assert!(refusal.as_ref().is_err_and(is_rejected), "{refusal:?}");
    // Nor does a code: its id waits for no landing.
    let refusal = desk.lands(&code_of(1)).await;
    assert!(refusal.as_ref().is_err_and(is_rejected), "{refusal:?}");
    assert_eq!(desk.sees(&login).await, "pending");
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_verified_logs_nobody_in() {
    let (stage, gateway) = Stage::with_gateway();
    let desk = gateway.desk();
    let login = starts(&desk).await;
    stage.provider.does_not_say_whose(IdentifyError::Rejected(FailureReason::IdTokenInvalid));
    let refusal = desk.lands(&code_of(1)).await;
    assert!(refusal.as_ref().is_err_and(is_rejected), "{refusal:?}");
    assert_eq!((stage.provider.count(Asked::Revoke), desk.sees(&login).await.as_str()), (1, "pending"));
}

#[tokio::test(start_paused = true)]
async fn keys_and_store_that_come_back_in_time_lose_nothing() {
    let (stage, gateway) = Stage::with_gateway();
    let desk = gateway.desk();
    let login = starts(&desk).await;
    for _ in 0..3 {
        stage.provider.does_not_say_whose(IdentifyError::Unavailable);
    }
    stage.provider.poll_takes(secs(1));
    let code = code_of(1);
    let (landed, ()) = tokio::join!(desk.lands(&code), async {
        pass(Duration::from_millis(500)).await;
        gateway.store.goes_down();
        pass(secs(3)).await;
        gateway.store.comes_back();
    });
    assert!(landed.expect("it is taken").0);
    assert_eq!(standing(&desk.wait_for_end(&login).await), "approved");
}

fn is_lost(refusal: &Refusal) -> bool {
    (refusal.code, refusal.reason.as_str()) == (Code::DataLoss, "REDIRECT_LOST")
}

/// An outage is not told as a refusal.
#[tokio::test(start_paused = true)]
async fn an_outage_that_outlasts_a_landing_is_named() {
    let (stage, gateway) = Stage::with_gateway();
    let desk = gateway.desk();
    let login = starts(&desk).await;
    for _ in 0..100 {
        stage.provider.does_not_say_whose(IdentifyError::Unavailable);
    }
    let refusal = desk.lands(&code_of(1)).await;
    assert!(refusal.as_ref().is_err_and(is_lost), "{refusal:?}");
    assert_eq!((stage.provider.count(Asked::Revoke), desk.sees(&login).await.as_str()), (1, "pending"));
}

/// Nor does it take back what the store may have.
#[tokio::test(start_paused = true)]
async fn what_was_written_although_nobody_said_so_is_an_approval() {
    let (stage, gateway) = Stage::with_gateway();
    let desk = gateway.desk();
    let login = starts(&desk).await;
    gateway.store.takes(Duration::from_millis(400));
    let code = code_of(1);
    let before = gateway.store.calls();
    let (landed, ()) = tokio::join!(desk.lands(&code), async {
        // The login of the request, the login, and now it is written.
        while gateway.store.calls() < before + 3 {
            pass(Duration::from_millis(50)).await;
        }
        gateway.store.loses_answers();
        pass(secs(8)).await;
        gateway.store.takes(Duration::ZERO);
        gateway.store.comes_back();
    });
    assert!(landed.as_ref().is_err_and(is_lost), "{landed:?}");
    assert_eq!(standing(&desk.wait_for_end(&login).await), "approved");
    assert_eq!(stage.provider.count(Asked::Revoke), 0);
}

#[tokio::test(start_paused = true)]
async fn a_code_may_come_again_when_the_provider_could_not_be_asked() {
    let (stage, gateway) = Stage::with_gateway();
    let desk = gateway.desk();
    starts(&desk).await;
    stage.provider.answers_polls([trouble(), PollAnswer::CredentialsRefused]);
    let first = desk.lands(&code_of(1)).await.expect_err("no answer");
    assert_eq!((first.code, first.reason.as_str()), (Code::Unavailable, "PROVIDER_UNAVAILABLE"));
    assert!(first.retry_after.is_some());
    let second = desk.lands(&code_of(1)).await.expect_err("our own fault");
    assert_eq!(second.reason, "PROVIDER_CREDENTIALS_REFUSED");
    assert_eq!(desk.lands(&code_of(1)).await, Ok((true, "approved".to_owned())));
}

/// Nobody makes us hammer the provider.
#[tokio::test(start_paused = true)]
async fn made_up_codes_are_bounded_for_each_tenant() {
    let (stage, gateway) = Stage::with_gateway();
    let (desk, stranger) = (gateway.desk(), gateway.stranger());
    let mut refused = Vec::new();
    for seed in 0..60 {
        refused.push(desk.lands(&format!("made-up-{seed}")).await.expect_err("made up"));
    }
    let asked = stage.provider.count(Asked::Code);
    assert!((40..50).contains(&asked), "{asked} of 60");
    let last = refused.last().expect("some");
    assert_eq!((last.reason.as_str(), last.told("limit")), ("OVERLOADED", Some("landings")));
    let strangers = stranger.lands("made-up").await;
    assert!(strangers.as_ref().is_err_and(is_spent), "{strangers:?}");
}

/// Whoever floods the gateway's page takes no room from the tenant's own.
#[tokio::test(start_paused = true)]
async fn strangers_at_the_gateways_page_keep_no_caller_out() {
    let (_stage, gateway) = Stage::with_gateway();
    let (desk, acme) = (gateway.desk(), TenantId::new("acme").expect("a tenant"));
    starts(&desk).await;
    let mut landing = None;
    for seed in 0..60 {
        let code = RedirectCode::new(&format!("made-up-{seed}")).expect("a code");
        landing = gateway.logins.landing(&acme, Some(Landed::With(code))).await;
    }
    assert_eq!(landing, Some(Landing::Busy));
    assert_eq!(desk.lands(&code_of(1)).await, Ok((true, "approved".to_owned())));
}

#[tokio::test(start_paused = true)]
async fn a_start_lands_only_where_the_configuration_says() {
    let (stage, gateway) = Stage::with_gateway();
    let desk = gateway.desk();
    for page in [
        "",
        "https://shop.example/landing",
        "https://shop.example/landing?from=app&x",
        "http://shop.example/",
        "https://elsewhere.example/",
        "no uri",
    ] {
        let refusal = desk.refused(landing_on(page, at_the_till("r-1", NUMBER))).await;
        assert_eq!((refusal.code, refusal.reason.as_str()), (Code::InvalidArgument, "INVALID_FIELD"), "{page}");
        assert_eq!(refusal.fields, ["finish_by_redirect.redirect_uri"], "{page}");
        assert!(page.is_empty() || !refusal.message.contains(page), "{}", refusal.message);
    }
    assert_eq!(stage.provider.count(Asked::Start), 0);
    // Another page is another login.
    starts(&desk).await;
    let other = desk.refused(at_the_till("r-1", NUMBER)).await;
    assert_eq!(other.reason, "REQUEST_ID_REUSED");
}

#[tokio::test(start_paused = true)]
async fn what_a_page_hands_over_is_checked() {
    let (_stage, gateway) = Stage::with_gateway();
    let desk = gateway.desk();
    let login = starts(&desk).await;
    let both = v1::CompleteRedirectRequest { code: "a".to_owned(), ..with_error("access_denied", &login) };
    for (request, field) in [
        (v1::CompleteRedirectRequest::default(), "code"),
        (with_code("with space"), "code"),
        (with_code(&"a".repeat(1025)), "code"),
        (with_error("two words", &login), "error"),
        (both, "error"),
        (v1::CompleteRedirectRequest { login_id: "short".to_owned(), ..with_code("a") }, "login_id"),
    ] {
        let refusal = desk.try_complete(request).await.expect_err("malformed");
        assert_eq!((refusal.code, refusal.fields), (Code::InvalidArgument, vec![field.to_owned()]));
        assert!(!refusal.message.contains("access_denied"));
    }
    assert_eq!(desk.sees(&login).await, "pending");
}

/// Of the caller that hands it over nothing is required but the call; who may see the
/// identity is another question.
#[tokio::test(start_paused = true)]
async fn whoever_hands_a_code_over_sees_what_is_theirs_to_see() {
    let (_stage, gateway) = Stage::with_gateway();
    let (desk, kiosk) = (gateway.desk(), gateway.kiosk());
    let login = starts(&desk).await;
    let done = kiosk.try_complete(with_code(&code_of(1))).await.expect("it is taken");
    let seen = done.login.expect("a login");
    assert_eq!((done.completed, standing(&seen).as_str(), seen.identity), (true, "approved", None));
    assert!(desk.get(&login).await.identity.is_some());
}
