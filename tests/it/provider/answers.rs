//! What the provider answers to starts and polls, through the whole stack.

use std::time::Duration;

use ciba_gateway::ciba::{PollAnswer, Refusal, StartAnswer, Unclear};
use ciba_gateway::provider::Provider;
use serde_json::json;

use super::{World, auth_req_id};
use crate::support::lying_provider::{ACCESS_TOKEN, Reply, START, SUBJECT, TOKEN, terms};

const PENDING: PollAnswer = PollAnswer::Pending { retry_after: None };
const TROUBLE: PollAnswer = PollAnswer::Trouble { retry_after: None };

/// R11: start, two pendings, success, userinfo; R14: no `scope`, no `expires_in`.
#[tokio::test]
async fn a_login_goes_from_start_to_identity() {
    let world = World::new().await;
    let id_token = world.provider.key().sign(&world.provider.claims(world.clock.now()));
    let exchange = json!({ "access_token": ACCESS_TOKEN, "token_type": "Bearer", "id_token": id_token });
    let pending = Reply::error(400, "authorization_pending");
    world.provider.tell(TOKEN, [pending.clone(), pending, Reply::json(200, &exchange)]);

    let StartAnswer::Accepted(accepted) = world.vipps.start(&terms()).await else { panic!("not accepted") };
    assert_eq!((accepted.expires_in.as_secs(), accepted.interval.as_secs()), (600, 5));
    assert_eq!(world.vipps.poll(&accepted.auth_req_id).await, PENDING);
    assert_eq!(world.vipps.poll(&accepted.auth_req_id).await, PENDING);
    let PollAnswer::Redeemed(tokens) = world.vipps.poll(&accepted.auth_req_id).await else { panic!("not redeemed") };
    let identity = world.vipps.identify(&tokens, &terms()).await.unwrap();
    assert_eq!(identity.sub.expose(), SUBJECT);
}

/// R17-R21, and the gateway's own pages: status first, body second.
#[tokio::test]
async fn a_start_is_told_apart_by_status_and_then_by_word() {
    let unclear = |unclear| StartAnswer::Unclear(unclear);
    let refused = |refusal| StartAnswer::Refused(refusal);
    let html = "<html>access_denied</html>";
    let cases = [
        (Reply::json(200, &json!({ "expires_in": 600 })), unclear(Unclear::Unreadable)),
        (Reply::json(200, &json!({ "auth_req_id": "a-1" })), unclear(Unclear::Unreadable)),
        (Reply::error(400, "expired_id_token_hint"), refused(Refusal::InvalidRequest)),
        (Reply::error(400, "unknown_user_id"), refused(Refusal::PersonUnknown)),
        (Reply::error(400, "invalid_id_token_hint"), refused(Refusal::InvalidRequest)),
        (Reply::json(400, &json!({ "error_code": "old_app" })), refused(Refusal::AppTooOld)),
        (Reply::error(403, "access_denied"), refused(Refusal::Policy)),
        (Reply::error(401, "invalid_client"), StartAnswer::CredentialsRefused),
        (Reply::text(401, html), StartAnswer::CredentialsRefused),
        (Reply::text(403, html), unclear(Unclear::Status(403))),
        (Reply::text(200, html), unclear(Unclear::Unreadable)),
        (Reply::text(500, html), unclear(Unclear::Status(500))),
        (
            Reply::text(429, html).with("retry-after", "7"),
            StartAnswer::Busy { retry_after: Some(Duration::from_secs(7)) },
        ),
        (Reply::text(200, r#"{"auth_req_id":"a","auth_req_id":"b","expires_in":9}"#), unclear(Unclear::Unreadable)),
    ];
    let world = World::new().await;
    for (reply, meaning) in cases {
        world.provider.tell(START, [reply]);
        assert_eq!(world.vipps.start(&terms()).await, meaning);
    }
}

/// R22-R24 on the third poll, and the other words that end a request.
#[tokio::test]
async fn a_poll_is_told_apart_by_status_and_then_by_word() {
    let cases = [
        (Reply::error(400, "invalid_request"), PollAnswer::Refused(Refusal::InvalidRequest)),
        (Reply::error(400, "access_denied"), PollAnswer::Denied),
        (Reply::error(400, "expired_token"), PollAnswer::Expired),
        (Reply::error(400, "invalid_grant"), PollAnswer::InvalidGrant),
        (Reply::error(401, "invalid_client"), PollAnswer::CredentialsRefused),
        (Reply::json(400, &json!({ "error_code": "invalid_user" })), PollAnswer::Refused(Refusal::PersonUnknown)),
        (Reply::error(400, "slow_down"), PollAnswer::SlowDown { retry_after: None }),
        (Reply::error(400, "new_word"), PollAnswer::Refused(Refusal::UnknownError)),
        (Reply::text(403, "<html>access_denied</html>"), TROUBLE),
        (Reply::text(401, ""), TROUBLE),
        (Reply::text(500, "{}"), TROUBLE),
        (
            Reply::text(503, "").with("retry-after", "12"),
            PollAnswer::Trouble { retry_after: Some(Duration::from_secs(12)) },
        ),
    ];
    for (reply, meaning) in cases {
        let world = World::new().await;
        let pending = Reply::error(400, "authorization_pending");
        world.provider.tell(TOKEN, [pending.clone(), pending, reply]);
        assert_eq!(world.vipps.poll(&auth_req_id()).await, PENDING);
        assert_eq!(world.vipps.poll(&auth_req_id()).await, PENDING);
        assert_eq!(world.vipps.poll(&auth_req_id()).await, meaning);
    }
}

/// A `Retry-After` date counts from our clock at the answer.
#[tokio::test]
async fn a_retry_after_date_is_relative_to_the_answer() {
    let world = World::new().await;
    let later = std::time::UNIX_EPOCH + Duration::from_secs(world.clock.now().as_secs() + 33);
    world.provider.tell(START, [Reply::text(429, "").with("retry-after", &httpdate::fmt_http_date(later))]);
    let busy = StartAnswer::Busy { retry_after: Some(Duration::from_secs(33)) };
    assert_eq!(world.vipps.start(&terms()).await, busy);
}
