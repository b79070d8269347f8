//! How each kind of plain value is written.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use chrono::{DateTime, NaiveTime};
use chrono_tz::Tz;
use ipnet::IpNet;
use openidconnect::IssuerUrl;
use serde::Deserialize;
use serde::de::IntoDeserializer;
use serde::de::value::{Error, StrDeserializer};
use url::Url;

use super::store::StoreKind;
use super::tree::Value;
use super::{
    AgentRule, CallGroup, CertificatePolicy, ClientAuthentication, LogFormat, LoginHint, ProfileName, ProviderKeys,
    ProxyHeader, SigningAlgorithm, TokenAlgorithm, WhenFull,
};
use crate::fraud::Kind;
use crate::identity::Claim;
use crate::language::Language;
use crate::logins::Role;
use crate::phone::{Country, PhoneNumber};
use crate::session::{AgentId, Channel, ClientId, PurposeId, RedirectUri, TenantId, TerminalId};
use crate::timestamp::Timestamp;
use crate::webhooks::{EventKind, RegistrationName};

/// A plain value of the configuration.
pub(super) trait Setting: Sized {
    /// What is right, continuing "it …".
    const EXPECTED: &'static str;

    /// Reads the value, or says what would be right without repeating it.
    fn read(value: &Value) -> Result<Self, String>;
}

/// A plain value that has bounds.
pub(super) trait Bounded: Setting + PartialOrd {
    /// As the configuration has it.
    fn written(&self) -> String;
}

impl Bounded for u32 {
    fn written(&self) -> String {
        self.to_string()
    }
}

impl Bounded for Duration {
    fn written(&self) -> String {
        humantime::format_duration(*self).to_string()
    }
}

fn text(value: &Value) -> Option<&str> {
    match value {
        Value::Text(text) | Value::Untyped(text) => Some(text),
        Value::Integer(_) | Value::Flag(_) | Value::List(_) | Value::Table(_) | Value::Foreign => None,
    }
}

fn integer(value: &Value) -> Option<i64> {
    match value {
        Value::Integer(integer) => Some(*integer),
        Value::Untyped(text) => text.trim().parse().ok(),
        Value::Text(_) | Value::Flag(_) | Value::List(_) | Value::Table(_) | Value::Foreign => None,
    }
}

fn flag(value: &Value) -> Option<bool> {
    match value {
        Value::Flag(flag) => Some(*flag),
        Value::Untyped(text) => text.trim().parse().ok(),
        Value::Text(_) | Value::Integer(_) | Value::List(_) | Value::Table(_) | Value::Foreign => None,
    }
}

/// Reads a value by the name that its type has for serde.
fn named<'de, T: Deserialize<'de>>(name: &'de str) -> Option<T> {
    let name: StrDeserializer<'de, Error> = name.into_deserializer();
    T::deserialize(name).ok()
}

macro_rules! setting {
    ($($kind:ty, $expected:literal, $read:expr;)*) => {$(
        impl Setting for $kind {
            const EXPECTED: &'static str = $expected;

            fn read(value: &Value) -> Result<Self, String> {
                let read: fn(&Value) -> Option<Self> = $read;
                read(value).ok_or_else(|| $expected.to_owned())
            }
        }
    )*};
}

