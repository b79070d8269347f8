//! Bodies of answers: bytes as they are, or JSON out of members that somebody reads.

use arbitrary::{Result, Unstructured};
use ciba_gateway::provider::openid::{ClientAuthentication, Judge, Settings, SigningAlgorithm};
use std::sync::OnceLock;
use std::time::Duration;

use crate::support::lying_provider::{CLIENT_ID, CLIENT_SECRET};

/// The issuer of [`judge`].
pub(crate) const ISSUER: &str = "https://login.example/access/";
/// The other host that may be called.
pub(crate) const SECOND_HOST: &str = "api.example";

const MAX_MEMBERS: u8 = 12;
const MAX_DEPTH: u8 = 3;
/// Values that mean something to some reader.
const VALUES: [&str; 18] = [
    "null",
    "true",
    "false",
    "0",
    "1",
    "5",
    "300",
    "301",
    "-1",
    "1e3",
    "18446744073709551616",
    "\"5\"",
    "\"\"",
    "\"\\u0000\"",
    "\"\\ud800\"",
    "[]",
    "{}",
    "\"x\"",
];

/// A body for a reader that looks for `members`. The first byte says which kind it
/// is: an even one that the rest is the body.
pub(crate) fn body(u: &mut Unstructured<'_>, members: &[&str]) -> Result<Vec<u8>> {
    if u.arbitrary::<u8>()?.is_multiple_of(2) {
        let rest = u.len();
        return Ok(u.bytes(rest)?.to_vec());
    }
    let mut text = String::new();
    object(u, members, 0, &mut text)?;
    Ok(text.into_bytes())
}

/// A JSON object; names may come twice.
pub(crate) fn object(u: &mut Unstructured<'_>, members: &[&str], depth: u8, text: &mut String) -> Result<()> {
    text.push('{');
    for index in 0..u.int_in_range(0..=MAX_MEMBERS)? {
        if index > 0 {
            text.push(',');
        }
        match members.get(u.int_in_range(0..=members.len())?) {
            Some(member) => text.push_str(&quoted(member)),
            None => text.push_str(&quoted(some_text(u)?)),
        }
        text.push(':');
        value(u, members, depth, text)?;
    }
    text.push('}');
    Ok(())
}

fn value(u: &mut Unstructured<'_>, members: &[&str], depth: u8, text: &mut String) -> Result<()> {
    match u.int_in_range(0..=6)? {
        0 | 1 => text.push_str(u.choose(&VALUES)?),
        2 => text.push_str(&u.arbitrary::<u64>()?.to_string()),
        3 => text.push_str(&u.arbitrary::<i32>()?.to_string()),
        4 if depth < MAX_DEPTH => object(u, members, depth + 1, text)?,
        5 if depth < MAX_DEPTH => {
            text.push('[');
            value(u, members, depth + 1, text)?;
            text.push(']');
        }
        _ => text.push_str(&quoted(some_text(u)?)),
    }
    Ok(())
}

fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

/// A short text, its length first.
pub(crate) fn some_text<'a>(u: &mut Unstructured<'a>) -> Result<&'a str> {
    let length = usize::from(u.arbitrary::<u8>()?).min(u.len());
    let bytes = u.bytes(length)?;
    Ok(std::str::from_utf8(bytes)
        .unwrap_or_else(|error| std::str::from_utf8(&bytes[..error.valid_up_to()]).expect("it is valid up to there")))
}

/// The rules of a provider on public hosts.
pub(crate) fn judge() -> &'static Judge {
    static JUDGE: OnceLock<Judge> = OnceLock::new();
    JUDGE.get_or_init(|| {
        let settings = Settings {
            issuer: ISSUER.into(),
            client_id: CLIENT_ID.into(),
            client_secret: CLIENT_SECRET.into(),
            client_secret_next: None,
            authentication: ClientAuthentication::SecretBasic,
            signing_algorithms: [SigningAlgorithm::Rs256, SigningAlgorithm::Es256].into(),
            request_timeout: Duration::from_secs(5),
            poll_timeout: Duration::from_secs(5),
            additional_hosts: [SECOND_HOST.to_owned()].into(),
            allow_insecure_hosts: false,
            extra_root_ca_pem: None,
            user_agent: "ciba-gateway/test".into(),
        };
        Judge::new(&settings).expect("settings that work")
    })
}
