//! A number or a phone call that has a live login: refuse, join, replace.

use ciba_gateway::grpc::v1;
use tonic::Code;
use v1::WhenNumberBusy::{Join, Replace};

use crate::support::client::{NUMBER, OTHER_NUMBER, about, at_the_till, on_a_call, standing};
use crate::support::fake_provider::Asked;
use crate::support::stage::{Stage, pass, secs};

fn when_busy(what: v1::WhenNumberBusy, start: v1::StartLoginRequest) -> v1::StartLoginRequest {
    v1::StartLoginRequest { when_number_busy: what.into(), ..start }
}

fn on_call(request_id: &str, number: &str) -> v1::StartLoginRequest {
    v1::StartLoginRequest { call_id: "call-7".to_owned(), ..on_a_call(request_id, number) }
}

/// SR6: one live login for a phone call, whatever the number.
#[tokio::test(start_paused = true)]
async fn a_phone_call_has_one_live_login() {
    let (stage, gateway) = Stage::with_gateway();
    let desk = gateway.desk();
    let login = desk.start(on_call("r-1", NUMBER)).await;
    let refusal = desk.refused(on_call("r-2", OTHER_NUMBER)).await;
    assert_eq!((refusal.code, refusal.reason.as_str()), (Code::FailedPrecondition, "CALL_BUSY"));
    assert_eq!(stage.provider.count(Asked::Start), 1);
    // Another tenant's telephone system may use the same names.
    gateway.stranger().start(on_call("r-2", OTHER_NUMBER)).await;
    desk.cancel(&login).await;
    assert_eq!(standing(&desk.start(on_call("r-2", OTHER_NUMBER)).await), "pending");
}

/// SR6: the same once more is the same login, and no phone rings again.
#[tokio::test(start_paused = true)]
async fn whoever_joins_gets_the_live_login() {
    let (stage, gateway) = Stage::with_gateway();
    let desk = gateway.desk();
    let login = desk.start(on_call("r-1", NUMBER)).await;
    let joined = desk.start(when_busy(Join, on_call("r-2", NUMBER))).await;
    assert_eq!(joined.login_id, login.login_id);
    // The request_id stands for that login from now on.
    assert_eq!(desk.start(on_call("r-2", NUMBER)).await.login_id, login.login_id);
    assert_eq!(stage.provider.count(Asked::Start), 1);
}

#[tokio::test(start_paused = true)]
async fn only_the_same_is_joined() {
    let (stage, gateway) = Stage::with_gateway();
    let (desk, bo) = (gateway.desk(), gateway.desk().with_agent("bo"));
    desk.start(on_call("r-1", NUMBER)).await;
    let of_bo = v1::StartLoginRequest { agent_id: "bo".to_owned(), ..on_call("r-2", NUMBER) };
    let other_claims = v1::StartLoginRequest { claims: vec![v1::Claim::Email.into()], ..on_call("r-3", NUMBER) };
    let at_lead = gateway.lead().with_agent("ada");
    for (client, start) in [(&bo, of_bo), (&desk, other_claims), (&at_lead, on_call("r-4", NUMBER))] {
        let refusal = client.refused(when_busy(Join, start)).await;
        assert_eq!((refusal.code, refusal.reason.as_str()), (Code::FailedPrecondition, "NUMBER_BUSY"));
    }
    assert_eq!(desk.refused(when_busy(Join, on_call("r-5", OTHER_NUMBER))).await.reason, "CALL_BUSY");
    assert_eq!(stage.provider.count(Asked::Start), 1);
}

#[tokio::test(start_paused = true)]
async fn ones_own_login_is_replaced() {
    let (stage, gateway) = Stage::with_gateway();
    let desk = gateway.desk();
    let first = desk.start(on_call("r-1", NUMBER)).await;
    let second = desk.start(when_busy(Replace, on_call("r-2", NUMBER))).await;
    assert_eq!((desk.sees(&first).await.as_str(), standing(&second).as_str()), ("cancelled", "pending"));
    assert_eq!(stage.provider.count(Asked::Start), 2);
    // By number and by call at once.
    let elsewhere = desk.start(on_a_call("r-3", OTHER_NUMBER)).await;
    let third = desk.start(when_busy(Replace, on_call("r-4", OTHER_NUMBER))).await;
    for replaced in [&second, &elsewhere] {
        assert_eq!(desk.sees(replaced).await, "cancelled");
    }
    assert_eq!(desk.sees(&third).await, "pending");
}

