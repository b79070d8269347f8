//! One tenant's logins, claims and logs; each method is one step under the lock. `guards`
//! counts starts and questions.

mod guards;

use std::cmp::Reverse;
use std::collections::{HashMap, VecDeque};
use std::mem::{Discriminant, discriminant};
use std::sync::Arc;
use std::time::Duration;

use sha2::{Digest, Sha256};

use super::counting::{Denials, Log, Member, Request, log_of};
use super::stream::Stream;
use crate::ciba::AuthReqId;
use crate::phone::PhoneNumber;
use crate::session::{CallId, CodeCheck, Ended, FailureReason, LoginId, Outcome, Person, Session, State};
use crate::store::retention::{identity_until, kept_until};
use crate::store::{
    Asker, Batch, Counted, Counter, Events, Incarnation, Listed, Page, Question, REQUEST_ID_RETENTION, Rank, Record,
    Reservation, Reserved, Saved, WhenBusy,
};
use crate::timestamp::Timestamp;

/// Between two searches for what is past its time.
const SWEEP_EVERY: Duration = Duration::from_secs(10);
/// What was put back is remembered this long, whatever the limits are.
const LOG_RETENTION: Duration = Duration::from_secs(24 * 3600);

/// Reservations of which it is known that they were taken back.
const WITHDRAWN_KEPT: usize = 1000;

pub(super) struct Tenant {
    /// Written in the same steps as the logins.
    pub(super) stream: Stream,
    logins: HashMap<LoginId, Kept>,
    /// Reservations that were taken back, the newest last.
    withdrawn: VecDeque<LoginId>,
    requests: HashMap<Request, Spent>,
    numbers: HashMap<Person, Claim>,
    /// With the login that each had last.
    calls: HashMap<CallId, Claim>,
    /// By the code's text.
    codes: HashMap<String, Claim>,
    logs: HashMap<(Counter, String), Log>,
    denials: HashMap<Person, Denials>,
    /// Of logins that end by a landing, by the hash of their handle.
    requested: HashMap<[u8; 32], LoginId>,
    next_sweep: Timestamp,
}

/// A record and how long its identity may be shown.
struct Kept {
    record: Record,
    identity_until: Option<Timestamp>,
}

/// A request id that has started a login.
struct Spent {
    login: LoginId,
    content: [u8; 32],
    until: Timestamp,
}

/// What a live login holds alone.
struct Claim {
    login: LoginId,
    until: Timestamp,
}

impl Tenant {
    /// Nobody's logins yet, and a stream of that epoch.
    pub(super) fn new(epoch: String) -> Self {
        Self {
            stream: Stream::new(epoch),
            logins: HashMap::new(),
            withdrawn: VecDeque::new(),
            requests: HashMap::new(),
            numbers: HashMap::new(),
            calls: HashMap::new(),
            codes: HashMap::new(),
            logs: HashMap::new(),
            denials: HashMap::new(),
            requested: HashMap::new(),
            next_sweep: Timestamp::default(),
        }
    }

    pub(super) fn reserve(&mut self, reservation: &Reservation) -> Reserved {
        let now = reservation.now;
        let Session { id, terms, .. } = &reservation.session;
        let request = (terms.client.clone(), terms.request_id.clone());
        if let Some(spent) = self.requests.get(&request).filter(|spent| now < spent.until) {
            return spent.answer(reservation);
        }
        let call = terms.call.as_ref().and_then(|call| self.calls.get(call));
        let claims =
            [self.numbers.get(&terms.person), call].map(|claim| claim.filter(|claim| claim.keeps_out(id, now)));
        let busy = match claims {
            [Some(number), _] => Some(Reserved::NumberBusy(number.login.clone())),
            [None, Some(call)] => Some(Reserved::CallBusy(call.login.clone())),
            [None, None] => None,
        };
        if let (Some(Reserved::NumberBusy(holder) | Reserved::CallBusy(holder)), WhenBusy::Join) =
            (&busy, reservation.when_busy)
            && self.has_content_of(holder, reservation)
        {
            let until = now.plus(REQUEST_ID_RETENTION);
            let spent = Spent { login: holder.clone(), content: terms.content, until };
            self.requests.insert(request, spent);
            return Reserved::Joined(holder.clone());
        }
        // Whoever would replace it must be able to start before it goes.
        if let Some(busy) = busy.clone().filter(|_| reservation.when_busy != WhenBusy::Replace) {
            return busy;
        }
        let question =
            Question { asker: (&**terms).into(), charges: &reservation.charges, cool_down: reservation.cool_down, now };
        match self.weigh(&question) {
            Counted::Counted => {}
            Counted::CoolingDown { retry_after } => return Reserved::CoolingDown { retry_after },
            Counted::LimitReached { counter, retry_after } => return Reserved::LimitReached { counter, retry_after },
        }
        if let Some(busy) = busy {
            return busy;
        }
        if self.codes.get(terms.code.expose()).is_some_and(|claim| claim.keeps_out(id, now)) {
            return Reserved::CodeTaken;
        }

        let spent = Spent { login: id.clone(), content: terms.content, until: now.plus(REQUEST_ID_RETENTION) };
        self.requests.insert(request.clone(), spent);
        self.charge(&question);
        let record = reservation.first_record();
        // Whoever still stands there is past its deadline.
        self.numbers.remove(&terms.person);
        self.codes.remove(terms.code.expose());
        if let Some(call) = &terms.call {
            self.calls.remove(call);
        }
        self.put(record.clone(), Duration::ZERO);
        self.stream.append(&record, now);
        Reserved::New(record)
    }

