//! How the gateway proves itself to the provider: one name, one secret or two.
//!
//! Two, while one replaces the other: neither side can change at the same moment.
//! The one that worked last is shown first. Where it is refused, and only then,
//! the other is shown once: whoever is refused as a client has had nothing done.

use std::sync::{Arc, PoisonError, RwLock};

use async_trait::async_trait;
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use reqwest::RequestBuilder;
use reqwest::header::{AUTHORIZATION, HeaderValue};
use secrecy::{ExposeSecret, SecretString};
use tracing::info;
use url::Url;

use super::Authentication;
use super::http::{Answer, Http, NoAnswer, Operation};
use super::settings::{ClientAuthentication, InvalidSettings, Settings, is_visible};
use crate::ciba;

/// The client's one way to authenticate at every endpoint that wants it.
pub(in crate::provider) struct Credentials {
    client_id: String,
    authentication: ClientAuthentication,
    form: BasicForm,
    secrets: RwLock<ClientSecrets>,
}

/// One or two secrets of a client, ready to be shown in this order.
#[derive(Clone)]
pub(in crate::provider) struct ClientSecrets(Vec<Arc<Secret>>);

/// What goes into the header of HTTP Basic.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::provider) enum BasicForm {
    /// Id and secret as they are. It would be wrong to encode a secret that ends in `=`
    /// where a provider does not decode it.
    Plain,
    /// Each form-encoded first, as RFC 6749, section 2.3.1, has it.
    Encoded,
}

fn encoded(text: &str) -> String {
    url::form_urlencoded::byte_serialize(text.as_bytes()).collect()
}

struct Secret {
    secret: SecretString,
    /// Ready for HTTP Basic.
    basic: HeaderValue,
}

impl Credentials {
    pub(in crate::provider) fn new(settings: &Settings, form: BasicForm) -> Result<Self, InvalidSettings> {
        let Settings { client_id, client_secret, client_secret_next, authentication, .. } = settings;
        let secrets = RwLock::new(ClientSecrets::new(client_id, form, client_secret, client_secret_next.as_ref())?);
        Ok(Self { client_id: client_id.clone(), authentication: *authentication, form, secrets })
    }

    /// The secrets as they are shown now.
    pub(in crate::provider) fn current(&self) -> ClientSecrets {
        self.secrets.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// From now on these secrets, in this order; whether they are others than before.
    /// Where they are not, the one that worked last goes on being the first.
    pub(in crate::provider) fn renew(&self, next: ClientSecrets) -> bool {
        let mut now = self.secrets.write().unwrap_or_else(PoisonError::into_inner);
        let is_new = !now.is_same_set(&next);
        if is_new {
            *now = next;
        }
        is_new
    }

    /// Secrets of this client.
    pub(in crate::provider) fn secrets(
        &self,
        first: &SecretString,
        other: Option<&SecretString>,
    ) -> Result<ClientSecrets, InvalidSettings> {
        ClientSecrets::new(&self.client_id, self.form, first, other)
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

#[async_trait]
impl Authentication for Credentials {
    /// Sends the form once; a second time where the client is refused and there is
    /// another secret.
    async fn send(
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
}

impl ClientSecrets {
    fn new(
        client_id: &str,
        form: BasicForm,
        first: &SecretString,
        other: Option<&SecretString>,
    ) -> Result<Self, InvalidSettings> {
        let all = std::iter::once(first).chain(other);
        all.map(|secret| Secret::new(client_id, form, secret).map(Arc::new)).collect::<Result<_, _>>().map(Self)
    }

    /// In the order in which they are shown.
    pub(in crate::provider) fn iter(&self) -> impl Iterator<Item = &SecretString> {
        self.0.iter().map(|secret| &secret.secret)
    }

    fn is_same_set(&self, other: &Self) -> bool {
        let has =
            |one: &Arc<Secret>| other.0.iter().any(|other| one.secret.expose_secret() == other.secret.expose_secret());
        self.0.len() == other.0.len() && self.0.iter().all(has)
    }
}

impl Secret {
    fn new(client_id: &str, form: BasicForm, secret: &SecretString) -> Result<Self, InvalidSettings> {
        let exposed = secret.expose_secret();
        if !is_visible(exposed) {
            return Err(InvalidSettings::ClientSecret);
        }
        let both = zeroize::Zeroizing::new(match form {
            BasicForm::Plain => format!("{client_id}:{exposed}"),
            BasicForm::Encoded => format!("{}:{}", encoded(client_id), encoded(exposed)),
        });
        let mut basic = HeaderValue::from_str(&format!("Basic {}", BASE64_STANDARD.encode(both.as_bytes())))
            .map_err(|_| InvalidSettings::ClientSecret)?;
        basic.set_sensitive(true);
        Ok(Self { secret: secret.clone(), basic })
    }
}
