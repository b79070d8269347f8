//! A whole gateway in one process and no socket: real gRPC over an in-memory
//! pipe, a memory store, a provider with behaviour, and a clock that stands
//! still until a story lets time pass.

use std::collections::BTreeSet;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicUsize, Ordering};
use std::time::Duration;

use ciba_gateway::clock::Clock;
use ciba_gateway::config::{ApiKey, ClientKey};
use ciba_gateway::grpc::{Callers, Enrolment, LoginApi, Shield};
use ciba_gateway::identity::Claim;
use ciba_gateway::language::Language;
use ciba_gateway::ledger::Ledger;
use ciba_gateway::logins::{BlockList, Caller, Guards, Limits, Logins, Pages, Policy, Role, Tenant};
use ciba_gateway::phone::Country;
use ciba_gateway::poller::{Credential, Poller};
use ciba_gateway::provider::Provider;
use ciba_gateway::replicas::Replica;
use ciba_gateway::session::{Channel, ClientId, CodeCheck, LoginId, RedirectUri, State, TenantId};
use ciba_gateway::store::memory::MemoryStore;
use ciba_gateway::store::{Charge, CoolDown, Counter, Limit, Saved, SessionStore};
use ciba_gateway::telemetry::Metrics;
use ciba_gateway::timestamp::Timestamp;
use hyper_util::rt::TokioIo;
use tokio::io::DuplexStream;
use tokio::sync::{mpsc, watch};
use tokio_stream::wrappers::ReceiverStream;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tonic::transport::{Endpoint, Server, Uri};

use super::client::Client;
use super::fake_provider::FakeProvider;
use super::flaky_store::FlakyStore;
use super::provider_line::ProviderLine;

/// The present at the beginning of each story.
pub(crate) const BEGINNING: Timestamp = Timestamp::from_millis(1_800_000_000_000);
const PIPE_BYTES: usize = 64 * 1024;
const WINDOW_BYTES: u32 = 64 * 1024;

/// Starts for one number within [`GUARD_WINDOW`].
pub(crate) const STARTS_PER_NUMBER: u32 = 3;
pub(crate) const GUARD_WINDOW: Duration = Duration::from_secs(600);
/// How long an identity can be read after the end.
pub(crate) const IDENTITY_WINDOW: Duration = Duration::from_secs(120);

/// A page of each tenant.
pub(crate) const PAGE: &str = "https://shop.example/landing?from=app";

/// How long a call may take that waits for nothing.
pub(crate) const CALL_TIME: Duration = Duration::from_secs(10);

/// More than any story needs that is not about them.
pub(crate) const LIMITS: Limits = Limits {
    starts: 10_000,
    live_logins_per_tenant: 100_000,
    calls: 100_000,
    watches_per_agent: 100_000,
    watches_per_client: 100_000,
    watches_per_tenant: 100_000,
};

/// How long a replica may take to leave.
const DRAIN_LIMIT: Duration = Duration::from_secs(25);

const DESK: u8 = 1;
const KIOSK: u8 = 2;
const STRANGER: u8 = 3;
const LEAD: u8 = 77;
const ENDING: u8 = 4;
const REGISTRY: u8 = 5;

/// How long after the beginning the desk's old key ends.
pub(crate) const KEY_ENDS: Duration = Duration::from_secs(100);

pub(crate) const fn secs(secs: u64) -> Duration {
    Duration::from_secs(secs)
}

/// Lets time pass: everything that is due meanwhile happens.
pub(crate) async fn pass(time: Duration) {
    tokio::time::sleep(time).await;
}

/// What replicas share: the clock, the provider, the store behind their lines.
pub(crate) struct Stage {
    pub(crate) clock: Clock,
    pub(crate) provider: Arc<FakeProvider>,
    store: Arc<MemoryStore>,
    store_has_time: bool,
    /// What `acme` has otherwise than other tenants.
    rules: Box<dyn Fn(&mut Tenant) + Send + Sync>,
    replicas: AtomicUsize,
    limits: Limits,
    /// Whoever beats, adopts or follows stops when it falls.
    curtain: CancellationToken,
}

