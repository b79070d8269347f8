//! Which tokens of a tenant's identity provider hold, rule by rule: over a file with
//! keys and a clock that stands still, so that every edge is exact.

use std::sync::Arc;
use std::time::Duration;

use ciba_gateway::clock::Clock;
use ciba_gateway::config::{Config, Tokens};
use ciba_gateway::logins::Role;
use ciba_gateway::telemetry::Metrics;
use ciba_gateway::timestamp::Timestamp;
use ciba_gateway::tokens::{Issuer, Issuers, Refused};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::configuration::Configuration;
use crate::support::http;
use crate::support::identity_provider::{AUDIENCE, DESK, IdentityProvider, claims};
use crate::support::signer::Signer;
use crate::support::stage::{BEGINNING, pass, secs};

const ISSUER: &str = "https://login.nordlys.example/realm";

/// An identity provider whose keys are in a file.
struct World {
    folder: TempDir,
    clock: Clock,
    signer: Signer,
    issuer: Issuer,
}

impl World {
    /// With these lines in `[tenants.tokens]`. Must be called while time is paused.
    fn with(lines: &str) -> Self {
        let signer = Signer::es256("one");
        let folder = tempfile::tempdir().expect("a folder");
        let clock = Clock::following_tokio(BEGINNING);
        write(&folder, &[signer.jwk()]);
        let issuer = Issuer::new(&settings(&folder, lines), &clock, &Arc::new(Metrics::new())).expect("an issuer");
        Self { folder, clock, signer, issuer }
    }

    fn publishes(&self, keys: &[Value]) {
        write(&self.folder, keys);
    }

    fn claims(&self) -> Value {
        claims(ISSUER, self.clock.now(), DESK, Some("ada"))
    }

    async fn verdict(&self, token: &str) -> Result<(), Refused> {
        self.issuer.verify(token, self.clock.now()).await.map(drop)
    }

    /// What becomes of a good token once `change` is through with what it says.
    async fn of(&self, change: impl FnOnce(&mut Value)) -> Result<(), Refused> {
        let mut claims = self.claims();
        change(&mut claims);
        self.verdict(&self.signer.sign(&claims)).await
    }

    /// The same of its header.
    async fn under(&self, header: Value) -> Result<(), Refused> {
        self.verdict(&self.signer.sign_with(&header, &self.claims())).await
    }
}

fn write(folder: &TempDir, keys: &[Value]) {
    std::fs::write(folder.path().join("keys.json"), json!({ "keys": keys }).to_string()).expect("a file");
}

fn settings(folder: &TempDir, lines: &str) -> Tokens {
    let file = folder.path().join("keys.json");
    let source = if lines.contains("jwks_uri") { String::new() } else { format!("jwks_file = {file:?}\n") };
    let table = format!(
        "[tenants.tokens]\nissuer = \"{ISSUER}\"\naudience = \"{AUDIENCE}\"\nagent_claim = \"agent\"\n{source}{lines}"
    );
    let configuration = Configuration::new("https://provider.example").with_tenant_line("nordlys", &table);
    let config = Config::parse(&configuration.text(), folder.path(), std::iter::empty());
    let config = config.unwrap_or_else(|mistakes| panic!("{mistakes}"));
    config.tenants.into_iter().find_map(|tenant| tenant.tokens).expect("tokens")
}

