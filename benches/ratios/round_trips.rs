//! What one login with one watcher asks of Redis, from its start to its end.
//!
//! A real Redis, the use cases with poller and ledger over it, and a provider
//! that says "pending" a given number of times before it says "yes". No health
//! checks run, so that all round trips are the login's. Scripts are known to
//! the server from a login that does not count.

use std::collections::{BTreeMap, BTreeSet};
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use ciba_gateway::ciba::{Accepted, AuthReqId, CheckAnswer, PollAnswer, StartAnswer, Tokens};
use ciba_gateway::clock::Clock;
use ciba_gateway::identity::{Claim, Identity};
use ciba_gateway::language::Language;
use ciba_gateway::ledger::Ledger;
use ciba_gateway::logins::{Caller, CodeChoice, Guards, Limits, Logins, Policy, StartLogin, Tenant, WatchEvent, Whom};
use ciba_gateway::phone::{Country, PhoneNumber};
use ciba_gateway::poller::{Credential, Poller};
use ciba_gateway::provider::{IdentifyError, Provider, ProviderProblem};
use ciba_gateway::replicas::Replica;
use ciba_gateway::session::{Channel, ClientId, RequestId, TenantId, TerminalId, Terms};
use ciba_gateway::store::hash::HashKeys;
use ciba_gateway::store::memory::MemoryStore;
use ciba_gateway::store::redis::{RedisStore, Settings};
use ciba_gateway::store::seal::{KeyId, KeyRing};
use ciba_gateway::store::{Charge, CoolDown, Counter, Limit, SessionStore, Wake, WhenBusy};
use ciba_gateway::telemetry::Metrics;
use futures_util::StreamExt;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::redis_server::RedisServer;
use super::table::Table;

const LOGINS: u32 = 20;
const MOST: u64 = 8;
const FEW_POLLS: u32 = 3;
const MANY_POLLS: u32 = 30;
/// Shorter than any provider's, so that thirty polls do not take minutes.
const INTERVAL: Duration = Duration::from_millis(20);
const LIFETIME: Duration = Duration::from_secs(300);
const IDENTITY_WINDOW: Duration = Duration::from_secs(120);
const WAKES_ARRIVE: Duration = Duration::from_millis(50);
const HEARTBEAT: Duration = Duration::from_secs(20);
/// Enough for one login.
const LIMITS: Limits = Limits {
    starts: 10,
    live_logins_per_tenant: 100,
    calls: 100,
    watches_per_agent: 100,
    watches_per_client: 100,
    watches_per_tenant: 100,
};

pub(crate) async fn measure(table: &mut Table) {
    let server = RedisServer::start().await;
    let gateway = Gateway::over(&server).await;
    gateway.log_in(1).await;
    let few = gateway.most_round_trips(FEW_POLLS).await;
    let many = gateway.most_round_trips(MANY_POLLS).await;
    gateway.stop().await;
    let how = |polls| format!("with {polls} polls and one watcher; most of {LOGINS} logins");
    table.count("Redis round trips of one login", few, format!("at most {MOST}"), few <= MOST, how(FEW_POLLS));
    table.count("Redis round trips of a longer one", many, format!("{few}, as above"), many == few, how(MANY_POLLS));
}

/// The use cases with all that is behind them.
struct Gateway {
    store: Arc<RedisStore>,
    poller: Poller,
    logins: Logins,
    person: Arc<Person>,
    stop: CancellationToken,
    tasks: JoinSet<()>,
}

impl Gateway {
    async fn over(server: &RedisServer) -> Self {
        let ring = KeyRing::new(KeyId(1), vec![(KeyId(1), [1; 32])]).expect("a key ring");
        let settings = Settings { settle_time: Duration::ZERO, ..Settings::new(server.url()) };
        let store = RedisStore::connect(settings, vec![tenant()], ring, HashKeys::new([9; 32]));
        let store = Arc::new(store.expect("a store"));
        let mut wakes = store.wakes();
        let ledger = Ledger::new(store.clone(), Clock::system(), IDENTITY_WINDOW, Arc::new(Metrics::new()));
        let person = Arc::new(Person::default());
        let credential = Arc::new(Credential::new(person.clone()));
        // Signs of life are no login's: they go elsewhere.
        let (aside, metrics) = (Arc::new(MemoryStore::new()), Arc::new(Metrics::new()));
        let replica = Replica::new(aside, Clock::system(), metrics, Vec::new()).expect("random bytes");
        tokio_util::task::TaskTracker::new().spawn(replica.clone().beats(|_| {}, CancellationToken::new()));
        replica.comes_back().await;
        let poller = Poller::new(ledger.clone(), replica, [(tenant(), Arc::clone(&credential))]);
        let acme = Tenant {
            name: "acme".to_owned(),
            pages: Default::default(),
            id: tenant(),
            default_country: Country::Norway,
            default_lifetime: LIFETIME,
            default_claims: BTreeSet::from([Claim::Name]),
            required_claims: BTreeSet::new(),
            purposes: Vec::new(),
            default_purpose: None,
            national_id_ground: None,
            default_language: Language::English,
            may_read_out: false,
            may_call_out: false,
            quiet_hours: None,
            clients: [].into(),
            guards: Guards {
                charges: vec![Charge { counter: Counter::Number, limits: vec![Limit { max: 5, window: LIFETIME }] }],
                cool_down: CoolDown { first: LIFETIME, longest: LIFETIME },
            },
            merchant_serial_number: None,
            credential,
        };
        let policy = Policy { starts_per_number: Limit { max: 5, window: LIFETIME }, limits: LIMITS };
        let logins = Logins::new(ledger.clone(), poller.clone(), vec![acme], policy);
        let (stop, mut tasks) = (CancellationToken::new(), JoinSet::new());
        // Of no tenant: the looks at a tenant's stream every five seconds are no login's.
        tasks.spawn(ledger.follow(Vec::new(), stop.clone()));
        assert_eq!(wakes.recv().await, Ok(Wake::Missed), "the store begins to listen");
        Self { store, poller, logins, person, stop, tasks }
    }

