//! What fuzzers try to break: for each target a function that takes any bytes and
//! panics when something does not hold.
//!
//! The fuzzers in `fuzz/` call them with bytes that they think of, and
//! [`crate::corpus`] with those that are kept. Each input says by its first bytes
//! what it is, so that seeds can be written by hand.

pub(crate) mod answers;
pub(crate) mod bodies;
pub(crate) mod calls;
pub(crate) mod configurations;
pub(crate) mod cursors;
pub(crate) mod discoveries;
pub(crate) mod id_tokens;
pub(crate) mod identities;
pub(crate) mod names;

/// Panics when something does not hold; says whether the input, or a part of it,
/// was believed.
type Judge = fn(&[u8]) -> bool;

/// What the fuzzer and the folder of its corpus are called, and what they call.
pub(crate) const TARGETS: [(&str, Judge); 8] = [
    ("answers", answers::judge),
    ("calls", calls::judge),
    ("configurations", configurations::judge),
    ("cursors", cursors::judge),
    ("discoveries", discoveries::judge),
    ("id_tokens", id_tokens::judge),
    ("identities", identities::judge),
    ("names", names::judge),
];
