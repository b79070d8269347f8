//! Whether an ID token may be believed (OpenID Connect Core, section 3.1.3.7).
//!
//! openidconnect checks form, signature, `iss`, `aud` and `exp`; this adds what
//! it leaves to its caller: the age of `iat`, `azp`, `at_hash`, and a search for
//! the key that also works without a `kid`. The algorithms come from the
//! settings, never from the token or from discovery. There is no switch to turn
//! any of it off; with partner keys `msn` takes the place of `aud` and `azp`.
//!
//! Not checked: `nonce`, because none is sent, and, of a poll's token, a claim with the
//! `auth_req_id`, which CIBA Core (section 10.3.1) has in push mode alone. Of a landing's
//! token that claim is all that says whose it is: [`request_id`] reads it.

use std::collections::BTreeSet;
use std::str::FromStr;
use std::time::Duration;

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use chrono::{DateTime, Utc};
use openidconnect::core::{
    CoreGenderClaim, CoreIdTokenVerifier, CoreJsonWebKey, CoreJsonWebKeySet, CoreJweContentEncryptionAlgorithm,
    CoreJwsSigningAlgorithm,
};
use openidconnect::{
    AccessToken, AccessTokenHash, AdditionalClaims, ClaimsVerificationError, ClientId, IdToken, IdTokenClaims,
    IssuerUrl, Nonce, SignatureVerificationError,
};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;

use super::settings::SigningAlgorithm;
use crate::ciba::AuthReqId;
use crate::identity::Subject;
use crate::timestamp::Timestamp;

/// How far the provider's clock and ours may be apart.
const LEEWAY: Duration = Duration::from_secs(60);
/// The token of a login is made at its approval, minutes ago at most.
const MAX_AGE: Duration = Duration::from_secs(3_600);

/// Why an ID token is not believed; names the rule, never a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Refused {
    #[error("is not a readable ID token")]
    Form,
    #[error("issuer")]
    Issuer,
    #[error("audience")]
    Audience,
    #[error("expired, too old or from the future")]
    Time,
    #[error("subject")]
    Subject,
    #[error("access token hash")]
    AccessTokenHash,
    #[error("algorithm")]
    Algorithm,
    #[error("request id")]
    RequestId,
    #[error("another rule")]
    Other,
    /// None of the keys is the one that it names.
    #[error("unknown key")]
    UnknownKey,
    /// The key is there and the signature is not its.
    #[error("signature")]
    Signature,
}

/// Whom ID tokens must be for.
#[derive(Clone, Debug)]
pub(in crate::provider) enum Recipient {
    /// The client of that id, in `aud`.
    Client(String),
    /// The merchant whose sales unit has that serial number, in Vipps's `msn`. `aud` is
    /// the merchant's own client, which a partner does not know.
    Merchant(String),
}

/// What Vipps says beside the standard's claims.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct OtherClaims {
    /// Text; a number is taken too.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    msn: Option<Value>,
}

impl AdditionalClaims for OtherClaims {}

type Token = IdToken<OtherClaims, CoreGenderClaim, CoreJweContentEncryptionAlgorithm, CoreJwsSigningAlgorithm>;
type Claims = IdTokenClaims<OtherClaims, CoreGenderClaim>;

/// The rules for one credential's ID tokens.
pub(super) struct Rules {
    issuer: IssuerUrl,
    recipient: Recipient,
    algorithms: Vec<CoreJwsSigningAlgorithm>,
}

impl Rules {
    pub(super) fn new(issuer: IssuerUrl, recipient: Recipient, algorithms: &BTreeSet<SigningAlgorithm>) -> Self {
        let algorithm = |algorithm: &SigningAlgorithm| match algorithm {
            SigningAlgorithm::Rs256 => CoreJwsSigningAlgorithm::RsaSsaPkcs1V15Sha256,
            SigningAlgorithm::Es256 => CoreJwsSigningAlgorithm::EcdsaP256Sha256,
        };
        Self { issuer, recipient, algorithms: algorithms.iter().map(algorithm).collect() }
    }

    /// Whom the token is about, once everything holds.
    ///
    /// Tries each key by itself: a token without `kid`, or two keys with the same
    /// one, then need no rule of their own.
    pub(super) fn verify(
        &self,
        id_token: &str,
        access_token: &str,
        keys: &[CoreJsonWebKey],
        now: Timestamp,
    ) -> Result<Subject, Refused> {
        let token = Token::from_str(id_token).map_err(|_| Refused::Form)?;
        let mut refused = Refused::UnknownKey;
        for key in keys {
            match self.verify_with(&token, access_token, key, now) {
                Err(Refused::UnknownKey) => {}
                Err(Refused::Signature) => refused = Refused::Signature,
                settled => return settled,
            }
        }
        Err(refused)
    }

    fn verify_with(
        &self,
        token: &Token,
        access_token: &str,
        key: &CoreJsonWebKey,
        now: Timestamp,
    ) -> Result<Subject, Refused> {
        let verifier = self.verifier(key, now);
        let no_nonce_was_sent = |_: Option<&Nonce>| Ok(());
        let claims = token.claims(&verifier, no_nonce_was_sent).map_err(refused)?;
        if !self.is_for_us(claims) {
            return Err(Refused::Audience);
        }
        if let Some(stated) = claims.access_token_hash() {
            let algorithm = token.signing_alg().map_err(|_| Refused::Algorithm)?;
            let access_token = AccessToken::new(access_token.to_owned());
            let actual = AccessTokenHash::from_token(&access_token, algorithm, key);
            if !actual.is_ok_and(|actual| actual == *stated) {
                return Err(Refused::AccessTokenHash);
            }
        }
        Subject::new(claims.subject().as_str()).ok_or(Refused::Subject)
    }

