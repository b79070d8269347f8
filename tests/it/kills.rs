//! Real processes over a real Redis that are killed, stopped and replaced. What
//! was sent when is taken from the provider's side: the simulator's journal.
//!
//! `CIBA_TEST_SOAK=1` makes the long ones longer.

mod town;

use std::time::Duration;

use futures_util::future::join_all;

use town::Town;

use crate::support::tools::is_soak;

/// Longer than a lease and than it takes to call somebody dead.
const LONG: Duration = Duration::from_secs(7);

/// Each in a town of its own, all at once: what takes time is waiting.
#[tokio::test]
async fn whatever_becomes_of_the_owner_its_logins_end_well() {
    let cases: [std::pin::Pin<Box<dyn Future<Output = ()>>>; 5] = [
        Box::pin(it_is_killed()),
        Box::pin(it_stands_still_and_goes_on()),
        Box::pin(redis_stands_still_and_goes_on()),
        Box::pin(it_was_told_to_slow_down_and_is_killed()),
        Box::pin(it_is_told_to_stop()),
    ];
    join_all(cases).await;
}

async fn it_is_killed() {
    let mut town = Town::start(3, 1).await;
    let logins = town.start_logins(0, 6).await;
    town.all_are_polled(&logins, 0).await;
    town.kill(0).await;
    let mark = town.mark().await;
    town.all_are_polled(&logins, mark).await;
    town.all_are_approved(&logins).await;
    town.rules_were_kept(&logins).await;
}

/// It does not know that it was away, but for its clock.
async fn it_stands_still_and_goes_on() {
    let town = Town::start(2, 1).await;
    let logins = town.start_logins(0, 6).await;
    town.all_are_polled(&logins, 0).await;
    town.serves[0].process.signal("STOP");
    let mark = town.mark().await;
    town.all_are_polled(&logins, mark).await;
    town.serves[0].process.signal("CONT");
    town.serves[0].process.logs("goes on under a new name").await;
    town.all_are_approved(&logins).await;
    town.rules_were_kept(&logins).await;
}

/// Nobody knows who lives, so nobody sends anything.
async fn redis_stands_still_and_goes_on() {
    let town = Town::start(2, 1).await;
    let logins = town.start_logins(0, 6).await;
    town.all_are_polled(&logins, 0).await;
    town.redis.pause();
    let paused = town.mark().await;
    tokio::time::sleep(LONG).await;
    let resumed = town.mark().await;
    town.redis.resume();
    // A lease lasts two seconds; half a one is for a machine that has much to do.
    let sent = town.asked().await.polls_between(paused + 2_500, resumed);
    assert_eq!(sent, 0, "something was sent without a lease");
    town.all_are_polled(&logins, resumed).await;
    town.all_are_approved(&logins).await;
    town.rules_were_kept(&logins).await;
}

/// The longer interval was written down, and holds for whoever comes next.
async fn it_was_told_to_slow_down_and_is_killed() {
    let mut town = Town::start(2, 1).await;
    // By magic the second poll is answered so, and the next one well.
    let logins: Vec<String> = ["4790000035", "4790100035", "4790200035"].map(str::to_owned).into();
    town.start_numbers(0, &logins).await;
    for login in &logins {
        town.interval_is_written(login, 6).await;
    }
    town.kill(0).await;
    town.all_end_approved(&logins).await;
    town.rules_were_kept(&logins).await;
}

async fn it_is_told_to_stop() {
    let mut town = Town::start(2, 1).await;
    let logins = town.start_logins(0, 6).await;
    town.all_are_polled(&logins, 0).await;
    town.serves[0].process.signal("TERM");
    let ended = town.serves[0].process.ended().await;
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    let mark = town.mark().await;
    town.all_are_polled(&logins, mark).await;
    let pause = town.asked().await.longest_pause(&logins);
    assert!(pause < 5_000, "nobody waited for a death: {pause} ms");
    town.all_are_approved(&logins).await;
    town.rules_were_kept(&logins).await;
}

/// One after the other dies or leaves, faster than deaths are noticed.
#[tokio::test]
async fn restarts_in_a_row_lose_no_login_and_end_none_twice() {
    let rounds = if is_soak() { 100 } else { 10 };
    let mut town = Town::start(2, 1).await;
    let mut logins = Vec::new();
    for round in 0..rounds {
        logins.extend(town.start_logins(0, 2).await);
        if round % 3 == 2 {
            town.serves[0].process.signal("TERM");
            town.serves[0].process.ended().await;
        } else {
            town.kill(0).await;
        }
        let fresh = town.serve().await;
        town.serves.push(fresh);
        town.serves.remove(0);
    }
    town.all_are_approved(&logins).await;
    town.rules_were_kept(&logins).await;
}

/// The bar: within ten seconds at an interval of five.
#[tokio::test]
async fn the_logins_of_a_killed_process_are_polled_elsewhere_within_ten_seconds() {
    let count = if is_soak() { 2_000 } else { 150 };
    let mut town = Town::start(3, 5).await;
    let mut logins = Vec::new();
    for serve in 0..3 {
        logins.push(town.start_logins(serve, count / 3).await);
    }
    for logins in &logins {
        town.all_are_polled(logins, 0).await;
    }
    let killing = town.note().await;
    town.kill(0).await;
    let killed = town.note().await;
    let (killed, gone) = (town.time_of(&killing).await, town.time_of(&killed).await);
    town.all_are_polled(&logins[0], gone).await;
    let first = town.asked().await.first_after(&logins[0], gone);
    let mut delays: Vec<u64> = first.into_iter().map(|polled| polled - killed).collect();
    delays.sort_unstable();
    let (median, longest) = (delays[delays.len() / 2], delays[delays.len() - 1]);
    println!("{count} logins, {} of the killed one: median {median} ms, longest {longest} ms", delays.len());
    assert!(longest <= 10_000, "{longest} ms after the kill");
    town.rules_were_kept(&logins.concat()).await;
}
