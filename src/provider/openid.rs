//! What all OpenID providers with CIBA in poll mode have in common.
//!
//! Sends the requests of CIBA Core 1.0 and believes nothing that comes back before it
//! is checked: `http` bounds every answer, `metadata` and `keys` read the two documents
//! that `cache` keeps, `id_token` and `userinfo` decide whether a person may be
//! believed. What an answer to a start or a poll means is `ciba`'s to say. What only one
//! kind of provider wants, such as the form of a login hint, its profile hands in.
//!
//! Keeps no logins and repeats no request, but for one that is refused because of
//! the client's secret, by `credentials`. Profiles ([`super::vipps`] and the like) have
//! one value for each credential. It expects that the process has installed a rustls
//! provider.

mod cache;
mod credentials;
pub(crate) mod http;
mod id_token;
mod judge;
mod keys;
pub(crate) mod metadata;
mod settings;
mod userinfo;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use url::Url;

use self::cache::{Cached, Renewal};
use self::http::{Answer, Http, NoAnswer, Operation};
use self::id_token::{Refused, Rules};
use self::keys::KeySet;
use self::metadata::{Discovery, Metadata, discovery_url};
use super::{IdentifyError, ProviderProblem};
use crate::ciba::{self, AuthReqId, GRANT_TYPE, PollAnswer, StartAnswer, Tokens, Unclear};
use crate::egress::hosts::AllowedHosts;
use crate::identity::{Identity, Subject};
use crate::session::{FailureReason, Terms};
use crate::timestamp::Timestamp;

pub(super) use self::cache::{PAUSE, has_passed};
pub(super) use self::credentials::{BasicForm, ClientSecrets, Credentials};
pub(super) use self::id_token::Recipient;
pub use self::judge::Judge;
pub(super) use self::settings::is_visible;
pub use self::settings::{ClientAuthentication, InvalidSettings, Settings, SigningAlgorithm};

/// The present, as whoever runs the gateway sees it.
pub type Clock = Arc<dyn Fn() -> Timestamp + Send + Sync>;

const ID_TOKEN_INVALID: IdentifyError = IdentifyError::Rejected(FailureReason::IdTokenInvalid);

/// How a client proves itself at the endpoints that want it.
#[async_trait]
pub(super) trait Authentication: Send + Sync {
    /// Sends the form as that client, once; a second time only where the first was
    /// refused because of the client, so that nothing has been done.
    async fn send(
        &self,
        http: &Http,
        operation: Operation,
        endpoint: &Url,
        form: &[(&str, &str)],
    ) -> Result<Answer, NoAnswer>;
}

/// One credential at one provider.
pub(super) struct OpenId {
    http: Http,
    clock: Clock,
    authentication: Arc<dyn Authentication>,
    poll_timeout: Duration,
    discovery_url: Url,
    metadata: Cached<Discovery>,
    keys: Cached<KeySet>,
    id_token_rules: Rules,
}

impl OpenId {
    /// A provider that has not been asked anything yet: discovery is fetched by
    /// the first call that needs it.
    ///
    /// # Errors
    /// When the settings cannot work, in words for an operator.
    pub(super) fn new(
        settings: &Settings,
        recipient: Recipient,
        http: Http,
        authentication: Arc<dyn Authentication>,
        clock: Clock,
    ) -> Result<Self, InvalidSettings> {
        let issuer = settings.issuer_url()?;
        let discovery_url = discovery_url(&settings.issuer).ok_or(InvalidSettings::Issuer)?;
        let hosts = AllowedHosts::new(issuer.url(), &settings.additional_hosts, settings.allow_insecure_hosts);
        hosts.check(issuer.url())?;
        let discovery = Discovery { http: http.clone(), issuer: settings.issuer.clone(), hosts };
        let key_set = KeySet { http: http.clone(), algorithms: settings.signing_algorithms.clone() };
        Ok(Self {
            http,
            authentication,
            poll_timeout: settings.poll_timeout,
            discovery_url,
            metadata: Cached::new(discovery, Arc::clone(&clock)),
            keys: Cached::new(key_set, Arc::clone(&clock)),
            id_token_rules: Rules::new(issuer, recipient, &settings.signing_algorithms),
            clock,
        })
    }

