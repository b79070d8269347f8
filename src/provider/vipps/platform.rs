//! The access token of the vendor's other APIs (QR, webhooks), and of logins with
//! partner keys.
//!
//! `POST /accesstoken/get` gives one for a client's id and secret and a subscription
//! key. It lives for an hour in the test environment and for a day in production, so it
//! is kept: fetched once however many ask, fetched anew in the background before it
//! ends, used to its end where that fails, and renewed once where an API refuses it.
//! Of two secrets the other is shown where one is refused, as `credentials` does.
//!
//! It has nothing to do with the access token of a login, and asks for no login. Whoever
//! speaks to one of those APIs calls [`Platform::send`].

mod answer;
mod source;
mod webhooks;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use reqwest::RequestBuilder;
use reqwest::header::{AUTHORIZATION, HeaderName};
use url::Url;

use self::source::Renewal;
use crate::provider::openid::http::{Answer, Http, NoAnswer, Operation};

pub use self::source::{NoToken, PlatformToken};
pub(super) use self::source::{PlatformSecrets, Source};
pub(crate) use self::webhooks::Registered;

const SUBSCRIPTION_KEY: HeaderName = HeaderName::from_static("ocp-apim-subscription-key");

/// One sales unit's way to the vendor's platform. Cheap to clone; clones share the token.
#[derive(Clone)]
pub struct Platform {
    /// With the sales unit's serial number and the system's name on every request.
    http: Http,
    host: Url,
    source: Arc<Source>,
    /// How often the secrets had become others when this sales unit heard of it last: it
    /// may share them with others, which hear of it too.
    renewals: Arc<AtomicU64>,
}

/// Why an API of the platform has not answered.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum NotAsked {
    /// There is no token to ask with; nothing was sent.
    #[error(transparent)]
    NoToken(#[from] NoToken),
    /// The request was made, and nothing came back.
    #[error(transparent)]
    NoAnswer(#[from] NoAnswer),
}

impl Platform {
    /// The platform at the issuer's host, for one sales unit with tokens from `source`.
    pub(super) fn new(http: Http, issuer: &Url, source: Arc<Source>) -> Option<Self> {
        Some(Self { http, host: issuer.join("/").ok()?, source, renewals: Arc::default() })
    }

    /// Where tokens come from at the issuer's host. Nothing is fetched yet.
    pub(super) fn source(http: Http, issuer: &Url, client_id: &str, secrets: PlatformSecrets) -> Option<Arc<Source>> {
        Source::new(http, issuer.join(source::PATH).ok()?, client_id, secrets).map(Arc::new)
    }

    /// From now on these secrets; whether they are others than before. The token at hand
    /// goes on being used: it was given for secrets that were right.
    pub(super) fn renew(&self, secrets: PlatformSecrets) -> bool {
        let renewals = self.source.take(secrets);
        self.renewals.swap(renewals, Ordering::Relaxed) != renewals
    }

    /// A token that has not ended, fetched where there is none.
    ///
    /// # Errors
    /// [`NoToken`]: the endpoint refuses the secrets, or gives no token just now.
    pub async fn token(&self) -> Result<PlatformToken, NoToken> {
        self.source.token().await
    }

    /// An address of the platform. `path` begins with a slash, without query.
    pub(crate) fn url(&self, path: &str) -> Url {
        let mut url = self.host.clone();
        url.set_path(path);
        url
    }

    /// Sends what `request` builds, with the token and the subscription key (the serial
    /// number and the system's name are on every request of this client). Where the
    /// token is refused, with 401, it is renewed and the request sent a second time: 401
    /// says that it was not applied (RFC 9110, section 15.5.2).
    ///
    /// # Errors
    /// [`NotAsked`]; an answer with any status is an answer.
    pub(crate) async fn send(
        &self,
        operation: Operation,
        request: impl Fn(&Http) -> RequestBuilder,
    ) -> Result<Answer, NotAsked> {
        let with_key = |http: &Http| request(http).header(SUBSCRIPTION_KEY, self.source.subscription_key());
        self.send_bare(operation, with_key).await
    }

    /// The same without the subscription key, for endpoints that want none.
    pub(super) async fn send_bare(
        &self,
        operation: Operation,
        request: impl Fn(&Http) -> RequestBuilder,
    ) -> Result<Answer, NotAsked> {
        let send = async |token: &PlatformToken| {
            self.http.send(operation, request(&self.http).header(AUTHORIZATION, token.bearer())).await
        };
        let token = self.token().await?;
        let answer = send(&token).await?;
        if answer.status != 401 {
            return Ok(answer);
        }
        match self.source.renew(&token).await {
            Renewal::Renewed(token) => Ok(send(&token).await?),
            // A newer one would be refused as well: the answer is the provider's word.
            Renewal::TooSoon => Ok(answer),
            Renewal::Failed(problem) => Err(problem.into()),
        }
    }
}
