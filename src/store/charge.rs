//! What a start is counted by, and how much of it there may be.
//!
//! Counting is a sliding-window log: each start is an entry with its time, and
//! a limit looks at those of its window, so that no boundary lets twice as many
//! through. Pure: where the logs are is the stores' business, which limits hold
//! is decided by the configuration (`config::guard`).

use std::time::Duration;

use crate::phone::PhoneNumber;
use crate::session::{AgentId, ClientId, Person, RequestId, TenantId, TerminalId, Terms};
use crate::timestamp::Timestamp;

/// A limit on how often something may happen in a sliding window.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limit {
    /// This many within `window`, at most.
    pub max: u32,
    /// Looked back from the present.
    pub window: Duration,
}

/// By what starts of one tenant are counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Counter {
    /// Starts for one number. An approval by the person sets it back to none.
    Number,
    /// Starts by one agent.
    Agent,
    /// Different numbers that one agent starts logins for.
    AgentNumbers,
    /// Starts from one till or box.
    Terminal,
    /// Starts by one of the tenant's systems.
    Client,
    /// All starts.
    Tenant,
}

impl Counter {
    /// Every one.
    pub const ALL: [Self; 6] =
        [Self::Number, Self::Agent, Self::AgentNumbers, Self::Terminal, Self::Client, Self::Tenant];

    /// A word for keys, metrics and callers.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Number => "number",
            Self::Agent => "agent",
            Self::AgentNumbers => "agent-numbers",
            Self::Terminal => "terminal",
            Self::Client => "client",
            Self::Tenant => "tenant",
        }
    }

    /// Whose starts are counted together with this one; `None` when there is no
    /// such thing. Holds personal data: stores hash it.
    #[must_use]
    pub fn subject(self, asker: Asker<'_>) -> Option<&str> {
        match self {
            Self::Number => asker.phone().map(PhoneNumber::msisdn),
            Self::Agent => asker.agent.map(AgentId::as_str),
            Self::AgentNumbers => asker.phone().and(asker.agent).map(AgentId::as_str),
            Self::Terminal => asker.terminal.map(TerminalId::as_str),
            Self::Client => Some(asker.client.as_str()),
            Self::Tenant => Some(""),
        }
    }

    /// Whether equal numbers count once, and not each start.
    #[must_use]
    pub const fn counts_numbers(self) -> bool {
        matches!(self, Self::AgentNumbers)
    }
}

/// Who asks for which number, as far as it is counted.
#[derive(Clone, Copy, Debug)]
pub struct Asker<'a> {
    /// Whose login it would be.
    pub tenant: &'a TenantId,
    /// Which of the tenant's systems asks.
    pub client: &'a ClientId,
    /// What counts once, however often it is asked for.
    pub request_id: &'a RequestId,
    /// Whose phone it is; `None` while that is not known. What is counted by number
    /// concerns only somebody whose number is known.
    pub person: Option<&'a Person>,
    /// The agent who asks.
    pub agent: Option<&'a AgentId>,
    /// The till or box.
    pub terminal: Option<&'a TerminalId>,
}

impl<'a> Asker<'a> {
    /// The number, where it is known.
    #[must_use]
    pub fn phone(self) -> Option<&'a PhoneNumber> {
        self.person.and_then(Person::phone)
    }
}

impl<'a> From<&'a Terms> for Asker<'a> {
    fn from(terms: &'a Terms) -> Self {
        Self {
            tenant: &terms.tenant,
            client: &terms.client,
            request_id: &terms.request_id,
            person: Some(&terms.person),
            agent: terms.agent.as_ref(),
            terminal: terms.terminal.as_ref(),
        }
    }
}

/// What a start counts against. Does not concern a login without the
/// [`Counter::subject`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Charge {
    /// What is counted; each at most once in a reservation.
    pub counter: Counter,
    /// How much there may be; all of them hold.
    pub limits: Vec<Limit>,
}

/// How long nobody is asked again who has said no: `first` after one denial,
/// twice as long after each further one, at most `longest`. Counted for one
/// number of one tenant, until the person approves or [`DENIAL_RETENTION`] has
/// passed since the last denial.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CoolDown {
    /// After the first denial.
    pub first: Duration,
    /// At most.
    pub longest: Duration,
}

/// How long a denial is remembered.
pub const DENIAL_RETENTION: Duration = Duration::from_secs(24 * 3600);

impl CoolDown {
    /// How long after the last of so many denials.
    #[must_use]
    pub fn after(self, denials: u32) -> Duration {
        let doublings = denials.saturating_sub(1).min(31);
        self.first.saturating_mul(1_u32 << doublings).min(self.longest)
    }
}

/// A question about a number: counted as a start is, and nothing is claimed.
#[derive(Clone, Debug)]
pub struct Question<'a> {
    /// Who asks about which number.
    pub asker: Asker<'a>,
    /// The guards.
    pub charges: &'a [Charge],
    /// How long those are left alone who have said no.
    pub cool_down: CoolDown,
    /// The present.
    pub now: Timestamp,
}

/// Whether a question may be asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Counted {
    /// It may, and it was counted.
    Counted,
    /// The person has said no of late.
    CoolingDown {
        /// When they may be asked again.
        retry_after: Duration,
    },
    /// A guard refused.
    LimitReached {
        /// Which; of several the one that takes longest.
        counter: Counter,
        /// When the oldest counted start leaves the window.
        retry_after: Duration,
    },
}

/// Whether a start may be made for its number, as all tenants together see it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Admitted {
    /// It was counted.
    Counted,
    /// It had been counted before: this is a repetition.
    Before,
    /// There are too many already.
    LimitReached {
        /// When the oldest counted start leaves the window.
        retry_after: Duration,
    },
    /// The provider wants to hear nothing for this number yet.
    BackedOff {
        /// When it may be asked again.
        retry_after: Duration,
    },
}
