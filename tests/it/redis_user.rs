//! The Redis user that production has: what the gateway does with it, and what
//! nobody can do with it.

use std::collections::BTreeSet;

use redis::{Cmd, ErrorKind, RedisResult, ServerErrorKind, Value, cmd};

use crate::support::configuration::Configuration;
use crate::support::gateway::Gateway;
use crate::support::redis_server::{GATEWAY_USER, RedisServer};
use crate::support::simulators::Vipps;

const NUMBER: &str = "+4712345678";
const OPERATIONS: &str = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/operations.md"));

/// SR30.
#[tokio::test]
async fn a_login_asks_for_nothing_that_the_user_may_not_do() {
    let (vipps, server) = (Vipps::start().await, RedisServer::start().await);
    let gateway = Gateway::ready(&Configuration::new(&vipps.issuer()).with_redis(&server)).await;
    let login = gateway.caller().at_a_till(NUMBER).await;
    vipps.simulator.approve(NUMBER);
    gateway.caller().end_of(&login.login_id).await;
    let refused: Vec<Value> = cmd("ACL").arg("LOG").query_async(&mut server.commands().await).await.expect("an answer");
    assert_eq!(refused, []);
}

/// SR30.
#[tokio::test]
async fn the_user_may_do_nothing_else() {
    let server = RedisServer::start().await;
    let client = redis::Client::open(server.url()).expect("an address");
    let mut line = client.get_multiplexed_async_connection().await.expect("a connection");
    for words in [
        "FLUSHALL",
        "FLUSHDB",
        "KEYS *",
        "SCAN 0",
        "CONFIG GET maxmemory",
        "ACL LIST",
        "SHUTDOWN",
        "REPLICAOF NO ONE",
        "CLIENT LIST",
        "MONITOR",
        "SCRIPT FLUSH",
        "MSET cg1:{acme}:a 1",
        "CLUSTER RESET",
        "GET somebody-elses-key",
        "SET cg2:key value",
        "PUBLISH somebody-elses-channel word",
        "EVAL return(redis.call('GET',KEYS[1])) 1 somebody-elses-key",
        "EVAL return(redis.call('GET','somebody-elses-key')) 0",
        "EVAL return(redis.call('KEYS','*')) 0",
    ] {
        let refused: RedisResult<Value> = command(words).query_async(&mut line).await;
        let refused = refused.expect_err(words);
        let is_refusal = refused.kind() == ErrorKind::Server(ServerErrorKind::NoPerm)
            || refused.to_string().contains("The user executing the script can't");
        assert!(is_refusal, "{words}: {refused}");
    }
    let allowed: RedisResult<Value> = command("SET cg1:{acme}:key value").query_async(&mut line).await;
    allowed.expect("the user may write its own keys");
}

/// What an operator reads about the user is what the file gives.
#[test]
fn every_right_is_explained() {
    let given: BTreeSet<_> =
        GATEWAY_USER.split_whitespace().filter_map(|rule| rule.strip_prefix('+')).map(str::to_owned).collect();
    let section = OPERATIONS.split("## Redis settings").next().expect("a section");
    let explained: BTreeSet<_> = section
        .lines()
        .filter_map(|line| line.strip_prefix("| `")?.split(" | ").next())
        .flat_map(|commands| commands.split(['`', ' ']).filter(|word| !word.is_empty()))
        .map(|command| command.replace("\\|", "|"))
        .collect();
    assert_eq!(given, explained);
}

fn command(words: &str) -> Cmd {
    let mut words = words.split(' ');
    let mut command = cmd(words.next().expect("a command"));
    words.for_each(|word| {
        command.arg(word);
    });
    command
}
