//! What callers say and hear.

use std::time::Duration;

use ciba_gateway::logins::{Caller, CodeChoice, LoginView, StartLogin, Whom};
use ciba_gateway::phone::{BindingCode, PhoneNumber};
use ciba_gateway::session::{CallDirection, Channel, ClientId, End, Phase, RequestId, TenantId, TerminalId};
use ciba_gateway::store::WhenBusy;

use super::plan::LIFETIME;

/// How the login stands, in a word.
pub(super) fn standing(view: &LoginView) -> String {
    match view.moment().phase {
        Phase::Ended { how: End::Failed(reason), .. } => snake(&format!("{reason:?}")),
        Phase::Ended { how, .. } => snake(&format!("{how:?}")),
        phase => snake(&format!("{phase:?}")),
    }
}

fn snake(camel: &str) -> String {
    let parts = camel.char_indices().map(|(at, letter)| {
        let gap = if at > 0 && letter.is_uppercase() { "_" } else { "" };
        format!("{gap}{}", letter.to_ascii_lowercase())
    });
    parts.collect()
}

pub(super) fn caller() -> Caller {
    Caller {
        tenant: TenantId::new("acme").expect("a tenant"),
        client: ClientId::new("desk").expect("a client"),
        channels: [Channel::CallCentre, Channel::PointOfSale].into(),
        agent: None,
        must_prove_agent: false,
        roles: [].into(),
    }
}

pub(super) fn request(login: usize, is_read_back: bool) -> StartLogin {
    let channel = if is_read_back { Channel::CallCentre } else { Channel::PointOfSale };
    StartLogin {
        request_id: RequestId::new(format!("request-of-login-{login}")).expect("a request id"),
        whom: Whom::Phone(number(login)),
        channel,
        call_direction: is_read_back.then_some(CallDirection::Inbound),
        agent: None,
        terminal: TerminalId::new("till-1").ok(),
        call: None,
        purpose: None,
        claims: [].into(),
        code: CodeChoice::ByChannel,
        lifetime: Some(LIFETIME),
        expected_subject: None,
        labels: [].into(),
        language: None,
        finish: ciba_gateway::session::Finish::InApp,
        when_busy: WhenBusy::Refuse,
    }
}

pub(super) fn number(login: usize) -> PhoneNumber {
    PhoneNumber::from_msisdn(&format!("479123456{login}")).expect("a number")
}

/// Only another one is another try.
pub(super) fn wrong_code(at: Duration) -> BindingCode {
    let codes = ["AAAAA", "CCCCC", "DDDDD", "EEEEE", "FFFFF", "GGGGG"];
    let nth = usize::try_from(at.as_millis()).expect("a short story");
    BindingCode::parse(codes[nth % codes.len()]).expect("a code")
}
