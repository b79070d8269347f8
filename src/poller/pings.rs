//! Which login is polled because of which ping.
//!
//! The provider's webhook may reach any replica; the login is polled by one. Here each
//! replica keeps the marks of the requests that it polls for, and by them alone a ping
//! finds its login: logins that are not polled have none. What a ping may do is
//! `ciba::Schedule`'s to say.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::{Notify, broadcast};
use tracing::debug;

use super::Poller;
use crate::ciba::AuthReqId;
use crate::store::{Ping, StoreError};

/// Who waits for which ping. Cheap to clone; all clones are one.
#[derive(Clone, Default)]
pub(super) struct Pings(Arc<Mutex<HashMap<String, Arc<Notify>>>>);

/// Hears the pings of one request until it is dropped.
pub(super) struct Ear {
    pings: Pings,
    ping: Ping,
    heard: Arc<Notify>,
}

impl Pings {
    /// Listens for this ping.
    pub(super) fn listen(&self, ping: Ping) -> Ear {
        let heard = Arc::<Notify>::default();
        let mut all = self.lock();
        for mark in ping.marks() {
            all.insert(mark.to_owned(), Arc::clone(&heard));
        }
        drop(all);
        Ear { pings: self.clone(), ping, heard }
    }

    /// Whether somebody here polls for that request; he is told.
    fn ring(&self, ping: &Ping) -> bool {
        let all = self.lock();
        let heard = ping.marks().find_map(|mark| all.get(mark));
        if let Some(heard) = heard {
            heard.notify_one();
        }
        heard.is_some()
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Arc<Notify>>> {
        // Nothing in there can be left half done.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Ear {
    /// Waits for a ping; one that came while nobody waited counts, and several are one.
    pub(super) async fn pinged(&self) {
        self.heard.notified().await;
    }
}

impl Drop for Ear {
    fn drop(&mut self) {
        let mut all = self.pings.lock();
        for mark in self.ping.marks() {
            // Whoever tends the login next may listen already.
            if all.get(mark).is_some_and(|heard| Arc::ptr_eq(heard, &self.heard)) {
                all.remove(mark);
            }
        }
    }
}

impl Poller {
    /// The provider has news of that request: whoever polls for it, here or on another
    /// replica, asks now, if the schedule allows. Of a request that nobody polls for
    /// nothing comes.
    ///
    /// # Errors
    /// When the other replicas cannot be told.
    pub async fn pinged(&self, request: &AuthReqId) -> Result<(), StoreError> {
        let ping = self.ledger.ping_of(request);
        if self.pings.ring(&ping) { Ok(()) } else { self.ledger.pass_on(&ping).await }
    }

    /// Hears what other replicas were told, for ever.
    pub async fn hear_pings(self) {
        let mut pings = self.ledger.pings();
        loop {
            match pings.recv().await {
                Ok(ping) => {
                    self.pings.ring(&ping);
                }
                // Polling finds what was not heard.
                Err(broadcast::error::RecvError::Lagged(missed)) => debug!(missed, "pings were missed"),
                Err(broadcast::error::RecvError::Closed) => return std::future::pending().await,
            }
        }
    }
}
