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
