//! What is noted: one thing that happened, and everything that says to whom.

use serde::Serialize;

use crate::phone::PhoneNumber;
use crate::session::{
    AgentId, CallDirection, CallId, Channel, CheckInId, ClientId, FailureReason, LoginId, PurposeId, TenantId,
    TerminalId, Terms,
};

/// What happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "what", rename_all = "snake_case")]
pub enum What {
    /// A caller asked whether a number can log in.
    CheckAsked,
    /// That was not answered.
    CheckRefused {
        /// The stable reason that the caller was told.
        reason: &'static str,
        /// What there was too much of, where that was it.
        #[serde(skip_serializing_if = "Option::is_none")]
        limit: Option<&'static str>,
    },
    /// It was answered. What with is about the person, and not written.
    CheckAnswered,
    /// A caller asked to have a phone asked.
    StartAsked,
    /// Nothing was started.
    StartRefused {
        /// The stable reason that the caller was told.
        reason: &'static str,
        /// What there was too much of, where that was it.
        #[serde(skip_serializing_if = "Option::is_none")]
        limit: Option<&'static str>,
    },
    /// The provider took the request: the phone is asked.
    PushAccepted,
    /// The provider answered otherwise to a start, or for good to a poll.
    ProviderAnswered {
        /// The answer's stable name.
        answer: &'static str,
    },
    /// The agent typed a code.
    CodeTried {
        /// Whether it was the one on the phone.
        matched: bool,
        /// How many more there may be when it was not.
        tries_left: u8,
    },
    /// No code was typed right in time, or in three tries: the identity stays
    /// withheld.
    CodeGivenUp,
    /// This process goes on with what another one began.
    TakenOver {
        /// Why it is this one's now, by its stable name.
        because: &'static str,
    },
    /// A caller was given the identity.
    IdentityRead,
    /// A caller looked at a login whose identity is not for them.
    IdentityWithheld,
    /// A caller wanted to do something to a login that is not theirs.
    CallRefused {
        /// What, by the name of the call.
        call: &'static str,
        /// The stable reason that the caller was told.
        reason: &'static str,
    },
    /// A start stands for a login that lives already.
    Joined,
    /// A caller ended the login to start another.
    Replaced,
    /// The person's phone landed with a code that is this login's.
    Landed,
    /// A caller said that the person's phone landed without a code.
    LandedWithout {
        /// Our word for the provider's error.
        error: &'static str,
    },
    /// A code was exchanged, and what came for it logs nobody in.
    LandingRefused {
        /// Why, by a stable word.
        reason: &'static str,
    },
    /// A caller handed the login over.
    HandedOver,
    /// A caller ended the login.
    Cancelled,
    /// A caller had the identity removed.
    Erased,
    /// A caller had a shop's QR code made, or its description changed.
    ShopQrCreated,
    /// A caller had a shop's QR code removed.
    ShopQrDeleted,
    /// A customer's own QR code was exchanged for their number.
    PersonalQrExchanged,
    /// The login is over.
    Ended {
        /// The outcome's stable name.
        outcome: &'static str,
        /// Why it failed, where it did.
        #[serde(skip_serializing_if = "Option::is_none")]
        reason: Option<FailureReason>,
        /// How often the person has said no of late, where they just have; else 0.
        #[serde(skip_serializing_if = "is_zero")]
        denials: u32,
    },
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde wants it so")]
const fn is_zero(count: &u32) -> bool {
    *count == 0
}

/// The caller whose doing it was.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct By {
    /// The system.
    pub client: ClientId,
    /// The agent, where one is named.
    pub agent: Option<AgentId>,
}

/// One thing that happened, and to which login or start, or in which call. The
/// number is written masked and as a keyed hash only.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// What happened.
    pub what: What,
    /// The caller's doing; `None` for what the provider, the clock or the gateway did.
    pub by: Option<By>,
    /// Whose login it is.
    pub tenant: TenantId,
    /// The login; `None` when there is none yet, or none came to be.
    pub login: Option<LoginId>,
    /// The system that asked for the login, or that called; `None` where nobody is known
    /// to have done either.
    pub client: Option<ClientId>,
    /// The agent that it was asked for, or who called.
    pub agent: Option<AgentId>,
    /// The till or box.
    pub terminal: Option<TerminalId>,
    /// The phone call.
    pub call: Option<CallId>,
    /// Where the person is; `None` where the call names no login.
    pub channel: Option<Channel>,
    /// Who called whom.
    pub call_direction: Option<CallDirection>,
    /// What the login is for.
    pub purpose: Option<PurposeId>,
    /// By what right the tenant asks for a national identity number; set where one is
    /// asked for.
    pub ground: Option<String>,
    /// Whose phone it is about; `None` where the call names no login, and where the
    /// number is not known.
    pub number: Option<PhoneNumber>,
    /// By which check-in the person is known, where it is one; a keyed hash.
    pub check_in: Option<CheckInId>,
    /// From whom to whom it was handed over, where it was.
    pub hands: Option<Hands>,
    /// Whether a token proved the agent of `by`; `None` where none is named.
    pub agent_proven: Option<bool>,
}

