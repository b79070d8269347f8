//! What a caller asked for, and the names that callers use.
//!
//! Every text from outside becomes one of these types at the edge; each has one
//! checking constructor.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::time::Duration;

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};

use super::{CODE_LIMIT, Finish, Person, REDEEM_LIMIT, REDEEM_LIMIT_WITH_CONSENTS};
use crate::identity::{Claim, Subject};
use crate::language::Language;
use crate::phone::BindingCode;
use crate::timestamp::Timestamp;

/// Labels of one login, name to value; echoed, never interpreted.
pub type Labels = BTreeMap<String, String>;

/// What was asked for. Nothing of it changes but the holder.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Terms {
    /// Whose login it is.
    pub tenant: TenantId,
    /// Which of the tenant's systems asked.
    pub client: ClientId,
    /// The caller's name for this start, unique within the client.
    pub request_id: RequestId,
    /// Digest of everything the request asked for, to tell a retry from a
    /// different request. It goes into a store keyed-hashed or sealed.
    pub content: [u8; 32],
    /// The agent who talks to the person.
    pub agent: Option<AgentId>,
    /// The till or box.
    pub terminal: Option<TerminalId>,
    /// The phone call.
    pub call: Option<CallId>,
    /// Where the person is.
    pub channel: Channel,
    /// Who called whom; set for call centres.
    pub call_direction: Option<CallDirection>,
    /// Whose phone is asked.
    #[serde(flatten)]
    pub person: Person,
    /// The code in the app.
    pub code: BindingCode,
    /// Who compares the code with what.
    pub code_mode: CodeMode,
    /// What the login is for, where the tenant has purposes.
    pub purpose: Option<PurposeId>,
    /// What is wanted about the person.
    pub claims: BTreeSet<Claim>,
    /// What must come back about the person; among `claims`.
    pub required_claims: BTreeSet<Claim>,
    /// How long the whole login may take, 60 to 600 s (120 at least in read-back mode).
    pub lifetime: Duration,
    /// The only person that counts, where the caller knows who it must be.
    pub expected_subject: Option<Subject>,
    /// The caller's own notes.
    pub labels: Labels,
    /// What agent or screen is spoken to in.
    pub language: Language,
    /// When it was asked for.
    pub created_at: Timestamp,
    /// To whom it was handed over, where it was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub handed_over: Option<HandedOver>,
    /// Where the person is when they have answered.
    #[serde(default, skip_serializing_if = "Finish::is_in_app")]
    pub finish: Finish,
}

/// That a login has passed to somebody else.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HandedOver {
    /// Who has it now.
    pub to: Holder,
    /// How often it was handed over.
    pub times: u32,
}

/// Who may type the code of a login, read its identity and hand it over: a
/// system of the tenant and, where one is named, the agent alone.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Holder {
    /// The system.
    pub client: ClientId,
    /// The agent.
    pub agent: Option<AgentId>,
}

impl Terms {
    /// Who has the login now: who asked for it, until it is handed over.
    #[must_use]
    pub fn holder(&self) -> (&ClientId, Option<&AgentId>) {
        match &self.handed_over {
            Some(HandedOver { to, .. }) => (&to.client, to.agent.as_ref()),
            None => (&self.client, self.agent.as_ref()),
        }
    }

    /// Whether `agent` at `client` has the login now.
    #[must_use]
    pub fn is_held_by(&self, client: &ClientId, agent: Option<&AgentId>) -> bool {
        let (holding, named) = self.holder();
        holding == client && (named.is_none() || named == agent)
    }

    /// How often it was handed over.
    #[must_use]
    pub fn times_handed_over(&self) -> u32 {
        self.handed_over.as_ref().map_or(0, |handed_over| handed_over.times)
    }

    /// The same in the hands of `to`; unchanged when it is there already.
    #[must_use]
    pub(super) fn handed_to(&self, to: Holder) -> Self {
        if self.holder() == (&to.client, to.agent.as_ref()) {
            return self.clone();
        }
        let times = self.times_handed_over().saturating_add(1);
        Self { handed_over: Some(HandedOver { to, times }), ..self.clone() }
    }

    /// What to ask the provider for: in read-back mode the lifetime less the
    /// time that typing the code may take.
    #[must_use]
    pub fn requested_expiry(&self) -> Duration {
        match self.code_mode {
            CodeMode::ReadBack => self.lifetime.saturating_sub(CODE_LIMIT),
            CodeMode::ReadOut | CodeMode::Display => self.lifetime,
        }
    }

    /// How long the provider may take to tell who the person is, after the exchange.
    #[must_use]
    pub fn redeem_limit(&self) -> Duration {
        let come_once = [Claim::DelegatedConsents, Claim::CustomFlow];
        if come_once.iter().any(|claim| self.claims.contains(claim)) {
            REDEEM_LIMIT_WITH_CONSENTS
        } else {
            REDEEM_LIMIT
        }
    }
}