#[tokio::test(start_paused = true)]
async fn nobody_replaces_anothers_login() {
    let (stage, gateway) = Stage::with_gateway();
    let (desk, bo) = (gateway.desk(), gateway.desk().with_agent("bo"));
    let login = desk.start(on_a_call("r-1", NUMBER)).await;
    let of_bo = v1::StartLoginRequest { agent_id: "bo".to_owned(), ..on_a_call("r-2", NUMBER) };
    let at_a_till = at_the_till("r-3", NUMBER);
    for (client, start) in [(&bo, of_bo), (&desk.clone().without_agent(), at_a_till)] {
        let refusal = client.refused(when_busy(Replace, start)).await;
        assert_eq!((refusal.code, refusal.reason.as_str()), (Code::FailedPrecondition, "NUMBER_BUSY"));
        assert!(!refusal.message.contains("ada"), "{refusal:?} says whose");
    }
    assert_eq!((desk.sees(&login).await.as_str(), stage.provider.count(Asked::Start)), ("pending", 1));
}

/// SR7: counted as every start, and what the limits refuse cancels nothing.
#[tokio::test(start_paused = true)]
async fn a_refused_replacement_leaves_the_login_alone() {
    let (stage, gateway) = Stage::with_gateway();
    let desk = gateway.desk();
    desk.start(at_the_till("r-1", NUMBER)).await;
    desk.start(when_busy(Replace, at_the_till("r-2", NUMBER))).await;
    let third = desk.start(when_busy(Replace, at_the_till("r-3", NUMBER))).await;
    let refusal = desk.refused(when_busy(Replace, at_the_till("r-4", NUMBER))).await;
    assert_eq!((refusal.reason.as_str(), refusal.told("limit")), ("TOO_MANY_STARTS", Some("number")));
    assert_eq!((desk.sees(&third).await.as_str(), stage.provider.count(Asked::Start)), ("pending", 3));
    assert_eq!(desk.check(about(NUMBER)).await.expect_err("a refusal").reason, "TOO_MANY_STARTS");
}

/// SR40: all of a number at once; outcomes, request ids and limits stay.
#[tokio::test(start_paused = true)]
async fn everything_about_a_number_is_erased() {
    let (stage, gateway) = Stage::with_gateway();
    let desk = gateway.desk();
    stage.provider.person_approves();
    let approved = desk.start(at_the_till("r-1", NUMBER)).await;
    assert!(desk.wait_for_end(&approved).await.identity.is_some());
    let live = desk.start(at_the_till("r-2", NUMBER)).await;
    let other = desk.start(at_the_till("r-3", OTHER_NUMBER)).await;
    let of_stranger = gateway.stranger().start(at_the_till("r-1", NUMBER)).await;
    assert_eq!(gateway.lead().erase_number(NUMBER).await, Ok(0), "another system's");
    assert_eq!(desk.erase_number(NUMBER).await, Ok(2));
    let seen = desk.get(&approved).await;
    assert_eq!((standing(&seen).as_str(), seen.identity), ("approved", None));
    assert_eq!(desk.sees(&live).await, "cancelled");
    assert_eq!(desk.start(at_the_till("r-2", NUMBER)).await.login_id, live.login_id, "the request_id stays spent");
    assert_eq!(
        (desk.sees(&other).await.as_str(), gateway.stranger().sees(&of_stranger).await.as_str()),
        ("pending", "pending")
    );
    pass(secs(1)).await;
    let malformed = desk.erase_number("12").await.expect_err("no number");
    assert_eq!(malformed.fields, ["phone_number"]);
}
