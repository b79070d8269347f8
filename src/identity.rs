//! Who a person turned out to be: the claims of Vipps MobilePay Login, typed.
//!
//! Reads what the provider's userinfo says and keeps whatever it does not know
//! as JSON. It judges nothing: whether the claims may be believed is decided by
//! `provider`, who may see them by `logins`.
//!
//! Field formats follow the vendor's OpenAPI "Login API", operation userinfo.

mod consents;
mod nin;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::Value;

pub use consents::{Agreement, Answer, Consent, DelegatedConsents, Element, FlowResult, Links, Screen, TermsLink};
pub use nin::{InvalidNin, Nin};

/// A claim that a caller can ask for; each is one scope at the provider.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Claim {
    /// Full, given and family name.
    Name,
    /// The number the person uses at the provider.
    PhoneNumber,
    /// Email address, and whether it is verified.
    Email,
    /// Home address and other addresses.
    Address,
    /// Date of birth.
    Birthdate,
    /// `male`, `female` or `other`.
    Gender,
    /// National identity number.
    Nin,
    /// Marketing consents, the older form.
    DelegatedConsents,
    /// Answers to the sales unit's own screens (`flowResult`).
    CustomFlow,
    /// Acceptance of terms and privacy statement.
    Agreement,
}

impl Claim {
    /// The claim's name, as the configuration writes it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Name => "name",
            Self::PhoneNumber => "phone_number",
            Self::Email => "email",
            Self::Address => "address",
            Self::Birthdate => "birthdate",
            Self::Gender => "gender",
            Self::Nin => "nin",
            Self::DelegatedConsents => "delegated_consents",
            Self::CustomFlow => "custom_flow",
            Self::Agreement => "agreement",
        }
    }

    /// The scope that brings it at Vipps (`vipps-login` scope list).
    #[must_use]
    pub const fn scope(self) -> &'static str {
        match self {
            Self::Name => "name",
            Self::PhoneNumber => "phoneNumber",
            Self::Email => "email",
            Self::Address => "address",
            Self::Birthdate => "birthDate",
            Self::Gender => "gender",
            Self::Nin => "nin",
            Self::DelegatedConsents => "delegatedConsents",
            Self::CustomFlow => "customFlow",
            Self::Agreement => "agreement",
        }
    }

    /// The standard's scope that brings it (OpenID Connect Core, section 5.4); `None`
    /// where the standard has no such claim.
    #[must_use]
    pub const fn standard_scope(self) -> Option<&'static str> {
        match self {
            Self::Name | Self::Birthdate | Self::Gender => Some("profile"),
            Self::PhoneNumber => Some("phone"),
            Self::Email => Some("email"),
            Self::Address => Some("address"),
            Self::Nin | Self::DelegatedConsents | Self::CustomFlow | Self::Agreement => None,
        }
    }
}

/// The provider's name for a person at one sales unit (`sub`). Prints redacted.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Subject(String);

impl Subject {
    /// Takes any `sub`: 1 to 255 ASCII characters (OpenID Connect Core, section 2).
    #[must_use]
    pub fn new(text: &str) -> Option<Self> {
        let fits = !text.is_empty() && text.len() <= 255 && text.bytes().all(|byte| byte.is_ascii_graphic());
        fits.then(|| Self(text.to_owned()))
    }

    /// The value, for comparison and for delivery to the login's reader.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Subject(…)")
    }
}

