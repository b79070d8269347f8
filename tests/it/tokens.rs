//! Clients and agents that prove themselves by tokens of the tenant's identity
//! provider.

use std::time::Duration;

use ciba_gateway::clock::Clock;
use ciba_gateway::grpc::v1::Login;
use serde_json::{Value, json};
use tonic::{Code, Status, Streaming};

use crate::support::audit_log::AuditLog;
use crate::support::caller::{Caller, call, refusal};
use crate::support::configuration::{Configuration, api_key, other_api_key};
use crate::support::eventually::eventually;
use crate::support::gateway::{Gateway, Serve};
use crate::support::identity_provider::{Answer, DESK, IdentityProvider};
use crate::support::processes::Process;
use crate::support::signer::Signer;
use crate::support::simulators::Vipps;

const NUMBER: &str = "+4712345678";
const NOBODY: &str = "AAAAAAAAAAAAAAAAAAAAAAAAAAA";

/// A gateway whose first tenant has an identity provider.
struct World {
    vipps: Vipps,
    identity_provider: IdentityProvider,
    log: AuditLog,
    gateway: Gateway,
}

impl World {
    /// With these lines in `[tenants.tokens]` and at the client.
    async fn with(tokens: &str, client: &str) -> Self {
        Self::of(IdentityProvider::start().await, tokens, client).await
    }

    async fn of(identity_provider: IdentityProvider, tokens: &str, client: &str) -> Self {
        let (vipps, log) = (Vipps::start().await, AuditLog::new());
        let configuration = Configuration::new(&vipps.issuer())
            .with_tenant_line("nordlys", &identity_provider.lines(tokens))
            .with_client_line("nordlys", &format!("token_clients = [\"{DESK}\"]\n{client}"));
        let gateway = Gateway::ready(&log.kept_by(configuration, "audit.log")).await;
        Self { vipps, identity_provider, log, gateway }
    }

    /// Whoever shows this as bearer token.
    fn showing(&self, bearer: &str) -> Caller {
        Caller::new(&self.gateway.url(), bearer)
    }

    /// The desk by its token, which names no agent.
    fn desk(&self) -> Caller {
        self.showing(&self.identity_provider.token(DESK, None))
    }

    /// The first audit record that says so.
    async fn noted(&self, what: &str, about: &str) -> Value {
        eventually("the audit log says so", async || {
            let lines = self.log.lines("audit.log");
            let found = lines.iter().find(|line| line.contains(&format!("\"{what}\"")) && line.contains(about));
            found.map(|line| serde_json::from_str(line).expect("JSON"))
        })
        .await
    }
}

fn assert_refused<T: std::fmt::Debug>(answer: Result<T, Status>, code: Code, reason: &str) {
    let (told_code, told, _) = refusal(&answer.expect_err("a refusal"));
    assert_eq!((told_code, told.as_str()), (code, reason));
}

fn refused<T: std::fmt::Debug>(answer: Result<T, Status>, reason: &str) {
    assert_refused(answer, Code::Unauthenticated, reason);
}

/// SR2, SR3: the whole of it, and what the audit log says of it.
#[tokio::test]
async fn a_token_proves_client_and_agent() {
    let world = World::with("", "agents = \"signed\"").await;
    let ada = world.showing(&world.identity_provider.token(DESK, Some("ada")));
    let login: Login = ada.start(without_agent()).await.expect("a login");
    assert_eq!(login.agent_id, "ada");
    let noted = world.noted("start_asked", "\"ada\"").await;
    assert_eq!((&noted["by_client"], &noted["by_agent"]), (&json!("desk"), &json!("ada")), "{noted}");
    assert_eq!(noted["agent_proven"], json!(true), "{noted}");
    // By a key as by a token it is one client.
    assert_eq!(world.gateway.caller().get(&login.login_id).await.expect("its login").login_id, login.login_id);
}

fn without_agent() -> ciba_gateway::grpc::v1::StartLoginRequest {
    ciba_gateway::grpc::v1::StartLoginRequest { agent_id: String::new(), ..call(NUMBER) }
}

/// SR3: beside whatever proves the client.
#[tokio::test]
async fn a_token_of_its_own_proves_the_agent_beside_a_key() {
    let world = World::with("", "").await;
    let token = world.identity_provider.token("sso-portal", Some("kari"));
    for desk in [world.gateway.caller(), world.desk()] {
        let kari = desk.with_agent_token(&token);
        let login = kari.start(call(NUMBER)).await.expect("a login");
        assert_eq!(login.agent_id, "kari");
        kari.cancel(&login.login_id).await;
        // The same name without a proof is the client's word, and is noted as such.
        assert_refused(kari.with_agent("ada").get(&login.login_id).await, Code::Unauthenticated, "CREDENTIAL_MISMATCH");
    }
    assert_eq!(world.noted("start_asked", "kari").await["agent_proven"], json!(true));
    let word = world.gateway.caller().with_agent("ola");
    assert_refused(word.get(NOBODY).await, Code::NotFound, "LOGIN_NOT_FOUND");
    word.start(ciba_gateway::grpc::v1::StartLoginRequest { agent_id: "ola".into(), ..call("+4712345679") })
        .await
        .expect("a login");
    assert_eq!(world.noted("start_asked", "ola").await["agent_proven"], json!(false));
}

