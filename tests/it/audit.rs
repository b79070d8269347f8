//! What an operator or an auditor learns from `audit verify`.

use ciba_gateway::audit::What;
use ciba_gateway::grpc::v1::StartLoginRequest;
use tonic::Code;

use crate::support::audit_log::{AuditLog, note, text};
use crate::support::client::{NUMBER, about, at_the_till, on_a_call};
use crate::support::configuration::Configuration;
use crate::support::eventually::eventually;
use crate::support::gateway::Serve;
use crate::support::processes::{Ended, Process};
use crate::support::redis_server::RedisServer;
use crate::support::simulators::Vipps;

fn assert_found(ended: &Ended, said: &[&str]) {
    assert_eq!(ended.code, Some(1), "{ended:?}");
    said.iter().for_each(|said| assert!(ended.stdout.contains(said), "no {said:?} in {ended:?}"));
}

fn assert_right(ended: &Ended, said: &[&str]) {
    assert_eq!(ended.code, Some(0), "{ended:?}");
    said.iter().for_each(|said| assert!(ended.stdout.contains(said), "no {said:?} in {ended:?}"));
}

fn happened(lines: &[String]) -> Vec<String> {
    let json = |line: &String| serde_json::from_str::<serde_json::Value>(line).expect("JSON");
    lines.iter().map(|line| json(line)["what"].as_str().expect("what").to_owned()).collect()
}

/// SR39: a record for every start, refusal, push, answer, read-back try, read and
/// erasure; SR42: without number, code or name.
#[tokio::test]
async fn the_life_of_a_login_is_told_in_order_and_without_personal_data() {
    let (log, vipps) = (AuditLog::new(), Vipps::start().await);
    let mut serve = Serve::ready(&log.kept_by(Configuration::new(&vipps.issuer()), "audit.log")).await;
    let ada = serve.client().await.with_agent("ada");
    let start = StartLoginRequest { call_id: "4791234567@pbx".to_owned(), ..on_a_call("r-1", NUMBER) };
    let login = ada.start(start).await;
    assert_eq!(ada.refused(on_a_call("r-2", NUMBER)).await.reason, "NUMBER_BUSY");
    let code = vipps.code_on(NUMBER);
    let wrong = if code == "AAAAA" { "CCCCC" } else { "AAAAA" };
    ada.confirm(&login, wrong).await;
    ada.confirm(&login, &code).await;
    vipps.simulator.approve(NUMBER);
    let ended = ada.wait_for_end(&login).await;
    ada.get(&login).await;
    ada.erase(&login).await;
    serve.process.signal("TERM");
    assert_eq!(serve.process.ended().await.code, Some(0));

    let lines = log.lines("audit.log");
    assert_eq!(
        happened(&lines),
        [
            "began",
            "start_asked",
            "push_accepted",
            "start_asked",
            "start_refused",
            "code_tried",
            "code_tried",
            "provider_answered",
            "ended",
            "identity_read",
            "erased",
            "closed",
        ]
    );
    let told = lines.concat();
    let name = ended.identity.expect("an identity").name;
    for secret in ["91234567", code.as_str(), wrong, name.as_str()] {
        assert!(!told.contains(secret), "{secret} in {told}");
    }
    assert!(lines[4].contains("\"reason\":\"NUMBER_BUSY\"") && lines[5].contains("\"by_agent\":\"ada\""), "{lines:#?}");
    assert_right(&log.verify(&["audit.log"]).await, &["12 records of 1 runs"]);
}

/// SR39: who asked about which number, and not what the answer was.
#[tokio::test]
async fn a_check_is_told_without_its_answer() {
    let (log, vipps) = (AuditLog::new(), Vipps::start().await);
    let serve = Serve::ready(&log.kept_by(Configuration::new(&vipps.issuer()), "audit.log")).await;
    let desk = serve.client().await;
    assert_eq!(desk.check(about(NUMBER)).await, Ok(true));
    assert_eq!(desk.check(about("+4790000010")).await, Ok(false));
    for _ in 2..=3 {
        desk.check(about(NUMBER)).await.expect("an answer");
    }
    assert_eq!(desk.check(about(NUMBER)).await.expect_err("a refusal").reason, "TOO_MANY_STARTS");
    let told = async || (log.lines("audit.log").len() == 11).then_some(());
    eventually("all is written", told).await;
    let lines = log.lines("audit.log");
    let pair = ["check_asked", "check_answered"];
    assert_eq!(happened(&lines), [&["began"][..], &pair.repeat(4), &["check_asked", "check_refused"]].concat());
    let (yes, no) = (&lines[2], &lines[4]);
    assert!(!["usable", "exists", "true", "false"].iter().any(|word| yes.contains(word) || no.contains(word)), "{yes}");
    assert!(lines[10].contains("\"limit\":\"number\""), "{lines:#?}");
}

