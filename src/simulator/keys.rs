//! The simulator's signing keys: one RSA and one P-256 pair at a time, their
//! JWK forms, and rotation.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::{Algorithm, EncodingKey, crypto};
use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _};
use rsa::pkcs1::EncodeRsaPrivateKey as _;
use rsa::traits::PublicKeyParts as _;
use rsa::{RsaPrivateKey, rand_core};
use serde_json::{Value, json};

use super::random;

/// Why keys could not be made or used.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// The RSA pair could not be generated.
    #[error("cannot generate an RSA key")]
    Rsa(#[from] rsa::Error),
    /// The RSA pair could not be written out.
    #[error("cannot encode the RSA key")]
    Encoding(#[from] rsa::pkcs1::Error),
    /// The P-256 pair could not be generated.
    #[error("cannot generate a P-256 key")]
    P256,
    /// A key identifier could not be drawn.
    #[error("no randomness available")]
    Random,
    /// A token could not be signed.
    #[error("cannot sign")]
    Sign(#[from] jsonwebtoken::errors::Error),
    /// The thread that generates keys did not finish.
    #[error("key generation was interrupted")]
    Interrupted(#[from] tokio::task::JoinError),
}

impl From<getrandom::Error> for KeyError {
    fn from(_: getrandom::Error) -> Self {
        Self::Random
    }
}

/// An RSA and a P-256 key pair. Cheap to clone.
///
/// Generating an RSA pair takes a noticeable part of a second; a suite of tests
/// may generate one set and hand clones to all its simulators.
#[derive(Clone)]
pub struct SigningKeys(Arc<Pairs>);

struct Pairs {
    rsa: Key,
    p256: Key,
}

/// One private key with the identifier and public form it is published under.
pub(super) struct Key {
    pub(super) kid: String,
    signing: EncodingKey,
    algorithm: Algorithm,
    jwk: Value,
}

impl std::fmt::Debug for SigningKeys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SigningKeys")
            .field("rsa", &self.0.rsa.kid)
            .field("p256", &self.0.p256.kid)
            .finish_non_exhaustive()
    }
}

impl SigningKeys {
    /// Generates both pairs. Computes for a while; keep it off the async threads.
    pub fn generate() -> Result<Self, KeyError> {
        Ok(Self(Arc::new(Pairs { rsa: Key::rsa()?, p256: Key::p256()? })))
    }

    /// The key for RS256.
    pub(super) fn rsa(&self) -> &Key {
        &self.0.rsa
    }

    /// The key for ES256.
    pub(super) fn p256(&self) -> &Key {
        &self.0.p256
    }
}

impl Key {
    fn rsa() -> Result<Self, KeyError> {
        let private = RsaPrivateKey::new(&mut rand_core::OsRng, 2048)?;
        let kid = new_kid()?;
        let jwk = json!({
            "kty": "RSA", "use": "sig", "alg": "RS256", "kid": kid,
            "n": URL_SAFE_NO_PAD.encode(private.n().to_bytes_be()),
            "e": URL_SAFE_NO_PAD.encode(private.e().to_bytes_be()),
        });
        let der = private.to_pkcs1_der()?;
        Ok(Self { kid, signing: EncodingKey::from_rsa_der(der.as_bytes()), algorithm: Algorithm::RS256, jwk })
    }

    fn p256() -> Result<Self, KeyError> {
        let rng = SystemRandom::new();
        let scheme = &ECDSA_P256_SHA256_FIXED_SIGNING;
        let der = EcdsaKeyPair::generate_pkcs8(scheme, &rng).map_err(|_| KeyError::P256)?;
        let pair = EcdsaKeyPair::from_pkcs8(scheme, der.as_ref(), &rng).map_err(|_| KeyError::P256)?;
        let kid = new_kid()?;
        Ok(Self {
            jwk: p256_jwk(&kid, pair.public_key().as_ref())?,
            kid,
            signing: EncodingKey::from_ec_der(der.as_ref()),
            algorithm: Algorithm::ES256,
        })
    }

    /// The signature over `message`, in the base64url form a JWT carries.
    pub(super) fn sign(&self, message: &str) -> Result<String, KeyError> {
        Ok(crypto::sign(message.as_bytes(), &self.signing, self.algorithm)?)
    }
}

/// The JWK of an uncompressed P-256 point: a marker byte, then both coordinates.
fn p256_jwk(kid: &str, point: &[u8]) -> Result<Value, KeyError> {
    let (x, y) =
        point.strip_prefix(&[4]).and_then(|coordinates| coordinates.split_at_checked(32)).ok_or(KeyError::P256)?;
    Ok(json!({
        "kty": "EC", "use": "sig", "alg": "ES256", "crv": "P-256", "kid": kid,
        "x": URL_SAFE_NO_PAD.encode(x),
        "y": URL_SAFE_NO_PAD.encode(y),
    }))
}

/// Key identifiers in the form Vipps publishes (Login API guide, "Core concepts").
fn new_kid() -> Result<String, getrandom::Error> {
    Ok(format!("public:{}", random::uuid()?))
}

/// Signs with HMAC-SHA-256, as an attacker who confuses algorithms would.
pub(super) fn sign_with_secret(message: &str, secret: &str) -> Result<String, KeyError> {
    let key = EncodingKey::from_secret(secret.as_bytes());
    Ok(crypto::sign(message.as_bytes(), &key, Algorithm::HS256)?)
}

/// The keys in use and the retired ones that are still published.
#[derive(Debug)]
pub(super) struct KeyRing {
    current: SigningKeys,
    retired: Vec<SigningKeys>,
}

impl KeyRing {
    pub(super) fn new(current: SigningKeys) -> Self {
        Self { current, retired: Vec::new() }
    }

    pub(super) fn current(&self) -> SigningKeys {
        self.current.clone()
    }

    /// Signs with `next` from now on. Old keys stay published or vanish at once.
    pub(super) fn rotate(&mut self, next: SigningKeys, keep_old: bool) {
        let previous = std::mem::replace(&mut self.current, next);
        if keep_old {
            self.retired.push(previous);
        } else {
            self.retired.clear();
        }
    }

    /// The published set; the P-256 keys only when `with_p256`.
    pub(super) fn jwks(&self, with_p256: bool) -> Value {
        let sets = std::iter::once(&self.current).chain(&self.retired);
        let keys: Vec<&Value> = sets
            .flat_map(|set| [set.rsa(), set.p256()])
            .filter(|key| with_p256 || key.algorithm != Algorithm::ES256)
            .map(|key| &key.jwk)
            .collect();
        json!({ "keys": keys })
    }
}
