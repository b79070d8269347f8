//! The provider tells by itself: pings from the simulator to the public listener, and
//! registrations by the command line.

use std::path::Path;
use std::time::Duration;

use ciba_gateway::grpc::v1::{LoginState, Outcome};
use ciba_gateway::simulator::{Endpoint, MOST_REGISTRATIONS, Settings, WebhookKnobs};
use tempfile::TempDir;
use tokio::time::Instant;

use crate::support::configuration::Configuration;
use crate::support::eventually::eventually;
use crate::support::gateway::{Gateway, Serve, local};
use crate::support::http;
use crate::support::processes::{Ended, Process};
use crate::support::redis_server::RedisServer;
use crate::support::simulators::Vipps;

const NUMBER: &str = "+4712345678";
const SECRET: &str = "090a478d-37ff-4e77-970e-d457aeb26a3a";
const PING: &str = "login.merchant-initiated.ping.v1";
/// Longer than a test waits: what is found earlier is found because of a ping.
const INTERVAL: u64 = 60;

/// A provider whose polls are far apart.
async fn slow() -> Vipps {
    with_interval(INTERVAL).await
}

async fn with_interval(seconds: u64) -> Vipps {
    Vipps::with(local().await, Settings { interval_seconds: seconds, ..Settings::default() }).await
}

fn hook(secret: &str) -> String {
    format!("webhooks = [{{ name = \"pings\", events = [\"{PING}\"], {secret} }}]")
}

/// A gateway that the provider may tell, and that knows the secret.
async fn told(vipps: &Vipps, change: impl FnOnce(Configuration) -> Configuration) -> Gateway {
    let configuration = Configuration::new(&vipps.issuer())
        .with_public_listener()
        .with_tenant_line("nordlys", &hook(&format!("secret = \"{SECRET}\"")));
    let gateway = Gateway::ready(&change(configuration)).await;
    let url = format!("http://{}/webhooks/pings", gateway.public).parse().expect("a URL");
    vipps.simulator.register_webhook("demo-client", url, SECRET);
    gateway
}

fn polls(vipps: &Vipps) -> usize {
    vipps.simulator.requests().iter().filter(|request| request.endpoint == Endpoint::Token).count()
}

/// How each attempt was answered, once there are so many.
async fn deliveries(vipps: &Vipps, count: usize) -> Vec<u16> {
    eventually("the provider has told", async || {
        let deliveries = vipps.simulator.deliveries();
        (deliveries.len() >= count).then_some(deliveries)
    })
    .await
}

#[tokio::test]
async fn a_ping_ends_the_wait_for_the_next_poll() {
    let vipps = slow().await;
    let gateway = told(&vipps, |configuration| configuration).await;
    let began = Instant::now();
    let login = gateway.caller().at_a_till(NUMBER).await;
    assert_eq!(vipps.simulator.approve(NUMBER), 1);
    assert_eq!(gateway.caller().end_of(&login.login_id).await.outcome(), Outcome::Approved);
    assert!(began.elapsed() < Duration::from_secs(INTERVAL / 2), "{:?}", began.elapsed());
    assert_eq!(polls(&vipps), 1);
    assert_eq!(deliveries(&vipps, 1).await, [200]);
}

/// A reject may ping too; what became of the login the token endpoint says.
#[tokio::test]
async fn a_ping_says_nothing_about_the_answer() {
    let vipps = slow().await;
    vipps.simulator.set_webhooks(WebhookKnobs { on_deny: true, twice: true, ..WebhookKnobs::default() });
    let gateway = told(&vipps, |configuration| configuration).await;
    let login = gateway.caller().at_a_till(NUMBER).await;
    assert_eq!(vipps.simulator.deny(NUMBER), 1);
    assert_eq!(gateway.caller().end_of(&login.login_id).await.outcome(), Outcome::Denied);
    assert_eq!(deliveries(&vipps, 2).await, [200, 200], "the same once more");
    assert_eq!(polls(&vipps), 1);
    let page = http::get(&format!("http://{}/metrics", gateway.http)).await.expect("metrics").1;
    for (result, event) in [("taken", PING), ("repeated", PING)] {
        let line = format!("ciba_gateway_webhooks_total{{webhook=\"pings\",event=\"{event}\",result=\"{result}\"}} 1");
        assert!(page.contains(&line), "{line} in {page}");
    }
}

