//! The way of signals to one tenant's fraud desk: a bounded number of them, each
//! tried again until it is taken or given up.
//!
//! Nobody waits for it. Every signal that does not arrive is counted, with why, and
//! told in the log. What is on its way is in memory alone: what a crash takes along
//! stands in the audit log. How one is posted is [`Post`]'s business.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use backon::{BackoffBuilder, ExponentialBuilder};
use tokio::runtime::Handle;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{error, info, warn};

use super::Kind;
use super::message::Message;
use crate::audit::{Entry, number_hash};
use crate::session::TenantId;
use crate::store::hash::KeyedHash;
use crate::telemetry::{Loss, Metrics};
use crate::timestamp::Timestamp;

/// Signals of one tenant that are on their way, at most. Half of it is kept from
/// those that a caller can bring about without end.
pub(super) const ROOM: usize = 1024;
/// Requests to one desk at once.
const AT_ONCE: usize = 4;
/// How long after the first attempt there may be another one.
pub(super) const LONGEST: Duration = Duration::from_secs(6 * 3600);
/// Attempts beyond the first.
pub(super) const RETRIES: usize = 19;
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(1800);

/// What came of posting a signal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Answer {
    /// The desk has it.
    Taken,
    /// The desk wants no signal any more (410).
    Gone,
    /// Anything else.
    Failed {
        /// In words for an operator, free of what was posted.
        why: String,
        /// How long the desk wants to hear nothing.
        retry_after: Option<Duration>,
    },
}

/// Posts a signal once.
#[async_trait]
pub(super) trait Post: Send + Sync {
    async fn post(&self, message: &Message) -> Answer;
}

/// The fraud desk of one tenant.
pub struct Desk {
    line: Arc<Line>,
    wanted: BTreeSet<Kind>,
    hash: Option<KeyedHash>,
    /// With the number of the message, its id.
    run: String,
    next: AtomicU64,
    is_crowded: AtomicBool,
    room: Arc<Semaphore>,
    tasks: TaskTracker,
    runtime: Handle,
    /// No more attempts at all.
    cut: CancellationToken,
}

/// What all signals to one desk share on their way.
struct Line {
    tenant: TenantId,
    post: Box<dyn Post>,
    turns: Semaphore,
    /// The desk wants to hear nothing until then.
    quiet_until: Mutex<Instant>,
    is_gone: AtomicBool,
    is_failing: AtomicBool,
    /// One more attempt each.
    leaving: CancellationToken,
    metrics: Arc<Metrics>,
}

impl Desk {
    /// The desk of `tenant`, which is told of what is `wanted`. `hash` is what the
    /// audit log hashes the tenant's numbers with; `run` names this process run in
    /// the ids of messages. Must be called within a runtime.
    pub(super) fn new(
        tenant: TenantId,
        post: Box<dyn Post>,
        wanted: BTreeSet<Kind>,
        hash: Option<KeyedHash>,
        run: String,
        metrics: Arc<Metrics>,
    ) -> Self {
        let line = Line {
            tenant,
            post,
            turns: Semaphore::new(AT_ONCE),
            quiet_until: Mutex::new(Instant::now()),
            is_gone: AtomicBool::new(false),
            is_failing: AtomicBool::new(false),
            leaving: CancellationToken::new(),
            metrics,
        };
        Self {
            line: Arc::new(line),
            wanted,
            hash,
            run,
            next: AtomicU64::new(1),
            is_crowded: AtomicBool::new(false),
            room: Arc::new(Semaphore::new(ROOM)),
            tasks: TaskTracker::new(),
            runtime: Handle::current(),
            cut: CancellationToken::new(),
        }
    }

    /// Sends a signal on its way, if this desk wants to hear of it. Never waits.
    pub(super) fn tell(&self, kind: Kind, at: Timestamp, entry: &Entry) {
        if !self.wanted.contains(&kind) {
            return;
        }
        // Also of what finds no room: a number that the desk misses was lost.
        let id = format!("msg_{}-{}", self.run, self.next.fetch_add(1, Ordering::Relaxed));
        if self.line.is_gone.load(Ordering::Relaxed) {
            return self.line.lost(Loss::Gone);
        }
        let Some(room) = self.take_room(kind.is_endless()) else {
            return self.line.lost(Loss::NoRoom);
        };
        let hash = self.hash.as_ref().zip(entry.number.as_ref()).map(|(hash, number)| number_hash(hash, number));
        match Message::new(kind, id, at, entry, hash) {
            Ok(message) => {
                let delivery = deliver(Arc::clone(&self.line), message, room);
                self.tasks.spawn_on(self.cut.clone().run_until_cancelled_owned(delivery), &self.runtime);
            }
            Err(cause) => {
                error!(tenant = %self.line.tenant, %kind, %cause, "a fraud signal cannot be put into words; it is lost");
                self.line.lost(Loss::GivenUp);
            }
        }
    }

