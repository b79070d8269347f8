//! `[[tenants.clients]]`: a tenant's systems and what they prove themselves with.

use std::collections::BTreeSet;

use ipnet::IpNet;
use secrecy::ExposeSecret;
use serde::Deserialize;

use super::secrets::Given;
use super::section::{Section, Table};
use super::service::{CERTIFICATES_ASKED, CERTIFICATES_REQUIRED};
use super::tenant::{ASK_FOR_CERTIFICATES, own_authorities};
use super::tokens::{has_tokens, tokens_name_agents};
use super::{ApiKeyHash, CertificateName, ClientKey};
use crate::logins::Role;
use crate::session::{Channel, ClientId};

/// `[[tenants.clients]]`: one of a tenant's systems.
#[derive(Clone, Debug)]
pub struct Client {
    /// Its name within the tenant.
    pub id: ClientId,
    /// Where its people are; at least one.
    pub channels: BTreeSet<Channel>,
    /// What each of its callers may do beyond what everybody may.
    pub roles: BTreeSet<Role>,
    /// What it proves itself with; no two clients of any tenant share one. Empty
    /// only where there are certificates.
    pub api_keys: Vec<ClientKey>,
    /// What its certificates are known by; no two clients share one, unless their
    /// tenants have authorities of their own.
    pub certificates: Vec<CertificateName>,
    /// What the tenant's identity provider calls it in tokens; no two clients share
    /// one. Empty: tokens do not prove it.
    pub token_clients: BTreeSet<String>,
    /// How its agents are known.
    pub agents: AgentRule,
    /// What it may call; `None` for everything.
    pub calls: Option<BTreeSet<CallGroup>>,
    /// Where it calls from, within what the tenant says; empty for anywhere there.
    pub networks: Vec<IpNet>,
}

/// `tenants.clients.agents`: how a client's agents are known.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum AgentRule {
    /// By the client's word, or by a token.
    #[default]
    Named,
    /// By a token of the tenant's identity provider alone.
    Signed,
}

/// One or several calls of the API, as `tenants.clients.calls` lists them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum CallGroup {
    /// Asks whether a number can log in.
    Check,
    /// Has a phone asked.
    Start,
    /// Reads one login, once or as it changes.
    Read,
    /// Reads all logins of the tenant.
    WatchAll,
    /// Types a code.
    Confirm,
    /// Hands logins over.
    Transfer,
    /// Hands over what a page of redirect logins was given.
    Complete,
    /// Ends logins.
    Cancel,
    /// Removes what is known about a person.
    Erase,
    /// Makes, lists and removes shops' QR codes.
    ShopQrs,
    /// Hears who has scanned one.
    CheckIns,
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
        let reason = "a client proves itself by an API key, whose SHA-256 stands here, by one of its certificates, \
            or by a token that names one of its token_clients";
        if !section.has("certificates") && !section.has("token_clients") && !needs_certificate {
            section.need("api_keys", reason);
        }
        let api_keys = section.tables_if_any("api_keys", reason);
        let certificates =
            section.tables_if_any("certificates", "it names the client's certificates; leave it out for none");
        if !certificates.is_empty() && !section.is_established(CERTIFICATES_ASKED) {
            section.wrong("certificates", ASK_FOR_CERTIFICATES);
        }
        let certificates = certificates.into_iter().map(|ConfiguredCertificate(name)| name).collect();
        let roles = section.list("roles").unwrap_or_default().into_iter().collect();
        let token_clients = token_clients(section);
        let agents = section.or("agents", AgentRule::default());
        if agents == AgentRule::Signed && !section.is_established(&tokens_name_agents(tenant(section))) {
            section.wrong("agents", "needs [tenants.tokens] with an agent_claim, without which no agent can be proven");
        }
        let calls = section.list_of_some("calls", "leave it out to let the client call everything");
        let networks = section.list_of_some("networks", "leave it out to go by the tenant's alone");
        Some(Self {
            id: id?,
            channels: channels?.into_iter().collect(),
            roles,
            api_keys,
            certificates,
            token_clients,
            agents,
            calls: calls.map(|calls| calls.into_iter().collect()),
            networks: networks.unwrap_or_default(),
        })
    }
}

fn token_clients(section: &mut Section<'_>) -> BTreeSet<String> {
    let names = section.list_of_some("token_clients", "leave it out where no token proves this client");
    if names.is_some() && !section.is_established(&has_tokens(tenant(section))) {
        section.wrong("token_clients", "needs [tenants.tokens], which says whose tokens count");
    }
    names.unwrap_or_default().into_iter().collect()
}

/// The path of the tenant whose client is read.
fn tenant<'s>(section: &'s Section<'_>) -> &'s str {
    section.path().split_once(".clients").map_or("", |(tenant, _)| tenant)
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
    let tenant = tenant(section);
    let is_own = section.is_established(&own_authorities(tenant));
    format!("certificates of {}", if is_own { tenant } else { "all" })
}
