//! What an operator runs into: mistakes in the configuration, taken ports, and
//! what `check` says about each.

use chrono::DateTime;
use ciba_gateway::clock::Clock;
use ciba_gateway::config::ApiKey;

use crate::support::cluster::Cluster;
use crate::support::configuration::{Configuration, ConfigurationFile};
use crate::support::gateway::{Serve, local};
use crate::support::processes::{Ended, Process};
use crate::support::redis_server::RedisServer;
use crate::support::sentinels::Sentinels;
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
    set(&redis, "maxmemory-policy", "noeviction").await;
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

/// SR31: whoever looks in time replaces a key before it ends.
#[tokio::test]
async fn check_tells_of_keys_that_end_soon_or_have_ended() {
    let vipps = Vipps::start().await;
    let keys = |ends: &[(&str, i64)]| {
        let now = i64::try_from(Clock::system().now().as_secs()).expect("a time");
        let item = |(index, (name, days)): (usize, &(&str, i64))| {
            let end = DateTime::from_timestamp(now + days * 86_400 + 3600, 0).expect("a time").to_rfc3339();
            let hash = ApiKey::from_random([100 + u8::try_from(index).expect("few"); 32]).hash();
            format!("{{ name = \"{name}\", not_after = \"{end}\", sha256 = \"{hash}\" }}")
        };
        ends.iter().enumerate().map(item).collect::<Vec<_>>().join(", ")
    };
    let client = |ends| {
        let keys = keys(ends);
        let line = format!("[[tenants.clients]]\nid = \"kiosk\"\nchannels = [\"tv-box\"]\napi_keys = [{keys}]");
        Configuration::new(&vipps.issuer()).with_client_line("nordlys", &line)
    };
    let soon = check(&client(&[("spring", -40), ("autumn", 9), ("next", 300)])).await;
    assert_eq!(soon.code, Some(0), "{soon:?}");
    assert_said(&soon, "! API keys", "client kiosk of nordlys: \"spring\" has ended; take it out");
    assert_said(&soon, "! API keys", "client kiosk of nordlys: \"autumn\" ends in 9 days");
    assert!(!soon.stdout.contains("\"next\""), "{soon:?}");
    assert_said(&check(&client(&[("next", 15)])).await, "✓ API keys", "none ends within 14 days");

    let over = check(&client(&[("spring", -40)])).await;
    assert_eq!(over.code, Some(69), "{over:?}");
    assert_said(&over, "✗ API keys", "client kiosk of nordlys: all have ended; it cannot call");
}

