//! Every answer that the provider documents, and every one that is plausible where it
//! documents none, through the front door: each ends in a stable reason, with a text
//! for the agent.

use std::time::Duration;

use ciba_gateway::grpc::v1::{FailureReason as Reason, Outcome, StartLoginRequest};
use ciba_gateway::simulator::{
    Behaviour, ErrorAnswer, Fault, RawAnswer, RetryAfter, Settings, TokenKnobs, UserExistsKnobs, UserinfoKnobs,
};
use futures_util::future::join_all;
use serde_json::json;

use crate::support::caller::{Caller, refusal, spoken, till};
use crate::support::configuration::Configuration;
use crate::support::gateway::{Gateway, local};
use crate::support::simulators::{Vipps, quick};

const LANGUAGES: [&str; 5] = ["en", "nb", "sv", "da", "fi"];

/// What the caller is told.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Told {
    Approved,
    Denied,
    Expired,
    Failed(Reason),
    /// Nothing was started, for this reason.
    Refused(&'static str),
    /// An answer of CheckPhone.
    Usable(bool),
}

fn code(status: u16, code: &str) -> Fault {
    Fault::Error(ErrorAnswer { status, error_code: Some(code.into()), ..ErrorAnswer::default() })
}

fn both(error: &str, code: impl Into<serde_json::Value>) -> Fault {
    Fault::Error(ErrorAnswer { error: Some(error.into()), error_code: Some(code.into()), ..ErrorAnswer::default() })
}

/// The problem object of the vendor's platform.
fn problem(status: u16) -> Fault {
    let body = json!({ "type": "about:blank", "title": "No", "status": status.to_string(), "extraDetails": [] });
    let content_type = "application/problem+json".to_owned();
    Fault::Raw(RawAnswer { status, content_type, body: body.to_string(), retry_after: None })
}

fn busy(fault: Fault) -> Fault {
    fault.retry_after(RetryAfter::Seconds(9))
}

fn starts() -> Vec<(Fault, Told)> {
    use Reason as R;
    let person = Told::Failed(R::PersonUnknown);
    let old = Told::Failed(R::AppTooOld);
    let refused = Told::Failed(R::RequestRefused);
    let unknown = Told::Failed(R::StartUnknown);
    let credentials = Told::Refused("PROVIDER_CREDENTIALS_REFUSED");
    vec![
        (Fault::error("unknown_user_id"), person),
        (Fault::error("invalid_user"), person),
        (code(400, "invalid_user"), person),
        (code(400, "unknown_user_id"), person),
        (code(403, "invalid_user"), person),
        (both("unknown_user_id", "invalid_user"), person),
        (both("invalid_request", "invalid_user"), person),
        (both("unknown_user_id", 400), person),
        (code(400, "old_app"), old),
        (Fault::error("old_app"), old),
        (Fault::error("outdated_app_version"), old),
        (both("access_denied", "old_app"), old),
        (code(422, "old_app"), old),
        (Fault::error("invalid_request"), refused),
        (both("invalid_request", 400), refused),
        (Fault::error("invalid_binding_message"), refused),
        (Fault::error("expired_login_hint_token"), refused),
        (Fault::error("missing_user_code"), refused),
        (Fault::error("invalid_user_code"), refused),
        (Fault::error("invalid_scope"), Told::Failed(R::ScopeRefused)),
        (code(400, "invalid_scope"), Told::Failed(R::ScopeRefused)),
        (Fault::error("unauthorized_client"), Told::Failed(R::NotEnabled)),
        (Fault::status(403, "access_denied"), Told::Failed(R::PolicyRefused)),
        (Fault::error("access_denied"), Told::Failed(R::PolicyRefused)),
        (Fault::error("nobody_has_documented_this"), Told::Failed(R::ProviderError)),
        (problem(400), Told::Failed(R::ProviderError)),
        (problem(422), Told::Failed(R::ProviderError)),
        (Fault::status(401, "invalid_client"), credentials),
        (Fault::status(400, "invalid_client"), credentials),
        (Fault::gateway(401), credentials),
        (problem(401), credentials),
        (busy(Fault::status(429, "too_many_requests")), Told::Refused("PROVIDER_BUSY")),
        (busy(Fault::gateway(429)), Told::Refused("PROVIDER_BUSY")),
        (busy(problem(429)), Told::Refused("PROVIDER_BUSY")),
        (Fault::gateway(429), Told::Refused("PROVIDER_BUSY")),
        // The phone may have rung.
        (Fault::gateway(400), unknown),
        (Fault::gateway(403), unknown),
        (Fault::gateway(404), unknown),
        (Fault::status(500, "server_error"), unknown),
        (Fault::gateway(502), unknown),
        (busy(Fault::gateway(503)), unknown),
        (Fault::gateway(504), unknown),
        (Fault::gateway(200), unknown),
        (Fault::unreadable(), unknown),
        (Fault::Drop, unknown),
        (Fault::Flood { bytes: 200_000 }, unknown),
    ]
}

