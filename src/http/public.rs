//! The listener that the world reaches: the provider's webhooks, and the pages that a
//! person's phone lands on.
//!
//! It may be reached by anybody, so everything has a bound: a request's head, body and
//! time, the connections, and the age of each. Who calls is not known here: whatever is
//! served proves it by itself. Routes are added by [`Public::with`], and by them alone
//! anything is served. Put together by `gateway`.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::HttpBody as _;
use axum::extract::{DefaultBodyLimit, MatchedPath, Request, State};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use http::header::{CACHE_CONTROL, CONTENT_LENGTH, X_CONTENT_TYPE_OPTIONS};
use http::{HeaderValue, StatusCode};

use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::serving::{Serving, TlsCell};
use crate::config::{self, BaseUrl};
use crate::grpc::{TlsError, TlsIdentity};
use crate::telemetry::Metrics;

/// The longest body that any route reads; a longer one is answered with 413.
pub const MAX_BODY: usize = 64 * 1024;
/// For a body and its answer together, below the 10 s that the provider waits for one.
/// What takes longer is answered with 408.
pub const REQUEST_LIMIT: Duration = Duration::from_secs(8);
/// Each may hold a head and a body. Further ones are closed at once.
const MAX_CONNECTIONS: usize = 512;

/// What is served to the world. Cheap to clone; all clones of one have one certificate.
#[derive(Clone)]
pub struct Public {
    base_url: BaseUrl,
    routes: Router,
    tls: TlsCell,
    metrics: Arc<Metrics>,
}

impl Public {
    /// A listener that serves nothing yet: everything is answered with 404.
    ///
    /// # Errors
    /// When the certificate cannot be used.
    pub fn new(settings: &config::Public, metrics: Arc<Metrics>) -> Result<Self, TlsError> {
        let tls = TlsCell::default();
        tls.set(settings.tls.as_ref().map(TlsIdentity::for_http1).transpose()?);
        Ok(Self { base_url: settings.base_url.clone(), routes: Router::new(), tls, metrics })
    }

    /// The same with these routes too, under the base URL's path. Their paths are labels
    /// of metrics: what differs from request to request belongs into braces. Handlers get
    /// a body of at most [`MAX_BODY`] and [`REQUEST_LIMIT`] for everything; the path that
    /// was asked for, prefix included, is `axum::extract::OriginalUri`.
    #[must_use]
    pub fn with(self, routes: Router) -> Self {
        Self { routes: self.routes.merge(routes), ..self }
    }

    /// Whoever connects from now on is served with this certificate.
    pub(crate) fn renew_tls(&self, identity: Option<TlsIdentity>) {
        self.tls.set(identity);
    }

    /// Serves whoever connects, until told to stop; answers under way are finished.
    /// Connections have tasks of their own, among `tasks`.
    pub async fn serve(self, listener: TcpListener, tasks: TaskTracker, stop: CancellationToken) {
        let (router, tls) = (self.router(), self.tls);
        Serving { name: "public", max_connections: MAX_CONNECTIONS, tls }.run(listener, router, tasks, stop).await;
    }

    /// All routes where the world finds them, within their bounds.
    pub(super) fn router(&self) -> Router {
        let routes = match self.base_url.prefix() {
            "" => self.routes.clone(),
            prefix => Router::new().nest(prefix, self.routes.clone()),
        };
        routes.layer(DefaultBodyLimit::max(MAX_BODY)).layer(middleware::from_fn_with_state(self.clone(), within_bounds))
    }
}

async fn within_bounds(State(public): State<Public>, request: Request, next: Next) -> Response {
    let route = request.extensions().get::<MatchedPath>().cloned();
    let route = route.as_ref().and_then(|route| route.as_str().strip_prefix(public.base_url.prefix()));
    let mut answer = if is_too_long(&request) {
        StatusCode::PAYLOAD_TOO_LARGE.into_response()
    } else {
        let answer = tokio::time::timeout(REQUEST_LIMIT, next.run(request)).await;
        answer.unwrap_or_else(|_| StatusCode::REQUEST_TIMEOUT.into_response())
    };
    public.metrics.public().answered(route.unwrap_or("none"), answer.status());
    answer.headers_mut().entry(CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    answer.headers_mut().insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    answer
}

/// Told before anything of it is read; what comes without a length is measured later.
fn is_too_long(request: &Request) -> bool {
    request.headers().contains_key(CONTENT_LENGTH) && request.body().size_hint().lower() > MAX_BODY as u64
}

#[cfg(test)]
mod tests;