/// Where the person is. There is no "web" and no "app": the provider forbids
/// this flow there (vendor's merchant-initiated login page).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Channel {
    /// On the phone with an agent.
    CallCentre,
    /// At a till.
    PointOfSale,
    /// Before a TV box or another machine with a screen.
    TvBox,
}

impl Channel {
    /// The channel's name as configuration and logs write it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::CallCentre => "call-centre",
            Self::PointOfSale => "point-of-sale",
            Self::TvBox => "tv-box",
        }
    }
}

impl fmt::Display for Channel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Who called whom.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CallDirection {
    /// The person called.
    Inbound,
    /// The agent called. People are told everywhere never to identify themselves to
    /// whoever calls them; so only where the tenant says why.
    Outbound,
}

/// What is done with the code that the app shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CodeMode {
    /// The person reads it from the app, the agent types it; the result is
    /// withheld until it matches, and the code never reaches the agent.
    ReadBack,
    /// The agent reads it aloud, the person compares.
    ReadOut,
    /// The till or box shows it, the person compares.
    Display,
}

/// A text that is no identifier. Says what would be one, never the text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{expected}")]
pub struct InvalidIdentifier {
    expected: &'static str,
}

impl InvalidIdentifier {
    pub(crate) const fn of(expected: &'static str) -> Self {
        Self { expected }
    }
}

macro_rules! identifier {
    ($(#[$doc:meta])* $name:ident, $max:literal, $allowed:expr, $expected:literal) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(String);

        impl $name {
            /// Checks the text.
            ///
            /// # Errors
            /// Says what would be right, without repeating the text.
            pub fn new(text: impl Into<String>) -> Result<Self, InvalidIdentifier> {
                let text = text.into();
                let allowed: fn(char) -> bool = $allowed;
                let fits = !text.is_empty() && text.len() <= $max && text.chars().all(allowed);
                if fits { Ok(Self(text)) } else { Err(InvalidIdentifier { expected: $expected }) }
            }

            /// The text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl TryFrom<String> for $name {
            type Error = InvalidIdentifier;

            fn try_from(text: String) -> Result<Self, Self::Error> {
                Self::new(text)
            }
        }

        impl From<$name> for String {
            fn from(name: $name) -> Self {
                name.0
            }
        }
    };
}

const fn is_slug(c: char) -> bool {
    c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-'
}

const fn is_name(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | ':' | '@' | '/' | '+' | '=')
}

identifier!(
    /// A company that uses the gateway; part of every store key.
    TenantId, 32, is_slug, "must be 1 to 32 lower-case letters, digits and hyphens"
);
identifier!(
    /// One of a tenant's systems.
    ClientId, 64, is_name, "must be 1 to 64 of letters, digits and - _ . : @ / + ="
);
identifier!(
    /// The agent who talks to the person.
    AgentId, 64, is_name, "must be 1 to 64 of letters, digits and - _ . : @ / + ="
);
identifier!(
    /// A till or box.
    TerminalId, 64, is_name, "must be 1 to 64 of letters, digits and - _ . : @ / + ="
);
identifier!(
    /// A phone call, by the telephone system's name for it.
    CallId, 128, is_name, "must be 1 to 128 of letters, digits and - _ . : @ / + ="
);
identifier!(
    /// What a login is for, by the tenant's own name for it.
    PurposeId, 64, is_slug, "must be 1 to 64 lower-case letters, digits and hyphens"
);
identifier!(
    /// The caller's own name for one start; one of them rings a phone at most once.
    RequestId, 128, is_name, "must be 1 to 128 of letters, digits and - _ . : @ / + ="
);

/// The gateway's name for one login: 160 random bits, 27 base64url characters.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct LoginId(String);

impl LoginId {
    /// The id made of those random bytes.
    #[must_use]
    pub fn from_random(bytes: [u8; 20]) -> Self {
        Self(BASE64_URL_SAFE_NO_PAD.encode(bytes))
    }

    /// Reads an id that this gateway gave out.
    ///
    /// # Errors
    /// When it cannot be one.
    pub fn parse(text: &str) -> Result<Self, InvalidIdentifier> {
        let well_formed = text.len() == 27 && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_');
        if well_formed {
            Ok(Self(text.to_owned()))
        } else {
            Err(InvalidIdentifier { expected: "must be a login_id that StartLogin returned: 27 characters" })
        }
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for LoginId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl TryFrom<String> for LoginId {
    type Error = InvalidIdentifier;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        Self::parse(&text)
    }
}

impl From<LoginId> for String {
    fn from(id: LoginId) -> Self {
        id.0
    }
}
