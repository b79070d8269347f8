//! Tests from outside: real sockets, real servers, whole stories.
#![expect(clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

mod demo;
mod operators;
mod outages;
mod redis_outages;
mod redis_privacy;
mod redis_writes;
mod store_contract;
mod support;
mod three_processes;
