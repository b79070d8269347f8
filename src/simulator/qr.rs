//! The vendor's QR API: a shop's codes, check-ins by them, and customers' own codes.
//!
//! Paths and shapes as in the OpenAPI document "QR API". A code's content stays as it
//! was first made. Whoever scans one is known by a customer token, for 15 minutes, at
//! the sales unit of the code alone.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use axum::body::Bytes;
use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, StatusCode};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::edit::Edit;
use super::fault::Fault;
use super::journal::Reply;
use super::msisdn::{Msisdn, digits_of};
use super::platform::authorize;
use super::settings::ClientRegistration;
use super::state::Shared;
use super::{answer, clock, random};

/// How long a customer token stands for its person (page "webhooks" of the QR API).
const CUSTOMER_TOKEN_LIFE: Duration = Duration::from_secs(15 * 60);
/// How long a tokenised code of a customer can be scanned; the vendor says no number.
const PERSONAL_QR_LIFE: Duration = Duration::from_secs(5 * 60);
const MAX_LOCATION: usize = 36;

/// Knobs of the QR API.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct QrKnobs {
    /// Given instead of every answer.
    pub fault: Option<Fault>,
    /// Changes to a code's members, alone and in the list.
    pub code: Edit,
    /// Changes to the answer about a customer's own code.
    pub exchange: Edit,
    /// Milliseconds of the protocol before each answer.
    pub latency_ms: u64,
}

/// What the phone is told when a code was scanned.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Scan {
    /// What stands for the person from now on.
    pub customer_token: String,
    /// The code's id.
    pub merchant_qr_id: String,
    /// The sales unit.
    pub merchant_serial_number: String,
    /// When, RFC 3339.
    pub initiated_at: String,
    /// Whose registrations are told.
    #[serde(skip)]
    pub(super) client_id: String,
}

impl Scan {
    /// The body of the webhook `user.checked-in.v1`.
    pub fn webhook_body(&self) -> String {
        json!({
            "customerToken": self.customer_token,
            "merchantQrId": self.merchant_qr_id,
            "msn": self.merchant_serial_number,
            "initiatedAt": self.initiated_at,
        })
        .to_string()
    }
}

/// How a customer's own code says whose it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PersonalQrKind {
    /// With the number in it, as Vipps's.
    ClearText,
    /// With a token in it, as MobilePay's.
    Tokenised,
}

/// What is remembered.
#[derive(Debug, Default)]
pub(super) struct Codes {
    pub(super) knobs: QrKnobs,
    /// By client and id.
    shops: BTreeMap<(String, String), ShopCode>,
    customers: HashMap<String, Customer>,
    personal: HashMap<String, (Msisdn, Duration)>,
}

#[derive(Debug, Clone)]
struct ShopCode {
    location: String,
    content: String,
}

/// Whom a customer token stands for.
#[derive(Debug, Clone)]
struct Customer {
    phone: Msisdn,
    client_id: String,
    expires: Duration,
}

/// Why a customer token stands for nobody.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum NoCustomer {
    Unknown,
    Expired,
}

impl Codes {
    /// Forgets everything.
    pub(super) fn clear(&mut self) {
        *self = Self::default();
    }

    /// Whom a token stands for at a client.
    pub(super) fn customer(&self, token: &str, client_id: &str, now: Duration) -> Result<Msisdn, NoCustomer> {
        let found = self.customers.get(token).filter(|customer| customer.client_id == client_id);
        let customer = found.ok_or(NoCustomer::Unknown)?;
        if now < customer.expires { Ok(customer.phone.clone()) } else { Err(NoCustomer::Expired) }
    }
}

/// Somebody scans a shop's code, by its content or its id; `None` when there is no such
/// code or number.
pub(super) fn scan(shared: &Shared, msisdn: &str, code: &str) -> Option<Scan> {
    let phone = Msisdn::parse(&digits_of(msisdn))?;
    // Base64 with everything in it that a form must encode.
    let mut bytes = [0xfb_u8; 34];
    getrandom::fill(&mut bytes[3..33]).ok()?;
    let customer_token = STANDARD.encode(bytes);
    let now = shared.now();
    let (client_id, merchant_qr_id) = shared.change(|state| {
        let codes = &mut state.codes;
        let is_it = |(key, shop): &(&(String, String), &ShopCode)| key.1 == code || shop.content == code;
        let (client_id, id) = codes.shops.iter().find(is_it)?.0.clone();
        let customer = Customer { phone, client_id: client_id.clone(), expires: now + CUSTOMER_TOKEN_LIFE };
        codes.customers.insert(customer_token.clone(), customer);
        Some((client_id, id))
    })?;
    let client = shared.settings().clients.iter().find(|client| client.client_id == client_id)?;
    Some(Scan {
        customer_token,
        merchant_qr_id,
        merchant_serial_number: client.merchant_serial_number.clone(),
        initiated_at: humantime::format_rfc3339_millis(clock::wall_now()).to_string(),
        client_id,
    })
}

