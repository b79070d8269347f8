use std::time::Duration;

use secrecy::ExposeSecret;

use super::super::{ApiKey, ApiKeyHash, ClientAuthentication, ClientKey, LogFormat, SigningAlgorithm, Store, WhenFull};
use super::{HASH, KEY, LEAST, changed, line, lines, parse, with};
use crate::identity::Claim;
use crate::language::Language;
use crate::phone::Country;
use crate::session::Channel;

#[test]
fn the_least_configuration_has_the_documented_defaults() {
    let config = parse(LEAST).unwrap();
    assert_eq!(config.grpc.listen.to_string(), "127.0.0.1:50051");
    assert!(config.grpc.tls.is_none());
    assert!(!config.grpc.reflection);
    assert_eq!(config.grpc.max_concurrent_streams, 10_000);
    assert_eq!(config.http.listen.to_string(), "127.0.0.1:9090");
    assert!(matches!(config.store, Store::Memory));
    assert_eq!(config.identity_window, Duration::from_secs(120));
    assert_eq!((config.drain.notice, config.drain.limit), (Duration::from_secs(5), Duration::from_secs(25)));
    assert_eq!((config.log.format, config.log.filter.as_str()), (LogFormat::Text, "info"));
    assert!(config.audit.is_none());
    let guard = config.guard.common;
    assert_eq!((guard.starts_per_number, guard.per), (3, Duration::from_secs(600)));
    assert_eq!((guard.starts_per_number_a_day, config.guard.starts_per_number_by_all_an_hour), (10, 10));
    assert_eq!((guard.starts_per_agent_an_hour, guard.numbers_per_agent_an_hour), (30, 20));
    assert_eq!(guard.starts_per_terminal_an_hour, 60);
    assert_eq!((guard.starts_per_client_a_minute, guard.starts_per_tenant_a_minute), (600, 3000));
    let limits = config.limits;
    assert_eq!((limits.starts, limits.calls, limits.live_logins_per_tenant), (1000, 10_000, 50_000));
    let watches = (limits.watches_per_agent, limits.watches_per_client, limits.watches_per_tenant);
    assert_eq!((watches, limits.call_time), ((200, 50_000, 50_000), Duration::from_secs(10)));
    let cool_downs = (guard.cool_down, guard.longest_cool_down);
    assert_eq!(cool_downs, (Duration::from_secs(300), Duration::from_secs(86_400)));
}

#[test]
fn the_audit_log_has_its_defaults_and_needs_a_place_and_a_key() {
    let audit = with(&format!("[audit]\nfile = \"audit.log\"\nkey = \"{KEY}\"\n")).unwrap().audit.unwrap();
    assert_eq!(audit.file.as_deref(), Some("audit.log".as_ref()));
    assert_eq!((audit.stdout, audit.when_full), (false, WhenFull::RefuseStarts));
    assert_eq!(
        lines(with("[audit]\nwhen_full = \"drop\"\n")),
        [
            "gateway.toml:1: audit.file is missing; give a file, or stdout = true",
            "gateway.toml:1: audit.key is missing; give key or key_file",
            "gateway.toml:2: audit.when_full must be \"refuse-starts\" or \"go-on\"",
        ]
    );
}

#[test]
fn the_least_tenant_has_the_documented_defaults() {
    let config = parse(LEAST).unwrap();
    let [tenant] = config.tenants.as_slice() else { panic!("one tenant") };
    assert_eq!((tenant.id.as_str(), tenant.name.as_str()), ("bank", "bank"));
    assert_eq!(tenant.default_country, Country::Norway);
    assert_eq!(tenant.default_lifetime, Duration::from_secs(300));
    assert!(!tenant.allow_read_out && tenant.outbound_calls_because.is_none());
    assert_eq!(tenant.default_claims, [Claim::Name, Claim::PhoneNumber].into());
    assert!(tenant.required_claims.is_empty() && tenant.purposes.is_empty() && tenant.default_purpose.is_none());
    assert!(tenant.national_id_ground.is_none() && tenant.quiet_hours.is_none());
    assert_eq!(tenant.default_language, Language::English);

    let provider = &tenant.provider;
    assert_eq!(provider.issuer.as_str(), "https://login.example/access/");
    assert_eq!(provider.client_secret.expose_secret(), "bank-secret");
    assert_eq!(provider.authentication, ClientAuthentication::Basic);
    assert_eq!(provider.systems.name, "ciba-gateway");
    assert_eq!(provider.signing_algorithms, [SigningAlgorithm::Rs256, SigningAlgorithm::Es256]);
    assert_eq!((provider.request_timeout, provider.poll_timeout), (Duration::from_secs(10), Duration::from_secs(4)));
    assert!(!provider.allow_insecure_hosts);

    let [client] = tenant.clients.as_slice() else { panic!("one client") };
    assert_eq!(client.channels, [Channel::CallCentre].into());
    let key = ClientKey { name: None, hash: ApiKeyHash::from_hex(HASH).unwrap(), not_after: None };
    assert_eq!(client.api_keys, [key]);
    assert_eq!(client.certificates, []);
}

