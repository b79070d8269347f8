//! Accepting connections, in the clear or with TLS.
//!
//! An own acceptor, because tonic's bounds neither the handshake nor spins
//! less than a whole core when descriptors run out. What is served on the
//! connections is not known here.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use futures_util::Stream;
use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use secrecy::ExposeSecret;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;
use tokio_stream::wrappers::ReceiverStream;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{debug, warn};

use crate::config::Tls;

const HANDSHAKE_LIMIT: Duration = Duration::from_secs(10);
const AFTER_ACCEPT_ERROR: Duration = Duration::from_millis(100);
/// Accepted connections that the server has not taken yet.
const BACKLOG: usize = 64;

/// Why the server's certificate cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A PEM text holds nothing of the kind.
    #[error("the {what} cannot be read: {source}")]
    Pem {
        /// `certificate` or `key`.
        what: &'static str,
        /// What the reader said.
        source: rustls::pki_types::pem::Error,
    },
    /// Certificate and key do not fit together, or are of a kind not supported.
    #[error("certificate and key cannot be used: {0}")]
    Pair(#[from] rustls::Error),
}

/// The server's certificate chain and key.
#[derive(Clone)]
pub struct TlsIdentity(Arc<ServerConfig>);

impl TlsIdentity {
    /// Takes the configured PEM texts: the chain, the server's own certificate
    /// first, and its key.
    ///
    /// # Errors
    /// Says which of them cannot be used, and why.
    pub fn from_config(settings: &Tls) -> Result<Self, TlsError> {
        let chain = CertificateDer::pem_slice_iter(settings.certificates.pem().as_bytes())
            .collect::<Result<Vec<_>, _>>()
            .map_err(|source| TlsError::Pem { what: "certificate", source })?;
        let key = PrivateKeyDer::from_pem_slice(settings.key.expose_secret().as_bytes())
            .map_err(|source| TlsError::Pem { what: "key", source })?;
        let mut config = ServerConfig::builder().with_no_client_auth().with_single_cert(chain, key)?;
        config.alpn_protocols = vec![b"h2".to_vec()];
        Ok(Self(Arc::new(config)))
    }
}

/// Connections as they come, until `stop`.
pub fn plain(
    listener: TcpListener,
    tasks: &TaskTracker,
    stop: CancellationToken,
) -> impl Stream<Item = io::Result<TcpStream>> + use<> {
    let (sender, receiver) = mpsc::channel(BACKLOG);
    tasks.spawn(
        stop.run_until_cancelled_owned(async move { while sender.send(Ok(accept(&listener).await)).await.is_ok() {} }),
    );
    ReceiverStream::new(receiver)
}

/// Connections whose TLS handshake is done, until `stop`. A slow handshake
/// holds nobody else up.
pub fn tls(
    listener: TcpListener,
    identity: TlsIdentity,
    tasks: &TaskTracker,
    stop: CancellationToken,
) -> impl Stream<Item = io::Result<TlsStream<TcpStream>>> + use<> {
    let (sender, receiver) = mpsc::channel(BACKLOG);
    let handshakes = tasks.clone();
    tasks.spawn(stop.clone().run_until_cancelled_owned(async move {
        let acceptor = TlsAcceptor::from(identity.0);
        while !sender.is_closed() {
            let stream = accept(&listener).await;
            let (acceptor, sender) = (acceptor.clone(), sender.clone());
            handshakes.spawn(stop.clone().run_until_cancelled_owned(async move {
                match tokio::time::timeout(HANDSHAKE_LIMIT, acceptor.accept(stream)).await {
                    // A closed server takes no connection; the peer sees it go.
                    Ok(Ok(stream)) => drop(sender.send(Ok(stream)).await),
                    Ok(Err(error)) => debug!(%error, "a TLS handshake failed"),
                    Err(_) => debug!("a TLS handshake took too long"),
                }
            }));
        }
    }));
    ReceiverStream::new(receiver)
}

async fn accept(listener: &TcpListener) -> TcpStream {
    loop {
        match listener.accept().await {
            Ok((stream, _)) => {
                // Small messages should not wait for each other.
                let _ = stream.set_nodelay(true);
                return stream;
            }
            Err(error) => {
                warn!(%error, "a connection cannot be accepted");
                tokio::time::sleep(AFTER_ACCEPT_ERROR).await;
            }
        }
    }
}
