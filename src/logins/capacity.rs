//! How much this process takes on at once.
//!
//! Nothing waits here: what finds no place is refused, so that a caller comes
//! back later and no queue grows. Starts are what is refused first; whoever has
//! a login already goes on with it. Each tenant has places for starts that no
//! other can take. Counts what this process does; what is started in a minute,
//! over all replicas, is the store's to count.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::{Caller, Error};
use crate::session::{AgentId, ClientId, TenantId};

/// Starts that are refused come back after about as long as one takes.
const STARTS_RETRY: Duration = Duration::from_secs(1);
const CALLS_RETRY: Duration = Duration::from_secs(1);
/// Logins and streams go away within minutes, not within seconds.
const SLOW_RETRY: Duration = Duration::from_secs(10);

/// How much one process takes on at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Starts under way, of all tenants. Half of them are dealt out, so that each
    /// tenant has some that are its own, one at least; the others are for whoever
    /// comes.
    pub starts: u32,
    /// Logins of one tenant that this process polls.
    pub live_logins_per_tenant: u32,
    /// Calls under way, but for streams and waits.
    pub calls: u32,
    /// Streams and waits for one agent of a client.
    pub watches_per_agent: u32,
    /// Streams and waits of one client.
    pub watches_per_client: u32,
    /// Streams and waits of one tenant.
    pub watches_per_tenant: u32,
}

/// What there is too much of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Load {
    /// Starts under way.
    Starts,
    /// Logins of the tenant that have not ended.
    LiveLogins,
    /// Calls under way.
    Calls,
    /// Streams and waits of the agent.
    AgentWatches,
    /// Streams and waits of the client.
    ClientWatches,
    /// Streams and waits of the tenant.
    TenantWatches,
    /// Codes of landings.
    Landings,
}

impl Load {
    /// The stable word for it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Starts => "starts",
            Self::LiveLogins => "live-logins",
            Self::Calls => "calls",
            Self::AgentWatches => "agent-watches",
            Self::ClientWatches => "client-watches",
            Self::TenantWatches => "tenant-watches",
            Self::Landings => "landings",
        }
    }

    /// When it is likely to be less.
    #[must_use]
    pub const fn retry_after(self) -> Duration {
        match self {
            Self::Starts => STARTS_RETRY,
            Self::Calls | Self::Landings => CALLS_RETRY,
            Self::LiveLogins | Self::AgentWatches | Self::ClientWatches | Self::TenantWatches => SLOW_RETRY,
        }
    }
}

/// The places there are, and who has them.
pub(super) struct Capacity {
    limits: Limits,
    starts: HashMap<TenantId, Arc<Semaphore>>,
    any_starts: Arc<Semaphore>,
    calls: Arc<Semaphore>,
    watches: Arc<Watches>,
}

impl Capacity {
    /// Nothing is taken yet. `tenants`: who may start logins.
    pub(super) fn new<'t>(limits: Limits, tenants: impl ExactSizeIterator<Item = &'t TenantId>) -> Self {
        let all = places(limits.starts);
        let own = (all / 2).checked_div(tenants.len()).unwrap_or_default().max(1);
        let any = all.saturating_sub(own * tenants.len());
        Self {
            limits,
            starts: tenants.map(|tenant| (tenant.clone(), Arc::new(Semaphore::new(own)))).collect(),
            any_starts: Arc::new(Semaphore::new(any)),
            calls: Arc::new(Semaphore::new(places(limits.calls))),
            watches: Arc::default(),
        }
    }

    /// A place for a start of the tenant, which polls `live` logins here.
    pub(super) fn start(&self, tenant: &TenantId, live: usize) -> Result<Place, Error> {
        if live >= places(self.limits.live_logins_per_tenant) {
            return Err(Error::Overloaded(Load::LiveLogins));
        }
        let own = self.starts.get(tenant).map(|own| Arc::clone(own).try_acquire_owned());
        let place = match own {
            Some(Ok(place)) => Ok(place),
            Some(Err(_)) | None => Arc::clone(&self.any_starts).try_acquire_owned(),
        };
        place.map(|place| Place { _place: place }).map_err(|_| Error::Overloaded(Load::Starts))
    }

    /// A place for a call that answers at once.
    pub(super) fn call(&self) -> Result<Place, Error> {
        let place = Arc::clone(&self.calls).try_acquire_owned();
        place.map(|place| Place { _place: place }).map_err(|_| Error::Overloaded(Load::Calls))
    }

    /// A place for a stream or a wait.
    pub(super) fn watch(&self, caller: &Caller) -> Result<Watching, Error> {
        let Limits { watches_per_agent, watches_per_client, watches_per_tenant, .. } = self.limits;
        let tenant = Watcher { tenant: caller.tenant.clone(), client: None, agent: None };
        let client = Watcher { client: Some(caller.client.clone()), ..tenant.clone() };
        let agent = caller.agent.is_some().then(|| Watcher { agent: caller.agent_id().cloned(), ..client.clone() });
        let mut places =
            vec![(tenant, watches_per_tenant, Load::TenantWatches), (client, watches_per_client, Load::ClientWatches)];
        places.extend(agent.map(|agent| (agent, watches_per_agent, Load::AgentWatches)));
        let mut counts = self.watches.lock();
        let is_full = |(who, limit, _): &&(Watcher, u32, Load)| counts.get(who).is_some_and(|count| count >= limit);
        if let Some((_, _, load)) = places.iter().find(is_full) {
            return Err(Error::Overloaded(*load));
        }
        for (who, _, _) in &places {
            *counts.entry(who.clone()).or_default() += 1;
        }
        let watchers = places.into_iter().map(|(who, _, _)| who).collect();
        Ok(Watching { watches: Arc::clone(&self.watches), watchers })
    }
}

fn places(limit: u32) -> usize {
    usize::try_from(limit).unwrap_or(usize::MAX).min(Semaphore::MAX_PERMITS)
}

/// A place that is free again when this is dropped.
pub(super) struct Place {
    _place: OwnedSemaphorePermit,
}

/// Whose streams and waits are counted together.
#[derive(Clone, PartialEq, Eq, Hash)]
struct Watcher {
    tenant: TenantId,
    client: Option<ClientId>,
    agent: Option<AgentId>,
}

#[derive(Default)]
struct Watches(Mutex<HashMap<Watcher, u32>>);

impl Watches {
    fn lock(&self) -> MutexGuard<'_, HashMap<Watcher, u32>> {
        // Nothing in there can be left half done.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A stream or a wait; it counts until this is dropped.
pub(super) struct Watching {
    watches: Arc<Watches>,
    watchers: Vec<Watcher>,
}

impl fmt::Debug for Watching {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Watching")
    }
}

impl Drop for Watching {
    fn drop(&mut self) {
        let mut counts = self.watches.lock();
        for who in &self.watchers {
            if let Some(count) = counts.get_mut(who) {
                *count -= 1;
                if *count == 0 {
                    counts.remove(who);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests;
