//! Who owns a login, and how it comes to somebody else.

use std::sync::Arc;

use ciba_gateway::session::Event;
use ciba_gateway::store::{Batch, OUTCOME_RETENTION, Record, Saved, SessionStore};
use futures_util::future::join_all;

use crate::support::reservations::{
    NOW, accepted, after, code, identity, incarnation, redeemed, reservation, secs, tenant,
};
use crate::support::stores::{WINDOW, adopt, advance, load, owned, reserve, save};

for_both_stores!(
    an_adopted_login_has_a_new_owner_epoch_and_version,
    every_live_state_is_adopted_as_it_was,
    the_former_owner_is_fenced,
    a_write_whose_answer_was_lost_is_fenced_too,
    the_new_owner_ends_it,
    adoption_goes_by_batches,
    an_adoption_without_room_does_nothing,
    a_part_of_which_nothing_is_left_behind_says_so,
    a_repeated_adoption_finds_nothing_more,
    what_has_ended_is_never_adopted,
    an_overdue_login_is_adopted_while_it_is_kept,
    a_login_that_was_handed_over_belongs_to_the_new_owner,
    adoption_stays_within_its_tenant,
    an_adoption_and_a_write_do_not_both_win,
);

async fn an_adopted_login_has_a_new_owner_epoch_and_version(store: &dyn SessionStore) {
    let pending = advance(store, &reserve(store, &reservation(1)).await, accepted(), NOW).await;
    let expected = Record { owner: incarnation("second-run"), epoch: 2, version: 3, ..pending.clone() };
    assert_eq!(owned(store, "first-run").await, [pending]);

    let adopted = adopt(store, "first-run", "second-run").await;
    assert_eq!(load(store, &expected, NOW).await.as_ref(), Some(&expected));
    assert_eq!(owned(store, "first-run").await, []);
    assert_eq!(owned(store, "second-run").await, adopted);
    assert_eq!(adopted, [expected]);
}

async fn every_live_state_is_adopted_as_it_was(store: &dyn SessionStore) {
    let mut record = reserve(store, &reservation(1)).await;
    let steps = [Event::CodeTyped(code(2)), accepted(), redeemed(), Event::Approved(identity())];
    for (step, names) in
        steps.into_iter().zip([["first-run", "second-run"], ["second-run", "first-run"]].iter().cycle())
    {
        record = advance(store, &record, step, NOW).await;
        let adopted = adopt(store, names[0], names[1]).await.remove(0);
        assert_eq!(adopted.session, record.session);
        record = adopted;
    }
    assert_eq!((record.version, record.epoch), (9, 5));
}

async fn the_former_owner_is_fenced(store: &dyn SessionStore) {
    let pending = advance(store, &reserve(store, &reservation(1)).await, accepted(), NOW).await;
    let adopted = adopt(store, "first-run", "second-run").await.remove(0);
    let late = after(&pending, Event::Denied, NOW);
    assert_eq!(store.save(&late, NOW, WINDOW).await.expect("the store answers"), Saved::Conflict);
    assert_eq!(load(store, &pending, NOW).await, Some(adopted));
}

async fn a_write_whose_answer_was_lost_is_fenced_too(store: &dyn SessionStore) {
    let next = after(&reserve(store, &reservation(1)).await, accepted(), NOW);
    save(store, &next, NOW).await;
    let adopted = adopt(store, "first-run", "second-run").await.remove(0);
    assert_eq!(store.save(&next, NOW, WINDOW).await.expect("the store answers"), Saved::Conflict);
    assert_eq!(load(store, &next, NOW).await, Some(adopted));
}

async fn the_new_owner_ends_it(store: &dyn SessionStore) {
    reserve(store, &reservation(1)).await;
    let adopted = adopt(store, "first-run", "second-run").await.remove(0);
    let ended = advance(store, &adopted, Event::Cancelled, NOW).await;
    assert_eq!((ended.version, ended.epoch), (3, 2));
    assert_eq!(owned(store, "second-run").await, []);
    assert_eq!(adopt(store, "second-run", "third-run").await, []);
}

async fn adoption_goes_by_batches(store: &dyn SessionStore) {
    let mut expected = Vec::new();
    for seed in 1..=5 {
        expected.push(reserve(store, &reservation(seed)).await.session.id);
    }
    expected.sort_by(|one, other| one.as_str().cmp(other.as_str()));

    let mut listed = Vec::new();
    let mut after = None;
    for size in [2, 2, 1] {
        let owned = store.owned(&tenant("acme"), &incarnation("first-run"), after.as_ref(), 2, NOW).await;
        let owned = owned.expect("the store answers");
        assert_eq!(owned.records.len(), size);
        listed.extend(owned.records.into_iter().map(|record| record.session.id));
        after = owned.next;
    }
    assert_eq!((listed, after), (expected.clone(), None));

    let mut adopted = Vec::new();
    let mut after = None;
    for size in [2, 2, 1] {
        let batch = adopt_two(store, after.as_ref()).await;
        assert_eq!(batch.records.len(), size);
        adopted.extend(batch.records.into_iter().map(|record| record.session.id));
        after = batch.next;
    }
    assert_eq!((adopted, after), (expected, None));
    assert_eq!(adopt_two(store, None).await, Batch { records: Vec::new(), next: None, left_behind: 0 });
}

