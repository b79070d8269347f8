//! What is found in a log that is not as it was written.

use proptest::prelude::*;

use super::super::verify::{Finding, Note, Problem};
use super::*;

/// Began, four records, closed.
async fn six_lines() -> Vec<String> {
    written([What::StartAsked, What::PushAccepted, What::IdentityRead, What::Erased].map(entry)).await
}

/// Line and problem of each finding.
fn found(report: &Report) -> Vec<(u64, Problem)> {
    let line = |finding: &Finding| finding.place.as_ref().map_or(0, |place| place.line);
    report.findings.iter().map(|finding| (line(finding), finding.problem.clone())).collect()
}

#[tokio::test]
async fn a_log_as_it_was_written_has_no_findings() {
    let report = verify(&six_lines().await);
    assert_eq!(report, Report { records: 6, runs: 1, findings: vec![], notes: vec![] });
}

/// SR39: delete a line: verify fails.
#[tokio::test]
async fn a_deleted_line_is_found_and_named() {
    let mut lines = six_lines().await;
    let run = of(&lines[0], "run");
    lines.drain(2..4);
    let report = verify(&lines);
    assert_eq!(found(&report), [(3, Problem::Missing { first: 3, last: 4 })]);
    assert_eq!(
        report.findings[0].to_string(),
        format!("audit.log:3: run {run}, number 5 comes too early: numbers 3 to 4 are missing before it")
    );
}

/// SR39: a changed record is found, and only that one.
#[tokio::test]
async fn a_changed_record_is_found_and_named() {
    for (from, to) in [("push_accepted", "start_refused"), ("\"seq\":3", "\"seq\":9"), ("+47…78", "+47…79")] {
        let mut lines = six_lines().await;
        lines[2] = lines[2].replace(from, to);
        assert_eq!(found(&verify(&lines))[0], (3, Problem::Changed), "{from}");
    }
    let mut lines = six_lines().await;
    lines[2] = lines[2].replace("anna", "bert");
    assert_eq!(found(&verify(&lines)), [(3, Problem::Changed)]);
}

#[tokio::test]
async fn two_swapped_lines_are_found() {
    let mut lines = six_lines().await;
    lines.swap(2, 3);
    let expected = [(3, Problem::Missing { first: 3, last: 3 }), (4, Problem::OutOfOrder { after: 4 })];
    assert_eq!(found(&verify(&lines)), expected);
}

#[tokio::test]
async fn a_repeated_line_and_one_after_the_end_are_found() {
    let mut lines = six_lines().await;
    lines.insert(3, lines[2].clone());
    assert_eq!(found(&verify(&lines)), [(4, Problem::OutOfOrder { after: 3 })]);
    let mut lines = six_lines().await;
    lines.push("{\"v\":1".to_owned());
    assert_eq!(found(&verify(&lines)), [(7, Problem::Unreadable)]);
}

/// SR39: a missing head of a run is found, unless the operator says that older
/// files are gone.
#[tokio::test]
async fn a_missing_beginning_is_found() {
    let lines = six_lines().await.split_off(2);
    assert_eq!(found(&verify(&lines)), [(1, Problem::Missing { first: 1, last: 2 })]);
    let mut verifier = Verifier::new(Zeroizing::new(KEY), true);
    lines.iter().enumerate().for_each(|(number, line)| verifier.line(place(number + 1), line.as_bytes()));
    let report = verifier.finish();
    assert_eq!(report.findings, []);
    assert!(matches!(report.notes.as_slice(), [Note::BeginningNotGiven { first: 3, .. }]), "{report:?}");
}

/// SR39: a missing tail is detectable: by any later record that was kept.
#[tokio::test]
async fn a_missing_tail_is_unproven_without_heads_and_found_with_them() {
    let lines = six_lines().await;
    let cut = &lines[..3];
    let report = verify(cut);
    assert_eq!(report.findings, []);
    assert!(matches!(report.notes.as_slice(), [Note::EndUnproven { last: 3, kept: None, .. }]), "{report:?}");
    let report = verify_with(&lines[4..5], cut);
    assert_eq!(found(&report), [(3, Problem::EndMissing { first: 4, last: 5 })]);
    assert_eq!(found(&verify_with(&lines[2..3], cut)), []);
    assert_eq!(found(&verify_with(&lines[2..3], &[])), [(0, Problem::RunMissing)]);
}

#[tokio::test]
async fn a_head_that_is_not_genuine_is_said_to_be_that() {
    let lines = six_lines().await;
    let head = lines[3].replace("anna", "bert");
    assert_eq!(found(&verify_with(&[head], &lines)), [(1, Problem::HeadChanged)]);
    assert_eq!(found(&verify_with(&["hello".to_owned()], &lines)), [(1, Problem::Unreadable)]);
}

/// SR39: half a line is no finding where a crash explains it, and one elsewhere.
#[tokio::test]
async fn half_a_line_is_excused_before_a_new_run_and_at_the_end_only() {
    let (one, two) = (six_lines().await, six_lines().await);
    let torn = [one[3].split_at(60).0.to_owned()];
    let report = verify(&[&one[..3], &torn[..], &two[..]].concat());
    assert_eq!(report.findings, []);
    assert_eq!(report.notes[0], Note::Torn(place(4)));
    assert_eq!(verify(&[&one[..3], &torn[..]].concat()).findings, []);
    let within = verify(&[&one[..3], &torn[..], &one[4..]].concat());
    assert_eq!(found(&within), [(4, Problem::Unreadable), (5, Problem::Missing { first: 4, last: 4 })]);
}

#[tokio::test]
async fn two_runs_may_take_turns() {
    let (one, two) = (six_lines().await, six_lines().await);
    let lines: Vec<_> = one.into_iter().zip(two).flat_map(|(one, two)| [one, two]).collect();
    let report = verify(&lines);
    assert_eq!((report.findings, report.notes, report.runs), (vec![], vec![], 2));
}

#[tokio::test]
async fn another_key_fits_nothing() {
    let lines = six_lines().await;
    let mut verifier = Verifier::new(Zeroizing::new([6; 32]), false);
    lines.iter().enumerate().for_each(|(number, line)| verifier.line(place(number + 1), line.as_bytes()));
    assert_eq!(verifier.finish().findings.len(), 6);
}

/// SR39: whichever byte of a closed run is changed, it is found. A last line that
/// cannot be read any more looks like a crash: then the end is said to be unproven.
#[test]
fn no_byte_can_be_changed_unseen() {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let lines = runtime.block_on(six_lines());
    proptest!(|(line in 0..6_usize, at in any::<prop::sample::Index>(), byte in any::<u8>())| {
        let mut bytes = lines[line].clone().into_bytes();
        let at = at.index(bytes.len());
        prop_assume!(bytes[at] != byte && byte != b'\n');
        bytes[at] = byte;
        let mut verifier = Verifier::new(Zeroizing::new(KEY), false);
        for (number, genuine) in lines.iter().enumerate() {
            verifier.line(place(number + 1), if number == line { &bytes } else { genuine.as_bytes() });
        }
        let report = verifier.finish();
        let is_unproven = report.notes.iter().any(|note| matches!(note, Note::EndUnproven { .. }));
        prop_assert!(!report.findings.is_empty() || (line == 5 && is_unproven), "{report:?}");
    });
}
