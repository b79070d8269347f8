//! Vipps MobilePay Login as a [`Provider`].
//!
//! What the vendor does in its own way, on top of [`super::openid`]: the form of a
//! login hint, its scopes, headers that say who calls, the question whether a number
//! has an account (`user_exists`), its platform's access token (`platform`), and
//! partner keys (`partner`).
//!
//! Keeps no logins. `gateway` makes one value for each credential; `logins` and
//! `poller` call it.

mod partner;
mod platform;
mod qr;
mod settings;
mod user_exists;

use std::sync::Arc;

use async_trait::async_trait;
use zeroize::Zeroizing;

use self::partner::PartnerKeys;
use self::platform::PlatformSecrets;
use self::qr::Qr;
use self::user_exists::UserExists;
use super::openid::http::Http;
use super::openid::{Authentication, BasicForm, ClientSecrets, Clock, Credentials, InvalidSettings, OpenId, Recipient};
use super::shop::Shop;
use super::{IdentifyError, NewSecrets, Operated, Provider, ProviderProblem};
use crate::ciba::{
    AuthReqId, CheckAnswer, PollAnswer, REDIRECT_FLOW, REDIRECT_GRANT_TYPE, RedirectCode, StartAnswer, Tokens,
};
use crate::identity::Identity;
use crate::phone::PhoneNumber;
use crate::session::{Finish, Person, Terms};
use crate::telemetry::{Metrics, ProviderOperation};
use crate::timestamp::Timestamp;

pub use self::partner::PartnerTokens;
pub(crate) use self::platform::Registered;
pub use self::platform::{NoToken, Platform, PlatformToken};
pub use self::settings::{Keys, Settings, SystemHeaders};

/// One sales unit at Vipps MobilePay Login, with its own keys or with a partner's.
pub struct Vipps {
    openid: OpenId,
    credentials: Arc<Credentials>,
    user_exists: UserExists,
    /// Where there is a subscription key.
    platform: Option<Platform>,
    /// Where there is a serial number besides, which its API wants.
    qr: Option<Qr>,
}

impl Vipps {
    /// A provider that has not been asked anything yet: discovery is fetched by
    /// the first call that needs it.
    ///
    /// # Errors
    /// When the settings cannot work, in words for an operator.
    pub fn new(settings: &Settings, clock: Clock, metrics: Arc<Metrics>) -> Result<Self, InvalidSettings> {
        Self::sharing(&PartnerTokens::default(), settings, clock, metrics)
    }

    /// The same, whose token is that of the partner where it has partner keys.
    ///
    /// # Errors
    /// As [`Vipps::new`].
    pub fn sharing(
        tokens: &PartnerTokens,
        settings: &Settings,
        clock: Clock,
        metrics: Arc<Metrics>,
    ) -> Result<Self, InvalidSettings> {
        settings.check_values()?;
        let new_http = |headers| Http::new(&settings.openid, headers, Arc::clone(&clock), Arc::clone(&metrics));
        let issuer = settings.openid.issuer_url()?;
        let client_id = &settings.openid.client_id;
        let http = new_http(settings.headers()?)?;
        let credentials = Arc::new(Credentials::new(&settings.openid, BasicForm::Plain)?);
        let platform = match &settings.subscription_key {
            None => None,
            Some(key) => {
                let secrets = PlatformSecrets::new(&credentials.current(), key)?;
                let source = match settings.keys {
                    Keys::SalesUnit => Platform::source(http.clone(), issuer.url(), client_id, secrets),
                    // The token is for all merchants.
                    Keys::Partner => {
                        let http = new_http(settings.system_headers()?)?;
                        Platform::source(http, issuer.url(), client_id, secrets).map(|own| tokens.shared(own))
                    }
                };
                let platform = source.and_then(|source| Platform::new(http.clone(), issuer.url(), source));
                Some(platform.ok_or(InvalidSettings::Issuer)?)
            }
        };
        let (recipient, authentication): (_, Arc<dyn Authentication>) = match (settings.keys, &platform) {
            (Keys::SalesUnit, _) => (Recipient::Client(client_id.clone()), Arc::clone(&credentials) as _),
            (Keys::Partner, None) => return Err(InvalidSettings::SubscriptionKey),
            (Keys::Partner, Some(platform)) => {
                let merchant = settings.merchant_serial_number.clone().ok_or(InvalidSettings::NoMerchant)?;
                (Recipient::Merchant(merchant), Arc::new(PartnerKeys(platform.clone())))
            }
        };
        let openid = OpenId::new(&settings.openid, recipient, http, authentication, Arc::clone(&clock))?;
        let user_exists = UserExists::at(issuer.url(), settings.keys).ok_or(InvalidSettings::Issuer)?;
        let has_serial_number = settings.merchant_serial_number.is_some();
        let qr = platform.clone().filter(|_| has_serial_number).map(Qr::new);
        Ok(Self { openid, credentials, user_exists, platform, qr })
    }

