//! This process among its peers: who it is, whether it may still act, and whom
//! it takes over from.
//!
//! A replica gives a sign of life every second. While the newest one that the
//! store has confirmed is young enough it holds its lease and may send; when it
//! is not, it sends nothing and comes back under a new name, because others may
//! have taken its logins over by then. From everybody's signs it learns who is
//! gone, and adopts their logins. `poller` and `logins` ask here before they
//! send; who is gone is decided by [`Census`].

mod census;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use tokio::sync::watch;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

pub use census::{Census, Fate, Reading};

use crate::clock::Clock;
use crate::session::{LoginId, TenantId};
use crate::store::{Batch, Incarnation, Record, SessionStore, StoreError};
use crate::telemetry::{Metrics, StoreOperation};

/// From one sign of life to the next.
const BEAT: Duration = Duration::from_secs(1);
/// After one that failed.
const BEAT_AGAIN: Duration = Duration::from_millis(250);
/// How long a confirmed sign of life allows to send, from when it was given.
/// Others wait longer than this before they call anybody dead.
const LEASE: Duration = Duration::from_secs(2);
/// Logins that one step of an adoption looks at.
const ADOPTION_BATCH: usize = 100;

/// The system gives no random bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the system gives no random bytes")]
pub struct NoRandomness;

/// What this process may do with a login of some owner.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// It owns the login and may send.
    Clear,
    /// It owned the login when it last knew; it sends nothing.
    Paused,
    /// The login is somebody else's, a former self's included.
    Foreign,
}

/// A login that has become ours.
#[derive(Clone, Debug)]
pub struct Adopted {
    /// As it is now.
    pub record: Record,
    /// Where from.
    pub origin: Origin,
}

/// Where a login comes from that has become ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// From an owner that is gone.
    Owner(Fate),
    /// It was found to be ours after an answer was lost; maybe long known.
    Found,
}

/// See the module. Cheap to clone; all clones are one.
#[derive(Clone)]
pub struct Replica(Arc<Shared>);

struct Shared {
    store: Arc<dyn SessionStore>,
    clock: Clock,
    metrics: Arc<Metrics>,
    tenants: Vec<TenantId>,
    lease: watch::Sender<Lease>,
    census: Mutex<Census>,
    gone: watch::Sender<BTreeMap<Incarnation, Fate>>,
}

struct Lease {
    incarnation: Incarnation,
    /// When the newest confirmed sign of life was given.
    confirmed: Option<Instant>,
}

impl Lease {
    fn holds(&self) -> bool {
        self.runs_out().is_some_and(|end| Instant::now() < end)
    }

    fn runs_out(&self) -> Option<Instant> {
        self.confirmed.map(|at| at + LEASE)
    }
}

impl Replica {
    /// A process run that has given no sign of life yet. It adopts logins of
    /// `tenants`.
    ///
    /// # Errors
    /// When no name can be made up.
    pub fn new(
        store: Arc<dyn SessionStore>,
        clock: Clock,
        metrics: Arc<Metrics>,
        tenants: Vec<TenantId>,
    ) -> Result<Self, NoRandomness> {
        let lease = Lease { incarnation: new_incarnation()?, confirmed: None };
        Ok(Self(Arc::new(Shared {
            store,
            clock,
            metrics,
            tenants,
            lease: watch::Sender::new(lease),
            census: Mutex::default(),
            gone: watch::Sender::default(),
        })))
    }

    /// Its name; another one after it lost its lease.
    #[must_use]
    pub fn incarnation(&self) -> Incarnation {
        self.0.lease.borrow().incarnation.clone()
    }

    /// Whether nobody can have called it dead.
    #[must_use]
    pub fn may_send(&self) -> bool {
        self.0.lease.borrow().holds()
    }

    /// What it may do with a login of `owner`.
    #[must_use]
    pub fn standing(&self, owner: &Incarnation) -> Standing {
        let lease = self.0.lease.borrow();
        if lease.incarnation != *owner {
            Standing::Foreign
        } else if lease.holds() {
            Standing::Clear
        } else {
            Standing::Paused
        }
    }

    /// Waits until it may send, under whatever name.
    pub async fn comes_back(&self) {
        if self.0.lease.subscribe().wait_for(Lease::holds).await.is_err() {
            // The sender lives as long as this replica.
            std::future::pending::<()>().await;
        }
    }

    /// Gives signs of life until `stop`, and says after each how the store is.
    pub async fn beats(self, known: impl Fn(Result<(), String>) + Send + Sync, stop: CancellationToken) {
        // One that the store may have heard of is tried again.
        let mut successor = None;
        while !stop.is_cancelled() {
            let asked = Instant::now();
            let beaten = self.beat(asked, &mut successor).await;
            let next = asked + if beaten.is_ok() { BEAT } else { BEAT_AGAIN };
            known(beaten.map_err(|error| error.to_string()));
            let _ = stop.run_until_cancelled(tokio::time::sleep_until(next)).await;
        }
    }

