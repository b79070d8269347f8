//! API keys: what a client system shows, and what the configuration keeps of it.

use std::fmt;
use std::hash::{Hash, Hasher};

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use secrecy::{ExposeSecret, SecretString};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use crate::timestamp::Timestamp;

const PREFIX: &str = "cgk_";
const KEY_BYTES: usize = 32;

/// A client system's key: `cgk_` and 43 base64url characters. Prints redacted.
#[derive(Clone, Debug)]
pub struct ApiKey(SecretString);

impl ApiKey {
    /// The key made of those random bytes.
    #[must_use]
    pub fn from_random(bytes: [u8; KEY_BYTES]) -> Self {
        Self(format!("{PREFIX}{}", BASE64_URL_SAFE_NO_PAD.encode(bytes)).into())
    }

    /// Reads what a client shows; `None` when no key of ours can look like this.
    #[must_use]
    pub fn parse(shown: &str) -> Option<Self> {
        let bytes = BASE64_URL_SAFE_NO_PAD.decode(shown.strip_prefix(PREFIX)?).ok()?;
        (bytes.len() == KEY_BYTES).then(|| Self(shown.into()))
    }

    /// What the configuration keeps of it. The key has 256 random bits, so a
    /// plain hash does not help anybody to guess it.
    #[must_use]
    pub fn hash(&self) -> ApiKeyHash {
        ApiKeyHash(Sha256::digest(self.0.expose_secret()).into())
    }

    /// The key itself, to be shown once to whoever configures the client.
    #[must_use]
    pub fn expose(&self) -> &str {
        self.0.expose_secret()
    }
}

/// The SHA-256 of an [`ApiKey`]. Displays as hex, as the configuration has it;
/// its debug form is only enough to tell one from another.
#[derive(Clone, Copy, Eq)]
pub struct ApiKeyHash([u8; 32]);

impl ApiKeyHash {
    /// Reads 64 hex digits.
    #[must_use]
    pub fn from_hex(text: &str) -> Option<Self> {
        sha256_from_hex(text).map(Self)
    }
}

/// One of the keys that a client may show.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientKey {
    /// What people call it.
    pub name: Option<String>,
    /// All that is known of it.
    pub hash: ApiKeyHash,
    /// It counts before this time only; `None` for as long as it is configured.
    pub not_after: Option<Timestamp>,
}

impl fmt::Display for ClientKey {
    /// Its name, or enough of its hash to find it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ApiKeyHash([first, second, third, ..]) = self.hash;
        match &self.name {
            Some(name) => write!(f, "\"{name}\""),
            None => write!(f, "{first:02x}{second:02x}{third:02x}…"),
        }
    }
}

/// Reads 64 hex digits.
pub(super) fn sha256_from_hex(text: &str) -> Option<[u8; 32]> {
    let mut hash = [0; 32];
    let digits: Vec<u8> = text.chars().map(hex_digit).collect::<Option<_>>()?;
    let pairs = digits.chunks_exact(2).map(|pair| pair[0] << 4 | pair[1]);
    if digits.len() != 2 * hash.len() {
        return None;
    }
    hash.iter_mut().zip(pairs).for_each(|(byte, pair)| *byte = pair);
    Some(hash)
}

fn hex_digit(digit: char) -> Option<u8> {
    u8::try_from(digit.to_digit(16)?).ok()
}

impl PartialEq for ApiKeyHash {
    /// Takes the same time wherever the hashes differ.
    fn eq(&self, other: &Self) -> bool {
        self.0.ct_eq(&other.0).into()
    }
}

impl Hash for ApiKeyHash {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.hash(state);
    }
}

impl fmt::Display for ApiKeyHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for ApiKeyHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [first, second, third, ..] = self.0;
        write!(f, "ApiKeyHash({first:02x}{second:02x}{third:02x}…)")
    }
}
