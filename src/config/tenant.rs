//! The tenants: companies, their credential at the provider, their systems.

use std::collections::BTreeSet;
use std::time::Duration;

use openidconnect::IssuerUrl;
use secrecy::ExposeSecret;
use url::Host;

use super::secrets::Given;
use super::section::{Section, Table};
use super::service::{CERTIFICATES_ASKED, CERTIFICATES_REQUIRED};
use super::{
    ApiKeyHash, CertificateName, Client, ClientAuthentication, ClientKey, Provider, SigningAlgorithm, Systems, Tenant,
};
use crate::identity::Claim;
use crate::session::{ClientId, TenantId};

/// The provider's shortest. A poll that takes longer would still be under way
/// when the next one is due.
const POLL_INTERVAL: Duration = seconds(5);

const fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

impl Table for Tenant {
    fn read(section: &mut Section<'_>) -> Option<Self> {
        let id: Option<TenantId> = section.required("id");
        if let Some(id) = &id {
            section.unique("id", "tenants", id.as_str());
        }
        let name = section.optional("name");
        // No default: a Danish and a Norwegian number look the same without it.
        let default_country = section.required("default_country");
        let default_lifetime = section.within("default_lifetime", seconds(300), seconds(60)..=seconds(600));
        let default_claims = section.list("default_claims").unwrap_or_else(|| vec![Claim::Name, Claim::PhoneNumber]);
        let allow_read_out = section.or("allow_read_out", false);
        let because = section.optional::<String>("outbound_calls_because");
        let is_a_reason = |text: &String| (10..=200).contains(&text.chars().count());
        section.check(
            "outbound_calls_because",
            because.as_ref(),
            is_a_reason,
            "must say in 10 to 200 characters why agents may call people and ask them to identify themselves",
        );
        let guard = section.table_or_defaults("guard");
        let provider = section.required_table("provider", "it holds the credential at Vipps MobilePay Login");
        let has_own_authorities = section.has("client_ca_file");
        let client_authorities = section.authorities("client_ca_file");
        if has_own_authorities {
            section.establish(own_authorities(section.path()));
            if !section.is_established(CERTIFICATES_ASKED) {
                section.wrong("client_ca_file", ASK_FOR_CERTIFICATES);
            }
        }
        let clients = section.tables("clients", "without one nobody can ask for a login");
        let id = id?;
        Some(Self {
            name: name.unwrap_or_else(|| id.to_string()),
            id,
            default_country: default_country?,
            default_lifetime,
            default_claims: default_claims.into_iter().collect(),
            allow_read_out,
            outbound_calls_because: because,
            guard: guard?,
            provider: provider?,
            client_authorities,
            clients,
        })
    }
}

const ASK_FOR_CERTIFICATES: &str = "needs grpc.tls.client_ca_file, without which no client is asked for a certificate";

/// Established by a tenant whose clients' certificates come from its own authorities.
fn own_authorities(tenant: &str) -> String {
    format!("{tenant} has authorities of its own")
}

impl Table for Provider {
    fn read(section: &mut Section<'_>) -> Option<Self> {
        let allow_insecure_hosts = section.or("allow_insecure_hosts", false);
        let issuer: Option<IssuerUrl> = section.required("issuer");
        if let Some(problem) = issuer.as_ref().and_then(|issuer| issuer_problem(issuer, allow_insecure_hosts)) {
            section.wrong("issuer", problem);
        }
        let client_id = section.required::<String>("client_id");
        let is_client_id = |id: &String| id.len() <= 255 && is_header_text(id);
        section.check("client_id", client_id.as_ref(), is_client_id, "must be at most 255 printable ASCII characters");
        let client_secret = section.required_secret("client_secret", "client_secret_file");
        let authentication = section.or("authentication", ClientAuthentication::Basic);
        let serial_number = section.optional::<String>("merchant_serial_number");
        let is_serial_number = |text: &String| text.len() <= 20 && text.bytes().all(|byte| byte.is_ascii_digit());
        section.check("merchant_serial_number", serial_number.as_ref(), is_serial_number, "must be up to 20 digits");
        let signing_algorithms = section.list_of_some("signing_algorithms", "leave it out for RS256 and ES256");
        let systems = Systems::read(section);
        Some(Self {
            authentication,
            merchant_serial_number: serial_number,
            systems,
            signing_algorithms: signing_algorithms.unwrap_or_else(|| SigningAlgorithm::ALL.to_vec()),
            request_timeout: section.within("request_timeout", seconds(10), seconds(1)..=seconds(30)),
            poll_timeout: section.within("poll_timeout", seconds(4), seconds(1)..=POLL_INTERVAL),
            allow_insecure_hosts,
            additional_hosts: additional_hosts(section),
            ca_certificates: section.certificates("ca_file"),
            issuer: issuer?,
            client_id: client_id?,
            client_secret: client_secret?.secret,
        })
    }
}

fn issuer_problem(issuer: &IssuerUrl, allow_insecure_hosts: bool) -> Option<&'static str> {
    let url = issuer.url();
    let plain = url.query().is_none() && url.fragment().is_none() && url.username().is_empty();
    match url.scheme() {
        _ if !plain || !url.has_host() => Some("must have a host, and no user, query or fragment"),
        "https" => None,
        "http" if allow_insecure_hosts => None,
        "http" => Some("must begin with https://; only tests set allow_insecure_hosts = true"),
        _ => Some("must begin with https://"),
    }
}