impl Drop for Stage {
    fn drop(&mut self) {
        self.curtain.cancel();
    }
}

/// A machine's wall clock, which somebody may set.
#[derive(Clone, Default)]
pub(crate) struct WallClock(Arc<AtomicI64>);

impl WallClock {
    /// Sets it this much ahead of the true time, or behind.
    pub(crate) fn is_off_by(&self, seconds: i64) {
        self.0.store(seconds * 1000, Ordering::Relaxed);
    }

    fn over(&self, truth: &Clock) -> Clock {
        let (off, truth) = (Arc::clone(&self.0), truth.clone());
        Clock::telling(move || {
            let now = truth.now().as_millis().saturating_add_signed(off.load(Ordering::Relaxed));
            Timestamp::from_millis(now)
        })
    }
}

impl Stage {
    /// Must be called in a test whose time is paused.
    pub(crate) fn new() -> Self {
        let clock = Clock::following_tokio(BEGINNING);
        let provider = Arc::new(FakeProvider::new(clock.clone()));
        Self {
            clock,
            provider,
            store: Arc::new(MemoryStore::new()),
            store_has_time: false,
            rules: Box::new(|_| {}),
            replicas: AtomicUsize::new(0),
            limits: LIMITS,
            curtain: CancellationToken::new(),
        }
    }

    /// A store that has a clock of its own, which is right.
    pub(crate) fn with_store_clock() -> Self {
        let mut stage = Self::new();
        stage.store_has_time = true;
        stage
    }

    /// Its replicas take on so much at once.
    pub(crate) fn with_limits(limits: Limits) -> Self {
        let mut stage = Self::new();
        stage.limits = limits;
        stage
    }

    /// A stage with one gateway on it.
    pub(crate) fn with_gateway() -> (Self, Gateway) {
        let stage = Self::new();
        let gateway = stage.gateway();
        (stage, gateway)
    }

    /// A stage with one gateway on it, where `acme` has rules of its own.
    pub(crate) fn with_rules(rules: impl Fn(&mut Tenant) + Send + Sync + 'static) -> (Self, Gateway) {
        let mut stage = Self::new();
        stage.rules = Box::new(rules);
        let gateway = stage.gateway();
        (stage, gateway)
    }

    /// The tenant's stream begins anew, as after a loss.
    pub(crate) async fn begins_a_new_epoch(&self) {
        let tenant = TenantId::new("acme").expect("a tenant");
        let found = self.store.events(&tenant, 0, 0, self.clock.now()).await.expect("the store answers");
        self.store.new_epoch(&tenant, &found.end(), self.clock.now()).await.expect("the store answers");
    }

    /// So many events of one login that is pending and takes a code.
    pub(crate) async fn changes_often(&self, login_id: &str, times: usize) {
        let (tenant, login) = (TenantId::new("acme").expect("a tenant"), LoginId::parse(login_id).expect("a login"));
        let now = self.clock.now();
        let mut record = self.store.load(&tenant, &login, now).await.expect("the store answers").expect("a login");
        for _ in 0..times {
            let State::Pending(pending) = &mut record.session.state else { panic!("not pending") };
            let tries = u8::from(pending.code == CodeCheck::Open { tries: 0, last_wrong: None });
            pending.code = CodeCheck::Open { tries, last_wrong: None };
            let saved = self.store.save(&record, now, IDENTITY_WINDOW).await.expect("the store answers");
            let Saved::Written { record: written, .. } = saved else { panic!("somebody else writes") };
            record = written;
        }
    }

    /// One more replica over the same store.
    pub(crate) fn gateway(&self) -> Gateway {
        self.replica(false, &WallClock::default())
    }

    /// A replica on a machine whose clock is off.
    pub(crate) fn gateway_off_by(&self, seconds: i64) -> Gateway {
        let wall = WallClock::default();
        wall.is_off_by(seconds);
        self.replica(false, &wall)
    }

