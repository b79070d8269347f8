//! What the stories are told with.

pub(crate) mod client;
pub(crate) mod eventually;
pub(crate) mod fake_provider;
pub(crate) mod flaky_store;
pub(crate) mod redis_server;
pub(crate) mod reservations;
pub(crate) mod stage;
pub(crate) mod stores;
