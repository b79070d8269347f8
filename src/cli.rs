//! The command line: what each command takes, and which exit code says what.
//!
//! `serve` is production; `demo` shows the product; `login`, `watch` and `qr` are
//! real gRPC clients; `check`, `keys`, `audit`, `webhooks` and `simulator` are the
//! operator's and the integrator's tools. Holds no rules of its own.

mod audit;
mod check;
mod client;
mod demo;
mod hardening;
mod keys;
mod login;
mod outcome;
mod qr;
mod serve;
mod simulator;
mod terminal;
mod watch;
mod webhooks;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::telemetry::causes;

/// Something in the command's input is wrong (`EX_USAGE`).
const EXIT_USAGE: u8 = 64;
/// What was asked for cannot be had just now (`EX_UNAVAILABLE`).
const EXIT_UNAVAILABLE: u8 = 69;
/// A defect or a lack of resources on our side (`EX_SOFTWARE`).
const EXIT_SOFTWARE: u8 = 70;
/// The credential does not allow it (`EX_NOPERM`).
const EXIT_NO_PERMISSION: u8 = 77;

/// Log a person in by phone number: a gRPC gateway to Vipps MobilePay Login (CIBA).
#[derive(Parser)]
#[command(name = "ciba-gateway", version, about, max_term_width = 100)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Show three logins from start to end: call centre, TV box, till. Needs nothing else.
    Demo(demo::Options),
    /// Run the gateway.
    Serve(serve::Options),
    /// Log a person in and follow it to its end.
    Login(login::Options),
    /// Follow one login, or every login of the tenant.
    Watch(watch::Options),
    /// Make, draw, list and remove a shop's QR codes.
    Qr(qr::Options),
    /// Tell whether configuration, provider, credentials, keys, clock and store are all right.
    Check(check::Options),
    /// Run a local Vipps MobilePay Login to test against.
    Simulator(Box<simulator::Options>),
    /// Make an API key, a seal key, a hash key or an audit key.
    Keys(keys::Options),
    /// Show, make or take away the provider's webhooks.
    Webhooks(webhooks::Options),
    /// Tell whether an audit log is as it was written.
    Audit(audit::Options),
}

/// Runs the command that the process was started with.
pub async fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            // Help and version are no mistakes; everything else is.
            let _ = error.print();
            return if error.use_stderr() { ExitCode::from(EXIT_USAGE) } else { ExitCode::SUCCESS };
        }
    };
    // The first provider stays; a second install changes nothing.
    let _ = rustls::crypto::ring::default_provider().install_default();
    match cli.command {
        Command::Demo(options) => demo::run(options).await,
        Command::Serve(options) => serve::run(options).await,
        Command::Login(options) => login::run(options).await,
        Command::Watch(options) => watch::run(options).await,
        Command::Qr(options) => qr::run(options).await,
        Command::Check(options) => check::run(options).await,
        Command::Simulator(options) => simulator::run(*options).await,
        Command::Keys(options) => keys::run(&options),
        Command::Webhooks(options) => webhooks::run(options).await,
        Command::Audit(options) => audit::run(&options),
    }
}

/// Prints why a command cannot go on and gives its exit code.
fn fail(code: u8, message: &str) -> ExitCode {
    eprintln!("ciba-gateway: {message}");
    ExitCode::from(code)
}
