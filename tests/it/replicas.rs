//! Several replicas over one store: each login has one of them, whatever
//! happens to that one.

use std::time::Duration;

use crate::support::client::{NUMBER, OTHER_NUMBER, at_the_till, standing};
use crate::support::fake_provider::{Asked, FakeProvider, slow_down};
use crate::support::stage::{Gateway, Stage, pass, secs};

/// Longer than a lease and the time after which anybody is called dead.
const OUTAGE: Duration = Duration::from_secs(20);

fn with_three() -> (Stage, [Gateway; 3]) {
    let stage = Stage::new();
    let gateways = [stage.gateway(), stage.gateway(), stage.gateway()];
    (stage, gateways)
}

fn assert_one_interval_apart(provider: &FakeProvider, interval: u64) {
    let polls = provider.polled_after();
    assert!(polls.windows(2).all(|pair| pair[1] - pair[0] >= interval), "{polls:?}");
    assert!(!provider.was_polled_twice_at_once());
}

#[tokio::test(start_paused = true)]
async fn a_killed_replicas_login_is_polled_elsewhere() {
    // Just before a poll, just after one, and in between.
    for killed_after in [9900, 10_100, 12_400] {
        let (stage, [first, second, _third]) = with_three();
        let login = first.desk().start(at_the_till("r-1", NUMBER)).await;
        pass(Duration::from_millis(killed_after)).await;
        let before = stage.provider.count(Asked::Poll);
        first.dies();
        pass(secs(8)).await;
        assert_eq!(stage.provider.count(Asked::Poll), before + 1, "within eight seconds, once");
        pass(secs(20)).await;
        assert_one_interval_apart(&stage.provider, 5);
        stage.provider.person_approves();
        assert_eq!(standing(&second.desk().wait_for_end(&login).await), "approved");
        assert_eq!((stage.provider.count(Asked::Start), stage.provider.count(Asked::Identify)), (1, 1));
    }
}

#[tokio::test(start_paused = true)]
async fn a_long_interval_is_respected_after_a_death() {
    let (stage, [first, second, _third]) = with_three();
    stage.provider.interval_is(secs(31));
    let login = first.desk().start(at_the_till("r-1", NUMBER)).await;
    pass(secs(63)).await;
    first.dies();
    stage.provider.person_approves();
    assert_eq!(standing(&second.desk().wait_for_end(&login).await), "approved");
    assert_one_interval_apart(&stage.provider, 31);
}

/// A poll that breaks off with its process is over when the next one is sent.
#[tokio::test(start_paused = true)]
async fn a_replica_that_dies_while_it_polls_overlaps_with_nobody() {
    let (stage, [first, second, _third]) = with_three();
    let login = first.desk().start(at_the_till("r-1", NUMBER)).await;
    stage.provider.poll_takes(secs(4));
    pass(secs(6)).await;
    first.dies();
    stage.provider.person_approves();
    assert_eq!(standing(&second.desk().wait_for_end(&login).await), "approved");
    assert_one_interval_apart(&stage.provider, 5);
}

#[tokio::test(start_paused = true)]
async fn what_was_redeemed_before_a_death_is_identified_elsewhere() {
    let (stage, [first, second, _third]) = with_three();
    stage.provider.identify_takes(secs(3));
    stage.provider.person_approves();
    let login = first.desk().start(at_the_till("r-1", NUMBER)).await;
    pass(secs(6)).await;
    assert_eq!(second.desk().sees(&login).await, "redeemed");
    first.dies();
    assert_eq!(standing(&second.desk().wait_for_end(&login).await), "approved");
    assert_eq!(stage.provider.count(Asked::Poll), 1);
}

#[tokio::test(start_paused = true)]
async fn a_start_whose_replica_dies_is_unknown_and_not_repeated() {
    let (stage, [first, second, _third]) = with_three();
    stage.provider.start_takes(secs(4));
    let desk = first.desk();
    let start =
        tokio_util::task::TaskTracker::new().spawn(async move { desk.try_start(at_the_till("r-1", NUMBER)).await });
    pass(secs(2)).await;
    first.dies();
    pass(secs(6)).await;
    start.abort();
    let retried = second.desk().start(at_the_till("r-1", NUMBER)).await;
    assert_eq!(standing(&retried), "start_unknown");
    assert_eq!((stage.provider.count(Asked::Start), stage.provider.count(Asked::Poll)), (1, 0));
}

