//! The Webhooks API: registrations, and the pings that they are for.
//!
//! Registrations are a sales unit's, proven by platform token, subscription key and
//! serial number. When a person has decided, every registration of the unit for
//! `login.merchant-initiated.ping.v1` is told; the knobs say on which endings. Those for
//! `user.checked-in.v1` are told by `checked_in`.

use std::collections::BTreeSet;
use std::time::Duration;

use axum::extract::{Json, Path, State};
use axum::http::{HeaderMap, StatusCode};
use secrecy::SecretString;
use serde::{Deserialize, Serialize};
use serde_json::json;
use url::Url;

use super::delivery::Delivery;
use super::journal::Reply;
use super::login::{Ended, Login};
use super::state::{Shared, State as Everything};
use super::{answer, platform, random};
use crate::webhooks::EventKind;

/// Registrations of one event type that a sales unit may have (Webhooks API, "Webhook
/// limits"); of check-ins there is one.
pub const MOST_REGISTRATIONS: usize = 25;
const MOST_OF_CHECK_INS: usize = 1;

/// When pings are sent, and what becomes of them and of check-ins.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct WebhookKnobs {
    /// Also when the person says no; the vendor does not say whether it does.
    pub on_deny: bool,
    /// Also when nobody has answered in time.
    pub on_expiry: bool,
    /// Signed with another secret.
    pub forged: bool,
    /// Dated ten minutes ago.
    pub stale: bool,
    /// Sent a second time, just as it was, once the first has been answered.
    pub twice: bool,
    /// Never sent.
    pub lost: bool,
    /// Milliseconds of the protocol between the decision and the first attempt.
    pub late_ms: u64,
}

/// One registration, without its secret.
#[derive(Debug, Clone, Serialize)]
pub struct RegisteredWebhook {
    /// Names it.
    pub id: String,
    /// Where it posts.
    pub url: Url,
    /// What it tells of, by the vendor's names.
    pub events: Vec<String>,
    #[serde(skip)]
    pub(super) client_id: String,
    #[serde(skip)]
    pub(super) secret: SecretString,
}

impl RegisteredWebhook {
    /// Past the API.
    pub(super) fn by_hand(client_id: &str, event: EventKind, url: Url, secret: &str) -> Self {
        let id = match event {
            EventKind::LoginPing => format!("by-hand-{client_id}"),
            EventKind::CheckedIn => format!("check-ins-by-hand-{client_id}"),
        };
        Self { id, url, events: vec![event.name().to_owned()], client_id: client_id.to_owned(), secret: secret.into() }
    }
}

#[derive(Debug, Deserialize)]
pub(super) struct Wanted {
    url: Url,
    events: Vec<String>,
}

/// `POST /webhooks/v1/webhooks`
pub(super) async fn register(
    State(shared): State<Shared>,
    headers: HeaderMap,
    body: Result<Json<Wanted>, axum::extract::rejection::JsonRejection>,
) -> Result<Reply, Reply> {
    let client_id = platform::authorize(&shared, &headers)?.client_id.clone();
    let Ok(Json(wanted)) = body else { return Err(problem("invalid", "url and events are needed")) };
    let is_known = |event: &String| EventKind::parse(event).is_some() || event.starts_with("epayments.");
    if wanted.events.is_empty() || !wanted.events.iter().all(is_known) {
        return Err(problem("invalid", "an event is not known"));
    }
    let secret = random::token().map_err(|_| problem("invalid", "no randomness"))?;
    let id = random::token().map_err(|_| problem("invalid", "no randomness"))?;
    let registered = RegisteredWebhook {
        id: id.clone(),
        url: wanted.url,
        events: wanted.events.into_iter().collect::<BTreeSet<_>>().into_iter().collect(),
        client_id,
        secret: secret.clone().into(),
    };
    let is_taken = shared.change(|state| {
        let has_room = registered.events.iter().all(|event| {
            let most = if event == EventKind::CheckedIn.name() { MOST_OF_CHECK_INS } else { MOST_REGISTRATIONS };
            let is_same =
                |other: &&RegisteredWebhook| other.client_id == registered.client_id && other.events.contains(event);
            state.webhooks.iter().filter(is_same).count() < most
        });
        if has_room {
            state.webhooks.push(registered);
        }
        has_room
    });
    if !is_taken {
        return Err(problem("too_many", "the limit of registrations for an event is reached"));
    }
    let body = json!({ "id": id, "secret": secret }).to_string();
    Ok(Reply::new("registered", answer::json(StatusCode::CREATED, body)))
}