/// Two holders of a login.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hands {
    /// Who had it.
    pub from: By,
    /// Who has it.
    pub to: By,
}

impl Entry {
    /// Something that happened to a login by nobody's doing among the callers.
    #[must_use]
    pub fn of(login: &LoginId, terms: &Terms, what: What) -> Self {
        Self {
            what,
            by: None,
            tenant: terms.tenant.clone(),
            login: Some(login.clone()),
            client: Some(terms.client.clone()),
            agent: terms.agent.clone(),
            terminal: terms.terminal.clone(),
            call: terms.call.clone(),
            channel: Some(terms.channel),
            call_direction: terms.call_direction,
            purpose: terms.purpose.clone(),
            ground: None,
            number: terms.person.phone().cloned(),
            check_in: terms.person.check_in().cloned(),
            hands: None,
            agent_proven: None,
        }
    }

    /// Something that happened to a call, whatever login it was about.
    #[must_use]
    pub fn of_call(tenant: &TenantId, client: &ClientId, agent: Option<&AgentId>, what: What) -> Self {
        let entry = Self { client: Some(client.clone()), agent: agent.cloned(), ..Self::of_landing(tenant, what) };
        entry.by(client, agent)
    }

    /// Something that happened to a landing of a tenant of which it is not known whose
    /// it is.
    #[must_use]
    pub fn of_landing(tenant: &TenantId, what: What) -> Self {
        Self {
            what,
            by: None,
            tenant: tenant.clone(),
            login: None,
            client: None,
            agent: None,
            terminal: None,
            call: None,
            channel: None,
            call_direction: None,
            purpose: None,
            ground: None,
            number: None,
            check_in: None,
            hands: None,
            agent_proven: None,
        }
    }

    /// The same by the doing of a caller.
    #[must_use]
    pub fn by(self, client: &ClientId, agent: Option<&AgentId>) -> Self {
        Self { by: Some(By { client: client.clone(), agent: agent.cloned() }), ..self }
    }
}

/// An entry as a line has it.
#[derive(Serialize)]
pub(crate) struct Subject {
    tenant: TenantId,
    #[serde(skip_serializing_if = "Option::is_none")]
    login: Option<LoginId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    client: Option<ClientId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    agent: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    terminal: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    call: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    channel: Option<Channel>,
    #[serde(skip_serializing_if = "Option::is_none")]
    call_direction: Option<CallDirection>,
    #[serde(skip_serializing_if = "Option::is_none")]
    purpose: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ground: Option<String>,
    number: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    number_hash: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    check_in: Option<CheckInId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    by_client: Option<ClientId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    by_agent: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    agent_proven: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    from_client: Option<ClientId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    from_agent: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    to_client: Option<ClientId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    to_agent: Option<String>,
}

impl Subject {
    /// `hash`: the keyed hash of the entry's number. Telephone systems make names
    /// of calls out of numbers: there too it is masked.
    pub(crate) fn new(entry: Entry, hash: Option<String>) -> Self {
        let number = entry.number;
        let hidden = |text: &str| number.as_ref().map_or_else(|| text.to_owned(), |number| number.hidden_in(text));
        let names = |by: Option<By>| {
            let agent = by.as_ref().and_then(|by| by.agent.as_ref()).map(|agent| hidden(agent.as_str()));
            (by.map(|by| by.client), agent)
        };
        let (from, to) = entry.hands.map_or((None, None), |hands| (Some(hands.from), Some(hands.to)));
        let ((by_client, by_agent), (from_client, from_agent), (to_client, to_agent)) =
            (names(entry.by), names(from), names(to));
        Self {
            tenant: entry.tenant,
            login: entry.login,
            client: entry.client,
            agent: entry.agent.map(|agent| hidden(agent.as_str())),
            terminal: entry.terminal.map(|terminal| hidden(terminal.as_str())),
            call: entry.call.map(|call| hidden(call.as_str())),
            channel: entry.channel,
            call_direction: entry.call_direction,
            purpose: entry.purpose.map(|purpose| hidden(purpose.as_str())),
            ground: entry.ground,
            number: number.as_ref().map(ToString::to_string),
            number_hash: hash,
            check_in: entry.check_in,
            by_client,
            by_agent,
            agent_proven: entry.agent_proven,
            from_client,
            from_agent,
            to_client,
            to_agent,
        }
    }
}
