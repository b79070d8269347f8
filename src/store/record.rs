//! A record as named fields, and back.
//!
//! Some fields are clear, because scripts compare them or operators read them;
//! `secret` and `identity` leave here as plaintext for `store::redis` to seal.
//! Pure, and the only place that knows the record format: a change of meaning
//! raises [`Formats::CURRENT`].

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use serde::de::value::{Error as NameError, StrDeserializer};
use serde::de::{DeserializeOwned, IntoDeserializer};
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::retention::{identity_until, kept_until, unconfirmed};
use super::seal::Plaintext;
use super::{Incarnation, Record, StoreError};
use crate::ciba::{AuthReqId, Tokens};
use crate::phone::BindingCode;
use crate::session::{
    AwaitingCode, CodeCheck, CodeProgress, End, Ended, FailureReason, LoginId, Moment, Outcome, Pending, Phase,
    Redeemed, Session, Starting, State, Terms,
};
use crate::timestamp::Timestamp;

/// The record formats of one version of the gateway. It gives new logins its
/// newest, and reads the one before as well: during a deploy two versions share a
/// store. A login keeps the format it was born with, so that a replica of the
/// version before can always go on with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Formats {
    newest: u8,
}

impl Formats {
    /// Those of this version.
    /// Since 2: `terms` may name a check-in in the place of a phone number.
    pub const CURRENT: Self = Self { newest: 2 };
    /// Those of a version to come, for tests of two versions at once.
    pub const NEXT: Self = Self { newest: Self::CURRENT.newest + 1 };

    /// What new logins get.
    #[must_use]
    pub const fn newest(self) -> u8 {
        self.newest
    }

    /// The lowest that is read.
    #[must_use]
    pub const fn oldest(self) -> u8 {
        if self.newest > 1 { self.newest - 1 } else { 1 }
    }

    /// `number` as a format that is read here.
    pub(super) fn read(self, number: u64) -> Result<u8, StoreError> {
        let format = u8::try_from(number).map_err(|_| FOREIGN_FORMAT)?;
        if (self.oldest()..=self.newest).contains(&format) { Ok(format) } else { Err(FOREIGN_FORMAT) }
    }
}

/// Fields written with every version of a record; what a state does not have
/// is removed.
pub(super) const CHANGING: [&str; 16] = [
    "code",
    "deadline",
    "ended_at",
    "epoch",
    "handed_over",
    "identity_until",
    "kept_until",
    "outcome",
    "owner",
    "reason",
    "schedule",
    "secret",
    "since",
    "state",
    "tries",
    "version",
];

/// What a state keeps that only its owner may know.
#[derive(Default, PartialEq, Serialize, Deserialize)]
struct Secret {
    auth_req_id: Option<AuthReqId>,
    tokens: Option<Tokens>,
    last_wrong: Option<BindingCode>,
}

/// The changing part of a record.
pub(super) struct Flat {
    /// Names are among [`CHANGING`].
    pub(super) clear: Vec<(&'static str, String)>,
    /// To be sealed into the field `secret`.
    pub(super) secret: Option<Plaintext>,
    /// To be sealed into the field `terms`, when they may have changed.
    pub(super) terms: Option<Plaintext>,
    /// To be sealed and kept until then, beside the record.
    pub(super) identity: Option<(Plaintext, Timestamp)>,
}

impl Flat {
    /// Takes a record apart; its identity is to be kept for `identity_window`.
    pub(super) fn of(record: &Record, identity_window: Duration) -> Result<Self, StoreError> {
        let session = &record.session;
        let until = identity_until(session, identity_window);
        let mut flat = Self { clear: Vec::new(), secret: None, terms: None, identity: None };
        flat.put("state", session.state.name());
        flat.put("version", record.version.to_string());
        flat.put("epoch", record.epoch.to_string());
        flat.put("owner", record.owner.0.as_str());
        flat.put("kept_until", millis(kept_until(session)));
        if let Some(deadline) = session.deadline() {
            flat.put("deadline", millis(deadline));
        }
        if session.terms.handed_over.is_some() {
            flat.put("handed_over", session.terms.times_handed_over().to_string());
            flat.terms = Some(to_json(session.terms.as_ref())?);
        }
        let secret = flat.put_state(&session.state)?;
        if let (Some(identity), Some(until)) = (identity(&session.state), until) {
            flat.put("identity_until", millis(until));
            flat.identity = Some((to_json(identity)?, until));
        }
        if secret != Secret::default() {
            flat.secret = Some(to_json(&secret)?);
        }
        Ok(flat)
    }

    fn put(&mut self, name: &'static str, value: impl Into<String>) {
        self.clear.push((name, value.into()));
    }

