//! From the domain to messages.

mod consents;

use std::collections::{BTreeMap, BTreeSet};

use prost_types::{ListValue, Struct, Value, value::Kind};

use super::agent_text::agent_text;
use super::v1;
use crate::identity::{Address, Claim, Identity, Nin};
use crate::logins::{CheckInView, LoginView, ShopQrView};
use crate::session::{Channel, CodeMode, End, FailureReason, Phase};
use crate::shop_qr::drawing::Drawing;
use crate::store::Rank;
use crate::timestamp::Timestamp;

pub(super) fn login(view: &LoginView) -> v1::Login {
    let (terms, moment) = (view.terms(), view.moment());
    let (outcome, failure_reason) = outcome(moment.phase);
    let identity = view.identity();
    v1::Login {
        login_id: view.login().to_string(),
        state: state(moment.phase).into(),
        outcome: outcome.into(),
        failure_reason: failure_reason.into(),
        channel: channel(terms.channel).into(),
        agent_id: terms.holder().1.map(ToString::to_string).unwrap_or_default(),
        terminal_id: terms.terminal.as_ref().map(ToString::to_string).unwrap_or_default(),
        call_id: terms.call.as_ref().map(ToString::to_string).unwrap_or_default(),
        labels: terms.labels.clone().into_iter().collect(),
        code_mode: code_mode(terms.code_mode).into(),
        code: view.code().map(|code| code.expose().to_owned()).unwrap_or_default(),
        code_tries_left: moment.code_tries_left().into(),
        code_matched: moment.code_matched(terms.code_mode),
        masked_phone_number: terms.person.phone().map(ToString::to_string).unwrap_or_default(),
        create_time: Some(timestamp(terms.created_at)),
        expire_time: moment.deadline.map(timestamp),
        end_time: end_time(moment.phase),
        identity_expire_time: identity.map(|(_, until)| timestamp(until)),
        identity: identity.map(|(identity, _)| person(identity, &terms.claims, view.may_have_nin())),
        agent_text: agent_text(terms, moment),
        purpose: terms.purpose.as_ref().map(ToString::to_string).unwrap_or_default(),
        code_spelled: view.code().map(|code| code.spelled(terms.language)).unwrap_or_default(),
        assurance: assurance(moment.phase, terms.code_mode).into(),
        language: terms.language.to_string(),
    }
}

pub(super) fn timestamp(at: Timestamp) -> prost_types::Timestamp {
    prost_types::Timestamp {
        seconds: i64::try_from(at.as_secs()).unwrap_or(i64::MAX),
        nanos: i32::try_from(at.as_millis() % 1000).unwrap_or_default() * 1_000_000,
    }
}

/// Where the next page of a list begins.
pub(super) fn page_token(place: &Rank) -> String {
    format!("{}.{}", place.created_at.as_millis(), place.login)
}

const fn state(phase: Phase) -> v1::LoginState {
    match phase {
        Phase::Starting => v1::LoginState::Starting,
        Phase::Pending => v1::LoginState::Pending,
        Phase::Redeemed => v1::LoginState::Redeemed,
        Phase::AwaitingCode => v1::LoginState::AwaitingCode,
        Phase::Ended { .. } => v1::LoginState::Ended,
    }
}

const fn outcome(phase: Phase) -> (v1::Outcome, v1::FailureReason) {
    let Phase::Ended { how, .. } = phase else {
        return (v1::Outcome::Unspecified, v1::FailureReason::Unspecified);
    };
    let outcome = match how {
        End::Approved => v1::Outcome::Approved,
        End::Denied => v1::Outcome::Denied,
        End::Expired => v1::Outcome::Expired,
        End::Cancelled => v1::Outcome::Cancelled,
        End::Failed(reason) => return (v1::Outcome::Failed, failure_reason(reason)),
    };
    (outcome, v1::FailureReason::Unspecified)
}