    fn take_room(&self, is_endless: bool) -> Option<OwnedSemaphorePermit> {
        let kept = if is_endless { ROOM / 2 } else { 0 };
        let room = Arc::clone(&self.room).try_acquire_owned().ok();
        let room = room.filter(|_| self.room.available_permits() >= kept);
        let was_crowded = self.is_crowded.swap(room.is_none(), Ordering::Relaxed);
        if room.is_none() && !was_crowded {
            warn!(tenant = %self.line.tenant, "there is no room for further fraud signals; those are lost");
        }
        room
    }

    /// Tries once more what is on its way, for that long at most; nothing is sent
    /// afterwards.
    pub(super) async fn leave(&self, patience: Duration) {
        self.line.leaving.cancel();
        self.tasks.close();
        if tokio::time::timeout(patience, self.tasks.wait()).await.is_err() {
            let signals = ROOM - self.room.available_permits();
            self.cut.cancel();
            (0..signals).for_each(|_| self.line.lost(Loss::Stopped));
            warn!(tenant = %self.line.tenant, signals, "the gateway stops before the fraud desk has all signals");
        }
    }
}

/// Holds its room until it is over.
async fn deliver(line: Arc<Line>, message: Message, _room: OwnedSemaphorePermit) {
    if let Err(loss) = line.carry(&message).await {
        line.lost(loss);
        let (tenant, kind, id, reason) = (&line.tenant, message.kind, &message.id, loss.name());
        warn!(%tenant, %kind, webhook.id = id, reason, "a fraud signal does not arrive");
    }
}

impl Line {
    async fn carry(&self, message: &Message) -> Result<(), Loss> {
        let (began, mut pauses) = (Instant::now(), pauses());
        loop {
            let is_last = self.leaving.is_cancelled();
            let retry_after = match self.attempt(message).await {
                Answer::Taken => {
                    self.works();
                    return Ok(());
                }
                Answer::Gone => {
                    self.closes();
                    return Err(Loss::Gone);
                }
                Answer::Failed { why, retry_after } => {
                    self.fails(&why);
                    retry_after
                }
            };
            if is_last {
                return Err(Loss::Stopped);
            }
            if let Some(retry_after) = retry_after {
                self.is_quiet_for(retry_after);
            }
            let is_timely = |pause: &Duration| began.elapsed() + *pause <= LONGEST;
            let Some(pause) = pauses.next().filter(is_timely) else { return Err(Loss::GivenUp) };
            self.leaving.run_until_cancelled(tokio::time::sleep(pause)).await;
        }
    }

    async fn attempt(&self, message: &Message) -> Answer {
        // Never closed.
        let _turn = self.turns.acquire().await;
        let quiet_until = *self.quiet_until.lock().unwrap_or_else(PoisonError::into_inner);
        self.leaving.run_until_cancelled(tokio::time::sleep_until(quiet_until)).await;
        if self.is_gone.load(Ordering::Relaxed) {
            return Answer::Gone;
        }
        let answer = self.post.post(message).await;
        self.metrics.fraud().posted(&self.tenant, answer == Answer::Taken);
        answer
    }

    fn is_quiet_for(&self, retry_after: Duration) {
        let mut quiet_until = self.quiet_until.lock().unwrap_or_else(PoisonError::into_inner);
        *quiet_until = (*quiet_until).max(Instant::now() + retry_after);
    }

    fn works(&self) {
        if self.is_failing.swap(false, Ordering::Relaxed) {
            info!(tenant = %self.tenant, "the fraud desk takes signals again");
        }
    }

    fn fails(&self, why: &str) {
        if !self.is_failing.swap(true, Ordering::Relaxed) {
            warn!(tenant = %self.tenant, why, "the fraud desk does not take a signal; trying again");
        }
    }

    fn closes(&self) {
        if !self.is_gone.swap(true, Ordering::Relaxed) {
            error!(tenant = %self.tenant, "the fraud desk wants no signals any more (410); none is sent until a restart");
        }
    }

    fn lost(&self, loss: Loss) {
        self.metrics.fraud().lost(&self.tenant, loss);
    }
}

/// Twice as long each time and up to twice that, so that many do not come at once.
fn pauses() -> impl Iterator<Item = Duration> {
    let builder = ExponentialBuilder::default().with_min_delay(FIRST_PAUSE).with_max_delay(LONGEST_PAUSE);
    builder.with_factor(2.0).with_max_times(RETRIES).with_jitter().build()
}
