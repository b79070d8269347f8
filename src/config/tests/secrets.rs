use rcgen::{CertifiedKey, generate_simple_self_signed};
use secrecy::ExposeSecret;

use super::super::{RedisPlace, SecretKey, Store};
use super::{Folder, HASH, KEY, LEAST, line, parse, parse_with};

/// SR31.
#[test]
fn secrets_come_from_files_beside_the_configuration() {
    let folder = Folder::new();
    folder.file("secret", "bank-secret-in-file\n");
    folder.file("hash", &format!("{HASH}\n"));
    let text = LEAST
        .replace("client_secret = \"bank-secret\"", "client_secret_file = \"secret\"")
        .replace(&format!("sha256 = \"{HASH}\""), "sha256_file = \"hash\"");
    let config = folder.parse(&text).unwrap();
    assert_eq!(config.tenants[0].provider.client_secret.expose_secret(), "bank-secret-in-file");
    assert_eq!(config.tenants[0].clients[0].api_keys[0].hash.to_string(), HASH);
}

/// SR31.
#[test]
fn keys_of_the_store_come_from_files() {
    let folder = Folder::new();
    folder.file("url", "rediss://u:p@redis.example\n");
    folder.file("hash", &format!("{KEY}\n"));
    let text = LEAST.replace("\"memory\"", "\"redis\"\nurl_file = \"url\"")
        + "[keys]\nhash_key_file = \"hash\"\nactive_seal_key = \"a\"\nseal.a = { file = \"hash\" }";
    let Store::Redis(redis) = folder.parse(&text).unwrap().store else { panic!("redis") };
    let RedisPlace::Standalone(url) = redis.place else { panic!("one server") };
    assert_eq!(url.expose_secret(), "rediss://u:p@redis.example");
    assert_eq!(redis.keys.seal_keys["a"], SecretKey::from_base64(KEY).unwrap());
}

#[test]
fn a_secret_file_that_cannot_be_read_is_a_mistake_that_does_not_name_it() {
    let folder = Folder::new();
    folder.file("empty", " \n");
    std::fs::write(folder.0.join("binary"), [0xff, 0xfe]).unwrap();
    for (file, why) in [
        ("bank-secret-by-mistake", "it does not exist"),
        ("empty", "names a file that is empty"),
        (".", "it is a folder"),
        ("binary", "it is not UTF-8 text"),
    ] {
        let text = LEAST.replace("client_secret = \"bank-secret\"", &format!("client_secret_file = \"{file}\""));
        let told = line(folder.parse(&text));
        let start = format!("{}:12: tenants[0].provider.client_secret_file", folder.0.join("gateway.toml").display());
        assert!(told.starts_with(&start), "{told}");
        assert!(told.contains(why) && !told.contains("by-mistake"), "{told}");
    }
}

#[test]
fn one_secret_stands_in_one_place() {
    let both = LEAST.replace("client_id =", "client_secret_file = \"missing\"\nclient_id =");
    let told = parse(&both).unwrap_err().to_string();
    assert!(told.contains("client_secret_file stands beside client_secret; keep one of them"), "{told}");

    let from_environment = [("CIBA_GATEWAY_TENANTS__0__PROVIDER__CLIENT_SECRET", "from-environment")];
    let config = parse_with(&both.replace("client_secret = \"bank-secret\"\n", ""), &from_environment).unwrap();
    assert_eq!(config.tenants[0].provider.client_secret.expose_secret(), "from-environment");
}

#[test]
fn a_key_is_32_bytes_in_base64() {
    assert_eq!(SecretKey::from_base64(KEY).unwrap().expose()[..3], [0, 1, 2]);
    for text in ["", "secret", &KEY[4..], &format!("AAAA{KEY}")] {
        assert!(SecretKey::from_base64(text).is_none(), "{text}");
    }
    let text = format!("{LEAST}[keys]\nhash_key = \"too-short\"\nactive_seal_key = \"a\"\nseal.a = \"{KEY}\"");
    let told = line(parse(&text));
    assert!(told.contains("keys.hash_key must be 32 random bytes in base64"), "{told}");
    assert!(!told.contains("too-short"), "{told}");
}

#[test]
fn certificates_and_their_key_are_read_as_pem() {
    let folder = Folder::new();
    let CertifiedKey { cert, signing_key } = generate_simple_self_signed(["gateway.example".to_owned()]).unwrap();
    folder.file("tls.crt", &cert.pem());
    folder.file("tls.key", &signing_key.serialize_pem());
    let tls = |certificate: &str, key: &str| {
        let tls = format!("tls = {{ certificate_file = \"{certificate}\", key_file = \"{key}\" }}");
        folder.parse(&format!("[grpc]\nlisten = \"0.0.0.0:50051\"\n{tls}\n{LEAST}"))
    };

    let config = tls("tls.crt", "tls.key").unwrap();
    assert_eq!(config.grpc.tls.unwrap().certificates.pem(), cert.pem().trim_end());
    assert!(line(tls("tls.key", "tls.key")).contains("certificate_file names a file without certificates"));
    assert!(line(tls("tls.crt", "tls.crt")).contains("key_file names a file without a private key"));
}

#[test]
fn a_configuration_prints_without_its_secrets() {
    let text = LEAST.replace("\"memory\"", "\"redis\"\nurl = \"rediss://u:redis-secret@redis.example\"")
        + &format!("[keys]\nhash_key = \"{KEY}\"\nactive_seal_key = \"a\"\nseal.a = \"{KEY}\"");
    let printed = format!("{:?}", parse(&text).unwrap());
    assert!(printed.contains("bank-client"), "{printed}");
    for secret in ["bank-secret", "redis-secret", "0, 1, 2, 3", "AAECAw"] {
        assert!(!printed.contains(secret), "{secret} in {printed}");
    }
}