    /// A replica that no wake reaches.
    pub(crate) fn deaf_gateway(&self) -> Gateway {
        self.replica(true, &WallClock::default())
    }

    fn replica(&self, is_deaf: bool, wall: &WallClock) -> Gateway {
        let clock = wall.over(&self.clock);
        let metrics = Arc::new(Metrics::new());
        let line = FlakyStore::new(Arc::new(self.store.replica()), is_deaf);
        let line = Arc::new(if self.store_has_time { line.with_time_from(self.clock.clone()) } else { line });
        let store = Arc::clone(&line) as Arc<dyn SessionStore>;
        let ids: Vec<_> = ["acme", "other"].map(|name| TenantId::new(name).expect("a tenant")).into();
        let replica = Replica::new(Arc::clone(&store), clock.clone(), Arc::clone(&metrics), ids.clone());
        let replica = replica.expect("random bytes");
        let ledger = Ledger::new(store, clock, IDENTITY_WINDOW, Arc::clone(&metrics));
        let asker = self.replicas.fetch_add(1, Ordering::Relaxed);
        let provider: Arc<dyn Provider> =
            Arc::new(ProviderLine::new(Arc::clone(&self.provider), asker, line.death().clone()));
        let credential = Arc::new(Credential::new(provider));
        let credentials = ids.into_iter().map(|id| (id, Arc::clone(&credential)));
        let poller = Poller::new(ledger.clone(), replica.clone(), credentials).with_jitter(|| 0.5);
        let policy = Policy { limits: self.limits, ..POLICY };
        let mut tenants = tenants(&credential);
        (self.rules)(&mut tenants[0]);
        let logins = Logins::new(ledger.clone(), poller.clone(), tenants, policy);
        let followed = ["acme", "other"].map(|name| TenantId::new(name).expect("a tenant")).into();
        let tasks = TaskTracker::new();
        let (no_more_beats, no_more_adoptions) = (self.curtain.child_token(), self.curtain.child_token());
        tasks.spawn(replica.clone().beats(|_| {}, no_more_beats.clone()));
        let heir = poller.clone();
        tasks.spawn(replica.clone().adopts(move |adopted| heir.adopt(adopted), no_more_adoptions.clone()));
        tasks.spawn(self.curtain.clone().run_until_cancelled_owned(poller.clone().hear_pings()));
        tasks.spawn(ledger.clone().follow(followed, self.curtain.clone()));
        let enrolled = watch::Sender::new(Arc::new(callers()));
        let api = LoginApi::server(logins.clone(), enrolled.subscribe(), Arc::clone(&metrics));
        let dial = serve(Shield::new(api, Arc::clone(&metrics), CALL_TIME), &tasks);
        let (wall, store) = (wall.clone(), line);
        Gateway {
            logins,
            poller,
            metrics,
            store,
            wall,
            replica,
            credential,
            enrolled,
            no_more_beats,
            no_more_adoptions,
            dial,
        }
    }
}

const POLICY: Policy = Policy { starts_per_number: Limit { max: 100, window: GUARD_WINDOW }, limits: LIMITS };

fn tenants(credential: &Arc<Credential>) -> Vec<Tenant> {
    ["acme", "other"].map(|name| tenant(TenantId::new(name).expect("a tenant"), credential)).into()
}

fn tenant(id: TenantId, credential: &Arc<Credential>) -> Tenant {
    Tenant {
        name: id.to_string(),
        pages: Pages { own: vec![RedirectUri::new(PAGE).expect("a page")], gateways: None },
        id,
        default_country: Country::Norway,
        default_lifetime: secs(300),
        default_claims: BTreeSet::from([Claim::Name]),
        required_claims: BTreeSet::new(),
        purposes: Vec::new(),
        default_purpose: None,
        national_id_ground: None,
        default_language: Language::English,
        may_read_out: true,
        may_call_out: false,
        quiet_hours: None,
        clients: ["desk", "kiosk", "lead", "registry"].map(|id| ClientId::new(id).expect("a client")).into(),
        guards: Guards {
            charges: vec![Charge {
                counter: Counter::Number,
                limits: vec![Limit { max: STARTS_PER_NUMBER, window: GUARD_WINDOW }],
            }],
            cool_down: CoolDown { first: secs(300), longest: secs(3600) },
        },
        merchant_serial_number: None,
        credential: Arc::clone(credential),
    }
}

