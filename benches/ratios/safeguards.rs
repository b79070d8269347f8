//! What guards, sealing and audit log cost, each measured alone on what one login
//! has for them, as shares of one whole login.
//!
//! Guards: the questions to Redis that a start asks for them, a round trip each
//! with everything around it. Sealing: as many seals and openings, of as many
//! bytes, as passed between a gateway and Redis for one login. Audit log: the
//! records that the gateway wrote in the same round, noted again at the same
//! distances, until they are on the disk.

use std::sync::Arc;
use std::time::Duration;

use ciba_gateway::audit::{Audit, Settings as AuditSettings};
use ciba_gateway::clock::Clock;
use ciba_gateway::phone::PhoneNumber;
use ciba_gateway::session::{ClientId, LoginId, Person, RequestId, TenantId, TerminalId};
use ciba_gateway::store::hash::HashKeys;
use ciba_gateway::store::redis::{RedisStore, Settings};
use ciba_gateway::store::seal::{KeyId, KeyRing, Place};
use ciba_gateway::store::{Admitted, Asker, Charge, CoolDown, Counted, Counter, Limit, Question, SessionStore};
use ciba_gateway::telemetry::Metrics;
use futures_util::future::join_all;
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use super::cpu::{cost, median, processor_time};
use super::eventually::eventually;
use super::neighbour::Neighbour;
use super::people;
use super::redis_server::{PASSWORD, RedisServer, USERNAME};
use super::story::Story;
use super::table::Table;
use super::whole_login::{Gateway, HASH_KEY, SEAL_KEY_NAME};
use super::wire::Wire;

const ROUNDS: u32 = 9;
/// Under way at a time.
const LOGINS: u32 = 64;
/// They take so little that one round of logins could not be measured.
const SEALINGS: u32 = 2000;
/// Of one login: asked, accepted, answered, ended, read.
const RECORDS: usize = 5;
/// At most, of one login, in per cent.
const BAR: f64 = 15.0;
/// Version, key, nonce and tag: what a blob has besides the text.
const BLOB_OVERHEAD: usize = 1 + 4 + 24 + 16;

/// What the parts of a round cost in microseconds for one login.
struct Round {
    login: f64,
    guards: f64,
    sealing: f64,
    audit: f64,
    /// What Redis's scripts took for it.
    login_in_redis: f64,
    guards_in_redis: f64,
}

pub(crate) async fn measure(table: &mut Table) {
    let people = Neighbour::start(people::ROLE);
    let blobs = Blobs::of_one_login(people.address()).await;
    let (server, folder) = (RedisServer::start().await, tempfile::tempdir().expect("a folder"));
    let gateway = Gateway::start(people.address(), &server.url(), folder.path()).await;
    let guards = Guards::over(&server).await;
    // One that does not count.
    round(0, &server, &gateway, &guards, &blobs).await;
    let mut rounds = Vec::new();
    for number in 1..=ROUNDS {
        rounds.push(round(number, &server, &gateway, &guards, &blobs).await);
    }
    gateway.stop().await;
    tell(table, &rounds, &blobs);
}

fn tell(table: &mut Table, rounds: &[Round], blobs: &Blobs) {
    let of = |part: fn(&Round) -> f64| median(rounds.iter().map(part));
    let share = |part: fn(&Round) -> f64| median(rounds.iter().map(|round| 100.0 * part(round) / round.login));
    let login = of(|round| round.login);
    let mut part = |what: &str, cost: fn(&Round) -> f64, how: &str| {
        table.share(&format!("{what} / one login"), share(cost), None, format!("{:.1} µs; {how}", of(cost)));
    };
    part("guards", |round| round.guards, "2 calls of Redis");
    let [seals, openings] = [blobs.sealed.len(), blobs.opened.len()];
    part("sealing", |round| round.sealing, &format!("{seals} seals, {openings} openings"));
    part("audit log", |round| round.audit, &format!("{RECORDS} records, on the disk"));
    let sum = |round: &Round| round.guards + round.sealing + round.audit;
    let how = format!("{:.1} µs / {login:.1} µs; median of {ROUNDS} rounds of {LOGINS} logins", of(sum));
    table.share("guards, sealing and audit log / one login", share(sum), Some(BAR), how);
    let in_redis = median(rounds.iter().map(|round| 100.0 * round.guards_in_redis / round.login_in_redis));
    let how = format!(
        "{:.1} µs / {:.1} µs of scripts in Redis",
        of(|round| round.guards_in_redis),
        of(|round| round.login_in_redis)
    );
    table.share("in Redis: guards / one login", in_redis, None, how);
}