#[test]
fn limits_hold() {
    for (tables, mistake) in [
        ("[identity]\nwindow = \"601s\"", "2: identity.window must be between 1s and 10m"),
        ("[guard]\nstarts_per_number = 6", "2: guard.starts_per_number must be between 1 and 5"),
        ("[guard]\nstarts_per_number_a_day = 0", "2: guard.starts_per_number_a_day must be between 1 and 100"),
        (
            "[guard]\ncool_down = \"10m\"\nlongest_cool_down = \"5m\"",
            "3: guard.longest_cool_down must not be shorter than cool_down",
        ),
        ("[guard]\nper = \"59s\"", "2: guard.per must be between 1m and 1day"),
        ("[drain]\nnotice = \"30s\"", "1: drain.limit must be longer than notice, which is part of it"),
        (
            "[limits]\nstarts = 100\ncalls = 99",
            "3: limits.calls must not be lower than starts: what is refused first is starts",
        ),
        ("[limits]\ncall_time = \"61s\"", "2: limits.call_time must be between 1s and 1m"),
        ("[grpc]\nmax_concurrent_streams = 0", "2: grpc.max_concurrent_streams must be between 1 and 1000000"),
    ] {
        assert_eq!(line(with(tables)), format!("gateway.toml:{mistake}"));
    }
}

