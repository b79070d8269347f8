//! `[tenants.provider]`: the credential at the OpenID provider.

use std::time::Duration;

use openidconnect::IssuerUrl;
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use url::Host;

use super::Certificates;
use super::section::{Section, Table};
use super::service::seconds;

/// The provider's shortest. A poll that takes longer would still be under way
/// when the next one is due.
const POLL_INTERVAL: Duration = seconds(5);

/// `[tenants.provider]`: one credential (sales unit) at the OpenID provider.
#[derive(Clone, Debug)]
pub struct Provider {
    /// What it does beyond the standard.
    pub profile: Profile,
    /// As its ID tokens write it; https unless `allow_insecure_hosts`.
    pub issuer: IssuerUrl,
    /// The credential's name.
    pub client_id: String,
    /// The credential's secret.
    pub client_secret: SecretString,
    /// The one that follows it, or the one that it followed: tried where the provider
    /// refuses the other.
    pub client_secret_next: Option<SecretString>,
    /// For the vendor's other APIs; `None` where they are not used.
    pub subscription_key: Option<SecretString>,
    /// How the two are sent.
    pub authentication: ClientAuthentication,
    /// The sales unit's number, sent along for the provider's support.
    pub merchant_serial_number: Option<String>,
    /// Who we are, for the provider's support.
    pub systems: Systems,
    /// What ID tokens may be signed with; at least one.
    pub signing_algorithms: Vec<SigningAlgorithm>,
    /// For everything but polls.
    pub request_timeout: Duration,
    /// For one poll; at most the provider's interval.
    pub poll_timeout: Duration,
    /// Lets plain http and private addresses through, for tests.
    pub allow_insecure_hosts: bool,
    /// Hosts besides the issuer's that discovery may point to; lower case.
    pub additional_hosts: Vec<String>,
    /// Trusted instead of the public certificate authorities.
    pub ca_certificates: Option<Certificates>,
}

/// What a provider does beyond the standard.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Profile {
    /// Vipps MobilePay Login.
    Vipps {
        /// Whose the credential is.
        keys: Keys,
    },
    /// Any other one.
    Generic {
        /// How it wants a number in `login_hint`.
        login_hint: LoginHint,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum ProfileName {
    Vipps,
    Generic,
}

/// Whose a credential at Vipps is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Keys {
    /// One sales unit's.
    SalesUnit,
    /// A partner's, for many merchants.
    Partner,
}

/// How a number is written in `login_hint`; `{msisdn}` are country code and number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
pub enum LoginHint {
    /// Digits alone.
    #[serde(rename = "{msisdn}")]
    Digits,
    /// E.164.
    #[serde(rename = "+{msisdn}")]
    Plus,
    /// As Vipps has it.
    #[serde(rename = "urn:msisdn:{msisdn}")]
    Urn,
    /// RFC 3966.
    #[serde(rename = "tel:+{msisdn}")]
    Tel,
}

/// The provider's `Vipps-System-*` headers; each 1 to 30 ASCII characters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Systems {
    /// `Vipps-System-Name`
    pub name: String,
    /// `Vipps-System-Version`
    pub version: String,
    /// `Vipps-System-Plugin-Name`
    pub plugin_name: Option<String>,
    /// `Vipps-System-Plugin-Version`
    pub plugin_version: Option<String>,
}

/// How a client authenticates at the provider (OpenID Connect Core, section 9).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
pub enum ClientAuthentication {
    /// In the `Authorization` header.
    #[serde(rename = "client_secret_basic")]
    Basic,
    /// In the body.
    #[serde(rename = "client_secret_post")]
    Post,
}

/// What ID tokens may be signed with (RFC 7518, section 3.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Deserialize)]
pub enum SigningAlgorithm {
    /// RSA with SHA-256.
    #[serde(rename = "RS256")]
    Rs256,
    /// P-256 with SHA-256.
    #[serde(rename = "ES256")]
    Es256,
}

impl SigningAlgorithm {
    /// Every one that this gateway can verify.
    pub const ALL: [Self; 2] = [Self::Rs256, Self::Es256];
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
        let client_secret_next = section.secret("client_secret_next", "client_secret_next_file");
        let profile = profile(section);
        if profile == Some(Profile::Vipps { keys: Keys::Partner }) && !section.has("subscription_key_file") {
            section.need(
                "subscription_key",
                "with keys = \"partner\" it gets the access token; or give subscription_key_file",
            );
        }
        let subscription_key = section.secret("subscription_key", "subscription_key_file");
        if let Some(given) = &subscription_key {
            let is_key = |key: &str| key.bytes().all(|byte| byte.is_ascii_graphic()) && (1..=255).contains(&key.len());
            let problem = "must be 1 to 255 visible ASCII characters";
            section.check(given.key, Some(&given.secret), |key| is_key(key.expose_secret()), problem);
        }
        let authentication = section.or("authentication", ClientAuthentication::Basic);
        let serial_number = section.optional::<String>("merchant_serial_number");
        let is_serial_number = |text: &String| text.len() <= 20 && text.bytes().all(|byte| byte.is_ascii_digit());
        section.check("merchant_serial_number", serial_number.as_ref(), is_serial_number, "must be up to 20 digits");
        let signing_algorithms = section.list_of_some("signing_algorithms", "leave it out for RS256 and ES256");
        let systems = Systems::read(section);
        Some(Self {
            profile: profile?,
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
            client_secret_next: client_secret_next.map(|given| given.secret),
            subscription_key: subscription_key.map(|given| given.secret),
        })
    }
}

/// What only one of the profiles has. Reads no setting of the others' but to refuse it.
fn profile(section: &mut Section<'_>) -> Option<Profile> {
    if section.or("profile", ProfileName::Vipps) == ProfileName::Generic {
        for key in VIPPS_ALONE.into_iter().filter(|key| section.has(key)).collect::<Vec<_>>() {
            section.overrule(key);
            section.wrong(key, "is for Vipps MobilePay Login; leave it out with profile = \"generic\"");
        }
        return section.required("login_hint").map(|login_hint| Profile::Generic { login_hint });
    }
    let has_hint = section.has("login_hint");
    section.overrule("login_hint");
    if has_hint {
        section.wrong("login_hint", "goes with profile = \"generic\"; Vipps MobilePay Login has a form of its own");
    }
    let keys = section.or("keys", Keys::SalesUnit);
    if keys == Keys::Partner {
        let reason = "with keys = \"partner\" it says for which merchant a login is";
        section.need("merchant_serial_number", reason);
        if section.has("authentication") {
            section.overrule("authentication");
            section.wrong("authentication", "is not for keys = \"partner\", which are shown as an access token");
        }
    }
    Some(Profile::Vipps { keys })
}

const VIPPS_ALONE: [&str; 8] = [
    "keys",
    "merchant_serial_number",
    "subscription_key",
    "subscription_key_file",
    "system_name",
    "system_version",
    "plugin_name",
    "plugin_version",
];

pub(super) fn issuer_problem(issuer: &IssuerUrl, allow_insecure_hosts: bool) -> Option<&'static str> {
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

pub(super) fn additional_hosts(section: &mut Section<'_>) -> Vec<String> {
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
