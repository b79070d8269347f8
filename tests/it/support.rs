//! What the stories are told with.

pub(crate) mod caller;
pub(crate) mod client;
pub(crate) mod cluster;
pub(crate) mod configuration;
pub(crate) mod dice;
pub(crate) mod eventually;
pub(crate) mod fake_provider;
pub(crate) mod flaky_store;
pub(crate) mod gateway;
pub(crate) mod http;
pub(crate) mod lying_provider;
pub(crate) mod processes;
pub(crate) mod provider_line;
pub(crate) mod proxy;
pub(crate) mod recorder;
pub(crate) mod redis_dump;
pub(crate) mod redis_server;
pub(crate) mod redis_tls;
pub(crate) mod reservations;
pub(crate) mod secrets;
pub(crate) mod sentinels;
pub(crate) mod signer;
pub(crate) mod simulators;
pub(crate) mod stage;
pub(crate) mod stores;
pub(crate) mod tools;