    /// What openidconnect leaves open about the recipient.
    fn is_for_us(&self, claims: &Claims) -> bool {
        match &self.recipient {
            Recipient::Client(id) => {
                claims.authorized_party().map_or(claims.audiences().len() == 1, |party| party.as_str() == id)
            }
            Recipient::Merchant(msn) => match &claims.additional_claims().msn {
                Some(Value::String(text)) => text == msn,
                Some(Value::Number(number)) => number.to_string() == *msn,
                Some(Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_)) | None => false,
            },
        }
    }

    fn verifier(&self, key: &CoreJsonWebKey, now: Timestamp) -> CoreIdTokenVerifier<'static> {
        let keys = CoreJsonWebKeySet::new(vec![key.clone()]);
        let (client_id, has_audience) = match &self.recipient {
            Recipient::Client(id) => (id.clone(), true),
            Recipient::Merchant(_) => (String::new(), false),
        };
        CoreIdTokenVerifier::new_public_client(ClientId::new(client_id), self.issuer.clone(), keys)
            .require_audience_match(has_audience)
            .set_allowed_algs(self.algorithms.iter().cloned())
            .set_time_fn(move || utc(now.minus(LEEWAY)))
            .set_issue_time_verifier_fn(move |issued_at| {
                let in_time = utc(now.minus(MAX_AGE + LEEWAY))..=utc(now.plus(LEEWAY));
                if in_time.contains(&issued_at) { Ok(()) } else { Err("iat".to_owned()) }
            })
    }
}

/// Which request a token answers, by each of the three names that the vendor's pages and
/// CIBA Core (section 10.3.1) have for the claim; `None` when it is not there, or does not
/// say the same everywhere. To be asked of a token that has been verified.
pub(super) fn request_id(id_token: &str) -> Option<AuthReqId> {
    // A name that stands twice is refused by serde; null is not the same as absent.
    #[derive(Deserialize)]
    struct Claims {
        #[serde(default, deserialize_with = "present")]
        auth_req_id: Option<Value>,
        #[serde(default, rename = "authReqId", deserialize_with = "present")]
        camel_case: Option<Value>,
        #[serde(default, rename = "urn:openid:params:jwt:claim:auth_req_id", deserialize_with = "present")]
        urn: Option<Value>,
    }
    let payload = BASE64_URL_SAFE_NO_PAD.decode(id_token.split('.').nth(1)?).ok()?;
    let claims: Claims = serde_json::from_slice(&payload).ok()?;
    let mut said = [claims.auth_req_id, claims.camel_case, claims.urn].into_iter().flatten();
    let first = said.next()?;
    if said.any(|other| other != first) {
        return None;
    }
    AuthReqId::new(first.as_str()?)
}

fn present<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Value>, D::Error> {
    Value::deserialize(deserializer).map(Some)
}

/// A clock beyond the calendar reads as its end, where every token has expired.
fn utc(at: Timestamp) -> DateTime<Utc> {
    let millis = i64::try_from(at.as_millis()).unwrap_or(i64::MAX);
    DateTime::from_timestamp_millis(millis).unwrap_or(DateTime::<Utc>::MAX_UTC)
}

fn refused(error: ClaimsVerificationError) -> Refused {
    use SignatureVerificationError as Signature;
    match error {
        ClaimsVerificationError::Expired(_) => Refused::Time,
        ClaimsVerificationError::InvalidAudience(_) => Refused::Audience,
        ClaimsVerificationError::InvalidIssuer(_) => Refused::Issuer,
        ClaimsVerificationError::InvalidSubject(_) => Refused::Subject,
        ClaimsVerificationError::SignatureVerification(error) => match error {
            Signature::NoMatchingKey => Refused::UnknownKey,
            Signature::CryptoError(_) | Signature::InvalidKey(_) => Refused::Signature,
            Signature::DisallowedAlg(_) | Signature::NoSignature | Signature::UnsupportedAlg(_) => Refused::Algorithm,
            _ => Refused::Other,
        },
        _ => Refused::Other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request_of(claims: &str) -> Option<String> {
        let token = format!("e30.{}.c2ln", BASE64_URL_SAFE_NO_PAD.encode(claims));
        request_id(&token).map(|id| id.expose().to_owned())
    }

    #[test]
    fn a_request_is_named_by_any_of_three_claims_and_by_all_alike() {
        let urn = "urn:openid:params:jwt:claim:auth_req_id";
        for name in ["auth_req_id", "authReqId", urn] {
            assert_eq!(request_of(&format!(r#"{{"sub":"s","{name}":"a-1"}}"#)).as_deref(), Some("a-1"));
        }
        let all = format!(r#"{{"auth_req_id":"a-1","authReqId":"a-1","{urn}":"a-1"}}"#);
        assert_eq!(request_of(&all).as_deref(), Some("a-1"));
        for wrong in [
            r#"{"sub":"s"}"#,
            r#"{"auth_req_id":"a-1","authReqId":"a-2"}"#,
            r#"{"auth_req_id":"a-1","authReqId":null}"#,
            r#"{"auth_req_id":null}"#,
            r#"{"auth_req_id":["a-1"]}"#,
            r#"{"auth_req_id":7}"#,
            r#"{"auth_req_id":""}"#,
            r#"{"auth_req_id":"a 1"}"#,
            r#"{"auth_req_id":"a-1","auth_req_id":"a-1"}"#,
            "[]",
        ] {
            assert_eq!(request_of(wrong), None, "{wrong}");
        }
    }
}