/// SR2, SR3: where agents are signed, nobody's word counts.
#[tokio::test]
async fn an_agent_that_must_be_signed_is_not_taken_by_word() {
    let world = World::with("", "agents = \"signed\"").await;
    let desk = world.gateway.caller();
    refused(desk.clone().with_agent("kari").get(NOBODY).await, "AGENT_NOT_PROVEN");
    let noted = world.noted("call_refused", "AGENT_NOT_PROVEN").await;
    assert_eq!((&noted["by_agent"], &noted["agent_proven"]), (&json!("kari"), &json!(false)), "{noted}");
    assert_eq!(noted["call"], json!("GetLogin"), "{noted}");
    refused(desk.start(call(NUMBER)).await, "AGENT_NOT_PROVEN");
    world.noted("start_refused", "AGENT_NOT_PROVEN").await;

    let ada = desk.clone().with_agent_token(&world.identity_provider.token("sso-portal", Some("ada")));
    let status = ada.start(call(NUMBER)).await.expect_err("another agent's name");
    assert_eq!(refusal(&status), (Code::InvalidArgument, "INVALID_FIELD".into(), false), "{status:?}");
    // Without any agent there is nothing to prove.
    desk.at_a_till(NUMBER).await;
}

/// SR2: a valid agent token from an unknown client is refused.
#[tokio::test]
async fn an_agents_token_is_no_clients() {
    let world = World::with("", "").await;
    let agent = world.identity_provider.token("sso-portal", Some("kari"));
    let channel = || tonic::transport::Endpoint::from_shared(world.gateway.url()).expect("an address").connect_lazy();
    refused(Caller::over(channel(), None).with_agent_token(&agent).get(NOBODY).await, "CREDENTIAL_MISSING");
    refused(world.showing(&agent).get(NOBODY).await, "CREDENTIAL_INVALID");
    let unknown = format!("cgk_{}", "A".repeat(43));
    refused(world.showing(&unknown).with_agent_token(&agent).get(NOBODY).await, "CREDENTIAL_INVALID");
    // Nor one of another tenant, which has no identity provider.
    let other = world.showing(other_api_key().expose());
    refused(other.with_agent_token(&agent).get(NOBODY).await, "AGENT_TOKEN_INVALID");
}

/// SR2: whatever is shown must hold, also beside something that does.
#[tokio::test]
async fn bad_tokens_call_nothing() {
    let world = World::with("", "").await;
    let IdentityProvider { signer, .. } = &world.identity_provider;
    let good = world.identity_provider.claims(DESK, Some("ada"));
    let now = Clock::system().now().as_secs();
    let with = |change: Value| {
        let mut claims = good.clone();
        claims.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
        claims
    };
    let stranger = Signer::es256("one");
    let public_key = signer.jwk().to_string();
    let none = signer.sign_with(&json!({ "alg": "none" }), &good);
    for (what, token, of_client, of_agent) in [
        (
            "issuer",
            signer.sign(&with(json!({ "iss": "https://evil.example" }))),
            "CREDENTIAL_INVALID",
            "AGENT_TOKEN_INVALID",
        ),
        ("audience", signer.sign(&with(json!({ "aud": "other" }))), "CREDENTIAL_INVALID", "AGENT_TOKEN_INVALID"),
        (
            "expired",
            signer.sign(&with(json!({ "iat": now - 900, "exp": now - 300 }))),
            "CREDENTIAL_EXPIRED",
            "CREDENTIAL_EXPIRED",
        ),
        ("future", signer.sign(&with(json!({ "nbf": now + 300 }))), "CREDENTIAL_INVALID", "AGENT_TOKEN_INVALID"),
        ("too long", signer.sign(&with(json!({ "exp": now + 86_400 }))), "CREDENTIAL_INVALID", "AGENT_TOKEN_INVALID"),
        ("none", format!("{}.", none.rsplit_once('.').unwrap().0), "CREDENTIAL_INVALID", "AGENT_TOKEN_INVALID"),
        ("HS256", signer.hs256(public_key.as_bytes(), &good), "CREDENTIAL_INVALID", "AGENT_TOKEN_INVALID"),
        ("signature", stranger.sign(&good), "CREDENTIAL_INVALID", "AGENT_TOKEN_INVALID"),
        ("form", "a.b.c".to_owned(), "CREDENTIAL_INVALID", "AGENT_TOKEN_INVALID"),
    ] {
        let answer = world.showing(&token).get(NOBODY).await;
        assert!(!answer.as_ref().expect_err("a refusal").message().contains(&token), "{what}");
        let (code, reason, _) = refusal(&answer.expect_err("a refusal"));
        assert_eq!((code, reason.as_str()), (Code::Unauthenticated, of_client), "{what}");
        let beside = world.gateway.caller().with_agent_token(&token).get(NOBODY).await;
        let (code, reason, _) = refusal(&beside.expect_err("a refusal"));
        assert_eq!((code, reason.as_str()), (Code::Unauthenticated, of_agent), "{what}");
    }
    let address = format!("{}/evil", world.identity_provider.issuer());
    let header = json!({ "alg": "ES256", "kid": "evil", "jku": address, "jwk": stranger.jwk() });
    refused(world.showing(&stranger.sign_with(&header, &good)).get(NOBODY).await, "CREDENTIAL_INVALID");
    assert!(!world.identity_provider.asked("/evil"), "nobody goes where a token says");
    let twice = world.desk().with_agent_token(&signer.sign(&good)).with_agent_token(&none);
    assert_refused(twice.get(NOBODY).await, Code::InvalidArgument, "INVALID_FIELD");
    assert_refused(world.showing(&signer.sign(&good)).get(NOBODY).await, Code::NotFound, "LOGIN_NOT_FOUND");
}