/// One replica.
pub(crate) struct Gateway {
    pub(crate) logins: Logins,
    pub(crate) poller: Poller,
    pub(crate) metrics: Arc<Metrics>,
    /// This replica's line to the store.
    pub(crate) store: Arc<FlakyStore>,
    /// The clock of its machine.
    pub(crate) wall: WallClock,
    pub(crate) replica: Replica,
    /// At the provider, of both tenants.
    pub(crate) credential: Arc<Credential>,
    enrolled: watch::Sender<Arc<Callers>>,
    no_more_beats: CancellationToken,
    no_more_adoptions: CancellationToken,
    dial: mpsc::Sender<io::Result<DuplexStream>>,
}

impl Gateway {
    /// A system of `acme` that may use every channel; agent `ada` sits there.
    pub(crate) fn desk(&self) -> Client {
        self.caller(&key(DESK)).with_agent("ada")
    }

    /// The desk, by its old key, which ends after [`KEY_ENDS`].
    pub(crate) fn desk_with_old_key(&self) -> Client {
        self.caller(&key(ENDING)).with_agent("ada")
    }

    /// A further system of `acme`, which may ask for national identity numbers; agent
    /// `ada` sits there.
    pub(crate) fn registry(&self) -> Client {
        self.caller(&key(REGISTRY)).with_agent("ada")
    }

    /// Another system of `acme`; TV boxes only, no agent.
    pub(crate) fn kiosk(&self) -> Client {
        self.caller(&key(KIOSK))
    }

    /// The system of those who lead the agents of `acme`.
    pub(crate) fn lead(&self) -> Client {
        self.caller(&key(LEAD)).with_agent("lin")
    }

    /// A system of another tenant, with the same name and the same agent.
    pub(crate) fn stranger(&self) -> Client {
        self.caller(&key(STRANGER)).with_agent("ada")
    }

    /// The operator shuts that out.
    pub(crate) fn shuts_out(&self, list: BlockList) {
        self.logins.go_by(tenants(&self.credential), POLICY, list);
    }

    /// The operator takes the desk of `acme` out.
    pub(crate) fn takes_the_desk_out(&self) {
        self.enrolled.send_replace(Arc::new(Callers::new([kiosk(), stranger()])));
    }

    /// The operator lets the desk of `acme` start logins at tills alone.
    pub(crate) fn keeps_the_desk_to_tills(&self) {
        let desk = enrolment("acme", "desk", &[Channel::PointOfSale], vec![client_key(DESK, None)]);
        self.enrolled.send_replace(Arc::new(Callers::new([desk, kiosk(), stranger()])));
    }

    /// The operator has the configuration read again, with nothing new in it.
    pub(crate) fn reads_the_same_again(&self) {
        self.enrolled.send_replace(Arc::new(callers()));
        self.shuts_out(BlockList::default());
    }

    /// Whoever shows this key, on a connection of their own.
    pub(crate) fn caller(&self, key: &str) -> Client {
        let dial = self.dial.clone();
        let connector = tower::service_fn(move |_: Uri| {
            let dial = dial.clone();
            async move {
                let (near, far) = tokio::io::duplex(PIPE_BYTES);
                dial.send(Ok(far)).await.map_err(io::Error::other)?;
                Ok::<_, io::Error>(TokioIo::new(near))
            }
        });
        // Otherwise megabytes could be sent to somebody who does not read.
        let endpoint = Endpoint::from_static("http://gateway").initial_stream_window_size(WINDOW_BYTES);
        let channel = endpoint.connect_with_connector_lazy(connector);
        Client::new(channel, Some(format!("Bearer {key}")))
    }