/// A verified person. Only claims that the person consented to are present.
///
/// Prints as the names of the claims that are there, never their values.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
pub struct Identity {
    /// One per person and sales unit; survives a change of number.
    pub sub: Subject,
    /// Full name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Given names.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub given_name: Option<String>,
    /// Family name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub family_name: Option<String>,
    /// `YYYY-MM-DD`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub birthdate: Option<String>,
    /// Email address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub email: Option<String>,
    /// Whether the provider has verified the address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub email_verified: Option<bool>,
    /// Country code and number, digits only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub phone_number: Option<String>,
    /// `male`, `female` or `other`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gender: Option<String>,
    /// National identity number, in the form of its country.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "nin::unless_empty")]
    pub nin: Option<Nin>,
    /// The registered address; absent also when every field of it came empty.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "address_unless_empty")]
    pub address: Option<Address>,
    /// Up to two further addresses.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub other_addresses: Vec<Address>,
    /// Marketing consents as they came: they come once, and are not lost over a
    /// detail of their shape. [`Identity::delegated_consents`] reads them.
    #[serde(default, rename = "delegatedConsents", skip_serializing_if = "Option::is_none")]
    pub raw_delegated_consents: Option<Value>,
    /// What the person ticked on the sales unit's own screens, as it came.
    /// [`Identity::flow_result`] reads it.
    #[serde(default, rename = "flowResult", skip_serializing_if = "Option::is_none")]
    pub raw_flow_result: Option<Value>,
    /// Acceptance of terms and privacy statement as it came. [`Identity::agreement`]
    /// reads it.
    #[serde(default, rename = "agreement", skip_serializing_if = "Option::is_none")]
    pub raw_agreement: Option<Value>,
    /// Everything else the provider sent.
    #[serde(flatten)]
    pub other: BTreeMap<String, Value>,
}

impl Identity {
    /// Reads the body of a userinfo answer.
    ///
    /// # Errors
    /// When it is no JSON object, a claim has another type than documented, or
    /// a claim comes twice. The error names the place, never the value.
    pub fn from_userinfo(body: &[u8]) -> Result<Self, InvalidIdentity> {
        let mut identity: Self = serde_json::from_slice(body)
            .map_err(|error| InvalidIdentity { line: error.line(), column: error.column() })?;
        if Subject::new(identity.sub.expose()).is_none() {
            return Err(InvalidIdentity { line: 0, column: 0 });
        }
        identity.find_misspelt_consents();
        Ok(identity)
    }

    /// The vendor's own sample has a name with a space before it.
    fn find_misspelt_consents(&mut self) {
        for (claim, name) in [
            (&mut self.raw_delegated_consents, "delegatedConsents"),
            (&mut self.raw_flow_result, "flowResult"),
            (&mut self.raw_agreement, "agreement"),
        ] {
            let misspelt = self.other.keys().find(|key| key.trim() == name).cloned();
            if let (None, Some(misspelt)) = (&claim, misspelt) {
                *claim = self.other.remove(&misspelt).filter(|value| !value.is_null());
            }
        }
    }

    /// Marketing consents, refusals among them; `None` when there are none, or in no
    /// form that can be read.
    #[must_use]
    pub fn delegated_consents(&self) -> Option<DelegatedConsents> {
        self.raw_delegated_consents.as_ref().and_then(DelegatedConsents::read)
    }

    /// What the person ticked on the sales unit's own screens; `None` when there is
    /// nothing, or in no form that can be read.
    #[must_use]
    pub fn flow_result(&self) -> Option<FlowResult> {
        self.raw_flow_result.as_ref().and_then(FlowResult::read)
    }

    /// Terms and privacy statement, and whether they were accepted; `None` when there
    /// is nothing, or in no form that can be read.
    #[must_use]
    pub fn agreement(&self) -> Option<Agreement> {
        self.raw_agreement.as_ref().and_then(Agreement::read)
    }

    /// Whether the claim came, and says something.
    #[must_use]
    pub fn has(&self, claim: Claim) -> bool {
        let says = |text: &Option<String>| text.as_ref().is_some_and(|text| !text.is_empty());
        match claim {
            Claim::Name => says(&self.name),
            Claim::PhoneNumber => says(&self.phone_number),
            Claim::Email => says(&self.email),
            Claim::Address => self.address.is_some(),
            Claim::Birthdate => says(&self.birthdate),
            Claim::Gender => says(&self.gender),
            Claim::Nin => self.nin.is_some(),
            Claim::DelegatedConsents => self.delegated_consents().is_some_and(|consents| !consents.consents.is_empty()),
            Claim::CustomFlow => self.flow_result().is_some_and(|result| !result.screens.is_empty()),
            Claim::Agreement => self.agreement().is_some_and(|agreement| agreement.answer != Answer::Unclear),
        }
    }

