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
    /// The agent that the system says is asking.
    pub agent: Option<AgentId>,
    /// What it may do beyond what everybody may.
    pub roles: BTreeSet<Role>,
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
