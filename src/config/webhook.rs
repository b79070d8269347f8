//! `[[tenants.webhooks]]`: what the provider tells by itself, and how it proves it.

use std::collections::BTreeSet;
use std::fmt;
use std::io;
use std::path::PathBuf;

use secrecy::{ExposeSecret, SecretString};

use super::secrets::unreadable;
use super::section::{Section, Table};
use crate::webhooks::{EventKind, RegistrationName};

/// `[[tenants.webhooks]]`: one registration at the provider.
#[derive(Clone)]
pub struct Webhook {
    /// The last part of its URL; unique over the gateway.
    pub name: RegistrationName,
    /// What it tells of; at least one.
    pub events: BTreeSet<EventKind>,
    /// What the provider gave when the registration was made.
    pub secret: WebhookSecret,
    /// The one that follows it, or the one that it followed.
    pub secret_next: WebhookSecret,
}

/// A secret that is not there before the registration has been made.
#[derive(Clone, Default)]
pub struct WebhookSecret {
    /// The secret; `None` as long as there is no such file.
    pub secret: Option<SecretString>,
    /// Where it stands, or will: relative paths start at the configuration file.
    pub file: Option<PathBuf>,
}

impl Webhook {
    /// All secrets that there are.
    pub fn secrets(&self) -> impl Iterator<Item = &SecretString> {
        self.secret.secret.iter().chain(&self.secret_next.secret)
    }
}

impl Table for Webhook {
    fn read(section: &mut Section<'_>) -> Option<Self> {
        let name: Option<RegistrationName> = section.required("name");
        if let Some(name) = &name {
            section.unique("name", "webhooks", name.as_str());
        }
        let events: Option<Vec<EventKind>> = section.list_of_some("events", "without events it tells nothing");
        if events.is_none() {
            section.need("events", "name the events that the provider shall tell of");
        }
        if !section.has("secret_file") {
            section.need("secret", "give secret or secret_file; `ciba-gateway webhooks apply` writes the file");
        }
        let secret = secret(section, "secret", "secret_file");
        let secret_next = self::secret(section, "secret_next", "secret_next_file");
        if let (Some(one), Some(other)) = (&secret.secret, &secret_next.secret)
            && one.expose_secret() == other.expose_secret()
        {
            section.wrong("secret_next", "is the same secret as the first one");
        }
        if secret.file.is_some() && secret.file == secret_next.file {
            section.wrong("secret_next_file", "must be another file than secret_file");
        }
        Some(Self { name: name?, events: events?.into_iter().collect(), secret, secret_next })
    }
}

fn secret(section: &mut Section<'_>, key: &str, file_key: &str) -> WebhookSecret {
    section.one_of(key, file_key);
    let file: Option<PathBuf> = section.optional(file_key);
    let file = file.map(|file| section.directory().join(file));
    let text = file.as_ref().and_then(|file| match section.reading().file(file) {
        Ok(text) => Some((file_key, text.trim_end_matches(['\r', '\n']).to_owned())),
        // It is written when the registration is made.
        Err(error) if error.kind() == io::ErrorKind::NotFound => None,
        Err(error) => {
            section.wrong(file_key, unreadable(&error));
            None
        }
    });
    let text = section.optional::<String>(key).map(|text| (key, text)).or(text);
    let secret = text.and_then(|(key, text)| {
        let is_secret = (16..=512).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic());
        if !is_secret {
            section.wrong(key, "must be the secret that the provider gave: 16 to 512 printable characters, no spaces");
        }
        is_secret.then(|| SecretString::from(text))
    });
    WebhookSecret { secret, file }
}

impl fmt::Debug for Webhook {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let secrets = self.secrets().count();
        f.debug_struct("Webhook")
            .field("name", &self.name)
            .field("events", &self.events)
            .field("secrets", &secrets)
            .finish()
    }
}