    /// The same without a national identity number that is not among `claims`:
    /// nobody had a ground to ask for it.
    #[must_use]
    pub fn without_unasked_nin(self, claims: &BTreeSet<Claim>) -> Self {
        let nin = self.nin.filter(|_| claims.contains(&Claim::Nin));
        Self { nin, ..self }
    }

    /// The same with nothing but what `claims` asks for, and who the person is (`sub`).
    #[must_use]
    pub fn only(self, claims: &BTreeSet<Claim>) -> Self {
        let asked = |claim| claims.contains(&claim);
        Self {
            sub: self.sub,
            name: self.name.filter(|_| asked(Claim::Name)),
            given_name: self.given_name.filter(|_| asked(Claim::Name)),
            family_name: self.family_name.filter(|_| asked(Claim::Name)),
            birthdate: self.birthdate.filter(|_| asked(Claim::Birthdate)),
            email: self.email.filter(|_| asked(Claim::Email)),
            email_verified: self.email_verified.filter(|_| asked(Claim::Email)),
            phone_number: self.phone_number.filter(|_| asked(Claim::PhoneNumber)),
            gender: self.gender.filter(|_| asked(Claim::Gender)),
            nin: self.nin.filter(|_| asked(Claim::Nin)),
            address: self.address.filter(|_| asked(Claim::Address)),
            other_addresses: if asked(Claim::Address) { self.other_addresses } else { Vec::new() },
            raw_delegated_consents: self.raw_delegated_consents.filter(|_| asked(Claim::DelegatedConsents)),
            raw_flow_result: self.raw_flow_result.filter(|_| asked(Claim::CustomFlow)),
            raw_agreement: self.raw_agreement.filter(|_| asked(Claim::Agreement)),
            other: BTreeMap::new(),
        }
    }
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let present = [
            ("name", self.name.is_some()),
            ("birthdate", self.birthdate.is_some()),
            ("email", self.email.is_some()),
            ("phone_number", self.phone_number.is_some()),
            ("address", self.address.is_some()),
            ("gender", self.gender.is_some()),
            ("nin", self.nin.is_some()),
        ];
        f.write_str("Identity(sub")?;
        for (claim, _) in present.iter().filter(|(_, is_there)| *is_there) {
            write!(f, ", {claim}")?;
        }
        f.write_str(")")
    }
}

/// A userinfo body that cannot be read. Says where, never what.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("userinfo cannot be read (line {line}, column {column})")]
pub struct InvalidIdentity {
    line: usize,
    column: usize,
}

/// A postal address. Lines are separated by newlines, and a flat or floor
/// follows a newline in `street_address`.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Address {
    /// `home`, `work` or `other`.
    pub address_type: String,
    /// Street and number.
    pub street_address: String,
    /// Postal code.
    pub postal_code: String,
    /// City or post town.
    pub region: String,
    /// Two letters.
    pub country: String,
    /// The whole address as it would stand on a letter.
    pub formatted: String,
}

impl Address {
    fn is_empty(&self) -> bool {
        [&self.street_address, &self.postal_code, &self.region, &self.country, &self.formatted]
            .iter()
            .all(|field| field.is_empty())
    }
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Address(…)")
    }
}

// A person without a registered address gets one whose fields are all empty
// (vendor's core concepts page); for a caller that is no address.
fn address_unless_empty<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Option<Address>, D::Error> {
    let address = Option::<Address>::deserialize(deserializer)?;
    Ok(address.filter(|address| !address.is_empty()))
}

#[cfg(test)]
mod tests;
