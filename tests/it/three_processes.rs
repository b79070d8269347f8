//! Simulator, gateway on a real Redis, and client, each in a process of its
//! own, as in the README.

use ciba_gateway::grpc::v1::Outcome;
use serde_json::Value;

use crate::support::configuration::Configuration;
use crate::support::eventually::eventually;
use crate::support::gateway::{Serve, local};
use crate::support::http;
use crate::support::processes::{Ended, Process};
use crate::support::redis_server::RedisServer;
use crate::support::simulators::SimulatorProcess;

const NUMBER: &str = "+4712345678";
const DIGITS: &str = "4712345678";

/// Everything but the client.
struct Town {
    simulator: SimulatorProcess,
    serve: Serve,
    configuration: Configuration,
    _redis: RedisServer,
}

impl Town {
    async fn start() -> Self {
        let redis = RedisServer::start().await;
        let simulator = SimulatorProcess::start().await;
        let configuration = Configuration::new(&simulator.issuer).with_redis(&redis);
        let serve = Serve::ready(&configuration).await;
        Self { simulator, serve, configuration, _redis: redis }
    }

    fn login(&self, number: &str, more: &[&str]) -> Process {
        self.serve.command(&[&["login", number, "--channel", "point-of-sale"], more].concat())
    }

    /// What became of each poll for the number.
    async fn polls(&self, digits: &str) -> Vec<String> {
        let polls = self.simulator.journal("token", digits).await;
        polls.iter().map(|poll| poll["outcome"].as_str().unwrap_or_default().to_owned()).collect()
    }
}

fn assert_end(ended: &Ended, code: i32, line: &str) {
    assert_eq!(ended.code, Some(code), "{ended:?}");
    assert!(ended.stdout.lines().any(|printed| printed.starts_with(line)), "no {line:?} in {ended:?}");
}

#[tokio::test]
async fn a_tap_on_the_phone_ends_the_login_with_the_next_poll() {
    let town = Town::start().await;
    for (verb, code, line) in [("approve", 0, "✓ approved"), ("deny", 10, "✗ denied")] {
        let digits = if verb == "approve" { "4712345678" } else { "4712345679" };
        let mut login = town.login(&format!("+{digits}"), &[]);
        eventually("the phone is being waited for", async || (!town.polls(digits).await.is_empty()).then_some(()))
            .await;
        town.simulator.tap(digits, verb).await;
        let before = town.polls(digits).await.len();
        assert_end(&login.ended().await, code, line);

        // A poll an interval, none too early, and the first after the tap tells.
        let mut polls = town.polls(digits).await;
        assert!(polls.len() <= before + 1, "{before} polls before the tap: {polls:?}");
        assert_eq!(polls.pop().as_deref(), Some(if verb == "approve" { "approved" } else { "denied" }));
        assert!(polls.iter().all(|poll| poll == "pending"), "{polls:?}");
    }
}

#[tokio::test]
async fn an_approved_login_shows_the_person() {
    let town = Town::start().await;
    let mut login = town.login(NUMBER, &["--json", "--claims", "name,phone-number,email"]);
    town.simulator.tap(DIGITS, "approve").await;
    let ended = login.ended().await;
    let last: Value = serde_json::from_str(ended.stdout.lines().last().expect("a line")).expect("JSON");
    assert_eq!(last["state"], "approved");
    assert_eq!(last["identity"]["phone"], NUMBER);
    assert_eq!(last["identity"]["email"], format!("person-{DIGITS}@example.com"));
}

#[tokio::test]
async fn a_login_that_the_provider_ends_is_told_by_its_exit_code() {
    let town = Town::start().await;
    // Magic numbers: expired long before its time; a person nobody knows.
    for (number, code, line) in [("+4790000038", 11, "– expired"), ("+4790000010", 13, "✗ failed (PERSON_UNKNOWN)")]
    {
        assert_end(&town.login(number, &[]).ended().await, code, line);
    }
}

#[tokio::test]
async fn ctrl_c_cancels_the_login() {
    let town = Town::start().await;
    let mut login = town.login(NUMBER, &[]);
    let started = login.prints("login ").await;
    login.prints("… pending").await;
    login.signal("INT");
    assert_end(&login.ended().await, 12, "– cancelled");

    let id = started.split_whitespace().nth(1).expect("a login id");
    let read = town.serve.command(&["watch", id]).ended().await;
    assert_eq!(read.code, Some(12), "{read:?}");
    // Neither does an approval count any more.
    town.simulator.tap(DIGITS, "approve").await;
    assert!(!town.polls(DIGITS).await.contains(&"approved".to_owned()));
}

