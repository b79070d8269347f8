//! `check`: one screen that tells whether everything the gateway needs is right,
//! and what to do where it is not.

mod go_live;

use std::fs::OpenOptions;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use clap::Args;

use super::terminal::{Style, Terminal};
use super::{EXIT_UNAVAILABLE, EXIT_USAGE, causes};
use crate::ciba::{AuthReqId, PollAnswer};
use crate::clock::Clock;
use crate::config::{self, CertificatePolicy, ClientKey, Config, FILE_VARIABLE};
use crate::gateway;
use crate::logins::Blocks;
use crate::provider::{NewSecrets, Operated};
use crate::store::redis::Survey;
use crate::telemetry::Metrics;
use crate::timestamp::Timestamp;

/// Further apart, tokens look expired or not yet valid.
const TOLERABLE_SKEW: Duration = Duration::from_secs(5);

const DAY: u64 = 24 * 60 * 60;
/// What ends within this time is worth a word.
const NOTICE_OF_END: Duration = Duration::from_secs(14 * DAY);

#[derive(Args)]
#[command(
    after_help = "Exit codes: 0 all is right, 64 the configuration has mistakes, 69 something else is not right.\n\
    Rings no phone: credentials are tried with a poll for a request that does not exist."
)]
pub(super) struct Options {
    /// The configuration file; see docs/configuration.md.
    #[arg(long, env = FILE_VARIABLE, value_name = "FILE")]
    config: PathBuf,
    /// Walk Vipps's checklist for going live too: met, not met, or cannot be seen from here.
    #[arg(long)]
    go_live: bool,
    /// A test user's number for the checklist; asked about with user-exists, without ringing.
    #[arg(long, value_name = "NUMBER", requires = "go_live")]
    test_number: Option<String>,
}

pub(super) async fn run(options: Options) -> ExitCode {
    let mut report = Report { terminal: Terminal::stdout(), wrong: 0 };
    let config = match Config::load(&options.config, config::variables()) {
        Ok(config) => config,
        Err(mistakes) => {
            report.bad("configuration", "has mistakes");
            for mistake in mistakes.to_string().lines() {
                report.terminal.line(format!("    {mistake}"));
            }
            return ExitCode::from(EXIT_USAGE);
        }
    };
    let clients: usize = config.tenants.iter().map(|tenant| tenant.clients.len()).sum();
    report.good("configuration", &format!("{} tenants, {clients} clients", config.tenants.len()));
    report.front(&config);
    report.audit(&config);
    report.api_keys(&config, Clock::system().now());
    report.block_list(&config);
    report.store(&config).await;
    for tenant in &config.tenants {
        report.provider(tenant).await;
        report.fraud_webhook(tenant).await;
        report.webhooks(tenant);
    }
    if options.go_live {
        for tenant in &config.tenants {
            report.go_live(&config, tenant, options.test_number.as_deref()).await;
        }
    }
    if report.wrong == 0 { ExitCode::SUCCESS } else { ExitCode::from(EXIT_UNAVAILABLE) }
}

/// The folder of a bare name is the present one.
fn is_folder(path: &Path) -> bool {
    path.as_os_str().is_empty() || path.is_dir()
}

struct Report {
    terminal: Terminal,
    wrong: usize,
}

impl Report {
    fn good(&self, what: &str, text: &str) {
        self.terminal.line(format!("{} {what:<16} {text}", self.terminal.paint(Style::Good, "✓")));
    }

    fn note(&self, what: &str, text: &str) {
        self.terminal.line(format!("{} {what:<16} {text}", self.terminal.paint(Style::Warn, "!")));
    }

    fn unseen(&self, what: &str, text: &str) {
        self.terminal.line(format!("{} {what:<16} {text}", self.terminal.paint(Style::Warn, "?")));
    }

    fn bad(&mut self, what: &str, text: &str) {
        self.wrong += 1;
        self.terminal.line(format!("{} {what:<16} {text}", self.terminal.paint(Style::Bad, "✗")));
    }

    fn webhooks(&mut self, tenant: &config::Tenant) {
        for webhook in &tenant.webhooks {
            let what = format!("webhook {}", webhook.name);
            match webhook.secrets().count() {
                0 => self.bad(&what, "has no secret yet; ciba-gateway webhooks apply registers it and writes the file"),
                1 => self.good(&what, "has its secret"),
                _ => self.note(&what, "has two secrets; delete the old registration when the new one is in use"),
            }
        }
    }

