//! Logins that end on a web page.

use serde_json::{Value, json};

use super::bench::{Answer, Bench, PHONE, refusal};
use crate::simulator::*;

const PAGE: &str = "https://shop.example/landing?from=app";

async fn starts(bench: &Bench) -> String {
    let hint = format!("urn:msisdn:{PHONE}");
    let form = [
        ("login_hint", hint.as_str()),
        ("scope", "openid name"),
        ("requested_flow", "login_to_webpage"),
        ("redirect_uri", PAGE),
    ];
    bench.start_with(&form).await.field("auth_req_id")
}

fn code(bench: &Bench) -> String {
    let landing = bench.simulator.landing(PHONE).unwrap();
    assert!(landing.as_str().starts_with(PAGE), "{landing}");
    landing.query_pairs().find(|(name, _)| name == "code").unwrap().1.into_owned()
}

async fn exchange(bench: &Bench, code: &str) -> Answer {
    let grant = "urn:vipps:params:grant-type:ciba-redirect";
    bench.post("/access-management-1.0/access/oauth2/token", &[("grant_type", grant), ("code", code)]).await
}

fn claims(token: &str) -> (Value, Value) {
    use base64::Engine as _;
    let part = |nth| base64::prelude::BASE64_URL_SAFE_NO_PAD.decode(token.split('.').nth(nth).unwrap()).unwrap();
    (serde_json::from_slice(&part(0)).unwrap(), serde_json::from_slice(&part(1)).unwrap())
}

#[tokio::test]
async fn a_code_is_exchanged_once() {
    let bench = Bench::new().await;
    let auth_req_id = starts(&bench).await;
    assert_eq!(bench.simulator.landing(PHONE), None, "nobody has answered");
    assert_eq!(bench.simulator.approve(PHONE), 1);
    let code = code(&bench);
    assert_eq!(bench.poll(&auth_req_id).await.refusal(), refusal(400, "invalid_grant"), "it is not polled");
    let success = exchange(&bench, &code).await;
    let body = success.json();
    assert_eq!((&body["token_type"], &body["expires_in"]), (&json!("bearer"), &json!(3599)));
    assert_eq!(body["scope"], "openid name");
    let (header, claims) = claims(&success.field("id_token"));
    assert_eq!((&header["alg"], header.get("typ")), (&json!("ES256"), None));
    assert_eq!((&claims["aud"], &claims["authReqId"]), (&json!("demo-client"), &json!(auth_req_id)));
    assert!(bench.userinfo(&success.field("access_token")).await.json()["name"].is_string());
    assert_eq!(exchange(&bench, &code).await.refusal(), refusal(400, "invalid_grant"));
}

#[tokio::test]
async fn a_code_lives_as_long_as_it_is_told_to() {
    for (seconds, lives) in [(25, true), (30, false)] {
        let bench = Bench::new().await;
        let redirect = RedirectKnobs { code_seconds: 30, ..RedirectKnobs::default() };
        bench.simulator.set_behaviour(PHONE, Behaviour { redirect, ..Behaviour::default() });
        starts(&bench).await;
        bench.simulator.approve(PHONE);
        bench.pass(seconds);
        assert_eq!(exchange(&bench, &code(&bench)).await.status == 200, lives, "after {seconds} s");
    }
}

#[tokio::test]
async fn whoever_refuses_lands_with_an_error_or_nowhere() {
    for (on_deny, expected) in [(OnDeny::Redirect, Some("error=access_denied")), (OnDeny::Nothing, None)] {
        let bench = Bench::new().await;
        let redirect = RedirectKnobs { on_deny, ..RedirectKnobs::default() };
        let outcome = Outcome::Deny { after_pendings: 0 };
        bench.simulator.set_behaviour(PHONE, Behaviour { redirect, outcome, ..Behaviour::default() });
        starts(&bench).await;
        let landing = bench.simulator.landing(PHONE);
        assert_eq!(landing.is_some(), expected.is_some());
        assert!(landing.is_none_or(|url| url.query().unwrap().contains(expected.unwrap())));
        let told = bench.get(&format!("/control/logins/{PHONE}/landing")).await.json();
        assert_eq!(told["url"].is_string(), expected.is_some());
    }
}

#[tokio::test]
async fn where_both_are_allowed_the_first_exchange_is_the_only_one() {
    let bench = Bench::new().await;
    let redirect = RedirectKnobs { pollable: true, ..RedirectKnobs::default() };
    bench.simulator.set_behaviour(PHONE, Behaviour { redirect, ..Behaviour::default() });
    let auth_req_id = starts(&bench).await;
    bench.simulator.approve(PHONE);
    assert_eq!(bench.poll(&auth_req_id).await.status, 200);
    assert_eq!(exchange(&bench, &code(&bench)).await.refusal(), refusal(400, "invalid_grant"));
}

#[tokio::test]
async fn the_phone_page_is_told_where_to_go() {
    let bench = Bench::new().await;
    starts(&bench).await;
    let handle = bench.simulator.waiting().first().unwrap().handle.clone();
    let path = format!("/phone/api/requests/{handle}/approve");
    let answer = bench.send_json("POST", &path, &Value::Null).await;
    assert_eq!(answer.status, 200);
    assert_eq!(answer.field("redirect"), bench.simulator.landing(PHONE).unwrap().as_str());
}

#[tokio::test]
async fn a_flow_is_named_whole_or_refused() {
    let bench = Bench::new().await;
    let hint = format!("urn:msisdn:{PHONE}");
    for wrong in [
        &[("requested_flow", "login_to_webpage")][..],
        &[("requested_flow", "login_to_app"), ("redirect_uri", PAGE)],
        &[("requested_flow", "login_to_webpage"), ("redirect_uri", "https://shop.example/#part")],
        &[("requested_flow", "login_to_webpage"), ("redirect_uri", "shop")],
    ] {
        let form = [&[("login_hint", hint.as_str()), ("scope", "openid")], wrong].concat();
        assert_eq!(bench.start_with(&form).await.refusal(), refusal(400, "invalid_request"), "{wrong:?}");
    }
}