async fn an_adoption_without_room_does_nothing(store: &dyn SessionStore) {
    let record = reserve(store, &reservation(1)).await;
    let (from, to) = (incarnation("first-run"), incarnation("second-run"));
    let none = store.adopt(&tenant("acme"), &from, &to, None, 0, NOW).await.expect("the store answers");
    assert_eq!(none, Batch { records: Vec::new(), next: None, left_behind: 0 });
    assert_eq!(load(store, &record, NOW).await, Some(record));
}

async fn a_part_of_which_nothing_is_left_behind_says_so(store: &dyn SessionStore) {
    for seed in 1..=3 {
        reserve(store, &reservation(seed)).await;
    }
    let (from, to) = (incarnation("first-run"), incarnation("second-run"));
    let listed = store.owned(&tenant("acme"), &from, None, 10, NOW).await.expect("the store answers");
    let adopted = store.adopt(&tenant("acme"), &from, &to, None, 10, NOW).await.expect("the store answers");
    assert_eq!([(listed.records.len(), listed.left_behind), (adopted.records.len(), adopted.left_behind)], [(3, 0); 2]);
}

async fn a_repeated_adoption_finds_nothing_more(store: &dyn SessionStore) {
    reserve(store, &reservation(1)).await;
    let adopted = adopt(store, "first-run", "second-run").await;
    assert_eq!(adopt(store, "first-run", "second-run").await, []);
    assert_eq!(owned(store, "second-run").await, adopted);
}

async fn what_has_ended_is_never_adopted(store: &dyn SessionStore) {
    let live = reserve(store, &reservation(1)).await;
    let ended = advance(store, &reserve(store, &reservation(2)).await, Event::Cancelled, NOW).await;
    let released = reserve(store, &reservation(3)).await;
    store.release(&released, true).await.expect("the store answers");

    let adopted = adopt(store, "first-run", "second-run").await;
    assert_eq!(adopted.iter().map(|record| &record.session.id).collect::<Vec<_>>(), [&live.session.id]);
    assert_eq!(load(store, &ended, NOW).await, Some(ended));
    assert_eq!(load(store, &released, NOW).await, None);
}

async fn an_overdue_login_is_adopted_while_it_is_kept(store: &dyn SessionStore) {
    let (kept, forgotten) = (reserve(store, &reservation(1)).await, reserve(store, &reservation(2)).await);
    let pending = advance(store, &kept, accepted(), NOW).await;
    let later = forgotten.session.deadline().expect("a deadline").plus(OUTCOME_RETENTION);
    assert!(pending.session.overdue(later).is_some());

    let (from, to) = (incarnation("first-run"), incarnation("second-run"));
    let batch = store.adopt(&tenant("acme"), &from, &to, None, 10, later).await.expect("the store answers");
    assert_eq!(batch.records, [Record { owner: to, epoch: 2, version: 3, ..pending }]);
}

async fn a_login_that_was_handed_over_belongs_to_the_new_owner(store: &dyn SessionStore) {
    let record = reserve(store, &reservation(1)).await;
    let handed = save(store, &Record { owner: incarnation("second-run"), epoch: 2, ..record }, NOW).await;
    assert_eq!(owned(store, "first-run").await, []);
    assert_eq!(owned(store, "second-run").await, [handed]);
    assert_eq!(adopt(store, "first-run", "third-run").await, []);
    assert_eq!(adopt(store, "second-run", "third-run").await.len(), 1);
}

async fn adoption_stays_within_its_tenant(store: &dyn SessionStore) {
    let ours = reserve(store, &reservation(1)).await;
    let mut theirs = reservation(2);
    Arc::make_mut(&mut theirs.session.terms).tenant = tenant("other");
    let theirs = reserve(store, &theirs).await;

    let adopted = adopt(store, "first-run", "second-run").await;
    assert_eq!(adopted.iter().map(|record| &record.session.id).collect::<Vec<_>>(), [&ours.session.id]);
    assert_eq!(load(store, &theirs, NOW).await, Some(theirs));
}

async fn an_adoption_and_a_write_do_not_both_win(store: &dyn SessionStore) {
    let mut records = Vec::new();
    for seed in 0..20 {
        records.push(advance(store, &reserve(store, &reservation(seed)).await, accepted(), NOW).await);
    }
    let later = NOW.plus(secs(1));
    let wrong = |record: &Record| after(record, Event::CodeTyped(code(27)), later);
    let (early, late): (Vec<_>, Vec<_>) =
        (records[..10].iter().map(wrong).collect(), records[10..].iter().map(wrong).collect());
    let save_all = |records: Vec<Record>| async move {
        join_all(records.iter().map(|record| store.save(record, later, WINDOW))).await
    };
    let (early, adopted, late) = tokio::join!(save_all(early), adopt(store, "first-run", "second-run"), save_all(late));

    assert_eq!(adopted.len(), 20);
    for (record, saved) in records.iter().zip(early.into_iter().chain(late)) {
        let now = load(store, record, later).await.expect("it is kept");
        assert_eq!((now.epoch, now.owner.0.as_str()), (2, "second-run"));
        match saved.expect("the store answers") {
            Saved::Written { record: written, .. } => assert_eq!((written.session, 4), (now.session, now.version)),
            Saved::Conflict => assert_eq!((&record.session, 3), (&now.session, now.version)),
            Saved::Gone => panic!("it is there"),
        }
    }
}

async fn adopt_two(store: &dyn SessionStore, after: Option<&ciba_gateway::session::LoginId>) -> Batch {
    let (from, to) = (incarnation("first-run"), incarnation("second-run"));
    store.adopt(&tenant("acme"), &from, &to, after, 2, NOW).await.expect("the store answers")
}
