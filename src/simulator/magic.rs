//! Magic numbers: phone numbers that always behave the same way.
//!
//! A number whose national part ends in `000` and two digits of the table below
//! acts on its own, in all five countries and in Greenland's six digits as well.
//! The table is the one source for behaviour, `--help` and documentation.
//!
//! The numbers mean nothing to the real Vipps: some of them belong to people,
//! whose phones would ring.

use super::behaviour::{Behaviour, Consents, Outcome, Person, StartKnobs, TokenKnobs, UserinfoKnobs};
use super::claims;
use super::edit::Edit;
use super::fault::{ErrorAnswer, Fault, RawAnswer, RetryAfter};
use super::id_token::{Alg, AtHash, Audience, IdTokenShape, Kid, Signature};
use super::msisdn::Msisdn;

mod table;

/// One line of the table.
#[derive(Debug, Clone, Copy)]
pub struct MagicNumber {
    /// The last five digits of the phone number.
    pub suffix: &'static str,
    /// A short name.
    pub name: &'static str,
    /// What happens, in one line.
    pub effect: &'static str,
    behaviour: fn() -> Behaviour,
}

/// National digits that go before a suffix, by country calling code, so that
/// the result looks like a mobile number there.
const EXAMPLE_PREFIXES: [(&str, &str); 5] =
    [("47", "900"), ("45", "200"), ("46", "7000"), ("358", "4000"), ("299", "2")];

impl MagicNumber {
    /// The behaviour behind the number.
    pub fn behaviour(&self) -> Behaviour {
        (self.behaviour)()
    }

    /// A full number of this kind, digits only, for each of the five countries.
    pub fn examples(&self) -> [String; 5] {
        EXAMPLE_PREFIXES.map(|(country, prefix)| format!("{country}{prefix}{}", self.suffix))
    }
}

/// All magic numbers, by suffix.
pub fn magic_numbers() -> &'static [MagicNumber] {
    &table::TABLE
}

/// What this number does by itself, if it is a magic one.
pub(super) fn behaviour_of(phone: &Msisdn) -> Option<Behaviour> {
    magic_numbers().iter().find(|magic| phone.national().ends_with(magic.suffix)).map(MagicNumber::behaviour)
}

/// Approves on the third poll, the happy path of the conformance suite.
fn approved() -> Behaviour {
    Behaviour::approve_after(2)
}

fn start_fault(fault: Fault) -> Behaviour {
    start(StartKnobs { fault: Some(fault), ..StartKnobs::default() })
}

fn start_answer(answer: Edit) -> Behaviour {
    start(StartKnobs { answer, ..StartKnobs::default() })
}

fn start(start: StartKnobs) -> Behaviour {
    Behaviour { start, ..approved() }
}

/// The person is not one Vipps knows: the start fails, and so does the question
/// whether the user exists.
fn unknown_user(fault: Fault) -> Behaviour {
    let mut behaviour = start_fault(fault);
    behaviour.user_exists.exists = false;
    behaviour
}

/// Two pending answers, then this one for every later poll that a client makes
/// within reason.
fn third_poll(fault: Fault) -> Behaviour {
    let faults = [None, None].into_iter().chain(std::iter::repeat_n(Some(fault), 20)).collect();
    Behaviour {
        outcome: Outcome::Expire,
        token: TokenKnobs { faults, ..TokenKnobs::default() },
        ..Behaviour::default()
    }
}

/// These answers first, then approval with the next poll.
fn polls(faults: Vec<Option<Fault>>) -> Behaviour {
    Behaviour { token: TokenKnobs { faults, ..TokenKnobs::default() }, ..Behaviour::approve_after(1) }
}

fn twice(fault: Fault) -> Behaviour {
    polls(vec![None, Some(fault.clone()), Some(fault)])
}

fn success(fault: Fault) -> Behaviour {
    token(TokenKnobs { success_fault: Some(fault), ..TokenKnobs::default() })
}

fn token_answer(answer: Edit) -> Behaviour {
    token(TokenKnobs { answer, ..TokenKnobs::default() })
}

fn token(token: TokenKnobs) -> Behaviour {
    Behaviour { token, ..approved() }
}

fn userinfo(userinfo: UserinfoKnobs) -> Behaviour {
    Behaviour { userinfo, ..approved() }
}

