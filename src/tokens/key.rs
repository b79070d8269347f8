//! An identity provider's key set (RFC 7517), as far as tokens can be checked with it.
//!
//! Secret keys, keys for encryption and keys of other kinds are skipped: an odd key
//! in the set must not stop the others, and none of these can prove anything.

use std::collections::BTreeSet;

use jsonwebtoken::DecodingKey;
use jsonwebtoken::jwk::{AlgorithmParameters, EllipticCurve, Jwk, KeyAlgorithm, KeyOperations, PublicKeyUse};
use serde::Deserialize;
use serde_json::Value;

use crate::config::TokenAlgorithm;

/// Each key without a name may have to be tried.
const MAX_KEYS: usize = 16;

/// A key that tokens may be signed with.
pub(super) struct SigningKey {
    pub(super) kid: Option<String>,
    /// What it may be used with; never empty.
    pub(super) algorithms: BTreeSet<TokenAlgorithm>,
    pub(super) key: DecodingKey,
}

#[derive(Deserialize)]
struct Document {
    keys: Vec<Value>,
}

/// The keys of a document that one of the allowed algorithms can use; `None` where it
/// is no key set.
pub(super) fn read(document: &[u8], allowed: &BTreeSet<TokenAlgorithm>) -> Option<Vec<SigningKey>> {
    let Document { keys } = serde_json::from_slice(document).ok()?;
    let usable = keys.into_iter().filter_map(|key| usable(serde_json::from_value(key).ok()?, allowed));
    Some(usable.take(MAX_KEYS).collect())
}

fn usable(key: Jwk, allowed: &BTreeSet<TokenAlgorithm>) -> Option<SigningKey> {
    use TokenAlgorithm as A;
    let by_kind: &[A] = match &key.algorithm {
        AlgorithmParameters::RSA(_) => &[A::Rs256, A::Ps256],
        AlgorithmParameters::EllipticCurve(curve) => match curve.curve {
            EllipticCurve::P256 => &[A::Es256],
            EllipticCurve::P384 => &[A::Es384],
            EllipticCurve::P521 | EllipticCurve::Ed25519 => &[],
        },
        AlgorithmParameters::OctetKeyPair(pair) if pair.curve == EllipticCurve::Ed25519 => &[A::EdDsa],
        // A secret would let whoever can read the set sign.
        AlgorithmParameters::OctetKeyPair(_) | AlgorithmParameters::OctetKey(_) => &[],
    };
    let common = &key.common;
    let for_signatures = common.public_key_use.as_ref().is_none_or(|used| *used == PublicKeyUse::Signature);
    let to_verify = common.key_operations.as_ref().is_none_or(|operations| operations.contains(&KeyOperations::Verify));
    let is_its_own = |algorithm: &A| common.key_algorithm.is_none_or(|own| own == name(*algorithm));
    let algorithms: BTreeSet<_> = by_kind.iter().copied().filter(is_its_own).collect();
    let algorithms: BTreeSet<_> = algorithms.intersection(allowed).copied().collect();
    if algorithms.is_empty() || !for_signatures || !to_verify {
        return None;
    }
    let decoding = DecodingKey::from_jwk(&key).ok()?;
    Some(SigningKey { kid: key.common.key_id, algorithms, key: decoding })
}

const fn name(algorithm: TokenAlgorithm) -> KeyAlgorithm {
    match algorithm {
        TokenAlgorithm::Rs256 => KeyAlgorithm::RS256,
        TokenAlgorithm::Ps256 => KeyAlgorithm::PS256,
        TokenAlgorithm::Es256 => KeyAlgorithm::ES256,
        TokenAlgorithm::Es384 => KeyAlgorithm::ES384,
        TokenAlgorithm::EdDsa => KeyAlgorithm::EdDSA,
    }
}
