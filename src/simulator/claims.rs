//! Claims by scope: what userinfo, and optionally the ID token, say about a
//! person (OpenAPI "Login API", schema of the userinfo answer).

use serde_json::{Map, Value, json};

use super::behaviour::UserinfoKnobs;
use super::consents::Told;
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

/// The claims of a person for these scopes, without `sub`.
pub(super) fn claims(person: &Person, scopes: &[String], knobs: &UserinfoKnobs, told: &Told) -> Map<String, Value> {
    scopes
        .iter()
        .flat_map(|scope| of_scope(scope, person, knobs, told))
        .map(|(name, value)| (name.to_owned(), value))
        .collect()
}

fn of_scope(scope: &str, person: &Person, knobs: &UserinfoKnobs, told: &Told) -> Vec<(&'static str, Value)> {
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
            told.delegated_consents.clone().map(|value| ("delegatedConsents", value)).into_iter().collect()
        }
        "customFlow" => told.flow_result.clone().map(|value| ("flowResult", value)).into_iter().collect(),
        "agreement" => told.agreement.clone().map(|value| ("agreement", value)).into_iter().collect(),
        _ => Vec::new(),
    }
}

impl Person {
    fn name(&self) -> String {
        format!("{} {}", self.given_name, self.family_name)
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::simulator::behaviour::Consents;
    use crate::simulator::consents::{Choices, Memory};
    use crate::simulator::msisdn::Msisdn;
    use crate::simulator::people;

    fn claims_of(scopes: &[&str], knobs: &UserinfoKnobs) -> Map<String, Value> {
        let phone = Msisdn::parse("4790000001").unwrap();
        let person = people::person(&phone);
        let scopes: Vec<String> = scopes.iter().map(|scope| (*scope).to_owned()).collect();
        let told = Memory::default().tell("client", &phone, &scopes, knobs.consents, &Choices::default());
        claims(&person, &scopes, knobs, &told)
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
