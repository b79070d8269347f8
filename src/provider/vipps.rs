//! Vipps MobilePay Login as a [`Provider`].
//!
//! Sends the requests of CIBA Core 1.0 in poll mode as the vendor documents
//! them, and believes nothing that comes back before it is checked: `http`
//! bounds every answer, `hosts` says whom discovery may name, `metadata` and
//! `keys` read the two documents that `cache` keeps, `id_token` and `userinfo`
//! decide whether a person may be believed. What an answer to a start or a poll
//! means is `ciba`'s to say.
//!
//! Keeps no logins and repeats no request, but for one that is refused because of
//! the client's secret, by `credentials`. `lib::run` makes one value for each
//! credential; `logins` and `poller` call it. It expects that the process has
//! installed a rustls provider.

mod cache;
mod credentials;
pub(crate) mod http;
mod id_token;
mod judge;
mod keys;
pub(crate) mod metadata;
mod platform;
mod settings;
mod user_exists;
mod userinfo;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use openidconnect::IssuerUrl;
use secrecy::SecretString;
use url::Url;

use self::cache::{Cached, Renewal};
use self::credentials::{ClientSecrets, Credentials};
use self::http::{Http, NoAnswer, Operation};
use self::id_token::{Refused, Rules};
use self::keys::KeySet;
use self::metadata::{Discovery, Metadata, discovery_url};
use self::platform::PlatformSecrets;
use self::user_exists::UserExists;
use super::{IdentifyError, Provider, ProviderProblem};
use crate::ciba::{self, AuthReqId, CheckAnswer, GRANT_TYPE, PollAnswer, StartAnswer, Tokens, Unclear};
use crate::egress::hosts::AllowedHosts;
use crate::identity::{Identity, Subject};
use crate::phone::PhoneNumber;
use crate::session::{FailureReason, Terms};
use crate::telemetry::Metrics;
use crate::timestamp::Timestamp;

pub use self::judge::Judge;
pub use self::platform::{NoToken, Platform, PlatformToken};
pub use self::settings::{ClientAuthentication, InvalidSettings, Settings, SigningAlgorithm, SystemHeaders};

/// The present, as whoever runs the gateway sees it.
pub type Clock = Arc<dyn Fn() -> Timestamp + Send + Sync>;

const ID_TOKEN_INVALID: IdentifyError = IdentifyError::Rejected(FailureReason::IdTokenInvalid);

/// One sales unit at Vipps MobilePay Login.
pub struct Vipps {
    http: Http,
    clock: Clock,
    credentials: Credentials,
    poll_timeout: Duration,
    discovery_url: Url,
    user_exists: UserExists,
    metadata: Cached<Discovery>,
    keys: Cached<KeySet>,
    id_token_rules: Rules,
    /// Where there is a subscription key.
    platform: Option<Platform>,
}

/// What proves one client, ready to be shown; for [`Vipps::renew_secrets`].
#[derive(Clone)]
pub struct Secrets {
    client: ClientSecrets,
    platform: Option<PlatformSecrets>,
}

impl Vipps {
    /// A provider that has not been asked anything yet: discovery is fetched by
    /// the first call that needs it.
    ///
    /// # Errors
    /// When the settings cannot work, in words for an operator.
    pub fn new(settings: &Settings, clock: Clock, metrics: Arc<Metrics>) -> Result<Self, InvalidSettings> {
        settings.check_values()?;
        let issuer = IssuerUrl::new(settings.issuer.clone()).map_err(|_| InvalidSettings::Issuer)?;
        let discovery_url = discovery_url(&settings.issuer).ok_or(InvalidSettings::Issuer)?;
        let hosts = AllowedHosts::new(issuer.url(), &settings.additional_hosts, settings.allow_insecure_hosts);
        hosts.check(issuer.url())?;
        let http = Http::new(settings, Arc::clone(&clock), metrics)?;
        let discovery = Discovery { http: http.clone(), issuer: settings.issuer.clone(), hosts };
        let key_set = KeySet { http: http.clone(), algorithms: settings.signing_algorithms.clone() };
        let credentials = Credentials::new(settings)?;
        let platform = match &settings.subscription_key {
            None => None,
            Some(key) => {
                let secrets = Platform::secrets(&credentials.current(), key)?;
                let platform = Platform::new(http.clone(), issuer.url(), &settings.client_id, secrets);
                Some(platform.ok_or(InvalidSettings::Issuer)?)
            }
        };
        Ok(Self {
            http,
            credentials,
            platform,
            poll_timeout: settings.poll_timeout,
            discovery_url,
            user_exists: UserExists::at(issuer.url()).ok_or(InvalidSettings::Issuer)?,
            metadata: Cached::new(discovery, Arc::clone(&clock)),
            keys: Cached::new(key_set, Arc::clone(&clock)),
            id_token_rules: Rules::new(issuer, &settings.client_id, &settings.signing_algorithms),
            clock,
        })
    }

