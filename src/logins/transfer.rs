//! Handing a login over: from a voice menu to an agent, or from agent to agent.

use std::sync::Arc;

use super::view::is_reader;
use super::{Caller, Error, LoginView, Logins, Role};
use crate::ledger::Applied;
use crate::session::{AgentId, CallId, ClientId, Event, Holder, LoginId};
use crate::store::Record;

/// Which login is meant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Whose {
    /// This one.
    Login(LoginId),
    /// The one that this phone call has.
    Call(CallId),
}

/// A caller's wish to have a login in other hands.
#[derive(Clone, Debug)]
pub struct TransferLogin {
    /// Which login.
    pub whose: Whose,
    /// The agent who takes it.
    pub agent: AgentId,
    /// The agent's system; the one that has the login now when absent.
    pub client: Option<ClientId>,
}

impl Logins {
    /// Hands a login over; see `TransferLogin` in the API. The check of the code goes
    /// on where it was. Repeated, it changes nothing.
    ///
    /// # Errors
    /// When the login is not the caller's to hand over, or has nothing to hand over
    /// any more.
    pub async fn transfer(&self, caller: &Caller, transfer: TransferLogin) -> Result<LoginView, Error> {
        let _place = self.call()?;
        let record = self.meant(caller, &transfer.whose).await?;
        let terms = &record.session.terms;
        let client = transfer.client.unwrap_or_else(|| terms.holder().0.clone());
        if !self.tenant(caller)?.clients.contains(&client) {
            return Err(Error::ClientUnknown);
        }
        let to = Holder { client, agent: Some(transfer.agent) };
        // Before the rights: whoever repeats it has nothing to hand over any more.
        if terms.holder() == (&to.client, to.agent.as_ref()) {
            return Ok(self.view(caller, &record));
        }
        if !is_reader(caller, terms) && !caller.roles.contains(&Role::Supervisor) {
            return Err(self.not_yours(caller, &record, "TransferLogin"));
        }
        match self.0.ledger.apply(&record, &Event::HandedOver(to)).await? {
            Applied::Done(next) => {
                self.note_hand_over(caller, &record, &next);
                Ok(self.view(caller, &next))
            }
            Applied::Refused(_) => Err(Error::LoginEnded),
            Applied::Gone => Err(Error::NotFound),
        }
    }

    async fn meant(&self, caller: &Caller, whose: &Whose) -> Result<Arc<Record>, Error> {
        match whose {
            Whose::Login(login) => self.find(caller, login).await,
            Whose::Call(call) => {
                let login = self.0.ledger.login_of_call(&caller.tenant, call).await?;
                self.find(caller, &login.ok_or(Error::NotFound)?).await
            }
        }
    }
}
