//! The shapes of Redis, and what is wrong with them.

use std::time::Duration;

use rcgen::{CertifiedKey, generate_simple_self_signed};
use secrecy::ExposeSecret;

use super::super::{Config, Mistakes, Redis, RedisPlace, Store};
use super::{Folder, KEY, LEAST, line, lines, parse, parse_with};

/// [`LEAST`] with Redis, and these lines after `[store]`.
fn text(settings: &str) -> String {
    let keys = format!("[keys]\nhash_key = \"{KEY}\"\nactive_seal_key = \"a\"\nseal.a = \"{KEY}\"");
    format!("{}{keys}", LEAST.replace("\"memory\"", &format!("\"redis\"\n{settings}")))
}

fn redis(result: Result<Config, Mistakes>) -> Redis {
    match result.unwrap_or_else(|mistakes| panic!("{mistakes}")).store {
        Store::Redis(redis) => *redis,
        Store::Memory => panic!("redis"),
    }
}

const SENTINEL: &str = r#"sentinel = { master = "logins", urls = ["rediss://one:26379", "rediss://two"] }"#;
const CLUSTER: &str = r#"cluster = { urls = ["rediss://one:6379", "rediss://two:6379"] }"#;

#[test]
fn sentinels_and_nodes_have_users_of_their_own() {
    let folder = Folder::new();
    folder.file("password", "of-the-nodes\n");
    let settings = r#"
username = "gateway"
password_file = "password"
sentinel = { master = "logins", urls = ["redis://[::1]:26379"], username = "asker", password = "of-the-sentinels" }"#;
    let redis = redis(folder.parse(&text(settings)));
    assert_eq!(redis.access.username.as_deref(), Some("gateway"));
    assert_eq!(redis.access.password.unwrap().expose_secret(), "of-the-nodes");
    let RedisPlace::Sentinel { master, urls, access } = redis.place else { panic!("sentinel") };
    assert_eq!((master.as_str(), urls.as_slice()), ("logins", ["redis://[::1]:26379".to_owned()].as_slice()));
    assert_eq!(access.username.as_deref(), Some("asker"));
    assert_eq!(access.password.unwrap().expose_secret(), "of-the-sentinels");
}

#[test]
fn a_cluster_is_a_list_of_nodes_also_from_the_environment() {
    let urls = [("CIBA_GATEWAY_STORE__CLUSTER__URLS", "rediss://one:6379, rediss://two:6379")];
    for result in [parse(&text(CLUSTER)), parse_with(&text(""), &urls)] {
        let RedisPlace::Cluster(urls) = redis(result).place else { panic!("cluster") };
        assert_eq!(urls, ["rediss://one:6379", "rediss://two:6379"]);
    }
}

#[test]
fn replicas_are_not_waited_for_unless_asked() {
    let least = redis(parse(&text(SENTINEL)));
    assert_eq!((least.wait_replicas, least.wait_timeout), (0, Duration::from_millis(500)));
    let waits = redis(parse(&text(&format!("{SENTINEL}\nwait_replicas = 1\nwait_timeout = \"1s\""))));
    assert_eq!((waits.wait_replicas, waits.wait_timeout), (1, Duration::from_secs(1)));
}

#[test]
fn there_is_one_shape() {
    let told = line(parse(&text(&format!("url = \"rediss://redis\"\n{SENTINEL}"))));
    assert!(told.contains("store.sentinel stands beside url; give one of"), "{told}");
    let told = line(parse(&text(&format!("{SENTINEL}\n{CLUSTER}"))));
    assert!(told.contains("store.cluster stands beside sentinel; give one of"), "{told}");
}

#[test]
fn what_is_wrong_with_a_shape_is_told() {
    for (settings, problem) in [
        ("sentinel = { urls = [\"rediss://one\"] }", "store.sentinel.master is missing"),
        ("sentinel = { master = \"m\" }", "store.sentinel.urls is missing; name two Sentinels or more"),
        ("cluster = { urls = [] }", "store.cluster.urls is empty; name two nodes or more"),
        (
            "cluster = { urls = [\"rediss://one\", \"two\"] }",
            "store.cluster has urls[1], which must be a URL of host and port",
        ),
        (
            "cluster = { urls = [\"redis://one\"] }",
            "has urls[0], which must begin with rediss:// unless it is on this machine",
        ),
        ("cluster = { urls = [\"rediss://one\", \"redis://127.0.0.1\"] }", "must all begin with rediss://, or none"),
        ("cluster = { urls = [\"rediss://one/3\"] }", "has urls[0], which must be a URL of host and port alone"),
        ("url = \"rediss:redis\"", "store.url must be a URL, as rediss://user:password@host:6379/0"),
        ("url = \"rediss://redis\"\nusername = \"gateway\"", "store.username needs a password"),
    ] {
        let told = line(parse(&text(settings)));
        assert!(told.contains(problem), "{settings}: {told}");
    }
    assert!(parse(&text("plaintext = \"trusted-network\"\ncluster = { urls = [\"redis://one\"] }")).is_ok());
}

#[test]
fn a_password_in_a_list_of_urls_is_a_mistake_that_does_not_show_it() {
    let told = line(parse(&text("cluster = { urls = [\"rediss://gateway:hunter2@one:6379\"] }")));
    assert!(told.contains("must be a URL of host and port alone") && !told.contains("hunter2"), "{told}");
}

#[test]
fn authorities_of_ones_own_are_for_tls() {
    let folder = Folder::new();
    let CertifiedKey { cert, .. } = generate_simple_self_signed(["redis.example".to_owned()]).unwrap();
    folder.file("ca.pem", &cert.pem());
    folder.file("none.pem", "nothing");
    assert!(redis(folder.parse(&text(&format!("{CLUSTER}\nca_file = \"ca.pem\"")))).ca_certificates.is_some());
    let told = line(folder.parse(&text("url = \"redis://127.0.0.1\"\nca_file = \"ca.pem\"")));
    assert!(told.contains("store.ca_file is of use with rediss:// only"), "{told}");
    let told = line(folder.parse(&text(&format!("{CLUSTER}\nca_file = \"none.pem\""))));
    assert!(told.contains("names a file without certificates"), "{told}");
}

#[test]
fn limits_of_waiting_hold() {
    let told = lines(parse(&text(&format!("{SENTINEL}\nwait_replicas = 11\nwait_timeout = \"11s\""))));
    assert!(told[0].contains("store.wait_replicas must be between 0 and 10"), "{told:?}");
    assert!(told[1].contains("store.wait_timeout must be between 10ms and 10s"), "{told:?}");
    let told = line(parse(&text(&format!("{CLUSTER}\nwait_replicas = 1"))));
    assert!(told.contains("store.wait_replicas must be 0 with [store.cluster]"), "{told}");
}
