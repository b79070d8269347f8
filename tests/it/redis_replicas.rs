//! What several gateways share in one Redis, when it or they are not as usual.

use ciba_gateway::session::{Event, LoginId};
use ciba_gateway::store::redis::RedisStore;
use ciba_gateway::store::{Formats, OUTCOME_RETENTION, Record, SessionStore};
use ciba_gateway::timestamp::Timestamp;
use redis::AsyncCommands;
use redis::aio::MultiplexedConnection;

use crate::support::eventually::eventually;
use crate::support::redis_server::RedisServer;
use crate::support::reservations::{
    NOW, accepted, identity, incarnation, redeemed, reservation, reservation_at, tenant,
};
use crate::support::stores::{
    accept_loss, adopt, advance, events, load, owned, replica, replica_with, reserve, ring, save,
};

const HEAD: &str = "cg1:{acme}:stream";
const ENTRIES: &str = "cg1:{acme}:events";

#[tokio::test]
async fn a_beat_tells_the_time_of_redis() {
    let server = RedisServer::start().await;
    let store = replica(&server);
    let mut line = server.commands().await;
    let before = time(&mut line).await;
    let pulse = store.beat(&incarnation("one"), NOW).await.expect("the store answers");
    assert!(before <= pulse.time && pulse.time <= time(&mut line).await, "{}", pulse.time);
}

#[tokio::test]
async fn signs_of_life_go_away_by_themselves() {
    let server = RedisServer::start().await;
    let store = replica(&server);
    let mut line = server.commands().await;
    store.beat(&incarnation("one"), NOW).await.expect("the store answers");
    assert!(line.ttl::<_, i64>("cg1:heartbeats").await.expect("an answer") > 0);
    let _: () = line.persist("cg1:heartbeats").await.expect("an answer");
    store.leave(&incarnation("one")).await.expect("the store answers");
    assert!(line.ttl::<_, i64>("cg1:heartbeats").await.expect("an answer") > 0);
}

#[tokio::test]
async fn after_a_loss_the_living_beat_on() {
    let mut server = RedisServer::start().await;
    let store = replica(&server);
    store.beat(&incarnation("one"), NOW).await.expect("the store answers");
    let before = store.beat(&incarnation("one"), NOW).await.expect("the store answers");
    server.stop();
    server.start_again_empty().await;
    let after = eventually("the store answers", async || store.beat(&incarnation("one"), NOW).await.ok()).await;
    assert_ne!(after.signs, before.signs);
}

#[tokio::test]
async fn a_record_under_an_unknown_key_waits_for_somebody_who_can_read_it() {
    let server = RedisServer::start().await;
    let (ours, theirs) = (replica_with(&server, ring(1, &[1])), replica_with(&server, ring(2, &[1, 2])));
    let readable = reserve(&ours, &reservation(1)).await;
    let mut foreign = vec![reserve(&theirs, &reservation(2)).await];
    // Begun under the old key, gone on with under the new one.
    let pending = advance(&theirs, &reserve(&ours, &reservation(3)).await, accepted(), NOW).await;
    foreign.push(pending);
    let pending = advance(&ours, &reserve(&ours, &reservation(4)).await, accepted(), NOW).await;
    let redeemed = advance(&ours, &pending, redeemed(), NOW).await;
    foreign.push(advance(&theirs, &redeemed, Event::Approved(identity()), NOW).await);

    assert_eq!(adopt_of(&ours, "first-run").await, (vec![readable.session.id.clone()], 3));
    for record in &foreign {
        assert_eq!(load(&theirs, record, NOW).await.as_ref(), Some(record));
    }
    assert_eq!(adopt(&theirs, "first-run", "third-run").await.len(), 3);
}

#[tokio::test]
async fn a_record_of_another_format_stays_with_its_owner() {
    let server = RedisServer::start().await;
    let store = replica(&server);
    let foreign = reserve(&store, &reservation(1)).await;
    let readable = reserve(&store, &reservation(2)).await;
    let mut line = server.commands().await;
    let key = format!("cg1:{{acme}}:login:{}", foreign.session.id);
    let _: () = line.hset(&key, "format", Formats::NEXT.newest()).await.expect("an answer");

    assert_eq!(ids(&owned(&store, "first-run").await), [&readable.session.id]);
    assert_eq!(adopt_of(&store, "first-run").await, (vec![readable.session.id], 1));
    let left: Vec<String> = line.zrange("cg1:{acme}:owned:first-run", 0, -1).await.expect("an answer");
    assert_eq!(left, [foreign.session.id.as_str()]);

    let _: () = line.hset(&key, "format", Formats::CURRENT.newest()).await.expect("an answer");
    assert_eq!(ids(&adopt(&store, "first-run", "third-run").await), [&foreign.session.id]);
}

