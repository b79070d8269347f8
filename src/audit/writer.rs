//! The thread that seals and writes. It alone knows the chain's head.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;
use tokio::time::Instant;
use tracing::{error, info};

use super::chain::{Chain, Mark};
use super::entry::{Entry, Subject};
use super::output::{Output, Unwritten};
use super::{Condition, Ending, Measures, Shared, number_hash};
use crate::session::TenantId;
use crate::store::hash::{HashKeys, KeyedHash};
use crate::timestamp::Timestamp;

/// Records that are written, and confirmed by the disk, at once.
const BATCH: usize = 256;

/// Something to write, with its time.
pub(super) enum Item {
    Entry(Timestamp, Box<Entry>),
    Lost(Timestamp, u64),
}

pub(super) struct Writer {
    shared: Arc<Shared>,
    chain: Chain,
    hashes: Hashes,
    outputs: Vec<(Box<dyn Output>, Unwritten)>,
    heartbeat: Duration,
    retry: Duration,
}

impl Writer {
    pub(super) fn new(
        shared: Arc<Shared>,
        chain: Chain,
        key: &[u8; 32],
        outputs: Vec<Box<dyn Output>>,
        measures: &Measures,
    ) -> Self {
        let hashes = Hashes { keys: HashKeys::new(*key), tenants: HashMap::new() };
        let outputs = outputs.into_iter().map(|output| (output, Unwritten::default())).collect();
        let Measures { heartbeat, retry, .. } = *measures;
        Self { shared, chain, hashes, outputs, heartbeat, retry }
    }

    /// Names the run, so that it is known at once whether it can be written.
    pub(super) fn begin(&mut self) {
        self.mark(&Mark::Began { version: env!("CARGO_PKG_VERSION") });
        self.write();
    }

    pub(super) fn run(mut self) {
        let is_complete = self.follow();
        if !is_complete {
            let unwritten = self.outputs.iter().map(|(_, unwritten)| unwritten.lines()).max().unwrap_or_default();
            let records = unwritten + self.shared.queue().items.len();
            error!(records, "the audit log ends without its last records: they could not be written");
        }
        self.shared.becomes(Condition::Over { is_complete });
    }

    /// Whether everything was written.
    fn follow(&mut self) -> bool {
        let mut due = Instant::now() + self.heartbeat;
        loop {
            // Before more is taken, so that no more waits than there is room for.
            while !self.write() {
                if self.shared.pause(self.retry) {
                    // Once more: it may have been mended just now.
                    if !self.write() {
                        return false;
                    }
                    break;
                }
            }
            let (items, ending) = self.shared.take(BATCH, due.saturating_duration_since(Instant::now()));
            let is_last = items.is_empty() && ending != Ending::No;
            items.into_iter().for_each(|item| self.take(item));
            if is_last {
                if ending == Ending::Orderly {
                    self.mark(&Mark::Closed);
                }
                return self.write();
            }
            if Instant::now() >= due {
                self.mark(&Mark::Heartbeat);
                due = Instant::now() + self.heartbeat;
            }
        }
    }

    fn take(&mut self, item: Item) {
        match item {
            Item::Lost(at, lost) => self.seal(at, &Mark::Lost { lost }, None),
            Item::Entry(at, entry) => {
                let what = entry.what;
                let hash = self.hashes.of(&entry);
                self.seal(at, &what, Some(&Subject::new(*entry, hash)));
            }
        }
    }

    fn mark(&mut self, mark: &Mark) {
        self.seal(self.shared.clock.now(), mark, None);
    }

    fn seal(&mut self, at: Timestamp, what: &impl Serialize, subject: Option<&Subject>) {
        match self.chain.seal(at, what, subject) {
            Ok(line) => self.outputs.iter_mut().for_each(|(_, unwritten)| unwritten.push(&line)),
            Err(cause) => {
                error!(%cause, "an audit record cannot be put into words; it is lost");
                self.shared.queue().lost += 1;
                self.shared.metrics.audit_lost();
            }
        }
    }

    /// Whether nothing is left to write.
    fn write(&mut self) -> bool {
        let mut failure = None;
        for (output, unwritten) in self.outputs.iter_mut().filter(|(_, unwritten)| !unwritten.is_empty()) {
            if let Err(error) = output.write(unwritten) {
                failure = Some((output.name(), error));
            }
        }
        let condition = if failure.is_some() { Condition::Failing } else { Condition::Good };
        let before = self.shared.becomes(condition);
        match failure {
            Some((output, error)) if before != Condition::Failing => {
                error!(output, %error, "the audit log cannot be written; trying again");
            }
            None if before == Condition::Failing => info!("the audit log can be written again"),
            Some(_) | None => {}
        }
        condition == Condition::Good
    }
}

/// The keyed hash of each tenant, made once.
struct Hashes {
    keys: HashKeys,
    tenants: HashMap<TenantId, KeyedHash>,
}

impl Hashes {
    fn of(&mut self, entry: &Entry) -> Option<String> {
        let number = entry.number.as_ref()?;
        let Self { keys, tenants } = self;
        let hash = tenants.entry(entry.tenant.clone()).or_insert_with(|| keys.for_tenant(&entry.tenant));
        Some(number_hash(hash, number))
    }
}
