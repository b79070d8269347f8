//! What is put back into a store that has lost it, and what is not.

use std::sync::Arc;

use ciba_gateway::session::Event;
use ciba_gateway::store::{Record, Reservation, Reserved, SessionStore};

use crate::support::reservations::{
    NOW, accepted, charged, identity, incarnation, limit, number, redeemed, reservation, secs,
};
use crate::support::stores::{Stage, WINDOW, advance, load, owned, refusal, reserve};

for_several_replicas!(
    a_lost_login_is_put_back_with_all_it_claims,
    what_the_store_has_is_kept,
    an_end_that_was_lost_wins_over_what_goes_on,
    a_lost_identity_comes_back_for_its_window,
);

async fn put_back(store: &dyn SessionStore, record: &Record) -> bool {
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
    Arc::make_mut(&mut reservation.session.terms).phone = number(number_of);
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
    assert_eq!(refusal(&*other, &same_number).await, Reserved::NumberBusy);
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
