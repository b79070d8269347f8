//! Serving HTTP/1.1 to whoever can connect.
//!
//! An own loop, because axum's has no bound on connections, on the time that a
//! request's head takes, or on how long somebody may not read. What is served, and
//! whether a body is read, is the router's business: a connection whose request has a
//! body that nobody reads ends with the answer.

use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{debug, warn};

use crate::grpc::TlsIdentity;

/// For the head of a request, and between two of them.
const HEAD_LIMIT: Duration = Duration::from_secs(10);
const MAX_HEADER_LINES: usize = 64;
const BUFFER_BYTES: usize = 16 * 1024;
/// For everything on one connection, so that no slow reader keeps his place.
const MAX_AGE: Duration = Duration::from_secs(120);
/// For the answer under way after that.
const GRACE: Duration = Duration::from_secs(5);
const AFTER_ACCEPT_ERROR: Duration = Duration::from_millis(100);

/// A port and how it is served. Cheap to clone; all clones are one.
#[derive(Clone)]
pub(super) struct Serving {
    /// What the log calls it.
    pub(super) name: &'static str,
    /// Further connections are closed at once.
    pub(super) max_connections: usize,
    pub(super) tls: TlsCell,
}

/// The certificate of a port that has TLS; may be replaced while it is served.
#[derive(Clone, Default)]
pub(super) struct TlsCell(Arc<RwLock<Option<TlsIdentity>>>);

impl TlsCell {
    /// Whoever connects from now on is served with this certificate.
    pub(super) fn set(&self, identity: Option<TlsIdentity>) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = identity;
    }

    fn get(&self) -> Option<TlsIdentity> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Serving {
    /// Serves whoever connects, until told to stop; answers under way are finished.
    /// Connections have tasks of their own, among `tasks`.
    pub(super) async fn run(self, listener: TcpListener, router: Router, tasks: TaskTracker, stop: CancellationToken) {
        let Self { name, max_connections, tls } = self;
        let places = Arc::new(Semaphore::new(max_connections));
        while let Some(accepted) = stop.run_until_cancelled(listener.accept()).await {
            let stream = match accepted {
                Ok((stream, _)) => stream,
                Err(error) => {
                    warn!(listener = name, %error, "a connection cannot be accepted");
                    tokio::time::sleep(AFTER_ACCEPT_ERROR).await;
                    continue;
                }
            };
            let Ok(place) = Arc::clone(&places).try_acquire_owned() else { continue };
            let (router, stop, identity) = (router.clone(), stop.clone(), tls.get());
            tasks.spawn(async move {
                welcome(stream, identity, name, router, stop).await;
                drop(place);
            });
        }
    }
}

/// A slow handshake holds nobody else up, but takes a place.
async fn welcome(
    stream: TcpStream,
    identity: Option<TlsIdentity>,
    name: &'static str,
    router: Router,
    stop: CancellationToken,
) {
    match identity {
        None => attend(stream, name, router, stop).await,
        Some(identity) => {
            if let Some(Some(stream)) = stop.run_until_cancelled(identity.secure(stream)).await {
                attend(stream, name, router, stop).await;
            }
        }
    }
}

async fn attend(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    name: &'static str,
    router: Router,
    stop: CancellationToken,
) {
    let mut builder = http1::Builder::new();
    builder
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_LIMIT)
        .max_headers(MAX_HEADER_LINES)
        .max_buf_size(BUFFER_BYTES);
    let mut serving = std::pin::pin!(builder.serve_connection(TokioIo::new(stream), TowerToHyperService::new(router)));
    tokio::select! {
        biased;
        ended = &mut serving => {
            if let Err(error) = ended {
                debug!(listener = name, %error, "a connection broke");
            }
            return;
        }
        () = stop.cancelled() => {}
        () = tokio::time::sleep(MAX_AGE) => {}
    }
    serving.as_mut().graceful_shutdown();
    if tokio::time::timeout(GRACE, serving).await.is_err() {
        debug!(listener = name, "a connection was cut");
    }
}

#[cfg(test)]
mod tests;
