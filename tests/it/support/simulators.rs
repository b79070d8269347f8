//! Simulated providers: in the test's own process, or as `simulator`.

use ciba_gateway::simulator::{self, Endpoint, ReceivedRequest, Settings, Simulator};
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::task::JoinSet;

use super::eventually::eventually;
use super::gateway::local;
use super::http;
use super::processes::Process;

/// A simulator in the test's own process. Ends with the test.
pub(crate) struct Vipps {
    pub(crate) simulator: Simulator,
    _tasks: JoinSet<()>,
}

impl Vipps {
    /// Polls are a second apart.
    pub(crate) async fn start() -> Self {
        Self::with(local().await, quick()).await
    }

    pub(crate) async fn with(listener: TcpListener, settings: Settings) -> Self {
        let (simulator, serving) =
            simulator::start(listener, settings, std::future::pending()).await.expect("a simulator");
        let mut tasks = JoinSet::new();
        tasks.spawn(async move { serving.await.expect("the simulator serves") });
        Self { simulator, _tasks: tasks }
    }

    pub(crate) fn issuer(&self) -> String {
        self.simulator.issuer().to_string()
    }

    /// How often that number's phone was asked to ring.
    pub(crate) fn rings(&self, number: &str) -> usize {
        let digits = number.trim_start_matches('+');
        let is_ring = |request: &ReceivedRequest| {
            request.endpoint == Endpoint::Backchannel && request.phone.as_deref() == Some(digits)
        };
        self.simulator.requests().iter().filter(|request| is_ring(request)).count()
    }

    /// The code that the phone shows.
    pub(crate) fn code_on(&self, number: &str) -> String {
        let digits = number.trim_start_matches('+');
        let waiting = self.simulator.waiting().into_iter().find(|login| login.phone == digits);
        waiting.and_then(|login| login.binding_message).expect("the phone shows a code")
    }
}

/// Polls are a second apart.
pub(crate) fn quick() -> Settings {
    Settings { interval_seconds: 1, ..Settings::default() }
}

/// A simulator in a process of its own, and the hands at its phones.
pub(crate) struct SimulatorProcess {
    pub(crate) issuer: String,
    _process: Process,
}

impl SimulatorProcess {
    /// Polls are a second apart.
    pub(crate) async fn start() -> Self {
        Self::with_interval(1).await
    }

    pub(crate) async fn with_interval(seconds: u64) -> Self {
        let seconds = seconds.to_string();
        let process = Process::gateway(&["simulator", "--listen", "127.0.0.1:0", "--interval", &seconds]);
        let line = process.prints("issuer").await;
        let issuer = line.split_whitespace().nth(1).expect("an issuer").to_owned();
        Self { issuer, _process: process }
    }

    /// Answers on the phone page as its buttons do, once the number is asked.
    pub(crate) async fn tap(&self, digits: &str, verb: &str) {
        tap(&base(&self.issuer), digits, verb).await;
    }

    /// Approves whatever waits for that number.
    pub(crate) async fn approve(&self, digits: &str) {
        let status = http::post(&format!("{}/control/logins/{digits}/approve", base(&self.issuer)), None).await;
        assert_eq!(status, 200, "the approval of {digits}");
    }

    /// Everything that arrived, from that number of the journal on.
    pub(crate) async fn requests_from(&self, number: u64) -> Vec<Value> {
        let requests = http::get_json(&format!("{}/control/requests?from={number}", base(&self.issuer))).await;
        requests.as_array().expect("a list").clone()
    }

    /// The code on the phone page.
    pub(crate) async fn code_on(&self, digits: &str) -> String {
        let login = shown(&base(&self.issuer), digits).await;
        login["binding_message"].as_str().expect("a code").to_owned()
    }

    /// What arrived at one endpoint about one number, oldest first.
    pub(crate) async fn journal(&self, endpoint: &str, digits: &str) -> Vec<Value> {
        let requests = http::get_json(&format!("{}/control/requests", base(&self.issuer))).await;
        let requests = requests.as_array().expect("a list").iter();
        requests.filter(|request| request["endpoint"] == endpoint && request["phone"] == digits).cloned().collect()
    }
}

/// Answers on the phone page of the simulator at `base`.
pub(crate) async fn tap(base: &str, digits: &str, verb: &str) {
    let login = shown(base, digits).await;
    let handle = login["handle"].as_str().expect("a handle");
    let status = http::post(&format!("{base}/phone/api/requests/{handle}/{verb}"), None).await;
    assert_eq!(status, 204, "the tap on {verb}");
}

async fn shown(base: &str, digits: &str) -> Value {
    let list = format!("{base}/phone/api/requests?phone={digits}");
    eventually("the phone shows a request", async || http::get_json(&list).await.get(0).cloned()).await
}

fn base(issuer: &str) -> String {
    let url = url::Url::parse(issuer).expect("an address");
    url.origin().ascii_serialization()
}
