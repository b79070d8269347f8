//! One tenant's events; each method is one step under the tenant's lock.

use std::collections::VecDeque;
use std::sync::Arc;

use crate::session::{LoginId, Moment, Terms};
use crate::store::{Events, Happened, LoginEvent, OUTCOME_RETENTION, Position, Record};
use crate::timestamp::Timestamp;

/// What is kept of a change.
struct Entry {
    number: u64,
    login: LoginId,
    version: u64,
    at: Timestamp,
    /// `None` when the reservation was taken back.
    moment: Option<Moment>,
}

impl Entry {
    fn told(&self, terms: Option<Arc<Terms>>) -> LoginEvent {
        let what = match (self.moment, terms) {
            (Some(moment), Some(terms)) => Happened::Changed { moment, terms },
            _ => Happened::Withdrawn,
        };
        LoginEvent { number: self.number, login: self.login.clone(), version: self.version, at: self.at, what }
    }
}

pub(super) struct Stream {
    epoch: String,
    newest: u64,
    /// Numbers without gaps, times that never go back.
    entries: VecDeque<Entry>,
    last_at: Timestamp,
}

impl Stream {
    pub(super) fn new(epoch: String) -> Self {
        Self { epoch, newest: 0, entries: VecDeque::new(), last_at: Timestamp::default() }
    }

    /// Notes how `record` stands since `now`.
    pub(super) fn append(&mut self, record: &Record, now: Timestamp) {
        self.push(record.session.id.clone(), record.version, Some(record.session.moment()), now);
    }

    /// Notes that `record`, a reservation, was taken back.
    pub(super) fn released(&mut self, record: &Record) {
        self.push(record.session.id.clone(), record.version + 1, None, self.last_at);
    }

    fn push(&mut self, login: LoginId, version: u64, moment: Option<Moment>, now: Timestamp) {
        let at = now.max(self.last_at);
        while self.entries.front().is_some_and(|entry| is_over(entry, at)) {
            self.entries.pop_front();
        }
        self.newest += 1;
        self.last_at = at;
        self.entries.push_back(Entry { number: self.newest, login, version, at, moment });
    }

    /// `terms` are those of a login that is still kept.
    pub(super) fn read(
        &self,
        after: u64,
        limit: usize,
        now: Timestamp,
        terms: impl Fn(&LoginId) -> Option<Arc<Terms>>,
    ) -> Events {
        let mut readable = self.entries.iter().filter(|entry| !is_over(entry, now)).peekable();
        let oldest = readable.peek().map_or(self.newest + 1, |entry| entry.number);
        let entries = readable.filter(|entry| entry.number > after).take(limit);
        let entries = entries.map(|entry| entry.told(terms(&entry.login))).collect();
        Events { epoch: self.epoch.clone(), oldest, newest: self.newest, entries }
    }

    /// Begins anew after what was lost, unless that has been done.
    pub(super) fn begin_anew(&mut self, lost: &Position, epoch: String) {
        if self.epoch == lost.epoch {
            let newest = self.newest.max(lost.number);
            *self = Self { newest, last_at: self.last_at, ..Self::new(epoch) };
        }
    }
}

fn is_over(entry: &Entry, now: Timestamp) -> bool {
    now >= entry.at.plus(OUTCOME_RETENTION)
}
