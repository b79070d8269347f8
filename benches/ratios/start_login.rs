//! One `StartLogin` through the whole gateway, against a bare call that makes
//! one bare request. The calling client is counted in both.

use std::net::SocketAddr;

use ciba_gateway::config::ApiKey;
use ciba_gateway::grpc::v1::{self, StartLoginRequest, StartLoginResponse, start_login_request::Person};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tonic::Request;
use tonic::transport::server::{Server, TcpIncoming};

use super::bare::{CLIENT_ID, CLIENT_SECRET, Client, StartService};
use super::cpu::Comparison;
use super::gateway::{self, Caller, Setup, local_port};
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
    let config = setup(upstream.issuer(), &key).configuration();
    let mut ours = Desk::of(gateway::serve(config, None, &stop, &mut servers).await, &key).await;
    let answer = ours.start().await;
    let sent = upstream.newest_post().await;
    let bare = StartService::new(Client::of(upstream), answer.clone());
    let mut bare = Desk::of(serve_bare(bare, &stop, &mut servers).await, &key).await;
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

async fn serve_bare(service: StartService, stop: &CancellationToken, servers: &mut JoinSet<()>) -> SocketAddr {
    let listener = local_port().await;
    let address = listener.local_addr().expect("an address");
    let incoming = TcpIncoming::from(listener).with_nodelay(Some(true));
    let server = Server::builder().add_service(service);
    let server = server.serve_with_incoming_shutdown(incoming, stop.clone().cancelled_owned());
    servers.spawn(async move { server.await.expect("a server that serves") });
    address
}

fn setup<'a>(issuer: &'a str, key: &'a ApiKey) -> Setup<'a> {
    let sections = r#"
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
        "#;
    Setup {
        sections: sections.to_owned(),
        tenant: String::new(),
        issuer,
        client_id: CLIENT_ID,
        client_secret: CLIENT_SECRET,
        client: "id = \"desk\"\nchannels = [\"call-centre\"]",
        key,
    }
}

/// A call centre's system, which starts logins for ever new numbers.
struct Desk {
    caller: Caller,
    started: u32,
}

impl Desk {
    async fn of(server: SocketAddr, key: &ApiKey) -> Self {
        Self { caller: Caller::of(server, key).await, started: 0 }
    }

    async fn round(&mut self, at_a_time: u32) -> u32 {
        let each = CALLS / at_a_time;
        let mut loops = JoinSet::new();
        for _ in 0..at_a_time {
            let (mut client, requests) = (self.caller.client.clone(), (0..each).map(|_| self.next_request()));
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
        self.caller.client.start_login(request).await.expect("a login").into_inner()
    }

    fn next_request(&mut self) -> Request<StartLoginRequest> {
        self.started += 1;
        self.caller.request(StartLoginRequest {
            request_id: format!("request-of-the-desk-{:08}", self.started),
            person: Some(Person::PhoneNumber(format!("+479{:07}", self.started))),
            channel: v1::Channel::CallCentre.into(),
            call_direction: v1::CallDirection::Inbound.into(),
            agent_id: format!("agent-{:02}", self.started / STARTS_OF_AN_AGENT),
            // A phone call has one live login.
            call_id: format!("call-{:08}", self.started),
            ..StartLoginRequest::default()
        })
    }
}
