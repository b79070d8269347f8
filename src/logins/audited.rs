//! What the use cases note in the audit log, and what a start is refused for
//! when nothing can be noted.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::watch;

use super::{Blocked, Caller, CheckPhone, Error, Logins, Rules, StartLogin};
use crate::audit::{Audit, By, Entry, Hands, What};
use crate::ciba::StartAnswer;
use crate::identity::Claim;
use crate::session::{AgentId, ClientId, Event, LoginId, TerminalId, Terms};
use crate::store::Record;
use crate::timestamp::Timestamp;

/// Readers that are remembered before old ones are looked for.
const FEW_READERS: usize = 1024;

/// What there was too much of, where that was it.
fn limit(error: &Error) -> Option<&'static str> {
    match error {
        Error::TooManyStarts { counter, .. } => Some(counter.name()),
        Error::Blocked(blocked) => Some(blocked.name()),
        _ => None,
    }
}

/// The same by the doing of that caller.
pub(super) fn by(entry: Entry, caller: &Caller) -> Entry {
    Entry { agent_proven: proven(caller), ..entry.by(&caller.client, caller.agent_id()) }
}

fn proven(caller: &Caller) -> Option<bool> {
    caller.agent.as_ref().map(|agent| agent.is_proven)
}

fn start_refused(error: &Error) -> What {
    What::StartRefused { reason: error.reason(), limit: limit(error) }
}

fn check_refused(error: &Error) -> What {
    What::CheckRefused { reason: error.reason(), limit: limit(error) }
}

/// A start or a check that was asked for.
#[derive(Clone)]
pub(super) struct Asked {
    audit: Audit,
    entry: Entry,
    refusal: fn(&Error) -> What,
}

impl Asked {
    /// Notes that nothing was done; hands the reason on.
    pub(super) fn refused(&self, error: Error) -> Error {
        self.answered((self.refusal)(&error));
        error
    }

    /// Notes that it stands for a login that lives already.
    pub(super) fn joined(&self, login: &LoginId) {
        self.audit.note(Entry { what: What::Joined, login: Some(login.clone()), ..self.entry.clone() });
    }

    /// Notes what came of it.
    pub(super) fn answered(&self, what: What) {
        self.audit.note(Entry { what, ground: None, ..self.entry.clone() });
    }
}

impl Logins {
    /// Notes that a start is asked for. Refuses it when nobody could tell later
    /// that it was.
    pub(super) fn asked(&self, caller: &Caller, request: &StartLogin) -> Result<Asked, Error> {
        let tenant = self.tenant(caller)?;
        let ground = tenant.national_id_ground.as_ref().filter(|_| request.claims.contains(&Claim::Nin));
        let entry = Entry {
            what: What::StartAsked,
            by: Some(By { client: caller.client.clone(), agent: caller.agent_id().cloned() }),
            tenant: caller.tenant.clone(),
            login: None,
            client: Some(caller.client.clone()),
            agent: request.agent.clone(),
            terminal: request.terminal.clone(),
            call: request.call.clone(),
            channel: Some(request.channel),
            call_direction: request.call_direction,
            purpose: tenant.purpose_of(request.purpose.as_ref()),
            ground: ground.cloned(),
            number: request.whom.phone().cloned(),
            check_in: request.whom.check_in().cloned(),
            hands: None,
            agent_proven: proven(caller),
        };
        self.note_asked(entry, start_refused)
    }

    /// As [`Logins::asked`], for a check.
    pub(super) fn check_asked(&self, caller: &Caller, check: &CheckPhone) -> Result<Asked, Error> {
        let entry = Entry {
            what: What::CheckAsked,
            by: Some(By { client: caller.client.clone(), agent: caller.agent_id().cloned() }),
            tenant: caller.tenant.clone(),
            login: None,
            client: Some(caller.client.clone()),
            agent: check.agent.clone(),
            terminal: check.terminal.clone(),
            call: check.call.clone(),
            channel: Some(check.channel),
            call_direction: None,
            purpose: None,
            ground: None,
            number: Some(check.phone.clone()),
            check_in: None,
            hands: None,
            agent_proven: proven(caller),
        };
        self.note_asked(entry, check_refused)
    }

    fn note_asked(&self, entry: Entry, refusal: fn(&Error) -> What) -> Result<Asked, Error> {
        let asked = Asked { audit: self.0.ledger.audit().clone(), entry, refusal };
        if asked.audit.refuses_starts() {
            let error = Error::AuditUnavailable;
            // One line for both: who tries again and again shall not fill the queue.
            let what = refusal(&error);
            asked.audit.note_if_roomy(Entry { what, ground: None, ..asked.entry });
            return Err(error);
        }
        asked.audit.note(asked.entry.clone());
        Ok(asked)
    }

