//! The audit log: who had whose phone asked, why, when, and what came of it, as
//! JSON lines in one keyed chain for each process run.
//!
//! [`Audit::note`] takes an [`Entry`] and never waits; a thread of its own seals
//! and writes. Each line holds a number and the seal of the line before it, so
//! that [`verify`] finds a line that was changed, taken out, moved or put in. A
//! number of a phone is written masked and as a keyed hash; no type here takes a
//! clear one, a code, a token or a name of a person.
//!
//! It keeps nothing for ever: rotation and retention are the operator's. It decides
//! nothing either: whoever starts logins asks [`Audit::refuses_starts`]. Whoever
//! must hear of what happens at once hears of the same entries: [`Audit::heard_by`].
//! Called by `logins`, `poller` and `ledger`; `docs/audit.md` describes the lines.

mod chain;
mod entry;
mod output;
#[cfg(test)]
mod tests;
pub mod verify;
mod writer;

use std::collections::VecDeque;
use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use tokio::sync::watch;
use tracing::warn;
use zeroize::Zeroizing;

use chain::Chain;
pub(crate) use entry::Subject;
pub use entry::{By, Entry, Hands, What};
use output::{FileOutput, Output, StandardOutput};
use writer::{Item, Writer};

use crate::clock::Clock;
use crate::phone::PhoneNumber;
use crate::session::{FailureReason, LoginId, Outcome, Terms};
use crate::store::hash::KeyedHash;
use crate::telemetry::Metrics;
use crate::timestamp::Timestamp;

/// Records that wait to be written, at most: a minute of a busy gateway whose
/// disk is full. Half of it is kept for what logins that live already bring.
const CAPACITY: usize = 65_536;
/// How often a run says that it goes on, and how far it has come.
const HEARTBEAT: Duration = Duration::from_secs(60);
/// How long the first record of a batch waits for others: a disk that confirms many
/// at once costs a fraction. Nobody waits for a record.
const GATHERING: Duration = Duration::from_millis(10);
/// How soon an output that failed is tried again.
const RETRY: Duration = Duration::from_millis(500);

/// Where the lines go and what they are sealed with.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The file that is appended to; made when it is not there.
    pub file: Option<PathBuf>,
    /// Whether the lines also go to standard output.
    pub stdout: bool,
    /// Seals the lines and hashes the numbers in them.
    pub key: Zeroizing<[u8; 32]>,
    /// Whether no login is started while the lines cannot be written.
    pub refuse_starts: bool,
}

/// Why there can be no audit log.
#[derive(Debug, thiserror::Error)]
pub enum SetupError {
    /// The system gives no random bytes.
    #[error("the system gives no random bytes to name the run with")]
    Randomness,
    /// The system gives no thread.
    #[error("the system gives no thread to write the audit log with")]
    Thread(#[source] io::Error),
}

/// The audit log, or none. Cheap to clone; all clones are one. When the last one
/// is dropped without [`Audit::close`], what was noted is still written, but the
/// run is left open, as by a crash.
#[derive(Clone, Default)]
pub struct Audit {
    log: Option<Arc<Handle>>,
    listener: Option<Arc<dyn Listener>>,
}

/// Hears of everything that is noted, whether or not it is written too.
pub trait Listener: Send + Sync {
    /// That was noted. Must not wait.
    fn hear(&self, entry: &Entry);
}

struct Handle {
    shared: Arc<Shared>,
    run: String,
    refuse_starts: bool,
}

/// What the handles and the writer share.
struct Shared {
    queue: Mutex<Queue>,
    changed: Condvar,
    capacity: usize,
    condition: watch::Sender<Condition>,
    clock: Clock,
    metrics: Arc<Metrics>,
}

struct Queue {
    items: VecDeque<Item>,
    /// Entries that found no room since the last one that did.
    lost: u64,
    ending: Ending,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ending {
    /// More may come.
    No,
    /// Nobody is left who could say that it is over.
    Abandoned,
    /// It was said to be over.
    Orderly,
}

/// How the writing goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Condition {
    /// The last line was written.
    Good,
    /// It was not; it is tried again.
    Failing,
    /// Nothing more is written.
    Over {
        /// Whether all that was noted was written.
        is_complete: bool,
    },
}

/// Measures that only tests change.
struct Measures {
    capacity: usize,
    heartbeat: Duration,
    retry: Duration,
}

impl Default for Measures {
    fn default() -> Self {
        Self { capacity: CAPACITY, heartbeat: HEARTBEAT, retry: RETRY }
    }
}

impl Audit {
    /// No audit log: what is noted goes nowhere.
    #[must_use]
    pub fn off() -> Self {
        Self::default()
    }

