//! The webhook `user.checked-in.v1`: to the sales unit's registrations for it, and to one
//! address that is set by hand.

use axum::extract::{Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Json, Response};
use futures_util::future::join_all;
use serde::{Deserialize, Serialize};
use url::Url;

use super::delivery::{Delivery, is_taken};
use super::qr::{self, PersonalQrKind, Scan};
use super::state::Shared;
use super::webhooks::{self, RegisteredWebhook};
use crate::webhooks::EventKind;

/// Where check-ins of all sales units are told, whatever is registered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CheckInWebhook {
    /// The registration's address.
    pub url: Url,
    /// Its secret.
    pub secret: String,
}

/// Tells of a scan; the status of the answer, of several the first that is not 2xx.
/// `None` when there is nobody to tell or no answer. What registrations do not take is
/// sent to them again, as pings are.
pub(super) async fn tell(shared: &Shared, scan: &Scan) -> Option<u16> {
    let (knobs, by_hand, registered) = shared.look(|state| {
        let registered = webhooks::of(state, &scan.client_id, EventKind::CheckedIn);
        (state.webhook_knobs.clone(), state.check_in_webhook.clone(), registered)
    });
    if knobs.lost {
        return None;
    }
    shared.linger(knobs.late_ms).await;
    let by_hand = by_hand.map(|CheckInWebhook { url, secret }| {
        RegisteredWebhook::by_hand(&scan.client_id, EventKind::CheckedIn, url, &secret)
    });
    let delivery = |webhook| Delivery::new(shared, webhook, scan.webhook_body(), &knobs);
    let once = by_hand.iter().map(|webhook| (delivery(webhook), false));
    let often = registered.iter().map(|webhook| (delivery(webhook), true));
    let answers = join_all(once.chain(often).map(async |(delivery, goes_on)| {
        let Some(delivery) = delivery else { return 0 };
        let answered = delivery.attempt().await;
        if goes_on {
            shared.tasks().spawn(delivery.go_on(answered));
        }
        answered
    }));
    let answers = answers.await;
    let worst = answers.iter().find(|status| !is_taken(**status)).or(answers.first());
    worst.copied().filter(|status| *status != 0)
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
        Some(status) if is_taken(status) => StatusCode::NO_CONTENT,
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
