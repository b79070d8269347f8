//! The two ordinary shapes of an answer: a JSON body, and the error body of
//! OAuth 2.0 that CIBA §11 and §13 build on.

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::json;

/// The content type Vipps gives on its JSON answers.
pub(super) const JSON: &str = "application/json;charset=UTF-8";

/// A JSON text as an answer.
pub(super) fn json(status: StatusCode, body: String) -> Response {
    let content_type = [(header::CONTENT_TYPE, HeaderValue::from_static(JSON))];
    (status, content_type, body).into_response()
}

/// A refusal of the start, token, user-exists or revocation endpoint.
///
/// The texts are fixed: nothing of the request comes back in them, so they
/// never hold a CR, LF or TAB.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct OauthError {
    status: StatusCode,
    error: &'static str,
    description: &'static str,
}

impl OauthError {
    /// A 400 with this code.
    pub(super) const fn bad(error: &'static str, description: &'static str) -> Self {
        Self { status: StatusCode::BAD_REQUEST, error, description }
    }

    /// A missing, malformed or contradictory parameter.
    pub(super) const fn invalid_request(description: &'static str) -> Self {
        Self::bad("invalid_request", description)
    }

    /// Credentials that do not belong to a registered client.
    pub(super) const fn invalid_client(description: &'static str) -> Self {
        Self { status: StatusCode::UNAUTHORIZED, error: "invalid_client", description }
    }

    /// A failure of the simulator itself.
    pub(super) const fn server_error(description: &'static str) -> Self {
        Self { status: StatusCode::INTERNAL_SERVER_ERROR, error: "server_error", description }
    }

    /// The `error` code, which is also what the journal calls the outcome.
    pub(super) fn code(&self) -> &'static str {
        self.error
    }
}

impl IntoResponse for OauthError {
    fn into_response(self) -> Response {
        let body = json!({ "error": self.error, "error_description": self.description });
        let mut answer = json(self.status, body.to_string());
        if self.status == StatusCode::UNAUTHORIZED {
            let challenge = HeaderValue::from_static("Basic realm=\"ciba\"");
            answer.headers_mut().insert(header::WWW_AUTHENTICATE, challenge);
        }
        answer
    }
}

impl From<getrandom::Error> for OauthError {
    fn from(_: getrandom::Error) -> Self {
        Self::server_error("No randomness available")
    }
}