/// At the first poll; at the second the person approves.
fn polls() -> Vec<(Fault, Told)> {
    use Reason as R;
    let person = Told::Failed(R::PersonUnknown);
    vec![
        (Fault::error("authorization_pending"), Told::Approved),
        (code(400, "authorization_pending"), Told::Approved),
        (both("authorization_pending", 400), Told::Approved),
        (Fault::error("slow_down"), Told::Approved),
        (busy(Fault::status(429, "slow_down")), Told::Approved),
        (Fault::error("access_denied"), Told::Denied),
        (Fault::status(403, "access_denied"), Told::Denied),
        (code(400, "access_denied"), Told::Denied),
        (both("access_denied", 400), Told::Denied),
        (both("access_denied", "user_rejected"), Told::Denied),
        (Fault::error("expired_token"), Told::Expired),
        (code(400, "expired_token"), Told::Expired),
        (both("expired_token", 400), Told::Expired),
        (Fault::error("unknown_user_id"), person),
        (Fault::error("invalid_user"), person),
        (code(400, "invalid_user"), person),
        (both("invalid_request", "invalid_user"), person),
        (both("access_denied", "invalid_user"), person),
        (code(400, "old_app"), Told::Failed(R::AppTooOld)),
        (Fault::error("old_app"), Told::Failed(R::AppTooOld)),
        (both("access_denied", "old_app"), Told::Failed(R::AppTooOld)),
        (Fault::error("invalid_grant"), Told::Failed(R::ResultLost)),
        (both("invalid_grant", 400), Told::Failed(R::ResultLost)),
        (Fault::error("transaction_failed"), Told::Failed(R::ProviderError)),
        (Fault::error("unknown_reject_reason"), Told::Failed(R::ProviderError)),
        (code(400, "unknown_reject_reason"), Told::Failed(R::ProviderError)),
        (Fault::error("invalid_request"), Told::Failed(R::RequestRefused)),
        (Fault::error("invalid_scope"), Told::Failed(R::ScopeRefused)),
        (Fault::error("unauthorized_client"), Told::Failed(R::NotEnabled)),
        (Fault::error("unsupported_grant_type"), Told::Failed(R::NotEnabled)),
        // Nobody's word about the person: polling goes on.
        (Fault::status(401, "access_denied"), Told::Approved),
        (Fault::gateway(400), Told::Approved),
        (Fault::gateway(401), Told::Approved),
        (Fault::gateway(403), Told::Approved),
        (Fault::gateway(404), Told::Approved),
        (problem(400), Told::Approved),
        (problem(422), Told::Approved),
        (busy(Fault::gateway(429)), Told::Approved),
        (Fault::status(500, "server_error"), Told::Approved),
        (Fault::gateway(502), Told::Approved),
        (Fault::gateway(503), Told::Approved),
        (Fault::gateway(504), Told::Approved),
        (Fault::Drop, Told::Approved),
    ]
}

/// At the first two reads of userinfo.
fn userinfos() -> Vec<(Fault, Told)> {
    let refused = Told::Failed(Reason::UserinfoRefused);
    let invalid = Told::Failed(Reason::UserinfoInvalid);
    vec![
        (problem(400), refused),
        (problem(401), refused),
        (problem(403), refused),
        (problem(404), refused),
        (Fault::status(401, "invalid_token"), refused),
        (Fault::gateway(401), Told::Approved),
        (Fault::gateway(403), Told::Approved),
        (Fault::gateway(404), Told::Approved),
        (busy(Fault::gateway(429)), Told::Approved),
        (problem(429), Told::Approved),
        (problem(500), Told::Approved),
        (Fault::gateway(502), Told::Approved),
        (Fault::Drop, Told::Approved),
        (Fault::gateway(200), invalid),
        (Fault::unreadable(), invalid),
        (Fault::Flood { bytes: 200_000 }, invalid),
    ]
}

fn user_exists() -> Vec<(Fault, Told)> {
    let no = Told::Usable(false);
    let unavailable = Told::Refused("PROVIDER_UNAVAILABLE");
    let refused = Told::Refused("PROVIDER_REFUSED");
    let credentials = Told::Refused("PROVIDER_CREDENTIALS_REFUSED");
    vec![
        (Fault::error("unknown_user_id"), no),
        (code(400, "invalid_user"), no),
        (both("invalid_request", "invalid_user"), no),
        (both("unknown_user_id", 400), no),
        (code(400, "old_app"), no),
        (Fault::error("old_app"), no),
        (Fault::error("unauthorized_client"), refused),
        (Fault::status(403, "access_denied"), refused),
        (Fault::error("invalid_request"), refused),
        (problem(400), refused),
        (Fault::status(401, "invalid_client"), credentials),
        (Fault::gateway(401), credentials),
        (Fault::gateway(404), Told::Refused("NOT_SUPPORTED")),
        (busy(Fault::gateway(429)), Told::Refused("PROVIDER_BUSY")),
        (busy(problem(429)), Told::Refused("PROVIDER_BUSY")),
        (Fault::gateway(400), unavailable),
        (Fault::gateway(403), unavailable),
        (Fault::status(500, "server_error"), unavailable),
        (Fault::gateway(503), unavailable),
        (Fault::gateway(200), unavailable),
        (Fault::unreadable(), unavailable),
    ]
}