    /// Notes what the provider said to a start; that it was never sent is a refusal.
    pub(super) fn note_answer(&self, record: &Record, answer: &StartAnswer) {
        let what = match answer {
            StartAnswer::Accepted(_) => What::PushAccepted,
            StartAnswer::Refused(_) => What::ProviderAnswered { answer: "refused" },
            StartAnswer::Busy { .. } => What::ProviderAnswered { answer: "busy" },
            StartAnswer::CredentialsRefused => What::ProviderAnswered { answer: "credentials_refused" },
            StartAnswer::Unclear(_) => What::ProviderAnswered { answer: "unclear" },
            StartAnswer::NotSent => return,
        };
        self.0.ledger.audit().note(Entry::of(&record.session.id, &record.session.terms, what));
    }

    /// Notes what a caller did to a login.
    pub(super) fn note(&self, caller: &Caller, record: &Record, what: What) {
        let entry = Entry::of(&record.session.id, &record.session.terms, what);
        self.0.ledger.audit().note(by(entry, caller));
    }

    /// Notes that a login has passed from one to the other.
    pub(super) fn note_hand_over(&self, caller: &Caller, before: &Record, after: &Record) {
        let holder = |record: &Record| {
            let (client, agent) = record.session.terms.holder();
            By { client: client.clone(), agent: agent.cloned() }
        };
        let entry = Entry::of(&after.session.id, &after.session.terms, What::HandedOver);
        let hands = Some(Hands { from: holder(before), to: holder(after) });
        self.0.ledger.audit().note(Entry { hands, ..by(entry, caller) });
    }

    /// As [`Logins::note`], for a caller who let this happen.
    pub(super) fn note_event(&self, caller: &Caller, record: &Record, event: &Event) {
        let what = if matches!(event, Event::Erased) { What::Erased } else { What::Cancelled };
        self.note(caller, record, what);
    }

    /// Notes that the login is not the caller's to do that to; the error for it.
    pub(super) fn not_yours(&self, caller: &Caller, record: &Record, call: &'static str) -> Error {
        let error = Error::NotYours;
        self.note(caller, record, What::CallRefused { call, reason: error.reason() });
        error
    }

    /// Notes that the caller may not make the call at all; the error for it.
    pub(super) fn shut_out(&self, caller: &Caller, blocked: Blocked, call: &'static str) -> Error {
        let error = Error::Blocked(blocked);
        self.note_refused_call(caller, call, error.reason());
        error
    }

    /// Notes what a caller did that names no login.
    pub(super) fn note_call(&self, caller: &Caller, terminal: Option<&TerminalId>, what: What) {
        let entry = Entry::of_call(&caller.tenant, &caller.client, caller.agent_id(), what);
        self.0.ledger.audit().note(Entry { terminal: terminal.cloned(), ..by(entry, caller) });
    }

    /// Notes that the caller may not make the call at all, for a stable reason.
    pub fn note_refused_call(&self, caller: &Caller, call: &'static str, reason: &'static str) {
        let what = What::CallRefused { call, reason };
        let entry = Entry::of_call(&caller.tenant, &caller.client, caller.agent_id(), what);
        // Who is refused and calls all the same shall not fill the queue.
        self.0.ledger.audit().note_if_roomy(by(entry, caller));
    }

    pub(super) fn reader(&self, caller: &Caller) -> Reader {
        Reader {
            audit: self.0.ledger.audit().clone(),
            reads: Arc::clone(&self.0.reads),
            rules: Arc::clone(&self.0.rules),
            caller: caller.clone(),
        }
    }
}

/// Which login was looked at by whom, and whether they were told; until when it can be.
pub(super) type Reads = Mutex<HashMap<(LoginId, ClientId, Option<AgentId>, bool), Timestamp>>;

/// Who looks at a login.
#[derive(Clone)]
pub(super) struct Reader {
    audit: Audit,
    reads: Arc<Reads>,
    rules: Arc<watch::Sender<Arc<Rules>>>,
    pub(super) caller: Caller,
}

impl Reader {
    /// Whether the caller, or the terminal of the login, is shut out now.
    pub(super) fn is_shut_out(&self, terms: &Terms) -> bool {
        let block_list = &self.rules.borrow().block_list;
        let terminal = || block_list.terminal(&terms.tenant, terms.terminal.as_ref());
        block_list.caller(&self.caller).or_else(terminal).is_some()
    }

    /// Notes that the identity is handed out, or withheld from somebody who may not
    /// know it; once for each login and caller.
    pub(super) fn looks(&self, login: &LoginId, terms: &Terms, may_know: bool, (now, until): (Timestamp, Timestamp)) {
        let mut reads = self.reads.lock().unwrap_or_else(PoisonError::into_inner);
        if reads.len() >= FEW_READERS && reads.len() == reads.capacity() {
            reads.retain(|_, until| now < *until);
        }
        let reader = (login.clone(), self.caller.client.clone(), self.caller.agent_id().cloned(), may_know);
        if reads.insert(reader, until).is_none() {
            let what = if may_know { What::IdentityRead } else { What::IdentityWithheld };
            let entry = Entry::of(login, terms, what);
            self.audit.note(by(entry, &self.caller));
        }
    }
}

impl fmt::Debug for Reader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.caller.fmt(f)
    }
}
