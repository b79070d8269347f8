//! The provider's discovery document: where its endpoints are.
//!
//! An own struct and not openidconnect's metadata type, because that insists on
//! members this flow has no use for (authorization endpoint, response types)
//! and would refuse a document for an odd value among them. What is read is
//! checked: the issuer is the configured one to the letter, and every endpoint
//! is on an allowed host. Lists of grants and algorithms are not believed: the
//! vendor's leave out CIBA and ES256.

use std::time::Duration;

use async_trait::async_trait;
use serde::Deserialize;
use url::Url;

use super::cache::Fetch;
use super::http::{Http, Operation};
use crate::egress::hosts::AllowedHosts;
use crate::provider::ProviderProblem;

/// The endpoints that are used, each allowed to be called.
#[derive(Clone, Debug)]
pub(super) struct Metadata {
    pub(super) backchannel_authentication: Url,
    pub(super) token: Url,
    pub(super) userinfo: Url,
    pub(super) jwks: Url,
    pub(super) revocation: Option<Url>,
}

/// Fetches and checks the discovery document.
pub(super) struct Discovery {
    pub(super) http: Http,
    pub(super) issuer: String,
    pub(super) hosts: AllowedHosts,
}

/// Where an issuer's discovery document is (OpenID Connect Discovery 1.0,
/// section 4: a slash at the issuer's end is taken away first).
pub(crate) fn discovery_url(issuer: &str) -> Option<Url> {
    Url::parse(&format!("{}/.well-known/openid-configuration", issuer.trim_end_matches('/'))).ok()
}

#[derive(Deserialize)]
struct Document {
    issuer: String,
    backchannel_authentication_endpoint: Option<Url>,
    token_endpoint: Url,
    userinfo_endpoint: Url,
    jwks_uri: Url,
    revocation_endpoint: Option<Url>,
}

#[async_trait]
impl Fetch for Discovery {
    type Document = Metadata;

    async fn fetch(&self, from: &Url) -> Result<(Metadata, Duration), ProviderProblem> {
        let problem = |what: String| ProviderProblem(format!("discovery at {from}: {what}"));
        let answer = self.http.send(Operation::Discovery, self.http.get(from)).await;
        let answer = answer.map_err(|error| problem(error.to_string()))?;
        if answer.status != 200 {
            return Err(problem(format!("answered with status {}; check the issuer", answer.status)));
        }
        let metadata = read(answer.reply().body, &self.issuer, &self.hosts).map_err(problem)?;
        Ok((metadata, answer.max_age))
    }
}

/// Reads the discovery document of `issuer`; says what is wrong with it.
pub(super) fn read(body: &[u8], issuer: &str, hosts: &AllowedHosts) -> Result<Metadata, String> {
    let document = serde_json::from_slice(body);
    let document: Document = document.map_err(|_| "is not a readable discovery document".to_owned())?;
    if document.issuer != issuer {
        return Err("names another issuer than the configured one; a slash at the end counts".to_owned());
    }
    let Some(backchannel_authentication) = document.backchannel_authentication_endpoint else {
        return Err("names no backchannel_authentication_endpoint; login by phone number is not offered".to_owned());
    };
    let allowed = |name: &str, url: Url| match hosts.check(&url) {
        Ok(()) => Ok(url),
        Err(forbidden) => Err(format!("{name} {forbidden}")),
    };
    Ok(Metadata {
        backchannel_authentication: allowed("backchannel_authentication_endpoint", backchannel_authentication)?,
        token: allowed("token_endpoint", document.token_endpoint)?,
        userinfo: allowed("userinfo_endpoint", document.userinfo_endpoint)?,
        jwks: allowed("jwks_uri", document.jwks_uri)?,
        revocation: document.revocation_endpoint.map(|url| allowed("revocation_endpoint", url)).transpose()?,
    })
}

#[cfg(test)]
mod tests {
    use super::discovery_url;

    #[test]
    fn the_well_known_path_follows_the_issuer_with_one_slash() {
        for issuer in ["https://api.example.com/access", "https://api.example.com/access/"] {
            let url = discovery_url(issuer).unwrap();
            assert_eq!(url.as_str(), "https://api.example.com/access/.well-known/openid-configuration");
        }
        assert_eq!(
            discovery_url("https://api.example.com").unwrap().as_str(),
            "https://api.example.com/.well-known/openid-configuration"
        );
    }
}
