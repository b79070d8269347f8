//! Any OpenID provider that offers CIBA in poll mode, by the standard alone.
//!
//! On top of [`super::openid`]: the form of a login hint, which no standard fixes, and
//! the standard's scopes (OpenID Connect Core, section 5.4). Id and secret are
//! form-encoded in HTTP Basic (RFC 6749, section 2.3.1). Nothing of a vendor's is
//! sent, and whether a number has an account cannot be asked.
//!
//! Keeps no logins. `gateway` makes one value for each credential; `logins` and
//! `poller` call it.

use std::collections::BTreeSet;
use std::sync::Arc;

use async_trait::async_trait;
use reqwest::header::HeaderMap;

use super::openid::http::Http;
use super::openid::{self, BasicForm, Clock, Credentials, InvalidSettings, OpenId, Recipient};
use super::{IdentifyError, NewSecrets, Operated, Provider, ProviderProblem};
use crate::ciba::{AuthReqId, CheckAnswer, PollAnswer, Refusal, StartAnswer, Tokens};
use crate::identity::{Claim, Identity};
use crate::phone::PhoneNumber;
use crate::session::{Person, Terms};
use crate::telemetry::Metrics;
use crate::timestamp::Timestamp;

/// One credential and how to reach its provider.
#[derive(Clone, Debug)]
pub struct Settings {
    /// What every OpenID provider has.
    pub openid: openid::Settings,
    /// How a number is written in `login_hint`.
    pub login_hint: HintForm,
}

/// How a provider wants a phone number in `login_hint`. The digits are country code and
/// number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HintForm {
    /// `4791234567`
    Digits,
    /// `+4791234567` (E.164)
    Plus,
    /// `urn:msisdn:4791234567`
    Urn,
    /// `tel:+4791234567` (RFC 3966)
    Tel,
}

impl HintForm {
    fn of(self, phone: &PhoneNumber) -> String {
        let digits = phone.msisdn();
        match self {
            Self::Digits => digits.to_owned(),
            Self::Plus => format!("+{digits}"),
            Self::Urn => format!("urn:msisdn:{digits}"),
            Self::Tel => format!("tel:+{digits}"),
        }
    }
}

/// One client at one provider.
pub struct Generic {
    openid: OpenId,
    credentials: Arc<Credentials>,
    login_hint: HintForm,
}

impl Generic {
    /// A provider that has not been asked anything yet: discovery is fetched by
    /// the first call that needs it.
    ///
    /// # Errors
    /// When the settings cannot work, in words for an operator.
    pub fn new(settings: &Settings, clock: Clock, metrics: Arc<Metrics>) -> Result<Self, InvalidSettings> {
        settings.openid.check_values()?;
        let http = Http::new(&settings.openid, HeaderMap::new(), Arc::clone(&clock), metrics)?;
        let credentials = Arc::new(Credentials::new(&settings.openid, BasicForm::Encoded)?);
        let recipient = Recipient::Client(settings.openid.client_id.clone());
        let openid = OpenId::new(&settings.openid, recipient, http, Arc::clone(&credentials) as _, clock)?;
        Ok(Self { openid, credentials, login_hint: settings.login_hint })
    }
}

#[async_trait]
impl Provider for Generic {
    async fn user_exists(&self, _: &PhoneNumber) -> CheckAnswer {
        CheckAnswer::NotOffered
    }

    async fn start(&self, terms: &Terms) -> StartAnswer {
        // A check-in is known to the vendor whose QR code it was.
        let Person::Phone(phone) = &terms.person else {
            return StartAnswer::Refused(Refusal::InvalidRequest);
        };
        let (login_hint, scope) = (self.login_hint.of(phone), scope(&terms.claims));
        let requested_expiry = terms.requested_expiry().as_secs().to_string();
        let form = [
            ("login_hint", login_hint.as_str()),
            ("scope", &scope),
            ("binding_message", terms.code.expose()),
            ("requested_expiry", &requested_expiry),
        ];
        self.openid.start(&form).await
    }

    async fn poll(&self, auth_req_id: &AuthReqId) -> PollAnswer {
        self.openid.poll(auth_req_id).await
    }

    /// One scope brings more claims than one: what nobody asked for is dropped.
    async fn identify(&self, tokens: &Tokens, terms: &Terms) -> Result<Identity, IdentifyError> {
        Ok(self.openid.identify(tokens, terms).await?.only(&terms.claims))
    }

    async fn revoke(&self, tokens: &Tokens) {
        self.openid.revoke(tokens).await;
    }

    async fn check(&self) -> Result<(), ProviderProblem> {
        self.openid.check().await
    }
}

#[async_trait]
impl Operated for Generic {
    async fn server_time(&self) -> Option<(Timestamp, Timestamp)> {
        self.openid.server_time().await
    }

    async fn try_start(&self) -> StartAnswer {
        // A number of no country.
        self.openid.start(&[("login_hint", "0"), ("scope", "openid")]).await
    }

    fn prepare(&self, given: NewSecrets<'_>) -> Result<Box<dyn FnOnce() -> bool + Send + '_>, InvalidSettings> {
        let client = self.credentials.secrets(given.client_secret, given.client_secret_next)?;
        Ok(Box::new(move || self.credentials.renew(client)))
    }
}

/// `openid`, then each scope that brings something that was asked for.
fn scope(claims: &BTreeSet<Claim>) -> String {
    let scopes: BTreeSet<_> = claims.iter().copied().filter_map(Claim::standard_scope).collect();
    scopes.iter().fold("openid".to_owned(), |scope, one| scope + " " + one)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_is_written_as_the_provider_wants_it() {
        let phone = PhoneNumber::from_msisdn("4791234567").unwrap();
        let forms = [HintForm::Digits, HintForm::Plus, HintForm::Urn, HintForm::Tel];
        let hints = ["4791234567", "+4791234567", "urn:msisdn:4791234567", "tel:+4791234567"];
        assert_eq!(forms.map(|form| form.of(&phone)), hints);
    }

    #[test]
    fn scopes_are_the_standards() {
        assert_eq!(scope(&[].into()), "openid");
        assert_eq!(scope(&[Claim::Name, Claim::Birthdate, Claim::Gender].into()), "openid profile");
        assert_eq!(scope(&[Claim::PhoneNumber, Claim::Email, Claim::Address].into()), "openid address email phone");
        assert_eq!(scope(&[Claim::Nin, Claim::Agreement].into()), "openid");
    }
}
