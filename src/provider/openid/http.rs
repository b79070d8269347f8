//! One HTTP exchange with the provider, bounded in time and size.
//!
//! Has the only HTTP client of the provider, and of the tenants' own identity
//! providers, with the bounds of `egress`. Knows headers and statuses, but not what they mean. Logs an operation's name, status and duration and nothing else:
//! bodies, numbers and tokens never get here as text to print.

use std::sync::Arc;
use std::time::Duration;

use reqwest::header::{self, HeaderMap, HeaderName};
use reqwest::{Client, RequestBuilder, Response, StatusCode};
use tokio::time::Instant;

use super::Clock;
use super::settings::{InvalidSettings, Settings};
use crate::ciba::Reply;
pub(crate) use crate::egress::NoBody;
use crate::egress::{self, Bounds};
use crate::telemetry::Metrics;
pub(crate) use crate::telemetry::ProviderOperation as Operation;
use crate::timestamp::Timestamp;

/// A discovery document has about 3 KiB, an identity with consents about 10.
const MAX_BODY: usize = 64 * 1024;
/// A shop's QR code in a list has about 500 bytes.
const MAX_LIST: usize = 2 * 1024 * 1024;
const MAX_AGE_DEFAULT: Duration = Duration::from_secs(3_600);
const MAX_AGE_LEAST: Duration = Duration::from_secs(60);
const MAX_AGE_MOST: Duration = Duration::from_secs(86_400);

/// An answer whose status came; its body may not have.
pub(crate) struct Answer {
    pub(crate) status: u16,
    /// How long it may be kept, within our own bounds.
    pub(crate) max_age: Duration,
    pub(crate) body: Result<Vec<u8>, NoBody>,
    /// The server's clock, to the second.
    pub(super) date: Option<Timestamp>,
    retry_after: Option<String>,
    received_at: Timestamp,
}

impl Answer {
    /// The answer as the protocol reads it. A body that did not come whole is
    /// an empty one, so that the status still counts.
    pub(crate) fn reply(&self) -> Reply<'_> {
        Reply {
            status: self.status,
            retry_after: self.retry_after.as_deref(),
            body: self.body.as_deref().unwrap_or_default(),
            received_at: self.received_at,
        }
    }
}

/// Why there is no answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum NoAnswer {
    /// No connection could be made, so the request never left.
    #[error("no connection could be made ({0})")]
    NotSent(String),
    /// The client was refused where it has to prove itself first; the request never left.
    #[error("the client was refused before the request")]
    ClientRefused,
    #[error("no answer came in time")]
    TimedOut,
    #[error("the connection broke before an answer came")]
    Interrupted,
}

/// The HTTP client of one provider.
#[derive(Clone)]
pub(crate) struct Http {
    client: Client,
    timeout: Duration,
    clock: Clock,
    metrics: Arc<Metrics>,
}

impl Http {
    /// A client with the bounds of the settings, that sends `headers` with everything.
    pub(in crate::provider) fn new(
        settings: &Settings,
        headers: HeaderMap,
        clock: Clock,
        metrics: Arc<Metrics>,
    ) -> Result<Self, InvalidSettings> {
        let bounds = Bounds {
            user_agent: &settings.user_agent,
            headers,
            timeout: settings.request_timeout,
            extra_root_ca_pem: settings.extra_root_ca_pem.as_deref(),
            allow_http: settings.allow_insecure_hosts,
            allow_private: settings.allow_insecure_hosts,
        };
        Self::within(bounds, clock, metrics)
    }

    /// A client with bounds of the caller's.
    pub(crate) fn within(bounds: Bounds<'_>, clock: Clock, metrics: Arc<Metrics>) -> Result<Self, InvalidSettings> {
        let timeout = bounds.timeout;
        Ok(Self { client: egress::client(bounds)?, timeout, clock, metrics })
    }

    /// The present.
    pub(crate) fn now(&self) -> Timestamp {
        (self.clock)()
    }

    /// A GET, still to be sent.
    pub(crate) fn get(&self, url: &url::Url) -> RequestBuilder {
        self.client.get(url.clone()).header(header::ACCEPT, "application/json")
    }

