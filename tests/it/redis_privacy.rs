//! What somebody who can read or change Redis learns and achieves.

use ciba_gateway::session::Event;
use ciba_gateway::store::{Formats, Record, SessionStore, StoreError};
use redis::AsyncCommands;
use redis::aio::MultiplexedConnection;

use crate::support::redis_dump::dump;
use crate::support::redis_server::RedisServer;
use crate::support::reservations::{
    ACCESS_TOKEN, AUTH_REQ_ID, FULL_NAME, ID_TOKEN, NIN, NOW, accepted, charged, code, identity, limit, number,
    redeemed, request_id, reservation,
};
use crate::support::stores::{adopt, advance, list, load, replica, replica_with, reserve, ring};

/// SR20, SR28, SR29.
#[tokio::test]
async fn nothing_about_a_person_is_readable() {
    let server = RedisServer::start().await;
    let store = replica(&server);
    let mut line = server.commands().await;

    let starting = reserve(&store, &charged(reservation(1), limit(3, 600))).await;
    assert_nothing_readable(&mut line).await;
    let tried = advance(&store, &starting, Event::CodeTyped(code(2)), NOW).await;
    assert_nothing_readable(&mut line).await;
    let pending = advance(&store, &tried, accepted(), NOW).await;
    assert_nothing_readable(&mut line).await;
    let redeemed = advance(&store, &pending, redeemed(), NOW).await;
    assert_nothing_readable(&mut line).await;
    let awaiting = advance(&store, &redeemed, Event::Approved(identity()), NOW).await;
    assert_nothing_readable(&mut line).await;
    let adopted = adopt(&store, "first-run", "second-run").await.remove(0);
    assert_eq!(adopted.session, awaiting.session);
    reserve(&store, &reservation(3)).await;
    assert_nothing_readable(&mut line).await;
    advance(&store, &adopted, Event::CodeTyped(code(1)), NOW).await;
    assert_nothing_readable(&mut line).await;
}

/// SR20, SR29, SR40.
#[tokio::test]
async fn secrets_leave_with_the_state_that_needs_them() {
    let server = RedisServer::start().await;
    let store = replica(&server);
    let mut line = server.commands().await;
    let mut record = reserve(&store, &reservation(1)).await;
    let login = format!("cg1:{{acme}}:login:{}", record.session.id);
    let who = format!("cg1:{{acme}}:identity:{}", record.session.id);

    // Whether the record holds a sealed secret, and whether an identity is kept.
    let steps = [
        (Event::CodeTyped(code(1)), false, false),
        (accepted(), true, false),
        (redeemed(), true, false),
        (Event::Approved(identity()), false, true),
        (Event::Erased, false, false),
    ];
    for (step, has_secret, has_identity) in steps {
        let name = step.name();
        record = advance(&store, &record, step, NOW).await;
        let found: (bool, bool) =
            (line.hexists(&login, "secret").await.expect("an answer"), line.exists(&who).await.expect("an answer"));
        assert_eq!(found, (has_secret, has_identity), "after {name}");
    }
}

/// SR40.
#[tokio::test]
async fn every_key_goes_away_by_itself() {
    let server = RedisServer::start().await;
    let store = replica(&server);
    let mut line = server.commands().await;
    let starting = reserve(&store, &charged(reservation(1), limit(3, 600))).await;
    let pending = advance(&store, &starting, accepted(), NOW).await;
    let redeemed = advance(&store, &pending, redeemed(), NOW).await;
    advance(&store, &redeemed, Event::Approved(identity()), NOW).await;
    assert_eq!(adopt(&store, "first-run", "second-run").await.len(), 1);

    let keys: Vec<String> = line.keys("*").await.expect("an answer");
    assert_eq!(keys.len(), 11, "{keys:?}");
    for key in keys {
        let seconds: i64 = line.ttl(&key).await.expect("an answer");
        assert!(seconds > 0, "{key} stays for ever");
        assert!(key.starts_with("cg1:{acme}:"), "{key} is not on its tenant's node");
    }
}

