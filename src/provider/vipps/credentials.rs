//! How the gateway proves itself to the provider: one name, one secret or two.
//!
//! Two, while one replaces the other: neither side can change at the same moment.
//! The one that worked last is shown first. Where it is refused, and only then,
//! the other is shown once: whoever is refused as a client has had nothing done.

use std::sync::{Arc, PoisonError, RwLock};

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use reqwest::RequestBuilder;
use reqwest::header::{AUTHORIZATION, HeaderValue};
use secrecy::{ExposeSecret, SecretString};
use tracing::info;
use url::Url;

use super::http::{Answer, Http, NoAnswer, Operation};
use super::settings::{ClientAuthentication, InvalidSettings, Settings, is_visible};
use crate::ciba;

/// The client's one way to authenticate at every endpoint that wants it.
pub(super) struct Credentials {
    client_id: String,
    authentication: ClientAuthentication,
    secrets: RwLock<ClientSecrets>,
}

/// One or two secrets of a client, ready to be shown in this order.
#[derive(Clone)]
pub(super) struct ClientSecrets(Vec<Arc<Secret>>);

struct Secret {
    secret: SecretString,
    /// Ready for HTTP Basic.
    basic: HeaderValue,
}

impl Credentials {
    pub(super) fn new(settings: &Settings) -> Result<Self, InvalidSettings> {
        let Settings { client_id, client_secret, client_secret_next, authentication, .. } = settings;
        let secrets = RwLock::new(ClientSecrets::new(client_id, client_secret, client_secret_next.as_ref())?);
        Ok(Self { client_id: client_id.clone(), authentication: *authentication, secrets })
    }

    /// The secrets as they are shown now.
    pub(super) fn current(&self) -> ClientSecrets {
        self.secrets.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// From now on these secrets, in this order; whether they are others than before.
    /// Where they are not, the one that worked last goes on being the first.
    pub(super) fn renew(&self, next: ClientSecrets) -> bool {
        let mut now = self.secrets.write().unwrap_or_else(PoisonError::into_inner);
        let is_new = !now.is_same_set(&next);
        if is_new {
            *now = next;
        }
        is_new
    }

    /// Secrets of this client.
    pub(super) fn secrets(
        &self,
        first: &SecretString,
        other: Option<&SecretString>,
    ) -> Result<ClientSecrets, InvalidSettings> {
        ClientSecrets::new(&self.client_id, first, other)
    }

    /// Sends the form once; a second time where the client is refused and there is
    /// another secret.
    pub(super) async fn send(
        &self,
        http: &Http,
        operation: Operation,
        endpoint: &Url,
        form: &[(&str, &str)],
    ) -> Result<Answer, NoAnswer> {
        let ClientSecrets(secrets) = self.current();
        let mut last = Err(NoAnswer::NotSent("no client secret is configured".to_owned()));
        for (position, secret) in secrets.iter().enumerate() {
            last = http.send(operation, self.authenticate(http.post(endpoint), form, secret)).await;
            match &last {
                Ok(answer) if ciba::refuses_client(answer.reply()) => {}
                Ok(answer) if position > 0 && answer.status < 500 => {
                    self.prefer(secret);
                    return last;
                }
                Ok(_) | Err(_) => return last,
            }
        }
        last
    }

    /// Shows that one first, if it is still one of ours.
    fn prefer(&self, secret: &Arc<Secret>) {
        let mut now = self.secrets.write().unwrap_or_else(PoisonError::into_inner);
        let secrets = &mut now.0;
        if let Some(position) = secrets.iter().position(|known| Arc::ptr_eq(known, secret))
            && position > 0
        {
            secrets.swap(0, position);
            info!("the provider refuses one client secret and takes the other, which is shown first from now on");
        }
    }

    fn authenticate(&self, request: RequestBuilder, form: &[(&str, &str)], secret: &Secret) -> RequestBuilder {
        match self.authentication {
            ClientAuthentication::SecretBasic => request.header(AUTHORIZATION, secret.basic.clone()).form(form),
            ClientAuthentication::SecretPost => {
                let own = [("client_id", self.client_id.as_str()), ("client_secret", secret.secret.expose_secret())];
                request.form(&[form, &own].concat())
            }
        }
    }
}

impl ClientSecrets {
    fn new(client_id: &str, first: &SecretString, other: Option<&SecretString>) -> Result<Self, InvalidSettings> {
        let all = std::iter::once(first).chain(other);
        all.map(|secret| Secret::new(client_id, secret).map(Arc::new)).collect::<Result<_, _>>().map(Self)
    }

    /// In the order in which they are shown.
    pub(super) fn iter(&self) -> impl Iterator<Item = &SecretString> {
        self.0.iter().map(|secret| &secret.secret)
    }

    fn is_same_set(&self, other: &Self) -> bool {
        let has =
            |one: &Arc<Secret>| other.0.iter().any(|other| one.secret.expose_secret() == other.secret.expose_secret());
        self.0.len() == other.0.len() && self.0.iter().all(has)
    }
}

impl Secret {
    /// The vendor's recipe for Basic: plain base64 of both, without the form-encoding
    /// of RFC 6749 section 2.3.1, which would change a secret that ends in `=`.
    fn new(client_id: &str, secret: &SecretString) -> Result<Self, InvalidSettings> {
        if !is_visible(secret.expose_secret()) {
            return Err(InvalidSettings::ClientSecret);
        }
        let both = zeroize::Zeroizing::new(format!("{client_id}:{}", secret.expose_secret()));
        let mut basic = HeaderValue::from_str(&format!("Basic {}", BASE64_STANDARD.encode(both.as_bytes())))
            .map_err(|_| InvalidSettings::ClientSecret)?;
        basic.set_sensitive(true);
        Ok(Self { secret: secret.clone(), basic })
    }
}
