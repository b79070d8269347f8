//! Consents in their documented shapes, in others, and in any at all.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::{Agreement, Answer, DelegatedConsents, FlowResult};
use crate::identity::{Claim, Identity};

fn delegated() -> Value {
    json!({
        "language": "EN", "heading": "Stay in touch", "termsDescription": "Terms apply.",
        "confirmConsentButtonText": "Go on", "timeOfConsent": "2025-01-01T00:00:00Z",
        "links": {
            "termsLinkText": "Terms", "termsLinkUrl": "https://example.com/terms",
            "privacyStatementLinkText": "Privacy", "privacyStatementLinkUrl": "https://example.com/privacy"
        },
        "consents": [
            { "id": "email", "accepted": true, "required": false, "textDisplayedToUser": "By email" },
            { "id": "sms", "accepted": false, "required": true, "textDisplayedToUser": "By SMS" }
        ]
    })
}

#[test]
fn a_refused_consent_stays_refused() {
    let consents = DelegatedConsents::read(&delegated()).unwrap();
    let given: Vec<_> = consents.consents.iter().map(|c| (c.id.as_str(), c.answer, c.required)).collect();
    assert_eq!(given, [("email", Answer::Accepted, false), ("sms", Answer::Refused, true)]);
    assert_eq!(consents.ids(Answer::Accepted).collect::<Vec<_>>(), ["email"]);
    assert_eq!(consents.ids(Answer::Refused).collect::<Vec<_>>(), ["sms"]);
    assert_eq!((consents.language.as_str(), consents.time_of_consent.as_str()), ("EN", "2025-01-01T00:00:00Z"));
    assert_eq!(
        (consents.heading.as_str(), consents.links.privacy_url.as_str()),
        ("Stay in touch", "https://example.com/privacy")
    );
    assert_eq!(consents.shown["heading"], json!("Stay in touch"));
}

/// G10: neither answers nor what they were about.
#[test]
fn no_answer_is_printed() {
    let consents = DelegatedConsents::read(&delegated()).unwrap();
    let printed = format!("{consents:?} {:?}", consents.consents);
    assert_eq!(printed, "DelegatedConsents(…) [Consent(…), Consent(…)]");
}

/// Whatever is no clear yes is no consent.
#[test]
fn an_answer_that_is_neither_is_no_consent() {
    for odd in [json!("true"), json!(1), json!(null), json!(["yes"]), json!({})] {
        let came = json!({ "consents": [{ "id": "sms", "accepted": odd }, { "id": "email" }, "digital"] });
        let consents = DelegatedConsents::read(&came).unwrap();
        assert!(consents.consents.iter().all(|consent| consent.answer == Answer::Unclear), "{odd}");
        assert_eq!(consents.shown["consents"], json!(["digital"]), "what cannot be read is kept");
        let agreement = Agreement::read(&json!({ "accepted": odd })).unwrap();
        assert_eq!((agreement.answer, &agreement.shown["accepted"]), (Answer::Unclear, &odd));
    }
}

/// One of the vendor's samples has a space before a name.
#[test]
fn a_space_before_a_name_costs_no_consent() {
    let came = json!({
        "sub": "s",
        " delegatedConsents": { " language": "en", " consents": [{ " id": "sms", " accepted": false }] },
        "flowResult ": { " screens": [{ "elements": [{ " type": "checkbox", " id": "club", " checked": true }] }] },
        "agreement": { " accepted": true, "accepted ": false },
    });
    let identity = Identity::from_userinfo(came.to_string().as_bytes()).unwrap();
    let (consents, flow) = (identity.delegated_consents().unwrap(), identity.flow_result().unwrap());
    assert_eq!((consents.language.as_str(), consents.ids(Answer::Refused).collect()), ("en", vec!["sms"]));
    assert_eq!(flow.ids(Answer::Accepted).collect::<Vec<_>>(), ["club"]);
    for claim in [Claim::DelegatedConsents, Claim::CustomFlow] {
        assert!(identity.has(claim), "{}", claim.name());
    }
    assert_eq!(identity.agreement().unwrap().answer, Answer::Unclear, "two that contradict each other are no answer");
    assert!(identity.other.is_empty());
}

