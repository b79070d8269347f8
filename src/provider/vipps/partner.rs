//! Partner keys: one credential of a partner for the sales units of many merchants.
//!
//! A request shows the platform's access token of the partner in the place of a client
//! id and secret, and names the merchant's sales unit in `Merchant-Serial-Number`. The
//! token is the partner's, so all tenants of a process that have the same credential
//! share it ([`PartnerTokens`]).

use std::sync::{Arc, Mutex, PoisonError, Weak};

use async_trait::async_trait;
use url::Url;

use super::platform::{NoToken, NotAsked, Platform, Source};
use crate::provider::openid::Authentication;
use crate::provider::openid::http::{Answer, Http, NoAnswer, Operation};

/// The tokens of the partners that one process serves. Cheap to make; tenants that
/// share one share the tokens.
#[derive(Default)]
pub struct PartnerTokens(Mutex<Vec<Weak<Source>>>);

impl PartnerTokens {
    /// The source that is there for that credential, or `own` from now on.
    pub(super) fn shared(&self, own: Arc<Source>) -> Arc<Source> {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.retain(|source| source.strong_count() > 0);
        let shared = known.iter().filter_map(Weak::upgrade).find(|source| source.has_credential_of(&own));
        shared.unwrap_or_else(|| {
            known.push(Arc::downgrade(&own));
            own
        })
    }
}

/// Shows the platform's token in the place of the client's secret.
pub(super) struct PartnerKeys(pub(super) Platform);

#[async_trait]
impl Authentication for PartnerKeys {
    async fn send(
        &self,
        _: &Http,
        operation: Operation,
        endpoint: &Url,
        form: &[(&str, &str)],
    ) -> Result<Answer, NoAnswer> {
        self.0.send_bare(operation, |http| http.post(endpoint).form(form)).await.map_err(|problem| match problem {
            NotAsked::NoAnswer(problem) => problem,
            NotAsked::NoToken(NoToken::Refused(_)) => NoAnswer::ClientRefused,
            NotAsked::NoToken(problem @ NoToken::Unavailable(_)) => NoAnswer::NotSent(problem.to_string()),
        })
    }
}
