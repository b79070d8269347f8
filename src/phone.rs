//! Phone numbers and binding codes.
//!
//! [`PhoneNumber`] is a number that Vipps MobilePay Login can take: Norway,
//! Sweden, Denmark, Finland or Greenland. [`BindingCode`] is the short code
//! that the app shows and that ties the person on the line to the phone; it
//! can be spelled in words.
//! Both print masked; there is no way to print them whole by accident.
//!
//! Does no I/O and keeps no number tables of its own: reading and judging
//! numbers is the phone-number library's work. Called by `grpc`, `logins`,
//! `provider` and `store`.

mod spelling;

use std::fmt;

use rlibphonenumber::{PHONE_NUMBER_UTIL, PhoneNumberFormat, Region};
use serde::{Deserialize, Serialize};
use subtle::ConstantTimeEq;
use zeroize::{Zeroize, ZeroizeOnDrop};

/// Input longer than this is refused unread: the parser's time grows with it.
const MAX_INPUT_CHARS: usize = 40;

/// The countries whose numbers the provider takes.
///
/// Source: vendor's own answer to a foreign number, country codes 46, 45, 47,
/// 358 and 299.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Country {
    /// Norway, +47.
    #[serde(rename = "NO")]
    Norway,
    /// Sweden, +46.
    #[serde(rename = "SE")]
    Sweden,
    /// Denmark, +45.
    #[serde(rename = "DK")]
    Denmark,
    /// Finland, +358.
    #[serde(rename = "FI")]
    Finland,
    /// Greenland, +299; six national digits.
    #[serde(rename = "GL")]
    Greenland,
}

impl Country {
    const ALL: [Self; 5] = [Self::Norway, Self::Sweden, Self::Denmark, Self::Finland, Self::Greenland];

    const fn region(self) -> Region {
        match self {
            Self::Norway => Region::NO,
            Self::Sweden => Region::SE,
            Self::Denmark => Region::DK,
            Self::Finland => Region::FI,
            Self::Greenland => Region::GL,
        }
    }

    const fn calling_code(self) -> &'static str {
        match self {
            Self::Norway => "47",
            Self::Sweden => "46",
            Self::Denmark => "45",
            Self::Finland => "358",
            Self::Greenland => "299",
        }
    }

    /// What people there call the provider's app. Brands change: nowhere else does
    /// the gateway name it.
    #[must_use]
    pub const fn app_name(self) -> &'static str {
        match self {
            Self::Norway | Self::Sweden => "Vipps",
            Self::Denmark | Self::Finland | Self::Greenland => "MobilePay",
        }
    }
}

/// Why a text is not a phone number that can be asked. Never holds the text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidPhoneNumber {
    /// Nothing was given.
    #[error("is empty; give a number such as +47 and eight digits")]
    Empty,
    /// Longer than any number with its separators.
    #[error("is longer than 40 characters")]
    TooLong,
    /// Not a phone number, or too short or long for its country.
    #[error("is not a possible phone number; give it with country code, such as +47 and eight digits")]
    NotANumber,
    /// A number of a country that the provider does not serve.
    #[error("belongs to a country without Vipps MobilePay Login; it takes +47, +46, +45, +358 and +299")]
    Country,
}

/// A phone number in E.164 form, of a country that the provider serves.
///
/// Prints as country code and last two digits only. Wiped when dropped.
#[derive(Clone, PartialEq, Eq, Hash, Serialize, Deserialize, Zeroize, ZeroizeOnDrop)]
#[serde(try_from = "String", into = "String")]
pub struct PhoneNumber {
    digits: String,
    #[zeroize(skip)]
    country: Country,
}

impl PhoneNumber {
    /// Reads a number as a person writes it.
    ///
    /// With a leading `+` or `00` the country is in the number; otherwise it
    /// is national to `default_country`. Spaces and the usual separators are
    /// ignored. Whether the number is in use is not known here.
    ///
    /// # Errors
    /// Says what is wrong without repeating the input.
    pub fn parse(input: &str, default_country: Country) -> Result<Self, InvalidPhoneNumber> {
        let input = input.trim();
        if input.is_empty() {
            return Err(InvalidPhoneNumber::Empty);
        }
        if input.chars().count() > MAX_INPUT_CHARS {
            return Err(InvalidPhoneNumber::TooLong);
        }
        // The library reads "GREAT-DANE" as digits and ";ext=" as an extension;
        // neither can be rung.
        if !input.chars().all(|c| c.is_ascii_digit() || matches!(c, '+' | ' ' | '-' | '.' | '(' | ')' | '/' | '\u{a0}'))
        {
            return Err(InvalidPhoneNumber::NotANumber);
        }
        let number = PHONE_NUMBER_UTIL
            .parse(input, Some(default_country.region()))
            .map_err(|_| InvalidPhoneNumber::NotANumber)?;
        let e164 = PHONE_NUMBER_UTIL.format(&number, PhoneNumberFormat::E164);
        let digits = e164.trim_start_matches('+');
        let country = country_of(digits).ok_or(InvalidPhoneNumber::Country)?;
        if !PHONE_NUMBER_UTIL.is_possible_number(&number) || !reads_as_itself(&e164) {
            return Err(InvalidPhoneNumber::NotANumber);
        }
        Ok(Self { digits: digits.to_owned(), country })
    }

    /// Reads the digits-only form that the provider writes in userinfo
    /// (`4712345678`), with or without a leading `+`.
    ///
    /// # Errors
    /// As [`PhoneNumber::parse`].
    pub fn from_msisdn(text: &str) -> Result<Self, InvalidPhoneNumber> {
        Self::parse(&format!("+{}", text.trim().trim_start_matches('+')), Country::Norway)
    }

