//! Partner keys against a provider that lies: the token, and whom ID tokens are for.

use ciba_gateway::ciba::{PollAnswer, StartAnswer};
use ciba_gateway::provider::openid::InvalidSettings;
use ciba_gateway::provider::vipps::{Keys, PartnerTokens, Vipps};
use ciba_gateway::provider::{IdentifyError, Provider};
use ciba_gateway::session::FailureReason;
use serde_json::{Value, json};
use std::sync::Arc;

use super::{World, auth_req_id, renew};
use crate::support::lying_provider::{
    CLIENT_SECRET, PLATFORM_TOKEN, REVOKE, Reply, START, SUBSCRIPTION_KEY, Seen, TOKEN, platform_token, terms, tokens,
};

const PENDING: PollAnswer = PollAnswer::Pending { retry_after: None };
const TROUBLE: PollAnswer = PollAnswer::Trouble { retry_after: None };

async fn world() -> World {
    World::with(|settings| {
        settings.keys = Keys::Partner;
        settings.subscription_key = Some(SUBSCRIPTION_KEY.into());
    })
    .await
}

/// The tokens that were shown at an endpoint.
fn shown(seen: &[Seen]) -> Vec<&str> {
    seen.iter().map(|seen| seen.header("authorization").unwrap().strip_prefix("Bearer platform.").unwrap()).collect()
}

fn pending() -> Reply {
    Reply::error(400, "authorization_pending")
}

#[tokio::test]
async fn every_request_of_the_client_shows_the_token_and_nothing_else() {
    let world = world().await;
    world.vipps.start(&terms()).await;
    world.vipps.poll(&auth_req_id()).await;
    world.vipps.revoke(&tokens("x".into())).await;
    for path in [START, TOKEN, REVOKE] {
        let seen = world.provider.seen(path);
        assert_eq!(shown(&seen), ["first"], "{path}");
        assert_eq!(seen[0].header("merchant-serial-number"), Some("123456"));
        assert_eq!((seen[0].field("client_id"), seen[0].field("client_secret")), (None, None));
    }
}

/// 401 says that nothing was done: the token is renewed, once, and shown.
#[tokio::test]
async fn a_refused_token_is_renewed_once() {
    let world = world().await;
    assert_eq!(world.vipps.poll(&auth_req_id()).await, PENDING);
    world.clock.advance(5);
    world.provider.tell(PLATFORM_TOKEN, [platform_token("platform.second", "3599")]);
    world.provider.tell(TOKEN, [Reply::text(401, "<html>"), pending()]);
    assert_eq!(world.vipps.poll(&auth_req_id()).await, PENDING);
    assert_eq!(shown(&world.provider.seen(TOKEN)), ["first", "first", "second"]);

    // The new one is refused as well: neither the endpoint nor the provider is asked more.
    world.provider.tell(TOKEN, [Reply::text(401, "<html>")]);
    for _ in 0..5 {
        assert_eq!(world.vipps.poll(&auth_req_id()).await, TROUBLE);
    }
    assert_eq!(world.provider.seen(TOKEN).len(), 8);
    assert_eq!(world.provider.seen(PLATFORM_TOKEN).len(), 2);
    world.clock.advance(5);
    world.provider.tell(TOKEN, [Reply::error(401, "invalid_client")]);
    assert_eq!(world.vipps.poll(&auth_req_id()).await, PollAnswer::CredentialsRefused);
    assert_eq!(world.provider.seen(PLATFORM_TOKEN).len(), 3);
}

#[tokio::test]
async fn a_start_is_repeated_after_401_alone() {
    for status in [400, 403, 429, 500, 503] {
        let world = world().await;
        world.vipps.poll(&auth_req_id()).await;
        world.clock.advance(5);
        world.provider.tell(START, [Reply::text(status, "")]);
        world.vipps.start(&terms()).await;
        assert_eq!(world.provider.seen(START).len(), 1, "{status}");
        assert_eq!(world.provider.seen(PLATFORM_TOKEN).len(), 1, "{status}");
    }
}

/// Never a denial, never an end: nothing was sent.
#[tokio::test]
async fn without_a_token_nothing_is_sent() {
    let world = world().await;
    world.provider.tell(PLATFORM_TOKEN, [Reply::text(503, "")]);
    assert_eq!(world.vipps.start(&terms()).await, StartAnswer::NotSent);
    assert_eq!(world.vipps.poll(&auth_req_id()).await, TROUBLE);
    world.clock.advance(5);
    world.provider.tell(PLATFORM_TOKEN, [Reply::error(401, "unauthorized_client")]);
    assert_eq!(world.vipps.start(&terms()).await, StartAnswer::CredentialsRefused);
    assert_eq!(world.vipps.poll(&auth_req_id()).await, PollAnswer::CredentialsRefused);
    assert!(world.provider.seen(START).is_empty() && world.provider.seen(TOKEN).is_empty());
}

