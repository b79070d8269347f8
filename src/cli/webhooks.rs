//! `webhooks`: the registrations at the provider, as the configuration wants them.
//!
//! The provider shows a registration's secret once, when it is made, so it is written
//! before anything else is done, to a file that must not exist: no secret is ever
//! overwritten. A gateway that runs reads the file by itself.

use std::fs::OpenOptions;
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use clap::{Args, Subcommand};
use secrecy::{ExposeSecret, SecretString};
use tokio::task::spawn_blocking;

use super::terminal::{Style, Terminal};
use super::{EXIT_UNAVAILABLE, EXIT_USAGE, causes, fail};
use crate::clock::Clock;
use crate::config::{self, Config, FILE_VARIABLE, Tenant, Webhook};
use crate::gateway;
use crate::provider::vipps::Registered;
use crate::telemetry::Metrics;
use crate::webhooks::EventKind;

mod plan;

use plan::{Plan, Step};

#[derive(Args)]
#[command(
    after_help = "Needs tenants[].provider.subscription_key and merchant_serial_number. Secrets are never printed.\n\
    Exit codes: 0 done, 64 the configuration has mistakes, 69 something could not be done."
)]
pub(super) struct Options {
    /// The configuration file; see docs/configuration.md.
    #[arg(long, env = FILE_VARIABLE, value_name = "FILE", global = true)]
    config: Option<PathBuf>,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Show what is registered at the provider.
    List,
    /// Register what the configuration wants and the provider lacks.
    Apply {
        /// Register this one anew, for another secret; the old one stays until it is deleted.
        #[arg(long, value_name = "NAME")]
        rotate: Option<String>,
    },
    /// Take a registration away.
    Delete {
        /// As `list` shows it.
        id: String,
    },
}

pub(super) async fn run(options: Options) -> ExitCode {
    let Some(path) = options.config else {
        return fail(EXIT_USAGE, &format!("give --config FILE, or set {FILE_VARIABLE}"));
    };
    let config = match Config::load(&path, config::variables()) {
        Ok(config) => config,
        Err(mistakes) => return fail(EXIT_USAGE, &format!("the configuration has mistakes\n{mistakes}")),
    };
    let desk = Desk { config: &config, terminal: Terminal::stdout() };
    let done = match &options.command {
        Command::List => desk.list().await,
        Command::Apply { rotate } => desk.apply(rotate.as_deref()).await,
        Command::Delete { id } => desk.delete(id).await,
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(problem) => fail(EXIT_UNAVAILABLE, &problem),
    }
}

struct Desk<'c> {
    config: &'c Config,
    terminal: Terminal,
}

