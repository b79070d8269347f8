//! What a subscriber is told, and what not twice.

use std::time::Duration;

use super::*;
use crate::ciba::MAX_LIFETIME;
use crate::phone::{BindingCode, Country, PhoneNumber};
use crate::session::{Channel, ClientId, CodeMode, Event, Labels, Session, Terms};
use crate::store::Incarnation;

const T0: Timestamp = Timestamp::from_millis(1_700_000_000_000);

fn record(seed: u8, version: u64) -> Record {
    let terms = Terms {
        tenant: tenant(),
        client: ClientId::new("desk").unwrap(),
        agent: None,
        terminal: None,
        call: None,
        channel: Channel::TvBox,
        call_direction: None,
        phone: PhoneNumber::parse("+4790000001", Country::Norway).unwrap(),
        code: BindingCode::parse("ACDEF").unwrap(),
        code_mode: CodeMode::Display,
        claims: [].into(),
        lifetime: MAX_LIFETIME,
        expected_subject: None,
        labels: Labels::new(),
        created_at: T0,
    };
    let session = Session::new(LoginId::from_random([seed; 20]), terms, T0);
    Record { session, version, epoch: 1, owner: Incarnation("a-run".to_owned()) }
}

fn ended(record: Record) -> Record {
    Record { session: record.session.apply(Event::Cancelled, T0).unwrap(), ..record }
}

fn tenant() -> TenantId {
    TenantId::new("acme").unwrap()
}

fn told(changes: &mut broadcast::Receiver<Arc<Record>>) -> Vec<u64> {
    std::iter::from_fn(|| changes.try_recv().ok()).map(|record| record.version).collect()
}

#[test]
fn a_change_is_told_once_and_an_older_one_never() {
    let hub = Hub::default();
    let mut changes = hub.subscribe_tenant(&tenant(), T0);
    for version in [1, 1, 3, 2, 3] {
        hub.publish(&Arc::new(record(7, version)), Found::Changed);
    }
    assert_eq!(told(&mut changes), [1, 3]);
}

#[test]
fn what_somebody_reads_is_told_only_when_it_is_news() {
    let hub = Hub::default();
    let mut changes = hub.subscribe_tenant(&tenant(), T0);
    hub.publish(&Arc::new(record(7, 5)), Found::Read);
    hub.publish(&Arc::new(record(8, 1)), Found::Changed);
    hub.publish(&Arc::new(record(8, 2)), Found::Read);
    assert_eq!(told(&mut changes), [1, 2]);
}

/// Otherwise whoever waits for the end of a login in a store that was rolled
/// back would look for it for ever, without a pause.
#[test]
fn an_end_is_news_whatever_its_version() {
    let hub = Hub::default();
    let (live, end) = (record(7, 5), ended(record(7, 3)));
    let mut subscription = hub.subscribe(&tenant(), &live.session.id);
    hub.publish(&Arc::new(live.clone()), Found::Changed);
    hub.publish(&Arc::new(end.clone()), Found::Changed);
    hub.publish(&Arc::new(live), Found::Changed);
    assert_eq!(subscription.latest().as_deref(), Some(&end));
}

#[test]
fn what_was_told_is_forgotten_with_the_oldest_login() {
    let hub = Hub::default();
    let changes = hub.subscribe_tenant(&tenant(), T0);
    let mut other = record(0, 1);
    for i in 0..TOLD_LOGINS as u64 + 10 {
        let mut id = [0; 20];
        id[..8].copy_from_slice(&i.to_be_bytes());
        other.session.id = LoginId::from_random(id);
        hub.publish(&Arc::new(other.clone()), Found::Changed);
    }
    let subscribers = hub.lock();
    assert_eq!(subscribers.tenants[&tenant()].told.len(), TOLD_LOGINS);
    assert_eq!(subscribers.tenants[&tenant()].order.len(), TOLD_LOGINS);
    drop(changes);
}

#[test]
fn nobody_is_told_when_nobody_listens() {
    let hub = Hub::default();
    drop(hub.subscribe_tenant(&tenant(), T0));
    hub.publish(&Arc::new(record(7, 1)), Found::Changed);
    assert!(!hub.wants(&tenant(), &record(7, 1).session.id, 2));
    let later = T0.plus(Duration::from_secs(9));
    let _changes = hub.subscribe_tenant(&tenant(), later);
    assert_eq!(hub.audiences(), [(tenant(), later)]);
}
