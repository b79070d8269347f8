//! The discovery document and the key set.
//!
//! The fields are those of a real test-environment document. Some things are
//! missing from it on purpose: the CIBA grant, ES256 and user-exists work, but
//! Vipps does not announce them.

use axum::extract::{Path, State};
use axum::http::{HeaderValue, StatusCode, header};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::answer;
use super::edit::Edit;
use super::endpoints::{ISSUER, paths};
use super::fault::Fault;
use super::journal::Reply;
use super::state::Shared;

/// Knobs of the two public documents.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct DiscoveryKnobs {
    /// Changes to the discovery document: a lying `issuer`, a missing endpoint.
    pub document: Edit,
    /// Given instead of the discovery document.
    pub document_fault: Option<Fault>,
    /// The last segment of `jwks_uri`. The key set is found there and nowhere else.
    pub jwks_file: String,
    /// Given instead of the key set.
    pub jwks_fault: Option<Fault>,
    /// Whether the P-256 key is published beside the RSA key.
    pub publish_p256: bool,
    /// `max-age` of the discovery document, in seconds.
    pub max_age_seconds: u64,
}

impl Default for DiscoveryKnobs {
    fn default() -> Self {
        Self {
            document: Edit::default(),
            document_fault: None,
            jwks_file: "jwks.json".to_owned(),
            jwks_fault: None,
            publish_p256: true,
            max_age_seconds: 3600,
        }
    }
}

/// `GET .../.well-known/openid-configuration`
pub(super) async fn document(State(shared): State<Shared>) -> Reply {
    let knobs = shared.look(|state| state.discovery.clone());
    if let Some(fault) = &knobs.document_fault {
        return Reply::new("fault", fault);
    }
    let text = knobs.document.render(fields(&shared, &knobs.jwks_file));
    let mut response = answer::json(StatusCode::OK, text);
    let max_age = format!("max-age={}", knobs.max_age_seconds);
    if let Ok(value) = HeaderValue::try_from(max_age) {
        response.headers_mut().insert(header::CACHE_CONTROL, value);
    }
    Reply::new("document", response)
}

/// `GET .../.well-known/jwks.json`
pub(super) async fn key_set(State(shared): State<Shared>, Path(file): Path<String>) -> Reply {
    let (knobs, keys) = shared.look(|state| {
        let knobs = state.discovery.clone();
        let keys = state.keys.jwks(knobs.publish_p256);
        (knobs, keys)
    });
    if file != knobs.jwks_file {
        return Reply::new("not_found", StatusCode::NOT_FOUND);
    }
    match &knobs.jwks_fault {
        Some(fault) => Reply::new("fault", fault),
        None => Reply::new("keys", answer::json(StatusCode::OK, keys.to_string())),
    }
}

fn fields(shared: &Shared, jwks_file: &str) -> Map<String, Value> {
    let mut fields = endpoints(shared, jwks_file);
    fields.extend(capabilities());
    fields
}

fn endpoints(shared: &Shared, jwks_file: &str) -> Map<String, Value> {
    [
        ("issuer", ISSUER.to_owned()),
        ("authorization_endpoint", paths::AUTHORIZATION.to_owned()),
        ("token_endpoint", paths::TOKEN.to_owned()),
        ("jwks_uri", format!("{}{jwks_file}", paths::WELL_KNOWN)),
        ("userinfo_endpoint", paths::USERINFO.to_owned()),
        ("revocation_endpoint", paths::REVOCATION.to_owned()),
        ("end_session_endpoint", paths::END_SESSION.to_owned()),
        ("backchannel_authentication_endpoint", paths::BACKCHANNEL.to_owned()),
    ]
    .into_iter()
    .map(|(name, path)| (name.to_owned(), json!(shared.at(&path))))
    .collect()
}

fn capabilities() -> Map<String, Value> {
    let lists: [(&str, &[&str]); 12] = [
        ("subject_types_supported", &["public", "pairwise"]),
        (
            "response_types_supported",
            &["code", "code id_token", "id_token", "token id_token", "token", "token id_token code"],
        ),
        ("claims_supported", &["sub"]),
        ("grant_types_supported", &["authorization_code", "client_credentials"]),
        ("response_modes_supported", &["query", "fragment"]),
        ("scopes_supported", &SCOPES),
        ("token_endpoint_auth_methods_supported", &["client_secret_post", "client_secret_basic"]),
        ("userinfo_signing_alg_values_supported", &["none"]),
        ("id_token_signing_alg_values_supported", &["RS256"]),
        ("request_object_signing_alg_values_supported", &["none"]),
        ("code_challenge_methods_supported", &["plain", "S256"]),
        ("backchannel_token_delivery_modes_supported", &["poll"]),
    ];
    let flags = [
        ("request_parameter_supported", true),
        ("request_uri_parameter_supported", true),
        ("require_request_uri_registration", true),
        ("claims_parameter_supported", false),
        ("backchannel_logout_supported", false),
        ("backchannel_logout_session_supported", false),
        ("frontchannel_logout_supported", false),
        ("frontchannel_logout_session_supported", false),
    ];
    let lists = lists.map(|(name, values)| (name.to_owned(), json!(values)));
    let flags = flags.map(|(name, value)| (name.to_owned(), json!(value)));
    lists.into_iter().chain(flags).collect()
}

const SCOPES: [&str; 17] = [
    "offline_access",
    "offline",
    "openid",
    "address",
    "name",
    "email",
    "phoneNumber",
    "nnin",
    "nin",
    "birthDate",
    "accountNumbers",
    "api_version_2",
    "promotions",
    "gender",
    "delegatedConsents",
    "customFlow",
    "agreement",
];
