//! `[tenants.tokens]`: tokens of the tenant's own identity provider.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::time::Duration;

use openidconnect::IssuerUrl;
use serde::Deserialize;
use url::Url;

use super::Certificates;
use super::provider::{additional_hosts, issuer_problem};
use super::section::{Section, Table};
use super::service::seconds;
use crate::logins::Role;

/// `[tenants.tokens]`: whose tokens prove the tenant's clients and agents.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tokens {
    /// As the tokens write it; https unless `allow_insecure_hosts`.
    pub issuer: IssuerUrl,
    /// What the identity provider calls the gateway.
    pub audience: String,
    /// Where the keys are that it signs with.
    pub keys: TokenKeys,
    /// How often they are fetched again; 1 s to 1 h.
    pub keys_max_age: Duration,
    /// How long they count while they cannot be fetched; 1 s to 24 h.
    pub keys_kept: Duration,
    /// What tokens may be signed with; at least one.
    pub algorithms: BTreeSet<TokenAlgorithm>,
    /// How far its clock and ours may be apart; at most 2 min.
    pub clock_skew: Duration,
    /// From a token's making to its end, at most; 1 min to 24 h.
    pub longest_lifetime: Duration,
    /// The claim that names the client; `None` for `azp`, or else `client_id`.
    pub client_claim: Option<String>,
    /// The claim that names the agent; `None`: no token does.
    pub agent_claim: Option<String>,
    /// The claim that lists roles.
    pub roles_claim: Option<String>,
    /// What the identity provider calls our roles.
    pub roles: BTreeMap<Role, BTreeSet<String>>,
    /// Lets private addresses through, by https.
    pub allow_private_addresses: bool,
    /// Lets plain http and private addresses through, for tests.
    pub allow_insecure_hosts: bool,
    /// Hosts besides the issuer's that discovery may point to; lower case.
    pub additional_hosts: Vec<String>,
    /// Trusted besides the public certificate authorities.
    pub ca_certificates: Option<Certificates>,
}

/// Where an identity provider's keys are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TokenKeys {
    /// Where its metadata says (OpenID Connect Discovery 1.0).
    Discovery,
    /// There.
    At(Url),
    /// In a file, which is read again and again.
    File(PathBuf),
}

/// What tokens may be signed with (RFC 7518, section 3.1; RFC 8037).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
pub enum TokenAlgorithm {
    /// RSA with SHA-256.
    #[serde(rename = "RS256")]
    Rs256,
    /// RSA-PSS with SHA-256.
    #[serde(rename = "PS256")]
    Ps256,
    /// P-256 with SHA-256.
    #[serde(rename = "ES256")]
    Es256,
    /// P-384 with SHA-384.
    #[serde(rename = "ES384")]
    Es384,
    /// Ed25519.
    #[serde(rename = "EdDSA")]
    EdDsa,
}