    pub(super) fn started_before(&self, asker: Asker<'_>, content: &[u8; 32], now: Timestamp) -> Option<Reserved> {
        let spent = self.requests.get(&(asker.client.clone(), asker.request_id.clone()));
        spent.filter(|spent| now < spent.until).map(|spent| spent.stands_for(content))
    }

    /// Whether `holder` is the same client's, and what the reservation asks for.
    fn has_content_of(&self, holder: &LoginId, reservation: &Reservation) -> bool {
        let terms = &reservation.session.terms;
        let known = self.logins.get(holder).map(|kept| &kept.record.session.terms);
        known.is_some_and(|known| known.client == terms.client && known.content == terms.content)
    }

    pub(super) fn login_of_call(&self, call: &CallId) -> Option<LoginId> {
        self.calls.get(call).map(|claim| claim.login.clone())
    }

    pub(super) fn login_of_request(&self, auth_req_id: &AuthReqId) -> Option<LoginId> {
        self.requested.get(&hash_of(auth_req_id)).cloned()
    }

    pub(super) fn logins_of_number(&self, number: &PhoneNumber) -> Vec<LoginId> {
        let of_number = self.logins.iter().filter(|(_, kept)| kept.record.session.terms.person.phone() == Some(number));
        of_number.map(|(login, _)| login.clone()).collect()
    }

    /// The record that is gone, if it was still `Starting`.
    pub(super) fn release(&mut self, record: &Record, refund: bool) -> Option<Record> {
        let Session { id, terms, .. } = &record.session;
        let kept = self.logins.get(id).map(|kept| &kept.record.session.state);
        let given_up = Outcome::Failed(FailureReason::StartUnknown);
        let is_given_up = matches!(kept, Some(State::Ended(ended)) if ended.outcome == given_up);
        if !is_given_up && !matches!(kept, None | Some(State::Starting(_))) {
            return None;
        }
        self.withdrawn.push_back(id.clone());
        let surplus = self.withdrawn.len().saturating_sub(WITHDRAWN_KEPT);
        self.withdrawn.drain(..surplus);
        kept?;
        let request = (terms.client.clone(), terms.request_id.clone());
        if self.requests.get(&request).is_some_and(|spent| spent.login == *id) {
            self.requests.remove(&request);
        }
        if refund {
            let start = Member::Start(request);
            for log in Counter::ALL.into_iter().filter_map(|counter| log_of(counter, (&**terms).into())) {
                self.logs.entry(log).and_modify(|log| log.remove(&start));
            }
        }
        if is_given_up {
            return None;
        }
        self.free(&record.session);
        self.calls.retain(|_, claim| claim.login != *id);
        let released = self.logins.remove(id)?.record;
        self.stream.released(&released);
        Some(released)
    }

    pub(super) fn is_withdrawn(&self, login: &LoginId) -> bool {
        self.withdrawn.contains(login)
    }

    pub(super) fn load(&self, login: &LoginId, now: Timestamp) -> Option<Record> {
        self.logins.get(login)?.seen_at(now)
    }

    pub(super) fn save(&mut self, record: &Record, now: Timestamp, identity_window: Duration) -> Saved {
        let Some(stored) = self.load(&record.session.id, now) else {
            return Saved::Gone;
        };
        let next = Record { version: record.version + 1, ..record.clone() };
        if stored == next {
            return self.written(next);
        }
        if stored.version != record.version {
            return Saved::Conflict;
        }
        let is_event = marks(&stored.session) != marks(&next.session);
        self.put(next.clone(), identity_window);
        if let (false, State::Ended(ended)) = (stored.session.has_ended(), &next.session.state) {
            self.remember_answer(&next.session.terms, ended);
        }
        if is_event {
            self.stream.append(&next, now);
        }
        self.written(next)
    }

