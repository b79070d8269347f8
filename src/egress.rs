//! What every HTTP client that calls out keeps to: no redirects, no proxies from
//! the environment, no private addresses unless they are allowed, no time and no
//! body without a bound.
//!
//! Knows nothing of what is said. Called by `provider` and `fraud`, which say whom
//! they call and what an answer means.

pub mod hosts;

use std::error::Error;
use std::time::Duration;

use reqwest::header::HeaderMap;
use reqwest::redirect::Policy;
use reqwest::{Certificate, Client, Response};

use hosts::PublicAddresses;

/// `User-Agent`.
pub const USER_AGENT: &str = concat!("ciba-gateway/", env!("CARGO_PKG_VERSION"));

const MAX_CONNECT_TIME: Duration = Duration::from_secs(3);
/// Below the common keep-alive of 5 s: a POST on a connection that the server
/// has just closed is not repeated.
const POOL_IDLE: Duration = Duration::from_secs(4);
const PING_INTERVAL: Duration = Duration::from_secs(2);
const PING_TIMEOUT: Duration = Duration::from_secs(2);

/// What one client keeps to beyond what all do.
pub(crate) struct Bounds<'s> {
    pub(crate) user_agent: &'s str,
    /// Sent with every request.
    pub(crate) headers: HeaderMap,
    /// From connecting to the last byte.
    pub(crate) timeout: Duration,
    /// Certificates (PEM) trusted in addition to the system's.
    pub(crate) extra_root_ca_pem: Option<&'s str>,
    /// Whether plain `http` may be spoken.
    pub(crate) allow_http: bool,
    /// Whether names may lead to addresses that are not public.
    pub(crate) allow_private: bool,
}

/// Why there is no client; free of secrets.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum NoClient {
    /// The extra root certificates are no certificates.
    #[error("the extra root certificates hold no readable PEM certificate")]
    RootCertificates,
    /// The process has installed no TLS implementation, or it has no roots.
    #[error("TLS cannot be set up: {0}")]
    Tls(String),
}

/// A client that keeps to all of it.
pub(crate) fn client(bounds: Bounds<'_>) -> Result<Client, NoClient> {
    // Without one, building the client panics.
    if rustls::crypto::CryptoProvider::get_default().is_none() {
        return Err(NoClient::Tls("the process has not installed a rustls provider".to_owned()));
    }
    #[expect(clippy::disallowed_methods, reason = "the one place where clients get their bounds")]
    let builder = Client::builder();
    let mut builder = builder
        .user_agent(bounds.user_agent)
        .default_headers(bounds.headers)
        .redirect(Policy::none())
        .no_proxy()
        .referer(false)
        .https_only(!bounds.allow_http)
        .connect_timeout(MAX_CONNECT_TIME.min(bounds.timeout))
        .timeout(bounds.timeout)
        .pool_idle_timeout(POOL_IDLE)
        .http2_keep_alive_interval(PING_INTERVAL)
        .http2_keep_alive_timeout(PING_TIMEOUT)
        .http2_keep_alive_while_idle(true)
        .tls_certs_merge(root_certificates(bounds.extra_root_ca_pem)?);
    if !bounds.allow_private {
        builder = builder.dns_resolver(PublicAddresses);
    }
    builder.build().map_err(|error| NoClient::Tls(innermost(&error)))
}

fn root_certificates(pem: Option<&str>) -> Result<Vec<Certificate>, NoClient> {
    let Some(pem) = pem else { return Ok(Vec::new()) };
    match Certificate::from_pem_bundle(pem.as_bytes()) {
        Ok(certificates) if !certificates.is_empty() => Ok(certificates),
        _ => Err(NoClient::RootCertificates),
    }
}

/// Why there is no body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NoBody {
    /// Longer than anything that is to be said.
    TooLong,
    /// Cut off, or not finished in time.
    Broken,
}

/// Reads to the end or to `most` bytes; what `Content-Length` promises is nothing.
pub(crate) async fn read(mut response: Response, most: usize) -> Result<Vec<u8>, NoBody> {
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(|_| NoBody::Broken)? {
        if body.len() + chunk.len() > most {
            return Err(NoBody::TooLong);
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

/// The root of an error's causes: what the system or TLS said, without the URL
/// that the outer layers add.
pub(crate) fn innermost(error: &reqwest::Error) -> String {
    let mut cause = error.source();
    while let Some(deeper) = cause.and_then(Error::source) {
        cause = Some(deeper);
    }
    cause.map_or_else(|| "the request could not be built".to_owned(), ToString::to_string)
}
