//! Phone numbers as Vipps takes them, and the login hints that carry them.

/// Country calling codes the start endpoint accepts: Norway, Denmark, Sweden,
/// Finland, Greenland.
pub(super) const COUNTRY_CODES: [&str; 5] = ["47", "45", "46", "358", "299"];

/// A number in the form of a login hint: country code and national number,
/// digits only.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct Msisdn {
    digits: String,
    country: &'static str,
}

impl Msisdn {
    /// Checks country code and length (E.164 allows fifteen digits).
    pub(super) fn parse(digits: &str) -> Option<Self> {
        let well_formed = digits.bytes().all(|byte| byte.is_ascii_digit());
        let country = COUNTRY_CODES.into_iter().find(|code| digits.len() > code.len() && digits.starts_with(code))?;
        (well_formed && digits.len() <= 15).then(|| Self { digits: digits.to_owned(), country })
    }

    /// Reads a `urn:msisdn:` hint.
    pub(super) fn from_hint(hint: &str) -> Option<Self> {
        Self::parse(hint.strip_prefix("urn:msisdn:")?)
    }

    pub(super) fn as_str(&self) -> &str {
        &self.digits
    }

    /// The country calling code.
    pub(super) fn country(&self) -> &'static str {
        self.country
    }

    /// The number without its country code.
    pub(super) fn national(&self) -> &str {
        self.digits.strip_prefix(self.country).unwrap_or(&self.digits)
    }
}

/// The digits of a number that a person or a test wrote down with `+` and spaces.
pub(super) fn digits_of(text: &str) -> String {
    text.chars().filter(char::is_ascii_digit).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn takes_the_five_countries_and_no_other() {
        for digits in ["4790000001", "4520000001", "46700000001", "299200001"] {
            assert!(Msisdn::parse(digits).is_some(), "{digits}");
        }
        for digits in ["", "47", "12025550100", "+4790000001", "47900000x1"] {
            assert!(Msisdn::parse(digits).is_none(), "{digits}");
        }
    }

    #[test]
    fn reads_hints() {
        let by_number = Msisdn::from_hint("urn:msisdn:358400000001");
        assert_eq!(by_number, Msisdn::parse("358400000001"));
        assert_eq!(Msisdn::from_hint("urn:mobilenumber:90000001"), None);
    }

    #[test]
    fn splits_off_the_country_code() {
        let number = Msisdn::parse("299200001").unwrap();
        assert_eq!((number.country(), number.national()), ("299", "200001"));
    }
}
