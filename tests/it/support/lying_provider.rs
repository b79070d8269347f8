//! A provider over a real socket that says what a test wants it to say.
//!
//! Unlike the simulator it keeps no rules. Every endpoint has an honest default
//! and can be told other replies; the last one told is repeated.

use std::collections::{HashMap, VecDeque};
use std::convert::Infallible;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{Request, State};
use axum::http::{HeaderMap, Method};
use axum::response::Response;
use ciba_gateway::ciba::Tokens;
use ciba_gateway::clock::Clock;
use ciba_gateway::identity::Claim;
use ciba_gateway::language::Language;
use ciba_gateway::phone::{BindingCode, PhoneNumber};
use ciba_gateway::provider::openid::{self, ClientAuthentication, SigningAlgorithm};
use ciba_gateway::provider::vipps::{Keys, Settings, SystemHeaders, Vipps};
use ciba_gateway::session::{CallDirection, Channel, ClientId, CodeMode, RequestId, TenantId, Terms};
use ciba_gateway::timestamp::Timestamp;
use futures_util::StreamExt;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::signer::Signer;

pub(crate) const DISCOVERY: &str = "/access/.well-known/openid-configuration";
pub(crate) const JWKS: &str = "/access/jwks.json";
pub(crate) const USER_EXISTS: &str = "/vipps-login-ciba/api/v1/user-exists";
pub(crate) const START: &str = "/ciba/backchannel";
pub(crate) const TOKEN: &str = "/access/token";
pub(crate) const USERINFO: &str = "/userinfo";
pub(crate) const PLATFORM_TOKEN: &str = "/accesstoken/get";
pub(crate) const REVOKE: &str = "/access/revoke";

pub(crate) const CLIENT_ID: &str = "sales-unit";
pub(crate) const CLIENT_SECRET: &str = "s3cr+t/with=";
pub(crate) const SUBSCRIPTION_KEY: &str = "0123456789abcdef";
pub(crate) const SUBJECT: &str = "c06c4afe-d9e1-4c5d-939a-177d752a0944";
pub(crate) const ACCESS_TOKEN: &str = "ciba.opaque-access-token";

/// What one request is answered with.
#[derive(Clone)]
pub(crate) enum Reply {
    /// Status, headers, body.
    Whole(u16, Vec<(&'static str, String)>, Vec<u8>),
    /// Nothing, ever.
    Silence,
    /// This status and half a body, and then nothing.
    Stuck(u16),
    /// This status and a body without end.
    Endless(u16),
    /// This status and a body that breaks off.
    Cut(u16),
}

impl Reply {
    pub(crate) fn json(status: u16, body: &Value) -> Self {
        Self::text(status, &body.to_string()).with("content-type", "application/json")
    }

    pub(crate) fn text(status: u16, body: &str) -> Self {
        Self::Whole(status, vec![], body.as_bytes().to_vec())
    }

    pub(crate) fn error(status: u16, error: &str) -> Self {
        Self::json(status, &json!({ "error": error }))
    }

    pub(crate) fn with(mut self, name: &'static str, value: &str) -> Self {
        if let Self::Whole(_, headers, _) = &mut self {
            headers.push((name, value.to_owned()));
        }
        self
    }

    /// The status that it has; 0 when nothing comes.
    pub(crate) const fn status(&self) -> u16 {
        match self {
            Self::Whole(status, ..) | Self::Stuck(status) | Self::Endless(status) | Self::Cut(status) => *status,
            Self::Silence => 0,
        }
    }

    async fn send(self) -> Response {
        let (status, headers, body) = match self {
            Self::Whole(status, headers, body) => (status, headers, Body::from(body)),
            Self::Silence => std::future::pending().await,
            Self::Stuck(status) => {
                let never = futures_util::stream::pending();
                let start = futures_util::stream::iter([Ok::<_, Infallible>(Bytes::from("{"))]);
                (status, vec![], Body::from_stream(start.chain(never)))
            }
            Self::Endless(status) => {
                let spaces = std::iter::repeat_with(|| Ok::<_, Infallible>(Bytes::from(" ".repeat(8192))));
                (status, vec![], Body::from_stream(futures_util::stream::iter(spaces)))
            }
            Self::Cut(status) => {
                let start = futures_util::stream::iter([Ok(Bytes::from("{"))]);
                // The pause lets the head go out before the connection breaks.
                let end = futures_util::stream::once(async {
                    tokio::task::yield_now().await;
                    Err(std::io::Error::other("cut"))
                });
                (status, vec![], Body::from_stream(start.chain(end)))
            }
        };
        let mut response = Response::builder().status(status);
        for (name, value) in headers {
            response = response.header(name, value);
        }
        response.body(body).unwrap()
    }
}

/// A request as it arrived.
#[derive(Clone)]
pub(crate) struct Seen {
    pub(crate) method: Method,
    pub(crate) path: String,
    pub(crate) headers: HeaderMap,
    pub(crate) body: String,
}

impl Seen {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().unwrap())
    }