/// SR39: both names, and whose doing it was.
#[tokio::test]
async fn a_transfer_names_both_agents() {
    let (log, vipps) = (AuditLog::new(), Vipps::start().await);
    let serve = Serve::ready(&log.kept_by(Configuration::new(&vipps.issuer()), "audit.log")).await;
    let ada = serve.client().await.with_agent("ada");
    let login = ada.start(on_a_call("r-1", NUMBER)).await;
    ada.hand_to(&login, "bo").await.expect("handed over");
    ada.hand_to(&login, "cy").await.expect_err("not hers any more");
    let told = async || (log.lines("audit.log").len() == 5).then_some(());
    eventually("all is written", told).await;
    let lines = log.lines("audit.log");
    assert_eq!(happened(&lines)[3..], ["handed_over", "call_refused"]);
    for name in [r#""by_agent":"ada""#, r#""from_agent":"ada""#, r#""to_agent":"bo""#] {
        assert!(lines[3].contains(name), "no {name} in {}", lines[3]);
    }
    assert!(lines[4].contains(r#""call":"TransferLogin""#), "{}", lines[4]);
}

/// SR39: a take-over is told by whoever takes over.
#[tokio::test]
async fn a_login_that_is_taken_over_is_told_by_its_heir() {
    let (log, vipps, redis) = (AuditLog::new(), Vipps::start().await, RedisServer::start().await);
    let shared = Configuration::new(&vipps.issuer()).with_redis(&redis);
    let mut first = Serve::ready(&log.kept_by(shared.clone(), "first.log")).await;
    let second = Serve::ready(&log.kept_by(shared, "second.log")).await;
    let login = first.caller().at_a_till(NUMBER).await;
    first.process.signal("TERM");
    first.process.ended().await;
    vipps.simulator.approve(NUMBER);
    second.caller().end_of(&login.login_id).await;
    assert_eq!(happened(&log.lines("first.log")), ["began", "start_asked", "push_accepted", "closed"]);
    let told = async || log.lines("second.log").iter().any(|line| line.contains("identity_read")).then_some(());
    eventually("the reading is written", told).await;
    let lines = log.lines("second.log");
    assert_eq!(happened(&lines), ["began", "taken_over", "provider_answered", "ended", "identity_read"]);
    assert!(lines[1].contains("\"because\":\"left\""), "{lines:#?}");
}

/// SR39: nothing is started that nobody could tell later.
#[tokio::test]
async fn a_full_disk_refuses_starts_and_is_told_to_the_operator() {
    let (log, vipps) = (AuditLog::new(), Vipps::start().await);
    std::os::unix::fs::symlink("/dev/full", log.path("audit.log")).expect("a link");
    let serve = Serve::ready(&log.kept_by(Configuration::new(&vipps.issuer()), "audit.log")).await;
    let refusal = serve.client().await.refused(at_the_till("r-1", NUMBER)).await;
    assert_eq!((refusal.code, refusal.reason.as_str()), (Code::Unavailable, "AUDIT_UNAVAILABLE"));
    assert!(refusal.retry_after.is_some());
    assert_eq!(vipps.rings(NUMBER), 0);
    serve.process.logs("the audit log cannot be written").await;
}

#[tokio::test]
async fn check_knows_a_log_that_cannot_be_written() {
    let (log, vipps) = (AuditLog::new(), Vipps::start().await);
    for (file, code, said) in [("audit.log", 0, "✓ audit"), ("no-such-folder/audit.log", 69, "✗ audit")] {
        let configuration = log.kept_by(Configuration::new(&vipps.issuer()), file).file();
        let ended = Process::gateway(&["check", "--config", text(&configuration.path())]).ended().await;
        assert_eq!(ended.code, Some(code), "{ended:?}");
        assert!(ended.stdout.contains(said), "{ended:?}");
    }
}

#[tokio::test]
async fn serve_warns_where_there_is_no_audit_log() {
    let vipps = Vipps::start().await;
    let serve = Serve::start(&Configuration::new(&vipps.issuer())).await;
    serve.process.logs("there is no [audit]").await;
}

/// SR39: restarts and a rotation by renaming leave a log that is as it was written.
#[tokio::test]
async fn runs_and_rotated_files_verify_in_order() {
    let log = AuditLog::new();
    log.run("audit.log").await;
    let audit = log.begin("audit.log");
    std::fs::rename(log.path("audit.log"), log.path("audit.log.1")).expect("a renamed file");
    note(&audit, What::Cancelled);
    assert!(audit.close().await);
    assert_right(&log.verify(&["audit.log.1", "audit.log"]).await, &["7 records of 2 runs"]);
    assert_found(&log.verify(&["audit.log"]).await, &["number 1 is missing before it"]);
    assert_right(&log.verify(&["audit.log", "--continued"]).await, &["begins at number 2"]);
}

/// SR39: delete a line: verify fails; so it does for one changed, moved or torn.
#[tokio::test]
async fn what_was_done_to_a_log_is_said_with_its_place() {
    let log = AuditLog::new();
    log.run("audit.log").await;
    let whole = log.lines("audit.log");
    let run = whole[0].split('"').nth(5).expect("a run").to_owned();

    let deleted = [&whole[..1], &whole[2..]].concat();
    log.write("audit.log", &deleted);
    assert_found(
        &log.verify(&["audit.log"]).await,
        &[&format!("audit.log:2: run {run}, number 3 comes too early: number 2 is missing before it")],
    );

    let mut changed = whole.clone();
    changed[1] = changed[1].replace("\"what\":\"start_asked\"", "\"what\":\"start_askes\"");
    log.write("audit.log", &changed);
    assert_found(
        &log.verify(&["audit.log"]).await,
        &[&format!("audit.log:2: run {run}, number 2 was changed"), "1 findings"],
    );

    let mut swapped = whole.clone();
    swapped.swap(1, 2);
    log.write("audit.log", &swapped);
    assert_found(&log.verify(&["audit.log"]).await, &["audit.log:3:", "number 2 was moved or repeated"]);

    let mut torn = whole.clone();
    torn[1].truncate(70);
    log.write("audit.log", &torn);
    assert_found(&log.verify(&["audit.log"]).await, &["audit.log:2: is no whole record"]);
}

/// SR39: a missing tail is detectable by lines that a collector kept.
#[tokio::test]
async fn a_log_that_was_cut_off_is_found_with_heads() {
    let log = AuditLog::new();
    log.run("audit.log").await;
    let whole = log.lines("audit.log");
    log.write("heads", &whole[3..]);
    log.write("audit.log", &whole[..2]);
    assert_right(&log.verify(&["audit.log"]).await, &["its end is unproven: not closed, last number 2"]);
    assert_found(&log.verify(&["audit.log", "--heads", "heads"]).await, &["numbers 3 to 4 are missing after it"]);
    log.write("audit.log", &[]);
    assert_found(&log.verify(&["audit.log", "--heads", "heads"]).await, &["is all missing"]);
}

/// SR39: a run after a crash is whole although the crash left half a line.
#[tokio::test]
async fn half_a_line_of_a_crash_is_no_finding() {
    let log = AuditLog::new();
    log.run("audit.log").await;
    let text = log.lines("audit.log").join("\n");
    std::fs::write(log.path("audit.log"), &text[..text.len() / 2]).expect("a log");
    log.run("audit.log").await;
    assert_right(&log.verify(&["audit.log"]).await, &["half a record, as a crash leaves it", "its end is unproven"]);
}

#[tokio::test]
async fn a_missing_file_or_key_is_said() {
    let log = AuditLog::new();
    let ended = log.verify(&["no-such.log"]).await;
    assert_eq!(ended.code, Some(64), "{ended:?}");
    assert!(ended.stderr.contains("no-such.log cannot be read"), "{ended:?}");
    let ended = Process::gateway(&["audit", "verify", text(&log.path("key"))]).ended().await;
    assert_eq!(ended.code, Some(64), "{ended:?}");
    assert!(ended.stderr.contains("--key-file"), "{ended:?}");
}

#[tokio::test]
async fn a_new_audit_key_can_be_used() {
    let log = AuditLog::new();
    let made = Process::gateway(&["keys", "new", "audit"]).ended().await;
    let key = made.stdout.split('"').nth(1).expect("a key").to_owned();
    std::fs::write(log.path("audit.log"), "").expect("a log");
    let log = log.path("audit.log");
    let variables = [("CIBA_GATEWAY_AUDIT__KEY", key.as_str())];
    let ended = Process::gateway_with(&["audit", "verify", text(&log)], &variables).ended().await;
    assert_right(&ended, &["0 records of 0 runs"]);
}