/// `GET /webhooks/v1/webhooks`
pub(super) async fn list(State(shared): State<Shared>, headers: HeaderMap) -> Result<Reply, Reply> {
    let client_id = platform::authorize(&shared, &headers)?.client_id.clone();
    let webhooks: Vec<_> =
        shared.look(|state| state.webhooks.iter().filter(|webhook| webhook.client_id == client_id).cloned().collect());
    let body = json!({ "webhooks": webhooks }).to_string();
    Ok(Reply::new("listed", answer::json(StatusCode::OK, body)))
}

/// `DELETE /webhooks/v1/webhooks/{id}`
pub(super) async fn delete(
    State(shared): State<Shared>,
    Path(id): Path<String>,
    headers: HeaderMap,
) -> Result<Reply, Reply> {
    let client_id = platform::authorize(&shared, &headers)?.client_id.clone();
    let before = shared.look(|state| state.webhooks.len());
    let after = shared.change(|state| {
        state.webhooks.retain(|webhook| webhook.client_id != client_id || webhook.id != id);
        state.webhooks.len()
    });
    if before == after {
        return Err(Reply::new("unknown", StatusCode::NOT_FOUND));
    }
    Ok(Reply::new("deleted", StatusCode::NO_CONTENT))
}

fn problem(outcome: &'static str, detail: &str) -> Reply {
    let body = json!({ "title": "Bad Request", "status": 400, "detail": detail }).to_string();
    Reply::new(outcome, answer::json(StatusCode::BAD_REQUEST, body))
}

/// Tells whoever wants to know that these logins have ended, if the knobs let it.
pub(super) fn tell(shared: &Shared, ended: Vec<Ended>) {
    for login in ended {
        let (knobs, webhooks) =
            shared.look(|state| (state.webhook_knobs.clone(), of(state, &login.client_id, EventKind::LoginPing)));
        if webhooks.is_empty() || knobs.lost || (login.is_denied && !knobs.on_deny) {
            continue;
        }
        ping_all(shared, &login.auth_req_id, &login.client_id, &knobs, webhooks);
    }
}

/// Tells of a login once its time is over and nobody has answered, if the knobs want it.
pub(super) fn tell_of_expiry(shared: &Shared, auth_req_id: String, client_id: String, lifetime: Duration) {
    let (knobs, webhooks) =
        shared.look(|state| (state.webhook_knobs.clone(), of(state, &client_id, EventKind::LoginPing)));
    if webhooks.is_empty() || !knobs.on_expiry || knobs.lost {
        return;
    }
    let told = shared.clone();
    shared.tasks().spawn(async move {
        told.clock().sleep(lifetime).await;
        let now = told.now();
        let is_expired = told.change(|state| {
            let login = state.logins.of_client(&auth_req_id, &client_id);
            login.is_some_and(|login| !login.is_decided() && now >= login.expires)
        });
        if is_expired {
            ping_all(&told, &auth_req_id, &client_id, &knobs, webhooks);
        }
    });
}

/// A client's registrations for an event.
pub(super) fn of(state: &Everything, client_id: &str, event: EventKind) -> Vec<RegisteredWebhook> {
    let wants = |webhook: &&RegisteredWebhook| {
        webhook.client_id == client_id && webhook.events.iter().any(|wanted| wanted == event.name())
    };
    state.webhooks.iter().filter(wants).cloned().collect()
}

fn ping_all(
    shared: &Shared,
    auth_req_id: &str,
    client_id: &str,
    knobs: &WebhookKnobs,
    webhooks: Vec<RegisteredWebhook>,
) {
    shared.change(|state| state.logins.of_client(auth_req_id, client_id).map(Login::was_pinged));
    for webhook in webhooks {
        let (shared_, knobs) = (shared.clone(), knobs.clone());
        let body = json!({ "auth_req_id": auth_req_id }).to_string();
        shared.tasks().spawn(async move {
            shared_.linger(knobs.late_ms).await;
            let Some(delivery) = Delivery::new(&shared_, &webhook, body, &knobs) else { return };
            let answered = delivery.attempt().await;
            delivery.go_on(answered).await;
        });
    }
}
