//! The person's data, behind the access token of a login.

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::Response;
use serde_json::{Value, json};

use super::fault::Fault;
use super::form::text_header;
use super::journal::{Endpoint, Reply};
use super::state::{Access, Shared};
use super::{answer, claims, people};

/// `GET /vipps-userinfo-api/userinfo`
pub(super) async fn read(State(shared): State<Shared>, headers: HeaderMap) -> Reply {
    // Userinfo is outside the subscription this key belongs to (Vipps agent
    // toolkit, "Login"), so a key that is harmless elsewhere is refused here.
    if headers.contains_key("ocp-apim-subscription-key") {
        return refused("subscription_key", "Subscription key not allowed here");
    }
    let Some(token) = bearer(&headers) else {
        return refused("no_token", "Bearer token missing");
    };
    if let Some(fault) = shared.due(Endpoint::Userinfo) {
        return Reply::new("fault", &fault);
    }
    let Some((access, fault)) = take_turn(&shared, token) else {
        return refused("invalid_token", "Access token unknown or expired");
    };
    shared.linger(access.behaviour.userinfo.latency_ms).await;
    let reply = match fault {
        Some(fault) => Reply::new("fault", &fault),
        None => Reply::new("read", data(&access)),
    };
    reply.about(&access.phone)
}

fn bearer(headers: &HeaderMap) -> Option<&str> {
    let (scheme, token) = text_header(headers, header::AUTHORIZATION.as_str())?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then_some(token.trim())
}

/// Counts the request; gives the token's access and the fault that is due.
fn take_turn(shared: &Shared, token: &str) -> Option<(Access, Option<Fault>)> {
    let now = shared.now();
    shared.change(|state| {
        let access = state.access.get_mut(token)?;
        if now >= access.expires {
            return None;
        }
        let faults = &access.behaviour.userinfo.faults;
        let fault = faults.get(access.reads).cloned().flatten();
        access.reads += 1;
        Some((access.clone(), fault))
    })
}

fn data(access: &Access) -> Response {
    let knobs = &access.behaviour.userinfo;
    let person = people::person(&access.phone);
    let mut body = claims::claims(&person, &access.scopes, knobs, &access.told);
    let subject = people::subject(&access.client_id, &access.phone);
    body.insert("sub".to_owned(), Value::from(subject));
    answer::json(StatusCode::OK, knobs.claims.render(body))
}

/// The problem object of the OpenAPI document, whose `status` is text.
fn refused(outcome: &'static str, title: &str) -> Reply {
    let body = json!({ "type": "about:blank", "title": title, "status": "401" });
    Reply::new(outcome, answer::json(StatusCode::UNAUTHORIZED, body.to_string()))
}
