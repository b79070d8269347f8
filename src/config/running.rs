//! What becomes of a configuration that runs when another one is read.
//!
//! Each setting either holds as soon as it is read, or waits for a restart. Which
//! of the two is said here, and every setting is named here: a new one breaks the
//! build until somebody has said it. Pure: what runs is not touched.

use std::collections::HashSet;

use secrecy::ExposeSecret;

use super::{
    Audit, ClientCertificates, Config, Drain, Grpc, Http, Keys, Limits, Log, Provider, Public, Redis, RedisAccess,
    RedisPlace, Store, Tenant, Tls,
};

/// What runs next.
#[derive(Clone, Debug)]
pub struct Succession {
    /// What held before, with everything of the new configuration that needs no
    /// restart. Of what needs one nothing is in it.
    pub config: Config,
    /// The settings that differ and need one, by their keys.
    pub waiting: Vec<String>,
}

impl Config {
    /// What runs once `next` has been read while this one runs.
    #[must_use]
    pub fn succeeded_by(&self, next: &Self) -> Succession {
        let mut waiting = Waiting::default();
        let Self {
            grpc,
            http,
            public,
            store,
            identity_window,
            drain,
            log,
            guard: _,
            limits,
            audit,
            block_list: _,
            tenants,
        } = self;
        let tenants = waiting.tenants(tenants, &next.tenants);
        let mut grpc = waiting.grpc(grpc, &next.grpc);
        grpc.accept_those_of(&tenants);
        let Http { listen } = http;
        waiting.compare("http.listen", listen, &next.http.listen);
        let public = waiting.public(public.as_ref(), next.public.as_ref());
        let store = waiting.store(store, &next.store);
        waiting.compare("identity.window", identity_window, &next.identity_window);
        let Drain { notice, limit } = drain;
        waiting.compare("drain.notice", notice, &next.drain.notice);
        waiting.compare("drain.limit", limit, &next.drain.limit);
        let Log { format, filter } = log;
        waiting.compare("log.format", format, &next.log.format);
        waiting.compare("log.filter", filter, &next.log.filter);
        waiting.limits(limits, &next.limits);
        waiting.audit(audit.as_ref(), next.audit.as_ref());
        let config = Self {
            grpc,
            http: http.clone(),
            public,
            store,
            identity_window: *identity_window,
            drain: *drain,
            log: log.clone(),
            guard: next.guard,
            limits: *limits,
            audit: audit.clone(),
            block_list: next.block_list.clone(),
            tenants,
        };
        Succession { config, waiting: waiting.0 }
    }
}

/// The keys of settings that differ and wait for a restart.
#[derive(Default)]
struct Waiting(Vec<String>);

impl Waiting {
    fn compare<T: PartialEq>(&mut self, key: &str, now: &T, next: &T) {
        self.unless(key, now == next);
    }

    fn unless(&mut self, key: &str, is_same: bool) {
        if !is_same {
            self.0.push(key.to_owned());
        }
    }

    fn limits(&mut self, now: &Limits, next: &Limits) {
        let Limits {
            starts,
            live_logins_per_tenant,
            calls,
            call_time,
            watches_per_agent,
            watches_per_client,
            watches_per_tenant,
        } = now;
        self.compare("limits.starts", starts, &next.starts);
        self.compare("limits.live_logins_per_tenant", live_logins_per_tenant, &next.live_logins_per_tenant);
        self.compare("limits.calls", calls, &next.calls);
        self.compare("limits.call_time", call_time, &next.call_time);
        self.compare("limits.watches_per_agent", watches_per_agent, &next.watches_per_agent);
        self.compare("limits.watches_per_client", watches_per_client, &next.watches_per_client);
        self.compare("limits.watches_per_tenant", watches_per_tenant, &next.watches_per_tenant);
    }

    fn grpc(&mut self, now: &Grpc, next: &Grpc) -> Grpc {
        let Grpc {
            listen,
            tls,
            reflection,
            proxies: _,
            max_concurrent_streams,
            max_connections,
            max_connection_age,
            max_connection_age_grace,
            keepalive_interval,
            keepalive_timeout,
        } = now;
        self.compare("grpc.listen", listen, &next.listen);
        self.compare("grpc.reflection", reflection, &next.reflection);
        self.compare("grpc.max_concurrent_streams", max_concurrent_streams, &next.max_concurrent_streams);
        self.compare("grpc.max_connections", max_connections, &next.max_connections);
        self.compare("grpc.max_connection_age", max_connection_age, &next.max_connection_age);
        self.compare("grpc.max_connection_age_grace", max_connection_age_grace, &next.max_connection_age_grace);
        self.compare("grpc.keepalive_interval", keepalive_interval, &next.keepalive_interval);
        self.compare("grpc.keepalive_timeout", keepalive_timeout, &next.keepalive_timeout);
        let tls = self.tls("grpc.tls", tls.as_ref(), next.tls.as_ref());
        Grpc { tls, proxies: next.proxies.clone(), ..now.clone() }
    }

