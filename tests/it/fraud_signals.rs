//! What a tenant's fraud desk hears of, over real TLS and verified by a library of
//! other make.

use std::collections::{BTreeMap, BTreeSet};

use ciba_gateway::fraud::Secret;
use ciba_gateway::grpc::v1::{CallDirection, StartLoginRequest};
use futures_util::future::join_all;
use tonic::transport::Endpoint;

use crate::support::audit_log::AuditLog;
use crate::support::client::{Client, NUMBER, OTHER_NUMBER, at_the_till, on_a_call, standing};
use crate::support::configuration::{Configuration, api_key, other_api_key};
use crate::support::eventually::eventually;
use crate::support::fraud_desk::{FraudDesk, Mood, Received};
use crate::support::gateway::Serve;
use crate::support::http;
use crate::support::processes::{Ended, Process};
use crate::support::proxy::{Proxy, Weather};
use crate::support::redis_server::RedisServer;
use crate::support::secrets::Secrets;
use crate::support::simulators::Vipps;

const CUSTOMER: &str = "+4791234599";
const THIRD: &str = "+4791234577";

struct Story {
    desk: FraudDesk,
    vipps: Vipps,
    serve: Serve,
    ada: Client,
    mallory: Client,
}

impl Story {
    async fn begin() -> Self {
        let desk = FraudDesk::open().await;
        let lines = desk.lines("/signals");
        Self::with(desk, |configuration| configuration.with_tenant_line("nordlys", &lines)).await
    }

    async fn with(desk: FraudDesk, change: impl FnOnce(Configuration) -> Configuration) -> Self {
        let vipps = Vipps::start().await;
        let serve = Serve::ready(&change(Configuration::new(&vipps.issuer()))).await;
        let (ada, mallory) = (serve.client().await.with_agent("ada"), serve.client().await.with_agent("mallory"));
        Self { desk, vipps, serve, ada, mallory }
    }

    /// The person at that number says no to a login at a till.
    async fn is_denied(&self, request_id: &str, number: &str) {
        let login = self.ada.start(at_the_till(request_id, number)).await;
        assert_eq!(self.vipps.simulator.deny(number), 1);
        assert_eq!(standing(&self.ada.wait_for_end(&login).await), "denied");
    }

    async fn counted(&self, line: &str) {
        let url = format!("http://{}/metrics", self.serve.http);
        let counted = async || {
            let (_, page) = http::get(&url).await?;
            page.lines().any(|counted| counted == line).then_some(())
        };
        eventually(&format!("{line} is counted"), counted).await;
    }

    async fn stopped(&mut self) -> Ended {
        self.serve.process.signal("TERM");
        let ended = self.serve.process.ended().await;
        assert_eq!(ended.code, Some(0), "{ended:?}");
        ended
    }
}

fn secret() -> Secret {
    Secret::from_random(FraudDesk::SECRET)
}

fn kinds(signals: &[Received]) -> BTreeMap<String, usize> {
    let mut kinds = BTreeMap::new();
    signals.iter().for_each(|signal| *kinds.entry(signal.kind()).or_default() += 1);
    kinds
}

fn mallorys(request_id: &str, number: &str) -> StartLoginRequest {
    StartLoginRequest { agent_id: "mallory".to_owned(), ..on_a_call(request_id, number) }
}

/// What a fraudster with an agent's key tries; see `fraud`.
async fn fraud(story: &Story) {
    let Story { vipps, ada, mallory, .. } = story;
    // Bombs a phone until its person says no.
    for request_id in ["r-1", "r-2"] {
        let login = mallory.start(mallorys(request_id, NUMBER)).await;
        mallory.cancel(&login).await;
    }
    let login = mallory.start(mallorys("r-3", NUMBER)).await;
    vipps.simulator.deny(NUMBER);
    mallory.wait_for_end(&login).await;
    mallory.refused(mallorys("r-4", NUMBER)).await;
    // Guesses a code.
    let login = mallory.start(mallorys("r-5", OTHER_NUMBER)).await;
    let code = vipps.code_on(OTHER_NUMBER);
    for guess in ["AAAAA", "CCCCC", "DDDDD", "EEEEE"].iter().filter(|guess| **guess != code).take(3) {
        mallory.confirm(&login, guess).await;
    }
    // Calls people.
    let direction = CallDirection::Outbound.into();
    let outbound = StartLoginRequest { call_direction: direction, call_id: "c-1".into(), ..mallorys("r-6", THIRD) };
    assert_eq!(mallory.refused(outbound).await.reason, "OUTBOUND_NOT_ALLOWED");
    // Looks at a customer of somebody else.
    let login = ada.start(on_a_call("r-7", CUSTOMER)).await;
    let code = vipps.code_on(CUSTOMER);
    assert_eq!(mallory.try_confirm(&login.login_id, &code).await.expect_err("a refusal").reason, "NOT_YOURS");
    ada.confirm(&login, &code).await;
    vipps.simulator.approve(CUSTOMER);
    ada.wait_for_end(&login).await;
    mallory.get(&login).await;
    // Passes somebody off as another.
    let expected = StartLoginRequest { expected_subject: "somebody-else".to_owned(), ..at_the_till("r-8", THIRD) };
    let login = ada.start(expected).await;
    vipps.simulator.approve(THIRD);
    assert_eq!(standing(&ada.wait_for_end(&login).await), "other_person");
}

