//! The sections about the service itself: listeners, store, keys, limits, logs.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use url::{Host, Url};

use super::section::{Section, Table};
use super::{Drain, Grpc, Guard, Http, IdentityWindow, Keys, Log, LogFormat, Redis, SecretKey, Store, Tls};

const fn local(port: u16) -> SocketAddr {
    SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), port)
}

const fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

impl Table for Grpc {
    fn read(section: &mut Section<'_>) -> Option<Self> {
        let has_tls = section.has("tls");
        let tls = section.table::<Tls>("tls");
        let listen = section.or("listen", local(50051));
        let plaintext = section.agreed("plaintext", "behind-a-proxy");
        if has_tls && plaintext {
            section.wrong("plaintext", "contradicts tls; keep one of them");
        }
        if !has_tls && !plaintext && !listen.ip().is_loopback() {
            section.wrong(
                "listen",
                "must be a loopback address without [grpc.tls]; \
                 where a proxy in front does TLS, set plaintext = \"behind-a-proxy\"",
            );
        }
        Some(Self {
            listen,
            tls,
            reflection: section.or("reflection", false),
            max_concurrent_streams: section.within(
                "max_concurrent_streams",
                10_000,
                1..=1_000_000,
                "between 1 and 1000000",
            ),
            keepalive_interval: section.within(
                "keepalive_interval",
                seconds(20),
                seconds(1)..=seconds(3600),
                "between 1s and 1h",
            ),
            keepalive_timeout: section.within(
                "keepalive_timeout",
                seconds(10),
                seconds(1)..=seconds(60),
                "between 1s and 1m",
            ),
        })
    }
}

impl Section<'_> {
    /// A risk that is taken only by writing down what makes it none.
    fn agreed(&mut self, key: &str, reason: &str) -> bool {
        let given: Option<String> = self.optional(key);
        if given.as_ref().is_some_and(|given| given != reason) {
            self.wrong(key, format_args!("must be \"{reason}\" or be left out"));
        }
        given.is_some()
    }
}

impl Table for Tls {
    fn read(section: &mut Section<'_>) -> Option<Self> {
        for key in ["certificate_file", "key_file"] {
            if !section.has(key) {
                section.missing(key, "TLS needs a certificate and its key, both as PEM files");
            }
        }
        let certificates = section.certificates("certificate_file");
        let key = section.private_key("key_file");
        Some(Self { certificates: certificates?, key: key? })
    }
}

impl Table for Http {
    fn read(section: &mut Section<'_>) -> Option<Self> {
        Some(Self { listen: section.or("listen", local(9090)) })
    }
}

/// Where logins are kept.
#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum StoreKind {
    Redis,
    Memory,
}

/// `[store]` by itself; `[keys]` joins it in [`super::Config`].
pub(super) enum StoreSection {
    Memory,
    Redis { url: SecretString, connect_timeout: Duration, response_timeout: Duration },
}

impl StoreSection {
    pub(super) fn with_keys(self, keys: Option<Keys>) -> Option<Store> {
        match self {
            Self::Memory => Some(Store::Memory),
            Self::Redis { url, connect_timeout, response_timeout } => {
                Some(Store::Redis(Redis { url, connect_timeout, response_timeout, keys: keys? }))
            }
        }
    }
}

impl Table for StoreSection {
    fn read(section: &mut Section<'_>) -> Option<Self> {
        let kind: Option<StoreKind> = section.required("kind");
        let key = if section.has("url") { "url" } else { "url_file" };
        let url = match kind {
            Some(StoreKind::Redis) => section.required_secret("url", "url_file"),
            Some(StoreKind::Memory) | None => section.secret("url", "url_file"),
        };
        let trusted = section.agreed("plaintext", "trusted-network");
        if let Some(problem) = url.as_ref().and_then(|url| redis_problem(url.expose_secret(), trusted)) {
            section.wrong(key, problem);
        }
        let (bounds, words) = (Duration::from_millis(50)..=seconds(30), "between 50ms and 30s");
        let connect_timeout = section.within("connect_timeout", seconds(2), bounds.clone(), words);
        let response_timeout = section.within("response_timeout", seconds(1), bounds, words);
        match kind? {
            StoreKind::Memory => Some(Self::Memory),
            StoreKind::Redis => Some(Self::Redis { url: url?, connect_timeout, response_timeout }),
        }
    }
}