/// SR2: what was given to one client of ours another one cannot show.
#[tokio::test]
async fn an_agents_token_of_another_client_does_not_count() {
    let more = "[[tenants.clients]]\nid = \"kiosk\"\nchannels = [\"tv-box\"]\ntoken_clients = [\"kiosk-app\"]";
    let world = World::with("", more).await;
    let token = world.identity_provider.token("kiosk-app", Some("kari"));
    refused(world.gateway.caller().with_agent_token(&token).get(NOBODY).await, "CREDENTIAL_MISMATCH");
    assert_refused(world.showing(&token).get(NOBODY).await, Code::NotFound, "LOGIN_NOT_FOUND");
}

/// SR2: the identity provider says who leads agents, by its own word for it.
#[tokio::test]
async fn roles_come_from_the_identity_provider() {
    let roles = "roles_claim = \"groups\"\n[tenants.tokens.roles]\nsupervisor = [\"leads\"]";
    let world = World::with(roles, "").await;
    let kari = world.gateway.caller().with_agent_token(&world.identity_provider.token("portal", Some("kari")));
    let login = kari.start(call(NUMBER)).await.expect("a login");
    let token = |groups: Value| {
        let mut claims = world.identity_provider.claims("portal", Some("lin"));
        claims["groups"] = groups;
        world.identity_provider.signer.sign(&claims)
    };
    let agent = world.gateway.caller().with_agent_token(&token(json!(["agents"])));
    assert_refused(agent.transfer(&login.login_id, "lin").await, Code::PermissionDenied, "NOT_YOURS");
    let lead = world.gateway.caller().with_agent_token(&token(json!(["leads"])));
    assert_eq!(lead.transfer(&login.login_id, "lin").await.expect("handed over").login_id, login.login_id);
}

async fn end<T>(mut stream: Streaming<T>) -> Status {
    loop {
        match stream.message().await {
            Ok(message) => assert!(message.is_some(), "no stream ends without a word"),
            Err(status) => return status,
        }
    }
}

/// SR2: what is open ends with the token that opened it, be it the client's or the
/// agent's.
#[tokio::test]
async fn streams_end_with_the_token_that_opened_them() {
    let world = World::with("clock_skew = \"0s\"", "").await;
    let desk = world.gateway.caller();
    let login = desk.at_a_till(NUMBER).await.login_id;
    let now = Clock::system().now();
    let mut claims = world.identity_provider.claims(DESK, Some("ada"));
    claims["exp"] = json!(now.as_secs() + 4);
    let token = world.identity_provider.signer.sign(&claims);
    let (by_token, beside) = (world.showing(&token), desk.clone().with_agent_token(&token));
    let (one, all) = (by_token.watch(&login).await, beside.watch_all().await);
    let ends = async { tokio::join!(end(one), end(all), by_token.wait(&login, 30)) };
    let (one, all, waited) = tokio::time::timeout(Duration::from_secs(30), ends).await.expect("an end in time");
    assert!(Clock::system().now().as_secs() >= now.as_secs() + 4, "not before the end");
    refused(Err::<(), _>(one), "CREDENTIAL_EXPIRED");
    refused(Err::<(), _>(all), "CREDENTIAL_EXPIRED");
    refused(waited, "CREDENTIAL_EXPIRED");
    refused(by_token.get(&login).await, "CREDENTIAL_EXPIRED");
}

