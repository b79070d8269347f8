//! What an operator runs into: mistakes in the configuration, taken ports, and
//! what `check` says about each.

use crate::support::configuration::{Configuration, ConfigurationFile};
use crate::support::gateway::local;
use crate::support::processes::{Ended, Process};
use crate::support::redis_server::RedisServer;
use crate::support::simulators::Vipps;

async fn run(command: &str, file: &ConfigurationFile) -> Ended {
    Process::gateway(&[command, "--config", &file.path().to_string_lossy()]).ended().await
}

async fn check(configuration: &Configuration) -> Ended {
    run("check", &configuration.file()).await
}

/// One line that begins with this mark and subject and says this.
fn assert_said(ended: &Ended, mark: &str, text: &str) {
    let said = ended.stdout.lines().any(|line| line.starts_with(mark) && line.contains(text));
    assert!(said, "no line with {mark} and {text:?} in {ended:?}");
}

#[tokio::test]
async fn check_finds_nothing_wrong() {
    let (vipps, redis) = (Vipps::start().await, RedisServer::start().await);
    redis_never_evicts(&redis).await;
    let ended = check(&Configuration::new(&vipps.issuer()).with_redis(&redis)).await;
    assert_eq!(ended.code, Some(0), "{ended:?}");
    for text in [
        "configuration",
        "keys",
        "redis",
        "clock: ",
        "never evicts",
        "discovery and signing keys",
        "credentials",
        "clock",
    ] {
        assert_said(&ended, "✓", text);
    }
    assert!(!ended.stdout.contains('✗'), "{ended:?}");
    assert!(vipps.simulator.waiting().is_empty(), "a phone rang");
}

async fn redis_never_evicts(redis: &RedisServer) {
    let mut line = redis.commands().await;
    let set = redis::cmd("CONFIG").arg("SET").arg("maxmemory-policy").arg("noeviction").clone();
    set.query_async::<()>(&mut line).await.expect("redis-server can be set");
}

#[tokio::test]
async fn check_says_that_memory_is_for_one_process() {
    let vipps = Vipps::start().await;
    let ended = check(&Configuration::new(&vipps.issuer())).await;
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert_said(&ended, "!", "memory: one process only");
}

#[tokio::test]
async fn check_knows_a_wrong_secret() {
    let vipps = Vipps::start().await;
    let wrong = Configuration { client_secret: "not-this-one".into(), ..Configuration::new(&vipps.issuer()) };
    let ended = check(&wrong).await;
    assert_eq!(ended.code, Some(69), "{ended:?}");
    assert_said(&ended, "✗", "refuses the credentials; check client_id, client_secret");
    assert!(!ended.stdout.contains("not-this-one"), "{ended:?}");
}

#[tokio::test]
async fn check_knows_a_redis_that_is_not_there_and_one_that_forgets() {
    let (vipps, mut redis) = (Vipps::start().await, RedisServer::start().await);
    let configuration = Configuration::new(&vipps.issuer()).with_redis(&redis);
    let mut line = redis.commands().await;
    let set = redis::cmd("CONFIG").arg("SET").arg("maxmemory-policy").arg("allkeys-lru").clone();
    set.query_async::<()>(&mut line).await.expect("redis-server can be set");
    let forgetful = check(&configuration).await;
    assert_eq!(forgetful.code, Some(69), "{forgetful:?}");
    assert_said(&forgetful, "✗ redis", "set noeviction");

    redis.stop();
    let missing = check(&configuration).await;
    assert_eq!(missing.code, Some(69), "{missing:?}");
    assert_said(&missing, "✗ redis", "check [store]");
    assert_said(&missing, "✓", "credentials are accepted");
}

#[tokio::test]
async fn check_knows_a_provider_that_is_not_there() {
    let nobody = local().await.local_addr().expect("an address");
    let ended = check(&Configuration::new(&format!("http://{nobody}/"))).await;
    assert_eq!(ended.code, Some(69), "{ended:?}");
    assert_said(&ended, "✗ nordlys", "no connection could be made");
    assert_said(&ended, "✗ other", "no connection could be made");
}

/// Five mistakes on five lines, and one setting that is not there at all.
const MISTAKES: &str = r#"[grpc]
listen = "0.0.0.0:50051"
reflektion = true
[store]
kind = "memory"
[drain]
notice = "soon"
[[tenants]]
id = "Nordlys"
[tenants.provider]
issuer = "http://127.0.0.1:1/"
client_id = "a-client"
client_secret = "hunter2-hunter2"
[[tenants.clients]]
id = "desk"
channels = ["fax"]
api_keys = [{ sha256 = "hunter2-hunter2" }]
"#;

#[tokio::test]
async fn all_mistakes_of_a_configuration_are_told_at_once() {
    let file = ConfigurationFile::with_text(MISTAKES);
    for command in ["serve", "check"] {
        let ended = run(command, &file).await;
        assert_eq!(ended.code, Some(64), "{ended:?}");
        let told = format!("{}\n{}", ended.stdout, ended.stderr);
        for (line, key) in [
            (2, "grpc.listen"),
            (3, "grpc.reflektion"),
            (7, "drain.notice"),
            (8, "tenants[0].default_country"),
            (9, "tenants[0].id"),
            (16, "tenants[0].clients[0].channels"),
            (17, "tenants[0].clients[0].api_keys[0].sha256"),
        ] {
            let place = format!("ciba-gateway.toml:{line}: {key}");
            assert!(told.contains(&place), "no {place} in\n{told}");
        }
        assert!(!told.contains("hunter2"), "a value is repeated:\n{told}");
        assert!(!told.contains("listening"), "{told}");
    }
}

#[tokio::test]
async fn an_environment_setting_that_does_not_exist_is_a_mistake() {
    let file = Configuration::new("http://127.0.0.1:1/").file();
    let path = file.path();
    let variables = [("CIBA_GATEWAY_CONFIG", &*path.to_string_lossy()), ("CIBA_GATEWAY_GRPC__LISTN", "127.0.0.1:0")];
    let ended = Process::gateway_with(&["serve"], &variables).ended().await;
    assert_eq!(ended.code, Some(64), "{ended:?}");
    assert!(ended.stderr.contains("CIBA_GATEWAY_GRPC__LISTN"), "{ended:?}");
}

#[tokio::test]
async fn a_taken_port_is_named() {
    let taken = local().await;
    let address = taken.local_addr().expect("an address");
    let listen = format!("listen = \"{address}\"");
    let base = Configuration::new("http://127.0.0.1:1/");
    for (name, configuration) in [
        ("grpc", Configuration { grpc: listen.clone(), ..base.clone() }),
        ("http", Configuration { http: listen, ..base }),
    ] {
        let ended = run("serve", &configuration.file()).await;
        assert_eq!(ended.code, Some(69), "{ended:?}");
        assert!(ended.stderr.contains(&format!("{name}.listen: {address}")), "{ended:?}");
    }
}
