//! What `StartLogin` asks for.

use std::collections::BTreeSet;
use std::time::Duration;

use super::super::status::CallError;
use super::super::v1;
use super::place::{Place, place};
use super::redirect::finish;
use super::{Violations, phone_number, whole_seconds};
use crate::identity::{Claim, Subject};
use crate::language::Language;
use crate::logins::{Caller, CodeChoice, StartLogin, Tenant, Whom};
use crate::session::{CallDirection, Channel, CheckInId, CodeMode, Labels, PersonalQr, PurposeId, RequestId};
use crate::store::WhenBusy;

const LIFETIME_SECONDS: std::ops::RangeInclusive<u64> = 60..=600;
const READ_BACK_LIFETIME_SECONDS: u64 = 120;
const MAX_LABELS: usize = 8;
const MAX_LABEL_NAME: usize = 32;
const MAX_LABEL_VALUE: usize = 128;

pub(in crate::grpc) fn start_login(
    request: v1::StartLoginRequest,
    caller: &Caller,
    tenant: &Tenant,
) -> Result<StartLogin, CallError> {
    let mut wrong = Violations::default();
    let request_id = wrong.check("request_id", RequestId::new(request.request_id.clone()));
    let whom = whom(&request, tenant, &mut wrong);
    let Place { channel, agent, terminal, call } =
        place(request.channel, [&request.agent_id, &request.terminal_id, &request.call_id], caller, &mut wrong);
    let call_direction = call_direction(&request, channel, &mut wrong);
    if call_direction == Some(CallDirection::Outbound) && request.call_id.is_empty() {
        wrong.add("call_id", "is required when the agent calls");
    }
    let code = code_choice(&request, channel, &mut wrong);
    let purpose = purpose(&request, tenant, &mut wrong);
    let claims = claims(&request, &mut wrong);
    let lifetime = lifetime(&request, channel, code, tenant, &mut wrong);
    let expected_subject = expected_subject(&request, &mut wrong);
    let labels = labels(&request, &mut wrong);
    let language = match request.language.as_str() {
        "" => None,
        tag => wrong.check("language", Language::parse(tag)),
    };
    let finish = finish(request.finish.as_ref(), tenant, &mut wrong);
    let when_busy = when_busy(&request, &mut wrong);
    wrong.finish()?;
    let (Some(request_id), Some(whom), Some(channel)) = (request_id, whom, channel) else {
        return Err(CallError::field("request", "is incomplete"));
    };
    Ok(StartLogin {
        request_id,
        whom,
        channel,
        call_direction,
        agent,
        terminal,
        call,
        purpose,
        claims,
        code,
        lifetime,
        expected_subject,
        labels,
        language,
        finish,
        when_busy,
    })
}

fn whom(request: &v1::StartLoginRequest, tenant: &Tenant, wrong: &mut Violations) -> Option<Whom> {
    use v1::start_login_request::Person;
    match &request.person {
        Some(Person::PhoneNumber(text)) => phone_number(text, tenant, wrong).map(Whom::Phone),
        Some(Person::QrCheckIn(id)) => wrong.check("qr_check_in", CheckInId::parse(id)).map(Whom::CheckIn),
        Some(Person::PersonalQr(text)) => {
            wrong.check("personal_qr", PersonalQr::new(text.as_str())).map(Whom::PersonalQr)
        }
        None => {
            wrong.add("person", "is required: give a phone_number, a qr_check_in or a personal_qr");
            None
        }
    }
}

fn call_direction(
    request: &v1::StartLoginRequest,
    channel: Option<Channel>,
    wrong: &mut Violations,
) -> Option<CallDirection> {
    let direction = match v1::CallDirection::try_from(request.call_direction) {
        Ok(v1::CallDirection::Inbound) => Some(CallDirection::Inbound),
        Ok(v1::CallDirection::Outbound) => Some(CallDirection::Outbound),
        Ok(v1::CallDirection::Unspecified) => None,
        Err(_) => {
            wrong.add("call_direction", "is a value that this version does not know");
            return None;
        }
    };
    match (channel, direction) {
        (Some(Channel::CallCentre), None) => wrong.add("call_direction", "is required for call centres"),
        (Some(Channel::PointOfSale | Channel::TvBox), Some(_)) => {
            wrong.add("call_direction", "is for call centres only");
        }
        _ => {}
    }
    direction
}

fn when_busy(request: &v1::StartLoginRequest, wrong: &mut Violations) -> WhenBusy {
    match v1::WhenNumberBusy::try_from(request.when_number_busy) {
        Ok(v1::WhenNumberBusy::Unspecified | v1::WhenNumberBusy::Refuse) => WhenBusy::Refuse,
        Ok(v1::WhenNumberBusy::Join) => WhenBusy::Join,
        Ok(v1::WhenNumberBusy::Replace) => WhenBusy::Replace,
        Err(_) => {
            wrong.add("when_number_busy", "is a value that this version does not know");
            WhenBusy::Refuse
        }
    }
}

