//! Whether an audit log is as it was written.
//!
//! A [`Verifier`] is fed the lines of the files in the order in which they were
//! written and says what is wrong, and where. By itself it cannot know how far a
//! run came that was not closed: for that it is given heads, lines of the log that
//! somebody else kept. Reads no file and asks no clock; called by the command line.

use std::collections::BTreeMap;
use std::fmt;

use zeroize::Zeroizing;

use super::chain::{BEGAN, BEGINNING, CLOSED, Written};

/// A line of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// What the file is called.
    pub file: String,
    /// Its number, from 1.
    pub line: u64,
}

/// Something that is not as it was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// Where it is seen; for what is missing at an end, the last line that is there.
    /// `None` when nothing of the run is there.
    pub place: Option<Place>,
    /// The run and the record's number there, as the line says it or as it should.
    pub record: Option<(String, u64)>,
    /// What is wrong.
    pub problem: Problem,
}

/// What is wrong.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Problem {
    /// Its seal does not fit.
    #[error("was changed: its seal does not fit")]
    Changed,
    /// It cannot be read, and no crash explains it.
    #[error("is no whole record")]
    Unreadable,
    /// Records before it are not there.
    #[error("comes too early: {} missing before it", numbers(*.first, *.last))]
    Missing {
        /// The first of them.
        first: u64,
        /// The last of them.
        last: u64,
    },
    /// It stands behind one with a higher number, or stands there twice.
    #[error("was moved or repeated: number {after} stands before it")]
    OutOfOrder {
        /// The highest number before it.
        after: u64,
    },
    /// Genuine, but of another chain than the record before.
    #[error("does not continue the record before it")]
    Detached,
    /// The run had said that nothing follows.
    #[error("stands after the end of its run")]
    AfterEnd,
    /// What was kept shows that the run went on.
    #[error("is the last one of its run, but {} missing after it", numbers(*.first, *.last))]
    EndMissing {
        /// The first of them.
        first: u64,
        /// The last one that is known of.
        last: u64,
    },
    /// What was kept shows that there was this run.
    #[error("is all missing: what was kept shows that it was written")]
    RunMissing,
    /// What was kept says otherwise.
    #[error("is not the record that was kept under this number")]
    NotAsKept,
    /// What was kept is not genuine itself.
    #[error("was kept as a head, but its seal does not fit")]
    HeadChanged,
}

fn numbers(first: u64, last: u64) -> String {
    if first == last { format!("number {first} is") } else { format!("numbers {first} to {last} are") }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(Place { file, line }) = &self.place {
            write!(f, "{file}:{line}: ")?;
        }
        match &self.record {
            Some((run, seq)) => write!(f, "run {run}, number {seq} {}", self.problem),
            None => write!(f, "{}", self.problem),
        }
    }
}

/// Something that is right, but that the lines alone do not prove.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Note {
    /// The run has not said that it is over: it goes on or has crashed, or its
    /// end was cut off.
    EndUnproven {
        /// The run.
        run: String,
        /// Its last record that is there.
        last: u64,
        /// The highest number that what was kept vouches for.
        kept: Option<u64>,
    },
    /// The run began in a file that was not given.
    BeginningNotGiven {
        /// The run.
        run: String,
        /// Its first record that is there.
        first: u64,
    },
    /// A crash has left half a record.
    Torn(Place),
}

impl fmt::Display for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::EndUnproven { run, last, kept: None } => {
                write!(f, "run {run}: its end is unproven: not closed, last number {last}; give --heads to prove more")
            }
            Self::EndUnproven { run, last, kept: Some(kept) } => {
                write!(f, "run {run}: its end is unproven: not closed, last number {last}, proven up to {kept}")
            }
            Self::BeginningNotGiven { run, first } => {
                write!(f, "run {run}: begins at number {first}; what came before was not given")
            }
            Self::Torn(Place { file, line }) => write!(f, "{file}:{line}: half a record, as a crash leaves it"),
        }
    }
}

/// What came out.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// Lines that were read as records.
    pub records: u64,
    /// Runs that they belong to.
    pub runs: usize,
    /// What is wrong, in the order in which it was found.
    pub findings: Vec<Finding>,
    /// What is right but not proven.
    pub notes: Vec<Note>,
}

/// Checks line by line. Runs may take turns, as when an old process still writes
/// while a new one does.
pub struct Verifier {
    key: Zeroizing<[u8; 32]>,
    /// Whether the first run may have begun earlier.
    is_continued: bool,
    heads: BTreeMap<(String, u64), String>,
    runs: BTreeMap<String, Run>,
    /// The run of the newest record.
    latest: Option<String>,
    /// Half a record, if what follows shows that there was a crash.
    torn: Option<Place>,
    report: Report,
}

struct Run {
    /// The highest number so far.
    last: u64,
    /// Its seal; `None` when it was changed.
    mac: Option<String>,
    place: Place,
    is_closed: bool,
}

impl Verifier {
    /// A verifier that has seen nothing. `is_continued`: the first record need not
    /// be the first of its run, because older files are gone.
    #[must_use]
    pub fn new(key: Zeroizing<[u8; 32]>, is_continued: bool) -> Self {
        Self {
            key,
            is_continued,
            heads: BTreeMap::new(),
            runs: BTreeMap::new(),
            latest: None,
            torn: None,
            report: Report::default(),
        }
    }

