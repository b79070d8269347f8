//! What happens when no proper answer comes.

use std::sync::Arc;
use std::time::Duration;

use ciba_gateway::ciba::{PollAnswer, StartAnswer, Unclear};
use ciba_gateway::provider::{IdentifyError, Provider};
use ciba_gateway::session::FailureReason;
use serde_json::json;
use tokio::io::AsyncReadExt;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use super::{World, auth_req_id};
use crate::support::lying_provider::{
    DISCOVERY, JWKS, LyingProvider, REVOKE, Reply, START, TOKEN, TestClock, USERINFO, terms,
};

const TROUBLE: PollAnswer = PollAnswer::Trouble { retry_after: None };
const SHORT: Duration = Duration::from_millis(300);

/// An address where nobody listens.
async fn nowhere() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    format!("http://{}/", listener.local_addr().unwrap())
}

/// A server that reads the beginning of each request and hangs up.
async fn hangs_up(tasks: &mut JoinSet<()>) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    tasks.spawn(async move {
        while let Ok((mut connection, _)) = listener.accept().await {
            let _: Result<_, _> = connection.read(&mut [0; 16]).await;
        }
    });
    url
}

#[tokio::test]
async fn a_refused_connection_means_that_nothing_was_sent() {
    let world = World::new().await;
    world.provider.discover("backchannel_authentication_endpoint", json!(nowhere().await));
    assert_eq!(world.vipps.start(&terms()).await, StartAnswer::NotSent);
}

#[tokio::test]
async fn a_name_that_does_not_resolve_means_that_nothing_was_sent() {
    let world = World::with(|settings| settings.openid.additional_hosts = ["no-such-host.invalid".into()].into()).await;
    world.provider.discover("backchannel_authentication_endpoint", json!("http://no-such-host.invalid/start"));
    assert_eq!(world.vipps.start(&terms()).await, StartAnswer::NotSent);
}

#[tokio::test]
async fn without_discovery_nothing_is_sent() {
    let world = World::new().await;
    world.provider.tell(DISCOVERY, [Reply::text(503, "")]);
    assert_eq!(world.vipps.start(&terms()).await, StartAnswer::NotSent);
    assert_eq!(world.vipps.poll(&auth_req_id()).await, TROUBLE);
    let tokens = world.provider.tokens(world.clock.now());
    assert_eq!(world.vipps.identify(&tokens, &terms()).await, Err(IdentifyError::Unavailable));
    world.vipps.revoke(&tokens).await;
    assert!([START, TOKEN, USERINFO, REVOKE].iter().all(|path| world.provider.seen(path).is_empty()));
}

#[tokio::test]
async fn a_connection_that_breaks_after_the_request_is_unclear() {
    let mut tasks = JoinSet::new();
    let world = World::new().await;
    let broken = hangs_up(&mut tasks).await;
    let mut document = world.provider.document();
    for endpoint in ["backchannel_authentication_endpoint", "token_endpoint", "userinfo_endpoint"] {
        document[endpoint] = json!(broken);
    }
    world.provider.tell(DISCOVERY, [Reply::json(200, &document)]);

    assert_eq!(world.vipps.start(&terms()).await, StartAnswer::Unclear(Unclear::Interrupted));
    assert_eq!(world.vipps.poll(&auth_req_id()).await, TROUBLE);
    let tokens = world.provider.tokens(world.clock.now());
    assert_eq!(world.vipps.identify(&tokens, &terms()).await, Err(IdentifyError::Unavailable));
}

#[tokio::test]
async fn silence_ends_with_the_time_out_and_nothing_is_repeated() {
    let world = World::with(|settings| settings.openid.request_timeout = SHORT).await;
    for path in [START, TOKEN, USERINFO] {
        world.provider.tell(path, [Reply::Silence]);
    }
    assert_eq!(world.vipps.start(&terms()).await, StartAnswer::Unclear(Unclear::TimedOut));
    assert_eq!(world.vipps.poll(&auth_req_id()).await, TROUBLE);
    let tokens = world.provider.tokens(world.clock.now());
    assert_eq!(world.vipps.identify(&tokens, &terms()).await, Err(IdentifyError::Unavailable));
    for path in [START, TOKEN, USERINFO] {
        assert_eq!(world.provider.seen(path).len(), 1, "{path}");
    }
}

#[tokio::test]
async fn a_poll_has_its_own_time_out_that_covers_discovery_too() {
    let world = World::with(|settings| settings.openid.poll_timeout = SHORT).await;
    world.provider.tell(DISCOVERY, [Reply::Silence]);
    assert_eq!(world.vipps.poll(&auth_req_id()).await, TROUBLE);
    world.provider.discover("issuer", json!(world.provider.issuer()));
    world.provider.tell(TOKEN, [Reply::Silence]);
    assert_eq!(world.vipps.poll(&auth_req_id()).await, TROUBLE);
}

