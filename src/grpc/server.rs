//! Serving gRPC on accepted connections, and ending them well.
//!
//! An own loop, because tonic's ends all connections at the same age, cuts
//! watchers when it does, and waits without a bound for open streams at the
//! end. Here each connection has an age of its own, around the one that is
//! wanted; at that age, and when the process stops, the peer is told to go
//! elsewhere (GOAWAY), whoever serves a stream on it is told too, and only what
//! goes on all the same is cut. What is served is not known here; connections
//! come from [`super::listener`].

use std::future::Future;
use std::io;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use futures_util::{Stream, StreamExt};
use http::Request;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tonic::service::Routes;
use tower::ServiceExt;
use tracing::{debug, warn};

use crate::config::Grpc;

/// For the first byte of a connection.
const SILENCE_LIMIT: Duration = Duration::from_secs(10);
/// How far the ages of connections lie apart, as a part of the wanted age, in
/// each direction.
const JITTER: f64 = 0.1;
/// Metadata of one call, altogether.
const MAX_HEADER_BYTES: u32 = 16 * 1024;

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
    places: Arc<Semaphore>,
    tasks: TaskTracker,
}

impl Front {
    /// A front that serves `routes`; its tasks are among `tasks`.
    #[must_use]
    pub fn new(routes: Routes, settings: &Grpc, tasks: &TaskTracker) -> Self {
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
        Self(Arc::new(Shared {
            routes,
            builder,
            settings: settings.clone(),
            places: Arc::new(Semaphore::new(places)),
            tasks: tasks.clone(),
        }))
    }

    /// Serves `connections` until there are no more; those that there are go on
    /// until they end, after `stop` without further calls.
    pub async fn serve<C>(self, connections: impl Stream<Item = io::Result<C>>, stop: CancellationToken)
    where
        C: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let mut connections = pin!(connections);
        let mut is_full = false;
        while let Some(connection) = connections.next().await {
            let Ok(connection) = connection else { continue };
            let Ok(place) = Arc::clone(&self.0.places).try_acquire_owned() else {
                if !std::mem::replace(&mut is_full, true) {
                    warn!(max_connections = self.0.settings.max_connections, "no more connections are taken");
                }
                continue;
            };
            is_full = false;
            let (front, stop) = (self.clone(), stop.clone());
            self.0.tasks.spawn(async move {
                front.attend(connection, stop).await;
                drop(place);
            });
        }
    }

    async fn attend(&self, connection: impl AsyncRead + AsyncWrite + Unpin + Send + 'static, stop: CancellationToken) {
        let Shared { routes, builder, settings, .. } = &*self.0;
        let (leaving, heard) = (Leaving::default(), Arc::new(AtomicBool::new(false)));
        let told = leaving.clone();
        let service = routes.clone().map_request(move |mut request: Request<hyper::body::Incoming>| {
            request.extensions_mut().insert(told.clone());
            request
        });
        let connection = TokioIo::new(Heard { connection, heard: Arc::clone(&heard) });
        let mut serving = pin!(builder.serve_connection(connection, TowerToHyperService::new(service)));
        let silence = async {
            tokio::time::sleep(SILENCE_LIMIT).await;
            if heard.load(Ordering::Relaxed) {
                std::future::pending::<()>().await;
            }
        };
        tokio::select! {
            biased;
            ended = &mut serving => return note(ended),
            () = stop.cancelled() => {}
            () = silence => return debug!("a connection stayed silent"),
            () = age(settings.max_connection_age) => leaving.0.cancel(),
        }
        serving.as_mut().graceful_shutdown();
        if !leaving.0.is_cancelled() {
            // The process stops: others see to the streams, and to the bound.
            return note(serving.await);
        }
        match tokio::time::timeout(settings.max_connection_age_grace, &mut serving).await {
            Ok(ended) => note(ended),
            Err(_) => debug!("a connection was cut after its age and its grace"),
        }
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

/// A connection that notes when its peer has said something.
struct Heard<C> {
    connection: C,
    heard: Arc<AtomicBool>,
}

impl<C: AsyncRead + Unpin> AsyncRead for Heard<C> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let read = Pin::new(&mut self.connection).poll_read(cx, buf);
        if buf.filled().len() > before {
            self.heard.store(true, Ordering::Relaxed);
        }
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
