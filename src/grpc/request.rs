//! From messages to the domain: every field is checked, all mistakes of one
//! request are reported together, and none of them repeats what was sent.

mod check;
mod place;
mod redirect;
mod shop_qr;
mod start;

use std::time::Duration;

pub(super) use check::check_phone;
pub(super) use redirect::complete_redirect;
pub(super) use shop_qr::{ShopQrPage, check_in_filter, create_shop_qr, list_shop_qrs, qr_id};
pub(super) use start::start_login;

use super::status::CallError;
use super::v1;
use crate::logins::{Caller, Cursor, From, LoginFilter, Tenant, TransferLogin, Whose};
use crate::phone::{BindingCode, PhoneNumber};
use crate::session::{AgentId, CallId, Channel, ClientId, InvalidIdentifier, LoginId, TerminalId};
use crate::store::Rank;
use crate::timestamp::Timestamp;

/// More are not listed: a status must fit into the trailers.
const MAX_VIOLATIONS: usize = 16;
const MAX_PAGE: u32 = 500;
const DEFAULT_PAGE: u32 = 50;
const SPAN_SECONDS: std::ops::RangeInclusive<u64> = 1..=60;
/// Heartbeats when the client names no interval.
const DEFAULT_HEARTBEAT: Duration = Duration::from_secs(20);
/// Longest wait when the client names none.
/// The longest that a caller can wait for.
pub(super) const MAX_WAIT: Duration = Duration::from_secs(*SPAN_SECONDS.end());
const DEFAULT_WAIT: Duration = Duration::from_secs(30);

/// Collects what is wrong with a request.
#[derive(Default)]
struct Violations(Vec<(String, String)>);

impl Violations {
    fn add(&mut self, field: &str, problem: impl ToString) {
        if self.0.len() < MAX_VIOLATIONS {
            self.0.push((field.to_owned(), problem.to_string()));
        }
    }

    fn check<T, E: ToString>(&mut self, field: &str, result: Result<T, E>) -> Option<T> {
        result.map_err(|problem| self.add(field, problem)).ok()
    }

    fn optional<T>(&mut self, field: &str, text: &str, new: fn(String) -> Result<T, InvalidIdentifier>) -> Option<T> {
        if text.is_empty() { None } else { self.check(field, new(text.to_owned())) }
    }

    fn finish(self) -> Result<(), CallError> {
        if self.0.is_empty() { Ok(()) } else { Err(CallError::Fields(self.0)) }
    }
}

fn phone_number(text: &str, tenant: &Tenant, wrong: &mut Violations) -> Option<PhoneNumber> {
    wrong.check("phone_number", PhoneNumber::parse(text, tenant.default_country))
}

pub(super) fn transfer(request: &v1::TransferLoginRequest) -> Result<TransferLogin, CallError> {
    use v1::transfer_login_request::Login;
    let mut wrong = Violations::default();
    let whose = match &request.login {
        Some(Login::LoginId(text)) => wrong.check("login_id", LoginId::parse(text)).map(Whose::Login),
        Some(Login::CallId(text)) => wrong.check("call_id", CallId::new(text.clone())).map(Whose::Call),
        None => {
            wrong.add("login", "is required: give a login_id or a call_id");
            None
        }
    };
    let agent = wrong.check("agent_id", AgentId::new(request.agent_id.clone()));
    let client = wrong.optional("client_id", &request.client_id, ClientId::new);
    wrong.finish()?;
    let (Some(whose), Some(agent)) = (whose, agent) else {
        return Err(CallError::field("request", "is incomplete"));
    };
    Ok(TransferLogin { whose, agent, client })
}

/// What is to be erased.
pub(super) enum Erasure {
    Login(LoginId),
    Number(PhoneNumber),
}

pub(super) fn erasure(request: &v1::EraseLoginRequest, tenant: &Tenant) -> Result<Erasure, CallError> {
    use v1::erase_login_request::What;
    match &request.what {
        Some(What::LoginId(text)) => login_id(text).map(Erasure::Login),
        Some(What::PhoneNumber(text)) => {
            let mut wrong = Violations::default();
            let number = phone_number(text, tenant, &mut wrong);
            wrong.finish()?;
            number.map(Erasure::Number).ok_or_else(|| CallError::field("phone_number", "is required"))
        }
        None => Err(CallError::field("what", "is required: give a login_id or a phone_number")),
    }
}

pub(super) fn login_id(text: &str) -> Result<LoginId, CallError> {
    LoginId::parse(text).map_err(|problem| CallError::field("login_id", problem.to_string()))
}