fn behaviours() -> Vec<(Behaviour, Told, bool)> {
    let approved = || Behaviour::approve_after(0);
    let start = starts().into_iter().map(|(fault, told)| {
        let mut behaviour = approved();
        behaviour.start.fault = Some(fault);
        (behaviour, told, false)
    });
    let poll = polls().into_iter().map(|(fault, told)| {
        let token = TokenKnobs { faults: vec![Some(fault)], ..TokenKnobs::default() };
        (Behaviour { token, ..approved() }, told, false)
    });
    let userinfo = userinfos().into_iter().map(|(fault, told)| {
        let userinfo = UserinfoKnobs { faults: vec![Some(fault.clone()), Some(fault)], ..UserinfoKnobs::default() };
        (Behaviour { userinfo, ..approved() }, told, false)
    });
    let exists = user_exists().into_iter().map(|(fault, told)| {
        let user_exists = UserExistsKnobs { fault: Some(fault), exists: true };
        (Behaviour { user_exists, ..approved() }, told, true)
    });
    start.chain(poll).chain(userinfo).chain(exists).collect()
}

/// What is told, and in which language with which words.
async fn told(caller: &Caller, number: &str, language: &str, is_check: bool) -> (Told, Option<(String, String)>) {
    let refused = |status: tonic::Status| {
        let (_, reason, _) = refusal(&status);
        (Told::Refused(reason.leak()), spoken(&status))
    };
    if is_check {
        return match caller.check(number).await {
            Ok(usable) => (Told::Usable(usable), None),
            Err(status) => refused(status),
        };
    }
    let login = match caller.start(StartLoginRequest { language: language.into(), ..till(number) }).await {
        Ok(login) => caller.end_of(&login.login_id).await,
        Err(status) => return refused(status),
    };
    let told = match login.outcome() {
        Outcome::Approved => Told::Approved,
        Outcome::Denied => Told::Denied,
        Outcome::Expired => Told::Expired,
        Outcome::Failed => Told::Failed(login.failure_reason()),
        other => panic!("{number} ended {other:?}"),
    };
    (told, Some((login.language, login.agent_text)))
}

#[tokio::test]
async fn every_answer_has_a_stable_reason_and_a_text_for_the_agent() {
    let vipps = Vipps::with(local().await, Settings { speed: 5.0, ..quick() }).await;
    let gateway = Gateway::ready(&Configuration::new(&vipps.issuer())).await;
    let caller = &gateway.caller();
    let rows = behaviours();
    let simulator = &vipps.simulator;
    let stories = rows.into_iter().enumerate().map(|(at, (behaviour, wanted, is_check))| async move {
        let number = format!("+479{:07}", 1_111_111 + at);
        simulator.set_behaviour(&number, behaviour.clone());
        let language = if is_check { "en" } else { LANGUAGES[at % 5] };
        let (found, words) = told(caller, &number, language, is_check).await;
        let is_spoken = words.is_some_and(|(of, text)| of == language && text.ends_with(['.', '?']));
        let is_right = found == wanted && (is_spoken || matches!(wanted, Told::Usable(_)));
        (!is_right).then(|| format!("{found:?} (spoken: {is_spoken}), not {wanted:?}: {behaviour:?}"))
    });
    let wrong =
        tokio::time::timeout(Duration::from_secs(90), join_all(stories)).await.expect("every login ends in time");
    let wrong: Vec<_> = wrong.into_iter().flatten().collect();
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

/// Push may be off, and the app does not tell: so the agent says it while the phone
/// shows the request.
#[tokio::test]
async fn while_it_waits_the_agent_can_say_what_to_do() {
    let vipps = Vipps::start().await;
    let gateway = Gateway::ready(&Configuration::new(&vipps.issuer())).await;
    for (at, (language, words)) in
        [("en", "Pull down"), ("nb", "Dra"), ("sv", "Dra ned"), ("da", "Træk ned"), ("fi", "alaspäin")]
            .iter()
            .enumerate()
    {
        let number = format!("+479111222{at}");
        let start = StartLoginRequest { language: (*language).into(), ..till(&number) };
        let login = gateway.caller().start(start).await.expect("a login");
        assert!(login.agent_text.contains(words), "{}", login.agent_text);
    }
}