fn redis_problem(text: &str, trusted: bool) -> Option<&'static str> {
    let Ok(url) = Url::parse(text) else {
        return Some("must be a URL, as rediss://user:password@host:6379/0");
    };
    match url.scheme() {
        "rediss" => None,
        "redis" if trusted || is_loopback(&url) => None,
        "redis" => Some(
            "must begin with rediss:// unless it is on this machine; \
             where the network between is trusted, set plaintext = \"trusted-network\"",
        ),
        _ => Some("must begin with rediss:// or redis://"),
    }
}

/// URLs of other schemes than the web's keep an IPv4 address as a name.
fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => {
            name == "localhost" || name.parse().is_ok_and(|address: Ipv4Addr| address.is_loopback())
        }
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}

impl Table for Keys {
    fn read(section: &mut Section<'_>) -> Option<Self> {
        let hash_key_key = if section.has("hash_key") { "hash_key" } else { "hash_key_file" };
        let hash_key = section.required_secret("hash_key", "hash_key_file");
        let hash_key = hash_key.and_then(|secret| section.secret_key(hash_key_key, &secret));
        let active_seal_key: Option<String> = section.required("active_seal_key");
        let SealKeys(seal_keys) = section.required_table("seal", "it holds the seal keys by name")?;
        let active_seal_key = active_seal_key?;
        if !seal_keys.contains_key(&active_seal_key) {
            section.wrong("active_seal_key", "must be the name of a key in [keys.seal]");
        }
        Some(Self { hash_key: hash_key?, active_seal_key, seal_keys })
    }
}

struct SealKeys(BTreeMap<String, SecretKey>);

impl Table for SealKeys {
    fn read(section: &mut Section<'_>) -> Option<Self> {
        let mut keys = BTreeMap::new();
        for name in section.names() {
            let secret = section.secret_or_file(&name);
            if !is_key_name(&name) {
                section.wrong(&name, "must be named with 1 to 32 lower-case letters, digits, hyphens and underscores");
            }
            if let Some(key) = secret.and_then(|secret| section.secret_key(&name, &secret)) {
                keys.insert(name, key);
            }
        }
        Some(Self(keys))
    }
}

/// Lower case, so that an environment variable can name it.
fn is_key_name(name: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'-' | b'_');
    (1..=32).contains(&name.len()) && name.bytes().all(allowed)
}

impl Table for IdentityWindow {
    fn read(section: &mut Section<'_>) -> Option<Self> {
        Some(Self(section.within("window", seconds(120), seconds(1)..=seconds(600), "between 1s and 10m")))
    }
}

impl Table for Drain {
    fn read(section: &mut Section<'_>) -> Option<Self> {
        let notice = section.within("notice", seconds(5), seconds(0)..=seconds(60), "at most 1m");
        let limit = section.within("limit", seconds(25), seconds(1)..=seconds(300), "between 1s and 5m");
        if notice >= limit {
            section.wrong("limit", "must be longer than notice, which is part of it");
        }
        Some(Self { notice, limit })
    }
}

impl Table for Log {
    fn read(section: &mut Section<'_>) -> Option<Self> {
        let format = section.or("format", LogFormat::Text);
        let filter = section.or("filter", "info".to_owned());
        if tracing_subscriber::EnvFilter::try_new(&filter).is_err() {
            section.wrong("filter", "must be a level, or levels by module, such as \"info,ciba_gateway=debug\"");
        }
        Some(Self { format, filter })
    }
}

impl Table for Guard {
    fn read(section: &mut Section<'_>) -> Option<Self> {
        // Whatever is set, no number rings more than five times a minute.
        Some(Self {
            starts_per_number: section.within("starts_per_number", 3, 1..=5, "between 1 and 5"),
            per: section.within("per", seconds(600), seconds(60)..=seconds(86_400), "between 1m and 24h"),
        })
    }
}