    /// Country code and national number, digits only, as the provider's
    /// `urn:msisdn:` hint wants them. For the provider and keyed hashes alone.
    #[must_use]
    pub fn msisdn(&self) -> &str {
        &self.digits
    }

    /// `+` and [`PhoneNumber::msisdn`]. For delivery to the login's reader alone.
    #[must_use]
    pub fn e164(&self) -> String {
        format!("+{}", self.digits)
    }

    /// `text` without this number, wherever its digits stand in it, with or
    /// without the country's.
    #[must_use]
    pub fn hidden_in(&self, text: &str) -> String {
        let national = self.digits.strip_prefix(self.country.calling_code()).unwrap_or(&self.digits);
        text.replace(&self.digits, "…").replace(national, "…")
    }

    /// The country it belongs to.
    #[must_use]
    pub const fn country(&self) -> Country {
        self.country
    }
}

/// The library keeps some zeros before a national number that it takes away when
/// it reads the result: such a number would be another one after a while.
fn reads_as_itself(e164: &str) -> bool {
    let again = PHONE_NUMBER_UTIL.parse(e164, None::<Region>);
    again.is_ok_and(|again| PHONE_NUMBER_UTIL.format(&again, PhoneNumberFormat::E164) == e164)
}

fn country_of(digits: &str) -> Option<Country> {
    Country::ALL.into_iter().find(|country| digits.starts_with(country.calling_code()))
}

impl fmt::Display for PhoneNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = self.digits.len().saturating_sub(2);
        write!(f, "+{}…{}", self.country.calling_code(), self.digits.get(shown..).unwrap_or_default())
    }
}

impl fmt::Debug for PhoneNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PhoneNumber({self})")
    }
}

impl TryFrom<String> for PhoneNumber {
    type Error = InvalidPhoneNumber;

    fn try_from(msisdn: String) -> Result<Self, Self::Error> {
        Self::from_msisdn(&msisdn)
    }
}

impl From<PhoneNumber> for String {
    fn from(mut number: PhoneNumber) -> Self {
        std::mem::take(&mut number.digits)
    }
}

/// Capitals and digits without the pairs that are mistaken for each other when
/// read aloud or from a screen: 0/O, 1/I, 5/S, 8/B.
const CODE_ALPHABET: &[u8; 28] = b"ACDEFGHJKLMNPQRTUVWXYZ234679";
const CODE_LENGTH: usize = 5;
const CODE_LENGTHS: std::ops::RangeInclusive<usize> = 5..=8;

/// Why a typed text cannot be a code of ours. Never holds the text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("is not a code: 5 to 8 capital letters and digits; B, I, O, S and 0, 1, 5, 8 never occur in one")]
pub struct InvalidBindingCode;

/// The CIBA `binding_message` as a code: shown in the app, carried by the
/// person. Five characters of 28 give 24 bits.
///
/// Prints redacted, because in read-back mode the agent must not see it. Wiped
/// when dropped.
#[derive(Clone, Eq, Serialize, Deserialize, Zeroize, ZeroizeOnDrop)]
#[serde(try_from = "String", into = "String")]
pub struct BindingCode(String);

impl BindingCode {
    /// Makes a code out of random bytes that `fill` provides.
    ///
    /// `fill` must be a cryptographically secure source; bytes that would make
    /// some characters likelier than others are thrown away.
    pub fn random<E>(mut fill: impl FnMut(&mut [u8]) -> Result<(), E>) -> Result<Self, E> {
        // The largest multiple of 28 that fits a byte.
        const FAIR: u8 = 252;
        let mut code = String::with_capacity(CODE_LENGTH);
        let mut bytes = [0_u8; 16];
        while code.len() < CODE_LENGTH {
            fill(&mut bytes)?;
            let fair = bytes.iter().filter(|byte| **byte < FAIR);
            let chars = fair.map(|byte| char::from(CODE_ALPHABET[usize::from(byte % 28)]));
            code.extend(chars.take(CODE_LENGTH - code.len()));
        }
        Ok(Self(code))
    }

    /// Reads a code as an agent types it: case, spaces and hyphens do not matter.
    ///
    /// # Errors
    /// When no code of ours can look like this; such a text is not a try.
    pub fn parse(typed: &str) -> Result<Self, InvalidBindingCode> {
        if typed.len() > 64 {
            return Err(InvalidBindingCode);
        }
        let code: String = typed.chars().filter(|c| !matches!(c, ' ' | '-')).map(|c| c.to_ascii_uppercase()).collect();
        let known = code.bytes().all(|byte| CODE_ALPHABET.contains(&byte));
        if known && CODE_LENGTHS.contains(&code.len()) { Ok(Self(code)) } else { Err(InvalidBindingCode) }
    }

    /// The code itself: for the provider's `binding_message` and, in the modes
    /// that show it, for the caller.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl PartialEq for BindingCode {
    /// Takes the same time wherever the codes differ.
    fn eq(&self, other: &Self) -> bool {
        self.0.as_bytes().ct_eq(other.0.as_bytes()).into()
    }
}

impl fmt::Debug for BindingCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("BindingCode(…)")
    }
}

impl TryFrom<String> for BindingCode {
    type Error = InvalidBindingCode;

    fn try_from(code: String) -> Result<Self, Self::Error> {
        Self::parse(&code)
    }
}

impl From<BindingCode> for String {
    fn from(mut code: BindingCode) -> Self {
        std::mem::take(&mut code.0)
    }
}

#[cfg(test)]
mod tests;
