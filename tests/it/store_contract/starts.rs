//! Who may have which number, code and request id.

use ciba_gateway::session::{AgentId, CallId, ClientId, Event, Holder, LoginId};
use ciba_gateway::store::{Counter, Happened, Reservation, Reserved, SessionStore, StoreError, WhenBusy};
use futures_util::future::join_all;
use std::sync::Arc;

use crate::support::reservations::{
    NOW, accepted, after, charged, code, limit, login_id, number, request_id, reservation, reservation_at, secs, tenant,
};
use crate::support::stores::{WINDOW, advance, list, load, refusal, reserve, save};

for_both_stores!(
    a_start_is_there_at_once,
    a_second_start_for_a_live_number_is_refused,
    a_number_is_free_once_its_login_has_ended,
    a_number_is_free_once_its_login_is_past_its_deadline,
    a_late_end_does_not_free_the_number_of_the_next,
    a_longer_life_keeps_the_number_longer,
    a_code_is_unique_among_live_logins,
    the_same_request_id_leads_to_its_login,
    the_same_request_id_with_other_content_is_refused,
    a_request_id_belongs_to_its_client,
    a_request_id_is_forgotten_after_a_day,
    a_repeated_start_is_new_again,
    fifty_starts_with_one_request_id_ring_once,
    a_refused_start_leaves_nothing_behind,
    a_released_start_was_never_there,
    a_claim_that_comes_after_its_withdrawal_is_not_made,
    what_was_accepted_is_not_released,
    tenants_do_not_get_into_each_others_way,
    a_second_start_for_a_live_call_is_refused,
    a_call_is_known_by_its_last_login,
    the_same_start_joins_the_live_login,
    who_would_replace_is_asked_by_the_guards_first,
    all_logins_of_a_number_are_found,
    a_login_in_other_hands_is_as_it_was,
);

async fn a_start_is_there_at_once(store: &dyn SessionStore) {
    let record = reserve(store, &reservation(1)).await;
    assert_eq!((record.version, record.epoch, record.owner.0.as_str()), (1, 1, "first-run"));
    assert_eq!(record.session, reservation(1).session);
    assert_eq!(load(store, &record, NOW).await, Some(record));
}

/// SR6.
async fn a_second_start_for_a_live_number_is_refused(store: &dyn SessionStore) {
    reserve(store, &reservation(1)).await;
    assert_eq!(refusal(store, &for_number_of(1, 2)).await, Reserved::NumberBusy(login_id(1)));
}

async fn a_number_is_free_once_its_login_has_ended(store: &dyn SessionStore) {
    let record = reserve(store, &reservation(1)).await;
    advance(store, &record, Event::Cancelled, NOW).await;
    reserve(store, &for_number_of(1, 2)).await;
}

async fn a_number_is_free_once_its_login_is_past_its_deadline(store: &dyn SessionStore) {
    let record = reserve(store, &reservation(1)).await;
    let deadline = record.session.deadline().expect("a deadline");
    let next = at(for_number_of(1, 2), deadline);
    let just_before = at(for_number_of(1, 2), deadline.minus(secs(1)));
    assert_eq!(refusal(store, &just_before).await, Reserved::NumberBusy(login_id(1)));
    reserve(store, &next).await;
}

async fn a_late_end_does_not_free_the_number_of_the_next(store: &dyn SessionStore) {
    let late = reserve(store, &reservation(1)).await;
    let deadline = late.session.deadline().expect("a deadline");
    reserve(store, &at(for_number_of(1, 2), deadline)).await;

    let ended = late.session.overdue(deadline).expect("it is overdue");
    save(store, &ciba_gateway::store::Record { session: ended, ..late }, deadline).await;
    assert_eq!(refusal(store, &at(for_number_of(1, 3), deadline)).await, Reserved::NumberBusy(login_id(2)));
}

async fn a_longer_life_keeps_the_number_longer(store: &dyn SessionStore) {
    let starting = reserve(store, &reservation(1)).await;
    let first_deadline = starting.session.deadline().expect("a deadline");
    advance(store, &starting, accepted(), NOW).await;
    assert_eq!(refusal(store, &at(for_number_of(1, 2), first_deadline)).await, Reserved::NumberBusy(login_id(1)));
}

