//! What the gateway sends.

use std::time::Duration;

use axum::http::Method;
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use ciba_gateway::ciba::PollAnswer;
use ciba_gateway::identity::Claim;
use ciba_gateway::provider::Provider;
use ciba_gateway::provider::openid::{ClientAuthentication, InvalidSettings};
use ciba_gateway::provider::vipps::Vipps;
use ciba_gateway::session::CodeMode;
use std::sync::Arc;

use super::{World, auth_req_id, renew};
use crate::support::lying_provider::{CLIENT_ID, CLIENT_SECRET, REVOKE, Reply, START, Seen, TOKEN, USERINFO, terms};

fn one(seen: Vec<Seen>) -> Seen {
    assert_eq!(seen.len(), 1);
    seen.into_iter().next().unwrap()
}

fn pairs(form: &[(String, String)]) -> Vec<(&str, &str)> {
    form.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect()
}

/// R1, R2, R3, R6, R7, and SR17: the binding message is the code alone.
#[tokio::test]
async fn a_start_is_one_post_with_one_hint_and_the_code() {
    let world = World::new().await;
    world.vipps.start(&terms()).await;

    let seen = one(world.provider.seen(START));
    assert_eq!(seen.method, Method::POST);
    assert_eq!(seen.header("content-type"), Some("application/x-www-form-urlencoded"));
    let expected = [
        ("login_hint", "urn:msisdn:4791234567"),
        ("scope", "openid name phoneNumber"),
        ("binding_message", "KX7RM"),
        ("requested_expiry", "300"),
    ];
    assert_eq!(pairs(&seen.form()), expected);
}

/// R6 and SR19: the scope is what was asked for and `openid`.
#[tokio::test]
async fn the_scope_follows_the_claims() {
    let world = World::new().await;
    let mut terms = terms();
    terms.claims = [].into();
    world.vipps.start(&terms).await;
    terms.claims = [Claim::Birthdate, Claim::DelegatedConsents].into();
    world.vipps.start(&terms).await;

    let scopes: Vec<_> = world.provider.seen(START).iter().map(|seen| seen.field("scope").unwrap()).collect();
    assert_eq!(scopes, ["openid", "openid birthDate delegatedConsents"]);
}

/// R7: whole seconds, less a minute for the code where it is typed.
#[tokio::test]
async fn the_requested_expiry_is_a_positive_integer() {
    let world = World::new().await;
    let mut terms = terms();
    terms.lifetime = Duration::from_millis(299_999);
    terms.code_mode = CodeMode::ReadBack;
    world.vipps.start(&terms).await;
    assert_eq!(one(world.provider.seen(START)).field("requested_expiry").as_deref(), Some("239"));
}

#[tokio::test]
async fn a_poll_is_one_post_with_the_grant_and_the_id() {
    let world = World::new().await;
    world.vipps.poll(&auth_req_id()).await;

    let seen = one(world.provider.seen(TOKEN));
    assert_eq!(seen.method, Method::POST);
    let expected = [("grant_type", "urn:openid:params:grant-type:ciba"), ("auth_req_id", "a-1")];
    assert_eq!(pairs(&seen.form()), expected);
}

/// R4: Basic, in the vendor's form, and nothing beside it.
#[tokio::test]
async fn basic_authentication_is_plain_base64_of_both() {
    let world = World::new().await;
    world.vipps.start(&terms()).await;
    world.vipps.poll(&auth_req_id()).await;

    let expected = format!("Basic {}", BASE64_STANDARD.encode(format!("{CLIENT_ID}:{CLIENT_SECRET}")));
    for path in [START, TOKEN] {
        let seen = one(world.provider.seen(path));
        assert_eq!(seen.header("authorization"), Some(expected.as_str()));
        assert_eq!((seen.field("client_id"), seen.field("client_secret")), (None, None));
    }
}

/// R4, R5: post, and no header beside it.
#[tokio::test]
async fn post_authentication_is_in_the_form_alone() {
    let world = World::with(|settings| settings.openid.authentication = ClientAuthentication::SecretPost).await;
    world.vipps.start(&terms()).await;
    world.vipps.poll(&auth_req_id()).await;

    for path in [START, TOKEN] {
        let seen = one(world.provider.seen(path));
        assert_eq!(seen.header("authorization"), None);
        assert_eq!(seen.field("client_id").as_deref(), Some(CLIENT_ID));
        assert_eq!(seen.field("client_secret").as_deref(), Some(CLIENT_SECRET));
    }
}

