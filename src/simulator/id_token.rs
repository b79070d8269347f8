//! ID tokens in the shapes Vipps publishes, and in the broken shapes a client
//! must refuse.
//!
//! Vipps prints two genuine shapes: RS256 with an array audience (Login API
//! guide, "Core concepts") and ES256 with a string audience and the request
//! identifier (guide to merchant-initiated login). The poll-mode shape is not
//! published; the default here is the first of the two.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use sha2::{Digest as _, Sha256};

use super::edit::Edit;
use super::keys::{Key, KeyError, SigningKeys, sign_with_secret};
use super::settings::ClientRegistration;

/// How an ID token is put together.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct IdTokenShape {
    /// The algorithm in the header and of the signature.
    pub alg: Alg,
    /// The key identifier in the header.
    pub kid: Kid,
    /// The form of `aud`.
    pub audience: Audience,
    /// The claim that carries the `auth_req_id`.
    pub request_id: RequestIdClaim,
    /// The `at_hash` claim.
    pub at_hash: AtHash,
    /// Whether the sales unit's serial number is in the `msn` claim.
    pub msn: bool,
    /// Whether the person's data is in the ID token as well as in userinfo.
    pub user_data: bool,
    /// Added to the wall clock for `iat`, `auth_time` and `rat`.
    pub issued_offset_seconds: i64,
    /// From now (not from `iat`) to `exp`; negative for an expired token.
    pub expires_in_seconds: i64,
    /// What is done to the signature.
    pub signature: Signature,
    /// Replaces the keys just before signing and withdraws the old ones.
    pub rotate_keys_first: bool,
    /// Changes to the header.
    pub header: Edit,
    /// Changes to the claims.
    pub claims: Edit,
}

impl Default for IdTokenShape {
    fn default() -> Self {
        Self {
            alg: Alg::Rs256,
            kid: Kid::Present,
            audience: Audience::Array,
            request_id: RequestIdClaim::None,
            at_hash: AtHash::Right,
            msn: true,
            user_data: false,
            issued_offset_seconds: 0,
            expires_in_seconds: 3600,
            signature: Signature::Right,
            rotate_keys_first: false,
            header: Edit::default(),
            claims: Edit::default(),
        }
    }
}

impl IdTokenShape {
    /// The ES256 shape Vipps prints for merchant-initiated login: string
    /// audience, the request identifier, few other claims.
    pub fn es256() -> Self {
        Self {
            alg: Alg::Es256,
            audience: Audience::String,
            request_id: RequestIdClaim::CamelCase,
            at_hash: AtHash::Absent,
            msn: false,
            expires_in_seconds: 600,
            claims: Edit::removing(["auth_time", "rat", "jti"]),
            ..Self::default()
        }
    }
}

/// A signing algorithm as the header names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Alg {
    /// RSA with SHA-256.
    #[serde(rename = "RS256")]
    Rs256,
    /// P-256 with SHA-256.
    #[serde(rename = "ES256")]
    Es256,
    /// HMAC with the client secret as its key.
    #[serde(rename = "HS256")]
    Hs256,
    /// No signature.
    #[serde(rename = "none")]
    None,
}

/// The `kid` header.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kid {
    /// The identifier of the signing key.
    Present,
    /// Left out.
    Absent,
    /// An identifier that is not in the key set.
    Unknown,
}

/// The form of the `aud` claim.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Audience {
    /// An array of the client id.
    Array,
    /// The client id as text.
    String,
    /// An array of the client id and these.
    ArrayAnd(Vec<String>),
}

/// The name under which the `auth_req_id` appears. Vipps's own pages disagree.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum RequestIdClaim {
    /// Not in the token, as CIBA has it in poll mode.
    #[serde(rename = "none")]
    None,
    /// As in Vipps's printed claims.
    #[serde(rename = "auth_req_id")]
    SnakeCase,
    /// As in Vipps's encoded sample token.
    #[serde(rename = "authReqId")]
    CamelCase,
    /// As in CIBA §10.3.1.
    #[serde(rename = "urn:openid:params:jwt:claim:auth_req_id")]
    Urn,
}

impl RequestIdClaim {
    fn name(self) -> Option<&'static str> {
        match self {
            Self::None => None,
            Self::SnakeCase => Some("auth_req_id"),
            Self::CamelCase => Some("authReqId"),
            Self::Urn => Some("urn:openid:params:jwt:claim:auth_req_id"),
        }
    }
}

/// The `at_hash` claim.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AtHash {
    /// Belongs to the access token.
    Right,
    /// Belongs to another access token.
    Wrong,
    /// Left out.
    Absent,
}