    /// The process is gone without a word: whatever it was about to do does not
    /// happen, and what it had under way breaks off.
    pub(crate) fn dies(&self) {
        self.store.dies();
    }

    /// Leaves its logins to the others, as when it is told to stop.
    pub(crate) async fn drains(&self) {
        assert!(self.tries_to_drain().await, "every schedule is in the store, and goodbye was said");
    }

    /// As [`Gateway::drains`], as far as that goes; whether it went well.
    pub(crate) async fn tries_to_drain(&self) -> bool {
        self.logins.start_draining();
        self.no_more_adoptions.cancel();
        let drained = async {
            let may_rely = self.poller.stop().await;
            self.logins.drained().await;
            self.no_more_beats.cancel();
            may_rely && self.replica.leave().await.is_ok()
        };
        let went_well = tokio::time::timeout(DRAIN_LIMIT, drained).await.unwrap_or(false);
        self.logins.dismiss();
        went_well
    }

    /// The replica is gone as far as polling is concerned.
    pub(crate) async fn stops_polling(&self) {
        self.poller.stop().await;
    }
}

impl Drop for Gateway {
    /// A story may have hundreds of replicas; none beats on after its end.
    fn drop(&mut self) {
        self.no_more_beats.cancel();
        self.no_more_adoptions.cancel();
    }
}

fn key(of: u8) -> String {
    ApiKey::from_random([of; 32]).expose().to_owned()
}

fn callers() -> Callers {
    let all = [Channel::CallCentre, Channel::PointOfSale, Channel::TvBox];
    let old = client_key(ENDING, Some(BEGINNING.plus(KEY_ENDS)));
    let mut registry = enrolment("acme", "registry", &all, vec![client_key(REGISTRY, None)]);
    registry.caller.roles = [Role::NationalId].into();
    let desk = enrolment("acme", "desk", &all, vec![client_key(DESK, None), old]);
    let lead = lead(enrolment("acme", "lead", &all, vec![client_key(LEAD, None)]));
    Callers::new([registry, desk, kiosk(), lead, stranger()])
}

fn kiosk() -> Enrolment {
    enrolment("acme", "kiosk", &[Channel::TvBox], vec![client_key(KIOSK, None)])
}

fn stranger() -> Enrolment {
    let all = [Channel::CallCentre, Channel::PointOfSale, Channel::TvBox];
    enrolment("other", "desk", &all, vec![client_key(STRANGER, None)])
}

fn enrolment(tenant: &str, client: &str, channels: &[Channel], api_keys: Vec<ClientKey>) -> Enrolment {
    let caller = Caller {
        tenant: TenantId::new(tenant).expect("a tenant"),
        client: ClientId::new(client).expect("a client"),
        channels: channels.iter().copied().collect(),
        agent: None,
        must_prove_agent: false,
        roles: [].into(),
    };
    Enrolment { api_keys, ..Enrolment::new(caller) }
}

fn lead(mut enrolment: Enrolment) -> Enrolment {
    enrolment.caller.roles.insert(Role::Supervisor);
    enrolment
}

fn client_key(of: u8, not_after: Option<Timestamp>) -> ClientKey {
    ClientKey { name: None, hash: ApiKey::from_random([of; 32]).hash(), not_after }
}

type Api = Shield<ciba_gateway::grpc::v1::login_service_server::LoginServiceServer<LoginApi>>;

fn serve(api: Api, tasks: &TaskTracker) -> mpsc::Sender<io::Result<DuplexStream>> {
    let (dial, incoming) = mpsc::channel(8);
    let server = Server::builder().add_service(api).serve_with_incoming(ReceiverStream::new(incoming));
    tasks.spawn(async move { server.await.expect("the server serves") });
    dial
}
