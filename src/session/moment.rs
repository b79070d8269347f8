//! How a login stood at one moment: what may change and is nobody's secret.
//!
//! A [`Session`] holds everything; a [`Moment`] what everybody of the tenant may
//! see of it, and what an entry of the tenant's stream keeps, so that it can be
//! shown later as it was then.

use super::{CODE_TRIES, CodeCheck, CodeMode, Ended, FailureReason, Outcome, Session, State};
use crate::timestamp::Timestamp;

/// See the module.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Moment {
    /// The state without what it holds.
    pub phase: Phase,
    /// How far the check of the code was.
    pub code: CodeProgress,
    /// When the state would have ended by itself; `None` once it has ended.
    pub deadline: Option<Timestamp>,
}

/// A [`State`] without what it holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// See [`State::Starting`].
    Starting,
    /// See [`State::Pending`].
    Pending,
    /// See [`State::Redeemed`].
    Redeemed,
    /// See [`State::AwaitingCode`].
    AwaitingCode,
    /// See [`State::Ended`].
    Ended {
        /// When.
        at: Timestamp,
        /// How.
        how: End,
    },
}

/// An [`Outcome`] without the identity.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// See [`Outcome::Approved`].
    Approved,
    /// See [`Outcome::Denied`].
    Denied,
    /// See [`Outcome::Expired`].
    Expired,
    /// See [`Outcome::Cancelled`].
    Cancelled,
    /// See [`Outcome::Failed`].
    Failed(FailureReason),
}

/// A [`CodeCheck`] without what was typed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CodeProgress {
    /// No code is asked for, or none any more.
    Closed,
    /// Not yet typed right.
    Open {
        /// Wrong tries so far.
        tries: u8,
    },
    /// Typed right.
    Matched,
}

impl Moment {
    /// Whether the login was over.
    #[must_use]
    pub const fn has_ended(&self) -> bool {
        matches!(self.phase, Phase::Ended { .. })
    }

    /// Wrong codes that were left, while one was awaited.
    #[must_use]
    pub const fn code_tries_left(&self) -> u8 {
        match self.code {
            CodeProgress::Open { tries } => CODE_TRIES.saturating_sub(tries),
            CodeProgress::Closed | CodeProgress::Matched => 0,
        }
    }

    /// Whether the code had been typed right, in a login of that mode.
    #[must_use]
    pub fn code_matched(&self, mode: CodeMode) -> bool {
        let is_approved = matches!(self.phase, Phase::Ended { how: End::Approved, .. });
        mode == CodeMode::ReadBack && (is_approved || self.code == CodeProgress::Matched)
    }
}

impl Session {
    /// How the login stands.
    #[must_use]
    pub fn moment(&self) -> Moment {
        let phase = match &self.state {
            State::Starting(_) => Phase::Starting,
            State::Pending(_) => Phase::Pending,
            State::Redeemed(_) => Phase::Redeemed,
            State::AwaitingCode(_) => Phase::AwaitingCode,
            State::Ended(Ended { at, outcome }) => Phase::Ended { at: *at, how: outcome.end() },
        };
        let code = match self.code_check() {
            Some(CodeCheck::Open { tries, .. }) => CodeProgress::Open { tries: *tries },
            Some(CodeCheck::Matched) => CodeProgress::Matched,
            Some(CodeCheck::NotAsked) | None => CodeProgress::Closed,
        };
        Moment { phase, code, deadline: self.deadline() }
    }
}

impl Outcome {
    /// The outcome without the identity.
    #[must_use]
    pub const fn end(&self) -> End {
        match self {
            Self::Approved { .. } => End::Approved,
            Self::Denied => End::Denied,
            Self::Expired => End::Expired,
            Self::Cancelled => End::Cancelled,
            Self::Failed(reason) => End::Failed(*reason),
        }
    }
}
