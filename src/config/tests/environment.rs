use secrecy::ExposeSecret;

use super::super::FILE_VARIABLE;
use super::{HASH, LEAST, line, parse_with};
use crate::session::Channel;

#[test]
fn a_variable_replaces_what_the_file_says() {
    let config = parse_with(
        LEAST,
        &[
            ("CIBA_GATEWAY_GRPC__LISTEN", "127.0.0.1:1"),
            ("CIBA_GATEWAY_GRPC__REFLECTION", "true"),
            ("CIBA_GATEWAY_GRPC__MAX_CONCURRENT_STREAMS", "7"),
            ("CIBA_GATEWAY_TENANTS__0__PROVIDER__CLIENT_SECRET", "123456"),
            ("CIBA_GATEWAY_TENANTS__0__CLIENTS__0__CHANNELS", "tv-box, point-of-sale"),
            ("PATH", "/bin"),
        ],
    )
    .unwrap();
    assert_eq!(config.grpc.listen.port(), 1);
    assert!(config.grpc.reflection);
    assert_eq!(config.grpc.max_concurrent_streams, 7);
    assert_eq!(config.tenants[0].provider.client_secret.expose_secret(), "123456");
    assert_eq!(config.tenants[0].clients[0].channels, [Channel::PointOfSale, Channel::TvBox].into());
}

#[test]
fn items_are_added_in_the_order_of_their_positions() {
    let ids: Vec<String> = (1..=11).map(|n| format!("CIBA_GATEWAY_TENANTS__0__CLIENTS__{n}__ID")).collect();
    let channels: Vec<String> = ids.iter().map(|id| id.replace("__ID", "__CHANNELS")).collect();
    let keys: Vec<String> = ids.iter().map(|id| id.replace("__ID", "__API_KEYS__0__SHA256")).collect();
    let hashes: Vec<String> = (1..=11).map(|n| HASH.replace("0001", &format!("ff{n:02}"))).collect();
    let names: Vec<String> = (1..=11).map(|n| format!("client-{n}")).collect();
    let mut variables: Vec<(&str, &str)> = Vec::new();
    for n in 0..11 {
        variables.push((&ids[n], &names[n]));
        variables.push((&channels[n], "tv-box"));
        variables.push((&keys[n], &hashes[n]));
    }
    let config = parse_with(LEAST, &variables).unwrap();
    let found: Vec<_> = config.tenants[0].clients.iter().map(|client| client.id.as_str()).collect();
    assert_eq!((found[0], found[1], found[11]), ("desktop", "client-1", "client-11"));
}

#[test]
fn a_whole_configuration_can_come_from_variables() {
    let tenant = "CIBA_GATEWAY_TENANTS__0__";
    let variables = [
        ("CIBA_GATEWAY_STORE__KIND".to_owned(), "memory"),
        (format!("{tenant}ID"), "bank"),
        (format!("{tenant}DEFAULT_COUNTRY"), "DK"),
        (format!("{tenant}PROVIDER__ISSUER"), "https://login.example/"),
        (format!("{tenant}PROVIDER__CLIENT_ID"), "id"),
        (format!("{tenant}PROVIDER__CLIENT_SECRET"), "secret"),
        (format!("{tenant}CLIENTS__0__ID"), "desktop"),
        (format!("{tenant}CLIENTS__0__CHANNELS"), "call-centre"),
        (format!("{tenant}CLIENTS__0__API_KEYS__0__SHA256"), HASH),
    ];
    let variables: Vec<_> = variables.iter().map(|(name, value)| (name.as_str(), *value)).collect();
    assert_eq!(parse_with("", &variables).unwrap().tenants[0].id.as_str(), "bank");
}

#[test]
fn a_variable_that_sets_nothing_is_a_mistake() {
    for (name, told) in [
        ("CIBA_GATEWAY_GRPC_LISTEN", "grpc_listen is not a setting; known here: audit, block_list, drain, grpc"),
        ("CIBA_GATEWAY_GRPC__LISTENS", "grpc.listens is not a setting; known here: keepalive_interval"),
        ("CIBA_GATEWAY_GRPC__", "sets nothing: write the setting's path"),
        ("CIBA_GATEWAY_STORE__KIND__NAME", "sets nothing: a level of its path is a plain value"),
        ("CIBA_GATEWAY_TENANTS__2__ID", "sets nothing: the list has no item before that one"),
        ("CIBA_GATEWAY_TENANTS__BANK__ID", "sets nothing: a list comes there"),
        ("CIBA_GATEWAY_HTTP", "http must be a table of settings"),
    ] {
        let line = line(parse_with(LEAST, &[(name, "x")]));
        assert!(line.starts_with(&format!("{name}: {told}")), "{line}");
    }
}

#[test]
fn variables_of_the_surroundings_are_passed_over() {
    let variables = [
        (FILE_VARIABLE, "/etc/ciba-gateway.toml"),
        ("CIBA_GATEWAY_SERVICE_HOST", "10.0.0.1"),
        ("CIBA_GATEWAY_SERVICE_PORT", "50051"),
        ("CIBA_GATEWAY_SERVICE_PORT_GRPC", "50051"),
        ("CIBA_GATEWAY_PORT", "tcp://10.0.0.1:50051"),
        ("CIBA_GATEWAY_PORT_50051_TCP_ADDR", "10.0.0.1"),
    ];
    assert!(parse_with(LEAST, &variables).is_ok());
}