#[test]
fn a_name_that_is_there_twice_is_the_one_without_spaces() {
    let came = json!({ "consents": [{ "id": "sms", " accepted": true, "accepted": false }] });
    let consents = DelegatedConsents::read(&came).unwrap();
    assert_eq!((consents.consents[0].answer, &consents.consents[0].rest[" accepted"]), (Answer::Refused, &json!(true)));
}

#[test]
fn screens_are_read_and_unknown_elements_kept() {
    let came = json!({
        "language": "en", "version": 2,
        "screens": [{
            "title": "Club", "description": "Choose.",
            "terms": { "links": [{ "title": "Terms", "url": "https://example.com/terms" }] },
            "elements": [
                { "type": "checkbox", "id": "email", "title": "By email", "checked": true, "required": true },
                { "type": "checkbox", "id": "sms", "title": "By SMS", "checked": false },
                { "type": "radio", "id": "size", "title": "Size", "selected": "L", "options": ["M", "L"] },
            ],
        }, { "title": "Bye" }],
    });
    let flow = FlowResult::read(&came).unwrap();
    assert_eq!((flow.language.as_str(), &flow.rest["version"], flow.screens.len()), ("en", &json!(2), 2));
    let screen = &flow.screens[0];
    assert_eq!((screen.title.as_str(), screen.description.as_str()), ("Club", "Choose."));
    assert_eq!((screen.terms[0].title.as_str(), screen.terms[0].url.as_str()), ("Terms", "https://example.com/terms"));
    assert!(screen.rest.is_empty());
    let kinds: Vec<_> = screen.elements.iter().map(|e| (e.kind.as_str(), e.id.as_str(), e.answer)).collect();
    let expected = [
        ("checkbox", "email", Answer::Accepted),
        ("checkbox", "sms", Answer::Refused),
        ("radio", "size", Answer::Unclear),
    ];
    assert_eq!(kinds, expected);
    assert_eq!(screen.elements[0].rest["required"], json!(true));
    assert_eq!(screen.elements[2].rest["selected"], json!("L"));
    assert_eq!(flow.ids(Answer::Refused).collect::<Vec<_>>(), ["sms"]);
}

/// They come once: a shape that nobody has documented fails no login, and takes
/// nothing of it away.
#[test]
fn no_shape_of_consents_fails_a_login_or_is_lost() {
    for odd in [json!("all"), json!(true), json!([1]), json!({ "consents": "all" }), json!({ "screens": { "a": 1 } })] {
        let came = json!({ "sub": "s", "delegatedConsents": odd, "flowResult": odd, "agreement": odd });
        let identity = Identity::from_userinfo(came.to_string().as_bytes()).unwrap();
        let stored = serde_json::to_value(&identity).unwrap();
        assert_eq!(stored, came);
        for claim in [Claim::DelegatedConsents, Claim::CustomFlow, Claim::Agreement] {
            assert!(!identity.has(claim), "{} says nothing in {odd}", claim.name());
        }
    }
    let absent = Identity::from_userinfo(br#"{"sub":"s","delegatedConsents":null,"flowResult":null}"#).unwrap();
    assert_eq!((absent.raw_delegated_consents, absent.raw_flow_result), (None, None));
}

fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![Just(Value::Null), any::<bool>().prop_map(Value::from), "[ a-z]{0,6}".prop_map(Value::from)];
    leaf.prop_recursive(4, 32, 6, |inner| {
        let names = proptest::sample::select(vec![
            "consents",
            " consents",
            "id",
            "accepted",
            " accepted",
            "screens",
            "elements",
            "terms",
            "links",
            "checked",
        ]);
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
            proptest::collection::btree_map(names, inner, 0..5)
                .prop_map(|map| Value::Object(map.into_iter().map(|(name, value)| (name.to_owned(), value)).collect())),
        ]
    })
}

proptest! {
    /// Nobody is said to have agreed unless there is a `true` for it.
    #[test]
    fn any_json_is_read_and_makes_no_consent_up(came in any_json()) {
        let says_yes = came.to_string().contains(":true");
        let read = [
            DelegatedConsents::read(&came).is_some_and(|c| c.ids(Answer::Accepted).next().is_some()),
            FlowResult::read(&came).is_some_and(|flow| flow.ids(Answer::Accepted).next().is_some()),
            Agreement::read(&came).is_some_and(|agreement| agreement.answer == Answer::Accepted),
        ];
        prop_assert!(says_yes || read == [false; 3]);
    }
}
