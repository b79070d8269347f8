//! Whether userinfo speaks about the person who was asked for.

use ciba_gateway::identity::Subject;
use ciba_gateway::provider::{IdentifyError, Provider};
use ciba_gateway::session::FailureReason;
use serde_json::{Value, json};

use super::World;
use crate::support::lying_provider::{Reply, SUBJECT, USERINFO, terms};

const INVALID: IdentifyError = IdentifyError::Rejected(FailureReason::UserinfoInvalid);
const MISMATCH: IdentifyError = IdentifyError::Rejected(FailureReason::PhoneMismatch);

async fn identify(world: &World, userinfo: Reply) -> Result<(), IdentifyError> {
    world.provider.tell(USERINFO, [userinfo]);
    world.vipps.identify(&world.provider.tokens(world.clock.now()), &terms()).await.map(drop)
}

/// R50.
#[tokio::test]
async fn another_subject_than_the_id_tokens_is_refused() {
    let world = World::new().await;
    for sub in [json!("another"), json!(SUBJECT.to_uppercase()), json!(null), json!(""), json!(5)] {
        let userinfo = Reply::json(200, &json!({ "sub": sub, "phone_number": "4791234567" }));
        assert_eq!(identify(&world, userinfo).await, Err(INVALID), "{sub}");
    }
    assert_eq!(identify(&world, Reply::json(200, &json!({ "phone_number": "4791234567" }))).await, Err(INVALID));
}

/// SR23.
#[tokio::test]
async fn the_number_must_be_the_one_that_was_rung() {
    let with = |number: Value| Reply::json(200, &json!({ "sub": SUBJECT, "phone_number": number }));
    let world = World::new().await;
    for same in ["4791234567", "+4791234567"] {
        assert_eq!(identify(&world, with(json!(same))).await, Ok(()), "{same}");
    }
    for other in ["4791234568", "91234567", "4591234567", "48501234567", "", "abc", "47912345670"] {
        assert_eq!(identify(&world, with(json!(other))).await, Err(MISMATCH), "{other}");
    }
    for garbage in [json!(4_791_234_567_u64), json!(["4791234567"]), json!({}), json!(true)] {
        assert_eq!(identify(&world, with(garbage)).await, Err(INVALID));
    }
    assert_eq!(identify(&world, Reply::json(200, &json!({ "sub": SUBJECT }))).await, Ok(()), "not granted");
}

/// SR22, and nothing is read about somebody nobody asked for.
#[tokio::test]
async fn only_the_expected_person_counts() {
    let world = World::new().await;
    let tokens = world.provider.tokens(world.clock.now());
    let mut terms = terms();

    terms.expected_subject = Subject::new("somebody-else");
    let other = IdentifyError::Rejected(FailureReason::OtherPerson);
    assert_eq!(world.vipps.identify(&tokens, &terms).await, Err(other));
    assert!(world.provider.seen(USERINFO).is_empty());

    terms.expected_subject = Subject::new(SUBJECT);
    assert!(world.vipps.identify(&tokens, &terms).await.is_ok());
}

/// SR41: what is no national identity number is not passed off as one.
#[tokio::test]
async fn a_garbled_national_identity_number_is_refused() {
    let world = World::new().await;
    let with = |nin: Value| Reply::json(200, &json!({ "sub": SUBJECT, "nin": nin }));
    for garbled in [json!(10_921_512_345_u64), json!("109215"), json!("1092151234567890"), json!("<b>10921512345")] {
        assert_eq!(identify(&world, with(garbled.clone())).await, Err(INVALID), "{garbled}");
    }
    for fine in [json!("10921512345"), json!("701215-0012"), json!(""), json!(null)] {
        assert_eq!(identify(&world, with(fine.clone())).await, Ok(()), "{fine}");
    }
}

#[tokio::test]
async fn userinfo_that_may_come_later_is_told_from_userinfo_that_will_not() {
    let world = World::new().await;
    for status in [408, 429, 500, 502, 503, 504] {
        assert_eq!(identify(&world, Reply::text(status, "{}")).await, Err(IdentifyError::Unavailable), "{status}");
    }
    for status in [201, 204, 302] {
        assert_eq!(identify(&world, Reply::text(status, "")).await, Err(INVALID), "{status}");
    }
    // The provider's own word, and that of whatever stands before it.
    let problem = json!({ "type": "about:blank", "title": "Unauthorized", "status": "401" });
    let refused = IdentifyError::Rejected(FailureReason::UserinfoRefused);
    for status in [400, 401, 403, 404, 410] {
        assert_eq!(identify(&world, Reply::json(status, &problem)).await, Err(refused), "{status}");
        for page in ["", "<html>", "\"no\"", "[]"] {
            assert_eq!(identify(&world, Reply::text(status, page)).await, Err(IdentifyError::Unavailable), "{status}");
        }
    }
}

#[tokio::test]
async fn userinfo_that_cannot_be_read_is_refused() {
    let world = World::new().await;
    for body in ["", "<html>", "[]", "null", "{", "{\"sub\":1}", "{\"sub\":\"a\",\"sub\":\"b\"}", "eyJ.e30.x"] {
        assert_eq!(identify(&world, Reply::text(200, body)).await, Err(INVALID), "{body}");
    }
    let huge = json!({ "sub": SUBJECT, "more": "x".repeat(70_000) });
    assert_eq!(identify(&world, Reply::json(200, &huge)).await, Err(INVALID));
}

#[tokio::test]
async fn the_claims_are_delivered_as_they_came() {
    let world = World::new().await;
    let userinfo = json!({
        "sub": SUBJECT, "name": "Ada Lovelace", "phone_number": "4791234567", "new_claim": { "a": [1] },
        "address": { "street_address": "", "postal_code": "", "region": "", "country": "", "formatted": "" },
    });
    world.provider.tell(USERINFO, [Reply::json(200, &userinfo)]);
    let tokens = world.provider.tokens(world.clock.now());
    let identity = world.vipps.identify(&tokens, &terms()).await.unwrap();
    assert_eq!(identity.name.as_deref(), Some("Ada Lovelace"));
    assert_eq!(identity.address, None);
    assert_eq!(identity.other["new_claim"], json!({ "a": [1] }));
}