setting! {
    bool, "must be true or false", flag;
    u32, "must be a whole number", |value| u32::try_from(integer(value)?).ok();
    String, "must be a text, not empty", |value| Some(text(value).filter(|text| !text.is_empty())?.to_owned());
    PathBuf, "must be the path of a file", |value| Some(text(value).filter(|text| !text.is_empty())?.into());
    Duration, "must be a time with its unit, such as \"500ms\", \"5s\" or \"10m\"",
        |value| humantime::parse_duration(text(value)?).ok();
    SocketAddr, "must be an IP address and a port, such as \"127.0.0.1:50051\"", |value| text(value)?.parse().ok();
    IssuerUrl, "must be the issuer's URL, exactly as its ID tokens write it",
        |value| IssuerUrl::new(text(value)?.to_owned()).ok();
    Url, "must be a URL, such as \"https://fraud.example/signals\"", |value| text(value)?.parse().ok();
    Country, "must be one of \"NO\", \"SE\", \"DK\", \"FI\", \"GL\"", |value| named(text(value)?);
    Role, "must be \"supervisor\" or \"national-id\"", |value| named(text(value)?);
    Channel, "must be one of \"call-centre\", \"point-of-sale\", \"tv-box\"; \
        the provider forbids this login in web pages and apps", |value| named(text(value)?);
    StoreKind, "must be \"redis\" or \"memory\"", |value| named(text(value)?);
    ProxyHeader, "must be \"x-forwarded-for\" or \"forwarded\"", |value| named(text(value)?);
    IpNet, "must be a network, such as \"10.20.0.0/16\" or \"2001:db8::/32\", or one address", |value| {
        let text = text(value)?.trim();
        text.parse().ok().or_else(|| text.parse::<IpAddr>().ok().map(Self::from))
    };
    CallGroup, "must be one of \"check\", \"start\", \"read\", \"watch-all\", \"confirm\", \"transfer\", \"complete\", \
        \"cancel\", \"erase\", \"shop-qrs\", \"check-ins\"", |value| named(text(value)?);
    RedirectUri, "must be an https URI of at most 1024 visible ASCII characters, without fragment and user, as it is \
        registered on the sales unit", |value| Self::new(text(value)?).ok();
    AgentRule, "must be \"named\" or \"signed\"", |value| named(text(value)?);
    TokenAlgorithm, "must be one of \"RS256\", \"PS256\", \"ES256\", \"ES384\", \"EdDSA\"", |value| named(text(value)?);
    CertificatePolicy, "must be \"optional\" or \"required\"", |value| named(text(value)?);
    Timestamp, "must be a time in RFC 3339, in quotes, such as \"2027-01-31T23:59:59Z\"", |value| {
        let millis = DateTime::parse_from_rfc3339(text(value)?.trim()).ok()?.timestamp_millis();
        u64::try_from(millis).ok().map(Self::from_millis)
    };
    NaiveTime, "must be a time of the day, in quotes, such as \"21:00\"",
        |value| Self::parse_from_str(text(value)?, "%H:%M").ok();
    Tz, "must be a time zone of the IANA database, such as \"Europe/Oslo\"", |value| text(value)?.parse().ok();
    Language, "must be a BCP 47 tag of one of \"en\", \"nb\", \"sv\", \"da\", \"fi\"",
        |value| Self::parse(text(value)?).ok();
    LogFormat, "must be \"text\" or \"json\"", |value| named(text(value)?);
    WhenFull, "must be \"refuse-starts\" or \"go-on\"", |value| named(text(value)?);
    ProfileName, "must be \"vipps\" or \"generic\"", |value| named(text(value)?);
    ProviderKeys, "must be \"sales-unit\" or \"partner\"", |value| named(text(value)?);
    LoginHint, "must be \"{msisdn}\", \"+{msisdn}\", \"urn:msisdn:{msisdn}\" or \"tel:+{msisdn}\"",
        |value| named(text(value)?);
    ClientAuthentication, "must be \"client_secret_basic\" or \"client_secret_post\"", |value| named(text(value)?);
    SigningAlgorithm, "must be \"RS256\" or \"ES256\"", |value| named(text(value)?);
    TenantId, "must be 1 to 32 lower-case letters, digits and hyphens",
        |value| Self::new(text(value)?).ok();
    PurposeId, "must be 1 to 64 lower-case letters, digits and hyphens",
        |value| Self::new(text(value)?).ok();
    ClientId, "must be 1 to 64 of letters, digits and - _ . : @ / + =", |value| Self::new(text(value)?).ok();
    AgentId, "must be 1 to 64 of letters, digits and - _ . : @ / + =", |value| Self::new(text(value)?).ok();
    TerminalId, "must be 1 to 64 of letters, digits and - _ . : @ / + =", |value| Self::new(text(value)?).ok();
    RegistrationName, "must be 1 to 64 lower-case letters, digits and hyphens", |value| Self::new(text(value)?);
    EventKind, "must be \"login.merchant-initiated.ping.v1\" or \"user.checked-in.v1\"",
        |value| Self::parse(text(value)?);
    PhoneNumber, "must be a phone number with its country's code, such as \"+4712345678\"", |value| {
        let text = text(value)?.trim();
        Self::from_msisdn(text).ok().filter(|_| text.starts_with('+'))
    };
}

impl Setting for Kind {
    const EXPECTED: &'static str = "must be a kind of signal: \"login.denied\", \"login.denied_again\", \
        \"login.other_person\", \"code.wrong\", \"code.exhausted\", \"code.not_typed\", \"limit.reached\", \
        \"start.not_allowed\", \"identity.withheld\" or \"call.refused\"";

    fn read(value: &Value) -> Result<Self, String> {
        text(value).and_then(named).ok_or_else(|| Self::EXPECTED.to_owned())
    }
}

impl Setting for Claim {
    const EXPECTED: &'static str = "must be one of \"name\", \"phone_number\", \"email\", \"address\", \
        \"birthdate\", \"gender\", \"delegated_consents\", \"custom_flow\", \"agreement\"";

    fn read(value: &Value) -> Result<Self, String> {
        match text(value).and_then(named) {
            Some(Self::Nin) => Err("must not be \"nin\": a national identity number needs a legal ground of its own, \
                so whoever may have it asks for it at each start"
                .to_owned()),
            Some(claim) => Ok(claim),
            None => Err(Self::EXPECTED.to_owned()),
        }
    }
}

/// A claim that may be the national identity number.
pub(super) struct AnyClaim(pub(super) Claim);

impl Setting for AnyClaim {
    const EXPECTED: &'static str = "must be one of \"name\", \"phone_number\", \"email\", \"address\", \
        \"birthdate\", \"gender\", \"nin\", \"delegated_consents\", \"custom_flow\", \"agreement\"";

    fn read(value: &Value) -> Result<Self, String> {
        text(value).and_then(named).map(Self).ok_or_else(|| Self::EXPECTED.to_owned())
    }
}
