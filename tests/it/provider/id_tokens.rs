//! ID tokens that must be refused, and the odd ones that must not.

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD as BASE64;
use ciba_gateway::ciba::Tokens;
use ciba_gateway::provider::openid::SigningAlgorithm;
use ciba_gateway::provider::{IdentifyError, Provider};
use ciba_gateway::session::FailureReason;
use ring::digest::{SHA256, digest};
use serde_json::{Value, json};

use super::World;
use crate::support::lying_provider::{ACCESS_TOKEN, CLIENT_ID, CLIENT_SECRET, SUBJECT, USERINFO, terms, tokens};
use crate::support::signer::Signer;

const REFUSED: IdentifyError = IdentifyError::Rejected(FailureReason::IdTokenInvalid);

impl World {
    async fn identify(&self, id_token: String) -> Result<(), IdentifyError> {
        self.vipps.identify(&tokens(id_token), &terms()).await.map(drop)
    }

    /// Honest claims but for these; null takes one away.
    fn claims_but(&self, changes: Value) -> Value {
        let mut claims = self.provider.claims(self.clock.now());
        for (name, value) in changes.as_object().unwrap() {
            match value {
                Value::Null => drop(claims.as_object_mut().unwrap().remove(name)),
                value => claims[name] = value.clone(),
            }
        }
        claims
    }

    async fn must_refuse(&self, claims: Value) {
        assert_eq!(self.identify(self.provider.key().sign(&claims)).await, Err(REFUSED), "{claims}");
        assert!(self.provider.seen(USERINFO).is_empty(), "userinfo was read for {claims}");
    }

    async fn must_accept(&self, claims: Value) {
        assert_eq!(self.identify(self.provider.key().sign(&claims)).await, Ok(()), "{claims}");
    }
}

/// R25, R35, SR21: to the letter, the slash at the end included.
#[tokio::test]
async fn another_issuer_is_refused() {
    let world = World::new().await;
    let issuer = world.provider.issuer();
    let no_slash = issuer.trim_end_matches('/').to_owned();
    for iss in [json!("https://evil.example/"), json!(no_slash), json!(issuer + "/"), json!(5), json!([]), json!(null)]
    {
        world.must_refuse(world.claims_but(json!({ "iss": iss }))).await;
    }
}

/// R26, R27, R33, SR21.
#[tokio::test]
async fn another_audience_is_refused() {
    let world = World::new().await;
    let audiences = [
        json!("other"),
        json!(["other"]),
        json!([]),
        json!(""),
        json!(null),
        json!({}),
        json!([CLIENT_ID, "other"]),
        json!(["other", CLIENT_ID]),
    ];
    for aud in audiences {
        world.must_refuse(world.claims_but(json!({ "aud": aud }))).await;
        world.must_refuse(world.claims_but(json!({ "aud": aud, "azp": CLIENT_ID }))).await;
    }
    world.must_refuse(world.claims_but(json!({ "aud": [CLIENT_ID, CLIENT_ID] }))).await;
    world.must_refuse(world.claims_but(json!({ "azp": "other" }))).await;
}

/// R13.
#[tokio::test]
async fn the_audience_may_be_a_string_or_a_list_of_one() {
    let world = World::new().await;
    world.must_accept(world.claims_but(json!({ "aud": CLIENT_ID }))).await;
    world.must_accept(world.claims_but(json!({ "aud": [CLIENT_ID] }))).await;
    world.must_accept(world.claims_but(json!({ "aud": [CLIENT_ID], "azp": CLIENT_ID }))).await;
}

/// R31, R34, SR21, with a minute for clocks that are apart.
#[tokio::test]
async fn an_expired_token_is_refused() {
    let world = World::new().await;
    let now = world.clock.now().as_secs();
    world.must_refuse(world.claims_but(json!({ "exp": now - 301 }))).await;
    world.must_refuse(world.claims_but(json!({ "exp": now - 60 }))).await;
    for exp in [json!(null), json!("tomorrow"), json!(0), json!(-1), json!(1e300), json!(u64::MAX), json!([now + 60])] {
        world.must_refuse(world.claims_but(json!({ "exp": exp }))).await;
    }
    world.must_accept(world.claims_but(json!({ "exp": now - 59 }))).await;
}

