//! Who may call, and who may see what.

use std::time::Duration;

use ciba_gateway::grpc::v1;
use tokio::task::JoinSet;
use tonic::Code;

use crate::support::client::{Client, NUMBER, OTHER_NUMBER, Refusal, at_the_box, at_the_till, on_a_call, standing};
use crate::support::fake_provider::{Asked, FULL_NAME, SUBJECT};
use crate::support::stage::{BEGINNING, IDENTITY_WINDOW, KEY_ENDS, Stage, pass, secs};

/// Every call about one login.
async fn every_refusal(caller: &Client, login_id: &str) -> Vec<Refusal> {
    let mut refusals = vec![
        caller.try_get(login_id).await.expect_err("get"),
        caller.try_wait(login_id, 1).await.expect_err("wait"),
        caller.try_confirm(login_id, "AAAAA").await.expect_err("confirm"),
        caller.try_cancel(login_id).await.expect_err("cancel"),
        caller.try_erase(login_id).await.expect_err("erase"),
    ];
    refusals.extend(caller.try_watch(login_id, 20).await.err());
    assert_eq!(refusals.len(), 6, "watch");
    refusals
}

/// O10, mirrored: a login of another tenant does not exist.
#[tokio::test(start_paused = true)]
async fn another_tenant_finds_nothing() {
    let (_stage, gateway) = Stage::with_gateway();
    let login = gateway.desk().start(on_a_call("r-1", NUMBER)).await;
    let stranger = gateway.stranger();
    let mut all = stranger.watch_from_snapshot(v1::WatchLoginsRequest::default()).await;
    for refusal in every_refusal(&stranger, &login.login_id).await {
        assert_eq!((refusal.code, refusal.reason.as_str()), (Code::NotFound, "LOGIN_NOT_FOUND"));
    }
    assert_eq!(stranger.list().await, []);
    let page = v1::ListLoginsRequest { page_token: format!("1900000000000.{}", login.login_id), ..Default::default() };
    assert_eq!(stranger.try_list(page).await.expect("a page").logins, []);
    gateway.desk().cancel(&login).await;
    assert_eq!(all.within(secs(60)).await, [""; 0]);
    assert!(!stranger.heard().contains(&login.login_id));
}

/// O9, mirrored, SR2.
#[tokio::test(start_paused = true)]
async fn every_call_needs_a_known_key() {
    let (stage, gateway) = Stage::with_gateway();
    let login = gateway.desk().start(on_a_call("r-1", NUMBER)).await;
    let unknown = format!("Bearer cgk_{}", "A".repeat(43));
    let known = format!("cgk_{}", "A".repeat(43));
    for (shown, reason) in [
        (None, "CREDENTIAL_MISSING"),
        (Some(""), "CREDENTIAL_INVALID"),
        (Some("Bearer"), "CREDENTIAL_INVALID"),
        (Some("Bearer cgk_short"), "CREDENTIAL_INVALID"),
        (Some("Basic Y2dr"), "CREDENTIAL_INVALID"),
        (Some(known.as_str()), "CREDENTIAL_INVALID"),
        (Some(unknown.as_str()), "CREDENTIAL_INVALID"),
    ] {
        let caller = gateway.desk().showing(shown);
        let mut refusals = every_refusal(&caller, &login.login_id).await;
        refusals.push(caller.refused(at_the_till("r-2", OTHER_NUMBER)).await);
        refusals.push(caller.try_list(v1::ListLoginsRequest::default()).await.expect_err("list"));
        refusals.extend(caller.try_watch_all(v1::WatchLoginsRequest::default()).await.err());
        assert_eq!(refusals.len(), 9);
        for refusal in refusals {
            assert_eq!((refusal.code, refusal.reason.as_str()), (Code::Unauthenticated, reason), "{shown:?}");
            assert!(!refusal.message.contains("cgk_"), "{}", refusal.message);
        }
    }
    assert_eq!(stage.provider.count(Asked::Start), 1);
}

/// SR2: two keys of one client count at once, and the old one ends: to the
/// millisecond, and with its own reason.
#[tokio::test(start_paused = true)]
async fn a_key_is_replaced_with_an_overlap() {
    let (stage, gateway) = Stage::with_gateway();
    let (old, new) = (gateway.desk_with_old_key(), gateway.desk());
    let login = old.start(at_the_till("r-1", NUMBER)).await;
    assert_eq!(new.get(&login).await.login_id, login.login_id, "they are one client");
    let left = BEGINNING.plus(KEY_ENDS).since(stage.clock.now());
    pass(left - Duration::from_millis(1)).await;
    assert_eq!(old.sees(&login).await, "pending");
    pass(Duration::from_millis(1)).await;
    for refusal in every_refusal(&old, &login.login_id).await {
        assert_eq!((refusal.code, refusal.reason.as_str()), (Code::Unauthenticated, "CREDENTIAL_EXPIRED"));
    }
    assert_eq!(new.sees(&login).await, "pending");
}

