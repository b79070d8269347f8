//! Records as Redis holds them: the clear fields of `store::record`, its
//! secret parts sealed.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use crate::session::{LoginId, TenantId, Terms};
use crate::store::hash::KeyedHash;
use crate::store::record::{CHANGING, Fields, Flat, Formats, Opened, from_json, to_json};
use crate::store::seal::{KeyRing, Place, Plaintext};
use crate::store::{Record, StoreError};
use crate::timestamp::Timestamp;
use zeroize::Zeroizing;

/// Field name and value, ready to be written.
pub(super) type Field = (&'static str, Vec<u8>);

/// What a read of one login brings: its fields, none if there is no such login.
pub(super) type RawFields = HashMap<String, Vec<u8>>;
/// And its sealed identity.
pub(super) type RawIdentity = Option<Vec<u8>>;
/// Both.
pub(super) type Raw = (RawFields, RawIdentity);

/// Seals and opens the parts of one login, or of something else with a name.
pub(super) struct Sealer<'a> {
    pub(super) ring: Arc<KeyRing>,
    pub(super) formats: Formats,
    pub(super) tenant: &'a TenantId,
    pub(super) item: &'a str,
}

/// A version of a record, ready to be written.
pub(super) struct Version {
    /// Fields to write.
    pub(super) fields: Vec<Field>,
    /// Fields to remove.
    pub(super) removed: Vec<&'static str>,
    /// Sealed identity, and until when it may be read.
    pub(super) identity: Option<(Vec<u8>, Timestamp)>,
    /// The same for the same content, whatever the seals look like.
    pub(super) digest: String,
}

impl Sealer<'_> {
    /// The fields that are written at the beginning.
    pub(super) fn terms(&self, record: &Record) -> Result<Vec<Field>, StoreError> {
        let Record { session, format, .. } = record;
        Ok(vec![
            ("format", format.to_string().into_bytes()),
            ("channel", session.terms.channel.name().into()),
            ("created_at", session.terms.created_at.as_millis().to_string().into_bytes()),
            ("terms", self.seal(*format, "terms", &to_json(session.terms.as_ref())?)?),
        ])
    }

    /// The fields that change.
    pub(super) fn version(
        &self,
        record: &Record,
        identity_window: Duration,
        hash: &KeyedHash,
    ) -> Result<Version, StoreError> {
        let flat = Flat::of(record, identity_window)?;
        let digest = digest(&flat, hash);
        let mut fields: Vec<Field> = flat.clear.into_iter().map(|(name, text)| (name, text.into_bytes())).collect();
        if let Some(secret) = flat.secret {
            fields.push(("secret", self.seal(record.format, "secret", &secret)?));
        }
        if let Some(terms) = flat.terms {
            fields.push(("terms", self.seal(record.format, "terms", &terms)?));
        }
        let removed = CHANGING.into_iter().filter(|name| fields.iter().all(|(field, _)| field != name)).collect();
        let identity = match flat.identity {
            Some((json, until)) => Some((self.seal(record.format, "identity", &json)?, until)),
            None => None,
        };
        Ok(Version { fields, removed, identity, digest })
    }

    /// The record as it is to be seen at `now`; `None` when it is no longer kept.
    pub(super) fn open(&self, (fields, identity): Raw, now: Timestamp) -> Result<Option<Record>, StoreError> {
        let fields = Fields(fields);
        let Some(format) = fields.format(self.formats, now)? else {
            return Ok(None);
        };
        let open = |blob, sealed: &[u8]| self.open_blob(format, blob, sealed);
        let terms = fields.bytes("terms").ok_or(StoreError::Unreadable("a record without terms"))?;
        let opened = Opened {
            format,
            terms: open("terms", terms)?,
            secret: fields.bytes("secret").map(|blob| open("secret", blob)).transpose()?,
            identity: identity.map(|blob| open("identity", &blob)).transpose()?,
            fields: &fields,
        };
        let login = LoginId::parse(self.item).map_err(|_| StoreError::Unreadable("a record without a login"))?;
        opened.record(&login, now).map(Some)
    }

    /// The terms of a record of that format, read by themselves.
    pub(super) fn open_terms(&self, format: u64, sealed: Option<&[u8]>) -> Result<Terms, StoreError> {
        let format = self.formats.read(format)?;
        let sealed = sealed.ok_or(StoreError::Unreadable("a record without terms"))?;
        from_json(&self.open_blob(format, "terms", sealed)?)
    }

    /// A text of the newest format.
    pub(super) fn seal_text(&self, blob: &'static str, text: &str) -> Result<Vec<u8>, StoreError> {
        self.seal(self.formats.newest(), blob, text.as_bytes())
    }

    /// What [`Sealer::seal_text`] has sealed.
    pub(super) fn open_text(
        &self,
        format: u8,
        blob: &'static str,
        sealed: &[u8],
    ) -> Result<Zeroizing<String>, StoreError> {
        let text = self.open_blob(format, blob, sealed)?;
        let text = std::str::from_utf8(&text).map_err(|_| StoreError::Unreadable("a sealed text is none"))?;
        Ok(Zeroizing::new(text.to_owned()))
    }

    fn seal(&self, format: u8, blob: &'static str, plaintext: &[u8]) -> Result<Vec<u8>, StoreError> {
        Ok(self.ring.seal(&self.place(format, blob), plaintext)?)
    }

    fn open_blob(&self, format: u8, blob: &'static str, sealed: &[u8]) -> Result<Plaintext, StoreError> {
        Ok(self.ring.open(&self.place(format, blob), sealed)?)
    }

    const fn place(&self, format: u8, blob: &'static str) -> Place<'_> {
        Place { tenant: self.tenant, item: self.item, blob, format }
    }
}

fn digest(flat: &Flat, hash: &KeyedHash) -> String {
    let mut parts: Vec<&[u8]> = Vec::new();
    for (name, text) in &flat.clear {
        parts.extend([name.as_bytes(), text.as_bytes()]);
    }
    parts.extend([&b"secret"[..], flat.secret.as_deref().map_or(&[], Vec::as_slice)]);
    parts.extend([&b"terms"[..], flat.terms.as_deref().map_or(&[], Vec::as_slice)]);
    parts.extend([&b"identity"[..], flat.identity.as_ref().map_or(&[], |(json, _)| json.as_slice())]);
    hash.digest("write", &parts)
}
