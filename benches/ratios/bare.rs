//! What the gateway is held against: its HTTP client with nothing around it,
//! and a call of its API that does nothing but ask with that client.

use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use ciba_gateway::ciba::GRANT_TYPE;
use ciba_gateway::grpc::v1::{StartLoginRequest, StartLoginResponse, start_login_request::Person};
use reqwest::RequestBuilder;
use reqwest::header::{ACCEPT, AUTHORIZATION, HeaderMap, HeaderName, HeaderValue};
use tonic::body::Body;
use tonic::server::{Grpc, NamedService, UnaryService};
use tonic::{Request, Response, Status};
use tonic_prost::ProstCodec;
use tower::Service;
use url::Url;

use super::upstream::{AUTH_REQ_ID, Upstream};

pub(crate) const CLIENT_ID: &str = "bench-client";
pub(crate) const CLIENT_SECRET: &str = "bench-secret";

type Boxed<T> = Pin<Box<dyn Future<Output = T> + Send>>;

/// A client built as the gateway's own and nothing else.
pub(crate) struct Client {
    client: reqwest::Client,
    basic: HeaderValue,
    start: Url,
    token: Url,
}

impl Client {
    pub(crate) fn of(upstream: &Upstream) -> Self {
        let header = |name, value| (HeaderName::from_static(name), HeaderValue::from_static(value));
        let system = [
            header("vipps-system-name", env!("CARGO_PKG_NAME")),
            header("vipps-system-version", env!("CARGO_PKG_VERSION")),
        ];
        let client = reqwest::Client::builder()
            .user_agent(concat!(env!("CARGO_PKG_NAME"), "/", env!("CARGO_PKG_VERSION")))
            .default_headers(HeaderMap::from_iter(system))
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy()
            .referer(false)
            .connect_timeout(Duration::from_secs(3))
            .timeout(Duration::from_secs(10))
            .pool_idle_timeout(Duration::from_secs(4));
        let basic = format!("Basic {}", BASE64_STANDARD.encode(format!("{CLIENT_ID}:{CLIENT_SECRET}")));
        Self {
            client: client.build().expect("a client"),
            basic: HeaderValue::from_str(&basic).expect("a header"),
            start: upstream.start_endpoint(),
            token: upstream.token_endpoint(),
        }
    }

    /// Sends what a poll sends and reads the answer.
    pub(crate) async fn poll(&self) {
        let form = [("grant_type", GRANT_TYPE), ("auth_req_id", AUTH_REQ_ID)];
        self.exchange(self.client.post(self.token.clone()), &form).await;
    }

    /// Sends what a start sends and reads the answer.
    pub(crate) async fn start(&self, msisdn: &str) {
        let hint = format!("urn:msisdn:{msisdn}");
        let form = [
            ("login_hint", hint.as_str()),
            ("scope", "openid name phoneNumber"),
            ("binding_message", "WXYZ2"),
            ("requested_expiry", "240"),
        ];
        self.exchange(self.client.post(self.start.clone()), &form).await;
    }

    async fn exchange(&self, request: RequestBuilder, form: &[(&str, &str)]) {
        let request = request.header(ACCEPT, "application/json").header(AUTHORIZATION, self.basic.clone());
        let answer = request.form(form).send().await.expect("an answer");
        answer.bytes().await.expect("a whole answer");
    }
}

/// `StartLogin` as one upstream request and an answer that is there already.
/// Written as tonic's generated code is.
#[derive(Clone)]
pub(crate) struct StartService {
    client: Arc<Client>,
    answer: Arc<StartLoginResponse>,
}

impl StartService {
    pub(crate) fn new(client: Client, answer: StartLoginResponse) -> Self {
        Self { client: Arc::new(client), answer: Arc::new(answer) }
    }
}

impl UnaryService<StartLoginRequest> for StartService {
    type Response = StartLoginResponse;
    type Future = Boxed<Result<Response<StartLoginResponse>, Status>>;

    fn call(&mut self, request: Request<StartLoginRequest>) -> Self::Future {
        let Self { client, answer } = self.clone();
        Box::pin(async move {
            let Some(Person::PhoneNumber(number)) = request.into_inner().person else {
                return Err(Status::invalid_argument("no phone number"));
            };
            client.start(number.trim_start_matches('+')).await;
            Ok(Response::new(StartLoginResponse::clone(&answer)))
        })
    }
}

impl Service<http::Request<Body>> for StartService {
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = Boxed<Result<Self::Response, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        let service = self.clone();
        Box::pin(async move { Ok(Grpc::new(ProstCodec::default()).unary(service, request).await) })
    }
}

impl NamedService for StartService {
    const NAME: &'static str = "ciba_gateway.v1.LoginService";
}
