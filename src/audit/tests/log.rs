//! What is written, and what happens when it cannot be.

use super::*;
use crate::session::{FailureReason, PurposeId};

fn quick() -> Measures {
    Measures { heartbeat: Duration::from_millis(20), retry: Duration::from_millis(10), ..Measures::default() }
}

/// SR39: who, why, what, when and result are in the record; a line has this form.
#[tokio::test]
async fn a_record_says_who_why_what_when_and_with_which_result() {
    let by = entry(What::CodeTried { matched: false, tries_left: 2 });
    let by = by.clone().by(by.client.as_ref().unwrap(), Some(&AgentId::new("bert").unwrap()));
    let lines =
        written([by, entry(What::Ended { outcome: "failed", reason: Some(FailureReason::CodeMismatch), denials: 0 })])
            .await;
    let [began, tried, ended, closed] = lines.as_slice() else { panic!("{lines:#?}") };
    let expected = serde_json::json!({
        "v": 1, "run": of(began, "run"), "seq": 2, "time": "2026-11-26T22:00:00.123Z",
        "what": "code_tried", "matched": false, "tries_left": 2,
        "tenant": "nordlys", "login": "BwcHBwcHBwcHBwcHBwcHBwcHBwc", "client": "desk", "agent": "anna",
        "terminal": "seat-4", "call": "call-1", "channel": "call-centre", "call_direction": "inbound",
        "number": "+47…78", "number_hash": of(ended, "number_hash"), "by_client": "desk", "by_agent": "bert",
        "prev": of(began, "mac"), "mac": of(tried, "mac"),
    });
    assert_eq!(json(tried), expected);
    assert_eq!((of(ended, "outcome"), of(ended, "reason")), ("failed".to_owned(), "code_mismatch".to_owned()));
    assert_eq!((of(began, "what"), of(closed, "what")), ("began".to_owned(), "closed".to_owned()));
    assert_eq!(of(ended, "number_hash").len(), 22);
}

