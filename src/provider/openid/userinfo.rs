//! Who the person is, from the userinfo endpoint, compared with what was asked.

use reqwest::header::{AUTHORIZATION, HeaderValue};
use url::Url;

use super::http::{Http, NoBody, Operation};
use crate::ciba::Tokens;
use crate::identity::{Identity, Subject};
use crate::phone::PhoneNumber;
use crate::provider::IdentifyError;
use crate::session::{FailureReason, Terms};

pub(super) const INVALID: IdentifyError = IdentifyError::Rejected(FailureReason::UserinfoInvalid);
const REFUSED: IdentifyError = IdentifyError::Rejected(FailureReason::UserinfoRefused);

/// Reads userinfo once, with the login's own token and no other credential: a
/// subscription key would be answered with 401.
pub(super) async fn read(http: &Http, endpoint: &Url, tokens: &Tokens) -> Result<Identity, IdentifyError> {
    let request = http.get(endpoint).header(AUTHORIZATION, bearer(tokens)?);
    let answer = http.send(Operation::Userinfo, request).await.map_err(|_| IdentifyError::Unavailable)?;
    match (answer.status, &answer.body) {
        (200, Ok(body)) => Identity::from_userinfo(body).map_err(|problem| {
            tracing::warn!(%problem, "userinfo refused");
            INVALID
        }),
        (200, Err(NoBody::Broken)) | (408 | 425 | 429 | 500..=599, _) => Err(IdentifyError::Unavailable),
        // The provider's own word is a JSON object (its OpenAPI document); a page of
        // the gateway in front of it says nothing about the token.
        (400..=499, Ok(body)) if is_object(body) => Err(REFUSED),
        (400..=499, _) => Err(IdentifyError::Unavailable),
        _ => Err(INVALID),
    }
}

fn is_object(body: &[u8]) -> bool {
    serde_json::from_slice::<serde_json::Map<String, serde_json::Value>>(body).is_ok()
}

fn bearer(tokens: &Tokens) -> Result<HeaderValue, IdentifyError> {
    let bearer = HeaderValue::from_str(&format!("Bearer {}", tokens.access_token()));
    let mut bearer = bearer.map_err(|_| INVALID)?;
    bearer.set_sensitive(true);
    Ok(bearer)
}

/// Whether userinfo speaks about the person of the ID token and, where a number was
/// rung, about that number.
pub(super) fn compare(identity: &Identity, subject: &Subject, terms: &Terms) -> Result<(), IdentifyError> {
    if identity.sub != *subject {
        return Err(INVALID);
    }
    let Some(rung) = terms.person.phone() else { return Ok(()) };
    match identity.phone_number.as_deref().map(PhoneNumber::from_msisdn) {
        Some(Ok(number)) if number == *rung => Ok(()),
        Some(_) => Err(IdentifyError::Rejected(FailureReason::PhoneMismatch)),
        None => Ok(()),
    }
}
