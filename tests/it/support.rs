//! What the stories are told with.

pub(crate) mod eventually;
pub(crate) mod redis_server;
pub(crate) mod reservations;
pub(crate) mod stores;
