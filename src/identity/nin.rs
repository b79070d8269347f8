//! National identity numbers.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A national identity number, in the form of its country: Norway 11 digits,
/// Denmark `DDMMYY-NNNN`, Sweden with `-` or `+` and with or without the century,
/// Finland `DDMMYYCZZZX`. Prints redacted.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Nin(String);

/// A text that is no national identity number. Never holds the text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("is no national identity number of Norway, Denmark, Sweden or Finland")]
pub struct InvalidNin;

impl Nin {
    /// Takes whatever may be one in any of the countries: 10 to 13 letters, digits
    /// and `-` or `+`, beginning with a date in six digits. Whether it belongs to
    /// anybody is not known here.
    ///
    /// # Errors
    /// Without repeating the text.
    pub fn new(text: impl Into<String>) -> Result<Self, InvalidNin> {
        let text = text.into();
        let begins_with_date = text.len() >= 6 && text.bytes().take(6).all(|byte| byte.is_ascii_digit());
        let is_known = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'+';
        let fits = (10..=13).contains(&text.len()) && begins_with_date && text.bytes().all(is_known);
        if fits { Ok(Self(text)) } else { Err(InvalidNin) }
    }

    /// The number itself, for delivery to a reader who may have it.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Nin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Nin(…)")
    }
}

impl fmt::Display for Nin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("…")
    }
}

impl TryFrom<String> for Nin {
    type Error = InvalidNin;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        Self::new(text)
    }
}

impl From<Nin> for String {
    fn from(nin: Nin) -> Self {
        nin.0
    }
}

// A person who has none may get an empty text, as for the address.
pub(super) fn unless_empty<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Option<Nin>, D::Error> {
    let text = Option::<String>::deserialize(deserializer)?.filter(|text| !text.is_empty());
    text.map(Nin::new).transpose().map_err(serde::de::Error::custom)
}
