//! Serving HTTP/1.1 to operators' tools, which are few, ask little and may be
//! anybody who can connect.
//!
//! An own loop, because axum's has no bound on connections, on the time that a
//! request's head takes, or on how long somebody may not read. No body is ever
//! read here: a connection whose request has one ends with the answer.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{debug, warn};

/// A balancer's or two, the orchestrator's, a collector's. Further ones are
/// closed at once.
const MAX_CONNECTIONS: usize = 256;
/// For the head of a request, and between two of them.
const HEAD_LIMIT: Duration = Duration::from_secs(10);
const MAX_HEADER_LINES: usize = 64;
const BUFFER_BYTES: usize = 16 * 1024;
/// For everything on one connection, so that no slow reader keeps his place.
const MAX_AGE: Duration = Duration::from_secs(120);
/// For the answer under way after that.
const GRACE: Duration = Duration::from_secs(5);
const AFTER_ACCEPT_ERROR: Duration = Duration::from_millis(100);

/// Serves whoever connects, until told to stop; answers under way are finished.
/// Connections have tasks of their own, among `tasks`.
pub async fn serve(listener: TcpListener, router: Router, tasks: TaskTracker, stop: CancellationToken) {
    let places = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    while let Some(accepted) = stop.run_until_cancelled(listener.accept()).await {
        let stream = match accepted {
            Ok((stream, _)) => stream,
            Err(error) => {
                warn!(%error, "a connection for health or metrics cannot be accepted");
                tokio::time::sleep(AFTER_ACCEPT_ERROR).await;
                continue;
            }
        };
        let Ok(place) = Arc::clone(&places).try_acquire_owned() else { continue };
        let (router, stop) = (router.clone(), stop.clone());
        tasks.spawn(async move {
            attend(stream, router, stop).await;
            drop(place);
        });
    }
}

async fn attend(stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static, router: Router, stop: CancellationToken) {
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
                debug!(%error, "a connection for health or metrics broke");
            }
            return;
        }
        () = stop.cancelled() => {}
        () = tokio::time::sleep(MAX_AGE) => {}
    }
    serving.as_mut().graceful_shutdown();
    if tokio::time::timeout(GRACE, serving).await.is_err() {
        debug!("a connection for health or metrics was cut");
    }
}

#[cfg(test)]
mod tests;