#[tokio::test]
async fn userinfo_is_read_with_the_bearer_token_alone() {
    let world = World::new().await;
    let tokens = world.provider.tokens(world.clock.now());
    world.vipps.identify(&tokens, &terms()).await.unwrap();

    let seen = one(world.provider.seen(USERINFO));
    assert_eq!(seen.method, Method::GET);
    assert_eq!(seen.header("authorization"), Some(format!("Bearer {}", tokens.access_token()).as_str()));
}

#[tokio::test]
async fn a_token_is_revoked_once_and_only_where_that_is_offered() {
    let world = World::new().await;
    let tokens = world.provider.tokens(world.clock.now());
    world.vipps.revoke(&tokens).await;
    let seen = one(world.provider.seen(REVOKE));
    assert_eq!(seen.field("token").as_deref(), Some(tokens.access_token()));
    assert!(seen.header("authorization").unwrap().starts_with("Basic "));

    let world = World::new().await;
    world.provider.discover("revocation_endpoint", serde_json::Value::Null);
    world.vipps.revoke(&tokens).await;
    assert!(world.provider.seen(REVOKE).is_empty());
}

#[tokio::test]
async fn every_request_says_who_calls_and_none_has_a_subscription_key() {
    let world = World::new().await;
    let tokens = world.provider.tokens(world.clock.now());
    world.vipps.start(&terms()).await;
    world.vipps.poll(&auth_req_id()).await;
    world.vipps.identify(&tokens, &terms()).await.unwrap();
    world.vipps.revoke(&tokens).await;

    let all = world.provider.all_seen();
    assert_eq!(all.len(), 6, "discovery, start, poll, keys, userinfo, revocation");
    for seen in all {
        assert_eq!(seen.header("merchant-serial-number"), Some("123456"), "{}", seen.path);
        assert_eq!(seen.header("vipps-system-name"), Some("acme"));
        assert_eq!(seen.header("vipps-system-version"), Some("3.1.2"));
        assert_eq!(seen.header("vipps-system-plugin-name"), Some("ciba-gateway"));
        assert_eq!(seen.header("vipps-system-plugin-version"), Some("0.1.0"));
        assert_eq!(seen.header("user-agent"), Some("ciba-gateway/test"));
        assert_eq!(seen.header("ocp-apim-subscription-key"), None);
        assert_eq!(seen.header("cookie"), None);
    }
}

#[tokio::test]
async fn settings_that_cannot_work_are_refused() {
    let world = World::new().await;
    let refused = |change: &dyn Fn(&mut ciba_gateway::provider::vipps::Settings)| {
        let mut settings = world.provider.settings();
        change(&mut settings);
        let clock = world.clock.clone();
        Vipps::new(&settings, Arc::new(move || clock.now()), Arc::default()).err()
    };
    assert_eq!(refused(&|_| {}), None);
    assert_eq!(refused(&|s| s.openid.issuer = "access".into()), Some(InvalidSettings::Issuer));
    assert!(matches!(refused(&|s| s.openid.issuer += "?a=b"), Some(InvalidSettings::IssuerAddress(_))));
    assert!(matches!(refused(&|s| s.openid.allow_insecure_hosts = false), Some(InvalidSettings::IssuerAddress(_))));
    assert_eq!(refused(&|s| s.openid.client_id = "a:b".into()), Some(InvalidSettings::ClientId));
    assert_eq!(refused(&|s| s.openid.client_id.clear()), Some(InvalidSettings::ClientId));
    assert_eq!(refused(&|s| s.openid.client_secret = "a\nb".into()), Some(InvalidSettings::ClientSecret));
    assert_eq!(refused(&|s| s.openid.client_secret = "".into()), Some(InvalidSettings::ClientSecret));
    assert_eq!(refused(&|s| s.openid.signing_algorithms.clear()), Some(InvalidSettings::NoAlgorithm));
    assert_eq!(refused(&|s| s.openid.poll_timeout = Duration::ZERO), Some(InvalidSettings::Timeout));
    let long = Some("x".repeat(31));
    assert_eq!(refused(&|s| s.system.name.clone_from(&long)), Some(InvalidSettings::Header("vipps-system-name")));
    let msn = Some(InvalidSettings::Header("merchant-serial-number"));
    assert_eq!(refused(&|s| s.merchant_serial_number = Some("1\r\nx: y".into())), msn);
    assert_eq!(refused(&|s| s.openid.extra_root_ca_pem = Some("x".into())), Some(InvalidSettings::RootCertificates));
}

