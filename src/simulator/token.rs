//! The token endpoint (CIBA §10.1 and §11) and revocation (RFC 7009).

use std::time::Duration;

use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use serde_json::{Map, json};

use super::consents::Told;
use super::form::Form;
use super::id_token::{self, Facts, IdTokenShape};
use super::journal::{Endpoint, Reply};
use super::keys::KeyError;
use super::login::{Found, Login};
use super::settings::ClientRegistration;
use super::state::{Access, Shared};
use super::{answer, answer::OauthError, claims, clock, endpoints, partners, people, random};

const PENDING: OauthError = OauthError::bad("authorization_pending", "The authorization request is still pending");
const SLOW_DOWN: OauthError = OauthError::bad("slow_down", "Polling faster than the interval");
const DENIED: OauthError = OauthError::bad("access_denied", "The user refused");
const EXPIRED: OauthError = OauthError::bad("expired_token", "The auth_req_id has expired");
const UNKNOWN: OauthError = OauthError::bad("invalid_grant", "The auth_req_id is not known");
const SPENT: OauthError = OauthError::bad("invalid_grant", "The auth_req_id has been used");

/// The lifetime of an access token in the vendor's example of a landing.
const REDIRECT_TOKEN_SECONDS: u64 = 3599;

/// The grants this endpoint tells apart.
#[derive(Debug, Clone, Copy)]
enum Grant {
    /// Polling with an `auth_req_id`.
    Ciba,
    /// The `code` of a login that ended on a web page.
    CibaRedirect,
}

impl Grant {
    fn read(form: &Form) -> Result<Self, OauthError> {
        match form.get("grant_type") {
            Some("urn:openid:params:grant-type:ciba") => Ok(Self::Ciba),
            Some("urn:vipps:params:grant-type:ciba-redirect") => Ok(Self::CibaRedirect),
            Some(_) => Err(unsupported()),
            None => Err(OauthError::invalid_request("grant_type is missing")),
        }
    }
}

fn unsupported() -> OauthError {
    OauthError::bad("unsupported_grant_type", "This grant is not offered")
}

/// `POST /access-management-1.0/access/oauth2/token`
pub(super) async fn exchange(State(shared): State<Shared>, headers: HeaderMap, body: Bytes) -> Result<Reply, Reply> {
    let form = Form::parse(&headers, &body)?;
    let client = partners::caller(&shared, &headers, &form)?;
    if let Some(fault) = shared.due(Endpoint::Token) {
        return Ok(Reply::new("fault", &fault));
    }
    match Grant::read(&form)? {
        Grant::Ciba => poll(&shared, client, &form).await,
        Grant::CibaRedirect => land(&shared, client, &form).await,
    }
}

/// The exchange of a landing's code: neither `redirect_uri` nor a verifier comes with it.
async fn land(shared: &Shared, client: &ClientRegistration, form: &Form) -> Result<Reply, Reply> {
    let code = form.get("code").ok_or(OauthError::invalid_request("code is missing"))?;
    let now = shared.now();
    let (found, login) = shared
        .change(|state| {
            let login = state.logins.of_code(code, &client.client_id)?;
            Some((login.exchange(now), login.clone()))
        })
        .ok_or(UNKNOWN)?;
    let reply = answer_to(shared, client, &login, found, Grant::CibaRedirect).await?;
    shared.linger(login.behaviour.token.latency_ms).await;
    Ok(reply.about(&login.phone))
}

async fn poll(shared: &Shared, client: &ClientRegistration, form: &Form) -> Result<Reply, Reply> {
    let auth_req_id = form.get("auth_req_id").ok_or(OauthError::invalid_request("auth_req_id is missing"))?;
    let now = shared.now();
    let enforce = shared.settings().enforce_interval;
    let (found, login) = shared
        .change(|state| {
            let login = state.logins.of_client(auth_req_id, &client.client_id)?;
            Some((login.poll(now, enforce), login.clone()))
        })
        .ok_or(UNKNOWN)?;
    let reply = answer_to(shared, client, &login, found, Grant::Ciba).await?;
    shared.linger(login.behaviour.token.latency_ms).await;
    Ok(reply.about(&login.phone))
}

