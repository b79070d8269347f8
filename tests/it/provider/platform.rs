//! The access token of the vendor's other APIs.

use std::time::Duration;

use axum::http::Method;
use ciba_gateway::provider::openid::InvalidSettings;
use ciba_gateway::provider::vipps::NoToken;
use futures_util::future::join_all;
use serde_json::json;

use super::{World, renew};
use crate::support::lying_provider::{
    CLIENT_ID, CLIENT_SECRET, PLATFORM_TOKEN, Reply, SUBSCRIPTION_KEY, Seen, platform_token,
};

const HOUR: u64 = 3_600;

async fn world() -> World {
    World::with(|settings| settings.subscription_key = Some(SUBSCRIPTION_KEY.into())).await
}

impl World {
    /// The token at hand, without the scheme before it.
    async fn token(&self) -> Result<String, NoToken> {
        let token = self.vipps.platform().expect("a platform").token().await?;
        assert!(token.bearer().is_sensitive());
        assert_eq!(format!("{token:?}"), "PlatformToken(…)");
        let bearer = token.bearer();
        Ok(bearer.to_str().unwrap().strip_prefix("Bearer ").expect("a bearer token").to_owned())
    }

    fn asked(&self) -> Vec<Seen> {
        self.provider.seen(PLATFORM_TOKEN)
    }

    fn say(&self, replies: impl IntoIterator<Item = Reply>) {
        self.provider.tell(PLATFORM_TOKEN, replies);
    }
}

#[tokio::test]
async fn a_token_is_asked_for_with_headers_and_an_empty_body() {
    let world = world().await;
    assert_eq!(world.token().await.unwrap(), "platform.first");
    let asked = world.asked();
    assert_eq!(asked.len(), 1);
    assert_eq!((&asked[0].method, asked[0].body.as_str()), (&Method::POST, ""));
    assert_eq!(asked[0].header("content-length"), Some("0"));
    assert_eq!(asked[0].header("client_id"), Some(CLIENT_ID));
    assert_eq!(asked[0].header("client_secret"), Some(CLIENT_SECRET));
    assert_eq!(asked[0].header("ocp-apim-subscription-key"), Some(SUBSCRIPTION_KEY));
    assert_eq!(asked[0].header("merchant-serial-number"), Some("123456"));
    assert_eq!(asked[0].header("vipps-system-name"), Some("acme"));
    assert_eq!(asked[0].header("authorization"), None);
}

#[tokio::test]
async fn without_a_subscription_key_there_is_no_platform() {
    let world = World::new().await;
    assert!(world.vipps.platform().is_none());
    let (clock, mut settings) = (world.clock.clone(), world.provider.settings());
    settings.subscription_key = Some("a\nb".into());
    let refused = ciba_gateway::provider::vipps::Vipps::new(
        &settings,
        std::sync::Arc::new(move || clock.now()),
        std::sync::Arc::default(),
    );
    assert_eq!(refused.err(), Some(InvalidSettings::SubscriptionKey));
}

#[tokio::test]
async fn however_many_ask_it_is_fetched_once_and_kept() {
    let world = world().await;
    let tokens = join_all((0..50).map(|_| world.token())).await;
    assert!(tokens.iter().all(|token| token.as_deref() == Ok("platform.first")));
    world.clock.advance(HOUR * 8 / 10);
    assert_eq!(world.token().await.unwrap(), "platform.first");
    assert_eq!(world.asked().len(), 1);
}

/// A token in the last tenth of its life is fetched anew, and nobody waits for that.
#[tokio::test]
async fn it_is_renewed_in_the_background_before_it_ends() {
    let world = world().await;
    assert_eq!(world.token().await.unwrap(), "platform.first");
    world.say([platform_token("platform.second", "3599")]);
    world.clock.advance(HOUR * 91 / 100);
    assert_eq!(world.token().await.unwrap(), "platform.first");
    world.provider.until_seen(PLATFORM_TOKEN, 2).await;
    let second = async {
        while world.token().await.unwrap() != "platform.second" {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), second).await.expect("the second token");
    assert_eq!(world.asked().len(), 2);
}

/// An endpoint that is down takes nothing away before the token ends, is not asked all
/// the time, and is asked again when it may be back.
#[tokio::test]
async fn a_token_serves_to_its_end_while_the_endpoint_is_down() {
    let world = world().await;
    world.token().await.unwrap();
    world.say([Reply::text(503, "")]);
    world.clock.advance(HOUR * 91 / 100);
    for _ in 0..20 {
        assert_eq!(world.token().await.unwrap(), "platform.first");
    }
    world.provider.until_seen(PLATFORM_TOKEN, 2).await;
    world.clock.advance(HOUR / 10);
    let down = NoToken::Unavailable("it answers with status 503".into());
    for _ in 0..20 {
        assert_eq!(world.token().await, Err(down.clone()));
    }
    let so_far = world.asked().len();
    assert!(so_far <= 3, "{so_far}");
    world.say([platform_token("platform.second", "3599")]);
    assert_eq!(world.token().await, Err(down), "within the pause");
    world.clock.advance(5);
    assert_eq!(world.token().await.unwrap(), "platform.second");
}

