//! A login session: its states, and which event leads from which to which.
//!
//! ```text
//! Starting ─ Accepted ─▶ Pending ─ Redeemed ─▶ Redeemed ─ Approved ─▶ AwaitingCode ─ code ─▶ Ended
//! ```
//!
//! Every live state can also end by an event or by its own deadline; nothing
//! leaves `Ended`. Pure: the present is handed in, and nothing is stored or
//! sent. `logins` and `poller` apply events here and let `store` decide races
//! by compare-and-set.

mod code;
mod finish;
mod moment;
mod outcome;
mod person;
mod terms;

use std::sync::Arc;
use std::time::Duration;

pub use code::CodeCheck;
use code::Typed;
pub use finish::{Finish, InvalidRedirectUri, RedirectUri};
pub use moment::{CodeProgress, End, Moment, Phase};
pub use outcome::{Ended, FailureReason, Outcome};
pub use person::{CheckInId, CheckedIn, CustomerToken, Person, PersonalQr};
pub use terms::{
    AgentId, CallDirection, CallId, Channel, ClientId, CodeMode, HandedOver, Holder, InvalidIdentifier, Labels,
    LoginId, PurposeId, RequestId, TenantId, TerminalId, Terms,
};

use crate::ciba::{Accepted, AuthReqId, MAX_LIFETIME, RedirectError, Schedule, Tokens};
use crate::identity::Identity;
use crate::phone::BindingCode;
use crate::timestamp::Timestamp;

/// An answer may still be in flight when the provider's limit is reached.
pub const EXPIRY_GRACE: Duration = Duration::from_secs(5);
/// How long the provider may take to tell who the person is, after the exchange.
pub const REDEEM_LIMIT: Duration = Duration::from_secs(30);
/// The same for a login that asks for consents: they are told once, so they are asked
/// for as long as the provider's access token can be relied on (300 s in its examples).
pub const REDEEM_LIMIT_WITH_CONSENTS: Duration = Duration::from_secs(150);
/// How long the agent may take to type the code, after the approval.
pub const CODE_LIMIT: Duration = Duration::from_secs(60);
/// A start that has not ended by then has lost its owner.
pub const START_LIMIT: Duration = Duration::from_secs(45);
/// Wrong codes that end a login.
pub const CODE_TRIES: u8 = 3;

/// A login and where it stands.
#[derive(Clone, Debug, PartialEq)]
pub struct Session {
    /// The name callers know it by.
    pub id: LoginId,
    /// What was asked for and who has it; shared by all versions of a login until it
    /// is handed over.
    pub terms: Arc<Terms>,
    /// Where it stands.
    pub state: State,
}

/// Where a login stands. Each state holds only what exists in it.
#[derive(Clone, Debug, PartialEq)]
pub enum State {
    /// Reserved; the provider is being asked.
    Starting(Starting),
    /// The phone shows the request.
    Pending(Pending),
    /// The single-use exchange happened; who it was is not yet known.
    Redeemed(Redeemed),
    /// Verified, but the agent has not yet typed the code.
    AwaitingCode(AwaitingCode),
    /// Over, for ever.
    Ended(Ended),
}

/// See [`State::Starting`].
#[derive(Clone, Debug, PartialEq)]
pub struct Starting {
    /// When the attempt began.
    pub since: Timestamp,
    /// A code can be typed only once there is one on the phone; kept from the start.
    pub code: CodeCheck,
}

/// See [`State::Pending`].
#[derive(Clone, Debug, PartialEq)]
pub struct Pending {
    /// The provider's handle.
    pub auth_req_id: AuthReqId,
    /// When it is polled, and until when.
    pub schedule: Schedule,
    /// Whether the agent has typed the code already.
    pub code: CodeCheck,
}

/// See [`State::Redeemed`].
#[derive(Clone, Debug, PartialEq)]
pub struct Redeemed {
    /// What the exchange gave, unverified.
    pub tokens: Tokens,
    /// When it happened.
    pub at: Timestamp,
    /// Whether the agent has typed the code already.
    pub code: CodeCheck,
}

