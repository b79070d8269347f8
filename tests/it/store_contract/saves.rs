//! Who may write, and that it comes back as it was.

use ciba_gateway::ciba::Schedule;
use ciba_gateway::session::{Event, FailureReason};
use ciba_gateway::store::{Incarnation, Record, Saved, SessionStore};

use crate::support::reservations::{NOW, accepted, after, code, identity, redeemed, reservation, secs};
use crate::support::stores::{WINDOW, advance, load, reserve, save};

for_both_stores!(
    every_state_comes_back_as_it_was,
    every_outcome_comes_back_as_it_was,
    a_stale_version_is_a_conflict,
    a_repeated_write_is_written_again,
    another_write_of_that_version_is_a_conflict,
    of_two_ends_the_first_wins,
    an_unknown_login_is_gone,
    a_login_changes_hands,
);

async fn every_state_comes_back_as_it_was(store: &dyn SessionStore) {
    let mut record = reserve(store, &reservation(1)).await;
    let steps = [
        Event::CodeTyped(code(2)),
        accepted(),
        Event::Rescheduled(Schedule::new(secs(10), NOW, NOW.plus(secs(240)))),
        Event::CodeTyped(code(3)),
        redeemed(),
        Event::Approved(identity()),
        Event::CodeTyped(code(1)),
    ];
    for (step, version) in steps.into_iter().zip(2..) {
        record = advance(store, &record, step, NOW).await;
        assert_eq!(record.version, version);
        assert_eq!(load(store, &record, NOW).await, Some(record.clone()));
    }
    assert!(record.session.has_ended());
}

async fn every_outcome_comes_back_as_it_was(store: &dyn SessionStore) {
    let ends = [
        Event::Denied,
        Event::Expired,
        Event::Cancelled,
        Event::Failed(FailureReason::StartUnknown),
        Event::Failed(FailureReason::AppTooOld),
        Event::Failed(FailureReason::CodeMismatch),
    ];
    for (end, seed) in ends.into_iter().zip(1..) {
        let starting = reserve(store, &reservation(seed)).await;
        let pending = advance(store, &starting, accepted(), NOW).await;
        let ended = advance(store, &pending, end, NOW).await;
        assert_eq!(load(store, &ended, NOW).await, Some(ended));
    }
}

async fn a_stale_version_is_a_conflict(store: &dyn SessionStore) {
    let starting = reserve(store, &reservation(1)).await;
    let pending = advance(store, &starting, accepted(), NOW).await;
    let stale = after(&starting, Event::Cancelled, NOW);
    assert_eq!(store.save(&stale, NOW, WINDOW).await.expect("the store answers"), Saved::Conflict);
    assert_eq!(load(store, &pending, NOW).await, Some(pending));
}

async fn a_repeated_write_is_written_again(store: &dyn SessionStore) {
    let starting = reserve(store, &reservation(1)).await;
    let next = after(&starting, accepted(), NOW);
    let first = save(store, &next, NOW).await;
    let again = save(store, &next, NOW).await;
    assert_eq!(first, again);
    assert_eq!(load(store, &first, NOW).await, Some(again));
}

async fn another_write_of_that_version_is_a_conflict(store: &dyn SessionStore) {
    let starting = reserve(store, &reservation(1)).await;
    advance(store, &starting, Event::Cancelled, NOW).await;
    let other = after(&starting, Event::Failed(FailureReason::PersonUnknown), NOW);
    assert_eq!(store.save(&other, NOW, WINDOW).await.expect("the store answers"), Saved::Conflict);
}

async fn of_two_ends_the_first_wins(store: &dyn SessionStore) {
    let starting = reserve(store, &reservation(1)).await;
    let pending = advance(store, &starting, accepted(), NOW).await;
    let denied = after(&pending, Event::Denied, NOW);
    let cancelled = after(&pending, Event::Cancelled, NOW);
    let (one, other) = tokio::join!(store.save(&denied, NOW, WINDOW), store.save(&cancelled, NOW, WINDOW));

    let written = match (one.expect("the store answers"), other.expect("the store answers")) {
        (Saved::Written { record, .. }, Saved::Conflict) | (Saved::Conflict, Saved::Written { record, .. }) => record,
        both => panic!("expected one write and one conflict, got {both:?}"),
    };
    assert_eq!(load(store, &pending, NOW).await, Some(written));
}

async fn an_unknown_login_is_gone(store: &dyn SessionStore) {
    let record = Record {
        session: reservation(1).session,
        format: 1,
        version: 1,
        epoch: 1,
        owner: Incarnation("first-run".to_owned()),
    };
    assert_eq!(store.save(&record, NOW, WINDOW).await.expect("the store answers"), Saved::Gone);
    assert_eq!(load(store, &record, NOW).await, None);
}

async fn a_login_changes_hands(store: &dyn SessionStore) {
    let starting = reserve(store, &reservation(1)).await;
    let adopted = Record { owner: Incarnation("second-run".to_owned()), epoch: 2, ..starting };
    let saved = save(store, &adopted, NOW).await;
    assert_eq!((saved.version, saved.epoch, saved.owner.0.as_str()), (2, 2, "second-run"));
    assert_eq!(load(store, &saved, NOW).await, Some(saved));
}
