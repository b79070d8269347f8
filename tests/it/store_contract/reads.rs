//! What may still be seen, and until when.

use ciba_gateway::session::{Event, FailureReason, Outcome, State};
use ciba_gateway::store::{Listed, OUTCOME_RETENTION, Page, Record, Saved, SessionStore};
use ciba_gateway::timestamp::Timestamp;

use crate::support::reservations::{
    NOW, accepted, code, identity, redeemed, reservation, reservation_at, secs, tenant,
};
use crate::support::stores::{WINDOW, advance, list, load, reserve};

for_both_stores!(
    an_identity_is_seen_until_its_window_is_over,
    an_erased_identity_is_gone_at_once,
    an_unconfirmed_identity_is_not_kept_for_ever,
    an_outcome_is_kept_for_an_hour,
    an_abandoned_login_is_forgotten_too,
    the_list_begins_with_the_newest,
    the_list_ends_where_it_is_told_to,
    a_list_goes_on_page_by_page,
    a_list_of_the_live_goes_past_those_that_have_ended,
    forgotten_logins_do_not_use_up_the_list,
);

async fn an_identity_is_seen_until_its_window_is_over(store: &dyn SessionStore) {
    let approved = approved(store, 1).await;
    let last_moment = NOW.plus(WINDOW).minus(secs(1));
    assert_eq!(load(store, &approved, last_moment).await, Some(approved.clone()));
    assert!(is_without_identity(load(store, &approved, NOW.plus(WINDOW)).await));

    let listed = list(store, "acme", NOW.plus(WINDOW), 10).await;
    assert!(is_without_identity(listed.into_iter().next()));
}

async fn an_erased_identity_is_gone_at_once(store: &dyn SessionStore) {
    let approved = approved(store, 1).await;
    advance(store, &approved, Event::Erased, NOW).await;
    assert!(is_without_identity(load(store, &approved, NOW).await));
}

async fn an_unconfirmed_identity_is_not_kept_for_ever(store: &dyn SessionStore) {
    let redeemed = redeemed_login(store, 1).await;
    let awaiting = advance(store, &redeemed, Event::Approved(identity()), NOW).await;
    let deadline = awaiting.session.deadline().expect("a deadline");
    assert_eq!(load(store, &awaiting, deadline).await, Some(awaiting.clone()));

    let much_later = load(store, &awaiting, deadline.plus(WINDOW)).await.expect("it is still kept");
    let overdue = awaiting.session.overdue(deadline).expect("it is overdue");
    assert_eq!(much_later.session, overdue);
    let State::Ended(ended) = much_later.session.state else { panic!("it has ended") };
    assert_eq!(ended.outcome, Outcome::Failed(FailureReason::CodeNotConfirmed));
}

async fn an_outcome_is_kept_for_an_hour(store: &dyn SessionStore) {
    let starting = reserve(store, &reservation(1)).await;
    let ended = advance(store, &starting, Event::Cancelled, NOW).await;
    let last_moment = NOW.plus(OUTCOME_RETENTION).minus(secs(1));
    assert_eq!(load(store, &ended, last_moment).await, Some(ended.clone()));
    assert_forgotten(store, &ended, NOW.plus(OUTCOME_RETENTION)).await;
}

async fn an_abandoned_login_is_forgotten_too(store: &dyn SessionStore) {
    let starting = reserve(store, &reservation(1)).await;
    let deadline = starting.session.deadline().expect("a deadline");
    let last_moment = deadline.plus(OUTCOME_RETENTION).minus(secs(1));
    assert_eq!(load(store, &starting, last_moment).await, Some(starting.clone()));
    assert_forgotten(store, &starting, deadline.plus(OUTCOME_RETENTION)).await;
}

async fn the_list_begins_with_the_newest(store: &dyn SessionStore) {
    for seed in [3, 1, 2] {
        reserve(store, &reservation_at(seed, NOW.plus(secs(seed.into())))).await;
    }
    let later = NOW.plus(secs(10));
    let listed = list(store, "acme", later, 10).await;
    assert_eq!(seeds(&listed), [3, 2, 1]);
}

