//! Polls the logins that this process owns, each in a task of its own.
//!
//! A task follows one login from `Pending` to its end: it waits for the time
//! that `ciba::Schedule` allows, asks the provider once, lets the answer happen
//! to the login, and has the person identified. By construction two requests
//! for one `auth_req_id` are never in flight. It stops when the login ends by
//! other means, or when it becomes another replica's. Called by `logins` with
//! each login that the provider accepted, and with each one that is adopted.
//! `replicas` says whether anything may be sent.

mod pings;
mod rescue;
mod roster;
mod tending;

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::sync::{Semaphore, watch};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{Instrument, info_span, warn};

use pings::Pings;
use roster::Roster;
pub use roster::Turn;
use tending::Tending;

use crate::audit::{Entry, What};
use crate::ciba::{DEFAULT_INTERVAL, PollAnswer};
use crate::ledger::Ledger;
use crate::provider::Provider;
use crate::replicas::{Adopted, Fate, Origin, Replica};
use crate::session::{LoginId, Pending, TenantId};
use crate::store::Record;
use crate::timestamp::Timestamp;

/// How long a credential that the provider refused is left alone.
const CREDENTIAL_BRAKE: Duration = Duration::from_secs(60);
/// Schedules that are written at once when the process stops.
const PARTING_WRITES: usize = 16;

/// A provider and what the poller knows about its credential.
pub struct Credential {
    provider: Arc<dyn Provider>,
    brake: watch::Sender<Brake>,
}

/// Whether a credential may be tried. Tells when it has become another one.
#[derive(Clone, Copy, Default)]
struct Brake {
    /// Nothing is polled before.
    until: Timestamp,
    /// How often the credential has become another one.
    renewals: u64,
}

impl Credential {
    /// A credential that has not been refused.
    #[must_use]
    pub fn new(provider: Arc<dyn Provider>) -> Self {
        Self { provider, brake: watch::Sender::default() }
    }

    /// The provider it is for.
    #[must_use]
    pub fn provider(&self) -> &dyn Provider {
        self.provider.as_ref()
    }

    /// What the provider may have refused is another one now: logins that wait because
    /// of that are polled as soon as their interval allows.
    pub fn renewed(&self) {
        self.brake.send_modify(|brake| *brake = Brake { until: Timestamp::default(), renewals: brake.renewals + 1 });
    }

    /// Polls once, for one interval at the most, or the usual one where a
    /// provider wants to be asked more often: whoever takes a login over may rely
    /// on it that nothing older is in flight.
    async fn poll(&self, pending: &Pending, interval: Duration, now: Timestamp) -> PollAnswer {
        let Brake { until, renewals } = *self.brake.borrow();
        if now < until {
            return PollAnswer::CredentialsRefused;
        }
        let polled =
            tokio::time::timeout(interval.max(DEFAULT_INTERVAL), self.provider.poll(&pending.auth_req_id)).await;
        let answer = polled.unwrap_or(PollAnswer::Trouble { retry_after: None });
        if answer == PollAnswer::CredentialsRefused {
            warn!("the provider refuses the credential; polling with it pauses");
            self.brake.send_if_modified(|brake| {
                // What was refused may be another one by now.
                if brake.renewals == renewals {
                    brake.until = now.plus(CREDENTIAL_BRAKE);
                }
                false
            });
        }
        answer
    }
}

/// Owns and polls logins. Cheap to clone.
#[derive(Clone)]
pub struct Poller {
    ledger: Ledger,
    replica: Replica,
    tenants: Arc<HashMap<TenantId, Followed>>,
    roster: Roster,
    pings: Pings,
    tasks: TaskTracker,
    stop: CancellationToken,
    parting: Arc<Parting>,
    jitter: fn() -> f64,
}

/// What there is for one tenant.
struct Followed {
    credential: Arc<Credential>,
    /// Counts the tasks that follow its logins.
    tasks: TaskTracker,
}

/// What the tasks do when the process stops.
struct Parting {
    writes: Semaphore,
    /// A schedule could not be written.
    is_incomplete: AtomicBool,
}

impl Poller {
    /// A poller without logins, for the tenants that `credentials` names.
    #[must_use]
    pub fn new(
        ledger: Ledger,
        replica: Replica,
        credentials: impl IntoIterator<Item = (TenantId, Arc<Credential>)>,
    ) -> Self {
        Self {
            ledger,
            replica,
            tenants: Arc::new(
                credentials.into_iter().map(|(tenant, credential)| (tenant, followed(credential))).collect(),
            ),
            roster: Roster::default(),
            pings: Pings::default(),
            tasks: TaskTracker::new(),
            stop: CancellationToken::new(),
            parting: Arc::new(Parting {
                writes: Semaphore::new(PARTING_WRITES),
                is_incomplete: AtomicBool::new(false),
            }),
            jitter: random_jitter,
        }
    }