async fn round(number: u32, server: &RedisServer, gateway: &Gateway, guards: &Guards, blobs: &Blobs) -> Round {
    let people = number * LOGINS..(number + 1) * LOGINS;
    let noted = gateway.audit_log().len();
    let (time, scripts) = (processor_time(), time_in_scripts(server).await);
    let callers = gateway.log_in(people.clone()).await;
    let lines = eventually("everything is noted", async || {
        let lines = gateway.audit_log().split_off(noted);
        (lines.matches("\"tenant\":").count() >= RECORDS * LOGINS as usize).then_some(lines)
    })
    .await;
    let login = (processor_time() - time - callers) / LOGINS;
    let after_logins = time_in_scripts(server).await;
    let guarding = cost(&mut async || guards.ask(people.clone()).await).await;
    let after_guards = time_in_scripts(server).await;
    let sealing = cost(&mut async || blobs.seal_and_open(SEALINGS)).await;
    let story = Story::read(&lines);
    assert_eq!(story.len(), RECORDS * LOGINS as usize, "the records of whole logins");
    let audit = audit_cost(&story).await / LOGINS;
    let micros = |time: Duration| time.as_secs_f64() * 1e6;
    Round {
        login: micros(login),
        guards: micros(guarding),
        sealing: micros(sealing),
        audit: micros(audit),
        login_in_redis: (after_logins - scripts) / f64::from(LOGINS),
        guards_in_redis: (after_guards - after_logins) / f64::from(LOGINS),
    }
}

/// Microseconds that Redis has spent in scripts so far.
async fn time_in_scripts(server: &RedisServer) -> f64 {
    let asked = redis::cmd("INFO").arg("commandstats").query_async(&mut server.commands().await).await;
    let told: String = asked.expect("statistics");
    let of = |command: &str| {
        let line = told.lines().find_map(|line| line.strip_prefix(command)).unwrap_or_default();
        let micros = line.split(',').find_map(|part| part.strip_prefix("usec="));
        micros.map_or(0.0, |micros| micros.parse().expect("microseconds"))
    };
    of("cmdstat_evalsha:") + of("cmdstat_eval:")
}

/// The questions that a start asks for the guards' sake.
struct Guards {
    store: RedisStore,
    charges: Vec<Charge>,
    cool_down: CoolDown,
}

const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3600);
const DAY: Duration = Duration::from_secs(86_400);
/// As in a tenant that says nothing about it.
const BY_ALL: Limit = Limit { max: 10, window: HOUR };

impl Guards {
    async fn over(server: &RedisServer) -> Self {
        let ring = KeyRing::new(KeyId(1), vec![(KeyId(1), [1; 32])]).expect("a key ring");
        let store = RedisStore::connect(Settings::new(server.url()), Vec::new(), ring, HashKeys::new(HASH_KEY));
        let charge = |counter, limits: &[(u32, Duration)]| Charge {
            counter,
            limits: limits.iter().map(|&(max, window)| Limit { max, window }).collect(),
        };
        let charges = vec![
            charge(Counter::Number, &[(3, 10 * MINUTE), (10, DAY)]),
            charge(Counter::Agent, &[(30, HOUR)]),
            charge(Counter::AgentNumbers, &[(20, HOUR)]),
            charge(Counter::Terminal, &[(3600, HOUR)]),
            charge(Counter::Client, &[(600, MINUTE)]),
            charge(Counter::Tenant, &[(3000, MINUTE)]),
        ];
        let cool_down = CoolDown { first: 5 * MINUTE, longest: DAY };
        Self { store: store.expect("a store"), charges, cool_down }
    }

