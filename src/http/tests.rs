use std::sync::Arc;

use axum::body::{Body, to_bytes};
use http::{HeaderMap, Request, StatusCode};
use serde_json::{Value, json};
use tower::ServiceExt;

use super::{Readiness, router};
use crate::session::{Channel, TenantId};
use crate::telemetry::Metrics;

fn tenant(id: &str) -> TenantId {
    TenantId::new(id).unwrap()
}

fn ready() -> Readiness {
    let readiness = Readiness::new([tenant("bank"), tenant("tv")]);
    readiness.set_store(Ok(()));
    readiness.set_provider(&tenant("bank"), Ok(()));
    readiness.set_provider(&tenant("tv"), Ok(()));
    readiness
}

async fn get(readiness: &Readiness, metrics: &Arc<Metrics>, path: &str) -> (StatusCode, HeaderMap, String) {
    let request = Request::get(path).body(Body::empty()).unwrap();
    let response = router(readiness.clone(), Arc::clone(metrics)).oneshot(request).await.unwrap();
    let (parts, body) = response.into_parts();
    let body = to_bytes(body, 1 << 20).await.unwrap();
    (parts.status, parts.headers, String::from_utf8(body.to_vec()).unwrap())
}

async fn readyz(readiness: &Readiness) -> (StatusCode, Value) {
    let (status, _, body) = get(readiness, &Arc::default(), "/readyz").await;
    (status, serde_json::from_str(&body).unwrap())
}

#[tokio::test]
async fn a_process_that_is_not_ready_is_alive() {
    let readiness = Readiness::new([tenant("bank")]);
    let (status, _, body) = get(&readiness, &Arc::default(), "/livez").await;
    assert_eq!((status, body.as_str()), (StatusCode::OK, "ok\n"));
}

#[tokio::test]
async fn nothing_is_ready_before_it_was_checked() {
    let (status, report) = readyz(&Readiness::new([tenant("bank")])).await;
    assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(
        report,
        json!({
            "ready": false,
            "store": "not checked yet",
            "providers": { "bank": "not checked yet" },
            "draining": false,
        })
    );
}

#[tokio::test]
async fn one_provider_that_is_down_does_not_take_the_gateway_away() {
    let readiness = ready();
    readiness.set_provider(&tenant("tv"), Err("metadata cannot be read".to_owned()));
    let (status, report) = readyz(&readiness).await;
    assert_eq!(status, StatusCode::OK);
    assert_eq!(report["providers"], json!({ "bank": "ok", "tv": "metadata cannot be read" }));

    readiness.set_provider(&tenant("bank"), Err("metadata cannot be read".to_owned()));
    assert_eq!(readyz(&readiness).await.0, StatusCode::SERVICE_UNAVAILABLE);
}

#[tokio::test]
async fn a_store_that_is_down_is_named() {
    let readiness = ready();
    readiness.set_store(Err("the store cannot be reached".to_owned()));
    let (status, report) = readyz(&readiness).await;
    assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(report["store"], "the store cannot be reached");
}

#[tokio::test]
async fn a_process_that_drains_is_not_ready() {
    let readiness = ready();
    readiness.set_draining();
    let (status, report) = readyz(&readiness).await;
    assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(report["draining"], true);
}

#[test]
fn followers_hear_of_changes_only() {
    let readiness = ready();
    let mut follower = readiness.subscribe();
    assert!(follower.borrow_and_update().is_ready());

    readiness.set_store(Ok(()));
    assert!(!follower.has_changed().unwrap());

    readiness.set_draining();
    assert!(follower.has_changed().unwrap());
    assert!(!follower.borrow_and_update().is_ready());
}

#[tokio::test]
async fn metrics_come_as_open_metrics() {
    let metrics = Arc::new(Metrics::new());
    metrics.login_started(Channel::PointOfSale);
    let (status, headers, page) = get(&ready(), &metrics, "/metrics").await;
    assert_eq!(status, StatusCode::OK);
    assert_eq!(headers["content-type"], super::OPEN_METRICS);
    assert!(page.contains(r#"ciba_gateway_logins_started_total{channel="point-of-sale"} 1"#), "{page}");
    assert!(page.ends_with("# EOF\n"), "{page}");
}
