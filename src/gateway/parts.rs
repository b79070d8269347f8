//! From configuration to the parts of a running gateway.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use zeroize::Zeroizing;

use super::providers::{new_secrets, provider_sharing};
use super::stores::store;
use crate::audit::{self, Audit};
use crate::clock::Clock;
use crate::config::{self, Config};
use crate::fraud::{self, Signals, Webhook};
use crate::grpc::{Authorities, Callers, Enrolment, TlsError, TokenClients};
use crate::http::landing;
use crate::ledger::Ledger;
use crate::logins::{Caller, Guards, Limits, Logins, Pages, Policy, Tenant};
use crate::poller::{Credential, Poller};
use crate::provider::openid::InvalidSettings;
use crate::provider::vipps::PartnerTokens;
use crate::provider::{Operated, Provider};
use crate::replicas::{NoRandomness, Replica};
use crate::session::{RedirectUri, TenantId};
use crate::store::hash::HashKeys;
use crate::store::redis::{RedisStore, SetupError};
use crate::store::seal::InvalidKeyRing;
use crate::store::{Charge, CoolDown, Counter, Limit};
use crate::telemetry::Metrics;
use crate::tokens::{Issuers, Unusable};

/// Why the parts cannot be put together.
#[derive(Debug, thiserror::Error)]
pub enum AssemblyError {
    /// The settings of one tenant's provider cannot work.
    #[error("the provider of tenant {tenant} cannot be set up")]
    Provider {
        /// Which tenant.
        tenant: TenantId,
        /// Why.
        source: InvalidSettings,
    },
    /// The identity provider whose tokens callers of one tenant show cannot be used.
    #[error("the identity provider in tokens of tenant {tenant} cannot be used")]
    Issuer {
        /// Which tenant.
        tenant: TenantId,
        /// Why.
        source: Unusable,
    },
    /// The Redis settings cannot work.
    #[error(transparent)]
    Store(#[from] SetupError),
    /// The seal keys cannot be told apart.
    #[error("the seal keys cannot be used")]
    SealKeys(#[source] InvalidKeyRing),
    /// What clients' certificates come from cannot be used.
    #[error(transparent)]
    Authorities(#[from] TlsError),
    /// The system gives no random bytes.
    #[error(transparent)]
    Randomness(#[from] NoRandomness),
    /// There can be no audit log.
    #[error(transparent)]
    Audit(#[from] audit::SetupError),
    /// The settings of one tenant's webhook cannot work.
    #[error("the fraud webhook of tenant {tenant} cannot be set up")]
    FraudWebhook {
        /// Which tenant.
        tenant: TenantId,
        /// Why.
        source: fraud::InvalidSettings,
    },
    /// Fraud signals cannot be named.
    #[error(transparent)]
    Signals(#[from] fraud::NoRandomness),
}

/// Everything a running gateway consists of, but for its fronts.
pub(super) struct Parts {
    pub(super) metrics: Arc<Metrics>,
    pub(super) ledger: Ledger,
    pub(super) replica: Replica,
    pub(super) signals: Arc<Signals>,
    pub(super) poller: Poller,
    pub(super) logins: Logins,
    pub(super) credentials: Credentials,
    /// The providers again, whose secrets may be replaced.
    providers: Vec<(TenantId, Arc<dyn Operated>)>,
    /// The identity providers whose tokens callers show.
    issuers: Issuers,
    /// The store again, when it is one that can be set up wrongly.
    pub(super) redis: Option<Arc<RedisStore>>,
}

impl Parts {
    pub(super) fn assemble(config: &Config, clock: Clock) -> Result<Self, AssemblyError> {
        let metrics = Arc::new(Metrics::new());
        let (store, redis) = store(config)?;
        let ids = config.tenants.iter().map(|tenant| tenant.id.clone()).collect();
        let replica = Replica::new(Arc::clone(&store), clock.clone(), Arc::clone(&metrics), ids)?;
        let signals = Arc::new(signals(config, &clock, &metrics)?);
        let audit = audit(config, &clock, &metrics)?.heard_by(Arc::clone(&signals) as _);
        let ledger = Ledger::new(store, clock.clone(), config.identity_window, Arc::clone(&metrics)).with_audit(audit);
        let partners = PartnerTokens::default();
        let providers = config
            .tenants
            .iter()
            .map(|tenant| {
                let wrong = |source| AssemblyError::Provider { tenant: tenant.id.clone(), source };
                Ok((tenant.id.clone(), provider_sharing(&partners, tenant, &clock, &metrics).map_err(wrong)?))
            })
            .collect::<Result<Vec<_>, AssemblyError>>()?;
        let credential = |(tenant, provider): &(TenantId, Arc<dyn Operated>)| {
            (tenant.clone(), Arc::new(Credential::new(Arc::clone(provider) as Arc<dyn Provider>)))
        };
        let credentials: Credentials = providers.iter().map(credential).collect();
        let poller = Poller::new(ledger.clone(), replica.clone(), credentials.clone());
        let (tenants, policy) = rules(config, &credentials);
        let logins = Logins::new(ledger.clone(), poller.clone(), Vec::new(), policy);
        logins.go_by(tenants, policy, config.block_list.clone());
        Ok(Self {
            metrics,
            ledger,
            replica,
            signals,
            poller,
            logins,
            credentials,
            providers,
            issuers: Issuers::default(),
            redis,
        })
    }

    /// Who may call by that configuration.
    pub(super) fn callers(&self, config: &Config) -> Result<Callers, AssemblyError> {
        callers(config, &self.issuers, self.logins.clock(), &self.metrics)
    }

    /// The secrets that `config` has for the providers that there are.
    pub(super) fn secrets(&self, config: &Config) -> Result<Vec<Replacement<'_>>, AssemblyError> {
        let mut all: Vec<Replacement<'_>> = Vec::new();
        for (id, provider) in &self.providers {
            let Some(tenant) = config.tenants.iter().find(|tenant| tenant.id == *id) else { continue };
            let replace = provider
                .prepare(new_secrets(&tenant.provider))
                .map_err(|source| AssemblyError::Provider { tenant: id.clone(), source })?;
            all.push((id.clone(), replace));
        }
        Ok(all)
    }

    /// Shows these secrets from now on, and lets logins go on that wait because the
    /// old ones were refused.
    pub(super) fn renew_secrets(&self, secrets: Vec<Replacement<'_>>) {
        for (tenant, replace) in secrets {
            if replace()
                && let Some(credential) = self.credentials.get(&tenant)
            {
                credential.renewed();
            }
        }
    }
}

/// What puts other secrets in the place of a tenant's, and says whether they are others.
type Replacement<'p> = (TenantId, Box<dyn FnOnce() -> bool + Send + 'p>);

/// What each tenant has at its provider.
pub(super) type Credentials = HashMap<TenantId, Arc<Credential>>;

/// What holds for each tenant that has a credential, and over all of them.
pub(super) fn rules(config: &Config, credentials: &Credentials) -> (Vec<Tenant>, Policy) {
    let tenant = |tenant: &config::Tenant| {
        Some(Tenant {
            id: tenant.id.clone(),
            name: tenant.name.clone(),
            default_country: tenant.default_country,
            default_lifetime: tenant.default_lifetime,
            default_claims: tenant.default_claims.clone(),
            required_claims: tenant.required_claims.clone(),
            purposes: tenant.purposes.clone(),
            default_purpose: tenant.default_purpose.clone(),
            national_id_ground: tenant.national_id_ground.clone(),
            default_language: tenant.default_language,
            may_read_out: tenant.allow_read_out,
            may_call_out: tenant.outbound_calls_because.is_some(),
            quiet_hours: tenant.quiet_hours,
            pages: pages(tenant, config.public.as_ref()),
            clients: tenant.clients.iter().map(|client| client.id.clone()).collect(),
            guards: guards(&tenant.guard.over(&config.guard.common)),
            merchant_serial_number: tenant.provider.merchant_serial_number.clone(),
            credential: Arc::clone(credentials.get(&tenant.id)?),
        })
    };
    let policy = Policy {
        starts_per_number: Limit { max: config.guard.starts_per_number_by_all_an_hour, window: HOUR },
        limits: limits(&config.limits),
    };
    (config.tenants.iter().filter_map(tenant).collect(), policy)
}

fn pages(tenant: &config::Tenant, public: Option<&config::Public>) -> Pages {
    let gateways = public.map(|public| public.base_url.at(&format!("{}{}", landing::PATH, tenant.id)));
    Pages { own: tenant.redirect_uris.clone(), gateways: gateways.as_ref().map(RedirectUri::of_own_page) }
}

const fn limits(chosen: &config::Limits) -> Limits {
    Limits {
        starts: chosen.starts,
        live_logins_per_tenant: chosen.live_logins_per_tenant,
        calls: chosen.calls,
        watches_per_agent: chosen.watches_per_agent,
        watches_per_client: chosen.watches_per_client,
        watches_per_tenant: chosen.watches_per_tenant,
    }
}

const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3600);
const DAY: Duration = Duration::from_secs(86_400);

fn guards(guard: &config::Guard) -> Guards {
    let charge = |counter, limits: &[(u32, Duration)]| Charge {
        counter,
        limits: limits.iter().map(|&(max, window)| Limit { max, window }).collect(),
    };
    let number = [(guard.starts_per_number, guard.per), (guard.starts_per_number_a_day, DAY)];
    Guards {
        charges: vec![
            charge(Counter::Number, &number),
            charge(Counter::Agent, &[(guard.starts_per_agent_an_hour, HOUR)]),
            charge(Counter::AgentNumbers, &[(guard.numbers_per_agent_an_hour, HOUR)]),
            charge(Counter::Terminal, &[(guard.starts_per_terminal_an_hour, HOUR)]),
            charge(Counter::Client, &[(guard.starts_per_client_a_minute, MINUTE)]),
            charge(Counter::Tenant, &[(guard.starts_per_tenant_a_minute, MINUTE)]),
        ],
        cool_down: CoolDown { first: guard.cool_down, longest: guard.longest_cool_down },
    }
}

fn audit(config: &Config, clock: &Clock, metrics: &Arc<Metrics>) -> Result<Audit, audit::SetupError> {
    let Some(chosen) = &config.audit else { return Ok(Audit::off()) };
    let settings = audit::Settings {
        file: chosen.file.clone(),
        stdout: chosen.stdout,
        key: Zeroizing::new(*chosen.key.expose()),
        refuse_starts: chosen.when_full == config::WhenFull::RefuseStarts,
    };
    Audit::begin(&settings, clock.clone(), Arc::clone(metrics))
}

fn signals(config: &Config, clock: &Clock, metrics: &Arc<Metrics>) -> Result<Signals, AssemblyError> {
    let mut signals = Signals::new(clock.clone(), Arc::clone(metrics))?;
    for tenant in &config.tenants {
        let Some(chosen) = &tenant.fraud_webhook else { continue };
        let webhook = fraud_webhook(chosen, clock)
            .map_err(|source| AssemblyError::FraudWebhook { tenant: tenant.id.clone(), source })?;
        let hash = config.audit.as_ref().map(|audit| HashKeys::new(*audit.key.expose()).for_tenant(&tenant.id));
        signals.tell(&tenant.id, webhook, chosen.signals.clone(), hash);
    }
    Ok(signals)
}

/// The webhook of one tenant; not called yet.
pub(crate) fn fraud_webhook(chosen: &config::FraudWebhook, clock: &Clock) -> Result<Webhook, fraud::InvalidSettings> {
    let settings = fraud::Settings {
        url: chosen.url.clone(),
        secrets: chosen.secrets.clone(),
        timeout: chosen.timeout,
        allow_private_addresses: chosen.allow_private_addresses,
        extra_root_ca_pem: chosen.ca_certificates.as_ref().map(|certificates| certificates.pem().to_owned()),
    };
    Webhook::new(&settings, clock.clone())
}

/// Who may call. `issuers` are those of the configuration before.
fn callers(
    config: &Config,
    issuers: &Issuers,
    clock: &Clock,
    metrics: &Arc<Metrics>,
) -> Result<Callers, AssemblyError> {
    let asked = config.grpc.tls.as_ref().and_then(|tls| tls.clients.as_ref());
    let shared = asked.map(|asked| Authorities::new(&asked.authorities)).transpose()?.map(Arc::new);
    let mut enrolments = Vec::new();
    for tenant in &config.tenants {
        let own = tenant.client_authorities.as_ref().map(Authorities::new).transpose()?.map(Arc::new);
        let authorities = own.or_else(|| shared.clone());
        let wrong = |source| AssemblyError::Issuer { tenant: tenant.id.clone(), source };
        let issuer = tenant.tokens.as_ref().map(|tokens| issuers.get(tokens, clock, metrics));
        let issuer = issuer.transpose().map_err(wrong)?;
        let tokens = |client: &config::Client| {
            Some(TokenClients { issuer: Arc::clone(issuer.as_ref()?), names: client.token_clients.clone() })
        };
        enrolments.extend(tenant.clients.iter().map(|client| Enrolment {
            caller: Caller {
                tenant: tenant.id.clone(),
                client: client.id.clone(),
                channels: client.channels.clone(),
                agent: None,
                must_prove_agent: client.agents == config::AgentRule::Signed,
                roles: client.roles.clone(),
            },
            api_keys: client.api_keys.clone(),
            certificates: client.certificates.clone(),
            authorities: authorities.clone(),
            tokens: tokens(client),
            calls: client.calls.clone(),
            networks: vec![tenant.networks.clone(), client.networks.clone()],
        }));
    }
    Ok(Callers::new(enrolments).behind(config.grpc.proxies.clone()))
}
