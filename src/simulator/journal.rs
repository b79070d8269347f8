//! What the simulator received: the evidence a test looks at afterwards.
//!
//! Nothing is redacted, because this is a test tool. Nothing of it is logged
//! either: the log has the endpoint, the status and the outcome.

use std::collections::VecDeque;

use axum::body::{Body, to_bytes};
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use serde::Serialize;

use super::answer::OauthError;
use super::msisdn::Msisdn;
use super::state::Shared;
use super::{clock, form};

/// Larger bodies are refused; the largest genuine one is a few hundred bytes.
const MAX_BODY: usize = 64 * 1024;

/// The endpoints of Vipps that the simulator offers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Endpoint {
    /// The discovery document.
    Discovery,
    /// The key set.
    Jwks,
    /// The start of a login.
    Backchannel,
    /// The token endpoint.
    Token,
    /// The person's data.
    Userinfo,
    /// Whether a number can log in at all.
    UserExists,
    /// Token revocation.
    Revocation,
    /// The access token of the vendor's other APIs.
    PlatformToken,
    /// Registrations of webhooks.
    Webhooks,
    /// A shop's QR codes.
    ShopQr,
    /// Whose a customer's QR code is.
    ExchangeQr,
}

impl Endpoint {
    fn name(self) -> &'static str {
        match self {
            Self::Discovery => "discovery",
            Self::Jwks => "jwks",
            Self::Backchannel => "backchannel",
            Self::Token => "token",
            Self::Userinfo => "userinfo",
            Self::UserExists => "user_exists",
            Self::Revocation => "revocation",
            Self::PlatformToken => "platform_token",
            Self::Webhooks => "webhooks",
            Self::ShopQr => "shop_qr",
            Self::ExchangeQr => "exchange_qr",
        }
    }

    /// Discovery and keys are public and cacheable, everything else is not.
    fn is_cacheable(self) -> bool {
        matches!(self, Self::Discovery | Self::Jwks)
    }
}

/// One request and what became of it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ReceivedRequest {
    /// Counts up from zero; never used twice, not even after a reset.
    pub number: u64,
    /// Where it arrived.
    pub endpoint: Endpoint,
    /// The HTTP method.
    pub method: String,
    /// Path and query.
    pub path: String,
    /// All headers, names in lower case.
    pub headers: Vec<(String, String)>,
    /// The body, read as a form.
    pub form: Vec<(String, String)>,
    /// Arrival in protocol milliseconds since the simulator started.
    pub arrived_ms: u64,
    /// When the answer was ready; `None` while it is not, and for ever when the
    /// client hung up first.
    pub answered_ms: Option<u64>,
    /// The HTTP status of the answer.
    pub status: Option<u16>,
    /// What the simulator made of it: `started`, `pending`, `early`, `approved`,
    /// `fault`, …, or the error code it answered.
    pub outcome: Option<&'static str>,
    /// The phone number it was about, digits only, once that is known.
    pub phone: Option<String>,
}

impl ReceivedRequest {
    /// The value of a form parameter.
    pub fn parameter(&self, name: &str) -> Option<&str> {
        find(&self.form, name)
    }

    /// The value of a header; `name` in lower case.
    pub fn header(&self, name: &str) -> Option<&str> {
        find(&self.headers, name)
    }
}

fn find<'a>(pairs: &'a [(String, String)], name: &str) -> Option<&'a str> {
    pairs.iter().find(|(other, _)| other == name).map(|(_, value)| value.as_str())
}

/// An answer with a note for the journal.
#[derive(Debug)]
pub(super) struct Reply {
    note: Note,
    response: Response,
}

#[derive(Debug, Clone)]
struct Note {
    outcome: &'static str,
    phone: Option<String>,
}

impl Reply {
    pub(super) fn new(outcome: &'static str, response: impl IntoResponse) -> Self {
        let note = Note { outcome, phone: None };
        Self { note, response: response.into_response() }
    }