    fn front(&mut self, config: &Config) {
        match &config.grpc.tls {
            None => self.note("TLS", "off: gRPC is in the clear, for loopback or behind a proxy only"),
            Some(tls) => match crate::grpc::TlsIdentity::from_config(tls) {
                Ok(_) => {
                    self.good("TLS", "certificate and key fit together");
                    match tls.clients.as_ref().map(|clients| clients.policy) {
                        None => {}
                        Some(CertificatePolicy::Optional) => self.good("TLS", "client certificates are optional"),
                        Some(CertificatePolicy::Required) => self.good("TLS", "client certificates are required"),
                    }
                }
                Err(error) => self.bad("TLS", &format!("{}; check grpc.tls", causes(&error))),
            },
        }
    }

    fn audit(&mut self, config: &Config) {
        let Some(audit) = &config.audit else {
            return self.note("audit", "off: nobody can tell later who had whose phone asked");
        };
        let Some(file) = &audit.file else {
            return self.good("audit", "to standard output");
        };
        // Not made here: whoever checks may be another user than the gateway's.
        match OpenOptions::new().append(true).read(true).open(file) {
            Ok(_) => self.good("audit", "the file can be appended to"),
            Err(error) if error.kind() == ErrorKind::NotFound && file.parent().is_some_and(is_folder) => {
                self.good("audit", "the file is not there yet, its folder is");
            }
            Err(error) => self.bad("audit", &format!("the file cannot be appended to: {error}; check audit.file")),
        }
    }

    fn api_keys(&mut self, config: &Config, now: Timestamp) {
        let is_near = |key: &&ClientKey| key.not_after.is_some_and(|end| end.since(now) <= NOTICE_OF_END);
        let mut near = 0;
        for tenant in &config.tenants {
            for client in &tenant.clients {
                near += client.api_keys.iter().filter(is_near).count();
                self.keys_of(tenant, client, now);
            }
        }
        if near == 0 {
            self.good("API keys", "none ends within 14 days");
        }
    }

    fn keys_of(&mut self, tenant: &config::Tenant, client: &config::Client, now: Timestamp) {
        let whose = format!("client {} of {}", client.id, tenant.id);
        let has_ended = |key: &ClientKey| key.not_after.is_some_and(|end| end <= now);
        if client.certificates.is_empty() && client.api_keys.iter().all(has_ended) {
            return self.bad("API keys", &format!("{whose}: all have ended; it cannot call; give it a new one"));
        }
        for key in &client.api_keys {
            let Some(left) = key.not_after.map(|end| end.since(now)) else { continue };
            if left.is_zero() {
                self.note("API keys", &format!("{whose}: {key} has ended; take it out"));
            } else if left <= NOTICE_OF_END {
                let days = left.as_secs() / DAY;
                self.note("API keys", &format!("{whose}: {key} ends in {days} days; give it its next one"));
            }
        }
    }

    fn block_list(&self, config: &Config) {
        let sum =
            |size: fn(&Blocks) -> usize| config.block_list.entries().map(|(_, blocks)| size(blocks)).sum::<usize>();
        let sizes = [
            sum(|blocks| blocks.clients.len()),
            sum(|blocks| blocks.agents.len()),
            sum(|blocks| blocks.terminals.len()),
            sum(|blocks| blocks.numbers.len()),
        ];
        let [clients, agents, terminals, numbers] = sizes;
        if sizes.iter().sum::<usize>() > 0 {
            let sizes = format!("{clients} clients, {agents} agents, {terminals} terminals, {numbers} numbers");
            self.good("block list", &sizes);
        }
        for (tenant, blocks) in config.block_list.entries() {
            let tenants = config.tenants.iter().filter(|known| tenant.is_none_or(|tenant| *tenant == known.id));
            let known: Vec<_> = tenants.flat_map(|tenant| &tenant.clients).map(|client| &client.id).collect();
            for client in blocks.clients.iter().filter(|client| !known.contains(client)) {
                self.note("block list", &format!("there is no client {client} to shut out; is it misspelt?"));
            }
        }
    }

    async fn store(&mut self, config: &Config) {
        let config::Store::Redis(redis) = &config.store else {
            return self.note("store", "memory: one process only, every login is gone when it ends");
        };
        let keys = redis.keys.seal_keys.len();
        let store = match gateway::redis_store(redis, config) {
            Ok(store) => store,
            Err(error) => return self.bad("keys", &format!("{}; check [keys]", causes(&error))),
        };
        self.good("keys", &format!("{keys} seal keys, \"{}\" is active", redis.keys.active_seal_key));
        match store.survey().await {
            Err(error) => self.bad("redis", &format!("{}; check [store] and that it runs", causes(&error))),
            Ok(nodes) => nodes.iter().for_each(|node| self.redis(node, redis.wait_replicas)),
        }
    }