#[tokio::test]
async fn a_login_with_a_broken_seal_does_not_keep_the_others_from_being_adopted() {
    let server = RedisServer::start().await;
    let store = replica(&server);
    let broken = reserve(&store, &reservation(1)).await;
    let readable = reserve(&store, &reservation(2)).await;
    let mut line = server.commands().await;
    let terms: Vec<u8> =
        line.hget(format!("cg1:{{acme}}:login:{}", readable.session.id), "terms").await.expect("a blob");
    let _: () =
        line.hset(format!("cg1:{{acme}}:login:{}", broken.session.id), "terms", terms).await.expect("an answer");

    assert_eq!(ids(&adopt(&store, "first-run", "second-run").await), [&readable.session.id]);
    assert_eq!(ids(&owned(&store, "second-run").await), [&readable.session.id]);
}

#[tokio::test]
async fn nothing_is_kept_of_an_owner_without_live_logins() {
    let server = RedisServer::start().await;
    let store = replica(&server);
    let mut line = server.commands().await;
    let ended = reserve(&store, &reservation(1)).await;
    let released = reserve(&store, &reservation(2)).await;
    let owned_by_first = "cg1:{acme}:owned:first-run";
    assert_eq!(line.zcard::<_, u64>(owned_by_first).await.expect("an answer"), 2);

    advance(&store, &ended, Event::Cancelled, NOW).await;
    store.release(&released, true).await.expect("the store answers");
    assert!(!line.exists::<_, bool>(owned_by_first).await.expect("an answer"));
}

#[tokio::test]
async fn what_is_known_of_an_owner_goes_away_by_itself() {
    let server = RedisServer::start().await;
    let store = replica(&server);
    let mut line = server.commands().await;
    let record = reserve(&store, &reservation(1)).await;
    save(&store, &Record { owner: incarnation("second-run"), epoch: 2, ..record }, NOW).await;
    adopt(&store, "second-run", "third-run").await;
    reserve(&store, &reservation(2)).await;
    let handed = reserve(&store, &reservation(3)).await;
    save(&store, &Record { owner: incarnation("second-run"), epoch: 2, ..handed }, NOW).await;
    for owner in ["first-run", "second-run", "third-run"] {
        let seconds: i64 = line.ttl(format!("cg1:{{acme}}:owned:{owner}")).await.expect("an answer");
        assert!(seconds > 0, "{owner} stays for ever");
    }
}

#[tokio::test]
async fn what_is_owned_by_mistake_is_forgotten_by_the_adoption() {
    let server = RedisServer::start().await;
    let store = replica(&server);
    let mut line = server.commands().await;
    let ended = advance(&store, &reserve(&store, &reservation(1)).await, Event::Cancelled, NOW).await;
    reserve(&store, &reservation(2)).await;
    let others = adopt(&store, "first-run", "other-run").await.remove(0);
    let gone = reservation(3).session.id;
    for stale in [&ended.session.id, &others.session.id, &gone] {
        let _: () = line.zadd("cg1:{acme}:owned:first-run", stale.as_str(), 0).await.expect("an answer");
    }

    assert_eq!(owned(&store, "first-run").await, []);
    assert_eq!(adopt(&store, "first-run", "second-run").await, []);
    assert_eq!(load(&store, &others, NOW).await, Some(others));
    assert_eq!(load(&store, &ended, NOW).await, Some(ended));
    assert!(!line.exists::<_, bool>("cg1:{acme}:owned:first-run").await.expect("an answer"));
}

#[tokio::test]
async fn an_emptied_redis_begins_a_new_epoch() {
    let mut server = RedisServer::start().await;
    let store = replica(&server);
    reserve(&store, &reservation(1)).await;
    let before = events(&store, NOW).await;
    server.stop();
    server.start_again_empty().await;
    let after = eventually("the store answers", async || answered(&store).await).await;
    assert_eq!((after.oldest, after.newest, &after.entries), (1, 0, &Vec::new()));
    assert_ne!(after.epoch, before.epoch);

    // A late reader does not end the epoch that the emptied store has begun.
    store.new_epoch(&tenant("acme"), &before.end(), NOW).await.expect("the store answers");
    accept_loss(&store).await;
    reserve(&store, &reservation(1)).await;
    let found = events(&store, NOW).await;
    assert_eq!((found.epoch, found.newest), (after.epoch, 1));
}

