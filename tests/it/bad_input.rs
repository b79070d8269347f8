//! What is wrong with a request is said by field, never by value, and before
//! anything is sent.

use std::collections::HashMap;

use ciba_gateway::grpc::v1;
use ciba_gateway::grpc::v1::start_login_request::Person;
use tonic::Code;
use v1::StartLoginRequest as Start;

use crate::support::client::{Client, NUMBER, Refusal, at_the_box, at_the_till, on_a_call};
use crate::support::fake_provider::Asked;
use crate::support::stage::{Stage, secs};

/// In every bad value, so that an echo of it would show.
const BAIT: &str = "bait";

fn till() -> Start {
    at_the_till("r-1", NUMBER)
}

fn call() -> Start {
    on_a_call("r-1", NUMBER)
}

fn duration(seconds: i64, nanos: i32) -> Option<prost_types::Duration> {
    Some(prost_types::Duration { seconds, nanos })
}

fn labels(pairs: impl IntoIterator<Item = (String, String)>) -> HashMap<String, String> {
    pairs.into_iter().collect()
}

fn one_label(name: &str, value: &str) -> HashMap<String, String> {
    labels([(name.to_owned(), value.to_owned())])
}

/// Requests with one wrong field, and which.
fn wrong_starts() -> Vec<(&'static str, Start)> {
    let number = |text: &str| Some(Person::PhoneNumber(text.to_owned()));
    let bait = || BAIT.to_owned();
    vec![
        ("request_id", Start { request_id: String::new(), ..till() }),
        ("request_id", Start { request_id: "bait with spaces".to_owned(), ..till() }),
        ("request_id", Start { request_id: "x".repeat(129), ..till() }),
        ("person", Start { person: None, ..till() }),
        ("phone_number", Start { person: number(""), ..till() }),
        ("phone_number", Start { person: number("bait"), ..till() }),
        ("phone_number", Start { person: number("+44 20 7946 0958"), ..till() }),
        ("phone_number", Start { person: number("+47123"), ..till() }),
        ("phone_number", Start { person: number(&"9".repeat(5000)), ..till() }),
        ("channel", Start { channel: 0, ..till() }),
        ("channel", Start { channel: 77, ..till() }),
        // SR5.
        ("call_direction", Start { call_direction: 0, ..call() }),
        ("call_direction", Start { call_direction: 77, ..call() }),
        ("call_direction", Start { call_direction: v1::CallDirection::Inbound.into(), ..till() }),
        ("call_id", Start { call_direction: v1::CallDirection::Outbound.into(), call_id: String::new(), ..call() }),
        // SR3.
        ("agent_id", Start { agent_id: String::new(), ..call() }),
        ("agent_id", Start { agent_id: "bait with spaces".to_owned(), ..call() }),
        ("terminal_id", Start { terminal_id: String::new(), ..till() }),
        ("terminal_id", Start { terminal_id: String::new(), ..at_the_box("r-1", NUMBER) }),
        ("terminal_id", Start { terminal_id: "bait!".to_owned(), ..till() }),
        ("call_id", Start { call_id: "bait with spaces".to_owned(), ..call() }),
        ("claims[1]", Start { claims: vec![v1::Claim::Name.into(), 99], ..till() }),
        ("claims[0]", Start { claims: vec![0], ..till() }),
        ("claims[1]", Start { claims: vec![v1::Claim::Name.into(); 2], ..till() }),
        ("code_mode", Start { code_mode: 77, ..till() }),
        ("code_mode", Start { code_mode: v1::CodeMode::Display.into(), ..call() }),
        ("lifetime", Start { lifetime: duration(59, 0), ..till() }),
        ("lifetime", Start { lifetime: duration(601, 0), ..till() }),
        ("lifetime", Start { lifetime: duration(-60, 0), ..till() }),
        ("lifetime", Start { lifetime: duration(60, 1), ..till() }),
        ("lifetime", Start { lifetime: duration(i64::MAX, i32::MAX), ..till() }),
        ("lifetime", Start { lifetime: duration(119, 0), ..call() }),
        ("expected_subject", Start { expected_subject: "bait æ".to_owned(), ..till() }),
        ("expected_subject", Start { expected_subject: "x".repeat(256), ..till() }),
        ("labels", Start { labels: labels((0..9).map(|i| (format!("bait{i}"), bait()))), ..till() }),
        ("labels", Start { labels: one_label("Bait", "x"), ..till() }),
        ("labels", Start { labels: one_label(&"x".repeat(33), "x"), ..till() }),
        ("labels", Start { labels: one_label("x", &"x".repeat(129)), ..till() }),
        ("labels", Start { labels: one_label("x", "bait\nbait"), ..till() }),
        ("qr_check_in", Start { person: Some(Person::QrCheckIn(BAIT.to_owned())), ..till() }),
        ("personal_qr", Start { person: Some(Person::PersonalQr(String::new())), ..till() }),
        ("personal_qr", Start { person: Some(Person::PersonalQr(BAIT.repeat(800))), ..till() }),
        ("personal_qr", Start { person: Some(Person::PersonalQr("bait\nbait".to_owned())), ..till() }),
        ("purpose", Start { purpose: "Bait".to_owned(), ..till() }),
        ("language", Start { language: BAIT.to_owned(), ..till() }),
        ("language", Start { language: "en_GB".to_owned(), ..till() }),
        ("when_number_busy", Start { when_number_busy: 77, ..till() }),
    ]
}

