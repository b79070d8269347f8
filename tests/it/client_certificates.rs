//! Clients that prove themselves by the certificate of their connection.

use std::future::Future;
use std::time::Duration;

use ciba_gateway::clock::Clock;
use ciba_gateway::grpc::v1::watch_logins_response::Event;
use tempfile::TempDir;
use tonic::transport::{Channel, ClientTlsConfig, Endpoint};
use tonic::{Code, Status, Streaming};
use tonic_types::StatusExt;

use crate::support::authority::{Authority, Signed};
use crate::support::caller::{Caller, refusal};
use crate::support::configuration::{Configuration, api_key, other_api_key};
use crate::support::gateway::{Gateway, wait_until_ready};
use crate::support::processes::Process;
use crate::support::simulators::Vipps;

const NUMBER: &str = "+4712345678";
const NOBODY: &str = "AAAAAAAAAAAAAAAAAAAAAAAAAAA";
/// The client of the tenant `nordlys`, which has the service's authority.
const NORDLYS: &str = "spiffe://nordlys.example/desk";
/// The client of the tenant `other`, which has an authority of its own.
const OTHER: &str = "spiffe://other.example/desk";

/// A gateway that asks for certificates, and everybody who signs some.
struct World {
    vipps: Vipps,
    gateway: Gateway,
    server: Authority,
    /// Signs for `nordlys`.
    shared: Authority,
    /// Signs for `other`.
    own: Authority,
    folder: TempDir,
}

fn file(folder: &TempDir, name: &str, pem: &str) -> String {
    let path = folder.path().join(name);
    std::fs::write(&path, pem).expect("a file can be written");
    path.to_string_lossy().into_owned()
}

impl World {
    async fn new(client_certificates: &str) -> Self {
        let (vipps, folder) = (Vipps::start().await, tempfile::tempdir().expect("a temporary folder"));
        let (server, shared, own) = (Authority::new(), Authority::new(), Authority::new());
        let file = |name: &str, pem: &str| format!("{:?}", file(&folder, name, pem));
        let Signed { certificate, key } = server.signs_server();
        let grpc = format!(
            "listen = \"127.0.0.1:0\"\n[grpc.tls]\ncertificate_file = {}\nkey_file = {}\nclient_ca_file = {}\n\
             client_certificates = \"{client_certificates}\"",
            file("server", &certificate),
            file("key", &key),
            file("shared", &shared.pem()),
        );
        let known = |uri: &str| format!("certificates = [{{ san_uri = \"{uri}\" }}]");
        let configuration = Configuration { grpc, ..Configuration::new(&vipps.issuer()) }
            .with_client_line("nordlys", &known(NORDLYS))
            .with_client_line("other", &known(OTHER))
            .with_tenant_line("other", &format!("client_ca_file = {}", file("own", &own.pem())));
        let gateway = Gateway::start(&configuration).await;
        wait_until_ready(gateway.http).await;
        Self { vipps, gateway, server, shared, own, folder }
    }

    /// The path of a file with this in it.
    fn file(&self, name: &str, pem: &str) -> String {
        file(&self.folder, name, pem)
    }

    fn channel(&self, certificate: Option<&Signed>) -> Channel {
        let mut tls = ClientTlsConfig::new().ca_certificate(self.server.certificate());
        if let Some(certificate) = certificate {
            tls = tls.identity(certificate.identity());
        }
        let url = format!("https://localhost:{}", self.gateway.grpc.port());
        Endpoint::from_shared(url).expect("an address").tls_config(tls).expect("TLS").connect_lazy()
    }

    fn caller(&self, certificate: &Signed) -> Caller {
        Caller::over(self.channel(Some(certificate)), None)
    }
}

/// A refusal by the gateway, with its reason; not one by the connection.
fn assert_refused<T: std::fmt::Debug>(answer: Result<T, Status>, reason: &str) {
    let status = answer.expect_err("a refusal");
    assert_eq!(refusal(&status), (Code::Unauthenticated, reason.to_owned(), false), "{status:?}");
}

/// No answer of the gateway at all.
fn assert_no_connection<T: std::fmt::Debug>(answer: Result<T, Status>) {
    let status = answer.expect_err("no connection");
    assert!(std::error::Error::source(&status).is_some(), "{status:?}");
    assert!(status.get_error_details().error_info().is_none(), "{status:?}");
}

/// SR2, SR33.
#[tokio::test]
async fn a_client_logs_somebody_in_by_its_certificate() {
    let world = World::new("optional").await;
    let desk = world.caller(&world.shared.signs_client(NORDLYS, None));
    let login = desk.at_a_till(NUMBER).await;
    assert_eq!(desk.get(&login.login_id).await.expect("its login").login_id, login.login_id);
    let renewed = world.caller(&world.shared.signs_client(NORDLYS, None));
    assert_eq!(renewed.get(&login.login_id).await.expect("its login").login_id, login.login_id);
    let other = world.caller(&world.own.signs_client(OTHER, None));
    assert_eq!(other.get(&login.login_id).await.expect_err("another tenant's").code(), Code::NotFound);
}

