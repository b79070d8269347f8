//! The poll rule: never early, never slower to grow than told, one last try.

use std::time::Duration;

use proptest::prelude::*;

use crate::ciba::{PollAnswer, Schedule, Step};
use crate::timestamp::Timestamp;

const PENDING: PollAnswer = PollAnswer::Pending { retry_after: None };
const SLOW_DOWN: PollAnswer = PollAnswer::SlowDown { retry_after: None };
const TROUBLE: PollAnswer = PollAnswer::Trouble { retry_after: None };

const fn at(seconds: u64) -> Timestamp {
    Timestamp::from_millis(seconds * 1_000)
}

fn schedule(interval: u64, expires_at: u64) -> Schedule {
    Schedule::new(Duration::from_secs(interval), at(0), at(expires_at))
}

fn again(schedule: Schedule, answer: &PollAnswer, answered_at: Timestamp) -> (Schedule, bool) {
    match schedule.after(answer, answered_at, 0.0) {
        Step::PollAgain { schedule, changed } => (schedule, changed),
        Step::OutOfTime => panic!("there was time"),
    }
}

/// R15, and a wait before the first poll as well.
#[test]
fn an_interval_of_31_seconds_is_kept_from_the_first_poll_on() {
    let schedule = schedule(31, 600);
    assert_eq!(schedule.next_poll_at(), at(31));
    let (schedule, changed) = again(schedule, &PENDING, at(33));
    assert_eq!(schedule.next_poll_at(), at(64), "counted from the answer, not from the request");
    assert!(!changed);
}

/// R16.
#[test]
fn slow_down_adds_five_seconds_for_good() {
    let (schedule, changed) = again(schedule(5, 600), &PENDING, at(5));
    assert!(!changed);
    let (schedule, changed) = again(schedule, &SLOW_DOWN, at(10));
    assert_eq!(schedule.next_poll_at(), at(20));
    assert!(changed);
    let (schedule, changed) = again(schedule, &PENDING, at(20));
    assert_eq!(schedule.next_poll_at(), at(30));
    assert!(!changed);
    let (schedule, _) = again(schedule, &SLOW_DOWN, at(30));
    assert_eq!(schedule.interval(), Duration::from_secs(15));
}

#[test]
fn a_brake_is_obeyed_once_and_written_down() {
    let braked = PollAnswer::Pending { retry_after: Some(Duration::from_secs(40)) };
    let (schedule, changed) = again(schedule(5, 600), &braked, at(5));
    assert_eq!((schedule.next_poll_at(), changed), (at(45), true));
    let (schedule, _) = again(schedule, &PENDING, at(45));
    assert_eq!(schedule.next_poll_at(), at(50));

    let shorter = PollAnswer::Pending { retry_after: Some(Duration::from_secs(2)) };
    let (schedule, changed) = again(schedule, &shorter, at(50));
    assert_eq!((schedule.next_poll_at(), changed), (at(55), false));
}

#[test]
fn trouble_backs_off_to_a_minute_and_is_forgotten_with_the_next_answer() {
    let mut now = at(5);
    let mut current = schedule(5, 10_000);
    for seconds in [5, 10, 20, 40, 60, 60, 60] {
        (current, _) = again(current, &TROUBLE, now);
        assert!(current.is_in_trouble());
        assert_eq!(current.next_poll_at(), now.plus(Duration::from_secs(seconds)));
        now = current.next_poll_at();
    }
    (current, _) = again(current, &PENDING, now);
    assert!(!current.is_in_trouble());
    assert_eq!(current.next_poll_at(), now.plus(Duration::from_secs(5)));
}

#[test]
fn refused_credentials_back_off_at_once() {
    let (schedule, _) = again(schedule(5, 600), &PollAnswer::CredentialsRefused, at(5));
    assert_eq!(schedule.next_poll_at(), at(65));
}

#[test]
fn the_last_poll_falls_just_before_the_end() {
    let mut polls = vec![];
    let mut current = schedule(5, 30);
    loop {
        polls.push(current.next_poll_at().as_secs());
        match current.after(&PENDING, current.next_poll_at(), 0.0) {
            Step::PollAgain { schedule, .. } => current = schedule,
            Step::OutOfTime => break,
        }
    }
    assert_eq!(polls, [5, 10, 15, 20, 29]);
}

