//! Answers to a start, to a poll and to the question about a number.
//!
//! An input is a status, a `Retry-After` and a body ([`bodies::body`]).

use arbitrary::{Result, Unstructured};
use ciba_gateway::ciba::{
    Accepted, CheckAnswer, PollAnswer, Reply, Schedule, StartAnswer, Step, Tokens, check_answer, poll_answer,
    start_answer,
};
use ciba_gateway::timestamp::Timestamp;
use serde_json::Value;
use std::time::Duration;

use super::bodies;

const STATUSES: [u16; 16] = [200, 400, 401, 403, 429, 503, 500, 404, 405, 501, 201, 204, 302, 100, 0, 65535];
const RETRY_AFTERS: [&str; 5] =
    ["0", " 17 ", "99999999999999999999999", "Sun, 06 Nov 1994 08:49:37 GMT", "Fri, 15 Jan 2027 08:01:00 GMT"];
const MEMBERS: [&str; 10] = [
    "auth_req_id",
    "expires_in",
    "interval",
    "access_token",
    "id_token",
    "token_type",
    "error",
    "error_code",
    "exists",
    "error_description",
];
const NOW: Timestamp = Timestamp::from_millis(1_800_000_000_000);
/// Longer than every word that an answer prints.
const TELLING: usize = 32;

pub(crate) fn judge(data: &[u8]) -> bool {
    let mut u = Unstructured::new(data);
    // Too short for an answer.
    let Ok((status, retry_after, body)) = answer(&mut u) else { return false };
    let reply = Reply { status, retry_after: retry_after.as_deref(), body: &body, received_at: NOW };
    poll(reply);
    check(reply);
    start(reply)
}

fn answer(u: &mut Unstructured<'_>) -> Result<(u16, Option<String>, Vec<u8>)> {
    let status = *u.choose(&STATUSES)?;
    let retry_after = match u.arbitrary::<u8>()? % 8 {
        0 | 1 => None,
        2 => Some(bodies::some_text(u)?.to_owned()),
        known => Some(RETRY_AFTERS[usize::from(known) - 3].to_owned()),
    };
    Ok((status, retry_after, bodies::body(u, &MEMBERS)?))
}

/// Whether one was accepted.
fn start(reply: Reply<'_>) -> bool {
    let answer = start_answer(reply);
    match &answer {
        StartAnswer::Accepted(Accepted { auth_req_id, expires_in, interval }) => {
            let handle = auth_req_id.expose();
            let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b".-_".contains(&byte);
            assert!((1..=1024).contains(&handle.len()) && handle.bytes().all(allowed), "{handle:?}");
            assert!((1..=300).contains(&interval.as_secs()) && (1..=86_400).contains(&expires_in.as_secs()));
            assert_eq!(reply.status, 200);
            assert!(is_odd(reply) || said(reply, "auth_req_id").as_deref() == Some(handle));
            prints_without(&answer, handle);
        }
        StartAnswer::Busy { retry_after } => is_brake(reply, *retry_after),
        StartAnswer::CredentialsRefused | StartAnswer::Refused(_) => is_refusal(reply),
        StartAnswer::Unclear(_) => {}
        StartAnswer::NotSent => panic!("an answer came"),
    }
    matches!(answer, StartAnswer::Accepted(_))
}

