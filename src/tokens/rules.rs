//! Whether a token holds (RFC 7519, RFC 8725, RFC 9068), and what it says.
//!
//! jsonwebtoken checks form, signature, `iss` and `aud`; this adds what it leaves to
//! its caller: which key and which algorithm (by our list and the key, never by the
//! token), `typ`, `crit`, and time, with the present handed in. Keys and addresses of
//! keys in a token's header are never looked at. There is no switch to turn any of it
//! off.

use std::collections::{BTreeMap, BTreeSet};

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use jsonwebtoken::errors::ErrorKind;
use jsonwebtoken::{Algorithm, DecodingKey, Validation};
use serde::Deserialize;
use serde_json::{Map, Value};

use super::key::SigningKey;
use crate::config::{TokenAlgorithm, Tokens};
use crate::logins::Role;
use crate::session::AgentId;
use crate::timestamp::Timestamp;

/// What `typ` may say, apart from nothing.
const TYPES: [&str; 2] = ["jwt", "at+jwt"];
/// The end of the year 9999, in seconds: what is later is no time.
const LAST_SECOND: f64 = 253_402_300_799.0;

type Claims = Map<String, Value>;

/// What a token says that holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Statement {
    /// The client, by the identity provider's name for it.
    pub client: Option<String>,
    /// The agent.
    pub agent: Option<AgentId>,
    /// What the agent or client may do beyond what everybody may.
    pub roles: BTreeSet<Role>,
    /// From then on it does not hold.
    pub until: Timestamp,
}

/// Why a token is not believed; names the rule, never a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// Not three parts of base64url, or not JSON.
    #[error("is not a readable token")]
    Form,
    /// None of ours, or not one of the key's.
    #[error("algorithm")]
    Algorithm,
    /// Not a token for access.
    #[error("type")]
    Type,
    /// Needs an extension that we do not know.
    #[error("critical header")]
    Critical,
    /// None of the keys is the one that it names.
    #[error("unknown key")]
    UnknownKey,
    /// The key is there and the signature is not its.
    #[error("signature")]
    Signature,
    /// Somebody else's.
    #[error("issuer")]
    Issuer,
    /// For somebody else.
    #[error("audience")]
    Audience,
    /// It has ended.
    #[error("expired")]
    Expired,
    /// It begins later, or was made later.
    #[error("from the future")]
    NotYetValid,
    /// It does not say when it was made and when it ends, or lives too long.
    #[error("lifetime")]
    Lifetime,
    /// It counts only for whoever has another key, which is not checked.
    #[error("bound to a key")]
    Bound,
    /// It names no client, or none that may call by tokens.
    #[error("client")]
    Client,
    /// It names no agent, or one whose name is none.
    #[error("agent")]
    Agent,
    /// The identity provider's keys cannot be had.
    #[error("the identity provider's keys cannot be fetched")]
    KeysUnavailable,
}

/// The rules for one identity provider's tokens.
pub(super) struct Rules {
    settings: Tokens,
}

#[derive(Deserialize)]
struct Header {
    alg: String,
    kid: Option<String>,
    typ: Option<String>,
    #[serde(default)]
    crit: Option<Value>,
}

/// Whose token this says to be. Nothing has been checked.
#[must_use]
pub fn stated_issuer(token: &str) -> Option<String> {
    #[derive(Deserialize)]
    struct Stated {
        iss: String,
    }
    let payload = token.split('.').nth(1)?;
    let payload = BASE64_URL_SAFE_NO_PAD.decode(payload).ok()?;
    serde_json::from_slice(&payload).map(|Stated { iss }| iss).ok()
}

impl Rules {
    pub(super) fn new(settings: &Tokens) -> Self {
        Self { settings: settings.clone() }
    }

    /// What the token says, once everything holds.
    pub(super) fn verify(&self, token: &str, keys: &[SigningKey], now: Timestamp) -> Result<Statement, Refused> {
        let header = header(token)?;
        let algorithm = algorithm(&header.alg).filter(|algorithm| self.settings.algorithms.contains(algorithm));
        let algorithm = algorithm.ok_or(Refused::Algorithm)?;
        if header.crit.is_some() {
            return Err(Refused::Critical);
        }
        let is_known = |typ: &str| TYPES.contains(&typ.strip_prefix("application/").unwrap_or(typ));
        if !header.typ.is_none_or(|typ| is_known(&typ.to_ascii_lowercase())) {
            return Err(Refused::Type);
        }
        let claims = self.signed_by_one_of(keys, token, header.kid.as_deref(), algorithm)?;
        if claims.contains_key("cnf") {
            return Err(Refused::Bound);
        }
        let until = self.in_time(&claims, now)?;
        Ok(Statement { client: self.client(&claims), agent: self.agent(&claims)?, roles: self.roles(&claims), until })
    }

    /// Tries each key that can be meant: a token without `kid`, or two keys with the
    /// same one, then need no rule of their own.
    fn signed_by_one_of(
        &self,
        keys: &[SigningKey],
        token: &str,
        kid: Option<&str>,
        algorithm: TokenAlgorithm,
    ) -> Result<Claims, Refused> {
        let mut refused = Refused::UnknownKey;
        let named = keys.iter().filter(|key| kid.is_none() || key.kid.as_deref() == kid);
        for key in named {
            if !key.algorithms.contains(&algorithm) {
                refused = Refused::Algorithm;
                continue;
            }
            match self.signed_by(&key.key, token, algorithm) {
                Err(Refused::Signature) => refused = Refused::Signature,
                settled => return settled,
            }
        }
        Err(refused)
    }

