//! One login, and its owner dies at each step of it in turn.

use std::time::Duration;

use ciba_gateway::grpc::v1;
use tokio_util::task::TaskTracker;

use crate::support::client::{NUMBER, at_the_till, standing};
use crate::support::fake_provider::Asked;
use crate::support::flaky_store::Moment;
use crate::support::stage::{Gateway, Stage, pass, secs};

/// How long a caller waits before it asks another replica.
const PATIENCE: Duration = Duration::from_secs(10);

/// A caller that repeats its start elsewhere when it is not answered.
async fn start(first: &Gateway, second: &Gateway) -> v1::Login {
    let desk = first.desk();
    let start = TaskTracker::new().spawn(async move { desk.try_start(at_the_till("r-1", NUMBER)).await });
    match tokio::time::timeout(PATIENCE, start).await {
        Ok(Ok(Ok(login))) => login,
        _ => second.desk().start(at_the_till("r-1", NUMBER)).await,
    }
}

/// How it ends for a caller of the second replica, and how often the phone rang.
async fn ends(stage: &Stage, first: &Gateway, second: &Gateway) -> (String, usize) {
    let login = start(first, second).await;
    let end = standing(&second.desk().wait_for_end(&login).await);
    pass(secs(60)).await;
    assert_eq!(second.desk().sees(&login).await, end, "and stays so");
    assert_eq!(stage.gateway().desk().sees(&login).await, end, "for everybody");
    assert!(!stage.provider.was_polled_twice_at_once());
    (end, stage.provider.count(Asked::Start))
}

/// A login is five calls of the store: admit, reserve, then write what the provider
/// accepted, what was exchanged, and who it was.
#[tokio::test(start_paused = true)]
async fn the_owner_dies_at_each_call_of_the_store() {
    let mut told = Vec::new();
    for call in 1..=6 {
        for moment in [Moment::Before, Moment::After] {
            let stage = Stage::new();
            let (first, second) = (stage.gateway(), stage.gateway());
            stage.provider.person_approves();
            first.store.dies_at(call, moment);
            let (end, rang) = ends(&stage, &first, &second).await;
            told.push((call, moment, end, rang));
        }
    }
    let told: Vec<_> = told.iter().map(|(call, moment, end, rang)| (*call, *moment, end.as_str(), *rang)).collect();
    let expected = [
        // Counted for the number at most, and a repetition is not counted again.
        (1, Moment::Before, "approved", 1),
        (1, Moment::After, "approved", 1),
        // Nothing was claimed: the retry is the start.
        (2, Moment::Before, "approved", 1),
        // Claimed, and nobody knows that the phone did not ring.
        (2, Moment::After, "start_unknown", 0),
        (3, Moment::Before, "start_unknown", 1),
        (3, Moment::After, "approved", 1),
        // The exchange has happened, and nobody has its result.
        (4, Moment::Before, "result_lost", 1),
        (4, Moment::After, "approved", 1),
        (5, Moment::Before, "approved", 1),
        (5, Moment::After, "approved", 1),
        (6, Moment::Before, "approved", 1),
        (6, Moment::After, "approved", 1),
    ];
    assert_eq!(told, expected);
}

/// It asks, the provider acts, and nobody is there to hear the answer.
#[tokio::test(start_paused = true)]
async fn the_owner_dies_while_it_asks_the_provider() {
    for (asked, has_approved, expected) in [
        (Asked::Start, true, "start_unknown"),
        (Asked::Poll, false, "approved"),
        (Asked::Poll, true, "result_lost"),
        (Asked::Identify, true, "approved"),
    ] {
        let stage = Stage::new();
        let (first, second) = (stage.gateway(), stage.gateway());
        let provider = &stage.provider;
        provider.decides_on_arrival();
        if has_approved {
            provider.person_approves();
        }
        match asked {
            Asked::Check | Asked::Start => provider.start_takes(secs(2)),
            Asked::Poll | Asked::Code => provider.poll_takes(secs(2)),
            Asked::Identify | Asked::Revoke => provider.identify_takes(secs(2)),
        }
        let death = async {
            while provider.count(asked) == 0 {
                pass(Duration::from_millis(100)).await;
            }
            first.dies();
            provider.person_approves();
        };
        let ((end, rang), ()) = tokio::join!(ends(&stage, &first, &second), death);
        assert_eq!((end.as_str(), rang), (expected, 1), "{asked:?}, approved: {has_approved}");
    }
}

/// As by SIGSTOP between the reply and its writing, for longer than the lease:
/// whoever has taken over carries on with the tokens that come late.
#[tokio::test(start_paused = true)]
async fn tokens_of_an_owner_that_stood_still_are_used_by_the_next_one() {
    // Before the next owner polls; while it polls; while it waits for a result.
    for (thaws_after, polls) in [(9, 1), (11, 2), (13, 2)] {
        let stage = Stage::new();
        let (first, second) = (stage.gateway(), stage.gateway());
        stage.provider.person_approves();
        let login = first.desk().start(at_the_till("r-1", NUMBER)).await;
        pass(Duration::from_millis(4900)).await;
        first.store.freezes();
        pass(secs(thaws_after) - Duration::from_millis(4500)).await;
        assert_eq!(second.poller.owned(), 1, "it was taken over");
        first.store.thaws();
        assert_eq!(standing(&second.desk().wait_for_end(&login).await), "approved");
        assert_eq!(first.desk().sees(&login).await, "approved");
        let provider = &stage.provider;
        assert_eq!((provider.count(Asked::Poll), provider.count(Asked::Identify)), (polls, 1), "{thaws_after}");
        assert_eq!(provider.count(Asked::Revoke), 0);
    }
}