    /// The way to the vendor's other APIs; `None` where no `subscription_key` is set.
    #[must_use]
    pub const fn platform(&self) -> Option<&Platform> {
        self.platform.as_ref()
    }

    fn renew(&self, client: ClientSecrets, platform: Option<PlatformSecrets>) -> bool {
        let is_new = self.credentials.renew(client);
        let has_new_key = match (&self.platform, platform) {
            (Some(platform), Some(secrets)) => platform.renew(secrets),
            // Whether there is a key waits for a restart.
            (Some(_), None) | (None, _) => false,
        };
        is_new || has_new_key
    }
}

#[async_trait]
impl Provider for Vipps {
    async fn user_exists(&self, phone: &PhoneNumber) -> CheckAnswer {
        self.user_exists.ask(&self.openid, &number_hint(phone)).await
    }

    async fn start(&self, terms: &Terms) -> StartAnswer {
        let requested_expiry = terms.requested_expiry().as_secs().to_string();
        let login_hint = login_hint(&terms.person);
        let scope = scope(terms);
        let mut form = vec![
            ("login_hint", login_hint.as_str()),
            ("scope", &scope),
            ("binding_message", terms.code.expose()),
            ("requested_expiry", &requested_expiry),
        ];
        if let Finish::Redirect(uri) = &terms.finish {
            form.extend([("requested_flow", REDIRECT_FLOW), ("redirect_uri", uri.as_str())]);
        }
        self.openid.start(&form).await
    }

    async fn poll(&self, auth_req_id: &AuthReqId) -> PollAnswer {
        self.openid.poll(auth_req_id).await
    }

    fn offers_redirect(&self) -> bool {
        true
    }

    async fn exchange_code(&self, code: &RedirectCode) -> PollAnswer {
        let form = [("grant_type", REDIRECT_GRANT_TYPE), ("code", code.expose())];
        self.openid.exchange(ProviderOperation::Code, &form).await
    }

    async fn request_of(&self, tokens: &Tokens) -> Result<AuthReqId, IdentifyError> {
        self.openid.request_of(tokens).await
    }

    async fn identify(&self, tokens: &Tokens, terms: &Terms) -> Result<Identity, IdentifyError> {
        self.openid.identify(tokens, terms).await
    }

    async fn revoke(&self, tokens: &Tokens) {
        self.openid.revoke(tokens).await;
    }

    fn shop(&self) -> Option<&dyn Shop> {
        self.qr.as_ref().map(|qr| qr as &dyn Shop)
    }

    async fn check(&self) -> Result<(), ProviderProblem> {
        self.openid.check().await
    }
}

#[async_trait]
impl Operated for Vipps {
    async fn server_time(&self) -> Option<(Timestamp, Timestamp)> {
        self.openid.server_time().await
    }

    async fn try_start(&self) -> StartAnswer {
        // A number of no country.
        self.openid.start(&[("login_hint", "urn:msisdn:0"), ("scope", "openid")]).await
    }

    fn prepare(&self, given: NewSecrets<'_>) -> Result<Box<dyn FnOnce() -> bool + Send + '_>, InvalidSettings> {
        let client = self.credentials.secrets(given.client_secret, given.client_secret_next)?;
        let platform = given.subscription_key.map(|key| PlatformSecrets::new(&client, key)).transpose()?;
        Ok(Box::new(move || self.renew(client, platform)))
    }

    fn platform(&self) -> Option<&Platform> {
        self.platform.as_ref()
    }
}

/// What the vendor knows a person by. Wiped when dropped: a customer token is a secret.
fn login_hint(person: &Person) -> Zeroizing<String> {
    Zeroizing::new(match person {
        Person::Phone(phone) => number_hint(phone),
        Person::CheckIn(check_in) => format!("urn:customer-token:{}", check_in.token.expose()),
    })
}

/// The vendor's form of a number: country code first, digits alone.
fn number_hint(phone: &PhoneNumber) -> String {
    format!("urn:msisdn:{}", phone.msisdn())
}

/// `openid`, then one scope for each claim that was asked for.
fn scope(terms: &Terms) -> String {
    terms.claims.iter().fold("openid".to_owned(), |scope, claim| scope + " " + claim.scope())
}
