//! Sealing: what leaves this process for a store is readable with our keys alone.
//!
//! [`KeyRing`] seals with XChaCha20-Poly1305 under its active key and opens
//! with any key it holds, so keys rotate while logins run. A blob is bound to
//! its [`Place`]: moved to another login, tenant or field it does not open.
//! Where keys come from is the configuration's business, what is worth sealing
//! the caller's (`store::redis`).
//!
//! A blob is `version (1) | key id (4, big endian) | nonce (24) | ciphertext and tag`.

use std::fmt;

use chacha20poly1305::aead::{Aead, KeyInit, Payload};
use chacha20poly1305::{Key, XChaCha20Poly1305, XNonce};
use zeroize::Zeroizing;

use super::StoreError;
use crate::session::TenantId;

const VERSION: u8 = 1;
const NONCE_LENGTH: usize = 24;

/// Text that was sealed; wiped when dropped.
pub type Plaintext = Zeroizing<Vec<u8>>;

/// The name of a seal key; it stands in the clear before every blob.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct KeyId(pub u32);

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

/// Why keys make no ring.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidKeyRing {
    /// The key to seal with is not among the keys.
    #[error("the active seal key {0} is not among the keys")]
    NoActiveKey(KeyId),
    /// Two keys have one id.
    #[error("the seal key id {0} is used twice")]
    DuplicateKey(KeyId),
}

/// Why something cannot be sealed or opened. Never says what was inside.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SealError {
    /// The system gives no random bytes.
    #[error("no random bytes")]
    NoRandomness,
    /// Longer than the cipher takes.
    #[error("too long to seal")]
    TooLong,
    /// Not a blob of ours, or of a later version.
    #[error("a foreign seal format")]
    ForeignFormat,
    /// Sealed with a key that is not in the ring.
    #[error("an unknown seal key")]
    UnknownKey,
    /// Changed, or put in another place than it was sealed for.
    #[error("a broken seal")]
    Broken,
}

impl From<SealError> for StoreError {
    fn from(error: SealError) -> Self {
        match error {
            SealError::NoRandomness => Self::Unavailable(Box::new(error)),
            SealError::TooLong => Self::Unreadable("too long to seal"),
            SealError::ForeignFormat => Self::Foreign("a foreign seal format"),
            SealError::UnknownKey => Self::Foreign("an unknown seal key"),
            SealError::Broken => Self::Unreadable("a broken seal"),
        }
    }
}

/// Where a blob belongs. It opens nowhere else.
#[derive(Clone, Copy, Debug)]
pub struct Place<'a> {
    /// Whose login.
    pub tenant: &'a TenantId,
    /// Which, by its id; or what else has a name of its own.
    pub item: &'a str,
    /// Which part of it.
    pub blob: &'static str,
    /// The record format that says what is inside.
    pub format: u8,
}

impl Place<'_> {
    /// Associated data; each text has its length before it, so that no two
    /// places give the same bytes.
    fn associated_data(&self) -> Vec<u8> {
        let texts = [self.tenant.as_str(), self.item, self.blob];
        let mut data = vec![VERSION, self.format];
        for text in texts {
            data.extend_from_slice(&(text.len() as u64).to_be_bytes());
            data.extend_from_slice(text.as_bytes());
        }
        data
    }
}

/// Seal keys by id, one of them active. Prints ids only; wiped when dropped.
pub struct KeyRing {
    active: KeyId,
    keys: Vec<(KeyId, Zeroizing<[u8; 32]>)>,
}

impl KeyRing {
    /// A ring that seals with `active` and opens with each of `keys`.
    ///
    /// # Errors
    /// When `active` is missing or an id comes twice.
    pub fn new(active: KeyId, keys: Vec<(KeyId, [u8; 32])>) -> Result<Self, InvalidKeyRing> {
        let keys: Vec<_> = keys.into_iter().map(|(id, key)| (id, Zeroizing::new(key))).collect();
        let duplicate = keys.iter().enumerate().find(|(at, (id, _))| keys[..*at].iter().any(|(other, _)| other == id));
        if let Some((_, (id, _))) = duplicate {
            return Err(InvalidKeyRing::DuplicateKey(*id));
        }
        let ring = Self { active, keys };
        if ring.cipher(active).is_none() {
            return Err(InvalidKeyRing::NoActiveKey(active));
        }
        Ok(ring)
    }

    /// Seals `plaintext` for `place` with the active key.
    ///
    /// # Errors
    /// When the system gives no random bytes or the text is absurdly long.
    pub fn seal(&self, place: &Place<'_>, plaintext: &[u8]) -> Result<Vec<u8>, SealError> {
        let cipher = self.cipher(self.active).ok_or(SealError::UnknownKey)?;
        let mut nonce = [0_u8; NONCE_LENGTH];
        getrandom::fill(&mut nonce).map_err(|_| SealError::NoRandomness)?;
        let payload = Payload { msg: plaintext, aad: &place.associated_data() };
        let ciphertext = cipher.encrypt(&XNonce::from(nonce), payload).map_err(|_| SealError::TooLong)?;
        Ok([header(self.active).as_slice(), &nonce, &ciphertext].concat())
    }

    /// Opens what was sealed for `place`.
    ///
    /// # Errors
    /// When the key is not in the ring, or the blob was changed or moved.
    pub fn open(&self, place: &Place<'_>, blob: &[u8]) -> Result<Plaintext, SealError> {
        let (id, nonce, ciphertext) = split(blob).ok_or(SealError::ForeignFormat)?;
        let cipher = self.cipher(id).ok_or(SealError::UnknownKey)?;
        let payload = Payload { msg: ciphertext, aad: &place.associated_data() };
        cipher.decrypt(&XNonce::from(nonce), payload).map(Zeroizing::new).map_err(|_| SealError::Broken)
    }

    /// How the blobs begin that this ring may open.
    #[must_use]
    pub fn headers(&self) -> Vec<Vec<u8>> {
        self.keys.iter().map(|(id, _)| header(*id).to_vec()).collect()
    }

    fn cipher(&self, id: KeyId) -> Option<XChaCha20Poly1305> {
        let (_, key) = self.keys.iter().find(|(known, _)| *known == id)?;
        Some(XChaCha20Poly1305::new(<&Key>::from(&**key)))
    }
}

impl fmt::Debug for KeyRing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ids: Vec<_> = self.keys.iter().map(|(id, _)| id.0).collect();
        f.debug_struct("KeyRing").field("active", &self.active.0).field("ids", &ids).finish_non_exhaustive()
    }
}

fn header(id: KeyId) -> [u8; 5] {
    let [a, b, c, d] = id.0.to_be_bytes();
    [VERSION, a, b, c, d]
}

fn split(blob: &[u8]) -> Option<(KeyId, [u8; NONCE_LENGTH], &[u8])> {
    let rest = blob.strip_prefix(&[VERSION])?;
    let (id, rest) = rest.split_first_chunk::<4>()?;
    let (nonce, ciphertext) = rest.split_first_chunk::<NONCE_LENGTH>()?;
    Some((KeyId(u32::from_be_bytes(*id)), *nonce, ciphertext))
}

#[cfg(test)]
mod tests;
