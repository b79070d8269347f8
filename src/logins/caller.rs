//! Who is calling.

use std::collections::BTreeSet;

use serde::Deserialize;

use crate::session::{AgentId, Channel, ClientId, TenantId};

/// Who is calling, as the credential proved it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Caller {
    /// Whose system it is.
    pub tenant: TenantId,
    /// Which system.
    pub client: ClientId,
    /// What it may start logins for.
    pub channels: BTreeSet<Channel>,
    /// The agent who is asking.
    pub agent: Option<CallingAgent>,
    /// Whether the system's word for an agent is not enough.
    pub must_prove_agent: bool,
    /// What it may do beyond what everybody may.
    pub roles: BTreeSet<Role>,
}

impl Caller {
    /// The agent's name, however we know it.
    #[must_use]
    pub fn agent_id(&self) -> Option<&AgentId> {
        self.agent.as_ref().map(|agent| &agent.id)
    }

    /// Whether the caller may ask for something in the name of `agent`.
    pub(super) fn may_name(&self, agent: Option<&AgentId>) -> bool {
        let proven = self.agent.as_ref().filter(|agent| agent.is_proven).map(|agent| &agent.id);
        !self.must_prove_agent || agent.is_none() || agent == proven
    }
}

/// An agent, and how we know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CallingAgent {
    /// The agent's name.
    pub id: AgentId,
    /// Whether a token of the tenant's identity provider says it; otherwise it is the
    /// system's word.
    pub is_proven: bool,
}

/// What some may do that others may not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Role {
    /// Hands over logins of other agents of the tenant.
    Supervisor,
    /// Asks for national identity numbers, where the tenant has a ground for it.
    NationalId,
}

impl Role {
    /// The role's name, as the configuration writes it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Supervisor => "supervisor",
            Self::NationalId => "national-id",
        }
    }
}