impl Desk<'_> {
    /// The sales units that have something to do with webhooks.
    fn units(&self) -> impl Iterator<Item = &Tenant> {
        self.config.tenants.iter().filter(|tenant| !tenant.webhooks.is_empty())
    }

    async fn list(&self) -> Result<(), String> {
        for tenant in &self.config.tenants {
            if tenant.provider.subscription_key.is_none() {
                self.terminal.line(format!("{}: no subscription_key, so the provider cannot be asked", tenant.id));
                continue;
            }
            let found = Unit::of(tenant)?.webhooks().await?;
            if found.is_empty() {
                self.terminal.line(format!("{}: nothing is registered", tenant.id));
            }
            for registered in found {
                let ours = tenant.webhooks.iter().find(|webhook| self.url(webhook) == registered.url);
                let name = ours.map_or("not in the configuration", |webhook| webhook.name.as_str());
                let Registered { id, url, events } = registered;
                self.terminal.line(format!(
                    "{}: {} {} {} ({name})",
                    tenant.id,
                    printable(&id),
                    printable(&url),
                    printable(&events.join(","))
                ));
            }
        }
        Ok(())
    }

    async fn delete(&self, id: &str) -> Result<(), String> {
        for tenant in self.config.tenants.iter().filter(|tenant| tenant.provider.subscription_key.is_some()) {
            let unit = Unit::of(tenant)?;
            if unit.webhooks().await?.iter().any(|registered| registered.id == id) {
                unit.delete(id).await?;
                self.good(&format!("{}: {id} is deleted", tenant.id));
                return Ok(());
            }
        }
        Err(format!("no tenant with a subscription_key has a registration {id}; see `webhooks list`"))
    }

    /// Goes on after a problem, so that one registration does not keep the others away.
    async fn apply(&self, rotate: Option<&str>) -> Result<(), String> {
        if let Some(name) = rotate
            && !self.units().flat_map(|tenant| &tenant.webhooks).any(|webhook| webhook.name.as_str() == name)
        {
            return Err(format!("the configuration has no webhook {name}"));
        }
        if self.units().next().is_none() {
            self.terminal.line("the configuration has no [[tenants.webhooks]]");
        }
        let mut wrong = 0_usize;
        for tenant in self.units() {
            let found = match Unit::of(tenant) {
                Ok(unit) => unit.webhooks().await.map(|found| (unit, found)),
                Err(problem) => Err(problem),
            };
            let (unit, found) = match found {
                Ok(found) => found,
                Err(problem) => {
                    self.bad(&problem);
                    wrong += 1;
                    continue;
                }
            };
            for webhook in &tenant.webhooks {
                let is_rotated = rotate == Some(webhook.name.as_str());
                if let Err(problem) = self.settle(&unit, webhook, &found, is_rotated).await {
                    self.bad(&format!("{}: {problem}", webhook.name));
                    wrong += 1;
                }
            }
        }
        if wrong == 0 { Ok(()) } else { Err(format!("{wrong} could not be settled")) }
    }

    async fn settle(
        &self,
        unit: &Unit,
        webhook: &Webhook,
        found: &[Registered],
        is_rotated: bool,
    ) -> Result<(), String> {
        let url = self.url(webhook);
        let Plan { step, obsolete } = plan::of(webhook, &url, found, is_rotated)?;
        match step {
            Step::Keep => self.good(&format!("{}: registered as it should be", webhook.name)),
            Step::Register { secret_file } => {
                let id = self.register(unit, webhook, &secret_file).await?;
                let events = event_names(webhook).join(", ");
                self.good(&format!("{}: registered as {} for {events}", webhook.name, printable(&id)));
                self.terminal.line(format!("  its secret is in {}", secret_file.display()));
            }
        }
        for id in obsolete {
            let id = printable(&id);
            self.terminal.line(format!(
                "{} {}: {id} is there too; once the gateway has read the new secret: ciba-gateway webhooks delete {id}",
                self.terminal.paint(Style::Warn, "!"),
                webhook.name
            ));
        }
        Ok(())
    }

    /// The file is prepared first, so that the one chance to see the secret is not lost.
    async fn register(&self, unit: &Unit, webhook: &Webhook, secret_file: &Path) -> Result<String, String> {
        let prepared = secret_file.to_owned();
        let draft = spawn_blocking(move || Draft::beside(&prepared)).await.map_err(|error| error.to_string())?;
        let draft = draft.map_err(|error| unwritable(secret_file, &error))?;
        let at = self.base_url()?.at(&webhook.name.path());
        let created = unit.platform()?.register_webhook(&at, &event_names(webhook)).await;
        let created = created.map_err(|problem| format!("{}: it was not registered: {problem}", unit.tenant))?;
        let secret = created.secret;
        let kept = spawn_blocking(move || draft.keep(&secret)).await.map_err(|error| error.to_string())?;
        if let Err(error) = kept {
            let undone = match unit.delete(&created.id).await {
                Ok(()) => "the registration was taken back".to_owned(),
                Err(problem) => format!("take the registration {} away: {problem}", printable(&created.id)),
            };
            return Err(format!("{}; {undone}", unwritable(secret_file, &error)));
        }
        Ok(created.id)
    }

    fn base_url(&self) -> Result<&config::BaseUrl, String> {
        let public = self.config.public.as_ref();
        public.map(|public| &public.base_url).ok_or_else(|| "the configuration has no [public]".to_owned())
    }

    fn url(&self, webhook: &Webhook) -> String {
        self.base_url().map(|base| base.at(&webhook.name.path()).to_string()).unwrap_or_default()
    }

    fn good(&self, text: &str) {
        self.terminal.line(format!("{} {text}", self.terminal.paint(Style::Good, "✓")));
    }

    fn bad(&self, text: &str) {
        self.terminal.line(format!("{} {text}", self.terminal.paint(Style::Bad, "✗")));
    }
}

