//! `serve`: the gateway in production.

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use tokio::net::TcpListener;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use super::{EXIT_SOFTWARE, EXIT_UNAVAILABLE, EXIT_USAGE, causes, fail, hardening};
use crate::config::{Config, FILE_VARIABLE, variables};
use crate::gateway::{self, Listeners, RunError};
use crate::telemetry;

#[derive(Args)]
#[command(after_help = "SIGTERM and Ctrl-C drain; a second one ends at once. SIGHUP reads the configuration\n\
    again, as happens by itself when one of its files changes.\n\
    Exit codes: 0 drained, 64 the configuration has mistakes, 69 a port cannot be had, 70 internal.")]
pub(super) struct Options {
    /// The configuration file; see docs/configuration.md.
    #[arg(long, env = FILE_VARIABLE, value_name = "FILE")]
    config: PathBuf,
}

pub(super) async fn run(options: Options) -> ExitCode {
    let exposed = hardening::no_memory_dumps();
    let (config, files) = Config::load_with_files(&options.config, variables());
    let config = match config {
        Ok(config) => config,
        Err(mistakes) => return fail(EXIT_USAGE, &format!("the configuration has mistakes\n{mistakes}")),
    };
    if let Err(error) = telemetry::init(config.log.format, &config.log.filter) {
        return fail(EXIT_USAGE, &causes(&error));
    }
    hardening::tell(&exposed);
    telemetry::log_panics();
    if config.audit.is_none() {
        warn!("there is no [audit]: nobody can tell later who had whose phone asked");
    }
    let (mut signals, hangup) = match Signals::listen().and_then(|stop| Ok((stop, signal(SignalKind::hangup())?))) {
        Ok(signals) => signals,
        Err(error) => return fail(EXIT_SOFTWARE, &format!("signals cannot be listened to: {error}")),
    };
    let listeners = match bind(&config).await {
        Ok(listeners) => listeners,
        Err(message) => return fail(EXIT_UNAVAILABLE, &message),
    };
    let shutdown = CancellationToken::new();
    let (tell, changes) = mpsc::channel(1);
    let watching = gateway::files::watch(options.config, files, hangup, tell);
    let running = Box::pin(gateway::run_changing(config, changes, listeners, shutdown.clone().cancelled_owned()));
    let running = async {
        tokio::select! {
            ended = running => ended,
            never = watching => match never {},
        }
    };
    tokio::pin!(running);
    tokio::select! {
        ended = &mut running => return exit(ended),
        () = signals.next() => shutdown.cancel(),
    }
    tokio::select! {
        ended = &mut running => exit(ended),
        () = signals.next() => {
            warn!("told to stop a second time; what is still open is cut");
            ExitCode::from(EXIT_SOFTWARE)
        }
    }
}

fn exit(ended: Result<(), RunError>) -> ExitCode {
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(error @ (RunError::Assembly(_) | RunError::Tls(_))) => fail(EXIT_USAGE, &causes(&error)),
        Err(error @ (RunError::Reflection(_) | RunError::Stopped(_))) => fail(EXIT_SOFTWARE, &causes(&error)),
    }
}

async fn bind(config: &Config) -> Result<Listeners, String> {
    let bind = async |what: &str, address: SocketAddr| {
        let listener = TcpListener::bind(address).await;
        listener.map_err(|error| format!("{what}.listen: {address} cannot be had: {error}"))
    };
    let grpc = bind("grpc", config.grpc.listen).await?;
    let http = bind("http", config.http.listen).await?;
    let public = match &config.public {
        Some(public) => Some(bind("public", public.listen).await?),
        None => None,
    };
    if let (Ok(grpc), Ok(http)) = (grpc.local_addr(), http.local_addr()) {
        let public = public.as_ref().and_then(|public| public.local_addr().ok()).map(tracing::field::display);
        info!(%grpc, %http, public, "listening");
    }
    Ok(Listeners { grpc, http, public })
}

/// SIGTERM and Ctrl-C.
struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    fn listen() -> io::Result<Self> {
        Ok(Self { terminate: signal(SignalKind::terminate())?, interrupt: signal(SignalKind::interrupt())? })
    }

    async fn next(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}