#[tokio::test]
async fn swapped_secrets_and_identities_are_refused() {
    let server = RedisServer::start().await;
    let store = replica(&server);
    let mut line = server.commands().await;
    let one = advance(&store, &reserve(&store, &reservation(1)).await, accepted(), NOW).await;
    let other = advance(&store, &reserve(&store, &reservation(2)).await, accepted(), NOW).await;
    for field in ["secret", "terms"] {
        swap(&mut line, field, one.session.id.as_str(), other.session.id.as_str()).await;
        assert_unreadable(&store, &one, "a broken seal").await;
        swap(&mut line, field, one.session.id.as_str(), other.session.id.as_str()).await;
        assert_eq!(load(&store, &one, NOW).await, Some(one.clone()));
    }

    let one = approved(&store, one).await;
    let other = approved(&store, other).await;
    let who = |record: &Record| format!("cg1:{{acme}}:identity:{}", record.session.id);
    let _: () =
        line.copy(who(&one), who(&other), redis::CopyOptions::default().replace(true)).await.expect("an answer");
    assert_unreadable(&store, &other, "a broken seal").await;
}

#[tokio::test]
async fn a_record_under_an_unknown_key_is_refused_and_left_alone() {
    let server = RedisServer::start().await;
    let ours = replica_with(&server, ring(1, &[1]));
    let theirs = replica_with(&server, ring(2, &[2]));
    let record = reserve(&theirs, &reservation(1)).await;
    let readable = reserve(&ours, &reservation(2)).await;

    assert_unreadable(&ours, &record, "an unknown seal key").await;
    let listed = list(&ours, "acme", NOW, 10).await;
    assert_eq!(listed, [readable]);
    assert_eq!(load(&theirs, &record, NOW).await, Some(record));
}

#[tokio::test]
async fn a_login_outlives_the_rotation_of_keys() {
    let server = RedisServer::start().await;
    let before = replica_with(&server, ring(1, &[1]));
    let between = replica_with(&server, ring(2, &[1, 2]));
    let after = replica_with(&server, ring(2, &[2]));

    let pending = advance(&before, &reserve(&before, &reservation(1)).await, accepted(), NOW).await;
    assert_eq!(load(&between, &pending, NOW).await, Some(pending.clone()));
    let redeemed = advance(&between, &pending, redeemed(), NOW).await;
    assert_eq!(load(&between, &redeemed, NOW).await, Some(redeemed));

    let fresh = reserve(&between, &reservation(2)).await;
    assert_eq!(load(&after, &fresh, NOW).await, Some(fresh));
}

#[tokio::test]
async fn a_record_of_another_format_is_refused() {
    let server = RedisServer::start().await;
    let store = replica(&server);
    let record = reserve(&store, &reservation(1)).await;
    let mut line = server.commands().await;
    let login = format!("cg1:{{acme}}:login:{}", record.session.id);
    let _: () = line.hset(login, "format", Formats::NEXT.newest()).await.expect("an answer");
    assert_unreadable(&store, &record, "a foreign record format").await;
}

async fn approved(store: &dyn SessionStore, pending: Record) -> Record {
    let redeemed = advance(store, &pending, redeemed(), NOW).await;
    advance(store, &redeemed, Event::Approved(identity()), NOW).await
}

async fn assert_unreadable(store: &dyn SessionStore, record: &Record, why: &str) {
    let session = &record.session;
    match store.load(&session.terms.tenant, &session.id, NOW).await {
        Err(StoreError::Unreadable(reason) | StoreError::Foreign(reason)) => assert_eq!(reason, why),
        other => panic!("expected an unreadable record, got {other:?}"),
    }
}

async fn swap(line: &mut MultiplexedConnection, field: &str, one: &str, other: &str) {
    let (one, other) = (format!("cg1:{{acme}}:login:{one}"), format!("cg1:{{acme}}:login:{other}"));
    let ones: Vec<u8> = line.hget(&one, field).await.expect("a blob");
    let others: Vec<u8> = line.hget(&other, field).await.expect("a blob");
    let _: () = line.hset(&one, field, others).await.expect("an answer");
    let _: () = line.hset(&other, field, ones).await.expect("an answer");
}

async fn assert_nothing_readable(line: &mut MultiplexedConnection) {
    let everything = dump(line).await;
    for part in ["login:", "events\n  1-0", "owned:first-run"] {
        assert!(everything.contains(part), "the dump has no {part}");
    }
    let (phone, own_code, typed_code, request) = (number(1), code(1), code(2), request_id(1));
    let private = [
        phone.msisdn(),
        &phone.msisdn()[2..],
        own_code.expose(),
        typed_code.expose(),
        request.as_str(),
        FULL_NAME,
        NIN,
        "the-subject",
        "label-of-the-case",
        AUTH_REQ_ID,
        ACCESS_TOKEN,
        ID_TOKEN,
    ];
    for secret in private {
        assert!(!everything.contains(secret), "{secret} is readable in:\n{everything}");
    }
}
