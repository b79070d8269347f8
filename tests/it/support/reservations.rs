//! Logins to put into a store.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use ciba_gateway::ciba::{Accepted, AuthReqId, Tokens};
use ciba_gateway::identity::{Claim, Identity};
use ciba_gateway::language::Language;
use ciba_gateway::phone::{BindingCode, PhoneNumber};
use ciba_gateway::session::{Channel, ClientId, CodeMode, Event, LoginId, RequestId, Session, TenantId, Terms};
use ciba_gateway::store::{Charge, CoolDown, Counter, Incarnation, Limit, Record, Reservation, WhenBusy};
use ciba_gateway::timestamp::Timestamp;

/// The present at the beginning of each story.
pub(crate) const NOW: Timestamp = Timestamp::from_millis(1_800_000_000_000);

pub(crate) const AUTH_REQ_ID: &str = "the-handle-of-the-provider";
pub(crate) const ACCESS_TOKEN: &str = "the-access-token";
pub(crate) const ID_TOKEN: &str = "the-id-token";
pub(crate) const FULL_NAME: &str = "Ada Lovelace";
pub(crate) const NIN: &str = "10921512345";

pub(crate) fn tenant(name: &str) -> TenantId {
    TenantId::new(name).expect("a tenant")
}

pub(crate) fn number(seed: u8) -> PhoneNumber {
    PhoneNumber::from_msisdn(&format!("47912345{seed:02}")).expect("a number")
}

/// A code for each seed below 28.
pub(crate) fn code(seed: u8) -> BindingCode {
    let last = char::from(b"ACDEFGHJKLMNPQRTUVWXYZ234679"[usize::from(seed)]);
    BindingCode::parse(&format!("WXYZ{last}")).expect("a code")
}

pub(crate) fn request_id(seed: u8) -> RequestId {
    RequestId::new(format!("request-of-caller-{seed}")).expect("a request id")
}

pub(crate) fn login_id(seed: u8) -> LoginId {
    LoginId::from_random([seed; 20])
}

pub(crate) fn incarnation(name: &str) -> Incarnation {
    Incarnation(name.to_owned())
}

pub(crate) fn limit(max: u32, window_secs: u64) -> Limit {
    Limit { max, window: Duration::from_secs(window_secs) }
}

pub(crate) fn secs(secs: u64) -> Duration {
    Duration::from_secs(secs)
}

/// A start whose login, number, code and request id are all of that seed.
pub(crate) fn reservation(seed: u8) -> Reservation {
    reservation_at(seed, NOW)
}

pub(crate) fn reservation_at(seed: u8, now: Timestamp) -> Reservation {
    Reservation {
        session: Session::new(login_id(seed), terms(seed, now), now),
        owner: incarnation("first-run"),
        when_busy: WhenBusy::Refuse,
        charges: Vec::new(),
        cool_down: CoolDown { first: secs(300), longest: secs(86_400) },
        now,
    }
}

/// The same with a limit on how often its number may be rung.
pub(crate) fn charged(reservation: Reservation, limit: Limit) -> Reservation {
    Reservation { charges: vec![Charge { counter: Counter::Number, limits: vec![limit] }], ..reservation }
}

fn terms(seed: u8, created_at: Timestamp) -> Terms {
    Terms {
        tenant: tenant("acme"),
        client: ClientId::new("desk").expect("a client"),
        request_id: request_id(seed),
        content: [seed; 32],
        agent: None,
        terminal: None,
        call: None,
        channel: Channel::CallCentre,
        call_direction: None,
        person: number(seed).into(),
        code: code(seed),
        code_mode: CodeMode::ReadBack,
        purpose: None,
        claims: BTreeSet::from([Claim::Name, Claim::Nin]),
        required_claims: [].into(),
        lifetime: secs(300),
        expected_subject: None,
        labels: BTreeMap::from([("case".to_owned(), "label-of-the-case".to_owned())]),
        language: Language::English,
        created_at,
        handed_over: None,
        finish: ciba_gateway::session::Finish::InApp,
    }
}

pub(crate) fn identity() -> Box<Identity> {
    let userinfo = format!(r#"{{"sub":"the-subject","name":"{FULL_NAME}","nin":"{NIN}"}}"#);
    Box::new(Identity::from_userinfo(userinfo.as_bytes()).expect("userinfo"))
}

pub(crate) fn accepted() -> Event {
    let auth_req_id = AuthReqId::new(AUTH_REQ_ID).expect("a handle");
    Event::Accepted { accepted: Accepted { auth_req_id, expires_in: secs(240), interval: secs(5) }, sent_at: NOW }
}

pub(crate) fn redeemed() -> Event {
    Event::Redeemed(Tokens::new(ACCESS_TOKEN.to_owned(), Some(ID_TOKEN.to_owned())))
}

/// The record after an event, not yet saved.
pub(crate) fn after(record: &Record, event: Event, now: Timestamp) -> Record {
    let session = record.session.clone().apply(event, now).expect("a legal event");
    Record { session, ..record.clone() }
}
