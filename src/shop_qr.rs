//! A shop's own QR code, which a customer scans to check in.
//!
//! The code's id says whose it is and at which terminal it stands, so that a code
//! on a counter works for years whatever a store may lose. [`drawing`] makes
//! pictures of its content. Pure. Called by `logins`, `provider`, `grpc` and `cli`.

pub mod drawing;

use std::fmt;

use crate::session::{InvalidIdentifier, TenantId, TerminalId};

/// The provider's limit (QR API guide).
const MAX_LOCATION: usize = 36;
const MAX_ID: usize = 255;

/// The provider's `merchantQrId`, made by us: tenant, terminal and, where a terminal
/// has several codes, the code's own name, with dots between them. What is not a
/// letter, a digit, `-` or `_` is written as `~` and two hexadecimal digits.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ShopQrId(String);

impl ShopQrId {
    /// The id of a terminal's code; `name` tells several codes of one terminal apart.
    #[must_use]
    pub fn of(tenant: &TenantId, terminal: &TerminalId, name: Option<&QrName>) -> Self {
        let mut id = format!("{tenant}.{}", escaped(terminal.as_str()));
        if let Some(name) = name {
            id.push('.');
            id.push_str(name.as_str());
        }
        Self(id)
    }

    /// Reads an id as a provider or a caller gives it, whosever it is.
    ///
    /// # Errors
    /// When it can be none of ours.
    pub fn new(text: &str) -> Result<Self, InvalidIdentifier> {
        let fits = !text.is_empty()
            && text.len() <= MAX_ID
            && text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.' | b'~'));
        if fits {
            Ok(Self(text.to_owned()))
        } else {
            Err(InvalidIdentifier::of("must be a qr_id that CreateShopQr returned"))
        }
    }

    /// Which terminal of the tenant it stands at, and its name among that terminal's
    /// codes; `None` when it is not one of the tenant's.
    #[must_use]
    pub fn place_in(&self, tenant: &TenantId) -> Option<(TerminalId, Option<QrName>)> {
        let rest = self.0.strip_prefix(tenant.as_str())?.strip_prefix('.')?;
        let (terminal, name) = match rest.split_once('.') {
            Some((terminal, name)) => (terminal, Some(QrName::new(name).ok()?)),
            None => (rest, None),
        };
        let terminal = TerminalId::new(unescaped(terminal)?).ok()?;
        // Another spelling of the same would be another code at the provider.
        (Self::of(tenant, &terminal, name.as_ref()) == *self).then_some((terminal, name))
    }

    /// The text: safe in a path.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ShopQrId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_') {
            escaped.push(char::from(byte));
        } else {
            escaped.push_str(&format!("~{byte:02x}"));
        }
    }
    escaped
}

fn unescaped(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        if byte == b'~' {
            let (high, low) = (hex(rest.next()?)?, hex(rest.next()?)?);
            bytes.push(high * 16 + low);
        } else {
            bytes.push(byte);
        }
    }
    String::from_utf8(bytes).ok()
}

const fn hex(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        _ => None,
    }
}

/// The name of one of a terminal's several codes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QrName(String);

impl QrName {
    /// Checks the text.
    ///
    /// # Errors
    /// Says what would be right, without repeating the text.
    pub fn new(text: impl Into<String>) -> Result<Self, InvalidIdentifier> {
        let text = text.into();
        let fits = !text.is_empty()
            && text.len() <= 32
            && text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'));
        if fits { Ok(Self(text)) } else { Err(InvalidIdentifier::of("must be 1 to 32 letters, digits, - and _")) }
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Where the code is, as the app tells whoever scans it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Location(String);

impl Location {
    /// Checks the text.
    ///
    /// # Errors
    /// Says what would be right, without repeating the text.
    pub fn new(text: impl Into<String>) -> Result<Self, InvalidIdentifier> {
        let text = text.into();
        let fits =
            !text.trim().is_empty() && text.chars().count() <= MAX_LOCATION && !text.chars().any(char::is_control);
        if fits {
            Ok(Self(text))
        } else {
            Err(InvalidIdentifier::of("must be 1 to 36 characters, none of them a control character"))
        }
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// What kind of place it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Category {
    /// A shop.
    InStore,
    /// A machine.
    Vending,
}

impl Category {
    /// The provider's word for it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::InStore => "IN_STORE",
            Self::Vending => "VENDING",
        }
    }
}

/// A code as the provider has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ShopQr {
    /// Its id.
    pub id: ShopQrId,
    /// Where it is; empty where the provider does not say.
    pub location: String,
    /// What the code says.
    pub content: String,
    /// The provider's own picture of it, where it names one.
    pub image_url: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tenant(name: &str) -> TenantId {
        TenantId::new(name).unwrap()
    }

    #[test]
    fn an_id_says_whose_it_is_and_where_it_stands() {
        for (terminal, name) in [("till-4", None), ("shop/7:till@4", None), ("a.b+c=", Some("window"))] {
            let (terminal, name) = (TerminalId::new(terminal).unwrap(), name.map(|name| QrName::new(name).unwrap()));
            let id = ShopQrId::of(&tenant("acme"), &terminal, name.as_ref());
            let read = ShopQrId::new(id.as_str()).unwrap();
            assert_eq!(read.place_in(&tenant("acme")), Some((terminal, name)));
            assert_eq!(read.place_in(&tenant("acm")), None);
            assert_eq!(read.place_in(&tenant("other")), None);
        }
    }

    #[test]
    fn what_we_did_not_make_is_nobodys() {
        for text in ["acme", "acme.", "acme.~2", "acme.~4A", "acme.~41", "acme.a.b.c", "acme.till.", "27072f82-c4b6"] {
            assert_eq!(ShopQrId::new(text).unwrap().place_in(&tenant("acme")), None, "{text}");
        }
        assert!(ShopQrId::new("acme/till").is_err());
    }
}
