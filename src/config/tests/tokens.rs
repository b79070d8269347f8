//! Tokens of identity providers, and what clients may call from where.

use super::super::{AgentRule, CallGroup, Config, Mistakes, ProxyHeader, TokenAlgorithm, TokenKeys};
use super::{HASH, LEAST, changed, line, lines, parse};
use crate::logins::Role;

const ISSUER: &str = "issuer = \"https://login.bank.example/\"\naudience = \"gateway\"";

/// [`LEAST`] with these lines in `[tenants.tokens]` and at the client.
fn with(tokens: &str, client: &str) -> Result<Config, Mistakes> {
    let table = format!("[tenants.tokens]\n{tokens}\n\n[[tenants.clients]]");
    parse(&format!("{}\n{client}", LEAST.replace("[[tenants.clients]]", &table)))
}

#[test]
fn an_identity_provider_has_strict_defaults() {
    let config = with(ISSUER, "token_clients = [\"desk-app\"]").unwrap();
    let tokens = config.tenants[0].tokens.clone().unwrap();
    assert_eq!(tokens.keys, TokenKeys::Discovery);
    assert_eq!(tokens.algorithms, [TokenAlgorithm::Rs256, TokenAlgorithm::Es256].into());
    let seconds = [tokens.clock_skew, tokens.longest_lifetime, tokens.keys_max_age, tokens.keys_kept];
    assert_eq!(seconds.map(|time| time.as_secs()), [30, 7200, 300, 3600]);
    assert!(!tokens.allow_private_addresses && !tokens.allow_insecure_hosts);
    assert_eq!((tokens.agent_claim, tokens.client_claim, tokens.roles_claim), (None, None, None));
    let client = &config.tenants[0].clients[0];
    assert_eq!((client.agents, client.calls.clone()), (AgentRule::Named, None));
    assert_eq!(client.token_clients, ["desk-app".to_owned()].into());
}

#[test]
fn wrong_identity_providers_are_told() {
    for (tokens, mistake) in [
        ("audience = \"x\"", "tokens.issuer is missing"),
        ("issuer = \"https://login.bank.example/\"", "tokens.audience is missing"),
        ("issuer = \"http://login.bank.example/\"\naudience = \"x\"", "tokens.issuer must begin with https://"),
        (&format!("{ISSUER}\njwks_uri = \"http://x.example/keys\""), "tokens.jwks_uri must be an https:// URL"),
        (&format!("{ISSUER}\njwks_uri = \"https://x.example/\"\njwks_file = \"k\""), "tokens.jwks_file stands beside"),
        (&format!("{ISSUER}\nalgorithms = [\"HS256\"]"), "tokens.algorithms[0] must be one of \"RS256\""),
        (&format!("{ISSUER}\nalgorithms = [\"none\"]"), "tokens.algorithms[0] must be one of \"RS256\""),
        (&format!("{ISSUER}\nalgorithms = []"), "tokens.algorithms is empty"),
        (&format!("{ISSUER}\nclock_skew = \"3m\""), "tokens.clock_skew must be between"),
        (&format!("{ISSUER}\nlongest_lifetime = \"2d\""), "tokens.longest_lifetime must be between"),
        (&format!("{ISSUER}\nkeys_max_age = \"1h\"\nkeys_kept = \"1m\""), "tokens.keys_kept must not be shorter"),
        (&format!("{ISSUER}\nroles_claim = \"groups\""), "tokens.roles is missing"),
        (&format!("{ISSUER}\n[tenants.tokens.roles]\nsupervisor = [\"x\"]"), "tokens.roles_claim is missing"),
    ] {
        let told = line(with(tokens, ""));
        assert!(told.contains(mistake), "{told}");
    }
    let roles = format!("{ISSUER}\nroles_claim = \"groups\"\n[tenants.tokens.roles]\nnational-id = [\"nin\"]");
    let tokens = with(&roles, "").unwrap().tenants[0].tokens.clone().unwrap();
    assert_eq!(tokens.roles, [(Role::NationalId, ["nin".to_owned()].into())].into());
}

