//! What the stories are told with.

pub(crate) mod eventually;
pub(crate) mod lying_provider;
pub(crate) mod redis_server;
pub(crate) mod reservations;
pub(crate) mod signer;
pub(crate) mod stores;