    async fn beat(&self, asked: Instant, successor: &mut Option<Incarnation>) -> Result<(), StoreError> {
        let present = self.incarnation();
        if successor.is_none() && self.has_lost_its_lease() {
            *successor = Some(new_incarnation().map_err(|error| StoreError::Unavailable(Box::new(error)))?);
        }
        let name = successor.clone().unwrap_or_else(|| present.clone());
        let beaten = tokio::time::timeout(LEASE, self.0.store.beat(&name, self.0.clock.now())).await;
        let beaten = beaten.unwrap_or_else(|late| Err(StoreError::Unavailable(Box::new(late))));
        let answered = Instant::now();
        let pulse = match beaten {
            Ok(pulse) => pulse,
            Err(error) => {
                self.0.metrics.store_failed(StoreOperation::Beat);
                self.census().missed();
                return Err(error);
            }
        };
        self.0.clock.follow(pulse.time, answered.duration_since(asked));
        if successor.take().is_some() {
            warn!("the store was away for too long; this process goes on under a new name");
            let silent_since = self.0.lease.borrow().runs_out().unwrap_or(answered);
            self.census().give_up(present, silent_since);
        }
        self.0.lease.send_replace(Lease { incarnation: name.clone(), confirmed: Some(asked) });
        let reading = Reading { asked, answered };
        let gone = self.census().heard(&name, &pulse.signs, reading);
        self.0.gone.send_replace(gone);
        Ok(())
    }

    fn has_lost_its_lease(&self) -> bool {
        let lease = self.0.lease.borrow();
        lease.confirmed.is_some() && !lease.holds()
    }

    fn census(&self) -> MutexGuard<'_, Census> {
        // Nothing in there can be left half done.
        self.0.census.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes over the logins of whoever is gone until `stop`, and gives each to
    /// `heir`. A step that has begun is seen through.
    pub async fn adopts(self, heir: impl Fn(Adopted) + Send + Sync, stop: CancellationToken) {
        let mut gone = self.0.gone.subscribe();
        let mut doubtful = BTreeSet::new();
        while stop.run_until_cancelled(gone.changed()).await.is_some_and(|changed| changed.is_ok()) {
            let departed = gone.borrow_and_update().clone();
            for tenant in std::mem::take(&mut doubtful) {
                if let Err(error) = self.find_own(&tenant, &heir).await {
                    warn!(%tenant, %error, "what was taken over cannot be read; trying again");
                    doubtful.insert(tenant);
                }
            }
            for (from, fate) in departed {
                let mut is_through = true;
                for tenant in &self.0.tenants {
                    match self.adopt(tenant, &from, fate, &heir, &stop).await {
                        Ok(all) => is_through &= all,
                        Err(error) => {
                            warn!(%tenant, %error, "logins of a replica that is gone cannot be taken over; trying again");
                            self.0.metrics.store_failed(StoreOperation::Adopt);
                            doubtful.insert(tenant.clone());
                            is_through = false;
                        }
                    }
                }
                if is_through && self.0.store.bury(&from).await.is_ok() {
                    self.census().buried(&from);
                }
            }
        }
    }

    /// Whether `from` has nothing any more: what this replica cannot read stays
    /// with it, for one that can.
    async fn adopt(
        &self,
        tenant: &TenantId,
        from: &Incarnation,
        fate: Fate,
        heir: &(impl Fn(Adopted) + Sync),
        stop: &CancellationToken,
    ) -> Result<bool, StoreError> {
        let mut after: Option<LoginId> = None;
        let mut is_all = true;
        loop {
            if stop.is_cancelled() || !self.may_send() {
                return Ok(false);
            }
            let (to, now) = (self.incarnation(), self.0.clock.now());
            if to == *from {
                return Ok(false);
            }
            let step = self.0.store.adopt(tenant, from, &to, after.as_ref(), ADOPTION_BATCH, now);
            let Batch { records, next, left_behind } = step.await?;
            is_all &= left_behind == 0;
            if !records.is_empty() {
                let said_goodbye = fate == Fate::Left;
                info!(%tenant, logins = records.len(), said_goodbye, "logins of a replica that is gone are taken over");
            }
            records.into_iter().for_each(|record| heir(Adopted { record, origin: Origin::Owner(fate) }));
            match next {
                Some(next) => after = Some(next),
                None => return Ok(is_all),
            }
        }
    }

    async fn find_own(&self, tenant: &TenantId, heir: &(impl Fn(Adopted) + Sync)) -> Result<(), StoreError> {
        let mut after: Option<LoginId> = None;
        loop {
            let own = self.incarnation();
            let (store, now) = (&self.0.store, self.0.clock.now());
            let Batch { records, next, .. } = store.owned(tenant, &own, after.as_ref(), ADOPTION_BATCH, now).await?;
            records.into_iter().for_each(|record| heir(Adopted { record, origin: Origin::Found }));
            match next {
                Some(next) => after = Some(next),
                None => return Ok(()),
            }
        }
    }

    /// Says goodbye: others may take over at once what is still ours, and rely
    /// on what the store holds of it. It must not beat any more.
    ///
    /// # Errors
    /// When the store cannot be told; others find out by themselves.
    pub async fn leave(&self) -> Result<(), StoreError> {
        self.0.store.leave(&self.incarnation()).await
    }
}

fn new_incarnation() -> Result<Incarnation, NoRandomness> {
    let mut bytes = [0_u8; 12];
    getrandom::fill(&mut bytes).map_err(|_| NoRandomness)?;
    Ok(Incarnation(BASE64_URL_SAFE_NO_PAD.encode(bytes)))
}
