//! What stands around every call, whichever service it is for.
//!
//! A call has a ceiling on its time, whoever is slow: the store, the provider or
//! the caller who sends his message byte by byte. A panic becomes INTERNAL for
//! that call alone, also in the midst of a stream. A stream of a service that
//! knows nothing of connections ends with a word when its connection does. Who
//! is calling is not known here. Put around each service by `gateway`.

use std::any::Any;
use std::convert::Infallible;
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use futures_util::FutureExt;
use http::{HeaderMap, Request, Response};
use hyper::body::{Body as HttpBody, Bytes, Frame, SizeHint};
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};
use tonic::body::Body;
use tonic::server::NamedService;
use tonic::{Code, Status};
use tower::Service;

use super::request::MAX_WAIT;
use super::server::{Leaving, Stopping};
use super::status::CallError;
use crate::logins;
use crate::session::START_LIMIT;
use crate::telemetry::Metrics;

/// A service behind its shield. Cheap to clone if the service is.
#[derive(Clone)]
pub struct Shield<S> {
    service: S,
    metrics: Arc<Metrics>,
    /// For calls that wait for nothing.
    call_time: Duration,
    ends_streams: bool,
}

impl<S> Shield<S> {
    /// A call may take `call_time`, and beyond that what it is there to wait for. Of
    /// a stream that is the time until it begins.
    pub const fn new(service: S, metrics: Arc<Metrics>, call_time: Duration) -> Self {
        Self { service, metrics, call_time, ends_streams: false }
    }

    /// Its streams end with a word when the connection is about to end.
    #[must_use]
    pub fn ending_streams(self) -> Self {
        Self { ends_streams: true, ..self }
    }

    fn ceiling(&self, method: &str) -> Duration {
        match method {
            // A check may take as long as the provider, as a start does.
            "StartLogin" | "CheckPhone" => START_LIMIT + self.call_time,
            "WaitLogin" => MAX_WAIT + self.call_time,
            _ => self.call_time,
        }
    }
}

impl<S: NamedService> NamedService for Shield<S> {
    const NAME: &'static str = S::NAME;
}

type Answer = Pin<Box<dyn Future<Output = Result<Response<Body>, Infallible>> + Send>>;

impl<S> Service<Request<Body>> for Shield<S>
where
    S: Service<Request<Body>, Response = Response<Body>, Error = Infallible>,
    S::Future: Send + 'static,
{
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Answer;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.service.poll_ready(cx)
    }

    fn call(&mut self, request: Request<Body>) -> Answer {
        let method = method_of(request.uri().path());
        let leaving = request.extensions().get::<Leaving>().filter(|_| self.ends_streams).cloned();
        let told = || leaving.clone().map(|Leaving(leaving)| Box::pin(leaving.cancelled_owned()));
        // Who answers a stream with a stream holds on to it until it ends.
        let (leaving, asked) = (told(), told());
        let request = request.map(|body| Body::new(Until { body, leaving: asked }));
        let Stopping(stopping) = request.extensions().get().cloned().unwrap_or_default();
        let (ceiling, metrics) = (self.ceiling(method), Arc::clone(&self.metrics));
        let Ok(answer) = catch_unwind(AssertUnwindSafe(|| self.service.call(request))) else {
            return Box::pin(std::future::ready(Ok(panicked(method, &metrics).into_http())));
        };
        Box::pin(async move {
            match tokio::time::timeout(ceiling, AssertUnwindSafe(answer).catch_unwind()).await {
                Ok(Ok(Ok(answer))) => {
                    let guard = |body| Body::new(Guarded { body, method, metrics, leaving, stopping, is_over: false });
                    Ok(answer.map(guard))
                }
                Ok(Err(_)) => Ok(panicked(method, &metrics).into_http()),
                Err(_) => {
                    metrics.grpc_call(method, Code::DeadlineExceeded);
                    Ok(CallError::TookTooLong.into_status(method).into_http())
                }
            }
        })
    }
}

