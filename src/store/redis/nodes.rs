//! The nodes of Redis: one server, the master that Sentinels name, or a cluster.
//!
//! Here a connection is made, and nothing else: [`super::link`] keeps it and
//! decides when another one is needed. Sentinels are asked each time, because
//! whoever needs another connection may need another master.

use std::future::Future;
use std::io;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use ::redis::aio::MultiplexedConnection;
use ::redis::cluster::ClusterClient;
use ::redis::cluster_async::ClusterConnection;
use ::redis::cluster_routing::{MultipleNodeRoutingInfo, RoutingInfo};
use ::redis::sentinel::{SentinelClientBuilder, SentinelServerType};
use ::redis::{
    AsyncConnectionConfig, Client, Cmd, ConnectionAddr, FromRedisValue, IntoConnectionInfo, RedisError, RedisResult,
    TlsCertificates, TlsMode, Value, from_redis_value,
};
use secrecy::ExposeSecret;

use super::settings::{Access, Place, Settings};

/// Asking several nodes in turn for where to connect takes this many times
/// `connect_timeout` at most.
const STEPS: u32 = 3;
/// A command to a cluster is sent again this often when it met the wrong node or
/// one that was going away. Scripts may be repeated; see their heads.
const CLUSTER_RETRIES: u32 = 3;
/// Between those, in milliseconds.
const CLUSTER_RETRY_WAIT: std::ops::RangeInclusive<u64> = 20..=200;

/// See the module.
pub(super) struct Nodes {
    shape: Shape,
    connect_timeout: Duration,
    response_timeout: Duration,
}

enum Shape {
    One(Client),
    Master(Sentinels),
    Cluster { client: Box<ClusterClient>, seeds: Vec<Client>, next: AtomicUsize },
}

struct Sentinels {
    master: String,
    addresses: Vec<ConnectionAddr>,
    access: Access,
    nodes: Access,
    tls: Option<TlsCertificates>,
}

/// An open connection; clones share it.
#[derive(Clone)]
pub(super) enum Connection {
    One(MultiplexedConnection),
    Cluster(ClusterConnection),
}

impl Nodes {
    /// Looks at the settings only; connects to nothing.
    pub(super) fn new(settings: &Settings) -> RedisResult<Self> {
        let Settings { place, access, ca_pem, connect_timeout, response_timeout, .. } = settings;
        let tls = tls(ca_pem.as_deref());
        let shape = match place {
            Place::Standalone { url } => Shape::One(client(url.expose_secret(), access, &tls)?),
            Place::Sentinel { master, urls, access: at_sentinels } => Shape::Master(Sentinels {
                master: master.clone(),
                addresses: urls.iter().map(|url| address(url)).collect::<RedisResult<_>>()?,
                access: at_sentinels.clone(),
                nodes: access.clone(),
                tls: Some(tls),
            }),
            Place::Cluster { urls } => Shape::Cluster {
                client: Box::new(cluster(urls, access, &tls, *connect_timeout, *response_timeout)?),
                seeds: urls.iter().map(|url| client(url, access, &tls)).collect::<RedisResult<_>>()?,
                next: AtomicUsize::new(0),
            },
        };
        Ok(Self { shape, connect_timeout: *connect_timeout, response_timeout: *response_timeout })
    }

    /// Whether different keys may be on different nodes.
    pub(super) const fn are_a_cluster(&self) -> bool {
        matches!(self.shape, Shape::Cluster { .. })
    }

    /// A new connection to where data is written, on which an answer may take
    /// `patience` longer than usual.
    pub(super) async fn connect(&self, patience: Duration) -> RedisResult<Connection> {
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(self.connect_timeout))
            .set_response_timeout(Some(self.response_timeout + patience));
        let open = async |client: &Client| client.get_multiplexed_async_connection_with_config(&config).await;
        let connected = async {
            match &self.shape {
                Shape::One(client) => open(client).await.map(Connection::One),
                Shape::Master(sentinels) => open(&sentinels.ask().await?).await.map(Connection::One),
                Shape::Cluster { client, .. } => client.get_async_connection().await.map(Connection::Cluster),
            }
        };
        within(self.connect_timeout * STEPS, connected).await
    }

    /// A node that hears what is published: the master, or any one of a cluster,
    /// each time another.
    pub(super) async fn listening_post(&self) -> RedisResult<Client> {
        match &self.shape {
            Shape::One(client) => Ok(client.clone()),
            Shape::Master(sentinels) => within(self.connect_timeout * STEPS, sentinels.ask()).await,
            Shape::Cluster { seeds, next, .. } => Ok(seeds[next.fetch_add(1, Ordering::Relaxed) % seeds.len()].clone()),
        }
    }
}

