//! ID tokens and the key sets that they are judged by.
//!
//! An input's first byte says what it is: a token as text, a key set as a body
//! ([`bodies::body`]) for an honest token, or how a token was made: with which
//! keys published, which header, which claims, whose signature, what was changed
//! afterwards.

use std::sync::OnceLock;

use arbitrary::{Result, Unstructured};
use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD as BASE64;
use ciba_gateway::ciba::Tokens;
use ciba_gateway::identity::Subject;
use ciba_gateway::provider::ProviderProblem;
use ciba_gateway::timestamp::Timestamp;
use ring::digest::{SHA256, digest};
use serde_json::{Value, json};

use super::bodies;
use crate::support::lying_provider::{ACCESS_TOKEN, CLIENT_ID, CLIENT_SECRET, SUBJECT};
use crate::support::signer::Signer;

const NOW: Timestamp = Timestamp::from_millis(1_800_000_000_000);
const LEEWAY: f64 = 60.0;
const MAX_AGE: f64 = 3600.0;
const HEADERS: [&str; 12] = ["alg", "kid", "typ", "cty", "crit", "b64", "zip", "jwk", "jku", "x5u", "x5c", "enc"];
const CLAIMS: [&str; 12] =
    ["iss", "aud", "sub", "iat", "exp", "azp", "nbf", "at_hash", "nonce", "auth_time", "acr", "c_hash"];
const KEY_MEMBERS: [&str; 12] = ["keys", "kty", "kid", "use", "alg", "crv", "x", "y", "n", "e", "x5c", "key_ops"];

/// Keys that sign.
struct Keys {
    own: Signer,
    second: Signer,
    /// Never published.
    foreign: Signer,
}

fn keys() -> &'static Keys {
    static KEYS: OnceLock<Keys> = OnceLock::new();
    KEYS.get_or_init(|| Keys {
        own: Signer::es256("own"),
        second: Signer::rs256("second"),
        foreign: Signer::es256("own"),
    })
}

pub(crate) fn judge(data: &[u8]) -> bool {
    let Some((kind, rest)) = data.split_first() else { return false };
    let mut u = Unstructured::new(rest);
    match kind % 4 {
        0 => {
            let text = String::from_utf8_lossy(rest);
            assert!(subject(&text, &set(&[keys().own.jwk(), keys().second.jwk()])).is_err(), "nobody signed {text}");
            false
        }
        1 => {
            let Ok(key_set) = bodies::body(&mut u, &KEY_MEMBERS) else { return false };
            let honest = keys().own.sign(&claims());
            let is_believed = subject(&honest, &key_set).is_ok();
            if is_believed {
                let found = serde_json::from_slice::<Value>(&key_set).expect("a key set");
                let keys_found = found["keys"].as_array().expect("keys");
                assert!(keys_found.iter().any(|key| key["x"] == keys().own.jwk()["x"]), "not the key that signed");
            }
            is_believed
        }
        // It fails when there are too few bytes for a token.
        _ => made(&mut u).unwrap_or_default(),
    }
}

/// Makes a token, and holds it against the rules if it is believed; whether it is.
fn made(u: &mut Unstructured<'_>) -> Result<bool> {
    let published = u.arbitrary::<u8>()?;
    let all = [keys().own.jwk(), keys().second.jwk(), keys().own.nameless_jwk(), json!({ "kty": "oct", "k": "AA" })];
    let key_set: Vec<Value> =
        all.into_iter().enumerate().filter(|(index, _)| published >> index & 1 == 1).map(|(_, key)| key).collect();
    let (signer, is_known, algorithm) = match u.int_in_range(0..=7)? {
        0..=3 => (Some(&keys().own), published & 0b101 != 0, "ES256"),
        4 => (Some(&keys().second), published & 0b10 != 0, "RS256"),
        5 => (Some(&keys().foreign), false, "ES256"),
        _ => (None, false, "HS256"),
    };
    let header = match u.arbitrary::<u8>()? % 4 {
        0 => members_of(u, &HEADERS)?,
        1 => changed(u, &json!({ "alg": algorithm, "kid": "own" }), &HEADERS)?,
        _ => signer.unwrap_or(&keys().own).header().to_string(),
    };
    let payload = match u.arbitrary::<u8>()? % 8 {
        0 => members_of(u, &CLAIMS)?,
        1 => claims().to_string(),
        _ => changed(u, &claims(), &CLAIMS)?,
    };
    let token = match signer {
        Some(signer) => signer.sign_text(&header, &payload),
        None if u.arbitrary()? => keys().own.hs256(CLIENT_SECRET.as_bytes(), &claims()),
        None => format!("{}.{}.", BASE64.encode(&header), BASE64.encode(&payload)),
    };
    let mut sent = token.clone().into_bytes();
    if u.arbitrary::<u8>()? > 200 && !u.is_empty() {
        let at = u.choose_index(sent.len())?;
        sent[at] = u.arbitrary()?;
    }
    let sent = String::from_utf8_lossy(&sent);
    let believed = subject(&sent, &set(&key_set));
    if let Ok(subject) = &believed {
        assert!(is_known && sent == token, "signed by none of the keys");
        // A reader that skips members reads more, such as half a surrogate pair in one.
        if let Ok(header) = serde_json::from_str::<Value>(&header) {
            assert_eq!(header["alg"], algorithm, "the algorithm of the key");
        }
        if let Ok(claims) = serde_json::from_str(&payload) {
            holds(subject, &claims);
        }
    }
    Ok(believed.is_ok())
}

