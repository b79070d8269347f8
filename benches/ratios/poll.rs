//! One poll on the path that a login takes, against a bare request with the
//! same bytes.
//!
//! Ours: the poller tends logins whose interval is short; every poll passes the
//! login's task, its timer, the provider, the reading of the answer, the
//! schedule, metrics and log. Bare: as many loops that wait as long, send the
//! request and read the body. So both fall asleep and are woken alike.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use ciba_gateway::ciba::{Accepted, AuthReqId};
use ciba_gateway::clock::Clock;
use ciba_gateway::identity::Claim;
use ciba_gateway::language::Language;
use ciba_gateway::ledger::Ledger;
use ciba_gateway::phone::{BindingCode, PhoneNumber};
use ciba_gateway::poller::{Credential, Poller};
use ciba_gateway::provider::openid::{self, ClientAuthentication, SigningAlgorithm};
use ciba_gateway::provider::vipps::{Keys, Settings, SystemHeaders, Vipps};
use ciba_gateway::replicas::Replica;
use ciba_gateway::session::{Channel, ClientId, CodeMode, Event, LoginId, RequestId, Session, TenantId, Terms};
use ciba_gateway::store::Record;
use ciba_gateway::store::memory::MemoryStore;
use ciba_gateway::telemetry::Metrics;
use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::bare::{CLIENT_ID, CLIENT_SECRET, Client};
use super::cpu::Comparison;
use super::upstream::{AUTH_REQ_ID, Upstream};

const ROUNDS: usize = 41;
/// Logins that are polled at a time, and so connections at the most.
const LOGINS: u8 = 64;
/// From an answer to the next request.
const INTERVAL: Duration = Duration::from_millis(20);
const ROUND: Duration = Duration::from_millis(250);
const IDENTITY_WINDOW: Duration = Duration::from_secs(120);

pub(crate) async fn measure(upstream: &Upstream) -> Comparison {
    let ours = Gateway::polling(upstream);
    let bare = Arc::new(Client::of(upstream));
    assert_same_bytes(upstream, &ours, &bare).await;
    Comparison::of(ROUNDS, async || ours.poll_for(ROUND).await, async || poll_bare(&bare, ROUND).await).await
}

async fn assert_same_bytes(upstream: &Upstream, ours: &Gateway, bare: &Client) {
    ours.poll_for(2 * INTERVAL).await;
    let polled = upstream.newest_post().await;
    bare.poll().await;
    assert_eq!(polled, upstream.newest_post().await, "the probe does not send what a poll sends");
}

async fn poll_bare(client: &Arc<Client>, time: Duration) -> u32 {
    let end = Instant::now() + time;
    let mut loops = JoinSet::new();
    for _ in 0..LOGINS {
        let client = Arc::clone(client);
        loops.spawn(async move {
            let mut polls = 0;
            loop {
                tokio::time::sleep(INTERVAL).await;
                if Instant::now() >= end {
                    return polls;
                }
                client.poll().await;
                polls += 1;
            }
        });
    }
    loops.join_all().await.into_iter().sum()
}

/// As much of the gateway as polls.
struct Gateway {
    clock: Clock,
    metrics: Arc<Metrics>,
    ledger: Ledger,
    replica: Replica,
    credential: Arc<Credential>,
}

impl Gateway {
    fn polling(upstream: &Upstream) -> Self {
        let (clock, metrics) = (Clock::system(), Arc::new(Metrics::new()));
        let provider = Vipps::new(&settings(upstream), clock.as_fn(), Arc::clone(&metrics)).expect("a provider");
        let store = Arc::new(MemoryStore::new());
        let replica = Replica::new(store.clone(), clock.clone(), Arc::clone(&metrics), Vec::new());
        let replica = replica.expect("random bytes");
        tokio_util::task::TaskTracker::new().spawn(replica.clone().beats(|_| {}, CancellationToken::new()));
        let ledger = Ledger::new(store, clock.clone(), IDENTITY_WINDOW, Arc::clone(&metrics));
        Self { clock, metrics, ledger, replica, credential: Arc::new(Credential::new(Arc::new(provider))) }
    }

    /// Polls pending logins for a while; says how often.
    async fn poll_for(&self, time: Duration) -> u32 {
        let before = self.answered_polls();
        let poller = Poller::new(
            self.ledger.clone(),
            self.replica.clone(),
            [(TenantId::new("acme").expect("a tenant"), Arc::clone(&self.credential))],
        );
        for seed in 0..LOGINS {
            poller.own(&Arc::new(self.pending_login(seed)));
        }
        tokio::time::sleep(time).await;
        poller.stop().await;
        self.answered_polls() - before
    }

    fn answered_polls(&self) -> u32 {
        let page = self.metrics.encode().expect("metrics");
        let line = page.lines().find_map(|line| line.strip_prefix("ciba_gateway_polls_total{result=\"pending\"} "));
        line.map_or(0, |count| count.parse().expect("a count"))
    }

    fn pending_login(&self, seed: u8) -> Record {
        let now = self.clock.now();
        let accepted = Accepted {
            auth_req_id: AuthReqId::new(AUTH_REQ_ID).expect("a handle"),
            expires_in: Duration::from_secs(600),
            interval: INTERVAL,
        };
        let starting = Session::new(LoginId::from_random([seed; 20]), self.terms(), now);
        let session = starting.apply(Event::Accepted { accepted, sent_at: now }, now).expect("a pending login");
        Record { session, format: 1, version: 2, epoch: 1, owner: self.replica.incarnation() }
    }

    fn terms(&self) -> Terms {
        Terms {
            tenant: TenantId::new("acme").expect("a tenant"),
            client: ClientId::new("desk").expect("a client"),
            request_id: RequestId::new("r-1").expect("a request id"),
            content: [0; 32],
            agent: None,
            terminal: None,
            call: None,
            channel: Channel::CallCentre,
            call_direction: None,
            person: PhoneNumber::from_msisdn("4791234567").expect("a number").into(),
            code: BindingCode::parse("WXYZ2").expect("a code"),
            code_mode: CodeMode::ReadBack,
            purpose: None,
            claims: BTreeSet::from([Claim::Name]),
            required_claims: [].into(),
            lifetime: Duration::from_secs(600),
            expected_subject: None,
            labels: BTreeMap::new(),
            language: Language::English,
            created_at: self.clock.now(),
            handed_over: None,
            finish: ciba_gateway::session::Finish::InApp,
        }
    }
}

fn settings(upstream: &Upstream) -> Settings {
    Settings {
        openid: openid::Settings {
            issuer: upstream.issuer().to_owned(),
            client_id: CLIENT_ID.to_owned(),
            client_secret: CLIENT_SECRET.into(),
            client_secret_next: None,
            authentication: ClientAuthentication::SecretBasic,
            signing_algorithms: BTreeSet::from([SigningAlgorithm::Rs256]),
            request_timeout: Duration::from_secs(10),
            poll_timeout: Duration::from_secs(5),
            additional_hosts: BTreeSet::new(),
            allow_insecure_hosts: true,
            extra_root_ca_pem: None,
            user_agent: concat!(env!("CARGO_PKG_NAME"), "/", env!("CARGO_PKG_VERSION")).to_owned(),
        },
        keys: Keys::SalesUnit,
        subscription_key: None,
        merchant_serial_number: None,
        system: SystemHeaders {
            name: Some(env!("CARGO_PKG_NAME").to_owned()),
            version: Some(env!("CARGO_PKG_VERSION").to_owned()),
            ..SystemHeaders::default()
        },
    }
}
