//! Gateways of the stories: in the test's own process, or as `serve`.

use std::net::SocketAddr;
use std::path::Path;

use ciba_gateway::config::Config;
use ciba_gateway::gateway::{self, Listeners};
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tonic::transport::Endpoint;

use super::caller::Caller;
use super::client::Client;
use super::configuration::{Configuration, ConfigurationFile, PUBLIC_ADDRESS, api_key};
use super::eventually::eventually;
use super::http;
use super::processes::Process;
use super::redis_server::free_port;

/// A gateway in the test's own process. Ends with the test.
pub(crate) struct Gateway {
    pub(crate) grpc: SocketAddr,
    pub(crate) http: SocketAddr,
    /// Where the world reaches it; served where the configuration has `[public]`.
    pub(crate) public: SocketAddr,
    stop: CancellationToken,
    _tasks: JoinSet<()>,
}

impl Gateway {
    /// Starts it; it may not be ready yet.
    pub(crate) async fn start(configuration: &Configuration) -> Self {
        http::install_crypto();
        let public = local().await;
        let address = |listener: &TcpListener| listener.local_addr().expect("an address");
        let world = address(&public);
        let text = configuration.text().replace(PUBLIC_ADDRESS, &world.to_string());
        let config =
            Config::parse(&text, Path::new("story"), std::iter::empty()).expect("a configuration without mistakes");
        let public = config.public.is_some().then_some(public);
        let listeners = Listeners { grpc: local().await, http: local().await, public };
        let (grpc, http) = (address(&listeners.grpc), address(&listeners.http));
        let stop = CancellationToken::new();
        let mut tasks = JoinSet::new();
        let running = gateway::run(config, listeners, stop.clone().cancelled_owned());
        tasks.spawn(async move { running.await.expect("the gateway runs") });
        Self { grpc, http, public: world, stop, _tasks: tasks }
    }

    /// Starts it and waits until it is ready.
    pub(crate) async fn ready(configuration: &Configuration) -> Self {
        let gateway = Self::start(configuration).await;
        wait_until_ready(gateway.http).await;
        gateway
    }

    /// The client of the first tenant.
    pub(crate) fn caller(&self) -> Caller {
        Caller::new(&self.url(), api_key().expose())
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.grpc)
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

/// A gateway in a process of its own: `serve`.
pub(crate) struct Serve {
    pub(crate) process: Process,
    pub(crate) grpc: SocketAddr,
    pub(crate) http: SocketAddr,
    /// Where the world reaches it, if it was told that it does.
    pub(crate) public: Option<SocketAddr>,
    /// What it was told, and is told again where that changes.
    pub(crate) file: ConfigurationFile,
}

impl Serve {
    /// Starts it and waits until it listens; it may not be ready yet.
    pub(crate) async fn start(configuration: &Configuration) -> Self {
        Self::start_with(configuration, &[]).await
    }

    /// As [`Serve::start`], with these environment variables.
    pub(crate) async fn start_with(configuration: &Configuration, variables: &[(&str, &str)]) -> Self {
        Self::of_with(configuration.file(), variables).await
    }

    /// Starts it with that text as its configuration and waits until it is ready.
    pub(crate) async fn with_text(text: &str) -> Self {
        let serve = Self::of(ConfigurationFile::with_text(text)).await;
        wait_until_ready(serve.http).await;
        serve
    }

    /// As [`Serve::start`], with a whole file.
    pub(crate) async fn of(file: ConfigurationFile) -> Self {
        Self::of_with(file, &[]).await
    }

    async fn of_with(file: ConfigurationFile, variables: &[(&str, &str)]) -> Self {
        let text = file.text();
        if text.contains(PUBLIC_ADDRESS) {
            file.becomes(&text.replace(PUBLIC_ADDRESS, &format!("127.0.0.1:{}", free_port())));
        }
        let process = Process::gateway_with(&["serve", "--config", &file.path().to_string_lossy()], variables);
        let line = process.logs("listening").await;
        let address = |name| logged_address(&line, name).expect("the address is logged");
        let (grpc, http, public) = (address("grpc"), address("http"), logged_address(&line, "public"));
        Self { process, grpc, http, public, file }
    }

    /// Starts it and waits until it is ready.
    pub(crate) async fn ready(configuration: &Configuration) -> Self {
        let serve = Self::start(configuration).await;
        wait_until_ready(serve.http).await;
        serve
    }

    /// Its metrics, when they have a line that says this.
    pub(crate) async fn counts(&self, line: &str) {
        let url = format!("http://{}/metrics", self.http);
        eventually(&format!("the metrics say {line}"), async || {
            let (_, page) = http::get(&url).await?;
            page.lines().any(|found| found == line).then_some(())
        })
        .await;
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.grpc)
    }

    /// The client of the first tenant.
    pub(crate) fn caller(&self) -> Caller {
        Caller::new(&self.url(), api_key().expose())
    }

    /// The same, with verbs, and whoever is named as its agent.
    pub(crate) async fn client(&self) -> Client {
        let channel = Endpoint::from_shared(self.url()).expect("a URL").connect().await.expect("a gateway");
        Client::new(channel, Some(format!("Bearer {}", api_key().expose())))
    }

    /// Runs one of our client commands against it.
    pub(crate) fn command(&self, arguments: &[&str]) -> Process {
        let (url, key) = (self.url(), api_key());
        let connection = ["--server", &url, "--api-key", key.expose()];
        Process::gateway(&[arguments, &connection].concat())
    }
}

/// `grpc=127.0.0.1:1` in a line of text, `"grpc":"127.0.0.1:1"` in one of JSON.
fn logged_address(line: &str, name: &str) -> Option<SocketAddr> {
    let after = [format!("{name}="), format!("\"{name}\":\"")].iter().find_map(|start| {
        let at = line.find(start.as_str())? + start.len();
        line.get(at..)
    });
    let address = after.and_then(|rest| rest.split([' ', '"']).next())?;
    Some(address.parse().expect("an address"))
}

pub(crate) async fn wait_until_ready(http: SocketAddr) {
    let url = format!("http://{http}/readyz");
    eventually("the gateway is ready", async || (http::get(&url).await?.0 == 200).then_some(())).await;
}

pub(crate) async fn local() -> TcpListener {
    TcpListener::bind("127.0.0.1:0").await.expect("a free port")
}
