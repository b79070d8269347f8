//! Requests that must be refused (CIBA §13 and provider cases of the
//! conformance suite).

use super::bench::{Answer, Bench, PHONE, refusal};
use crate::simulator::*;

const HINT: (&str, &str) = ("login_hint", "urn:msisdn:4791234567");
const SCOPE: (&str, &str) = ("scope", "openid");

#[tokio::test]
async fn malformed_starts_are_refused() {
    let bench = Bench::new().await;
    let cases: [(&[(&str, &str)], &str); 15] = [
        (&[SCOPE], "invalid_request"),
        (&[HINT, HINT, SCOPE], "invalid_request"),
        (&[HINT, ("id_token_hint", "x"), SCOPE], "invalid_request"),
        (&[("loginHint", HINT.1), SCOPE], "invalid_request"),
        (&[("login_hint", "urn:msisdn:12025550100"), SCOPE], "invalid_request"),
        (&[("login_hint", "urn:msisdn:+4791234567"), SCOPE], "invalid_request"),
        (&[("login_hint", "urn:mobilenumber:91234567"), SCOPE], "invalid_request"),
        (&[HINT], "invalid_request"),
        (&[HINT, ("scope", "name")], "invalid_scope"),
        (&[HINT, ("scope", "openid nnin")], "invalid_scope"),
        (&[HINT, SCOPE, ("binding_message", "ABC")], "invalid_binding_message"),
        (&[HINT, SCOPE, ("binding_message", "abcde\r\n")], "invalid_binding_message"),
        (&[HINT, SCOPE, ("requested_expiry", "59")], "invalid_request"),
        (&[HINT, SCOPE, ("requested_expiry", "ten")], "invalid_request"),
        (&[HINT, SCOPE, ("requested_flow", "login_to_webpage")], "invalid_request"),
    ];
    for (form, error) in cases {
        let answer = bench.start_with(form).await;
        assert_eq!(answer.refusal(), refusal(400, error), "{form:?}");
        assert_plain(&answer);
    }
    assert_eq!(bench.simulator.waiting(), []);
}

/// Error texts are free of CR, LF and TAB once they are decoded.
fn assert_plain(answer: &Answer) {
    let description = answer.field("error_description");
    assert!(!description.contains(['\r', '\n', '\t']), "{description}");
}

#[tokio::test]
async fn scopes_may_come_in_any_order_and_unknown_ones_are_dropped() {
    let bench = Bench::new().await;
    let form = [HINT, ("scope", "email promotions openid email")];
    assert_eq!(bench.start_with(&form).await.status, 200);
    assert_eq!(bench.simulator.waiting()[0].scopes, ["email", "openid"]);
}

#[tokio::test]
async fn a_binding_message_is_shown() {
    let bench = Bench::new().await;
    let form = [HINT, SCOPE, ("binding_message", "AB-1234")];
    assert_eq!(bench.start_with(&form).await.status, 200);
    let waiting = bench.simulator.waiting();
    assert_eq!(waiting[0].binding_message.as_deref(), Some("AB-1234"));
}

#[tokio::test]
async fn identifiers_are_long_and_differ() {
    let bench = Bench::new().await;
    let (one, other) = (bench.start(PHONE).await, bench.start(PHONE).await);
    assert!(one.len() >= 27);
    assert_ne!(one, other);
}

#[tokio::test]
async fn strangers_are_refused() {
    let mut bench = Bench::new().await;
    bench.speak_as("stranger");
    let answer = bench.start_with(&[HINT, SCOPE]).await;
    assert_eq!(answer.refusal(), refusal(401, "invalid_client"));
    assert!(answer.headers.contains_key("www-authenticate"));
}

#[tokio::test]
async fn a_login_belongs_to_the_client_that_started_it() {
    let second = ClientRegistration { client_id: "second".to_owned(), ..ClientRegistration::default() };
    let mut bench =
        Bench::with(Settings { clients: vec![ClientRegistration::default(), second], ..Settings::default() }).await;
    let auth_req_id = bench.start(PHONE).await;
    bench.speak_as("second");
    let foreign = bench.poll(&auth_req_id).await;
    assert_eq!(foreign.refusal(), refusal(400, "invalid_grant"));
}

#[tokio::test]
async fn other_grants_are_not_offered() {
    let bench = Bench::new().await;
    let path = "/access-management-1.0/access/oauth2/token";
    for grant in ["urn:vipps:params:grant-type:qr-redirect", "client_credentials"] {
        let answer = bench.post(path, &[("grant_type", grant)]).await;
        assert_eq!(answer.refusal(), refusal(400, "unsupported_grant_type"));
    }
}

#[tokio::test]
async fn too_many_logins_on_one_phone_get_a_429() {
    let bench = Bench::with(Settings { max_waiting_per_number: Some(1), ..Settings::default() }).await;
    bench.start(PHONE).await;
    let busy = bench.start_with(&[HINT, SCOPE]).await;
    assert_eq!(busy.status, 429);
    assert_eq!(busy.headers["retry-after"], "30");
}

#[tokio::test]
async fn retry_after_comes_in_both_forms() {
    let bench = Bench::new().await;
    let hint = |suffix: &str| format!("urn:msisdn:47900{suffix}");
    let seconds = bench.start_with(&[("login_hint", &hint("00013")), SCOPE]).await;
    assert_eq!(seconds.headers["retry-after"], "7");
    let date = bench.start_with(&[("login_hint", &hint("00014")), SCOPE]).await;
    let value = date.headers["retry-after"].to_str().unwrap();
    assert!(httpdate::parse_http_date(value).is_ok(), "{value}");
}

#[tokio::test]
async fn a_cut_connection_rings_the_phone_and_an_outage_does_not() {
    let bench = Bench::new().await;
    let path = "/vipps-login-ciba/api/backchannel/authentication";
    let cut = [("login_hint", "urn:msisdn:4790000018"), SCOPE];
    let answer = bench.try_post(path, &cut).await;
    let broken = match answer {
        Ok(answer) => answer.bytes().await.is_err(),
        Err(_) => true,
    };
    assert!(broken);
    assert_eq!(bench.simulator.waiting().len(), 1);

    let outage = [("login_hint", "urn:msisdn:4790000016"), SCOPE];
    assert_eq!(bench.start_with(&outage).await.status, 500);
    assert_eq!(bench.simulator.waiting().len(), 1);
}
