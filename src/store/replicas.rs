//! What replicas know of each other, and what one takes over from another.

use std::collections::BTreeMap;

use super::{Incarnation, Record};
use crate::session::LoginId;
use crate::timestamp::Timestamp;

/// What one beat of the heart tells: everybody's signs of life.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pulse {
    /// Every process run that has beaten and was not buried since; also the
    /// one that asks.
    pub signs: BTreeMap<Incarnation, Sign>,
    /// The store's clock, for the offset of one's own.
    pub time: Timestamp,
}

/// What a process run has last said about itself. It does not say when: only
/// whoever reads the same number for long enough, by a clock of its own, knows
/// that the other is dead.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sign {
    /// It lives as long as this number changes. It changes with every beat;
    /// after the store has lost data it may be lower than before.
    Beating(u64),
    /// It has said goodbye: what it still owns may be adopted at once.
    Left,
}

/// A part of what a process run owns, in the order of the login ids.
#[derive(Clone, Debug, PartialEq)]
pub struct Batch {
    /// The records as they are now. There may be fewer than asked for, or none,
    /// although there is a `next`: those in between were of no use.
    pub records: Vec<Record>,
    /// Where to go on: the `after` of the next call. `None` when that was all.
    pub next: Option<LoginId>,
    /// How many of those that were looked at an adoption left with their owner,
    /// because this replica cannot read them. None of a store's own listing.
    pub left_behind: usize,
}