fn poll(reply: Reply<'_>) {
    let answer = poll_answer(reply);
    let word_is = |words: &[&str]| {
        let said = ["error", "error_code"].map(|member| said(reply, member));
        let is_said = said.iter().flatten().any(|said| words.contains(&said.as_str()));
        assert!(is_odd(reply) || is_said, "{answer:?}: {said:?}");
    };
    match &answer {
        PollAnswer::Redeemed(tokens) => {
            let token = tokens.access_token();
            assert!((1..=8192).contains(&token.len()) && token.bytes().all(|byte| byte.is_ascii_graphic()));
            assert_eq!(reply.status, 200);
            assert!(is_odd(reply) || said(reply, "access_token").as_deref() == Some(token));
            prints_without(&answer, token);
            prints_without(&answer, tokens.id_token().unwrap_or_default());
            let kept = serde_json::to_string(tokens).expect("tokens are written down");
            assert_eq!(serde_json::from_str::<Tokens>(&kept).ok().as_ref(), Some(tokens), "and read again");
        }
        // Nobody is said to have denied who has not.
        PollAnswer::Denied => {
            word_is(&["access_denied"]);
            assert!(matches!(reply.status, 400 | 403), "{}", reply.status);
        }
        PollAnswer::Expired => word_is(&["expired_token"]),
        PollAnswer::InvalidGrant => word_is(&["invalid_grant"]),
        PollAnswer::CredentialsRefused => word_is(&["invalid_client"]),
        PollAnswer::SlowDown { retry_after } => {
            word_is(&["slow_down"]);
            is_within_an_hour(*retry_after);
        }
        PollAnswer::Pending { retry_after } => {
            word_is(&["authorization_pending"]);
            is_within_an_hour(*retry_after);
        }
        PollAnswer::Trouble { retry_after } => is_within_an_hour(*retry_after),
        PollAnswer::Refused(_) => assert!(matches!(reply.status, 200 | 400 | 401 | 403), "{}", reply.status),
    }
    keeps_its_distance(&answer);
}

/// Whatever was answered: not before one interval, and not after the end.
fn keeps_its_distance(answer: &PollAnswer) {
    let (interval, end) = (Duration::from_secs(5), NOW.plus(Duration::from_secs(300)));
    let schedule = Schedule::new(interval, NOW, end);
    let answered_at = schedule.next_poll_at();
    if let Step::PollAgain { schedule, .. } = schedule.after(answer, answered_at, 0.5) {
        assert!(schedule.next_poll_at() >= answered_at.plus(interval) && schedule.next_poll_at() < end);
    }
}

fn check(reply: Reply<'_>) {
    match check_answer(reply) {
        CheckAnswer::Usable(true) => {
            assert_eq!(reply.status, 200);
            assert!(is_odd(reply) || member(reply, "exists") == Some(Value::Bool(true)));
        }
        CheckAnswer::Usable(false) if reply.status == 200 => {
            assert!(is_odd(reply) || member(reply, "exists") == Some(Value::Bool(false)));
        }
        CheckAnswer::Busy { retry_after } => is_brake(reply, retry_after),
        CheckAnswer::Usable(false) | CheckAnswer::Refused(_) | CheckAnswer::CredentialsRefused => is_refusal(reply),
        CheckAnswer::NotOffered => assert!(matches!(reply.status, 404 | 405 | 501)),
        CheckAnswer::Unavailable => {}
    }
}

/// JSON that only a reader which skips members can read, such as 1e999: there is
/// nothing to compare with.
fn is_odd(reply: Reply<'_>) -> bool {
    std::str::from_utf8(reply.body).is_ok_and(|text| serde_json::from_str::<Value>(text).is_err())
}

fn member(reply: Reply<'_>, name: &str) -> Option<Value> {
    serde_json::from_slice::<Value>(reply.body).ok()?.get(name).cloned()
}

fn said(reply: Reply<'_>, name: &str) -> Option<String> {
    member(reply, name)?.as_str().map(str::to_owned)
}

fn is_refusal(reply: Reply<'_>) {
    assert!(matches!(reply.status, 400 | 401 | 403), "{}", reply.status);
}

fn is_brake(reply: Reply<'_>, retry_after: Option<Duration>) {
    assert_eq!(reply.status, 429);
    is_within_an_hour(retry_after);
}

fn is_within_an_hour(retry_after: Option<Duration>) {
    assert!(retry_after.is_none_or(|time| (1..=3600).contains(&time.as_secs())), "{retry_after:?}");
}

fn prints_without(answer: &impl std::fmt::Debug, secret: &str) {
    assert!(secret.len() < TELLING || !format!("{answer:?}").contains(secret), "{answer:?}");
}
