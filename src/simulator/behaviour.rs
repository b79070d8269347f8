//! What happens to a login: the knobs a test, an integrator or a magic number
//! turns, all with the Vipps profile as their default.
//!
//! The settings are read when a login starts and hold for that login. They are
//! JSON on the control API; unknown fields are refused, so a misspelt knob does
//! not silently do nothing.

use serde::{Deserialize, Serialize};

use super::edit::Edit;
use super::fault::Fault;
use super::id_token::IdTokenShape;

/// Everything that can be set for one phone number, or for all others.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Behaviour {
    /// Who answers on the phone, and how.
    pub outcome: Outcome,
    /// Who the phone belongs to, as far as it matters for a login.
    pub person: Person,
    /// The answer of the backchannel authentication endpoint.
    pub start: StartKnobs,
    /// The answers of the token endpoint.
    pub token: TokenKnobs,
    /// The ID token inside the token endpoint's success.
    pub id_token: IdTokenShape,
    /// What is otherwise for a login that ends on a web page.
    pub redirect: RedirectKnobs,
    /// The answers of the userinfo endpoint.
    pub userinfo: UserinfoKnobs,
    /// The answers of the user-exists endpoint.
    pub user_exists: UserExistsKnobs,
}

impl Behaviour {
    /// The person approves; this many polls are answered pending first.
    pub fn approve_after(pendings: u32) -> Self {
        Self { outcome: Outcome::Approve { after_pendings: pendings }, ..Self::default() }
    }

    /// The person refuses; this many polls are answered pending first.
    pub fn deny_after(pendings: u32) -> Self {
        Self { outcome: Outcome::Deny { after_pendings: pendings }, ..Self::default() }
    }

    /// Nobody answers, and the login expires.
    pub fn expire() -> Self {
        Self { outcome: Outcome::Expire, ..Self::default() }
    }
}

/// What the person with the phone does.
///
/// Whatever is scripted here, the phone page and the `approve` and `deny` verbs
/// can still decide a waiting login first.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Outcome {
    /// Decided on the phone page or by a verb; pending until then.
    #[default]
    Human,
    /// Approves. Polls that come too early or meet a fault do not count.
    Approve {
        /// Pending answers before the success.
        after_pendings: u32,
    },
    /// Refuses.
    Deny {
        /// Pending answers before the refusal.
        after_pendings: u32,
    },
    /// Does nothing.
    Expire,
}

/// Whether the phone's owner may log in. How the others are refused is left open by
/// Vipps: see [`OpenPoints`](super::OpenPoints).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Person {
    /// Has an account and a new enough app.
    #[default]
    Eligible,
    /// Has no account, or one that is not active.
    Unknown,
    /// Has an account, and is too young to log in with it.
    #[serde(rename = "under_15")]
    Under15,
    /// Has an account, and an app that is too old.
    OldApp,
}

/// Knobs of the backchannel authentication endpoint.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct StartKnobs {
    /// Given instead of the acknowledgement. With an error status the phone does
    /// not ring; behind a cut connection or an unreadable 200 it does.
    pub fault: Option<Fault>,
    /// Changes to the acknowledgement (`auth_req_id`, `expires_in`, `interval`).
    pub answer: Edit,
    /// Protocol milliseconds between taking effect and answering.
    pub latency_ms: u64,
}

/// Knobs of the token endpoint.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TokenKnobs {
    /// One entry per poll of a login, in order: a fault, or `null` for the
    /// ordinary answer. Polls beyond the list get the ordinary answer.
    pub faults: Vec<Option<Fault>>,
    /// Given instead of the success. The `auth_req_id` is spent all the same:
    /// the case where a result is lost on the way.
    pub success_fault: Option<Fault>,
    /// Changes to the success (`access_token`, `token_type`, `expires_in`,
    /// `id_token`; `scope` is not sent by Vipps in poll mode).
    pub answer: Edit,
    /// The answer to a poll before the interval is over. Vipps does not say
    /// which of the two it gives.
    pub early: EarlyPoll,
    /// Protocol milliseconds between taking effect and answering.
    pub latency_ms: u64,
}