    /// The form's members in order, decoded.
    pub(crate) fn form(&self) -> Vec<(String, String)> {
        url::form_urlencoded::parse(self.body.as_bytes()).into_owned().collect()
    }

    pub(crate) fn field(&self, name: &str) -> Option<String> {
        self.form().into_iter().find(|(found, _)| found == name).map(|(_, value)| value)
    }
}

struct Shared {
    base: String,
    told: Mutex<HashMap<&'static str, VecDeque<Reply>>>,
    seen: watch::Sender<Vec<Seen>>,
    key: Signer,
}

/// See the module.
pub(crate) struct LyingProvider {
    shared: Arc<Shared>,
    /// Ends the server with the test.
    _server: JoinSet<()>,
}

impl LyingProvider {
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base = format!("http://{}", listener.local_addr().unwrap());
        Self::serve(listener, base)
    }

    /// A provider behind any listener, that calls itself `base`.
    pub(crate) fn serve<L>(listener: L, base: String) -> Self
    where
        L: axum::serve::Listener,
        L::Addr: std::fmt::Debug,
    {
        // Fails only when another test of this process was first.
        let _: Result<_, _> = rustls::crypto::ring::default_provider().install_default();
        let shared = Arc::new(Shared {
            base,
            told: Mutex::default(),
            seen: watch::Sender::default(),
            key: Signer::es256("public:first"),
        });
        let router = Router::new().fallback(answer).with_state(Arc::clone(&shared));
        let mut server = JoinSet::new();
        server.spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self { shared, _server: server }
    }

    /// From now on this endpoint says this; the last reply is repeated.
    pub(crate) fn tell(&self, path: &'static str, replies: impl IntoIterator<Item = Reply>) {
        self.shared.told.lock().unwrap().insert(path, replies.into_iter().collect());
    }

    /// From now on logins live for so many seconds and are polled each second.
    pub(crate) fn answers_fast(&self, lifetime: i64) {
        let body = json!({ "auth_req_id": "a-1", "expires_in": lifetime, "interval": 1 });
        self.tell(START, [Reply::json(200, &body)]);
    }

    /// From now on the key set has these keys.
    pub(crate) fn publish(&self, keys: &[Value]) {
        self.tell(JWKS, [Reply::json(200, &json!({ "keys": keys }))]);
    }

    /// From now on discovery has this member, or lacks it.
    pub(crate) fn discover(&self, member: &str, value: Value) {
        let mut document = self.document();
        match value {
            Value::Null => drop(document.as_object_mut().unwrap().remove(member)),
            value => document[member] = value,
        }
        self.tell(DISCOVERY, [Reply::json(200, &document)]);
    }

    pub(crate) fn seen(&self, path: &str) -> Vec<Seen> {
        self.shared.seen.borrow().iter().filter(|seen| seen.path == path).cloned().collect()
    }

    pub(crate) fn all_seen(&self) -> Vec<Seen> {
        self.shared.seen.borrow().clone()
    }

    /// Waits until an endpoint has been asked that often.
    pub(crate) async fn until_seen(&self, path: &str, times: usize) {
        let enough = |all: &Vec<Seen>| all.iter().filter(|seen| seen.path == path).count() >= times;
        self.shared.seen.subscribe().wait_for(enough).await.unwrap();
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("{}{path}", self.shared.base)
    }

    pub(crate) fn issuer(&self) -> String {
        self.url("/access/")
    }

    /// The key that the key set has by default.
    pub(crate) fn key(&self) -> &Signer {
        &self.shared.key
    }

    pub(crate) fn document(&self) -> Value {
        self.shared.document()
    }

    pub(crate) fn settings(&self) -> Settings {
        Settings {
            openid: openid::Settings {
                issuer: self.issuer(),
                client_id: CLIENT_ID.into(),
                client_secret: CLIENT_SECRET.into(),
                client_secret_next: None,
                authentication: ClientAuthentication::SecretBasic,
                signing_algorithms: [SigningAlgorithm::Rs256, SigningAlgorithm::Es256].into(),
                request_timeout: Duration::from_secs(5),
                poll_timeout: Duration::from_secs(5),
                additional_hosts: [].into(),
                allow_insecure_hosts: true,
                extra_root_ca_pem: None,
                user_agent: "ciba-gateway/test".into(),
            },
            keys: Keys::SalesUnit,
            subscription_key: None,
            merchant_serial_number: Some("123456".into()),
            system: SystemHeaders {
                name: Some("acme".into()),
                version: Some("3.1.2".into()),
                plugin_name: Some("ciba-gateway".into()),
                plugin_version: Some("0.1.0".into()),
            },
        }
    }

    /// The claims of an honest ID token, issued at that time.
    pub(crate) fn claims(&self, now: Timestamp) -> Value {
        json!({
            "iss": self.issuer(), "aud": CLIENT_ID, "sub": SUBJECT,
            "iat": now.as_secs(), "exp": now.as_secs() + 3_600,
        })
    }

    /// Tokens of an honest exchange.
    pub(crate) fn tokens(&self, now: Timestamp) -> Tokens {
        tokens(self.key().sign(&self.claims(now)))
    }
}