    fn written(&self, record: Record) -> Saved {
        let is_denied = matches!(&record.session.state, State::Ended(ended) if ended.outcome == Outcome::Denied);
        let denials = self.denials.get(&record.session.terms.person).filter(|_| is_denied);
        Saved::Written { denials: denials.map_or(0, |denials| denials.count), record }
    }

    /// The record that was written, if any: see `SessionStore::put_back`.
    pub(super) fn put_back(&mut self, record: &Record, now: Timestamp, identity_window: Duration) -> Option<Record> {
        let session = &record.session;
        let mut written = record.clone();
        if let Some(stored) = self.load(&session.id, now) {
            if stored.session.has_ended() || stored.age() >= record.age() {
                return None;
            }
            written.version = record.version.max(stored.version + 1);
        }
        let terms = &session.terms;
        let request = (terms.client.clone(), terms.request_id.clone());
        let until = terms.created_at.plus(REQUEST_ID_RETENTION);
        let spent = Spent { login: session.id.clone(), content: terms.content, until };
        self.requests.entry(request).or_insert(spent);
        for counter in Counter::ALL {
            self.add(counter, (&**terms).into(), LOG_RETENTION, terms.created_at);
        }
        if let State::Ended(Ended { at, outcome: Outcome::Denied }) = session.state {
            self.denials.entry(terms.person.clone()).or_insert(Denials { count: 1, last: at });
        }
        self.put(written.clone(), identity_window);
        self.stream.append(&written, now);
        Some(written)
    }

    /// What `owner` has among the logins that are not over.
    pub(super) fn owned(&self, owner: &Incarnation, after: Option<&LoginId>, limit: usize, now: Timestamp) -> Batch {
        let live = |kept: &&Kept| kept.record.owner == *owner && !kept.record.session.has_ended();
        let mut records: Vec<_> = self.logins.values().filter(live).filter_map(|kept| kept.seen_at(now)).collect();
        records.retain(|record| after.is_none_or(|after| record.session.id.as_str() > after.as_str()));
        records.sort_by(|one, other| one.session.id.as_str().cmp(other.session.id.as_str()));
        records.truncate(limit);
        let next = records.last().filter(|_| records.len() == limit).map(|record| record.session.id.clone());
        Batch { records, next, left_behind: 0 }
    }

    /// Gives what [`Tenant::owned`] finds for `from` to `to`.
    pub(super) fn adopt(
        &mut self,
        from: &Incarnation,
        to: &Incarnation,
        after: Option<&LoginId>,
        limit: usize,
        now: Timestamp,
    ) -> Batch {
        let mut batch = self.owned(from, after, limit, now);
        for record in &mut batch.records {
            record.owner = to.clone();
            record.epoch += 1;
            record.version += 1;
            if let Some(kept) = self.logins.get_mut(&record.session.id) {
                kept.record.owner = to.clone();
                (kept.record.epoch, kept.record.version) = (record.epoch, record.version);
            }
        }
        batch
    }

    pub(super) fn list(&self, now: Timestamp, page: &Page) -> Listed {
        let order = |session: &Session| (session.terms.created_at, session.id.clone());
        let after = page.after.as_ref().map(|place| (place.created_at, place.login.clone()));
        let mut records: Vec<_> = self.logins.values().filter_map(|kept| kept.seen_at(now)).collect();
        records.retain(|record| after.as_ref().is_none_or(|after| order(&record.session) < *after));
        records.sort_by_cached_key(|record| Reverse(order(&record.session)));
        records.truncate(page.limit);
        let last = records.last().filter(|_| records.len() == page.limit).map(|record| order(&record.session));
        let next = last.map(|(created_at, login)| Rank { created_at, login });
        records.retain(|record| !(page.live_only && record.session.has_ended()));
        Listed { records, next }
    }

    pub(super) fn events(&self, after: u64, limit: usize, now: Timestamp) -> Events {
        let kept = |login: &LoginId| self.logins.get(login).filter(|kept| now < kept_until(&kept.record.session));
        self.stream.read(after, limit, now, |login| kept(login).map(|kept| Arc::clone(&kept.record.session.terms)))
    }

