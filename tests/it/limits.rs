//! What a refusal by limit gives away: nothing about the number.

use std::time::Duration;

use ciba_gateway::grpc::v1;
use ciba_gateway::store::{Charge, Counter, Limit};
use tonic::{Code, Status};

use crate::support::client::{Client, NUMBER, OTHER_NUMBER, about, on_a_call, standing};
use crate::support::fake_provider::Asked;
use crate::support::stage::Stage;

const KNOWN: &str = NUMBER;
const UNKNOWN: &str = OTHER_NUMBER;

/// Everything that came with a status, but for the time on the wall, which the HTTP
/// library adds.
#[derive(Debug, PartialEq)]
struct Answer {
    code: Code,
    message: String,
    details: Vec<u8>,
    headers: Vec<(String, Vec<u8>)>,
}

fn bytes(status: &Status) -> Answer {
    let headers = status.metadata().clone().into_headers();
    let headers = headers.iter().filter(|(name, _)| *name != "date");
    let mut headers: Vec<_> = headers.map(|(name, value)| (name.to_string(), value.as_bytes().to_vec())).collect();
    headers.sort();
    Answer { code: status.code(), message: status.message().to_owned(), details: status.details().to_vec(), headers }
}

async fn tries(desk: &Client, name: &str, number: &str) {
    let login = desk.start(on_a_call(name, number)).await;
    let end = if number == KNOWN { desk.cancel(&login).await } else { standing(&login) };
    assert_eq!(end, if number == KNOWN { "cancelled" } else { "person_unknown" });
}

/// SR10: the same bytes for a number with an account and for one without, and no
/// call to the provider for either.
#[tokio::test(start_paused = true)]
async fn a_number_that_was_rung_too_often_may_exist_or_not() {
    let (stage, gateway) = Stage::with_gateway();
    stage.provider.knows_nobody_at(UNKNOWN);
    let desk = gateway.desk();
    for i in 0..3 {
        tries(&desk, &format!("known-{i}"), KNOWN).await;
        tries(&desk, &format!("unknown-{i}"), UNKNOWN).await;
    }
    let sent = stage.provider.count(Asked::Start);
    let known = desk.refused_with(on_a_call("known-3", KNOWN)).await;
    let unknown = desk.refused_with(on_a_call("unknown-3", UNKNOWN)).await;
    assert_eq!((known.code(), bytes(&known)), (Code::ResourceExhausted, bytes(&unknown)));
    assert_eq!((sent, stage.provider.count(Asked::Start)), (6, 6));
}

/// SR10: the same when it is the agent who has started too many, and to the question
/// whether the number can log in.
#[tokio::test(start_paused = true)]
async fn an_agent_at_the_limit_learns_nothing_of_a_number() {
    let limit = Limit { max: 1, window: Duration::from_secs(3600) };
    let charges = vec![Charge { counter: Counter::Agent, limits: vec![limit] }];
    let (stage, gateway) = Stage::with_rules(move |acme| acme.guards.charges.clone_from(&charges));
    stage.provider.knows_nobody_at(UNKNOWN);
    let desk = gateway.desk();
    desk.start(on_a_call("r-0", "+4791234560")).await;
    let known = desk.refused_with(on_a_call("r-1", KNOWN)).await;
    let unknown = desk.refused_with(on_a_call("r-2", UNKNOWN)).await;
    assert_eq!((known.code(), bytes(&known)), (Code::ResourceExhausted, bytes(&unknown)));
    let question = |number| v1::CheckPhoneRequest { agent_id: "ada".to_owned(), ..about(number) };
    let known = desk.check(question(KNOWN)).await.expect_err("a refusal");
    assert_eq!((known.reason.as_str(), Err(known.clone())), ("TOO_MANY_STARTS", desk.check(question(UNKNOWN)).await));
    assert_eq!((stage.provider.count(Asked::Start), stage.provider.count(Asked::Check)), (1, 0));
}
