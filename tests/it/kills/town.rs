//! A provider, a Redis and some gateways, each a process of its own.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use ciba_gateway::grpc::v1::Outcome;
use futures_util::StreamExt;
use futures_util::stream;
use redis::AsyncCommands;
use serde_json::Value;

use crate::support::configuration::Configuration;
use crate::support::eventually::eventually;
use crate::support::gateway::Serve;
use crate::support::http;
use crate::support::redis_server::RedisServer;
use crate::support::simulators::SimulatorProcess;

/// Calls under way at once.
const AT_ONCE: usize = 20;
/// Between two looks at a journal that may be long.
const LOOK_AGAIN: Duration = Duration::from_millis(100);
/// What the provider has not answered by then it never will, in milliseconds.
const SETTLED_AFTER: u64 = 10_000;
/// What `slow_down` adds to the interval, in milliseconds.
const SLOW_DOWN: u64 = 5_000;

pub(super) struct Town {
    pub(super) redis: RedisServer,
    pub(super) serves: Vec<Serve>,
    simulator: SimulatorProcess,
    configuration: Configuration,
    interval: u64,
    count: AtomicU32,
    /// Of logins, by number.
    ids: Mutex<HashMap<String, String>>,
    journal: Mutex<BTreeMap<u64, Entry>>,
}

/// One request that arrived at the provider. Times are milliseconds of its own.
#[derive(Clone, Debug)]
struct Entry {
    endpoint: String,
    path: String,
    phone: Option<String>,
    outcome: Option<String>,
    arrived: u64,
    answered: Option<u64>,
}

/// What the provider was asked about each number.
pub(super) struct Asked(BTreeMap<u64, Entry>);

impl Town {
    pub(super) async fn start(gateways: usize, interval: u64) -> Self {
        let redis = RedisServer::start().await;
        let simulator = SimulatorProcess::with_interval(interval).await;
        let configuration = Configuration::new(&simulator.issuer).with_redis(&redis);
        let mut serves = Vec::new();
        for _ in 0..gateways {
            serves.push(Serve::ready(&configuration).await);
        }
        let (count, ids, journal) = (AtomicU32::new(0), Mutex::default(), Mutex::default());
        Self { redis, serves, simulator, configuration, interval: interval * 1000, count, ids, journal }
    }

    /// One more gateway.
    pub(super) async fn serve(&self) -> Serve {
        Serve::ready(&self.configuration).await
    }

    /// Starts logins of new numbers there; gives the numbers.
    pub(super) async fn start_logins(&self, serve: usize, count: usize) -> Vec<String> {
        let number = || format!("47917{:05}", 10_000 + self.count.fetch_add(1, Ordering::Relaxed));
        let numbers: Vec<_> = (0..count).map(|_| number()).collect();
        self.start_numbers(serve, &numbers).await;
        numbers
    }

    /// Starts logins of these numbers there.
    pub(super) async fn start_numbers(&self, serve: usize, numbers: &[String]) {
        let caller = self.serves[serve].caller();
        let starts = numbers.iter().map(|number| {
            let caller = caller.clone();
            async move { (number.clone(), caller.at_a_till(&format!("+{number}")).await.login_id) }
        });
        let ids: Vec<_> = stream::iter(starts).buffered(AT_ONCE).collect().await;
        self.ids.lock().expect("unpoisoned").extend(ids);
    }

    fn id(&self, number: &str) -> String {
        self.ids.lock().expect("unpoisoned")[number].clone()
    }

    /// As by `kill -9`.
    pub(super) async fn kill(&mut self, serve: usize) {
        let process = &mut self.serves[serve].process;
        process.signal("KILL");
        process.ended().await;
    }

    /// The present by the provider's clock.
    pub(super) async fn mark(&self) -> u64 {
        self.time_of(&self.note().await).await
    }

    /// Has the provider note the present, which is quicker than to ask when it was.
    pub(super) async fn note(&self) -> String {
        let note = format!("note={}", self.count.fetch_add(1, Ordering::Relaxed));
        http::get_json(&format!("{}.well-known/openid-configuration?{note}", self.simulator.issuer)).await;
        note
    }

    /// When that was noted.
    pub(super) async fn time_of(&self, note: &str) -> u64 {
        let asked = self.asked().await;
        let entry = asked.0.values().find(|entry| entry.path.ends_with(note));
        entry.expect("what was noted is in the journal").arrived
    }

    /// What the provider was asked so far.
    pub(super) async fn asked(&self) -> Asked {
        let from = {
            let known = self.journal.lock().expect("unpoisoned");
            let newest = known.values().map(|entry| entry.arrived).max().unwrap_or_default();
            // An answer may still come, but not to one who has long gone.
            let is_open = |entry: &Entry| entry.answered.is_none() && entry.arrived + SETTLED_AFTER > newest;
            known.iter().find(|(_, entry)| is_open(entry)).map_or(known.len() as u64, |(number, _)| *number)
        };
        let fresh = self.simulator.requests_from(from).await;
        let mut known = self.journal.lock().expect("unpoisoned");
        known.extend(fresh.iter().map(|request| (request["number"].as_u64().expect("a number"), Entry::of(request))));
        Asked(known.clone())
    }

