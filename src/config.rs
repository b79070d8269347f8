//! What an operator decides: one TOML file, environment variables, secret files.
//!
//! [`Config::load`] reads all of them and gives either a configuration in which
//! everything has been checked, in the types of the domain, or every mistake
//! there is, each with its place. It opens no connection and watches nothing;
//! reading again is how changes are seen, and [`Config::succeeded_by`] says which
//! of them hold without a restart. The command line calls it and hands the parts
//! on; nobody else reads a file or the environment.
//!
//! `docs/configuration.md` describes every setting and
//! `deploy/ciba-gateway.toml` is an example.

mod api_key;
mod block_list;
mod certificate_name;
mod client;
mod environment;
mod files;
mod fraud_webhook;
mod guard;
mod limits;
mod load;
mod mistakes;
mod provider;
mod public;
mod purpose;
mod running;
mod secrets;
mod section;
mod service;
mod setting;
mod store;
mod tenant;
#[cfg(test)]
mod tests;
mod tokens;
mod tree;
mod webhook;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use ipnet::IpNet;
use secrecy::SecretString;
use serde::Deserialize;
use url::Url;

pub use api_key::{ApiKey, ApiKeyHash, ClientKey};
pub use certificate_name::CertificateName;
pub use client::{AgentRule, CallGroup, Client};
pub use environment::{FILE_VARIABLE, variables};
pub use files::Files;
pub use fraud_webhook::FraudWebhook;
pub use guard::{CommonGuard, Guard, OwnGuard};
pub use limits::Limits;
pub use mistakes::{Mistake, Mistakes, Place};
use provider::ProfileName;
pub use provider::{
    ClientAuthentication, Keys as ProviderKeys, LoginHint, Profile, Provider, SigningAlgorithm, Systems,
};
pub use running::Succession;
pub use secrets::{Certificates, SecretKey};
pub use tenant::Tenant;
pub use tokens::{TokenAlgorithm, TokenKeys, Tokens};
pub use webhook::{Webhook, WebhookSecret};

use load::IdentityWindow;

use crate::logins::BlockList;

/// The whole configuration, checked.
#[derive(Clone, Debug)]
pub struct Config {
    /// The gRPC listener.
    pub grpc: Grpc,
    /// The listener for health and metrics.
    pub http: Http,
    /// The listener that the world reaches; `None` for that there is none.
    pub public: Option<Public>,
    /// Where logins are kept.
    pub store: Store,
    /// How long an identity can be read after its login ended.
    pub identity_window: Duration,
    /// How the process stops.
    pub drain: Drain,
    /// What is logged and how.
    pub log: Log,
    /// How much may be started.
    pub guard: CommonGuard,
    /// What this process takes on at once.
    pub limits: Limits,
    /// Who did what, for those who ask later; `None` for no record of it.
    pub audit: Option<Audit>,
    /// Who and what is shut out.
    pub block_list: BlockList,
    /// Who uses the gateway; at least one, ids differ.
    pub tenants: Vec<Tenant>,
}

/// `[grpc]`
#[derive(Clone, Debug)]
pub struct Grpc {
    /// Where to listen; loopback when there is no TLS, unless the operator says
    /// that a proxy stands in front.
    pub listen: SocketAddr,
    /// `None`: without TLS.
    pub tls: Option<Tls>,
    /// Whether the API describes itself to whoever asks.
    pub reflection: bool,
    /// The proxies in front, where one does TLS.
    pub proxies: Proxies,
    /// How many calls one connection may have open.
    pub max_concurrent_streams: u32,
    /// How many connections there may be; further ones are closed.
    pub max_connections: u32,
    /// How old a connection gets, more or less; zero for any age.
    pub max_connection_age: Duration,
    /// How long after that a connection may finish what it has begun.
    pub max_connection_age_grace: Duration,
    /// How often a quiet connection is pinged.
    pub keepalive_interval: Duration,
    /// How long it may take to answer.
    pub keepalive_timeout: Duration,
}

/// `grpc.trusted_proxies` and `grpc.proxy_header`
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Proxies {
    /// Whose word for the caller's address counts; none unless a proxy does TLS.
    pub trusted: Vec<IpNet>,
    /// Where they write it.
    pub header: ProxyHeader,
}

/// `grpc.proxy_header`: where a proxy writes whom it speaks for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ProxyHeader {
    /// `x-forwarded-for`
    #[default]
    XForwardedFor,
    /// `forwarded` (RFC 7239)
    Forwarded,
}

/// `[grpc.tls]`
#[derive(Clone, Debug)]
pub struct Tls {
    /// The server's certificate and the chain above it.
    pub certificates: Certificates,
    /// Its private key, as PEM.
    pub key: SecretString,
    /// `None`: clients are not asked for certificates.
    pub clients: Option<ClientCertificates>,
}

