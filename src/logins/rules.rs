//! What the operator decides about tenants, limits and who is shut out, and may
//! decide otherwise while logins run.
//!
//! It is one value that is replaced as a whole. Whoever decides something by it
//! takes it once; what has been started goes on as it was asked for.

use std::collections::HashMap;
use std::sync::Arc;

use tokio::sync::watch::Receiver;

use super::{BlockList, Blocked, Caller, Error, Logins, Policy, Tenant};
use crate::phone::PhoneNumber;
use crate::session::{AgentId, TenantId, TerminalId};

/// What the operator decides and may decide otherwise while logins run.
pub(crate) struct Rules {
    pub(super) tenants: HashMap<TenantId, Arc<Tenant>>,
    pub(super) policy: Policy,
    pub(super) block_list: BlockList,
}

impl Rules {
    pub(super) fn new(tenants: Vec<Tenant>, policy: Policy, block_list: BlockList) -> Arc<Self> {
        let tenants = tenants.into_iter().map(|tenant| (tenant.id.clone(), Arc::new(tenant))).collect();
        Arc::new(Self { tenants, policy, block_list })
    }
}

impl Logins {
    /// From now on this holds. What has been started goes on as it was asked for;
    /// who is shut out is told no identity any more.
    pub fn go_by(&self, tenants: Vec<Tenant>, policy: Policy, block_list: BlockList) {
        self.0.rules.send_replace(Rules::new(tenants, policy, block_list));
    }

    /// Tells each time that something else holds.
    #[must_use]
    pub(crate) fn rules_change(&self) -> Receiver<Arc<Rules>> {
        self.0.rules.subscribe()
    }

    pub(super) fn rules(&self) -> Arc<Rules> {
        Arc::clone(&self.0.rules.borrow())
    }

    pub(super) fn blocked(
        &self,
        caller: &Caller,
        agent: Option<&AgentId>,
        terminal: Option<&TerminalId>,
        phone: Option<&PhoneNumber>,
    ) -> Option<Blocked> {
        self.rules().block_list.question(caller, agent, terminal, phone)
    }

    /// Whether the caller may make that call at all. Starts and checks, which are
    /// noted anyhow, say so by themselves.
    ///
    /// # Errors
    /// [`Error::Blocked`], which is noted in the audit log.
    pub fn admits(&self, caller: &Caller, call: &'static str) -> Result<(), Error> {
        match self.rules().block_list.caller(caller) {
            None => Ok(()),
            Some(blocked) => Err(self.shut_out(caller, blocked, call)),
        }
    }

    /// What holds for the caller's tenant.
    ///
    /// # Errors
    /// When the tenant is gone from the configuration.
    pub fn tenant(&self, caller: &Caller) -> Result<Arc<Tenant>, Error> {
        let rules = self.rules();
        rules.tenants.get(&caller.tenant).cloned().ok_or(Error::Internal("the caller's tenant is not configured"))
    }
}