/// See [`State::AwaitingCode`].
#[derive(Clone, Debug, PartialEq)]
pub struct AwaitingCode {
    /// Who it is; withheld from everyone until the code matches.
    pub identity: Box<Identity>,
    /// When the person was verified.
    pub approved_at: Timestamp,
    /// The tries so far.
    pub code: CodeCheck,
}

/// Something that happened to a login.
#[derive(Clone, Debug, PartialEq)]
pub enum Event {
    /// The provider took the request, which was sent at `sent_at`.
    Accepted {
        /// The provider's answer.
        accepted: Accepted,
        /// When the request was sent: the provider's time cannot have begun earlier.
        sent_at: Timestamp,
    },
    /// The poll schedule changed in a way that must be written down.
    Rescheduled(Schedule),
    /// A poll was answered with tokens, or a landing's code was, which has been found to
    /// be this login's.
    Redeemed(Tokens),
    /// The phone landed on the page without a code, says whoever has the login.
    LandedWithout(RedirectError),
    /// The tokens and userinfo were verified.
    Approved(Box<Identity>),
    /// The person said no.
    Denied,
    /// The provider says that the request expired.
    Expired,
    /// The provider says that the exchange has happened, and nobody has its result.
    ResultLost,
    /// It cannot be carried through.
    Failed(FailureReason),
    /// A caller ended it.
    Cancelled,
    /// The agent typed a code.
    CodeTyped(BindingCode),
    /// A caller handed it over.
    HandedOver(Holder),
    /// A caller wants the identity gone.
    Erased,
}

/// The event cannot happen in this state.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a login that is {state} cannot take the event {event}")]
pub struct IllegalTransition {
    /// Name of the state.
    pub state: &'static str,
    /// Name of the event.
    pub event: &'static str,
}

impl Session {
    /// A login that has just been reserved at `now`.
    #[must_use]
    pub fn new(id: LoginId, terms: Terms, now: Timestamp) -> Self {
        let code = CodeCheck::for_mode(terms.code_mode);
        Self { id, terms: Arc::new(terms), state: State::Starting(Starting { since: now, code }) }
    }

    /// The login after `event`.
    ///
    /// # Errors
    /// When the event cannot happen in this state; in particular, to a login that
    /// has ended nothing happens but erasure and, while its identity is there, that
    /// it is handed over.
    pub fn apply(self, event: Event, now: Timestamp) -> Result<Self, IllegalTransition> {
        let illegal = IllegalTransition { state: self.state.name(), event: event.name() };
        let Self { id, terms, state } = self;
        if let Event::HandedOver(to) = event {
            let terms = if state.can_be_handed_over() { Arc::new(terms.handed_to(to)) } else { return Err(illegal) };
            return Ok(Self { id, terms, state });
        }
        let state = match (state, event) {
            (State::Ended(ended), Event::Erased) => State::Ended(ended.erased()),
            (State::Ended(_), _) => return Err(illegal),
            (_, Event::HandedOver(_)) => return Err(illegal),
            (_, Event::Cancelled | Event::Erased) => ended(now, Outcome::Cancelled),
            (_, Event::Failed(reason)) => ended(now, Outcome::Failed(reason)),
            (state, Event::CodeTyped(typed)) => state.code_typed(&typed, &terms.code, now).ok_or(illegal)?,

            (State::Starting(starting), Event::Accepted { accepted, sent_at }) => {
                State::Pending(Pending::new(accepted, sent_at, now, &terms, starting.code))
            }
            (State::Pending(pending), Event::Rescheduled(schedule)) => State::Pending(Pending { schedule, ..pending }),
            (State::Pending(pending), Event::Redeemed(tokens)) => {
                State::Redeemed(Redeemed { tokens, at: now, code: pending.code })
            }
            (State::Pending(_), Event::LandedWithout(error)) if !terms.finish.is_in_app() => ended(now, error.into()),
            (State::Pending(_), Event::Denied) => ended(now, Outcome::Denied),
            (State::Pending(_), Event::Expired) => ended(now, Outcome::Expired),
            (State::Pending(_), Event::ResultLost) => ended(now, Outcome::Failed(FailureReason::ResultLost)),
            (State::Redeemed(redeemed), Event::Approved(identity)) => redeemed.approved(identity, &terms, now),

            (_, Event::LandedWithout(_))
            | (
                State::Starting(_),
                Event::Rescheduled(_) | Event::Redeemed(_) | Event::Denied | Event::Expired | Event::ResultLost,
            )
            | (State::Starting(_) | State::Pending(_) | State::AwaitingCode(_), Event::Approved(_))
            | (State::Pending(_), Event::Accepted { .. })
            | (
                State::Redeemed(_) | State::AwaitingCode(_),
                Event::Accepted { .. }
                | Event::Rescheduled(_)
                | Event::Redeemed(_)
                | Event::Denied
                | Event::Expired
                | Event::ResultLost,
            ) => return Err(illegal),
        };
        Ok(Self { id, terms, state })
    }

