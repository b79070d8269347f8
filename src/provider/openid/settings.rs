//! What an operator says about one credential at an OpenID provider.
//!
//! Plain values; reading them from a file is `config`'s work.

use std::collections::BTreeSet;
use std::time::Duration;

use openidconnect::IssuerUrl;
use secrecy::SecretString;

use crate::egress::NoClient;
use crate::egress::hosts::ForbiddenUrl;

/// One credential and how to reach its provider.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The issuer, character for character as the provider writes it: a slash at
    /// the end is part of its name.
    pub issuer: String,
    /// The client's name.
    pub client_id: String,
    /// The client's secret.
    pub client_secret: SecretString,
    /// The other one, while one replaces the other.
    pub client_secret_next: Option<SecretString>,
    /// How the client is registered to authenticate.
    pub authentication: ClientAuthentication,
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
    /// `client_secret_basic`.
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
    /// Partner keys without a merchant's sales unit.
    #[error("merchant_serial_number is needed with partner keys")]
    NoMerchant,
    /// `subscription_key` is missing where it is needed, is empty or has a character that HTTP cannot carry.
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

pub(in crate::provider) fn is_visible(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_graphic())
}

impl Settings {
    /// What can be judged by looking at one value alone.
    pub(in crate::provider) fn check_values(&self) -> Result<(), InvalidSettings> {
        if !is_visible(&self.client_id) || self.client_id.contains(':') {
            return Err(InvalidSettings::ClientId);
        }
        if self.signing_algorithms.is_empty() {
            return Err(InvalidSettings::NoAlgorithm);
        }
        if self.request_timeout.is_zero() || self.poll_timeout.is_zero() {
            return Err(InvalidSettings::Timeout);
        }
        Ok(())
    }

    /// The issuer as an address.
    pub(in crate::provider) fn issuer_url(&self) -> Result<IssuerUrl, InvalidSettings> {
        IssuerUrl::new(self.issuer.clone()).map_err(|_| InvalidSettings::Issuer)
    }
}
