//! The stream of what happened to a tenant's logins.

use ciba_gateway::ciba::Schedule;
use ciba_gateway::session::{CodeProgress, End, Event, FailureReason, Phase};
use ciba_gateway::store::{Events, Happened, LoginEvent, OUTCOME_RETENTION, Position, Record, SessionStore};
use futures_util::future::join_all;

use crate::support::reservations::{
    NOW, accepted, after, code, identity, incarnation, redeemed, reservation, reservation_at, secs, tenant,
};
use crate::support::stores::{Stage, accept_loss, adopt, advance, events, reserve, save};

for_both_stores!(
    every_step_of_a_login_has_its_number,
    what_is_no_news_makes_no_event,
    an_entry_tells_how_the_login_stood_then,
    a_repeated_write_makes_no_second_event,
    a_reservation_taken_back_is_an_event,
    a_reader_goes_on_where_it_was,
    an_empty_stream_has_an_epoch,
    entries_are_readable_for_an_hour,
    many_old_entries_hide_no_new_one,
    times_never_go_back,
    a_new_epoch_begins_after_what_was_remembered,
    an_epoch_ends_once,
    tenants_have_streams_of_their_own,
);
for_several_replicas!(several_writers_leave_no_gaps);

async fn every_step_of_a_login_has_its_number(store: &dyn SessionStore) {
    let mut record = reserve(store, &reservation(1)).await;
    let steps = [
        Event::CodeTyped(code(2)),
        accepted(),
        Event::CodeTyped(code(3)),
        redeemed(),
        Event::Approved(identity()),
        Event::CodeTyped(code(1)),
    ];
    for (step, seconds) in steps.into_iter().zip(1..) {
        record = advance(store, &record, step, NOW.plus(secs(seconds))).await;
    }
    let other = reserve(store, &reservation_at(2, NOW.plus(secs(7)))).await;
    advance(store, &other, Event::Failed(FailureReason::AppTooOld), NOW.plus(secs(8))).await;

    let found = events(store, NOW.plus(secs(9))).await;
    assert_eq!((found.oldest, found.newest), (1, 9));
    let states = [
        "starting 1",
        "starting 2",
        "pending 3",
        "pending 4",
        "redeemed 5",
        "awaiting_code 6",
        "approved 7",
        "starting 1",
        "failed 2",
    ];
    assert_eq!(words(&found), states);
    for (entry, place) in found.entries.iter().zip(0..) {
        let login = if place < 7 { &record } else { &other };
        assert_eq!((entry.number, entry.at), (place + 1, NOW.plus(secs(place))));
        assert_eq!(entry.login, login.session.id);
    }
}

/// All that is shown of a login but its terms and its identity.
async fn an_entry_tells_how_the_login_stood_then(store: &dyn SessionStore) {
    let mut record = reserve(store, &reservation(1)).await;
    let mut moments = vec![record.session.moment()];
    let steps = [
        accepted(),
        Event::CodeTyped(code(3)),
        redeemed(),
        Event::CodeTyped(code(1)),
        Event::Failed(FailureReason::PhoneMismatch),
    ];
    for (step, seconds) in steps.into_iter().zip(1..) {
        record = advance(store, &record, step, NOW.plus(secs(seconds))).await;
        moments.push(record.session.moment());
    }
    assert_eq!(moments[2].code, CodeProgress::Open { tries: 1 });
    let found = events(store, NOW.plus(secs(9))).await;
    let told = found.entries.into_iter().map(|entry| entry.what);
    let terms = record.session.terms;
    let expected = moments.into_iter().map(|moment| Happened::Changed { moment, terms: terms.clone() });
    assert_eq!(told.collect::<Vec<_>>(), expected.collect::<Vec<_>>());
}

async fn what_is_no_news_makes_no_event(store: &dyn SessionStore) {
    let pending = advance(store, &reserve(store, &reservation(1)).await, accepted(), NOW).await;
    let rescheduled = Event::Rescheduled(Schedule::new(secs(10), NOW, NOW.plus(secs(240))));
    let record = advance(store, &pending, rescheduled, NOW).await;
    save(store, &Record { owner: incarnation("second-run"), epoch: 2, ..record }, NOW).await;
    let record = adopt(store, "second-run", "third-run").await.remove(0);
    assert_eq!(events(store, NOW).await.newest, 2);

    let record = advance(store, &record, redeemed(), NOW).await;
    let record = advance(store, &record, Event::CodeTyped(code(1)), NOW).await;
    let record = advance(store, &record, Event::Approved(identity()), NOW).await;
    advance(store, &record, Event::Erased, NOW).await;
    let found = words(&events(store, NOW).await);
    assert_eq!(found, ["starting 1", "pending 2", "redeemed 6", "redeemed 7", "approved 8"]);
}

