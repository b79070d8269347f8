mod log;
mod tampering;

use std::io;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::Value;
use zeroize::Zeroizing;

use super::output::{Output, Unwritten};
use super::verify::{Place, Report, Verifier};
use super::{Audit, Condition, Entry, Measures, Settings, What};
use crate::clock::Clock;
use crate::phone::{Country, PhoneNumber};
use crate::session::{AgentId, CallDirection, CallId, Channel, ClientId, LoginId, TenantId, TerminalId};
use crate::telemetry::Metrics;
use crate::timestamp::Timestamp;

const KEY: [u8; 32] = [5; 32];
/// 2026-11-26T22:00:00.123Z
const NOW: Timestamp = Timestamp::from_millis(1_795_730_400_123);

fn settings() -> Settings {
    Settings { file: None, stdout: false, key: Zeroizing::new(KEY), refuse_starts: true }
}

fn entry(what: What) -> Entry {
    Entry {
        what,
        by: None,
        tenant: TenantId::new("nordlys").unwrap(),
        login: Some(LoginId::from_random([7; 20])),
        client: Some(ClientId::new("desk").unwrap()),
        agent: Some(AgentId::new("anna").unwrap()),
        terminal: Some(TerminalId::new("seat-4").unwrap()),
        call: Some(CallId::new("call-1").unwrap()),
        channel: Some(Channel::CallCentre),
        call_direction: Some(CallDirection::Inbound),
        purpose: None,
        ground: None,
        number: PhoneNumber::parse("+4791234578", Country::Norway).ok(),
        check_in: None,
        hands: None,
        agent_proven: None,
    }
}

/// Takes lines as a disk does that can be full.
#[derive(Clone)]
struct Disk {
    is_full: Arc<Mutex<bool>>,
    lines: Sender<String>,
}

impl Disk {
    fn new() -> (Self, Lines) {
        let (lines, written) = channel();
        (Self { is_full: Arc::default(), lines }, Lines(written))
    }

    fn is_full(&self, is_full: bool) {
        *self.is_full.lock().unwrap() = is_full;
    }
}

impl Output for Disk {
    fn name(&self) -> String {
        "a disk".to_owned()
    }

    fn write(&mut self, unwritten: &mut Unwritten) -> io::Result<()> {
        if *self.is_full.lock().unwrap() {
            return Err(io::ErrorKind::StorageFull.into());
        }
        let text = unwritten.take();
        text.lines().for_each(|line| self.lines.send(line.to_owned()).unwrap());
        Ok(())
    }
}

/// What was written, as it comes.
struct Lines(Receiver<String>);

impl Lines {
    fn next(&self) -> String {
        self.0.recv_timeout(Duration::from_secs(20)).expect("a further line")
    }

    fn until(&self, what: &str) -> Vec<String> {
        let mut lines = Vec::new();
        loop {
            lines.push(self.next());
            if of(lines.last().unwrap(), "what") == what {
                return lines;
            }
        }
    }
}

struct Log {
    audit: Audit,
    disk: Disk,
    lines: Lines,
    metrics: Arc<Metrics>,
}

impl Log {
    fn begin(measures: &Measures, refuse_starts: bool) -> Self {
        let (disk, lines) = Disk::new();
        let metrics = Arc::new(Metrics::new());
        let settings = Settings { refuse_starts, ..settings() };
        let outputs: Vec<Box<dyn Output>> = vec![Box::new(disk.clone())];
        let clock = Clock::telling(|| NOW);
        let audit = Audit::begin_with(&settings, outputs, clock, Arc::clone(&metrics), measures).unwrap();
        Self { audit, disk, lines, metrics }
    }

    async fn becomes(&self, wanted: Condition) {
        let mut condition = self.audit.log.as_ref().unwrap().shared.condition.subscribe();
        let met = tokio::time::timeout(Duration::from_secs(20), condition.wait_for(|now| *now == wanted)).await;
        met.unwrap_or_else(|_| panic!("not {wanted:?} in time")).unwrap();
    }
}

/// A log that is ended in good order after these.
async fn written(entries: impl IntoIterator<Item = Entry>) -> Vec<String> {
    let log = Log::begin(&Measures::default(), true);
    entries.into_iter().for_each(|entry| log.audit.note(entry));
    assert!(log.audit.close().await);
    log.lines.until("closed")
}

fn json(line: &str) -> Value {
    serde_json::from_str(line).unwrap()
}

/// A text member of a line.
fn of(line: &str, member: &str) -> String {
    json(line)[member].as_str().unwrap_or_default().to_owned()
}

fn place(line: usize) -> Place {
    Place { file: "audit.log".to_owned(), line: u64::try_from(line).unwrap() }
}

/// What is found in one file, given heads.
fn verify_with(heads: &[String], lines: &[String]) -> Report {
    let mut verifier = Verifier::new(Zeroizing::new(KEY), false);
    heads.iter().enumerate().for_each(|(number, line)| verifier.head(place(number + 1), line.as_bytes()));
    lines.iter().enumerate().for_each(|(number, line)| verifier.line(place(number + 1), line.as_bytes()));
    verifier.finish()
}

fn verify(lines: &[String]) -> Report {
    verify_with(&[], lines)
}