/// SR2: nothing that is open outlives the key that opened it; whoever has the next
/// one goes on from the cursor.
#[tokio::test(start_paused = true)]
async fn streams_end_with_the_key_that_opened_them() {
    let (stage, gateway) = Stage::with_gateway();
    let (old, new) = (gateway.desk_with_old_key(), gateway.desk());
    let login = old.start(at_the_till("r-1", NUMBER)).await;
    let (mut one, mut all) = (old.watch(&login).await, old.watch_all(v1::WatchLoginsRequest::default()).await);
    let (mut kept, mut asked) = (new.watch(&login).await, JoinSet::new());
    let (waiting, login_id) = (old.clone(), login.login_id.clone());
    asked.spawn(async move {
        pass(KEY_ENDS / 2).await;
        waiting.try_wait(&login_id, 60).await
    });
    let ends = BEGINNING.plus(KEY_ENDS);
    for stream in [&mut one, &mut all] {
        let refusal = stream.refusal().await;
        assert_eq!((refusal.code, refusal.reason.as_str()), (Code::Unauthenticated, "CREDENTIAL_EXPIRED"));
        assert!(stage.clock.now().since(ends) < secs(1) && stage.clock.now() >= ends, "at its end");
    }
    let waited = asked.join_next().await.expect("an answer").expect("no panic").expect_err("a refusal");
    assert_eq!(waited.reason, "CREDENTIAL_EXPIRED");

    new.cancel(&login).await;
    assert_eq!(kept.until_end().await.last().map(String::as_str), Some("cancelled"));
    assert_eq!(new.resume(&all.cursor).await.login().await.login_id, login.login_id);
}

/// SR2: a stream that is not read tells nothing more once its key has ended.
#[tokio::test(start_paused = true)]
async fn a_stream_that_is_not_read_ends_with_its_key_too() {
    let (_stage, gateway) = Stage::with_gateway();
    let old = gateway.desk_with_old_key();
    let mut all = old.watch_all(v1::WatchLoginsRequest::default()).await;
    pass(KEY_ENDS).await;
    let login = gateway.desk().start(at_the_till("r-1", NUMBER)).await;
    assert_eq!(all.refusal().await.reason, "CREDENTIAL_EXPIRED");
    assert!(!old.heard().contains(&login.login_id));
}

#[tokio::test(start_paused = true)]
async fn an_agent_without_a_proper_name_is_refused() {
    let (_stage, gateway) = Stage::with_gateway();
    let refusal = gateway.desk().with_agent("no spaces please").try_get(&"A".repeat(27)).await.expect_err("refused");
    assert_eq!((refusal.code, refusal.reason.as_str()), (Code::InvalidArgument, "INVALID_FIELD"));
    assert!(!refusal.message.contains("please"));
}

/// SR2.
#[tokio::test(start_paused = true)]
async fn a_client_keeps_to_its_channels() {
    let (stage, gateway) = Stage::with_gateway();
    let kiosk = gateway.kiosk();
    for request in [at_the_till("r-1", NUMBER), on_a_call("r-1", NUMBER)] {
        let refusal = kiosk.refused(request).await;
        assert_eq!((refusal.code, refusal.reason.as_str()), (Code::PermissionDenied, "CHANNEL_NOT_ALLOWED"));
    }
    assert_eq!(stage.provider.count(Asked::Start), 0);
    assert_eq!(standing(&kiosk.start(at_the_box("r-1", NUMBER)).await), "pending");
}

/// SR24: others of the tenant see state and outcome, on every path.
#[tokio::test(start_paused = true)]
async fn others_of_the_tenant_see_how_it_ended_but_not_who() {
    let (stage, gateway) = Stage::with_gateway();
    let desk = gateway.desk();
    let others = [gateway.kiosk(), gateway.kiosk().with_agent("ada"), gateway.desk().with_agent("bob")];
    let mut streams = Vec::new();
    for other in &others {
        streams.push(other.watch_all(v1::WatchLoginsRequest::default()).await);
    }
    let login = desk.start(at_the_till("r-1", NUMBER)).await;
    let code = stage.provider.code_in_the_app();
    assert_eq!(login.code, code, "the reader sees the code");
    stage.provider.person_approves();
    for (other, stream) in others.iter().zip(&mut streams) {
        let ended = other.watch(&login).await.until_end().await;
        assert_eq!(ended.last().map(String::as_str), Some("approved"));
        other.wait_for_end(&login).await;
        other.list().await;
        assert_eq!(stream.within(secs(1)).await.last().map(String::as_str), Some("approved"));
        let seen = other.get(&login).await;
        assert_eq!((standing(&seen).as_str(), seen.identity, seen.identity_expire_time), ("approved", None, None));
        // Cancelling gives the login back as well.
        let _ = other.try_cancel(&login.login_id).await;
        for secret in [SUBJECT, FULL_NAME, code.as_str(), "91234567"] {
            assert!(!other.heard().contains(secret), "{secret}");
        }
    }
    assert_eq!(desk.get(&login).await.identity.expect("an identity").sub, SUBJECT);
}