    /// Waits until each number was polled after that moment.
    pub(super) async fn all_are_polled(&self, numbers: &[String], mark: u64) {
        eventually("every login is polled", async || {
            tokio::time::sleep(LOOK_AGAIN).await;
            let asked = self.asked().await;
            let polled: BTreeSet<_> =
                asked.polls().filter(|poll| poll.arrived >= mark).map(|poll| &poll.phone).collect();
            numbers.iter().all(|number| polled.contains(&Some(number.clone()))).then_some(())
        })
        .await;
    }

    /// Waits until the login's poll interval is that in the store.
    pub(super) async fn interval_is_written(&self, number: &str, seconds: u64) {
        let mut line = self.redis.commands().await;
        let key = format!("cg1:{{nordlys}}:login:{}", self.id(number));
        eventually("the schedule is written", async || {
            let schedule: Option<String> = line.hget(&key, "schedule").await.ok()?;
            let schedule: Value = serde_json::from_str(&schedule?).expect("JSON");
            (schedule["interval"]["secs"] == seconds).then_some(())
        })
        .await;
    }

    /// The persons approve, and every gateway that runs says so.
    pub(super) async fn all_are_approved(&self, numbers: &[String]) {
        let approvals = numbers.iter().map(|number| self.simulator.approve(number));
        stream::iter(approvals).buffer_unordered(AT_ONCE).collect::<()>().await;
        self.all_end_approved(numbers).await;
    }

    pub(super) async fn all_end_approved(&self, numbers: &[String]) {
        for serve in self.serves.iter().filter(|serve| serve.process.is_alive()) {
            let caller = serve.caller();
            let ends = numbers.iter().map(|number| {
                let (caller, id) = (caller.clone(), self.id(number));
                async move { caller.end_of(&id).await.outcome() }
            });
            let ends: Vec<_> = stream::iter(ends).buffered(AT_ONCE).collect().await;
            assert!(ends.iter().all(|end| *end == Outcome::Approved), "{ends:?}");
        }
    }

    /// See [`Asked::is_by_the_rules`].
    pub(super) async fn rules_were_kept(&self, numbers: &[String]) {
        self.asked().await.is_by_the_rules(numbers, self.interval);
    }
}

impl Entry {
    fn of(request: &Value) -> Self {
        let text = |name: &str| request[name].as_str().map(str::to_owned);
        Self {
            endpoint: text("endpoint").expect("an endpoint"),
            path: text("path").expect("a path"),
            phone: text("phone"),
            outcome: text("outcome"),
            arrived: request["arrived_ms"].as_u64().expect("a time"),
            answered: request["answered_ms"].as_u64(),
        }
    }
}

impl Asked {
    fn polls(&self) -> impl Iterator<Item = &Entry> {
        self.0.values().filter(|entry| entry.endpoint == "token")
    }

    fn polls_of(&self, number: &str) -> Vec<&Entry> {
        self.polls().filter(|poll| poll.phone.as_deref() == Some(number)).collect()
    }

    /// How many polls arrived in between.
    pub(super) fn polls_between(&self, from: u64, until: u64) -> usize {
        self.polls().filter(|poll| (from..until).contains(&poll.arrived)).count()
    }

    /// When each number was polled first after that moment.
    pub(super) fn first_after(&self, numbers: &[String], mark: u64) -> Vec<u64> {
        let mut first = HashMap::new();
        for poll in self.polls().filter(|poll| poll.arrived >= mark) {
            first.entry(poll.phone.as_deref()).or_insert(poll.arrived);
        }
        numbers.iter().map(|number| first[&Some(number.as_str())]).collect()
    }

    /// The longest time in which one of the numbers was not polled.
    pub(super) fn longest_pause(&self, numbers: &[String]) -> u64 {
        let pauses = numbers.iter().flat_map(|number| {
            let polls = self.polls_of(number);
            polls.windows(2).map(|pair| pair[1].arrived - pair[0].arrived).collect::<Vec<_>>()
        });
        pauses.max().unwrap_or_default()
    }

    /// One ring and at most one exchange for each number, never two polls at
    /// once, and none before its interval has passed.
    pub(super) fn is_by_the_rules(&self, numbers: &[String], interval: u64) {
        let mut polls: HashMap<&str, Vec<&Entry>> = HashMap::new();
        let mut rings: HashMap<&str, usize> = HashMap::new();
        for entry in self.0.values() {
            match (entry.endpoint.as_str(), &entry.phone) {
                ("token", Some(phone)) => polls.entry(phone).or_default().push(entry),
                ("backchannel", Some(phone)) => *rings.entry(phone).or_default() += 1,
                _ => {}
            }
        }
        for number in numbers.iter().map(String::as_str) {
            assert_eq!(rings.get(number), Some(&1), "rings of {number}");
            let polls = &polls[number];
            let exchanges = polls.iter().filter(|poll| poll.outcome.as_deref() == Some("approved")).count();
            assert!(exchanges <= 1, "{polls:?}");
            let mut interval = interval;
            for pair in polls.windows(2) {
                if pair[0].outcome.as_deref() == Some("slow_down") {
                    interval += SLOW_DOWN;
                }
                let gap = pair[1].arrived - pair[0].arrived;
                let is_alone = pair[0].answered.is_none_or(|answered| answered <= pair[1].arrived);
                assert!(gap >= interval && is_alone, "{gap} ms at an interval of {interval}: {pair:?}");
            }
        }
    }
}