/// R32, R42.
#[tokio::test]
async fn a_token_of_another_time_is_refused() {
    let world = World::new().await;
    let now = world.clock.now().as_secs();
    for iat in [json!(now - 7 * 86_400), json!(now - 3_661), json!(now + 61), json!(null), json!("now"), json!(-1e300)]
    {
        world.must_refuse(world.claims_but(json!({ "iat": iat }))).await;
    }
    world.must_accept(world.claims_but(json!({ "iat": now - 3_660 }))).await;
    world.must_accept(world.claims_but(json!({ "iat": now + 60 }))).await;
}

/// R41.
#[tokio::test]
async fn a_token_about_nobody_is_refused() {
    let world = World::new().await;
    for sub in [json!(null), json!(""), json!(5), json!("two words"), json!("s".repeat(256)), json!([SUBJECT])] {
        world.must_refuse(world.claims_but(json!({ "sub": sub }))).await;
    }
}

/// R40 (a nonce where none was sent is fine), R44, and claims this flow ignores.
#[tokio::test]
async fn what_poll_mode_does_not_use_is_ignored() {
    let world = World::new().await;
    for more in [
        json!({ "nonce": "" }),
        json!({ "nonce": "n-0S6_WzA2Mj" }),
        json!({ "auth_req_id": "another" }),
        json!({ "authReqId": "another" }),
        json!({ "urn:openid:params:jwt:claim:auth_req_id": "another" }),
        json!({ "msn": "1", "rat": 5, "jti": "j", "sid": "s", "auth_time": 5, "acr": "x", "amr": ["y"] }),
        json!({ "name": "Ada", "email": "ada@example.com", "email_verified": false, "other_addresses": [] }),
        json!({ "address": { "address_type": "home", "region": "" }, "birthdate": "1815-12-10", "gender": "female" }),
    ] {
        world.must_accept(world.claims_but(more)).await;
    }
}

/// R43, R44.
#[tokio::test]
async fn a_hash_of_another_access_token_is_refused() {
    let world = World::new().await;
    let hash = |token: &str| BASE64.encode(&digest(&SHA256, token.as_bytes()).as_ref()[..16]);
    for at_hash in [json!(hash("another")), json!(""), json!("x"), json!(5)] {
        world.must_refuse(world.claims_but(json!({ "at_hash": at_hash }))).await;
    }
    world.must_accept(world.claims_but(json!({ "at_hash": hash(ACCESS_TOKEN) }))).await;
}

/// R28, R47, SR21.
#[tokio::test]
async fn a_broken_signature_is_refused() {
    let world = World::new().await;
    let rsa = Signer::rs256("public:rsa");
    world.provider.publish(&[rsa.jwk(), world.provider.key().jwk()]);
    let claims = world.claims_but(json!({}));
    for signer in [&rsa, world.provider.key()] {
        let token = signer.sign(&claims);
        assert_eq!(world.identify(token.clone()).await, Ok(()));
        let (input, signature) = token.rsplit_once('.').unwrap();
        let mut bytes = BASE64.decode(signature).unwrap();
        bytes[10] ^= 1;
        let broken = [format!("{input}.{}", BASE64.encode(&bytes)), format!("{input}."), format!("{input}.AAAA")];
        for broken in broken {
            assert_eq!(world.identify(broken).await, Err(REFUSED));
        }
        let other = Signer::es256(&signer.kid).sign_with(&signer.header(), &claims);
        assert_eq!(world.identify(other).await, Err(REFUSED), "signed by another key of that name");
    }
    assert_eq!(world.provider.seen(USERINFO).len(), 2);
}