/// SR39, SR42: no form of the number is readable, not even where a telephone
/// system made a call's name out of it.
#[tokio::test]
async fn a_number_is_nowhere_readable() {
    let call = Some(CallId::new("4791234578-20261126@sip").unwrap());
    let terminal = Some(TerminalId::new("line-91234578").unwrap());
    let purpose = Some(PurposeId::new("for-4791234578").unwrap());
    let lines = written([Entry { call, terminal, purpose, ..entry(What::StartAsked) }]).await;
    let text = lines.concat();
    assert!(!text.contains("91234578"), "{text}");
    assert!(text.contains(r#""call":"…-20261126@sip""#), "{text}");
    assert!(text.contains(r#""purpose":"for-…""#), "{text}");
}

/// SR40: records of one number are found by its hash, in every run and in no
/// other tenant.
#[tokio::test]
async fn the_hash_of_a_number_is_the_same_in_every_run_and_another_for_every_tenant() {
    let other = Entry { tenant: TenantId::new("other").unwrap(), ..entry(What::StartAsked) };
    let one = written([entry(What::StartAsked), other]).await;
    let two = written([entry(What::Cancelled)]).await;
    assert_eq!(of(&one[1], "number_hash"), of(&two[1], "number_hash"));
    assert_ne!(of(&one[1], "number_hash"), of(&one[2], "number_hash"));
}

/// SR39: a heartbeat carries number and head of the chain.
#[tokio::test]
async fn a_quiet_run_goes_on_telling_how_far_it_has_come() {
    let log = Log::begin(&quick(), true);
    let lines = log.lines.until("heartbeat");
    let [began, heartbeat] = lines.as_slice() else { panic!("{lines:#?}") };
    assert_eq!((json(heartbeat)["seq"].as_u64(), of(heartbeat, "prev")), (Some(2), of(began, "mac")));
}

/// SR39: a full disk loses nothing; starts are refused until it is mended.
#[tokio::test]
async fn a_full_disk_refuses_starts_and_loses_nothing() {
    let log = Log::begin(&quick(), true);
    assert!(log.audit.is_healthy());
    log.disk.is_full(true);
    (0..300).for_each(|_| log.audit.note(entry(What::StartAsked)));
    log.becomes(Condition::Failing).await;
    assert!(log.audit.refuses_starts());
    assert!(log.metrics.encode().unwrap().contains("audit_failing 1"));
    log.disk.is_full(false);
    log.becomes(Condition::Good).await;
    assert!(log.audit.close().await);
    let lines = log.lines.until("closed");
    assert_eq!(lines.iter().filter(|line| of(line, "what") == "start_asked").count(), 300);
    assert_eq!(verify(&lines).findings, []);
}

/// SR39: where the operator wants to go on, the log says how much is missing.
#[tokio::test]
async fn what_finds_no_room_is_counted_and_told() {
    let measures = Measures { capacity: 10, retry: quick().retry, ..Measures::default() };
    let log = Log::begin(&measures, false);
    log.disk.is_full(true);
    log.audit.note(entry(What::StartAsked));
    log.becomes(Condition::Failing).await;
    (0..15).for_each(|_| log.audit.note(entry(What::Cancelled)));
    assert!(!log.audit.is_healthy());
    assert!(!log.audit.refuses_starts());
    log.disk.is_full(false);
    log.becomes(Condition::Good).await;
    log.audit.close().await;
    let lines = log.lines.until("closed");
    let noted = lines.iter().filter(|line| of(line, "what") == "cancelled").count();
    let lost: Vec<_> = lines.iter().filter_map(|line| json(line)["lost"].as_u64()).collect();
    assert_eq!((noted, lost), (10, vec![5]));
    assert_eq!(verify(&lines).findings, []);
    assert!(log.metrics.encode().unwrap().contains("audit_records_lost_total 5"));
}

/// SR39: refused starts leave the room that logins that live may need.
#[tokio::test]
async fn what_is_dispensable_takes_half_of_the_room_at_most() {
    let measures = Measures { capacity: 10, retry: quick().retry, ..Measures::default() };
    let log = Log::begin(&measures, true);
    log.disk.is_full(true);
    log.audit.note(entry(What::StartAsked));
    log.becomes(Condition::Failing).await;
    let refused = entry(What::StartRefused { reason: "AUDIT_UNAVAILABLE", limit: None });
    (0..20).for_each(|_| log.audit.note_if_roomy(refused.clone()));
    (0..4).for_each(|_| log.audit.note(entry(What::Cancelled)));
    log.disk.is_full(false);
    log.becomes(Condition::Good).await;
    log.audit.close().await;
    let lines = log.lines.until("closed");
    let noted = |what: &str| lines.iter().filter(|line| of(line, "what") == what).count();
    let lost: Vec<_> = lines.iter().filter_map(|line| json(line)["lost"].as_u64()).collect();
    assert_eq!((noted("start_refused"), noted("cancelled"), lost), (5, 4, vec![15]));
}

#[tokio::test]
async fn a_stop_does_not_wait_for_a_disk_that_stays_full() {
    let log = Log::begin(&quick(), true);
    log.disk.is_full(true);
    log.audit.note(entry(What::StartAsked));
    assert!(!log.audit.close().await);
}

#[tokio::test]
async fn a_run_that_nobody_closes_is_left_open() {
    let log = Log::begin(&Measures::default(), true);
    log.audit.note(entry(What::StartAsked));
    let mut condition = log.audit.log.as_ref().unwrap().shared.condition.subscribe();
    drop(log.audit);
    condition.wait_for(|now| matches!(now, Condition::Over { is_complete: true })).await.unwrap();
    let lines: Vec<_> = log.lines.0.try_iter().collect();
    assert_eq!(of(lines.last().unwrap(), "what"), "start_asked");
}

#[tokio::test]
async fn without_an_audit_log_nothing_is_refused() {
    let audit = Audit::off();
    audit.note(entry(What::StartAsked));
    assert!(audit.is_healthy() && !audit.refuses_starts() && audit.close().await);
}

/// A log in a file that is closed in good order.
async fn run_into(path: &std::path::Path, what: What) {
    let settings = Settings { file: Some(path.to_owned()), ..settings() };
    let audit = Audit::begin(&settings, Clock::telling(|| NOW), Arc::new(Metrics::new())).unwrap();
    audit.note(entry(what));
    assert!(audit.close().await);
}

fn lines_of(path: &std::path::Path) -> Vec<String> {
    std::fs::read_to_string(path).unwrap().lines().map(str::to_owned).collect()
}

/// SR39: a new run is appended; half a line of a run that crashed does not spoil
/// its first one.
#[tokio::test]
async fn a_restart_appends_a_new_chain_after_what_a_crash_left() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("audit.log");
    run_into(&path, What::StartAsked).await;
    let whole = std::fs::read_to_string(&path).unwrap();
    // Without the end of the second line and all that follows.
    let cut = whole.find('\n').unwrap() + 100;
    std::fs::write(&path, &whole[..cut]).unwrap();
    run_into(&path, What::Cancelled).await;
    let lines = lines_of(&path);
    assert_eq!(lines.len(), 5, "{lines:#?}");
    let report = verify(&lines);
    assert_eq!((report.findings, report.notes.len(), report.runs), (vec![], 2, 2));
}

/// SR39: rotation by renaming; the chain goes on in the new file.
#[tokio::test]
async fn a_file_that_is_moved_away_is_made_anew_and_the_chain_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    let (path, moved) = (folder.path().join("audit.log"), folder.path().join("audit.log.1"));
    let settings = Settings { file: Some(path.clone()), ..settings() };
    let audit = Audit::begin(&settings, Clock::telling(|| NOW), Arc::new(Metrics::new())).unwrap();
    std::fs::rename(&path, &moved).unwrap();
    audit.note(entry(What::StartAsked));
    assert!(audit.close().await);
    let (before, after) = (lines_of(&moved), lines_of(&path));
    assert_eq!((before.len(), after.len()), (1, 2));
    let report = verify(&[before, after].concat());
    assert_eq!((report.findings, report.notes), (vec![], vec![]));
}

/// SR39: a file that takes nothing is noticed before the first start.
#[tokio::test]
async fn a_device_that_is_full_is_noticed_at_once() {
    let settings = Settings { file: Some("/dev/full".into()), ..settings() };
    let audit = Audit::begin(&settings, Clock::telling(|| NOW), Arc::new(Metrics::new())).unwrap();
    assert!(!audit.is_healthy());
    assert!(audit.refuses_starts());
    assert!(!audit.close().await);
}
