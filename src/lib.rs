//! A gRPC gateway that logs a person in by phone number: the CIBA flow of
//! Vipps MobilePay Login behind an API for call centres, TV boxes and tills.
#![forbid(unsafe_code)]

pub mod ciba;
pub mod identity;
pub mod phone;
pub mod session;
pub mod store;
pub mod timestamp;
