//! Texts of configuration files.
//!
//! An input's first byte says what it is: the text of a file, or settings with
//! values, right and wrong ones, of which the secrets are known.

use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration;

use arbitrary::{Result, Unstructured};
use ciba_gateway::config::{Config, Mistakes, Store};

use super::bodies;

/// In every value that must not be repeated.
const BAIT: &str = "hush";
const MAX_SETTINGS: u8 = 10;
/// What a configuration may be about, and a few more.
const TABLES: [&str; 16] = [
    "grpc",
    "grpc.tls",
    "http",
    "store",
    "store.sentinel",
    "store.cluster",
    "keys",
    "keys.seal",
    "identity",
    "drain",
    "log",
    "guard",
    "audit",
    "tenants.0",
    "tenants.guard",
    "nothing",
];
const KEYS: [&str; 34] = [
    "listen",
    "reflection",
    "plaintext",
    "max_connections",
    "max_connection_age",
    "keepalive_interval",
    "certificate_file",
    "key_file",
    "client_ca_file",
    "client_certificates",
    "kind",
    "url",
    "urls",
    "url_file",
    "username",
    "password",
    "master",
    "ca_file",
    "settle_time",
    "wait_replicas",
    "wait_timeout",
    "hash_key",
    "active_seal_key",
    "a",
    "window",
    "notice",
    "limit",
    "format",
    "filter",
    "starts_per_number",
    "per",
    "stdout",
    "key",
    "when_full",
];
const VALUES: [&str; 24] = [
    "\"hush\"",
    "\"hush hush\\n\"",
    "[\"hush\"]",
    "{ a = \"hush\" }",
    "{ file = \"hush\" }",
    "\"redis://u:hush@127.0.0.1/0\"",
    "\"rediss://u:hush@redis.example\"",
    "\"hush@@@://:::\"",
    "\"AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=\"",
    "\"127.0.0.1:50051\"",
    "\"[::]:0\"",
    "\"0s\"",
    "\"5s\"",
    "\"601s\"",
    "\"999999999999999999y\"",
    "\"redis\"",
    "\"json\"",
    "\"info\"",
    "true",
    "0",
    "-1",
    "9223372036854775808",
    "1e400",
    "1979-05-27T07:32:00Z",
];
const TENANT: &str = r#"
[[tenants]]
id = "bank"
default_country = "NO"
[tenants.provider]
issuer = "https://login.example/access/"
client_id = "bank-client"
client_secret = "hush-hush"
[[tenants.clients]]
id = "desktop"
channels = ["call-centre"]
api_keys = [{ sha256 = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f" }]
"#;

pub(crate) fn judge(data: &[u8]) -> bool {
    let Some((kind, rest)) = data.split_first() else { return false };
    if kind.is_multiple_of(2) {
        let text = String::from_utf8_lossy(rest);
        // A device never ends, and what is there is not the fuzzer's.
        let is_safe = ["/dev", "/proc", "/sys"].iter().all(|place| !text.contains(place));
        is_safe && holds(&read(&text))
    } else if let Ok(text) = settings(&mut Unstructured::new(rest)) {
        let result = read(&text);
        let printed = match &result {
            Ok(config) => format!("{config:?}"),
            Err(mistakes) => format!("{mistakes}"),
        };
        // Names of settings are repeated, so the bait is in none of them.
        assert!(!printed.contains(BAIT), "{printed}\n{text}");
        holds(&result)
    } else {
        false
    }
}

fn read(text: &str) -> std::result::Result<Config, Mistakes> {
    Config::parse(text, Path::new("/nonexistent/gateway.toml"), std::iter::empty())
}

fn settings(u: &mut Unstructured<'_>) -> Result<String> {
    let mut tables: Vec<Vec<String>> = vec![Vec::new(); TABLES.len()];
    for _ in 0..u.int_in_range(0..=MAX_SETTINGS)? {
        let table = u.choose_index(TABLES.len())?;
        let key = u.choose(&KEYS)?;
        let value = match u.arbitrary::<u8>()? {
            0..=200 => (*u.choose(&VALUES)?).to_owned(),
            201..=230 => u.arbitrary::<i64>()?.to_string(),
            _ => toml_text(bodies::some_text(u)?),
        };
        tables[table].push(format!("{key} = {value}\n"));
    }
    let mut text = String::new();
    for (name, lines) in TABLES.iter().zip(tables).filter(|(_, lines)| !lines.is_empty()) {
        text.push_str(&format!("[{name}]\n{}", lines.concat()));
    }
    if !text.contains("[store]") {
        text.push_str("[store]\nkind = \"memory\"\n");
    }
    Ok(text + TENANT)
}

fn toml_text(text: &str) -> String {
    let text: String = text.chars().filter(|c| !c.is_control() && !"'\\/".contains(*c)).collect();
    format!("'{BAIT}{text}'")
}

/// Whether it is a configuration.
fn holds(result: &std::result::Result<Config, Mistakes>) -> bool {
    let config = match result {
        Ok(config) => config,
        Err(mistakes) => {
            assert!(!mistakes.list().is_empty() && mistakes.list().iter().all(|mistake| !mistake.problem.is_empty()));
            let lines = mistakes.to_string().lines().count();
            assert_eq!(lines, mistakes.list().len(), "one line for each mistake: {mistakes}");
            return false;
        }
    };
    assert!(config.identity_window <= Duration::from_secs(600), "SR25");
    assert!(config.drain.notice <= config.drain.limit);
    if let Store::Redis(redis) = &config.store {
        assert!(redis.keys.seal_keys.contains_key(&redis.keys.active_seal_key));
    }
    let tenants: BTreeSet<_> = config.tenants.iter().map(|tenant| &tenant.id).collect();
    assert!(!tenants.is_empty() && tenants.len() == config.tenants.len(), "ids of tenants differ");
    for tenant in &config.tenants {
        assert!((60..=600).contains(&tenant.default_lifetime.as_secs()), "SR18");
        let clients: BTreeSet<_> = tenant.clients.iter().map(|client| &client.id).collect();
        assert!(!clients.is_empty() && clients.len() == tenant.clients.len(), "ids of clients differ");
        for client in &tenant.clients {
            assert!(!client.channels.is_empty());
            assert!(!client.api_keys.is_empty() || !client.certificates.is_empty(), "a client proves itself");
        }
    }
    true
}