    /// The most that any of several logins took.
    async fn most_round_trips(&self, polls: u32) -> u64 {
        let mut most = 0;
        for _ in 0..LOGINS {
            let before = self.store.round_trips();
            self.log_in(polls).await;
            // What a late wake-up makes somebody read is the login's as well.
            tokio::time::sleep(WAKES_ARRIVE).await;
            most = most.max(self.store.round_trips() - before);
        }
        most
    }

    /// One login with one watcher, which ends when the person is known.
    async fn log_in(&self, polls: u32) {
        let number = self.person.will_approve_on(polls);
        let caller = caller();
        let view = self.logins.start(&caller, start(number)).await.expect("a login");
        let events =
            self.logins.watch(&caller, view.login(), HEARTBEAT, CancellationToken::new()).await.expect("a watch");
        let last = pin!(events).map(|event| event.expect("an event")).fold(None, async |_, event| Some(event)).await;
        let Some(WatchEvent::Login(view)) = last else { panic!("the watch ended with {last:?}") };
        assert!(view.identity().is_some(), "nobody was logged in: {:?}", view.moment());
        assert_eq!(self.person.polls(), polls, "as often as was planned");
    }

    async fn stop(self) {
        self.stop.cancel();
        self.poller.stop().await;
        self.tasks.join_all().await;
    }
}

fn tenant() -> TenantId {
    TenantId::new("acme").expect("a tenant")
}

fn caller() -> Caller {
    let client = ClientId::new("till").expect("a client");
    Caller {
        tenant: tenant(),
        client,
        channels: BTreeSet::from([Channel::PointOfSale]),
        agent: None,
        must_prove_agent: false,
        roles: [].into(),
    }
}

/// At a till: across a phone line the agent would also type a code, which is
/// counted apart.
fn start(number: u32) -> StartLogin {
    StartLogin {
        finish: ciba_gateway::session::Finish::InApp,
        request_id: RequestId::new(format!("request-of-the-till-{number:08}")).expect("a request id"),
        whom: Whom::Phone(PhoneNumber::from_msisdn(&format!("479{number:07}")).expect("a number")),
        channel: Channel::PointOfSale,
        call_direction: None,
        agent: None,
        terminal: Some(TerminalId::new("till-3").expect("a till")),
        call: None,
        purpose: None,
        claims: BTreeSet::new(),
        code: CodeChoice::ByChannel,
        lifetime: None,
        expected_subject: None,
        labels: BTreeMap::new(),
        language: None,
        when_busy: WhenBusy::Refuse,
    }
}

/// A provider with one person, who takes their time.
#[derive(Default)]
struct Person {
    logins: AtomicU32,
    polls: AtomicU32,
    polls_to_approve: AtomicU32,
}

impl Person {
    /// Begins the next login; its number is unlike any other's.
    fn will_approve_on(&self, poll: u32) -> u32 {
        self.polls.store(0, Ordering::Relaxed);
        self.polls_to_approve.store(poll, Ordering::Relaxed);
        self.logins.fetch_add(1, Ordering::Relaxed)
    }

    fn polls(&self) -> u32 {
        self.polls.load(Ordering::Relaxed)
    }
}

#[async_trait]
impl Provider for Person {
    async fn user_exists(&self, _: &PhoneNumber) -> CheckAnswer {
        CheckAnswer::Usable(true)
    }

    async fn start(&self, _: &Terms) -> StartAnswer {
        let auth_req_id = AuthReqId::new("the-handle-of-the-provider").expect("a handle");
        StartAnswer::Accepted(Accepted { auth_req_id, expires_in: LIFETIME, interval: INTERVAL })
    }

    async fn poll(&self, _: &AuthReqId) -> PollAnswer {
        if self.polls.fetch_add(1, Ordering::Relaxed) + 1 < self.polls_to_approve.load(Ordering::Relaxed) {
            return PollAnswer::Pending { retry_after: None };
        }
        PollAnswer::Redeemed(Tokens::new("the-access-token".to_owned(), Some("the-id-token".to_owned())))
    }

    async fn identify(&self, _: &Tokens, _: &Terms) -> Result<Identity, IdentifyError> {
        let userinfo = br#"{"sub":"the-subject","name":"Ada Lovelace"}"#;
        Ok(Identity::from_userinfo(userinfo).expect("userinfo"))
    }

    async fn revoke(&self, _: &Tokens) {}

    async fn check(&self) -> Result<(), ProviderProblem> {
        Ok(())
    }
}