/// SR37, SR44: each of it is told, once, signed, with the agent's name; and the audit
/// log has the same.
#[tokio::test]
async fn a_fraud_desk_hears_of_each_attempt_once_and_can_verify_it() {
    let (log, desk) = (AuditLog::new(), FraudDesk::open().await);
    let lines = desk.lines("/signals");
    let change =
        |configuration: Configuration| log.kept_by(configuration.with_tenant_line("nordlys", &lines), "audit.log");
    let mut story = Story::with(desk, change).await;
    fraud(&story).await;
    let signals = story.desk.has(9).await;
    story.stopped().await;
    let signals_at_the_end = story.desk.received();
    assert_eq!((signals.len(), signals_at_the_end.len()), (9, 9), "{:#?}", kinds(&signals_at_the_end));
    let expected = [
        ("call.refused", 1),
        ("code.exhausted", 1),
        ("code.wrong", 2),
        ("identity.withheld", 1),
        ("limit.reached", 1),
        ("login.denied", 1),
        ("login.other_person", 1),
        ("start.not_allowed", 1),
    ];
    assert_eq!(kinds(&signals), expected.map(|(kind, count)| (kind.to_owned(), count)).into());

    let audit: Vec<serde_json::Value> =
        log.lines("audit.log").iter().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    for signal in &signals {
        assert_eq!(signal.path, "POST /signals");
        assert_eq!(signal.header("content-type"), "application/json");
        let data = signal.json()["data"].clone();
        let data = data.as_object().expect("members");
        let says_the_same = |line: &&serde_json::Value| data.iter().all(|(name, value)| line[name] == *value);
        assert_eq!(audit.iter().filter(says_the_same).count(), 1, "{data:#?} in {audit:#?}");
        if !signal.kind().starts_with("login.") {
            assert_eq!(data["by_agent"], "mallory");
        }
    }
    let mut said = story.desk.verified(&signals, &secret()).await;
    let mut as_told: Vec<_> = signals.iter().map(Received::kind).collect();
    said.sort();
    as_told.sort();
    assert_eq!(said, as_told);
}

/// SR37: what was changed, signed with another secret, or came before is not taken.
#[tokio::test]
async fn a_forged_or_repeated_signal_does_not_verify() {
    let story = Story::begin().await;
    story.is_denied("r-1", NUMBER).await;
    let signal = story.desk.has(1).await.remove(0);
    let forged = Received { body: signal.body.replace("login.denied", "login.wanted"), ..signal.clone() };
    let mut late = signal.clone();
    late.headers.insert("webhook-timestamp", "1795730400".parse().unwrap());
    let said = story.desk.verified(&[signal.clone(), forged, late, signal.clone()], &secret()).await;
    assert_eq!(said, ["login.denied", "refused", "refused", "known"]);
    assert_eq!(story.desk.verified(&[signal], &Secret::from_random([1; 32])).await, ["refused"]);
}

/// SR37: while secrets change, either verifies.
#[tokio::test]
async fn two_secrets_sign_at_once() {
    let (desk, next) = (FraudDesk::open().await, Secret::from_random([22; 32]));
    let lines = format!("{}\nsecret_next = \"{}\"", desk.lines("/signals"), *next.expose());
    let story = Story::with(desk, |configuration| configuration.with_tenant_line("nordlys", &lines)).await;
    story.is_denied("r-1", NUMBER).await;
    let signals = story.desk.has(1).await;
    assert_eq!(story.desk.verified(&signals, &secret()).await, ["login.denied"]);
    assert_eq!(story.desk.verified(&signals, &next).await, ["login.denied"]);
}

