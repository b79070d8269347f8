//! Keyed hashes: how numbers, codes and request ids appear in a store.
//!
//! A hash finds the same thing again and says nothing about it to whoever
//! lacks the key: a phone number has too few digits for a plain hash to hide
//! it. Each tenant has a key of its own, derived from the configured one, so
//! equal numbers of two tenants look different. Called by `store::redis`.

use std::fmt;

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use hkdf::Hkdf;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use zeroize::Zeroizing;

use crate::session::TenantId;

/// 128 bits: without the key nobody can look for collisions.
const DIGEST_LENGTH: usize = 16;
const TENANT_INFO: &str = "ciba-gateway store hash v1 ";
const GATEWAY_INFO: &str = "ciba-gateway store hash over all tenants v1";

/// The configured hash key, and the one that replaces it or that it replaces. Prints
/// nothing; wiped when dropped.
pub struct HashKeys {
    active: Zeroizing<[u8; 32]>,
    other: Option<Box<HashKeys>>,
}

impl HashKeys {
    /// Takes the configured key.
    #[must_use]
    pub fn new(key: [u8; 32]) -> Self {
        Self { active: Zeroizing::new(key), other: None }
    }

    /// The same beside another one, under which things are found too.
    #[must_use]
    pub fn beside(self, other: [u8; 32]) -> Self {
        Self { other: Some(Box::new(Self::new(other))), ..self }
    }

    /// The other one, where there is one.
    #[must_use]
    pub fn other(&self) -> Option<&Self> {
        self.other.as_deref()
    }

    /// The hash of one tenant: HKDF-SHA256 (RFC 5869) with the tenant as info.
    #[must_use]
    pub fn for_tenant(&self, tenant: &TenantId) -> KeyedHash {
        self.derive(&[TENANT_INFO.as_bytes(), tenant.as_str().as_bytes()])
    }

    /// The hash of what is kept over all tenants.
    #[must_use]
    pub fn for_gateway(&self) -> KeyedHash {
        self.derive(&[GATEWAY_INFO.as_bytes()])
    }

    fn derive(&self, info: &[&[u8]]) -> KeyedHash {
        let (pseudorandom_key, _) = Hkdf::<Sha256>::extract(None, self.active.as_slice());
        // HKDF-Expand for a single block (section 2.3), which cannot fail.
        let block = mac(pseudorandom_key.as_slice(), &[info, &[&[1]]].concat());
        KeyedHash(Zeroizing::new(block))
    }
}

impl fmt::Debug for HashKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("HashKeys(…)")
    }
}

/// HMAC-SHA256 under one tenant's key. Prints nothing; wiped when dropped.
pub struct KeyedHash(Zeroizing<[u8; 32]>);

impl KeyedHash {
    /// The hash of `parts`, as 22 base64url characters. `purpose` keeps equal
    /// texts that mean different things apart.
    #[must_use]
    pub fn digest(&self, purpose: &str, parts: &[&[u8]]) -> String {
        let mut framed = Zeroizing::new(Vec::new());
        for part in [purpose.as_bytes()].iter().chain(parts) {
            framed.extend_from_slice(&(part.len() as u64).to_be_bytes());
            framed.extend_from_slice(part);
        }
        let digest = mac(self.0.as_slice(), &[&framed]);
        BASE64_URL_SAFE_NO_PAD.encode(&digest[..DIGEST_LENGTH])
    }
}

impl fmt::Debug for KeyedHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("KeyedHash(…)")
    }
}

/// HMAC with a key of at most one block; zeros to fill the block are what
/// RFC 2104 prescribes.
pub(crate) fn mac(key: &[u8], parts: &[&[u8]]) -> [u8; 32] {
    let mut block = Zeroizing::new([0_u8; 64]);
    for (to, from) in block.iter_mut().zip(key) {
        *to = *from;
    }
    let mut mac = Hmac::<Sha256>::new((&*block).into());
    for part in parts {
        mac.update(part);
    }
    mac.finalize().into_bytes().into()
}

#[cfg(test)]
mod tests;
