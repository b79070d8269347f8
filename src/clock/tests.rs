use std::sync::atomic::AtomicU64;

use super::*;

const NOON: u64 = 1_800_000_000_000;

/// A machine's clock, and the hand that sets it.
fn settable() -> (Clock, Arc<AtomicU64>) {
    let hand = Arc::new(AtomicU64::new(NOON));
    let local = Arc::clone(&hand);
    (Clock::telling(move || Timestamp::from_millis(local.load(Ordering::Relaxed))), hand)
}

fn at(offset: i64) -> Timestamp {
    Timestamp::from_millis(NOON.saturating_add_signed(offset))
}

#[test]
fn the_store_is_right_whichever_way_the_machine_is_off() {
    for offset in [-3_600_000, -5000, -2, 2, 5000, 3_600_000] {
        let (clock, _) = settable();
        clock.follow(at(offset), Duration::ZERO);
        assert_eq!(clock.now(), at(offset));
        assert_eq!(clock.clone().now(), (clock.as_fn())(), "all clones are one");
    }
}

#[test]
fn the_middle_of_the_round_trip_is_what_the_store_saw() {
    let (clock, _) = settable();
    clock.follow(at(5000 - 200), Duration::from_millis(400));
    assert_eq!(clock.now(), at(5000));
}

#[test]
fn what_the_round_trip_explains_changes_nothing() {
    for said in [-401, -400, -200, 0, 1] {
        let (clock, _) = settable();
        clock.follow(at(said), Duration::from_millis(400));
        assert_eq!(clock.now(), at(0), "{said}");
    }
}

#[test]
fn a_machine_whose_clock_is_set_goes_by_the_store_with_the_next_answer() {
    let (clock, hand) = settable();
    clock.follow(at(5000), Duration::ZERO);
    hand.store(NOON + 60_000, Ordering::Relaxed);
    assert_eq!(clock.now(), at(65_000));
    clock.follow(at(5001), Duration::ZERO);
    assert_eq!(clock.now(), at(5001));
}

#[tokio::test(start_paused = true)]
async fn who_sleeps_is_woken_when_the_clock_is_put_right() {
    let clock = Clock::following_tokio(at(0));
    let started = tokio::time::Instant::now();
    let put_right = async {
        tokio::time::sleep(Duration::from_secs(1)).await;
        clock.follow(at(31_000), Duration::ZERO);
    };
    tokio::join!(clock.sleep_until(at(40_000)), put_right);
    assert_eq!(started.elapsed(), Duration::from_secs(10));
}