impl Sentinels {
    /// The master that a Sentinel names and that takes itself for one.
    async fn ask(&self) -> RedisResult<Client> {
        let mut asking =
            SentinelClientBuilder::new(self.addresses.iter().cloned(), &self.master, SentinelServerType::Master)?;
        if self.addresses.iter().any(|address| matches!(address, ConnectionAddr::TcpTls { .. })) {
            asking =
                asking.set_client_to_redis_tls_mode(TlsMode::Secure).set_client_to_sentinel_tls_mode(TlsMode::Secure);
            if let Some(tls) = &self.tls {
                asking = asking
                    .set_client_to_redis_certificates(tls.clone())
                    .set_client_to_sentinel_certificates(tls.clone());
            }
        }
        if let Some(username) = &self.access.username {
            asking = asking.set_client_to_sentinel_username(username);
        }
        if let Some(password) = &self.access.password {
            asking = asking.set_client_to_sentinel_password(password.expose_secret());
        }
        if let Some(username) = &self.nodes.username {
            asking = asking.set_client_to_redis_username(username);
        }
        if let Some(password) = &self.nodes.password {
            asking = asking.set_client_to_redis_password(password.expose_secret());
        }
        asking.build()?.async_get_client().await
    }
}

impl Connection {
    /// Sends one command, to the node that has its keys.
    pub(super) async fn query<T: FromRedisValue>(&mut self, command: &Cmd) -> RedisResult<T> {
        match self {
            Self::One(connection) => command.query_async(connection).await,
            Self::Cluster(connection) => command.query_async(connection).await,
        }
    }

    /// Sends one command to every node where data is written, and gives each
    /// node's name with its answer. A single node has no name.
    pub(super) async fn query_masters<T: FromRedisValue>(&mut self, command: &Cmd) -> RedisResult<Vec<(String, T)>> {
        match self {
            Self::One(connection) => Ok(vec![(String::new(), command.query_async(connection).await?)]),
            Self::Cluster(connection) => {
                let everywhere = RoutingInfo::MultiNode((MultipleNodeRoutingInfo::AllMasters, None));
                let answers = connection.route_command(command.clone(), everywhere).await?;
                let answers: Vec<(String, Value)> = from_redis_value(answers)?;
                answers.into_iter().map(|(node, answer)| Ok((node, from_redis_value(answer)?))).collect()
            }
        }
    }
}

async fn within<T>(limit: Duration, answer: impl Future<Output = RedisResult<T>>) -> RedisResult<T> {
    let late = |_| RedisError::from(io::Error::from(io::ErrorKind::TimedOut));
    tokio::time::timeout(limit, answer).await.map_err(late)?
}

fn tls(ca_pem: Option<&str>) -> TlsCertificates {
    TlsCertificates { client_tls: None, root_cert: ca_pem.map(|pem| pem.as_bytes().to_vec()) }
}

fn address(url: &str) -> RedisResult<ConnectionAddr> {
    Ok(url.into_connection_info()?.addr().clone())
}

fn client(url: &str, access: &Access, tls: &TlsCertificates) -> RedisResult<Client> {
    let info = url.into_connection_info()?;
    let mut settings = info.redis_settings().clone();
    if let Some(username) = &access.username {
        settings = settings.set_username(username);
    }
    if let Some(password) = &access.password {
        settings = settings.set_password(password.expose_secret());
    }
    let info = info.set_redis_settings(settings);
    match info.addr() {
        ConnectionAddr::TcpTls { .. } => Client::build_with_tls(info, tls.clone()),
        _ => Client::open(info),
    }
}

fn cluster(
    urls: &[String],
    access: &Access,
    tls: &TlsCertificates,
    connect_timeout: Duration,
    response_timeout: Duration,
) -> RedisResult<ClusterClient> {
    let mut builder = ClusterClient::builder(urls.iter().map(String::as_str))
        .connection_timeout(connect_timeout)
        .response_timeout(response_timeout)
        // Otherwise one answer that is late leaves no time to ask again.
        .overall_response_timeout(Some(response_timeout * 2))
        .retries(CLUSTER_RETRIES)
        .min_retry_wait(*CLUSTER_RETRY_WAIT.start())
        .max_retry_wait(*CLUSTER_RETRY_WAIT.end());
    // Certificates alone turn TLS on.
    if urls.iter().any(|url| url.starts_with("rediss:")) {
        builder = builder.certs(tls.clone());
    }
    if let Some(username) = &access.username {
        builder = builder.username(username);
    }
    if let Some(password) = &access.password {
        builder = builder.password(password.expose_secret());
    }
    builder.build()
}