    /// A POST, still to be sent.
    pub(crate) fn post(&self, url: &url::Url) -> RequestBuilder {
        self.client.post(url.clone()).header(header::ACCEPT, "application/json")
    }

    /// A PUT, still to be sent.
    pub(crate) fn put(&self, url: &url::Url) -> RequestBuilder {
        self.client.put(url.clone()).header(header::ACCEPT, "application/json")
    }

    /// A DELETE, still to be sent.
    pub(crate) fn delete(&self, url: &url::Url) -> RequestBuilder {
        self.client.delete(url.clone()).header(header::ACCEPT, "application/json")
    }

    /// Sends a request once and reads the answer.
    pub(crate) async fn send(&self, operation: Operation, request: RequestBuilder) -> Result<Answer, NoAnswer> {
        let started = Instant::now();
        let deadline = started + self.timeout;
        let result = match request.send().await {
            Ok(response) => {
                let max_body = if operation == Operation::ShopQrs { MAX_LIST } else { MAX_BODY };
                Ok(self.receive(response, deadline, max_body).await)
            }
            Err(error) => Err(no_answer(&error)),
        };
        let status = result.as_ref().ok().and_then(|answer: &Answer| StatusCode::from_u16(answer.status).ok());
        self.metrics.provider_request(operation, status, started.elapsed());
        let duration_ms = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
        let name = operation.name();
        match &result {
            Ok(answer) => {
                tracing::debug!(
                    provider.operation = name,
                    http.status = answer.status,
                    duration_ms,
                    "provider answered"
                );
            }
            Err(problem) => {
                tracing::warn!(provider.operation = name, duration_ms, %problem, "provider did not answer");
            }
        }
        result
    }

    async fn receive(&self, response: Response, deadline: Instant, max_body: usize) -> Answer {
        let text = |name: HeaderName| response.headers().get(name).and_then(|value| value.to_str().ok());
        let (status, retry_after) = (response.status().as_u16(), text(header::RETRY_AFTER).map(str::to_owned));
        let max_age = max_age(text(header::CACHE_CONTROL));
        let date = text(header::DATE).and_then(server_date);
        let body =
            tokio::time::timeout_at(deadline, egress::read(response, max_body)).await.unwrap_or(Err(NoBody::Broken));
        Answer { status, max_age, body, date, retry_after, received_at: (self.clock)() }
    }
}

fn server_date(text: &str) -> Option<Timestamp> {
    let since_epoch = httpdate::parse_http_date(text).ok()?.duration_since(std::time::UNIX_EPOCH).ok()?;
    Some(Timestamp::from_millis(since_epoch.as_secs() * 1000))
}

fn no_answer(error: &reqwest::Error) -> NoAnswer {
    if error.is_connect() {
        NoAnswer::NotSent(egress::innermost(error))
    } else if error.is_timeout() {
        NoAnswer::TimedOut
    } else {
        NoAnswer::Interrupted
    }
}

/// `max-age` of a `Cache-Control` value, within bounds.
fn max_age(cache_control: Option<&str>) -> Duration {
    let directives = || cache_control.unwrap_or_default().split(',').map(|part| part.trim().to_ascii_lowercase());
    if directives().any(|directive| directive == "no-store" || directive == "no-cache") {
        return MAX_AGE_LEAST;
    }
    let seconds = directives().find_map(|directive| directive.strip_prefix("max-age=")?.trim_matches('"').parse().ok());
    seconds.map_or(MAX_AGE_DEFAULT, Duration::from_secs).clamp(MAX_AGE_LEAST, MAX_AGE_MOST)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn max_age_is_read_and_bounded() {
        let seconds = |text| max_age(Some(text)).as_secs();
        assert_eq!(max_age(None), MAX_AGE_DEFAULT);
        assert_eq!(seconds("public, Max-Age=600"), 600);
        assert_eq!(seconds("max-age=\"600\""), 600);
        assert_eq!(seconds("max-age=0"), 60);
        assert_eq!(seconds("max-age=600, no-store"), 60);
        assert_eq!(seconds("max-age=18446744073709551615"), 86_400);
        assert_eq!(seconds("max-age=-1"), 3_600);
        assert_eq!(seconds("s-maxage=5"), 3_600);
    }
}