/// SR2: whose it is, for whom, and every form that is none.
#[tokio::test(start_paused = true)]
async fn a_token_is_from_the_issuer_and_for_this_gateway() {
    let world = World::with("");
    assert_eq!(world.of(|_| ()).await, Ok(()));
    assert_eq!(world.of(|claims| claims["aud"] = json!(["other", AUDIENCE])).await, Ok(()));
    for (refused, change) in [
        (Refused::Issuer, json!({ "iss": format!("{ISSUER}/") })),
        (Refused::Issuer, json!({ "iss": "https://login.evil.example/realm" })),
        (Refused::Issuer, json!({ "iss": [ISSUER] })),
        (Refused::Issuer, json!({ "iss": null })),
        (Refused::Audience, json!({ "aud": "https://gateway.example.evil.example" })),
        (Refused::Audience, json!({ "aud": [] })),
        (Refused::Audience, json!({ "aud": null })),
        (Refused::Bound, json!({ "cnf": { "jkt": "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I" } })),
        (Refused::Agent, json!({ "agent": "no spaces please" })),
        (Refused::Agent, json!({ "agent": 7 })),
    ] {
        let merged = |claims: &mut Value| {
            let claims = claims.as_object_mut().unwrap();
            for (name, value) in change.as_object().unwrap() {
                if value.is_null() {
                    claims.remove(name)
                } else {
                    claims.insert(name.clone(), value.clone())
                };
            }
        };
        assert_eq!(world.of(merged).await, Err(refused), "{change}");
    }
    let good = world.signer.sign(&world.claims());
    let (head, _) = good.rsplit_once('.').unwrap();
    for token in ["", "a.b.c", "..", head, &format!("{good}.x"), &format!(" {good}"), &good.replace('.', "..")] {
        assert_eq!(world.verdict(token).await, Err(Refused::Form), "{token}");
    }
}

/// SR2: no algorithm and no key comes from the token.
#[tokio::test(start_paused = true)]
async fn the_algorithm_and_the_key_are_ours_to_choose() {
    let world = World::with("");
    let claims = world.claims();
    let stranger = Signer::es256("one");
    let spki = world.signer.jwk().to_string();
    let unsigned = |alg: &str| {
        let token = world.signer.sign_with(&json!({ "alg": alg, "kid": "one" }), &claims);
        format!("{}.", token.rsplit_once('.').unwrap().0)
    };
    for (what, token, refused) in [
        ("none", unsigned("none"), Refused::Algorithm),
        ("None", unsigned("None"), Refused::Algorithm),
        ("no signature", unsigned("ES256"), Refused::Signature),
        ("the public key as a secret", world.signer.hs256(spki.as_bytes(), &claims), Refused::Algorithm),
        (
            "not allowed",
            Signer::rs256("one").sign_with(&json!({ "alg": "RS384", "kid": "one" }), &claims),
            Refused::Algorithm,
        ),
        ("another kind of key", Signer::rs256("one").sign(&claims), Refused::Algorithm),
        ("a stranger's", stranger.sign(&claims), Refused::Signature),
        ("another kid", Signer::es256("two").sign(&claims), Refused::UnknownKey),
        (
            "its own key",
            stranger.sign_with(&json!({ "alg": "ES256", "kid": "one", "jwk": stranger.jwk() }), &claims),
            Refused::Signature,
        ),
        (
            "its own key, nameless",
            stranger.sign_with(&json!({ "alg": "ES256", "jwk": stranger.jwk() }), &claims),
            Refused::Signature,
        ),
        (
            "an address of keys",
            stranger.sign_with(&json!({ "alg": "ES256", "kid": "x", "jku": "https://evil.example/keys" }), &claims),
            Refused::UnknownKey,
        ),
    ] {
        assert_eq!(world.verdict(&token).await, Err(refused), "{what}");
    }
    assert_eq!(world.under(json!({ "alg": "ES256" })).await, Ok(()), "one without a name is tried with each key");
}

/// SR2: a token of another kind, or with rules that we do not know, is none.
#[tokio::test(start_paused = true)]
async fn the_header_says_nothing_that_we_do_not_know() {
    let world = World::with("");
    let with = |more: Value| {
        let mut header = world.signer.header();
        header.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        header
    };
    for typ in ["JWT", "jwt", "at+jwt", "application/at+JWT"] {
        assert_eq!(world.under(with(json!({ "typ": typ }))).await, Ok(()), "{typ}");
    }
    for typ in ["logout+jwt", "secevent+jwt", "dpop+jwt", "JWS", ""] {
        assert_eq!(world.under(with(json!({ "typ": typ }))).await, Err(Refused::Type), "{typ}");
    }
    for crit in [json!(["b64"]), json!(["exp"]), json!([]), json!("x")] {
        assert_eq!(world.under(with(json!({ "crit": crit, "b64": true }))).await, Err(Refused::Critical), "{crit}");
    }
}