/// What is done to a signature before the token leaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Signature {
    /// Nothing.
    Right,
    /// It is made over other content.
    Broken,
    /// It is cut off, whatever the header says.
    Missing,
}

/// The facts one ID token states.
#[derive(Debug)]
pub(super) struct Facts<'a> {
    pub(super) issuer: &'a str,
    pub(super) client: &'a ClientRegistration,
    pub(super) subject: &'a str,
    pub(super) auth_req_id: &'a str,
    pub(super) access_token: &'a str,
    pub(super) user_data: Map<String, Value>,
    /// Wall clock, seconds since 1970.
    pub(super) now: i64,
    /// A random `jti`.
    pub(super) token_id: String,
}

/// Builds and signs the token.
pub(super) fn mint(shape: &IdTokenShape, facts: &Facts<'_>, keys: &SigningKeys) -> Result<String, KeyError> {
    let key = signing_key(shape.alg, keys);
    let header = encode(shape.header.apply(header(shape, key)));
    let claims = encode(shape.claims.apply(claims(shape, facts)));
    let message = format!("{header}.{claims}");
    let signature = signature(shape, &message, key, facts.client)?;
    Ok(format!("{message}.{signature}"))
}

fn signing_key(alg: Alg, keys: &SigningKeys) -> Option<&Key> {
    match alg {
        Alg::Rs256 => Some(keys.rsa()),
        Alg::Es256 => Some(keys.p256()),
        Alg::Hs256 | Alg::None => None,
    }
}

fn header(shape: &IdTokenShape, key: Option<&Key>) -> Map<String, Value> {
    let mut header = Map::new();
    header.insert("alg".to_owned(), json!(shape.alg));
    // The ES256 sample that Vipps prints has no `typ`, the RS256 one has.
    if shape.alg != Alg::Es256 {
        header.insert("typ".to_owned(), json!("JWT"));
    }
    let kid = match shape.kid {
        Kid::Present => key.map(|key| key.kid.as_str()),
        Kid::Absent => None,
        Kid::Unknown => Some("public:00000000-0000-4000-8000-000000000000"),
    };
    if let Some(kid) = kid {
        header.insert("kid".to_owned(), json!(kid));
    }
    header
}

fn claims(shape: &IdTokenShape, facts: &Facts<'_>) -> Map<String, Value> {
    let issued = facts.now + shape.issued_offset_seconds;
    let mut claims = if shape.user_data { facts.user_data.clone() } else { Map::new() };
    let mut put = |name: &str, value: Value| claims.insert(name.to_owned(), value);
    put("iss", json!(facts.issuer));
    put("sub", json!(facts.subject));
    put("aud", audience(&shape.audience, &facts.client.client_id));
    put("iat", json!(issued));
    put("auth_time", json!(issued));
    put("rat", json!(issued));
    put("exp", json!(facts.now + shape.expires_in_seconds));
    put("jti", json!(facts.token_id));
    if shape.msn {
        put("msn", json!(facts.client.merchant_serial_number));
    }
    if let Some(name) = shape.request_id.name() {
        put(name, json!(facts.auth_req_id));
    }
    match shape.at_hash {
        AtHash::Right => put("at_hash", json!(at_hash(facts.access_token))),
        AtHash::Wrong => put("at_hash", json!(at_hash("another access token"))),
        AtHash::Absent => None,
    };
    claims
}

fn audience(form: &Audience, client_id: &str) -> Value {
    match form {
        Audience::Array => json!([client_id]),
        Audience::String => json!(client_id),
        Audience::ArrayAnd(others) => std::iter::once(client_id).chain(others.iter().map(String::as_str)).collect(),
    }
}

/// The left half of the access token's SHA-256 (OpenID Connect Core §3.1.3.6;
/// every algorithm here uses SHA-256).
fn at_hash(access_token: &str) -> String {
    let digest = Sha256::digest(access_token.as_bytes());
    URL_SAFE_NO_PAD.encode(&digest[..16])
}

fn signature(
    shape: &IdTokenShape,
    message: &str,
    key: Option<&Key>,
    client: &ClientRegistration,
) -> Result<String, KeyError> {
    let signed = match shape.signature {
        Signature::Right => message.to_owned(),
        Signature::Broken => format!("{message}."),
        Signature::Missing => return Ok(String::new()),
    };
    match (shape.alg, key) {
        (Alg::Hs256, _) => sign_with_secret(&signed, &client.client_secret),
        (_, Some(key)) => key.sign(&signed),
        (_, None) => Ok(String::new()),
    }
}

fn encode(object: Map<String, Value>) -> String {
    URL_SAFE_NO_PAD.encode(Value::Object(object).to_string())
}
