//! One HTTP exchange with a tenant's fraud desk.
//!
//! Knows whom to call and how an answer reads. When to call, and again, is `desk`'s
//! to say.

use std::time::Duration;

use async_trait::async_trait;
use reqwest::header::{CONTENT_TYPE, HeaderMap, RETRY_AFTER};
use reqwest::{Client, StatusCode};
use url::Url;

use super::desk::{Answer, Post};
use super::message::{Message, Secret};
use crate::ciba::Reply;
use crate::clock::Clock;
use crate::egress::hosts::{AllowedHosts, ForbiddenUrl, is_public};
use crate::egress::{self, Bounds, NoClient};

/// Of an answer only the status counts; the rest is read so that the connection
/// can be used again.
const MAX_ANSWER: usize = 16 * 1024;

/// What an operator says about one tenant's webhook.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Where signals are posted: https, without query, fragment and user. Its host
    /// is the only one that is called.
    pub url: Url,
    /// Each signs; at least one.
    pub secrets: Vec<Secret>,
    /// How long one attempt may take, from connecting to the last byte.
    pub timeout: Duration,
    /// Whether the host may be in a private network.
    pub allow_private_addresses: bool,
    /// Certificates (PEM) trusted in addition to the system's.
    pub extra_root_ca_pem: Option<String>,
}

/// Settings that cannot work, in words for an operator; free of secrets.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidSettings {
    /// The URL may not be called.
    #[error("url {0}")]
    Url(#[from] ForbiddenUrl),
    /// There is no HTTP client.
    #[error("{0}")]
    Client(String),
}

impl From<NoClient> for InvalidSettings {
    fn from(problem: NoClient) -> Self {
        Self::Client(problem.to_string())
    }
}

/// A webhook that can be called.
pub struct Webhook {
    client: Client,
    url: Url,
    secrets: Vec<Secret>,
    allow_private_addresses: bool,
    clock: Clock,
}

impl Webhook {
    /// A webhook that has not been called yet.
    ///
    /// # Errors
    /// When the settings cannot work.
    pub fn new(settings: &Settings, clock: Clock) -> Result<Self, InvalidSettings> {
        AllowedHosts::only(&settings.url, settings.allow_private_addresses).check(&settings.url)?;
        let client = egress::client(Bounds {
            user_agent: egress::USER_AGENT,
            headers: HeaderMap::new(),
            timeout: settings.timeout,
            extra_root_ca_pem: settings.extra_root_ca_pem.as_deref(),
            allow_http: false,
            allow_private: settings.allow_private_addresses,
        })?;
        let Settings { url, secrets, allow_private_addresses, .. } = settings.clone();
        Ok(Self { client, url, secrets, allow_private_addresses, clock })
    }
}

impl Webhook {
    /// Looks the host up; its name, once it leads to an address that may be called.
    ///
    /// # Errors
    /// In words for an operator.
    pub async fn find(&self) -> Result<&str, String> {
        let host = self.url.host_str().unwrap_or_default();
        let port = self.url.port_or_known_default().unwrap_or_default();
        let found = tokio::net::lookup_host((host.trim_matches(['[', ']']), port)).await;
        let found = found.map_err(|error| format!("{host} is not known here: {error}"))?;
        if self.allow_private_addresses || found.into_iter().any(|address| is_public(address.ip())) {
            return Ok(host);
        }
        Err(format!("{host} has no public address; set allow_private_addresses if it is yours"))
    }
}

#[async_trait]
impl Post for Webhook {
    async fn post(&self, message: &Message) -> Answer {
        let now = self.clock.now();
        let request = self
            .client
            .post(self.url.clone())
            .header(CONTENT_TYPE, "application/json")
            .header("webhook-id", &message.id)
            .header("webhook-timestamp", now.as_secs())
            .header("webhook-signature", message.signatures(&self.secrets, now))
            .body(message.body.clone());
        let answer = match request.send().await {
            Ok(answer) => answer,
            Err(error) => {
                let why =
                    if error.is_timeout() { "no answer came in time".to_owned() } else { egress::innermost(&error) };
                return Answer::Failed { why, retry_after: None };
            }
        };
        let status = answer.status();
        let retry_after = answer.headers().get(RETRY_AFTER).and_then(|value| value.to_str().ok()).map(str::to_owned);
        let received_at = self.clock.now();
        let _ = egress::read(answer, MAX_ANSWER).await;
        if status.is_success() {
            return Answer::Taken;
        }
        if status == StatusCode::GONE {
            return Answer::Gone;
        }
        let reply = Reply { status: status.as_u16(), retry_after: retry_after.as_deref(), body: &[], received_at };
        Answer::Failed { why: format!("status {}", status.as_u16()), retry_after: reply.retry_after() }
    }
}
