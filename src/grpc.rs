//! The gRPC front: proto to domain and back, caller credentials, and the one
//! table from errors to statuses.
//!
//! Generated code stays in here. Knows `logins` and nothing behind it.
//! Called by `lib::run`, which hands in bound listeners.

mod agent_text;
mod caller;
mod grant;
mod listener;
mod request;
mod response;
mod server;
mod service;
mod shield;
mod status;

pub use caller::{Authorities, Callers, Enrolment, TokenClients};
pub use grant::Enrolled;
pub use listener::{TlsError, TlsIdentity};
pub use server::Front;
pub use service::{LoginApi, ShopQrApi};
pub use shield::Shield;

/// The generated messages, client and server of package `ciba_gateway.v1`.
pub mod v1 {
    #![expect(
        missing_docs,
        clippy::allow_attributes,
        clippy::allow_attributes_without_reason,
        clippy::large_enum_variant,
        reason = "generated; the comments are in the proto file"
    )]
    tonic::include_proto!("ciba_gateway.v1");

    /// The descriptors of the API, for reflection.
    pub const FILE_DESCRIPTOR_SET: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/ciba_gateway.v1.bin"));
}