#[test]
fn a_login_lives_for_one_to_ten_minutes() {
    let lifetime = |text: &str| changed(r#""NO""#, &format!("\"NO\"\ndefault_lifetime = \"{text}\""));
    assert!(lifetime("60s").is_ok());
    assert!(lifetime("10m").is_ok());
    assert!(line(lifetime("59s")).contains("must be between 1m and 10m"));
    assert!(line(lifetime("601s")).contains("must be between 1m and 10m"));
}

#[test]
fn a_number_is_not_a_time() {
    assert!(line(with("[identity]\nwindow = 120")).contains("must be a time with its unit"));
}

#[test]
fn api_keys_travel_from_maker_to_configuration() {
    let key = ApiKey::from_random([7; 32]);
    assert_eq!((key.expose().len(), &key.expose()[..4]), (47, "cgk_"));
    assert_eq!(ApiKey::parse(key.expose()).unwrap().hash(), key.hash());
    assert_eq!(ApiKeyHash::from_hex(&key.hash().to_string()), Some(key.hash()));
    assert!(!format!("{key:?}").contains(key.expose()));

    let no_keys = [
        "",
        "cgk_",
        "cgk_short",
        &format!("cgx_{}", &key.expose()[4..]),
        &format!("{}A", key.expose()),
        &format!("cgk_{}", "é".repeat(22)),
    ];
    for text in no_keys {
        assert!(ApiKey::parse(text).is_none(), "{text}");
    }
    for text in ["", &HASH[1..], &HASH.replace('0', "g"), &HASH.replace("00", "é"), &format!("+{}", &HASH[1..])] {
        assert!(ApiKeyHash::from_hex(text).is_none(), "{text}");
    }
}

#[test]
fn a_redis_store_has_keys() {
    let redis = |url: &str, keys: &str| {
        parse(&format!("{}{keys}", LEAST.replace("\"memory\"", &format!("\"redis\"\nurl = \"{url}\""))))
    };
    let keys =
        format!("[keys]\nhash_key = \"{KEY}\"\nactive_seal_key = \"b\"\n[keys.seal]\na = \"{KEY}\"\nb = \"{KEY}\"");
    let config = redis("rediss://u:p@redis.example:6379/0", &keys).unwrap();
    let Store::Redis(redis_store) = config.store else { panic!("redis") };
    assert_eq!(redis_store.keys.active_seal_key, "b");
    assert_eq!(redis_store.keys.seal_keys.keys().collect::<Vec<_>>(), ["a", "b"]);
    assert_eq!(redis_store.keys.hash_key.expose()[31], 31);

    assert!(line(redis("rediss://redis.example", "")).contains("keys is missing"));
    let other = keys.replace("active_seal_key = \"b\"", "active_seal_key = \"c\"");
    assert!(line(redis("rediss://redis.example", &other)).contains("must be the name of a key in [keys.seal]"));
}

/// SR30.
#[test]
fn redis_is_asked_by_tls_beyond_this_machine() {
    let redis = |settings: &str| {
        let keys = format!("[keys]\nhash_key = \"{KEY}\"\nactive_seal_key = \"a\"\nseal.a = \"{KEY}\"");
        parse(&format!("{}{keys}", LEAST.replace("\"memory\"", &format!("\"redis\"\n{settings}"))))
    };
    assert!(redis("url = \"redis://127.0.0.1:6379\"").is_ok());
    assert!(redis("url = \"redis://localhost\"").is_ok());
    assert!(redis("url = \"redis://[::1]:6379\"").is_ok());
    assert!(redis("url = \"redis://redis:6379\"\nplaintext = \"trusted-network\"").is_ok());
    assert!(line(redis("url = \"redis://redis:6379\"")).contains("store.url must begin with rediss://"));
    assert!(line(redis("url = \"http://redis:6379\"")).contains("must begin with rediss:// or redis://"));
    assert!(
        line(redis(""))
            .contains("store.url is missing; give one of url, url_file, [store.sentinel] and [store.cluster]")
    );
}

/// SR33.
#[test]
fn callers_are_served_by_tls_beyond_this_machine() {
    assert!(with("[grpc]\nlisten = \"[::1]:0\"").is_ok());
    assert!(with("[grpc]\nlisten = \"0.0.0.0:50051\"\nplaintext = \"behind-a-proxy\"").is_ok());
    assert!(line(with("[grpc]\nlisten = \"0.0.0.0:50051\"")).contains("without [grpc.tls]"));
    assert!(line(with("[grpc]\nplaintext = \"yes\"")).contains("must be \"behind-a-proxy\" or be left out"));
}

#[test]
fn an_issuer_is_https() {
    let issuer = |text: &str| changed("https://login.example/access/", text);
    assert!(line(issuer("http://login.example/")).contains("must begin with https://"));
    assert!(line(issuer("ftp://login.example/")).contains("must begin with https://"));
    assert!(line(issuer("https://login.example/?x=1")).contains("no user, query or fragment"));
    assert!(line(issuer("login.example")).contains("must be the issuer's URL"));
    assert!(
        changed(r#""https://login.example/access/""#, "\"http://127.0.0.1:8080\"\nallow_insecure_hosts = true").is_ok()
    );
}

/// A tenant's own word, then the common one, then the default.
#[test]
fn a_tenant_may_have_a_guard_of_its_own() {
    let own = "[tenants.guard]\nstarts_per_agent_an_hour = 5\ncool_down = \"1h\"\n\n[tenants.provider]";
    let common = "[guard]\nstarts_per_agent_an_hour = 7\nnumbers_per_agent_an_hour = 9\nlongest_cool_down = \"30m\"\n";
    let text = format!("{common}{}", LEAST.replacen("[tenants.provider]", own, 1));
    let config = parse(&text).unwrap();
    let guard = config.tenants[0].guard.over(&config.guard.common);
    assert_eq!((guard.starts_per_agent_an_hour, guard.numbers_per_agent_an_hour), (5, 9));
    assert_eq!(guard.starts_per_number, 3);
    let hour = Duration::from_secs(3600);
    assert_eq!((guard.cool_down, guard.longest_cool_down), (hour, hour), "never shorter than the first");
}