    /// Notes the state's own fields; gives back what must be sealed.
    fn put_state(&mut self, state: &State) -> Result<Secret, StoreError> {
        match state {
            State::Starting(Starting { since, code }) => {
                self.put("since", millis(*since));
                Ok(self.put_code(code))
            }
            State::Pending(Pending { auth_req_id, schedule, code }) => {
                self.put("schedule", serde_json::to_string(schedule).map_err(unwritable)?);
                Ok(Secret { auth_req_id: Some(auth_req_id.clone()), ..self.put_code(code) })
            }
            State::Redeemed(Redeemed { tokens, at, code }) => {
                self.put("since", millis(*at));
                Ok(Secret { tokens: Some(tokens.clone()), ..self.put_code(code) })
            }
            State::AwaitingCode(AwaitingCode { approved_at, code, identity: _ }) => {
                self.put("since", millis(*approved_at));
                Ok(self.put_code(code))
            }
            State::Ended(Ended { at, outcome }) => {
                self.put("ended_at", millis(*at));
                self.put("outcome", outcome.name());
                if let Outcome::Failed(reason) = outcome {
                    self.put("reason", name_of(*reason)?);
                }
                Ok(Secret::default())
            }
        }
    }

    fn put_code(&mut self, code: &CodeCheck) -> Secret {
        match code {
            CodeCheck::NotAsked => self.put("code", "not_asked"),
            CodeCheck::Matched => self.put("code", "matched"),
            CodeCheck::Open { tries, last_wrong } => {
                self.put("code", "open");
                self.put("tries", tries.to_string());
                return Secret { last_wrong: last_wrong.clone(), ..Secret::default() };
            }
        }
        Secret::default()
    }
}

/// The fields of a stored record, as they were read.
pub(super) struct Fields(pub(super) HashMap<String, Vec<u8>>);

impl Fields {
    /// The record's format, if there is a record that is still to be seen at `now`.
    pub(super) fn format(&self, formats: Formats, now: Timestamp) -> Result<Option<u8>, StoreError> {
        if self.0.is_empty() {
            return Ok(None);
        }
        let format = formats.read(self.number("format")?)?;
        Ok((now < self.time("kept_until")?).then_some(format))
    }

    /// A field that need not be there.
    pub(super) fn bytes(&self, name: &str) -> Option<&[u8]> {
        self.0.get(name).map(Vec::as_slice)
    }

    /// How the login stood, by the fields that an entry of the stream keeps too.
    pub(super) fn moment(&self) -> Result<Moment, StoreError> {
        let phase = match self.text("state")? {
            "starting" => Phase::Starting,
            "pending" => Phase::Pending,
            "redeemed" => Phase::Redeemed,
            "awaiting_code" => Phase::AwaitingCode,
            "ended" => Phase::Ended { at: self.time("ended_at")?, how: self.end()? },
            _ => return Err(MALFORMED),
        };
        let code = match self.optional_text("code")? {
            None | Some("not_asked") => CodeProgress::Closed,
            Some("matched") => CodeProgress::Matched,
            Some("open") => CodeProgress::Open { tries: self.tries()? },
            Some(_) => return Err(MALFORMED),
        };
        let deadline = self.bytes("deadline").map(|_| self.time("deadline")).transpose()?;
        Ok(Moment { phase, code, deadline })
    }

    fn end(&self) -> Result<End, StoreError> {
        match self.text("outcome")? {
            "approved" => Ok(End::Approved),
            "denied" => Ok(End::Denied),
            "expired" => Ok(End::Expired),
            "cancelled" => Ok(End::Cancelled),
            "failed" => self.reason().map(End::Failed),
            _ => Err(MALFORMED),
        }
    }

    fn reason(&self) -> Result<FailureReason, StoreError> {
        let name: StrDeserializer<'_, NameError> = self.text("reason")?.into_deserializer();
        FailureReason::deserialize(name).map_err(|_| MALFORMED)
    }

    fn tries(&self) -> Result<u8, StoreError> {
        u8::try_from(self.number("tries")?).map_err(|_| MALFORMED)
    }

    fn optional_text(&self, name: &str) -> Result<Option<&str>, StoreError> {
        self.bytes(name).map(|_| self.text(name)).transpose()
    }

    pub(super) fn text(&self, name: &str) -> Result<&str, StoreError> {
        let bytes = self.bytes(name).ok_or(StoreError::Unreadable("a field is missing"))?;
        std::str::from_utf8(bytes).map_err(|_| MALFORMED)
    }

    pub(super) fn number(&self, name: &str) -> Result<u64, StoreError> {
        self.text(name)?.parse().map_err(|_| MALFORMED)
    }

    pub(super) fn time(&self, name: &str) -> Result<Timestamp, StoreError> {
        self.number(name).map(Timestamp::from_millis)
    }
}

/// Everything about one login that was read and opened.
pub(super) struct Opened<'a> {
    pub(super) format: u8,
    pub(super) fields: &'a Fields,
    pub(super) terms: Plaintext,
    pub(super) secret: Option<Plaintext>,
    pub(super) identity: Option<Plaintext>,
}

