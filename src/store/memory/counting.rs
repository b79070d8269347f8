//! What is counted within a window, and who has said no.

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use crate::phone::PhoneNumber;
use crate::session::{ClientId, RequestId};
use crate::store::{Asker, CoolDown, Counter, DENIAL_RETENTION, Limit};
use crate::timestamp::Timestamp;

/// A client's name for a start.
pub(super) type Request = (ClientId, RequestId);

/// What is counted together, oldest first.
#[derive(Default)]
pub(super) struct Log {
    entries: VecDeque<(Timestamp, Member)>,
    known: HashMap<Member, Timestamp>,
    retention: Duration,
}

/// What counts once.
#[derive(Clone, PartialEq, Eq, Hash)]
pub(super) enum Member {
    Start(Request),
    Number(PhoneNumber),
}

/// How often somebody has said no.
pub(super) struct Denials {
    pub(super) count: u32,
    pub(super) last: Timestamp,
}

pub(super) fn log_of(counter: Counter, asker: Asker<'_>) -> Option<(Counter, String)> {
    counter.subject(asker).map(|subject| (counter, subject.to_owned()))
}

pub(super) fn member(counter: Counter, asker: Asker<'_>) -> Member {
    match asker.phone() {
        Some(number) if counter.counts_numbers() => Member::Number(number.clone()),
        _ => Member::Start((asker.client.clone(), asker.request_id.clone())),
    }
}

impl Denials {
    /// Whether they still matter.
    pub(super) fn count_at(&self, now: Timestamp) -> bool {
        self.last.plus(DENIAL_RETENTION) > now
    }

    /// How long nobody asks again; `None` when somebody may now.
    pub(super) fn wait_for(&self, cool_down: CoolDown, now: Timestamp) -> Option<Duration> {
        let until = self.last.plus(cool_down.after(self.count));
        (self.count_at(now) && now < until).then(|| until.since(now))
    }
}

impl Log {
    /// How long until one more fits; `None` when it fits now.
    pub(super) fn wait_for(&self, Limit { max, window }: Limit, member: &Member, now: Timestamp) -> Option<Duration> {
        let has_left = |at: Timestamp| at.plus(window) <= now;
        match (self.known.get(member), member) {
            (Some(_), Member::Start(_)) => return None,
            (Some(newest), Member::Number(_)) if !has_left(*newest) => return None,
            _ => {}
        }
        let first = self.entries.partition_point(|(at, _)| has_left(*at));
        let excess = (self.entries.len() - first).checked_sub(max as usize)?;
        Some(self.entries.get(first + excess).map_or(window, |(leaver, _)| leaver.plus(window).since(now)))
    }

    pub(super) fn add(&mut self, retention: Duration, member: Member, at: Timestamp) {
        self.retention = self.retention.max(retention);
        match (self.known.get(&member), &member) {
            (Some(_), Member::Start(_)) => return,
            (Some(newest), Member::Number(_)) if *newest >= at => return,
            (Some(_), Member::Number(_)) => self.remove(&member),
            (None, _) => {}
        }
        let place = self.entries.partition_point(|(other, _)| *other <= at);
        self.entries.insert(place, (at, member.clone()));
        self.known.insert(member, at);
    }

    pub(super) fn remove(&mut self, member: &Member) {
        if let Some(at) = self.known.remove(member) {
            let first = self.entries.partition_point(|(other, _)| *other < at);
            let place = self.entries.range(first..).position(|(_, counted)| counted == member);
            place.map(|place| self.entries.remove(first + place));
        }
    }

    pub(super) fn sweep(&mut self, now: Timestamp) -> bool {
        while let Some((_, member)) = self.entries.pop_front_if(|(at, _)| at.plus(self.retention) <= now) {
            self.known.remove(&member);
        }
        !self.entries.is_empty()
    }
}