    /// Begins a run: writes its first line, or tries to, before it returns. An
    /// output that cannot be written is no error: it is tried again for ever.
    ///
    /// # Errors
    /// When the system lacks what every run needs.
    pub fn begin(settings: &Settings, clock: Clock, metrics: Arc<Metrics>) -> Result<Self, SetupError> {
        let mut outputs: Vec<Box<dyn Output>> = Vec::new();
        if let Some(file) = &settings.file {
            outputs.push(Box::new(FileOutput::new(file.clone())));
        }
        if settings.stdout {
            outputs.push(Box::new(StandardOutput));
        }
        Self::begin_with(settings, outputs, clock, metrics, &Measures::default())
    }

    fn begin_with(
        settings: &Settings,
        outputs: Vec<Box<dyn Output>>,
        clock: Clock,
        metrics: Arc<Metrics>,
        measures: &Measures,
    ) -> Result<Self, SetupError> {
        let mut name = [0_u8; 12];
        getrandom::fill(&mut name).map_err(|_| SetupError::Randomness)?;
        let run = BASE64_URL_SAFE_NO_PAD.encode(name);
        let shared = Arc::new(Shared {
            queue: Mutex::new(Queue { items: VecDeque::new(), lost: 0, ending: Ending::No }),
            changed: Condvar::new(),
            capacity: measures.capacity,
            condition: watch::Sender::new(Condition::Good),
            clock,
            metrics,
        });
        let chain = Chain::begin(settings.key.clone(), run.clone());
        let mut writer = Writer::new(Arc::clone(&shared), chain, &settings.key, outputs, measures);
        writer.begin();
        let thread = std::thread::Builder::new().name("audit".to_owned()).spawn(move || writer.run());
        thread.map_err(SetupError::Thread)?;
        let handle = Handle { shared, run, refuse_starts: settings.refuse_starts };
        Ok(Self { log: Some(Arc::new(handle)), listener: None })
    }

    /// The same, and `listener` hears of all that is noted.
    #[must_use]
    pub fn heard_by(self, listener: Arc<dyn Listener>) -> Self {
        Self { listener: Some(listener), ..self }
    }

    /// The name of this run, which each of its lines carries.
    #[must_use]
    pub fn run(&self) -> Option<&str> {
        self.log.as_ref().map(|handle| handle.run.as_str())
    }

    /// Notes what has just happened. Never waits. Where there is no room left the
    /// entry is lost, and the next one that finds room comes after a line that
    /// says how many were.
    pub fn note(&self, entry: Entry) {
        self.tell(&entry);
        if let Some(handle) = &self.log {
            handle.shared.push(Box::new(entry), handle.shared.capacity);
        }
    }

    /// As [`Audit::note`], for what must not take the room that is kept for logins
    /// that live: half of it all.
    pub fn note_if_roomy(&self, entry: Entry) {
        self.tell(&entry);
        if let Some(handle) = &self.log {
            handle.shared.push(Box::new(entry), handle.shared.capacity / 2);
        }
    }

    fn tell(&self, entry: &Entry) {
        if let Some(listener) = &self.listener {
            listener.hear(entry);
        }
    }

    /// Notes that a login has ended, and before it that no code came, where that
    /// is why. `denials`: how often the person has now said no of late, where they
    /// just have.
    pub fn note_end(&self, login: &LoginId, terms: &Terms, outcome: &Outcome, denials: u32) {
        let reason = match outcome {
            Outcome::Failed(reason) => Some(*reason),
            Outcome::Approved { .. } | Outcome::Denied | Outcome::Expired | Outcome::Cancelled => None,
        };
        if matches!(reason, Some(FailureReason::CodeMismatch | FailureReason::CodeNotConfirmed)) {
            self.note(Entry::of(login, terms, What::CodeGivenUp));
        }
        self.note(Entry::of(login, terms, What::Ended { outcome: outcome.name(), reason, denials }));
    }

