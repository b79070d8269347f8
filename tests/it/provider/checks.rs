//! Asking the vendor whether a number can log in.

use axum::http::Method;
use ciba_gateway::ciba::{CheckAnswer, Refusal};
use ciba_gateway::provider::Provider;
use serde_json::json;
use std::time::Duration;

use super::World;
use crate::support::lying_provider::{Reply, USER_EXISTS, terms};

async fn ask(world: &World) -> CheckAnswer {
    world.vipps.user_exists(terms().person.phone().expect("a number")).await
}

fn spellings(world: &World) -> Vec<String> {
    world.provider.seen(USER_EXISTS).iter().map(|seen| seen.form()[0].0.clone()).collect()
}

/// On the issuer's host, whatever discovery says; with the client's credentials.
#[tokio::test]
async fn a_check_is_one_post_with_the_number() {
    let world = World::new().await;
    world.provider.tell(USER_EXISTS, [Reply::json(200, &json!({ "exists": true }))]);
    assert_eq!(ask(&world).await, CheckAnswer::Usable(true));
    let seen = world.provider.seen(USER_EXISTS);
    assert_eq!((seen.len(), &seen[0].method), (1, &Method::POST));
    assert_eq!(seen[0].form(), [("login_hint".to_owned(), "urn:msisdn:4791234567".to_owned())]);
    assert!(seen[0].header("authorization").is_some_and(|header| header.starts_with("Basic ")));
}

/// The vendor documents two spellings. The one that is taken is kept to.
#[tokio::test]
async fn the_other_spelling_is_tried_and_remembered() {
    let world = World::new().await;
    let (refused, yes) = (Reply::error(400, "invalid_request"), Reply::json(200, &json!({ "exists": true })));
    world.provider.tell(USER_EXISTS, [refused.clone(), yes.clone(), yes.clone()]);
    assert_eq!(ask(&world).await, CheckAnswer::Usable(true));
    assert_eq!(ask(&world).await, CheckAnswer::Usable(true));
    assert_eq!(spellings(&world), ["login_hint", "loginHint", "loginHint"]);
    world.provider.tell(USER_EXISTS, [refused.clone(), refused]);
    assert_eq!(ask(&world).await, CheckAnswer::Refused(Refusal::InvalidRequest));
    assert_eq!(spellings(&world).len(), 5, "each spelling once");
}

#[tokio::test]
async fn an_answer_is_told_apart_by_status_and_then_by_word() {
    let html = "<html>exists</html>";
    let cases = [
        (Reply::json(200, &json!({ "exists": false })), CheckAnswer::Usable(false)),
        (Reply::json(200, &json!({ "exists": "yes" })), CheckAnswer::Unavailable),
        (Reply::json(200, &json!([true])), CheckAnswer::Unavailable),
        (Reply::text(200, html), CheckAnswer::Unavailable),
        (Reply::error(400, "unknown_user_id"), CheckAnswer::Usable(false)),
        (Reply::json(400, &json!({ "error_code": "old_app" })), CheckAnswer::Usable(false)),
        (Reply::error(400, "unauthorized_client"), CheckAnswer::Refused(Refusal::UnauthorizedClient)),
        (Reply::error(401, "invalid_client"), CheckAnswer::CredentialsRefused),
        (Reply::text(401, html), CheckAnswer::CredentialsRefused),
        (Reply::text(403, html), CheckAnswer::Unavailable),
        (Reply::text(404, html), CheckAnswer::NotOffered),
        (
            Reply::text(429, html).with("retry-after", "7"),
            CheckAnswer::Busy { retry_after: Some(Duration::from_secs(7)) },
        ),
        (Reply::text(503, html), CheckAnswer::Unavailable),
    ];
    let world = World::new().await;
    for (reply, meaning) in cases {
        world.provider.tell(USER_EXISTS, [reply]);
        assert_eq!(ask(&world).await, meaning);
    }
}
