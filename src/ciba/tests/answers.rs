//! Answers of both endpoints: every documented word, every shape that is none.

use std::time::Duration;

use proptest::prelude::*;
use serde_json::{Value, json};

use crate::ciba::{Accepted, AuthReqId, PollAnswer, Refusal, Reply, StartAnswer, Tokens, Unclear};
use crate::ciba::{poll_answer, start_answer};
use crate::timestamp::Timestamp;

fn reply(status: u16, body: &[u8]) -> Reply<'_> {
    Reply { status, retry_after: None, body, received_at: Timestamp::from_millis(1_700_000_000_500) }
}

fn start(status: u16, body: &Value) -> StartAnswer {
    start_answer(reply(status, body.to_string().as_bytes()))
}

fn poll(status: u16, body: &Value) -> PollAnswer {
    poll_answer(reply(status, body.to_string().as_bytes()))
}

const PENDING: PollAnswer = PollAnswer::Pending { retry_after: None };
const SLOW_DOWN: PollAnswer = PollAnswer::SlowDown { retry_after: None };
const TROUBLE: PollAnswer = PollAnswer::Trouble { retry_after: None };

/// Each error word, with what it means at the start and at the token endpoint.
fn words() -> Vec<(&'static str, StartAnswer, PollAnswer)> {
    use Refusal::*;
    let refused = |word, refusal| (word, StartAnswer::Refused(refusal), PollAnswer::Refused(refusal));
    let only_poll = |word, answer| (word, StartAnswer::Refused(UnknownError), answer);
    vec![
        refused("unknown_user_id", PersonUnknown),
        refused("invalid_user", PersonUnknown),
        refused("old_app", AppTooOld),
        refused("outdated_app_version", AppTooOld),
        refused("invalid_request", InvalidRequest),
        refused("invalid_binding_message", InvalidRequest),
        refused("missing_user_code", InvalidRequest),
        refused("invalid_user_code", InvalidRequest),
        refused("expired_login_hint_token", InvalidRequest),
        refused("expired_id_token_hint", InvalidRequest),
        refused("invalid_id_token_hint", InvalidRequest),
        refused("invalid_scope", InvalidScope),
        refused("unauthorized_client", UnauthorizedClient),
        refused("transaction_failed", TransactionFailed),
        refused("server_error", UnknownError),
        refused("ACCESS_DENIED", UnknownError),
        refused("", UnknownError),
        ("invalid_client", StartAnswer::CredentialsRefused, PollAnswer::CredentialsRefused),
        ("access_denied", StartAnswer::Refused(Policy), PollAnswer::Denied),
        only_poll("authorization_pending", PENDING),
        only_poll("slow_down", SLOW_DOWN),
        only_poll("expired_token", PollAnswer::Expired),
        only_poll("invalid_grant", PollAnswer::InvalidGrant),
    ]
}

/// R19-R24, and the same words where the vendor documents them elsewhere.
#[test]
fn every_word_means_the_same_in_error_and_in_error_code() {
    for (word, at_start, at_poll) in words() {
        let bodies = [
            json!({ "error": word, "error_description": "words for a person" }),
            json!({ "error_code": word }),
            json!({ "error": word, "error_code": 400, "error_debug": null }),
            json!({ "error": word, "error_code": "400" }),
            json!({ "error": "something_new", "error_code": word }),
        ];
        for body in &bodies {
            for status in [400, 403] {
                assert_eq!(start(status, body), at_start, "{status} {body}");
                assert_eq!(poll(status, body), at_poll, "{status} {body}");
            }
        }
    }
}

#[test]
fn the_more_exact_error_code_wins_over_error() {
    let body = json!({ "error": "invalid_request", "error_code": "old_app" });
    assert_eq!(start(400, &body), StartAnswer::Refused(Refusal::AppTooOld));
    assert_eq!(poll(400, &body), PollAnswer::Refused(Refusal::AppTooOld));
}

#[test]
fn a_gateways_own_pages_say_nothing_about_the_person() {
    let pages: [&[u8]; 8] = [
        b"",
        b"<html>access_denied</html>",
        br#"{"statusCode":403,"message":"access_denied"}"#,
        br#"{"error":{"code":"access_denied"}}"#,
        br#"{"error":["access_denied"]}"#,
        br#"["access_denied"]"#,
        br#"["access_denied",null]"#,
        br#"{"error":"access_denied","error":"access_denied"}"#,
    ];
    for page in pages {
        for status in [400, 401, 403, 404, 429, 500, 502, 503, 301, 204] {
            assert_eq!(poll_answer(reply(status, page)), TROUBLE, "{status}");
        }
        for status in [400, 403, 404, 500, 502, 503, 301, 204] {
            let unclear = StartAnswer::Unclear(Unclear::Status(status));
            assert_eq!(start_answer(reply(status, page)), unclear, "{status}");
        }
        assert_eq!(start_answer(reply(401, page)), StartAnswer::CredentialsRefused);
        assert_eq!(start_answer(reply(429, page)), StartAnswer::Busy { retry_after: None });
    }
}

