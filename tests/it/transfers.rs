//! Handing a login over: who may, and who sees what afterwards.

use ciba_gateway::grpc::v1;
use tonic::Code;

use crate::support::client::{NUMBER, Seen, hand_over, on_a_call, standing};
use crate::support::fake_provider::{FULL_NAME, SUBJECT};
use crate::support::stage::{Stage, pass, secs};

fn by_call(call_id: &str, agent: &str) -> v1::TransferLoginRequest {
    let login = Some(v1::transfer_login_request::Login::CallId(call_id.to_owned()));
    v1::TransferLoginRequest { login, ..hand_over("", agent) }
}

fn on_call(request_id: &str, call_id: &str) -> v1::StartLoginRequest {
    v1::StartLoginRequest { call_id: call_id.to_owned(), ..on_a_call(request_id, NUMBER) }
}

/// SR24: from then on the one who has it types the code and reads the identity, and
/// nobody else does.
#[tokio::test(start_paused = true)]
async fn whoever_has_the_login_reads_it() {
    let (stage, gateway) = Stage::with_gateway();
    let (ada, bo) = (gateway.desk(), gateway.desk().with_agent("bo"));
    let login = ada.start(on_a_call("r-1", NUMBER)).await;
    let handed = ada.hand_to(&login, "bo").await.expect("handed over");
    assert_eq!((handed.agent_id.as_str(), standing(&handed).as_str()), ("bo", "pending"));
    let code = stage.provider.code_in_the_app();
    let late = ada.try_confirm(&login.login_id, &code).await.expect_err("not hers any more");
    assert_eq!((late.code, late.reason.as_str()), (Code::PermissionDenied, "NOT_YOURS"));
    assert!(bo.confirm(&login, &code).await.0);
    stage.provider.person_approves();
    assert_eq!(bo.wait_for_end(&login).await.identity.expect("an identity").sub, SUBJECT);
    let seen = ada.get(&login).await;
    assert_eq!((standing(&seen).as_str(), seen.identity), ("approved", None));
    assert!(!ada.heard().contains(SUBJECT) && !ada.heard().contains(FULL_NAME));
}

/// Wrong codes and a right one carry over.
#[tokio::test(start_paused = true)]
async fn tries_and_match_carry_over() {
    let (stage, gateway) = Stage::with_gateway();
    let (ada, bo) = (gateway.desk(), gateway.desk().with_agent("bo"));
    let login = ada.start(on_a_call("r-1", NUMBER)).await;
    assert_eq!(ada.confirm(&login, &stage.provider.wrong_code(0)).await.1, 2);
    ada.hand_to(&login, "bo").await.expect("handed over");
    assert_eq!(bo.confirm(&login, &stage.provider.wrong_code(1)).await.1, 1);
    bo.confirm(&login, &stage.provider.code_in_the_app()).await;
    bo.hand_to(&login, "cy").await.expect("handed over");
    let cy = gateway.desk().with_agent("cy");
    assert!(cy.get(&login).await.code_matched);
    stage.provider.person_approves();
    assert!(cy.wait_for_end(&login).await.identity.is_some());
    assert!(!bo.heard().contains(SUBJECT));
}

/// Streams that are open tell it to the one and not to the other, on every replica.
#[tokio::test(start_paused = true)]
async fn open_streams_follow_the_login() {
    let stage = Stage::new();
    let (first, second) = (stage.gateway(), stage.gateway());
    let (ada, bo) = (first.desk(), second.desk().with_agent("bo"));
    let login = ada.start(on_a_call("r-1", NUMBER)).await;
    let mut hers = ada.watch(&login).await;
    let mut his = bo.watch(&login).await;
    let mut all_of_his = bo.watch_all(v1::WatchLoginsRequest::default()).await;
    assert_eq!((hers.login().await.agent_id.as_str(), his.login().await.agent_id.as_str()), ("ada", "ada"));
    all_of_his.next().await;
    ada.hand_to(&login, "bo").await.expect("handed over");
    assert_eq!(hers.login().await.agent_id, "bo");
    assert_eq!(his.login().await.agent_id, "bo");
    assert_eq!(all_of_his.login().await.agent_id, "bo");
    bo.confirm(&login, &stage.provider.code_in_the_app()).await;
    stage.provider.person_approves();
    pass(secs(10)).await;
    hers.until_end().await;
    his.until_end().await;
    let mut told = all_of_his.login().await;
    while standing(&told) != "approved" {
        told = all_of_his.login().await;
    }
    assert!(told.identity.is_some() && bo.heard().contains(SUBJECT));
    assert!(!ada.heard().contains(SUBJECT));
}