/// One tenant's sales unit at the provider.
struct Unit {
    tenant: String,
    provider: Arc<dyn crate::provider::Operated>,
}

impl Unit {
    fn of(tenant: &Tenant) -> Result<Self, String> {
        let id = tenant.id.to_string();
        if tenant.provider.subscription_key.is_none() {
            return Err(format!(
                "{id}: registering needs tenants[].provider.subscription_key (or subscription_key_file) of this tenant"
            ));
        }
        if tenant.provider.merchant_serial_number.is_none() {
            return Err(format!("{id}: registering needs tenants[].provider.merchant_serial_number of this tenant"));
        }
        let provider = gateway::provider(tenant, &Clock::system(), &Arc::new(Metrics::new()));
        let provider = provider.map_err(|error| format!("{id}: {}", causes(&error)))?;
        Ok(Self { tenant: id, provider })
    }

    fn platform(&self) -> Result<&crate::provider::vipps::Platform, String> {
        self.provider.platform().ok_or_else(|| format!("{}: the provider has no API for webhooks", self.tenant))
    }

    async fn webhooks(&self) -> Result<Vec<Registered>, String> {
        let found = self.platform()?.webhooks().await;
        found.map_err(|problem| format!("{}: the registrations cannot be read: {problem}", self.tenant))
    }

    async fn delete(&self, id: &str) -> Result<(), String> {
        let deleted = self.platform()?.delete_webhook(id).await;
        deleted.map_err(|problem| format!("{}: {} was not deleted: {problem}", self.tenant, printable(id)))
    }
}

fn event_names(webhook: &Webhook) -> Vec<&'static str> {
    webhook.events.iter().copied().map(EventKind::name).collect()
}

/// What the provider says may steer no terminal.
fn printable(text: &str) -> String {
    text.chars().filter(|letter| !letter.is_control()).take(300).collect()
}

fn unwritable(file: &Path, error: &io::Error) -> String {
    let why = match error.kind() {
        io::ErrorKind::AlreadyExists => "it exists, and no secret is overwritten".to_owned(),
        _ => error.to_string(),
    };
    format!("{} cannot be written: {why}", file.display())
}

/// A file beside the one that is wanted, which takes its place once it has the secret.
struct Draft {
    file: std::fs::File,
    draft: PathBuf,
    wanted: PathBuf,
}

impl Draft {
    fn beside(wanted: &Path) -> io::Result<Self> {
        if wanted.symlink_metadata().is_ok() {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        let mut name = wanted.file_name().unwrap_or_default().to_owned();
        name.push(format!(".{}.new", std::process::id()));
        let draft = wanted.with_file_name(name);
        let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&draft)?;
        Ok(Self { file, draft, wanted: wanted.to_owned() })
    }

    /// A link and not a renaming: that would replace what has come there meanwhile.
    fn keep(mut self, secret: &SecretString) -> io::Result<()> {
        self.file.write_all(secret.expose_secret().as_bytes())?;
        self.file.write_all(b"\n")?;
        self.file.sync_all()?;
        std::fs::hard_link(&self.draft, &self.wanted)
    }
}

impl Drop for Draft {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.draft);
    }
}