    fn redis(&mut self, node: &Survey, wait_replicas: u32) {
        let what = if node.node.is_empty() { "redis".to_owned() } else { format!("redis {}", node.node) };
        let faults = node.faults(wait_replicas);
        if faults.is_empty() {
            let version = node.version.as_deref().unwrap_or_default();
            let replicas = node.replicas.unwrap_or_default();
            self.good(&what, &format!("version {version}, never evicts, {replicas} replicas"));
        }
        for fault in faults {
            self.bad(&what, &fault);
        }
        for note in node.notes() {
            self.note(&what, &note);
        }
        if let Some(time) = node.time {
            self.clock(&what, Clock::system().now(), time);
        }
    }

    async fn provider(&mut self, tenant: &config::Tenant) {
        let what = format!("{}", tenant.id);
        let provider = match gateway::provider(tenant, &Clock::system(), &Arc::new(Metrics::new())) {
            Ok(provider) => provider,
            Err(error) => return self.bad(&what, &causes(&error)),
        };
        if let Err(problem) = provider.check().await {
            return self.bad(&what, &problem.to_string());
        }
        self.good(&what, "provider: discovery and signing keys are there");
        self.credentials(&what, tenant, &*provider).await;
        self.platform(&what, &*provider).await;
        if let config::Profile::Vipps { keys: config::ProviderKeys::Partner } = tenant.provider.profile {
            let merchant = tenant.provider.merchant_serial_number.as_deref().unwrap_or_default();
            self.good(&what, &format!("provider: a partner's keys, for the merchant {merchant}"));
        }
        match provider.server_time().await {
            Some((here, there)) => self.clock(&what, here, there),
            None => self.note(&what, "the provider does not tell its time"),
        }
    }

    /// Whether the vendor's other APIs can be used, where that is wanted.
    async fn platform(&mut self, what: &str, provider: &dyn Operated) {
        match provider.platform() {
            None => {}
            Some(platform) => match platform.token().await {
                Ok(_) => self.good(what, "platform: an access token is given"),
                Err(problem) => self.bad(what, &format!("{problem}; check subscription_key")),
            },
        }
    }

    /// Tells the fraud desk nothing: looks only whether it can be found.
    async fn fraud_webhook(&mut self, tenant: &config::Tenant) {
        let what = tenant.id.to_string();
        let Some(chosen) = &tenant.fraud_webhook else {
            return self.note(&what, "fraud webhook: none; nobody hears of signals but in metrics and the audit log");
        };
        let webhook = match gateway::fraud_webhook(chosen, &Clock::system()) {
            Ok(webhook) => webhook,
            Err(error) => return self.bad(&what, &format!("fraud webhook: {}", causes(&error))),
        };
        match webhook.find().await {
            Ok(host) => self.good(&what, &format!("fraud webhook: {host} is known, {} kinds", chosen.signals.len())),
            Err(problem) => self.bad(&what, &format!("fraud webhook: {problem}; check tenants.fraud_webhook.url")),
        }
        if chosen.secrets.len() > 1 {
            self.note(&what, "fraud webhook: two secrets sign; take the old one out once the desk knows the next");
        }
    }

    async fn credentials(&mut self, what: &str, tenant: &config::Tenant, provider: &dyn Operated) {
        let Some(nobody) = AuthReqId::new("check-of-credentials-0000000") else { return };
        let config::Provider { client_secret, client_secret_next, subscription_key, .. } = &tenant.provider;
        let subscription_key = subscription_key.as_ref();
        let show = |client_secret, client_secret_next| {
            let given = NewSecrets { client_secret, client_secret_next, subscription_key };
            provider.prepare(given).is_ok_and(|replace| replace())
        };
        if let Some(next) = client_secret_next {
            for (key, secret) in [("client_secret", client_secret), ("client_secret_next", next)] {
                show(secret, None);
                if provider.poll(&nobody).await == PollAnswer::CredentialsRefused {
                    self.note(
                        what,
                        &format!("the provider refuses {key}: it is its old secret, or not yet its new one"),
                    );
                }
            }
            show(client_secret, Some(next));
        }
        match provider.poll(&nobody).await {
            PollAnswer::InvalidGrant | PollAnswer::Expired => self.good(what, "provider: credentials are accepted"),
            PollAnswer::CredentialsRefused => {
                let advice = "check client_id, client_secret, authentication, and that Login is on for the sales unit";
                self.bad(what, &format!("the provider refuses the credentials; {advice}"));
            }
            PollAnswer::Refused(refusal) => self.note(what, &format!("credentials: unclear answer ({refusal:?})")),
            _ => self.bad(what, "the token endpoint gives no usable answer; try again later"),
        }
    }

    fn clock(&mut self, what: &str, here: Timestamp, there: Timestamp) {
        let apart = here.since(there).max(there.since(here));
        let text = format!("clock: {:.1} s apart", apart.as_secs_f32());
        if apart <= TOLERABLE_SKEW {
            self.good(what, &text);
        } else {
            self.bad(what, &format!("{text}; set this machine's clock by NTP"));
        }
    }
}
