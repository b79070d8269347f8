use std::collections::{BTreeSet, VecDeque};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use serde_json::Value;
use tokio::time::Instant;

use super::desk::{Answer, Desk, LONGEST, Post, RETRIES, ROOM};
use super::message::{Message, Secret};
use super::{Kind, Signals};
use crate::audit::{Audit, By, Entry, What, number_hash};
use crate::clock::Clock;
use crate::phone::{Country, PhoneNumber};
use crate::session::{AgentId, CallId, Channel, ClientId, FailureReason, LoginId, TenantId, TerminalId};
use crate::store::Counter;
use crate::store::hash::{HashKeys, KeyedHash};
use crate::telemetry::Metrics;
use crate::timestamp::Timestamp;

/// 2026-11-26T22:00:00.123Z
const NOW: Timestamp = Timestamp::from_millis(1_795_730_400_123);
const LIMIT: What = What::StartRefused { reason: "TOO_MANY_STARTS", limit: Some("number") };

fn tenant() -> TenantId {
    TenantId::new("nordlys").unwrap()
}

fn entry(what: What) -> Entry {
    let (client, agent) = (ClientId::new("desk").unwrap(), AgentId::new("anna-91234578").unwrap());
    Entry {
        what,
        by: Some(By { client: client.clone(), agent: Some(agent.clone()) }),
        tenant: tenant(),
        login: Some(LoginId::from_random([7; 20])),
        client: Some(client),
        agent: Some(agent),
        terminal: Some(TerminalId::new("seat-4").unwrap()),
        call: Some(CallId::new("4791234578@pbx").unwrap()),
        channel: Some(Channel::CallCentre),
        call_direction: None,
        purpose: None,
        ground: None,
        agent_proven: None,
        number: PhoneNumber::parse("+4791234578", Country::Norway).ok(),
        check_in: None,
        hands: None,
    }
}

fn hash() -> KeyedHash {
    HashKeys::new([5; 32]).for_tenant(&tenant())
}

fn ended(outcome: &'static str, reason: Option<FailureReason>, denials: u32) -> What {
    What::Ended { outcome, reason, denials }
}

/// SR44: what is a signal, and what is none.
#[test]
fn each_signal_is_derived_from_what_is_noted() {
    let refused = |reason| What::StartRefused { reason, limit: None };
    let failed = |reason| ended("failed", Some(reason), 0);
    for (what, kind) in [
        (ended("denied", None, 1), Some(Kind::Denied)),
        (ended("denied", None, 0), Some(Kind::Denied)),
        (ended("denied", None, 2), Some(Kind::DeniedAgain)),
        (ended("denied", None, 9), Some(Kind::DeniedAgain)),
        (ended("approved", None, 0), None),
        (ended("expired", None, 0), None),
        (ended("cancelled", None, 0), None),
        (failed(FailureReason::OtherPerson), Some(Kind::OtherPerson)),
        (failed(FailureReason::PhoneMismatch), Some(Kind::OtherPerson)),
        (failed(FailureReason::CodeNotConfirmed), Some(Kind::CodeNotTyped)),
        (failed(FailureReason::CodeMismatch), None),
        (failed(FailureReason::ProviderError), None),
        (What::CodeTried { matched: true, tries_left: 0 }, None),
        (What::CodeTried { matched: false, tries_left: 2 }, Some(Kind::CodeWrong)),
        (What::CodeTried { matched: false, tries_left: 0 }, Some(Kind::CodeExhausted)),
        (What::CodeGivenUp, None),
        (refused("OUTBOUND_NOT_ALLOWED"), Some(Kind::StartNotAllowed)),
        (refused("READ_OUT_NOT_ALLOWED"), Some(Kind::StartNotAllowed)),
        (refused("QUIET_HOURS"), Some(Kind::StartNotAllowed)),
        (refused("ROLE_MISSING"), Some(Kind::StartNotAllowed)),
        (What::StartRefused { reason: "BLOCKED", limit: Some("agent") }, Some(Kind::StartNotAllowed)),
        (refused("NUMBER_BUSY"), None),
        (refused("STORE_UNAVAILABLE"), None),
        (What::IdentityWithheld, Some(Kind::IdentityWithheld)),
        (What::IdentityRead, None),
        (What::CallRefused { call: "ConfirmCode", reason: "NOT_YOURS" }, Some(Kind::CallRefused)),
        (What::StartAsked, None),
        (What::PushAccepted, None),
    ] {
        assert_eq!(Kind::of(&what), kind, "{what:?}");
    }
    for counter in Counter::ALL {
        let limit = Some(counter.name());
        let (start, check) = (
            What::StartRefused { reason: "TOO_MANY_STARTS", limit },
            What::CheckRefused { reason: "TOO_MANY_STARTS", limit },
        );
        assert_eq!((Kind::of(&start), Kind::of(&check)), (Some(Kind::LimitReached), Some(Kind::LimitReached)));
    }
}

