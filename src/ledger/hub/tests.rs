//! What a subscriber is told, and what not twice.

use super::*;
use crate::ciba::MAX_LIFETIME;
use crate::language::Language;
use crate::phone::{BindingCode, Country, PhoneNumber};
use crate::session::{Channel, ClientId, CodeMode, Event, Labels, RequestId, Session, Terms};
use crate::store::Incarnation;
use crate::timestamp::Timestamp;

pub(crate) const T0: Timestamp = Timestamp::from_millis(1_700_000_000_000);

pub(crate) fn record(seed: u8, version: u64) -> Record {
    let terms = Terms {
        tenant: tenant(),
        client: ClientId::new("desk").unwrap(),
        request_id: RequestId::new("r-1").unwrap(),
        content: [0; 32],
        agent: None,
        terminal: None,
        call: None,
        channel: Channel::TvBox,
        call_direction: None,
        person: PhoneNumber::parse("+4790000001", Country::Norway).unwrap().into(),
        code: BindingCode::parse("ACDEF").unwrap(),
        code_mode: CodeMode::Display,
        purpose: None,
        claims: [].into(),
        required_claims: [].into(),
        lifetime: MAX_LIFETIME,
        expected_subject: None,
        labels: Labels::new(),
        language: Language::English,
        created_at: T0,
        handed_over: None,
        finish: crate::session::Finish::InApp,
    };
    let session = Session::new(LoginId::from_random([seed; 20]), terms, T0);
    Record { session, format: 1, version, epoch: 1, owner: Incarnation("a-run".to_owned()) }
}

pub(crate) fn ended(record: Record) -> Record {
    Record { session: record.session.apply(Event::Cancelled, T0).unwrap(), ..record }
}

pub(crate) fn tenant() -> TenantId {
    TenantId::new("acme").unwrap()
}

/// Otherwise whoever waits for the end of a login in a store that was rolled
/// back would look for it for ever, without a pause.
#[test]
fn an_end_is_news_whatever_its_version() {
    let hub = Hub::default();
    let (live, end) = (record(7, 5), ended(record(7, 3)));
    let mut subscription = hub.subscribe(&tenant(), &live.session.id);
    hub.publish(&Arc::new(live.clone()));
    hub.publish(&Arc::new(end.clone()));
    hub.publish(&Arc::new(live));
    assert_eq!(subscription.latest().as_deref(), Some(&end));
}

#[test]
fn only_what_is_newer_than_what_was_told_is_wanted() {
    let hub = Hub::default();
    let known = record(7, 2);
    assert!(!hub.wants(&tenant(), &known.session.id, 3), "nobody listens");
    let subscription = hub.subscribe(&tenant(), &known.session.id);
    hub.publish(&Arc::new(known.clone()));
    assert!(hub.watches(&tenant()));
    assert!(!hub.wants(&tenant(), &known.session.id, 2));
    assert!(hub.wants(&tenant(), &known.session.id, 3));
    drop(subscription);
    assert!(!hub.watches(&tenant()));
}
