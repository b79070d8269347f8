//! The targets of the tests, for the fuzzers.
//!
//! What they judge and how is in `tests/it/fuzzed`; this crate adds libFuzzer.
//! How to run them is in `docs/security.md`.

#[path = "../../tests/it"]
mod it {
    pub(crate) mod fuzzed;

    #[expect(dead_code, reason = "most of it is for the stories of the tests")]
    pub(crate) mod support {
        pub(crate) mod client;
        pub(crate) mod dice;
        pub(crate) mod fake_provider;
        pub(crate) mod flaky_store;
        pub(crate) mod lying_provider;
        pub(crate) mod provider_line;
        pub(crate) mod signer;
        pub(crate) mod stage;
    }
}

use it::support;

/// Hands what the fuzzer has thought of to the target of that name.
///
/// # Panics
/// When something does not hold; that is what the fuzzer is after.
pub fn judge(target: &str, data: &[u8]) {
    let found = it::fuzzed::TARGETS.iter().find(|(name, _)| *name == target);
    let (_, judge) = found.expect("the name of a target");
    // Both are well; the tests count them.
    let _: bool = judge(data);
}