async fn a_repeated_write_makes_no_second_event(store: &dyn SessionStore) {
    let starting = reserve(store, &reservation(1)).await;
    reserve(store, &reservation(1)).await;
    let next = after(&starting, accepted(), NOW);
    save(store, &next, NOW).await;
    save(store, &next, NOW).await;
    assert_eq!(words(&events(store, NOW).await), ["starting 1", "pending 2"]);
}

async fn a_reservation_taken_back_is_an_event(store: &dyn SessionStore) {
    let starting = reserve(store, &reservation(1)).await;
    for _ in 0..2 {
        store.release(&starting, true).await.expect("the store answers");
    }
    let found = events(store, NOW).await;
    assert_eq!(words(&found), ["withdrawn 1", "withdrawn 2"]);
    assert_eq!(found.entries[1].at, NOW);
}

async fn a_reader_goes_on_where_it_was(store: &dyn SessionStore) {
    for seed in 1..=5 {
        reserve(store, &reservation(seed)).await;
    }
    for (from, limit, expected) in
        [(0, 2, vec![1, 2]), (2, 2, vec![3, 4]), (4, 2, vec![5]), (5, 2, vec![]), (9, 2, vec![]), (0, 0, vec![])]
    {
        let found = store.events(&tenant("acme"), from, limit, NOW).await.expect("the store answers");
        assert_eq!(numbers(&found), expected, "after {from}");
        assert_eq!((found.oldest, found.newest), (1, 5));
    }
}

async fn an_empty_stream_has_an_epoch(store: &dyn SessionStore) {
    let empty = events(store, NOW).await;
    assert_eq!((empty.oldest, empty.newest, &empty.entries), (1, 0, &Vec::new()));
    assert!(empty.epoch.len() >= 16, "{} is easily found twice", empty.epoch);
    reserve(store, &reservation(1)).await;
    let found = events(store, NOW).await;
    assert_eq!((found.epoch, found.newest), (empty.epoch, 1));
}

async fn entries_are_readable_for_an_hour(store: &dyn SessionStore) {
    let half = NOW.plus(secs(1800));
    reserve(store, &reservation(1)).await;
    reserve(store, &reservation_at(2, half)).await;
    let last_moment = events(store, NOW.plus(OUTCOME_RETENTION).minus(secs(1))).await;
    assert_eq!((last_moment.oldest, numbers(&last_moment)), (1, vec![1, 2]));
    let found = events(store, NOW.plus(OUTCOME_RETENTION)).await;
    assert_eq!((found.oldest, numbers(&found)), (2, vec![2]));
    let nothing = events(store, half.plus(OUTCOME_RETENTION)).await;
    assert_eq!((nothing.oldest, nothing.newest, numbers(&nothing)), (3, 2, vec![]));

    reserve(store, &reservation_at(3, half.plus(OUTCOME_RETENTION))).await;
    let found = events(store, half.plus(OUTCOME_RETENTION)).await;
    assert_eq!((found.oldest, found.newest, numbers(&found)), (3, 3, vec![3]));
    assert_eq!(found.epoch, last_moment.epoch);
}

async fn many_old_entries_hide_no_new_one(store: &dyn SessionStore) {
    for seed in 0..25 {
        reserve(store, &reservation(seed)).await;
    }
    let later = NOW.plus(OUTCOME_RETENTION);
    reserve(store, &reservation_at(25, later)).await;
    let found = store.events(&tenant("acme"), 0, 2, later).await.expect("the store answers");
    assert_eq!((found.oldest, found.newest, numbers(&found)), (26, 26, vec![26]));
}