fn names_one_field(refusal: &Refusal, field: &str) {
    assert_eq!((refusal.code, refusal.reason.as_str()), (Code::InvalidArgument, "INVALID_FIELD"), "{refusal:?}");
    assert!(refusal.fields.iter().all(|named| named == field) && !refusal.fields.is_empty(), "{field}: {refusal:?}");
    assert!(!refusal.message.contains(BAIT) && refusal.message.len() < 500, "{refusal:?}");
    assert!(!refusal.message.contains(['\r', '\n', '\t']), "O22, mirrored: {refusal:?}");
}

/// O4, mirrored, SR46: a typed refusal; nothing reserved, nothing sent.
#[tokio::test(start_paused = true)]
async fn a_wrong_field_is_named_and_nothing_is_sent() {
    let (stage, gateway) = Stage::with_gateway();
    let desk = gateway.desk().without_agent();
    for (field, request) in wrong_starts() {
        names_one_field(&desk.refused(request).await, field);
    }
    assert_eq!((stage.provider.count(Asked::Start), desk.list().await), (0, vec![]));
    // None of them has used up the request_id or the number.
    desk.start(till()).await;
}

#[tokio::test(start_paused = true)]
async fn all_wrong_fields_are_named_together() {
    let (_stage, gateway) = Stage::with_gateway();
    let request = Start { request_id: String::new(), person: None, terminal_id: String::new(), ..till() };
    let refusal = gateway.desk().refused(request).await;
    assert_eq!(refusal.fields, ["request_id", "person", "terminal_id"]);
}

/// SR3: the agent in the request is the one who is calling.
#[tokio::test(start_paused = true)]
async fn an_agent_does_not_start_for_another() {
    let (_stage, gateway) = Stage::with_gateway();
    let refusal = gateway.desk().with_agent("bob").refused(call()).await;
    names_one_field(&refusal, "agent_id");
    let unnamed = Start { agent_id: String::new(), ..call() };
    assert_eq!(gateway.desk().start(unnamed).await.agent_id, "ada", "the metadata will do");
}

#[tokio::test(start_paused = true)]
async fn other_calls_name_their_fields_too() {
    let (_stage, gateway) = Stage::with_gateway();
    let desk = gateway.desk();
    let login = desk.start(call()).await;
    for bad in ["", "bait", "bait bait bait bait bait ba", &"x".repeat(28)] {
        for refusal in with_bad_id(&desk, bad).await {
            names_one_field(&refusal, "login_id");
        }
    }
    for seconds in [0, -1, 61, i64::MAX] {
        names_one_field(&desk.try_wait(&login.login_id, seconds).await.expect_err("wait"), "timeout");
        let stream = desk.try_watch(&login.login_id, seconds).await;
        names_one_field(&stream.err().expect("watch"), "heartbeat_interval");
    }
    for (field, request) in [
        ("page_size", v1::ListLoginsRequest { page_size: 501, ..Default::default() }),
        ("page_token", v1::ListLoginsRequest { page_token: BAIT.to_owned(), ..Default::default() }),
        ("channel", v1::ListLoginsRequest { channel: 77, ..Default::default() }),
        ("terminal_id", v1::ListLoginsRequest { terminal_id: "bait!".to_owned(), ..Default::default() }),
        ("agent_id", v1::ListLoginsRequest { agent_id: "bait!".to_owned(), ..Default::default() }),
    ] {
        names_one_field(&desk.try_list(request).await.expect_err("list"), field);
    }
    let bad_filter = v1::WatchLoginsRequest { terminal_id: "bait!".to_owned(), ..Default::default() };
    names_one_field(&desk.try_watch_all(bad_filter).await.err().expect("watch all"), "terminal_id");
}

async fn with_bad_id(desk: &Client, bad: &str) -> Vec<Refusal> {
    let refusals = [
        desk.try_get(bad).await.err(),
        desk.try_wait(bad, 1).await.err(),
        desk.try_watch(bad, 1).await.err(),
        desk.try_confirm(bad, "AAAAA").await.err(),
        desk.try_cancel(bad).await.err(),
        desk.try_erase(bad).await.err(),
    ];
    refusals.map(|refusal| refusal.expect("a refusal")).into()
}

/// SR34: bounded however much is wrong.
#[tokio::test(start_paused = true)]
async fn a_flood_of_mistakes_gets_a_short_answer() {
    let (stage, gateway) = Stage::with_gateway();
    let refusal = gateway.desk().refused(Start { claims: vec![0; 30_000], ..till() }).await;
    assert_eq!((refusal.code, refusal.reason.as_str()), (Code::InvalidArgument, "INVALID_FIELD"));
    assert!(refusal.fields.len() <= 16 && refusal.message.len() < 2000);
    assert_eq!(stage.provider.count(Asked::Start), 0);
}

/// SR34.
#[tokio::test(start_paused = true)]
async fn an_oversized_request_is_refused_unread() {
    let (stage, gateway) = Stage::with_gateway();
    let refusal = gateway.desk().refused(Start { purpose: "x".repeat(70_000), ..till() }).await;
    assert_eq!(refusal.code, Code::OutOfRange);
    assert_eq!(stage.provider.count(Asked::Start), 0);
}

/// The person's number as people write it is one number.
#[tokio::test(start_paused = true)]
async fn a_number_is_the_same_however_it_is_written() {
    let (stage, gateway) = Stage::with_gateway();
    let desk = gateway.desk();
    desk.start(till()).await;
    for written in ["91234567", "0047 912 34 567", "+47 (912) 34-567"] {
        assert_eq!(desk.refused(at_the_till("r-2", written)).await.reason, "NUMBER_BUSY");
    }
    assert_eq!(stage.provider.count(Asked::Start), 1);
    assert_eq!(desk.start(Start { lifetime: None, ..till() }).await.masked_phone_number, "+47…67");
    assert_eq!(stage.provider.shown()[0].requested_expiry(), secs(300));
}