    /// Spreads back-offs by what `jitter` gives, 0.0 to 1.0, and not at random.
    #[must_use]
    pub fn with_jitter(self, jitter: fn() -> f64) -> Self {
        Self { jitter, ..self }
    }

    /// The process that it polls for.
    #[must_use]
    pub const fn replica(&self) -> &Replica {
        &self.replica
    }

    /// Keeps everybody else in this process from tending the login until the
    /// turn is dropped; for a start.
    #[must_use]
    pub fn turn(&self, tenant: &TenantId, login: &LoginId) -> Turn {
        self.roster.next(tenant, login)
    }

    /// Follows this login until it ends, after whoever tends it now.
    pub fn own(&self, record: &Arc<Record>) {
        self.tend(record, Begin::Own);
    }

    /// Follows a login that was somebody else's. Unless that one has written its
    /// schedule down nothing is sent before an interval has passed since it can
    /// have sent something.
    pub fn adopt(&self, adopted: Adopted) {
        let Adopted { record, origin } = adopted;
        let session = &record.session;
        let is_known = origin == Origin::Found && self.roster.has(&session.terms.tenant, &session.id);
        if !session.has_ended() && !is_known {
            let what = What::TakenOver { because: because(origin) };
            self.ledger.audit().note(Entry::of(&session.id, &session.terms, what));
            self.tend(&Arc::new(record), Begin::Adopted(origin));
        }
    }

    fn tend(&self, record: &Arc<Record>, begin: Begin) {
        self.ledger.remember(record);
        let session = &record.session;
        let tenant = &session.terms.tenant;
        let Some(followed) = self.tenants.get(tenant) else {
            warn!(%tenant, "a login of a tenant without a credential is not polled");
            return;
        };
        let span = info_span!(parent: None, "poll", login.id = %session.id, %tenant);
        // First, so that nobody goes on because of what he hears now.
        let turn = self.roster.next(tenant, &session.id);
        let task = Tending {
            ledger: self.ledger.clone(),
            replica: self.replica.clone(),
            credential: Arc::clone(&followed.credential),
            subscription: self.ledger.subscribe_after(record),
            record: Arc::clone(record),
            schedule: None,
            due: None,
            brake: followed.credential.brake.subscribe(),
            turn,
            pings: self.pings.clone(),
            ear: None,
            stop: self.stop.clone(),
            parting: Arc::clone(&self.parting),
            jitter: self.jitter,
        };
        let run = async move {
            match begin {
                Begin::Own => task.run().await,
                Begin::Adopted(origin) => task.run_adopted(silent_since(origin)).await,
                Begin::Rescued { .. } => task.run_rescued().await,
            }
        };
        let run = self.clone().rescuing(run, Arc::clone(record), begin);
        self.tasks.spawn(followed.tasks.track_future(run).instrument(span));
    }

    /// How many logins are followed.
    #[must_use]
    pub fn owned(&self) -> usize {
        self.tasks.len()
    }

    /// How many logins of that tenant are followed.
    #[must_use]
    pub fn owned_by(&self, tenant: &TenantId) -> usize {
        self.tenants.get(tenant).map_or(0, |followed| followed.tasks.len())
    }

    /// Sends no further request; one in flight is seen through. Logins stay in
    /// the store, each with the time of its next poll. Returns whether that
    /// could be written for all of them.
    pub async fn stop(&self) -> bool {
        self.stop.cancel();
        self.tasks.close();
        self.tasks.wait().await;
        !self.parting.is_incomplete.load(Ordering::Relaxed)
    }
}

fn followed(credential: Arc<Credential>) -> Followed {
    Followed { credential, tasks: TaskTracker::new() }
}

/// How a login came to be followed here.
#[derive(Clone, Copy)]
enum Begin {
    /// It was started here.
    Own,
    /// It was somebody else's.
    Adopted(Origin),
    /// The task that followed it panicked, so many times by now.
    Rescued { panics: u32 },
}

/// When whoever had the login can have sent something last; `None` when it has
/// written down when to send next.
fn silent_since(origin: Origin) -> Option<Instant> {
    match origin {
        Origin::Owner(Fate::Left) => None,
        Origin::Owner(Fate::Dead { silent_since }) => Some(silent_since),
        Origin::Found => Some(Instant::now()),
    }
}

const fn because(origin: Origin) -> &'static str {
    match origin {
        Origin::Owner(Fate::Left) => "left",
        Origin::Owner(Fate::Dead { .. }) => "dead",
        Origin::Found => "found",
    }
}

/// Without a random source no jitter is no harm.
fn random_jitter() -> f64 {
    let mut byte = [0_u8; 1];
    let _ = getrandom::fill(&mut byte);
    f64::from(byte[0]) / 255.0
}
