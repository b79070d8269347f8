//! Tests from outside: real sockets, real servers, whole stories.
#![expect(
    clippy::expect_used,
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking, and so does a helper that cannot help"
)]

mod provider;
mod redis_outages;
mod redis_privacy;
mod redis_replicas;
mod redis_writes;
mod store_contract;
mod support;