/// SR37: the vector of the format's own libraries.
#[test]
fn a_message_is_signed_as_the_format_says() {
    let secret = Secret::parse("whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD").unwrap();
    let message = Message {
        kind: Kind::Denied,
        id: "msg_27UH4WbU6Z5A5EzD8u03UvzRbpk".to_owned(),
        body: r#"{"email":"test@example.com","username":"test_user"}"#.to_owned(),
    };
    let first = "v1,tZ1I4/hDygAJgO5TYxiSd6Sd0kDW6hPenDe+bTa3Kkw=";
    let now = Timestamp::from_millis(1_649_367_553_999);
    assert_eq!(message.signatures(std::slice::from_ref(&secret), now), first);
    let both = message.signatures(&[secret, Secret::from_random([1; 32])], now);
    assert!(both.starts_with(&format!("{first} v1,")) && both.len() == 2 * first.len() + 1, "{both}");
}

#[test]
fn a_secret_is_24_to_64_bytes_and_is_not_printed() {
    use base64::Engine;
    let of = |bytes: usize| {
        let text = base64::prelude::BASE64_STANDARD.encode(vec![9; bytes]);
        Secret::parse(&format!("whsec_{text}"))
    };
    assert!(of(24).is_some() && of(64).is_some());
    assert!(of(23).is_none() && of(65).is_none());
    let secret = Secret::from_random([3; 32]);
    assert_eq!(Secret::parse(&secret.expose()).as_ref(), Some(&secret));
    assert_eq!(Secret::parse(secret.expose().trim_start_matches("whsec_")), None);
    assert_eq!(format!("{secret:?}"), "Secret(…)");
}

/// SR37, SR38: the number is in no member, whoever has written it there, and the
/// desk finds the line in the audit log by its hash.
#[test]
fn a_body_says_what_the_audit_log_says_and_no_number() {
    let entry = entry(What::CodeTried { matched: false, tries_left: 2 });
    let hash = number_hash(&hash(), entry.number.as_ref().unwrap());
    let message = Message::new(Kind::CodeWrong, "msg_1".to_owned(), NOW, &entry, Some(hash.clone())).unwrap();
    assert!(!message.body.contains("91234578"), "{}", message.body);
    let body: Value = serde_json::from_str(&message.body).unwrap();
    assert_eq!((&body["type"], &body["timestamp"]), (&"code.wrong".into(), &"2026-11-26T22:00:00.123Z".into()));
    let data = &body["data"];
    for (name, value) in [
        ("what", "code_tried"),
        ("tenant", "nordlys"),
        ("client", "desk"),
        ("agent", "anna-…"),
        ("by_agent", "anna-…"),
        ("terminal", "seat-4"),
        ("call", "…@pbx"),
        ("channel", "call-centre"),
        ("number", "+47…78"),
        ("number_hash", &hash),
    ] {
        assert_eq!(data[name], value, "{name} in {data}");
    }
    assert_eq!((&data["matched"], &data["tries_left"]), (&false.into(), &2.into()));
}

/// SR37: the longest names there can be.
#[test]
fn a_body_is_short() {
    let long = "x".repeat(64);
    let mut entry = entry(What::CallRefused { call: "TransferLogin", reason: "NOT_YOURS" });
    entry.client = Some(ClientId::new(&long).unwrap());
    (entry.agent, entry.call) = (AgentId::new(&long).ok(), CallId::new(&long).ok());
    entry.terminal = TerminalId::new(&long).ok();
    entry.by = Some(By { client: entry.client.clone().unwrap(), agent: entry.agent.clone() });
    let message = Message::new(Kind::CallRefused, "msg_1".to_owned(), NOW, &entry, None).unwrap();
    assert!(message.body.len() < 2048, "{} bytes", message.body.len());
}