async fn a_code_is_unique_among_live_logins(store: &dyn SessionStore) {
    let first = reserve(store, &reservation(1)).await;
    let mut second = reservation(2);
    Arc::make_mut(&mut second.session.terms).code = code(1);
    assert_eq!(refusal(store, &second).await, Reserved::CodeTaken);

    advance(store, &first, Event::Cancelled, NOW).await;
    reserve(store, &second).await;
}

async fn the_same_request_id_leads_to_its_login(store: &dyn SessionStore) {
    let first = reserve(store, &reservation(1)).await;
    let retry = with_request_of(1, 2);
    assert_eq!(refusal(store, &retry).await, Reserved::Existing(first.session.id.clone()));

    advance(store, &first, Event::Cancelled, NOW).await;
    assert_eq!(refusal(store, &retry).await, Reserved::Existing(first.session.id));
}

async fn the_same_request_id_with_other_content_is_refused(store: &dyn SessionStore) {
    reserve(store, &reservation(1)).await;
    let mut other = with_request_of(1, 2);
    Arc::make_mut(&mut other.session.terms).content = [99; 32];
    assert_eq!(refusal(store, &other).await, Reserved::RequestIdReused);
}

async fn a_request_id_belongs_to_its_client(store: &dyn SessionStore) {
    reserve(store, &reservation(1)).await;
    let mut other = with_request_of(1, 2);
    Arc::make_mut(&mut other.session.terms).client = ClientId::new("till").expect("a client");
    reserve(store, &other).await;
}

async fn a_request_id_is_forgotten_after_a_day(store: &dyn SessionStore) {
    let first = reserve(store, &reservation(1)).await;
    let day = secs(24 * 3600);
    let just_before = at(with_request_of(1, 2), NOW.plus(day).minus(secs(1)));
    assert_eq!(refusal(store, &just_before).await, Reserved::Existing(first.session.id));
    reserve(store, &at(with_request_of(1, 2), NOW.plus(day))).await;
}

async fn a_repeated_start_is_new_again(store: &dyn SessionStore) {
    let first = reserve(store, &reservation(1)).await;
    let again = reserve(store, &reservation(1)).await;
    assert_eq!(first, again);
    assert_eq!(list(store, "acme", NOW, 10).await.len(), 1);
}

async fn fifty_starts_with_one_request_id_ring_once(store: &dyn SessionStore) {
    let retries: Vec<_> = (0..50)
        .map(|seed| {
            let mut retry = with_request_of(1, 1);
            retry.session.id = login_id(seed);
            retry
        })
        .collect();
    let answers = join_all(retries.iter().map(|retry| store.reserve(retry))).await;

    let mut started = Vec::new();
    let mut led_to = Vec::new();
    for answer in answers {
        match answer.expect("the store answers") {
            Reserved::New(record) => started.push(record.session.id),
            Reserved::Existing(login) => led_to.push(login),
            other => panic!("expected one new login and 49 retries, got {other:?}"),
        }
    }
    assert_eq!((started.len(), led_to.len()), (1, 49));
    assert!(led_to.iter().all(|login| *login == started[0]));
}

async fn a_refused_start_leaves_nothing_behind(store: &dyn SessionStore) {
    reserve(store, &reservation(1)).await;
    let mut refused = reservation(2);
    Arc::make_mut(&mut refused.session.terms).code = code(1);
    assert_eq!(refusal(store, &refused).await, Reserved::CodeTaken);

    let mut another_try = reservation(2);
    another_try.session.id = login_id(3);
    reserve(store, &another_try).await;
    assert_eq!(store.load(&tenant("acme"), &login_id(2), NOW).await.expect("the store answers"), None);
}

async fn a_released_start_was_never_there(store: &dyn SessionStore) {
    let record = reserve(store, &reservation(1)).await;
    store.release(&record, true).await.expect("the store answers");
    store.release(&record, true).await.expect("the store answers");

    assert_eq!(load(store, &record, NOW).await, None);
    assert_eq!(list(store, "acme", NOW, 10).await, []);
    let mut same_again = reservation(1);
    same_again.session.id = login_id(2);
    reserve(store, &same_again).await;
}

