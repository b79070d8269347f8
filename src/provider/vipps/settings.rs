//! What an operator says about one credential at Vipps MobilePay Login.
//!
//! Plain values; reading them from a file is `config`'s work.

use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use secrecy::SecretString;

use crate::provider::openid::{self, InvalidSettings};

/// The vendor's limit for each `Vipps-System-*` header.
const MAX_SYSTEM_HEADER: usize = 30;

/// One credential (a sales unit) and how to reach its provider.
#[derive(Clone, Debug)]
pub struct Settings {
    /// What every OpenID provider has.
    pub openid: openid::Settings,
    /// Whose credential it is.
    pub keys: Keys,
    /// The subscription key of the vendor's platform, where its other APIs are used;
    /// needed with partner keys.
    pub subscription_key: Option<SecretString>,
    /// `Merchant-Serial-Number`, sent for the vendor's fault finding. With partner keys it
    /// says for which merchant, and is needed.
    pub merchant_serial_number: Option<String>,
    /// Who calls, for the vendor's fault finding.
    pub system: SystemHeaders,
}

/// Whose a credential at Vipps is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Keys {
    /// One sales unit's: it proves itself with its id and secret.
    #[default]
    SalesUnit,
    /// A partner's, for sales units of many merchants: it proves itself with the
    /// platform's access token. ID tokens are for the merchant, by `msn`.
    Partner,
}

/// The `Vipps-System-*` headers, each at most 30 characters.
#[derive(Clone, Debug, Default)]
pub struct SystemHeaders {
    /// `Vipps-System-Name`.
    pub name: Option<String>,
    /// `Vipps-System-Version`.
    pub version: Option<String>,
    /// `Vipps-System-Plugin-Name`.
    pub plugin_name: Option<String>,
    /// `Vipps-System-Plugin-Version`.
    pub plugin_version: Option<String>,
}

impl SystemHeaders {
    /// The headers that are set, by their names on the wire.
    fn iter(&self) -> impl Iterator<Item = (&'static str, &str)> {
        [
            ("vipps-system-name", &self.name),
            ("vipps-system-version", &self.version),
            ("vipps-system-plugin-name", &self.plugin_name),
            ("vipps-system-plugin-version", &self.plugin_version),
        ]
        .into_iter()
        .filter_map(|(name, value)| Some((name, value.as_deref()?)))
    }
}

impl Settings {
    /// What can be judged by looking at one value alone.
    pub(super) fn check_values(&self) -> Result<(), InvalidSettings> {
        self.openid.check_values()?;
        if self.keys == Keys::Partner && self.subscription_key.is_none() {
            return Err(InvalidSettings::SubscriptionKey);
        }
        if self.keys == Keys::Partner && self.merchant_serial_number.is_none() {
            return Err(InvalidSettings::NoMerchant);
        }
        let is_header = |text: &str| text.trim() == text && text.bytes().all(|b| b.is_ascii_graphic() || b == b' ');
        let is_wrong = |value: &str| value.is_empty() || value.len() > MAX_SYSTEM_HEADER || !is_header(value);
        match self.stated().find(|(_, value)| is_wrong(value)) {
            Some((name, _)) => Err(InvalidSettings::Header(name)),
            None => Ok(()),
        }
    }

    /// The headers of every request.
    pub(super) fn headers(&self) -> Result<HeaderMap, InvalidSettings> {
        headers(self.stated())
    }

    /// The same without what is one merchant's.
    pub(super) fn system_headers(&self) -> Result<HeaderMap, InvalidSettings> {
        headers(self.system.iter())
    }

    fn stated(&self) -> impl Iterator<Item = (&'static str, &str)> {
        let serial_number = self.merchant_serial_number.as_deref().map(|value| ("merchant-serial-number", value));
        self.system.iter().chain(serial_number)
    }
}

fn headers<'s>(stated: impl Iterator<Item = (&'static str, &'s str)>) -> Result<HeaderMap, InvalidSettings> {
    let mut headers = HeaderMap::new();
    for (name, value) in stated {
        let value = HeaderValue::from_str(value).map_err(|_| InvalidSettings::Header(name))?;
        headers.insert(HeaderName::from_static(name), value);
    }
    Ok(headers)
}
