//! What is put back into a store that has lost it, and what is not.

use std::sync::Arc;

use ciba_gateway::session::{Event, FailureReason};
use ciba_gateway::store::{PutBack, Record, Reservation, Reserved, SessionStore};

use crate::support::reservations::{
    NOW, accepted, charged, identity, incarnation, limit, number, redeemed, reservation, secs,
};
use crate::support::stores::{Stage, WINDOW, adopt, advance, load, owned, refusal, reserve};

for_several_replicas!(
    a_lost_login_is_put_back_with_all_it_claims,
    what_the_store_has_is_kept,
    an_end_that_was_lost_wins_over_what_goes_on,
    a_lost_identity_comes_back_for_its_window,
    a_login_that_was_taken_back_stays_away,
    a_start_that_was_given_up_elsewhere_may_be_tried_again,
);

async fn put_back(store: &dyn SessionStore, record: &Record) -> bool {
    put_back_or_why_not(store, record).await == PutBack::Written
}

async fn put_back_or_why_not(store: &dyn SessionStore, record: &Record) -> PutBack {
    store.put_back(record, NOW, WINDOW).await.expect("the store answers")
}

/// A pending login as its owner knows it, in a store that has never heard of it.
async fn lost(seed: u8) -> Record {
    let elsewhere = Stage::memory().await;
    let starting = reserve(&*elsewhere.store, &reservation(seed)).await;
    advance(&*elsewhere.store, &starting, accepted(), NOW).await
}

/// A start for the number of one seed, with everything else of another.
fn reservation_of_number(number_of: u8, seed: u8) -> Reservation {
    let mut reservation = reservation(seed);
    Arc::make_mut(&mut reservation.session.terms).person = number(number_of).into();
    reservation
}

/// Its number, its code, its request id, its charge, and whose it is.
async fn a_lost_login_is_put_back_with_all_it_claims(stage: &Stage) {
    let (store, other) = (&*stage.store, stage.replica());
    let record = lost(1).await;
    assert!(put_back(store, &record).await);
    assert!(!put_back(store, &record).await, "it is there now");

    assert_eq!(load(&*other, &record, NOW).await, Some(record.clone()));
    assert_eq!(owned(&*other, "first-run").await, std::slice::from_ref(&record));
    let mut retry = reservation(2);
    retry.session.terms = record.session.terms.clone();
    assert_eq!(refusal(&*other, &retry).await, Reserved::Existing(record.session.id.clone()));
    let same_number = reservation_of_number(1, 3);
    assert_eq!(refusal(&*other, &same_number).await, Reserved::NumberBusy(record.session.id.clone()));
    let ended = advance(&*other, &record, Event::Cancelled, NOW).await;
    assert_eq!(owned(store, "first-run").await, []);
    let refused = refusal(store, &charged(same_number, limit(1, 600))).await;
    assert!(matches!(refused, Reserved::LimitReached { .. }), "{refused:?}");
    assert!(ended.session.has_ended());
}

async fn what_the_store_has_is_kept(stage: &Stage) {
    let store = &*stage.store;
    let starting = reserve(store, &reservation(1)).await;
    let pending = advance(store, &starting, accepted(), NOW).await;
    assert!(!put_back(store, &starting).await, "an older version");
    assert!(!put_back(store, &pending).await, "the same");
    let denied = advance(store, &pending, Event::Denied, NOW).await;
    let newer = Record { version: 99, owner: incarnation("other-run"), ..pending };
    assert!(!put_back(store, &newer).await, "a login that has ended does not come back");
    assert_eq!(load(store, &denied, NOW).await, Some(denied));
}

/// The first outcome wins, also over a store that has forgotten it and went on.
async fn an_end_that_was_lost_wins_over_what_goes_on(stage: &Stage) {
    let store = &*stage.store;
    let starting = reserve(store, &reservation(1)).await;
    let mut end = starting.clone();
    end.session = end.session.apply(Event::Cancelled, NOW).expect("a legal event");
    end.version += 1;
    let pending = advance(store, &starting, accepted(), NOW).await;
    let redeemed = advance(store, &pending, redeemed(), NOW).await;
    assert!(put_back(store, &end).await);
    let found = load(store, &redeemed, NOW).await.expect("a login");
    assert_eq!(found.session, end.session);
    assert!(found.version > redeemed.version, "whoever went on with it must notice");
    reserve(store, &reservation_of_number(1, 2)).await;
}

async fn a_lost_identity_comes_back_for_its_window(stage: &Stage) {
    let elsewhere = Stage::memory().await;
    let starting = reserve(&*elsewhere.store, &reservation(1)).await;
    let mut approved = advance(&*elsewhere.store, &starting, accepted(), NOW).await;
    for event in [redeemed(), Event::CodeTyped(starting.session.terms.code.clone()), Event::Approved(identity())] {
        approved = advance(&*elsewhere.store, &approved, event, NOW).await;
    }
    assert!(put_back(&*stage.store, &approved).await);
    let last_moment = NOW.plus(WINDOW).minus(secs(1));
    assert_eq!(load(&*stage.store, &approved, last_moment).await, Some(approved.clone()));
    let after = load(&*stage.store, &approved, NOW.plus(WINDOW)).await.expect("an outcome");
    assert_ne!(after, approved, "without the identity");
}

/// Another replica has adopted it before it was taken back, and remembers it.
async fn a_login_that_was_taken_back_stays_away(stage: &Stage) {
    let (store, other) = (&*stage.store, stage.replica());
    let starting = reserve(store, &reservation(1)).await;
    let adopted = adopt(&*other, "first-run", "second-run").await.remove(0);
    store.release(&starting, true).await.expect("the store answers");
    assert_eq!(put_back_or_why_not(&*other, &adopted).await, PutBack::Withdrawn);
    assert_eq!(load(store, &starting, NOW).await, None);
}

/// Another replica has ended it, not knowing that the phone was never asked.
async fn a_start_that_was_given_up_elsewhere_may_be_tried_again(stage: &Stage) {
    let (store, other) = (&*stage.store, stage.replica());
    let first = charged(reservation(1), limit(1, 600));
    let starting = reserve(store, &first).await;
    let adopted = adopt(&*other, "first-run", "second-run").await.remove(0);
    let given_up = advance(&*other, &adopted, Event::Failed(FailureReason::StartUnknown), NOW).await;
    store.release(&starting, true).await.expect("the store answers");
    assert_eq!(load(store, &starting, NOW).await, Some(given_up), "what was shown stays");

    let mut again = charged(reservation(2), limit(1, 600));
    again.session.terms = first.session.terms.clone();
    reserve(store, &again).await;
}
