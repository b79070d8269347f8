//! All integration tests, in one binary.
#![expect(clippy::unwrap_used, reason = "a helper that fails must fail its test")]
#![expect(unreachable_pub, reason = "in a binary, pub says that a helper is for every test")]

mod provider;
mod support;