/// The provider reaches one of three replicas, and another one polls.
#[tokio::test]
async fn a_ping_finds_its_login_on_whatever_replica() {
    let (vipps, server) = (slow().await, RedisServer::start().await);
    let others = Configuration::new(&vipps.issuer()).with_redis(&server);
    let owner = Gateway::ready(&others).await;
    let _bystander = Gateway::ready(&others).await;
    let told = told(&vipps, |configuration| configuration.with_redis(&server)).await;
    let began = Instant::now();
    let login = owner.caller().at_a_till(NUMBER).await;
    assert_eq!(vipps.simulator.approve(NUMBER), 1);
    assert_eq!(told.caller().end_of(&login.login_id).await.outcome(), Outcome::Approved);
    assert!(began.elapsed() < Duration::from_secs(INTERVAL / 2), "{:?}", began.elapsed());
    assert_eq!(polls(&vipps), 1);
}

/// What is not proven moves nothing, what is lost neither: polling finds it.
#[tokio::test]
async fn without_a_ping_that_counts_polling_finds_what_has_happened() {
    for (knobs, answers) in [
        (WebhookKnobs { forged: true, ..WebhookKnobs::default() }, &[401][..]),
        (WebhookKnobs { stale: true, ..WebhookKnobs::default() }, &[401]),
        (WebhookKnobs { lost: true, ..WebhookKnobs::default() }, &[]),
    ] {
        let vipps = with_interval(5).await;
        vipps.simulator.set_webhooks(knobs.clone());
        let gateway = told(&vipps, |configuration| configuration).await;
        let login = gateway.caller().at_a_till(NUMBER).await;
        let began = Instant::now();
        assert_eq!(vipps.simulator.approve(NUMBER), 1);
        assert!(deliveries(&vipps, answers.len()).await.starts_with(answers), "{knobs:?}");
        let now = gateway.caller().get(&login.login_id).await.expect("the login");
        assert_eq!((now.state(), polls(&vipps)), (LoginState::Pending, 0), "{knobs:?}");
        assert_eq!(gateway.caller().end_of(&login.login_id).await.outcome(), Outcome::Approved);
        assert!(began.elapsed() > Duration::from_secs(3), "{:?}", began.elapsed());
    }
}

/// An operator at work: a gateway that runs, its file, and where secrets go.
struct Operator {
    vipps: Vipps,
    serve: Serve,
    folder: TempDir,
}

impl Operator {
    async fn new() -> Self {
        let (vipps, folder) = (slow().await, tempfile::tempdir().expect("a folder"));
        let file = |name: &str| folder.path().join(name).display().to_string();
        let secrets = format!("secret_file = {:?}, secret_next_file = {:?}", file("one"), file("two"));
        let configuration = Configuration {
            provider: "subscription_key = \"demo-subscription-key\"\nmerchant_serial_number = \"123456\"".into(),
            ..Configuration::new(&vipps.issuer())
        };
        let configuration = configuration.with_public_listener().with_tenant_line("nordlys", &hook(&secrets));
        let serve = Serve::ready(&configuration).await;
        Self { vipps, serve, folder }
    }

    async fn runs(&self, arguments: &[&str]) -> Ended {
        let file = self.serve.file.path();
        let config = ["--config", file.to_str().expect("a path")];
        let ended = Process::gateway(&[&["webhooks"], arguments, &config].concat()).ended().await;
        for secret in ["one", "two"].iter().filter_map(|name| self.secret(name)) {
            assert!(!ended.stdout.contains(&secret) && !ended.stderr.contains(&secret), "a secret is shown");
        }
        ended
    }

