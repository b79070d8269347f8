//! How long a caller waits for the news that a person has approved: with the provider's
//! pings, and by polling alone.
//!
//! Two gateways as in production, each with a Redis and a provider of its own, at the
//! same time and with the same people, who approve at random within an interval. The
//! time is from before the approval is sent to the provider to the event of
//! `WatchLogin` that says who it is.

use std::time::Duration;

use futures_util::future::{join, join_all};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::time::{Instant, sleep};
use url::Url;

use super::gateway::local_port;
use super::neighbour::Neighbour;
use super::people;
use super::redis_server::RedisServer;
use super::table::Table;
use super::whole_login::{CLIENT_ID, CLIENT_SECRET, Gateway, PINGS, Till, Webhook, phone_number};

/// Between two polls of a login.
pub(crate) const INTERVAL: Duration = Duration::from_secs(5);
const LOGINS: u32 = 400;
/// From one start to the next; some twenty are under way at a time and at a gateway.
const APART: Duration = Duration::from_millis(130);

pub(crate) async fn measure(table: &mut Table) {
    let (pinged, polled) = (Side::start(true).await, Side::start(false).await);
    let taps: Vec<_> = (0..LOGINS).map(|_| INTERVAL.mul_f64(random_share())).collect();
    let (with_pings, alone) = join(pinged.waits(taps.clone()), polled.waits(taps)).await;
    let (with_pings, alone) = (Waits::of(with_pings), Waits::of(alone));
    pinged.gateway.stop().await;
    polled.gateway.stop().await;
    for (name, part) in [("p50", 50), ("p99", 99)] {
        let [with_pings, alone] = [&with_pings, &alone].map(|waits| waits.percentile(part));
        table.plain(
            &format!("approval to event, {name}: with pings / polling alone"),
            format!("1 / {:.0}", alone / with_pings),
            format!("{with_pings:.1} ms / {alone:.0} ms; {LOGINS} logins each, polls {} s apart", INTERVAL.as_secs()),
        );
    }
}

/// One gateway and what it needs.
struct Side {
    gateway: Gateway,
    phones: Phones,
    _redis: RedisServer,
    _folder: TempDir,
}

impl Side {
    async fn start(with_pings: bool) -> Self {
        let (redis, folder) = (RedisServer::start().await, tempfile::tempdir().expect("a folder"));
        let phones = Phones::start();
        let webhook = if with_pings { Some(phones.webhook().await) } else { None };
        let gateway = Gateway::start_with(phones.issuer(), &redis.url(), folder.path(), webhook).await;
        Self { gateway, phones, _redis: redis, _folder: folder }
    }

    /// How long each was waited for; the nth person approves so long after the start.
    async fn waits(&self, taps: Vec<Duration>) -> Vec<Duration> {
        let control = self.phones.control.clone();
        let calling = self.gateway.calling(move |till| async move {
            let (till, control) = (&till, &control);
            join_all((0..).zip(taps).map(|(number, tap)| wait(till, control, number, tap))).await
        });
        calling.await.0
    }
}

async fn wait(till: &Till, control: &Control, number: u32, tap: Duration) -> Duration {
    sleep(APART * number).await;
    let login = till.starts(number).await;
    let approval = async {
        sleep(tap).await;
        let at = Instant::now();
        control.approve(&phone_number(number)).await;
        at
    };
    let (approved, known) = join(approval, till.watch(login)).await;
    known - approved
}

/// The provider, whose people approve when they are told to.
struct Phones {
    neighbour: Neighbour,
    control: Control,
}

/// The hands at the phones.
#[derive(Clone)]
struct Control {
    client: reqwest::Client,
    base: Url,
}

impl Phones {
    fn start() -> Self {
        let neighbour = Neighbour::start(people::ROLE_BY_HAND);
        let issuer = Url::parse(neighbour.address()).expect("an issuer");
        let base = issuer.join("/").expect("an address");
        let client = reqwest::Client::builder().no_proxy().build().expect("a client");
        Self { neighbour, control: Control { client, base } }
    }

    fn issuer(&self) -> &str {
        self.neighbour.address()
    }

    /// Registers a port for pings, as a merchant does.
    async fn webhook(&self) -> Webhook {
        let listener = local_port().await;
        let Control { client, base } = &self.control;
        let at = |path| base.join(path).expect("an address");
        let key = ("ocp-apim-subscription-key", "demo-subscription-key");
        let asking = client.post(at("/accesstoken/get")).header(key.0, key.1);
        let token = answer(asking.header("client_id", CLIENT_ID).header("client_secret", CLIENT_SECRET)).await;
        let token = token["access_token"].as_str().expect("a token").to_owned();
        let address = listener.local_addr().expect("an address");
        let wanted =
            json!({ "url": format!("http://{address}{PINGS}"), "events": ["login.merchant-initiated.ping.v1"] });
        let asking = client.post(at("/webhooks/v1/webhooks")).header(key.0, key.1).bearer_auth(token);
        let registered = answer(asking.header("merchant-serial-number", "123456").json(&wanted)).await;
        Webhook { listener, secret: registered["secret"].as_str().expect("a secret").to_owned() }
    }
}

impl Control {
    async fn approve(&self, number: &str) {
        let path = format!("/control/logins/{}/approve", number.trim_start_matches('+'));
        let approved = answer(self.client.post(self.base.join(&path).expect("an address"))).await;
        assert_eq!(approved["decided"], 1, "one login waits on the phone");
    }
}

async fn answer(request: reqwest::RequestBuilder) -> Value {
    let answer = request.send().await.expect("an answer").error_for_status().expect("what was asked for");
    answer.json().await.expect("JSON")
}

/// Sorted.
struct Waits(Vec<Duration>);

impl Waits {
    fn of(mut waits: Vec<Duration>) -> Self {
        waits.sort();
        Self(waits)
    }

    /// The wait that so many in a hundred do not exceed, in milliseconds.
    fn percentile(&self, part: usize) -> f64 {
        let index = (self.0.len() * part).div_ceil(100) - 1;
        self.0[index].as_secs_f64() * 1e3
    }
}

/// From 0 to 1.
fn random_share() -> f64 {
    f64::from(getrandom::u32().expect("randomness")) / f64::from(u32::MAX)
}
