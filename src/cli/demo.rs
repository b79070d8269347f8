//! `demo`: the product in front of your eyes.
//!
//! Runs the simulator and a gateway with the memory store on loopback and logs
//! three people in with the real gRPC client: by phone to a call centre, at a
//! TV box, at a till. The demo also plays the phones, unless a human stays to.

mod scene;
mod stay;

use std::future::Future;
use std::net::SocketAddr;
use std::path::Path;
use std::process::ExitCode;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use clap::Args;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use url::Url;

use super::client::Connection;
use super::terminal::{Style, Terminal};
use super::{EXIT_SOFTWARE, EXIT_USAGE, causes, fail};
use crate::config::{ApiKey, Config, LogFormat};
use crate::gateway::{self, Listeners};
use crate::http::landing;
use crate::simulator::{self, CheckInWebhook, Simulator};
use crate::telemetry;

/// Short, so that three logins fit into a few seconds.
const POLL_INTERVAL_SECONDS: u64 = 1;
const AGENT: &str = "kari";
const TENANT: &str = "nordlys";
/// The registration by which the simulator tells of check-ins.
const WEBHOOK: &str = "check-ins";

#[derive(Args)]
#[command(
    after_help = "Exit codes: 0 all three logins ended as they should, 1 one did not, 64 and 70 it could not run."
)]
pub(super) struct Options {
    /// Keep everything running afterwards, for a human to play the phone.
    #[arg(long)]
    stay: bool,
    /// What to log, to standard error.
    #[arg(long, default_value = "error", value_name = "FILTER")]
    log: String,
}

pub(super) async fn run(options: Options) -> ExitCode {
    if let Err(error) = telemetry::init(LogFormat::Text, &options.log) {
        return fail(EXIT_USAGE, &causes(&error));
    }
    let terminal = Terminal::stdout();
    let tasks = TaskTracker::new();
    let stop = CancellationToken::new();
    let stage = match Stage::set_up(&tasks, &stop).await {
        Ok(stage) => stage,
        Err(problem) => return fail(EXIT_SOFTWARE, &problem),
    };
    let mut failed = 0;
    for scene in scene::all() {
        if let Err(problem) = scene.play(&stage, terminal).await {
            terminal.line(terminal.paint(Style::Bad, format!("✗ {problem}")));
            failed += 1;
        }
        terminal.line("");
    }
    let summary = format!("{} logins, {} as they should be", scene::all().len(), scene::all().len() - failed);
    terminal.line(terminal.paint(if failed == 0 { Style::Good } else { Style::Bad }, summary));
    if options.stay && failed == 0 {
        tokio::select! {
            ended = stay::play(&stage, terminal) => {
                let Err(problem) = ended;
                terminal.line(terminal.paint(Style::Bad, format!("✗ {problem}")));
                failed += 1;
            }
            _ = tokio::signal::ctrl_c() => {}
        }
    }
    stop.cancel();
    tasks.close();
    tasks.wait().await;
    if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Everything the scenes need.
struct Stage {
    simulator: Simulator,
    connection: Connection,
    health: String,
    /// Where the phone's browser lands.
    landing: Url,
}

impl Stage {
    async fn set_up(tasks: &TaskTracker, stop: &CancellationToken) -> Result<Self, String> {
        let settings =
            simulator::Settings { interval_seconds: POLL_INTERVAL_SECONDS, ..simulator::Settings::default() };
        let (simulator, serving) = simulator::start(local().await?, settings, stop.clone().cancelled_owned())
            .await
            .map_err(|error| error.to_string())?;
        track(tasks, serving);
        let (key, webhook_secret) = (ApiKey::from_random(random()?), URL_SAFE_NO_PAD.encode(random()?));
        let (grpc, http, public) = (local().await?, local().await?, local().await?);
        let world = format!("http://{}", address(&public)?);
        let config = configuration(&simulator, &key, &world, &webhook_secret)?;
        let url = |path: &str| Url::parse(&format!("{world}{path}")).map_err(|error| error.to_string());
        let webhook = CheckInWebhook { url: url(&format!("/webhooks/{WEBHOOK}"))?, secret: webhook_secret };
        simulator.set_check_in_webhook(Some(webhook));
        let landing = url(&format!("{}{TENANT}", landing::PATH))?;
        let (server, health) = (address(&grpc)?, address(&http)?);
        let listeners = Listeners { grpc, http, public: Some(public) };
        track(tasks, gateway::run(config, listeners, stop.clone().cancelled_owned()));
        let connection = Connection {
            server: format!("http://{server}"),
            api_key: Some(key.expose().to_owned()),
            token_file: None,
            agent_token_file: None,
            agent: Some(AGENT.to_owned()),
            ca_file: None,
            certificate_file: None,
            key_file: None,
        };
        Ok(Self { simulator, connection, health: format!("http://{health}"), landing })
    }
}

fn track<E>(tasks: &TaskTracker, serving: impl Future<Output = Result<(), E>> + Send + 'static)
where
    E: std::error::Error + Send + 'static,
{
    tasks.spawn(async move {
        if let Err(error) = serving.await {
            tracing::error!(error = causes(&error), "a part of the demo stopped");
        }
    });
}

async fn local() -> Result<TcpListener, String> {
    TcpListener::bind(("127.0.0.1", 0)).await.map_err(|error| format!("no local port can be had: {error}"))
}

fn address(listener: &TcpListener) -> Result<SocketAddr, String> {
    listener.local_addr().map_err(|error| error.to_string())
}

fn random() -> Result<[u8; 32], String> {
    let mut bytes = [0_u8; 32];
    getrandom::fill(&mut bytes).map_err(|_| "the machine has no randomness".to_owned())?;
    Ok(bytes)
}

fn configuration(simulator: &Simulator, key: &ApiKey, world: &str, webhook_secret: &str) -> Result<Config, String> {
    let text = format!(
        r#"
        [grpc]
        reflection = true
        [public]
        base_url = "{world}"
        allow_insecure_base_url = true
        [store]
        kind = "memory"
        [drain]
        notice = "0s"
        limit = "5s"
        [[tenants]]
        id = "{TENANT}"
        name = "Nordlys Kundeservice"
        default_country = "NO"
        default_claims = ["name", "phone_number"]
        [tenants.provider]
        issuer = "{issuer}"
        client_id = "demo-client"
        client_secret = "demo-secret"
        subscription_key = "demo-subscription-key"
        merchant_serial_number = "123456"
        allow_insecure_hosts = true
        [[tenants.webhooks]]
        name = "{WEBHOOK}"
        events = ["user.checked-in.v1"]
        secret = "{webhook_secret}"
        [[tenants.clients]]
        id = "demo"
        channels = ["call-centre", "tv-box", "point-of-sale"]
        api_keys = [{{ sha256 = "{hash}" }}]
        "#,
        issuer = simulator.issuer(),
        hash = key.hash(),
    );
    Config::parse(&text, Path::new("demo"), std::iter::empty()).map_err(|mistakes| mistakes.to_string())
}
