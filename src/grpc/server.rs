//! Serving gRPC on accepted connections, and ending them well.
//!
//! An own loop, because tonic's ends all connections at the same age, cuts
//! watchers when it does, and waits without a bound for open streams at the
//! end. Here each connection has an age of its own, around the one that is
//! wanted; at that age, and when the process stops, the peer is told to go
//! elsewhere (GOAWAY), whoever serves a stream on it is told too, and only what
//! goes on all the same is cut. What is served is not known here. Called by
//! `gateway`.

use std::future::Future;
use std::io;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use http::Request;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tonic::service::Routes;
use tower::ServiceExt;
use tracing::{debug, warn};

use super::caller::Peer;
use super::listener::{TlsError, TlsIdentity, accept};
use crate::config::Grpc;
use crate::telemetry::Metrics;

/// Until a connection has said that it speaks HTTP.
const SILENCE_LIMIT: Duration = Duration::from_secs(10);
/// What an HTTP/2 connection begins with.
const PREFACE_BYTES: usize = 24;
/// How far the ages of connections lie apart, as a part of the wanted age, in
/// each direction.
const JITTER: f64 = 0.1;
/// Metadata of one call, altogether.
const MAX_HEADER_BYTES: u32 = 16 * 1024;
/// How often the log says that connections are turned away.
const REFUSALS_SAID: Duration = Duration::from_secs(60);

/// Told when the connection that a request came on is about to end; in the
/// request's extensions.
#[derive(Clone, Default)]
pub(super) struct Leaving(pub(super) CancellationToken);

/// See the module. Cheap to clone; all clones are one.
#[derive(Clone)]
pub struct Front(Arc<Shared>);

struct Shared {
    routes: Routes,
    builder: Builder<Tracked>,
    settings: Grpc,
    tls: Option<TlsIdentity>,
    places: Arc<Semaphore>,
    metrics: Arc<Metrics>,
    tasks: TaskTracker,
    /// No further connections and no further calls.
    stop: CancellationToken,
    /// Whoever serves a stream has been told to end it.
    dismissed: CancellationToken,
}

impl Front {
    /// A front that serves `routes`; its tasks are among `tasks`. After `stop` it
    /// takes nothing new; after `dismissed` it cuts what goes on for longer than
    /// the grace.
    ///
    /// # Errors
    /// When the certificate cannot be used.
    pub fn new(
        routes: Routes,
        settings: &Grpc,
        metrics: Arc<Metrics>,
        tasks: &TaskTracker,
        stop: CancellationToken,
        dismissed: CancellationToken,
    ) -> Result<Self, TlsError> {
        let mut builder = Builder::new(Tracked(tasks.clone()));
        builder
            .http2()
            .timer(TokioTimer::new())
            .max_concurrent_streams(settings.max_concurrent_streams)
            .keep_alive_interval(settings.keepalive_interval)
            .keep_alive_timeout(settings.keepalive_timeout)
            .max_header_list_size(MAX_HEADER_BYTES);
        builder.http1().timer(TokioTimer::new()).header_read_timeout(SILENCE_LIMIT);
        let places = usize::try_from(settings.max_connections).unwrap_or(Semaphore::MAX_PERMITS);
        Ok(Self(Arc::new(Shared {
            routes,
            builder,
            settings: settings.clone(),
            tls: settings.tls.as_ref().map(TlsIdentity::from_config).transpose()?,
            places: Arc::new(Semaphore::new(places)),
            metrics,
            tasks: tasks.clone(),
            stop,
            dismissed,
        })))
    }

    /// Serves whoever connects, until told to stop. Connections that there are then
    /// have tasks of their own.
    pub async fn serve(self, listener: TcpListener) {
        let mut said: Option<Instant> = None;
        while let Some(stream) = self.0.stop.run_until_cancelled(accept(&listener)).await {
            if let Ok(place) = Arc::clone(&self.0.places).try_acquire_owned() {
                self.0.tasks.spawn(self.clone().welcome(stream, place));
                continue;
            }
            self.0.metrics.connection_refused();
            if said.is_none_or(|at| at.elapsed() >= REFUSALS_SAID) {
                warn!(max_connections = self.0.settings.max_connections, "no more connections are taken");
                said = Some(Instant::now());
            }
        }
    }