impl Shared {
    fn document(&self) -> Value {
        let url = |path: &str| format!("{}{path}", self.base);
        json!({
            "issuer": url("/access/"),
            "authorization_endpoint": url("/access/auth"),
            "backchannel_authentication_endpoint": url(START),
            "token_endpoint": url(TOKEN),
            "userinfo_endpoint": url(USERINFO),
            "jwks_uri": url(JWKS),
            "revocation_endpoint": url(REVOKE),
            "grant_types_supported": ["authorization_code"],
            "id_token_signing_alg_values_supported": ["RS256"],
        })
    }

    fn reply(&self, path: &str) -> Reply {
        if let Some(told) = self.told.lock().unwrap().get_mut(path) {
            return if told.len() > 1 { told.pop_front() } else { told.front().cloned() }.unwrap();
        }
        match path {
            DISCOVERY => Reply::json(200, &self.document()),
            JWKS => Reply::json(200, &json!({ "keys": [self.key.jwk()] })),
            START => Reply::json(200, &json!({ "auth_req_id": "a-1", "expires_in": 600, "interval": 5 })),
            TOKEN => Reply::error(400, "authorization_pending"),
            USERINFO => Reply::json(200, &json!({ "sub": SUBJECT, "phone_number": "4791234567" })),
            REVOKE => Reply::text(200, ""),
            PLATFORM_TOKEN => platform_token("platform.first", "3599"),
            _ => Reply::text(404, ""),
        }
    }
}

/// A token of the platform, in the vendor's shape: all numbers are text.
pub(crate) fn platform_token(token: &str, expires_in: &str) -> Reply {
    let body = json!({
        "token_type": "Bearer", "expires_in": expires_in, "ext_expires_in": "0", "not_before": "1799999700",
        "resource": "00000002-0000-0000-c000-000000000000", "access_token": token,
    });
    Reply::json(200, &body)
}

async fn answer(State(shared): State<Arc<Shared>>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let body = axum::body::to_bytes(body, 1 << 20).await.unwrap();
    let path = parts.uri.path().to_owned();
    let seen =
        Seen { method: parts.method, path, headers: parts.headers, body: String::from_utf8(body.into()).unwrap() };
    let reply = shared.reply(&seen.path);
    shared.seen.send_modify(|all| all.push(seen));
    reply.send().await
}

/// The present, for a provider whose clock is right.
pub(crate) fn now() -> Timestamp {
    Clock::system().now()
}

/// The tokens of an exchange that gave this ID token.
pub(crate) fn tokens(id_token: String) -> Tokens {
    Tokens::new(ACCESS_TOKEN.into(), Some(id_token))
}

/// A clock that moves when told to.
#[derive(Clone)]
pub(crate) struct TestClock(Arc<AtomicU64>);

impl TestClock {
    pub(crate) fn new() -> Self {
        Self(Arc::new(AtomicU64::new(1_800_000_000_000)))
    }

    pub(crate) fn now(&self) -> Timestamp {
        Timestamp::from_millis(self.0.load(Ordering::SeqCst))
    }

    pub(crate) fn advance(&self, seconds: u64) {
        self.0.fetch_add(seconds * 1_000, Ordering::SeqCst);
    }

    pub(crate) fn set(&self, now: Timestamp) {
        self.0.store(now.as_millis(), Ordering::SeqCst);
    }

    pub(crate) fn provider(&self, settings: &Settings) -> Vipps {
        let clock = self.clone();
        Vipps::new(settings, Arc::new(move || clock.now()), Arc::default()).unwrap()
    }
}

/// What a call centre asks for: name and number of +47 91 23 45 67.
pub(crate) fn terms() -> Terms {
    Terms {
        tenant: TenantId::new("acme").unwrap(),
        client: ClientId::new("crm").unwrap(),
        request_id: RequestId::new("r-1").unwrap(),
        content: [0; 32],
        agent: None,
        terminal: None,
        call: None,
        channel: Channel::CallCentre,
        call_direction: Some(CallDirection::Inbound),
        person: PhoneNumber::from_msisdn("4791234567").unwrap().into(),
        code: BindingCode::parse("KX7RM").unwrap(),
        code_mode: CodeMode::ReadOut,
        purpose: None,
        claims: [Claim::Name, Claim::PhoneNumber].into(),
        required_claims: [].into(),
        lifetime: Duration::from_secs(300),
        expected_subject: None,
        labels: [].into(),
        language: Language::English,
        created_at: Timestamp::from_millis(1_800_000_000_000),
        handed_over: None,
        finish: ciba_gateway::session::Finish::InApp,
    }
}
