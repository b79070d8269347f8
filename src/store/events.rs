//! The stream of a tenant's changes, as a reader sees it.

use std::sync::Arc;

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;

use super::StoreError;
use super::seal::SealError;
use crate::session::{LoginId, Moment, Terms};
use crate::timestamp::Timestamp;

/// A part of a tenant's stream. Numbers are counted up by one, without gaps,
/// as long as the epoch is the same.
///
/// Whoever has seen number `n` of this epoch has missed nothing that cannot be
/// read any more if `oldest <= n + 1`; and if `n > newest`, the store has lost
/// what it had acknowledged: see [`super::SessionStore::new_epoch`].
#[derive(Clone, Debug, PartialEq)]
pub struct Events {
    /// Random text. Another one means another stream: numbers of the one say
    /// nothing about the other.
    pub epoch: String,
    /// The oldest number that can still be read; `newest + 1` when there is none.
    pub oldest: u64,
    /// The newest number that was given out; 0 before the first.
    pub newest: u64,
    /// In order, from the one asked for or from `oldest`.
    pub entries: Vec<LoginEvent>,
}

impl Events {
    /// The place of the newest event.
    #[must_use]
    pub fn end(&self) -> Position {
        Position { epoch: self.epoch.clone(), number: self.newest }
    }
}

/// A place in a tenant's stream: after that number of that epoch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Position {
    /// Which stream.
    pub epoch: String,
    /// The newest number that was seen; 0 before the first.
    pub number: u64,
}

/// Says that a login has come to a new state or into other hands, or that a code was typed. Nothing
/// that it keeps is personal; the terms are read with it from the record.
#[derive(Clone, Debug, PartialEq)]
pub struct LoginEvent {
    /// Its place in the stream.
    pub number: u64,
    /// Which login.
    pub login: LoginId,
    /// The version that was written; the record may be newer by now.
    pub version: u64,
    /// When; never earlier than the entry before.
    pub at: Timestamp,
    /// What happened.
    pub what: Happened,
}

/// What an entry tells.
#[derive(Clone, Debug, PartialEq)]
pub enum Happened {
    /// The login came to stand so.
    Changed {
        /// How it stood then.
        moment: Moment,
        /// What was asked for.
        terms: Arc<Terms>,
    },
    /// There is nothing to tell any more: the reservation was taken back, or the
    /// record is not kept.
    Withdrawn,
    /// Written by a newer version, or under a seal key that is not known here:
    /// another replica can tell.
    Foreign,
}

/// Text that nobody has used before.
pub(super) fn random_epoch() -> Result<String, StoreError> {
    let mut bytes = [0; 12];
    getrandom::fill(&mut bytes).map_err(|_| SealError::NoRandomness)?;
    Ok(BASE64_URL_SAFE_NO_PAD.encode(bytes))
}
