//! Logins at a provider that we did not write: the npm package oidc-provider
//! with CIBA in poll mode, by the generic profile. See tests/openid-provider.

use ciba_gateway::grpc::v1::{Claim, Login, Outcome, StartLoginRequest};
use serde_json::{Value, json};
use tonic::Code;

use crate::support::caller::{refusal, till};
use crate::support::configuration::Configuration;
use crate::support::gateway::Gateway;
use crate::support::http;
use crate::support::processes::Process;
use crate::support::tools::node;

/// The provider, and the hands at its phones.
struct Provider {
    _process: Process,
    facts: Value,
}

impl Provider {
    async fn start() -> Self {
        let process = Process::start(node("tests/openid-provider/server.mjs")).expect("Node.js runs");
        let line = process.prints("issuer").await;
        Self { _process: process, facts: serde_json::from_str(&line).expect("JSON") }
    }

    /// A gateway for one of the provider's clients, which sign their ID tokens
    /// and take credentials as the client is registered.
    async fn gateway(&self, client: usize, hint: &str) -> Gateway {
        let text = |value: &Value| value.as_str().expect("a text").to_owned();
        let client = &self.facts["clients"][client];
        let (algorithm, method) = (&client["id_token_signed_response_alg"], &client["token_endpoint_auth_method"]);
        Gateway::ready(&Configuration {
            client_id: text(&client["client_id"]),
            client_secret: text(&client["client_secret"]),
            provider: format!(
                "profile = \"generic\"\nlogin_hint = \"{hint}\"\nsigning_algorithms = [{algorithm}]\n\
                 authentication = {method}"
            ),
            ..Configuration::new(&text(&self.facts["issuer"]))
        })
        .await
    }

    /// Does what the person with the phone does.
    async fn person(&self, verb: &str, msisdn: &str) {
        let control = self.facts["control"].as_str().expect("an address");
        let status = http::post(&format!("{control}/{verb}"), Some(&json!({ "msisdn": msisdn }))).await;
        assert_eq!(status, 200, "{verb}");
    }

    /// What the newest request asked for.
    async fn asked(&self) -> Value {
        let control = self.facts["control"].as_str().expect("an address");
        let requests = http::get_json(&format!("{control}/requests")).await;
        requests.as_array().and_then(|requests| requests.last()).expect("a request").clone()
    }
}

/// Starts a login that the person then answers; gives its id.
async fn login(provider: &Provider, gateway: &Gateway, msisdn: &str, verb: &str) -> String {
    let claims = [Claim::Name, Claim::PhoneNumber, Claim::Email, Claim::Address, Claim::Birthdate];
    let claims = claims.map(i32::from).to_vec();
    let started =
        gateway.caller().start(StartLoginRequest { claims, ..till(&format!("+{msisdn}")) }).await.expect("a login");
    let asked = provider.asked().await;
    assert_eq!((&asked["msisdn"], &asked["binding_message"]), (&json!(msisdn), &json!(started.code)), "{asked}");
    assert_eq!(asked["scope"], json!("openid address email phone profile"));
    provider.person(verb, msisdn).await;
    started.login_id
}

fn assert_person(login: &Login, msisdn: &str) {
    assert_eq!(login.outcome(), Outcome::Approved, "{login:?}");
    let identity = login.identity.as_ref().expect("an identity");
    assert_eq!(identity.sub.len(), 32);
    assert_eq!(identity.name, "Kari Nordmann");
    assert_eq!(identity.phone_number, format!("+{msisdn}"));
    assert_eq!(identity.email, format!("{msisdn}@example.com"));
    assert_eq!(identity.birthdate, "1986-04-17");
    assert_eq!(identity.gender, "", "it came with the same scope, and nobody asked for it");
    assert_eq!(identity.missing_claims, [0; 0]);
    assert_eq!(identity.address.as_ref().map(|address| address.postal_code.as_str()), Some("0155"));
}

/// Three logins, side by side: the provider asks for five seconds between polls.
async fn every_answer_arrives(client: usize, hint: &str) {
    let provider = Provider::start().await;
    let gateway = provider.gateway(client, hint).await;
    let approved = login(&provider, &gateway, "4791000001", "approve").await;
    assert_eq!(provider.asked().await["login_hint"], json!(hint.replace("{msisdn}", "4791000001")));
    let denied = login(&provider, &gateway, "4791000002", "deny").await;
    let expired = login(&provider, &gateway, "4791000003", "expire").await;
    assert_person(&gateway.caller().end_of(&approved).await, "4791000001");
    assert_eq!(gateway.caller().end_of(&denied).await.outcome(), Outcome::Denied);
    assert_eq!(gateway.caller().end_of(&expired).await.outcome(), Outcome::Expired);
}

#[tokio::test]
async fn rs256_and_credentials_in_the_header() {
    every_answer_arrives(0, "tel:+{msisdn}").await;
}

#[tokio::test]
async fn es256_and_credentials_in_the_body() {
    every_answer_arrives(1, "+{msisdn}").await;
}

#[tokio::test]
async fn an_algorithm_that_is_not_allowed_is_not_believed() {
    let provider = Provider::start().await;
    let mut facts = provider.facts.clone();
    facts["clients"][0]["id_token_signed_response_alg"] = json!("ES256");
    let misled = Provider { facts, ..provider };
    let gateway = misled.gateway(0, "urn:msisdn:{msisdn}").await;
    let login = login(&misled, &gateway, "4791000001", "approve").await;
    let login = gateway.caller().end_of(&login).await;
    assert_eq!(login.failure_reason().as_str_name(), "FAILURE_REASON_ID_TOKEN_INVALID", "{login:?}");
    assert!(login.identity.is_none());
}

/// The standard has no such question, and no such claims: the first is refused, the
/// others do not come.
#[tokio::test]
async fn what_no_standard_has_is_not_offered() {
    let provider = Provider::start().await;
    let gateway = provider.gateway(0, "{msisdn}").await;
    let refused = gateway.caller().check("+4791000001").await.expect_err("nobody can say");
    assert_eq!(refusal(&refused), (Code::Unimplemented, "NOT_SUPPORTED".into(), false));
    let claims = [Claim::PhoneNumber, Claim::DelegatedConsents].map(i32::from).to_vec();
    let asked = StartLoginRequest { claims, ..till("+4791000001") };
    let login = gateway.caller().start(asked).await.expect("a login");
    assert_eq!(provider.asked().await["scope"], json!("openid phone"));
    provider.person("approve", "4791000001").await;
    let login = gateway.caller().end_of(&login.login_id).await;
    let identity = login.identity.as_ref().expect("an identity");
    assert_eq!((identity.phone_number.as_str(), identity.name.as_str()), ("+4791000001", ""));
    assert_eq!(identity.missing_claims, [i32::from(Claim::DelegatedConsents)]);
}