    /// Our time and the provider's, as it wrote it on its discovery document;
    /// `None` when it cannot be reached or does not say.
    pub async fn server_time(&self) -> Option<(Timestamp, Timestamp)> {
        let answer = self.http.send(Operation::Discovery, self.http.get(&self.discovery_url)).await.ok()?;
        Some(((self.clock)(), answer.date?))
    }

    /// One secret of the client or two, and the subscription key where there is one,
    /// for [`Vipps::renew_secrets`].
    ///
    /// # Errors
    /// When one cannot be sent.
    pub fn secrets(
        &self,
        first: &SecretString,
        other: Option<&SecretString>,
        subscription_key: Option<&SecretString>,
    ) -> Result<Secrets, InvalidSettings> {
        let client = self.credentials.secrets(first, other)?;
        let platform = subscription_key.map(|key| Platform::secrets(&client, key)).transpose()?;
        Ok(Secrets { client, platform })
    }

    /// From now on these secrets; whether they are others than before. A subscription
    /// key where there was none, or none where there was one, waits for a restart.
    pub fn renew_secrets(&self, secrets: Secrets) -> bool {
        let is_new = self.credentials.renew(secrets.client);
        let has_new_key = match (&self.platform, secrets.platform) {
            (Some(platform), Some(secrets)) => platform.renew(secrets),
            (Some(_), None) | (None, _) => false,
        };
        is_new || has_new_key
    }

    /// The way to the vendor's other APIs; `None` where no `subscription_key` is set.
    #[must_use]
    pub const fn platform(&self) -> Option<&Platform> {
        self.platform.as_ref()
    }

    async fn metadata(&self) -> Result<Arc<Metadata>, ProviderProblem> {
        self.metadata.get(&self.discovery_url).await
    }

    async fn ask(&self, auth_req_id: &AuthReqId) -> PollAnswer {
        let trouble = PollAnswer::Trouble { retry_after: None };
        let Ok(metadata) = self.metadata().await else {
            return trouble;
        };
        let form = [("grant_type", GRANT_TYPE), ("auth_req_id", auth_req_id.expose())];
        match self.credentials.send(&self.http, Operation::Poll, &metadata.token, &form).await {
            Ok(answer) => ciba::poll_answer(answer.reply()),
            Err(_) => trouble,
        }
    }

    /// Verifies the ID token; fetches the keys anew, once, when they do not fit.
    async fn verify(&self, tokens: &Tokens, metadata: &Metadata) -> Result<Subject, IdentifyError> {
        let id_token = tokens.id_token().ok_or(ID_TOKEN_INVALID)?;
        let generation = self.keys.generation();
        let keys = self.keys.get(&metadata.jwks).await.map_err(|_| IdentifyError::Unavailable)?;
        let verify = |keys: &[_]| self.id_token_rules.verify(id_token, tokens.access_token(), keys, (self.clock)());
        let refused = match verify(&keys) {
            Ok(subject) => return Ok(subject),
            Err(refused @ (Refused::UnknownKey | Refused::Signature)) => refused,
            Err(refused) => return Err(reject(refused)),
        };
        match (self.renewed_keys(generation).await, refused) {
            (Renewal::Renewed(keys), _) => verify(&keys).map_err(reject),
            // The key at hand is the one that was named; newer ones would not help.
            (Renewal::TooSoon | Renewal::Failed, Refused::Signature) => Err(reject(refused)),
            (Renewal::TooSoon | Renewal::Failed, _) => Err(IdentifyError::Unavailable),
        }
    }

