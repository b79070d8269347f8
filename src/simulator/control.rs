//! The control API: the verbs of [`Simulator`](super::Simulator) over HTTP, for
//! tests and demonstrations in other languages or processes.
//!
//! It has no authentication and shows everything the simulator received. Bind
//! the simulator to the loopback interface only.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{Json, Path, Query, State};
use axum::http::StatusCode;
use axum::routing::{delete, get, post, put};
use serde::{Deserialize, Serialize};
use url::Url;

use super::behaviour::Behaviour;
use super::checked_in;
use super::discovery::DiscoveryKnobs;
use super::journal::ReceivedRequest;
use super::login::Decision;
use super::magic::magic_numbers;
use super::msisdn::digits_of;
use super::open_points::OpenPoints;
use super::phone_page::{self, WaitingLogin};
use super::platform::PlatformKnobs;
use super::qr::QrKnobs;
use super::rates::Rates;
use super::state::Shared;
use super::webhooks::WebhookKnobs;

/// The routes, to be nested under `/control`.
pub(super) fn routes() -> Router<Shared> {
    Router::new()
        .route("/behaviour", get(show_default).put(set_default))
        .route("/behaviours/{msisdn}", put(set_behaviour).delete(clear_behaviour))
        .route("/requests", get(requests))
        .route("/logins", get(logins))
        .route("/logins/{msisdn}/approve", post(approve))
        .route("/logins/{msisdn}/deny", post(deny))
        .route("/logins/{msisdn}/landing", get(landing))
        .route("/clock/advance", post(advance))
        .route("/keys/rotate", post(rotate_keys))
        .route("/discovery", get(show_discovery).put(set_discovery))
        .route("/platform", get(show_platform).put(set_platform))
        .route("/qr", get(show_qr).put(set_qr))
        .route("/check-in-webhook", get(checked_in::show).put(checked_in::set))
        .route("/platform/forget", post(forget_platform_tokens))
        .route("/webhooks", get(show_webhooks).put(set_webhooks))
        .route("/webhooks/deliveries", get(deliveries))
        .route("/magic-numbers", get(magic))
        .route("/open-points", get(show_open_points).put(set_open_points))
        .route("/rates", get(show_rates).put(set_rates))
        .route("/consents/{msisdn}", delete(revoke_consents))
        .route("/reset", post(reset))
}

async fn show_default(State(shared): State<Shared>) -> Json<Behaviour> {
    Json(shared.look(|state| (*state.default_behaviour).clone()))
}

async fn set_default(State(shared): State<Shared>, Json(behaviour): Json<Behaviour>) -> StatusCode {
    shared.change(|state| state.default_behaviour = Arc::new(behaviour));
    StatusCode::NO_CONTENT
}

async fn set_behaviour(
    State(shared): State<Shared>,
    Path(msisdn): Path<String>,
    Json(behaviour): Json<Behaviour>,
) -> StatusCode {
    let digits = digits_of(&msisdn);
    shared.change(|state| state.behaviours.insert(digits, Arc::new(behaviour)));
    StatusCode::NO_CONTENT
}

async fn clear_behaviour(State(shared): State<Shared>, Path(msisdn): Path<String>) -> StatusCode {
    let digits = digits_of(&msisdn);
    shared.change(|state| state.behaviours.remove(&digits));
    StatusCode::NO_CONTENT
}

#[derive(Debug, Deserialize)]
struct Since {
    /// Only requests with this number or a higher one.
    #[serde(default)]
    from: u64,
}

async fn requests(State(shared): State<Shared>, Query(since): Query<Since>) -> Json<Vec<ReceivedRequest>> {
    Json(shared.look(|state| {
        let entries = state.journal.entries();
        entries.filter(|entry| entry.number >= since.from).cloned().collect()
    }))
}

async fn logins(State(shared): State<Shared>) -> Json<Vec<WaitingLogin>> {
    Json(phone_page::waiting(&shared, None))
}

/// How many waiting logins a verb settled.
#[derive(Debug, Serialize)]
struct Decided {
    decided: usize,
}

async fn show_open_points(State(shared): State<Shared>) -> Json<OpenPoints> {
    Json(shared.look(|state| state.open_points.clone()))
}

async fn set_open_points(State(shared): State<Shared>, Json(points): Json<OpenPoints>) -> StatusCode {
    shared.change(|state| state.open_points = points);
    StatusCode::NO_CONTENT
}

async fn show_rates(State(shared): State<Shared>) -> Json<Rates> {
    Json(shared.look(|state| state.rates.clone()))
}

async fn set_rates(State(shared): State<Shared>, Json(rates): Json<Rates>) -> StatusCode {
    shared.change(|state| state.rates = rates);
    StatusCode::NO_CONTENT
}