/// R29, R30, R47, SR21: neither the token's header nor the key set decides.
#[tokio::test]
async fn another_algorithm_is_refused() {
    let world = World::with(|settings| settings.openid.signing_algorithms = [SigningAlgorithm::Es256].into()).await;
    let (rsa, key) = (Signer::rs256("public:rsa"), world.provider.key().clone());
    world.provider.publish(&[rsa.jwk(), key.jwk()]);
    let claims = world.claims_but(json!({}));
    assert_eq!(world.identify(key.sign(&claims)).await, Ok(()));

    let header = |alg: &str| json!({ "alg": alg, "kid": key.kid });
    let signed_as = |alg: &str| key.sign_with(&header(alg), &claims);
    let unsigned = signed_as("none").rsplit_once('.').unwrap().0.to_owned() + ".";
    let public = BASE64.decode(key.jwk()["x"].as_str().unwrap()).unwrap();
    let forged = [
        unsigned,
        signed_as("none"),
        signed_as("None"),
        signed_as("RS256"),
        signed_as("ES384"),
        signed_as("PS256"),
        signed_as("A128GCM"),
        key.hs256(CLIENT_SECRET.as_bytes(), &claims),
        key.hs256(&public, &claims),
        rsa.sign(&claims),
    ];
    for token in forged {
        assert_eq!(world.identify(token).await, Err(REFUSED));
    }
}

#[tokio::test]
async fn what_is_no_id_token_is_refused() {
    let world = World::new().await;
    let claims = world.claims_but(json!({}));
    let key = world.provider.key();
    for header in
        [json!({ "crit": ["x"], "x": 1 }), json!({ "cty": "JWT" }), json!({ "typ": "at+jwt" }), json!({ "alg": 5 })]
    {
        let mut whole = key.header();
        whole.as_object_mut().unwrap().extend(header.as_object().unwrap().clone());
        assert_eq!(world.identify(key.sign_with(&whole, &claims)).await, Err(REFUSED), "{whole}");
    }
    let texts = ["", ".", "..", "a.b.c", "e30.e30.", "not a token", "....", "\u{e6}.\u{f8}.\u{e5}"];
    for text in texts {
        assert_eq!(world.identify(text.to_owned()).await, Err(REFUSED), "{text}");
    }
    for payload in [json!([]), json!(5), json!("x"), json!(null)] {
        assert_eq!(world.identify(key.sign(&payload)).await, Err(REFUSED));
    }
    let missing = world.vipps.identify(&Tokens::new(ACCESS_TOKEN.into(), None), &terms()).await;
    assert_eq!(missing, Err(REFUSED));
    assert!(world.provider.seen(USERINFO).is_empty());
}

/// R45, R46: without a `kid` every key that fits is tried.
#[tokio::test]
async fn a_token_may_leave_its_key_unnamed() {
    let world = World::new().await;
    let (rsa, key) = (Signer::rs256("public:rsa"), world.provider.key().clone());
    let claims = world.claims_but(json!({}));
    let nameless = |signer: &Signer| signer.sign_with(&json!({ "alg": signer.header()["alg"] }), &claims);

    world.provider.publish(&[key.jwk()]);
    assert_eq!(world.identify(nameless(&key)).await, Ok(()));

    let several = [Signer::es256("a").jwk(), rsa.nameless_jwk(), Signer::es256("b").nameless_jwk(), key.jwk()];
    world.provider.publish(&several);
    world.clock.advance(10);
    assert_eq!(world.identify(nameless(&rsa)).await, Ok(()));
    assert_eq!(world.identify(nameless(&key)).await, Ok(()));
    assert_eq!(world.identify(nameless(&Signer::es256("stranger"))).await, Err(REFUSED));
}

/// R46: a name that two keys share is no reason to stop.
#[tokio::test]
async fn two_keys_of_one_name_are_both_tried() {
    let world = World::new().await;
    let key = world.provider.key();
    world.provider.publish(&[Signer::es256(&key.kid).jwk(), key.jwk()]);
    world.must_accept(world.claims_but(json!({}))).await;
}
