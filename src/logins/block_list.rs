//! Who and what is shut out, by the operator's word, whatever a credential proves.
//!
//! Pure. It is asked at each call, at each start, and whenever an identity is about
//! to be handed out; how it gets here is the configuration's matter.

use std::collections::{HashMap, HashSet};

use super::Caller;
use crate::phone::PhoneNumber;
use crate::session::{AgentId, ClientId, TenantId, TerminalId};

/// Names that are shut out, in one tenant or in all. Numbers print masked.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Blocks {
    /// These may not call.
    pub clients: HashSet<ClientId>,
    /// Nobody may call in their names.
    pub agents: HashSet<AgentId>,
    /// No login is started at them, and nobody is told who approved one.
    pub terminals: HashSet<TerminalId>,
    /// These phones are not rung.
    pub numbers: HashSet<PhoneNumber>,
}

/// What is shut out in each tenant.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BlockList {
    all: Blocks,
    tenants: HashMap<TenantId, Blocks>,
}

/// What is shut out about a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Blocked {
    /// The system that calls.
    Client,
    /// The agent who is named.
    Agent,
    /// The till or box.
    Terminal,
    /// The phone that would ring.
    Number,
}

impl Blocked {
    /// Its stable name, as callers are told.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Client => "client",
            Self::Agent => "agent",
            Self::Terminal => "terminal",
            Self::Number => "number",
        }
    }
}

impl BlockList {
    /// `all` is shut out in every tenant, beside what is in one of `tenants`.
    #[must_use]
    pub const fn new(all: Blocks, tenants: HashMap<TenantId, Blocks>) -> Self {
        Self { all, tenants }
    }

    /// What is shut out in all tenants, by `None`, and in each of some.
    pub fn entries(&self) -> impl Iterator<Item = (Option<&TenantId>, &Blocks)> {
        let tenants = self.tenants.iter().map(|(tenant, blocks)| (Some(tenant), blocks));
        std::iter::once((None, &self.all)).chain(tenants)
    }

    /// What about the caller is shut out, whatever it calls for.
    #[must_use]
    pub fn caller(&self, caller: &Caller) -> Option<Blocked> {
        if self.any(&caller.tenant, |blocks| blocks.clients.contains(&caller.client)) {
            return Some(Blocked::Client);
        }
        self.agent(&caller.tenant, caller.agent_id())
    }

    /// What is shut out about a question of the caller, for an agent or at a terminal,
    /// that concerns a phone; `None` while its number is not known.
    #[must_use]
    pub fn question(
        &self,
        caller: &Caller,
        agent: Option<&AgentId>,
        terminal: Option<&TerminalId>,
        phone: Option<&PhoneNumber>,
    ) -> Option<Blocked> {
        let number = || phone.is_some_and(|phone| self.any(&caller.tenant, |blocks| blocks.numbers.contains(phone)));
        self.caller(caller)
            .or_else(|| self.agent(&caller.tenant, agent))
            .or_else(|| self.terminal(&caller.tenant, terminal))
            .or_else(|| number().then_some(Blocked::Number))
    }

    /// Whether the terminal of a login is shut out.
    #[must_use]
    pub fn terminal(&self, tenant: &TenantId, terminal: Option<&TerminalId>) -> Option<Blocked> {
        let terminal = terminal?;
        self.any(tenant, |blocks| blocks.terminals.contains(terminal)).then_some(Blocked::Terminal)
    }

    fn agent(&self, tenant: &TenantId, agent: Option<&AgentId>) -> Option<Blocked> {
        let agent = agent?;
        self.any(tenant, |blocks| blocks.agents.contains(agent)).then_some(Blocked::Agent)
    }

    fn any(&self, tenant: &TenantId, has: impl Fn(&Blocks) -> bool) -> bool {
        has(&self.all) || self.tenants.get(tenant).is_some_and(has)
    }
}