async fn answer_to(
    shared: &Shared,
    client: &ClientRegistration,
    login: &Login,
    found: Found,
    grant: Grant,
) -> Result<Reply, OauthError> {
    Ok(match found {
        Found::Pending => Reply::new("pending", PENDING),
        Found::Early => Reply::new("early", PENDING),
        Found::TooFast => Reply::new("early", SLOW_DOWN),
        Found::Denied => shared.look(|state| match &state.open_points.rejected {
            Some(fault) => Reply::new("denied", fault),
            None => Reply::new("denied", DENIED),
        }),
        Found::Expired => shared.look(|state| match &state.open_points.expired {
            Some(fault) => Reply::new("expired", fault),
            None => Reply::new("expired", EXPIRED),
        }),
        Found::Spent => Reply::new("spent", SPENT),
        Found::NotPolled => Reply::new("not_polled", UNKNOWN),
        Found::Fault(fault) => Reply::new("fault", &fault),
        Found::Approved => {
            let success = success(shared, client, login, grant).await?;
            match &login.behaviour.token.success_fault {
                Some(fault) => Reply::new("lost", fault),
                None => Reply::new("approved", success),
            }
        }
    })
}

/// The success: no refresh token in either mode. A poll's has no `scope`; a landing's
/// has one, another spelling of the type and another lifetime (guide to
/// merchant-initiated login).
async fn success(
    shared: &Shared,
    client: &ClientRegistration,
    login: &Login,
    grant: Grant,
) -> Result<Response, OauthError> {
    let behaviour = &login.behaviour;
    let (prefix, token_type, lifetime, shape, edit) = match grant {
        Grant::Ciba => {
            let lifetime = shared.settings().access_token_seconds;
            ("ciba.", "Bearer", lifetime, &behaviour.id_token, &behaviour.token.answer)
        }
        Grant::CibaRedirect => {
            ("", "bearer", REDIRECT_TOKEN_SECONDS, &behaviour.redirect.id_token, &behaviour.redirect.answer)
        }
    };
    let access_token = format!("{prefix}{}", random::token()?);
    let how = login.behaviour.userinfo.consents;
    let told =
        shared.change(|state| state.consents.tell(&login.client_id, &login.phone, &login.scopes, how, login.choices()));
    let id_token = sign(shared, client, login, &access_token, shape, &told)
        .await
        .map_err(|_| OauthError::server_error("The ID token could not be signed"))?;
    let fields = [
        ("access_token", json!(access_token)),
        ("token_type", json!(token_type)),
        ("expires_in", json!(lifetime)),
        ("id_token", json!(id_token)),
    ];
    let mut fields = Map::from_iter(fields.map(|(name, value)| (name.to_owned(), value)));
    if matches!(grant, Grant::CibaRedirect) {
        fields.insert("scope".to_owned(), json!(login.scopes.join(" ")));
    }
    let body = edit.render(fields);
    let access = Access {
        client_id: login.client_id.clone(),
        phone: login.phone.clone(),
        scopes: login.scopes.clone(),
        behaviour: login.behaviour.clone(),
        told,
        expires: shared.now() + Duration::from_secs(lifetime),
        reads: 0,
    };
    let now = shared.now();
    shared.change(|state| state.grant(access_token, access, now));
    Ok(answer::json(StatusCode::OK, body))
}

async fn sign(
    shared: &Shared,
    client: &ClientRegistration,
    login: &Login,
    access_token: &str,
    shape: &IdTokenShape,
    told: &Told,
) -> Result<String, KeyError> {
    let behaviour = &login.behaviour;
    if shape.rotate_keys_first {
        shared.rotate_keys(false).await?;
    }
    let keys = shared.look(|state| state.keys.current());
    let issuer = shared.at(endpoints::ISSUER);
    let person = people::person(&login.phone);
    let facts = Facts {
        issuer: issuer.as_str(),
        client,
        subject: &people::subject(&login.client_id, &login.phone),
        auth_req_id: &login.auth_req_id,
        access_token,
        user_data: claims::claims(&person, &login.scopes, &behaviour.userinfo, told),
        now: clock::wall_seconds(),
        token_id: random::uuid()?,
    };
    id_token::mint(shape, &facts, &keys)
}

/// `POST /access-management-1.0/access/oauth2/revoke`
///
/// Succeeds for unknown tokens too (RFC 7009 §2.2).
pub(super) async fn revoke(State(shared): State<Shared>, headers: HeaderMap, body: Bytes) -> Result<Reply, Reply> {
    let form = Form::parse(&headers, &body)?;
    let client = partners::caller(&shared, &headers, &form)?;
    let token = form.get("token").ok_or(OauthError::invalid_request("token is missing"))?;
    shared.change(|state| {
        let owned = |access: &Access| access.client_id == client.client_id;
        if state.access.get(token).is_some_and(owned) {
            state.access.remove(token);
        }
    });
    Ok(Reply::new("revoked", StatusCode::OK.into_response()))
}