#[test]
fn a_back_off_does_not_skip_the_last_poll() {
    let schedule = schedule(5, 100);
    let (schedule, _) = again(schedule, &PollAnswer::CredentialsRefused, at(60));
    assert_eq!(schedule.next_poll_at(), at(99));
}

#[test]
fn a_brake_beyond_the_end_leaves_no_time() {
    let braked = PollAnswer::Trouble { retry_after: Some(Duration::from_secs(3_600)) };
    assert_eq!(schedule(5, 600).after(&braked, at(5), 0.0), Step::OutOfTime);
    assert_eq!(schedule(5, 60).after(&SLOW_DOWN, at(50), 0.0), Step::OutOfTime);
}

#[test]
fn a_ping_has_its_poll_at_once_and_one_in_an_interval() {
    let pinged = schedule(5, 600).pinged(at(2));
    assert_eq!((pinged.next_poll_at(), pinged.is_pinged()), (at(2), true), "also before the first interval is over");
    assert_eq!(pinged.pinged(at(2)), pinged);

    let (after, changed) = again(pinged, &PENDING, at(3));
    assert_eq!((after.next_poll_at(), after.is_pinged(), changed), (at(8), false, false), "then as always");
    assert_eq!(after.pinged(at(4)), after, "one in an interval");
    assert_eq!(after.pinged(at(7)).next_poll_at(), at(7));
    assert_eq!(after.pinged(at(8)), after, "due anyway");
}

/// What the provider has asked for is kept, however much news it has.
#[test]
fn a_ping_does_not_break_a_brake() {
    let braked = PollAnswer::Pending { retry_after: Some(Duration::from_secs(40)) };
    let (schedule, _) = again(schedule(5, 600), &braked, at(5));
    assert_eq!(schedule.pinged(at(10)), schedule);

    let (schedule, _) = again(schedule, &SLOW_DOWN, at(45));
    assert_eq!(schedule.pinged(at(46)), schedule);
    let (schedule, _) = again(schedule, &PENDING, at(55));
    assert_eq!(schedule.pinged(at(56)).next_poll_at(), at(56), "it is over with the next answer");

    let (schedule, _) = again(schedule, &PollAnswer::CredentialsRefused, at(65));
    assert_eq!(schedule.pinged(at(66)), schedule);
    assert!(schedule.without_trouble(at(70)).pinged(at(66)).is_pinged());
}

#[test]
fn a_ping_ends_a_back_off_but_not_its_first_interval() {
    let mut current = schedule(5, 600);
    for answered_at in [at(5), at(10), at(20)] {
        (current, _) = again(current, &TROUBLE, answered_at);
    }
    assert_eq!(current.next_poll_at(), at(40));
    let pinged = current.pinged(at(21));
    assert_eq!((pinged.next_poll_at(), pinged.is_pinged()), (at(25), true));
}

#[test]
fn a_ping_moves_nothing_before_an_adopter_may_ask() {
    let adopted = schedule(5, 600).not_before(at(30));
    assert_eq!(adopted.pinged(at(20)), adopted);
    // The former owner may have asked for a ping, of which nothing was written.
    let adopted = schedule(31, 60).not_before(at(42));
    assert_eq!(adopted.next_poll_at(), at(59), "it was due last before the end");
    assert_eq!(adopted.pinged(at(26)), adopted);
}

/// A ping may be about nothing, and an approval in the last seconds is still seen.
#[test]
fn a_ping_does_not_cost_the_last_poll() {
    let (current, _) = again(schedule(5, 30), &PENDING, at(20));
    assert_eq!(current.next_poll_at(), at(29));
    let pinged = current.pinged(at(23));
    assert_eq!(again(pinged, &PENDING, at(23)).0.next_poll_at(), at(29));
    assert_eq!(current.pinged(at(25)), current);
    let finished = current.finished(&PENDING);
    assert_eq!(finished.pinged(at(29)), finished);
}

