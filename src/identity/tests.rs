//! Userinfo bodies: each documented shape, each refusal, and anything at all.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::{Answer, Claim, Identity, Nin, Subject};

fn read(body: &Value) -> Option<Identity> {
    Identity::from_userinfo(body.to_string().as_bytes()).ok()
}

/// Every claim that the vendor documents, in its documented form.
fn everything() -> Value {
    let address = json!({
        "address_type": "home", "street_address": "Suburbia 23\nH0101", "postal_code": "2101", "region": "OSLO",
        "country": "NO", "formatted": "Suburbia 23\nH0101\n2101 OSLO\nNO"
    });
    let links = json!({ "termsLinkText": "Terms", "termsLinkUrl": "https://example.com/terms" });
    json!({
        "sub": "c06c4afe-d9e1-4c5d-939a-177d752a0944",
        "sid": "7d78a726-af92-499e-b857-de263ef9a969",
        "name": "Ada Lovelace", "given_name": "Ada", "family_name": "Lovelace",
        "birthdate": "1815-12-10",
        "email": "ada@example.com", "email_verified": false,
        "phone_number": "4712345678", "phone_number_verified": true,
        "gender": "female", "nin": "10121512345",
        "address": address.clone(),
        "other_addresses": [address.clone(), address],
        "accounts": [{ "account_name": "A", "account_number": "12064590675", "bank_name": "B" }],
        "delegatedConsents": {
            "language": "EN", "heading": "Stay in touch", "links": links.clone(), "timeOfConsent": "2025-01-01T00:00:00Z",
            "consents": [
                { "id": "email", "accepted": true, "required": false, "textDisplayedToUser": "By email" },
                { "id": "sms", "accepted": false, "required": false, "textDisplayedToUser": "By SMS" }
            ]
        },
        "flowResult": { "language": "en", "screens": [{ "title": "T", "elements": [{ "type": "checkbox", "checked": true }] }] },
        "agreement": { "language": "EN", "description": "D", "timestamp": "2025-01-01T00:00:00Z", "accepted": true, "links": links }
    })
}

#[test]
fn every_documented_claim_is_read() {
    let identity = read(&everything()).unwrap();
    assert_eq!(identity.sub.expose(), "c06c4afe-d9e1-4c5d-939a-177d752a0944");
    assert_eq!(identity.name.as_deref(), Some("Ada Lovelace"));
    assert_eq!(identity.phone_number.as_deref(), Some("4712345678"));
    assert_eq!(identity.email_verified, Some(false));
    assert_eq!(identity.address.as_ref().unwrap().street_address, "Suburbia 23\nH0101");
    assert_eq!(identity.other_addresses.len(), 2);
    assert_eq!(identity.agreement().unwrap().answer, Answer::Accepted);
    assert_eq!(identity.raw_flow_result.as_ref().unwrap()["screens"][0]["elements"][0]["checked"], json!(true));
}

#[test]
fn what_is_not_known_passes_through() {
    let identity = read(&everything()).unwrap();
    let kept: Vec<&str> = identity.other.keys().map(String::as_str).collect();
    assert_eq!(kept, ["accounts", "phone_number_verified", "sid"]);
    assert_eq!(identity.other["accounts"][0]["account_number"], json!("12064590675"));
}

#[test]
fn an_identity_survives_being_stored() {
    let identity = read(&everything()).unwrap();
    let stored = serde_json::to_string(&identity).unwrap();
    assert_eq!(serde_json::from_str::<Identity>(&stored).unwrap(), identity);
}

#[test]
fn only_sub_is_needed_and_null_is_absent() {
    let identity = read(&json!({ "sub": "s" })).unwrap();
    assert!(identity.name.is_none() && identity.address.is_none() && identity.other_addresses.is_empty());
    let nulls = read(&json!({ "sub": "s", "name": null, "address": null, "email_verified": null })).unwrap();
    assert_eq!(nulls, identity);
}

#[test]
fn an_address_of_empty_strings_is_no_address() {
    let empty = json!({
        "address_type": "home", "street_address": "", "postal_code": "", "region": "", "country": "", "formatted": ""
    });
    assert_eq!(read(&json!({ "sub": "s", "address": empty })).unwrap().address, None);
    assert_eq!(read(&json!({ "sub": "s", "address": {} })).unwrap().address, None);
    let partial = read(&json!({ "sub": "s", "address": { "country": "NO" } })).unwrap();
    assert_eq!(partial.address.unwrap().country, "NO");
}

#[test]
fn a_body_that_is_no_identity_is_refused() {
    let wrong_types = [
        json!({}),
        json!([]),
        json!(null),
        json!("sub"),
        json!({ "sub": null }),
        json!({ "sub": 5 }),
        json!({ "sub": "" }),
        json!({ "sub": "two words" }),
        json!({ "sub": "søk" }),
        json!({ "sub": "s".repeat(256) }),
        json!({ "sub": "s", "name": 5 }),
        json!({ "sub": "s", "phone_number": 4_712_345_678_u64 }),
        json!({ "sub": "s", "email_verified": "true" }),
        json!({ "sub": "s", "address": "Suburbia 23" }),
        json!({ "sub": "s", "address": { "country": 47 } }),
        json!({ "sub": "s", "other_addresses": {} }),
    ];
    for body in wrong_types {
        assert_eq!(read(&body), None, "{body}");
    }
    for body in [&b""[..], b"<html>", br#"{"sub":"s""#, b"\xff", br#"{"sub":"a","sub":"b"}"#] {
        assert!(Identity::from_userinfo(body).is_err());
    }
}