/// The status came; a body that is stuck, endless or cut does not hide it.
#[tokio::test]
async fn a_body_that_does_not_come_whole_leaves_the_status() {
    let world = World::with(|settings| settings.openid.request_timeout = SHORT).await;
    for broken in [Reply::Stuck, Reply::Endless, Reply::Cut] {
        world.provider.tell(START, [broken(429)]);
        assert_eq!(world.vipps.start(&terms()).await, StartAnswer::Busy { retry_after: None });
        world.provider.tell(START, [broken(200)]);
        assert_eq!(world.vipps.start(&terms()).await, StartAnswer::Unclear(Unclear::Unreadable));
        world.provider.tell(START, [broken(401)]);
        assert_eq!(world.vipps.start(&terms()).await, StartAnswer::CredentialsRefused);
        for status in [200, 400, 403, 500] {
            world.provider.tell(TOKEN, [broken(status)]);
            assert_eq!(world.vipps.poll(&auth_req_id()).await, TROUBLE);
        }
    }
}

#[tokio::test]
async fn userinfo_that_breaks_off_may_be_asked_again_and_endless_userinfo_may_not() {
    let world = World::with(|settings| settings.openid.request_timeout = SHORT).await;
    let tokens = world.provider.tokens(world.clock.now());
    for broken in [Reply::Stuck, Reply::Cut] {
        world.provider.tell(USERINFO, [broken(200)]);
        assert_eq!(world.vipps.identify(&tokens, &terms()).await, Err(IdentifyError::Unavailable));
    }
    world.provider.tell(USERINFO, [Reply::Endless(200)]);
    let rejected = IdentifyError::Rejected(FailureReason::UserinfoInvalid);
    assert_eq!(world.vipps.identify(&tokens, &terms()).await, Err(rejected));
}

/// SR36.
#[tokio::test]
async fn no_redirect_is_followed() {
    let world = World::new().await;
    let target = world.provider.url("/elsewhere");
    let redirect = |status| Reply::text(status, "").with("location", &target);
    let tokens = world.provider.tokens(world.clock.now());
    world.vipps.check().await.unwrap();
    for status in [301, 302, 303, 307, 308] {
        for path in [START, TOKEN, USERINFO, REVOKE] {
            world.provider.tell(path, [redirect(status)]);
        }
        assert_eq!(world.vipps.start(&terms()).await, StartAnswer::Unclear(Unclear::Status(status)));
        assert_eq!(world.vipps.poll(&auth_req_id()).await, TROUBLE);
        assert!(world.vipps.identify(&tokens, &terms()).await.is_err());
        world.vipps.revoke(&tokens).await;
    }
    for path in [DISCOVERY, JWKS] {
        let world = World::new().await;
        world.provider.tell(path, [redirect(302)]);
        assert!(world.vipps.check().await.is_err());
        assert!(world.provider.seen("/elsewhere").is_empty());
    }
    assert!(world.provider.seen("/elsewhere").is_empty());
}

struct TlsListener(TcpListener, TlsAcceptor);

impl axum::serve::Listener for TlsListener {
    type Io = TlsStream<TcpStream>;
    type Addr = std::net::SocketAddr;

    async fn accept(&mut self) -> (Self::Io, Self::Addr) {
        loop {
            let (connection, address) = self.0.accept().await.unwrap();
            if let Ok(connection) = self.1.accept(connection).await {
                return (connection, address);
            }
        }
    }

    fn local_addr(&self) -> std::io::Result<Self::Addr> {
        self.0.local_addr()
    }
}

/// A provider on `https://localhost`, and the PEM of its certificate.
async fn over_tls() -> (LyingProvider, String) {
    let _: Result<_, _> = rustls::crypto::ring::default_provider().install_default();
    let rcgen::CertifiedKey { cert, signing_key } = rcgen::generate_simple_self_signed(["localhost".into()]).unwrap();
    let key = rustls::pki_types::PrivateKeyDer::Pkcs8(signing_key.serialize_der().into());
    let config = rustls::ServerConfig::builder().with_no_client_auth();
    let mut config = config.with_single_cert(vec![cert.der().clone()], key).unwrap();
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];

    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base = format!("https://localhost:{}", listener.local_addr().unwrap().port());
    let acceptor = TlsAcceptor::from(Arc::new(config));
    (LyingProvider::serve(TlsListener(listener, acceptor), base), cert.pem())
}

/// R10.
#[tokio::test]
async fn a_certificate_must_be_trusted() {
    let (provider, pem) = over_tls().await;
    let mut settings = provider.settings();
    let problem = TestClock::new().provider(&settings).check().await.unwrap_err().to_string();
    assert!(problem.contains("invalid peer certificate"), "{problem}");

    settings.openid.extra_root_ca_pem = Some(pem);
    let vipps = TestClock::new().provider(&settings);
    vipps.check().await.unwrap();
    assert!(matches!(vipps.start(&terms()).await, StartAnswer::Accepted(_)));
}

/// SR36.
#[tokio::test]
async fn a_name_that_leads_into_the_private_network_is_not_called() {
    let (provider, pem) = over_tls().await;
    let mut settings = provider.settings();
    settings.openid.extra_root_ca_pem = Some(pem);
    settings.openid.allow_insecure_hosts = false;
    let vipps = TestClock::new().provider(&settings);
    assert_eq!(vipps.start(&terms()).await, StartAnswer::NotSent);
    let problem = vipps.check().await.unwrap_err().to_string();
    assert!(problem.contains("no public address"), "{problem}");
    assert!(provider.all_seen().is_empty());
}