pub(super) fn code(text: &str) -> Result<BindingCode, CallError> {
    BindingCode::parse(text).map_err(|problem| CallError::field("code", problem.to_string()))
}

pub(super) fn heartbeat(interval: Option<&prost_types::Duration>) -> Result<Duration, CallError> {
    span("heartbeat_interval", interval, DEFAULT_HEARTBEAT)
}

pub(super) fn wait_timeout(timeout: Option<&prost_types::Duration>) -> Result<Duration, CallError> {
    span("timeout", timeout, DEFAULT_WAIT)
}

fn whole_seconds(duration: &prost_types::Duration, range: &std::ops::RangeInclusive<u64>) -> Option<Duration> {
    let seconds = u64::try_from(duration.seconds).ok()?;
    (duration.nanos == 0 && range.contains(&seconds)).then(|| Duration::from_secs(seconds))
}

fn span(field: &str, value: Option<&prost_types::Duration>, default: Duration) -> Result<Duration, CallError> {
    let Some(value) = value else {
        return Ok(default);
    };
    whole_seconds(value, &SPAN_SECONDS).ok_or_else(|| CallError::field(field, "must be whole seconds, 1 to 60"))
}

pub(super) fn watch_filter(request: &v1::WatchLoginsRequest) -> Result<LoginFilter, CallError> {
    filter(request.channel, [&request.terminal_id, &request.agent_id, ""], false)
}

pub(super) fn list_filter(request: &v1::ListLoginsRequest) -> Result<LoginFilter, CallError> {
    filter(request.channel, [&request.terminal_id, &request.agent_id, &request.call_id], request.live_only)
}

/// `None` when unspecified; an unknown value is a violation.
fn channel(value: i32, wrong: &mut Violations) -> Option<Channel> {
    match v1::Channel::try_from(value) {
        Ok(v1::Channel::CallCentre) => Some(Channel::CallCentre),
        Ok(v1::Channel::PointOfSale) => Some(Channel::PointOfSale),
        Ok(v1::Channel::TvBox) => Some(Channel::TvBox),
        Ok(v1::Channel::Unspecified) => None,
        Err(_) => {
            wrong.add("channel", "is a value that this version does not know");
            None
        }
    }
}

fn filter(channel_value: i32, [terminal, agent, call]: [&str; 3], live_only: bool) -> Result<LoginFilter, CallError> {
    let mut wrong = Violations::default();
    let filter = LoginFilter {
        live_only,
        channel: channel(channel_value, &mut wrong),
        terminal: wrong.optional("terminal_id", terminal, TerminalId::new),
        agent: wrong.optional("agent_id", agent, AgentId::new),
        call: wrong.optional("call_id", call, CallId::new),
    };
    wrong.finish().map(|()| filter)
}

/// Where a stream of a tenant's logins begins.
pub(super) fn watch_from(request: &v1::WatchLoginsRequest, caller: &Caller) -> Result<From, CallError> {
    use v1::watch_logins_request::Position;
    match &request.position {
        None => Ok(From::Now),
        Some(Position::From(from)) => match v1::WatchFrom::try_from(*from) {
            Ok(v1::WatchFrom::Unspecified | v1::WatchFrom::Now) => Ok(From::Now),
            Ok(v1::WatchFrom::Snapshot) => Ok(From::Snapshot),
            Err(_) => Err(CallError::field("from", "must be NOW or SNAPSHOT")),
        },
        Some(Position::Cursor(text)) => Cursor::parse(&caller.tenant, text)
            .map(From::Cursor)
            .map_err(|problem| CallError::field("cursor", format!("{problem}; or watch from a snapshot"))),
    }
}

/// Page size and the place after which the page begins.
pub(super) fn page(request: &v1::ListLoginsRequest) -> Result<(usize, Option<Rank>), CallError> {
    let mut wrong = Violations::default();
    let size = match request.page_size {
        0 => DEFAULT_PAGE,
        size @ 1..=MAX_PAGE => size,
        _ => {
            wrong.add("page_size", "must be 1 to 500, or 0 for 50");
            DEFAULT_PAGE
        }
    };
    let after = place(&request.page_token);
    if after.is_none() && !request.page_token.is_empty() {
        wrong.add("page_token", "must be a next_page_token");
    }
    wrong.finish()?;
    Ok((usize::try_from(size).unwrap_or(usize::MAX), after))
}

fn place(page_token: &str) -> Option<Rank> {
    let (created_at, login) = page_token.split_once('.')?;
    let created_at = Timestamp::from_millis(created_at.parse().ok()?);
    Some(Rank { created_at, login: LoginId::parse(login).ok()? })
}
