//! What is sent to Redis for each method of the store: keys, arguments, TTLs.
//!
//! The heads of the scripts say what each argument means. `guards` has those that count
//! starts and questions.

mod guards;

use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;

use ::redis::{Cmd, cmd};

use self::guards::{with_charges, with_cool_down};
use super::names::{Hashed, Names};
use super::script::{Call, LIST, LOAD, PUT_BACK, RELEASE, RESERVE, SAVE};
use super::sealed::{Field, Raw, Sealer};
use crate::ciba::AuthReqId;
use crate::phone::PhoneNumber;
use crate::session::{CallId, Ended, LoginId, Outcome, Session, State, TenantId, Terms};
use crate::store::Ping;
use crate::store::hash::HashKeys;
use crate::store::record::Formats;
use crate::store::retention::{LONGEST_LIFE, kept_until};
use crate::store::seal::KeyRing;
use crate::store::{
    Asker, Counter, DENIAL_RETENTION, OUTCOME_RETENTION, Page, Position, REQUEST_ID_RETENTION, Record, Reservation,
    StoreError,
};
use crate::timestamp::Timestamp;

/// How much longer than needed keys live, lest a clock that differs from
/// ours takes them early.
pub(super) const CLEAN_UP_AFTER: Duration = Duration::from_secs(600);
/// The same for identities, which should not lie about.
const IDENTITY_CLEAN_UP_AFTER: Duration = Duration::from_secs(5);
/// A reservation that was given up reaches Redis no later than this, if at all.
const CLAIM_LATENESS: Duration = Duration::from_secs(600);
/// Starts are remembered at least this long.
const LOG_RETENTION: Duration = Duration::from_secs(24 * 3600);
pub(super) const INDEX_RETENTION: Duration = LONGEST_LIFE.saturating_add(OUTCOME_RETENTION);

/// Makes calls, with the keys that their content needs.
pub(super) struct Calls {
    /// Replaced as a whole, while records are sealed and opened.
    ring: RwLock<Arc<KeyRing>>,
    hash_keys: HashKeys,
    formats: Formats,
    /// Tells writes of this process from equal ones of others.
    writer: String,
}

impl Calls {
    pub(super) fn new(ring: KeyRing, hash_keys: HashKeys, formats: Formats) -> Result<Self, getrandom::Error> {
        let mut writer = [0; 16];
        getrandom::fill(&mut writer)?;
        let ring = RwLock::new(Arc::new(ring));
        Ok(Self { ring, hash_keys, formats, writer: BASE64_URL_SAFE_NO_PAD.encode(writer) })
    }

    /// How this process signs what it announces.
    pub(super) fn writer(&self) -> &str {
        &self.writer
    }

    pub(super) const fn formats(&self) -> Formats {
        self.formats
    }

    /// How the blobs begin that can be opened here.
    pub(super) fn openable(&self) -> Vec<Vec<u8>> {
        self.ring().headers()
    }

    /// Seals and opens with these keys from now on.
    pub(super) fn renew_ring(&self, ring: KeyRing) {
        *self.ring.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(ring);
    }