#[tokio::test]
async fn settings_print_without_the_secret() {
    let world = World::new().await;
    assert!(!format!("{:?}", world.provider.settings()).contains(CLIENT_SECRET));
}

/// The secrets that were shown at an endpoint, in the order of the requests.
fn shown(seen: &[Seen]) -> Vec<String> {
    let secret = |seen: &Seen| {
        let basic = seen.header("authorization").expect("a credential").strip_prefix("Basic ").expect("Basic");
        let both = String::from_utf8(BASE64_STANDARD.decode(basic).unwrap()).unwrap();
        both.strip_prefix(&format!("{CLIENT_ID}:")).expect("the client").to_owned()
    };
    seen.iter().map(secret).collect()
}

/// SR31: where the provider refuses one secret the other is shown, once; the one that
/// it takes is shown first from then on, at every endpoint.
#[tokio::test]
async fn of_two_secrets_the_one_that_is_taken_is_remembered() {
    let world = World::with(|settings| settings.openid.client_secret_next = Some("next".into())).await;
    world.provider.tell(TOKEN, [Reply::error(401, "invalid_client"), Reply::error(400, "authorization_pending")]);
    let pending = PollAnswer::Pending { retry_after: None };
    assert_eq!(world.vipps.poll(&auth_req_id()).await, pending);
    world.provider.tell(TOKEN, [Reply::error(400, "authorization_pending")]);
    assert_eq!(world.vipps.poll(&auth_req_id()).await, pending);
    world.vipps.start(&terms()).await;
    assert_eq!(shown(&world.provider.seen(TOKEN)), [CLIENT_SECRET, "next", "next"]);
    assert_eq!(shown(&world.provider.seen(START)), ["next"]);

    let refused = [Reply::error(401, "invalid_client"), Reply::error(401, "invalid_client")];
    world.provider.tell(TOKEN, refused);
    assert_eq!(world.vipps.poll(&auth_req_id()).await, PollAnswer::CredentialsRefused);
    assert_eq!(shown(&world.provider.seen(TOKEN))[3..], ["next", CLIENT_SECRET], "each once");
}

/// SR31: only `invalid_client` says that nothing was done; after anything else a second
/// start could ring the phone twice.
#[tokio::test]
async fn the_other_secret_is_shown_after_a_refusal_of_the_client_alone() {
    let world = World::with(|settings| settings.openid.client_secret_next = Some("next".into())).await;
    let replies = [
        Reply::text(401, "<html>invalid_client</html>"),
        Reply::text(500, r#"{"error":"invalid_client"}"#),
        Reply::error(401, "unauthorized_client"),
        Reply::error(403, "access_denied"),
        Reply::text(429, ""),
        Reply::text(200, "{}"),
    ];
    let expected = vec![CLIENT_SECRET; replies.len()];
    for reply in replies {
        world.provider.tell(START, [reply]);
        world.vipps.start(&terms()).await;
    }
    assert_eq!(shown(&world.provider.seen(START)), expected);
}

/// SR31: new secrets count for the next request; the same ones again change nothing.
#[tokio::test]
async fn secrets_are_renewed_while_the_provider_is_used() {
    let world = World::with(|settings| settings.openid.client_secret_next = Some("next".into())).await;
    world.provider.tell(TOKEN, [Reply::error(401, "invalid_client"), Reply::error(400, "authorization_pending")]);
    world.vipps.poll(&auth_req_id()).await;
    assert_eq!(renew(&world.vipps, CLIENT_SECRET, Some("next"), None), Ok(false), "what was learned stays");
    world.vipps.start(&terms()).await;
    assert_eq!(renew(&world.vipps, "third", None, None), Ok(true));
    world.vipps.start(&terms()).await;
    assert_eq!(shown(&world.provider.seen(START)), ["next", "third"]);
    assert_eq!(renew(&world.vipps, "a\nb", None, None), Err(InvalidSettings::ClientSecret));
}