impl Opened<'_> {
    /// Puts the record together as it is to be seen at `now`.
    pub(super) fn record(self, login: &LoginId, now: Timestamp) -> Result<Record, StoreError> {
        let terms: Terms = from_json(&self.terms)?;
        let session = Session { id: login.clone(), terms: Arc::new(terms), state: self.state(now)? };
        let owner = Incarnation(self.fields.text("owner")?.to_owned());
        let (version, epoch) = (self.fields.number("version")?, self.fields.number("epoch")?);
        Ok(Record { session, format: self.format, version, epoch, owner })
    }

    fn state(&self, now: Timestamp) -> Result<State, StoreError> {
        let fields = self.fields;
        let secret: Secret = self.secret.as_deref().map(|json| from_json(json)).transpose()?.unwrap_or_default();
        match fields.text("state")? {
            "starting" => Ok(State::Starting(Starting { since: fields.time("since")?, code: self.code(secret)? })),
            "pending" => Ok(State::Pending(Pending {
                auth_req_id: secret.auth_req_id.clone().ok_or(INCOMPLETE)?,
                schedule: from_json(fields.text("schedule")?.as_bytes())?,
                code: self.code(secret)?,
            })),
            "redeemed" => Ok(State::Redeemed(Redeemed {
                tokens: secret.tokens.clone().ok_or(INCOMPLETE)?,
                at: fields.time("since")?,
                code: self.code(secret)?,
            })),
            "awaiting_code" => self.awaiting_code(secret, now),
            "ended" => Ok(State::Ended(Ended { at: fields.time("ended_at")?, outcome: self.outcome(now)? })),
            _ => Err(MALFORMED),
        }
    }

    fn awaiting_code(&self, secret: Secret, now: Timestamp) -> Result<State, StoreError> {
        let deadline = self.fields.time("deadline")?;
        match self.readable_identity(now)? {
            Some(json) => Ok(State::AwaitingCode(AwaitingCode {
                identity: from_json(json)?,
                approved_at: self.fields.time("since")?,
                code: self.code(secret)?,
            })),
            None if now >= deadline => Ok(unconfirmed(deadline)),
            None => Err(INCOMPLETE),
        }
    }

    fn outcome(&self, now: Timestamp) -> Result<Outcome, StoreError> {
        Ok(match self.fields.end()? {
            End::Approved => Outcome::Approved { identity: self.readable_identity(now)?.map(from_json).transpose()? },
            End::Denied => Outcome::Denied,
            End::Expired => Outcome::Expired,
            End::Cancelled => Outcome::Cancelled,
            End::Failed(reason) => Outcome::Failed(reason),
        })
    }

    fn code(&self, secret: Secret) -> Result<CodeCheck, StoreError> {
        match self.fields.text("code")? {
            "not_asked" => Ok(CodeCheck::NotAsked),
            "matched" => Ok(CodeCheck::Matched),
            "open" => Ok(CodeCheck::Open { tries: self.fields.tries()?, last_wrong: secret.last_wrong }),
            _ => Err(MALFORMED),
        }
    }

    /// The time on the record decides, not whether it was cleaned up already.
    fn readable_identity(&self, now: Timestamp) -> Result<Option<&[u8]>, StoreError> {
        if self.fields.bytes("identity_until").is_none() || now >= self.fields.time("identity_until")? {
            return Ok(None);
        }
        Ok(self.identity.as_deref().map(Vec::as_slice))
    }
}

const FOREIGN_FORMAT: StoreError = StoreError::Foreign("a foreign record format");
const MALFORMED: StoreError = StoreError::Unreadable("a field is malformed");
const INCOMPLETE: StoreError = StoreError::Unreadable("a part of the record is missing");

/// JSON of something that must be sealed, or of terms.
pub(super) fn to_json(value: &impl Serialize) -> Result<Plaintext, StoreError> {
    serde_json::to_vec(value).map(Zeroizing::new).map_err(unwritable)
}

pub(super) fn from_json<T: DeserializeOwned>(json: &[u8]) -> Result<T, StoreError> {
    // The reason would repeat the content.
    serde_json::from_slice(json).map_err(|_| MALFORMED)
}

fn unwritable(_: serde_json::Error) -> StoreError {
    StoreError::Unreadable("a record cannot be written as JSON")
}

fn name_of(reason: FailureReason) -> Result<String, StoreError> {
    let json = serde_json::to_string(&reason).map_err(unwritable)?;
    Ok(json.trim_matches('"').to_owned())
}

fn millis(at: Timestamp) -> String {
    at.as_millis().to_string()
}

fn identity(state: &State) -> Option<&crate::identity::Identity> {
    match state {
        State::AwaitingCode(awaiting) => Some(&awaiting.identity),
        State::Ended(Ended { outcome: Outcome::Approved { identity }, .. }) => identity.as_deref(),
        State::Ended(_) | State::Starting(_) | State::Pending(_) | State::Redeemed(_) => None,
    }
}
