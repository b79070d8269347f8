//! What one caller may see of one login.
//!
//! The identity is for the login's reader alone: the client that started it
//! and, where an agent is named, that agent. The code is for the reader too,
//! and in read-back mode for nobody.

use std::sync::Arc;
use std::time::Duration;

use super::Caller;
use crate::clock::Clock;
use crate::identity::Identity;
use crate::phone::BindingCode;
use crate::session::{CODE_TRIES, CodeCheck, CodeMode, Ended, Outcome, Session, State};
use crate::store::Record;
use crate::timestamp::Timestamp;

/// A login as one caller may see it. A message may wait for a slow reader, so
/// what has a time limit is judged when it is taken out.
#[derive(Clone, Debug)]
pub struct LoginView {
    record: Arc<Record>,
    is_reader: bool,
    clock: Clock,
    identity_window: Duration,
}

impl LoginView {
    pub(super) fn new(caller: &Caller, record: Arc<Record>, clock: Clock, identity_window: Duration) -> Self {
        let is_reader = is_reader(caller, &record.session);
        Self { record, is_reader, clock, identity_window }
    }

    /// The login. Identity and code are to be taken from the methods below alone.
    #[must_use]
    pub fn session(&self) -> &Session {
        &self.record.session
    }

    /// Who it is and until when that can be read, if this caller may know now.
    #[must_use]
    pub fn identity(&self) -> Option<(&Identity, Timestamp)> {
        let State::Ended(Ended { at, outcome: Outcome::Approved { identity: Some(identity) } }) =
            &self.record.session.state
        else {
            return None;
        };
        let until = at.plus(self.identity_window);
        (self.is_reader && self.clock.now() < until).then_some((identity, until))
    }

    /// The code to read out or to display, if this caller may know it.
    #[must_use]
    pub fn code(&self) -> Option<&BindingCode> {
        let terms = &self.record.session.terms;
        match terms.code_mode {
            CodeMode::ReadBack => None,
            CodeMode::ReadOut | CodeMode::Display => self.is_reader.then_some(&terms.code),
        }
    }

    /// Wrong codes that are left, while one is awaited.
    #[must_use]
    pub fn code_tries_left(&self) -> u8 {
        tries_left(&self.record.session)
    }
}

pub(super) fn is_reader(caller: &Caller, session: &Session) -> bool {
    let terms = &session.terms;
    terms.client == caller.client && (terms.agent.is_none() || terms.agent == caller.agent)
}

pub(super) fn tries_left(session: &Session) -> u8 {
    match session.code_check() {
        Some(CodeCheck::Open { tries, .. }) => CODE_TRIES.saturating_sub(*tries),
        Some(CodeCheck::NotAsked | CodeCheck::Matched) | None => 0,
    }
}