/// Whoever waits may go; the fetch is seen through, so that a slow endpoint does not
/// keep all from ever getting a token.
#[tokio::test]
async fn a_fetch_is_seen_through_when_the_one_who_asked_has_gone() {
    let world = world().await;
    world.say([Reply::Silence]);
    let gone = tokio::time::timeout(Duration::from_millis(1), world.token()).await;
    assert!(gone.is_err());
    world.provider.until_seen(PLATFORM_TOKEN, 1).await;
    // The request time-out of the first one, which is seen through.
    let token = world.token().await;
    assert_eq!(token, Err(NoToken::Unavailable("no answer came in time".into())));
    assert_eq!(world.asked().len(), 1);
}

/// SR31: of two secrets the one that is taken is shown first from then on.
#[tokio::test]
async fn of_two_secrets_the_one_that_is_taken_gets_the_token() {
    let world = World::with(|settings| {
        settings.subscription_key = Some(SUBSCRIPTION_KEY.into());
        settings.openid.client_secret_next = Some("next".into());
    })
    .await;
    world.say([Reply::text(401, "<html>"), platform_token("platform.first", "60")]);
    assert_eq!(world.token().await.unwrap(), "platform.first");
    world.clock.advance(60);
    assert_eq!(world.token().await.unwrap(), "platform.first");
    let shown: Vec<_> = world.asked().iter().map(|seen| seen.header("client_secret").unwrap().to_owned()).collect();
    assert_eq!(shown, [CLIENT_SECRET, "next", "next"]);
}

#[tokio::test]
async fn only_refused_secrets_are_followed_by_the_other() {
    for reply in [Reply::text(500, ""), Reply::text(429, ""), Reply::text(200, "{}"), Reply::Cut(200)] {
        let world = World::with(|settings| {
            settings.subscription_key = Some(SUBSCRIPTION_KEY.into());
            settings.openid.client_secret_next = Some("next".into());
        })
        .await;
        world.say([reply]);
        assert!(matches!(world.token().await, Err(NoToken::Unavailable(_))));
        assert_eq!(world.asked().len(), 1);
    }
}

/// SR31: new secrets hold for the next fetch, at once where the old ones were refused.
#[tokio::test]
async fn secrets_and_key_are_renewed_while_it_is_used() {
    let world = world().await;
    world.say([Reply::text(401, "")]);
    assert_eq!(world.token().await, Err(NoToken::Refused(401)));
    world.say([platform_token("platform.first", "3599")]);
    assert_eq!(world.token().await, Err(NoToken::Refused(401)), "within the pause");
    let renew = |secret: &str, key: &str| renew(&world.vipps, secret, None, Some(key)).unwrap();
    assert!(!renew(CLIENT_SECRET, SUBSCRIPTION_KEY));
    assert!(renew(CLIENT_SECRET, "another-key"));
    assert_eq!(world.token().await.unwrap(), "platform.first");
    assert!(renew("third", "another-key"));
    assert_eq!(world.token().await.unwrap(), "platform.first", "it was given for secrets that were right");
    world.clock.advance(HOUR);
    world.token().await.unwrap();
    let shown =
        |header: &str| -> Vec<_> { world.asked().iter().map(|seen| seen.header(header).unwrap().to_owned()).collect() };
    assert_eq!(shown("client_secret"), [CLIENT_SECRET, CLIENT_SECRET, "third"]);
    assert_eq!(shown("ocp-apim-subscription-key"), [SUBSCRIPTION_KEY, "another-key", "another-key"]);
    assert_eq!(super::renew(&world.vipps, "x", None, Some("")), Err(InvalidSettings::SubscriptionKey));
}

/// Nothing that the endpoint says is more than a problem: and nothing of it is repeated.
#[tokio::test]
async fn an_endpoint_that_lies_gives_no_token() {
    let token = |token: &str, life: serde_json::Value| {
        Reply::json(200, &json!({ "token_type": "Bearer", "access_token": token, "expires_in": life }))
    };
    let lies = [
        Reply::text(200, "<html>s3cr3t</html>"),
        Reply::text(200, "[\"Bearer\",\"s3cr3t\",\"3599\",null]"),
        Reply::json(200, &json!({ "access_token": "s3cr3t", "token_type": "s3cr3t", "expires_in": "1" })),
        token("s3cr3t\r\nx-admin: 1", json!("3599")),
        token(&"s".repeat(9_000), json!("3599")),
        token("s3cr3t", json!("s3cr3t")),
        token("s3cr3t", json!(-1)),
        token("s3cr3t", json!("0")),
        Reply::Endless(200),
        Reply::Cut(200),
        Reply::text(302, "").with("location", "http://169.254.169.254/"),
        Reply::text(204, ""),
    ];
    for lie in lies {
        let (world, status) = (world().await, lie.status());
        world.say([lie]);
        let problem = world.token().await.expect_err("no token");
        assert!(matches!(problem, NoToken::Unavailable(_)), "{status}: {problem}");
        assert!(!problem.to_string().contains("s3cr3t"), "{problem}");
        assert_eq!(world.asked().len(), 1, "{status}");
    }
}