/// `grpc.tls.client_ca_file` and what goes with it.
#[derive(Clone, Debug)]
pub struct ClientCertificates {
    /// Whether a connection needs a certificate.
    pub policy: CertificatePolicy,
    /// Who signs the certificates of clients whose tenant has no authorities of
    /// its own.
    pub authorities: Certificates,
    /// Those, and all that tenants have: a connection may show a certificate of
    /// any of them.
    pub accepted: Certificates,
}

/// `grpc.tls.client_certificates`
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CertificatePolicy {
    /// A client shows one, or an API key, or both.
    #[default]
    Optional,
    /// Nobody connects without.
    Required,
}

/// `[http]`
#[derive(Clone, Debug)]
pub struct Http {
    /// Where to listen.
    pub listen: SocketAddr,
}

/// `[public]`
#[derive(Clone, Debug)]
pub struct Public {
    /// Where to listen; loopback when there is no TLS, unless the operator says that a
    /// proxy stands in front.
    pub listen: SocketAddr,
    /// Where the world reaches it.
    pub base_url: BaseUrl,
    /// `None`: without TLS. Clients are not asked for certificates.
    pub tls: Option<Tls>,
}

/// `public.base_url`: https unless a test allows http, no user, query and fragment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BaseUrl(Url);

/// `[store]`
#[derive(Clone, Debug)]
pub enum Store {
    /// In this process; everything is gone when it ends.
    Memory,
    /// Shared by all replicas.
    Redis(Box<Redis>),
}

/// `[store]` of kind `redis`, with `[keys]`.
#[derive(Clone, Debug)]
pub struct Redis {
    /// Where it is.
    pub place: RedisPlace,
    /// Who we are at the nodes that hold data; in the place of what a URL says.
    pub access: RedisAccess,
    /// Trusted instead of the public certificate authorities.
    pub ca_certificates: Option<Certificates>,
    /// How long connecting may take.
    pub connect_timeout: Duration,
    /// How long a reply may take.
    pub response_timeout: Duration,
    /// For how long nothing is started after the store was found empty or rolled back.
    pub settle_time: Duration,
    /// How many replicas must have a start or an end of a login; 0 in a cluster.
    pub wait_replicas: u32,
    /// How long they may take.
    pub wait_timeout: Duration,
    /// What records are sealed and numbers are hashed with.
    pub keys: Keys,
}

/// The shapes that Redis comes in.
#[derive(Clone, Debug)]
pub enum RedisPlace {
    /// `store.url`; holds the password.
    Standalone(SecretString),
    /// `[store.sentinel]`
    Sentinel {
        /// What the Sentinels call the master.
        master: String,
        /// The Sentinels; at least one, all with TLS or none.
        urls: Vec<String>,
        /// Who we are there.
        access: RedisAccess,
    },
    /// `[store.cluster]`: some nodes; at least one, all with TLS or none.
    Cluster(Vec<String>),
}

/// A user of Redis; the default user when there is no name.
#[derive(Clone, Debug, Default)]
pub struct RedisAccess {
    /// The user's name.
    pub username: Option<String>,
    /// The user's password.
    pub password: Option<SecretString>,
}

/// `[keys]`
#[derive(Clone, Debug)]
pub struct Keys {
    /// Hashes phone numbers and whatever else is looked up without being kept.
    pub hash_key: SecretKey,
    /// Under what else numbers and request ids are found, while one key replaces the
    /// other; not the same.
    pub other_hash_key: Option<SecretKey>,
    /// The name of the key that seals; one of `seal_keys`.
    pub active_seal_key: String,
    /// All keys that open, by the name that each sealed record carries.
    pub seal_keys: BTreeMap<String, SecretKey>,
}

/// `[drain]`
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Drain {
    /// From "not ready" to no longer accepting.
    pub notice: Duration,
    /// For everything, `notice` included.
    pub limit: Duration,
}

/// `[log]`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Log {
    /// For people or for machines.
    pub format: LogFormat,
    /// Levels by module; checked to be that.
    pub filter: String,
}

/// How log lines are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object for each line.
    Json,
}

/// `[audit]`: at least one of `file` and `stdout`.
#[derive(Clone, Debug)]
pub struct Audit {
    /// The file that lines are appended to.
    pub file: Option<PathBuf>,
    /// Whether they go to standard output too.
    pub stdout: bool,
    /// What lines are sealed and their numbers hashed with.
    pub key: SecretKey,
    /// What happens while they cannot be written.
    pub when_full: WhenFull,
}

/// What happens while the audit log cannot be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum WhenFull {
    /// No login is started; those that live go on.
    RefuseStarts,
    /// Everything goes on; what finds no room is lost, and counted.
    GoOn,
}