    /// When this state ends by itself; `None` once it has ended.
    #[must_use]
    pub fn deadline(&self) -> Option<Timestamp> {
        match &self.state {
            State::Starting(starting) => Some(starting.since.plus(START_LIMIT)),
            State::Pending(pending) => Some(pending.schedule.expires_at().plus(EXPIRY_GRACE)),
            State::Redeemed(redeemed) => Some(redeemed.at.plus(self.terms.redeem_limit())),
            State::AwaitingCode(awaiting) => Some(awaiting.approved_at.plus(CODE_LIMIT)),
            State::Ended(_) => None,
        }
    }

    /// The login as its deadline leaves it, when that has passed at `now`;
    /// `None` while it has not. A fact about the clock: whoever reads a login
    /// applies it, no task needs to be alive.
    #[must_use]
    pub fn overdue(&self, now: Timestamp) -> Option<Self> {
        let deadline = self.deadline().filter(|deadline| now >= *deadline)?;
        let outcome = match &self.state {
            State::Starting(_) => Outcome::Failed(FailureReason::StartUnknown),
            State::Pending(_) => Outcome::Expired,
            State::Redeemed(_) => Outcome::Failed(FailureReason::ProviderUnavailable),
            State::AwaitingCode(_) => Outcome::Failed(FailureReason::CodeNotConfirmed),
            State::Ended(_) => return None,
        };
        Some(Self { state: ended(deadline, outcome), ..self.clone() })
    }

    /// The provider's handle, while the login waits for a landing that is about it.
    #[must_use]
    pub fn landing_handle(&self) -> Option<&AuthReqId> {
        match &self.state {
            State::Pending(pending) if !self.terms.finish.is_in_app() => Some(&pending.auth_req_id),
            State::Pending(_) | State::Starting(_) | State::Redeemed(_) | State::AwaitingCode(_) | State::Ended(_) => {
                None
            }
        }
    }

    /// Whether it is over.
    #[must_use]
    pub const fn has_ended(&self) -> bool {
        matches!(self.state, State::Ended(_))
    }

    /// The code check, while the login lives.
    #[must_use]
    pub const fn code_check(&self) -> Option<&CodeCheck> {
        self.state.code_check()
    }
}

