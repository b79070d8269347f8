//! Tests from outside: real sockets, real servers, whole stories.
#![expect(
    clippy::expect_used,
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking, and so does a helper that cannot help"
)]

mod access;
mod answers;
mod assurance;
mod audit;
mod bad_input;
mod block_list;
mod busy;
mod checks;
mod client_certificates;
mod clocks;
mod codes;
mod connections;
mod consents;
mod corpus;
mod cursors;
mod demo;
mod documents;
mod edge;
mod ends;
mod fraud;
mod fraud_signals;
mod fuzzed;
mod go_live;
mod hash_keys;
mod hostile;
mod interleavings;
mod kill_switch;
mod kills;
mod languages;
mod limits;
mod lists;
mod log_lines;
mod magic_numbers;
mod national_ids;
mod networks;
mod openid_provider;
mod operators;
mod outages;
mod overload;
mod panics;
mod partners;
mod permissions;
mod pings;
mod polling;
mod provider;
mod public_listener;
mod purposes;
mod python_client;
mod quiet_hours;
mod recoveries;
mod redis_cluster;
mod redis_full;
mod redis_losses;
mod redis_network;
mod redis_outages;
mod redis_privacy;
mod redis_replicas;
mod redis_sentinel;
mod redis_tls;
mod redis_user;
mod redis_wait;
mod redis_writes;
mod reload;
mod replicas;
mod seal_keys;
mod secrets;
mod start;
mod stopping;
mod store_contract;
mod support;
mod three_processes;
mod tls_reload;
mod token_rules;
mod tokens;
mod transfers;
mod transport;
mod two_versions;
mod vipps_test_environment;
mod watch;
mod webhooks;