async fn times_never_go_back(store: &dyn SessionStore) {
    reserve(store, &reservation_at(1, NOW.plus(secs(2)))).await;
    reserve(store, &reservation_at(2, NOW)).await;
    let found = events(store, NOW.plus(secs(3))).await;
    assert_eq!([found.entries[0].at, found.entries[1].at], [NOW.plus(secs(2)); 2]);
}

async fn a_new_epoch_begins_after_what_was_remembered(store: &dyn SessionStore) {
    reserve(store, &reservation(1)).await;
    let before = events(store, NOW).await;
    store.new_epoch(&tenant("acme"), &Position { number: 50, ..before.end() }, NOW).await.expect("the store answers");

    let begun = events(store, NOW).await;
    assert_ne!(begun.epoch, before.epoch);
    assert_eq!((begun.oldest, begun.newest, &begun.entries), (51, 50, &Vec::new()));
    accept_loss(store).await;
    reserve(store, &reservation(2)).await;
    let found = events(store, NOW).await;
    assert_eq!((found.epoch, found.oldest, numbers(&events(store, NOW).await)), (begun.epoch, 51, vec![51]));
}

async fn an_epoch_ends_once(store: &dyn SessionStore) {
    reserve(store, &reservation(1)).await;
    let before = events(store, NOW).await;
    store.new_epoch(&tenant("acme"), &Position { number: 50, ..before.end() }, NOW).await.expect("the store answers");
    accept_loss(store).await;
    reserve(store, &reservation(2)).await;
    let found = events(store, NOW).await;
    store.new_epoch(&tenant("acme"), &Position { number: 70, ..before.end() }, NOW).await.expect("the store answers");
    assert_eq!(events(store, NOW).await, found);
    // Numbers never fall back, whatever somebody remembers.
    store.new_epoch(&tenant("acme"), &Position { number: 3, ..found.end() }, NOW).await.expect("the store answers");
    assert_eq!(events(store, NOW).await.newest, 51);
}

async fn tenants_have_streams_of_their_own(store: &dyn SessionStore) {
    reserve(store, &reservation(1)).await;
    let theirs = store.events(&tenant("other"), 0, 10, NOW).await.expect("the store answers");
    assert_eq!((theirs.newest, &theirs.entries), (0, &Vec::new()));
    assert_ne!(theirs.epoch, events(store, NOW).await.epoch);
}

async fn several_writers_leave_no_gaps(stage: &Stage) {
    let writers = [stage.replica(), stage.replica(), stage.replica()];
    let stories = (0..21).map(async |seed: u8| {
        let writer = |step: u8| &*writers[usize::from(seed + step) % 3];
        let starting = reserve(writer(0), &reservation(seed)).await;
        let pending = advance(writer(1), &starting, accepted(), NOW).await;
        advance(writer(2), &pending, Event::Denied, NOW).await;
    });
    join_all(stories).await;

    let found = events(&*stage.store, NOW).await;
    assert_eq!(numbers(&found), (1..=63).collect::<Vec<_>>());
    for seed in 0..21 {
        let login = reservation(seed).session.id;
        let versions: Vec<_> =
            found.entries.iter().filter(|entry| entry.login == login).map(|entry| entry.version).collect();
        assert_eq!(versions, [1, 2, 3]);
    }
}

fn numbers(events: &Events) -> Vec<u64> {
    events.entries.iter().map(|entry| entry.number).collect()
}

/// State or outcome of each entry, and its version.
fn words(events: &Events) -> Vec<String> {
    let of = |entry: &LoginEvent| match &entry.what {
        Happened::Changed { moment, .. } => format!("{} {}", word(moment.phase), entry.version),
        Happened::Withdrawn => format!("withdrawn {}", entry.version),
        Happened::Foreign => format!("foreign {}", entry.version),
    };
    events.entries.iter().map(of).collect()
}

fn word(phase: Phase) -> &'static str {
    match phase {
        Phase::Starting => "starting",
        Phase::Pending => "pending",
        Phase::Redeemed => "redeemed",
        Phase::AwaitingCode => "awaiting_code",
        Phase::Ended { how: End::Approved, .. } => "approved",
        Phase::Ended { how: End::Denied, .. } => "denied",
        Phase::Ended { how: End::Expired, .. } => "expired",
        Phase::Ended { how: End::Cancelled, .. } => "cancelled",
        Phase::Ended { how: End::Failed(_), .. } => "failed",
    }
}
