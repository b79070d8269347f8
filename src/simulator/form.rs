//! Form bodies and client authentication, the same at the start, token,
//! user-exists and revocation endpoints.

use axum::http::{HeaderMap, header};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::answer::OauthError;
use super::settings::{AuthMethod, ClientRegistration};

const FORM: &str = "application/x-www-form-urlencoded";

/// The parameters of a form-encoded request.
#[derive(Debug)]
pub(super) struct Form {
    parameters: Vec<(String, String)>,
}

impl Form {
    /// Reads a body. OAuth 2.0 (RFC 6749 §3.2) forbids repeated parameters.
    pub(super) fn parse(headers: &HeaderMap, body: &[u8]) -> Result<Self, OauthError> {
        let content_type = text_header(headers, header::CONTENT_TYPE.as_str());
        let is_form = content_type
            .and_then(|value| value.split(';').next())
            .is_some_and(|essence| essence.trim().eq_ignore_ascii_case(FORM));
        if !is_form {
            return Err(OauthError::invalid_request("The body must be a form"));
        }
        let parameters = pairs(body);
        let mut names: Vec<&str> = parameters.iter().map(|(name, _)| name.as_str()).collect();
        names.sort_unstable();
        if names.windows(2).any(|pair| pair[0] == pair[1]) {
            return Err(OauthError::invalid_request("A parameter is repeated"));
        }
        Ok(Self { parameters })
    }

    /// A parameter; an empty one counts as absent (RFC 6749 §3.2).
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.parameters
            .iter()
            .find(|(other, value)| other == name && !value.is_empty())
            .map(|(_, value)| value.as_str())
    }
}

/// Decodes a form without judging it.
pub(super) fn pairs(body: &[u8]) -> Vec<(String, String)> {
    url::form_urlencoded::parse(body).into_owned().collect()
}

/// A header as text.
pub(super) fn text_header<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}

/// The client behind a request.
///
/// Each sales unit has one method and only that one (guide to merchant-initiated
/// login); two methods at once are malformed (RFC 6749 §2.3).
pub(super) fn authenticate<'a>(
    clients: &'a [ClientRegistration],
    headers: &HeaderMap,
    form: &Form,
) -> Result<&'a ClientRegistration, OauthError> {
    let authorization = text_header(headers, header::AUTHORIZATION.as_str());
    let (id, secret, method) = match (authorization, form.get("client_secret")) {
        (Some(_), Some(_)) => {
            return Err(OauthError::invalid_request("Two kinds of client authentication"));
        }
        (Some(value), None) => {
            let (id, secret) = basic(value)?;
            (id, secret, AuthMethod::Basic)
        }
        (None, Some(secret)) => {
            let id = form.get("client_id").unwrap_or_default().to_owned();
            (id, secret.to_owned(), AuthMethod::Post)
        }
        (None, None) => return Err(OauthError::invalid_client("No client authentication")),
    };
    if form.get("client_id").is_some_and(|other| other != id) {
        return Err(OauthError::invalid_request("client_id is not the authenticated client"));
    }
    clients
        .iter()
        .find(|client| client.client_id == id && client.client_secret == secret && client.auth_method == method)
        .ok_or(OauthError::invalid_client("Client authentication failed"))
}

/// Vipps's recipe is plain base64 of id, colon and secret, without the form
/// encoding of RFC 6749 (Login API guide, "Browser flow").
fn basic(value: &str) -> Result<(String, String), OauthError> {
    let (scheme, encoded) = value.split_once(' ').unwrap_or((value, ""));
    if !scheme.eq_ignore_ascii_case("basic") {
        return Err(OauthError::invalid_request("Client authentication must be Basic"));
    }
    STANDARD
        .decode(encoded.trim())
        .ok()
        .and_then(|bytes| String::from_utf8(bytes).ok())
        .and_then(|text| text.split_once(':').map(|(id, secret)| (id.to_owned(), secret.to_owned())))
        .ok_or(OauthError::invalid_client("Malformed Basic credentials"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::HeaderValue;

    fn clients() -> Vec<ClientRegistration> {
        let unit = |id: &str, auth_method| ClientRegistration {
            client_id: id.to_owned(),
            client_secret: "a+b/c=".to_owned(),
            auth_method,
            ..ClientRegistration::default()
        };
        vec![unit("basic", AuthMethod::Basic), unit("post", AuthMethod::Post)]
    }

    fn try_authenticate(credentials: Option<&str>, body: &str) -> Result<String, &'static str> {
        let mut headers = HeaderMap::new();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(FORM));
        if let Some(credentials) = credentials {
            let value = format!("Basic {}", STANDARD.encode(credentials));
            headers.insert(header::AUTHORIZATION, value.parse().unwrap());
        }
        Form::parse(&headers, body.as_bytes())
            .and_then(|form| authenticate(&clients(), &headers, &form).map(|client| client.client_id.clone()))
            .map_err(|error| error.code())
    }

    #[test]
    fn each_client_uses_its_own_method() {
        let post = "client_id=post&client_secret=a%2Bb%2Fc%3D";
        assert_eq!(try_authenticate(Some("basic:a+b/c="), ""), Ok("basic".into()));
        assert_eq!(try_authenticate(None, post), Ok("post".into()));
        let refused = Err("invalid_client");
        assert_eq!(try_authenticate(Some("post:a+b/c="), ""), refused);
        assert_eq!(try_authenticate(Some("basic:wrong"), ""), refused);
        assert_eq!(try_authenticate(None, ""), refused);
    }

    #[test]
    fn contradictions_are_refused() {
        let refused = Err("invalid_request");
        assert_eq!(try_authenticate(Some("basic:a+b/c="), "client_id=post"), refused);
        assert_eq!(try_authenticate(Some("basic:a+b/c="), "client_secret=a"), refused);
        assert_eq!(try_authenticate(Some("basic:a+b/c="), "x=1&x=2"), refused);
    }
}
