//! The phone: a page on which a person sees who asks and approves or refuses.
//!
//! The page is one embedded file. It knows requests by a handle of their own;
//! the `auth_req_id` is the client's secret and never gets here.

use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{Path, Query, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{Html, IntoResponse, Json, Response};
use axum::routing::{get, post};
use serde::{Deserialize, Serialize};
use url::Url;

use super::consents::{Choices, Question};
use super::login::{Decision, Login};
use super::msisdn::digits_of;
use super::state::{Shared, State as Everything};
use super::{checked_in, random};

const PAGE: &str = include_str!("phone.html");
/// Stands in the page where the nonce of its one style and one script goes.
const NONCE_MARK: &str = "{{nonce}}";

/// The routes, to be nested under `/phone`.
pub(super) fn routes() -> Router<Shared> {
    Router::new()
        .route("/", get(page))
        .route("/{msisdn}", get(page))
        .route("/api/requests", get(list))
        .route("/api/codes", get(checked_in::codes))
        .route("/api/scan", post(checked_in::scan))
        .route("/api/personal-qr", get(checked_in::personal_qr))
        .route("/api/requests/{handle}/approve", post(approve))
        .route("/api/requests/{handle}/deny", post(deny))
}

/// A login as the phone shows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct WaitingLogin {
    /// What the phone page calls it.
    pub handle: String,
    /// The number that is asked, digits only.
    pub phone: String,
    /// The display name of the client that asks.
    pub asked_by: String,
    /// The code to compare, if the client sent one.
    pub binding_message: Option<String>,
    /// What is asked for.
    pub scopes: Vec<String>,
    /// What can be ticked; empty for what was agreed to before.
    pub questions: Vec<Question>,
    /// Protocol seconds until it expires.
    pub seconds_left: u64,
}

/// Everything that waits, or only what waits on one phone.
pub(super) fn waiting(shared: &Shared, digits: Option<&str>) -> Vec<WaitingLogin> {
    let now = shared.now();
    shared.look(|state| {
        state
            .logins
            .waiting(now)
            .into_iter()
            .filter(|login| digits.is_none_or(|digits| login.phone.as_str() == digits))
            .map(|login| shown(shared, state, login, now))
            .collect()
    })
}

fn shown(shared: &Shared, state: &Everything, login: &Login, now: Duration) -> WaitingLogin {
    let clients = &shared.settings().clients;
    let client = clients.iter().find(|client| client.client_id == login.client_id);
    WaitingLogin {
        handle: login.handle.clone(),
        phone: login.phone.as_str().to_owned(),
        asked_by: client.map_or_else(String::new, |client| client.display_name.clone()),
        binding_message: login.binding_message.clone(),
        scopes: login.scopes.clone(),
        questions: state.consents.questions(
            &login.client_id,
            &login.phone,
            &login.scopes,
            login.behaviour.userinfo.consents,
        ),
        seconds_left: login.expires.saturating_sub(now).as_secs(),
    }
}

async fn page() -> Result<Response, StatusCode> {
    let nonce = random::token().map_err(|_| StatusCode::INTERNAL_SERVER_ERROR)?;
    // Its icon is an empty one, so that no browser asks for another.
    let policy = format!(
        "default-src 'none'; style-src 'nonce-{nonce}'; script-src 'nonce-{nonce}'; \
         connect-src 'self'; img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    );
    let policy = HeaderValue::try_from(policy).map_err(|_| StatusCode::INTERNAL_SERVER_ERROR)?;
    let headers =
        [(header::CONTENT_SECURITY_POLICY, policy), (header::CACHE_CONTROL, HeaderValue::from_static("no-store"))];
    Ok((headers, Html(PAGE.replace(NONCE_MARK, &nonce))).into_response())
}

#[derive(Debug, Deserialize)]
struct Filter {
    phone: Option<String>,
}

async fn list(State(shared): State<Shared>, Query(filter): Query<Filter>) -> Json<Vec<WaitingLogin>> {
    let digits = filter.phone.map(|phone| digits_of(&phone));
    Json(waiting(&shared, digits.as_deref()))
}

/// With what is ticked as its body, or with none.
async fn approve(State(shared): State<Shared>, Path(handle): Path<String>, body: Bytes) -> Response {
    match choices(&body) {
        Ok(choices) => decide(&shared, &handle, |login, now| login.approve(&choices, now)),
        Err(status) => status.into_response(),
    }
}

async fn deny(State(shared): State<Shared>, Path(handle): Path<String>) -> Response {
    decide(&shared, &handle, |login, now| login.decide(Decision::Denied, now))
}

/// What is ticked; 400 for what cannot be read.
pub(super) fn choices(body: &[u8]) -> Result<Choices, StatusCode> {
    if body.is_empty() {
        return Ok(Choices::default());
    }
    let choices = serde_json::from_slice::<Option<Choices>>(body).map_err(|_| StatusCode::BAD_REQUEST)?;
    Ok(choices.unwrap_or_default())
}

/// Where the phone's browser goes next.
#[derive(Debug, Serialize)]
struct Onward {
    redirect: Url,
}

/// 404 for a handle that never was, 409 when the request waits no longer; 200 with where
/// the browser goes when the login ends on a web page.
fn decide(shared: &Shared, handle: &str, how: impl FnOnce(&mut Login, Duration) -> bool) -> Response {
    let now = shared.now();
    let decided = shared.change(|state| {
        let login = state.logins.by_handle(handle)?;
        let was_waiting = how(login, now);
        let (ended, landing) = (was_waiting.then(|| login.ended()), login.landing());
        state.logins.note(ended);
        Some((was_waiting, landing))
    });
    match decided {
        None => StatusCode::NOT_FOUND.into_response(),
        Some((true, Some(redirect))) => Json(Onward { redirect }).into_response(),
        Some((true, None)) => StatusCode::NO_CONTENT.into_response(),
        Some((false, _)) => StatusCode::CONFLICT.into_response(),
    }
}
