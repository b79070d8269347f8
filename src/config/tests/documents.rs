//! The example and the reference say what the code does.

use std::collections::BTreeSet;
use std::path::Path;

use rcgen::{CertifiedKey, generate_simple_self_signed};

use super::super::{ApiKey, Config, Store};
use super::{Folder, HASH, KEY};

const EXAMPLE: &str = include_str!("../../../deploy/ciba-gateway.toml");
const COMPOSE: &str = include_str!("../../../deploy/compose/ciba-gateway.toml");
const LOCAL: &str = include_str!("../../../examples/local.toml");
const LOCAL_API_KEY: &str = include_str!("../../../examples/local.api-key");
const REFERENCE: &str = include_str!("../../../docs/configuration.md");

/// The example with files in `folder` where it names files.
fn example(folder: &Folder) -> String {
    let CertifiedKey { cert, signing_key } = generate_simple_self_signed(["gateway.example".to_owned()]).unwrap();
    let files = [
        ("/etc/ciba-gateway/tls.crt", cert.pem()),
        ("/etc/ciba-gateway/tls.key", signing_key.serialize_pem()),
        ("/run/secrets/ciba-gateway/redis-url", "rediss://u:p@redis.example".to_owned()),
        ("/run/secrets/ciba-gateway/hash-key", KEY.to_owned()),
        ("/run/secrets/ciba-gateway/seal-key-2026-11", KEY.to_owned()),
        ("/run/secrets/ciba-gateway/nordic-bank-client-secret", "secret".to_owned()),
        ("/run/secrets/ciba-gateway/tv-backend-api-key-sha256", HASH.to_owned()),
    ];
    files.iter().fold(EXAMPLE.to_owned(), |text, (path, content)| {
        let name = Path::new(path).file_name().unwrap().to_str().unwrap();
        assert!(text.contains(path), "{path}");
        text.replace(path, &folder.file(name, content))
    })
}

#[test]
fn the_example_can_be_loaded() {
    let folder = Folder::new();
    let path = folder.file("ciba-gateway.toml", &example(&folder));
    let config = Config::load(path.as_ref(), std::iter::empty()).unwrap_or_else(|mistakes| panic!("{mistakes}"));
    assert!(matches!(config.store, Store::Redis(_)));
    assert_eq!(config.tenants[0].clients.len(), 2);
}

#[test]
fn the_configuration_of_the_compose_set_up_can_be_loaded() {
    let folder = Folder::new();
    let files = [
        ("redis-url", "redis://default:secret@redis:6379/0"),
        ("hash-key", KEY),
        ("seal-key", KEY),
        ("client-secret", "demo-secret"),
        ("api-key-sha256", HASH),
    ];
    let text = files.iter().fold(COMPOSE.to_owned(), |text, (name, content)| {
        let path = format!("secrets/{name}");
        assert!(text.contains(&path), "{path}");
        text.replace(&path, &folder.file(name, content))
    });
    let path = folder.file("ciba-gateway.toml", &text);
    let config = Config::load(path.as_ref(), std::iter::empty()).unwrap_or_else(|mistakes| panic!("{mistakes}"));
    assert!(matches!(config.store, Store::Redis(_)));
}

#[test]
fn the_local_example_can_be_loaded_and_knows_its_api_key() {
    let config = Config::parse(LOCAL, Path::new("local.toml"), std::iter::empty());
    let config = config.unwrap_or_else(|mistakes| panic!("{mistakes}"));
    let key = ApiKey::parse(LOCAL_API_KEY.trim()).unwrap();
    assert_eq!(config.tenants[0].clients[0].api_keys[0].hash, key.hash());
}

#[test]
fn the_reference_has_every_setting_and_no_other() {
    let schema = schema();
    let documented: BTreeSet<String> = REFERENCE
        .lines()
        .filter_map(|line| line.strip_prefix("| `")?.split_once('`'))
        .map(|(key, _)| key.to_owned())
        .collect();
    assert_eq!(schema, documented);
}

/// Every setting, found by setting one in each table that does not exist: the
/// mistake lists those that do.
fn schema() -> BTreeSet<String> {
    let folder = Folder::new();
    let tables = [
        "NONE",
        "GRPC__NONE",
        "PUBLIC__NONE",
        "PUBLIC__TLS__NONE",
        "GRPC__TLS__NONE",
        "HTTP__NONE",
        "STORE__NONE",
        "STORE__SENTINEL__NONE",
        "STORE__CLUSTER__NONE",
        "KEYS__NONE",
        "IDENTITY__NONE",
        "DRAIN__NONE",
        "LOG__NONE",
        "GUARD__NONE",
        "LIMITS__NONE",
        "AUDIT__NONE",
        "BLOCK_LIST__NONE",
        "TENANTS__0__NONE",
        "TENANTS__0__PURPOSES__0__NONE",
        "TENANTS__0__NATIONAL_ID__NONE",
        "TENANTS__0__QUIET_HOURS__NONE",
        "TENANTS__0__GUARD__NONE",
        "TENANTS__0__PROVIDER__NONE",
        "TENANTS__0__FRAUD_WEBHOOK__NONE",
        "TENANTS__0__WEBHOOKS__0__NONE",
        "TENANTS__0__TOKENS__NONE",
        "TENANTS__0__TOKENS__ROLES__NONE",
        "TENANTS__0__CLIENTS__0__NONE",
        "TENANTS__0__CLIENTS__0__API_KEYS__0__NONE",
        "TENANTS__0__CLIENTS__0__CERTIFICATES__0__NONE",
    ];
    let variables = tables.iter().map(|table| (format!("CIBA_GATEWAY_{table}"), "x".to_owned()));
    let mistakes = Config::parse(&example(&folder), Path::new("gateway.toml"), variables).unwrap_err();
    let settings: BTreeSet<String> = mistakes
        .list()
        .iter()
        // A table that is there only for this lacks what it must have.
        .filter(|mistake| mistake.key.ends_with("none"))
        .flat_map(|mistake| {
            let table = mistake.key.replace("[0]", "[]").strip_suffix("none").unwrap().to_owned();
            let (_, known) = mistake.problem.split_once("known here: ").unwrap();
            known.split(", ").map(|key| format!("{table}{key}")).collect::<Vec<_>>()
        })
        .collect();
    let is_table = |key: &str| {
        settings
            .iter()
            .any(|other| other.strip_prefix(key).is_some_and(|rest| rest.starts_with('.') || rest.starts_with('[')))
    };
    settings.iter().filter(|key| !is_table(key)).cloned().collect()
}
