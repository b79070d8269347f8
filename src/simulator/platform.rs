//! The access token of the vendor's other APIs, `POST /accesstoken/get`.
//!
//! Shapes as in the vendor's SDK: every number in the answer is text. The refusals are
//! of two kinds, as two systems check: the API gateway the subscription key, the token
//! service the client.

use std::time::Duration;

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::edit::Edit;
use super::fault::Fault;
use super::form::text_header;
use super::journal::Reply;
use super::settings::ClientRegistration;
use super::state::Shared;
use super::{answer, clock, random};

/// Knobs of the platform's token endpoint.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct PlatformKnobs {
    /// Given instead of a token.
    pub fault: Option<Fault>,
    /// How long a token lives: an hour in the vendor's test environment, a day in
    /// production.
    pub lifetime_seconds: u64,
    /// Changes to the answer.
    pub answer: Edit,
    /// Milliseconds of the protocol before the answer.
    pub latency_ms: u64,
}

impl Default for PlatformKnobs {
    fn default() -> Self {
        Self { fault: None, lifetime_seconds: 3_600, answer: Edit::default(), latency_ms: 0 }
    }
}

/// A token that was given.
#[derive(Debug, Clone)]
pub(super) struct PlatformAccess {
    pub(super) client_id: String,
    pub(super) expires: Duration,
}

/// `POST /accesstoken/get`
pub(super) async fn token(State(shared): State<Shared>, headers: HeaderMap) -> Result<Reply, Reply> {
    let knobs = shared.look(|state| state.platform.clone());
    shared.linger(knobs.latency_ms).await;
    if let Some(fault) = &knobs.fault {
        return Ok(Reply::new("fault", fault));
    }
    let client = client(&shared, &headers)?;
    let token =
        format!("platform.{}.{}", random::token().map_err(no_randomness)?, random::token().map_err(no_randomness)?);
    let (now, lifetime) = (clock::wall_seconds(), knobs.lifetime_seconds);
    let fields = [
        ("token_type", json!("Bearer")),
        ("expires_in", json!(lifetime.to_string())),
        ("ext_expires_in", json!(lifetime.to_string())),
        ("expires_on", json!(now.saturating_add_unsigned(lifetime).to_string())),
        ("not_before", json!(now.to_string())),
        ("resource", json!("00000002-0000-0000-c000-000000000000")),
        ("access_token", json!(token)),
    ];
    let body = knobs.answer.render(Map::from_iter(fields.map(|(name, value)| (name.to_owned(), value))));
    let access = PlatformAccess { client_id: client.to_owned(), expires: shared.now() + Duration::from_secs(lifetime) };
    shared.change(|state| state.platform_access.insert(token, access));
    Ok(Reply::new("platform_token", answer::json(StatusCode::OK, body)))
}

fn no_randomness(_: getrandom::Error) -> Reply {
    Reply::new("server_error", StatusCode::INTERNAL_SERVER_ERROR)
}

/// The id of who asks for a token, by the three headers.
fn client<'a>(shared: &'a Shared, headers: &HeaderMap) -> Result<&'a str, Refusal> {
    let [id, secret, key] = ["client_id", "client_secret", SUBSCRIPTION_KEY].map(|name| text_header(headers, name));
    let settings = shared.settings();
    let clients = settings.clients.iter().map(|one| (&one.client_id, &one.client_secret, &one.subscription_key));
    let partners = settings.partners.iter().map(|one| (&one.client_id, &one.client_secret, &one.subscription_key));
    let mut known = clients.chain(partners);
    if !known.clone().any(|(_, _, known)| Some(known.as_str()) == key) {
        return Err(Refusal::Subscription);
    }
    let found = known.find(|(known, its, _)| (Some(known.as_str()), Some(its.as_str())) == (id, secret));
    found.map(|(id, _, _)| id.as_str()).ok_or(Refusal::Client)
}

/// Whom a request to one of the vendor's other APIs comes from: by its token, its
/// subscription key and its serial number, all of which those APIs want.
pub(super) fn authorize<'a>(shared: &'a Shared, headers: &HeaderMap) -> Result<&'a ClientRegistration, Refusal> {
    let client = bearer(shared, headers).ok_or(Refusal::Token)?;
    if text_header(headers, SUBSCRIPTION_KEY) != Some(client.subscription_key.as_str()) {
        return Err(Refusal::Subscription);
    }
    if text_header(headers, MERCHANT_SERIAL_NUMBER) != Some(client.merchant_serial_number.as_str()) {
        return Err(Refusal::Merchant);
    }
    Ok(client)
}

fn bearer<'a>(shared: &'a Shared, headers: &HeaderMap) -> Option<&'a ClientRegistration> {
    let id = holder(shared, headers)?;
    shared.settings().clients.iter().find(|client| client.client_id == id)
}

/// Whose living token the request shows: a sales unit's id or a partner's.
pub(super) fn holder(shared: &Shared, headers: &HeaderMap) -> Option<String> {
    let (scheme, token) = text_header(headers, header::AUTHORIZATION.as_str())?.split_once(' ')?;
    let now = shared.now();
    let access = shared.look(|state| state.platform_access.get(token).cloned())?;
    (scheme.eq_ignore_ascii_case("bearer") && now < access.expires).then_some(access.client_id)
}

pub(super) const SUBSCRIPTION_KEY: &str = "ocp-apim-subscription-key";
pub(super) const MERCHANT_SERIAL_NUMBER: &str = "merchant-serial-number";

/// Why a request to the platform is refused; all with 401.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Refusal {
    /// The subscription key, by the API gateway.
    Subscription,
    /// Id or secret, by the token service.
    Client,
    /// The token is none, or has ended.
    Token,
    /// The serial number is not the sales unit's.
    Merchant,
}

impl Refusal {
    const fn outcome(self) -> &'static str {
        match self {
            Self::Subscription => "no_subscription",
            Self::Client => "unauthorized_client",
            Self::Token => "no_platform_token",
            Self::Merchant => "wrong_merchant",
        }
    }

    fn body(self) -> Value {
        match self {
            Self::Subscription => json!({
                "statusCode": 401,
                "message": "Access denied due to invalid subscription key. Make sure to provide a valid key.",
            }),
            Self::Client => json!({
                "error": "unauthorized_client",
                "error_description": "AADSTS700016: no such application, or another secret",
                "error_codes": [700_016],
                "timestamp": "2026-01-01 12:00:00Z",
            }),
            Self::Token | Self::Merchant => json!({
                "responseInfo": { "responseCode": 401, "responseMessage": "Unauthorized" },
                "result": null,
            }),
        }
    }
}

impl From<Refusal> for Reply {
    fn from(refusal: Refusal) -> Self {
        let body = refusal.body().to_string();
        Self::new(refusal.outcome(), answer::json(StatusCode::UNAUTHORIZED, body))
    }
}
