//! One `StartLogin` through the whole gateway, against a bare call that makes
//! one bare request. The calling client is counted in both.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;

use ciba_gateway::config::{ApiKey, Config};
use ciba_gateway::gateway::{self, Listeners};
use ciba_gateway::grpc::v1::login_service_client::LoginServiceClient;
use ciba_gateway::grpc::v1::{self, StartLoginRequest, StartLoginResponse, start_login_request::Person};
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tonic::Request;
use tonic::metadata::{Ascii, MetadataValue};
use tonic::transport::Channel;
use tonic::transport::server::{Server, TcpIncoming};

use super::bare::{CLIENT_ID, CLIENT_SECRET, Client, StartService};
use super::cpu::Comparison;
use super::upstream::Upstream;

const ROUNDS: usize = 41;
const CALLS: u32 = 192;
/// No agent may start more than 600 within an hour.
const STARTS_OF_AN_AGENT: u32 = 500;

/// With so many calls in flight at a time, all on one connection.
pub(crate) async fn measure(upstream: &Upstream, at_a_time: u32) -> Comparison {
    let key = ApiKey::from_random([7; 32]);
    let stop = CancellationToken::new();
    let mut servers = JoinSet::new();
    let mut ours = Caller::of(serve_gateway(configuration(upstream, &key), &stop, &mut servers).await, &key).await;
    let answer = ours.start().await;
    let sent = upstream.newest_post().await;
    let bare = StartService::new(Client::of(upstream), answer.clone());
    let mut bare = Caller::of(serve_bare(bare, &stop, &mut servers).await, &key).await;
    assert_eq!(bare.start().await, answer, "the probe answers something else");
    assert_same_form(&sent, &upstream.newest_post().await);
    let comparison =
        Comparison::of(ROUNDS, async || ours.round(at_a_time).await, async || bare.round(at_a_time).await).await;
    stop.cancel();
    servers.join_all().await;
    comparison
}

/// Equal but for number and code, which are as long in both.
fn assert_same_form(ours: &str, bare: &str) {
    assert_eq!(outline(ours), outline(bare), "the probe does not send what a start sends");
}

fn outline(request: &str) -> (&str, Vec<(String, String)>) {
    let (head, form) = request.split_once("\r\n\r\n").expect("a head and a body");
    let fields = url::form_urlencoded::parse(form.as_bytes()).map(|(name, value)| {
        let differs = matches!(&*name, "login_hint" | "binding_message");
        (name.into_owned(), if differs { format!("{} characters", value.len()) } else { value.into_owned() })
    });
    (head, fields.collect())
}

/// A whole gateway in this process; where its API is.
pub(crate) async fn serve_gateway(config: Config, stop: &CancellationToken, servers: &mut JoinSet<()>) -> SocketAddr {
    let listeners = Listeners { grpc: local_port().await, http: local_port().await, public: None };
    let address = listeners.grpc.local_addr().expect("an address");
    let gateway = gateway::run(config, listeners, stop.clone().cancelled_owned());
    servers.spawn(async move { gateway.await.expect("a gateway that serves") });
    address
}

async fn serve_bare(service: StartService, stop: &CancellationToken, servers: &mut JoinSet<()>) -> SocketAddr {
    let listener = local_port().await;
    let address = listener.local_addr().expect("an address");
    let incoming = TcpIncoming::from(listener).with_nodelay(Some(true));
    let server = Server::builder().add_service(service);
    let server = server.serve_with_incoming_shutdown(incoming, stop.clone().cancelled_owned());
    servers.spawn(async move { server.await.expect("a server that serves") });
    address
}

pub(crate) async fn local_port() -> TcpListener {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a free port")
}

fn configuration(upstream: &Upstream, key: &ApiKey) -> Config {
    let text = format!(
        r#"
        [store]
        kind = "memory"
        [drain]
        notice = "0s"
        limit = "5s"
        [guard]
        starts_per_agent_an_hour = 600
        numbers_per_agent_an_hour = 600
        starts_per_client_a_minute = 60000
        starts_per_tenant_a_minute = 60000
        [[tenants]]
        id = "acme"
        default_country = "NO"
        default_claims = ["name", "phone_number"]
        [tenants.provider]
        issuer = "{issuer}"
        client_id = "{CLIENT_ID}"
        client_secret = "{CLIENT_SECRET}"
        allow_insecure_hosts = true
        [[tenants.clients]]
        id = "desk"
        channels = ["call-centre"]
        api_keys = [{{ sha256 = "{hash}" }}]
        "#,
        issuer = upstream.issuer(),
        hash = key.hash(),
    );
    Config::parse(&text, Path::new("bench"), std::iter::empty()).unwrap_or_else(|mistakes| panic!("{mistakes}"))
}

/// A call centre's system, which starts logins for ever new numbers.
struct Caller {
    client: LoginServiceClient<Channel>,
    authorization: MetadataValue<Ascii>,
    started: u32,
}

impl Caller {
    async fn of(server: SocketAddr, key: &ApiKey) -> Self {
        let client = LoginServiceClient::connect(format!("http://{server}")).await.expect("a connection");
        let authorization = format!("Bearer {}", key.expose()).parse().expect("metadata");
        Self { client, authorization, started: 0 }
    }

    async fn round(&mut self, at_a_time: u32) -> u32 {
        let each = CALLS / at_a_time;
        let mut loops = JoinSet::new();
        for _ in 0..at_a_time {
            let (mut client, requests) = (self.client.clone(), (0..each).map(|_| self.next_request()));
            let requests: Vec<_> = requests.collect();
            loops.spawn(async move {
                for request in requests {
                    client.start_login(request).await.expect("a login");
                }
            });
        }
        loops.join_all().await;
        at_a_time * each
    }

    async fn start(&mut self) -> StartLoginResponse {
        let request = self.next_request();
        self.client.start_login(request).await.expect("a login").into_inner()
    }

    fn next_request(&mut self) -> Request<StartLoginRequest> {
        self.started += 1;
        let mut request = Request::new(StartLoginRequest {
            request_id: format!("request-of-the-desk-{:08}", self.started),
            person: Some(Person::PhoneNumber(format!("+479{:07}", self.started))),
            channel: v1::Channel::CallCentre.into(),
            call_direction: v1::CallDirection::Inbound.into(),
            agent_id: format!("agent-{:02}", self.started / STARTS_OF_AN_AGENT),
            // A phone call has one live login.
            call_id: format!("call-{:08}", self.started),
            ..StartLoginRequest::default()
        });
        request.metadata_mut().insert("authorization", self.authorization.clone());
        request
    }
}
