//! What is sent to Redis for each method of the store: keys, arguments, TTLs.
//!
//! The heads of the scripts say what each argument means.

use std::time::Duration;

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;

use super::names::Names;
use super::script::{Call, LIST, LOAD, PUT_BACK, RELEASE, RESERVE, SAVE};
use super::sealed::{Field, Raw, Sealer};
use crate::session::{LoginId, Session, TenantId};
use crate::store::hash::HashKeys;
use crate::store::record::Formats;
use crate::store::retention::{LONGEST_LIFE, kept_until};
use crate::store::seal::KeyRing;
use crate::store::{OUTCOME_RETENTION, Page, Position, REQUEST_ID_RETENTION, Record, Reservation, StoreError};
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
    ring: KeyRing,
    hash_keys: HashKeys,
    formats: Formats,
    /// Tells writes of this process from equal ones of others.
    writer: String,
}

impl Calls {
    pub(super) fn new(ring: KeyRing, hash_keys: HashKeys, formats: Formats) -> Result<Self, getrandom::Error> {
        let mut writer = [0; 16];
        getrandom::fill(&mut writer)?;
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
        self.ring.headers()
    }

    /// `known` is the place of the tenant's stream that Redis must not be behind.
    pub(super) fn reserve(
        &self,
        reservation: &Reservation,
        record: &Record,
        known: Option<Position>,
        settle_time: Duration,
    ) -> Result<Call, StoreError> {
        let Reservation { session, charges, now, owner: _ } = reservation;
        let names = self.names(&session.terms.tenant);
        let request = names.request_digest(&session.terms);
        let claim = Claim::of(session, *now);
        let log_retention = charges.iter().map(|charge| charge.limit.window).fold(LOG_RETENTION, Duration::max);

        let mut call = Call::new(&RESERVE)
            .key(names.login(&session.id))
            .key(names.request(&request))
            .key(names.number(&session.terms.phone))
            .key(names.code(&session.terms.code))
            .key(names.index())
            .key(names.owned(&record.owner))
            .key(names.withdrawn(&session.id))
            .arg(now.as_millis())
            .arg(session.id.as_str())
            .arg(names.hash().digest("content", &[&session.terms.content]))
            .arg(&request)
            .arg(claim.until)
            .arg(claim.ttl)
            .arg(now.plus(REQUEST_ID_RETENTION).as_millis())
            .arg(millis(REQUEST_ID_RETENTION + CLEAN_UP_AFTER))
            .arg(record_ttl(session, *now))
            .arg(now.minus(INDEX_RETENTION).as_millis())
            .arg(millis(INDEX_RETENTION + CLEAN_UP_AFTER))
            .arg(now.minus(log_retention).as_millis())
            .arg(millis(log_retention + CLEAN_UP_AFTER))
            .arg(names.channel())
            .arg(self.writer());
        let known = known.unwrap_or_else(|| Position { epoch: String::new(), number: 0 });
        call = Self::with_stream(call, &names)?.arg(known.epoch).arg(known.number).arg(millis(settle_time));
        call = call.arg(charges.len());
        for charge in charges {
            call = call.key(names.log(&charge.number)).arg(charge.limit.max).arg(millis(charge.limit.window));
        }
        let sealer = self.sealer(&session.terms.tenant, &session.id);
        let version = sealer.version(record, Duration::ZERO, names.hash())?;
        Ok(with_fields(with_fields(call, sealer.terms(record)?), version.fields))
    }

    pub(super) fn release(&self, record: &Record, refund: bool) -> Result<Call, StoreError> {
        let session = &record.session;
        let names = self.names(&session.terms.tenant);
        let request = names.request_digest(&session.terms);
        let call = Call::new(&RELEASE)
            .key(names.login(&session.id))
            .key(names.request(&request))
            .key(names.number(&session.terms.phone))
            .key(names.code(&session.terms.code))
            .key(names.index())
            .key(names.log(&session.terms.phone))
            .key(names.withdrawn(&session.id))
            .arg(session.id.as_str())
            .arg(&request)
            .arg(u8::from(refund))
            .arg(names.channel())
            .arg(self.writer());
        Ok(Self::with_stream(call, &names)?.arg(names.owners()).arg(millis(CLAIM_LATENESS)))
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
            .key(names.number(&session.terms.phone))
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
        let call = Self::with_stream(call, &names)?
            .arg(names.owners())
            .arg(millis(INDEX_RETENTION + CLEAN_UP_AFTER))
            .arg(version.removed.len())
            .arg(&version.removed);
        Ok(with_fields(call, version.fields))
    }

    pub(super) fn put_back(&self, record: &Record, now: Timestamp, window: Duration) -> Result<Call, StoreError> {
        let session = &record.session;
        let (terms, names) = (&session.terms, self.names(&session.terms.tenant));
        let sealer = self.sealer(&terms.tenant, &session.id);
        let version = sealer.version(record, window, names.hash())?;
        let (identity, identity_ttl) = identity_of(version.identity, now);
        let (claim, request) = (Claim::of(session, now), names.request_digest(terms));
        let call = Call::new(&PUT_BACK)
            .key(names.login(&session.id))
            .key(names.identity(&session.id))
            .key(names.number(&terms.phone))
            .key(names.code(&terms.code))
            .key(names.request(&request))
            .key(names.index())
            .key(names.owned(&record.owner))
            .key(names.log(&terms.phone))
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
            .arg(names.hash().digest("content", &[&terms.content]))
            .arg(&request)
            .arg(terms.created_at.as_millis())
            .arg(terms.created_at.plus(REQUEST_ID_RETENTION).as_millis())
            .arg(millis(REQUEST_ID_RETENTION + CLEAN_UP_AFTER))
            .arg(millis(INDEX_RETENTION + CLEAN_UP_AFTER))
            .arg(millis(LOG_RETENTION + CLEAN_UP_AFTER))
            .arg(names.owners());
        Ok(with_fields(with_fields(call, sealer.terms(record)?), version.fields))
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

    pub(super) const fn sealer<'a>(&'a self, tenant: &'a TenantId, login: &'a LoginId) -> Sealer<'a> {
        Sealer { ring: &self.ring, formats: self.formats, tenant, login }
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

fn with_fields(call: Call, fields: Vec<Field>) -> Call {
    fields.into_iter().fold(call, |call, (name, value)| call.arg(name).arg(value))
}

fn record_ttl(session: &Session, now: Timestamp) -> u64 {
    millis(kept_until(session).since(now) + CLEAN_UP_AFTER)
}

pub(super) fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
