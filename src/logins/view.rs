//! What one caller may see of one login.
//!
//! The identity is for the login's reader alone: the client that started it
//! and, where an agent is named, that agent, or whom they handed it over to. The
//! code is for the reader too, and in read-back mode for nobody.

use std::sync::Arc;
use std::time::Duration;

use super::audited::Reader;
use super::{Caller, Logins, Role};
use crate::clock::Clock;
use crate::identity::Identity;
use crate::phone::BindingCode;
use crate::session::{CodeMode, Ended, LoginId, Moment, Outcome, State, Terms};
use crate::store::Record;
use crate::timestamp::Timestamp;

/// A login as one caller may see it, now or as it stood at an earlier moment. A
/// message may wait for a slow reader, so what has a time limit is judged when
/// it is taken out.
#[derive(Clone, Debug)]
pub struct LoginView {
    login: LoginId,
    terms: Arc<Terms>,
    moment: Moment,
    /// Where the identity is, if there is one.
    record: Option<Arc<Record>>,
    is_reader: bool,
    may_have_nin: bool,
    reader: Reader,
    clock: Clock,
    identity_window: Duration,
}

impl Logins {
    /// The login as `record` has it.
    pub(super) fn view(&self, caller: &Caller, record: &Arc<Record>) -> LoginView {
        let session = &record.session;
        let view = self.view_at(caller, &session.id, &session.terms, session.moment());
        LoginView { record: Some(Arc::clone(record)), ..view }
    }

    /// The login as it stood at a moment, without the identity.
    pub(super) fn view_at(&self, caller: &Caller, login: &LoginId, terms: &Arc<Terms>, moment: Moment) -> LoginView {
        LoginView {
            login: login.clone(),
            terms: Arc::clone(terms),
            moment,
            record: None,
            is_reader: is_reader(caller, terms),
            may_have_nin: caller.roles.contains(&Role::NationalId),
            reader: self.reader(caller),
            clock: self.0.ledger.clock().clone(),
            identity_window: self.0.ledger.identity_window(),
        }
    }
}

impl LoginView {
    /// The same, with the identity that `record` may hold for whoever has it now.
    pub(super) fn with_identity_of(self, record: Arc<Record>) -> Self {
        let is_reader = is_reader(&self.reader.caller, &record.session.terms);
        Self { is_reader, record: Some(record), ..self }
    }

    /// Which login.
    #[must_use]
    pub const fn login(&self) -> &LoginId {
        &self.login
    }

    /// What was asked for. The code is to be taken from [`LoginView::code`] alone.
    #[must_use]
    pub fn terms(&self) -> &Terms {
        &self.terms
    }

    /// How it stands or stood.
    #[must_use]
    pub const fn moment(&self) -> &Moment {
        &self.moment
    }

    /// Who it is and until when that can be read, if this caller may know now.
    /// That it was handed out, or withheld, is noted in the audit log.
    #[must_use]
    pub fn identity(&self) -> Option<(&Identity, Timestamp)> {
        let State::Ended(Ended { at, outcome: Outcome::Approved { identity: Some(identity) } }) =
            &self.record.as_ref()?.session.state
        else {
            return None;
        };
        let until = at.plus(self.identity_window);
        let now = self.clock.now();
        if !self.moment.has_ended() || now >= until {
            return None;
        }
        let may_know = self.is_reader && !self.reader.is_shut_out(&self.terms);
        self.reader.looks(&self.login, &self.terms, may_know, (now, until));
        may_know.then_some((identity.as_ref(), until))
    }

    /// Whether this caller, if it may know the identity, may know the national
    /// identity number too: a login can come to a reader without the role for it.
    #[must_use]
    pub const fn may_have_nin(&self) -> bool {
        self.may_have_nin
    }

    /// The code to read out or to display, if this caller may know it.
    #[must_use]
    pub fn code(&self) -> Option<&BindingCode> {
        match self.terms.code_mode {
            CodeMode::ReadBack => None,
            CodeMode::ReadOut | CodeMode::Display => self.is_reader.then_some(&self.terms.code),
        }
    }
}

pub(super) fn is_reader(caller: &Caller, terms: &Terms) -> bool {
    terms.is_held_by(&caller.client, caller.agent_id())
}
