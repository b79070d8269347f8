//! What the answer of `/accesstoken/get` says.
//!
//! Pure. The vendor's numbers come as text here (`"expires_in": "3599"`), and as
//! numbers elsewhere; both are taken.

use std::time::Duration;

use serde::Deserialize;
use serde_json::Value;

use crate::timestamp::Timestamp;

/// The vendor's tokens live for a day at most; nothing that is said makes it more.
const LONGEST_LIFE: Duration = Duration::from_secs(86_400);
/// It goes into a header as it is. The vendor's have about 1.5 KiB.
const LONGEST_TOKEN: usize = 8 * 1024;

/// A token and how long it may be used from when it was asked for.
pub(super) struct Given {
    pub(super) token: String,
    pub(super) life: Duration,
}

#[derive(Deserialize)]
struct Body {
    access_token: String,
    token_type: Option<String>,
    expires_in: Option<Value>,
    /// Seconds since the epoch, by the clock of whoever wrote it.
    expires_on: Option<Value>,
}

/// Reads a success; says what is wrong with it, and nothing of what is in it.
pub(super) fn read(body: &[u8], asked_at: Timestamp) -> Result<Given, &'static str> {
    // serde would take an array for a struct, member by member.
    let is_object = body.trim_ascii_start().starts_with(b"{");
    let body: Option<Body> = is_object.then(|| serde_json::from_slice(body).ok()).flatten();
    let body = body.ok_or("is not a readable token")?;
    if body.token_type.is_some_and(|kind| !kind.eq_ignore_ascii_case("bearer")) {
        return Err("is not a bearer token");
    }
    let token = body.access_token;
    if token.is_empty() || token.len() > LONGEST_TOKEN || !token.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err("is a token that no header can carry");
    }
    let until = |at: u64| at.saturating_sub(asked_at.as_secs());
    let seconds = body.expires_in.as_ref().and_then(number).or(body.expires_on.as_ref().and_then(number).map(until));
    match seconds {
        None => Err("does not say how long the token lives"),
        Some(0) => Err("is a token that has ended"),
        Some(seconds) => Ok(Given { token, life: Duration::from_secs(seconds).min(LONGEST_LIFE) }),
    }
}

fn number(value: &Value) -> Option<u64> {
    match value {
        Value::Number(number) => number.as_u64(),
        Value::String(text) => text.trim().parse().ok(),
        Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn life(body: &Value) -> Result<u64, &'static str> {
        let asked_at = Timestamp::from_millis(1_800_000_000_000);
        read(body.to_string().as_bytes(), asked_at).map(|given| given.life.as_secs())
    }

    #[test]
    fn numbers_are_taken_as_text_and_as_numbers() {
        let token = |expires_in: Value| json!({"token_type": "Bearer", "access_token": "t", "expires_in": expires_in});
        assert_eq!(life(&token(json!("3599"))), Ok(3_599));
        assert_eq!(life(&token(json!(3599))), Ok(3_599));
        assert_eq!(life(&token(json!(" 86400 "))), Ok(86_400));
        assert_eq!(life(&token(json!("18446744073709551615"))), Ok(86_400), "no longer than a day");
        for ended in [json!("0"), json!(0)] {
            assert_eq!(life(&token(ended)), Err("is a token that has ended"));
        }
        for none in [json!("-1"), json!(-1), json!(1.5), json!("soon"), json!([3599]), json!(null)] {
            assert_eq!(life(&token(none.clone())), Err("does not say how long the token lives"), "{none}");
        }
    }

    #[test]
    fn without_a_span_the_end_counts() {
        assert_eq!(life(&json!({"access_token": "t", "expires_on": "1800000600"})), Ok(600));
        assert_eq!(life(&json!({"access_token": "t", "expires_in": "x", "expires_on": 1_800_000_060})), Ok(60));
        assert_eq!(life(&json!({"access_token": "t", "expires_on": "1799999999"})), Err("is a token that has ended"));
    }

    #[test]
    fn what_is_no_token_is_refused() {
        let unreadable = Err("is not a readable token");
        for body in [json!([]), json!(["t"]), json!("t"), json!({}), json!({"access_token": 1, "expires_in": 1})] {
            assert_eq!(life(&body), unreadable, "{body}");
        }
        assert_eq!(
            life(&json!({"access_token": "t", "token_type": "mac", "expires_in": 1})),
            Err("is not a bearer token")
        );
        let long = "t".repeat(LONGEST_TOKEN + 1);
        for token in ["", "a b", "a\r\nx: y", "Ø", &long] {
            let refused = Err("is a token that no header can carry");
            assert_eq!(life(&json!({"access_token": token, "expires_in": 1})), refused);
        }
    }
}
