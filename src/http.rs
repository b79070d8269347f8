//! The HTTP listeners: one for operations, one for the world.
//!
//! The first serves liveness, readiness and metrics. It is meant for the orchestrator
//! and the metrics collector, not for callers, reads no body, and knows nothing about
//! any login. `gateway` serves [`router`] by [`serve`]; whoever learns something about
//! the process's health tells [`Readiness`]. The second is [`public`].

pub mod landing;
pub mod public;
mod readiness;
mod serving;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use http::StatusCode;
use http::header::{CACHE_CONTROL, CONTENT_TYPE};

pub use readiness::{Checks, Readiness};
use serving::{Serving, TlsCell};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::telemetry::Metrics;

/// A balancer's or two, the orchestrator's, a collector's. Further ones are closed at
/// once.
const MAX_CONNECTIONS: usize = 256;

const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// `/livez`, `/readyz` and `/metrics`.
pub fn router(readiness: Readiness, metrics: Arc<Metrics>) -> Router {
    Router::new()
        .route("/livez", get(async || "ok\n"))
        .route("/readyz", get(ready).with_state(readiness))
        .route("/metrics", get(page).with_state(metrics))
}

/// Serves operators' tools, which are few, ask little and may be anybody who can
/// connect, until told to stop; answers under way are finished. Connections have tasks
/// of their own, among `tasks`.
pub async fn serve(listener: TcpListener, router: Router, tasks: TaskTracker, stop: CancellationToken) {
    let serving = Serving { name: "operations", max_connections: MAX_CONNECTIONS, tls: TlsCell::default() };
    serving.run(listener, router, tasks, stop).await;
}

async fn ready(State(readiness): State<Readiness>) -> Response {
    let checks = readiness.checks();
    let status = if checks.is_ready() { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (status, [(CACHE_CONTROL, "no-store")], axum::Json(checks.report())).into_response()
}

async fn page(State(metrics): State<Arc<Metrics>>) -> Response {
    match metrics.encode() {
        Ok(page) => ([(CONTENT_TYPE, OPEN_METRICS)], page).into_response(),
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}
