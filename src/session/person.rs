//! Whose phone a login asks: a number, or a check-in of somebody whose number is
//! not known.

use std::fmt;

use serde::{Deserialize, Serialize};
use zeroize::{Zeroize, ZeroizeOnDrop};

use super::InvalidIdentifier;
use crate::phone::PhoneNumber;

/// The provider's tokens are a few hundred characters; more is none of them.
const MAX_CUSTOMER_TOKEN: usize = 2048;
/// A code holds no more: version 40 of the QR standard, in bytes.
const MAX_PERSONAL_QR: usize = 2953;

/// Whose phone is asked.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Person {
    /// Whoever has this number.
    #[serde(rename = "phone")]
    Phone(PhoneNumber),
    /// Whoever has scanned the shop's QR code. The number is not known, so what is
    /// counted and compared by number does not concern such a login.
    #[serde(rename = "check_in")]
    CheckIn(CheckedIn),
}

/// A check-in as a login holds it.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct CheckedIn {
    /// The gateway's name for it: stands in the place of the number wherever a store
    /// or the audit log needs one.
    pub id: CheckInId,
    /// What the provider knows the person by.
    pub token: CustomerToken,
}

impl Person {
    /// The number, where it is known.
    #[must_use]
    pub const fn phone(&self) -> Option<&PhoneNumber> {
        match self {
            Self::Phone(phone) => Some(phone),
            Self::CheckIn(_) => None,
        }
    }

    /// The check-in, where it is one.
    #[must_use]
    pub const fn check_in(&self) -> Option<&CheckInId> {
        match self {
            Self::Phone(_) => None,
            Self::CheckIn(check_in) => Some(&check_in.id),
        }
    }
}

impl From<PhoneNumber> for Person {
    fn from(phone: PhoneNumber) -> Self {
        Self::Phone(phone)
    }
}

/// The number masked, or `check-in`.
impl fmt::Display for Person {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Phone(phone) => phone.fmt(f),
            Self::CheckIn(_) => f.write_str("check-in"),
        }
    }
}

/// The gateway's name for a check-in: a keyed hash of the customer token, 22
/// base64url characters. Says nothing about the token or the person.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct CheckInId(String);

impl CheckInId {
    /// Reads an id that this gateway gave out.
    ///
    /// # Errors
    /// When it cannot be one.
    pub fn parse(text: &str) -> Result<Self, InvalidIdentifier> {
        let well_formed = text.len() == 22 && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_');
        if well_formed {
            Ok(Self(text.to_owned()))
        } else {
            Err(InvalidIdentifier::of("must be a check_in_id that WatchCheckIns delivered: 22 characters"))
        }
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for CheckInId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl TryFrom<String> for CheckInId {
    type Error = InvalidIdentifier;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        Self::parse(&text)
    }
}

impl From<CheckInId> for String {
    fn from(id: CheckInId) -> Self {
        id.0
    }
}

macro_rules! secret_text {
    ($(#[$doc:meta])* $name:ident, $fits:expr, $expected:literal) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, Hash, Serialize, Deserialize, Zeroize, ZeroizeOnDrop)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(String);

        impl $name {
            /// Checks the text.
            ///
            /// # Errors
            /// Says what would be right, without repeating the text.
            pub fn new(text: impl Into<String>) -> Result<Self, InvalidIdentifier> {
                let secret = Self(text.into());
                let fits: fn(&str) -> bool = $fits;
                if fits(&secret.0) { Ok(secret) } else { Err(InvalidIdentifier::of($expected)) }
            }

            /// The text: for the provider and keyed hashes alone.
            #[must_use]
            pub fn expose(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(concat!(stringify!($name), "(…)"))
            }
        }

        impl TryFrom<String> for $name {
            type Error = InvalidIdentifier;

            fn try_from(text: String) -> Result<Self, Self::Error> {
                Self::new(text)
            }
        }

        impl From<$name> for String {
            fn from(mut secret: $name) -> Self {
                std::mem::take(&mut secret.0)
            }
        }
    };
}

const fn is_base64(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/' | b'=' | b'-' | b'_' | b'.')
}

secret_text!(
    /// What the provider knows somebody by who has scanned a shop's QR code; it takes
    /// it in the place of a number for 15 minutes. Whoever has it can ask that
    /// person's phone. Prints redacted, and is wiped when dropped.
    CustomerToken,
    |text| !text.is_empty() && text.len() <= MAX_CUSTOMER_TOKEN && text.bytes().all(is_base64),
    "must be 1 to 2048 characters of base64"
);
secret_text!(
    /// The whole text of a customer's own QR code; some hold the number in the clear.
    /// Prints redacted, and is wiped when dropped.
    PersonalQr,
    |text| !text.trim().is_empty() && text.len() <= MAX_PERSONAL_QR && !text.chars().any(char::is_control),
    "must be the whole text of the scanned code: 1 to 2953 bytes without control characters"
);
