//! Serving gRPC on accepted connections, and ending them well.
//!
//! An own loop, because tonic's ends all connections at the same age, cuts
//! watchers when it does, and waits without a bound for open streams at the
//! end. Here each connection has an age of its own, around the one that is
//! wanted; at that age, and when the process stops, the peer is told to go
//! elsewhere (GOAWAY), whoever serves a stream on it is told too, and only what
//! goes on all the same is cut. What is served is not known here. Called by
//! `gateway`.

mod bounds;
mod line;

use std::future::Future;
use std::net::IpAddr;
use std::pin::pin;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use bounds::{MAX_ABANDONED, SILENCE_LIMIT, within_bounds};
use http::Request;
use http_body_util::BodyExt;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use hyper_util::server::conn::auto::Builder;
use line::{Heard, Line};
use tokio::io::{AsyncRead, AsyncWrite};
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

/// How far the ages of connections lie apart, as a part of the wanted age, in
/// each direction.
const JITTER: f64 = 0.1;
/// How often the log says that connections are turned away.
const REFUSALS_SAID: Duration = Duration::from_secs(60);

/// Told when the connection that a request came on is about to end; in the
/// request's extensions.
#[derive(Clone, Default)]
pub(super) struct Leaving(pub(super) CancellationToken);

/// The other end of the connection that a request came on; in its extensions.
#[derive(Clone, Copy)]
pub(super) struct Address(pub(super) IpAddr);

/// Told when the process is about to stop; in the request's extensions too.
#[derive(Clone, Default)]
pub(super) struct Stopping(pub(super) CancellationToken);

/// See the module. Cheap to clone; all clones are one.
#[derive(Clone)]
pub struct Front(Arc<Shared>);

struct Shared {
    routes: Routes,
    builder: Builder<Tracked>,
    settings: Grpc,
    /// May be replaced; connections that there are stay as they are.
    tls: RwLock<Option<TlsIdentity>>,
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
        let places = usize::try_from(settings.max_connections).unwrap_or(Semaphore::MAX_PERMITS);
        Ok(Self(Arc::new(Shared {
            routes,
            builder: within_bounds(Tracked(tasks.clone()), settings),
            settings: settings.clone(),
            tls: RwLock::new(settings.tls.as_ref().map(TlsIdentity::from_config).transpose()?),
            places: Arc::new(Semaphore::new(places)),
            metrics,
            tasks: tasks.clone(),
            stop,
            dismissed,
        })))
    }

    /// Whoever connects from now on is served with this certificate, and asked for
    /// what its issuers want.
    pub(crate) fn renew_tls(&self, identity: Option<TlsIdentity>) {
        *self.0.tls.write().unwrap_or_else(PoisonError::into_inner) = identity;
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
        let address = stream.peer_addr().ok().map(|address| Address(address.ip()));
        let identity = self.0.tls.read().unwrap_or_else(PoisonError::into_inner).clone();
        match identity {
            None => self.attend(stream, None, address).await,
            Some(identity) => {
                if let Some(Some((stream, peer))) = self.0.stop.run_until_cancelled(identity.handshake(stream)).await {
                    self.attend(stream, peer, address).await;
                }
            }
        }
        drop(place);
    }

    /// `peer` and `address` are in the extensions of every request.
    async fn attend(
        &self,
        connection: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
        peer: Option<Peer>,
        address: Option<Address>,
    ) {
        let Shared { routes, builder, settings, metrics, stop, dismissed, .. } = &*self.0;
        let (leaving, heard) = (Leaving::default(), Arc::<Heard>::default());
        let (told, tally, routes) = (leaving.clone(), Arc::<Tally>::default(), routes.clone());
        let (counted, stopping) = (Arc::clone(&tally), Stopping(stop.clone()));
        let service = service_fn(move |mut request: Request<hyper::body::Incoming>| {
            request.extensions_mut().insert(told.clone());
            request.extensions_mut().insert(stopping.clone());
            if let Some(peer) = &peer {
                request.extensions_mut().insert(peer.clone());
            }
            if let Some(address) = address {
                request.extensions_mut().insert(address);
            }
            let asked = Asked { tally: Arc::clone(&counted), is_answered: false, broke: Arc::default() };
            let broke = Arc::clone(&asked.broke);
            let noted = move |error| {
                broke.store(true, Ordering::Relaxed);
                error
            };
            let answer = routes.clone().oneshot(request.map(|body| body.map_err(noted)));
            async move { answer.await.inspect(|_| asked.answered()) }
        });
        let connection = TokioIo::new(Line::new(connection, Arc::clone(&heard)));
        let mut serving = pin!(builder.serve_connection(connection, service));
        tokio::select! {
            biased;
            ended = &mut serving => {
                if heard.is_flood() {
                    metrics.connection_cut("flood");
                }
                return note(ended);
            }
            () = stop.cancelled() => {}
            () = tally.is_abuse.cancelled() => return metrics.connection_cut("calls_given_up"),
            () = silence(&heard) => return metrics.connection_cut("silence"),
            () = age(settings.max_connection_age) => {}
        }
        serving.as_mut().graceful_shutdown();
        let told = async {
            if stop.is_cancelled() {
                dismissed.cancelled().await;
            }
            leaving.0.cancel();
            tokio::time::sleep(settings.max_connection_age_grace).await;
        };
        tokio::select! {
            ended = &mut serving => note(ended),
            () = tally.is_abuse.cancelled() => metrics.connection_cut("calls_given_up"),
            () = told => debug!("a connection was cut after its grace"),
        }
    }
}

/// Waits until a peer has said too little for too long; for ever when it speaks.
async fn silence(heard: &Heard) {
    tokio::time::sleep(SILENCE_LIMIT).await;
    if heard.has_begun() {
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

/// What a peer has made of its calls.
#[derive(Default)]
struct Tally {
    /// Calls that were given up, less those that were answered.
    abandoned: AtomicU32,
    /// There are too many of them.
    is_abuse: CancellationToken,
}

impl Tally {
    fn answered(&self) {
        let less = |count: u32| count.checked_sub(1);
        // Nothing to change when there is none.
        let _ = self.abandoned.fetch_update(Ordering::Relaxed, Ordering::Relaxed, less);
    }

    fn abandoned(&self) {
        if self.abandoned.fetch_add(1, Ordering::Relaxed) >= MAX_ABANDONED {
            self.is_abuse.cancel();
        }
    }
}

/// A call until it is answered. It was given up if it is dropped before, or if its
/// message broke off, which is answered too.
struct Asked {
    tally: Arc<Tally>,
    is_answered: bool,
    broke: Arc<AtomicBool>,
}

impl Asked {
    fn answered(mut self) {
        self.is_answered = true;
    }
}

impl Drop for Asked {
    fn drop(&mut self) {
        if self.is_answered && !self.broke.load(Ordering::Relaxed) {
            self.tally.answered();
        } else {
            self.tally.abandoned();
        }
    }
}

#[cfg(test)]
mod tests;