    /// For so many starts at once; says how many.
    async fn ask(&self, people: std::ops::Range<u32>) -> u32 {
        let now = Clock::system().now();
        // Not the tenant of the logins: those would be counted twice.
        let tenant = TenantId::new("globex").expect("a tenant");
        let client = ClientId::new("till").expect("a client");
        let terminal = TerminalId::new("till-3").expect("a till");
        let (tenant, client, terminal) = (&tenant, &client, &terminal);
        let asking = people.map(async |number| {
            let request_id = RequestId::new(format!("request-of-the-till-{number:08}")).expect("a request id");
            let phone = PhoneNumber::from_msisdn(&format!("4793{number:03}155")).expect("a number");
            let (request_id, person) = (&request_id, Some(&Person::from(phone)));
            let asker = Asker { tenant, client, request_id, person, agent: None, terminal: Some(terminal) };
            let admitted = self.store.admit(asker, BY_ALL, now).await.expect("an answer");
            assert_eq!(admitted, Admitted::Counted);
            let question = Question { asker, charges: &self.charges, cool_down: self.cool_down, now };
            assert_eq!(self.store.count(&question).await.expect("an answer"), Counted::Counted);
        });
        u32::try_from(join_all(asking).await.len()).expect("few starts")
    }
}

/// What one login has sealed and opened: the lengths of the texts.
struct Blobs {
    ring: KeyRing,
    sealed: Vec<usize>,
    opened: Vec<usize>,
}

impl Blobs {
    /// Reads them off the wire of a gateway of its own.
    async fn of_one_login(issuer: &str) -> Self {
        let (server, folder) = (RedisServer::start().await, tempfile::tempdir().expect("a folder"));
        let wire = Wire::to(server.port()).await;
        let url = format!("redis://{USERNAME}:{PASSWORD}@127.0.0.1:{}", wire.port());
        let gateway = Gateway::start(issuer, &url, folder.path()).await;
        // Redis learns the scripts by what is sent twice.
        gateway.log_in(0..1).await;
        wire.forget();
        gateway.log_in(1..2).await;
        let name = Sha256::digest(SEAL_KEY_NAME);
        let [sealed, opened] = wire.strings_with(&[&[1], &name[..4]].concat());
        gateway.stop().await;
        assert!(!sealed.is_empty() && !opened.is_empty(), "a login seals and opens");
        let text = |length: usize| length - BLOB_OVERHEAD;
        let ring = KeyRing::new(KeyId(1), vec![(KeyId(1), [1; 32])]).expect("a key ring");
        Self { ring, sealed: sealed.into_iter().map(text).collect(), opened: opened.into_iter().map(text).collect() }
    }

    fn seal_and_open(&self, times: u32) -> u32 {
        let (tenant, login) = (TenantId::new("acme").expect("a tenant"), LoginId::from_random([7; 20]));
        let place = Place { tenant: &tenant, item: login.as_str(), blob: "terms", format: 1 };
        let seal = |length: usize| self.ring.seal(&place, &vec![7; length]).expect("a blob");
        let blobs: Vec<_> = self.opened.iter().map(|length| seal(*length)).collect();
        for _ in 0..times {
            for length in &self.sealed {
                std::hint::black_box(seal(*length));
            }
            for blob in &blobs {
                std::hint::black_box(self.ring.open(&place, blob).expect("a text"));
            }
        }
        times
    }
}

/// What it costs to write all that down: more than to let as much time go by.
async fn audit_cost(story: &Story) -> Duration {
    let folder = tempfile::tempdir().expect("a folder");
    let settings = AuditSettings {
        file: Some(folder.path().join("audit.jsonl")),
        stdout: false,
        key: Zeroizing::new([3; 32]),
        refuse_starts: true,
    };
    let audit = Audit::begin(&settings, Clock::system(), Arc::new(Metrics::new())).expect("an audit log");
    let written = cost(&mut async || {
        story.tell(&audit).await;
        assert!(audit.close().await, "everything is written");
        1
    })
    .await;
    let waited = cost(&mut async || {
        story.tell(&Audit::off()).await;
        1
    })
    .await;
    written.saturating_sub(waited)
}
