//! The sections about the service itself: listeners, keys, limits, logs.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use secrecy::SecretString;

use super::section::{Section, Table};
use super::{
    Audit, CertificatePolicy, Certificates, ClientCertificates, Drain, Grpc, Http, IdentityWindow, Keys, Log,
    LogFormat, Proxies, ProxyHeader, SecretKey, Tls, WhenFull,
};

pub(super) const fn local(port: u16) -> SocketAddr {
    SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), port)
}

pub(super) const fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

impl Table for Grpc {
    fn read(section: &mut Section<'_>) -> Option<Self> {
        let has_tls = section.has("tls");
        let tls = section.table::<Tls>("tls");
        let listen = section.or("listen", local(50051));
        let plaintext = is_behind_a_proxy(section, "grpc.tls", has_tls, listen);
        let proxies = proxies(section, plaintext);
        Some(Self {
            listen,
            tls,
            proxies,
            reflection: section.or("reflection", false),
            max_concurrent_streams: section.within("max_concurrent_streams", 10_000, 1..=1_000_000),
            max_connections: section.within("max_connections", 20_000, 1..=1_000_000),
            max_connection_age: section.within("max_connection_age", seconds(1800), seconds(0)..=seconds(86_400)),
            max_connection_age_grace: section.within(
                "max_connection_age_grace",
                seconds(10),
                seconds(1)..=seconds(300),
            ),
            keepalive_interval: section.within("keepalive_interval", seconds(20), seconds(1)..=seconds(3600)),
            keepalive_timeout: section.within("keepalive_timeout", seconds(10), seconds(1)..=seconds(60)),
        })
    }
}

/// Whether a proxy in front of `listen` does TLS. A port that has neither that nor a
/// certificate of its own, in the section `tls`, is for this machine alone.
pub(super) fn is_behind_a_proxy(section: &mut Section<'_>, tls: &str, has_tls: bool, listen: SocketAddr) -> bool {
    let plaintext = section.agreed("plaintext", "behind-a-proxy");
    if has_tls && plaintext {
        section.wrong("plaintext", "contradicts tls; keep one of them");
    }
    if !has_tls && !plaintext && !listen.ip().is_loopback() {
        let problem = format!(
            "must be a loopback address without [{tls}]; \
             where a proxy in front does TLS, set plaintext = \"behind-a-proxy\""
        );
        section.wrong("listen", problem);
    }
    plaintext
}

/// Whom a header may be believed of.
fn proxies(section: &mut Section<'_>, is_behind_a_proxy: bool) -> Proxies {
    let (has_trusted, has_header) = (section.has("trusted_proxies"), section.has("proxy_header"));
    let trusted = section.list_of_some("trusted_proxies", "leave it out where no rule for networks needs it");
    let header = section.or("proxy_header", ProxyHeader::default());
    if has_trusted && !is_behind_a_proxy {
        section
            .wrong("trusted_proxies", "needs plaintext = \"behind-a-proxy\"; otherwise callers connect by themselves");
    }
    if has_header && !has_trusted {
        section.wrong("proxy_header", "needs trusted_proxies, without which no header is believed");
    }
    Proxies { trusted: trusted.unwrap_or_default(), header }
}

impl Section<'_> {
    /// A risk that is taken only by writing down what makes it none.
    pub(super) fn agreed(&mut self, key: &str, reason: &str) -> bool {
        let given: Option<String> = self.optional(key);
        self.check(key, given.as_ref(), |given| given == reason, &format!("must be \"{reason}\" or be left out"));
        given.is_some()
    }
}

impl Table for Tls {
    fn read(section: &mut Section<'_>) -> Option<Self> {
        let (certificates, key) = Self::read_pair(section);
        let clients = client_certificates(section);
        Some(Self { certificates: certificates?, key: key?, clients })
    }
}

