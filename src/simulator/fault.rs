//! Answers that replace the ordinary one: refusals, gateway noise, outages,
//! cut connections.
//!
//! Vipps publishes few error bodies, and an API gateway in front of it answers
//! some 401s and 429s in a format of its own (Vipps, "Errors" page of the
//! knowledge base), so a fault can take any shape.

use std::io;
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use futures_util::stream;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::answer;
use super::clock;

/// One answer that is given instead of the ordinary one.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Fault {
    /// A JSON error body in the manner of OAuth 2.0.
    Error(ErrorAnswer),
    /// Any status with any body.
    Raw(RawAnswer),
    /// A body of this many bytes, one JSON object, sent in pieces.
    Flood {
        /// Size of the padding inside the object.
        bytes: usize,
    },
    /// The connection breaks while a 200 is being sent.
    Drop,
}

/// A JSON error body.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ErrorAnswer {
    /// HTTP status.
    pub status: u16,
    /// The `error` field; left out when `None`.
    pub error: Option<String>,
    /// The `error_code` field, which Vipps documents as text in one place and
    /// as a number in another; left out when `None`.
    pub error_code: Option<Value>,
    /// The `error_description` field; left out when `None`.
    pub description: Option<String>,
    /// The `Retry-After` header; left out when `None`.
    pub retry_after: Option<RetryAfter>,
}

impl Default for ErrorAnswer {
    fn default() -> Self {
        Self { status: 400, error: None, error_code: None, description: None, retry_after: None }
    }
}

/// A body that is sent as it stands.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RawAnswer {
    /// HTTP status.
    pub status: u16,
    /// The `Content-Type` header.
    pub content_type: String,
    /// The body.
    pub body: String,
    /// The `Retry-After` header; left out when `None`.
    pub retry_after: Option<RetryAfter>,
}

impl Default for RawAnswer {
    fn default() -> Self {
        Self {
            status: 200,
            content_type: "text/html".to_owned(),
            body: "<html><body>Something went wrong.</body></html>".to_owned(),
            retry_after: None,
        }
    }
}

/// The `Retry-After` header. Vipps does not say which of the two forms of
/// RFC 9110 §10.2.3 it uses.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RetryAfter {
    /// A number of seconds.
    Seconds(u64),
    /// An HTTP date, this many seconds from now.
    Date(u64),
    /// Any other text.
    Text(String),
}

impl RetryAfter {
    fn header(&self) -> Option<HeaderValue> {
        let text = match self {
            Self::Seconds(seconds) => seconds.to_string(),
            Self::Date(seconds) => httpdate::fmt_http_date(clock::wall_now() + Duration::from_secs(*seconds)),
            Self::Text(text) => text.clone(),
        };
        HeaderValue::from_str(&text).ok()
    }
}

impl Fault {
    /// A 400 with this `error`.
    pub fn error(error: &str) -> Self {
        Self::Error(ErrorAnswer { error: Some(error.to_owned()), ..ErrorAnswer::default() })
    }

    /// A 400 that carries only an `error_code`, as text.
    pub fn error_code(code: &str) -> Self {
        Self::Error(ErrorAnswer { error_code: Some(code.into()), ..ErrorAnswer::default() })
    }

    /// A JSON error with this status.
    pub fn status(status: u16, error: &str) -> Self {
        Self::Error(ErrorAnswer { status, error: Some(error.to_owned()), ..ErrorAnswer::default() })
    }

    /// What the API gateway in front of Vipps may send: no JSON.
    pub fn gateway(status: u16) -> Self {
        Self::Raw(RawAnswer { status, ..RawAnswer::default() })
    }

    /// A 200 whose body is not JSON although it says so.
    pub fn unreadable() -> Self {
        Self::Raw(RawAnswer {
            content_type: answer::JSON.to_owned(),
            body: "{\"auth_req".to_owned(),
            ..RawAnswer::default()
        })
    }

    /// The same fault with a `Retry-After` header, where it has headers.
    #[must_use]
    pub fn retry_after(mut self, value: RetryAfter) -> Self {
        match &mut self {
            Self::Error(answer) => answer.retry_after = Some(value),
            Self::Raw(answer) => answer.retry_after = Some(value),
            Self::Flood { .. } | Self::Drop => {}
        }
        self
    }

    /// Whether the request took effect although this was the answer: a cut
    /// connection or an unreadable 200 hides a success, an error status does not.
    pub(super) fn hides_success(&self) -> bool {
        match self {
            Self::Error(answer) => answer.status < 400,
            Self::Raw(answer) => answer.status < 400,
            Self::Flood { .. } | Self::Drop => true,
        }
    }

    /// Whether the fault tells the client to poll less often (CIBA §11).
    pub(super) fn is_slow_down(&self) -> bool {
        matches!(self, Self::Error(answer) if answer.error.as_deref() == Some("slow_down"))
    }
}

impl IntoResponse for &Fault {
    fn into_response(self) -> Response {
        match self {
            Fault::Error(error) => error.response(),
            Fault::Raw(raw) => raw.response(),
            Fault::Flood { bytes } => flood(*bytes),
            Fault::Drop => broken_off(),
        }
    }
}

impl ErrorAnswer {
    fn response(&self) -> Response {
        let mut body = Map::new();
        let mut put = |name: &str, value: Option<Value>| {
            value.and_then(|value| body.insert(name.to_owned(), value));
        };
        put("error", self.error.as_deref().map(Value::from));
        put("error_code", self.error_code.clone());
        put("error_description", self.description.as_deref().map(Value::from));
        let answer = answer::json(status_of(self.status), Value::Object(body).to_string());
        with_retry_after(answer, self.retry_after.as_ref())
    }
}

impl RawAnswer {
    fn response(&self) -> Response {
        let mut answer = (status_of(self.status), self.body.clone()).into_response();
        if let Ok(value) = HeaderValue::from_str(&self.content_type) {
            answer.headers_mut().insert(header::CONTENT_TYPE, value);
        }
        with_retry_after(answer, self.retry_after.as_ref())
    }
}

fn status_of(code: u16) -> StatusCode {
    StatusCode::from_u16(code).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
}

fn with_retry_after(mut answer: Response, value: Option<&RetryAfter>) -> Response {
    if let Some(value) = value.and_then(RetryAfter::header) {
        answer.headers_mut().insert(header::RETRY_AFTER, value);
    }
    answer
}

fn streamed<S>(pieces: S) -> Response
where
    S: futures_util::Stream<Item = io::Result<Bytes>> + Send + 'static,
{
    let mut answer = Body::from_stream(pieces).into_response();
    let json = HeaderValue::from_static(answer::JSON);
    answer.headers_mut().insert(header::CONTENT_TYPE, json);
    answer
}

fn flood(bytes: usize) -> Response {
    const PIECE: usize = 64 * 1024;
    let padding = (0..bytes).step_by(PIECE).map(move |at| Bytes::from(vec![b'x'; PIECE.min(bytes - at)]));
    let opening = std::iter::once(Bytes::from_static(b"{\"padding\":\""));
    let closing = std::iter::once(Bytes::from_static(b"\"}"));
    streamed(stream::iter(opening.chain(padding).chain(closing).map(io::Result::Ok)))
}

fn broken_off() -> Response {
    streamed(stream::iter([Ok(Bytes::from_static(b"{\"")), Err(io::Error::other("the connection is cut on purpose"))]))
}