async fn the_list_ends_where_it_is_told_to(store: &dyn SessionStore) {
    for seed in 1..=5 {
        reserve(store, &reservation_at(seed, NOW.plus(secs(seed.into())))).await;
    }
    let later = NOW.plus(secs(10));
    let listed = list(store, "acme", later, 2).await;
    assert_eq!(seeds(&listed), [5, 4]);
}

async fn a_list_goes_on_page_by_page(store: &dyn SessionStore) {
    // Two of each time, so that the time alone does not tell where a page ends.
    for seed in 1..=9 {
        reserve(store, &reservation_at(seed, NOW.plus(secs((seed / 2).into())))).await;
    }
    let all = seeds(&list(store, "acme", NOW.plus(secs(10)), 100).await);
    assert_eq!(all.len(), 9);
    for limit in [1, 2, 4, 9] {
        let (mut found, mut page) = (Vec::new(), Page { after: None, live_only: false, limit });
        loop {
            let Listed { records, next } =
                store.list(&tenant("acme"), NOW.plus(secs(10)), &page).await.expect("the store answers");
            found.extend(seeds(&records));
            match next {
                Some(next) => page.after = Some(next),
                None => break,
            }
        }
        assert_eq!(found, all, "by {limit}");
    }
}

async fn a_list_of_the_live_goes_past_those_that_have_ended(store: &dyn SessionStore) {
    let live = reserve(store, &reservation_at(1, NOW)).await;
    for seed in 2..=6 {
        let record = reserve(store, &reservation_at(seed, NOW.plus(secs(1)))).await;
        advance(store, &record, Event::Cancelled, NOW.plus(secs(1))).await;
    }
    let (mut found, mut page) = (Vec::new(), Page { after: None, live_only: true, limit: 2 });
    while let Listed { records, next: Some(next) } =
        store.list(&tenant("acme"), NOW.plus(secs(2)), &page).await.expect("the store answers")
    {
        found.extend(records);
        page.after = Some(next);
    }
    assert_eq!(found, [live]);
}

async fn forgotten_logins_do_not_use_up_the_list(store: &dyn SessionStore) {
    let long_lived = reserve(store, &reservation_at(1, NOW)).await;
    let pending = advance(store, &long_lived, accepted(), NOW).await;
    for seed in 2..=4 {
        let short = reserve(store, &reservation_at(seed, NOW.plus(secs(1)))).await;
        advance(store, &short, Event::Cancelled, NOW.plus(secs(1))).await;
    }
    let later = NOW.plus(secs(1)).plus(OUTCOME_RETENTION);
    let listed = list(store, "acme", later, 1).await;
    assert_eq!(listed, [pending]);
}

async fn redeemed_login(store: &dyn SessionStore, seed: u8) -> Record {
    let starting = reserve(store, &reservation(seed)).await;
    let pending = advance(store, &starting, accepted(), NOW).await;
    advance(store, &pending, redeemed(), NOW).await
}

/// A login that has ended well.
async fn approved(store: &dyn SessionStore, seed: u8) -> Record {
    let redeemed = redeemed_login(store, seed).await;
    let awaiting = advance(store, &redeemed, Event::Approved(identity()), NOW).await;
    advance(store, &awaiting, Event::CodeTyped(code(seed)), NOW).await
}

async fn assert_forgotten(store: &dyn SessionStore, record: &Record, now: Timestamp) {
    assert_eq!(load(store, record, now).await, None);
    assert_eq!(list(store, "acme", now, 10).await, []);
    assert_eq!(store.save(record, now, WINDOW).await.expect("the store answers"), Saved::Gone);
}

fn is_without_identity(record: Option<Record>) -> bool {
    let Some(State::Ended(ended)) = record.map(|record| record.session.state) else { return false };
    ended.outcome == Outcome::Approved { identity: None }
}

/// Which numbers the logins are for.
fn seeds(records: &[Record]) -> Vec<u8> {
    let number = |record: &Record| record.session.terms.person.phone().expect("a number").clone();
    let of = |record: &Record| number(record).msisdn()[8..].parse().expect("a seed");
    records.iter().map(of).collect()
}
