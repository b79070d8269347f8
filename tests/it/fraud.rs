//! A fraudster who has an agent's desktop and its key, against a gateway with the
//! default policy. Each attempt is stopped, and the audit log names the agent.

use ciba_gateway::grpc::v1::{CallDirection, Claim, CodeMode, LoginState, Outcome, StartLoginRequest};
use serde_json::Value;
use tonic::Code;

use crate::support::audit_log::AuditLog;
use crate::support::client::{Client, NUMBER, on_a_call, standing};
use crate::support::configuration::Configuration;
use crate::support::gateway::Serve;
use crate::support::simulators::Vipps;

const CUSTOMER: &str = "+4791234599";

struct Fraud {
    log: AuditLog,
    vipps: Vipps,
    serve: Serve,
    ada: Client,
    mallory: Client,
}

impl Fraud {
    async fn begin() -> Self {
        let (log, vipps) = (AuditLog::new(), Vipps::start().await);
        let configuration = Configuration { guard: String::new(), ..Configuration::new(&vipps.issuer()) };
        let serve = Serve::ready(&log.kept_by(configuration, "audit.log")).await;
        let (ada, mallory) = (serve.client().await.with_agent("ada"), serve.client().await.with_agent("mallory"));
        Self { log, vipps, serve, ada, mallory }
    }

    fn call(request_id: &str, number: &str) -> StartLoginRequest {
        StartLoginRequest { agent_id: "mallory".to_owned(), ..on_a_call(request_id, number) }
    }

    /// Stops the gateway; what the log then says that `agent` did.
    async fn told_of(mut self, agent: &str) -> Vec<Value> {
        self.serve.process.signal("TERM");
        assert_eq!(self.serve.process.ended().await.code, Some(0));
        let lines = self.log.lines("audit.log");
        let lines = lines.iter().map(|line| serde_json::from_str(line).expect("JSON"));
        lines.filter(|line: &Value| line["by_agent"] == agent).collect()
    }
}

fn count(told: &[Value], what: &[(&str, &str)]) -> usize {
    told.iter().filter(|line| what.iter().all(|(name, value)| line[name] == *value)).count()
}

/// SR7, SR10: one phone, again and again, and no further call to the provider.
#[tokio::test]
async fn who_bombs_one_phone_is_stopped() {
    let fraud = Fraud::begin().await;
    for i in 0..3 {
        let login = fraud.mallory.start(Fraud::call(&format!("r-{i}"), NUMBER)).await;
        fraud.mallory.cancel(&login).await;
    }
    for i in 3..6 {
        let refusal = fraud.mallory.refused(Fraud::call(&format!("r-{i}"), NUMBER)).await;
        assert_eq!((refusal.code, refusal.reason.as_str()), (Code::ResourceExhausted, "TOO_MANY_STARTS"));
        assert_eq!(refusal.told("limit"), Some("number"));
        assert!(refusal.retry_after.is_some());
    }
    assert_eq!(fraud.vipps.rings(NUMBER), 3);
    let told = fraud.told_of("mallory").await;
    let refused = [("what", "start_refused"), ("reason", "TOO_MANY_STARTS"), ("limit", "number")];
    assert_eq!(count(&told, &refused), 3);
}

/// SR19, SR41: without a stated ground nobody gets a national identity number.
#[tokio::test]
async fn who_wants_a_national_identity_number_is_stopped() {
    let fraud = Fraud::begin().await;
    let start = StartLoginRequest { claims: vec![Claim::Nin.into()], ..Fraud::call("r-1", NUMBER) };
    let refusal = fraud.mallory.refused(start).await;
    assert_eq!((refusal.code, refusal.reason.as_str()), (Code::PermissionDenied, "NATIONAL_ID_NOT_ALLOWED"));
    assert_eq!(fraud.vipps.rings(NUMBER), 0);
    let told = fraud.told_of("mallory").await;
    assert_eq!(count(&told, &[("what", "start_refused"), ("reason", "NATIONAL_ID_NOT_ALLOWED")]), 1);
}

/// SR9: who has said no is not asked again, by no agent.
#[tokio::test]
async fn who_has_said_no_is_left_alone() {
    let fraud = Fraud::begin().await;
    let login = fraud.mallory.start(Fraud::call("r-1", NUMBER)).await;
    assert_eq!(fraud.vipps.simulator.deny(NUMBER), 1);
    assert_eq!(standing(&fraud.mallory.wait_for_end(&login).await), "denied");
    assert_eq!(fraud.mallory.refused(Fraud::call("r-2", NUMBER)).await.reason, "TOO_MANY_STARTS");
    assert_eq!(fraud.ada.refused(on_a_call("r-3", NUMBER)).await.reason, "TOO_MANY_STARTS");
    assert_eq!(fraud.vipps.rings(NUMBER), 1);
    let told = fraud.told_of("mallory").await;
    assert_eq!(count(&told, &[("what", "start_refused"), ("reason", "TOO_MANY_STARTS")]), 1);
}

