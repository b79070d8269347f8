//! What clients prove themselves with: keys that end, and certificates.

use rcgen::{CertifiedKey, generate_simple_self_signed};

use super::super::{CertificateName, CertificatePolicy, Config, Mistakes};
use super::{Folder, HASH, LEAST, changed, line, lines};
use crate::timestamp::Timestamp;

const API_KEYS: &str =
    r#"api_keys = [{ sha256 = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f" }]"#;
const URI: &str = "spiffe://bank.example/desktop";

/// [`LEAST`] behind TLS with these lines in `[grpc.tls]`, at the tenant, and in the
/// place of the client's key.
fn parse(tls: &str, tenant: &str, client: &str) -> Result<Config, Mistakes> {
    let folder = Folder::new();
    let CertifiedKey { cert, signing_key } = generate_simple_self_signed(["gateway.example".to_owned()]).unwrap();
    folder.file("ca", &cert.pem());
    folder.file("key", &signing_key.serialize_pem());
    folder.file("broken", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n");
    let text = LEAST.replace("id = \"bank\"", &format!("id = \"bank\"\n{tenant}")).replace(API_KEYS, client);
    folder.parse(&format!("[grpc.tls]\ncertificate_file = \"ca\"\nkey_file = \"key\"\n{tls}\n{text}"))
}

fn certificates(items: &str) -> Result<Config, Mistakes> {
    parse("client_ca_file = \"ca\"", "", &format!("certificates = [{items}]"))
}

#[test]
fn a_key_may_have_a_name_and_an_end() {
    let config = changed("{ sha256", "{ name = \"autumn\", not_after = \"2027-01-31T23:59:59+01:00\", sha256").unwrap();
    let [key] = config.tenants[0].clients[0].api_keys.as_slice() else { panic!("one key") };
    assert_eq!((key.name.as_deref(), key.to_string().as_str()), (Some("autumn"), "\"autumn\""));
    assert_eq!(key.not_after, Some(Timestamp::from_millis(1_801_436_399_000)));

    for wrong in
        ["\"2027-01-31\"", "\"soon\"", "2027-01-31T23:59:59Z", "\"1960-01-01T00:00:00Z\"", "\"2027-01-31T23:59:59\""]
    {
        let told = line(changed("{ sha256", &format!("{{ not_after = {wrong}, sha256")));
        assert!(told.contains("api_keys[0].not_after must be a time in RFC 3339, in quotes"), "{wrong}: {told}");
    }
    let other = HASH.replace("0001", "ffff");
    let twice = format!("[{{ name = \"a\", sha256 = \"{HASH}\" }}, {{ name = \"a\", sha256 = \"{other}\" }}]");
    assert!(
        line(changed(&format!("[{{ sha256 = \"{HASH}\" }}]"), &twice)).contains("api_keys[1].name is taken already")
    );
}

#[test]
fn certificates_are_known_by_one_name_each() {
    let colons = HASH.as_bytes().chunks(2).map(|pair| std::str::from_utf8(pair).unwrap().to_uppercase());
    let colons = colons.collect::<Vec<_>>().join(":");
    let config = certificates(&format!(
        "{{ san_uri = \"{URI}\" }}, {{ san_dns = \"Desk.bank.example\" }}, {{ sha256 = \"{colons}\" }}"
    ));
    let names = config.unwrap().tenants[0].clients[0].certificates.clone();
    let digest: [u8; 32] = std::array::from_fn(|index| u8::try_from(index).unwrap());
    let expected = [
        CertificateName::Uri(URI.into()),
        CertificateName::Dns("desk.bank.example".into()),
        CertificateName::Sha256(digest),
    ];
    assert_eq!(names, expected);

    for (item, mistake) in [
        ("{ san_uri = \"desktop\" }", "certificates[0].san_uri must be a URI with its scheme"),
        ("{ san_dns = \"*.bank.example\" }", "certificates[0].san_dns must be a DNS name without wildcards"),
        ("{ sha256 = \"abcd\" }", "certificates[0].sha256 must be the SHA-256 of the certificate"),
        ("{ }", "certificates[0].san_uri is missing; give one of san_uri, san_dns and sha256"),
        ("{ san_uri = \"a:b\", san_dns = \"c\" }", "certificates[0].san_dns stands beside san_uri; keep one"),
        ("", "certificates is empty"),
    ] {
        let told = line(certificates(item));
        assert!(told.contains(mistake), "{told}");
    }
}

#[test]
fn certificates_need_authorities() {
    let one = format!("certificates = [{{ san_uri = \"{URI}\" }}]");
    assert!(line(parse("", "", &one)).contains("certificates needs grpc.tls.client_ca_file"));
    assert!(
        line(parse("", "client_ca_file = \"ca\"", API_KEYS)).contains("client_ca_file needs grpc.tls.client_ca_file")
    );
    let told = line(parse("client_certificates = \"optional\"", "", API_KEYS));
    assert!(told.contains("grpc.tls.client_ca_file is missing; it says whose"), "{told}");
    assert!(line(parse("client_ca_file = \"broken\"", "", &one)).contains("names a file with a broken certificate"));
    assert!(
        line(parse("client_ca_file = \"ca\"\nclient_certificates = \"yes\"", "", &one))
            .contains("client_certificates must be \"optional\" or \"required\"")
    );

    let clients = parse("client_ca_file = \"ca\"", "client_ca_file = \"ca\"", &one).unwrap().grpc.tls.unwrap().clients;
    let clients = clients.unwrap();
    assert_eq!(clients.policy, CertificatePolicy::Optional);
    let count = |pem: &str| pem.matches("BEGIN CERTIFICATE").count();
    assert_eq!((count(clients.authorities.pem()), count(clients.accepted.pem())), (1, 2));
}

#[test]
fn every_client_has_something_to_show() {
    assert!(line(changed(API_KEYS, "")).contains("api_keys is missing; a client proves itself by an API key"));
    let required = "client_ca_file = \"ca\"\nclient_certificates = \"required\"";
    let told = line(parse(required, "", API_KEYS));
    assert!(
        told.contains("certificates is missing; grpc.tls.client_certificates lets nobody in without one"),
        "{told}"
    );
}

/// Two clients are told apart by their certificates' names, wherever the
/// certificates come from the same authorities.
#[test]
fn no_two_clients_share_a_certificate() {
    let one = format!("certificates = [{{ san_uri = \"{URI}\" }}]");
    let client = format!("[[tenants.clients]]\nid = \"other\"\nchannels = [\"tv-box\"]\n{one}");
    let taken = "certificates[0].san_uri is taken already";
    let shared = "client_ca_file = \"ca\"";
    assert!(line(parse(shared, "", &format!("{one}\n{client}"))).contains(taken));
    assert!(line(parse(shared, "client_ca_file = \"ca\"", &format!("{one}\n{client}"))).contains(taken));

    let tenant = LEAST.split_once("[[tenants]]").unwrap().1.replace("\"bank\"", "\"tv\"").replace(API_KEYS, &one);
    let all = |first: &str, second: &str| {
        let tenant = tenant.replace("id = \"tv\"", &format!("id = \"tv\"\n{second}"));
        parse(shared, first, &format!("{one}\n[[tenants]]{tenant}"))
    };
    assert_eq!(lines(all("", "")).len(), 1);
    for (first, second) in [(shared, ""), ("", shared), (shared, shared)] {
        assert_eq!(all(first, second).unwrap().tenants.len(), 2);
    }
}
