//! Where the token comes from, and how long it is kept.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use reqwest::header::{CONTENT_LENGTH, HeaderName, HeaderValue};
use secrecy::{ExposeSecret, SecretString};
use tokio_util::task::TaskTracker;
use tracing::{info, warn};
use url::Url;

use super::SUBSCRIPTION_KEY;
use super::answer::{self, Given};
use crate::provider::openid::http::{Http, NoBody, Operation};
use crate::provider::openid::{ClientSecrets, InvalidSettings, PAUSE, has_passed, is_visible};
use crate::timestamp::Timestamp;

/// Fixed, on the issuer's host; no document names it.
pub(super) const PATH: &str = "/accesstoken/get";

const CLIENT_ID: HeaderName = HeaderName::from_static("client_id");
const CLIENT_SECRET: HeaderName = HeaderName::from_static("client_secret");

/// A token of the platform, ready for the `Authorization` header. Prints redacted.
#[derive(Clone)]
pub struct PlatformToken(Arc<HeaderValue>);

impl PlatformToken {
    fn new(token: &str) -> Option<Self> {
        Some(Self(Arc::new(sensitive(&format!("Bearer {token}"))?)))
    }

    /// The value of the header: `Bearer` and the token. Marked as sensitive.
    #[must_use]
    pub fn bearer(&self) -> HeaderValue {
        HeaderValue::clone(&self.0)
    }

    fn is(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl fmt::Debug for PlatformToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PlatformToken(…)")
    }
}

/// Why there is no token, in words for an operator; free of secrets.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoToken {
    /// The endpoint refuses the client id, the secrets or the subscription key.
    #[error("the platform's token endpoint refuses client_id, client_secret or subscription_key (status {0})")]
    Refused(u16),
    /// The endpoint gives no token just now.
    #[error("the platform's token endpoint gives no token: {0}")]
    Unavailable(String),
}

/// What a token is asked for with.
#[derive(Clone)]
pub(in crate::provider::vipps) struct PlatformSecrets {
    /// In the order in which they are shown; one or two.
    client: Vec<HeaderValue>,
    subscription_key: HeaderValue,
}

impl PlatformSecrets {
    pub(in crate::provider::vipps) fn new(
        client: &ClientSecrets,
        subscription_key: &SecretString,
    ) -> Result<Self, InvalidSettings> {
        let key = subscription_key.expose_secret();
        let key = is_visible(key).then(|| sensitive(key)).flatten().ok_or(InvalidSettings::SubscriptionKey)?;
        let client = client.iter().map(|secret| sensitive(secret.expose_secret())).collect::<Option<_>>();
        Ok(Self { client: client.ok_or(InvalidSettings::ClientSecret)?, subscription_key: key })
    }

    fn is_same_set(&self, other: &Self) -> bool {
        let is_known = |secret| other.client.contains(secret);
        self.subscription_key == other.subscription_key
            && self.client.len() == other.client.len()
            && self.client.iter().all(is_known)
    }
}

fn sensitive(text: &str) -> Option<HeaderValue> {
    let mut value = HeaderValue::from_str(text).ok()?;
    value.set_sensitive(true);
    Some(value)
}

/// What became of a token that was refused.
pub(super) enum Renewal {
    /// One that was given after it.
    Renewed(PlatformToken),
    /// It has only just been given.
    TooSoon,
    /// There is no other.
    Failed(NoToken),
}

/// See the module.
pub(in crate::provider::vipps) struct Source {
    http: Http,
    url: Url,
    client_id: HeaderValue,
    secrets: Mutex<PlatformSecrets>,
    /// How often the secrets have become others.
    renewals: AtomicU64,
    state: Mutex<State>,
    /// Held by whoever fetches.
    flight: Arc<tokio::sync::Mutex<()>>,
    /// A fetch is seen through, whoever gave up waiting for it: polls wait for less
    /// time than a request may take.
    fetches: TaskTracker,
}

