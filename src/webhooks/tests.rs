//! What is taken for the provider's, and what is made of it.

use std::sync::atomic::{AtomicU32, Ordering};

use axum::body::Body;
use axum::extract::DefaultBodyLimit;
use http::header::AUTHORIZATION;
use proptest::prelude::*;
use tower::ServiceExt;

use super::proof::{Signed, TIME_WINDOW};
use super::*;

const HOST: &str = "login.bank.example";
const SECRET: &str = "090a478d-37ff-4e77-970e-d457aeb26a3a";
/// Longer than a block of the hash, as base64 of 64 bytes is.
const OTHER: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef012345==";
/// Thu, 30 Mar 2023 08:38:32 GMT
const NOW: Timestamp = Timestamp::from_millis(1_680_165_512_000);
const DATE: &str = "Thu, 30 Mar 2023 08:38:32 GMT";
const PING: &str = r#"{"auth_req_id":"VYGaaAMRkI6SyAm_uIywhxsN2K0"}"#;

const CONTENT_OF_PING: &str = "z+qSFyS2+KwBQf7FjFFI3/Z4HFcY/iChU44HIpkpU0E=";
const SIGNATURE: &str = "qan97K59BCU+wVkWTKU67R/gzXUs331plCn67QIUJLI=";
const OTHER_SIGNATURE: &str = "SeQ8Se3FAa+Hqjca62P34fuUSftZfUiTo5b9qZuEMdc=";

/// Counts what it hears, and says that.
struct Ear(AtomicU32, Heard);

#[async_trait]
impl Hear for Ear {
    async fn hear(&self, delivery: Delivery<'_>) -> Heard {
        assert_eq!((delivery.registration.as_str(), delivery.tenant.as_str()), ("pings", "bank"));
        self.0.fetch_add(1, Ordering::Relaxed);
        self.1
    }
}

struct Stage {
    receiver: Receiver,
    ear: Arc<Ear>,
    metrics: Arc<Metrics>,
}

impl Stage {
    fn new() -> Self {
        Self::saying(Heard::Taken)
    }

    fn saying(heard: Heard) -> Self {
        let (ear, metrics) = (Arc::new(Ear(AtomicU32::new(0), heard)), Arc::<Metrics>::default());
        let builder = Receiver::builder(HOST.to_owned(), Clock::telling(|| NOW), Arc::clone(&metrics));
        let receiver = builder.on(EventKind::LoginPing, Arc::clone(&ear) as Arc<dyn Hear>).build();
        receiver.go_by([registration(&[SECRET, OTHER])]);
        Self { receiver, ear, metrics }
    }

    async fn post(&self, post: &Post) -> u16 {
        let mut request = http::Request::post(&post.path);
        for (name, value) in post.headers() {
            request = request.header(name, value);
        }
        let router = self.receiver.routes().layer(DefaultBodyLimit::max(1024));
        let request = request.body(Body::from(post.body.clone())).unwrap();
        router.oneshot(request).await.unwrap().status().as_u16()
    }

    fn heard(&self) -> u32 {
        self.ear.0.load(Ordering::Relaxed)
    }

    fn counted(&self, labels: &str) {
        let line = format!("ciba_gateway_webhooks_total{{{labels}}} 1");
        let page = self.metrics.encode().unwrap();
        assert!(page.lines().any(|found| found == line), "{line} in {page}");
    }
}

fn registration(secrets: &[&str]) -> Registration {
    Registration {
        name: RegistrationName::new("pings").unwrap(),
        tenant: TenantId::new("bank").unwrap(),
        events: BTreeSet::from([EventKind::LoginPing]),
        secrets: secrets.iter().map(|secret| SecretString::from(*secret)).collect(),
    }
}

/// A request as the provider sends it.
#[derive(Clone)]
struct Post {
    path: String,
    host: &'static str,
    secret: &'static str,
    date: String,
    body: Vec<u8>,
}

impl Post {
    fn new(body: &str) -> Self {
        let (path, date) = ("/webhooks/pings".to_owned(), DATE.to_owned());
        Self { path, host: HOST, secret: SECRET, date, body: body.into() }
    }

    fn headers(&self) -> [(String, String); 3] {
        let content = proof::content(&self.body);
        let signed = Signed {
            method: &Method::POST,
            path_and_query: &self.path,
            host: self.host,
            date: &self.date,
            content: &content,
        };
        let authorization = proof::authorization(&signed.signature(&self.secret.into()));
        [
            (proof::DATE.to_owned(), self.date.clone()),
            (proof::CONTENT.to_owned(), content),
            (AUTHORIZATION.to_string(), authorization),
        ]
    }
}