    /// Takes a line of the log that was kept elsewhere; before the first
    /// [`Verifier::line`]. Which lines were kept does not matter.
    pub fn head(&mut self, place: Place, line: &[u8]) {
        match Written::read(line) {
            None => self.find(Some(place), None, Problem::Unreadable),
            Some(head) if head.is_genuine(&self.key, line) => {
                self.heads.insert((head.run, head.seq), head.mac);
            }
            Some(head) => self.find(Some(place), Some((head.run, head.seq)), Problem::HeadChanged),
        }
    }

    /// Takes the next line of a file, without its line end.
    pub fn line(&mut self, place: Place, line: &[u8]) {
        let written = Written::read(line);
        if let Some(torn) = self.torn.take() {
            let is_new_run = written.as_ref().is_some_and(|written| written.what == BEGAN && written.seq == 1);
            if is_new_run {
                self.report.notes.push(Note::Torn(torn));
            } else {
                self.find(Some(torn), None, Problem::Unreadable);
            }
        }
        match written {
            Some(written) => self.record(place, written, line),
            None if self.may_be_torn(line) => self.torn = Some(place),
            None => self.find(Some(place), None, Problem::Unreadable),
        }
    }

    /// The next line is another file's.
    pub fn end_of_file(&mut self) {
        self.report.notes.extend(self.torn.take().map(Note::Torn));
    }

    /// What came out.
    #[must_use]
    pub fn finish(mut self) -> Report {
        self.end_of_file();
        let mut kept: BTreeMap<String, u64> = BTreeMap::new();
        for (run, seq) in self.heads.keys() {
            let highest = kept.entry(run.clone()).or_default();
            *highest = (*highest).max(*seq);
        }
        for (name, seq) in &kept {
            let (place, record, problem) = match self.runs.get(name) {
                None => (None, (name.clone(), 1), Problem::RunMissing),
                Some(run) if run.last < *seq => {
                    let missing = Problem::EndMissing { first: run.last + 1, last: *seq };
                    (Some(run.place.clone()), (name.clone(), run.last), missing)
                }
                Some(_) => continue,
            };
            self.find(place, Some(record), problem);
        }
        for (name, run) in self.runs.iter().filter(|(_, run)| !run.is_closed) {
            let kept = kept.get(name).copied();
            self.report.notes.push(Note::EndUnproven { run: name.clone(), last: run.last, kept });
        }
        self.report.runs = self.runs.len();
        self.report
    }

    /// Half a line of a run that can have crashed.
    fn may_be_torn(&self, line: &[u8]) -> bool {
        let can_crash = self.latest.as_ref().and_then(|run| self.runs.get(run)).is_none_or(|run| !run.is_closed);
        let is_beginning = !line.is_empty() && (line.starts_with(BEGINNING) || BEGINNING.starts_with(line));
        can_crash && is_beginning && !line.ends_with(b"}")
    }

    fn record(&mut self, place: Place, written: Written, line: &[u8]) {
        self.report.records += 1;
        self.latest = Some(written.run.clone());
        let record = Some((written.run.clone(), written.seq));
        let is_genuine = written.is_genuine(&self.key, line);
        if is_genuine {
            let kept = self.heads.get(&(written.run.clone(), written.seq));
            if kept.is_some_and(|mac| *mac != written.mac) {
                self.find(Some(place.clone()), record.clone(), Problem::NotAsKept);
            }
            if let Some(problem) = self.problem_of_place(&written) {
                self.find(Some(place.clone()), record, problem);
            }
        } else {
            self.find(Some(place.clone()), record, Problem::Changed);
        }
        let before = self.runs.get(&written.run);
        // What a changed line says is believed only where it cannot hide another one.
        let next = before.map_or(1, |run| run.last + 1);
        let is_later = before.is_none_or(|run| written.seq > run.last);
        if is_later && (is_genuine || written.seq == next) {
            let is_closed = before.is_some_and(|run| run.is_closed) || (is_genuine && written.what == CLOSED);
            let mac = is_genuine.then_some(written.mac);
            self.runs.insert(written.run, Run { last: written.seq, mac, place, is_closed });
        }
    }

    fn problem_of_place(&mut self, written: &Written) -> Option<Problem> {
        if let Some(run) = self.runs.get(&written.run) {
            return run.problem_of(written);
        }
        if written.seq == 1 {
            return (!written.prev.is_empty() || written.what != BEGAN).then_some(Problem::Detached);
        }
        if self.runs.is_empty() && self.is_continued {
            let (run, first) = (written.run.clone(), written.seq);
            self.report.notes.push(Note::BeginningNotGiven { run, first });
            return None;
        }
        Some(Problem::Missing { first: 1, last: written.seq.saturating_sub(1) })
    }

    fn find(&mut self, place: Option<Place>, record: Option<(String, u64)>, problem: Problem) {
        self.report.findings.push(Finding { place, record, problem });
    }
}

impl Run {
    /// What is wrong with the place of a further record of the run.
    fn problem_of(&self, next: &Written) -> Option<Problem> {
        if next.seq <= self.last {
            Some(Problem::OutOfOrder { after: self.last })
        } else if self.is_closed {
            Some(Problem::AfterEnd)
        } else if next.seq > self.last + 1 {
            Some(Problem::Missing { first: self.last + 1, last: next.seq - 1 })
        } else if self.mac.as_ref().is_some_and(|mac| *mac != next.prev) {
            Some(Problem::Detached)
        } else {
            None
        }
    }
}
