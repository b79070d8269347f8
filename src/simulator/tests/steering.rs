//! The phone page, the control API and the handle.

use serde_json::{Value, json};

use super::bench::{Bench, PHONE, refusal};
use crate::simulator::*;

const DISCOVERY: &str = "/access-management-1.0/access/.well-known/openid-configuration";

#[tokio::test]
async fn the_phone_shows_and_decides() {
    let bench = Bench::impatient().await;
    let auth_req_id = bench.start(PHONE).await;
    let list = format!("/phone/api/requests?phone={PHONE}");
    let shown = bench.get(&list).await;
    assert!(!shown.text.contains(&auth_req_id));
    assert_eq!(shown.json()[0]["asked_by"], "Nordlys Kundeservice");

    let handle = shown.json()[0]["handle"].as_str().unwrap().to_owned();
    let approve = format!("/phone/api/requests/{handle}/approve");
    assert_eq!(bench.post(&approve, &[]).await.status, 204);
    assert_eq!(bench.post(&approve, &[]).await.status, 409);
    let unknown = "/phone/api/requests/unknown/deny";
    assert_eq!(bench.post(unknown, &[]).await.status, 404);

    assert_eq!(bench.get(&list).await.json(), json!([]));
    assert_eq!(bench.poll(&auth_req_id).await.status, 200);
}

#[tokio::test]
async fn the_page_needs_nothing_from_elsewhere() {
    let bench = Bench::new().await;
    for path in ["/phone", "/phone/4791234567"] {
        let page = bench.get(path).await;
        let policy = page.headers["content-security-policy"].to_str().unwrap();
        assert!(policy.starts_with("default-src 'none'"), "{policy}");
        assert!(!page.text.contains("{{nonce}}"));
        assert!(!page.text.contains("http://") && !page.text.contains("https://"));
    }
}

#[tokio::test]
async fn behaviours_are_set_over_http() {
    let bench = Bench::impatient().await;
    let path = format!("/control/behaviours/+{PHONE}");
    let deny = json!({ "outcome": { "deny": { "after_pendings": 0 } } });
    assert_eq!(bench.send_json("PUT", &path, &deny).await.status, 204);
    let auth_req_id = bench.start(PHONE).await;
    let denied = refusal(400, "access_denied");
    assert_eq!(bench.poll(&auth_req_id).await.refusal(), denied);

    let misspelt = json!({ "outcomes": "human" });
    assert_eq!(bench.send_json("PUT", &path, &misspelt).await.status, 422);
}

#[tokio::test]
async fn the_default_can_be_read_changed_and_reset() {
    let bench = Bench::new().await;
    let mut behaviour = bench.get("/control/behaviour").await.json();
    assert_eq!(behaviour["outcome"], "human");
    behaviour["outcome"] = json!("expire");
    let put = bench.send_json("PUT", "/control/behaviour", &behaviour).await;
    assert_eq!(put.status, 204);
    assert_eq!(bench.get("/control/behaviour").await.json(), behaviour);

    bench.start(PHONE).await;
    assert_eq!(bench.post("/control/reset", &[]).await.status, 204);
    assert_eq!(bench.get("/control/logins").await.json(), json!([]));
    assert_eq!(bench.get("/control/requests").await.json(), json!([]));
    let reset = bench.get("/control/behaviour").await.json();
    assert_eq!(reset["outcome"], "human");
}

#[tokio::test]
async fn received_requests_are_listed_with_their_times() {
    let bench = Bench::new().await;
    let auth_req_id = bench.start(PHONE).await;
    bench.poll(&auth_req_id).await;
    let requests = bench.get("/control/requests?from=1").await.json();
    let poll = &requests[0];
    assert_eq!(requests.as_array().map(Vec::len), Some(1));
    assert_eq!(poll["endpoint"], "token");
    assert_eq!(poll["outcome"], "pending");
    assert_eq!(poll["phone"], PHONE);
    assert_eq!(poll["form"][1], json!(["auth_req_id", auth_req_id]));
    assert!(poll["answered_ms"].as_u64() >= poll["arrived_ms"].as_u64());
}

#[tokio::test]
async fn logins_are_decided_over_http() {
    let bench = Bench::impatient().await;
    bench.start(PHONE).await;
    let path = format!("/control/logins/{PHONE}/approve");
    let nothing = Value::Null;
    let first = bench.send_json("POST", &path, &nothing).await;
    assert_eq!(first.json(), json!({ "decided": 1 }));
    let second = bench.send_json("POST", &path, &nothing).await;
    assert_eq!(second.json(), json!({ "decided": 0 }));
}

#[tokio::test]
async fn time_and_keys_are_moved_over_http() {
    let bench = Bench::new().await;
    let auth_req_id = bench.start(PHONE).await;
    let hour = json!({ "seconds": 601 });
    let advanced = bench.send_json("POST", "/control/clock/advance", &hour).await;
    assert_eq!(advanced.status, 204);
    let expired = refusal(400, "expired_token");
    assert_eq!(bench.poll(&auth_req_id).await.refusal(), expired);

    let keep = json!({ "keep_old": true });
    let rotated = bench.send_json("POST", "/control/keys/rotate", &keep).await;
    assert_eq!(rotated.status, 204);
    assert_eq!(bench.jwks().await.keys.len(), 4);
}

#[tokio::test]
async fn discovery_can_lie() {
    let bench = Bench::new().await;
    bench.simulator.set_discovery(DiscoveryKnobs {
        document: Edit {
            remove: vec!["backchannel_authentication_endpoint".to_owned()],
            ..Edit::setting("issuer", "https://issuer.example/")
        },
        jwks_file: "moved.json".to_owned(),
        publish_p256: false,
        ..DiscoveryKnobs::default()
    });
    let document = bench.get(DISCOVERY).await.json();
    assert_eq!(document["issuer"], "https://issuer.example/");
    assert!(document.get("backchannel_authentication_endpoint").is_none());

    let moved = "/access-management-1.0/access/.well-known/moved.json";
    assert_eq!(document["jwks_uri"], bench.url(moved));
    let keys = bench.get(moved).await.json();
    assert_eq!(keys["keys"].as_array().map(Vec::len), Some(1));
    let old = "/access-management-1.0/access/.well-known/jwks.json";
    assert_eq!(bench.get(old).await.status, 404);
}

#[tokio::test]
async fn a_test_can_wait_for_a_request() {
    let bench = Bench::new().await;
    let polled = bench.simulator.wait_for_request(|request| request.outcome == Some("pending"));
    let acting = async {
        let auth_req_id = bench.start(PHONE).await;
        bench.poll(&auth_req_id).await;
    };
    let (polled, ()) = tokio::join!(polled, acting);
    assert_eq!(polled.endpoint, Endpoint::Token);
    assert_eq!(polled.phone.as_deref(), Some(PHONE));
}

#[tokio::test]
async fn it_stops_when_told() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    run(listener, Settings::default(), std::future::ready(())).await.unwrap();
}

#[tokio::test]
async fn a_speed_of_nothing_is_refused() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let settings = Settings { speed: 0.0, ..Settings::default() };
    let refused = run(listener, settings, std::future::ready(())).await;
    assert_eq!(refused.unwrap_err().kind(), std::io::ErrorKind::InvalidInput);
}