    fn signed_by(&self, key: &DecodingKey, token: &str, algorithm: TokenAlgorithm) -> Result<Claims, Refused> {
        let mut validation = Validation::new(wire(algorithm));
        validation.set_issuer(&[self.settings.issuer.as_str()]);
        validation.set_audience(&[&self.settings.audience]);
        // Without these a claim that is missing would count as right.
        validation.set_required_spec_claims(&["iss", "aud"]);
        // By the clock of this gateway, not by the library's.
        (validation.validate_exp, validation.validate_nbf) = (false, false);
        let token = jsonwebtoken::decode::<Claims>(token, key, &validation).map_err(|error| match error.kind() {
            ErrorKind::InvalidSignature | ErrorKind::InvalidRsaKey(_) | ErrorKind::InvalidEcdsaKey => {
                Refused::Signature
            }
            ErrorKind::InvalidAlgorithm | ErrorKind::InvalidAlgorithmName => Refused::Algorithm,
            ErrorKind::InvalidIssuer => Refused::Issuer,
            ErrorKind::InvalidAudience => Refused::Audience,
            ErrorKind::MissingRequiredClaim(claim) if claim == "iss" => Refused::Issuer,
            ErrorKind::MissingRequiredClaim(_) => Refused::Audience,
            _ => Refused::Form,
        })?;
        // The library takes a list of issuers too.
        if token.claims.get("iss").and_then(Value::as_str) != Some(self.settings.issuer.as_str()) {
            return Err(Refused::Issuer);
        }
        Ok(token.claims)
    }

    /// When the token ceases to hold.
    fn in_time(&self, claims: &Claims, now: Timestamp) -> Result<Timestamp, Refused> {
        let time = |name| claims.get(name).map(time).transpose();
        let (Some(made), Some(end)) = (time("iat")?, time("exp")?) else { return Err(Refused::Lifetime) };
        let skew = self.settings.clock_skew;
        let until = end.plus(skew);
        if now >= until {
            return Err(Refused::Expired);
        }
        let begins = time("nbf")?.unwrap_or(made).max(made);
        if now.plus(skew) < begins {
            return Err(Refused::NotYetValid);
        }
        if end <= made || end.since(made) > self.settings.longest_lifetime {
            return Err(Refused::Lifetime);
        }
        Ok(until)
    }

    fn client(&self, claims: &Claims) -> Option<String> {
        let named = match &self.settings.client_claim {
            Some(name) => found(claims, name),
            None => claims.get("azp").or_else(|| claims.get("client_id")),
        };
        named?.as_str().map(str::to_owned)
    }

    fn agent(&self, claims: &Claims) -> Result<Option<AgentId>, Refused> {
        let named = self.settings.agent_claim.as_deref().and_then(|name| found(claims, name));
        let name = named.map(|value| value.as_str().ok_or(Refused::Agent)).transpose()?;
        name.map(|name| AgentId::new(name).map_err(|_| Refused::Agent)).transpose()
    }

    fn roles(&self, claims: &Claims) -> BTreeSet<Role> {
        let listed = self.settings.roles_claim.as_deref().and_then(|name| found(claims, name));
        let listed: BTreeSet<&str> = match listed {
            Some(Value::Array(names)) => names.iter().filter_map(Value::as_str).collect(),
            Some(Value::String(names)) => names.split_ascii_whitespace().collect(),
            _ => BTreeSet::new(),
        };
        let roles: &BTreeMap<Role, BTreeSet<String>> = &self.settings.roles;
        let is_listed = |names: &BTreeSet<String>| names.iter().any(|name| listed.contains(name.as_str()));
        roles.iter().filter(|(_, names)| is_listed(names)).map(|(role, _)| *role).collect()
    }
}

fn header(token: &str) -> Result<Header, Refused> {
    let mut parts = token.split('.');
    let (Some(header), Some(_), Some(_), None) = (parts.next(), parts.next(), parts.next(), parts.next()) else {
        return Err(Refused::Form);
    };
    let header = BASE64_URL_SAFE_NO_PAD.decode(header).map_err(|_| Refused::Form)?;
    serde_json::from_slice(&header).map_err(|_| Refused::Form)
}

fn algorithm(name: &str) -> Option<TokenAlgorithm> {
    let name: serde::de::value::StrDeserializer<'_, serde::de::value::Error> =
        serde::de::IntoDeserializer::into_deserializer(name);
    TokenAlgorithm::deserialize(name).ok()
}

const fn wire(algorithm: TokenAlgorithm) -> Algorithm {
    match algorithm {
        TokenAlgorithm::Rs256 => Algorithm::RS256,
        TokenAlgorithm::Ps256 => Algorithm::PS256,
        TokenAlgorithm::Es256 => Algorithm::ES256,
        TokenAlgorithm::Es384 => Algorithm::ES384,
        TokenAlgorithm::EdDsa => Algorithm::EdDSA,
    }
}

/// A `NumericDate`: seconds, perhaps with a fraction.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "between zero and the year 10000, in milliseconds"
)]
fn time(value: &Value) -> Result<Timestamp, Refused> {
    let seconds = value.as_f64().filter(|seconds| (0.0..=LAST_SECOND).contains(seconds));
    seconds.map(|seconds| Timestamp::from_millis((seconds * 1000.0) as u64)).ok_or(Refused::Form)
}

/// A claim by its name, or else by the way to it with dots between names:
/// identity providers put dots into names and claims into each other.
fn found<'c>(claims: &'c Claims, name: &str) -> Option<&'c Value> {
    if let Some(value) = claims.get(name) {
        return Some(value);
    }
    let mut steps = name.split('.');
    let first = claims.get(steps.next()?)?;
    steps.try_fold(first, |value, step| value.as_object()?.get(step))
}
