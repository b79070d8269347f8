//! `simulator`: a local Vipps MobilePay Login.

use std::net::SocketAddr;
use std::process::ExitCode;

use clap::Args;
use serde::de::DeserializeOwned;
use tokio::net::TcpListener;
use url::Url;

use super::terminal::{Style, Terminal};
use super::{EXIT_SOFTWARE, EXIT_UNAVAILABLE, EXIT_USAGE, fail};
use crate::simulator::{
    AuthMethod, Behaviour, CheckInWebhook, ClientRegistration, OpenPoints, PartnerRegistration, Rates, Settings,
    magic_numbers, start,
};

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
    /// Take the client id, secret and subscription key for a partner's, which calls for
    /// merchants with an access token.
    #[arg(long, conflicts_with = "client_secret_post")]
    partner: bool,
    /// The serial number of a merchant's sales unit, one or more; for --partner.
    #[arg(long = "merchant", default_values_t = ["123456".to_owned()], value_name = "NUMBER")]
    merchants: Vec<String>,
    /// Where check-ins by a shop's QR code are told, besides the registrations for them.
    #[arg(long, value_name = "URL", requires = "check_in_secret")]
    check_in_webhook: Option<Url>,
    /// What they are signed with.
    #[arg(long, env = "CIBA_SIMULATOR_CHECK_IN_SECRET", hide_env_values = true, value_name = "SECRET")]
    check_in_secret: Option<String>,
    /// The name that the phone shows.
    #[arg(long, default_value = "Nordlys Kundeservice", value_name = "NAME")]
    display_name: String,
    /// How many seconds of the protocol pass in one real second.
    #[arg(long, default_value_t = 1.0, value_name = "FACTOR")]
    speed: f64,
    /// The `interval` of the start answer, in protocol seconds.
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u64).range(1..=300), value_name = "SECONDS")]
    interval: u64,
    /// Turn a switch that Vipps's documentation leaves open; as often as needed.
    #[arg(long = "open-point", value_name = "NAME=VALUE")]
    open_points: Vec<String>,
    /// What numbers do that are neither magic nor set by themselves: JSON, as the control API takes it.
    #[arg(long, value_name = "JSON", value_parser = json::<Behaviour>)]
    behaviour: Option<Behaviour>,
    /// Faults that come at a rate: JSON, as the control API takes it.
    #[arg(long, value_name = "JSON", value_parser = json::<Rates>)]
    rates: Option<Rates>,
    /// Answer 429 to a start for a phone on which so many wait.
    #[arg(long, value_name = "LOGINS")]
    max_waiting: Option<usize>,
}

fn json<T: DeserializeOwned>(text: &str) -> Result<T, String> {
    serde_json::from_str(text).map_err(|error| error.to_string())
}

const HELP: &str = "\
How to use it: set the gateway's issuer to the one that is printed, with client_id, client_secret and \
allow_insecure_hosts = true, and start logins with the numbers below. Look at the phone page with a browser, \
or steer it from a test:

  curl $SIM/control/magic-numbers                             the table below, as JSON
  curl $SIM/control/logins                                    what waits, with codes and boxes to tick
  curl -X POST $SIM/control/logins/4712345678/approve         say yes, or …/deny
  curl -d '{\"delegatedConsents\":{\"sms\":false}}' $SIM/control/logins/4712345678/approve
                                                              say yes, and no to one consent
  curl -X DELETE $SIM/control/consents/4712345678             take consents back; else they are told once
  curl -X PUT -H 'content-type: application/json' -d '{\"person\":\"under_15\"}' \\
    $SIM/control/behaviours/4712345678                        what one number does, from its next login on
  curl $SIM/control/behaviour                                 every knob of a behaviour, with its default
  curl $SIM/control/open-points                               what Vipps leaves open; PUT changes it
  curl -X PUT -H 'content-type: application/json' -d '{\"token\":{\"every\":10,\"fault\":{\"raw\":{\"status\":503}}}}' \\
    $SIM/control/rates                                        each tenth poll gets a 503
  curl -X POST -H 'content-type: application/json' -d '{\"seconds\":600}' $SIM/control/clock/advance
                                                              let time pass; or run with --speed 60
  curl $SIM/control/requests                                  everything that arrived
  curl -X POST $SIM/control/reset                             forget everything