/// Our own clients can do it too.
#[tokio::test]
async fn the_command_line_shows_a_certificate() {
    let world = World::new("required").await;
    let Signed { certificate, key } = world.shared.signs_client(NORDLYS, None);
    let [ca, certificate, key] = [("ca", world.server.pem()), ("certificate", certificate), ("private", key)]
        .map(|(name, pem)| world.file(name, &pem));
    let url = format!("https://localhost:{}", world.gateway.grpc.port());
    let tls = ["--server", &url, "--ca-file", &ca, "--certificate-file", &certificate, "--key-file", &key];
    let mut login = Process::gateway(&[&["login", NUMBER, "--channel", "tv-box"], &tls[..]].concat());
    login.prints("… pending").await;
    world.vipps.simulator.approve(NUMBER);
    let ended = login.ended().await;
    assert_eq!(ended.code, Some(0), "{ended:?}");
}

/// SR2: a signature is not enough, nor is a name.
#[tokio::test]
async fn a_certificate_of_nobody_calls_nothing() {
    let world = World::new("optional").await;
    for (authority, uri) in [
        (&world.shared, "spiffe://nordlys.example/elsewhere"),
        // Each tenant has its own authority, and the handshake takes both.
        (&world.shared, OTHER),
        (&world.own, NORDLYS),
    ] {
        let caller = world.caller(&authority.signs_client(uri, None));
        assert_refused(caller.get(NOBODY).await, "CREDENTIAL_INVALID");
    }
    let stranger = Authority::new().signs_client(NORDLYS, None);
    assert_no_connection(world.caller(&stranger).get(NOBODY).await);
    let clock = Clock::system();
    let over = world.shared.signs_client(NORDLYS, Some(clock.now().minus(Duration::from_secs(60))));
    assert_no_connection(world.caller(&over).get(NOBODY).await);
}

/// SR2: keys go on counting beside certificates.
#[tokio::test]
async fn optional_certificates_leave_keys_as_they_are() {
    let world = World::new("optional").await;
    let by_key = Caller::over(world.channel(None), Some(api_key().expose()));
    let login = by_key.at_a_till(NUMBER).await;
    assert_refused(Caller::over(world.channel(None), None).get(NOBODY).await, "CREDENTIAL_MISSING");

    let desk = world.shared.signs_client(NORDLYS, None);
    let both = Caller::over(world.channel(Some(&desk)), Some(api_key().expose()));
    assert_eq!(both.get(&login.login_id).await.expect("its login").login_id, login.login_id);
    let mixed = Caller::over(world.channel(Some(&desk)), Some(other_api_key().expose()));
    assert_refused(mixed.get(&login.login_id).await, "CREDENTIAL_MISMATCH");
    let unknown = world.shared.signs_client("spiffe://nordlys.example/elsewhere", None);
    let beside = Caller::over(world.channel(Some(&unknown)), Some(api_key().expose()));
    assert_refused(beside.get(&login.login_id).await, "CREDENTIAL_MISMATCH");
}

/// SR33.
#[tokio::test]
async fn nobody_connects_without_a_certificate_where_one_is_required() {
    let world = World::new("required").await;
    let by_key = Caller::over(world.channel(None), Some(api_key().expose()));
    assert_no_connection(by_key.get(NOBODY).await);
    let desk = world.caller(&world.shared.signs_client(NORDLYS, None));
    desk.at_a_till(NUMBER).await;
}

async fn end<T>(mut stream: Streaming<T>) -> Status {
    loop {
        match stream.message().await {
            Ok(message) => assert!(message.is_some(), "no stream ends without a word"),
            Err(status) => return status,
        }
    }
}

/// At most so long; a stream that never ends fails the test.
async fn in_time<T>(what: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(30), what).await.expect("an end in time")
}

/// SR2: what is open ends with the certificate that opened it, and the connection
/// is good for nothing more.
#[tokio::test]
async fn streams_end_with_the_certificate_that_opened_them() {
    let (world, clock) = (World::new("optional").await, Clock::system());
    let by_key = Caller::over(world.channel(None), Some(api_key().expose()));
    let login = by_key.at_a_till(NUMBER).await.login_id;
    let not_after = clock.now().plus(Duration::from_secs(5));
    let desk = world.caller(&world.shared.signs_client(NORDLYS, Some(not_after)));
    let (one, mut all, kept) = (desk.watch(&login).await, desk.watch_all().await, by_key.watch_all().await);
    let first = all.message().await.expect("a message").expect("a message");
    assert!(matches!(first.event, Some(Event::Heartbeat(_))));
    let (one, all, waited) = in_time(async { tokio::join!(end(one), end(all), desk.wait(&login, 30)) }).await;
    assert!(clock.now().as_secs() >= not_after.as_secs(), "not before the end");
    let cursor = all.get_error_details().error_info().and_then(|info| info.metadata.get("cursor").cloned());
    assert_eq!(cursor, Some(first.cursor), "where to go on");
    assert_refused(Err::<(), _>(one), "CREDENTIAL_EXPIRED");
    assert_refused(Err::<(), _>(all), "CREDENTIAL_EXPIRED");
    assert_refused(waited, "CREDENTIAL_EXPIRED");
    assert_refused(desk.get(&login).await, "CREDENTIAL_EXPIRED");

    by_key.cancel(&login).await;
    let mut kept = kept;
    let told = in_time(async {
        loop {
            let message = kept.message().await.expect("the key has no end").expect("a message");
            if let Some(Event::Login(login)) = message.event {
                return login.login_id;
            }
        }
    });
    assert_eq!(told.await, login);
}