const fn failure_reason(reason: FailureReason) -> v1::FailureReason {
    match reason {
        FailureReason::StartUnknown => v1::FailureReason::StartUnknown,
        FailureReason::PersonUnknown => v1::FailureReason::PersonUnknown,
        FailureReason::AppTooOld => v1::FailureReason::AppTooOld,
        FailureReason::RequestRefused => v1::FailureReason::RequestRefused,
        FailureReason::ScopeRefused => v1::FailureReason::ScopeRefused,
        FailureReason::NotEnabled => v1::FailureReason::NotEnabled,
        FailureReason::PolicyRefused => v1::FailureReason::PolicyRefused,
        FailureReason::ProviderError => v1::FailureReason::ProviderError,
        FailureReason::ProviderUnavailable => v1::FailureReason::ProviderUnavailable,
        FailureReason::ResultLost => v1::FailureReason::ResultLost,
        FailureReason::IdTokenInvalid => v1::FailureReason::IdTokenInvalid,
        FailureReason::UserinfoInvalid => v1::FailureReason::UserinfoInvalid,
        FailureReason::PhoneMismatch => v1::FailureReason::PhoneMismatch,
        FailureReason::OtherPerson => v1::FailureReason::OtherPerson,
        FailureReason::UserinfoRefused => v1::FailureReason::UserinfoRefused,
        FailureReason::ClaimMissing => v1::FailureReason::ClaimMissing,
        FailureReason::CodeNotConfirmed => v1::FailureReason::CodeNotConfirmed,
        FailureReason::CodeMismatch => v1::FailureReason::CodeMismatch,
        FailureReason::Internal => v1::FailureReason::Internal,
    }
}

const fn channel(channel: Channel) -> v1::Channel {
    match channel {
        Channel::CallCentre => v1::Channel::CallCentre,
        Channel::PointOfSale => v1::Channel::PointOfSale,
        Channel::TvBox => v1::Channel::TvBox,
    }
}

const fn code_mode(mode: CodeMode) -> v1::CodeMode {
    match mode {
        CodeMode::ReadBack => v1::CodeMode::ReadBack,
        CodeMode::ReadOut => v1::CodeMode::ReadOut,
        CodeMode::Display => v1::CodeMode::Display,
    }
}

fn end_time(phase: Phase) -> Option<prost_types::Timestamp> {
    match phase {
        Phase::Ended { at, .. } => Some(timestamp(at)),
        Phase::Starting | Phase::Pending | Phase::Redeemed | Phase::AwaitingCode => None,
    }
}

/// What an approval is worth: whoever holds the account's device gave it, and this
/// was done with the code.
const fn assurance(phase: Phase, mode: CodeMode) -> v1::Assurance {
    match (phase, mode) {
        (Phase::Ended { how: End::Approved, .. }, CodeMode::ReadBack) => v1::Assurance::CodeReadBack,
        (Phase::Ended { how: End::Approved, .. }, CodeMode::ReadOut) => v1::Assurance::CodeReadOut,
        (Phase::Ended { how: End::Approved, .. }, CodeMode::Display) => v1::Assurance::CodeDisplayed,
        _ => v1::Assurance::Unspecified,
    }
}

fn person(identity: &Identity, asked: &BTreeSet<Claim>, with_nin: bool) -> v1::Identity {
    let text = |claim: &Option<String>| claim.clone().unwrap_or_default();
    v1::Identity {
        sub: identity.sub.expose().to_owned(),
        name: text(&identity.name),
        given_name: text(&identity.given_name),
        family_name: text(&identity.family_name),
        birthdate: text(&identity.birthdate),
        email: text(&identity.email),
        email_verified: identity.email_verified.unwrap_or(false),
        phone_number: identity.phone_number.as_deref().map(with_plus).unwrap_or_default(),
        gender: text(&identity.gender),
        nin: identity.nin.as_ref().filter(|_| with_nin).map(Nin::expose).unwrap_or_default().to_owned(),
        address: identity.address.as_ref().map(address),
        other_addresses: identity.other_addresses.iter().map(address).collect(),
        delegated_consents: identity.delegated_consents().map(consents::delegated),
        flow_result: identity
            .raw_flow_result
            .as_ref()
            .and_then(|value| value.as_object())
            .map(|object| fields(object.iter())),
        agreement: identity.agreement().map(consents::agreement),
        other_claims: other_claims(identity),
        missing_claims: asked.iter().filter(|asked| !identity.has(**asked)).map(|asked| claim(*asked).into()).collect(),
        custom_flow: identity.flow_result().map(consents::flow_result),
    }
}