A fault is {\"error\":{\"status\":400,\"error\":\"…\",\"error_code\":\"…\",\"retry_after\":{\"seconds\":7}}}, \
{\"raw\":{\"status\":502,\"body\":\"…\"}}, {\"flood\":{\"bytes\":100000}} or \"drop\". docs/simulator.md says more.

Open points (--open-point NAME=VALUE), with their defaults:

";

fn magic_number_help() -> String {
    let mut help = HELP.to_owned();
    if let Ok(serde_json::Value::Object(points)) = serde_json::to_value(OpenPoints::default()) {
        for (name, value) in points {
            let value =
                if value.is_object() { "as the ID token part of a behaviour".to_owned() } else { value.to_string() };
            help.push_str(&format!("  {name:<24} {value}\n"));
        }
    }
    help.push_str(
        "\nMagic numbers: a number whose last five digits are these acts by itself, in every country \
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
    let settings = match settings(&options) {
        Ok(settings) => settings,
        Err(problem) => return fail(EXIT_USAGE, &problem),
    };
    let listener = match TcpListener::bind(options.listen).await {
        Ok(listener) => listener,
        Err(error) => return fail(EXIT_UNAVAILABLE, &format!("{} cannot be had: {error}", options.listen)),
    };
    let interrupted = async {
        // Without a handler the signal ends the process, which is as good.
        let _ = tokio::signal::ctrl_c().await;
    };
    let (simulator, serving) = match start(listener, settings, interrupted).await {
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
    if options.partner {
        terminal.line(format!("partner     for the merchants {}", options.merchants.join(", ")));
    }
    match serving.await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => fail(EXIT_SOFTWARE, &error.to_string()),
    }
}

fn settings(options: &Options) -> Result<Settings, String> {
    let mut open_points = OpenPoints::default();
    for point in &options.open_points {
        let (name, value) = point.split_once('=').ok_or("--open-point takes NAME=VALUE")?;
        open_points.set(name, value).map_err(|problem| format!("--open-point: {problem}"))?;
    }
    let own = ClientRegistration {
        client_id: options.client_id.clone(),
        client_secret: options.client_secret.clone(),
        display_name: options.display_name.clone(),
        subscription_key: options.subscription_key.clone(),
        auth_method: if options.client_secret_post { AuthMethod::Post } else { AuthMethod::Basic },
        ..ClientRegistration::default()
    };
    let partner = PartnerRegistration {
        client_id: options.client_id.clone(),
        client_secret: options.client_secret.clone(),
        subscription_key: options.subscription_key.clone(),
        merchant_serial_numbers: options.merchants.clone(),
        may_check_numbers: false,
    };
    // Nobody is told the merchants' own credentials.
    let merchant = |number: &String| ClientRegistration {
        client_id: format!("merchant-{number}"),
        client_secret: format!("merchant-secret-{number}"),
        subscription_key: format!("merchant-key-{number}"),
        display_name: format!("{} {number}", options.display_name),
        merchant_serial_number: number.clone(),
        ..ClientRegistration::default()
    };
    Ok(Settings {
        open_points,
        default_behaviour: options.behaviour.clone().unwrap_or_default(),
        rates: options.rates.clone().unwrap_or_default(),
        max_waiting_per_number: options.max_waiting,
        clients: if options.partner { options.merchants.iter().map(merchant).collect() } else { vec![own] },
        partners: if options.partner { vec![partner] } else { Vec::new() },
        check_in_webhook: options
            .check_in_webhook
            .clone()
            .zip(options.check_in_secret.clone())
            .map(|(url, secret)| CheckInWebhook { url, secret }),
        speed: options.speed,
        interval_seconds: options.interval,
        public_url: options.public_url.clone(),
        ..Settings::default()
    })
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

    /// Somebody who has the binary and nothing else finds every switch.
    #[test]
    fn the_help_and_the_documentation_name_every_switch() {
        let (help, documentation) = (magic_number_help(), include_str!("../../docs/simulator.md"));
        let points = serde_json::to_value(OpenPoints::default()).unwrap();
        for name in points.as_object().unwrap().keys() {
            assert!(help.contains(name), "--help lacks {name}");
            assert!(documentation.contains(&format!("`{name}`")), "docs/simulator.md lacks {name}");
        }
        for path in
            ["behaviour", "behaviours", "open-points", "rates", "consents", "clock/advance", "requests", "reset"]
        {
            assert!(help.contains(&format!("/control/{path}")), "--help lacks {path}");
            assert!(documentation.contains(&format!("/control/{path}")), "docs/simulator.md lacks {path}");
        }
    }

    #[test]
    fn a_switch_that_there_is_not_is_named() {
        use clap::Parser as _;
        #[derive(clap::Parser)]
        struct Line {
            #[command(flatten)]
            options: Options,
        }
        let options = |point: &str| Line::try_parse_from(["simulator", "--open-point", point]).unwrap().options;
        assert!(settings(&options("second_start=busy")).is_ok());
        for wrong in ["second_start", "second_strat=busy", "second_start=perhaps"] {
            assert!(settings(&options(wrong)).unwrap_err().contains("--open-point"), "{wrong}");
        }
        assert!(Line::try_parse_from(["simulator", "--rates", r#"{"tokens":{}}"#]).is_err());
    }
}
