//! What is on the wire besides logins: TLS, health, reflection.

use std::path::PathBuf;

use tempfile::TempDir;
use tokio::net::TcpStream;
use tonic::Code;
use tonic::transport::{Channel, Endpoint};
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;
use tonic_reflection::pb::v1::ServerReflectionRequest;
use tonic_reflection::pb::v1::server_reflection_client::ServerReflectionClient;
use tonic_reflection::pb::v1::server_reflection_request::MessageRequest;
use tonic_reflection::pb::v1::server_reflection_response::MessageResponse;

use crate::support::authority::{Authority, Signed};
use crate::support::configuration::{Configuration, api_key};
use crate::support::eventually::eventually;
use crate::support::gateway::Gateway;
use crate::support::processes::Process;
use crate::support::redis_server::RedisServer;
use crate::support::simulators::Vipps;

const NUMBER: &str = "+4712345678";
const SERVICE: &str = "ciba_gateway.v1.LoginService";

/// A certificate for `localhost` with the authority that signed it, in files.
struct Certificates(TempDir);

impl Certificates {
    fn new() -> Self {
        let certificates = Self(tempfile::tempdir().expect("a temporary folder"));
        let authority = Authority::new();
        let Signed { certificate, key } = authority.signs_server();
        for (name, pem) in [("ca", authority.pem()), ("certificate", certificate), ("key", key)] {
            std::fs::write(certificates.path(name), pem).expect("a file can be written");
        }
        certificates
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(format!("{name}.pem"))
    }

    fn settings(&self) -> String {
        let (certificate, key) = (self.path("certificate"), self.path("key"));
        format!("listen = \"127.0.0.1:0\"\n[grpc.tls]\ncertificate_file = {certificate:?}\nkey_file = {key:?}")
    }
}

#[tokio::test]
async fn a_client_that_knows_the_authority_logs_in_over_tls() {
    let (vipps, certificates) = (Vipps::start().await, Certificates::new());
    let grpc = certificates.settings();
    let gateway = Gateway::ready(&Configuration { grpc, ..Configuration::new(&vipps.issuer()) }).await;
    // Peers who open a connection and never say hello hold nobody up.
    let mut silent = Vec::new();
    for _ in 0..100 {
        silent.push(TcpStream::connect(gateway.grpc).await.expect("a connection"));
    }

    let secure = format!("https://localhost:{}", gateway.grpc.port());
    let mut login = login(&secure, &["--ca-file", &certificates.path("ca").to_string_lossy()]);
    login.prints("… pending").await;
    vipps.simulator.approve(NUMBER);
    let ended = login.ended().await;
    assert_eq!(ended.code, Some(0), "{ended:?}");
}

/// SR33.
#[tokio::test]
async fn a_client_without_tls_or_without_trust_gets_nowhere() {
    let (vipps, certificates, others) = (Vipps::start().await, Certificates::new(), Certificates::new());
    let grpc = certificates.settings();
    let gateway = Gateway::ready(&Configuration { grpc, ..Configuration::new(&vipps.issuer()) }).await;
    let port = gateway.grpc.port();
    let plain = login(&format!("http://localhost:{port}"), &[]).ended().await;
    assert!(matches!(plain.code, Some(69 | 70)), "{plain:?}");
    let wrong = others.path("ca");
    let mut distrustful = login(&format!("https://localhost:{port}"), &["--ca-file", &wrong.to_string_lossy()]);
    let distrustful = distrustful.ended().await;
    assert_eq!(distrustful.code, Some(69), "{distrustful:?}");
    assert!(distrustful.stderr.contains("certificate"), "{distrustful:?}");
    assert!(vipps.simulator.waiting().is_empty(), "a phone rang");
}

fn login(url: &str, more: &[&str]) -> Process {
    let key = api_key();
    let arguments = ["login", NUMBER, "--channel", "tv-box", "--server", url, "--api-key", key.expose()];
    Process::gateway(&[&arguments, more].concat())
}

fn channel(gateway: &Gateway) -> Channel {
    Endpoint::from_shared(gateway.url()).expect("an address").connect_lazy()
}

async fn health(gateway: &Gateway, service: &str) -> ServingStatus {
    let request = HealthCheckRequest { service: service.into() };
    let answer = HealthClient::new(channel(gateway)).check(request).await.expect("an answer");
    answer.into_inner().status()
}

#[tokio::test]
async fn health_follows_readiness() {
    let (vipps, mut redis) = (Vipps::start().await, RedisServer::start().await);
    let gateway = Gateway::ready(&Configuration::new(&vipps.issuer()).with_redis(&redis)).await;
    for expected in [ServingStatus::Serving, ServingStatus::NotServing, ServingStatus::Serving] {
        for service in ["", SERVICE] {
            let as_expected = async || (health(&gateway, service).await == expected).then_some(());
            eventually(&format!("{service:?} is {expected:?}"), as_expected).await;
        }
        if expected == ServingStatus::Serving {
            redis.stop();
        } else {
            redis.start_again().await;
        }
    }
}

async fn services(gateway: &Gateway) -> Result<Vec<String>, Code> {
    let request = ServerReflectionRequest {
        host: String::new(),
        message_request: Some(MessageRequest::ListServices(String::new())),
    };
    let asked = ServerReflectionClient::new(channel(gateway))
        .server_reflection_info(tokio_stream::iter([request]))
        .await
        .map_err(|status| status.code())?;
    let answer = asked.into_inner().message().await.map_err(|status| status.code())?;
    match answer.and_then(|answer| answer.message_response) {
        Some(MessageResponse::ListServicesResponse(list)) => {
            Ok(list.service.into_iter().map(|service| service.name).collect())
        }
        other => panic!("expected a list of services, got {other:?}"),
    }
}

/// SR33.
#[tokio::test]
async fn the_api_describes_itself_only_when_it_shall() {
    let vipps = Vipps::start().await;
    let silent = Gateway::start(&Configuration::new(&vipps.issuer())).await;
    assert_eq!(services(&silent).await, Err(Code::Unimplemented));

    let grpc = "listen = \"127.0.0.1:0\"\nreflection = true".into();
    let open = Gateway::start(&Configuration { grpc, ..Configuration::new(&vipps.issuer()) }).await;
    let listed = services(&open).await.expect("a list");
    assert!(listed.contains(&SERVICE.to_owned()), "{listed:?}");
    assert!(listed.contains(&"grpc.health.v1.Health".to_owned()), "{listed:?}");
}
