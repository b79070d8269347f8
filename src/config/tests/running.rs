//! What holds at once of a configuration that is read while another one runs.

use secrecy::ExposeSecret;

use super::super::{Config, Store, Succession};
use super::{Folder, HASH, KEY, LEAST, parse};

const REDIS: &str = "[store]\nkind = \"redis\"\nurl = \"rediss://u:p@redis.example\"\n";

fn succession(now: &str, next: &str) -> Succession {
    parse(now).unwrap().succeeded_by(&parse(next).unwrap())
}

/// Everything that waits, by its key.
fn waiting(now: &str, next: &str) -> Vec<String> {
    succession(now, next).waiting
}

fn with_keys(keys: &str) -> String {
    LEAST.replace("[store]\nkind = \"memory\"\n", &format!("{REDIS}[keys]\nhash_key = \"{KEY}\"\n{keys}\n"))
}

#[test]
fn the_same_again_waits_for_nothing() {
    let text = with_keys(&format!("active_seal_key = \"a\"\n[keys.seal]\na = \"{KEY}\""));
    assert_eq!(waiting(&text, &text), [""; 0]);
    assert_eq!(waiting(LEAST, LEAST), [""; 0]);
}

/// SR31: keys, secrets, clients and policies hold at once.
#[test]
fn what_needs_no_restart_is_taken() {
    let next = LEAST
        .replace("bank-secret\"", "other-secret\"\nclient_secret_next = \"the-one-after\"")
        .replace("id = \"desktop\"", "id = \"laptop\"")
        .replace(
            "\"NO\"",
            "\"DK\"\ndefault_lifetime = \"90s\"\nallow_read_out = true\n\
                  default_claims = [\"email\"]\noutbound_calls_because = \"they booked it\"",
        )
        .replace("[store]", "[guard]\nstarts_per_number = 1\n[store]");
    let Succession { config, waiting } = succession(LEAST, &next);
    assert_eq!(waiting, [""; 0]);
    let tenant = &config.tenants[0];
    assert_eq!(tenant.provider.client_secret.expose_secret(), "other-secret");
    let after = tenant.provider.client_secret_next.as_ref().map(ExposeSecret::expose_secret);
    assert_eq!(after, Some("the-one-after"));
    assert_eq!((tenant.clients[0].id.as_str(), tenant.allow_read_out), ("laptop", true));
    assert_eq!((tenant.default_lifetime.as_secs(), config.guard.common.starts_per_number), (90, 1));
}

/// SR31: another subscription key holds at once; the first one, and none, do not.
#[test]
fn a_subscription_key_is_replaced_and_not_begun() {
    let with = |key: &str| LEAST.replace("bank-secret\"", &format!("bank-secret\"\nsubscription_key = \"{key}\""));
    let Succession { config, waiting } = succession(&with("one"), &with("two"));
    assert_eq!(waiting, [""; 0]);
    let key = config.tenants[0].provider.subscription_key.as_ref().map(ExposeSecret::expose_secret);
    assert_eq!(key, Some("two"));
    for (now, next) in [(LEAST.to_owned(), with("one")), (with("one"), LEAST.to_owned())] {
        let Succession { config, waiting } = succession(&now, &next);
        assert_eq!(waiting, ["tenants.bank.provider.subscription_key"]);
        assert_eq!(config.tenants[0].provider.subscription_key.is_some(), now.contains("subscription_key"));
    }
}

/// SR27: seal keys hold at once, the hash key does not.
#[test]
fn seal_keys_are_taken_and_the_hash_key_is_left() {
    let other = KEY.replace('A', "B");
    let now = with_keys(&format!("active_seal_key = \"a\"\n[keys.seal]\na = \"{KEY}\""));
    let next = with_keys(&format!("active_seal_key = \"b\"\n[keys.seal]\na = \"{KEY}\"\nb = \"{other}\""));
    let next = next.replace(&format!("hash_key = \"{KEY}\""), &format!("hash_key = \"{other}\""));
    let Succession { config, waiting } = succession(&now, &next);
    assert_eq!(waiting, ["keys.hash_key"]);
    let Store::Redis(redis) = config.store else { panic!("Redis") };
    assert_eq!((redis.keys.active_seal_key.as_str(), redis.keys.seal_keys.len()), ("b", 2));
    assert!(redis.keys.hash_key.expose() != redis.keys.seal_keys["b"].expose());
}