/// How a poll before the end of the interval is answered.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EarlyPoll {
    /// `authorization_pending`.
    #[default]
    Pending,
    /// `slow_down`, which also adds five seconds to the interval (CIBA §11).
    SlowDown,
}

/// Knobs of logins that end on a web page (`login_to_webpage`).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RedirectKnobs {
    /// How long a code lives, in protocol seconds: 300 in the vendor's test
    /// environment, 30 in production.
    pub code_seconds: u64,
    /// Where a person is who refuses. The vendor does not say.
    pub on_deny: OnDeny,
    /// The `error` that a refusal lands with.
    pub error: String,
    /// Whether the `auth_req_id` can be polled as well; whichever comes first is the
    /// one exchange. The vendor does not say; otherwise a poll gets `invalid_grant`.
    pub pollable: bool,
    /// The ID token in the place of the behaviour's: ES256, as the vendor prints it.
    pub id_token: IdTokenShape,
    /// Changes to the success.
    pub answer: Edit,
}

impl Default for RedirectKnobs {
    fn default() -> Self {
        Self {
            code_seconds: 300,
            on_deny: OnDeny::Redirect,
            error: "access_denied".to_owned(),
            pollable: false,
            id_token: IdTokenShape::es256(),
            answer: Edit::default(),
        }
    }
}

/// What follows on the phone when the person refuses.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OnDeny {
    /// The browser lands with an error.
    #[default]
    Redirect,
    /// Nothing: the app keeps it to itself.
    Nothing,
}

/// Knobs of the userinfo endpoint.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct UserinfoKnobs {
    /// One entry per request with one access token: a fault, or `null` for the
    /// ordinary answer. Requests beyond the list get the ordinary answer.
    pub faults: Vec<Option<Fault>>,
    /// Changes to the claims.
    pub claims: Edit,
    /// How the person answered the questions about marketing and terms.
    pub consents: Consents,
    /// Gives an address of empty strings, as for a person who registered none.
    pub empty_address: bool,
    /// Protocol milliseconds before answering.
    pub latency_ms: u64,
}

/// What a person answers to the boxes of `delegatedConsents`, `flowResult` and
/// `agreement`, unless it is chosen on the phone page.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Consents {
    /// Every question is answered with yes.
    #[default]
    Accepted,
    /// Every question is answered with no; refusals are listed too.
    Refused,
    /// The first box of each is ticked, the others are not.
    Mixed,
    /// Asked at an earlier login and remembered, so not delivered again.
    Remembered,
    /// Every box is ticked but that of the terms.
    AgreementRefused,
}

/// Knobs of the user-exists endpoint.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct UserExistsKnobs {
    /// Given instead of the ordinary answer.
    pub fault: Option<Fault>,
    /// The ordinary answer.
    pub exists: bool,
}

impl Default for UserExistsKnobs {
    fn default() -> Self {
        Self { fault: None, exists: true }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_knob_has_a_default() {
        let empty: Behaviour = serde_json::from_str("{}").unwrap();
        assert_eq!(empty, Behaviour::default());
    }

    #[test]
    fn reads_what_an_integrator_writes() {
        let text = r#"{
            "outcome": {"approve": {"after_pendings": 1}},
            "start": {"answer": {"remove": ["interval"]}},
            "token": {"faults": [null, {"error": {"error": "slow_down"}}], "early": "slow_down"},
            "id_token": {"alg": "ES256", "audience": "string", "request_id": "authReqId"}
        }"#;
        let behaviour: Behaviour = serde_json::from_str(text).unwrap();
        assert_eq!(behaviour.outcome, Behaviour::approve_after(1).outcome);
        assert_eq!(behaviour.token.faults, [None, Some(Fault::error("slow_down"))]);
        let again = serde_json::to_string(&behaviour).unwrap();
        assert_eq!(serde_json::from_str::<Behaviour>(&again).unwrap(), behaviour);
    }

    #[test]
    fn refuses_misspelt_knobs() {
        for text in
            [r#"{"outcom": "human"}"#, r#"{"start": {"latency": 3}}"#, r#"{"outcome": {"approve": {"after": 1}}}"#]
        {
            assert!(serde_json::from_str::<Behaviour>(text).is_err(), "{text}");
        }
    }
}