/// A fraud desk of which somebody says how it answers.
#[derive(Clone, Default)]
struct Far {
    answers: Arc<Mutex<VecDeque<Answer>>>,
    heard: Arc<Mutex<Vec<(String, Instant)>>>,
    is_mute: bool,
    /// Before each answer.
    takes: Duration,
}

#[async_trait]
impl Post for Far {
    async fn post(&self, message: &Message) -> Answer {
        self.heard.lock().unwrap().push((message.id.clone(), Instant::now()));
        if self.is_mute {
            std::future::pending::<()>().await;
        }
        tokio::time::sleep(self.takes).await;
        let answer = self.answers.lock().unwrap().pop_front();
        answer.unwrap_or(Answer::Taken)
    }
}

impl Far {
    fn answering(answers: impl IntoIterator<Item = Answer>) -> Self {
        Self { answers: Arc::new(Mutex::new(answers.into_iter().collect())), ..Self::default() }
    }

    fn ids(&self) -> Vec<String> {
        self.heard.lock().unwrap().iter().map(|(id, _)| id.clone()).collect()
    }

    fn count(&self) -> usize {
        self.heard.lock().unwrap().len()
    }
}

fn failed() -> Answer {
    Answer::Failed { why: "status 503".to_owned(), retry_after: None }
}

struct Story {
    far: Far,
    desk: Desk,
    metrics: Arc<Metrics>,
}

impl Story {
    fn with(far: Far) -> Self {
        let metrics = Arc::new(Metrics::new());
        let (post, kinds) = (Box::new(far.clone()), BTreeSet::from(Kind::ALL));
        let desk = Desk::new(tenant(), post, kinds, Some(hash()), "run".to_owned(), Arc::clone(&metrics));
        Self { far, desk, metrics }
    }

    fn happens(&self, what: What) {
        self.desk.tell(Kind::of(&what).unwrap(), NOW, &entry(what));
    }

    fn counted(&self, line: &str) -> bool {
        self.metrics.encode().unwrap().lines().any(|counted| counted == line)
    }
}

/// As long as anything can still happen.
async fn long_after() {
    tokio::time::sleep(2 * LONGEST).await;
}

