//! One tenant's events; each method is one step under the tenant's lock.

use std::collections::VecDeque;

use crate::session::{Ended, Session, State};
use crate::store::events::RELEASED;
use crate::store::{Events, LoginEvent, OUTCOME_RETENTION, Record};
use crate::timestamp::Timestamp;

pub(super) struct Stream {
    epoch: String,
    newest: u64,
    /// Numbers without gaps, times that never go back.
    entries: VecDeque<LoginEvent>,
    last_at: Timestamp,
}

impl Stream {
    pub(super) fn new(epoch: String) -> Self {
        Self { epoch, newest: 0, entries: VecDeque::new(), last_at: Timestamp::default() }
    }

    /// Notes how `record` stands since `now`.
    pub(super) fn append(&mut self, record: &Record, now: Timestamp) {
        let session = &record.session;
        let outcome = match &session.state {
            State::Ended(Ended { outcome, .. }) => Some(outcome.name().to_owned()),
            State::Starting(_) | State::Pending(_) | State::Redeemed(_) | State::AwaitingCode(_) => None,
        };
        self.push(session, record.version, session.state.name(), outcome, now);
    }

    /// Notes that `record`, a reservation, was taken back.
    pub(super) fn released(&mut self, record: &Record) {
        self.push(&record.session, record.version + 1, RELEASED, None, self.last_at);
    }

    fn push(&mut self, session: &Session, version: u64, state: &str, outcome: Option<String>, now: Timestamp) {
        let at = now.max(self.last_at);
        while self.entries.front().is_some_and(|entry| is_over(entry, at)) {
            self.entries.pop_front();
        }
        self.newest += 1;
        self.last_at = at;
        let (login, state) = (session.id.clone(), state.to_owned());
        self.entries.push_back(LoginEvent { number: self.newest, login, version, at, state, outcome });
    }

    pub(super) fn read(&self, after: u64, limit: usize, now: Timestamp) -> Events {
        let mut readable = self.entries.iter().filter(|entry| !is_over(entry, now)).peekable();
        let oldest = readable.peek().map_or(self.newest + 1, |entry| entry.number);
        let entries = readable.filter(|entry| entry.number > after).take(limit).cloned().collect();
        Events { epoch: self.epoch.clone(), oldest, newest: self.newest, entries }
    }

    /// Begins anew after the number `remembered`, unless that has been done.
    pub(super) fn begin_anew(&mut self, seen: &str, epoch: String, remembered: u64) {
        if self.epoch == seen {
            let newest = self.newest.max(remembered);
            *self = Self { newest, last_at: self.last_at, ..Self::new(epoch) };
        }
    }
}

fn is_over(entry: &LoginEvent, now: Timestamp) -> bool {
    now >= entry.at.plus(OUTCOME_RETENTION)
}