#[test]
fn access_denied_counts_only_where_a_person_can_have_said_it() {
    let body = json!({ "error": "access_denied" });
    for status in [200, 201, 301, 401, 404, 409, 422, 429, 500, 502, 503] {
        assert_ne!(poll(status, &body), PollAnswer::Denied, "{status}");
    }
    assert_eq!(poll(401, &body), TROUBLE);
}

#[test]
fn a_brake_by_status_is_a_slow_down_when_the_body_says_so() {
    for status in [400, 429, 503] {
        assert_eq!(poll(status, &json!({ "error": "slow_down" })), SLOW_DOWN);
    }
    assert_eq!(poll(500, &json!({ "error": "slow_down" })), TROUBLE);
}

fn acknowledged(body: &Value) -> Option<Accepted> {
    match start(200, body) {
        StartAnswer::Accepted(accepted) => Some(accepted),
        answer => {
            assert_eq!(answer, StartAnswer::Unclear(Unclear::Unreadable), "{body}");
            None
        }
    }
}

#[test]
fn an_acknowledgement_is_read_with_numbers_or_digits() {
    let body = json!({ "auth_req_id": "Zq3xk0T9-_.", "expires_in": 600, "interval": 7, "more": [1] });
    let accepted = acknowledged(&body).unwrap();
    assert_eq!(accepted.auth_req_id.expose(), "Zq3xk0T9-_.");
    assert_eq!((accepted.expires_in.as_secs(), accepted.interval.as_secs()), (600, 7));

    let body = json!({ "auth_req_id": "a", "expires_in": "600", "interval": "7" });
    assert_eq!(acknowledged(&body).unwrap().interval, Duration::from_secs(7));

    // CIBA Core, section 7.3: five seconds when nothing is said.
    for body in [
        json!({ "auth_req_id": "a", "expires_in": 1 }),
        json!({ "auth_req_id": "a", "expires_in": 1, "interval": null }),
    ] {
        assert_eq!(acknowledged(&body).unwrap().interval, Duration::from_secs(5));
    }
}

/// R17, R18.
#[test]
fn a_success_without_a_usable_acknowledgement_is_unclear() {
    let good = json!({ "auth_req_id": "abc", "expires_in": 600, "interval": 5 });
    let long = "a".repeat(1025);
    let bad = [
        ("auth_req_id", json!([null, 5, "", "with space", "æ", "a/b", "line\nbreak", long, ["a"], {}])),
        ("expires_in", json!([null, 0, -1, 86_401, 1.5, "", "ten", "-5", true, [], u64::MAX])),
        ("interval", json!([0, -5, 301, 0.5, "", "five", false, {}, u64::MAX])),
    ];
    for (field, values) in bad {
        for value in values.as_array().unwrap() {
            let mut body = good.clone();
            body[field] = value.clone();
            assert_eq!(acknowledged(&body), None, "{body}");
        }
    }
    for missing in ["auth_req_id", "expires_in"] {
        let mut body = good.clone();
        body.as_object_mut().unwrap().remove(missing);
        assert_eq!(acknowledged(&body), None, "without {missing}");
    }
    for body in [&br#"{"auth_req_id":"a","auth_req_id":"b","expires_in":60}"#[..], br#"["a",60,5]"#, b"", b"<html>"] {
        assert_eq!(start_answer(reply(200, body)), StartAnswer::Unclear(Unclear::Unreadable));
    }
}

/// R14: neither `scope` nor `expires_in` is needed, and the case of the token
/// type is free.
#[test]
fn an_exchange_needs_a_bearer_token_and_nothing_else() {
    for token_type in ["Bearer", "bearer", "BEARER"] {
        let body = json!({ "access_token": "ciba.x", "token_type": token_type, "id_token": "a.b.c" });
        let tokens = Tokens::new("ciba.x".into(), Some("a.b.c".into()));
        assert_eq!(poll(200, &body), PollAnswer::Redeemed(tokens));
    }
    let body = json!({ "access_token": "x", "token_type": "bearer" });
    assert_eq!(poll(200, &body), PollAnswer::Redeemed(Tokens::new("x".into(), None)));
}