    fn tls(&mut self, key: &str, now: Option<&Tls>, next: Option<&Tls>) -> Option<Tls> {
        if let (Some(_), Some(Tls { certificates, key, clients })) = (now, next) {
            return Some(Tls { certificates: certificates.clone(), key: key.clone(), clients: clients.clone() });
        }
        self.unless(key, now.is_some() == next.is_some());
        now.cloned()
    }

    fn public(&mut self, now: Option<&Public>, next: Option<&Public>) -> Option<Public> {
        let (Some(now), Some(next)) = (now, next) else {
            self.unless("public", now.is_none() && next.is_none());
            return now.cloned();
        };
        let Public { listen, base_url, tls } = now;
        self.compare("public.listen", listen, &next.listen);
        self.compare("public.base_url", base_url, &next.base_url);
        let tls = self.tls("public.tls", tls.as_ref(), next.tls.as_ref());
        Some(Public { tls, ..now.clone() })
    }

    fn store(&mut self, now: &Store, next: &Store) -> Store {
        match (now, next) {
            (Store::Redis(now), Store::Redis(next)) => Store::Redis(Box::new(self.redis(now, next))),
            (Store::Memory, Store::Memory) => Store::Memory,
            (Store::Redis(_), Store::Memory) | (Store::Memory, Store::Redis(_)) => {
                self.0.push("store.kind".to_owned());
                now.clone()
            }
        }
    }

    fn redis(&mut self, now: &Redis, next: &Redis) -> Redis {
        let Redis {
            place,
            access,
            ca_certificates,
            connect_timeout,
            response_timeout,
            settle_time,
            wait_replicas,
            wait_timeout,
            keys: Keys { hash_key, other_hash_key, active_seal_key: _, seal_keys: _ },
        } = now;
        self.unless("store.url, store.sentinel or store.cluster", is_same_place(place, &next.place));
        self.unless("store.username or store.password", is_same_access(access, &next.access));
        self.compare("store.ca_file", ca_certificates, &next.ca_certificates);
        self.compare("store.connect_timeout", connect_timeout, &next.connect_timeout);
        self.compare("store.response_timeout", response_timeout, &next.response_timeout);
        self.compare("store.settle_time", settle_time, &next.settle_time);
        self.compare("store.wait_replicas", wait_replicas, &next.wait_replicas);
        self.compare("store.wait_timeout", wait_timeout, &next.wait_timeout);
        self.compare("keys.hash_key", hash_key, &next.keys.hash_key);
        self.compare("keys.other_hash_key", other_hash_key, &next.keys.other_hash_key);
        let (hash_key, other_hash_key) = (hash_key.clone(), other_hash_key.clone());
        Redis { keys: Keys { hash_key, other_hash_key, ..next.keys.clone() }, ..now.clone() }
    }

    fn audit(&mut self, now: Option<&Audit>, next: Option<&Audit>) {
        let (Some(now), Some(next)) = (now, next) else {
            return self.unless("audit", now.is_none() && next.is_none());
        };
        let Audit { file, stdout, key, when_full } = now;
        self.compare("audit.file", file, &next.file);
        self.compare("audit.stdout", stdout, &next.stdout);
        self.compare("audit.key", key, &next.key);
        self.compare("audit.when_full", when_full, &next.when_full);
    }

    fn tenants(&mut self, now: &[Tenant], next: &[Tenant]) -> Vec<Tenant> {
        for tenant in next {
            let is_known = now.iter().any(|known| known.id == tenant.id);
            self.unless(&format!("tenants: {} is new", tenant.id), is_known);
        }
        now.iter()
            .map(|tenant| match next.iter().find(|other| other.id == tenant.id) {
                Some(next) => self.tenant(tenant, next),
                None => {
                    self.0.push(format!("tenants: {} is gone", tenant.id));
                    without_keys_of(tenant, next)
                }
            })
            .collect()
    }

    fn tenant(&mut self, now: &Tenant, next: &Tenant) -> Tenant {
        let Tenant {
            id,
            name: _,
            default_country: _,
            default_lifetime: _,
            default_claims: _,
            required_claims: _,
            purposes: _,
            default_purpose: _,
            national_id_ground: _,
            default_language: _,
            quiet_hours: _,
            allow_read_out: _,
            outbound_calls_because: _,
            redirect_uris: _,
            guard: _,
            provider,
            fraud_webhook,
            webhooks: _,
            client_authorities: _,
            tokens: _,
            networks: _,
            clients: _,
        } = now;
        let path = format!("tenants.{id}.provider");
        self.compare(&format!("tenants.{id}.fraud_webhook"), fraud_webhook, &next.fraud_webhook);
        let (provider, fraud_webhook) = (self.provider(&path, provider, &next.provider), fraud_webhook.clone());
        Tenant { provider, fraud_webhook, ..next.clone() }
    }

