//! What Vipps's documentation leaves open, one switch for each point. The default
//! is the likeliest reading; an integrator who turns a switch sees whether the
//! system stands the other one.
//!
//! The numbers are those of `docs/vipps-test-environment.md`.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::behaviour::{Behaviour, EarlyPoll, Person};
use super::fault::{ErrorAnswer, Fault};
use super::id_token::IdTokenShape;

/// See the module. Read whenever it matters; a login keeps what held at its start.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct OpenPoints {
    /// 1: given instead of 400 `access_denied` when the person refuses.
    pub rejected: Option<Fault>,
    /// 1: given instead of 400 `expired_token`.
    pub expired: Option<Fault>,
    /// 1: given instead of 400 with `error_code` `old_app`.
    pub old_app: Option<Fault>,
    /// 1: given instead of 400 `invalid_binding_message`.
    pub bad_binding_message: Option<Fault>,
    /// 1: given instead of 400 `invalid_request` for `requested_expiry`.
    pub bad_requested_expiry: Option<Fault>,
    /// 2: what a poll before the end of the interval is answered, unless the
    /// behaviour says `slow_down`.
    pub early_poll: EarlyPoll,
    /// 3: where people are refused who may not log in.
    pub ineligible_at: Place,
    /// 3: in which fields.
    pub ineligible_as: Fields,
    /// 4, 5: the ID token, unless the behaviour has a shape of its own.
    pub id_token: IdTokenShape,
    /// 7: how user-exists wants its parameter spelled.
    pub user_exists_parameter: Spelling,
    /// 7: above so many questions about one number user-exists answers 429.
    pub user_exists_limit: Option<u64>,
    /// 7: user-exists says yes to a person under 15.
    pub under_15_exists: bool,
    /// 7: user-exists says no to a person with an old app.
    pub old_app_does_not_exist: bool,
    /// 10: a further start for a phone on which one waits.
    pub second_start: SecondStart,
    /// 11: `urn:mobilenumber:` and eight Norwegian digits is still a hint.
    pub mobile_number_hint: bool,
    /// 12: scopes that the sales unit may not ask for.
    pub unlicensed_scopes: Vec<String>,
    /// 12: what becomes of a start that asks for one.
    pub unlicensed: Unlicensed,
    /// 13: whether a start may name a QR check-in.
    pub customer_token: CustomerToken,
}

/// An endpoint that can refuse a person.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Place {
    /// The backchannel authentication endpoint.
    #[default]
    Start,
    /// The token endpoint, at the first poll.
    Token,
}

/// The field of an error body that names the error.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Fields {
    /// `error` with `unknown_user_id`.
    #[default]
    Error,
    /// `error_code` with `invalid_user`.
    ErrorCode,
    /// `error` with `unknown_user_id`, and `error_code` with `invalid_user`.
    Both,
    /// `error` with `unknown_user_id`, and `error_code` with the number 400.
    Number,
}

/// How user-exists wants its parameter spelled.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Spelling {
    /// Either way.
    #[default]
    Both,
    /// `login_hint`, as in the guide.
    LoginHint,
    /// `loginHint`, as in the OpenAPI document; written `camel_case`.
    CamelCase,
}

/// What a further start for the same phone does.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SecondStart {
    /// Both wait.
    #[default]
    BothWait,
    /// The first one has expired from then on.
    CancelsFirst,
    /// 429 with `Retry-After`.
    Busy,
}

/// What becomes of a scope that the sales unit may not ask for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Unlicensed {
    /// It is left out without a word.
    #[default]
    Dropped,
    /// 400 `invalid_scope`.
    Refused,
}

/// Whether a start may name a QR check-in.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CustomerToken {
    /// It may.
    #[default]
    Accepted,
    /// Not with a binding message: 400 `invalid_request`.
    WithoutBindingMessage,
    /// Never: 400 `invalid_request`.
    Refused,
}