/// SR8: many phones, one after the other.
#[tokio::test]
async fn who_sweeps_numbers_is_stopped() {
    let fraud = Fraud::begin().await;
    for i in 0..20 {
        let login = fraud.mallory.start(Fraud::call(&format!("r-{i}"), &format!("+47912346{i:02}"))).await;
        fraud.mallory.cancel(&login).await;
    }
    let refusal = fraud.mallory.refused(Fraud::call("r-20", "+4791234620")).await;
    assert_eq!((refusal.reason.as_str(), refusal.told("limit")), ("TOO_MANY_STARTS", Some("agent-numbers")));
    assert_eq!(fraud.vipps.rings("+4791234620"), 0);
    fraud.ada.start(on_a_call("r-21", "+4791234620")).await;
    let told = fraud.told_of("mallory").await;
    assert_eq!(count(&told, &[("what", "start_refused"), ("limit", "agent-numbers")]), 1);
}

/// SR13, SR24: another agent's customer stays unknown.
#[tokio::test]
async fn who_looks_at_anothers_login_learns_no_name() {
    let fraud = Fraud::begin().await;
    let login = fraud.ada.start(on_a_call("r-1", CUSTOMER)).await;
    let code = fraud.vipps.code_on(CUSTOMER);
    assert_eq!(fraud.mallory.try_confirm(&login.login_id, &code).await.expect_err("a refusal").reason, "NOT_YOURS");
    fraud.ada.confirm(&login, &code).await;
    fraud.vipps.simulator.approve(CUSTOMER);
    let ended = fraud.ada.wait_for_end(&login).await;
    let name = ended.identity.expect("ada knows who it is").name;

    let seen = fraud.mallory.get(&login).await;
    assert_eq!((seen.state(), seen.outcome(), seen.identity), (LoginState::Ended, Outcome::Approved, None));
    fraud.mallory.list().await;
    assert!(!fraud.mallory.heard().contains(&name));
    let told = fraud.told_of("mallory").await;
    assert_eq!(count(&told, &[("what", "identity_withheld"), ("agent", "ada")]), 1);
    assert_eq!(count(&told, &[("what", "call_refused"), ("call", "ConfirmCode"), ("reason", "NOT_YOURS")]), 1);
}

/// SR15: three guesses, and it is over, whatever the person says.
#[tokio::test]
async fn who_guesses_codes_has_three_tries() {
    let fraud = Fraud::begin().await;
    let login = fraud.mallory.start(Fraud::call("r-1", NUMBER)).await;
    assert_eq!((login.code_mode(), login.code.as_str()), (CodeMode::ReadBack, ""));
    let code = fraud.vipps.code_on(NUMBER);
    for guess in ["AAAAA", "CCCCC", "DDDDD", "EEEEE"].iter().filter(|guess| **guess != code).take(3) {
        fraud.mallory.confirm(&login, guess).await;
    }
    fraud.vipps.simulator.approve(NUMBER);
    assert_eq!(standing(&fraud.mallory.get(&login).await), "code_mismatch");
    assert_eq!(fraud.mallory.try_confirm(&login.login_id, &code).await.expect_err("a refusal").reason, "LOGIN_ENDED");
    let told = fraud.told_of("mallory").await;
    assert_eq!(told.iter().filter(|line| line["what"] == "code_tried" && line["matched"] == false).count(), 3);
}

/// SR16, G6: an old request, or an old code, opens nothing new.
#[tokio::test]
async fn who_replays_gains_nothing() {
    let fraud = Fraud::begin().await;
    let first = fraud.mallory.start(Fraud::call("r-1", NUMBER)).await;
    let code = fraud.vipps.code_on(NUMBER);
    fraud.mallory.confirm(&first, &code).await;
    assert_eq!(fraud.mallory.refused(Fraud::call("r-1", CUSTOMER)).await.reason, "REQUEST_ID_REUSED");
    let second = fraud.mallory.start(Fraud::call("r-2", CUSTOMER)).await;
    assert!(!fraud.mallory.confirm(&second, &code).await.0, "the code of another login");
    let told = fraud.told_of("mallory").await;
    assert_eq!(count(&told, &[("what", "start_refused"), ("reason", "REQUEST_ID_REUSED")]), 1);
}

/// SR5: people are not called and asked who they are.
#[tokio::test]
async fn who_calls_people_is_stopped() {
    let fraud = Fraud::begin().await;
    let outbound = StartLoginRequest {
        call_direction: CallDirection::Outbound.into(),
        call_id: "call-1".to_owned(),
        ..Fraud::call("r-1", NUMBER)
    };
    let refusal = fraud.mallory.refused(outbound).await;
    assert_eq!((refusal.code, refusal.reason.as_str()), (Code::PermissionDenied, "OUTBOUND_NOT_ALLOWED"));
    assert_eq!(fraud.vipps.rings(NUMBER), 0);
    let told = fraud.told_of("mallory").await;
    assert_eq!(count(&told, &[("what", "start_refused"), ("reason", "OUTBOUND_NOT_ALLOWED")]), 1);
}

/// SR13: a stolen key does not choose the weaker way.
#[tokio::test]
async fn who_wants_to_do_without_read_back_is_stopped() {
    let fraud = Fraud::begin().await;
    let read_out = StartLoginRequest { code_mode: CodeMode::ReadOut.into(), ..Fraud::call("r-1", NUMBER) };
    let refusal = fraud.mallory.refused(read_out).await;
    assert_eq!((refusal.code, refusal.reason.as_str()), (Code::PermissionDenied, "READ_OUT_NOT_ALLOWED"));
    assert_eq!(fraud.vipps.rings(NUMBER), 0);
    let told = fraud.told_of("mallory").await;
    assert_eq!(count(&told, &[("what", "start_refused"), ("reason", "READ_OUT_NOT_ALLOWED")]), 1);
}
