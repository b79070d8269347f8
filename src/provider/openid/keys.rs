//! The provider's signing keys (JWKS).
//!
//! Keeps those that an allowed algorithm can use and skips the others: an
//! unknown key type in the set must not stop logins.

use std::collections::BTreeSet;
use std::time::Duration;

use async_trait::async_trait;
use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use openidconnect::core::CoreJsonWebKey;
use serde::Deserialize;
use serde_json::Value;
use url::Url;

use super::cache::Fetch;
use super::http::{Http, Operation};
use super::settings::SigningAlgorithm;
use crate::provider::ProviderProblem;

/// Each key may have to be tried.
const MAX_KEYS: usize = 16;
/// RFC 7518, section 3.3: 2048 bits or more.
const LEAST_MODULUS_BYTES: usize = 256;

/// The usable keys, in the provider's order.
pub(super) type SigningKeys = Vec<CoreJsonWebKey>;

/// Fetches a key set.
pub(super) struct KeySet {
    pub(super) http: Http,
    pub(super) algorithms: BTreeSet<SigningAlgorithm>,
}

#[derive(Deserialize)]
struct Document {
    keys: Vec<Value>,
}

#[async_trait]
impl Fetch for KeySet {
    type Document = SigningKeys;

    async fn fetch(&self, from: &Url) -> Result<(SigningKeys, Duration), ProviderProblem> {
        let problem = |what: String| ProviderProblem(format!("signing keys at {from}: {what}"));
        let answer = self.http.send(Operation::Keys, self.http.get(from)).await;
        let answer = answer.map_err(|error| problem(error.to_string()))?;
        if answer.status != 200 {
            return Err(problem(format!("answered with status {}", answer.status)));
        }
        let keys = read(answer.reply().body, &self.algorithms);
        Ok((keys.ok_or_else(|| problem("is not a readable key set".to_owned()))?, answer.max_age))
    }
}

/// The keys of a set that the allowed algorithms can use; `None` when it is no key set.
pub(super) fn read(body: &[u8], algorithms: &BTreeSet<SigningAlgorithm>) -> Option<SigningKeys> {
    let document: Document = serde_json::from_slice(body).ok()?;
    let usable = document.keys.into_iter().filter_map(|key| usable(key, algorithms));
    Some(usable.take(MAX_KEYS).collect())
}

fn usable(key: Value, algorithms: &BTreeSet<SigningAlgorithm>) -> Option<CoreJsonWebKey> {
    let text = |name: &str| key.get(name).and_then(Value::as_str);
    let algorithm = match (text("kty")?, text("crv")) {
        ("RSA", _) if modulus_bytes(text("n")?)? >= LEAST_MODULUS_BYTES => SigningAlgorithm::Rs256,
        ("EC", Some("P-256")) => SigningAlgorithm::Es256,
        _ => return None,
    };
    let for_signatures = text("use").is_none_or(|used_for| used_for == "sig");
    if !for_signatures || !algorithms.contains(&algorithm) {
        return None;
    }
    serde_json::from_value(key).ok()
}

fn modulus_bytes(encoded: &str) -> Option<usize> {
    let modulus = BASE64_URL_SAFE_NO_PAD.decode(encoded).ok()?;
    Some(modulus.iter().skip_while(|byte| **byte == 0).count())
}