/// SR9, SR44: over all replicas and for as long as a denial is remembered.
#[tokio::test]
async fn a_second_no_of_the_same_person_is_told_as_that() {
    let (desk, redis) = (FraudDesk::open().await, RedisServer::start().await);
    let lines = desk.lines("/signals");
    let change = |configuration: Configuration| configuration.with_redis(&redis).with_tenant_line("nordlys", &lines);
    let story = Story::with(desk, change).await;
    story.is_denied("r-1", NUMBER).await;
    // The pause is over.
    let mut line = redis.commands().await;
    let keys: Vec<String> = redis::cmd("KEYS").arg("cg1:{nordlys}:denials:*").query_async(&mut line).await.unwrap();
    let [key] = &keys[..] else { panic!("{keys:?}") };
    redis::cmd("HINCRBY").arg(key).arg("at").arg(-3_600_000).query_async::<()>(&mut line).await.unwrap();
    story.is_denied("r-2", NUMBER).await;
    let signals = story.desk.has(2).await;
    let told: Vec<_> = signals.iter().map(|signal| (signal.kind(), signal.json()["data"]["denials"].clone())).collect();
    assert_eq!(told, [("login.denied".to_owned(), 1.into()), ("login.denied_again".to_owned(), 2.into())]);
}

/// SR37: a desk that was away gets it, under the same id; no login waits meanwhile.
#[tokio::test]
async fn a_desk_that_was_down_hears_of_it_later() {
    let desk = FraudDesk::open().await;
    let line = Proxy::to(desk.port).await;
    let lines = desk.lines_at(&format!("https://127.0.0.1:{}/signals", line.port));
    let story = Story::with(desk, |configuration| configuration.with_tenant_line("nordlys", &lines)).await;
    line.becomes(Weather::Cut);
    story.is_denied("r-1", NUMBER).await;
    story.serve.process.logs("the fraud desk does not take a signal").await;
    story.desk.becomes(Mood::Says(503, None));
    line.is_good_again();
    let refused = story.desk.heard(1).await.remove(0);
    story.desk.becomes(Mood::Takes);
    let taken = story.desk.has(1).await.remove(0);
    assert_eq!((refused.id(), &refused.body), (taken.id(), &taken.body));
    assert_ne!(refused.header("webhook-timestamp"), taken.header("webhook-timestamp"), "the time of the attempt");
    assert_eq!(story.desk.verified(&[taken], &secret()).await, ["login.denied"]);
    story.serve.process.logs("the fraud desk takes signals again").await;
}

/// SR36, SR37: nothing but the desk's own address is called.
#[tokio::test]
async fn a_redirect_is_not_followed() {
    let story = Story::begin().await;
    let location = format!("https://127.0.0.1:{}/elsewhere", story.desk.port);
    for status in [301, 307, 308] {
        story.desk.becomes(Mood::Says(status, Some(("location", location.clone()))));
        story.is_denied(&format!("r-{status}"), &format!("+4791234{status}")).await;
        let heard = story.desk.received().len();
        story.desk.heard(heard + 1).await;
    }
    story.desk.becomes(Mood::Takes);
    story.desk.has(3).await;
    let paths: BTreeSet<_> = story.desk.received().into_iter().map(|received| received.path).collect();
    assert_eq!(paths, ["POST /signals".to_owned()].into());
}