/// By another implementation: `openssl dgst -sha256 -hmac`.
#[test]
fn signatures_are_what_the_provider_makes() {
    assert_eq!(proof::content(PING.as_bytes()), CONTENT_OF_PING);
    let [_, _, (_, authorization)] = Post::new(PING).headers();
    assert_eq!(authorization, format!("{}{SIGNATURE}", proof::SCHEME));
    let [_, _, (_, authorization)] = Post { secret: OTHER, ..Post::new(PING) }.headers();
    assert_eq!(authorization, format!("{}{OTHER_SIGNATURE}", proof::SCHEME));
}

#[tokio::test]
async fn what_is_proven_by_any_secret_is_heard() {
    let stage = Stage::new();
    assert_eq!(stage.post(&Post::new(PING)).await, 200);
    assert_eq!(stage.post(&Post { secret: OTHER, ..Post::new(PING) }).await, 200);
    assert_eq!(stage.heard(), 2);
}

#[tokio::test]
async fn what_is_not_proven_is_not_heard() {
    let stage = Stage::new();
    let right = Post::new(PING);
    for (why, wrong) in [
        ("another secret", Post { secret: "another-secret-of-somebody", ..right.clone() }),
        ("another host", Post { host: "evil.example", ..right.clone() }),
    ] {
        assert_eq!(stage.post(&wrong).await, 401, "{why}");
    }
    let post = async |path: &str, body: &str, headers: &[(String, String)]| {
        let mut request = http::Request::post(path);
        for (name, value) in headers {
            request = request.header(name, value);
        }
        let request = request.body(Body::from(body.to_owned())).unwrap();
        stage.receiver.routes().oneshot(request).await.unwrap().status().as_u16()
    };
    let headers = right.headers();
    assert_eq!(post("/webhooks/pings", &PING.replace('V', "W"), &headers).await, 401, "another body");
    assert_eq!(post("/webhooks/pings?x=1", PING, &headers).await, 401, "another query");
    for missing in 0..3 {
        let mut rest = headers.to_vec();
        let (name, value) = rest.remove(missing);
        assert_eq!(post("/webhooks/pings", PING, &rest).await, 401, "without {name}");
        let twice = [headers.to_vec(), vec![(name.clone(), value.clone())]].concat();
        assert_eq!(post("/webhooks/pings", PING, &twice).await, 401, "{name} twice");
        let other = [rest, vec![(name.clone(), value.replace('=', "~"))]].concat();
        let is_wrong = value.contains('=');
        assert_eq!(post("/webhooks/pings", PING, &other).await == 401, is_wrong, "another {name}");
    }
    assert_eq!(stage.heard(), 1, "what was not changed at all");
    stage.receiver.go_by([registration(&[])]);
    assert_eq!(stage.post(&right).await, 401, "no secret yet");
    stage.receiver.go_by([]);
    assert_eq!(stage.post(&right).await, 404);
    stage.counted(r#"webhook="none",event="none",result="unknown_registration""#);
}

#[tokio::test]
async fn a_date_may_lie_five_minutes_apart() {
    let stage = Stage::new();
    for (millis, status) in [(-300_000, 200), (300_000, 200), (-301_000, 401), (301_000, 401), (-86_400_000, 401)] {
        let at = NOW.as_millis().saturating_add_signed(millis);
        let date = httpdate::fmt_http_date(std::time::UNIX_EPOCH + Duration::from_millis(at));
        assert_eq!(stage.post(&Post { date, ..Post::new(PING) }).await, status, "{millis}");
    }
    for date in ["", "yesterday", "2023-03-30T08:38:32Z"] {
        assert_eq!(stage.post(&Post { date: date.to_owned(), ..Post::new(PING) }).await, 401, "{date}");
    }
    assert_eq!(stage.heard(), 2);
}

#[tokio::test]
async fn what_was_here_is_not_heard_again_unless_it_was_not_dealt_with() {
    let stage = Stage::new();
    for _ in 0..3 {
        assert_eq!(stage.post(&Post::new(PING)).await, 200);
    }
    assert_eq!(stage.heard(), 1);
    let later = Stage::saying(Heard::Unavailable);
    for _ in 0..3 {
        assert_eq!(later.post(&Post::new(PING)).await, 503);
    }
    assert_eq!(later.heard(), 3);
}

/// Does not get done the first time.
#[derive(Default)]
struct Slow(AtomicU32);

#[async_trait]
impl Hear for Slow {
    async fn hear(&self, _: Delivery<'_>) -> Heard {
        if self.0.fetch_add(1, Ordering::Relaxed) == 0 {
            std::future::pending::<()>().await;
        }
        Heard::Taken
    }
}

/// Time was up, or the provider has hung up: what it sends again is no repetition.
#[tokio::test(start_paused = true)]
async fn what_was_broken_off_is_heard_when_it_comes_again() {
    let (stage, slow) = (Stage::new(), Arc::<Slow>::default());
    let builder = Receiver::builder(HOST.to_owned(), Clock::telling(|| NOW), Arc::clone(&stage.metrics));
    let receiver = builder.on(EventKind::LoginPing, Arc::clone(&slow) as Arc<dyn Hear>).build();
    receiver.go_by([registration(&[SECRET])]);
    let stage = Stage { receiver, ..stage };
    let post = Post::new(PING);
    tokio::time::timeout(Duration::from_secs(8), stage.post(&post)).await.expect_err("it hangs");
    assert_eq!(stage.post(&post).await, 200);
    assert_eq!(slow.0.load(Ordering::Relaxed), 2);
    assert_eq!(stage.post(&post).await, 200);
    assert_eq!(slow.0.load(Ordering::Relaxed), 2, "it was dealt with");
}

#[tokio::test]
async fn what_is_proven_and_of_no_use_is_answered_so_that_it_does_not_come_again() {
    let stage = Stage::new();
    for (body, status, labels) in [
        (r#"{"name":"CREATED"}"#, 200, r#"webhook="pings",event="none",result="unknown_event""#),
        (r#"{"customerToken":"x"}"#, 200, r#"webhook="pings",event="user.checked-in.v1",result="ignored""#),
        ("[]", 400, r#"webhook="pings",event="none",result="malformed""#),
    ] {
        assert_eq!(stage.post(&Post::new(body)).await, status, "{body}");
        stage.counted(labels);
    }
    for junk in ["", "{", "null", "\"x\"", "\u{1}"] {
        assert_eq!(stage.post(&Post::new(junk)).await, 400, "{junk}");
    }
    assert_eq!(stage.post(&Post::new(&"x".repeat(1025))).await, 413);
    stage.counted(r#"webhook="pings",event="none",result="too_long""#);
    assert_eq!(stage.heard(), 0);
    let malformed = Stage::saying(Heard::Malformed);
    assert_eq!(malformed.post(&Post::new(PING)).await, 400);
}

#[test]
fn what_has_been_here_takes_so_much_room_for_so_long() {
    let seen = Seen::default();
    let signature = |nth: usize| {
        let mut signature = [0; 32];
        signature[..8].copy_from_slice(&nth.to_be_bytes());
        signature
    };
    assert!(seen.is_new(signature(0), NOW) && !seen.is_new(signature(0), NOW.plus(2 * TIME_WINDOW)));
    assert!(seen.is_new(signature(0), NOW.plus(2 * TIME_WINDOW + Duration::from_secs(1))));
    let later = NOW.plus(Duration::from_secs(10_000));
    for nth in 0..3 * seen::MOST {
        assert!(seen.is_new(signature(nth), later));
    }
    assert!(!seen.is_new(signature(2 * seen::MOST), later), "the newest are known");
    assert!(seen.is_new(signature(0), later), "the oldest are forgotten");
}

#[test]
fn names_of_registrations_are_parts_of_paths() {
    for wrong in ["", "A", "a/b", "a.b", "a b", "å", &"a".repeat(65)] {
        assert_eq!(RegistrationName::new(wrong), None, "{wrong}");
    }
    assert_eq!(RegistrationName::new("bank-2").unwrap().path(), "/webhooks/bank-2");
}

proptest! {
    /// Whatever the world sends is refused, and breaks nothing.
    #[test]
    fn nothing_made_up_is_proven(headers in prop::collection::vec("\\PC{0,60}", 3), body: Vec<u8>, tail in "[A-Za-z0-9+/=]{0,60}") {
        let mut map = HeaderMap::new();
        for (name, value) in [proof::DATE, proof::CONTENT, "authorization"].into_iter().zip(&headers) {
            if let Ok(value) = value.parse() {
                map.insert(name, value);
            }
        }
        let request = |map: &HeaderMap| Request { method: &Method::POST, path_and_query: "/", headers: map, body: &body }
            .verify(HOST, &[SECRET.into()], NOW);
        prop_assert_eq!(request(&map), Err(Unproven::Forged));
        map.insert(proof::DATE, DATE.parse().unwrap());
        map.insert(proof::CONTENT, proof::content(&body).parse().unwrap());
        map.insert(AUTHORIZATION, format!("{}{tail}", proof::SCHEME).parse().unwrap());
        prop_assert_eq!(request(&map), Err(Unproven::Forged));
    }
}
