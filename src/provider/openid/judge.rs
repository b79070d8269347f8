//! What would be believed of a provider's documents, without asking a provider.
//!
//! The rules of the provider for those who have the documents already: the
//! fuzzers, which think of documents that nobody would write. Sends nothing,
//! keeps nothing, reads no clock.

use std::collections::BTreeSet;

use openidconnect::IssuerUrl;
use url::Url;

use super::id_token::{Recipient, Rules};
use super::settings::{InvalidSettings, Settings, SigningAlgorithm};
use super::{keys, metadata, userinfo};
use crate::ciba::Tokens;
use crate::egress::hosts::AllowedHosts;
use crate::identity::{Identity, Subject};
use crate::provider::{IdentifyError, ProviderProblem};
use crate::session::Terms;
use crate::timestamp::Timestamp;

/// The rules for one credential.
pub struct Judge {
    issuer: String,
    hosts: AllowedHosts,
    algorithms: BTreeSet<SigningAlgorithm>,
    rules: Rules,
}

impl Judge {
    /// The rules that a provider with those settings keeps.
    ///
    /// # Errors
    /// When the settings cannot work, in words for an operator.
    pub fn new(settings: &Settings) -> Result<Self, InvalidSettings> {
        settings.check_values()?;
        let issuer = IssuerUrl::new(settings.issuer.clone()).map_err(|_| InvalidSettings::Issuer)?;
        let hosts = AllowedHosts::new(issuer.url(), &settings.additional_hosts, settings.allow_insecure_hosts);
        Ok(Self {
            issuer: settings.issuer.clone(),
            hosts,
            algorithms: settings.signing_algorithms.clone(),
            rules: Rules::new(issuer, Recipient::Client(settings.client_id.clone()), &settings.signing_algorithms),
        })
    }

    /// Every address that a discovery document would have called.
    ///
    /// # Errors
    /// What is wrong with the document, in words for an operator.
    pub fn endpoints(&self, discovery: &[u8]) -> Result<Vec<Url>, ProviderProblem> {
        let found = metadata::read(discovery, &self.issuer, &self.hosts).map_err(ProviderProblem)?;
        let always = [found.backchannel_authentication, found.token, found.userinfo, found.jwks];
        Ok(always.into_iter().chain(found.revocation).collect())
    }

    /// Whom the ID token is about, were `key_set` the provider's keys.
    ///
    /// # Errors
    /// The rule that it breaks; never a value.
    pub fn subject(&self, tokens: &Tokens, key_set: &[u8], now: Timestamp) -> Result<Subject, ProviderProblem> {
        let problem = |what: &str| ProviderProblem(what.to_owned());
        let keys = keys::read(key_set, &self.algorithms).ok_or_else(|| problem("no readable key set"))?;
        let id_token = tokens.id_token().ok_or_else(|| problem("no ID token"))?;
        let verdict = self.rules.verify(id_token, tokens.access_token(), &keys, now);
        verdict.map_err(|refused| problem(&refused.to_string()))
    }

    /// Who `subject` is, if the body of a userinfo answer is about that person and
    /// the number of `terms`.
    ///
    /// # Errors
    /// [`IdentifyError::Rejected`], with the reason.
    pub fn identity(&self, body: &[u8], subject: &Subject, terms: &Terms) -> Result<Identity, IdentifyError> {
        let identity = Identity::from_userinfo(body).map_err(|_| userinfo::INVALID)?;
        userinfo::compare(&identity, subject, terms)?;
        Ok(identity)
    }
}