/// What has no field of its own, and consents that no field can hold.
fn other_claims(identity: &Identity) -> Option<Struct> {
    let mut others = fields(identity.other.iter());
    for (name, raw) in [
        ("delegatedConsents", &identity.raw_delegated_consents),
        ("flowResult", &identity.raw_flow_result),
        ("agreement", &identity.raw_agreement),
    ] {
        if let Some(raw) = raw.as_ref().filter(|raw| !raw.is_object()) {
            others.fields.insert(name.to_owned(), json(raw));
        }
    }
    (!others.fields.is_empty()).then_some(others)
}

const fn claim(claim: Claim) -> v1::Claim {
    match claim {
        Claim::Name => v1::Claim::Name,
        Claim::PhoneNumber => v1::Claim::PhoneNumber,
        Claim::Email => v1::Claim::Email,
        Claim::Address => v1::Claim::Address,
        Claim::Birthdate => v1::Claim::Birthdate,
        Claim::Gender => v1::Claim::Gender,
        Claim::Nin => v1::Claim::Nin,
        Claim::DelegatedConsents => v1::Claim::DelegatedConsents,
        Claim::CustomFlow => v1::Claim::CustomFlow,
        Claim::Agreement => v1::Claim::Agreement,
    }
}

fn with_plus(msisdn: &str) -> String {
    format!("+{}", msisdn.trim_start_matches('+'))
}

fn address(address: &Address) -> v1::Address {
    v1::Address {
        address_type: address.address_type.clone(),
        street_address: address.street_address.clone(),
        postal_code: address.postal_code.clone(),
        region: address.region.clone(),
        country: address.country.clone(),
        formatted: address.formatted.clone(),
    }
}

fn fields<'a>(object: impl Iterator<Item = (&'a String, &'a serde_json::Value)>) -> Struct {
    Struct { fields: object.map(|(name, value)| (name.clone(), json(value))).collect::<BTreeMap<_, _>>() }
}

fn json(value: &serde_json::Value) -> Value {
    let kind = match value {
        serde_json::Value::Null => Kind::NullValue(0),
        serde_json::Value::Bool(value) => Kind::BoolValue(*value),
        serde_json::Value::Number(number) => number.as_f64().map_or(Kind::NullValue(0), Kind::NumberValue),
        serde_json::Value::String(text) => Kind::StringValue(text.clone()),
        serde_json::Value::Array(values) => Kind::ListValue(ListValue { values: values.iter().map(json).collect() }),
        serde_json::Value::Object(object) => Kind::StructValue(fields(object.iter())),
    };
    Value { kind: Some(kind) }
}

/// A shop's code; drawn where a size is given.
pub(super) fn shop_qr(view: &ShopQrView, size: Option<u32>) -> v1::ShopQr {
    let drawing = size.and_then(|size| Some((Drawing::of(&view.qr.content).ok()?, size)));
    v1::ShopQr {
        qr_id: view.qr.id.to_string(),
        terminal_id: view.terminal.to_string(),
        name: view.name.as_ref().map(|name| name.as_str().to_owned()).unwrap_or_default(),
        location_description: view.qr.location.clone(),
        content: view.qr.content.clone(),
        image_url: view.qr.image_url.clone().unwrap_or_default(),
        svg: drawing.as_ref().map(|(drawing, _)| drawing.svg()).unwrap_or_default(),
        png: drawing.and_then(|(drawing, size)| drawing.png(size).ok()).unwrap_or_default(),
    }
}

pub(super) fn check_in(view: &CheckInView) -> v1::CheckIn {
    v1::CheckIn {
        check_in_id: view.id.to_string(),
        qr_id: view.qr.to_string(),
        terminal_id: view.terminal.to_string(),
        scan_time: Some(timestamp(view.at)),
        expire_time: Some(timestamp(view.until)),
    }
}
