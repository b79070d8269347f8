//! Where an identity provider's keys come from: its metadata, an address, or a file.

use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use http::HeaderMap;
use serde::Deserialize;
use url::Url;

use crate::clock::Clock;
use crate::config::{TokenKeys, Tokens};
use crate::egress::Bounds;
use crate::egress::hosts::{AllowedHosts, ForbiddenUrl};
use crate::provider::openid::InvalidSettings;
use crate::provider::openid::http::{Http, Operation};
use crate::provider::openid::metadata::discovery_url;
use crate::telemetry::Metrics;

/// For one request.
const TIMEOUT: Duration = Duration::from_secs(5);
const MAX_FILE: u64 = 64 * 1024;

/// Why an identity provider cannot be used, in words for an operator.
#[derive(Debug, thiserror::Error)]
pub enum Unusable {
    /// Its address may not be called.
    #[error("its address {0}")]
    Address(#[from] ForbiddenUrl),
    /// The issuer is no address.
    #[error("its issuer is no address")]
    Issuer,
    /// No HTTP client can be made for it.
    #[error(transparent)]
    Client(#[from] InvalidSettings),
}

/// See the module.
pub(super) struct Source {
    issuer: String,
    place: Place,
}

enum Place {
    Metadata { http: Http, at: Url, hosts: AllowedHosts },
    Address { http: Http, at: Url },
    File(PathBuf),
}

/// What is read of the metadata (OpenID Connect Discovery 1.0, section 3).
#[derive(Deserialize)]
struct Metadata {
    issuer: String,
    jwks_uri: Url,
}

impl Source {
    pub(super) fn new(settings: &Tokens, clock: &Clock, metrics: &Arc<Metrics>) -> Result<Self, Unusable> {
        let may_be_private = settings.allow_private_addresses || settings.allow_insecure_hosts;
        let hosts = |own: &Url| {
            let others = settings.additional_hosts.iter().cloned().collect();
            let hosts = AllowedHosts::new(own, &others, settings.allow_insecure_hosts);
            if may_be_private { hosts.with_private_addresses() } else { hosts }
        };
        let http = || {
            let bounds = Bounds {
                user_agent: concat!("ciba-gateway/", env!("CARGO_PKG_VERSION")),
                headers: HeaderMap::new(),
                timeout: TIMEOUT,
                extra_root_ca_pem: settings.ca_certificates.as_ref().map(|certificates| certificates.pem()),
                allow_http: settings.allow_insecure_hosts,
                allow_private: may_be_private,
            };
            Http::within(bounds, clock.as_fn(), Arc::clone(metrics))
        };
        let place = match &settings.keys {
            TokenKeys::Discovery => {
                let hosts = hosts(settings.issuer.url());
                hosts.check(settings.issuer.url())?;
                let at = discovery_url(settings.issuer.as_str()).ok_or(Unusable::Issuer)?;
                Place::Metadata { http: http()?, at, hosts }
            }
            TokenKeys::At(at) => {
                hosts(at).check(at)?;
                Place::Address { http: http()?, at: at.clone() }
            }
            TokenKeys::File(path) => Place::File(path.clone()),
        };
        Ok(Self { issuer: settings.issuer.as_str().to_owned(), place })
    }

    pub(super) fn issuer(&self) -> &str {
        &self.issuer
    }

    /// The key set as it is written, and how long it may be kept.
    pub(super) async fn fetch(&self) -> Result<(Vec<u8>, Duration), String> {
        match &self.place {
            Place::Metadata { http, at, hosts } => {
                let (document, _) = get(http, at).await?;
                let metadata: Metadata =
                    serde_json::from_slice(&document).map_err(|_| format!("{at} is not readable metadata"))?;
                if metadata.issuer != self.issuer {
                    return Err(format!("{at} is the metadata of another issuer"));
                }
                hosts.check(&metadata.jwks_uri).map_err(|forbidden| format!("jwks_uri in {at} {forbidden}"))?;
                get(http, &metadata.jwks_uri).await
            }
            Place::Address { http, at } => get(http, at).await,
            Place::File(path) => {
                let document = contents(path).map_err(|error| format!("{} cannot be read: {error}", path.display()))?;
                Ok((document, Duration::MAX))
            }
        }
    }
}

async fn get(http: &Http, from: &Url) -> Result<(Vec<u8>, Duration), String> {
    let answer = http.send(Operation::CallerKeys, http.get(from)).await;
    let answer = answer.map_err(|problem| format!("{from}: {problem}"))?;
    if answer.status != 200 {
        return Err(format!("{from} answered with status {}", answer.status));
    }
    let max_age = answer.max_age;
    let document = answer.body.map_err(|_| format!("{from} did not answer whole, or with too much"))?;
    Ok((document, max_age))
}

fn contents(path: &Path) -> std::io::Result<Vec<u8>> {
    let mut document = Vec::new();
    std::fs::File::open(path)?.take(MAX_FILE).read_to_end(&mut document)?;
    Ok(document)
}