/// A call that was given up may be carried out long after its withdrawal was.
async fn a_claim_that_comes_after_its_withdrawal_is_not_made(store: &dyn SessionStore) {
    let late = reservation(1);
    store.release(&late.first_record(), true).await.expect("the store answers");
    let refused = store.reserve(&late).await;
    assert!(matches!(refused, Err(StoreError::Unavailable(_))), "{refused:?}");
    let mut retry = with_request_of(1, 2);
    Arc::make_mut(&mut retry.session.terms).person = number(1).into();
    reserve(store, &retry).await;
}

async fn what_was_accepted_is_not_released(store: &dyn SessionStore) {
    let starting = reserve(store, &reservation(1)).await;
    let pending = advance(store, &starting, accepted(), NOW).await;
    store.release(&starting, true).await.expect("the store answers");

    assert_eq!(load(store, &pending, NOW).await, Some(pending.clone()));
    assert_eq!(refusal(store, &for_number_of(1, 2)).await, Reserved::NumberBusy(login_id(1)));
    store.save(&after(&pending, Event::Denied, NOW), NOW, WINDOW).await.expect("the store answers");
}

async fn tenants_do_not_get_into_each_others_way(store: &dyn SessionStore) {
    let ours = reserve(store, &reservation(1)).await;
    let mut theirs = reservation(1);
    Arc::make_mut(&mut theirs.session.terms).tenant = tenant("other");
    theirs.session.id = login_id(2);
    let theirs = reserve(store, &theirs).await;

    let elsewhere = store.load(&tenant("other"), &ours.session.id, NOW).await.expect("the store answers");
    assert_eq!(elsewhere, None);
    assert_eq!(list(store, "other", NOW, 10).await, [theirs]);
    assert_eq!(list(store, "nobody", NOW, 10).await, []);
}

/// A start of its own, but for the number of another.
fn for_number_of(other: u8, seed: u8) -> Reservation {
    let mut reservation = reservation(seed);
    Arc::make_mut(&mut reservation.session.terms).person = number(other).into();
    reservation
}

/// A start with everything of its own but the request id and its content.
fn with_request_of(other: u8, seed: u8) -> Reservation {
    let mut reservation = reservation(seed);
    let terms = Arc::make_mut(&mut reservation.session.terms);
    (terms.request_id, terms.content) = (request_id(other), [other; 32]);
    reservation
}

/// The same start at another time.
fn at(reservation: Reservation, now: ciba_gateway::timestamp::Timestamp) -> Reservation {
    let mut moved = reservation_at(0, now);
    moved.session.id = reservation.session.id;
    moved.session.terms = reservation.session.terms;
    Arc::make_mut(&mut moved.session.terms).created_at = now;
    Reservation { session: moved.session, now, ..reservation }
}

fn of_call(mut reservation: Reservation, call: &str) -> Reservation {
    let terms = Arc::make_mut(&mut reservation.session.terms);
    terms.call = Some(CallId::new(call).expect("a call"));
    reservation
}

async fn login_of_call(store: &dyn SessionStore, call: &str) -> Option<LoginId> {
    let call = CallId::new(call).expect("a call");
    store.login_of_call(&tenant("acme"), &call).await.expect("the store answers")
}

/// SR6.
async fn a_second_start_for_a_live_call_is_refused(store: &dyn SessionStore) {
    let record = reserve(store, &of_call(reservation(1), "call-7")).await;
    assert_eq!(refusal(store, &of_call(reservation(2), "call-7")).await, Reserved::CallBusy(login_id(1)));
    reserve(store, &of_call(reservation(3), "call-8")).await;
    let pending = advance(store, &record, accepted(), NOW).await;
    let first_deadline = record.session.deadline().expect("a deadline");
    let later = at(of_call(reservation(2), "call-7"), first_deadline);
    assert_eq!(refusal(store, &later).await, Reserved::CallBusy(login_id(1)));
    advance(store, &pending, Event::Cancelled, NOW).await;
    reserve(store, &of_call(reservation(2), "call-7")).await;
}