#[test]
fn what_needs_tokens_needs_an_identity_provider() {
    let told = |lines: &str| line(parse(&format!("{LEAST}\n{lines}")));
    assert!(told("token_clients = [\"x\"]").contains("token_clients needs [tenants.tokens]"));
    assert!(told("agents = \"signed\"").contains("agents needs [tenants.tokens] with an agent_claim"));
    assert!(line(with(ISSUER, "agents = \"signed\"")).contains("agents needs [tenants.tokens] with an agent_claim"));
    let signed = with(&format!("{ISSUER}\nagent_claim = \"sub\""), "agents = \"signed\"").unwrap();
    assert_eq!(signed.tenants[0].clients[0].agents, AgentRule::Signed);
    let by_token = LEAST.replace(&format!("api_keys = [{{ sha256 = \"{HASH}\" }}]"), "token_clients = [\"x\"]");
    let table = format!("[tenants.tokens]\n{ISSUER}\n\n[[tenants.clients]]");
    parse(&by_token.replace("[[tenants.clients]]", &table)).expect("a token is enough");
}

/// Two clients are told apart by their names in tokens, wherever the tokens come from
/// the same issuer and are for the same audience.
#[test]
fn no_two_clients_share_a_name_in_tokens() {
    let name = "token_clients = [\"x\"]";
    let second = format!("{name}\n[[tenants.clients]]\nid = \"other\"\nchannels = [\"tv-box\"]\n{name}");
    assert!(line(with(ISSUER, &second)).contains("is taken already"));
    let tenant = |audience: &str| {
        format!(
            "{name}\n[[tenants]]\nid = \"tv\"\ndefault_country = \"NO\"\n[tenants.provider]\n\
             issuer = \"https://login.example/access/\"\nclient_id = \"c\"\nclient_secret = \"s\"\n[tenants.tokens]\n\
             issuer = \"https://login.bank.example/\"\naudience = \"{audience}\"\n[[tenants.clients]]\nid = \"box\"\n\
             channels = [\"tv-box\"]\n{name}"
        )
    };
    assert!(line(with(ISSUER, &tenant("gateway"))).contains("is taken already"));
    assert_eq!(with(ISSUER, &tenant("other")).unwrap().tenants.len(), 2);
}

#[test]
fn calls_and_networks_are_lists_of_known_things() {
    let lines_at = |client: &str| parse(&format!("{LEAST}\n{client}"));
    let client =
        lines_at("calls = [\"start\", \"watch-all\"]\nnetworks = [\"10.20.0.0/16\", \"2001:db8::1\"]").unwrap();
    let client = &client.tenants[0].clients[0];
    assert_eq!(client.calls, Some([CallGroup::Start, CallGroup::WatchAll].into()));
    assert_eq!(client.networks, ["10.20.0.0/16", "2001:db8::1/128"].map(|text| text.parse().unwrap()));
    for (client, mistake) in [
        ("calls = [\"StartLogin\"]", "calls[0] must be one of \"check\""),
        ("calls = []", "calls is empty"),
        ("networks = [\"10.20.0.0/33\"]", "networks[0] must be a network"),
        ("networks = [\"bank.example\"]", "networks[0] must be a network"),
        ("networks = []", "networks is empty"),
    ] {
        let told = line(lines_at(client));
        assert!(told.contains(mistake), "{told}");
    }
}

/// SR4: nobody's word counts for an address unless a proxy does TLS.
#[test]
fn trusted_proxies_need_a_proxy() {
    let grpc = |lines: &str| changed("[store]", &format!("[grpc]\n{lines}\n[store]"));
    assert!(line(grpc("trusted_proxies = [\"10.0.0.1\"]")).contains("trusted_proxies needs plaintext"));
    let told = lines(grpc("plaintext = \"behind-a-proxy\"\nproxy_header = \"forwarded\""));
    assert!(told[0].contains("proxy_header needs trusted_proxies"), "{told:?}");
    let both = "plaintext = \"behind-a-proxy\"\ntrusted_proxies = [\"10.0.0.1\"]\nproxy_header = \"forwarded\"";
    let proxies = grpc(both).unwrap().grpc.proxies;
    assert_eq!(proxies.header, ProxyHeader::Forwarded);
    assert_eq!(proxies.trusted, ["10.0.0.1/32".parse().unwrap()]);
}
