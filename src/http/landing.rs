//! The page that a person's phone lands on when a tenant has none of its own.
//!
//! `GET {public.base_url}/landing/{tenant}` with what the app adds: a code or an error.
//! It hands that to `logins` and says on the phone that it is done, did not work, or was
//! used already, in the phone's language. It tells nobody whose login it was, logs
//! nobody in on the phone, keeps no cookie and writes neither code nor address down.
//! Anybody can open it: `logins` bounds what that costs. Added to the public listener by
//! `gateway`.

mod page;

use axum::Router;
use axum::extract::{Path, RawQuery, State};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use http::header::{ACCEPT_LANGUAGE, ALLOW, RETRY_AFTER};
use http::{HeaderMap, Method, StatusCode};

use crate::ciba::{MAX_CODE, RedirectCode, RedirectError};
use crate::language::Language;
use crate::logins::{Landed, Landing, Logins};
use crate::session::TenantId;

/// What comes after the base URL, before the tenant's id.
pub const PATH: &str = "/landing/";
/// Longer queries are not read: a code, and a description of an error.
const MAX_QUERY: usize = 4 * MAX_CODE;
/// More than anybody's browser sends.
const MAX_LANGUAGES: usize = 20;

/// The landing pages of all tenants.
pub fn routes(logins: Logins) -> Router {
    Router::new().route("/landing/{tenant}", get(land)).with_state(logins)
}

async fn land(
    State(logins): State<Logins>,
    method: Method,
    Path(tenant): Path<String>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Response {
    // Whoever only looks must not use a code up.
    if method != Method::GET {
        return (StatusCode::METHOD_NOT_ALLOWED, [(ALLOW, "GET")]).into_response();
    }
    let known = TenantId::new(tenant).ok().and_then(|tenant| Some((logins.title_of(&tenant)?, tenant)));
    let Some(((name, usual), tenant)) = known else {
        return StatusCode::NOT_FOUND.into_response();
    };
    let Some(landing) = logins.landing(&tenant, brought(query.as_deref().unwrap_or_default())).await else {
        return StatusCode::NOT_FOUND.into_response();
    };
    let mut answer = page::of(landing, language(&headers).unwrap_or(usual), &name);
    *answer.status_mut() = match landing {
        Landing::Done => StatusCode::OK,
        Landing::Failed => StatusCode::BAD_REQUEST,
        Landing::Used => StatusCode::GONE,
        Landing::Busy => StatusCode::SERVICE_UNAVAILABLE,
    };
    if landing == Landing::Busy {
        answer.headers_mut().insert(RETRY_AFTER, http::HeaderValue::from_static("2"));
    }
    answer
}

/// What the app has added to the address; `None` when that is neither one code nor one
/// error.
fn brought(query: &str) -> Option<Landed> {
    if query.len() > MAX_QUERY {
        return None;
    }
    let (mut code, mut error) = (None, None);
    for (name, value) in url::form_urlencoded::parse(query.as_bytes()) {
        let place = match name.as_ref() {
            "code" => &mut code,
            "error" => &mut error,
            _ => continue,
        };
        if place.replace(value).is_some() {
            return None;
        }
    }
    match (code, error) {
        (Some(code), None) => RedirectCode::new(&code).map(Landed::With),
        (None, Some(error)) => RedirectError::parse(&error).map(Landed::Without),
        (Some(_), Some(_)) | (None, None) => None,
    }
}

/// What the phone likes best of what we speak (RFC 9110, section 12.5.4).
fn language(headers: &HeaderMap) -> Option<Language> {
    let wanted = headers.get(ACCEPT_LANGUAGE)?.to_str().ok()?;
    let weighed = wanted.split(',').take(MAX_LANGUAGES).filter_map(|item| {
        let (tag, weight) = item.split_once(';').unwrap_or((item, "q=1"));
        let weight: f32 = weight.trim().strip_prefix("q=")?.parse().ok()?;
        Some((Language::parse(tag.trim()).ok()?, weight)).filter(|(_, weight)| *weight > 0.0)
    });
    // The first of those that are liked alike.
    let best = weighed.reduce(|best, next| if next.1 > best.1 { next } else { best });
    best.map(|(language, _)| language)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_code_or_one_error_is_brought() {
        assert!(matches!(brought("code=a%2Fb&state=x"), Some(Landed::With(code)) if code.expose() == "a/b"));
        let denied = brought("error=access_denied&error_description=The+user+said+no");
        assert!(matches!(denied, Some(Landed::Without(RedirectError::Denied))));
        for wrong in [
            "",
            "code=",
            "code",
            "state=1",
            "code=a&code=b",
            "code=a&error=access_denied",
            "error=a&error=a",
            "code=a%20b",
            "code=%00",
            &format!("code={}", "a".repeat(MAX_CODE + 1)),
            &format!("code=a&x={}", "a".repeat(MAX_QUERY)),
        ] {
            assert!(brought(wrong).is_none(), "{wrong}");
        }
    }

    #[test]
    fn the_phone_is_spoken_to_in_what_it_likes_best() {
        let liked = |text: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(ACCEPT_LANGUAGE, text.parse().unwrap());
            language(&headers)
        };
        assert_eq!(liked("nb-NO,nb;q=0.9,en;q=0.8"), Some(Language::Norwegian));
        assert_eq!(liked("de, en;q=0.3, sv;q=0.7"), Some(Language::Swedish));
        assert_eq!(liked("fi;q=0, da"), Some(Language::Danish));
        for none in ["de", "*", "", ";;;", "en;q=x", "sv;q=0"] {
            assert_eq!(liked(none), None, "{none}");
        }
        assert_eq!(language(&HeaderMap::new()), None);
    }
}