/// An approved login is handed over as long as its identity can be read, and those
/// who watch all logins hear of it.
#[tokio::test(start_paused = true)]
async fn an_identity_is_handed_over_within_its_window() {
    let (stage, gateway) = Stage::with_gateway();
    let (ada, bo) = (gateway.desk(), gateway.desk().with_agent("bo"));
    let login = ada.start(on_a_call("r-1", NUMBER)).await;
    ada.confirm(&login, &stage.provider.code_in_the_app()).await;
    stage.provider.person_approves();
    ada.wait_for_end(&login).await;
    let mut all = bo.watch_all(v1::WatchLoginsRequest::default()).await;
    assert!(matches!(all.next().await, Seen::Heartbeat));
    ada.hand_to(&login, "bo").await.expect("handed over");
    assert_eq!(all.login().await.identity.expect("an identity").sub, SUBJECT);
    assert!(ada.get(&login).await.identity.is_none());
    pass(secs(120)).await;
    let late = bo.hand_to(&login, "cy").await.expect_err("nothing to hand over");
    assert_eq!((late.code, late.reason.as_str()), (Code::FailedPrecondition, "LOGIN_ENDED"));
}

#[tokio::test(start_paused = true)]
async fn only_the_holder_and_those_who_lead_hand_over() {
    let (_stage, gateway) = Stage::with_gateway();
    let (ada, bo) = (gateway.desk(), gateway.desk().with_agent("bo"));
    let login = ada.start(on_a_call("r-1", NUMBER)).await;
    for other in [&bo, &gateway.kiosk().with_agent("ada")] {
        let refusal = other.hand_to(&login, "bo").await.expect_err("not theirs");
        assert_eq!((refusal.code, refusal.reason.as_str()), (Code::PermissionDenied, "NOT_YOURS"));
    }
    assert_eq!(gateway.stranger().hand_to(&login, "bo").await.expect_err("not there").reason, "LOGIN_NOT_FOUND");
    assert_eq!(gateway.lead().hand_to(&login, "bo").await.expect("handed over").agent_id, "bo");
    // As after a lost answer: she has nothing to hand over any more.
    ada.hand_to(&login, "bo").await.expect("it is as she wants it");
    assert_eq!(ada.hand_to(&login, "cy").await.expect_err("not hers").reason, "NOT_YOURS");
}

/// A voice menu hands the caller to a desktop, which is another system.
#[tokio::test(start_paused = true)]
async fn a_login_passes_to_another_system_of_the_tenant() {
    let (_stage, gateway) = Stage::with_gateway();
    let desk = gateway.desk();
    let login = desk.start(on_a_call("r-1", NUMBER)).await;
    let to =
        |client: &str| v1::TransferLoginRequest { client_id: client.to_owned(), ..hand_over(&login.login_id, "bo") };
    let unknown = desk.try_transfer(to("desktop")).await.expect_err("no such system");
    assert_eq!((unknown.code, unknown.reason.as_str()), (Code::NotFound, "CLIENT_UNKNOWN"));
    desk.try_transfer(to("kiosk")).await.expect("handed over");
    assert_eq!(desk.try_cancel(&login.login_id).await.expect_err("not theirs").reason, "NOT_YOURS");
    assert_eq!(gateway.kiosk().with_agent("bo").cancel(&login).await, "cancelled");
}

/// An agent's desktop knows only the call.
#[tokio::test(start_paused = true)]
async fn a_login_is_found_by_its_call() {
    let (_stage, gateway) = Stage::with_gateway();
    let desk = gateway.desk();
    let login = desk.start(on_call("r-1", "call-7")).await;
    let handed = desk.try_transfer(by_call("call-7", "bo")).await.expect("handed over");
    assert_eq!((handed.login_id.as_str(), handed.agent_id.as_str()), (login.login_id.as_str(), "bo"));
    let listed = desk.try_list(v1::ListLoginsRequest { call_id: "call-7".to_owned(), ..Default::default() }).await;
    assert_eq!(listed.expect("a list").logins.len(), 1);
    let other = desk.try_list(v1::ListLoginsRequest { call_id: "call-8".to_owned(), ..Default::default() }).await;
    assert_eq!(other.expect("a list").logins, []);
    for (client, call) in [(&desk, "call-8"), (&gateway.stranger(), "call-7")] {
        let refusal = client.try_transfer(by_call(call, "cy")).await.expect_err("no such call");
        assert_eq!((refusal.code, refusal.reason.as_str()), (Code::NotFound, "LOGIN_NOT_FOUND"));
    }
    let nothing = desk.try_transfer(v1::TransferLoginRequest::default()).await.expect_err("a refusal");
    assert_eq!(nothing.fields, ["login", "agent_id"]);
}
