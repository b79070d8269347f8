//! What a client's certificate is known by.

use super::api_key::sha256_from_hex;

const MAX_LENGTH: usize = 253;

/// One way to know a certificate. Certificates that one authority gives out are
/// told apart by it, so two clients never share one.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum CertificateName {
    /// A URI among its subject alternative names, letter for letter.
    Uri(String),
    /// A DNS name among its subject alternative names; lower case, no wildcard.
    Dns(String),
    /// The SHA-256 of the whole certificate (DER).
    Sha256([u8; 32]),
}

impl CertificateName {
    /// A URI with its scheme, such as a SPIFFE ID: printable ASCII, at most 2048
    /// characters.
    #[must_use]
    pub fn uri(text: &str) -> Option<Self> {
        let has_scheme = text.split_once(':').is_some_and(|(scheme, rest)| !scheme.is_empty() && !rest.is_empty());
        let fits = text.len() <= 2048 && text.bytes().all(|byte| byte.is_ascii_graphic());
        (has_scheme && fits && url::Url::parse(text).is_ok()).then(|| Self::Uri(text.to_owned()))
    }

    /// A DNS name of at most 253 letters, digits, hyphens, underscores and dots.
    #[must_use]
    pub fn dns(text: &str) -> Option<Self> {
        let is_label = |label: &str| {
            let fits = label.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte));
            (1..=63).contains(&label.len()) && fits
        };
        let fits = text.len() <= MAX_LENGTH && text.split('.').all(is_label);
        fits.then(|| Self::Dns(text.to_ascii_lowercase()))
    }

    /// 64 hex digits, with or without the colons that tools put between them.
    #[must_use]
    pub fn sha256(text: &str) -> Option<Self> {
        sha256_from_hex(&text.replace(':', "")).map(Self::Sha256)
    }
}
