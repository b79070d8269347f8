//! Certificates and authorities that are replaced while callers are connected.

use std::time::Duration;

use ciba_gateway::grpc::v1::watch_logins_response::Event;
use tempfile::TempDir;
use tonic::transport::{Channel, ClientTlsConfig, Endpoint};
use tonic::{Code, Status, Streaming};

use crate::support::authority::{Authority, Signed};
use crate::support::caller::{Caller, refusal};
use crate::support::configuration::{Configuration, api_key, replace};
use crate::support::gateway::Serve;
use crate::support::simulators::Vipps;

const NUMBER: &str = "+4712345678";
const OTHER_NUMBER: &str = "+4712345679";
const NOBODY: &str = "AAAAAAAAAAAAAAAAAAAAAAAAAAA";
/// The client of the tenant `nordlys`.
const DESK: &str = "spiffe://nordlys.example/desk";

/// `serve` with TLS, and the files that its configuration names.
struct World {
    _vipps: Vipps,
    serve: Serve,
    folder: TempDir,
    /// Has signed the server's certificate.
    server: Authority,
    /// Signs for clients.
    clients: Authority,
}

impl World {
    async fn new() -> Self {
        let (vipps, folder) = (Vipps::start().await, tempfile::tempdir().expect("a folder"));
        let (server, clients) = (Authority::new(), Authority::new());
        let Signed { certificate, key } = server.signs_server();
        let path = |name: &str| folder.path().join(name);
        for (name, pem) in [("server", &certificate), ("key", &key), ("clients", &clients.pem())] {
            std::fs::write(path(name), pem).expect("a file");
        }
        let grpc = format!(
            "listen = \"127.0.0.1:0\"\n[grpc.tls]\ncertificate_file = {:?}\nkey_file = {:?}\nclient_ca_file = {:?}",
            path("server"),
            path("key"),
            path("clients"),
        );
        let known = format!("certificates = [{{ san_uri = \"{DESK}\" }}]");
        let configuration =
            Configuration { grpc, ..Configuration::new(&vipps.issuer()) }.with_client_line("nordlys", &known);
        let serve = Serve::ready(&configuration).await;
        Self { _vipps: vipps, serve, folder, server, clients }
    }

    fn becomes(&self, name: &str, pem: &str) {
        replace(&self.folder.path().join(name), pem);
    }

    /// Whoever trusts that authority and shows this.
    fn caller(&self, trusted: &Authority, certificate: Option<&Signed>) -> Caller {
        let key = api_key();
        let key = certificate.is_none().then_some(key.expose());
        Caller::over(self.channel(trusted, certificate), key)
    }

    fn channel(&self, trusted: &Authority, certificate: Option<&Signed>) -> Channel {
        let mut tls = ClientTlsConfig::new().ca_certificate(trusted.certificate());
        if let Some(certificate) = certificate {
            tls = tls.identity(certificate.identity());
        }
        let url = format!("https://localhost:{}", self.serve.grpc.port());
        Endpoint::from_shared(url).expect("an address").tls_config(tls).expect("TLS").connect_lazy()
    }
}

fn assert_no_connection<T: std::fmt::Debug>(answer: Result<T, Status>) {
    let status = answer.expect_err("no connection");
    assert!(std::error::Error::source(&status).is_some(), "{status:?}");
}

async fn end<T>(mut stream: Streaming<T>) -> Status {
    let end = async {
        loop {
            match stream.message().await {
                Ok(message) => assert!(message.is_some(), "no stream ends without a word"),
                Err(status) => return status,
            }
        }
    };
    tokio::time::timeout(Duration::from_secs(8), end).await.expect("an end within five seconds")
}

/// SR31, SR33: whoever connects sees the new certificate; whoever is connected does not
/// notice.
#[tokio::test]
async fn a_new_server_certificate_drops_no_connection() {
    let (world, next) = (World::new().await, Authority::new());
    let (old_desk, new_desk) = (world.caller(&world.server, None), world.caller(&next, None));
    let mut stream = old_desk.watch_all().await;
    stream.message().await.expect("a message");
    let Signed { certificate, key } = next.signs_server();

    world.becomes("server", &certificate);
    // The key is late: the two do not fit together, and nothing changes meanwhile.
    world.serve.process.logs("cannot be used; all goes on as before").await;
    assert_no_connection(world.caller(&next, None).get(NOBODY).await);
    old_desk.at_a_till(NUMBER).await;
    world.becomes("key", &key);
    world.serve.counts("ciba_gateway_config_differs 0").await;

    let login = new_desk.at_a_till(OTHER_NUMBER).await;
    assert_no_connection(world.caller(&world.server, None).get(NOBODY).await);
    for number in 0..2 {
        let message = stream.message().await.expect("the old connection goes on").expect("a message");
        assert!(matches!(message.event, Some(Event::Login(_))), "{number}: {message:?}");
    }
    old_desk.cancel(&login.login_id).await;
}

/// SR2, SR33: with an authority that is taken away its certificates prove nobody, on
/// connections that there are as on new ones; keys on other connections go on.
#[tokio::test]
async fn an_authority_that_is_taken_away_stands_for_nobody() {
    let (world, next) = (World::new().await, Authority::new());
    let (by_old, by_new) = (world.clients.signs_client(DESK, None), next.signs_client(DESK, None));
    let desk = world.caller(&world.server, Some(&by_old));
    let by_key = world.caller(&world.server, None);
    let login = desk.at_a_till(NUMBER).await.login_id;
    let (one, all, mut kept) = (desk.watch(&login).await, desk.watch_all().await, by_key.watch_all().await);
    kept.message().await.expect("a message");
    assert_no_connection(world.caller(&world.server, Some(&by_new)).get(NOBODY).await);

    // Both, for as long as clients move.
    world.becomes("clients", &format!("{}\n{}", world.clients.pem(), next.pem()));
    world.serve.counts("ciba_gateway_config_reloads_total{result=\"taken\"} 1").await;
    let moved = world.caller(&world.server, Some(&by_new));
    assert_eq!(moved.get(&login).await.expect("the client's login").login_id, login);
    assert_eq!(desk.get(&login).await.expect("the client's login").login_id, login);

    world.becomes("clients", &next.pem());
    let (one, all) = tokio::join!(end(one), end(all));
    for status in [one, all, desk.get(&login).await.expect_err("a refusal")] {
        assert_eq!(refusal(&status), (Code::Unauthenticated, "CREDENTIAL_INVALID".to_owned(), false), "{status:?}");
    }
    assert_no_connection(world.caller(&world.server, Some(&by_old)).get(&login).await);
    moved.cancel(&login).await;
    let message = kept.message().await.expect("the key's stream goes on").expect("a message");
    assert!(matches!(message.event, Some(Event::Login(_))), "{message:?}");
}
