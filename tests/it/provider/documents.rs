//! Discovery and key set: what is refused, and when each is fetched.

use ciba_gateway::ciba::StartAnswer;
use ciba_gateway::provider::{IdentifyError, Provider};
use ciba_gateway::session::FailureReason;
use futures_util::future::join_all;
use serde_json::{Value, json};

use super::World;
use crate::support::lying_provider::{DISCOVERY, JWKS, Reply, START, USERINFO, terms, tokens};
use crate::support::signer::Signer;

const REFUSED: IdentifyError = IdentifyError::Rejected(FailureReason::IdTokenInvalid);

impl World {
    fn signed_by(&self, signer: &Signer) -> ciba_gateway::ciba::Tokens {
        tokens(signer.sign(&self.provider.claims(self.clock.now())))
    }

    async fn problem(&self) -> String {
        self.vipps.check().await.unwrap_err().to_string()
    }
}

async fn refused_discovery(member: &str, value: Value) -> String {
    let world = World::new().await;
    world.provider.discover(member, value);
    assert_eq!(world.vipps.start(&terms()).await, StartAnswer::NotSent);
    assert!(world.provider.seen(START).is_empty());
    world.problem().await
}

/// R52.
#[tokio::test]
async fn discovery_of_another_issuer_is_refused() {
    for issuer in [json!("https://evil.example/"), json!(null), json!(5)] {
        let problem = refused_discovery("issuer", issuer).await;
        assert!(problem.contains("discovery at"), "{problem}");
    }
    let world =
        World::with(|settings| settings.openid.issuer = settings.openid.issuer.trim_end_matches('/').to_owned()).await;
    assert!(world.problem().await.contains("another issuer"));
    assert_eq!(world.provider.seen(DISCOVERY).len(), 1, "found without the slash, too");
}

/// SR36.
#[tokio::test]
async fn discovery_may_not_lead_to_other_hosts() {
    let endpoints = [
        "backchannel_authentication_endpoint",
        "token_endpoint",
        "userinfo_endpoint",
        "jwks_uri",
        "revocation_endpoint",
    ];
    for endpoint in endpoints {
        for foreign in ["https://evil.example/", "http://localhost/", "file:///etc/passwd", "http://u@127.0.0.1/"] {
            let problem = refused_discovery(endpoint, json!(foreign)).await;
            assert!(problem.contains(endpoint), "{problem}");
        }
        refused_discovery(endpoint, json!("/relative")).await;
        refused_discovery(endpoint, json!(5)).await;
        if endpoint != "revocation_endpoint" {
            refused_discovery(endpoint, json!(null)).await;
        }
    }
}

#[tokio::test]
async fn a_host_that_the_operator_named_may_be_called() {
    let world = World::with(|settings| settings.openid.additional_hosts = ["localhost".into()].into()).await;
    world.provider.discover("token_endpoint", json!("http://localhost:1/token"));
    world.vipps.check().await.unwrap();
}

