//! What a call was let in by, for as long as the call lasts.
//!
//! No stream outlives the credential that opened it: it ends when the credential
//! does, when it is taken out of the configuration, when it comes to stand for
//! something else, and when its client or agent is shut out. Called by
//! [`super::service`] for calls that wait.

use std::future::pending;
use std::net::IpAddr;
use std::sync::Arc;

use tokio::sync::watch;
use tonic::metadata::MetadataMap;

use super::caller::{Call, Callers, Peer, Proven};
use super::status::CallError;
use crate::logins::{Caller, Logins};
use crate::timestamp::Timestamp;

/// Everybody who may call, as it is now. Cheap to clone.
pub type Enrolled = watch::Receiver<Arc<Callers>>;

/// What a call has shown, and whom that proved.
pub(super) struct Grant {
    call: Call,
    logins: Logins,
    enrolled: Enrolled,
    metadata: MetadataMap,
    peer: Option<Peer>,
    address: Option<IpAddr>,
    caller: Caller,
    until: Option<Timestamp>,
}

impl Grant {
    /// Takes what a call shows; an error where that proves nobody.
    /// `address` is the other end of its connection.
    pub(super) async fn new(
        call: Call,
        logins: &Logins,
        mut enrolled: Enrolled,
        metadata: MetadataMap,
        (peer, address): (Option<Peer>, Option<IpAddr>),
    ) -> Result<Self, CallError> {
        let callers = Arc::clone(&enrolled.borrow_and_update());
        let proven = callers.identify(&metadata, peer.as_ref(), address, logins.clock().now()).await?;
        admits(&proven, call, logins)?;
        let Proven { caller, until, .. } = proven;
        Ok(Self { call, logins: logins.clone(), enrolled, metadata, peer, address, caller, until })
    }

    /// Who calls.
    pub(super) const fn caller(&self) -> &Caller {
        &self.caller
    }

    /// Waits until the call must end, and says why.
    pub(super) async fn ends(mut self) -> CallError {
        let (clock, mut rules) = (self.logins.clock().clone(), self.logins.rules_change());
        loop {
            // What changed between the opening and this is found here.
            if let Err(error) = self.holds().await {
                return error;
            }
            let lapse = async {
                match self.until {
                    Some(until) => clock.sleep_until(until).await,
                    None => pending().await,
                }
            };
            tokio::select! {
                () = lapse => return CallError::CredentialExpired,
                () = change(&mut self.enrolled) => {}
                () = change(&mut rules) => {}
            }
        }
    }

    /// Whether what was shown still proves the same caller, and that one may call.
    async fn holds(&mut self) -> Result<(), CallError> {
        let callers = Arc::clone(&self.enrolled.borrow_and_update());
        let now = self.logins.clock().now();
        let proven = callers.identify(&self.metadata, self.peer.as_ref(), self.address, now).await?;
        admits(&proven, self.call, &self.logins)?;
        let Proven { caller, until, .. } = proven;
        self.logins.admits(&caller, self.call.name())?;
        if caller != self.caller {
            return Err(CallError::CredentialChanged);
        }
        self.until = until;
        Ok(())
    }
}

/// Whether such a caller may make the call from there; where not, that is noted.
fn admits(proven: &Proven, call: Call, logins: &Logins) -> Result<(), CallError> {
    let noted = |error: &CallError| logins.note_refused_call(&proven.caller, call.name(), error.code_and_reason().1);
    proven.admits(call).inspect_err(noted)
}

/// Waits for a change; for ever where nobody is left who could make one.
async fn change<T>(watched: &mut watch::Receiver<T>) {
    if watched.changed().await.is_err() {
        pending::<()>().await;
    }
}
