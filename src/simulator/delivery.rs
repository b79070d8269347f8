//! What webhooks carry, on its way: signed as the vendor signs, sent, and sent again.
//!
//! What is not answered with 2xx is sent again every two seconds, five times in all (the
//! vendor goes on for days); the knobs say what goes wrong on the way. Pings and check-ins
//! go this way; who is told, and of what, is theirs to know.

use std::mem;
use std::time::{Duration, SystemTime};

use axum::http::{HeaderMap, Method, header};
use secrecy::SecretString;
use tracing::warn;
use url::Url;

use super::clock;
use super::state::Shared;
use super::webhooks::{RegisteredWebhook, WebhookKnobs};
use crate::egress::{self, Bounds};
use crate::webhooks::proof::{self, Signed};

/// That are remembered.
const MOST_DELIVERIES: usize = 10_000;
const ATTEMPTS: u32 = 5;
const RETRY_AFTER: Duration = Duration::from_secs(2);
/// The vendor waits so long for an answer.
const PATIENCE: Duration = Duration::from_secs(10);
/// How much too old a stale date is.
const STALE: Duration = Duration::from_secs(600);

/// One message to one address.
pub(super) struct Delivery {
    shared: Shared,
    client: reqwest::Client,
    url: Url,
    headers: HeaderMap,
    body: String,
    is_repeated: bool,
}

impl Delivery {
    /// To a registration; `None` for an address that nothing can be sent to.
    pub(super) fn new(
        shared: &Shared,
        webhook: &RegisteredWebhook,
        body: String,
        knobs: &WebhookKnobs,
    ) -> Option<Self> {
        let secret = if knobs.forged { "somebody-elses-secret".into() } else { webhook.secret.clone() };
        let now = clock::wall_now();
        let headers = signed(&webhook.url, &secret, &body, if knobs.stale { now - STALE } else { now })?;
        let bounds = Bounds {
            user_agent: "ciba-gateway-simulator",
            headers: HeaderMap::new(),
            timeout: PATIENCE,
            extra_root_ca_pem: None,
            allow_http: true,
            allow_private: true,
        };
        let client = egress::client(bounds).inspect_err(|error| warn!(%error, "webhooks cannot be sent")).ok()?;
        let (shared, url, is_repeated) = (shared.clone(), webhook.url.clone(), !knobs.twice);
        Some(Self { shared, client, url, headers, body, is_repeated })
    }

    /// Sends it once; the status of the answer, 0 where there is none.
    pub(super) async fn attempt(&self) -> u16 {
        let request = self.client.post(self.url.clone()).headers(self.headers.clone()).body(self.body.clone());
        let answered = request.send().await.map_or(0, |answer| answer.status().as_u16());
        self.shared.change(|state| {
            state.deliveries.truncate(MOST_DELIVERIES - 1);
            state.deliveries.push(answered);
        });
        answered
    }

    /// After the first attempt, which was answered so: until it is taken, or all attempts
    /// are made.
    pub(super) async fn go_on(mut self, mut answered: u16) {
        for _ in 1..ATTEMPTS {
            if !is_taken(answered) {
                self.shared.clock().sleep(RETRY_AFTER).await;
            } else if mem::replace(&mut self.is_repeated, true) {
                return;
            }
            answered = self.attempt().await;
        }
    }
}

/// Whether such an answer ends a delivery.
pub(super) const fn is_taken(status: u16) -> bool {
    matches!(status, 200..=299)
}

fn signed(url: &Url, secret: &SecretString, body: &str, at: SystemTime) -> Option<HeaderMap> {
    let (date, content) = (httpdate::fmt_http_date(at), proof::content(body.as_bytes()));
    let host = url.host_str()?;
    let host = url.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"));
    let query = url.query().map(|query| format!("?{query}")).unwrap_or_default();
    let path_and_query = format!("{}{query}", url.path());
    let signed =
        Signed { method: &Method::POST, path_and_query: &path_and_query, host: &host, date: &date, content: &content };
    let authorization = proof::authorization(&signed.signature(secret));
    let mut headers = HeaderMap::new();
    headers.insert(header::CONTENT_TYPE, "application/json".parse().ok()?);
    headers.insert(proof::DATE, date.parse().ok()?);
    headers.insert(proof::CONTENT, content.parse().ok()?);
    headers.insert(header::AUTHORIZATION, authorization.parse().ok()?);
    Some(headers)
}
