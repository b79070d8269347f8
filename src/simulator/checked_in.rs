//! The webhook `user.checked-in.v1`: sent to one address, signed as Vipps signs.

use std::time::Duration;

use axum::extract::{Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Json, Response};
use http::Method;
use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, HeaderMap};
use secrecy::SecretString;
use serde::{Deserialize, Serialize};
use url::Url;

use super::clock;
use super::qr::{self, PersonalQrKind, Scan};
use super::state::Shared;
use crate::egress::{self, Bounds};
use crate::webhooks::proof::{CONTENT, DATE, Signed, authorization, content};

/// Within this time Vipps wants an answer.
const TIMEOUT: Duration = Duration::from_secs(10);

/// Where check-ins are told.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CheckInWebhook {
    /// The registration's address.
    pub url: Url,
    /// Its secret.
    pub secret: String,
}

/// Tells of a scan once; the status of the answer, `None` when there is nobody to tell
/// or no answer.
pub(super) async fn tell(shared: &Shared, scan: &Scan) -> Option<u16> {
    let CheckInWebhook { url, secret } = shared.look(|state| state.check_in_webhook.clone())?;
    let body = scan.webhook_body();
    let (date, content) = (httpdate::fmt_http_date(clock::wall_now()), content(body.as_bytes()));
    let host = url.host_str()?;
    let host = url.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"));
    let path_and_query = url.query().map_or_else(|| url.path().to_owned(), |query| format!("{}?{query}", url.path()));
    let signed =
        Signed { method: &Method::POST, path_and_query: &path_and_query, host: &host, date: &date, content: &content };
    let signature = signed.signature(&SecretString::from(secret));
    let client = egress::client(Bounds {
        user_agent: "simulator",
        headers: HeaderMap::new(),
        timeout: TIMEOUT,
        extra_root_ca_pem: None,
        allow_http: true,
        allow_private: true,
    });
    let request = client.ok()?.post(url).header(CONTENT_TYPE, "application/json").body(body);
    let request = request.header(DATE, date).header(CONTENT, content).header(AUTHORIZATION, authorization(&signature));
    Some(request.send().await.ok()?.status().as_u16())
}

#[derive(Debug, Deserialize)]
pub(super) struct Scanning {
    phone: String,
    /// Content or id of the code.
    code: String,
}

/// `POST /phone/api/scan`: 404 for a code that there is not, 502 when nobody was told.
pub(super) async fn scan(State(shared): State<Shared>, Json(scanning): Json<Scanning>) -> StatusCode {
    let Some(scan) = qr::scan(&shared, &scanning.phone, &scanning.code) else { return StatusCode::NOT_FOUND };
    match tell(&shared, &scan).await {
        Some(200..=299) => StatusCode::NO_CONTENT,
        Some(_) | None => StatusCode::BAD_GATEWAY,
    }
}

/// `GET /phone/api/codes`
pub(super) async fn codes(State(shared): State<Shared>) -> Json<Vec<qr::CodeOnCounter>> {
    Json(qr::on_counters(&shared))
}

#[derive(Debug, Deserialize)]
pub(super) struct Own {
    phone: String,
    kind: PersonalQrKind,
}

/// `GET /phone/api/personal-qr`: the text of the phone's own code.
pub(super) async fn personal_qr(State(shared): State<Shared>, Query(own): Query<Own>) -> Response {
    match qr::personal_qr(&shared, &own.phone, own.kind) {
        Some(text) => text.into_response(),
        None => StatusCode::NOT_FOUND.into_response(),
    }
}

/// `GET /control/check-in-webhook`
pub(super) async fn show(State(shared): State<Shared>) -> Json<Option<CheckInWebhook>> {
    Json(shared.look(|state| state.check_in_webhook.clone()))
}

/// `PUT /control/check-in-webhook`
pub(super) async fn set(State(shared): State<Shared>, Json(webhook): Json<Option<CheckInWebhook>>) -> StatusCode {
    shared.change(|state| state.check_in_webhook = webhook);
    StatusCode::NO_CONTENT
}
