//! Who among the replicas is gone. Pure: signs and times are handed in.

use std::collections::BTreeMap;
use std::time::Duration;

use tokio::time::Instant;

use super::LEASE;
use crate::store::{Incarnation, Sign};

/// Who shows the same sign, or none, for this long is dead.
const SILENCE: Duration = Duration::from_secs(3);

/// How a process run went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// Without a word: what the store holds of its logins may be behind.
    Dead {
        /// It can have sent nothing since: by then its lease had run out.
        silent_since: Instant,
    },
    /// After it had written everything down.
    Left,
}

/// When signs were read, by one's own monotonic clock. They were so at some
/// time in between.
#[derive(Clone, Copy, Debug)]
pub struct Reading {
    /// When they were asked for.
    pub asked: Instant,
    /// When the answer was there.
    pub answered: Instant,
}

/// What is known of the other process runs.
#[derive(Debug, Default)]
pub struct Census(BTreeMap<Incarnation, Seen>);

#[derive(Debug)]
struct Seen {
    sign: Option<Sign>,
    /// When it was first read so, with no failed reading since. It was given
    /// no later than that.
    since: Option<Instant>,
    /// It was ourselves, will not come back, and has sent nothing since.
    given_up: Option<Instant>,
}

impl Census {
    /// Takes in what a beat of `own` has read. Returns who is gone and has not
    /// been buried yet.
    pub fn heard(
        &mut self,
        own: &Incarnation,
        signs: &BTreeMap<Incarnation, Sign>,
        reading: Reading,
    ) -> BTreeMap<Incarnation, Fate> {
        for incarnation in signs.keys().filter(|incarnation| *incarnation != own) {
            self.0.entry(incarnation.clone()).or_insert(Seen { sign: None, since: None, given_up: None });
        }
        self.0.remove(own);
        let mut gone = BTreeMap::new();
        for (incarnation, seen) in &mut self.0 {
            let sign = signs.get(incarnation).copied();
            if seen.sign != sign {
                (seen.sign, seen.since) = (sign, None);
            }
            let since = *seen.since.get_or_insert(reading.answered);
            let fate = if sign == Some(Sign::Left) {
                Some(Fate::Left)
            } else if let Some(silent_since) = seen.given_up {
                Some(Fate::Dead { silent_since })
            } else if reading.asked.saturating_duration_since(since) >= SILENCE {
                Some(Fate::Dead { silent_since: since + LEASE })
            } else {
                None
            };
            gone.extend(fate.map(|fate| (incarnation.clone(), fate)));
        }
        gone
    }

    /// The signs could not be read: all counting starts anew.
    pub fn missed(&mut self) {
        for seen in self.0.values_mut() {
            seen.since = None;
        }
    }

    /// `incarnation` was ourselves: dead without waiting, and silent since then.
    pub fn give_up(&mut self, incarnation: Incarnation, silent_since: Instant) {
        self.0.insert(incarnation, Seen { sign: None, since: None, given_up: Some(silent_since) });
    }

    /// Nothing is left of `incarnation`.
    pub fn buried(&mut self, incarnation: &Incarnation) {
        self.0.remove(incarnation);
    }
}

#[cfg(test)]
mod tests;