async fn set(redis: &RedisServer, name: &str, value: &str) {
    let set = redis::cmd("CONFIG").arg("SET").arg(name).arg(value).clone();
    set.query_async::<()>(&mut redis.commands().await).await.expect("redis-server can be set");
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

/// SR31: whoever replaces the provider's secret sees when he may take the old one out.
#[tokio::test]
async fn check_says_which_of_two_client_secrets_is_refused() {
    let vipps = Vipps::start().await;
    let both = Configuration {
        client_secret: "no-longer".into(),
        provider: "client_secret_next = \"demo-secret\"".into(),
        ..Configuration::new(&vipps.issuer())
    };
    let ended = check(&both).await;
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert_said(&ended, "! nordlys", "refuses client_secret:");
    assert_said(&ended, "✓ nordlys", "credentials are accepted");
    assert!(!ended.stdout.contains("no-longer") && !ended.stdout.contains("client_secret_next"), "{ended:?}");
    let neither = check(&Configuration { provider: "client_secret_next = \"not-yet\"".into(), ..both }).await;
    assert_eq!(neither.code, Some(69), "{neither:?}");
    assert_said(&neither, "✗ nordlys", "refuses the credentials");
}

/// SR2: who is shut out under a wrong name is not.
#[tokio::test]
async fn check_reads_the_block_list() {
    let (vipps, list) = (Vipps::start().await, tempfile::NamedTempFile::new().expect("a file"));
    let text = "numbers = [\"+4791234567\"]\n[[tenants]]\nid = \"other\"\nclients = [\"desk\", \"dsek\"]\n";
    std::fs::write(list.path(), text).expect("a file");
    let section = format!("[block_list]\nfile = {:?}", list.path());
    let ended = check(&Configuration::new(&vipps.issuer()).with_section(&section)).await;
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert_said(&ended, "✓ block list", "2 clients, 0 agents, 0 terminals, 1 numbers");
    assert_said(&ended, "! block list", "no client dsek to shut out");
    assert!(!ended.stdout.contains("91234567") && !ended.stdout.contains("client desk to"), "{ended:?}");
}

#[tokio::test]
async fn check_knows_a_redis_that_is_not_there() {
    let (vipps, redis) = (Vipps::start().await, RedisServer::not_yet_started());
    let missing = check(&Configuration::new(&vipps.issuer()).with_redis(&redis)).await;
    assert_eq!(missing.code, Some(69), "{missing:?}");
    assert_said(&missing, "✗ redis", "check [store]");
    assert_said(&missing, "✓", "credentials are accepted");
}

/// What `check` says of a Redis that does not suit, the log says too.
#[tokio::test]
async fn a_redis_that_does_not_suit_is_told_by_check_and_in_the_log() {
    let (vipps, redis) = (Vipps::start().await, RedisServer::start().await);
    set(&redis, "maxmemory-policy", "allkeys-lru").await;
    set(&redis, "appendonly", "no").await;
    let configuration = Configuration::new(&vipps.issuer()).with_redis(&redis).with_store_line("wait_replicas = 2");
    let serve = Serve::start(&configuration).await;
    let ended = check(&configuration).await;
    assert_eq!(ended.code, Some(69), "{ended:?}");
    for (mark, level, text) in [
        ("✗ redis", "ERROR", "maxmemory-policy allkeys-lru may drop logins; set noeviction"),
        ("✗ redis", "ERROR", "0 replicas are connected; wait_replicas = 2 refuses all starts"),
        ("! redis", "WARN", "appendonly is off"),
    ] {
        assert_said(&ended, mark, text);
        let line = serve.process.logs(text).await;
        assert!(line.contains(level), "{line}");
    }
}

#[tokio::test]
async fn check_looks_at_every_master_of_a_cluster() {
    let (vipps, nodes) = (Vipps::start().await, Cluster::start().await);
    set(&nodes.nodes[2], "maxmemory-policy", "allkeys-random").await;
    let ended = check(&Configuration::new(&vipps.issuer()).with_redis_that(&nodes.configuration())).await;
    assert_eq!(ended.code, Some(69), "{ended:?}");
    for (node, replicas) in [(0, 1), (1, 0)] {
        let port = nodes.nodes[node].port();
        assert_said(&ended, &format!("✓ redis 127.0.0.1:{port}"), &format!("never evicts, {replicas} replicas"));
    }
    assert_said(&ended, &format!("✗ redis 127.0.0.1:{}", nodes.nodes[2].port()), "set noeviction");
}

#[tokio::test]
async fn check_looks_at_the_master_that_sentinels_name() {
    let (vipps, nodes) = (Vipps::start().await, Sentinels::start().await);
    let configuration = Configuration::new(&vipps.issuer()).with_redis_that(&nodes.configuration());
    let ended = check(&configuration.with_store_line("wait_replicas = 2")).await;
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert_said(&ended, "✓ redis", "never evicts, 2 replicas");
}

#[tokio::test]
async fn a_redis_that_comes_late_is_looked_at_when_it_is_there() {
    let (vipps, mut redis) = (Vipps::start().await, RedisServer::not_yet_started());
    let serve = Serve::start(&Configuration::new(&vipps.issuer()).with_redis(&redis)).await;
    redis.start_again_with(&["--maxmemory-policy", "volatile-ttl"]).await;
    serve.process.logs("maxmemory-policy volatile-ttl may drop logins").await;
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
