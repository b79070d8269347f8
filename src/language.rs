//! The languages that the gateway speaks to agents and screens.
//!
//! Reads BCP 47 tags and picks one of five; the words themselves stand where
//! they are used: `grpc` (agent texts) and `phone` (spelled codes). Pure.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Tags longer than this are refused unread (RFC 5646, section 4.4.1).
const MAX_TAG: usize = 35;

/// A language that agents and screens are spoken to in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Language {
    /// English.
    #[default]
    #[serde(rename = "en")]
    English,
    /// Norwegian bokmål, also for who asks for nynorsk.
    #[serde(rename = "nb")]
    Norwegian,
    /// Swedish.
    #[serde(rename = "sv")]
    Swedish,
    /// Danish.
    #[serde(rename = "da")]
    Danish,
    /// Finnish.
    #[serde(rename = "fi")]
    Finnish,
}

/// A text that names no language of ours. Never holds the text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("must be a BCP 47 tag of one of en, nb (also no and nn), sv, da, fi, such as nb or sv-FI")]
pub struct UnknownLanguage;

impl Language {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::English, Self::Norwegian, Self::Swedish, Self::Danish, Self::Finnish];

    /// Reads a BCP 47 tag. What follows the language itself (script, region,
    /// variants) must be well formed and makes no difference.
    ///
    /// # Errors
    /// When it is no tag, or one of another language.
    pub fn parse(tag: &str) -> Result<Self, UnknownLanguage> {
        let is_subtag = |part: &str| (1..=8).contains(&part.len()) && part.bytes().all(|b| b.is_ascii_alphanumeric());
        let mut parts = tag.split('-');
        let language = parts.next().unwrap_or_default().to_ascii_lowercase();
        if tag.len() > MAX_TAG || !parts.all(is_subtag) {
            return Err(UnknownLanguage);
        }
        match language.as_str() {
            "en" => Ok(Self::English),
            "nb" | "no" | "nn" => Ok(Self::Norwegian),
            "sv" => Ok(Self::Swedish),
            "da" => Ok(Self::Danish),
            "fi" => Ok(Self::Finnish),
            _ => Err(UnknownLanguage),
        }
    }

    /// The shortest tag of it.
    #[must_use]
    pub const fn tag(self) -> &'static str {
        match self {
            Self::English => "en",
            Self::Norwegian => "nb",
            Self::Swedish => "sv",
            Self::Danish => "da",
            Self::Finnish => "fi",
        }
    }
}

impl fmt::Display for Language {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.tag())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_of_our_languages_are_read_with_and_without_a_region() {
        for (tag, language) in [
            ("en", Language::English),
            ("EN-gb", Language::English),
            ("nb", Language::Norwegian),
            ("no", Language::Norwegian),
            ("nn-NO", Language::Norwegian),
            ("sv-FI", Language::Swedish),
            ("da-DK", Language::Danish),
            ("fi", Language::Finnish),
            ("sv-Latn-SE", Language::Swedish),
        ] {
            assert_eq!(Language::parse(tag), Ok(language), "{tag}");
        }
        for language in Language::ALL {
            assert_eq!(Language::parse(language.tag()), Ok(language));
        }
    }

    #[test]
    fn other_languages_and_what_is_no_tag_are_refused() {
        let long = format!("en-{}", "a".repeat(9));
        let many = format!("en{}", "-aaaaaaaa".repeat(4));
        for tag in ["", "de", "english", "en_GB", "en-", "-en", "en--GB", "en GB", "nø", long.as_str(), many.as_str()]
        {
            assert_eq!(Language::parse(tag), Err(UnknownLanguage), "{tag}");
        }
    }
}