/// All of the login service's.
const METHODS: [&str; 16] = [
    "StartLogin",
    "GetLogin",
    "WaitLogin",
    "WatchLogin",
    "WatchLogins",
    "ConfirmCode",
    "CancelLogin",
    "ListLogins",
    "EraseLogin",
    "CheckPhone",
    "TransferLogin",
    "CreateShopQr",
    "ListShopQrs",
    "DeleteShopQr",
    "WatchCheckIns",
    "CompleteRedirect",
];

/// A name from a fixed set, whatever the caller sent.
fn method_of(path: &str) -> &'static str {
    let ours = path.strip_prefix("/ciba_gateway.v1.").and_then(|path| path.split_once('/'));
    let name =
        ours.filter(|(service, _)| matches!(*service, "LoginService" | "ShopQrService")).map_or("", |(_, name)| name);
    METHODS.into_iter().find(|method| *method == name).unwrap_or("other")
}

/// What was said is not looked at: it may hold anything.
fn panicked(method: &'static str, metrics: &Metrics) -> Status {
    metrics.panicked("call");
    metrics.grpc_call(method, Code::Internal);
    CallError::Panicked.into_status(method)
}

type Told = Option<Pin<Box<WaitForCancellationFutureOwned>>>;

fn is_told(leaving: &mut Told, cx: &mut Context<'_>) -> bool {
    leaving.as_mut().is_some_and(|leaving| leaving.as_mut().poll(cx).is_ready())
}

/// What is asked, message by message, until the connection is about to end.
struct Until {
    body: Body,
    leaving: Told,
}

impl HttpBody for Until {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        let polled = Pin::new(&mut self.body).poll_frame(cx);
        if polled.is_pending() && is_told(&mut self.leaving, cx) {
            return Poll::Ready(None);
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// What is answered, message by message.
struct Guarded {
    body: Body,
    method: &'static str,
    metrics: Arc<Metrics>,
    /// The connection is about to end.
    leaving: Told,
    /// The process is.
    stopping: CancellationToken,
    is_over: bool,
}

impl Guarded {
    fn ends_with(&mut self, status: &Status) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        self.is_over = true;
        let mut trailers = HeaderMap::new();
        Poll::Ready(Some(status.add_header(&mut trailers).map(|()| Frame::trailers(trailers))))
    }
}

impl HttpBody for Guarded {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        if self.is_over {
            return Poll::Ready(None);
        }
        let body = &mut self.body;
        let polled: Result<_, Box<dyn Any + Send>> = catch_unwind(AssertUnwindSafe(|| Pin::new(body).poll_frame(cx)));
        let Ok(polled) = polled else {
            let status = panicked(self.method, &self.metrics);
            return self.ends_with(&status);
        };
        if polled.is_pending() && is_told(&mut self.leaving, cx) {
            let is_stopping = self.stopping.is_cancelled();
            let error = if is_stopping { logins::Error::Draining } else { logins::Error::ConnectionAge };
            let status = CallError::Logins(error).into_status(self.method);
            return self.ends_with(&status);
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.is_over || self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use prost::Message;
    use prost_types::FileDescriptorSet;

    use super::*;
    use crate::grpc::v1::FILE_DESCRIPTOR_SET;

    #[test]
    fn every_method_of_the_service_has_its_name() {
        let files = FileDescriptorSet::decode(FILE_DESCRIPTOR_SET).unwrap().file;
        for service in files.iter().flat_map(|file| &file.service) {
            for method in &service.method {
                let path = format!("/ciba_gateway.v1.{}/{}", service.name(), method.name());
                assert_eq!(method_of(&path), method.name());
            }
        }
        assert_eq!(method_of("/ciba_gateway.v1.LoginService/4791234567"), "other");
        assert_eq!(method_of("/grpc.health.v1.Health/Check"), "other");
    }
}