    /// Drops what nobody can see any more.
    pub(super) fn sweep(&mut self, now: Timestamp) {
        if now < self.next_sweep {
            return;
        }
        self.next_sweep = now.plus(SWEEP_EVERY);
        self.requests.retain(|_, spent| now < spent.until);
        self.numbers.retain(|_, claim| now < claim.until);
        self.codes.retain(|_, claim| now < claim.until);
        self.logs.retain(|_, log| log.sweep(now));
        self.denials.retain(|_, denials| denials.count_at(now));
        self.logins.retain(|_, kept| kept.sweep(now));
        self.calls.retain(|_, claim| self.logins.contains_key(&claim.login));
        self.requested.retain(|_, login| self.logins.contains_key(login));
    }

    fn put(&mut self, record: Record, identity_window: Duration) {
        let session = &record.session;
        if let Some(auth_req_id) = session.landing_handle() {
            self.requested.insert(hash_of(auth_req_id), session.id.clone());
        } else if session.has_ended() && !session.terms.finish.is_in_app() {
            self.requested.retain(|_, login| *login != session.id);
        }
        match session.deadline() {
            Some(until) => self.hold(session, until),
            None => self.free(session),
        }
        let identity_until = identity_until(session, identity_window);
        self.logins.insert(session.id.clone(), Kept { record, identity_until });
    }

    /// A login past its deadline may have lost its number to another already.
    fn hold(&mut self, session: &Session, until: Timestamp) {
        let claim = || Claim { login: session.id.clone(), until };
        let number = self.numbers.entry(session.terms.person.clone()).or_insert_with(claim);
        let code = self.codes.entry(session.terms.code.expose().to_owned()).or_insert_with(claim);
        let call = session.terms.call.clone().map(|call| self.calls.entry(call).or_insert_with(claim));
        for held in [number, code].into_iter().chain(call) {
            if held.login == session.id {
                held.until = until;
            }
        }
    }

    fn free(&mut self, session: &Session) {
        let number = &session.terms.person;
        if self.numbers.get(number).is_some_and(|claim| claim.login == session.id) {
            self.numbers.remove(number);
        }
        let call = session.terms.call.as_ref().and_then(|call| self.calls.get_mut(call));
        if let Some(claim) = call.filter(|claim| claim.login == session.id) {
            claim.until = Timestamp::default();
        }
        let code = session.terms.code.expose();
        if self.codes.get(code).is_some_and(|claim| claim.login == session.id) {
            self.codes.remove(code);
        }
    }
}

impl Kept {
    /// The record without what is past its time.
    fn seen_at(&self, now: Timestamp) -> Option<Record> {
        if now >= kept_until(&self.record.session) {
            return None;
        }
        let mut record = self.record.clone();
        if self.identity_until.is_some_and(|until| now >= until) {
            record.session = without_identity(record.session, now);
        }
        Some(record)
    }

    /// Forgets what is past its time; `false` when that is everything.
    fn sweep(&mut self, now: Timestamp) -> bool {
        if let Some(record) = self.seen_at(now) {
            self.record = record;
            return true;
        }
        false
    }
}

fn hash_of(auth_req_id: &AuthReqId) -> [u8; 32] {
    Sha256::digest(auth_req_id.expose()).into()
}

/// What makes an event when it changes.
fn marks(session: &Session) -> (&'static str, Option<Discriminant<CodeCheck>>, u8, u32) {
    let code = session.code_check();
    let tries = match code {
        Some(CodeCheck::Open { tries, .. }) => *tries,
        Some(CodeCheck::NotAsked | CodeCheck::Matched) | None => 0,
    };
    (session.state.name(), code.map(discriminant), tries, session.terms.times_handed_over())
}

/// The login when nobody may know any more who it was.
fn without_identity(session: Session, now: Timestamp) -> Session {
    match &session.state {
        State::AwaitingCode(_) => session.overdue(now).unwrap_or(session),
        State::Ended(Ended { at, outcome: Outcome::Approved { .. } }) => {
            let state = State::Ended(Ended { at: *at, outcome: Outcome::Approved { identity: None } });
            Session { state, ..session }
        }
        State::Starting(_) | State::Pending(_) | State::Redeemed(_) | State::Ended(_) => session,
    }
}

impl Spent {
    fn stands_for(&self, content: &[u8; 32]) -> Reserved {
        if self.content == *content { Reserved::Existing(self.login.clone()) } else { Reserved::RequestIdReused }
    }

    fn answer(&self, reservation: &Reservation) -> Reserved {
        if self.login == reservation.session.id {
            Reserved::New(reservation.first_record())
        } else {
            self.stands_for(&reservation.session.terms.content)
        }
    }
}

impl Claim {
    fn keeps_out(&self, login: &LoginId, now: Timestamp) -> bool {
        self.login != *login && now < self.until
    }
}