    /// Our time and the provider's, as it wrote it on its discovery document;
    /// `None` when it cannot be reached or does not say.
    pub(super) async fn server_time(&self) -> Option<(Timestamp, Timestamp)> {
        let answer = self.http.send(Operation::Discovery, self.http.get(&self.discovery_url)).await.ok()?;
        Some(((self.clock)(), answer.date?))
    }

    /// Asks for one login. `form` is what the profile says about the person and the
    /// login.
    pub(super) async fn start(&self, form: &[(&str, &str)]) -> StartAnswer {
        let Ok(metadata) = self.metadata().await else {
            return StartAnswer::NotSent;
        };
        match self.send(Operation::Start, &metadata.backchannel_authentication, form).await {
            Ok(answer) => ciba::start_answer(answer.reply()),
            Err(NoAnswer::NotSent(_)) => StartAnswer::NotSent,
            Err(NoAnswer::ClientRefused) => StartAnswer::CredentialsRefused,
            Err(NoAnswer::TimedOut) => StartAnswer::Unclear(Unclear::TimedOut),
            Err(NoAnswer::Interrupted) => StartAnswer::Unclear(Unclear::Interrupted),
        }
    }

    /// Polls once, within the time that the settings allow a poll.
    pub(super) async fn poll(&self, auth_req_id: &AuthReqId) -> PollAnswer {
        self.exchange(Operation::Poll, &[("grant_type", GRANT_TYPE), ("auth_req_id", auth_req_id.expose())]).await
    }

    /// One request to the token endpoint, within the time that a poll may take.
    pub(super) async fn exchange(&self, operation: Operation, form: &[(&str, &str)]) -> PollAnswer {
        let answer = tokio::time::timeout(self.poll_timeout, self.ask(operation, form)).await;
        answer.unwrap_or(PollAnswer::Trouble { retry_after: None })
    }

    async fn ask(&self, operation: Operation, form: &[(&str, &str)]) -> PollAnswer {
        let trouble = PollAnswer::Trouble { retry_after: None };
        let Ok(metadata) = self.metadata().await else {
            return trouble;
        };
        match self.send(operation, &metadata.token, form).await {
            Ok(answer) => ciba::poll_answer(answer.reply()),
            Err(NoAnswer::ClientRefused) => PollAnswer::CredentialsRefused,
            Err(NoAnswer::NotSent(_) | NoAnswer::TimedOut | NoAnswer::Interrupted) => trouble,
        }
    }

    /// Which request the ID token answers, once it is verified.
    pub(super) async fn request_of(&self, tokens: &Tokens) -> Result<AuthReqId, IdentifyError> {
        let metadata = self.metadata().await.map_err(|_| IdentifyError::Unavailable)?;
        self.verify(tokens, &metadata).await?;
        tokens.id_token().and_then(id_token::request_id).ok_or_else(|| reject(Refused::RequestId))
    }

    /// Verifies what the exchange gave, reads userinfo and compares it with what was
    /// asked.
    pub(super) async fn identify(&self, tokens: &Tokens, terms: &Terms) -> Result<Identity, IdentifyError> {
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

    /// Asks the provider to forget the access token, once.
    pub(super) async fn revoke(&self, tokens: &Tokens) {
        let Ok(metadata) = self.metadata().await else {
            return;
        };
        if let Some(endpoint) = &metadata.revocation {
            let form = [("token", tokens.access_token()), ("token_type_hint", "access_token")];
            // Best effort: the token dies by itself within minutes.
            let _: Result<_, NoAnswer> = self.send(Operation::Revoke, endpoint, &form).await;
        }
    }

    /// Whether metadata and keys are at hand.
    pub(super) async fn check(&self) -> Result<(), ProviderProblem> {
        let metadata = self.metadata().await?;
        let keys = self.keys.get(&metadata.jwks).await?;
        if keys.is_empty() {
            let problem = "none can verify an allowed algorithm; check signing_algorithms";
            return Err(ProviderProblem(format!("signing keys at {}: {problem}", metadata.jwks)));
        }
        Ok(())
    }

    /// Sends a form to an endpoint as the client.
    pub(super) async fn send(
        &self,
        operation: Operation,
        endpoint: &Url,
        form: &[(&str, &str)],
    ) -> Result<Answer, NoAnswer> {
        self.authentication.send(&self.http, operation, endpoint, form).await
    }

    async fn metadata(&self) -> Result<Arc<Metadata>, ProviderProblem> {
        self.metadata.get(&self.discovery_url).await
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