/// SR37: the same id each time, later and later, and not for ever.
#[tokio::test(start_paused = true)]
async fn a_signal_is_tried_again_until_it_is_taken() {
    let story = Story::with(Far::answering([failed(), failed(), failed()]));
    story.happens(ended("denied", None, 1));
    long_after().await;
    assert_eq!(story.far.ids(), ["msg_run-1"; 4]);
    let heard = story.far.heard.lock().unwrap().clone();
    for (pair, least) in heard.windows(2).zip([1, 2, 4]) {
        let pause = pair[1].1 - pair[0].1;
        assert!(pause >= Duration::from_secs(least) && pause <= Duration::from_secs(2 * least), "{pause:?}");
    }
    assert!(story.counted(r#"ciba_gateway_fraud_webhook_requests_total{tenant="nordlys",result="failed"} 3"#));
    assert!(story.counted(r#"ciba_gateway_fraud_webhook_requests_total{tenant="nordlys",result="taken"} 1"#));
}

/// SR37
#[tokio::test(start_paused = true)]
async fn a_signal_is_given_up_after_so_many_tries_and_so_long() {
    let story = Story::with(Far::answering(std::iter::repeat_n(failed(), 100)));
    let began = Instant::now();
    story.happens(ended("denied", None, 1));
    long_after().await;
    let heard = story.far.heard.lock().unwrap().clone();
    assert!((12..=RETRIES + 1).contains(&heard.len()), "{} tries", heard.len());
    assert!(heard.last().unwrap().1 - began <= LONGEST);
    assert!(story.counted(r#"ciba_gateway_fraud_signals_lost_total{tenant="nordlys",reason="given_up"} 1"#));
}

/// SR37: the desk's wish holds for all that is on its way.
#[tokio::test(start_paused = true)]
async fn a_desk_that_wants_a_pause_gets_it() {
    let wish = Answer::Failed { why: "status 429".to_owned(), retry_after: Some(Duration::from_secs(600)) };
    let story = Story::with(Far::answering([wish]));
    let began = Instant::now();
    story.happens(ended("denied", None, 1));
    tokio::time::sleep(Duration::from_secs(300)).await;
    story.happens(ended("denied", None, 2));
    tokio::time::sleep(Duration::from_secs(299)).await;
    assert_eq!(story.far.count(), 1);
    long_after().await;
    let heard = story.far.heard.lock().unwrap().clone();
    assert_eq!(heard.len(), 3);
    assert!(heard[1..].iter().all(|(_, at)| *at - began >= Duration::from_secs(600)));
}

/// SR37: 410 is for good.
#[tokio::test(start_paused = true)]
async fn a_desk_that_is_gone_hears_nothing_more() {
    let story = Story::with(Far::answering([Answer::Gone]));
    for _ in 0..3 {
        story.happens(ended("denied", None, 1));
        long_after().await;
    }
    assert_eq!(story.far.ids(), ["msg_run-1"]);
    assert!(story.counted(r#"ciba_gateway_fraud_signals_lost_total{tenant="nordlys",reason="gone"} 3"#));
}

/// SR35, SR37: who is refused again and again keeps no denial from being told.
#[tokio::test(start_paused = true)]
async fn refusals_take_half_of_the_room() {
    let story = Story::with(Far { is_mute: true, ..Far::default() });
    (0..ROOM).for_each(|_| story.happens(LIMIT));
    let lost = |count| format!(r#"ciba_gateway_fraud_signals_lost_total{{tenant="nordlys",reason="no_room"}} {count}"#);
    assert!(story.counted(&lost(ROOM / 2)));
    (0..ROOM / 2).for_each(|_| story.happens(ended("denied", None, 1)));
    assert!(story.counted(&lost(ROOM / 2)));
    story.happens(ended("denied", None, 1));
    assert!(story.counted(&lost(ROOM / 2 + 1)));
    tokio::task::yield_now().await;
    assert_eq!(story.far.count(), 4, "requests at once");
}

/// SR37: a stop is no reason to wait for the next try, nor to wait for ever.
#[tokio::test(start_paused = true)]
async fn who_leaves_tries_once_more() {
    let story = Story::with(Far::answering([failed()]));
    story.happens(ended("denied", None, 1));
    tokio::task::yield_now().await;
    let began = Instant::now();
    story.desk.leave(Duration::from_secs(2)).await;
    assert_eq!((story.far.ids(), began.elapsed()), (vec!["msg_run-1".to_owned(); 2], Duration::ZERO));

    let under_way = Far { takes: Duration::from_secs(1), ..Far::answering([failed()]) };
    let story = Story::with(under_way);
    story.happens(ended("denied", None, 1));
    tokio::task::yield_now().await;
    story.desk.leave(Duration::from_secs(5)).await;
    assert_eq!(story.far.count(), 2, "what was under way does not count as the last try");

    let story = Story::with(Far::answering([failed(), failed(), failed()]));
    story.happens(ended("denied", None, 1));
    tokio::task::yield_now().await;
    story.desk.leave(Duration::from_secs(2)).await;
    assert_eq!(story.far.count(), 2);
    assert!(story.counted(r#"ciba_gateway_fraud_signals_lost_total{tenant="nordlys",reason="stopped"} 1"#));

    let story = Story::with(Far { is_mute: true, ..Far::default() });
    story.happens(ended("denied", None, 1));
    let began = Instant::now();
    story.desk.leave(Duration::from_secs(2)).await;
    assert_eq!(began.elapsed(), Duration::from_secs(2));
    assert!(story.counted(r#"ciba_gateway_fraud_signals_lost_total{tenant="nordlys",reason="stopped"} 1"#));
}

/// SR44: also where there is neither an audit log nor a desk.
#[tokio::test]
async fn signals_are_counted_by_tenant_kind_and_limit() {
    let metrics = Arc::new(Metrics::new());
    let clock = Clock::telling(|| NOW);
    let audit = Audit::off().heard_by(Arc::new(Signals::new(clock, Arc::clone(&metrics)).unwrap()));
    audit.note(entry(LIMIT));
    audit.note_if_roomy(entry(ended("denied", None, 2)));
    audit.note(entry(What::StartAsked));
    let page = metrics.encode().unwrap();
    let signals: Vec<_> = page.lines().filter(|line| line.starts_with("ciba_gateway_fraud_signals_total")).collect();
    assert_eq!(signals.len(), 2, "{page}");
    for line in [
        r#"ciba_gateway_fraud_signals_total{tenant="nordlys",kind="limit.reached",limit="number"} 1"#,
        r#"ciba_gateway_fraud_signals_total{tenant="nordlys",kind="login.denied_again",limit=""} 1"#,
    ] {
        assert!(signals.contains(&line), "no {line} in {signals:#?}");
    }
}
