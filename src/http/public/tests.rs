use axum::body::{Body, Bytes};
use axum::extract::{OriginalUri, Path};
use axum::routing::{get, post};
use http::Method;
use tower::ServiceExt;

use super::*;
use crate::clock::Clock;

fn public(base_url: &str) -> Public {
    let base_url = BaseUrl::new(&base_url.parse().unwrap(), false).unwrap();
    let settings = config::Public { listen: ([127, 0, 0, 1], 0).into(), base_url, tls: None };
    let routes = Router::new()
        .route("/echo/{name}", post(async |Path(name): Path<String>, body: Bytes| format!("{name} {}", body.len())))
        .route("/where", get(async |OriginalUri(uri): OriginalUri| uri.to_string()))
        .route("/never", get(std::future::pending::<()>));
    Public::new(&settings, Arc::default()).unwrap().with(routes)
}

async fn ask(public: &Public, method: Method, path: &str, body: Body) -> (StatusCode, String) {
    let request = Request::builder().method(method).uri(path);
    let answer = public.router().oneshot(request.body(body).unwrap()).await.unwrap();
    let (parts, body) = answer.into_parts();
    assert_eq!(
        (&parts.headers["cache-control"], &parts.headers["x-content-type-options"]),
        (&"no-store".parse().unwrap(), &"nosniff".parse().unwrap())
    );
    let body = axum::body::to_bytes(body, 1 << 20).await.unwrap();
    (parts.status, String::from_utf8(body.to_vec()).unwrap())
}

fn counted(public: &Public, line: &str) {
    let page = public.metrics.encode().unwrap();
    assert!(page.lines().any(|found| found == format!("ciba_gateway_public_requests_total{line}")), "{page}");
}

#[tokio::test]
async fn only_what_was_added_is_served() {
    let public = public("https://a.example");
    assert_eq!(ask(&public, Method::POST, "/echo/x", "body".into()).await, (StatusCode::OK, "x 4".to_owned()));
    for path in ["/", "/metrics", "/readyz", "/echo", "/echo/x/y"] {
        assert_eq!(ask(&public, Method::GET, path, Body::empty()).await.0, StatusCode::NOT_FOUND, "{path}");
    }
    assert_eq!(ask(&public, Method::GET, "/echo/x", Body::empty()).await.0, StatusCode::METHOD_NOT_ALLOWED);
    // What somebody makes up is no label.
    counted(&public, "{route=\"/echo/{name}\",status=\"200\"} 1");
    counted(&public, "{route=\"none\",status=\"404\"} 5");
}

#[tokio::test]
async fn the_path_of_the_base_url_comes_before_all_others() {
    let public = public("https://a.example/ciba/v1");
    let whole = (StatusCode::OK, "/ciba/v1/where?x=1".to_owned());
    assert_eq!(ask(&public, Method::GET, "/ciba/v1/where?x=1", Body::empty()).await, whole);
    assert_eq!(ask(&public, Method::GET, "/where", Body::empty()).await.0, StatusCode::NOT_FOUND);
    counted(&public, "{route=\"/where\",status=\"200\"} 1");
}

/// SR34: by what it says, and by what comes.
#[tokio::test]
async fn a_body_has_its_limit() {
    let public = public("https://a.example");
    let whole = vec![b'x'; MAX_BODY];
    assert_eq!(ask(&public, Method::POST, "/echo/x", whole.clone().into()).await.1, format!("x {MAX_BODY}"));
    let longer = [whole, b"x".to_vec()].concat();
    let chunks: Vec<_> = longer.chunks(1000).map(|chunk| Ok::<_, std::io::Error>(chunk.to_vec())).collect();
    let streamed = Body::from_stream(futures_util::stream::iter(chunks));
    for body in [longer.into(), streamed] {
        assert_eq!(ask(&public, Method::POST, "/echo/x", body).await.0, StatusCode::PAYLOAD_TOO_LARGE);
    }
}

/// SR34.
#[tokio::test(start_paused = true)]
async fn a_request_has_its_time() {
    let (public, clock) = (public("https://a.example"), Clock::following_tokio(Default::default()));
    let began = clock.now();
    let stalled = Body::from_stream(futures_util::stream::pending::<Result<Vec<u8>, std::io::Error>>());
    assert_eq!(ask(&public, Method::POST, "/echo/x", stalled).await.0, StatusCode::REQUEST_TIMEOUT);
    assert_eq!(ask(&public, Method::GET, "/never", Body::empty()).await.0, StatusCode::REQUEST_TIMEOUT);
    assert_eq!(clock.now(), began.plus(2 * REQUEST_LIMIT));
}
