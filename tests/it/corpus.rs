//! Everything that the fuzzers have kept, once more.

use std::fs;
use std::path::{Path, PathBuf};

use crate::fuzzed::TARGETS;

/// Of all corpora together.
const MAX_BYTES: u64 = 500_000;

fn fuzz() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz")
}

/// The inputs that are kept for a target, by name.
fn inputs(target: &str) -> Vec<PathBuf> {
    let folder = fuzz().join("corpus").join(target);
    let entries = fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let mut inputs: Vec<_> = entries.map(|entry| entry.expect("an entry").path()).collect();
    inputs.sort();
    inputs
}

fn replay(target: &str) {
    let (_, judge) = TARGETS.iter().find(|(name, _)| *name == target).expect("a target");
    let inputs = inputs(target);
    let believed = inputs.iter().filter(|input| {
        // Shown when it fails.
        println!("{}", input.display());
        judge(&fs::read(input).expect("an input"))
    });
    // Otherwise nothing behind the first check is ever reached.
    let believed = believed.count();
    assert!((1..inputs.len()).contains(&believed), "{believed} of {} are believed", inputs.len());
}

#[test]
fn answers() {
    replay("answers");
}

#[test]
fn calls() {
    replay("calls");
}

#[test]
fn configurations() {
    replay("configurations");
}

#[test]
fn cursors() {
    replay("cursors");
}

#[test]
fn discoveries() {
    replay("discoveries");
}

#[test]
fn id_tokens() {
    replay("id_tokens");
}

#[test]
fn identities() {
    replay("identities");
}

#[test]
fn names() {
    replay("names");
}

/// What is fuzzed is replayed, and what is replayed can be fuzzed.
#[test]
fn each_target_has_a_fuzzer_and_a_corpus() {
    let manifest = fs::read_to_string(fuzz().join("Cargo.toml")).expect("a manifest");
    let fuzzers: Vec<_> =
        manifest.split("[[bin]]\nname = \"").skip(1).map(|rest| rest.split('"').next().expect("a name")).collect();
    assert_eq!(fuzzers, TARGETS.map(|(name, _)| name));
    let source = include_str!("corpus.rs");
    for (target, _) in TARGETS {
        assert!(source.contains(&format!("replay(\"{target}\");")), "{target} is not replayed");
        let text = fs::read_to_string(fuzz().join("targets").join(format!("{target}.rs"))).expect("a fuzzer");
        assert!(text.contains(&format!("\"{target}\"")), "{text}");
    }
    let sizes = TARGETS.iter().flat_map(|(target, _)| inputs(target)).map(|input| input.metadata().expect("one").len());
    let total: u64 = sizes.sum();
    assert!(total < MAX_BYTES, "{total} bytes; minimise them");
}
