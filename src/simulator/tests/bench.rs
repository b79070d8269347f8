//! A running simulator and a client with verbs.

use std::sync::LazyLock;
use std::time::Duration;

use reqwest::{Response, StatusCode};
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::task::JoinSet;

use crate::simulator::*;

static KEYS: LazyLock<SigningKeys> = LazyLock::new(|| SigningKeys::generate().unwrap());

/// A number that is not magic: a person decides.
pub(super) const PHONE: &str = "4791234567";

pub(super) struct Bench {
    pub(super) simulator: Simulator,
    http: reqwest::Client,
    client_id: String,
    _serving: JoinSet<std::io::Result<()>>,
}

impl Bench {
    /// The default set-up, but a poll every five seconds takes no real time.
    pub(super) async fn new() -> Self {
        Self::with(Settings::default()).await
    }

    /// A set-up in which polls may come at any time.
    pub(super) async fn impatient() -> Self {
        Self::with(Settings { enforce_interval: false, speed: 1000.0, ..Settings::default() }).await
    }

    pub(super) async fn with(settings: Settings) -> Self {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let client_id = settings.clients[0].client_id.clone();
        let settings = Settings { signing_keys: Some(KEYS.clone()), ..settings };
        let (simulator, serving) = start(listener, settings, std::future::pending()).await.unwrap();
        let mut tasks = JoinSet::new();
        tasks.spawn(serving);
        #[expect(clippy::disallowed_methods, reason = "a client of the simulator, not of the provider")]
        let http = reqwest::Client::builder().no_proxy().build().unwrap();
        Self { simulator, http, client_id, _serving: tasks }
    }

    /// Speaks as another client from now on.
    pub(super) fn speak_as(&mut self, client_id: &str) {
        self.client_id = client_id.to_owned();
    }

    pub(super) fn url(&self, path: &str) -> String {
        self.simulator.base_url().join(path).unwrap().to_string()
    }

    pub(super) async fn get(&self, path: &str) -> Answer {
        Answer::of(self.http.get(self.url(path)).send().await.unwrap()).await
    }

    /// A form to an endpoint of Vipps, with the client's credentials.
    pub(super) async fn post(&self, path: &str, form: &[(&str, &str)]) -> Answer {
        Answer::of(self.try_post(path, form).await.unwrap()).await
    }

    pub(super) async fn try_post(&self, path: &str, form: &[(&str, &str)]) -> reqwest::Result<Response> {
        self.http.post(self.url(path)).basic_auth(&self.client_id, Some("demo-secret")).form(form).send().await
    }

    /// A token for the vendor's other APIs.
    pub(super) async fn platform_token(&self) -> String {
        let secret = [
            ("client_id", self.client_id.as_str()),
            ("client_secret", "demo-secret"),
            ("Ocp-Apim-Subscription-Key", "demo-subscription-key"),
        ];
        self.post_bare("/accesstoken/get", &secret).await.field("access_token")
    }

    /// A call of the QR API.
    pub(super) async fn qr(&self, method: &str, path: &str, token: &str, body: Option<&Value>) -> Answer {
        let request = self
            .http
            .request(method.parse().unwrap(), self.url(&format!("/qr/v1{path}")))
            .bearer_auth(token)
            .header("Ocp-Apim-Subscription-Key", "demo-subscription-key")
            .header("Merchant-Serial-Number", "123456");
        let request = body.iter().fold(request, |request, body| request.json(body));
        Answer::of(request.send().await.unwrap()).await
    }

    /// A POST without body and credentials, with these headers.
    pub(super) async fn post_bare(&self, path: &str, headers: &[(&str, &str)]) -> Answer {
        let request = self.http.post(self.url(path)).header("content-length", 0);
        let request = headers.iter().fold(request, |request, (name, value)| request.header(*name, *value));
        Answer::of(request.send().await.unwrap()).await
    }

    pub(super) async fn send_json(&self, method: &str, path: &str, body: &Value) -> Answer {
        let method = method.parse().unwrap();
        let request = self.http.request(method, self.url(path)).json(body);
        Answer::of(request.send().await.unwrap()).await
    }

    pub(super) async fn start_with(&self, form: &[(&str, &str)]) -> Answer {
        self.post("/vipps-login-ciba/api/backchannel/authentication", form).await
    }

    /// Starts a login for a number with every scope; gives the `auth_req_id`.
    pub(super) async fn start(&self, phone: &str) -> String {
        let hint = format!("urn:msisdn:{phone}");
        let scope = "openid name phoneNumber email address birthDate";
        let answer = self.start_with(&[("login_hint", &hint), ("scope", scope)]).await;
        assert_eq!(answer.status, StatusCode::OK, "{}", answer.text);
        answer.json()["auth_req_id"].as_str().unwrap().to_owned()
    }

    pub(super) async fn poll(&self, auth_req_id: &str) -> Answer {
        let grant = "urn:openid:params:grant-type:ciba";
        self.post("/access-management-1.0/access/oauth2/token", &[("grant_type", grant), ("auth_req_id", auth_req_id)])
            .await
    }

    /// Starts and fetches the approval at once.
    pub(super) async fn log_in(&self, phone: &str) -> Answer {
        let auth_req_id = self.start(phone).await;
        self.simulator.approve(phone);
        self.poll(&auth_req_id).await
    }

    pub(super) async fn userinfo(&self, access_token: &str) -> Answer {
        let url = self.url("/vipps-userinfo-api/userinfo");
        let request = self.http.get(url).bearer_auth(access_token);
        Answer::of(request.send().await.unwrap()).await
    }

    pub(super) async fn userinfo_with_key(&self, access_token: &str) -> Answer {
        let url = self.url("/vipps-userinfo-api/userinfo");
        let request = self.http.get(url).bearer_auth(access_token);
        let request = request.header("Ocp-Apim-Subscription-Key", "key");
        Answer::of(request.send().await.unwrap()).await
    }

    pub(super) async fn jwks(&self) -> jsonwebtoken::jwk::JwkSet {
        let path = "/access-management-1.0/access/.well-known/jwks.json";
        serde_json::from_str(&self.get(path).await.text).unwrap()
    }

    pub(super) fn pass(&self, seconds: u64) {
        self.simulator.advance(Duration::from_secs(seconds));
    }
}

#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: StatusCode,
    pub(super) headers: reqwest::header::HeaderMap,
    pub(super) text: String,
}

impl Answer {
    async fn of(response: Response) -> Self {
        Self { status: response.status(), headers: response.headers().clone(), text: response.text().await.unwrap() }
    }

    pub(super) fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap()
    }

    pub(super) fn field(&self, name: &str) -> String {
        self.json()[name].as_str().unwrap().to_owned()
    }

    /// Status and `error` of a refusal.
    pub(super) fn refusal(&self) -> (u16, String) {
        (self.status.as_u16(), self.field("error"))
    }
}

pub(super) fn refusal(status: u16, error: &str) -> (u16, String) {
    (status, error.to_owned())
}
