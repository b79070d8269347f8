//! A gRPC gateway that logs a person in by phone number: the CIBA flow of
//! Vipps MobilePay Login behind an API for call centres, TV boxes and tills.
#![forbid(unsafe_code)]

pub mod ciba;
pub mod config;
pub mod http;
pub mod identity;
pub mod phone;
pub mod provider;
pub mod session;
pub mod simulator;
pub mod telemetry;
pub mod store;
pub mod timestamp;
