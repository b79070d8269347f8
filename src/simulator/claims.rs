//! Claims by scope: what userinfo, and optionally the ID token, say about a
//! person (OpenAPI "Login API", schema of the userinfo answer).

use serde_json::{Map, Value, json};

use super::behaviour::{Consents, UserinfoKnobs};
use super::people::{Address, Person};

/// Claims that a scope other than `openid` releases.
pub(super) const RELEASED: [&str; 15] = [
    "name",
    "given_name",
    "family_name",
    "phone_number",
    "phone_number_verified",
    "email",
    "email_verified",
    "address",
    "other_addresses",
    "birthdate",
    "nin",
    "gender",
    "delegatedConsents",
    "flowResult",
    "agreement",
];

/// Scopes that release something, in Vipps's spelling. Others are dropped
/// without a word, as Vipps does with scopes outside a sales unit's plan.
pub(super) const SCOPES: [&str; 11] = [
    "openid",
    "name",
    "phoneNumber",
    "email",
    "address",
    "birthDate",
    "nin",
    "gender",
    "delegatedConsents",
    "customFlow",
    "agreement",
];

const TIME_OF_CONSENT: &str = "2026-01-15T09:30:00Z";

/// The claims of a person for these scopes, without `sub`.
pub(super) fn claims(person: &Person, scopes: &[String], knobs: &UserinfoKnobs) -> Map<String, Value> {
    scopes
        .iter()
        .flat_map(|scope| of_scope(scope, person, knobs))
        .map(|(name, value)| (name.to_owned(), value))
        .collect()
}

fn of_scope(scope: &str, person: &Person, knobs: &UserinfoKnobs) -> Vec<(&'static str, Value)> {
    match scope {
        "name" => vec![
            ("name", json!(person.name())),
            ("given_name", json!(person.given_name)),
            ("family_name", json!(person.family_name)),
        ],
        "phoneNumber" => vec![("phone_number", json!(person.phone_number)), ("phone_number_verified", json!(true))],
        "email" => vec![("email", json!(person.email)), ("email_verified", json!(true))],
        "address" => addresses(person, knobs.empty_address),
        "birthDate" => vec![("birthdate", json!(person.birthdate))],
        "nin" => vec![("nin", json!(person.nin))],
        "gender" => vec![("gender", json!(person.gender))],
        "delegatedConsents" => {
            answered(knobs.consents).map(|yes| vec![("delegatedConsents", delegated_consents(yes))]).unwrap_or_default()
        }
        "customFlow" => answered(knobs.consents).map(|yes| vec![("flowResult", flow_result(yes))]).unwrap_or_default(),
        "agreement" => vec![("agreement", agreement())],
        _ => Vec::new(),
    }
}

impl Person {
    fn name(&self) -> String {
        format!("{} {}", self.given_name, self.family_name)
    }
}

/// Yes or no to the optional questions, or `None` when they were not asked.
fn answered(consents: Consents) -> Option<bool> {
    match consents {
        Consents::Accepted => Some(true),
        Consents::Refused => Some(false),
        Consents::Remembered => None,
    }
}

/// Someone without a registered address has one of empty strings.
fn addresses(person: &Person, empty: bool) -> Vec<(&'static str, Value)> {
    if empty {
        let nowhere = address(&Address::default(), "");
        return vec![("address", nowhere), ("other_addresses", json!([]))];
    }
    let others: Vec<Value> = person.other_home.iter().map(|other| address(other, "other")).collect();
    vec![("address", address(&person.home, "home")), ("other_addresses", json!(others))]
}

fn address(address: &Address, kind: &str) -> Value {
    let Address { street, postal_code, region, country } = address;
    let formatted =
        if street.is_empty() { String::new() } else { format!("{street}\n{postal_code}\n{region}\n{country}") };
    json!({
        "address_type": kind,
        "street_address": street,
        "postal_code": postal_code,
        "region": region,
        "country": country,
        "formatted": formatted,
    })
}

fn links() -> Value {
    json!({
        "termsLinkText": "Terms and conditions",
        "termsLinkUrl": "https://example.com/terms",
        "privacyStatementLinkText": "Privacy statement",
        "privacyStatementLinkUrl": "https://example.com/privacy",
    })
}

/// The older form of marketing consents. Refusals are listed like consents.
fn delegated_consents(yes: bool) -> Value {
    let consent =
        |id: &str, text: &str| json!({ "id": id, "accepted": yes, "required": false, "textDisplayedToUser": text });
    json!({
        "language": "en",
        "heading": "Join the customer club",
        "termsDescription": "Membership follows the terms below.",
        "confirmConsentButtonText": "Continue",
        "links": links(),
        "timeOfConsent": TIME_OF_CONSENT,
        "consents": [
            consent("email", "News by e-mail"),
            consent("sms", "News by text message"),
            consent("digital", "Offers in digital channels"),
            consent("personal", "Offers that fit me"),
        ],
    })
}

/// The newer form (page "Collecting consents").
fn flow_result(yes: bool) -> Value {
    json!({
        "language": "en",
        "screens": [{
            "title": "Join the customer club",
            "description": "Choose what you want to hear about.",
            "terms": { "links": [{ "title": "Terms", "url": "https://example.com/terms" }] },
            "elements": [
                { "type": "checkbox", "id": "email", "title": "News by e-mail", "checked": yes },
                { "type": "checkbox", "id": "sms", "title": "News by text message", "checked": yes },
            ],
        }],
    })
}

/// Terms and privacy (page "Agreement"). Without accepting them nobody gets
/// through a login, so there is no refused form.
fn agreement() -> Value {
    json!({
        "language": "en",
        "description": "By continuing you accept the terms.",
        "buttonText": "Accept and continue",
        "links": links(),
        "timestamp": TIME_OF_CONSENT,
        "accepted": true,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::simulator::msisdn::Msisdn;
    use crate::simulator::people;

    fn claims_of(scopes: &[&str], knobs: &UserinfoKnobs) -> Map<String, Value> {
        let person = people::person(&Msisdn::parse("4790000001").unwrap());
        let scopes: Vec<String> = scopes.iter().map(|scope| (*scope).to_owned()).collect();
        claims(&person, &scopes, knobs)
    }

    #[test]
    fn only_what_was_asked_for() {
        let claims = claims_of(&["openid", "birthDate"], &UserinfoKnobs::default());
        assert_eq!(claims.keys().collect::<Vec<_>>(), ["birthdate"]);
    }

    #[test]
    fn all_scopes_yield_all_claims() {
        let claims = claims_of(&SCOPES, &UserinfoKnobs::default());
        for name in RELEASED {
            assert!(claims.contains_key(name), "{name}");
        }
    }

    #[test]
    fn an_empty_address_is_there_and_empty() {
        let knobs = UserinfoKnobs { empty_address: true, ..UserinfoKnobs::default() };
        let claims = claims_of(&["address"], &knobs);
        assert_eq!(claims["address"]["street_address"], "");
        assert_eq!(claims["address"]["formatted"], "");
    }

    #[test]
    fn refused_consents_are_listed() {
        let knobs = UserinfoKnobs { consents: Consents::Refused, ..UserinfoKnobs::default() };
        let claims = claims_of(&["delegatedConsents"], &knobs);
        assert_eq!(claims["delegatedConsents"]["consents"][0]["accepted"], false);
    }
}
