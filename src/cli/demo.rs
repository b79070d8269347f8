//! `demo`: the product in front of your eyes.
//!
//! Runs the simulator and a gateway with the memory store on loopback and logs
//! three people in with the real gRPC client: by phone to a call centre, at a
//! TV box, at a till. The demo also plays the phones, unless a human stays to.

mod scene;

use std::future::Future;
use std::path::Path;
use std::process::ExitCode;

use clap::Args;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::client::Connection;
use super::terminal::{Style, Terminal};
use super::{EXIT_SOFTWARE, EXIT_USAGE, causes, fail};
use crate::config::{ApiKey, Config, LogFormat};
use crate::gateway::{self, Listeners};
use crate::simulator::{self, Simulator};
use crate::telemetry;

/// Short, so that three logins fit into a few seconds.
const POLL_INTERVAL_SECONDS: u64 = 1;
const AGENT: &str = "kari";

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
        stage.invite(terminal);
        let _ = tokio::signal::ctrl_c().await;
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
}

impl Stage {
    async fn set_up(tasks: &TaskTracker, stop: &CancellationToken) -> Result<Self, String> {
        let settings =
            simulator::Settings { interval_seconds: POLL_INTERVAL_SECONDS, ..simulator::Settings::default() };
        let (simulator, serving) = simulator::start(local().await?, settings, stop.clone().cancelled_owned())
            .await
            .map_err(|error| error.to_string())?;
        track(tasks, serving);
        let mut bytes = [0_u8; 32];
        getrandom::fill(&mut bytes).map_err(|_| "the machine has no randomness".to_owned())?;
        let key = ApiKey::from_random(bytes);
        let config = configuration(&simulator, &key)?;
        let listeners = Listeners { grpc: local().await?, http: local().await?, public: None };
        let address = |listener: &TcpListener| listener.local_addr().map_err(|error| error.to_string());
        let (grpc, health) = (address(&listeners.grpc)?, address(&listeners.http)?);
        track(tasks, gateway::run(config, listeners, stop.clone().cancelled_owned()));
        let connection = Connection {
            server: format!("http://{grpc}"),
            api_key: Some(key.expose().to_owned()),
            token_file: None,
            agent_token_file: None,
            agent: Some(AGENT.to_owned()),
            ca_file: None,
            certificate_file: None,
            key_file: None,
        };
        Ok(Self { simulator, connection, health: format!("http://{health}") })
    }

    fn invite(&self, terminal: Terminal) {
        let base = self.simulator.base_url();
        let base = base.as_str().trim_end_matches('/');
        terminal.line("");
        terminal.line(format!("phone page   {}", terminal.paint(Style::Accent, format!("{base}/phone"))));
        terminal.line(format!("gRPC         {} (reflection is on)", self.connection.server));
        terminal.line(format!("health       {}/readyz and /metrics", self.health));
        terminal.line("");
        terminal.line("Log yourself in from another shell, then answer on the phone page:");
        terminal.line(terminal.paint(
            Style::Strong,
            format!(
                "ciba-gateway login +4712345678 --channel point-of-sale --server {} --api-key {}",
                self.connection.server,
                self.connection.api_key.as_deref().unwrap_or_default()
            ),
        ));
        terminal.line(terminal.paint(Style::Dim, "Ctrl-C ends the demo."));
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

fn configuration(simulator: &Simulator, key: &ApiKey) -> Result<Config, String> {
    let text = format!(
        r#"
        [grpc]
        reflection = true
        [store]
        kind = "memory"
        [drain]
        notice = "0s"
        limit = "5s"
        [[tenants]]
        id = "nordlys"
        default_country = "NO"
        default_claims = ["name", "phone_number"]
        [tenants.provider]
        issuer = "{issuer}"
        client_id = "demo-client"
        client_secret = "demo-secret"
        allow_insecure_hosts = true
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