/// SR37: 410 is the desk's last word.
#[tokio::test]
async fn a_desk_that_is_gone_is_left_alone() {
    let story = Story::begin().await;
    story.desk.becomes(Mood::Says(410, None));
    story.is_denied("r-1", NUMBER).await;
    story.desk.heard(1).await;
    story.serve.process.logs("the fraud desk wants no signals any more").await;
    story.desk.becomes(Mood::Takes);
    story.is_denied("r-2", OTHER_NUMBER).await;
    story.counted(r#"ciba_gateway_fraud_signals_lost_total{tenant="nordlys",reason="gone"} 2"#).await;
    assert_eq!(story.desk.received().len(), 1);
}

/// SR37: the desk's wish for a pause is obeyed.
#[tokio::test]
async fn a_desk_that_wants_a_pause_is_left_alone_for_it() {
    let story = Story::begin().await;
    story.desk.becomes(Mood::Says(429, Some(("retry-after", "3".to_owned()))));
    story.is_denied("r-1", NUMBER).await;
    let refused = story.desk.heard(1).await.remove(0);
    story.desk.becomes(Mood::Takes);
    let taken = story.desk.has(1).await.remove(0);
    let at = |received: &Received| received.header("webhook-timestamp").parse::<u64>().unwrap();
    assert!(at(&taken) >= at(&refused) + 3, "{} and {}", at(&refused), at(&taken));
}

/// SR35, SR37: a desk that says nothing keeps no login waiting, and what finds no
/// room is counted and told.
#[tokio::test]
async fn a_mute_desk_disturbs_nobody_and_losses_are_counted() {
    let story = Story::begin().await;
    story.desk.becomes(Mood::Silent);
    story.is_denied("r-0", NUMBER).await;
    story.desk.heard(1).await;
    let refused = |number: usize| story.ada.refused(at_the_till(&format!("r-{number}"), NUMBER));
    for batch in (1..=600).collect::<Vec<_>>().chunks(100) {
        join_all(batch.iter().map(|number| refused(*number))).await;
    }
    story.serve.process.logs("there is no room for further fraud signals").await;
    story.counted(r#"ciba_gateway_fraud_signals_lost_total{tenant="nordlys",reason="no_room"} 89"#).await;
    story
        .counted(r#"ciba_gateway_fraud_signals_total{tenant="nordlys",kind="limit.reached",limit="number"} 600"#)
        .await;
    // Still well served, and still room for what matters.
    story.is_denied("r-601", OTHER_NUMBER).await;
    story.desk.becomes(Mood::Takes);
    let taken = story.desk.has(513).await;
    assert_eq!(kinds(&taken)["login.denied"], 2);
}

/// SR37: a stop tries once more, and does not wait for who says nothing.
#[tokio::test]
async fn a_stop_tries_once_more() {
    let mut story = Story::begin().await;
    story.desk.becomes(Mood::Says(429, Some(("retry-after", "3600".to_owned()))));
    story.is_denied("r-1", NUMBER).await;
    story.desk.heard(1).await;
    story.desk.becomes(Mood::Takes);
    story.stopped().await;
    assert_eq!(story.desk.taken().len(), 1);

    let mut story = Story::begin().await;
    story.desk.becomes(Mood::Silent);
    story.is_denied("r-1", NUMBER).await;
    story.desk.heard(1).await;
    let ended = story.stopped().await;
    assert!(
        ended.stderr.contains("a fraud signal does not arrive") || ended.stderr.contains("the gateway stops before")
    );
}

/// SR37: tenants hear of their own.
#[tokio::test]
async fn no_tenant_hears_of_another() {
    let (desk, others) = (FraudDesk::open().await, FraudDesk::open().await);
    let (lines, other_lines) = (desk.lines("/signals"), others.lines("/signals"));
    let change = |configuration: Configuration| {
        let only = format!("{other_lines}\nsignals = [\"limit.reached\"]");
        configuration.with_tenant_line("nordlys", &lines).with_tenant_line("other", &only)
    };
    let story = Story::with(desk, change).await;
    let channel = Endpoint::from_shared(story.serve.url()).unwrap().connect().await.unwrap();
    let other = Client::new(channel, Some(format!("Bearer {}", other_api_key().expose())));
    let login = other.start(at_the_till("o-1", OTHER_NUMBER)).await;
    story.vipps.simulator.deny(OTHER_NUMBER);
    other.wait_for_end(&login).await;
    other.refused(at_the_till("o-2", OTHER_NUMBER)).await;
    story.is_denied("r-1", NUMBER).await;
    let (nordlys, other) = (story.desk.has(1).await, others.has(1).await);
    let told = |signals: &[Received]| {
        let told = |signal: &Received| (signal.kind(), signal.json()["data"]["tenant"].as_str().unwrap().to_owned());
        signals.iter().map(told).collect::<Vec<_>>()
    };
    assert_eq!(told(&nordlys), [("login.denied".to_owned(), "nordlys".to_owned())]);
    assert_eq!(told(&other), [("limit.reached".to_owned(), "other".to_owned())], "and not of the denial");
    story.counted(r#"ciba_gateway_fraud_signals_total{tenant="other",kind="login.denied",limit=""} 1"#).await;
}

/// SR36, SR37: neither a certificate that nobody vouches for nor a private address.
#[tokio::test]
async fn a_desk_of_somebody_else_is_told_nothing() {
    let (desk, impostor) = (FraudDesk::open().await, FraudDesk::open().await);
    let private = |url: String| desk.lines_at(&url).replace("allow_private_addresses = true\n", "");
    let name = private(format!("https://localhost:{}/signals", desk.port));
    let stranger = desk.lines_at(&format!("https://127.0.0.1:{}/signals", impostor.port));
    let address = private(format!("https://127.0.0.1:{}/signals", desk.port));
    let change = |configuration: Configuration| {
        configuration.with_tenant_line("nordlys", &name).with_tenant_line("other", &stranger)
    };
    let desk = FraudDesk::open().await;
    let story = Story::with(desk, change).await;
    story.is_denied("r-1", NUMBER).await;
    story.counted(r#"ciba_gateway_fraud_webhook_requests_total{tenant="nordlys",result="failed"} 1"#).await;
    let other = Client::new(
        Endpoint::from_shared(story.serve.url()).unwrap().connect().await.unwrap(),
        Some(format!("Bearer {}", other_api_key().expose())),
    );
    let login = other.start(at_the_till("o-1", OTHER_NUMBER)).await;
    story.vipps.simulator.deny(OTHER_NUMBER);
    other.wait_for_end(&login).await;
    story.counted(r#"ciba_gateway_fraud_webhook_requests_total{tenant="other",result="failed"} 1"#).await;
    assert!(impostor.received().is_empty());
    let issuer = story.vipps.issuer();
    let checked = async |lines: &str| {
        let file = Configuration::new(&issuer).with_tenant_line("nordlys", lines).file();
        Process::gateway(&["check", "--config", &file.path().to_string_lossy()]).ended().await
    };
    for (lines, said) in [(&address, "names a loopback or private address"), (&name, "has no public address")] {
        let ended = checked(lines).await;
        assert_eq!(ended.code, Some(69), "{ended:?}");
        assert!(ended.stdout.contains(said), "no {said} in {ended:?}");
    }
    let ended = checked(&story.desk.lines("/signals")).await;
    assert!(ended.stdout.contains("fraud webhook: 127.0.0.1 is known, 10 kinds"), "{ended:?}");
    assert!(story.desk.received().is_empty(), "check sends nothing");
}

/// SR38, SR42: nothing about a person, in no message and with all logging on.
#[tokio::test]
async fn nothing_about_a_person_is_readable_in_a_signal_or_beside_it() {
    let desk = FraudDesk::open().await;
    let lines = desk.lines("/path-that-is-secret");
    let change = |configuration: Configuration| {
        let configuration = configuration.with_tenant_line("nordlys", &lines);
        Configuration { log: "filter = \"trace\"".to_owned(), ..configuration }
    };
    let mut story = Story::with(desk, change).await;
    fraud(&story).await;
    let name = story.ada.heard();
    let signals = story.desk.has(9).await;
    let ended = story.stopped().await;
    let mut secrets = Secrets::default();
    for number in [NUMBER, OTHER_NUMBER, CUSTOMER, THIRD] {
        secrets.add_number(number.trim_start_matches('+'));
        secrets.add("sub", story.vipps.simulator.subject("demo-client", &number[1..]).expect("a subject"));
    }
    for request in story.vipps.simulator.requests() {
        request.parameter("binding_message").into_iter().for_each(|code| secrets.add("code", code));
    }
    secrets.add("secret", &**secret().expose());
    secrets.add("API key", api_key().expose());
    assert!(secrets.count("code") >= 5 && name.contains("91234599"), "there is something to be found");
    let told: String = signals.iter().map(|signal| format!("{:?}\n{}\n", signal.headers, signal.body)).collect();
    secrets.add("path", "/path-that-is-secret");
    for text in [told, ended.stderr] {
        let readable = secrets.readable_in(&text);
        assert!(readable.is_empty(), "{}", readable.join("\n"));
    }
}

#[tokio::test]
async fn a_secret_can_be_made_and_used() {
    let ended = Process::gateway(&["keys", "new", "webhook"]).ended().await;
    assert_eq!(ended.code, Some(0), "{ended:?}");
    let line = ended.stdout.lines().find(|line| line.starts_with("secret = ")).expect("a line");
    let text = line.split('"').nth(1).expect("a secret");
    assert!(Secret::parse(text).is_some(), "{text}");
}