    /// Says which number the answer is about.
    pub(super) fn about(mut self, phone: &Msisdn) -> Self {
        self.note.phone = Some(phone.as_str().to_owned());
        self
    }
}

impl From<OauthError> for Reply {
    fn from(error: OauthError) -> Self {
        Self::new(error.code(), error)
    }
}

impl IntoResponse for Reply {
    fn into_response(self) -> Response {
        let mut response = self.response;
        response.extensions_mut().insert(self.note);
        response
    }
}

/// The remembered requests, oldest first.
#[derive(Debug)]
pub(super) struct Journal {
    entries: VecDeque<ReceivedRequest>,
    capacity: usize,
    next_number: u64,
}

impl Journal {
    pub(super) fn new(capacity: usize) -> Self {
        Self { entries: VecDeque::new(), capacity, next_number: 0 }
    }

    pub(super) fn entries(&self) -> impl Iterator<Item = &ReceivedRequest> {
        self.entries.iter()
    }

    pub(super) fn clear(&mut self) {
        self.entries.clear();
    }

    fn arrived(&mut self, mut entry: ReceivedRequest) -> u64 {
        let number = self.next_number;
        self.next_number += 1;
        entry.number = number;
        self.entries.push_back(entry);
        while self.entries.len() > self.capacity {
            self.entries.pop_front();
        }
        number
    }

    fn answered(&mut self, number: u64, at_ms: u64, status: u16, note: Option<Note>) {
        let entry = self
            .entries
            .binary_search_by_key(&number, |entry| entry.number)
            .ok()
            .and_then(|index| self.entries.get_mut(index));
        if let Some(entry) = entry {
            entry.answered_ms = Some(at_ms);
            entry.status = Some(status);
            if let Some(note) = note {
                entry.outcome = Some(note.outcome);
                entry.phone = note.phone;
            }
        }
    }
}

/// Middleware around every endpoint of Vipps: records, answers, records, logs.
pub(super) async fn observe(
    State((shared, endpoint)): State<(Shared, Endpoint)>,
    request: Request,
    next: Next,
) -> Response {
    let arrived_ms = clock::millis(shared.now());
    let (parts, body) = request.into_parts();
    let Ok(body) = to_bytes(body, MAX_BODY).await else {
        return StatusCode::PAYLOAD_TOO_LARGE.into_response();
    };
    let entry = ReceivedRequest {
        number: 0,
        endpoint,
        method: parts.method.to_string(),
        path: parts.uri.to_string(),
        headers: header_pairs(&parts.headers),
        form: form::pairs(&body),
        arrived_ms,
        answered_ms: None,
        status: None,
        outcome: None,
        phone: None,
    };
    let number = shared.change(|state| state.journal.arrived(entry));
    let mut response = next.run(Request::from_parts(parts, Body::from(body))).await;
    if !endpoint.is_cacheable() {
        let no_store = HeaderValue::from_static("no-store");
        response.headers_mut().insert(header::CACHE_CONTROL, no_store);
    }
    let note = response.extensions_mut().remove::<Note>();
    record_answer(&shared, endpoint, number, response.status(), note);
    response
}

fn record_answer(shared: &Shared, endpoint: Endpoint, number: u64, status: StatusCode, note: Option<Note>) {
    tracing::info!(
        endpoint = endpoint.name(),
        http.status = status.as_u16(),
        outcome = note.as_ref().map(|note| note.outcome),
        "simulator answered"
    );
    let now_ms = clock::millis(shared.now());
    shared.change(|state| {
        state.journal.answered(number, now_ms, status.as_u16(), note);
    });
}

fn header_pairs(headers: &HeaderMap) -> Vec<(String, String)> {
    headers
        .iter()
        .map(|(name, value)| {
            let text = String::from_utf8_lossy(value.as_bytes()).into_owned();
            (name.as_str().to_owned(), text)
        })
        .collect()
}
