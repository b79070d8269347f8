//! Helpers that tests share.

pub mod lying_provider;
pub mod signer;
