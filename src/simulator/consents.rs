//! What people agree to: marketing consents, the sales unit's own screens, and
//! terms. Vipps tells the first two once, at the login in which they were given,
//! and remembers them for the person and the sales unit until they are revoked.

use std::collections::{BTreeMap, HashSet};

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::behaviour::Consents;
use super::msisdn::Msisdn;

/// Marketing consents that are asked for, in Vipps's four kinds.
const DELEGATED: [(&str, &str); 4] = [
    ("email", "News by e-mail"),
    ("sms", "News by text message"),
    ("digital", "Offers in digital channels"),
    ("personal", "Offers that fit me"),
];
/// Boxes on the sales unit's own screen.
const FLOW: [(&str, &str); 2] = [("email", "News by e-mail"), ("sms", "News by text message")];

const TIME_OF_CONSENT: &str = "2026-01-15T09:30:00Z";

/// What a person ticked on the phone. What is left out is answered as the
/// behaviour's `userinfo.consents` says.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "camelCase")]
pub struct Choices {
    /// By id: `email`, `sms`, `digital`, `personal`.
    pub delegated_consents: BTreeMap<String, bool>,
    /// By id: `email`, `sms`.
    pub custom_flow: BTreeMap<String, bool>,
    /// Terms and privacy statement.
    pub agreement: Option<bool>,
}

/// One box on the phone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Question {
    /// `delegatedConsents`, `customFlow` or `agreement`.
    pub scope: &'static str,
    /// Its id within the scope; empty for the agreement.
    pub id: &'static str,
    /// The text beside the box.
    pub text: &'static str,
}

/// What userinfo says of one login, however often it is read.
#[derive(Debug, Clone, Default)]
pub(super) struct Told {
    pub(super) delegated_consents: Option<Value>,
    pub(super) flow_result: Option<Value>,
    pub(super) agreement: Option<Value>,
}

/// Which consents a person has given a sales unit, so that they are neither asked
/// for nor told again.
#[derive(Debug, Default)]
pub(super) struct Memory(HashSet<(String, String, &'static str)>);

impl Memory {
    /// What the phone asks beside "yes" and "no".
    pub(super) fn questions(&self, client: &str, phone: &Msisdn, scopes: &[String], how: Consents) -> Vec<Question> {
        let of = |scope: &'static str, boxes: &[(&'static str, &'static str)]| -> Vec<Question> {
            let is_asked = scopes.iter().any(|asked| asked == scope) && !self.knows(client, phone, scope, how);
            let questions = boxes.iter().map(|(id, text)| Question { scope, id, text });
            if is_asked { questions.collect() } else { Vec::new() }
        };
        let agreement = [("", "I accept the terms and the privacy statement")];
        [of("delegatedConsents", &DELEGATED), of("customFlow", &FLOW), of("agreement", &agreement)].concat()
    }

    fn knows(&self, client: &str, phone: &Msisdn, scope: &'static str, how: Consents) -> bool {
        scope != "agreement"
            && (how == Consents::Remembered || self.0.contains(&(client.to_owned(), phone.as_str().to_owned(), scope)))
    }

    /// What this login tells, which is remembered if anything was agreed to.
    pub(super) fn tell(
        &mut self,
        client: &str,
        phone: &Msisdn,
        scopes: &[String],
        how: Consents,
        choices: &Choices,
    ) -> Told {
        let mut answers =
            |scope: &'static str, boxes: &[(&'static str, &'static str)], chosen: &BTreeMap<String, bool>| {
                let is_told = scopes.iter().any(|asked| asked == scope) && !self.knows(client, phone, scope, how);
                let answer = |(at, (id, text)): (usize, &(&'static str, &'static str))| {
                    (*id, *text, chosen.get(*id).copied().unwrap_or_else(|| how.says_yes(at)))
                };
                let answers: Vec<_> = boxes.iter().enumerate().map(answer).collect();
                if is_told && answers.iter().any(|(_, _, yes)| *yes) {
                    self.0.insert((client.to_owned(), phone.as_str().to_owned(), scope));
                }
                is_told.then_some(answers)
            };
        let delegated = answers("delegatedConsents", &DELEGATED, &choices.delegated_consents);
        let flow = answers("customFlow", &FLOW, &choices.custom_flow);
        let is_agreed = choices.agreement.unwrap_or(how != Consents::AgreementRefused);
        Told {
            delegated_consents: delegated.map(delegated_consents),
            flow_result: flow.map(flow_result),
            agreement: scopes.iter().any(|asked| asked == "agreement").then(|| agreement(is_agreed)),
        }
    }

    /// The person takes back what they have given, at every sales unit; says how much
    /// there was.
    pub(super) fn revoke(&mut self, digits: &str) -> usize {
        let before = self.0.len();
        self.0.retain(|(_, phone, _)| phone != digits);
        before - self.0.len()
    }

    pub(super) fn clear(&mut self) {
        self.0.clear();
    }
}

impl Consents {
    /// What is answered to the box at that place, when nobody has chosen.
    fn says_yes(self, at: usize) -> bool {
        match self {
            Self::Accepted | Self::Remembered | Self::AgreementRefused => true,
            Self::Refused => false,
            Self::Mixed => at == 0,
        }
    }
}

fn links() -> Value {
    json!({
        "termsLinkText": "Terms and conditions",
        "termsLinkUrl": "https://example.com/terms",
        "privacyStatementLinkText": "Privacy statement",
        "privacyStatementLinkUrl": "https://example.com/privacy",
    })
}

type Answers = Vec<(&'static str, &'static str, bool)>;

/// The older form of marketing consents. Refusals are listed like consents.
fn delegated_consents(answers: Answers) -> Value {
    let consent = |(id, text, yes): (&str, &str, bool)| json!({ "id": id, "accepted": yes, "required": false, "textDisplayedToUser": text });
    json!({
        "language": "en",
        "heading": "Join the customer club",
        "termsDescription": "Membership follows the terms below.",
        "confirmConsentButtonText": "Continue",
        "links": links(),
        "timeOfConsent": TIME_OF_CONSENT,
        "consents": answers.into_iter().map(consent).collect::<Vec<_>>(),
    })
}

/// The newer form (page "Collecting consents").
fn flow_result(answers: Answers) -> Value {
    let element =
        |(id, title, yes): (&str, &str, bool)| json!({ "type": "checkbox", "id": id, "title": title, "checked": yes });
    json!({
        "language": "en",
        "screens": [{
            "title": "Join the customer club",
            "description": "Choose what you want to hear about.",
            "terms": { "links": [{ "title": "Terms", "url": "https://example.com/terms" }] },
            "elements": answers.into_iter().map(element).collect::<Vec<_>>(),
        }],
    })
}

/// Terms and privacy (page "Agreement"), asked at every login.
fn agreement(is_agreed: bool) -> Value {
    json!({
        "language": "en",
        "description": "By continuing you accept the terms.",
        "buttonText": "Accept and continue",
        "links": links(),
        "timestamp": TIME_OF_CONSENT,
        "accepted": is_agreed,
    })
}