/// SR2: to the second, with the skew and no more.
#[tokio::test(start_paused = true)]
async fn a_token_holds_in_its_time_alone() {
    let world = World::with("clock_skew = \"30s\"\nlongest_lifetime = \"1h\"");
    let now = world.clock.now().as_secs();
    let times = |iat: Value, nbf: Value, exp: Value| {
        move |claims: &mut Value| {
            let claims = claims.as_object_mut().unwrap();
            for (name, time) in [("iat", iat), ("nbf", nbf), ("exp", exp)] {
                if time.is_null() {
                    claims.remove(name)
                } else {
                    claims.insert(name.to_owned(), time)
                };
            }
        }
    };
    let none = || Value::Null;
    for (iat, nbf, exp, expected) in [
        (json!(now), none(), json!(now + 3600), Ok(())),
        (json!(now), none(), json!(now + 3601), Err(Refused::Lifetime)),
        (json!(now - 3600), none(), json!(now - 29), Ok(())),
        (json!(now - 3600), none(), json!(now - 30), Err(Refused::Expired)),
        (json!(now + 30), none(), json!(now + 60), Ok(())),
        (json!(now + 31), none(), json!(now + 60), Err(Refused::NotYetValid)),
        (json!(now), json!(now + 30), json!(now + 60), Ok(())),
        (json!(now), json!(now + 31), json!(now + 60), Err(Refused::NotYetValid)),
        (json!(now), none(), none(), Err(Refused::Lifetime)),
        (none(), none(), json!(now + 60), Err(Refused::Lifetime)),
        (json!(now), none(), json!(now), Err(Refused::Lifetime)),
        (json!(now + 20), none(), json!(now + 10), Err(Refused::Lifetime)),
        (json!(now), none(), json!(now.to_string()), Err(Refused::Form)),
        (json!(now), none(), json!(1e300), Err(Refused::Form)),
        (json!(-1), none(), json!(now + 60), Err(Refused::Form)),
        (json!(now), json!("soon"), json!(now + 60), Err(Refused::Form)),
        (json!(0), none(), json!(now + 60), Err(Refused::Lifetime)),
    ] {
        let what = format!("{iat} {nbf} {exp}");
        assert_eq!(world.of(times(iat, nbf, exp)).await, expected, "{what}");
    }
    let until = world.issuer.verify(&world.signer.sign(&world.claims()), world.clock.now()).await.unwrap().until;
    assert_eq!(until, Timestamp::from_millis((now + 630) * 1000), "until its end and the skew");
}

