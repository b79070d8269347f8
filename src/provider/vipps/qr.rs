//! The vendor's QR API: merchant callback codes, and whose a customer's own code is.
//!
//! Paths and members as in the vendor's OpenAPI document "QR API". It is asked through
//! [`Platform`], which proves the sales unit; the serial number is on every request.

use async_trait::async_trait;
use serde::Deserialize;
use serde_json::json;

use super::platform::{NoToken, NotAsked, Platform};
use crate::phone::PhoneNumber;
use crate::provider::openid::http::{Answer, Http, Operation};
use crate::provider::shop::{Shop, ShopError};
use crate::session::PersonalQr;
use crate::shop_qr::{Category, Location, ShopQr, ShopQrId};

const CODES: &str = "/qr/v1/merchant-callback";
const EXCHANGE: &str = "/qr/v1/exchange";
/// More is no content of a code that anybody could scan.
const MAX_CONTENT: usize = 1024;
const MAX_IMAGE_URL: usize = 2048;
const MAX_LOCATION: usize = 200;

/// One sales unit's codes.
pub(super) struct Qr {
    platform: Platform,
}

/// A code as the vendor writes it.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Written {
    merchant_qr_id: Option<String>,
    location_description: Option<String>,
    qr_image_url: Option<String>,
    qr_content: Option<String>,
}

/// A number comes as text; should it come as a number, it is one too.
#[derive(Deserialize)]
#[serde(untagged)]
enum Digits {
    Text(String),
    Number(u64),
}

#[derive(Deserialize)]
struct Exchanged {
    msisdn: Digits,
}

impl Qr {
    pub(super) const fn new(platform: Platform) -> Self {
        Self { platform }
    }

    async fn send(
        &self,
        operation: Operation,
        request: impl Fn(&Http) -> reqwest::RequestBuilder + Send + Sync,
    ) -> Result<Vec<u8>, ShopError> {
        let answer = self.platform.send(operation, request).await.map_err(|problem| not_asked(&problem))?;
        accepted(answer)
    }

    fn pictures(&self, path: &str, size: u32) -> url::Url {
        let mut url = self.platform.url(path);
        url.query_pairs_mut().append_pair("QrImageFormat", "PNG").append_pair("QrImageSize", &size.to_string());
        url
    }
}

#[async_trait]
impl Shop for Qr {
    async fn put(
        &self,
        id: &ShopQrId,
        location: &Location,
        category: Category,
        image_size: u32,
    ) -> Result<ShopQr, ShopError> {
        let url = self.platform.url(&path(id));
        let body = json!({ "locationDescription": location.as_str(), "category": category.name() });
        // Its answer has no body.
        self.send(Operation::ShopQr, |http| http.put(&url).json(&body)).await?;
        self.get(id, image_size).await
    }

    async fn get(&self, id: &ShopQrId, image_size: u32) -> Result<ShopQr, ShopError> {
        let url = self.pictures(&path(id), image_size);
        let body = self.send(Operation::ShopQr, |http| http.get(&url)).await?;
        let written: Written = serde_json::from_slice(&body).map_err(|_| ShopError::Unavailable)?;
        written.read().filter(|qr| qr.id == *id).ok_or(ShopError::Unavailable)
    }

    async fn list(&self, image_size: u32) -> Result<Vec<ShopQr>, ShopError> {
        let url = self.pictures(CODES, image_size);
        let body = self.send(Operation::ShopQrs, |http| http.get(&url)).await?;
        let written: Vec<Written> = serde_json::from_slice(&body).map_err(|_| ShopError::Unavailable)?;
        Ok(written.into_iter().filter_map(Written::read).collect())
    }

    async fn delete(&self, id: &ShopQrId) -> Result<(), ShopError> {
        let url = self.platform.url(&path(id));
        self.send(Operation::ShopQr, |http| http.delete(&url)).await.map(drop)
    }

    async fn exchange(&self, scanned: &PersonalQr) -> Result<PhoneNumber, ShopError> {
        let url = self.platform.url(EXCHANGE);
        let body = json!({ "qrCode": scanned.expose() });
        let body = self.send(Operation::ExchangeQr, |http| http.post(&url).json(&body)).await?;
        let exchanged: Exchanged = serde_json::from_slice(&body).map_err(|_| ShopError::Unavailable)?;
        let digits = match exchanged.msisdn {
            Digits::Text(text) => text,
            Digits::Number(number) => number.to_string(),
        };
        // A number of a country without login is nobody whom a login can ask.
        PhoneNumber::from_msisdn(&digits).map_err(|_| ShopError::Refused)
    }
}

fn path(id: &ShopQrId) -> String {
    format!("{CODES}/{id}")
}

fn not_asked(problem: &NotAsked) -> ShopError {
    match problem {
        NotAsked::NoToken(NoToken::Refused(_)) => ShopError::CredentialsRefused,
        NotAsked::NoToken(_) | NotAsked::NoAnswer(_) => ShopError::Unavailable,
    }
}

/// The body of an answer that is a success. Status first: gateways in front of the API
/// answer 401, 403 and 429 in formats of their own.
fn accepted(answer: Answer) -> Result<Vec<u8>, ShopError> {
    match answer.status {
        200..=299 => answer.body.map_err(|_| ShopError::Unavailable),
        401 | 403 => Err(ShopError::CredentialsRefused),
        404 => Err(ShopError::NotFound),
        429 => Err(ShopError::Busy { retry_after: answer.reply().retry_after() }),
        400..=499 => Err(ShopError::Refused),
        _ => Err(ShopError::Unavailable),
    }
}

impl Written {
    /// `None` for a code that nobody could draw, or whose id is none of ours.
    fn read(self) -> Option<ShopQr> {
        let fits =
            |text: &String, max: usize| !text.is_empty() && text.len() <= max && !text.chars().any(char::is_control);
        Some(ShopQr {
            id: ShopQrId::new(&self.merchant_qr_id?).ok()?,
            location: self.location_description.filter(|text| fits(text, MAX_LOCATION)).unwrap_or_default(),
            content: self.qr_content.filter(|text| fits(text, MAX_CONTENT))?,
            image_url: self.qr_image_url.filter(|text| fits(text, MAX_IMAGE_URL) && text.starts_with("http")),
        })
    }
}