/// A code that can be scanned.
#[derive(Debug, Clone, Serialize)]
pub(super) struct CodeOnCounter {
    id: String,
    location: String,
    content: String,
}

/// All shops' codes.
pub(super) fn on_counters(shared: &Shared) -> Vec<CodeOnCounter> {
    shared.look(|state| {
        let code = |((_, id), code): (&(String, String), &ShopCode)| CodeOnCounter {
            id: id.clone(),
            location: code.location.clone(),
            content: code.content.clone(),
        };
        state.codes.shops.iter().map(code).collect()
    })
}

/// The text of a person's own code.
pub(super) fn personal_qr(shared: &Shared, msisdn: &str, kind: PersonalQrKind) -> Option<String> {
    let phone = Msisdn::parse(&digits_of(msisdn))?;
    match kind {
        PersonalQrKind::ClearText => Some(format!("{CLEAR_TEXT}{}", phone.as_str())),
        PersonalQrKind::Tokenised => {
            let text = format!("{TOKENISED}{}", random::token().ok()?);
            let expires = shared.now() + PERSONAL_QR_LIFE;
            shared.change(|state| state.codes.personal.insert(text.clone(), (phone, expires)));
            Some(text)
        }
    }
}

const CLEAR_TEXT: &str = "https://qr.vipps.no/28/2/03/031/";
const TOKENISED: &str = "https://qr.mobilepay.dk/p/";

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct PutCode {
    location_description: String,
    category: Option<String>,
}

/// What `GET` may ask of the picture; other spellings are ignored, as by the vendor.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Picture {
    #[serde(rename = "QrImageFormat", alias = "qrImageFormat")]
    format: Option<String>,
    #[serde(rename = "QrImageSize", alias = "qrImageSize")]
    size: Option<u32>,
}

