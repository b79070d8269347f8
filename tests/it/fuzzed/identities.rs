//! Bodies of userinfo answers.
//!
//! An input is a body ([`bodies::body`]).

use arbitrary::Unstructured;
use ciba_gateway::identity::{Identity, Subject};
use ciba_gateway::phone::PhoneNumber;
use serde_json::Value;

use super::bodies;
use crate::support::lying_provider::{SUBJECT, terms};

const MEMBERS: [&str; 22] = [
    "sub",
    "name",
    "given_name",
    "family_name",
    "birthdate",
    "email",
    "email_verified",
    "phone_number",
    "gender",
    "nin",
    "address",
    "other_addresses",
    "delegatedConsents",
    "flowResult",
    "agreement",
    "address_type",
    "street_address",
    "formatted",
    "consents",
    "accepted",
    "timeOfConsent",
    "sid",
];
/// Longer than every word that an identity prints.
const TELLING: usize = 32;

pub(crate) fn judge(data: &[u8]) -> bool {
    let Ok(body) = bodies::body(&mut Unstructured::new(data), &MEMBERS) else { return false };
    match Identity::from_userinfo(&body) {
        Ok(identity) => holds(&identity),
        Err(problem) => names_a_place_alone(&problem.to_string()),
    }
    let subject = Subject::new(SUBJECT).expect("a subject");
    let believed = bodies::judge().identity(&body, &subject, &terms());
    if let Ok(identity) = &believed {
        assert_eq!(identity.sub, subject);
        let number = identity.phone_number.as_deref().map(PhoneNumber::from_msisdn);
        assert!(number.is_none_or(|number| number.ok().as_ref() == terms().person.phone()), "another number");
    }
    believed.is_ok()
}

fn holds(identity: &Identity) {
    let sub = identity.sub.expose();
    assert!((1..=255).contains(&sub.len()) && sub.bytes().all(|byte| byte.is_ascii_graphic()), "{sub:?}");
    let kept = serde_json::to_value(identity).expect("an identity is written down");
    let printed = format!("{identity:?}");
    let texts = kept.as_object().into_iter().flat_map(|object| object.values()).filter_map(Value::as_str);
    for text in texts.filter(|text| text.len() >= TELLING) {
        assert!(!printed.contains(text), "{printed}");
    }
    // As a store does it: through text, not through values.
    let again = serde_json::from_str::<Identity>(&kept.to_string());
    let again = again.map_err(|problem| problem.to_string());
    if has_fraction(&kept) {
        assert_eq!(again.map(|again| again.sub).as_ref(), Ok(&identity.sub), "read as it was written: {kept}");
    } else {
        assert_eq!(again.as_ref(), Ok(identity), "read as it was written: {kept}");
    }
}

/// No claim that is known has one; the JSON library reads their last digit as it likes.
fn has_fraction(value: &Value) -> bool {
    match value {
        Value::Number(number) => number.is_f64(),
        Value::Array(items) => items.iter().any(has_fraction),
        Value::Object(members) => members.values().any(has_fraction),
        Value::Null | Value::Bool(_) | Value::String(_) => false,
    }
}

fn names_a_place_alone(problem: &str) {
    let words = problem.split(|c: char| c.is_ascii_digit()).filter(|part| !part.is_empty()).collect::<Vec<_>>();
    assert_eq!(words, ["userinfo cannot be read (line ", ", column ", ")"], "{problem}");
}