#[derive(Default)]
struct State {
    held: Option<Held>,
    failed: Option<(Timestamp, NoToken)>,
}

#[derive(Clone)]
struct Held {
    token: PlatformToken,
    since: Timestamp,
    life: Duration,
}

impl Held {
    fn has_ended(&self, now: Timestamp) -> bool {
        has_passed(self.life, self.since, now)
    }

    /// In the last tenth of its life.
    fn is_old(&self, now: Timestamp) -> bool {
        has_passed(self.life - self.life / 10, self.since, now)
    }
}

impl Source {
    /// Where tokens for that client come from. Nothing is fetched yet. `client_id` is
    /// visible ASCII.
    pub(in crate::provider::vipps) fn new(
        http: Http,
        url: Url,
        client_id: &str,
        secrets: PlatformSecrets,
    ) -> Option<Self> {
        Some(Self {
            http,
            url,
            client_id: HeaderValue::from_str(client_id).ok()?,
            secrets: Mutex::new(secrets),
            renewals: AtomicU64::new(0),
            state: Mutex::default(),
            flight: Arc::default(),
            fetches: TaskTracker::new(),
        })
    }

    /// Whether the other one would get tokens of the same client from the same place.
    pub(in crate::provider::vipps) fn has_credential_of(&self, other: &Self) -> bool {
        let same_secrets = std::ptr::eq(self, other) || {
            let others = other.secrets().clone();
            self.secrets().is_same_set(&others)
        };
        self.url == other.url && self.client_id == other.client_id && same_secrets
    }

    /// From now on these; says how often they have become others. Where they are none,
    /// the one that worked last goes on being shown first.
    pub(super) fn take(&self, next: PlatformSecrets) -> u64 {
        let mut now = self.secrets();
        if now.is_same_set(&next) {
            return self.renewals.load(Ordering::Relaxed);
        }
        *now = next;
        let renewals = self.renewals.fetch_add(1, Ordering::Relaxed) + 1;
        drop(now);
        // What was refused may be right now.
        self.state().failed = None;
        renewals
    }

    pub(super) fn subscription_key(&self) -> HeaderValue {
        self.secrets().subscription_key.clone()
    }

    /// The token at hand, or a new one.
    pub(super) async fn token(self: &Arc<Self>) -> Result<PlatformToken, NoToken> {
        if let Some(token) = self.at_hand() {
            return Ok(token);
        }
        let flight = Arc::clone(&self.flight).lock_owned().await;
        if let Some(token) = self.at_hand() {
            return Ok(token);
        }
        match self.recent_failure() {
            Some(problem) => Err(problem),
            None => self.fetch(flight).await,
        }
    }

    /// A token other than the one that was refused: fetched now, unless somebody else
    /// just did, or it is too soon after the last time.
    pub(super) async fn renew(self: &Arc<Self>, refused: &PlatformToken) -> Renewal {
        let flight = Arc::clone(&self.flight).lock_owned().await;
        let (now, held) = (self.http.now(), self.state().held.clone());
        match held {
            Some(held) if !held.token.is(refused) && !held.has_ended(now) => return Renewal::Renewed(held.token),
            Some(held) if held.token.is(refused) && !has_passed(PAUSE, held.since, now) => return Renewal::TooSoon,
            Some(_) | None => {}
        }
        if let Some(problem) = self.recent_failure() {
            return Renewal::Failed(problem);
        }
        self.fetch(flight).await.map_or_else(Renewal::Failed, Renewal::Renewed)
    }

    fn at_hand(self: &Arc<Self>) -> Option<PlatformToken> {
        let now = self.http.now();
        let held = self.state().held.clone().filter(|held| !held.has_ended(now))?;
        if held.is_old(now)
            && self.recent_failure().is_none()
            && let Ok(flight) = Arc::clone(&self.flight).try_lock_owned()
        {
            // Awaited by nobody; a failure has been written down and logged.
            drop(self.begin(flight));
        }
        Some(held.token)
    }