/// A token that was refused and cannot be renewed: the provider cannot be asked.
#[tokio::test]
async fn a_refused_token_that_cannot_be_renewed_is_trouble() {
    let world = world().await;
    world.vipps.poll(&auth_req_id()).await;
    world.clock.advance(5);
    world.provider.tell(PLATFORM_TOKEN, [Reply::text(503, "")]);
    world.provider.tell(TOKEN, [Reply::error(401, "invalid_client")]);
    world.provider.tell(START, [Reply::error(401, "invalid_client")]);
    assert_eq!(world.vipps.poll(&auth_req_id()).await, TROUBLE);
    assert_eq!(world.vipps.start(&terms()).await, StartAnswer::NotSent);
}

/// SR21: `msn` in the place of `aud`, which is the merchant's own client.
#[tokio::test]
async fn msn_says_whom_an_id_token_is_for() {
    let world = world().await;
    let identify = async |msn: Value, aud: Value| {
        let mut claims = world.provider.claims(world.clock.now());
        claims["aud"] = aud;
        claims["msn"] = msn;
        world.vipps.identify(&tokens(world.provider.key().sign(&claims)), &terms()).await.map(drop)
    };
    let refused = Err(IdentifyError::Rejected(FailureReason::IdTokenInvalid));
    assert_eq!(identify(json!("123456"), json!("the-merchants-own")).await, Ok(()));
    assert_eq!(identify(json!("123456"), json!(["the-merchants-own"])).await, Ok(()));
    assert_eq!(identify(json!(123_456), json!("the-merchants-own")).await, Ok(()));
    for other in [json!("1234567"), json!("0123456"), json!(""), json!(null), json!(["123456"]), json!(123_457)] {
        assert_eq!(identify(other.clone(), json!("sales-unit")).await, refused, "{other}");
    }
    let mut claims = world.provider.claims(world.clock.now());
    claims["iss"] = json!("https://evil.example/");
    claims["msn"] = json!("123456");
    let tokens = tokens(world.provider.key().sign(&claims));
    assert_eq!(world.vipps.identify(&tokens, &terms()).await.map(drop), refused, "all other rules hold");
}

/// With keys of its own a sales unit goes by `aud`, whatever `msn` says.
#[tokio::test]
async fn msn_counts_for_nothing_with_a_sales_units_keys() {
    let world = World::new().await;
    let mut claims = world.provider.claims(world.clock.now());
    claims["aud"] = json!("another");
    claims["msn"] = json!("123456");
    let tokens = tokens(world.provider.key().sign(&claims));
    let refused = Err(IdentifyError::Rejected(FailureReason::IdTokenInvalid));
    assert_eq!(world.vipps.identify(&tokens, &terms()).await.map(drop), refused);
}

/// SR31: tenants that share a token hear each of it when its secrets are replaced, for
/// each may have logins that wait for that.
#[tokio::test]
async fn tenants_of_one_partner_share_the_token_and_its_renewal() {
    let world = world().await;
    let partner = PartnerTokens::default();
    let tenant = |msn: &str| {
        let mut settings = world.provider.settings();
        (settings.keys, settings.subscription_key) = (Keys::Partner, Some(SUBSCRIPTION_KEY.into()));
        settings.merchant_serial_number = Some(msn.into());
        let clock = world.clock.clone();
        Vipps::sharing(&partner, &settings, Arc::new(move || clock.now()), Arc::default()).unwrap()
    };
    let tenants = [tenant("111111"), tenant("222222")];
    for vipps in &tenants {
        assert_eq!(vipps.poll(&auth_req_id()).await, PENDING);
    }
    assert_eq!(world.provider.seen(PLATFORM_TOKEN).len(), 1);
    for expected in [true, false] {
        for vipps in &tenants {
            assert_eq!(renew(vipps, CLIENT_SECRET, None, Some("another-key")), Ok(expected));
        }
    }
}

#[tokio::test]
async fn partner_keys_need_a_merchant_and_a_subscription_key() {
    let world = world().await;
    let refused = |change: &dyn Fn(&mut ciba_gateway::provider::vipps::Settings)| {
        let mut settings = world.provider.settings();
        (settings.keys, settings.subscription_key) = (Keys::Partner, Some(SUBSCRIPTION_KEY.into()));
        change(&mut settings);
        let clock = world.clock.clone();
        Vipps::new(&settings, Arc::new(move || clock.now()), Arc::default()).err()
    };
    assert_eq!(refused(&|_| {}), None);
    assert_eq!(refused(&|s| s.merchant_serial_number = None), Some(InvalidSettings::NoMerchant));
    assert_eq!(refused(&|s| s.subscription_key = None), Some(InvalidSettings::SubscriptionKey));
}