fn additional_hosts(section: &mut Section<'_>) -> Vec<String> {
    let hosts: Vec<String> = section.list("additional_hosts").unwrap_or_default();
    if hosts.iter().any(|host| Host::parse(host).is_err()) {
        section.wrong("additional_hosts", "must be host names, without scheme, port and path");
    }
    hosts.into_iter().map(|host| host.to_ascii_lowercase()).collect()
}

impl Systems {
    fn read(section: &mut Section<'_>) -> Self {
        Self {
            name: header(section, "system_name").unwrap_or_else(|| env!("CARGO_PKG_NAME").to_owned()),
            version: header(section, "system_version").unwrap_or_else(|| env!("CARGO_PKG_VERSION").to_owned()),
            plugin_name: header(section, "plugin_name"),
            plugin_version: header(section, "plugin_version"),
        }
    }
}

fn header(section: &mut Section<'_>, key: &str) -> Option<String> {
    let value = section.optional::<String>(key);
    let fits = |value: &String| value.len() <= 30 && is_header_text(value);
    section.check(key, value.as_ref(), fits, "must be 1 to 30 printable ASCII characters");
    value
}

fn is_header_text(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_graphic() || byte == b' ') && text.trim() == text
}

impl Table for Client {
    fn read(section: &mut Section<'_>) -> Option<Self> {
        let id: Option<ClientId> = section.required("id");
        if let Some(id) = &id {
            section.unique("id", section.list_path(), id.as_str());
        }
        let reason = "it names where the people are whom this client may log in";
        section.need("channels", reason);
        let channels = section.list_of_some("channels", reason);
        let needs_certificate = section.is_established(CERTIFICATES_REQUIRED);
        if needs_certificate {
            section.need("certificates", "grpc.tls.client_certificates lets nobody in without one");
        }
        let reason = "a client proves itself by an API key, whose SHA-256 stands here, or by one of its certificates";
        if !section.has("certificates") && !needs_certificate {
            section.need("api_keys", reason);
        }
        let api_keys = section.tables_if_any("api_keys", reason);
        let certificates =
            section.tables_if_any("certificates", "it names the client's certificates; leave it out for none");
        if !certificates.is_empty() && !section.is_established(CERTIFICATES_ASKED) {
            section.wrong("certificates", ASK_FOR_CERTIFICATES);
        }
        let certificates = certificates.into_iter().map(|ConfiguredCertificate(name)| name).collect();
        Some(Self { id: id?, channels: channels?.into_iter().collect::<BTreeSet<_>>(), api_keys, certificates })
    }
}

/// One item of `api_keys`.
impl Table for ClientKey {
    fn read(section: &mut Section<'_>) -> Option<Self> {
        let name = section.optional::<String>("name");
        let is_name = |name: &String| name.chars().count() <= 64 && !name.chars().any(char::is_control);
        section.check("name", name.as_ref(), is_name, "must be at most 64 characters in one line");
        if let Some(name) = &name {
            section.unique("name", section.list_path(), name);
        }
        let not_after = section.optional("not_after");
        let Given { key, secret } = section.required_secret("sha256", "sha256_file")?;
        let Some(hash) = ApiKeyHash::from_hex(secret.expose_secret().trim()) else {
            section.wrong(key, "must be the SHA-256 of an API key, in 64 hex digits; the key itself is kept nowhere");
            return None;
        };
        section.unique(key, "api_keys", &hash.to_string());
        Some(Self { name, hash, not_after })
    }
}

/// How a name of a certificate is read.
type ReadName = fn(&str) -> Option<CertificateName>;

/// What a certificate may be known by, and what is right there.
const WAYS: [(&str, ReadName, &str); 3] = [
    ("san_uri", CertificateName::uri, "must be a URI with its scheme, exactly as the certificate has it"),
    ("san_dns", CertificateName::dns, "must be a DNS name without wildcards"),
    ("sha256", CertificateName::sha256, "must be the SHA-256 of the certificate (DER), in 64 hex digits"),
];

/// One item of `certificates`.
struct ConfiguredCertificate(CertificateName);

impl Table for ConfiguredCertificate {
    fn read(section: &mut Section<'_>) -> Option<Self> {
        let given: Vec<_> = WAYS.iter().map(|(key, ..)| *key).filter(|key| section.has(key)).collect();
        let names = WAYS.map(|(key, read, problem)| {
            let text = section.optional::<String>(key)?;
            let name = read(&text);
            match &name {
                Some(name) => section.unique(key, &scope(section), &format!("{name:?}")),
                None => section.wrong(key, problem),
            }
            name
        });
        match given.as_slice() {
            [] => section.wrong("san_uri", "is missing; give one of san_uri, san_dns and sha256"),
            [_] => {}
            [first, second, ..] => section.wrong(second, format_args!("stands beside {first}; keep one of them")),
        }
        names.into_iter().flatten().next().map(Self)
    }
}

/// Within it each certificate is of one client: the tenant, where it has
/// authorities of its own.
fn scope(section: &Section<'_>) -> String {
    let tenant = section.path().split_once(".clients").map_or("", |(tenant, _)| tenant);
    let is_own = section.is_established(&own_authorities(tenant));
    format!("certificates of {}", if is_own { tenant } else { "all" })
}