    async fn fetch(self: &Arc<Self>, flight: Flight) -> Result<PlatformToken, NoToken> {
        let broken = |_| NoToken::Unavailable("the request was broken off".to_owned());
        self.begin(flight).await.unwrap_or_else(|error| Err(broken(error)))
    }

    fn begin(self: &Arc<Self>, flight: Flight) -> tokio::task::JoinHandle<Result<PlatformToken, NoToken>> {
        let source = Arc::clone(self);
        self.fetches.spawn(async move {
            let _flight = flight;
            source.ask().await
        })
    }

    async fn ask(&self) -> Result<PlatformToken, NoToken> {
        let secrets = self.secrets().clone();
        let mut result = Err(NoToken::Unavailable("no client secret is configured".to_owned()));
        for (position, secret) in secrets.client.iter().enumerate() {
            result = self.ask_with(secret, &secrets.subscription_key).await;
            match &result {
                Err(NoToken::Refused(_)) => {}
                Ok(_) if position > 0 => {
                    self.prefer(secret);
                    break;
                }
                Ok(_) | Err(NoToken::Unavailable(_)) => break,
            }
        }
        let mut state = self.state();
        match result {
            Ok(held) => {
                let token = held.token.clone();
                *state = State { held: Some(held), failed: None };
                Ok(token)
            }
            Err(problem) => {
                warn!(%problem, "no token for the vendor's platform");
                state.failed = Some((self.http.now(), problem.clone()));
                Err(problem)
            }
        }
    }

    async fn ask_with(&self, secret: &HeaderValue, subscription_key: &HeaderValue) -> Result<Held, NoToken> {
        let since = self.http.now();
        let request = self
            .http
            .post(&self.url)
            .header(CLIENT_ID, self.client_id.clone())
            .header(CLIENT_SECRET, secret.clone())
            .header(SUBSCRIPTION_KEY, subscription_key.clone())
            // Some gateways want to hear that there is no body.
            .header(CONTENT_LENGTH, 0);
        let answer = self.http.send(Operation::PlatformToken, request).await;
        let answer = answer.map_err(|error| NoToken::Unavailable(error.to_string()))?;
        let unusable = |what: &str| NoToken::Unavailable(format!("its answer {what}"));
        match (answer.status, &answer.body) {
            (200, Ok(body)) => {
                let Given { token, life } = answer::read(body, since).map_err(unusable)?;
                let token =
                    PlatformToken::new(&token).ok_or_else(|| unusable("is a token that no header can carry"))?;
                Ok(Held { token, since, life })
            }
            (200, Err(NoBody::TooLong)) => Err(unusable("is too long")),
            (200, Err(NoBody::Broken)) => Err(unusable("breaks off")),
            (400 | 401 | 403, _) => Err(NoToken::Refused(answer.status)),
            (status, _) => Err(NoToken::Unavailable(format!("it answers with status {status}"))),
        }
    }

    /// Shows that one first, if it is still one of ours.
    fn prefer(&self, secret: &HeaderValue) {
        let mut now = self.secrets();
        if let Some(position) = now.client.iter().position(|known| known == secret)
            && position > 0
        {
            now.client.swap(0, position);
            info!("the platform refuses one client secret and takes the other, which is shown first from now on");
        }
    }

    fn recent_failure(&self) -> Option<NoToken> {
        let now = self.http.now();
        let state = self.state();
        state.failed.as_ref().filter(|(at, _)| !has_passed(PAUSE, *at, now)).map(|(_, problem)| problem.clone())
    }

    /// Neither lock is held across an await, and nothing under them can panic half-way.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn secrets(&self) -> MutexGuard<'_, PlatformSecrets> {
        self.secrets.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

type Flight = tokio::sync::OwnedMutexGuard<()>;