/// No waiting: the store tells when the next poll may be sent.
#[tokio::test(start_paused = true)]
async fn a_drained_replicas_logins_go_on_as_if_nothing_had_happened() {
    let (stage, [first, second, _third]) = with_three();
    let desk = second.desk();
    let login = first.desk().start(at_the_till("r-1", NUMBER)).await;
    let other = first.desk().start(at_the_till("r-2", OTHER_NUMBER)).await;
    pass(Duration::from_millis(12_500)).await;
    first.drains().await;
    pass(secs(10)).await;
    assert_eq!(stage.provider.polled_after(), [5, 5, 10, 10, 15, 15, 20, 20]);
    assert!(!stage.provider.was_polled_twice_at_once());
    stage.provider.person_approves();
    for login in [login, other] {
        assert_eq!(standing(&desk.wait_for_end(&login).await), "approved");
    }
    assert_eq!(first.poller.owned(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_drain_sees_the_poll_in_flight_through() {
    let (stage, [first, second, _third]) = with_three();
    stage.provider.poll_takes(secs(3));
    stage.provider.answers_polls([slow_down()]);
    let login = first.desk().start(at_the_till("r-1", NUMBER)).await;
    pass(secs(6)).await;
    first.drains().await;
    pass(secs(15)).await;
    assert_eq!(stage.provider.polled_after(), [5, 18], "the answer at 8 s, and the longer interval from there");
    stage.provider.person_approves();
    assert_eq!(standing(&second.desk().wait_for_end(&login).await), "approved");
}

#[tokio::test(start_paused = true)]
async fn a_lone_replica_that_was_cut_from_the_store_sends_nothing_and_goes_on() {
    let (stage, gateway) = Stage::with_gateway();
    let desk = gateway.desk();
    let login = desk.start(at_the_till("r-1", NUMBER)).await;
    pass(Duration::from_millis(5500)).await;
    gateway.store.goes_down();
    pass(OUTAGE).await;
    assert_eq!(stage.provider.polled_after(), [5], "without a lease nothing is sent");
    gateway.store.comes_back();
    pass(secs(1)).await;
    assert_eq!(stage.provider.polled_after(), [5, 25], "it is long since anything was sent");
    assert_eq!(gateway.poller.owned(), 1, "one task for one login");
    stage.provider.person_approves();
    assert_eq!(standing(&desk.wait_for_end(&login).await), "approved");
    assert_one_interval_apart(&stage.provider, 5);
}

#[tokio::test(start_paused = true)]
async fn a_replica_that_was_cut_off_leaves_its_logins_to_whoever_took_them() {
    for is_deaf in [false, true] {
        let stage = Stage::new();
        let first = if is_deaf { stage.deaf_gateway() } else { stage.gateway() };
        let second = stage.gateway();
        let login = first.desk().start(at_the_till("r-1", NUMBER)).await;
        pass(Duration::from_millis(5500)).await;
        first.store.goes_down();
        pass(OUTAGE).await;
        assert!(stage.provider.count(Asked::Poll) > 1, "the other one polls");
        first.store.comes_back();
        pass(OUTAGE).await;
        assert_one_interval_apart(&stage.provider, 5);
        assert_eq!((first.poller.owned(), second.poller.owned()), (0, 1));
        stage.provider.person_approves();
        assert_eq!(standing(&first.desk().wait_for_end(&login).await), "approved");
        assert_ne!(first.desk().start(at_the_till("r-2", OTHER_NUMBER)).await.login_id, login.login_id);
    }
}

/// Tokens that came just before the line broke, and an end elsewhere meanwhile.
#[tokio::test(start_paused = true)]
async fn the_first_outcome_wins_when_a_replica_comes_back_with_another() {
    let stage = Stage::new();
    let (first, second) = (stage.gateway(), stage.gateway());
    let login = first.desk().start(at_the_till("r-1", NUMBER)).await;
    stage.provider.person_approves();
    pass(Duration::from_millis(4500)).await;
    first.store.goes_down();
    pass(secs(1)).await;
    assert_eq!(second.desk().cancel(&login).await, "cancelled");
    pass(OUTAGE).await;
    first.store.comes_back();
    pass(secs(10)).await;
    for replica in [&first, &second] {
        assert_eq!(replica.desk().sees(&login).await, "cancelled");
        assert_eq!(replica.poller.owned(), 0);
    }
    assert_eq!((stage.provider.count(Asked::Identify), stage.provider.count(Asked::Revoke)), (0, 1));
}

/// Tokens that a former owner brings late are the present owner's to use.
#[tokio::test(start_paused = true)]
async fn tokens_from_a_former_owner_are_used_by_the_present_one() {
    let stage = Stage::new();
    let (first, second) = (stage.gateway(), stage.gateway());
    let login = first.desk().start(at_the_till("r-1", NUMBER)).await;
    stage.provider.person_approves();
    pass(Duration::from_millis(4500)).await;
    first.store.goes_down();
    pass(secs(3)).await;
    assert_eq!((second.poller.owned(), stage.provider.count(Asked::Poll)), (1, 1), "taken over, not yet polled");
    first.store.comes_back();
    assert_eq!(standing(&second.desk().wait_for_end(&login).await), "approved");
    assert_eq!((stage.provider.count(Asked::Poll), stage.provider.count(Asked::Identify)), (1, 1));
}

#[tokio::test(start_paused = true)]
async fn a_replica_without_a_lease_rings_nobody() {
    let (stage, gateway) = Stage::with_gateway();
    let desk = gateway.desk();
    assert_eq!(desk.list().await, []);
    gateway.store.beats_are_lost();
    pass(secs(3)).await;
    assert_eq!(desk.refused(at_the_till("r-1", NUMBER)).await.reason, "STORE_UNAVAILABLE");
    assert_eq!((stage.provider.count(Asked::Start), desk.list().await.len()), (0, 0));
    gateway.store.comes_back();
    pass(secs(1)).await;
    assert_eq!(standing(&desk.start(at_the_till("r-1", NUMBER)).await), "pending");
}

#[tokio::test(start_paused = true)]
async fn an_adoption_whose_answer_is_lost_loses_no_login() {
    let stage = Stage::new();
    let (first, second) = (stage.gateway(), stage.gateway());
    let login = first.desk().start(at_the_till("r-1", NUMBER)).await;
    pass(Duration::from_millis(5100)).await;
    first.dies();
    second.store.loses_the_next_adoption();
    pass(secs(12)).await;
    assert_eq!(second.poller.owned(), 1);
    stage.provider.person_approves();
    assert_eq!(standing(&second.desk().wait_for_end(&login).await), "approved");
    assert_one_interval_apart(&stage.provider, 5);
}

/// As when a newer version wrote it: whoever can read it finds its owner gone.
#[tokio::test(start_paused = true)]
async fn who_owns_something_that_others_can_read_is_not_buried() {
    let stage = Stage::new();
    let (first, second) = (stage.gateway(), stage.gateway());
    let login = first.desk().start(at_the_till("r-1", NUMBER)).await;
    pass(secs(1)).await;
    first.dies();
    second.store.is_illiterate();
    pass(secs(20)).await;
    assert_eq!((second.poller.owned(), stage.provider.count(Asked::Poll)), (0, 0));
    let third = stage.gateway();
    stage.provider.person_approves();
    assert_eq!(standing(&third.desk().wait_for_end(&login).await), "approved");
}

#[tokio::test(start_paused = true)]
async fn what_a_login_costs_does_not_grow_with_its_polls() {
    let mut costs = Vec::new();
    for seconds in [12, 202] {
        let (stage, gateway) = Stage::with_gateway();
        let desk = gateway.desk();
        let login = desk.start(at_the_till("r-1", NUMBER)).await;
        pass(secs(seconds)).await;
        stage.provider.person_approves();
        assert_eq!(standing(&desk.wait_for_end(&login).await), "approved");
        costs.push(gateway.store.calls());
    }
    assert_eq!(costs[0], costs[1]);
}