#[tokio::test(start_paused = true)]
async fn only_the_client_that_started_it_ends_or_erases_a_login() {
    let (_stage, gateway) = Stage::with_gateway();
    let login = gateway.desk().start(on_a_call("r-1", NUMBER)).await;
    let kiosk = gateway.kiosk().with_agent("ada");
    for refusal in [kiosk.try_cancel(&login.login_id).await, kiosk.try_erase(&login.login_id).await] {
        assert_eq!(refusal.expect_err("not theirs").reason, "NOT_YOURS");
    }
    assert_eq!(gateway.desk().sees(&login).await, "pending");
    assert_eq!(gateway.desk().with_agent("bob").cancel(&login).await, "cancelled", "a colleague may");
}

/// SR25: erased now, the outcome stays, and so does the `request_id`.
#[tokio::test(start_paused = true)]
async fn an_erased_identity_is_gone_at_once() {
    let (stage, gateway) = Stage::with_gateway();
    let other = stage.gateway().desk();
    stage.provider.person_approves();
    let desk = gateway.desk();
    let login = desk.start(at_the_till("r-1", NUMBER)).await;
    assert!(desk.wait_for_end(&login).await.identity.is_some());
    assert!(other.get(&login).await.identity.is_some());
    assert_eq!(desk.erase(&login).await.identity, None);
    for desk in [&desk, &other] {
        let seen = desk.get(&login).await;
        assert_eq!((standing(&seen).as_str(), seen.identity), ("approved", None));
    }
    assert_eq!(desk.watch(&login).await.login().await.identity, None);
    assert_eq!(desk.start(at_the_till("r-1", NUMBER)).await.login_id, login.login_id);
    assert_eq!(stage.provider.count(Asked::Start), 1);
}

#[tokio::test(start_paused = true)]
async fn erasing_a_live_login_cancels_it() {
    let (stage, gateway) = Stage::with_gateway();
    let desk = gateway.desk();
    let login = desk.start(at_the_till("r-1", NUMBER)).await;
    assert_eq!(standing(&desk.erase(&login).await), "cancelled");
    pass(secs(60)).await;
    assert_eq!(stage.provider.count(Asked::Poll), 0);
}

/// SR25, SR40: readable for its window, to the second it says.
#[tokio::test(start_paused = true)]
async fn an_identity_is_gone_after_its_window() {
    let (stage, gateway) = Stage::with_gateway();
    stage.provider.person_approves();
    let desk = gateway.desk();
    let login = desk.start(at_the_till("r-1", NUMBER)).await;
    let login = desk.wait_for_end(&login).await;
    let (end, until) = (login.end_time.expect("an end"), login.identity_expire_time.expect("a window"));
    assert_eq!(until.seconds - end.seconds, 120);
    pass(IDENTITY_WINDOW - secs(1)).await;
    assert!(desk.get(&login).await.identity.is_some());
    pass(secs(1)).await;
    let seen = desk.get(&login).await;
    assert_eq!((standing(&seen).as_str(), seen.identity), ("approved", None));
    assert!(desk.list().await.iter().all(|login| login.identity.is_none()));
    pass(secs(3600)).await;
    assert_eq!(desk.try_get(&login.login_id).await.expect_err("gone").reason, "LOGIN_NOT_FOUND");
}

/// SR22: numbers are recycled.
#[tokio::test(start_paused = true)]
async fn another_person_than_expected_is_a_failure() {
    for (expected, end) in [("somebody-else", "other_person"), (SUBJECT, "approved")] {
        let (stage, gateway) = Stage::with_gateway();
        stage.provider.person_approves();
        let desk = gateway.desk();
        let expected_subject = expected.to_owned();
        let login = desk.start(v1::StartLoginRequest { expected_subject, ..at_the_till("r-1", NUMBER) }).await;
        let login = desk.wait_for_end(&login).await;
        assert_eq!(standing(&login), end);
        assert_eq!(desk.heard().contains(FULL_NAME), end == "approved");
    }
}