    fn secret(&self, name: &str) -> Option<String> {
        std::fs::read_to_string(self.folder.path().join(name)).ok().map(|text| text.trim().to_owned())
    }

    fn ids(&self) -> Vec<String> {
        self.vipps.simulator.webhooks().into_iter().map(|webhook| webhook.id).collect()
    }

    async fn login_by_ping(&self) {
        let login = self.serve.caller().at_a_till(NUMBER).await;
        assert_eq!(self.vipps.simulator.approve(NUMBER), 1);
        assert_eq!(self.serve.caller().end_of(&login.login_id).await.outcome(), Outcome::Approved);
    }
}

fn mode(file: &Path) -> u32 {
    use std::os::unix::fs::PermissionsExt;
    std::fs::metadata(file).expect("a file").permissions().mode() & 0o777
}

#[tokio::test]
async fn registrations_are_made_once_and_rotated_with_an_overlap() {
    let operator = Operator::new().await;
    let listed = operator.runs(&["list"]).await;
    assert_eq!(listed.code, Some(0), "{listed:?}");
    assert!(listed.stdout.contains("nordlys: nothing is registered"), "{listed:?}");

    let applied = operator.runs(&["apply"]).await;
    assert_eq!(applied.code, Some(0), "{applied:?}");
    assert_eq!((operator.ids().len(), mode(&operator.folder.path().join("one"))), (1, 0o600));
    let again = operator.runs(&["apply"]).await;
    assert!(again.code == Some(0) && again.stdout.contains("registered as it should be"), "{again:?}");
    assert_eq!(operator.ids().len(), 1);
    operator.serve.counts("ciba_gateway_config_reloads_total{result=\"taken\"} 1").await;
    operator.login_by_ping().await;

    let rotated = operator.runs(&["apply", "--rotate", "pings"]).await;
    let old = operator.ids()[0].clone();
    assert!(rotated.stdout.contains(&format!("ciba-gateway webhooks delete {old}")), "{rotated:?}");
    assert!(operator.ids().len() == 2 && operator.secret("one") != operator.secret("two"));
    let third = operator.runs(&["apply", "--rotate", "pings"]).await;
    assert!(third.code == Some(69) && third.stdout.contains("none is overwritten"), "{third:?}");
    operator.serve.counts("ciba_gateway_config_reloads_total{result=\"taken\"} 2").await;
    // Both tell, and both are believed.
    operator.login_by_ping().await;
    let deleted = operator.runs(&["delete", &old]).await;
    assert!(deleted.code == Some(0) && operator.ids().len() == 1, "{deleted:?}");
    operator.login_by_ping().await;
    assert!(operator.vipps.simulator.deliveries().iter().all(|status| *status == 200));
    let gone = operator.runs(&["delete", &old]).await;
    assert!(gone.code == Some(69) && gone.stderr.contains("has a registration"), "{gone:?}");
}

#[tokio::test]
async fn what_the_provider_refuses_is_told_and_leaves_no_file() {
    let operator = Operator::new().await;
    for nth in 0..MOST_REGISTRATIONS {
        let url = format!("https://elsewhere.example/{nth}").parse().expect("a URL");
        operator.vipps.simulator.register_webhook("demo-client", url, SECRET);
    }
    let full = operator.runs(&["apply"]).await;
    assert_eq!(full.code, Some(69), "{full:?}");
    assert!(full.stdout.contains("the vendor answered 400: the limit of registrations"), "{full:?}");
    let left: Vec<_> = std::fs::read_dir(operator.folder.path()).expect("a folder").collect();
    assert!(left.is_empty(), "{left:?}");

    operator.serve.file.becomes(&operator.serve.file.text().replace("demo-subscription-key", "another-key"));
    let refused = operator.runs(&["list"]).await;
    assert!(refused.code == Some(69) && refused.stderr.contains("the registrations cannot be read"), "{refused:?}");
}