/// SR2, SR36: keys come from where the operator says, whole and soon, or not at all.
#[tokio::test]
async fn without_keys_no_token_counts() {
    let elsewhere = json!({ "issuer": "https://evil.example", "jwks_uri": "http://127.0.0.1:9/keys" });
    for answer in [Answer::Down, Answer::Redirect, Answer::Text("x".repeat(100_000)), Answer::Text("{}".into())] {
        let identity_provider = IdentityProvider::start().await;
        identity_provider.answers(answer.clone());
        let world = World::of(identity_provider, "", "").await;
        let status = world.desk().get(NOBODY).await.expect_err("no keys");
        assert_eq!(refusal(&status), (Code::Unavailable, "TOKEN_KEYS_UNAVAILABLE".into(), true), "{answer:?}");
        assert!(!world.identity_provider.asked("/elsewhere"));
        assert_refused(world.gateway.caller().get(NOBODY).await, Code::NotFound, "LOGIN_NOT_FOUND");
    }
    let other = json!({ "jwks_uri": "http://keys.evil.example/keys" });
    for metadata in [elsewhere, other] {
        let identity_provider = IdentityProvider::start().await;
        let mut said = json!({ "issuer": identity_provider.issuer() });
        said.as_object_mut().unwrap().extend(metadata.as_object().unwrap().clone());
        identity_provider.says_of_itself(said);
        let world = World::of(identity_provider, "", "").await;
        assert_refused(world.desk().get(NOBODY).await, Code::Unavailable, "TOKEN_KEYS_UNAVAILABLE");
    }
}

/// SR2: whoever invents keys does not make the gateway ask for each.
#[tokio::test]
async fn a_flood_of_unknown_keys_asks_for_them_once() {
    let world = World::with("", "").await;
    let good = world.identity_provider.claims(DESK, None);
    for kid in 0..50 {
        let token = Signer::es256(&format!("unknown-{kid}")).sign(&good);
        refused(world.showing(&token).get(NOBODY).await, "CREDENTIAL_INVALID");
    }
    let requests = world.identity_provider.key_requests();
    assert!(requests <= 3, "{requests}");
}

/// Our own clients can do it too, and read the tokens anew for each call.
#[tokio::test]
async fn the_command_line_shows_tokens_from_files() {
    let world = World::with("", "agents = \"signed\"").await;
    let folder = tempfile::tempdir().expect("a folder");
    let file = |name: &str, token: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, format!("{token}\n")).expect("a file");
        path.to_string_lossy().into_owned()
    };
    let client = file("client", &world.identity_provider.token(DESK, None));
    let agent = file("agent", &world.identity_provider.token("portal", Some("ada")));
    let url = world.gateway.url();
    let shown = ["--server", &url, "--token-file", &client, "--agent-token-file", &agent];
    let mut login = Process::gateway(&[&["login", NUMBER, "--channel", "tv-box"], &shown[..]].concat());
    login.prints("… pending").await;
    world.vipps.simulator.approve(NUMBER);
    let ended = login.ended().await;
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert_eq!(world.noted("start_asked", "ada").await["agent_proven"], json!(true));
    file("client", "gone");
    let refused = Process::gateway(&[&["watch", NOBODY], &shown[..]].concat()).ended().await;
    assert_eq!(refused.code, Some(77), "{refused:?}");
    let key = api_key();
    let both = ["watch", NOBODY, "--token-file", &client, "--api-key", key.expose()];
    assert_eq!(Process::gateway(&both).ended().await.code, Some(64), "one of them");
}

/// SR2: reading the configuration again asks nobody for the keys anew, and so an
/// outage of the identity provider is not noticed.
#[tokio::test]
async fn keys_outlive_a_change_of_the_configuration() {
    let (vipps, identity_provider) = (Vipps::start().await, IdentityProvider::start().await);
    let configuration = Configuration::new(&vipps.issuer())
        .with_tenant_line("nordlys", &identity_provider.lines(""))
        .with_client_line("nordlys", &format!("token_clients = [\"{DESK}\"]"));
    let serve = Serve::ready(&configuration).await;
    let desk = Caller::new(&serve.url(), &identity_provider.token(DESK, None));
    assert_refused(desk.get(NOBODY).await, Code::NotFound, "LOGIN_NOT_FOUND");
    identity_provider.answers(Answer::Down);
    serve.file.becomes(&serve.file.text().replace("[guard]", "[guard]\nstarts_per_number = 2"));
    serve.counts("ciba_gateway_config_reloads_total{result=\"taken\"} 1").await;
    assert_refused(desk.get(NOBODY).await, Code::NotFound, "LOGIN_NOT_FOUND");
}
