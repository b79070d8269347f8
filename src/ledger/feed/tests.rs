use super::*;
use crate::session::LoginId;
use crate::store::Happened;
use crate::timestamp::Timestamp;

fn events(epoch: &str, numbers: impl Iterator<Item = u64>, newest: u64) -> Events {
    let event = |number| LoginEvent {
        number,
        login: LoginId::from_random([1; 20]),
        version: 1,
        at: Timestamp::default(),
        what: Happened::Withdrawn,
    };
    Events { epoch: epoch.to_owned(), oldest: 1, newest, entries: numbers.map(event).collect() }
}

fn after(feed: &Feed, epoch: &str, number: u64) -> Option<Vec<u64>> {
    match feed.after(&Position { epoch: epoch.to_owned(), number }, 100) {
        Ahead::Events(events) => Some(events.iter().map(|event| event.number).collect()),
        Ahead::Unknown => None,
    }
}

#[test]
fn what_was_read_is_at_hand_from_where_reading_began() {
    let feed = Feed::default();
    assert_eq!(after(&feed, "one", 0), None, "nothing has been read yet");
    feed.take_in(events("one", 1..1, 5));
    assert_eq!((after(&feed, "one", 5), after(&feed, "one", 4)), (Some(vec![]), None));
    feed.take_in(events("one", 6..=8, 8));
    assert_eq!(after(&feed, "one", 5), Some(vec![6, 7, 8]));
    assert_eq!(after(&feed, "one", 7), Some(vec![8]));
    assert_eq!((after(&feed, "one", 4), after(&feed, "two", 7)), (None, None));
}

#[test]
fn a_page_that_is_not_the_last_ends_where_it_ends() {
    let feed = Feed::default();
    feed.take_in(events("one", 1..1, 0));
    feed.take_in(events("one", 1..=3, 9));
    assert_eq!(feed.end().map(|end| end.number), Some(3));
    feed.take_in(events("one", 4..=9, 9));
    assert_eq!(after(&feed, "one", 0), Some((1..=9).collect()));
}

#[test]
fn a_gap_or_another_epoch_begins_anew() {
    let feed = Feed::default();
    feed.take_in(events("one", 1..1, 2));
    feed.take_in(events("one", 3..=4, 4));
    feed.take_in(events("one", 7..=8, 8));
    assert_eq!((after(&feed, "one", 4), after(&feed, "one", 6)), (None, Some(vec![7, 8])));
    feed.take_in(events("two", 9..=9, 9));
    assert_eq!((after(&feed, "one", 8), after(&feed, "two", 8)), (None, Some(vec![9])));
}

#[test]
fn only_so_much_is_at_hand() {
    let feed = Feed::default();
    feed.take_in(events("one", 1..1, 0));
    let many = AT_HAND as u64 + 10;
    feed.take_in(events("one", 1..=many, many));
    assert_eq!((after(&feed, "one", 9), after(&feed, "one", 10).map(|found| found[0])), (None, Some(11)));
}