    fn provider(&mut self, path: &str, now: &Provider, next: &Provider) -> Provider {
        let Provider {
            profile,
            issuer,
            client_id,
            client_secret: _,
            client_secret_next: _,
            subscription_key,
            authentication,
            merchant_serial_number,
            systems,
            signing_algorithms,
            request_timeout,
            poll_timeout,
            allow_insecure_hosts,
            additional_hosts,
            ca_certificates,
        } = now;
        let key = |name: &str| format!("{path}.{name}");
        self.compare(&key("profile, keys or login_hint"), profile, &next.profile);
        self.compare(&key("issuer"), issuer, &next.issuer);
        self.compare(&key("client_id"), client_id, &next.client_id);
        self.compare(&key("authentication"), authentication, &next.authentication);
        self.compare(&key("merchant_serial_number"), merchant_serial_number, &next.merchant_serial_number);
        self.compare(&key("system_name and what goes with it"), systems, &next.systems);
        self.compare(&key("signing_algorithms"), signing_algorithms, &next.signing_algorithms);
        self.compare(&key("request_timeout"), request_timeout, &next.request_timeout);
        self.compare(&key("poll_timeout"), poll_timeout, &next.poll_timeout);
        self.compare(&key("allow_insecure_hosts"), allow_insecure_hosts, &next.allow_insecure_hosts);
        self.compare(&key("additional_hosts"), additional_hosts, &next.additional_hosts);
        self.compare(&key("ca_file"), ca_certificates, &next.ca_certificates);
        let (client_secret, client_secret_next) = (next.client_secret.clone(), next.client_secret_next.clone());
        let subscription_key = match (subscription_key, &next.subscription_key) {
            (Some(_), Some(next)) => Some(next.clone()),
            (now, next) => {
                self.unless(&key("subscription_key"), now.is_some() == next.is_some());
                now.clone()
            }
        };
        Provider { client_secret, client_secret_next, subscription_key, ..now.clone() }
    }
}

/// A tenant that is gone from the file, less the keys that are other tenants' by
/// now: no key is of two clients, no name in tokens, and no webhook of two tenants.
fn without_keys_of(tenant: &Tenant, next: &[Tenant]) -> Tenant {
    let clients = next.iter().flat_map(|tenant| &tenant.clients);
    let taken: HashSet<_> = clients.flat_map(|client| &client.api_keys).map(|key| key.hash).collect();
    let is_same_realm = |other: &&Tenant| match (&tenant.tokens, &other.tokens) {
        (Some(own), Some(other)) => own.issuer == other.issuer && own.audience == other.audience,
        _ => false,
    };
    let clients = next.iter().filter(is_same_realm).flat_map(|tenant| &tenant.clients);
    let named: HashSet<_> = clients.flat_map(|client| &client.token_clients).collect();
    let hooks: HashSet<_> = next.iter().flat_map(|tenant| &tenant.webhooks).map(|webhook| &webhook.name).collect();
    let mut tenant = tenant.clone();
    tenant.webhooks.retain(|webhook| !hooks.contains(&webhook.name));
    for client in &mut tenant.clients {
        client.api_keys.retain(|key| !taken.contains(&key.hash));
        client.token_clients.retain(|name| !named.contains(name));
    }
    tenant
}

impl Grpc {
    /// Lets connections show certificates of the service's authorities and of those
    /// that tenants have.
    pub(super) fn accept_those_of(&mut self, tenants: &[Tenant]) {
        if let Some(ClientCertificates { authorities, accepted, .. }) =
            self.tls.as_mut().and_then(|tls| tls.clients.as_mut())
        {
            *accepted = authorities.clone();
            accepted.extend(tenants.iter().filter_map(|tenant| tenant.client_authorities.as_ref()));
        }
    }
}

fn is_same_place(one: &RedisPlace, other: &RedisPlace) -> bool {
    use RedisPlace::{Cluster, Sentinel, Standalone};
    match (one, other) {
        (Standalone(one), Standalone(other)) => one.expose_secret() == other.expose_secret(),
        (
            Sentinel { master, urls, access },
            Sentinel { master: other_master, urls: other_urls, access: other_access },
        ) => master == other_master && urls == other_urls && is_same_access(access, other_access),
        (Cluster(one), Cluster(other)) => one == other,
        (Standalone(_) | Sentinel { .. } | Cluster(_), _) => false,
    }
}

fn is_same_access(one: &RedisAccess, other: &RedisAccess) -> bool {
    let is_same_password = match (&one.password, &other.password) {
        (Some(one), Some(other)) => one.expose_secret() == other.expose_secret(),
        (None, None) => true,
        (Some(_), None) | (None, Some(_)) => false,
    };
    one.username == other.username && is_same_password
}
