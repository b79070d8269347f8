//! Thousands of ways in which a login of several replicas can go, each told by
//! a seed: delays, deaths, cut lines, lost wakes, and callers who race.
//!
//! `CIBA_TEST_SEED=n` plays one seed, with a log; `CIBA_TEST_SOAK=1` plays many
//! more of them.

mod checks;
mod plan;
mod play;
mod words;

use std::collections::BTreeMap;
use std::env;

use plan::Plan;
use play::Played;

use crate::support::tools::is_soak;

/// As many as fit into a test run.
const SEEDS: u64 = 1_000;
const SOAK_SEEDS: u64 = 50_000;

#[test]
fn whatever_happens_each_login_ends_once_and_no_rule_is_broken() {
    let (seeds, is_one) = match env::var("CIBA_TEST_SEED") {
        Ok(seed) => (vec![seed.parse().expect("CIBA_TEST_SEED is a number")], true),
        Err(_) if is_soak() => ((0..SOAK_SEEDS).collect(), false),
        Err(_) => ((0..SEEDS).collect::<Vec<u64>>(), false),
    };
    if is_one {
        tracing_subscriber::fmt().with_max_level(tracing::Level::DEBUG).with_writer(std::io::stderr).init();
    }
    let (mut broken, mut ends) = (Vec::new(), BTreeMap::new());
    for seed in seeds {
        let plan = Plan::of(seed);
        let played = play::play(&plan);
        if is_one {
            eprintln!("{plan:#?}\n{played:#?}");
        }
        let faults = checks::faults(&plan, &played);
        if !faults.is_empty() {
            eprintln!("replay with CIBA_TEST_SEED={seed}: {}", faults.join("; "));
            broken.push(seed);
        }
        played.ends.into_iter().flatten().for_each(|end| *ends.entry(end).or_insert(0) += 1);
    }
    assert!(broken.is_empty(), "{} seeds break a rule: {broken:?}", broken.len());
    println!("{ends:?}");
    // The plays are worth something only if they come to all kinds of ends.
    let kinds = ["approved", "denied", "cancelled", "expired", "start_unknown", "result_lost", "code_mismatch"];
    let missing: Vec<_> = kinds.into_iter().filter(|kind| !ends.contains_key(*kind)).collect();
    assert!(missing.is_empty() || is_one, "no play ends {missing:?}");
}

/// Otherwise a seed that failed could not be looked at. Two tasks that are woken
/// at the same time may come in either order; of two logins their ids, which are
/// drawn at random, decide who is taken over first.
#[test]
fn a_seed_plays_the_same_way_each_time() {
    let trace = |plan: &Plan| {
        let Played { mut requests, mut told, .. } = play::play(plan);
        requests.sort_by_key(|it| (it.sent_at, it.about));
        told.sort();
        (format!("{requests:?}"), format!("{told:?}"))
    };
    let plans = (0..60).map(|seed| (seed, Plan::of(seed))).filter(|(_, plan)| plan.logins == 1);
    for (seed, plan) in plans {
        assert_eq!(trace(&plan), trace(&plan), "seed {seed}");
    }
}
