use super::super::Place;
use super::{HASH, KEY, LEAST, changed, line, lines, parse, parse_with};

#[test]
fn all_mistakes_are_told_at_once_in_the_order_of_the_file() {
    let text = r#"
[grpc]
listen = "everywhere"
reflecton = true

[store]
kind = "memory"

[[tenants]]
id = "Bank"
default_claims = ["name", "nin", "shoe_size"]

[tenants.provider]
issuer = "http://login.example/"
client_secret = "bank-secret"

[[tenants.clients]]
id = "desktop"
channels = ["web"]
api_keys = [{ sha256 = "bank-secret" }]
"#;
    let result = parse_with(text, &[("CIBA_GATEWAY_DRAIN__LIMIT", "soon")]);
    let places: Vec<_> = result.as_ref().unwrap_err().list().iter().map(|m| (m.place.clone(), m.key.clone())).collect();
    let at = |line, key: &str| (Place::Line(line), key.to_owned());
    assert_eq!(
        places,
        [
            at(3, "grpc.listen"),
            at(4, "grpc.reflecton"),
            at(9, "tenants[0].default_country"),
            at(10, "tenants[0].id"),
            at(11, "tenants[0].default_claims[1]"),
            at(11, "tenants[0].default_claims[2]"),
            at(13, "tenants[0].provider.client_id"),
            at(14, "tenants[0].provider.issuer"),
            at(19, "tenants[0].clients[0].channels[0]"),
            at(20, "tenants[0].clients[0].api_keys[0].sha256"),
            (Place::Variable("CIBA_GATEWAY_DRAIN__LIMIT".to_owned()), "drain.limit".to_owned()),
        ]
    );
    assert!(!result.unwrap_err().to_string().contains("bank-secret"));
}

#[test]
fn a_mistake_reads_as_a_sentence_with_its_place() {
    assert_eq!(
        line(changed("kind = \"memory\"", "kind = \"disk\"")),
        "gateway.toml:3: store.kind must be \"redis\" or \"memory\""
    );
    assert_eq!(
        line(changed("client_id = \"bank-client\"\n", "")),
        "gateway.toml:9: tenants[0].provider.client_id is missing; it must be a text, not empty"
    );
    assert_eq!(
        line(parse_with(LEAST, &[("CIBA_GATEWAY_GRPC__REFLECTION", "maybe")])),
        "CIBA_GATEWAY_GRPC__REFLECTION: grpc.reflection must be true or false"
    );
}

#[test]
fn an_unknown_setting_is_a_mistake_on_every_level() {
    assert_eq!(
        line(changed("[store]", "[http]\nport = 1\n[store]")),
        "gateway.toml:3: http.port is not a setting; known here: listen"
    );
    assert!(
        line(parse(&format!("[htpp]\n{LEAST}")))
            .contains("htpp is not a setting; known here: audit, block_list, drain, grpc")
    );
    assert!(
        line(changed("\" }]", "\", until = \"x\" }]"))
            .contains("api_keys[0].until is not a setting; known here: name, not_after, sha256, sha256_file")
    );
}

#[test]
fn text_that_is_not_toml_is_shown_by_line_alone() {
    let told = line(changed("\"bank-secret\"", "\"bank-secret"));
    assert!(told.starts_with("gateway.toml:12: cannot be read as TOML: "), "{told}");
    assert!(!told.contains("bank-secret"), "{told}");
}

#[test]
fn an_empty_file_says_what_is_needed() {
    assert_eq!(
        lines(parse("")),
        [
            "gateway.toml: store.kind is missing; it must be \"redis\" or \"memory\"",
            "gateway.toml: tenants is missing; there must be one [[tenants]] at least",
        ]
    );
}

#[test]
fn ids_and_api_keys_are_different() {
    let tenant = LEAST.split_once("[[tenants]]").unwrap().1;
    let twice = format!("{LEAST}[[tenants]]{tenant}");
    let keys: Vec<_> = parse(&twice).unwrap_err().list().iter().map(|mistake| mistake.key.clone()).collect();
    assert_eq!(keys, ["tenants[1].id", "tenants[1].clients[0].api_keys[0].sha256"]);

    let client = LEAST.split_once("[[tenants.clients]]").unwrap().1.replace("0001", "ffff");
    let told = line(parse(&format!("{LEAST}[[tenants.clients]]{client}")));
    assert!(told.contains("tenants[0].clients[1].id is taken already"), "{told}");
}

#[test]
fn tenants_may_have_clients_of_the_same_name() {
    let tenant =
        LEAST.split_once("[[tenants]]").unwrap().1.replace("\"bank\"", "\"tv\"").replace(HASH, &"ab".repeat(32));
    assert_eq!(parse(&format!("{LEAST}[[tenants]]{tenant}")).unwrap().tenants.len(), 2);
}

#[test]
fn lists_that_need_an_item_have_one() {
    assert!(line(changed("channels = [\"call-centre\"]", "channels = []")).contains("channels is empty"));
    assert!(line(changed(&format!("[{{ sha256 = \"{HASH}\" }}]"), "[]")).contains("api_keys is empty"));
    assert!(
        line(changed("client_id =", "signing_algorithms = []\nclient_id =")).contains("signing_algorithms is empty")
    );
}

#[test]
fn headers_fit_the_provider() {
    let told = line(changed("client_id =", "plugin_name = \"a name that is longer than thirty\"\nclient_id ="));
    assert!(told.contains("plugin_name must be 1 to 30 printable ASCII characters"), "{told}");
}

#[test]
fn a_file_that_is_not_there_is_one_mistake() {
    let told = super::Config::load("/nowhere/gateway.toml".as_ref(), std::iter::empty()).unwrap_err().to_string();
    assert!(told.starts_with("/nowhere/gateway.toml: cannot be read: No such file"), "{told}");
}

#[test]
fn a_secret_that_changed_places_with_its_name_is_not_shown() {
    for text in [
        format!("{LEAST}[keys]\n\"{KEY}\" = \"hash_key\""),
        format!("{LEAST}[keys.seal]\n\"{KEY}\" = \"{KEY}\""),
        LEAST.replace("client_secret = \"bank-secret\"", "Bank-Secret = \"client_secret\""),
        LEAST.replace("client_secret = \"bank-secret\"", "client_secret = bank-secret"),
        LEAST.replace("client_secret = \"bank-secret\"", "client_secret \"bank-secret\""),
        LEAST.replace("client_secret = \"bank-secret\"", "client_secret = \"\\Xank-secret bank-secret\""),
        LEAST.replace("client_secret = \"bank-secret\"", "client_secret = 'bank-secret' bank-secret"),
        LEAST.replace("client_secret = \"bank-secret\"", "bank-secret"),
    ] {
        let told = parse(&text).unwrap_err().to_string();
        assert!(!told.contains(KEY) && !told.to_lowercase().contains("bank-secret"), "{told}");
    }
}