#[test]
fn what_waits_is_told_by_its_key_and_left_as_it_was() {
    for (from, to, key) in [
        ("[store]", "[grpc]\nreflection = true\n[store]", "grpc.reflection"),
        ("[store]", "[grpc]\nmax_connections = 7\n[store]", "grpc.max_connections"),
        ("[store]", "[http]\nlisten = \"127.0.0.1:7\"\n[store]", "http.listen"),
        ("[store]", "[identity]\nwindow = \"7s\"\n[store]", "identity.window"),
        ("[store]", "[drain]\nnotice = \"7s\"\n[store]", "drain.notice"),
        ("[store]", "[log]\nfilter = \"debug\"\n[store]", "log.filter"),
        ("[store]", &format!("[audit]\nstdout = true\nkey = \"{KEY}\"\n[store]"), "audit"),
        ("login.example", "other.example", "tenants.bank.provider.issuer"),
        ("bank-client", "other-client", "tenants.bank.provider.client_id"),
        ("client_id", "poll_timeout = \"2s\"\nclient_id", "tenants.bank.provider.poll_timeout"),
    ] {
        let Succession { config, waiting } = succession(LEAST, &LEAST.replacen(from, to, 1));
        assert_eq!(waiting, [key]);
        // Nothing of it is there: the old text and what runs are one.
        assert_eq!(parse(LEAST).unwrap().succeeded_by(&config).waiting, [""; 0]);
        assert_eq!(config.succeeded_by(&parse(LEAST).unwrap()).waiting, [""; 0]);
    }
    let redis = with_keys(&format!("active_seal_key = \"a\"\n[keys.seal]\na = \"{KEY}\""));
    assert_eq!(waiting(LEAST, &redis), ["store.kind"]);
    let moved = redis.replace("redis.example", "elsewhere.example");
    assert_eq!(waiting(&redis, &moved), ["store.url, store.sentinel or store.cluster"]);
}

/// A tenant that is gone stays until the restart, less what others have by now; one that
/// is new comes with it.
#[test]
fn tenants_come_and_go_with_a_restart() {
    let shop = LEAST.replace("\"bank\"", "\"shop\"").split_once("[[tenants]]").unwrap().1.to_owned();
    let other = HASH.replace("0001", "ffff");
    let both = format!("{LEAST}\n[[tenants]]{}", shop.replace(HASH, &other));
    let Succession { config, waiting } = succession(LEAST, &both);
    assert_eq!((config.tenants.len(), waiting), (1, vec!["tenants: shop is new".to_owned()]));
    // The shop's key is the bank's now.
    let Succession { config, waiting } = succession(&both, &LEAST.replace(HASH, &other));
    assert_eq!(waiting, ["tenants: shop is gone"]);
    assert_eq!((config.tenants[0].clients[0].api_keys.len(), config.tenants[1].clients[0].api_keys.len()), (1, 0));
}

/// SR33: connections may show certificates of whoever stands for a tenant that runs.
#[test]
fn authorities_are_those_of_the_tenants_that_run() {
    let folder = Folder::new();
    let pem = || {
        let rcgen::CertifiedKey { cert, signing_key } =
            rcgen::generate_simple_self_signed(["gateway.example".to_owned()]).unwrap();
        (cert.pem(), signing_key.serialize_pem())
    };
    let (certificate, key) = pem();
    folder.file("key", &key);
    for (name, pem) in [("server", &certificate), ("shared", &pem().0), ("own", &pem().0), ("next", &pem().0)] {
        folder.file(name, pem);
    }
    let text = |own: &str| {
        let tls = "[grpc.tls]\ncertificate_file = \"server\"\nkey_file = \"key\"\nclient_ca_file = \"shared\"\n";
        format!("{tls}{}", LEAST.replace("id = \"bank\"", &format!("id = \"bank\"\nclient_ca_file = \"{own}\"")))
    };
    let count = |config: &Config| {
        let clients = config.grpc.tls.as_ref().unwrap().clients.as_ref().unwrap();
        clients.accepted.pem().matches("BEGIN CERTIFICATE").count()
    };
    let config = folder.parse(&text("own")).unwrap();
    let next = folder.parse(&text("next")).unwrap();
    let Succession { config: taken, waiting } = config.succeeded_by(&next);
    assert_eq!((count(&config), count(&taken), waiting), (2, 2, Vec::new()));
    let pem_of = |config: &Config| config.tenants[0].client_authorities.clone().unwrap();
    assert!(taken.grpc.tls.as_ref().unwrap().clients.as_ref().unwrap().accepted.pem().contains(pem_of(&next).pem()));
}
