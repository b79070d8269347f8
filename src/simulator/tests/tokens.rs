//! ID tokens, genuine and otherwise, checked with another library's eyes.

use jsonwebtoken::{Algorithm, DecodingKey, Validation, decode, decode_header};
use serde_json::{Value, json};

use super::bench::{Bench, PHONE};

/// Verifies a token by the published keys, as a careful client does.
async fn verify(bench: &Bench, token: &str) -> Result<Value, String> {
    let header = decode_header(token).map_err(|error| error.to_string())?;
    let kid = header.kid.ok_or("no kid")?;
    let keys = bench.jwks().await;
    let jwk = keys.find(&kid).ok_or("unknown kid")?;
    let key = DecodingKey::from_jwk(jwk).map_err(|error| error.to_string())?;
    let mut rules = Validation::new(header.alg);
    rules.algorithms = vec![header.alg];
    rules.set_audience(&["demo-client"]);
    rules.set_issuer(&[bench.simulator.issuer().as_str()]);
    rules.set_required_spec_claims(&["iss", "aud", "exp", "sub"]);
    decode(token, &key, &rules).map(|data| data.claims).map_err(|error| error.to_string())
}

async fn token_of(bench: &Bench, phone: &str) -> String {
    let auth_req_id = bench.start(phone).await;
    bench.simulator.approve(phone);
    bench.poll(&auth_req_id).await.field("id_token")
}

#[tokio::test]
async fn the_default_token_verifies() {
    let bench = Bench::impatient().await;
    let token = token_of(&bench, PHONE).await;
    let claims = verify(&bench, &token).await.unwrap();
    assert_eq!(decode_header(&token).unwrap().alg, Algorithm::RS256);
    assert_eq!(claims["aud"], json!(["demo-client"]));
    assert_eq!(claims["msn"], "123456");
    assert!(claims.get("auth_req_id").is_none());
}

#[tokio::test]
async fn the_es256_token_verifies_too() {
    let bench = Bench::impatient().await;
    let auth_req_id = bench.start("4790000070").await;
    bench.simulator.approve("4790000070");
    let token = bench.poll(&auth_req_id).await.field("id_token");
    let claims = verify(&bench, &token).await.unwrap();
    assert_eq!(claims["aud"], "demo-client");
    assert_eq!(claims["authReqId"], auth_req_id.as_str());
    assert!(decode_header(&token).unwrap().typ.is_none());
}

#[tokio::test]
async fn harmless_oddities_verify() {
    let bench = Bench::impatient().await;
    for suffix in ["00071", "00091", "00093", "00095", "00097"] {
        let token = token_of(&bench, &format!("47900{suffix}")).await;
        let verdict = verify(&bench, &token).await;
        assert!(verdict.is_ok(), "{suffix}: {verdict:?}");
    }
}

#[tokio::test]
async fn broken_tokens_do_not_verify() {
    let bench = Bench::impatient().await;
    for suffix in [
        "00072", "00073", "00074", "00075", "00076", "00077", "00078", "00079", "00080", "00081", "00082", "00083",
        "00085", "00086", "00089",
    ] {
        let token = token_of(&bench, &format!("47900{suffix}")).await;
        let verdict = verify(&bench, &token).await;
        assert!(verdict.is_err(), "{suffix}: {verdict:?}");
    }
}

#[tokio::test]
async fn claims_can_be_moved_in_time() {
    let bench = Bench::impatient().await;
    let old = token_of(&bench, "4790000087").await;
    let claims = verify(&bench, &old).await.unwrap();
    let age = claims["exp"].as_i64().unwrap() - claims["iat"].as_i64().unwrap();
    assert_eq!(age, 604_800 + 3_600);
}

#[tokio::test]
async fn old_keys_stay_or_go() {
    let bench = Bench::impatient().await;
    let token = token_of(&bench, PHONE).await;
    bench.simulator.rotate_keys(true).await.unwrap();
    assert!(verify(&bench, &token).await.is_ok());
    bench.simulator.rotate_keys(false).await.unwrap();
    let gone = verify(&bench, &token).await;
    assert_eq!(gone, Err("unknown kid".to_owned()));
}
