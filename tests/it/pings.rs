//! The provider says that it has news: when that is a reason to ask.

use std::time::Duration;

use ciba_gateway::ciba::{AuthReqId, PollAnswer};

use crate::support::client::{NUMBER, at_the_till, standing};
use crate::support::fake_provider::{Asked, pending, slow_down};
use crate::support::stage::{Gateway, Stage, pass, secs};

/// The handle that the provider gave for its nth login.
fn request(nth: usize) -> AuthReqId {
    AuthReqId::new(&format!("handle-{nth}")).expect("an auth_req_id")
}

async fn ping(gateway: &Gateway, nth: usize) {
    gateway.poller.pinged(&request(nth)).await.expect("the store answers");
    // Whoever hears of it acts.
    pass(Duration::from_millis(1)).await;
}

#[tokio::test(start_paused = true)]
async fn a_ping_has_the_provider_asked_at_once() {
    let (stage, gateway) = Stage::with_gateway();
    stage.provider.interval_is(secs(31));
    let login = gateway.desk().start(at_the_till("r-1", NUMBER)).await;
    pass(secs(7)).await;
    stage.provider.person_approves();
    ping(&gateway, 1).await;
    assert_eq!(gateway.desk().sees(&login).await, "approved");
    assert_eq!(stage.provider.polled_after(), [7]);
}

/// A ping says nothing about the person; without news all goes on as before.
#[tokio::test(start_paused = true)]
async fn pings_without_news_cost_one_poll_in_an_interval() {
    let (stage, gateway) = Stage::with_gateway();
    stage.provider.interval_is(secs(20));
    let login = gateway.desk().start(at_the_till("r-1", NUMBER)).await;
    for _ in 0..26 {
        pass(secs(1)).await;
        ping(&gateway, 1).await;
    }
    // One for a ping; one as always, an interval later, and right after it one for a ping.
    assert_eq!(stage.provider.polled_after(), [1, 21, 21]);
    assert!(!stage.provider.was_polled_twice_at_once());
    assert_eq!(gateway.desk().sees(&login).await, "pending");
    pass(secs(16)).await;
    assert_eq!(stage.provider.polled_after(), [1, 21, 21, 41], "then as always");
}

/// CIBA Core, section 7.3: what is in flight is waited for.
#[tokio::test(start_paused = true)]
async fn a_ping_while_a_poll_is_in_flight_waits_for_its_answer() {
    let (stage, gateway) = Stage::with_gateway();
    stage.provider.poll_takes(secs(3));
    gateway.desk().start(at_the_till("r-1", NUMBER)).await;
    pass(secs(6)).await;
    ping(&gateway, 1).await;
    ping(&gateway, 1).await;
    pass(secs(6)).await;
    assert_eq!(stage.provider.polled_after(), [5, 8]);
    assert!(!stage.provider.was_polled_twice_at_once());
}

#[tokio::test(start_paused = true)]
async fn a_ping_does_not_break_what_the_provider_has_asked_for() {
    let (stage, gateway) = Stage::with_gateway();
    stage.provider.answers_polls([PollAnswer::Pending { retry_after: Some(secs(23)) }, slow_down(), pending()]);
    gateway.desk().start(at_the_till("r-1", NUMBER)).await;
    for _ in 0..50 {
        pass(secs(1)).await;
        ping(&gateway, 1).await;
    }
    // At once; after the brake; ten seconds after slow_down, and one for a ping in each ten.
    assert_eq!(stage.provider.polled_after(), [1, 24, 34, 34, 44, 44]);
}

/// The webhook reaches any replica; the owner asks.
#[tokio::test(start_paused = true)]
async fn a_ping_finds_its_login_through_any_replica() {
    let stage = Stage::new();
    let replicas = [stage.gateway(), stage.gateway(), stage.gateway()];
    stage.provider.interval_is(secs(31));
    let login = replicas[0].desk().start(at_the_till("r-1", NUMBER)).await;
    pass(secs(3)).await;
    stage.provider.person_approves();
    ping(&replicas[2], 1).await;
    assert_eq!(replicas[1].desk().sees(&login).await, "approved");
    assert_eq!(stage.provider.polled_after(), [3]);
}

/// Nobody hears of it: polling finds it.
#[tokio::test(start_paused = true)]
async fn a_ping_that_is_lost_delays_and_nothing_else() {
    let stage = Stage::new();
    let (owner, other) = (stage.deaf_gateway(), stage.gateway());
    let login = owner.desk().start(at_the_till("r-1", NUMBER)).await;
    pass(secs(2)).await;
    stage.provider.person_approves();
    ping(&other, 1).await;
    other.store.goes_down();
    other.poller.pinged(&request(1)).await.expect_err("the provider shall send it again");
    assert_eq!(stage.provider.count(Asked::Poll), 0);
    pass(secs(4)).await;
    assert_eq!(owner.desk().sees(&login).await, "approved");
}

#[tokio::test(start_paused = true)]
async fn pings_of_nobody_and_of_what_has_ended_do_nothing() {
    let (stage, gateway) = Stage::with_gateway();
    ping(&gateway, 1).await;
    let login = gateway.desk().start(at_the_till("r-1", NUMBER)).await;
    ping(&gateway, 2).await;
    assert_eq!(stage.provider.count(Asked::Poll), 0);
    assert_eq!(gateway.desk().cancel(&login).await, "cancelled");
    ping(&gateway, 1).await;
    pass(secs(60)).await;
    assert_eq!(stage.provider.count(Asked::Poll), 0);
    assert_eq!(standing(&gateway.desk().get(&login).await), "cancelled");
}

/// An adopter stays clear of what the dead owner may have sent, ping or not.
#[tokio::test(start_paused = true)]
async fn an_adopter_does_not_ask_earlier_because_of_a_ping() {
    let stage = Stage::new();
    let (first, second) = (stage.gateway(), stage.gateway());
    stage.provider.interval_is(secs(31));
    first.desk().start(at_the_till("r-1", NUMBER)).await;
    pass(secs(32)).await;
    first.dies();
    for _ in 0..25 {
        pass(secs(1)).await;
        ping(&second, 1).await;
    }
    assert_eq!(stage.provider.polled_after(), [31]);
    pass(secs(31)).await;
    assert_eq!(stage.provider.count(Asked::Poll), 2);
}