    fn ring(&self) -> Arc<KeyRing> {
        Arc::clone(&self.ring.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// `known` is the place of the tenant's stream that Redis must not be behind.
    pub(super) fn reserve(
        &self,
        reservation: &Reservation,
        record: &Record,
        known: Option<Position>,
        settle_time: Duration,
    ) -> Result<Call, StoreError> {
        let Reservation { session, when_busy, charges, cool_down, now, owner: _ } = reservation;
        let names = self.names(&session.terms.tenant);
        let request = names.request_digest(Asker::from(&*session.terms));
        let claim = Claim::of(session, *now);

        let mut call = Call::new(&RESERVE)
            .key(names.login(&session.id))
            .key(names.request(&request))
            .key(names.number(&session.terms.person))
            .key(names.code(&session.terms.code))
            .key(names.index())
            .key(names.owned(&record.owner))
            .key(names.withdrawn(&session.id))
            .arg(now.as_millis())
            .arg(session.id.as_str())
            .arg(names.content(&session.terms))
            .arg(claim.until)
            .arg(claim.ttl)
            .arg(now.plus(REQUEST_ID_RETENTION).as_millis())
            .arg(millis(REQUEST_ID_RETENTION + CLEAN_UP_AFTER))
            .arg(record_ttl(session, *now))
            .arg(now.minus(INDEX_RETENTION).as_millis())
            .arg(millis(INDEX_RETENTION + CLEAN_UP_AFTER))
            .arg(names.channel())
            .arg(self.writer());
        let known = known.unwrap_or_else(|| Position { epoch: String::new(), number: 0 });
        call = Self::with_stream(call, &names)?
            .key(names.denials(Some(&session.terms.person)))
            .arg(known.epoch)
            .arg(known.number)
            .arg(millis(settle_time));
        call = with_cool_down(call, *cool_down)
            .key(names.call(session.terms.call.as_ref()))
            .key(names.logins_of(&session.terms.person))
            .arg(u8::from(session.terms.call.is_some()))
            .arg(when_busy.name())
            .arg(names.logins());
        call = with_charges(call, charges, &names, Asker::from(&*session.terms));
        let sealer = self.sealer(&session.terms.tenant, &session.id);
        let version = sealer.version(record, Duration::ZERO, names.hash())?;
        let call = with_fields(with_fields(call, sealer.terms(record)?), version.fields);
        Ok(self.rehashed(call, &names, &session.terms))
    }

    pub(super) fn release(&self, record: &Record, refund: bool) -> Result<Call, StoreError> {
        let session = &record.session;
        let names = self.names(&session.terms.tenant);
        let request = names.request_digest(Asker::from(&*session.terms));
        let call = Call::new(&RELEASE)
            .key(names.login(&session.id))
            .key(names.request(&request))
            .key(names.number(&session.terms.person))
            .key(names.code(&session.terms.code))
            .key(names.index())
            .key(names.withdrawn(&session.id))
            .arg(session.id.as_str())
            .arg(&request)
            .arg(u8::from(refund))
            .arg(names.channel())
            .arg(self.writer());
        let call = Self::with_stream(call, &names)?
            .key(names.call(session.terms.call.as_ref()))
            .key(names.logins_of(&session.terms.person))
            .arg(names.owners())
            .arg(millis(CLAIM_LATENESS));
        let counters = Counter::ALL.into_iter().filter(|counter| !counter.counts_numbers());
        let logs = counters.filter_map(|counter| names.log(counter, Asker::from(&*session.terms)));
        Ok(self.rehashed(logs.fold(call, Call::key), &names, &session.terms))
    }

    pub(super) fn ping_of(&self, request: &AuthReqId) -> Ping {
        Ping::of(request, &self.hash_keys)
    }

    fn each_hash_key(&self) -> impl Iterator<Item = &HashKeys> {
        self.hash_keys.other().into_iter().chain([&self.hash_keys])
    }

    pub(super) fn load(&self, tenant: &TenantId, login: &LoginId) -> Call {
        let names = self.names(tenant);
        Call::new(&LOAD).key(names.login(login)).key(names.identity(login)).key(names.stream_head())
    }

    /// Writes `next` if the stored version is still `read`.
    pub(super) fn save(&self, read: u64, next: &Record, now: Timestamp, window: Duration) -> Result<Call, StoreError> {
        let session = &next.session;
        let names = self.names(&session.terms.tenant);
        let version = self.sealer(&session.terms.tenant, &session.id).version(next, window, names.hash())?;
        let token = names.hash().digest("token", &[self.writer.as_bytes(), version.digest.as_bytes()]);
        let claim = Claim::of(session, now);
        let (identity, identity_ttl) = identity_of(version.identity, now);

        let call = Call::new(&SAVE)
            .key(names.login(&session.id))
            .key(names.identity(&session.id))
            .key(names.number(&session.terms.person))
            .key(names.code(&session.terms.code))
            .key(names.owned(&next.owner))
            .arg(now.as_millis())
            .arg(session.id.as_str())
            .arg(read)
            .arg(token)
            .arg(next.version)
            .arg(record_ttl(session, now))
            .arg(claim.until)
            .arg(claim.ttl)
            .arg(identity)
            .arg(identity_ttl)
            .arg(names.channel())
            .arg(self.writer());
        let terms = &session.terms;
        let call = Self::with_stream(call, &names)?
            .key(names.denials(Some(&terms.person)))
            .key(names.log(Counter::Number, Asker::from(&**terms)).unwrap_or_else(|| names.nothing()))
            .key(names.call(terms.call.as_ref()))
            .arg(names.owners())
            .arg(millis(INDEX_RETENTION + CLEAN_UP_AFTER))
            .arg(millis(DENIAL_RETENTION))
            .arg(millis(DENIAL_RETENTION + CLEAN_UP_AFTER))
            .arg(names.landings())
            .arg(landing_digest(session, &names))
            .arg(version.removed.len())
            .arg(&version.removed);
        Ok(self.rehashed(with_fields(call, version.fields), &names, terms))
    }

    pub(super) fn put_back(&self, record: &Record, now: Timestamp, window: Duration) -> Result<Call, StoreError> {
        let session = &record.session;
        let (terms, names) = (&session.terms, self.names(&session.terms.tenant));
        let sealer = self.sealer(&terms.tenant, &session.id);
        let version = sealer.version(record, window, names.hash())?;
        let (identity, identity_ttl) = identity_of(version.identity, now);
        let (claim, request) = (Claim::of(session, now), names.request_digest(Asker::from(&**terms)));
        let call = Call::new(&PUT_BACK)
            .key(names.login(&session.id))
            .key(names.identity(&session.id))
            .key(names.number(&terms.person))
            .key(names.code(&terms.code))
            .key(names.request(&request))
            .key(names.index())
            .key(names.owned(&record.owner))
            .key(names.denials(Some(&terms.person)))
            .arg(now.as_millis())
            .arg(session.id.as_str())
            .arg(record.version)
            .arg(u8::from(session.has_ended()))
            .arg(record_ttl(session, now))
            .arg(claim.until)
            .arg(claim.ttl)
            .arg(identity)
            .arg(identity_ttl)
            .arg(names.channel())
            .arg(self.writer());
        let call = Self::with_stream(call, &names)?
            .key(names.withdrawn(&session.id))
            .key(names.call(terms.call.as_ref()))
            .key(names.logins_of(&terms.person))
            .arg(names.content(terms))
            .arg(denied_at(session))
            .arg(terms.created_at.as_millis())
            .arg(terms.created_at.plus(REQUEST_ID_RETENTION).as_millis())
            .arg(millis(REQUEST_ID_RETENTION + CLEAN_UP_AFTER))
            .arg(millis(INDEX_RETENTION + CLEAN_UP_AFTER))
            .arg(millis(LOG_RETENTION + CLEAN_UP_AFTER))
            .arg(names.owners())
            .arg(u8::from(terms.call.is_some()))
            .arg(names.landings())
            .arg(landing_digest(session, &names));
        let logs =
            Counter::ALL.into_iter().filter_map(|counter| Some((counter, names.log(counter, Asker::from(&**terms))?)));
        let logs: Vec<_> = logs.collect();
        let call = logs.iter().fold(call.arg(logs.len()), |call, (counter, log)| {
            call.key(log.clone()).arg(names.member(*counter, Asker::from(&**terms)))
        });
        let call = with_fields(with_fields(call, sealer.terms(record)?), version.fields);
        Ok(self.rehashed(call, &names, terms))
    }

    /// Under each hash key, with the digest that the same content has.
    pub(super) fn started_before(&self, asker: Asker<'_>, content: &[u8; 32]) -> Vec<(Cmd, String)> {
        let command = |keys: &HashKeys| {
            let names = Names::of(asker.tenant, keys);
            let mut call = cmd("HMGET");
            call.arg(names.request(&names.request_digest(asker))).arg("login").arg("content").arg("until");
            (call, names.content_of(asker.client, content))
        };
        self.each_hash_key().map(command).collect()
    }

    /// Under each hash key.
    pub(super) fn login_of_call(&self, tenant: &TenantId, call_id: &CallId) -> Vec<Cmd> {
        let command = |keys: &HashKeys| {
            let mut call = cmd("HGET");
            call.arg(Names::of(tenant, keys).call(Some(call_id))).arg("login");
            call
        };
        self.each_hash_key().map(command).collect()
    }

    /// Under each hash key.
    pub(super) fn login_of_request(&self, tenant: &TenantId, auth_req_id: &AuthReqId) -> Vec<Cmd> {
        let command = |keys: &HashKeys| {
            let names = Names::of(tenant, keys);
            let mut call = cmd("GET");
            call.arg(names.landings() + &names.landing_digest(auth_req_id));
            call
        };
        self.each_hash_key().map(command).collect()
    }

    /// Under each hash key.
    pub(super) fn logins_of_number(&self, tenant: &TenantId, number: &PhoneNumber, now: Timestamp) -> Vec<Cmd> {
        let (since, person) = (now.minus(INDEX_RETENTION).as_millis(), number.clone().into());
        let command = |keys: &HashKeys| {
            let mut call = cmd("ZRANGE");
            call.arg(Names::of(tenant, keys).logins_of(&person)).arg(since).arg("+inf").arg("BYSCORE");
            call
        };
        self.each_hash_key().map(command).collect()
    }

    pub(super) fn other_names(&self, tenant: &TenantId) -> Option<Names> {
        self.hash_keys.other().map(|keys| Names::of(tenant, keys))
    }

    /// With what a login has under the other hash key, should there be one.
    fn rehashed(&self, call: Call, names: &Names, terms: &Terms) -> Call {
        let other = self.other_names(&terms.tenant);
        let content = other.as_ref().map(|other| other.content(terms)).unwrap_or_default();
        with_pairs(call, other.as_ref().map(|other| [other, names].map(|names| names.of_login(terms))), &content)
    }

    pub(super) fn list(&self, tenant: &TenantId, now: Timestamp, page: &Page) -> Call {
        let names = self.names(tenant);
        let place = page.after.as_ref().map(|place| (place.created_at.as_millis().to_string(), place.login.as_str()));
        let (time, login) = place.unwrap_or_else(|| ("+inf".to_owned(), ""));
        Call::new(&LIST)
            .key(names.index())
            .arg(now.as_millis())
            .arg(now.minus(INDEX_RETENTION).as_millis())
            .arg(page.limit)
            .arg(names.logins())
            .arg(names.identities())
            .arg(time)
            .arg(login)
            .arg(u8::from(page.live_only))
    }

    /// Reads what [`Calls::load`] or [`Calls::list`] brought.
    pub(super) fn open(
        &self,
        tenant: &TenantId,
        login: &LoginId,
        raw: Raw,
        now: Timestamp,
    ) -> Result<Option<Record>, StoreError> {
        self.sealer(tenant, login).open(raw, now)
    }

    pub(super) fn names(&self, tenant: &TenantId) -> Names {
        Names::of(tenant, &self.hash_keys)
    }

    pub(super) fn sealer<'a>(&self, tenant: &'a TenantId, login: &'a LoginId) -> Sealer<'a> {
        self.item_sealer(tenant, login.as_str())
    }

    /// For a login or something else that has a name of its own.
    pub(super) fn item_sealer<'a>(&self, tenant: &'a TenantId, item: &'a str) -> Sealer<'a> {
        Sealer { ring: self.ring(), formats: self.formats, tenant, item }
    }
}

/// How long a login holds its number and its code.
struct Claim {
    /// Empty once the login has ended.
    until: String,
    ttl: u64,
}

impl Claim {
    fn of(session: &Session, now: Timestamp) -> Self {
        let ttl = |deadline: Timestamp| millis(deadline.since(now) + CLEAN_UP_AFTER);
        let deadline = session.deadline();
        let until = deadline.map(|deadline| deadline.as_millis().to_string()).unwrap_or_default();
        Self { until, ttl: deadline.map_or(0, ttl) }
    }
}

/// The sealed identity and its TTL; empty when there is none any more.
fn identity_of(identity: Option<(Vec<u8>, Timestamp)>, now: Timestamp) -> (Vec<u8>, u64) {
    match identity.filter(|(_, until)| now < *until) {
        Some((sealed, until)) => (sealed, millis(until.since(now) + IDENTITY_CLEAN_UP_AFTER)),
        None => (Vec::new(), 0),
    }
}

/// By what a landing finds the login; empty while and where none does.
fn landing_digest(session: &Session, names: &Names) -> String {
    session.landing_handle().map(|auth_req_id| names.landing_digest(auth_req_id)).unwrap_or_default()
}

/// When the person has said no, empty if not.
fn denied_at(session: &Session) -> String {
    match &session.state {
        State::Ended(Ended { at, outcome: Outcome::Denied }) => at.as_millis().to_string(),
        _ => String::new(),
    }
}

/// What `rehash.lua` takes: names under the other key beside our own.
fn with_pairs(call: Call, names: Option<[Vec<Hashed>; 2]>, other_content: &str) -> Call {
    let [others, ours] = names.unwrap_or_default();
    let number = ours.len();
    let pairs = others.into_iter().zip(ours);
    let call = pairs.fold(call, |call, (other, our)| call.key(other.name).key(our.name).arg(our.kind));
    call.arg(number).arg(other_content)
}

fn with_fields(call: Call, fields: Vec<Field>) -> Call {
    fields.into_iter().fold(call, |call, (name, value)| call.arg(name).arg(value))
}

fn record_ttl(session: &Session, now: Timestamp) -> u64 {
    millis(kept_until(session).since(now) + CLEAN_UP_AFTER)
}

pub(super) fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