impl Table for Tokens {
    fn read(section: &mut Section<'_>) -> Option<Self> {
        let allow_insecure_hosts = section.or("allow_insecure_hosts", false);
        let issuer: Option<IssuerUrl> = section.required("issuer");
        if let Some(problem) = issuer.as_ref().and_then(|issuer| issuer_problem(issuer, allow_insecure_hosts)) {
            section.wrong("issuer", problem);
        }
        let audience: Option<String> = section.required("audience");
        let keys = keys(section, allow_insecure_hosts);
        let reason = "leave it out for RS256 and ES256";
        let algorithms = section.list_of_some("algorithms", reason);
        let algorithms = algorithms.unwrap_or_else(|| vec![TokenAlgorithm::Rs256, TokenAlgorithm::Es256]);
        let keys_max_age = section.within("keys_max_age", seconds(300), seconds(1)..=seconds(3600));
        let keys_kept = section.within("keys_kept", seconds(3600), seconds(1)..=seconds(86_400));
        if keys_kept < keys_max_age {
            section.wrong("keys_kept", "must not be shorter than keys_max_age");
        }
        let roles_claim: Option<String> = section.optional("roles_claim");
        if section.has("roles") && roles_claim.is_none() {
            section
                .wrong("roles_claim", "is missing; it names the claim in which [tenants.tokens.roles] are looked for");
        }
        let roles = section.table("roles").map(|Roles(roles)| roles).unwrap_or_default();
        if roles_claim.is_some() && roles.is_empty() {
            section.wrong("roles", "is missing; it says what the identity provider calls our roles");
        }
        let clock_skew = section.within("clock_skew", seconds(30), seconds(0)..=seconds(120));
        let longest_lifetime = section.within("longest_lifetime", seconds(7200), seconds(60)..=seconds(86_400));
        let (client_claim, agent_claim) = (section.optional("client_claim"), section.optional("agent_claim"));
        let allow_private_addresses = section.or("allow_private_addresses", false);
        let additional_hosts = additional_hosts(section);
        let ca_certificates = section.certificates("ca_file");
        Some(Self {
            issuer: issuer?,
            audience: audience?,
            keys: keys?,
            keys_max_age,
            keys_kept,
            algorithms: algorithms.into_iter().collect(),
            clock_skew,
            longest_lifetime,
            client_claim,
            agent_claim,
            roles_claim,
            roles,
            allow_private_addresses,
            allow_insecure_hosts,
            additional_hosts,
            ca_certificates,
        })
    }
}

fn keys(section: &mut Section<'_>, allow_insecure_hosts: bool) -> Option<TokenKeys> {
    let (at_address, in_file) = (section.has("jwks_uri"), section.has("jwks_file"));
    let address: Option<String> = section.optional("jwks_uri");
    let file: Option<PathBuf> = section.optional("jwks_file");
    if at_address && in_file {
        section.wrong("jwks_file", "stands beside jwks_uri; keep one of them, or none for the issuer's own metadata");
    }
    if let Some(address) = address {
        let url = Url::parse(&address).ok().filter(|url| is_key_address(url, allow_insecure_hosts));
        if url.is_none() {
            section.wrong("jwks_uri", "must be an https:// URL without query, fragment and user name");
        }
        return url.map(TokenKeys::At);
    }
    if in_file {
        return file.map(|file| TokenKeys::File(section.directory().join(file)));
    }
    (!at_address).then_some(TokenKeys::Discovery)
}

fn is_key_address(url: &Url, allow_insecure_hosts: bool) -> bool {
    let has_scheme = url.scheme() == "https" || (allow_insecure_hosts && url.scheme() == "http");
    let is_plain = url.query().is_none() && url.fragment().is_none() && url.username().is_empty();
    has_scheme && is_plain && url.password().is_none() && url.has_host()
}

/// `[tenants.tokens.roles]`
struct Roles(BTreeMap<Role, BTreeSet<String>>);

impl Table for Roles {
    fn read(section: &mut Section<'_>) -> Option<Self> {
        let mut roles = BTreeMap::new();
        for (key, role) in [("supervisor", Role::Supervisor), ("national-id", Role::NationalId)] {
            let names = section.list_of_some(key, "it lists what the identity provider calls the role");
            if let Some(names) = names {
                roles.insert(role, names.into_iter().collect());
            }
        }
        Some(Self(roles))
    }
}

/// Established by a tenant whose clients and agents may be proven by tokens.
pub(super) fn has_tokens(tenant: &str) -> String {
    format!("{tenant} has tokens")
}

/// Established by a tenant whose tokens name agents.
pub(super) fn tokens_name_agents(tenant: &str) -> String {
    format!("{tenant} has tokens that name agents")
}

/// Within it a client of a token is one client of ours: those who are named by the
/// same issuer to the same audience.
pub(super) fn scope(tokens: &Tokens) -> String {
    format!("clients of {} for {}", tokens.issuer.as_str(), tokens.audience)
}
