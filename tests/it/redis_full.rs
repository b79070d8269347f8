//! Redis has no memory left: new logins are shed, running ones end well.

use ciba_gateway::grpc::v1::Outcome;
use redis::aio::MultiplexedConnection;
use redis::{RedisResult, cmd};
use tonic::Code;

use crate::support::caller::{refusal, till};
use crate::support::configuration::Configuration;
use crate::support::gateway::Gateway;
use crate::support::redis_server::RedisServer;
use crate::support::simulators::Vipps;

const NUMBER: &str = "+4712345678";
const MEGABYTE: usize = 1 << 20;

/// SR35.
#[tokio::test]
async fn a_full_redis_takes_no_start_and_ends_what_runs() {
    let (vipps, server) = (Vipps::start().await, RedisServer::start().await);
    let gateway = Gateway::ready(&Configuration::new(&vipps.issuer()).with_redis(&server)).await;
    let caller = gateway.caller();
    let login = caller.at_a_till(NUMBER).await;

    let mut line = server.commands().await;
    fill(&mut line).await;
    let refused = caller.start(till("+4712345679")).await.expect_err("a refusal");
    assert_eq!(refusal(&refused), (Code::ResourceExhausted, "STORE_FULL".into(), true), "{refused}");
    assert_eq!(vipps.simulator.waiting().len(), 1, "no other phone rings");

    vipps.simulator.approve(NUMBER);
    assert_eq!(caller.end_of(&login.login_id).await.outcome(), Outcome::Approved);

    set_limit(&mut line, 0).await;
    caller.at_a_till("+4712345679").await;
}

/// Others have written as much as Redis may hold.
async fn fill(line: &mut MultiplexedConnection) {
    for number in 0..8 {
        let filler = cmd("SET").arg(format!("filler-{number}")).arg("x".repeat(MEGABYTE)).clone();
        filler.query_async::<()>(line).await.expect("redis-server takes a value");
    }
    set_limit(line, 8 * MEGABYTE).await;
}

async fn set_limit(line: &mut MultiplexedConnection, bytes: usize) {
    let set: RedisResult<()> = cmd("CONFIG").arg("SET").arg("maxmemory").arg(bytes).query_async(line).await;
    set.expect("redis-server takes the setting");
}