/// `PUT /qr/v1/merchant-callback/{merchantQrId}`
pub(super) async fn put(
    State(shared): State<Shared>,
    Path(id): Path<String>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Reply, Reply> {
    let client = admit(&shared, &headers).await?;
    let wanted: PutCode = serde_json::from_slice(&body).map_err(|_| problem("The body is not as it must be"))?;
    let is_category =
        wanted.category.as_deref().is_none_or(|word| matches!(word, "IN_STORE" | "VENDING" | "AGE_CHECK"));
    let location = wanted.location_description;
    if location.is_empty() || location.chars().count() > MAX_LOCATION || !is_category {
        return Err(problem("locationDescription has 1 to 36 characters, category is IN_STORE or VENDING"));
    }
    let content = format!("https://qr.vipps.no/28/2/05/031/{}", random::token().map_err(no_randomness)?);
    shared.change(|state| {
        let key = (client.client_id.clone(), id);
        let code = state.codes.shops.entry(key).or_insert(ShopCode { location: String::new(), content });
        code.location = location;
    });
    Ok(Reply::new("put", StatusCode::OK))
}

/// `GET /qr/v1/merchant-callback/{merchantQrId}`
pub(super) async fn get(
    State(shared): State<Shared>,
    Path(id): Path<String>,
    Query(picture): Query<Picture>,
    headers: HeaderMap,
) -> Result<Reply, Reply> {
    let client = admit(&shared, &headers).await?;
    let found = shared.look(|state| state.codes.shops.get(&(client.client_id.clone(), id.clone())).cloned());
    let code = found.ok_or_else(not_found)?;
    let body = shown(&shared, client, &id, &code, &picture).map_err(problem)?;
    Ok(Reply::new("shown", answer::json(StatusCode::OK, body.to_string())))
}

/// `GET /qr/v1/merchant-callback`
pub(super) async fn list(
    State(shared): State<Shared>,
    Query(picture): Query<Picture>,
    headers: HeaderMap,
) -> Result<Reply, Reply> {
    let client = admit(&shared, &headers).await?;
    let codes: Vec<_> = shared.look(|state| {
        let own = state.codes.shops.iter().filter(|((owner, _), _)| *owner == client.client_id);
        own.map(|((_, id), code)| (id.clone(), code.clone())).collect()
    });
    let codes: Result<Vec<_>, _> = codes.iter().map(|(id, code)| shown(&shared, client, id, code, &picture)).collect();
    Ok(Reply::new("listed", answer::json(StatusCode::OK, json!(codes.map_err(problem)?).to_string())))
}

/// `DELETE /qr/v1/merchant-callback/{merchantQrId}`
pub(super) async fn delete(
    State(shared): State<Shared>,
    Path(id): Path<String>,
    headers: HeaderMap,
) -> Result<Reply, Reply> {
    let client = admit(&shared, &headers).await?;
    let removed = shared.change(|state| state.codes.shops.remove(&(client.client_id.clone(), id)));
    removed.map(|_| Reply::new("deleted", StatusCode::OK)).ok_or_else(not_found)
}

/// `POST /qr/v1/exchange`
pub(super) async fn exchange(State(shared): State<Shared>, headers: HeaderMap, body: Bytes) -> Result<Reply, Reply> {
    admit(&shared, &headers).await?;
    let body: Value = serde_json::from_slice(&body).map_err(|_| problem("The body is not as it must be"))?;
    let text = body.get("qrCode").and_then(Value::as_str).ok_or_else(|| problem("qrCode is missing"))?;
    let now = shared.now();
    let known = shared.look(|state| state.codes.personal.get(text).cloned());
    let (phone, version) = match known {
        Some((phone, expires)) if now < expires => (phone, "2"),
        Some(_) => return Err(problem("The code has expired")),
        None => (text.strip_prefix(CLEAR_TEXT).and_then(Msisdn::parse).ok_or_else(|| problem("No such code"))?, "1"),
    };
    let edit = shared.look(|state| state.codes.knobs.exchange.clone());
    let fields = [("msisdn", json!(phone.as_str())), ("version", json!(version))];
    let body = edit.render(fields.map(|(name, value)| (name.to_owned(), value)).into_iter().collect());
    Ok(Reply::new("exchanged", answer::json(StatusCode::OK, body)).about(&phone))
}

async fn admit<'s>(shared: &'s Shared, headers: &HeaderMap) -> Result<&'s ClientRegistration, Reply> {
    let knobs = shared.look(|state| state.codes.knobs.clone());
    shared.linger(knobs.latency_ms).await;
    if let Some(fault) = &knobs.fault {
        return Err(Reply::new("fault", fault));
    }
    Ok(authorize(shared, headers)?)
}

fn shown(
    shared: &Shared,
    client: &ClientRegistration,
    id: &str,
    code: &ShopCode,
    picture: &Picture,
) -> Result<Value, &'static str> {
    let (format, size) = (picture.format.as_deref().unwrap_or("SVG"), picture.size.unwrap_or(200));
    if !matches!(format, "PNG" | "SVG") || !(100..=2000).contains(&size) {
        return Err("QrImageFormat is PNG or SVG, QrImageSize 100 to 2000");
    }
    let image = shared.at(&format!("/generate/qr.{}", format.to_lowercase()));
    let fields = [
        ("merchantSerialNumber", json!(client.merchant_serial_number)),
        ("merchantQrId", json!(id)),
        ("locationDescription", json!(code.location)),
        ("qrImageUrl", json!(format!("{image}?size={size}"))),
        ("qrContent", json!(code.content)),
    ];
    let edit = shared.look(|state| state.codes.knobs.code.clone());
    let text = edit.render(fields.map(|(name, value)| (name.to_owned(), value)).into_iter().collect());
    Ok(serde_json::from_str(&text).unwrap_or(Value::String(text)))
}

fn problem(detail: &'static str) -> Reply {
    let body = json!({
        "type": "https://datatracker.ietf.org/doc/html/rfc7231#section-6.5.1",
        "title": "One or more validation errors occurred.",
        "detail": detail,
        "instance": "3cff3564-4a14-4481-8dbb-431087753eed",
    });
    Reply::new("invalid", answer::json(StatusCode::BAD_REQUEST, body.to_string()))
}

fn not_found() -> Reply {
    let body =
        json!({ "title": "Not found", "detail": "No such QR", "instance": "3cff3564-4a14-4481-8dbb-431087753eed" });
    Reply::new("not_found", answer::json(StatusCode::NOT_FOUND, body.to_string()))
}

fn no_randomness(_: getrandom::Error) -> Reply {
    Reply::new("server_error", StatusCode::INTERNAL_SERVER_ERROR)
}