/// The rules of OpenID Connect Core, section 3.1.3.7, in other words.
fn holds(subject: &Subject, claims: &Value) {
    assert_eq!((claims["sub"].as_str(), claims["iss"].as_str()), (Some(subject.expose()), Some(bodies::ISSUER)));
    let audiences = match &claims["aud"] {
        Value::Array(audiences) => audiences.clone(),
        audience => vec![audience.clone()],
    };
    assert!(audiences.contains(&json!(CLIENT_ID)), "{claims}");
    let azp = claims.get("azp").filter(|azp| !azp.is_null());
    assert!(azp.map_or(audiences.len() == 1, |azp| azp == CLIENT_ID), "{claims}");
    let now = NOW.as_secs() as f64;
    let (exp, iat) = (claims["exp"].as_f64().expect("exp"), claims["iat"].as_f64().expect("iat"));
    assert!(exp > now - LEEWAY - 1.0, "{claims}");
    assert!((now - MAX_AGE - LEEWAY - 1.0..=now + LEEWAY + 1.0).contains(&iat), "{claims}");
    if let Some(at_hash) = claims.get("at_hash").filter(|hash| !hash.is_null()) {
        let whole = digest(&SHA256, ACCESS_TOKEN.as_bytes());
        assert_eq!(at_hash.as_str(), Some(BASE64.encode(&whole.as_ref()[..16]).as_str()));
    }
}

fn claims() -> Value {
    json!({
        "iss": bodies::ISSUER, "aud": CLIENT_ID, "sub": SUBJECT,
        "iat": NOW.as_secs(), "exp": NOW.as_secs() + 3_600,
    })
}

fn set(keys: &[Value]) -> Vec<u8> {
    json!({ "keys": keys }).to_string().into_bytes()
}

fn members_of(u: &mut Unstructured<'_>, members: &[&str]) -> Result<String> {
    let mut text = String::new();
    bodies::object(u, members, 0, &mut text)?;
    Ok(text)
}

/// `honest` without one of its members, perhaps, and with others after it.
fn changed(u: &mut Unstructured<'_>, honest: &Value, members: &[&str]) -> Result<String> {
    let mut honest = honest.clone();
    let names: Vec<_> = honest.as_object().into_iter().flat_map(|object| object.keys().cloned()).collect();
    if let Some(name) = names.get(u.int_in_range(0..=names.len() * 2)?) {
        honest.as_object_mut().map(|object| object.remove(name));
    }
    let (honest, more) = (honest.to_string(), members_of(u, members)?);
    let (honest, more) = (honest.trim_end_matches('}'), more.trim_start_matches('{'));
    let comma = if honest == "{" || more == "}" { "" } else { "," };
    Ok(format!("{honest}{comma}{more}"))
}

fn subject(id_token: &str, key_set: &[u8]) -> std::result::Result<Subject, ProviderProblem> {
    let tokens = Tokens::new(ACCESS_TOKEN.into(), Some(id_token.to_owned()));
    let subject = bodies::judge().subject(&tokens, key_set, NOW);
    if let Err(problem) = &subject {
        let problem = problem.to_string();
        assert!(problem.len() < 40 && !problem.contains(|c: char| c.is_ascii_digit()), "{problem}");
    }
    subject
}