impl OpenPoints {
    /// Sets one point, by its name and a JSON value; a bare word is a text.
    ///
    /// # Errors
    /// Says what would be right.
    pub fn set(&mut self, name: &str, value: &str) -> Result<(), String> {
        let value = serde_json::from_str(value).unwrap_or_else(|_| value.into());
        let mut all = serde_json::to_value(&*self).map_err(|error| error.to_string())?;
        let points = all.as_object_mut().ok_or("no object")?;
        if !points.contains_key(name) {
            let names: Vec<_> = points.keys().map(String::as_str).collect();
            return Err(format!("there is no open point {name}; there are {}", names.join(", ")));
        }
        points.insert(name.to_owned(), value);
        *self = serde_json::from_value(all).map_err(|error| format!("{name}: {error}"))?;
        Ok(())
    }

    /// The behaviour of a login that starts now.
    pub(super) fn applied_to(&self, behaviour: &Arc<Behaviour>) -> Arc<Behaviour> {
        let has_own_id_token = behaviour.id_token != IdTokenShape::default();
        let refusal = self.refusal_of(behaviour.person);
        if refusal.is_none() && *self == Self::default() {
            return Arc::clone(behaviour);
        }
        let mut applied = Behaviour::clone(behaviour);
        if self.early_poll == EarlyPoll::SlowDown {
            applied.token.early = EarlyPoll::SlowDown;
        }
        if !has_own_id_token {
            applied.id_token = self.id_token.clone();
        }
        match (refusal, self.ineligible_at) {
            (None, _) => {}
            (refusal, Place::Start) => applied.start.fault = applied.start.fault.or(refusal),
            (refusal, Place::Token) => applied.token.faults.insert(0, refusal),
        }
        Arc::new(applied)
    }

    /// How a person is refused who may not log in.
    fn refusal_of(&self, person: Person) -> Option<Fault> {
        match person {
            Person::Eligible => None,
            Person::Unknown | Person::Under15 => Some(self.ineligible()),
            Person::OldApp => Some(self.old_app.clone().unwrap_or_else(|| Fault::error_code("old_app"))),
        }
    }

    fn ineligible(&self) -> Fault {
        let (has_error, code) = match self.ineligible_as {
            Fields::Error => (true, None),
            Fields::ErrorCode => (false, Some("invalid_user".into())),
            Fields::Both => (true, Some("invalid_user".into())),
            Fields::Number => (true, Some(400.into())),
        };
        Fault::Error(ErrorAnswer {
            error: has_error.then(|| "unknown_user_id".to_owned()),
            error_code: code,
            description: Some("The user needs an active app and must be at least 15 years old".to_owned()),
            ..ErrorAnswer::default()
        })
    }

    /// What user-exists says of a person.
    pub(super) const fn exists(&self, person: Person) -> bool {
        match person {
            Person::Eligible => true,
            Person::Unknown => false,
            Person::Under15 => self.under_15_exists,
            Person::OldApp => !self.old_app_does_not_exist,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_point_is_set_by_its_name() {
        let mut points = OpenPoints::default();
        points.set("second_start", "busy").unwrap();
        points.set("user_exists_limit", "3").unwrap();
        points.set("unlicensed_scopes", r#"["nin"]"#).unwrap();
        points.set("rejected", r#"{"error": {"error_code": "user_rejected"}}"#).unwrap();
        assert_eq!((points.second_start, points.user_exists_limit), (SecondStart::Busy, Some(3)));
        assert_eq!((points.unlicensed_scopes.len(), points.rejected.is_some()), (1, true));
        let unknown = points.set("second_strat", "busy").unwrap_err();
        assert!(unknown.contains("second_start"), "{unknown}");
        assert!(points.set("second_start", "perhaps").unwrap_err().contains("both_wait"));
    }

    #[test]
    fn who_may_log_in_is_left_as_it_is() {
        let behaviour = Arc::new(Behaviour::approve_after(1));
        assert!(Arc::ptr_eq(&OpenPoints::default().applied_to(&behaviour), &behaviour));
        let points = OpenPoints { early_poll: EarlyPoll::SlowDown, ..OpenPoints::default() };
        assert_eq!(points.applied_to(&behaviour).token.early, EarlyPoll::SlowDown);
    }
}