/// SR2: who is named where, as the operator says.
#[tokio::test(start_paused = true)]
async fn claims_are_where_the_identity_provider_has_them() {
    let roles = "[tenants.tokens.roles]\nsupervisor = [\"leads\", \"floor-managers\"]\nnational-id = [\"nin\"]";
    for (claim, value, expected) in [
        ("realm_access.roles", json!({ "realm_access": { "roles": ["leads", "x"] } }), vec![Role::Supervisor]),
        ("https://x.example/roles", json!({ "https://x.example/roles": ["nin"] }), vec![Role::NationalId]),
        ("scope", json!({ "scope": "openid nin floor-managers" }), vec![Role::Supervisor, Role::NationalId]),
        ("roles", json!({ "roles": ["supervisor", "national-id"] }), vec![]),
        ("roles", json!({ "roles": { "leads": true } }), vec![]),
        ("roles", json!({}), vec![]),
    ] {
        let world = World::with(&format!("roles_claim = \"{claim}\"\n{roles}"));
        let mut claims = world.claims();
        claims.as_object_mut().unwrap().extend(value.as_object().unwrap().clone());
        let said = world.issuer.verify(&world.signer.sign(&claims), world.clock.now()).await.unwrap();
        assert_eq!(said.roles.into_iter().collect::<Vec<_>>(), expected, "{claim}");
        assert_eq!((said.client.as_deref(), said.agent.unwrap().as_str()), (Some(DESK), "ada"));
    }
    for (lines, more, expected) in [
        ("", json!({ "client_id": "x" }), Some(DESK)),
        ("", json!({ "azp": null, "client_id": "x" }), Some("x")),
        ("client_claim = \"appid\"", json!({ "appid": "y" }), Some("y")),
        ("client_claim = \"appid\"", json!({}), None),
    ] {
        let world = World::with(lines);
        let mut claims = world.claims();
        for (name, value) in more.as_object().unwrap() {
            let claims = claims.as_object_mut().unwrap();
            if value.is_null() {
                claims.remove(name)
            } else {
                claims.insert(name.clone(), value.clone())
            };
        }
        let said = world.issuer.verify(&world.signer.sign(&claims), world.clock.now()).await.unwrap();
        assert_eq!(said.client.as_deref(), expected, "{lines} {more}");
    }
}

/// SR2: keys of every kind that may sign, and none that must not.
#[tokio::test(start_paused = true)]
async fn only_public_keys_for_signatures_count() {
    let world = World::with("algorithms = [\"RS256\", \"ES256\"]");
    let (rsa, other) = (Signer::rs256("rsa"), Signer::es256("other"));
    let changed = |signer: &Signer, change: Value| {
        let mut jwk = signer.jwk();
        jwk.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
        jwk
    };
    let secret = json!({ "kty": "oct", "kid": "secret", "k": "c2VjcmV0LXNlY3JldC1zZWNyZXQtc2VjcmV0LXNlY3JldA" });
    world.publishes(&[
        json!({ "kty": "new", "kid": "new" }),
        json!("x"),
        secret,
        rsa.jwk(),
        changed(&other, json!({ "use": "enc" })),
        changed(&world.signer, json!({ "key_ops": ["verify"] })),
    ]);
    pass(secs(301)).await;
    let claims = world.claims();
    assert_eq!(world.verdict(&rsa.sign(&claims)).await, Ok(()));
    assert_eq!(world.verdict(&world.signer.sign(&claims)).await, Ok(()));
    assert_eq!(world.verdict(&other.sign(&claims)).await, Err(Refused::UnknownKey));
    let by_secret = Signer::es256("secret").hs256(b"secret-secret-secret-secret-secret", &claims);
    assert_eq!(world.verdict(&by_secret).await, Err(Refused::Algorithm));
    world
        .publishes(&[changed(&rsa, json!({ "alg": "PS256" })), changed(&world.signer, json!({ "key_ops": ["sign"] }))]);
    pass(secs(301)).await;
    let claims = world.claims();
    assert_eq!(world.verdict(&rsa.sign(&claims)).await, Err(Refused::UnknownKey), "it is for something else");
    assert_eq!(world.verdict(&world.signer.sign(&claims)).await, Err(Refused::UnknownKey));
}

/// SR2: a new key counts when the first token names it, and an old one as long as it
/// is published.
#[tokio::test(start_paused = true)]
async fn keys_are_replaced_with_an_overlap() {
    let world = World::with("");
    assert_eq!(world.of(|_| ()).await, Ok(()));
    let next = Signer::es256("two");
    world.publishes(&[world.signer.jwk(), next.jwk()]);
    pass(secs(6)).await;
    assert_eq!(world.verdict(&next.sign(&world.claims())).await, Ok(()), "without waiting for its time");
    assert_eq!(world.of(|_| ()).await, Ok(()));
    world.publishes(&[next.jwk()]);
    pass(secs(299)).await;
    pass(secs(2)).await;
    assert_eq!(world.of(|_| ()).await, Err(Refused::UnknownKey), "withdrawn");
    assert_eq!(world.verdict(&next.sign(&world.claims())).await, Ok(()));
}

