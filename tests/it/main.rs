//! Tests from outside: real sockets, real servers, whole stories.
#![expect(clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

mod access;
mod bad_input;
mod codes;
mod ends;
mod lists;
mod outages;
mod polling;
mod redis_outages;
mod redis_privacy;
mod redis_writes;
mod start;
mod store_contract;
mod support;
mod watch;
