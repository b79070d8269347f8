//! A whole gateway in this process, and who calls it.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;

use ciba_gateway::config::{ApiKey, Config};
use ciba_gateway::gateway::{self, Listeners};
use ciba_gateway::grpc::v1::login_service_client::LoginServiceClient;
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tonic::Request;
use tonic::metadata::{Ascii, MetadataValue};
use tonic::transport::Channel;

/// What the configuration of one tenant with one client says; lines of TOML where
/// nothing else is said.
pub(crate) struct Setup<'a> {
    /// All sections before the tenant's.
    pub(crate) sections: String,
    /// Further lines at the tenant.
    pub(crate) tenant: String,
    pub(crate) issuer: &'a str,
    pub(crate) client_id: &'a str,
    pub(crate) client_secret: &'a str,
    /// Id and channels of the tenant's client.
    pub(crate) client: &'a str,
    /// What the client shows.
    pub(crate) key: &'a ApiKey,
}

impl Setup<'_> {
    pub(crate) fn configuration(&self) -> Config {
        let Self { sections, tenant, issuer, client_id, client_secret, client, key } = self;
        let text = format!(
            r#"
            {sections}
            [[tenants]]
            id = "acme"
            default_country = "NO"
            default_claims = ["name", "phone_number"]
            {tenant}
            [tenants.provider]
            issuer = "{issuer}"
            client_id = "{client_id}"
            client_secret = "{client_secret}"
            allow_insecure_hosts = true
            [[tenants.clients]]
            {client}
            api_keys = [{{ sha256 = "{hash}" }}]
            "#,
            hash = key.hash(),
        );
        Config::parse(&text, Path::new("bench"), std::iter::empty()).unwrap_or_else(|mistakes| panic!("{mistakes}"))
    }
}

/// Serves until `stop`; where the API is. `public` where the configuration says so.
pub(crate) async fn serve(
    config: Config,
    public: Option<TcpListener>,
    stop: &CancellationToken,
    servers: &mut JoinSet<()>,
) -> SocketAddr {
    let listeners = Listeners { grpc: local_port().await, http: local_port().await, public };
    let address = listeners.grpc.local_addr().expect("an address");
    let gateway = gateway::run(config, listeners, stop.clone().cancelled_owned());
    servers.spawn(async move { gateway.await.expect("a gateway that serves") });
    address
}

pub(crate) async fn local_port() -> TcpListener {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a free port")
}

/// The client of the tenant, on one connection.
pub(crate) struct Caller {
    pub(crate) client: LoginServiceClient<Channel>,
    authorization: MetadataValue<Ascii>,
}

impl Caller {
    pub(crate) async fn of(server: SocketAddr, key: &ApiKey) -> Self {
        let client = LoginServiceClient::connect(format!("http://{server}")).await.expect("a connection");
        Self { client, authorization: format!("Bearer {}", key.expose()).parse().expect("metadata") }
    }

    /// With the key.
    pub(crate) fn request<T>(&self, message: T) -> Request<T> {
        let mut request = Request::new(message);
        request.metadata_mut().insert("authorization", self.authorization.clone());
        request
    }
}