/// How much a person has taken back.
#[derive(Debug, Serialize)]
struct Revoked {
    revoked: usize,
}

async fn revoke_consents(State(shared): State<Shared>, Path(msisdn): Path<String>) -> Json<Revoked> {
    let digits = digits_of(&msisdn);
    Json(Revoked { revoked: shared.change(|state| state.consents.revoke(&digits)) })
}

async fn approve(
    State(shared): State<Shared>,
    Path(msisdn): Path<String>,
    body: Bytes,
) -> Result<Json<Decided>, StatusCode> {
    let choices = phone_page::choices(&body)?;
    let (now, digits) = (shared.now(), digits_of(&msisdn));
    let decided = shared.change(|state| state.logins.approve_all(&digits, &choices, now));
    Ok(Json(Decided { decided }))
}

async fn deny(State(shared): State<Shared>, Path(msisdn): Path<String>) -> Json<Decided> {
    decide(&shared, &msisdn, Decision::Denied)
}

/// Where the phone's browser was sent.
#[derive(Debug, Serialize)]
struct Sent {
    url: Option<Url>,
}

async fn landing(State(shared): State<Shared>, Path(msisdn): Path<String>) -> Json<Sent> {
    let digits = digits_of(&msisdn);
    Json(Sent { url: shared.look(|state| state.logins.landing_of(&digits)) })
}

fn decide(shared: &Shared, msisdn: &str, decision: Decision) -> Json<Decided> {
    let now = shared.now();
    let digits = digits_of(msisdn);
    let decided = shared.change(|state| state.logins.decide_all(&digits, decision, now));
    Json(Decided { decided })
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Advance {
    seconds: u64,
}

async fn advance(State(shared): State<Shared>, Json(by): Json<Advance>) -> StatusCode {
    shared.clock().advance(Duration::from_secs(by.seconds));
    StatusCode::NO_CONTENT
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Rotation {
    #[serde(default)]
    keep_old: bool,
}

async fn rotate_keys(State(shared): State<Shared>, Json(how): Json<Rotation>) -> StatusCode {
    match shared.rotate_keys(how.keep_old).await {
        Ok(()) => StatusCode::NO_CONTENT,
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR,
    }
}

async fn show_discovery(State(shared): State<Shared>) -> Json<DiscoveryKnobs> {
    Json(shared.look(|state| state.discovery.clone()))
}

async fn set_discovery(State(shared): State<Shared>, Json(knobs): Json<DiscoveryKnobs>) -> StatusCode {
    shared.change(|state| state.discovery = knobs);
    StatusCode::NO_CONTENT
}

async fn show_webhooks(State(shared): State<Shared>) -> Json<WebhookKnobs> {
    Json(shared.look(|state| state.webhook_knobs.clone()))
}

async fn set_webhooks(State(shared): State<Shared>, Json(knobs): Json<WebhookKnobs>) -> StatusCode {
    shared.change(|state| state.webhook_knobs = knobs);
    StatusCode::NO_CONTENT
}

async fn deliveries(State(shared): State<Shared>) -> Json<Vec<u16>> {
    Json(shared.look(|state| state.deliveries.clone()))
}

async fn show_platform(State(shared): State<Shared>) -> Json<PlatformKnobs> {
    Json(shared.look(|state| state.platform.clone()))
}

async fn set_platform(State(shared): State<Shared>, Json(knobs): Json<PlatformKnobs>) -> StatusCode {
    shared.change(|state| state.platform = knobs);
    StatusCode::NO_CONTENT
}

async fn show_qr(State(shared): State<Shared>) -> Json<QrKnobs> {
    Json(shared.look(|state| state.codes.knobs.clone()))
}

async fn set_qr(State(shared): State<Shared>, Json(knobs): Json<QrKnobs>) -> StatusCode {
    shared.change(|state| state.codes.knobs = knobs);
    StatusCode::NO_CONTENT
}

async fn forget_platform_tokens(State(shared): State<Shared>) -> StatusCode {
    shared.change(|state| state.platform_access.clear());
    StatusCode::NO_CONTENT
}

/// A line of the table of magic numbers.
#[derive(Debug, Serialize)]
struct MagicLine {
    suffix: &'static str,
    name: &'static str,
    effect: &'static str,
    examples: [String; 5],
}

async fn magic() -> Json<Vec<MagicLine>> {
    let lines = magic_numbers().iter().map(|magic| MagicLine {
        suffix: magic.suffix,
        name: magic.name,
        effect: magic.effect,
        examples: magic.examples(),
    });
    Json(lines.collect())
}

async fn reset(State(shared): State<Shared>) -> StatusCode {
    shared.reset();
    StatusCode::NO_CONTENT
}