async fn a_call_is_known_by_its_last_login(store: &dyn SessionStore) {
    assert_eq!(login_of_call(store, "call-7").await, None);
    let first = reserve(store, &of_call(reservation(1), "call-7")).await;
    advance(store, &first, Event::Cancelled, NOW).await;
    assert_eq!(login_of_call(store, "call-7").await, Some(login_id(1)));
    let second = reserve(store, &of_call(reservation(2), "call-7")).await;
    assert_eq!(login_of_call(store, "call-7").await, Some(login_id(2)));
    store.release(&second, true).await.expect("the store answers");
    assert_eq!(login_of_call(store, "call-7").await, None);
}

async fn the_same_start_joins_the_live_login(store: &dyn SessionStore) {
    let record = reserve(store, &of_call(reservation(1), "call-7")).await;
    let mut same = of_call(for_number_of(1, 2), "call-7");
    same.when_busy = WhenBusy::Join;
    assert_eq!(refusal(store, &same).await, Reserved::NumberBusy(login_id(1)), "other content");
    Arc::make_mut(&mut same.session.terms).content = record.session.terms.content;
    assert_eq!(refusal(store, &same).await, Reserved::Joined(login_id(1)));
    assert_eq!(refusal(store, &same).await, Reserved::Existing(login_id(1)), "again");
    let mut of_another = same.clone();
    let terms = Arc::make_mut(&mut of_another.session.terms);
    (terms.client, terms.request_id) = (ClientId::new("other-desk").expect("a client"), request_id(3));
    assert_eq!(refusal(store, &of_another).await, Reserved::NumberBusy(login_id(1)));
}

async fn who_would_replace_is_asked_by_the_guards_first(store: &dyn SessionStore) {
    reserve(store, &charged(reservation(1), limit(1, 600))).await;
    let mut next = charged(for_number_of(1, 2), limit(1, 600));
    assert_eq!(refusal(store, &next).await, Reserved::NumberBusy(login_id(1)));
    next.when_busy = WhenBusy::Replace;
    let reached = Reserved::LimitReached { counter: Counter::Number, retry_after: secs(600) };
    assert_eq!(refusal(store, &next).await, reached);
    next.charges.clear();
    assert_eq!(refusal(store, &next).await, Reserved::NumberBusy(login_id(1)));
}

/// SR40.
async fn all_logins_of_a_number_are_found(store: &dyn SessionStore) {
    let first = reserve(store, &reservation(1)).await;
    advance(store, &first, Event::Cancelled, NOW).await;
    reserve(store, &for_number_of(1, 2)).await;
    reserve(store, &reservation(3)).await;
    let found = async |number| {
        let found = store.logins_of_number(&tenant("acme"), &number, NOW).await.expect("the store answers");
        std::collections::BTreeSet::from_iter(found)
    };
    assert_eq!(found(number(1)).await, [login_id(1), login_id(2)].into());
    assert_eq!(found(number(4)).await, [].into());
}

/// Who has it is kept through what comes after, and is an event.
async fn a_login_in_other_hands_is_as_it_was(store: &dyn SessionStore) {
    let record = advance(store, &reserve(store, &reservation(1)).await, accepted(), NOW).await;
    let ola = AgentId::new("ola").expect("an agent");
    let to = Holder { client: record.session.terms.client.clone(), agent: Some(ola.clone()) };
    let events = async || store.events(&tenant("acme"), 0, 100, NOW).await.expect("the store answers").entries;
    let before = events().await.len();
    let handed = advance(store, &record, Event::HandedOver(to), NOW).await;
    assert_eq!(load(store, &handed, NOW).await, Some(handed.clone()));
    assert_eq!(handed.session.terms.holder().1, Some(&ola));
    let entries = events().await;
    assert_eq!(entries.len(), before + 1);
    let Happened::Changed { terms, .. } = &entries[before].what else { panic!("{entries:?}") };
    assert_eq!(terms.holder().1, Some(&ola));
    let cancelled = advance(store, &handed, Event::Cancelled, NOW).await;
    let found = load(store, &cancelled, NOW).await.expect("a record");
    assert_eq!(found.session.terms.holder().1, Some(&ola));
}
