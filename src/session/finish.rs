//! Where the person is when they have answered.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Longer addresses are refused unread.
const MAX_URI: usize = 1024;

/// Where the person is when they have answered.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Finish {
    /// In the app. The login is polled.
    #[default]
    InApp,
    /// On this page, to which the app sends the phone's browser with a code. The login
    /// is never polled: the code is its one exchange.
    Redirect(RedirectUri),
}

impl Finish {
    /// Whether it is in the app.
    #[must_use]
    pub const fn is_in_app(&self) -> bool {
        matches!(self, Self::InApp)
    }
}

/// The address of a page, character for character as it is registered at the provider.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct RedirectUri(String);

/// A text that is no address of a page. Says what would be one, never the text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("must be an https URI of at most 1024 visible ASCII characters, without fragment and user")]
pub struct InvalidRedirectUri;

impl RedirectUri {
    /// Takes an https URI.
    ///
    /// # Errors
    /// When it is none, or has a fragment or a user.
    pub fn new(text: &str) -> Result<Self, InvalidRedirectUri> {
        let uri = url::Url::parse(text).map_err(|_| InvalidRedirectUri)?;
        let has_user = !uri.username().is_empty() || uri.password().is_some();
        if uri.scheme() != "https" || has_user {
            return Err(InvalidRedirectUri);
        }
        Self::try_from(text.to_owned())
    }

    /// The gateway's own page, wherever the operator says that it is.
    #[must_use]
    pub fn of_own_page(url: &url::Url) -> Self {
        Self(url.as_str().to_owned())
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for RedirectUri {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl TryFrom<String> for RedirectUri {
    type Error = InvalidRedirectUri;

    /// As a record has it.
    fn try_from(text: String) -> Result<Self, Self::Error> {
        let is_visible = text.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'#');
        if is_visible && (1..=MAX_URI).contains(&text.len()) { Ok(Self(text)) } else { Err(InvalidRedirectUri) }
    }
}

impl From<RedirectUri> for String {
    fn from(uri: RedirectUri) -> Self {
        uri.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_has_an_https_address_without_fragment() {
        for right in ["https://shop.example/landing", "https://shop.example:8443/a?b=c%20d"] {
            assert_eq!(RedirectUri::new(right).unwrap().as_str(), right);
        }
        let long = format!("https://shop.example/{}", "a".repeat(MAX_URI));
        for wrong in [
            "",
            "shop.example",
            "http://shop.example/",
            "https://shop.example/#part",
            "https://kari@shop.example/",
            "https://shop.example/å",
            "app://landing",
            &long,
        ] {
            assert_eq!(RedirectUri::new(wrong), Err(InvalidRedirectUri), "{wrong}");
        }
    }
}