impl State {
    /// The state's name, for logs and metrics.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Starting(_) => "starting",
            Self::Pending(_) => "pending",
            Self::Redeemed(_) => "redeemed",
            Self::AwaitingCode(_) => "awaiting_code",
            Self::Ended(_) => "ended",
        }
    }

    const fn can_be_handed_over(&self) -> bool {
        match self {
            Self::Starting(_) | Self::Pending(_) | Self::Redeemed(_) | Self::AwaitingCode(_) => true,
            Self::Ended(ended) => matches!(ended.outcome, Outcome::Approved { identity: Some(_) }),
        }
    }

    const fn code_check(&self) -> Option<&CodeCheck> {
        match self {
            Self::Starting(state) => Some(&state.code),
            Self::Pending(state) => Some(&state.code),
            Self::Redeemed(state) => Some(&state.code),
            Self::AwaitingCode(state) => Some(&state.code),
            Self::Ended(_) => None,
        }
    }

    /// `None` when this login takes no code.
    fn code_typed(self, typed: &BindingCode, code: &BindingCode, now: Timestamp) -> Option<Self> {
        let check = self.code_check()?;
        match check.typed(typed, code)? {
            Typed::Stands(next) => Some(self.with_code(next, now)),
            Typed::Exhausted => Some(ended(now, Outcome::Failed(FailureReason::CodeMismatch))),
        }
    }

    fn with_code(self, code: CodeCheck, now: Timestamp) -> Self {
        match self {
            Self::Starting(state) => Self::Starting(Starting { code, ..state }),
            Self::Pending(state) => Self::Pending(Pending { code, ..state }),
            Self::Redeemed(state) => Self::Redeemed(Redeemed { code, ..state }),
            Self::AwaitingCode(state) if code.withholds() => Self::AwaitingCode(AwaitingCode { code, ..state }),
            Self::AwaitingCode(state) => ended(now, Outcome::Approved { identity: Some(state.identity) }),
            Self::Ended(state) => Self::Ended(state),
        }
    }
}

impl Pending {
    fn new(accepted: Accepted, sent_at: Timestamp, now: Timestamp, terms: &Terms, code: CodeCheck) -> Self {
        // The provider may grant more than was asked; the caller's deadline holds.
        let limit = accepted.expires_in.min(terms.requested_expiry()).min(MAX_LIFETIME);
        let schedule = Schedule::new(accepted.interval, now, sent_at.plus(limit));
        // So no replica of an older version polls it either.
        let schedule = if terms.finish.is_in_app() { schedule } else { schedule.without_polls() };
        Self { auth_req_id: accepted.auth_req_id, schedule, code }
    }
}

impl Redeemed {
    fn approved(self, identity: Box<Identity>, terms: &Terms, now: Timestamp) -> State {
        let identity = Box::new(identity.without_unasked_nin(&terms.claims));
        if terms.required_claims.iter().any(|claim| !identity.has(*claim)) {
            ended(now, Outcome::Failed(FailureReason::ClaimMissing))
        } else if self.code.withholds() {
            State::AwaitingCode(AwaitingCode { identity, approved_at: now, code: self.code })
        } else {
            ended(now, Outcome::Approved { identity: Some(identity) })
        }
    }
}

impl Event {
    /// The event's name, for logs.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Accepted { .. } => "accepted",
            Self::Rescheduled(_) => "rescheduled",
            Self::Redeemed(_) => "redeemed",
            Self::LandedWithout(_) => "landed_without",
            Self::Approved(_) => "approved",
            Self::Denied => "denied",
            Self::Expired => "expired",
            Self::ResultLost => "result_lost",
            Self::Failed(_) => "failed",
            Self::Cancelled => "cancelled",
            Self::CodeTyped(_) => "code_typed",
            Self::HandedOver(_) => "handed_over",
            Self::Erased => "erased",
        }
    }
}

impl From<RedirectError> for Outcome {
    /// How a login ends whose phone has landed so. Nobody but the person has said no,
    /// and only by the word for it.
    fn from(error: RedirectError) -> Self {
        match error {
            RedirectError::Denied => Self::Denied,
            RedirectError::AppTooOld => Self::Failed(FailureReason::AppTooOld),
            RedirectError::UriRefused => Self::Failed(FailureReason::RequestRefused),
            RedirectError::Server
            | RedirectError::LoginRequired
            | RedirectError::WrongChallenge
            | RedirectError::Unexplained
            | RedirectError::Unknown => Self::Failed(FailureReason::ProviderError),
        }
    }
}

const fn ended(at: Timestamp, outcome: Outcome) -> State {
    State::Ended(Ended { at, outcome })
}

#[cfg(test)]
pub(crate) mod tests;