    /// Whether what is noted now is going to be written soon.
    #[must_use]
    pub fn is_healthy(&self) -> bool {
        self.log.as_ref().is_none_or(|handle| handle.shared.is_healthy())
    }

    /// Whether no login may be started now, because nobody could tell later that
    /// it was.
    #[must_use]
    pub fn refuses_starts(&self) -> bool {
        self.log.as_ref().is_some_and(|handle| handle.refuse_starts) && !self.is_healthy()
    }

    /// Ends the run in good order: writes what was noted and a line that says that
    /// nothing follows. Returns whether that could be written; waits as long as an
    /// output takes, so whoever calls sets a limit.
    pub async fn close(&self) -> bool {
        let Some(handle) = &self.log else { return true };
        let mut condition = handle.shared.condition.subscribe();
        handle.shared.end(Ending::Orderly);
        let over = condition.wait_for(|condition| matches!(condition, Condition::Over { .. })).await;
        over.is_ok_and(|condition| *condition == Condition::Over { is_complete: true })
    }
}

/// The hash by which lines are found that speak of the same number; `hash` is the
/// tenant's, made of the audit key.
pub(crate) fn number_hash(hash: &KeyedHash, number: &PhoneNumber) -> String {
    hash.digest("audit number", &[number.msisdn().as_bytes()])
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.shared.end(Ending::Abandoned);
    }
}

impl Shared {
    fn queue(&self) -> MutexGuard<'_, Queue> {
        // Nothing in there can be left half done.
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn push(&self, entry: Box<Entry>, limit: usize) {
        let at = self.clock.now();
        let mut queue = self.queue();
        let needed = if queue.lost > 0 { 2 } else { 1 };
        if queue.ending != Ending::No || queue.items.len() + needed > limit {
            queue.lost += 1;
            drop(queue);
            self.metrics.audit_lost();
            return;
        }
        // Whoever writes waits for the first only.
        let is_first = queue.items.is_empty();
        queue.tell_losses(at);
        queue.items.push_back(Item::Entry(at, entry));
        drop(queue);
        if is_first {
            self.changed.notify_all();
        }
    }

    fn is_healthy(&self) -> bool {
        *self.condition.borrow() == Condition::Good && self.queue().items.len() <= self.capacity / 2
    }

    /// The first end counts.
    fn end(&self, ending: Ending) {
        let mut queue = self.queue();
        if queue.ending == Ending::No {
            queue.ending = ending;
        }
        drop(queue);
        self.changed.notify_all();
    }

    /// The next items, `size` at most, oldest first, and whether more may come.
    /// Waits for the first one, but not longer than `patience` nor than the end, and
    /// then a little for others.
    fn take(&self, size: usize, patience: Duration) -> (Vec<Item>, Ending) {
        let is_quiet = |queue: &mut Queue| queue.items.is_empty() && queue.lost == 0 && queue.ending == Ending::No;
        let mut queue = self.wait_while(patience, is_quiet);
        if !queue.items.is_empty() && queue.items.len() < size && queue.ending == Ending::No {
            drop(queue);
            self.pause(GATHERING);
            queue = self.queue();
        }
        if queue.items.is_empty() {
            queue.tell_losses(self.clock.now());
        }
        let size = size.min(queue.items.len());
        (queue.items.drain(..size).collect(), queue.ending)
    }

    /// Waits that long, or until the end; returns whether it is there.
    fn pause(&self, patience: Duration) -> bool {
        self.wait_while(patience, |queue| queue.ending == Ending::No).ending != Ending::No
    }

    fn wait_while(&self, patience: Duration, condition: impl FnMut(&mut Queue) -> bool) -> MutexGuard<'_, Queue> {
        let waited = self.changed.wait_timeout_while(self.queue(), patience, condition);
        waited.unwrap_or_else(PoisonError::into_inner).0
    }

    fn becomes(&self, condition: Condition) -> Condition {
        self.metrics.set_audit_failing(condition == Condition::Failing);
        self.condition.send_replace(condition)
    }
}

impl Queue {
    fn tell_losses(&mut self, at: Timestamp) {
        if self.lost > 0 {
            warn!(records = self.lost, "the audit log could not take all records; those are lost");
            self.items.push_back(Item::Lost(at, std::mem::take(&mut self.lost)));
        }
    }
}
