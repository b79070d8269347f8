//! Machines whose clocks are wrong, or are set while logins are under way.

use std::time::Duration;

use ciba_gateway::grpc::v1;

use crate::support::client::{Client, NUMBER, OTHER_NUMBER, at_the_till, on_a_call, standing};
use crate::support::fake_provider::{Asked, FULL_NAME, slow_down};
use crate::support::stage::{Gateway, IDENTITY_WINDOW, Stage, pass, secs};

const INSTANT: Duration = Duration::from_millis(100);

/// Replicas whose clocks are behind, right and ahead by five seconds, over a
/// store that has the right time.
fn with_three_clocks() -> (Stage, [Gateway; 3]) {
    let stage = Stage::with_store_clock();
    let gateways = [stage.gateway_off_by(-5), stage.gateway_off_by(0), stage.gateway_off_by(5)];
    (stage, gateways)
}

async fn sees_the_person(desk: &Client, login: &v1::Login) -> bool {
    desk.get(login).await.identity.is_some_and(|identity| identity.name == FULL_NAME)
}

#[tokio::test(start_paused = true)]
async fn no_poll_is_early_whoever_takes_over_with_whatever_clock() {
    for first in [0, 2] {
        let (stage, gateways) = with_three_clocks();
        pass(INSTANT).await;
        let login = gateways[first].desk().start(at_the_till("r-1", NUMBER)).await;
        pass(Duration::from_millis(10_100)).await;
        assert_eq!(stage.provider.polled_after(), [5, 10]);
        gateways[first].dies();
        pass(secs(20)).await;
        let polls = stage.provider.polled_after();
        assert!(polls.windows(2).all(|pair| pair[1] - pair[0] >= 5), "{polls:?}");
        assert!((15..=19).contains(&polls[2]), "and none is late: {polls:?}");
        gateways[1].dies();
        stage.provider.person_approves();
        assert_eq!(standing(&gateways[2 - first].desk().wait_for_end(&login).await), "approved");
    }
}

#[tokio::test(start_paused = true)]
async fn a_login_expires_when_its_time_is_up_by_the_stores_clock() {
    let (_stage, gateways) = with_three_clocks();
    pass(INSTANT).await;
    let lasting = v1::StartLoginRequest {
        lifetime: Some(prost_types::Duration { seconds: 120, nanos: 0 }),
        ..at_the_till("r-1", NUMBER)
    };
    let login = gateways[0].desk().start(lasting).await;
    // Five seconds are for an answer in flight.
    pass(secs(125) - INSTANT).await;
    for gateway in &gateways {
        assert_eq!(gateway.desk().sees(&login).await, "pending");
    }
    pass(2 * INSTANT).await;
    for gateway in &gateways {
        assert_eq!(gateway.desk().sees(&login).await, "expired");
    }
}

#[tokio::test(start_paused = true)]
async fn an_identity_is_readable_for_its_window_whoever_is_asked() {
    let (stage, gateways) = with_three_clocks();
    pass(INSTANT).await;
    stage.provider.person_approves();
    let login = gateways[2].desk().start(at_the_till("r-1", NUMBER)).await;
    gateways[0].desk().wait_for_end(&login).await;
    pass(IDENTITY_WINDOW - INSTANT).await;
    for gateway in &gateways {
        assert!(sees_the_person(&gateway.desk(), &login).await);
    }
    pass(2 * INSTANT).await;
    for gateway in &gateways {
        assert!(!sees_the_person(&gateway.desk(), &login).await);
        assert_eq!(gateway.desk().sees(&login).await, "approved");
    }
}

/// Nobody puts this clock right: there is only one machine.
#[tokio::test(start_paused = true)]
async fn a_clock_that_is_set_makes_no_poll_early_or_late() {
    for seconds in [-60, 60] {
        let (stage, gateway) = Stage::with_gateway();
        stage.provider.answers_polls([slow_down()]);
        gateway.desk().start(at_the_till("r-1", NUMBER)).await;
        pass(secs(7)).await;
        gateway.wall.is_off_by(seconds);
        pass(secs(9)).await;
        gateway.wall.is_off_by(0);
        pass(secs(10)).await;
        assert_eq!(stage.provider.polled_after(), [5, 15, 25]);
    }
}

/// A clock that is set is put right with the next sign of life.
#[tokio::test(start_paused = true)]
async fn a_clock_that_is_set_back_keeps_nobody_waiting() {
    let stage = Stage::with_store_clock();
    let gateway = stage.gateway();
    let login = gateway.desk().start(on_a_call("r-1", NUMBER)).await;
    gateway.wall.is_off_by(-3600);
    stage.provider.person_approves();
    pass(secs(5 + 60) + INSTANT).await;
    assert_eq!(gateway.desk().sees(&login).await, "code_not_confirmed");
    assert_eq!(stage.provider.count(Asked::Poll), 1);
}

#[tokio::test(start_paused = true)]
async fn an_end_stays_what_it_is_whatever_the_clocks_do() {
    let stage = Stage::new();
    let gateways = [stage.gateway(), stage.gateway()];
    let desk = gateways[0].desk();
    let approved = desk.start(at_the_till("r-1", NUMBER)).await;
    stage.provider.person_approves();
    assert_eq!(standing(&desk.wait_for_end(&approved).await), "approved");
    let expired = desk.start(on_a_call("r-2", OTHER_NUMBER)).await;
    // The other machine's clock is far ahead, and it ends the login first.
    gateways[1].wall.is_off_by(600);
    assert_eq!(gateways[1].desk().sees(&expired).await, "expired");
    for seconds in [-1800, 0, 1800] {
        for gateway in &gateways {
            gateway.wall.is_off_by(seconds);
            assert_eq!(gateway.desk().sees(&approved).await, "approved");
            assert_eq!(gateway.desk().sees(&expired).await, "expired");
        }
        pass(secs(7)).await;
    }
    assert_eq!((stage.provider.count(Asked::Poll), stage.provider.count(Asked::Identify)), (1, 1));
}