#[tokio::test]
async fn a_reader_sees_that_redis_was_rolled_back() {
    let server = RedisServer::start().await;
    let (store, other) = (replica(&server), replica(&server));
    let mut line = server.commands().await;
    reserve(&store, &reservation(1)).await;
    let (head, entries) = (dump(&mut line, HEAD).await, dump(&mut line, ENTRIES).await);
    reserve(&store, &reservation(2)).await;
    reserve(&store, &reservation(3)).await;
    let remembered = events(&store, NOW).await;

    restore(&mut line, HEAD, &head).await;
    restore(&mut line, ENTRIES, &entries).await;
    let found = store.events(&tenant("acme"), remembered.newest, 10, NOW).await.expect("the store answers");
    assert_eq!((&found.epoch, found.newest), (&remembered.epoch, 1));
    assert!(remembered.newest > found.newest);

    for reader in [&store, &other] {
        reader.new_epoch(&tenant("acme"), &remembered.end(), NOW).await.expect("the store answers");
        accept_loss(reader).await;
    }
    reserve(&other, &reservation(4)).await;
    let after = events(&store, NOW).await;
    assert_ne!(after.epoch, remembered.epoch);
    assert_eq!((after.oldest, after.newest), (4, 4));
}

#[tokio::test]
async fn entries_without_a_head_are_of_no_epoch() {
    let server = RedisServer::start().await;
    let store = replica(&server);
    let mut line = server.commands().await;
    for seed in 1..=3 {
        reserve(&store, &reservation(seed)).await;
    }
    let _: () = line.del(HEAD).await.expect("an answer");
    reserve(&replica(&server), &reservation(4)).await;
    let found = events(&store, NOW).await;
    assert_eq!((found.oldest, found.newest, found.entries.len()), (1, 1, 1));

    let _: () = line.del(HEAD).await.expect("an answer");
    assert_eq!(events(&store, NOW).await.newest, 0);
    assert!(!line.exists::<_, bool>(ENTRIES).await.expect("an answer"));
}

#[tokio::test]
async fn a_head_outlives_its_entries() {
    let server = RedisServer::start().await;
    let store = replica(&server);
    let mut line = server.commands().await;
    reserve(&store, &reservation(1)).await;
    let before = events(&store, NOW).await;
    let _: () = line.del(ENTRIES).await.expect("an answer");
    let quiet = events(&store, NOW).await;
    assert_eq!((&quiet.epoch, quiet.oldest, quiet.newest, quiet.entries.len()), (&before.epoch, 2, 1, 0));

    // Whoever reads a quiet stream keeps its head.
    let _: () = line.expire(HEAD, 60).await.expect("an answer");
    events(&store, NOW).await;
    assert!(line.ttl::<_, i64>(HEAD).await.expect("an answer") > 24 * 3600);
}

#[tokio::test]
async fn old_entries_go_a_few_with_each_new_one() {
    let server = RedisServer::start().await;
    let store = replica(&server);
    let mut line = server.commands().await;
    for seed in 0..20 {
        reserve(&store, &reservation(seed)).await;
    }
    let later = NOW.plus(OUTCOME_RETENTION);
    for (seed, left) in [(20, 13), (21, 6), (22, 3), (23, 4)] {
        reserve(&store, &reservation_at(seed, later)).await;
        assert_eq!(line.xlen::<_, u64>(ENTRIES).await.expect("an answer"), left);
    }
}

/// What the second run takes over from that owner, and how many it leaves there.
async fn adopt_of(store: &RedisStore, from: &str) -> (Vec<LoginId>, usize) {
    let (from, to) = (incarnation(from), incarnation("second-run"));
    let batch = store.adopt(&tenant("acme"), &from, &to, None, 100, NOW).await.expect("the store answers");
    (ids(&batch.records).into_iter().cloned().collect(), batch.left_behind)
}

fn ids(records: &[Record]) -> Vec<&LoginId> {
    records.iter().map(|record| &record.session.id).collect()
}

async fn answered(store: &RedisStore) -> Option<ciba_gateway::store::Events> {
    store.events(&tenant("acme"), 0, 10, NOW).await.ok()
}

async fn time(line: &mut MultiplexedConnection) -> Timestamp {
    let (seconds, micros): (u64, u64) = redis::cmd("TIME").query_async(line).await.expect("an answer");
    Timestamp::from_millis(seconds * 1000 + micros / 1000)
}

async fn dump(line: &mut MultiplexedConnection, key: &str) -> Vec<u8> {
    redis::cmd("DUMP").arg(key).query_async(line).await.expect("an answer")
}

async fn restore(line: &mut MultiplexedConnection, key: &str, dump: &[u8]) {
    let done: redis::RedisResult<()> =
        redis::cmd("RESTORE").arg(key).arg(3_600_000).arg(dump).arg("REPLACE").query_async(line).await;
    done.expect("redis-server takes the dump");
}
