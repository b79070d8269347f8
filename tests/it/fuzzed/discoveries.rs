//! Discovery documents.
//!
//! An input is a body ([`bodies::body`]), or an honest document with some members
//! that are not.

use arbitrary::{Result, Unstructured};

use super::bodies;

const MEMBERS: [&str; 6] = [
    "issuer",
    "backchannel_authentication_endpoint",
    "token_endpoint",
    "userinfo_endpoint",
    "jwks_uri",
    "revocation_endpoint",
];
const PLACES: [&str; 12] = [
    "https://login.example/a",
    "https://api.example/a",
    "https://API.example:443/a",
    "http://login.example/a",
    "https://login.example@evil.example/a",
    "https://login.example.evil.example/a",
    "https://login.example/a?b",
    "https://login.example/a#b",
    "https://127.0.0.1/a",
    "https://[::ffff:10.0.0.1]/a",
    "https:login.example",
    "https://login.example\\@evil.example/",
];
/// No line of a log is longer because of what a document says.
const LONGEST_PROBLEM: usize = 600;

pub(crate) fn judge(data: &[u8]) -> bool {
    let mut u = Unstructured::new(data);
    let Ok(body) = document(&mut u) else { return false };
    match bodies::judge().endpoints(&body) {
        Ok(endpoints) => {
            assert!((4..=5).contains(&endpoints.len()));
            for url in endpoints {
                let plain = url.username().is_empty() && url.password().is_none();
                assert!(plain && url.query().is_none() && url.fragment().is_none(), "{url}");
                let host = url.host_str().unwrap_or_default();
                assert!(url.scheme() == "https" && ["login.example", bodies::SECOND_HOST].contains(&host), "{url}");
            }
            true
        }
        Err(problem) => {
            let problem = problem.to_string();
            assert!(problem.len() <= LONGEST_PROBLEM, "{} bytes", problem.len());
            assert!(!problem.chars().any(char::is_control), "{problem:?}");
            false
        }
    }
}

fn document(u: &mut Unstructured<'_>) -> Result<Vec<u8>> {
    if !u.arbitrary::<u8>()?.is_multiple_of(3) {
        return bodies::body(u, &MEMBERS);
    }
    let mut document = serde_json::Map::new();
    for member in MEMBERS {
        let place = match u.arbitrary::<u8>()? {
            0..=12 => PLACES[0].to_owned(),
            byte @ 13..=200 => PLACES[usize::from(byte) % PLACES.len()].to_owned(),
            201..=240 => format!("https://{}/", bodies::some_text(u)?),
            _ => bodies::some_text(u)?.to_owned(),
        };
        let place = if member == "issuer" && place == PLACES[0] { bodies::ISSUER.to_owned() } else { place };
        document.insert(member.to_owned(), place.into());
    }
    Ok(serde_json::Value::from(document).to_string().into_bytes())
}