#[test]
fn a_success_without_tokens_is_refused_and_half_an_answer_is_trouble() {
    let objects = [
        json!({}),
        json!({ "access_token": "x", "token_type": "mac" }),
        json!({ "access_token": "x" }),
        json!({ "access_token": "", "token_type": "bearer" }),
        json!({ "access_token": "two words", "token_type": "bearer" }),
        json!({ "access_token": "x\r\nHost: evil", "token_type": "bearer" }),
        json!({ "access_token": "a".repeat(8193), "token_type": "bearer" }),
        json!({ "access_token": 5, "token_type": "bearer" }),
        json!({ "access_token": "x", "token_type": "bearer", "id_token": 5 }),
        json!({ "error": "access_denied" }),
    ];
    for body in objects {
        assert_eq!(poll(200, &body), PollAnswer::Refused(Refusal::InvalidReply), "{body}");
    }
    for body in
        [&b""[..], b"<html>", br#"{"access_token":"x","tok"#, b"[]", br#"["x","bearer",null]"#, b"null", b"\xff\xfe"]
    {
        assert_eq!(poll_answer(reply(200, body)), TROUBLE);
    }
}

fn brake(retry_after: &str) -> Option<u64> {
    let reply = Reply { retry_after: Some(retry_after), ..reply(429, b"") };
    let StartAnswer::Busy { retry_after } = start_answer(reply) else { panic!("429 is busy") };
    assert_eq!(poll_answer(reply), PollAnswer::Trouble { retry_after });
    retry_after.map(|brake| brake.as_secs())
}

#[test]
fn retry_after_is_read_in_each_of_its_forms_and_bounded() {
    // The answer arrived at 22:13:20.5 on Tuesday, 14 November 2023.
    assert_eq!(brake("30"), Some(30));
    assert_eq!(brake(" 30 "), Some(30));
    assert_eq!(brake("Tue, 14 Nov 2023 22:13:50 GMT"), Some(30));
    assert_eq!(brake("Tuesday, 14-Nov-23 22:13:50 GMT"), Some(30));
    assert_eq!(brake("Tue Nov 14 22:13:50 2023"), Some(30));
    for least in ["0", "Tue, 14 Nov 2023 22:00:00 GMT", "Thu, 01 Jan 1970 00:00:00 GMT"] {
        assert_eq!(brake(least), Some(1), "{least}");
    }
    for most in ["3601", "18446744073709551616", "Fri, 31 Dec 9999 23:59:59 GMT"] {
        assert_eq!(brake(most), Some(3_600), "{most}");
    }
    for none in ["", "soon", "-5", "1.5", "+5", "5 s", "Tue, 14 Nov 2023"] {
        assert_eq!(brake(none), None, "{none}");
    }
}

#[test]
fn an_auth_req_id_takes_the_characters_of_the_standard_and_prints_redacted() {
    let id = AuthReqId::new(&"aZ9.-_".repeat(170)).unwrap();
    assert_eq!(format!("{id:?}"), "AuthReqId(…)");
    let text = serde_json::to_string(&id).unwrap();
    assert_eq!(serde_json::from_str::<AuthReqId>(&text).unwrap(), id);
    assert!(serde_json::from_str::<AuthReqId>("\"a b\"").is_err());
    assert_eq!(format!("{:?}", Tokens::new("secret".into(), None)), "Tokens(…)");
}

/// Bodies that look like the provider's, with anything in each place.
fn plausible_body() -> impl Strategy<Value = Vec<u8>> {
    let word = prop_oneof![
        proptest::sample::select(words().iter().map(|(word, ..)| json!(word)).collect::<Vec<_>>()),
        any::<i64>().prop_map(|number| json!(number)),
        ".{0,12}".prop_map(|text| json!(text)),
        Just(Value::Null),
    ];
    let names = proptest::sample::select(vec![
        "error",
        "error_code",
        "error_description",
        "auth_req_id",
        "expires_in",
        "interval",
        "access_token",
        "token_type",
        "id_token",
    ]);
    let object = proptest::collection::vec((names, word), 0..6);
    object.prop_map(|members| {
        let members: Vec<String> = members.iter().map(|(name, value)| format!("\"{name}\":{value}")).collect();
        format!("{{{}}}", members.join(",")).into_bytes()
    })
}

fn any_body() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![plausible_body(), proptest::collection::vec(any::<u8>(), 0..200)]
}

fn any_status() -> impl Strategy<Value = u16> {
    prop_oneof![proptest::sample::select(vec![200_u16, 400, 401, 403, 429, 503]), any::<u16>()]
}

proptest! {
    #[test]
    fn no_answer_panics_or_makes_a_denial_up(
        status in any_status(),
        retry_after in proptest::option::of(".{0,40}"),
        body in any_body(),
        at in any::<u64>(),
    ) {
        let received_at = Timestamp::from_millis(at);
        let reply = Reply { status, retry_after: retry_after.as_deref(), body: &body, received_at };
        let word_is_there = body.windows(13).any(|window| window == b"access_denied");

        match poll_answer(reply) {
            PollAnswer::Denied => prop_assert!(word_is_there && matches!(status, 400 | 403)),
            PollAnswer::Redeemed(_) => prop_assert_eq!(status, 200),
            _ => {}
        }
        match start_answer(reply) {
            StartAnswer::Accepted(accepted) => {
                prop_assert_eq!(status, 200);
                prop_assert!((1..=300).contains(&accepted.interval.as_secs()));
                prop_assert!((1..=86_400).contains(&accepted.expires_in.as_secs()));
                prop_assert!(AuthReqId::new(accepted.auth_req_id.expose()).is_some());
            }
            StartAnswer::Refused(Refusal::Policy) => prop_assert!(word_is_there),
            _ => {}
        }
    }

    #[test]
    fn a_retry_after_is_between_a_second_and_an_hour(text in ".{0,40}", seconds in any::<u64>()) {
        for brake in [brake(&text), brake(&seconds.to_string())].into_iter().flatten() {
            prop_assert!((1..=3_600).contains(&brake));
        }
    }
}