#[test]
fn a_refusal_names_the_place_and_not_the_value() {
    let error = Identity::from_userinfo(br#"{"sub":"s","nin":12345678901}"#).unwrap_err();
    let text = format!("{error} {error:?}");
    assert!(text.contains("line 1") && !text.contains("12345678901"), "{text}");
}

#[test]
fn nothing_about_a_person_is_printed() {
    let printed = format!("{:?}", read(&everything()).unwrap());
    assert!(printed.starts_with("Identity(sub, name, birthdate"), "{printed}");
    for secret in ["c06c4afe", "Ada", "1815", "example.com", "4712345678", "10121512345", "Suburbia"] {
        assert!(!printed.contains(secret), "{secret} in {printed}");
    }
}

/// SR38, SR41: in each country's forms, and never printed.
#[test]
fn a_national_identity_number_prints_masked() {
    for text in
        ["10921512345", "701215-0012", "19501215-0000", "501215+0000", "151250-9012", "151250A901X", "1512509012"]
    {
        let nin = Nin::new(text).unwrap();
        assert_eq!((nin.expose(), format!("{nin} {nin:?}").as_str()), (text, "… Nin(…)"));
        assert_eq!(read(&json!({ "sub": "s", "nin": text })).unwrap().nin, Some(nin));
    }
    for text in ["123456789", "12345678901234", "12345x78901", "123456 78901", "123456-78é1", "<script>123"] {
        let refused = Nin::new(text).unwrap_err();
        assert!(!format!("{refused} {refused:?}").contains(text));
        assert_eq!(read(&json!({ "sub": "s", "nin": text })), None, "{text}");
    }
    assert_eq!(read(&json!({ "sub": "s", "nin": "" })).unwrap().nin, None);
}

#[test]
fn a_claim_is_there_when_it_says_something() {
    let all = [
        Claim::Name,
        Claim::PhoneNumber,
        Claim::Email,
        Claim::Address,
        Claim::Birthdate,
        Claim::Gender,
        Claim::Nin,
        Claim::DelegatedConsents,
        Claim::CustomFlow,
        Claim::Agreement,
    ];
    let (everything, nothing) = (read(&everything()).unwrap(), read(&json!({ "sub": "s" })).unwrap());
    let empty = json!({
        "sub": "s", "name": "", "email": "", "birthdate": "", "nin": "", "address": { "country": "" },
        "delegatedConsents": { "language": "en", "consents": [] }, "flowResult": { "screens": [] }, "agreement": {}
    });
    let empty = read(&empty).unwrap();
    for claim in all {
        let has = [everything.has(claim), nothing.has(claim), empty.has(claim)];
        assert_eq!(has, [true, false, false], "{}", claim.name());
    }
}

#[test]
fn each_claim_has_the_vendors_scope() {
    let scopes = [
        (Claim::Name, "name"),
        (Claim::PhoneNumber, "phoneNumber"),
        (Claim::Email, "email"),
        (Claim::Address, "address"),
        (Claim::Birthdate, "birthDate"),
        (Claim::Gender, "gender"),
        (Claim::Nin, "nin"),
        (Claim::DelegatedConsents, "delegatedConsents"),
        (Claim::CustomFlow, "customFlow"),
        (Claim::Agreement, "agreement"),
    ];
    for (claim, scope) in scopes {
        assert_eq!(claim.scope(), scope);
    }
}

fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        ".{0,10}".prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 24, 6, |inner| {
        let names = prop_oneof![Just("sub".to_owned()), Just("address".to_owned()), Just("nin".to_owned()), ".{0,8}"];
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
            proptest::collection::btree_map(names, inner, 0..6)
                .prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

proptest! {
    #[test]
    fn any_json_is_an_identity_with_a_subject_or_refused(
        mut body in any_json(),
        sub in proptest::option::of(".{0,8}"),
        claim in proptest::sample::select(vec!["address", "agreement", "other_addresses", "delegatedConsents", "new"]),
        value in any_json(),
    ) {
        if let Some(object) = body.as_object_mut() {
            object.extend(sub.map(|sub| ("sub".to_owned(), Value::from(sub))));
            object.insert(claim.to_owned(), value);
        }
        if let Some(identity) = read(&body) {
            prop_assert!(Subject::new(identity.sub.expose()).is_some());
            let stored = serde_json::to_vec(&identity).unwrap();
            prop_assert_eq!(Identity::from_userinfo(&stored).unwrap(), identity);
        }
    }

    #[test]
    fn any_bytes_are_read_or_refused(body in proptest::collection::vec(any::<u8>(), 0..300)) {
        let _: Result<_, _> = Identity::from_userinfo(&body);
    }
}
