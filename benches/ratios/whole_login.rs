//! Whole logins: a gateway as in production, with Redis and an audit log, and
//! callers who start logins and watch each until the person is known.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use ciba_gateway::config::{ApiKey, Config};
use ciba_gateway::grpc::v1::login_service_client::LoginServiceClient;
use ciba_gateway::grpc::v1::{self, StartLoginRequest, WatchLoginRequest, start_login_request::Person};
use futures_util::future::join_all;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tonic::metadata::{Ascii, MetadataValue};
use tonic::transport::Channel;
use tonic::{Request, Response};

use super::cpu::processor_time_of_thread;
use super::eventually::eventually;
use super::start_login::serve_gateway;

pub(crate) const HASH_KEY: [u8; 32] = [1; 32];
const SEAL_KEY: [u8; 32] = [2; 32];
/// The name of the seal key.
pub(crate) const SEAL_KEY_NAME: &str = "one";

pub(crate) struct Gateway {
    address: SocketAddr,
    key: ApiKey,
    audit_log: PathBuf,
    stop: CancellationToken,
    servers: JoinSet<()>,
}

impl Gateway {
    /// Keeps its audit log in `folder`.
    pub(crate) async fn start(issuer: &str, redis_url: &str, folder: &Path) -> Self {
        let (key, stop, mut servers) = (ApiKey::from_random([7; 32]), CancellationToken::new(), JoinSet::new());
        let audit_log = folder.join("audit.jsonl");
        let config = configuration(issuer, redis_url, &audit_log, &key);
        let address = serve_gateway(config, &stop, &mut servers).await;
        let gateway = Self { address, key, audit_log, stop, servers };
        gateway.is_ready().await;
        gateway
    }

    /// No start is taken before the first sign of life is confirmed. What the trial noted
    /// is on the disk then: it would be counted with the first logins.
    async fn is_ready(&self) {
        eventually("the gateway starts logins", async || {
            let (address, key) = (self.address, self.key.clone());
            let calling = tokio::task::spawn_blocking(move || {
                block_on(async {
                    let caller = Caller::of(address, &key).await;
                    let login = caller.start("is-it-ready", "+4791000155").await.ok()?;
                    caller.watch(login).await;
                    Some(())
                })
            });
            calling.await.expect("a caller")
        })
        .await;
        let last = "\"identity_read\"";
        eventually("the trial is noted", async || self.audit_log().contains(last).then_some(())).await;
    }

    pub(crate) fn audit_log(&self) -> String {
        std::fs::read_to_string(&self.audit_log).expect("an audit log")
    }

    /// Logs people in, all at once: those of these numbers. Returns what that cost
    /// the callers: they have a thread of their own.
    pub(crate) async fn log_in(&self, people: std::ops::Range<u32>) -> Duration {
        let (address, key) = (self.address, self.key.clone());
        let calling = tokio::task::spawn_blocking(move || {
            let before = processor_time_of_thread();
            block_on(async {
                let caller = Caller::of(address, &key).await;
                join_all(people.map(|number| caller.log_in(number))).await;
            });
            processor_time_of_thread() - before
        });
        calling.await.expect("the callers")
    }

    pub(crate) async fn stop(self) {
        self.stop.cancel();
        self.servers.join_all().await;
    }
}

fn block_on<T>(work: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime").block_on(work)
}

/// A till's system.
struct Caller {
    client: LoginServiceClient<Channel>,
    authorization: MetadataValue<Ascii>,
}

impl Caller {
    async fn of(server: SocketAddr, key: &ApiKey) -> Self {
        let client = LoginServiceClient::connect(format!("http://{server}")).await.expect("a connection");
        Self { client, authorization: format!("Bearer {}", key.expose()).parse().expect("metadata") }
    }

    fn request<T>(&self, message: T) -> Request<T> {
        let mut request = Request::new(message);
        request.metadata_mut().insert("authorization", self.authorization.clone());
        request
    }

    async fn start(&self, request_id: &str, phone_number: &str) -> Result<v1::Login, tonic::Status> {
        let request = self.request(StartLoginRequest {
            request_id: request_id.to_owned(),
            person: Some(Person::PhoneNumber(phone_number.to_owned())),
            channel: v1::Channel::PointOfSale.into(),
            terminal_id: "till-3".to_owned(),
            ..StartLoginRequest::default()
        });
        let answer = self.client.clone().start_login(request).await.map(Response::into_inner)?;
        Ok(answer.login.expect("a login"))
    }

    async fn log_in(&self, number: u32) {
        // No number that means something to the simulator ends so.
        let phone_number = format!("+4792{number:03}155");
        let login = self.start(&format!("request-of-the-till-{number:08}"), &phone_number).await.expect("a login");
        self.watch(login).await;
    }

    /// Until the person is known.
    async fn watch(&self, login: v1::Login) {
        let request = self.request(WatchLoginRequest { login_id: login.login_id, heartbeat_interval: None });
        let mut events = self.client.clone().watch_login(request).await.expect("a watch").into_inner();
        let mut last = None;
        while let Some(message) = events.message().await.expect("an event") {
            if let Some(v1::watch_login_response::Event::Login(login)) = message.event {
                last = Some(login);
            }
        }
        let last = last.expect("a login");
        assert!(last.identity.is_some(), "nobody was logged in: {:?}", last.state());
    }
}

fn configuration(issuer: &str, redis_url: &str, audit_log: &Path, key: &ApiKey) -> Config {
    let [hash_key, seal_key, audit_key] = [HASH_KEY, SEAL_KEY, [3; 32]].map(|key| BASE64_STANDARD.encode(key));
    let text = format!(
        r#"
        [store]
        kind = "redis"
        settle_time = "0s"
        url = "{redis_url}"
        [keys]
        hash_key = "{hash_key}"
        active_seal_key = "{SEAL_KEY_NAME}"
        [keys.seal]
        {SEAL_KEY_NAME} = "{seal_key}"
        [audit]
        file = "{audit_log}"
        key = "{audit_key}"
        [drain]
        notice = "0s"
        limit = "5s"
        [guard]
        starts_per_terminal_an_hour = 3600
        [[tenants]]
        id = "acme"
        default_country = "NO"
        default_claims = ["name", "phone_number"]
        [tenants.provider]
        issuer = "{issuer}"
        client_id = "demo-client"
        client_secret = "demo-secret"
        allow_insecure_hosts = true
        [[tenants.clients]]
        id = "till"
        channels = ["point-of-sale"]
        api_keys = [{{ sha256 = "{hash}" }}]
        "#,
        audit_log = audit_log.display(),
        hash = key.hash(),
    );
    Config::parse(&text, Path::new("bench"), std::iter::empty()).unwrap_or_else(|mistakes| panic!("{mistakes}"))
}