fn code_choice(request: &v1::StartLoginRequest, channel: Option<Channel>, wrong: &mut Violations) -> CodeChoice {
    match v1::CodeMode::try_from(request.code_mode) {
        Ok(v1::CodeMode::Unspecified) => CodeChoice::ByChannel,
        Ok(v1::CodeMode::ReadBack) => CodeChoice::Mode(CodeMode::ReadBack),
        Ok(v1::CodeMode::ReadOut) => CodeChoice::Mode(CodeMode::ReadOut),
        Ok(v1::CodeMode::Display) => {
            if channel == Some(Channel::CallCentre) {
                wrong.add(
                    "code_mode",
                    "DISPLAY needs a screen before the person; call centres use READ_BACK or READ_OUT",
                );
            }
            CodeChoice::Mode(CodeMode::Display)
        }
        Err(_) => {
            wrong.add("code_mode", "is a value that this version does not know");
            CodeChoice::ByChannel
        }
    }
}

fn purpose(request: &v1::StartLoginRequest, tenant: &Tenant, wrong: &mut Violations) -> Option<PurposeId> {
    if request.purpose.is_empty() && !tenant.purposes.is_empty() && tenant.default_purpose.is_none() {
        wrong.add("purpose", "is required: each login of this tenant is for one of its purposes");
    }
    wrong.optional("purpose", &request.purpose, PurposeId::new)
}

fn claims(request: &v1::StartLoginRequest, wrong: &mut Violations) -> BTreeSet<Claim> {
    let mut claims = BTreeSet::new();
    for (index, value) in request.claims.iter().enumerate() {
        let field = format!("claims[{index}]");
        match claim(*value) {
            Some(claim) if claims.insert(claim) => {}
            Some(_) => wrong.add(&field, "is listed twice"),
            None => wrong.add(&field, "is not a claim that this version knows"),
        }
    }
    claims
}

fn claim(value: i32) -> Option<Claim> {
    match v1::Claim::try_from(value).ok()? {
        v1::Claim::Unspecified => None,
        v1::Claim::Name => Some(Claim::Name),
        v1::Claim::PhoneNumber => Some(Claim::PhoneNumber),
        v1::Claim::Email => Some(Claim::Email),
        v1::Claim::Address => Some(Claim::Address),
        v1::Claim::Birthdate => Some(Claim::Birthdate),
        v1::Claim::Gender => Some(Claim::Gender),
        v1::Claim::Nin => Some(Claim::Nin),
        v1::Claim::DelegatedConsents => Some(Claim::DelegatedConsents),
        v1::Claim::CustomFlow => Some(Claim::CustomFlow),
        v1::Claim::Agreement => Some(Claim::Agreement),
    }
}

fn lifetime(
    request: &v1::StartLoginRequest,
    channel: Option<Channel>,
    code: CodeChoice,
    tenant: &Tenant,
    wrong: &mut Violations,
) -> Option<Duration> {
    let wanted = request.lifetime.as_ref().map(|lifetime| whole_seconds(lifetime, &LIFETIME_SECONDS));
    let mode = channel.map(|channel| code.for_channel(channel));
    match wanted {
        Some(None) => wrong.add("lifetime", "must be whole seconds, 60 to 600"),
        Some(Some(lifetime)) if too_short_for(mode, lifetime) => {
            wrong.add("lifetime", "must be at least 120 s in READ_BACK: the last 60 are for typing the code");
        }
        None if too_short_for(mode, tenant.default_lifetime) => {
            wrong.add("lifetime", "must be given here: the tenant's default is under the 120 s that READ_BACK needs");
        }
        _ => {}
    }
    wanted.flatten()
}

fn too_short_for(mode: Option<CodeMode>, lifetime: Duration) -> bool {
    mode == Some(CodeMode::ReadBack) && lifetime.as_secs() < READ_BACK_LIFETIME_SECONDS
}

fn expected_subject(request: &v1::StartLoginRequest, wrong: &mut Violations) -> Option<Subject> {
    if request.expected_subject.is_empty() {
        return None;
    }
    let subject = Subject::new(&request.expected_subject);
    if subject.is_none() {
        wrong.add("expected_subject", "must be the sub of an earlier identity: 1 to 255 printable ASCII characters");
    }
    subject
}

fn labels(request: &v1::StartLoginRequest, wrong: &mut Violations) -> Labels {
    if request.labels.len() > MAX_LABELS {
        wrong.add("labels", "must be at most 8");
    }
    let name_fits = |name: &str| {
        let allowed = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-' || b == b'_';
        !name.is_empty() && name.len() <= MAX_LABEL_NAME && name.bytes().all(allowed)
    };
    if !request.labels.keys().all(|name| name_fits(name)) {
        wrong.add("labels", "must have names of 1 to 32 lower-case letters, digits, - and _");
    }
    let value_fits = |value: &str| value.chars().count() <= MAX_LABEL_VALUE && !value.chars().any(char::is_control);
    if !request.labels.values().all(|value| value_fits(value)) {
        wrong.add("labels", "must have values of at most 128 characters, none of them control characters");
    }
    request.labels.clone().into_iter().collect()
}