    /// A slow handshake holds nobody else up, but takes a place.
    async fn welcome(self, stream: TcpStream, place: OwnedSemaphorePermit) {
        let _open = self.0.metrics.connection_opened();
        match &self.0.tls {
            None => self.attend(stream, None).await,
            Some(identity) => {
                if let Some(Some((stream, peer))) = self.0.stop.run_until_cancelled(identity.handshake(stream)).await {
                    self.attend(stream, peer).await;
                }
            }
        }
        drop(place);
    }

    /// `peer` is in the extensions of every request.
    async fn attend(&self, connection: impl AsyncRead + AsyncWrite + Unpin + Send + 'static, peer: Option<Peer>) {
        let Shared { routes, builder, settings, stop, dismissed, .. } = &*self.0;
        let (leaving, heard) = (Leaving::default(), Arc::new(AtomicUsize::new(0)));
        let told = leaving.clone();
        let service = routes.clone().map_request(move |mut request: Request<hyper::body::Incoming>| {
            request.extensions_mut().insert(told.clone());
            if let Some(peer) = &peer {
                request.extensions_mut().insert(peer.clone());
            }
            request
        });
        let connection = TokioIo::new(Heard { connection, heard: Arc::clone(&heard) });
        let mut serving = pin!(builder.serve_connection(connection, TowerToHyperService::new(service)));
        tokio::select! {
            biased;
            ended = &mut serving => return note(ended),
            () = stop.cancelled() => {}
            () = silence(&heard) => return debug!("a connection stayed silent"),
            () = age(settings.max_connection_age) => {}
        }
        serving.as_mut().graceful_shutdown();
        let told = async {
            if stop.is_cancelled() {
                dismissed.cancelled().await;
            } else {
                leaving.0.cancel();
            }
            tokio::time::sleep(settings.max_connection_age_grace).await;
        };
        tokio::select! {
            ended = &mut serving => note(ended),
            () = told => debug!("a connection was cut after its grace"),
        }
    }
}

/// Waits until a peer has said too little for too long; for ever when it speaks.
async fn silence(heard: &AtomicUsize) {
    tokio::time::sleep(SILENCE_LIMIT).await;
    if heard.load(Ordering::Relaxed) >= PREFACE_BYTES {
        std::future::pending::<()>().await;
    }
}

fn note(ended: Result<(), Box<dyn std::error::Error + Send + Sync>>) {
    if let Err(error) = ended {
        debug!(%error, "a connection broke");
    }
}

/// Waits until a connection of that age has to go; for ever when it is zero.
async fn age(wanted: Duration) {
    if wanted.is_zero() {
        std::future::pending::<()>().await;
    }
    let mut byte = [128_u8];
    // Without a random source all are of the same age.
    let _ = getrandom::fill(&mut byte);
    let spread = f64::from(byte[0]) / 127.5 - 1.0;
    tokio::time::sleep(wanted.mul_f64(1.0 + JITTER * spread)).await;
}

/// Runs what hyper spawns among the process's tasks.
#[derive(Clone)]
struct Tracked(TaskTracker);

impl<F> hyper::rt::Executor<F> for Tracked
where
    F: Future<Output: Send + 'static> + Send + 'static,
{
    fn execute(&self, future: F) {
        self.0.spawn(future);
    }
}

/// A connection that counts what its peer has said.
struct Heard<C> {
    connection: C,
    heard: Arc<AtomicUsize>,
}

impl<C: AsyncRead + Unpin> AsyncRead for Heard<C> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let read = Pin::new(&mut self.connection).poll_read(cx, buf);
        self.heard.fetch_add(buf.filled().len() - before, Ordering::Relaxed);
        read
    }
}

impl<C: AsyncWrite + Unpin> AsyncWrite for Heard<C> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.connection).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.connection).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.connection).poll_shutdown(cx)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.connection).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.connection.is_write_vectored()
    }
}

#[cfg(test)]
mod tests;
