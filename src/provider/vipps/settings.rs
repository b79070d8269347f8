//! What an operator says about one credential at Vipps MobilePay Login.
//!
//! Plain values; reading them from a file is `config`'s work, and checking them
//! against each other is [`super::Vipps::new`]'s.

use std::collections::BTreeSet;
use std::time::Duration;

use secrecy::SecretString;

use crate::egress::NoClient;
use crate::egress::hosts::ForbiddenUrl;

/// The vendor's limit for each `Vipps-System-*` header.
const MAX_SYSTEM_HEADER: usize = 30;

/// One credential (a sales unit) and how to reach its provider.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The issuer, character for character as the provider writes it: a slash at
    /// the end is part of its name.
    pub issuer: String,
    /// `client_id` of the sales unit.
    pub client_id: String,
    /// `client_secret` of the sales unit.
    pub client_secret: SecretString,
    /// The other one, while one replaces the other.
    pub client_secret_next: Option<SecretString>,
    /// The subscription key of the vendor's platform, where its other APIs are used.
    pub subscription_key: Option<SecretString>,
    /// How the sales unit is registered to authenticate.
    pub authentication: ClientAuthentication,
    /// `Merchant-Serial-Number`, sent for the vendor's fault finding.
    pub merchant_serial_number: Option<String>,
    /// Who calls, for the vendor's fault finding.
    pub system: SystemHeaders,
    /// The only algorithms an ID token may be signed with; never empty.
    pub signing_algorithms: BTreeSet<SigningAlgorithm>,
    /// How long one request may take, from connecting to the last byte.
    pub request_timeout: Duration,
    /// How long one poll may take altogether; at most one poll interval.
    pub poll_timeout: Duration,
    /// Hosts besides the issuer's that discovery may name.
    pub additional_hosts: BTreeSet<String>,
    /// Allows `http` and loopback and private addresses: for the simulator alone.
    pub allow_insecure_hosts: bool,
    /// Certificates (PEM) trusted in addition to the system's.
    pub extra_root_ca_pem: Option<String>,
    /// `User-Agent`.
    pub user_agent: String,
}

/// The registered client authentication method. Exactly one is used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClientAuthentication {
    /// `client_secret_basic`, the vendor's default.
    SecretBasic,
    /// `client_secret_post`.
    SecretPost,
}

/// A signature algorithm that an ID token may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum SigningAlgorithm {
    /// RSASSA-PKCS1-v1_5 with SHA-256.
    Rs256,
    /// ECDSA on P-256 with SHA-256.
    Es256,
}

/// The `Vipps-System-*` headers, each at most 30 characters.
#[derive(Clone, Debug, Default)]
pub struct SystemHeaders {
    /// `Vipps-System-Name`.
    pub name: Option<String>,
    /// `Vipps-System-Version`.
    pub version: Option<String>,
    /// `Vipps-System-Plugin-Name`.
    pub plugin_name: Option<String>,
    /// `Vipps-System-Plugin-Version`.
    pub plugin_version: Option<String>,
}

impl SystemHeaders {
    /// The headers that are set, by their names on the wire.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&'static str, &str)> {
        [
            ("vipps-system-name", &self.name),
            ("vipps-system-version", &self.version),
            ("vipps-system-plugin-name", &self.plugin_name),
            ("vipps-system-plugin-version", &self.plugin_version),
        ]
        .into_iter()
        .filter_map(|(name, value)| Some((name, value.as_deref()?)))
    }
}

/// Settings that cannot work, in words for an operator; free of secrets.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidSettings {
    /// Not an absolute URL without query, fragment and user.
    #[error("issuer must be an absolute URL without query, fragment and user name")]
    Issuer,
    /// The issuer's own address is not allowed.
    #[error("issuer: {0}")]
    IssuerAddress(#[from] ForbiddenUrl),
    /// `client_id` is empty or has a character that HTTP Basic cannot carry.
    #[error("client_id must be 1 or more visible ASCII characters without a colon")]
    ClientId,
    /// `client_secret` is empty or has a character that HTTP cannot carry.
    #[error("client_secret must be 1 or more visible ASCII characters")]
    ClientSecret,
    /// `subscription_key` is empty or has a character that HTTP cannot carry.
    #[error("subscription_key must be 1 or more visible ASCII characters")]
    SubscriptionKey,
    /// A header value that is too long or cannot be sent.
    #[error("{0} must be 1 to 30 visible ASCII characters or spaces")]
    Header(&'static str),
    /// No algorithm would let any ID token pass.
    #[error("signing_algorithms must name RS256, ES256 or both")]
    NoAlgorithm,
    /// A time-out of nothing.
    #[error("request_timeout and poll_timeout must be longer than zero")]
    Timeout,
    /// The extra root certificates are no certificates.
    #[error("extra_root_ca_pem holds no readable PEM certificate")]
    RootCertificates,
    /// The process has installed no TLS implementation, or it has no roots.
    #[error("TLS cannot be set up: {0}")]
    Tls(String),
}

impl From<NoClient> for InvalidSettings {
    fn from(problem: NoClient) -> Self {
        match problem {
            NoClient::RootCertificates => Self::RootCertificates,
            NoClient::Tls(why) => Self::Tls(why),
        }
    }
}

pub(super) fn is_visible(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_graphic())
}

impl Settings {
    /// What can be judged by looking at one value alone.
    pub(super) fn check_values(&self) -> Result<(), InvalidSettings> {
        if !is_visible(&self.client_id) || self.client_id.contains(':') {
            return Err(InvalidSettings::ClientId);
        }
        if self.signing_algorithms.is_empty() {
            return Err(InvalidSettings::NoAlgorithm);
        }
        if self.request_timeout.is_zero() || self.poll_timeout.is_zero() {
            return Err(InvalidSettings::Timeout);
        }
        let serial_number = self.merchant_serial_number.as_deref().map(|value| ("merchant-serial-number", value));
        let is_header = |text: &str| text.trim() == text && text.bytes().all(|b| b.is_ascii_graphic() || b == b' ');
        match self
            .system
            .iter()
            .chain(serial_number)
            .find(|(_, value)| value.is_empty() || value.len() > MAX_SYSTEM_HEADER || !is_header(value))
        {
            Some((name, _)) => Err(InvalidSettings::Header(name)),
            None => Ok(()),
        }
    }
}