    /// The keys as they are now. Their address may have changed as well, so
    /// discovery is asked first; if it cannot be asked, its last word stands.
    async fn renewed_keys(&self, generation: u64) -> Renewal<keys::SigningKeys> {
        if self.keys.generation() == generation {
            self.metadata.renew(&self.discovery_url, self.metadata.generation()).await;
        }
        match self.metadata().await {
            Ok(metadata) => self.keys.renew(&metadata.jwks, generation).await,
            Err(_) => Renewal::Failed,
        }
    }
}

fn reject(refused: Refused) -> IdentifyError {
    tracing::warn!(problem = %refused, "ID token refused");
    ID_TOKEN_INVALID
}

#[async_trait]
impl Provider for Vipps {
    async fn user_exists(&self, phone: &PhoneNumber) -> CheckAnswer {
        self.user_exists.ask(&self.http, &self.credentials, &login_hint(phone)).await
    }

    async fn start(&self, terms: &Terms) -> StartAnswer {
        let Ok(metadata) = self.metadata().await else {
            return StartAnswer::NotSent;
        };
        let login_hint = login_hint(&terms.phone);
        let requested_expiry = terms.requested_expiry().as_secs().to_string();
        let scope = scope(terms);
        let form = [
            ("login_hint", login_hint.as_str()),
            ("scope", &scope),
            ("binding_message", terms.code.expose()),
            ("requested_expiry", &requested_expiry),
        ];
        let endpoint = &metadata.backchannel_authentication;
        match self.credentials.send(&self.http, Operation::Start, endpoint, &form).await {
            Ok(answer) => ciba::start_answer(answer.reply()),
            Err(NoAnswer::NotSent(_)) => StartAnswer::NotSent,
            Err(NoAnswer::TimedOut) => StartAnswer::Unclear(Unclear::TimedOut),
            Err(NoAnswer::Interrupted) => StartAnswer::Unclear(Unclear::Interrupted),
        }
    }

    async fn poll(&self, auth_req_id: &AuthReqId) -> PollAnswer {
        let answer = tokio::time::timeout(self.poll_timeout, self.ask(auth_req_id)).await;
        answer.unwrap_or(PollAnswer::Trouble { retry_after: None })
    }

    async fn identify(&self, tokens: &Tokens, terms: &Terms) -> Result<Identity, IdentifyError> {
        let metadata = self.metadata().await.map_err(|_| IdentifyError::Unavailable)?;
        let subject = self.verify(tokens, &metadata).await?;
        // Before userinfo: nothing is read about a person nobody asked for.
        if terms.expected_subject.as_ref().is_some_and(|expected| *expected != subject) {
            return Err(IdentifyError::Rejected(FailureReason::OtherPerson));
        }
        let identity = userinfo::read(&self.http, &metadata.userinfo, tokens).await?;
        userinfo::compare(&identity, &subject, terms)?;
        Ok(identity)
    }

    async fn revoke(&self, tokens: &Tokens) {
        let Ok(metadata) = self.metadata().await else {
            return;
        };
        if let Some(endpoint) = &metadata.revocation {
            let form = [("token", tokens.access_token()), ("token_type_hint", "access_token")];
            // Best effort: the token dies by itself within minutes.
            let _: Result<_, NoAnswer> = self.credentials.send(&self.http, Operation::Revoke, endpoint, &form).await;
        }
    }

    async fn check(&self) -> Result<(), ProviderProblem> {
        let metadata = self.metadata().await?;
        let keys = self.keys.get(&metadata.jwks).await?;
        if keys.is_empty() {
            let problem = "none can verify an allowed algorithm; check signing_algorithms";
            return Err(ProviderProblem(format!("signing keys at {}: {problem}", metadata.jwks)));
        }
        Ok(())
    }
}

/// The vendor's form of a number: country code first, digits alone.
fn login_hint(phone: &PhoneNumber) -> String {
    format!("urn:msisdn:{}", phone.msisdn())
}

/// `openid`, then one scope for each claim that was asked for.
fn scope(terms: &Terms) -> String {
    terms.claims.iter().fold("openid".to_owned(), |scope, claim| scope + " " + claim.scope())
}
