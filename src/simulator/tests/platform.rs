//! The access token of the vendor's other APIs.

use serde_json::json;

use super::bench::{Answer, Bench};
use crate::simulator::*;

const SECRET: [&str; 3] = ["demo-client", "demo-secret", "demo-subscription-key"];

async fn ask(bench: &Bench, [id, secret, key]: [&str; 3]) -> Answer {
    let headers = [("client_id", id), ("client_secret", secret), ("Ocp-Apim-Subscription-Key", key)];
    bench.post_bare("/accesstoken/get", &headers).await
}

#[tokio::test]
async fn a_token_comes_with_numbers_as_text() {
    let bench = Bench::new().await;
    let answer = ask(&bench, SECRET).await;
    assert_eq!(answer.status, 200);
    let body = answer.json();
    assert_eq!((&body["token_type"], &body["expires_in"]), (&json!("Bearer"), &json!("3600")));
    assert!(body["expires_on"].is_string() && body["not_before"].is_string(), "{body}");
    assert_ne!(body["access_token"], ask(&bench, SECRET).await.json()["access_token"]);
    assert_eq!(bench.simulator.requests().len(), 2);
}

#[tokio::test]
async fn each_of_the_three_must_be_right() {
    let bench = Bench::new().await;
    for wrong in 0..3 {
        let mut secret = SECRET;
        secret[wrong] = "wrong";
        let answer = ask(&bench, secret).await;
        assert_eq!(answer.status, 401, "{wrong}");
    }
    let outcomes: Vec<_> = bench.simulator.requests().iter().filter_map(|request| request.outcome).collect();
    assert_eq!(outcomes, ["unauthorized_client", "unauthorized_client", "no_subscription"]);
}

#[tokio::test]
async fn its_answers_can_be_set() {
    let bench = Bench::new().await;
    let knobs = json!({ "lifetime_seconds": 60, "answer": { "set": { "expires_in": 60 } } });
    assert_eq!(bench.send_json("PUT", "/control/platform", &knobs).await.status, 204);
    assert_eq!(ask(&bench, SECRET).await.json()["expires_in"], 60);
    bench.simulator.set_platform(PlatformKnobs { fault: Some(Fault::gateway(503)), ..PlatformKnobs::default() });
    assert_eq!(ask(&bench, SECRET).await.status, 503);
    bench.simulator.reset();
    assert_eq!(ask(&bench, SECRET).await.status, 200);
}