fn userinfo_claims(claims: Edit) -> Behaviour {
    userinfo(UserinfoKnobs { claims, ..UserinfoKnobs::default() })
}

/// Takes away every claim that a scope released.
fn nothing_but_sub() -> Edit {
    Edit { remove: claims::RELEASED.map(str::to_owned).to_vec(), ..Edit::default() }
}

fn userinfo_faults(fault: Fault, times: usize) -> Behaviour {
    userinfo(UserinfoKnobs { faults: vec![Some(fault); times], ..UserinfoKnobs::default() })
}

fn consents(consents: Consents) -> Behaviour {
    userinfo(UserinfoKnobs { consents, ..UserinfoKnobs::default() })
}

fn id_token(id_token: IdTokenShape) -> Behaviour {
    Behaviour { id_token, ..approved() }
}

fn id_token_claims(claims: Edit) -> Behaviour {
    id_token(IdTokenShape { claims, ..IdTokenShape::default() })
}

fn person(person: Person) -> Behaviour {
    Behaviour { person, ..approved() }
}

/// An error that is named in both fields.
fn error_and_code(error: &str, code: serde_json::Value) -> Fault {
    Fault::Error(ErrorAnswer { error: Some(error.to_owned()), error_code: Some(code), ..ErrorAnswer::default() })
}

/// The problem object of the OpenAPI document.
fn problem(status: u16) -> Fault {
    Fault::Raw(RawAnswer {
        status,
        content_type: "application/problem+json".to_owned(),
        body: format!(r#"{{"type":"about:blank","title":"Refused","status":"{status}"}}"#),
        ..RawAnswer::default()
    })
}

/// As in one of Vipps's own samples.
fn misspelt_consents() -> Edit {
    let consent = serde_json::json!({ " id": "sms", " accepted": false, "required": false });
    let consents = serde_json::json!({ " language": "en", " consents": [consent] });
    Edit::setting("delegatedConsents", consents)
}

/// RFC 9110 §10.2.3 allows a number and a date; both are needed.
fn busy(value: RetryAfter) -> Fault {
    Fault::status(429, "too_many_requests").retry_after(value)
}

/// The refusal for people without a usable account, as seen in practice.
fn unknown_user_id() -> Fault {
    Fault::Error(ErrorAnswer {
        error: Some("unknown_user_id".to_owned()),
        description: Some("The user needs an active app and must be at least 15 years old".to_owned()),
        ..ErrorAnswer::default()
    })
}

/// A body of the API gateway in front of Vipps, with a hint when to come back.
fn gateway_busy() -> Fault {
    Fault::Raw(RawAnswer { status: 429, retry_after: Some(RetryAfter::Seconds(5)), ..RawAnswer::default() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn suffixes_are_unique_sorted_and_well_formed() {
        let suffixes: Vec<&str> = magic_numbers().iter().map(|magic| magic.suffix).collect();
        assert!(suffixes.is_sorted_by(|a, b| a < b), "{suffixes:?}");
        for suffix in suffixes {
            assert!(suffix.starts_with("000") && suffix.len() == 5, "{suffix}");
        }
    }

    #[test]
    fn names_are_unique() {
        let mut names: Vec<&str> = magic_numbers().iter().map(|magic| magic.name).collect();
        names.sort_unstable();
        assert!(names.is_sorted_by(|a, b| a < b), "{names:?}");
    }

    #[test]
    fn examples_are_plausible_and_magic_in_every_country() {
        for magic in magic_numbers() {
            for example in magic.examples() {
                let phone = Msisdn::parse(&example).unwrap();
                assert_eq!(behaviour_of(&phone), Some(magic.behaviour()), "{example}");
                let number = rlibphonenumber::PHONE_NUMBER_UTIL.parse(format!("+{example}"), None).unwrap();
                assert!(rlibphonenumber::PHONE_NUMBER_UTIL.is_possible_number(&number), "{example}");
            }
        }
    }

    #[test]
    fn other_numbers_are_not_magic() {
        for digits in ["4790012345", "4790000099", "299200000"] {
            let phone = Msisdn::parse(digits).unwrap();
            assert_eq!(behaviour_of(&phone), None, "{digits}");
        }
    }
}
