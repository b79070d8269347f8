//! `simulator`: a local Vipps MobilePay Login.

use std::net::SocketAddr;
use std::process::ExitCode;

use clap::Args;
use tokio::net::TcpListener;
use url::Url;

use super::terminal::{Style, Terminal};
use super::{EXIT_SOFTWARE, EXIT_UNAVAILABLE, EXIT_USAGE, fail};
use crate::simulator::{AuthMethod, ClientRegistration, Settings, magic_numbers, start};

#[derive(Args)]
#[command(after_long_help = magic_number_help())]
pub(super) struct Options {
    /// Where to listen.
    #[arg(long, default_value = "127.0.0.1:8090", value_name = "ADDRESS")]
    listen: SocketAddr,
    /// Where the gateway reaches it, when that is not the address above.
    #[arg(long, value_name = "URL")]
    public_url: Option<Url>,
    /// The sales unit's client id.
    #[arg(long, default_value = "demo-client", value_name = "ID")]
    client_id: String,
    /// The sales unit's client secret.
    #[arg(long, env = "CIBA_SIMULATOR_SECRET", default_value = "demo-secret", value_name = "SECRET")]
    client_secret: String,
    /// Take the client's credentials in the body instead of the header.
    #[arg(long)]
    client_secret_post: bool,
    /// The subscription key of the sales unit, for the platform's access token.
    #[arg(long, env = "CIBA_SIMULATOR_SUBSCRIPTION_KEY", default_value = "demo-subscription-key", value_name = "KEY")]
    subscription_key: String,
    /// The name that the phone shows.
    #[arg(long, default_value = "Nordlys Kundeservice", value_name = "NAME")]
    display_name: String,
    /// How many seconds of the protocol pass in one real second.
    #[arg(long, default_value_t = 1.0, value_name = "FACTOR")]
    speed: f64,
    /// The `interval` of the start answer, in protocol seconds.
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u64).range(1..=300), value_name = "SECONDS")]
    interval: u64,
}

fn magic_number_help() -> String {
    let mut help = String::from(
        "Magic numbers: a number whose last five digits are these acts by itself, in every country \
         (+47 900xxxxx, +45 200xxxxx, +46 7000xxxxx, +358 4000xxxxx, +299 2x with 0xxxx). \
         Any other number waits for a human on the phone page.\n\n",
    );
    for magic in magic_numbers() {
        help.push_str(&format!("  {}  {:<28} {}\n", magic.suffix, magic.name, magic.effect));
    }
    help
}

pub(super) async fn run(options: Options) -> ExitCode {
    if !options.speed.is_finite() || options.speed <= 0.0 {
        return fail(EXIT_USAGE, "--speed must be a number above 0");
    }
    let listener = match TcpListener::bind(options.listen).await {
        Ok(listener) => listener,
        Err(error) => return fail(EXIT_UNAVAILABLE, &format!("{} cannot be had: {error}", options.listen)),
    };
    let interrupted = async {
        // Without a handler the signal ends the process, which is as good.
        let _ = tokio::signal::ctrl_c().await;
    };
    let (simulator, serving) = match start(listener, settings(&options), interrupted).await {
        Ok(started) => started,
        Err(error) => return fail(EXIT_SOFTWARE, &error.to_string()),
    };
    let terminal = Terminal::stdout();
    let base = simulator.base_url();
    let base = base.as_str().trim_end_matches('/');
    terminal.line(format!("issuer      {}", terminal.paint(Style::Accent, simulator.issuer())));
    terminal.line(format!("phone page  {}", terminal.paint(Style::Accent, format!("{base}/phone"))));
    terminal.line(format!("control     {base}/control/magic-numbers"));
    terminal.line(format!("client      {} / {}", options.client_id, options.client_secret));
    terminal.line(format!("platform    subscription key {}", options.subscription_key));
    match serving.await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => fail(EXIT_SOFTWARE, &error.to_string()),
    }
}

fn settings(options: &Options) -> Settings {
    Settings {
        clients: vec![ClientRegistration {
            client_id: options.client_id.clone(),
            client_secret: options.client_secret.clone(),
            display_name: options.display_name.clone(),
            subscription_key: options.subscription_key.clone(),
            auth_method: if options.client_secret_post { AuthMethod::Post } else { AuthMethod::Basic },
            ..ClientRegistration::default()
        }],
        speed: options.speed,
        interval_seconds: options.interval,
        public_url: options.public_url.clone(),
        ..Settings::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The documentation holds the table that the code holds.
    #[test]
    fn the_documentation_lists_every_magic_number() {
        let documentation = include_str!("../../docs/simulator.md");
        for magic in magic_numbers() {
            let row = format!("| {} | {} | {} |", magic.suffix, magic.name, magic.effect);
            assert!(documentation.contains(&row), "docs/simulator.md lacks: {row}");
        }
        let rows = documentation.lines().filter(|line| line.starts_with("| 000")).count();
        assert_eq!(rows, magic_numbers().len(), "docs/simulator.md lists numbers that there are not");
    }
}