#[tokio::test]
async fn a_caller_who_may_not_call_is_told_why() {
    let town = Town::start().await;
    let (url, stranger) = (town.serve.url(), format!("cgk_{}", "A".repeat(43)));
    let login = |url: &str, key: &str, number: &str| {
        Process::gateway(&["login", number, "--channel", "point-of-sale", "--server", url, "--api-key", key])
    };
    let refused = login(&url, &stranger, NUMBER).ended().await;
    assert_eq!(refused.code, Some(77), "{refused:?}");
    assert!(refused.stderr.contains("CREDENTIAL_INVALID"), "{refused:?}");

    let nobody = local().await.local_addr().expect("an address");
    let alone = login(&format!("http://{nobody}"), &stranger, NUMBER).ended().await;
    assert_eq!(alone.code, Some(69), "{alone:?}");

    let mistyped = town.login("+4712", &[]).ended().await;
    assert_eq!(mistyped.code, Some(64), "{mistyped:?}");
    assert!(mistyped.stderr.contains("phone_number"), "{mistyped:?}");
    assert!(!mistyped.stderr.contains("+4712"), "{mistyped:?}");
    assert_eq!(town.simulator.journal("backchannel", DIGITS).await, Vec::<Value>::new());
}

#[tokio::test]
async fn an_agent_types_the_code_that_is_read_back() {
    let town = Town::start().await;
    let mut login = town.serve.command(&["login", NUMBER, "--channel", "call-centre"]);
    login.prints("… pending").await;
    assert!(!login.stdout().contains("code  "), "{}", login.stdout());

    login.type_line("22222");
    login.prints("wrong code; 2 tries left").await;
    let code = town.simulator.code_on(DIGITS).await;
    town.simulator.tap(DIGITS, "approve").await;
    // The person has approved; who it was is withheld.
    login.prints("… awaiting code").await;
    assert!(!login.stdout().contains("name"), "{}", login.stdout());
    login.type_line(&code);
    let ended = login.ended().await;
    assert_end(&ended, 0, "✓ approved");
    assert_end(&ended, 0, "  name");
}

#[tokio::test]
async fn a_supervisor_watches_one_login_and_all_of_them() {
    let town = Town::start().await;
    let mut all = town.serve.command(&["watch", "--json"]);
    let metrics = format!("http://{}/metrics", town.serve.http);
    eventually("the watch is open", async || http::get(&metrics).await?.1.contains("open_watches 1").then_some(()))
        .await;
    let mut login = town.login(NUMBER, &["--terminal", "till-9"]);
    let started = login.prints("login ").await;
    let id = started.split_whitespace().nth(1).expect("a login id").to_owned();
    all.prints(&id).await;
    let mut one = town.serve.command(&["watch", &id]);
    one.prints("pending").await;

    town.simulator.tap(DIGITS, "approve").await;
    assert_eq!(login.ended().await.code, Some(0));
    let ended = one.ended().await;
    assert_eq!(ended.code, Some(0), "{ended:?}");
    let last = ended.stdout.lines().last().expect("a line");
    assert!(last.contains("point-of-sale") && last.contains("till-9") && last.contains("✓ approved"), "{last}");

    let line: Value = serde_json::from_str(&all.prints("\"approved\"").await).expect("JSON");
    assert_eq!(line["login_id"], id);
    assert_eq!(line["phone"], "+47…78");
    all.signal("INT");
    assert_eq!(all.ended().await.code, Some(0));
}

/// Killed as by `kill -9`: it says no goodbye and writes nothing down.
#[tokio::test]
async fn another_process_finishes_the_login_of_one_that_was_killed() {
    let mut town = Town::start().await;
    let survivor = Serve::ready(&town.configuration).await;
    let login = town.serve.caller().at_a_till(NUMBER).await;
    town.serve.process.signal("KILL");
    town.serve.process.ended().await;
    town.simulator.tap(DIGITS, "approve").await;
    assert_eq!(survivor.caller().end_of(&login.login_id).await.outcome(), Outcome::Approved);
    let polls = town.polls(DIGITS).await;
    assert!(!polls.iter().any(|poll| poll == "early"), "{polls:?}");
}