impl Tls {
    /// The server's certificate and its key.
    pub(super) fn read_pair(section: &mut Section<'_>) -> (Option<Certificates>, Option<SecretString>) {
        for key in ["certificate_file", "key_file"] {
            section.need(key, "TLS needs a certificate and its key, both as PEM files");
        }
        (section.certificates("certificate_file"), section.private_key("key_file"))
    }
}

/// Tables that are read later: clients are asked for certificates, or need one.
pub(super) const CERTIFICATES_ASKED: &str = "clients are asked for certificates";
pub(super) const CERTIFICATES_REQUIRED: &str = "nobody connects without a certificate";

fn client_certificates(section: &mut Section<'_>) -> Option<ClientCertificates> {
    if section.has("client_certificates") {
        section.need("client_ca_file", "it says whose client certificates count");
    }
    if section.has("client_ca_file") {
        section.establish(CERTIFICATES_ASKED);
    }
    let policy = section.or("client_certificates", CertificatePolicy::default());
    if policy == CertificatePolicy::Required {
        section.establish(CERTIFICATES_REQUIRED);
    }
    let authorities = section.authorities("client_ca_file")?;
    Some(ClientCertificates { policy, accepted: authorities.clone(), authorities })
}

impl Table for Http {
    fn read(section: &mut Section<'_>) -> Option<Self> {
        Some(Self { listen: section.or("listen", local(9090)) })
    }
}

impl Table for Keys {
    fn read(section: &mut Section<'_>) -> Option<Self> {
        let hash_key = section.required_secret("hash_key", "hash_key_file");
        let hash_key = hash_key.and_then(|given| section.secret_key(&given));
        let other_hash_key = section.secret("other_hash_key", "other_hash_key_file");
        let other_hash_key = other_hash_key.and_then(|given| section.secret_key(&given));
        if let (Some(one), Some(other)) = (&hash_key, &other_hash_key)
            && one.expose() == other.expose()
        {
            section.wrong("other_hash_key", "must be another key than hash_key; leave it out when none is replaced");
        }
        let active_seal_key: Option<String> = section.required("active_seal_key");
        let SealKeys(seal_keys) = section.required_table("seal", "it holds the seal keys by name")?;
        let active_seal_key = active_seal_key?;
        if !seal_keys.contains_key(&active_seal_key) {
            section.wrong("active_seal_key", "must be the name of a key in [keys.seal]");
        }
        Some(Self { hash_key: hash_key?, other_hash_key, active_seal_key, seal_keys })
    }
}

struct SealKeys(BTreeMap<String, SecretKey>);

impl Table for SealKeys {
    fn read(section: &mut Section<'_>) -> Option<Self> {
        let mut keys = BTreeMap::new();
        for name in section.names() {
            let given = section.secret_or_file(&name);
            if !is_key_name(&name) {
                section.wrong(&name, "must be named with 1 to 32 lower-case letters, digits, hyphens and underscores");
            }
            if let Some(key) = given.and_then(|given| section.secret_key(&given)) {
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
        Some(Self(section.within("window", seconds(120), seconds(1)..=seconds(600))))
    }
}

impl Table for Drain {
    fn read(section: &mut Section<'_>) -> Option<Self> {
        let notice = section.within("notice", seconds(5), seconds(0)..=seconds(60));
        let limit = section.within("limit", seconds(25), seconds(1)..=seconds(300));
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

impl Table for Audit {
    fn read(section: &mut Section<'_>) -> Option<Self> {
        let has_file = section.has("file");
        let file: Option<PathBuf> = section.optional("file");
        let stdout = section.or("stdout", false);
        if !has_file && !stdout {
            section.wrong("file", "is missing; give a file, or stdout = true");
        }
        let key = section.required_secret("key", "key_file");
        let key = key.and_then(|given| section.secret_key(&given));
        let when_full = section.or("when_full", WhenFull::RefuseStarts);
        let file = file.map(|file| section.directory().join(file));
        Some(Self { file, stdout, key: key?, when_full })
    }
}