/// SR2: a moment after the last look nobody makes us look again.
#[tokio::test(start_paused = true)]
async fn unknown_keys_are_looked_for_with_a_pause() {
    let world = World::with("");
    assert_eq!(world.of(|_| ()).await, Ok(()));
    let next = Signer::es256("two");
    world.publishes(&[next.jwk()]);
    pass(Duration::from_millis(4_900)).await;
    let before = world.clock.now();
    assert_eq!(world.verdict(&next.sign(&world.claims())).await, Err(Refused::UnknownKey));
    assert_eq!(world.clock.now(), before, "nobody waits");
    pass(Duration::from_millis(200)).await;
    assert_eq!(world.verdict(&next.sign(&world.claims())).await, Ok(()), "looked for as soon as that was right");
}

/// SR2: while keys cannot be fetched the last ones count, for a while.
#[tokio::test(start_paused = true)]
async fn an_outage_is_bridged_for_a_while() {
    let world = World::with("keys_max_age = \"1m\"\nkeys_kept = \"10m\"");
    assert_eq!(world.of(|_| ()).await, Ok(()));
    std::fs::write(world.folder.path().join("keys.json"), "no keys").expect("a file");
    pass(secs(599)).await;
    assert_eq!(world.of(|_| ()).await, Ok(()));
    pass(secs(2)).await;
    assert_eq!(world.of(|_| ()).await, Err(Refused::KeysUnavailable));
    world.publishes(&[world.signer.jwk()]);
    pass(secs(6)).await;
    assert_eq!(world.of(|_| ()).await, Ok(()), "back by itself");
}

/// A configuration that is read again keeps the keys of what has not changed in it.
#[tokio::test(start_paused = true)]
async fn an_unchanged_identity_provider_keeps_its_keys() {
    let world = World::with("");
    let (issuers, metrics) = (Issuers::default(), Arc::new(Metrics::new()));
    let get = |lines: &str| issuers.get(&settings(&world.folder, lines), &world.clock, &metrics).expect("an issuer");
    let first = get("");
    assert!(Arc::ptr_eq(&first, &get("")));
    assert!(!Arc::ptr_eq(&first, &get("clock_skew = \"10s\"")));
    assert!(Arc::ptr_eq(&first, &get("")));
}

/// SR36: an address inside a private network needs the operator's word, and http is
/// for tests.
#[tokio::test]
async fn keys_are_not_fetched_from_inside_by_accident() {
    http::install_crypto();
    let (folder, clock, metrics) = (tempfile::tempdir().expect("a folder"), Clock::system(), Arc::new(Metrics::new()));
    let new = |lines: &str| Issuer::new(&settings(&folder, lines), &clock, &metrics).map(drop);
    let refused = new("jwks_uri = \"https://10.0.0.9/keys\"").expect_err("a private address").to_string();
    assert!(refused.contains("private address"), "{refused}");
    new("jwks_uri = \"https://10.0.0.9/keys\"\nallow_private_addresses = true").expect("allowed");

    // A name that leads inside is found out only when it is called.
    let provider = IdentityProvider::start().await;
    let port = provider.issuer().rsplit_once(':').unwrap().1;
    let named = new_issuer(&folder, &format!("jwks_uri = \"https://localhost:{port}/keys\""), &clock, &metrics);
    let token = provider.token(DESK, None);
    assert_eq!(named.verify(&token, clock.now()).await.map(drop), Err(Refused::KeysUnavailable));
    assert_eq!(provider.key_requests(), 0);
}

fn new_issuer(folder: &TempDir, lines: &str, clock: &Clock, metrics: &Arc<Metrics>) -> Issuer {
    Issuer::new(&settings(folder, lines), clock, metrics).expect("an issuer")
}
