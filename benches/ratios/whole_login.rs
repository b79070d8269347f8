//! Whole logins: a gateway as in production, with Redis and an audit log, and
//! callers who start logins and watch each until the person is known.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use ciba_gateway::config::ApiKey;
use ciba_gateway::grpc::v1::{self, StartLoginRequest, WatchLoginRequest, start_login_request::Person};
use futures_util::future::join_all;
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tonic::Response;

use super::cpu::processor_time_of_thread;
use super::eventually::eventually;
use super::gateway::{self, Caller, Setup};

pub(crate) const HASH_KEY: [u8; 32] = [1; 32];
const SEAL_KEY: [u8; 32] = [2; 32];
/// The name of the seal key.
pub(crate) const SEAL_KEY_NAME: &str = "one";

/// A client of the simulator.
pub(crate) const CLIENT_ID: &str = "demo-client";
pub(crate) const CLIENT_SECRET: &str = "demo-secret";

/// How the provider tells a gateway by itself.
pub(crate) struct Webhook {
    /// Its public listener.
    pub(crate) listener: TcpListener,
    /// What the provider signs with.
    pub(crate) secret: String,
}

/// The path at the public listener.
pub(crate) const PINGS: &str = "/webhooks/pings";

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
        Self::start_with(issuer, redis_url, folder, None).await
    }

    /// As [`Gateway::start`], with a public listener for the provider's pings.
    pub(crate) async fn start_with(issuer: &str, redis_url: &str, folder: &Path, webhook: Option<Webhook>) -> Self {
        let (key, stop, mut servers) = (ApiKey::from_random([7; 32]), CancellationToken::new(), JoinSet::new());
        let audit_log = folder.join("audit.jsonl");
        let config = setup(issuer, redis_url, &audit_log, webhook.as_ref(), &key).configuration();
        let public = webhook.map(|webhook| webhook.listener);
        let address = gateway::serve(config, public, &stop, &mut servers).await;
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
                    let till = Till(Caller::of(address, &key).await);
                    let login = till.start("is-it-ready", APPROVES_AT_ONCE).await.ok()?;
                    till.watch(login).await;
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
        let calling = self.calling(move |till| async move {
            join_all(people.map(|number| till.log_in(number))).await;
        });
        calling.await.1
    }

    /// Has a till do that, in a thread of its own. What came of it, and the processor time.
    pub(crate) async fn calling<T, W>(&self, what: impl FnOnce(Till) -> W + Send + 'static) -> (T, Duration)
    where
        T: Send + 'static,
        W: Future<Output = T>,
    {
        let (address, key) = (self.address, self.key.clone());
        let calling = tokio::task::spawn_blocking(move || {
            let before = processor_time_of_thread();
            let came = block_on(async { what(Till(Caller::of(address, &key).await)).await });
            (came, processor_time_of_thread() - before)
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

/// A number whose person, at the simulator, approves before the first poll.
const APPROVES_AT_ONCE: &str = "+4790000002";

/// A till's system.
pub(crate) struct Till(Caller);

impl Till {
    async fn start(&self, request_id: &str, phone_number: &str) -> Result<v1::Login, tonic::Status> {
        let request = self.0.request(StartLoginRequest {
            request_id: request_id.to_owned(),
            person: Some(Person::PhoneNumber(phone_number.to_owned())),
            channel: v1::Channel::PointOfSale.into(),
            terminal_id: "till-3".to_owned(),
            ..StartLoginRequest::default()
        });
        let answer = self.0.client.clone().start_login(request).await.map(Response::into_inner)?;
        Ok(answer.login.expect("a login"))
    }

    /// Of that person; the number is the one of [`phone_number`].
    pub(crate) async fn starts(&self, number: u32) -> v1::Login {
        let request_id = format!("request-of-the-till-{number:08}");
        self.start(&request_id, &phone_number(number)).await.expect("a login")
    }

    async fn log_in(&self, number: u32) {
        let login = self.starts(number).await;
        self.watch(login).await;
    }

    /// Until the stream ends; when it said who the person is.
    pub(crate) async fn watch(&self, login: v1::Login) -> Instant {
        let request = self.0.request(WatchLoginRequest { login_id: login.login_id, heartbeat_interval: None });
        let mut events = self.0.client.clone().watch_login(request).await.expect("a watch").into_inner();
        let (mut last, mut known) = (None, None);
        while let Some(message) = events.message().await.expect("an event") {
            if let Some(v1::watch_login_response::Event::Login(login)) = message.event {
                if login.identity.is_some() {
                    known.get_or_insert_with(Instant::now);
                }
                last = Some(login);
            }
        }
        known.unwrap_or_else(|| panic!("nobody was logged in: {:?}", last.map(|login| login.state())))
    }
}

/// None that means something to the simulator ends so.
pub(crate) fn phone_number(number: u32) -> String {
    format!("+4792{number:03}155")
}

fn setup<'a>(
    issuer: &'a str,
    redis_url: &str,
    audit_log: &Path,
    webhook: Option<&Webhook>,
    key: &'a ApiKey,
) -> Setup<'a> {
    let [hash_key, seal_key, audit_key] = [HASH_KEY, SEAL_KEY, [3; 32]].map(|key| BASE64_STANDARD.encode(key));
    let (public, tenant) = webhook.map(lines).unwrap_or_default();
    let sections = format!(
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
        {public}
        "#,
        audit_log = audit_log.display(),
    );
    let client = "id = \"till\"\nchannels = [\"point-of-sale\"]";
    Setup { sections, tenant, issuer, client_id: CLIENT_ID, client_secret: CLIENT_SECRET, client, key }
}

/// The section of the public listener, and the webhook at the tenant.
fn lines(Webhook { listener, secret }: &Webhook) -> (String, String) {
    let address = listener.local_addr().expect("an address");
    let public =
        format!("[public]\nlisten = \"{address}\"\nbase_url = \"http://{address}\"\nallow_insecure_base_url = true");
    let events = "events = [\"login.merchant-initiated.ping.v1\"]";
    (public, format!("webhooks = [{{ name = \"pings\", {events}, secret = \"{secret}\" }}]"))
}