#[tokio::test]
async fn what_is_no_discovery_document_is_refused() {
    let world = World::new().await;
    let twice = world.provider.document().to_string().replacen('{', r#"{"issuer":"https://evil.example/","#, 1);
    for body in ["", "<html>", "[]", "{}", &twice, &" ".repeat(70_000)] {
        world.provider.tell(DISCOVERY, [Reply::text(200, body)]);
        assert!(world.problem().await.contains("not a readable discovery document"));
        world.clock.advance(5);
    }
    world.provider.tell(DISCOVERY, [Reply::text(404, "")]);
    assert!(world.problem().await.contains("404"));
}

#[tokio::test]
async fn many_starts_fetch_discovery_once() {
    let world = World::new().await;
    let terms = terms();
    join_all((0..20).map(|_| world.vipps.start(&terms))).await;
    assert_eq!(world.provider.seen(DISCOVERY).len(), 1);
    assert_eq!(world.provider.seen(START).len(), 20);
}

#[tokio::test]
async fn after_a_failure_there_is_a_pause() {
    let world = World::new().await;
    let broken = Reply::text(500, "");
    world.provider.tell(DISCOVERY, [broken.clone()]);
    let terms = terms();
    let all = join_all((0..10).map(|_| world.vipps.start(&terms))).await;
    assert!(all.iter().all(|answer| *answer == StartAnswer::NotSent));
    assert_eq!(world.provider.seen(DISCOVERY).len(), 1);

    world.clock.advance(5);
    world.provider.tell(DISCOVERY, [Reply::json(200, &world.provider.document())]);
    assert!(matches!(world.vipps.start(&terms).await, StartAnswer::Accepted(_)));
    assert_eq!(world.provider.seen(DISCOVERY).len(), 2);
}

#[tokio::test]
async fn discovery_is_kept_as_long_as_it_says_and_used_beyond_while_it_fails() {
    let world = World::new().await;
    let document = Reply::json(200, &world.provider.document()).with("cache-control", "public, max-age=600");
    world.provider.tell(DISCOVERY, [document, Reply::text(500, "")]);
    world.vipps.start(&terms()).await;
    world.clock.advance(599);
    world.vipps.start(&terms()).await;
    assert_eq!(world.provider.seen(DISCOVERY).len(), 1);

    while world.provider.seen(DISCOVERY).len() < 4 {
        world.clock.advance(6);
        assert!(matches!(world.vipps.start(&terms()).await, StartAnswer::Accepted(_)));
    }
}

#[tokio::test]
async fn a_clock_that_is_set_back_does_not_keep_old_documents() {
    let world = World::new().await;
    let before = world.clock.now();
    world.clock.advance(7_200);
    world.vipps.start(&terms()).await;
    world.clock.set(before);
    world.vipps.start(&terms()).await;
    world.provider.until_seen(DISCOVERY, 2).await;
}

/// R48, R49: the new key is fetched when a token names it.
#[tokio::test]
async fn a_rotated_key_is_fetched_once_and_accepted() {
    let world = World::new().await;
    let first = world.provider.tokens(world.clock.now());
    world.vipps.identify(&first, &terms()).await.unwrap();

    let second = Signer::es256("public:second");
    world.provider.publish(&[second.jwk()]);
    world.clock.advance(5);
    let tokens = world.signed_by(&second);
    let both = join_all([world.vipps.identify(&tokens, &terms()), world.vipps.identify(&tokens, &terms())]).await;
    assert!(both.iter().all(Result::is_ok));
    assert_eq!(world.provider.seen(JWKS).len(), 2);
    assert_eq!(world.vipps.identify(&first, &terms()).await, Err(IdentifyError::Unavailable), "too soon to ask again");
    world.clock.advance(5);
    assert_eq!(world.vipps.identify(&first, &terms()).await, Err(REFUSED), "the old key is gone");
}

/// R49: also when the new key has the old one's name.
#[tokio::test]
async fn a_key_replaced_under_its_name_is_fetched_and_accepted() {
    let world = World::new().await;
    world.vipps.check().await.unwrap();
    let second = Signer::es256(&world.provider.key().kid);
    world.provider.publish(&[second.jwk()]);
    world.clock.advance(5);
    assert!(world.vipps.identify(&world.signed_by(&second), &terms()).await.is_ok());
}

#[tokio::test]
async fn unknown_keys_cannot_make_the_gateway_ask_more_often() {
    let world = World::new().await;
    world.vipps.check().await.unwrap();
    world.clock.advance(5);
    let stranger = world.signed_by(&Signer::es256("public:stranger"));
    assert_eq!(world.vipps.identify(&stranger, &terms()).await, Err(REFUSED));
    for _ in 0..5 {
        assert_eq!(world.vipps.identify(&stranger, &terms()).await, Err(IdentifyError::Unavailable));
    }
    assert_eq!(world.provider.seen(JWKS).len(), 2);
    assert!(world.provider.seen(USERINFO).is_empty());
}

/// R53.
#[tokio::test]
async fn a_key_set_that_moves_is_followed() {
    let world = World::new().await;
    world.vipps.check().await.unwrap();

    let second = Signer::es256("public:second");
    world.provider.discover("jwks_uri", json!(world.provider.url("/moved")));
    world.provider.tell("/moved", [Reply::json(200, &json!({ "keys": [second.jwk()] }))]);
    world.provider.tell(JWKS, [Reply::text(404, "")]);
    world.clock.advance(5);
    assert!(world.vipps.identify(&world.signed_by(&second), &terms()).await.is_ok());
    assert_eq!((world.provider.seen(JWKS).len(), world.provider.seen("/moved").len()), (1, 1));
}

#[tokio::test]
async fn keys_that_cannot_be_fetched_may_be_asked_for_again() {
    let world = World::new().await;
    let tokens = world.provider.tokens(world.clock.now());
    for broken in [Reply::text(500, ""), Reply::text(200, "<html>"), Reply::text(200, "{}"), Reply::Cut(200)] {
        world.provider.tell(JWKS, [broken]);
        assert_eq!(world.vipps.identify(&tokens, &terms()).await, Err(IdentifyError::Unavailable));
        world.clock.advance(5);
    }
    world.provider.publish(&[world.provider.key().jwk()]);
    assert!(world.vipps.identify(&tokens, &terms()).await.is_ok());
}

#[tokio::test]
async fn keys_that_are_not_understood_are_skipped() {
    let world = World::new().await;
    let strange = [
        json!({ "kty": "quantum", "kid": "q" }),
        json!({ "kty": "OKP", "crv": "Ed25519", "x": "AAAA" }),
        json!({ "kty": "EC", "crv": "P-521", "x": "AAAA", "y": "AAAA" }),
        json!({ "kty": "EC", "crv": "P-256", "x": "!", "y": 5 }),
        json!({ "kty": "EC", "crv": "P-256", "kid": "public:first", "x": "AAAA", "y": "AAAA" }),
        json!({ "kty": "RSA", "n": "AQAB", "e": "AQAB" }),
        json!({ "kty": "oct", "k": "AAAA" }),
        json!({ "kid": 5 }),
        json!([]),
        json!(null),
        world.provider.key().jwk(),
    ];
    world.provider.publish(&strange);
    assert!(world.vipps.identify(&world.provider.tokens(world.clock.now()), &terms()).await.is_ok());
}

#[tokio::test]
async fn a_check_says_what_is_missing() {
    let world = World::new().await;
    let encryption = json!({ "use": "enc" });
    let mut key = world.provider.key().jwk();
    key["use"] = encryption["use"].clone();
    world.provider.publish(&[key]);
    assert!(world.problem().await.contains("check signing_algorithms"));
    world.provider.discover("backchannel_authentication_endpoint", Value::Null);
    let world = World { clock: world.clock.clone(), vipps: world.clock.provider(&world.provider.settings()), ..world };
    assert!(world.problem().await.contains("backchannel_authentication_endpoint"));
}
