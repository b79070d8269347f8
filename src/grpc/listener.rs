//! Accepting connections, in the clear or with TLS.
//!
//! An own acceptor, because tonic's bounds neither the handshake nor spins
//! less than a whole core when descriptors run out. What is served on the
//! connections is not known here; [`super::server`] knows.

use std::sync::Arc;
use std::time::Duration;

use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::VerifierBuilderError;
use secrecy::ExposeSecret;
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;
use tracing::{debug, warn};

use super::caller::{Peer, handshake_verifier};
use crate::config::Tls;

const HANDSHAKE_LIMIT: Duration = Duration::from_secs(10);
const AFTER_ACCEPT_ERROR: Duration = Duration::from_millis(100);

/// Why the server's certificate, or those that clients' come from, cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A PEM text holds nothing of the kind.
    #[error("the {what} cannot be read: {source}")]
    Pem {
        /// `certificate`, `key` or `client authority`.
        what: &'static str,
        /// What the reader said.
        source: rustls::pki_types::pem::Error,
    },
    /// Certificate and key do not fit together, or are of a kind not supported.
    #[error("certificate and key cannot be used: {0}")]
    Pair(#[source] rustls::Error),
    /// What stands among the authorities for clients' certificates is none.
    #[error("a client authority cannot be used: {0}")]
    Authority(#[source] rustls::Error),
    /// No authorities for clients' certificates.
    #[error("the client authorities cannot be used: {0}")]
    Authorities(#[from] VerifierBuilderError),
}

/// The server's certificate chain and key, and what it asks of clients.
#[derive(Clone)]
pub struct TlsIdentity(TlsAcceptor);

impl TlsIdentity {
    /// Takes the configured PEM texts: the chain, the server's own certificate
    /// first, and its key; and who may sign what clients show.
    ///
    /// # Errors
    /// Says which of them cannot be used, and why.
    pub fn from_config(settings: &Tls) -> Result<Self, TlsError> {
        Self::speaking(b"h2", settings)
    }

    /// As [`TlsIdentity::from_config`], for a listener that speaks HTTP/1.1.
    ///
    /// # Errors
    /// Says which of them cannot be used, and why.
    pub fn for_http1(settings: &Tls) -> Result<Self, TlsError> {
        Self::speaking(b"http/1.1", settings)
    }

    fn speaking(protocol: &[u8], settings: &Tls) -> Result<Self, TlsError> {
        let chain = CertificateDer::pem_slice_iter(settings.certificates.pem().as_bytes())
            .collect::<Result<Vec<_>, _>>()
            .map_err(|source| TlsError::Pem { what: "certificate", source })?;
        let key = PrivateKeyDer::from_pem_slice(settings.key.expose_secret().as_bytes())
            .map_err(|source| TlsError::Pem { what: "key", source })?;
        let config = match &settings.clients {
            None => ServerConfig::builder().with_no_client_auth(),
            Some(clients) => ServerConfig::builder().with_client_cert_verifier(handshake_verifier(clients)?),
        };
        let mut config = config.with_single_cert(chain, key).map_err(TlsError::Pair)?;
        config.alpn_protocols = vec![protocol.to_vec()];
        Ok(Self(TlsAcceptor::from(Arc::new(config))))
    }

    /// The connection once it is secure, and the peer's certificate if it has shown
    /// one; `None` when the peer does not manage in time.
    pub(super) async fn handshake(&self, stream: TcpStream) -> Option<(TlsStream<TcpStream>, Option<Peer>)> {
        let stream = self.secure(stream).await?;
        let Some(chain) = stream.get_ref().1.peer_certificates() else { return Some((stream, None)) };
        let peer = Peer::read(chain);
        if peer.is_none() {
            debug!("a client's certificate cannot be read");
        }
        peer.map(|peer| (stream, Some(peer)))
    }

    /// The connection once it is secure; `None` when the peer does not manage in time.
    pub(crate) async fn secure(&self, stream: TcpStream) -> Option<TlsStream<TcpStream>> {
        match tokio::time::timeout(HANDSHAKE_LIMIT, self.0.accept(stream)).await {
            Ok(Ok(stream)) => Some(stream),
            Ok(Err(error)) => {
                debug!(%error, "a TLS handshake failed");
                None
            }
            Err(_) => {
                debug!("a TLS handshake took too long");
                None
            }
        }
    }
}

/// The next connection; goes on trying while none can be had.
pub(super) async fn accept(listener: &TcpListener) -> TcpStream {
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
