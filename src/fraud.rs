//! Fraud signals: which of the things that happen look like fraud, as metrics and,
//! where a tenant wants it, as a signed webhook to its fraud desk.
//!
//! Hears of every entry of the audit log, so that nothing is told in one and not in
//! the other; [`Kind::of`] says what is a signal. It decides nothing about logins
//! and slows none of them down. Put together by `gateway`; `docs/fraud-signals.md`
//! is what a fraud desk reads.

mod desk;
mod message;
mod signal;
#[cfg(test)]
mod tests;
mod webhook;

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use futures_util::future::join_all;

pub use desk::Desk;
pub use message::Secret;
pub use signal::Kind;
use signal::limit;
pub use webhook::{InvalidSettings, Settings, Webhook};

use crate::audit::{Entry, Listener};
use crate::clock::Clock;
use crate::session::TenantId;
use crate::store::hash::KeyedHash;
use crate::telemetry::Metrics;

/// The system gives no random bytes.
#[derive(Debug, thiserror::Error)]
#[error("the system gives no random bytes to name fraud signals with")]
pub struct NoRandomness;

/// Counts signals, and tells the fraud desks that there are.
pub struct Signals {
    desks: HashMap<TenantId, Desk>,
    run: String,
    clock: Clock,
    metrics: Arc<Metrics>,
}

impl Signals {
    /// Without a desk yet.
    ///
    /// # Errors
    /// When the system gives no random bytes.
    pub fn new(clock: Clock, metrics: Arc<Metrics>) -> Result<Self, NoRandomness> {
        let mut name = [0_u8; 12];
        getrandom::fill(&mut name).map_err(|_| NoRandomness)?;
        Ok(Self { desks: HashMap::new(), run: BASE64_URL_SAFE_NO_PAD.encode(name), clock, metrics })
    }

    /// Has a tenant's desk told of what it wants, within a runtime. `hash` is what
    /// the audit log hashes the tenant's numbers with, where there is one.
    pub fn tell(&mut self, tenant: &TenantId, webhook: Webhook, wanted: BTreeSet<Kind>, hash: Option<KeyedHash>) {
        let (run, metrics) = (self.run.clone(), Arc::clone(&self.metrics));
        let desk = Desk::new(tenant.clone(), Box::new(webhook), wanted, hash, run, metrics);
        self.desks.insert(tenant.clone(), desk);
    }

    /// Tries once more what is on its way, for that long at most; nothing is sent
    /// afterwards.
    pub async fn leave(&self, patience: Duration) {
        join_all(self.desks.values().map(|desk| desk.leave(patience))).await;
    }
}

impl Listener for Signals {
    fn hear(&self, entry: &Entry) {
        let Some(kind) = Kind::of(&entry.what) else { return };
        self.metrics.fraud().signalled(&entry.tenant, kind, limit(&entry.what));
        if let Some(desk) = self.desks.get(&entry.tenant) {
            desk.tell(kind, self.clock.now(), entry);
        }
    }
}
