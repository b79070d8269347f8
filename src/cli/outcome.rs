//! How a login's end is told: words and exit codes.

use std::process::ExitCode;

use serde_json::{Value, json};

use super::EXIT_SOFTWARE;
use super::terminal::{Style, Terminal};
use crate::grpc::v1::{Assurance, ConsentAnswer, FailureReason, Identity, Login, LoginState, Outcome};

/// The exit code for each outcome: 0 approved, 10 denied, 11 expired,
/// 12 cancelled, 13 failed.
pub(super) fn exit_code(outcome: Outcome) -> ExitCode {
    ExitCode::from(match outcome {
        Outcome::Approved => 0,
        Outcome::Denied => 10,
        Outcome::Expired => 11,
        Outcome::Cancelled => 12,
        Outcome::Failed => 13,
        Outcome::Unspecified => EXIT_SOFTWARE,
    })
}

/// The state in one word, or the outcome once there is one.
pub(super) fn word(login: &Login) -> String {
    let name = match login.state() {
        LoginState::Ended => login.outcome().as_str_name().trim_start_matches("OUTCOME_"),
        state => state.as_str_name().trim_start_matches("LOGIN_STATE_"),
    };
    name.to_lowercase().replace('_', " ")
}

/// Why it failed, as the API names it; empty when it did not.
pub(super) fn reason(login: &Login) -> String {
    match login.failure_reason() {
        FailureReason::Unspecified => String::new(),
        reason => reason.as_str_name().trim_start_matches("FAILURE_REASON_").to_owned(),
    }
}

/// What the approval is worth, as the API names it; empty when there is none.
fn assurance(login: &Login) -> String {
    match login.assurance() {
        Assurance::Unspecified => String::new(),
        level => level.as_str_name().trim_start_matches("ASSURANCE_").to_owned(),
    }
}

/// `✓ approved`, `✗ denied` and the like, with the reason of a failure.
pub(super) fn headline(login: &Login, terminal: Terminal) -> String {
    let (mark, style) = match login.outcome() {
        Outcome::Approved => ("✓", Style::Good),
        Outcome::Denied | Outcome::Failed => ("✗", Style::Bad),
        Outcome::Expired | Outcome::Cancelled => ("–", Style::Warn),
        Outcome::Unspecified => ("…", Style::Accent),
    };
    let reason = reason(login);
    let text = if reason.is_empty() { word(login) } else { format!("{} ({reason})", word(login)) };
    terminal.paint(style, format!("{mark} {text}"))
}

/// What a person would read out of an identity, one piece a line.
pub(super) fn person(identity: &Identity) -> Vec<(&'static str, String)> {
    let address = identity.address.as_ref().map(|address| address.formatted.replace('\n', ", "));
    let pieces = [
        ("name", identity.name.clone()),
        ("phone", identity.phone_number.clone()),
        ("birthdate", identity.birthdate.clone()),
        ("email", identity.email.clone()),
        ("address", address.unwrap_or_default()),
        ("gender", identity.gender.clone()),
        ("nin", identity.nin.clone()),
        ("consents", consents(identity)),
        (
            "missing",
            identity
                .missing_claims()
                .map(|claim| claim.as_str_name().replace("CLAIM_", ""))
                .collect::<Vec<_>>()
                .join(", ")
                .to_lowercase(),
        ),
        ("subject", identity.sub.clone()),
    ];
    pieces.into_iter().filter(|(_, value)| !value.is_empty()).collect()
}

/// What was agreed to and what was not, refusals with a `no` before them.
fn consents(identity: &Identity) -> String {
    let (delegated, flow, terms) = (&identity.delegated_consents, &identity.custom_flow, &identity.agreement);
    let terms = terms.as_ref().map(|terms| match terms.answer() {
        ConsentAnswer::Accepted => "terms",
        ConsentAnswer::Refused => "no terms",
        ConsentAnswer::Unspecified => "terms unclear",
    });
    let yes = delegated.iter().flat_map(|c| &c.accepted_ids).chain(flow.iter().flat_map(|flow| &flow.accepted_ids));
    let no = delegated.iter().flat_map(|c| &c.refused_ids).chain(flow.iter().flat_map(|flow| &flow.refused_ids));
    let all = yes.cloned().chain(no.map(|id| format!("no {id}"))).chain(terms.map(str::to_owned));
    all.collect::<Vec<_>>().join(", ")
}

/// One login as a line of JSON, for scripts.
pub(super) fn as_json(login: &Login) -> Value {
    let identity = login
        .identity
        .as_ref()
        .map(|identity| person(identity).into_iter().collect::<std::collections::BTreeMap<_, _>>());
    json!({
        "login_id": login.login_id,
        "state": word(login),
        "reason": reason(login),
        "code": login.code,
        "phone": login.masked_phone_number,
        "agent_text": login.agent_text,
        "assurance": assurance(login),
        "identity": identity,
    })
}
