//! Logins that go their ordinary way, and every magic number.

use serde_json::{Value, json};

use super::bench::{Bench, PHONE, refusal};
use crate::simulator::*;

#[tokio::test]
async fn discovery_says_what_vipps_says_and_no_more() {
    let bench = Bench::new().await;
    let answer = bench.get("/access-management-1.0/access/.well-known/openid-configuration").await;
    let document = answer.json();
    assert_eq!(answer.headers["cache-control"], "max-age=3600");
    assert_eq!(document["issuer"], bench.simulator.issuer().as_str());
    assert!(bench.simulator.issuer().as_str().ends_with("/access/"));
    assert_eq!(document["backchannel_token_delivery_modes_supported"], json!(["poll"]));
    assert_eq!(document["id_token_signing_alg_values_supported"], json!(["RS256"]));
    assert!(!answer.text.contains("grant-type:ciba"));
    assert!(!answer.text.contains("user-exists"));
}

#[tokio::test]
async fn a_person_approves_on_the_phone() {
    let bench = Bench::new().await;
    let auth_req_id = bench.start(PHONE).await;
    let pending = refusal(400, "authorization_pending");
    assert_eq!(bench.poll(&auth_req_id).await.refusal(), pending);

    assert_eq!(bench.simulator.approve("+47 912 34 567"), 1);
    bench.pass(5);
    let success = bench.poll(&auth_req_id).await;
    assert_eq!(success.status, 200);
    assert_eq!(success.headers["cache-control"], "no-store");
    assert_eq!(success.json()["expires_in"], 300);
    assert!(success.json().get("scope").is_none());

    let person = bench.userinfo(&success.field("access_token")).await.json();
    let subject = bench.simulator.subject("demo-client", PHONE);
    assert_eq!(person["sub"].as_str(), subject.as_deref());
    assert_eq!(person["phone_number"], PHONE);
    assert!(person["address"]["street_address"].as_str().unwrap().contains('\n'));
    assert!(person.get("nin").is_none());
}

#[tokio::test]
async fn a_person_refuses() {
    let bench = Bench::impatient().await;
    let auth_req_id = bench.start(PHONE).await;
    assert_eq!(bench.simulator.deny(PHONE), 1);
    for _ in 0..2 {
        let denied = refusal(400, "access_denied");
        assert_eq!(bench.poll(&auth_req_id).await.refusal(), denied);
    }
}

#[tokio::test]
async fn nobody_answers() {
    let bench = Bench::new().await;
    let hint = format!("urn:msisdn:{PHONE}");
    let form = [("login_hint", hint.as_str()), ("scope", "openid"), ("requested_expiry", "60")];
    let answer = bench.start_with(&form).await.json();
    assert_eq!(answer["expires_in"], 60);
    bench.pass(61);
    let id = answer["auth_req_id"].as_str().unwrap();
    assert_eq!(bench.poll(id).await.refusal(), refusal(400, "expired_token"));
    assert_eq!(bench.simulator.waiting(), []);
}

#[tokio::test]
async fn a_result_is_fetched_once() {
    let bench = Bench::impatient().await;
    let auth_req_id = bench.start(PHONE).await;
    bench.simulator.approve(PHONE);
    assert_eq!(bench.poll(&auth_req_id).await.status, 200);
    let spent = refusal(400, "invalid_grant");
    assert_eq!(bench.poll(&auth_req_id).await.refusal(), spent);
}

#[tokio::test]
async fn early_polls_are_recorded_and_answered_as_set() {
    let bench = Bench::new().await;
    bench.simulator.set_behaviour(
        PHONE,
        Behaviour { token: TokenKnobs { early: EarlyPoll::SlowDown, ..TokenKnobs::default() }, ..Behaviour::default() },
    );
    let auth_req_id = bench.start(PHONE).await;
    bench.poll(&auth_req_id).await;
    let too_fast = bench.poll(&auth_req_id).await;
    assert_eq!(too_fast.refusal(), refusal(400, "slow_down"));
    let outcomes: Vec<_> = bench.simulator.requests().iter().filter_map(|request| request.outcome).collect();
    assert_eq!(outcomes, ["started", "pending", "early"]);
}

#[tokio::test]
async fn many_polls_at_once_get_allowed_answers_only() {
    let bench = Bench::new().await;
    let auth_req_id = bench.start(PHONE).await;
    let polls = (0..20).map(|_| bench.poll(&auth_req_id));
    for answer in futures_util::future::join_all(polls).await {
        assert_eq!(answer.refusal(), refusal(400, "authorization_pending"));
    }
}

#[tokio::test]
async fn data_is_available_while_the_access_token_lives() {
    let bench = Bench::new().await;
    let token = bench.log_in(PHONE).await.field("access_token");
    assert_eq!(bench.userinfo_with_key(&token).await.status, 401);
    assert_eq!(bench.userinfo(&token).await.status, 200);
    bench.pass(300);
    assert_eq!(bench.userinfo(&token).await.status, 401);
}

#[tokio::test]
async fn revoked_tokens_open_nothing() {
    let bench = Bench::new().await;
    let token = bench.log_in(PHONE).await.field("access_token");
    let path = "/access-management-1.0/access/oauth2/revoke";
    assert_eq!(bench.post(path, &[("token", &token)]).await.status, 200);
    assert_eq!(bench.userinfo(&token).await.status, 401);
}

