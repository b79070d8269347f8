//! Who among the replicas is gone. Pure: signs and times are handed in.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::store::{Incarnation, Sign};

/// Who shows the same sign, or none, for this long is dead.
const SILENCE: Duration = Duration::from_secs(3);

/// How a process run went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// Without a word: what the store holds of its logins may be behind.
    Dead,
    /// After it had written everything down.
    Left,
}

/// When signs were read, by one's own monotonic clock. They were so at some
/// time in between.
#[derive(Clone, Copy, Debug)]
pub struct Reading {
    /// When they were asked for.
    pub asked: Duration,
    /// When the answer was there.
    pub answered: Duration,
}

/// What is known of the other process runs.
#[derive(Debug, Default)]
pub struct Census(BTreeMap<Incarnation, Seen>);

#[derive(Debug)]
struct Seen {
    sign: Option<Sign>,
    /// When it was first read so, with no failed reading since.
    since: Option<Duration>,
    /// It was ourselves, and will not come back.
    is_given_up: bool,
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
            self.0.entry(incarnation.clone()).or_insert(Seen { sign: None, since: None, is_given_up: false });
        }
        self.0.remove(own);
        let mut gone = BTreeMap::new();
        for (incarnation, seen) in &mut self.0 {
            let sign = signs.get(incarnation).copied();
            if seen.sign != sign || seen.since.is_none() {
                (seen.sign, seen.since) = (sign, Some(reading.answered));
            }
            let silence = seen.since.map_or(Duration::ZERO, |since| reading.asked.saturating_sub(since));
            if sign == Some(Sign::Left) {
                gone.insert(incarnation.clone(), Fate::Left);
            } else if seen.is_given_up || silence >= SILENCE {
                gone.insert(incarnation.clone(), Fate::Dead);
            }
        }
        gone
    }

    /// The signs could not be read: all counting starts anew.
    pub fn missed(&mut self) {
        for seen in self.0.values_mut() {
            seen.since = None;
        }
    }

    /// `incarnation` was ourselves: dead without waiting.
    pub fn give_up(&mut self, incarnation: Incarnation) {
        self.0.insert(incarnation, Seen { sign: None, since: None, is_given_up: true });
    }

    /// Nothing is left of `incarnation`.
    pub fn buried(&mut self, incarnation: &Incarnation) {
        self.0.remove(incarnation);
    }
}

#[cfg(test)]
mod tests;
