//! `[tenants.fraud_webhook]`: where a tenant hears of what looks like fraud.

use std::collections::BTreeSet;
use std::fmt;
use std::time::Duration;

use secrecy::ExposeSecret;
use url::Url;

use super::Certificates;
use super::secrets::Given;
use super::section::{Section, Table};
use super::service::seconds;
use crate::fraud::{Kind, Secret};

/// `[tenants.fraud_webhook]`
#[derive(Clone, PartialEq, Eq)]
pub struct FraudWebhook {
    /// Where signals are posted; https, without query, fragment and user. May have a
    /// secret in its path.
    pub url: Url,
    /// What signs them: one, or two while one replaces the other.
    pub secrets: Vec<Secret>,
    /// Which signals; at least one.
    pub signals: BTreeSet<Kind>,
    /// How long one attempt may take.
    pub timeout: Duration,
    /// Whether the host may be in a private network.
    pub allow_private_addresses: bool,
    /// Trusted instead of the public certificate authorities.
    pub ca_certificates: Option<Certificates>,
}

impl Table for FraudWebhook {
    fn read(section: &mut Section<'_>) -> Option<Self> {
        let url: Option<Url> = section.required("url");
        section.check("url", url.as_ref(), is_plain, "must have no user name, query or fragment");
        section.check("url", url.as_ref(), |url| url.scheme() == "https", "must begin with https://");
        let given = section.required_secret("secret", "secret_file");
        let secret = given.and_then(|given| webhook_secret(section, &given));
        let given = section.secret("secret_next", "secret_next_file");
        let next = given.and_then(|given| webhook_secret(section, &given));
        if next.is_some() && next == secret {
            section.wrong("secret_next", "is the same secret as the first one");
        }
        let signals = section.list_of_some("signals", "leave it out for all");
        Some(Self {
            signals: signals.map_or_else(|| Kind::ALL.into(), BTreeSet::from_iter),
            timeout: section.within("timeout", seconds(5), seconds(1)..=seconds(30)),
            allow_private_addresses: section.or("allow_private_addresses", false),
            ca_certificates: section.certificates("ca_file"),
            url: url?,
            secrets: [secret?].into_iter().chain(next).collect(),
        })
    }
}

fn is_plain(url: &Url) -> bool {
    let has_user = !url.username().is_empty() || url.password().is_some();
    !has_user && url.query().is_none() && url.fragment().is_none()
}

fn webhook_secret(section: &Section<'_>, Given { key, secret }: &Given<'_>) -> Option<Secret> {
    let parsed = Secret::parse(secret.expose_secret());
    if parsed.is_none() {
        section.wrong(key, "must be whsec_ and 24 to 64 bytes in base64, as `ciba-gateway keys new webhook` gives it");
    }
    parsed
}

impl fmt::Debug for FraudWebhook {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FraudWebhook").field("host", &self.url.host_str()).field("signals", &self.signals).finish()
    }
}