#[tokio::test]
async fn a_customer_token_stands_for_a_number_at_one_sales_unit_for_15_minutes() {
    let other = ClientRegistration { client_id: "other-client".to_owned(), ..ClientRegistration::default() };
    let clients = vec![ClientRegistration::default(), other];
    let mut bench = Bench::with(Settings { clients, ..Settings::default() }).await;
    let token = bench.platform_token().await;
    let code = json!({ "locationDescription": "Till 4" });
    assert_eq!(bench.qr("PUT", "/merchant-callback/acme.till-4", &token, Some(&code)).await.status, 200);
    assert_eq!(bench.simulator.scan(PHONE, "acme.till-5"), None);
    let scan = bench.simulator.scan(PHONE, "acme.till-4").unwrap();
    assert!(scan.customer_token.contains(['+', '/']) && scan.customer_token.ends_with('='), "{scan:?}");
    let hint = format!("urn:customer-token:{}", scan.customer_token);
    let form = [("login_hint", hint.as_str()), ("scope", "openid")];
    assert_eq!(bench.start_with(&form).await.status, 200);
    assert_eq!(bench.simulator.waiting()[0].phone, PHONE);
    bench.speak_as("other-client");
    assert_eq!(bench.start_with(&form).await.json()["error"], "invalid_request");
    bench.speak_as("demo-client");
    bench.simulator.advance(Duration::from_secs(15 * 60));
    assert_eq!(bench.start_with(&form).await.json()["error"], "expired_login_hint_token");
}

#[tokio::test]
async fn a_code_keeps_its_content_and_is_the_sales_units_own() {
    let bench = Bench::new().await;
    let token = bench.platform_token().await;
    let put = async |location: &str| {
        let body = json!({ "locationDescription": location, "category": "VENDING" });
        bench.qr("PUT", "/merchant-callback/acme.till-4", &token, Some(&body)).await.status
    };
    assert_eq!(put("Till 4").await, 200);
    assert_eq!(put(&"x".repeat(37)).await, 400);
    let code = bench.qr("GET", "/merchant-callback/acme.till-4?QrImageFormat=PNG&QrImageSize=100", &token, None).await;
    assert_eq!(code.status, 200);
    assert_eq!(code.json()["merchantSerialNumber"], "123456");
    assert_eq!(put("Till 5").await, 200);
    let all = bench.qr("GET", "/merchant-callback", &token, None).await.json();
    assert_eq!(all[0]["qrContent"], code.json()["qrContent"]);
    assert_eq!(all[0]["locationDescription"], "Till 5");
    assert_eq!(bench.qr("GET", "/merchant-callback", "no-token", None).await.status, 401);
    for status in [200, 404] {
        assert_eq!(bench.qr("DELETE", "/merchant-callback/acme.till-4", &token, None).await.status, status);
    }
}

#[tokio::test]
async fn both_kinds_of_personal_codes_are_exchanged() {
    let bench = Bench::new().await;
    let token = bench.platform_token().await;
    for kind in [PersonalQrKind::ClearText, PersonalQrKind::Tokenised] {
        let body = json!({ "qrCode": bench.simulator.personal_qr(PHONE, kind).unwrap() });
        assert_eq!(bench.qr("POST", "/exchange", &token, Some(&body)).await.json()["msisdn"], PHONE, "{kind:?}");
    }
    let junk = json!({ "qrCode": "https://example.com/" });
    assert_eq!(bench.qr("POST", "/exchange", &token, Some(&junk)).await.status, 400);
}

#[tokio::test]
async fn user_exists_takes_both_spellings() {
    let bench = Bench::new().await;
    let path = "/vipps-login-ciba/api/v1/user-exists";
    for name in ["login_hint", "loginHint"] {
        let yes = bench.post(path, &[(name, "urn:msisdn:4791234567")]).await;
        assert_eq!(yes.json(), json!({ "exists": true }));
        let no = bench.post(path, &[(name, "urn:msisdn:4790000010")]).await;
        assert_eq!(no.json(), json!({ "exists": false }));
    }
}

#[tokio::test]
async fn magic_numbers_keep_their_word() {
    let bench = Bench::impatient().await;
    for magic in magic_numbers() {
        let [phone, ..] = magic.examples();
        let last = last_outcome(&bench, &phone).await;
        let expected: &[&str] = match magic.effect {
            effect if effect.contains("approves") => &["approved", "lost"],
            effect if effect.contains("refuses") => &["denied"],
            effect if effect.contains("never answers") => &["pending"],
            effect if effect.contains("without auth_req_id") => &["started"],
            _ => &["fault"],
        };
        assert!(expected.contains(&last), "{}: {last}", magic.name);
    }
}

/// Starts, polls until something other than pending or trouble comes, at most
/// six times, and says what the journal calls the last answer.
async fn last_outcome(bench: &Bench, phone: &str) -> &'static str {
    let hint = format!("urn:msisdn:{phone}");
    let form = [("login_hint", hint.as_str()), ("scope", "openid")];
    let path = "/vipps-login-ciba/api/backchannel/authentication";
    let token = "/access-management-1.0/access/oauth2/token";
    let grant = "urn:openid:params:grant-type:ciba";
    let body = send_and_bear(bench, path, &form).await;
    if let Some(auth_req_id) = body["auth_req_id"].as_str() {
        for _ in 0..6 {
            let form = [("grant_type", grant), ("auth_req_id", auth_req_id)];
            send_and_bear(bench, token, &form).await;
            if matches!(latest(bench), "approved" | "lost" | "denied") {
                break;
            }
        }
    }
    latest(bench)
}

/// The JSON of an answer, or null when it is not JSON or breaks off: both are
/// among the things that are tried here.
async fn send_and_bear(bench: &Bench, path: &str, form: &[(&str, &str)]) -> Value {
    let Ok(answer) = bench.try_post(path, form).await else {
        return Value::Null;
    };
    let text = answer.text().await.unwrap_or_default();
    serde_json::from_str(&text).unwrap_or_default()
}

fn latest(bench: &Bench) -> &'static str {
    let requests = bench.simulator.requests();
    requests.last().and_then(|request| request.outcome).unwrap()
}