/// Replicas of the version before read it, and what they have written is read.
#[test]
fn what_a_ping_needs_is_written_only_where_there_is_something() {
    let plain = serde_json::to_value(schedule(5, 600)).expect("JSON");
    let members: Vec<_> = plain.as_object().expect("an object").keys().collect();
    assert_eq!(members, ["consecutive_troubles", "expires_at", "interval", "next_poll_at"]);
    assert_eq!(serde_json::from_value::<Schedule>(plain).expect("a schedule"), schedule(5, 600));
    let pinged = schedule(5, 600).not_before(at(30)).pinged(at(20));
    let again = serde_json::from_value::<Schedule>(serde_json::to_value(pinged).expect("JSON"));
    assert_eq!(again.expect("a schedule"), pinged);
}

fn live_answer() -> impl Strategy<Value = PollAnswer> {
    let brake = || proptest::option::of((1..=3_600_u64).prop_map(Duration::from_secs));
    prop_oneof![
        4 => brake().prop_map(|retry_after| PollAnswer::Pending { retry_after }),
        4 => Just(PENDING),
        2 => brake().prop_map(|retry_after| PollAnswer::SlowDown { retry_after }),
        2 => Just(TROUBLE),
        1 => brake().prop_map(|retry_after| PollAnswer::Trouble { retry_after }),
        1 => Just(PollAnswer::CredentialsRefused),
    ]
}

fn brake_of(answer: &PollAnswer) -> Duration {
    match answer {
        PollAnswer::Pending { retry_after }
        | PollAnswer::SlowDown { retry_after }
        | PollAnswer::Trouble { retry_after } => retry_after.unwrap_or_default(),
        _ => Duration::ZERO,
    }
}

proptest! {
    /// Whatever pings come: no brake is broken, no two pinged polls share an interval, and
    /// nothing is later than it was.
    #[test]
    fn pings_break_no_rule(
        interval in 1..=60_u64,
        lifetime in 60..=900_u64,
        steps in proptest::collection::vec((live_answer(), 0..2_000_u64, proptest::option::of(0..100_u64)), 1..40),
    ) {
        let mut current = schedule(interval, lifetime);
        let (mut last_pinged, mut now, mut held_until) = (None, at(0), at(0));
        for (answer, latency, ping) in steps {
            if let Some(percent) = ping {
                let wait = current.next_poll_at().since(now);
                let pinged = current.pinged(now.plus(wait * u32::try_from(percent).expect("small") / 100));
                prop_assert!(pinged.next_poll_at() <= current.next_poll_at());
                if pinged.is_pinged() {
                    prop_assert!(pinged.next_poll_at() >= held_until);
                    let since = last_pinged.map(|at| pinged.next_poll_at().since(at));
                    prop_assert!(since.is_none_or(|since| since >= current.interval()));
                    last_pinged = Some(pinged.next_poll_at());
                }
                current = pinged;
            }
            now = current.next_poll_at().plus(Duration::from_millis(latency));
            held_until = now.plus(brake_of(&answer));
            match current.after(&answer, now, 0.5) {
                Step::OutOfTime => break,
                Step::PollAgain { schedule, .. } => current = schedule,
            }
        }
    }

    #[test]
    fn no_poll_is_early_and_none_is_after_the_end(
        interval in 1..=300_u64,
        lifetime in 1..=86_400_u64,
        answers in proptest::collection::vec((live_answer(), 0..30_000_u64, any::<f64>()), 1..40),
    ) {
        let last = at(lifetime).minus(Duration::from_secs(1));
        let mut current = schedule(interval, lifetime);
        prop_assert!(current.next_poll_at() >= at(interval));
        for (answer, latency, jitter) in answers {
            let answered_at = current.next_poll_at().plus(Duration::from_millis(latency));
            let grown = if matches!(answer, PollAnswer::SlowDown { .. }) { 5 } else { 0 };
            let interval = current.interval() + Duration::from_secs(grown);
            let allowed_at = answered_at.plus(interval.max(brake_of(&answer)));
            match current.after(&answer, answered_at, jitter) {
                Step::OutOfTime => {
                    prop_assert!(allowed_at > last);
                    break;
                }
                Step::PollAgain { schedule, changed } => {
                    prop_assert_eq!(schedule.interval(), interval);
                    prop_assert!(schedule.next_poll_at() >= allowed_at);
                    prop_assert!(schedule.next_poll_at() <= last);
                    prop_assert!(changed || (grown == 0 && brake_of(&answer) <= interval));
                    current = schedule;
                }
            }
        }
    }
}
