//! Puts the parts together and runs them until told to stop.
//!
//! [`run`] is the whole server: store, providers, use cases, gRPC and HTTP
//! fronts, and the drain. It reads no file and binds no port: configuration and
//! listeners are handed in, so that tests run the same thing on ephemeral ports.
//! [`run_changing`] takes other configurations on the way; [`files`] reads them.

pub mod files;
mod parts;
mod providers;
mod reload;
mod stores;
mod world;

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tonic::service::Routes;
use tonic_health::ServingStatus;
use tonic_health::server::HealthReporter;
use tracing::{error, info, warn};

pub use parts::AssemblyError;
use parts::Parts;
pub(crate) use parts::fraud_webhook;
pub(crate) use providers::provider;
pub use reload::Changes;
use reload::{Fronts, Running};
pub(crate) use stores::redis_store;
use world::World;

use crate::clock::Clock;
use crate::config::{self, Config, Drain};
use crate::grpc::{Enrolled, Front, LoginApi, Shield, ShopQrApi, TlsError, v1};
use crate::http::{self, Readiness};
use crate::replicas::Replica;

/// How often a provider is asked, when all is well and when it is not.
const PROVIDER_CHECK: Duration = Duration::from_secs(30);
const PROVIDER_RECHECK: Duration = Duration::from_secs(3);
/// How often Redis is asked about itself until it answers once.
const STORE_SURVEY: Duration = Duration::from_secs(3);

/// How long the audit log may take to be closed, and the last signals to be told.
const LAST_WORDS: Duration = Duration::from_secs(2);

/// The part of the time after the notice that is kept for telling watchers.
const GOODBYE_SHARE: u32 = 4;

/// The ports, bound already.
pub struct Listeners {
    /// For callers.
    pub grpc: TcpListener,
    /// For health and metrics.
    pub http: TcpListener,
    /// For the world; where the configuration has `[public]`.
    pub public: Option<TcpListener>,
}

/// Why the gateway did not start, or did not stop well.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// The parts cannot be put together.
    #[error(transparent)]
    Assembly(#[from] AssemblyError),
    /// The certificate cannot be used.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// The descriptors of the API cannot be served.
    #[error("reflection cannot be served")]
    Reflection(#[from] tonic_reflection::server::Error),
    /// Something that runs until the end stopped by itself.
    #[error("{0} stopped by itself")]
    Stopped(&'static str),
}

/// Serves until `shutdown` completes, then drains.
///
/// The drain: not ready, still serving for `drain.notice`; then no new connections
/// (GOAWAY on those that there are) and no new starts; polls and starts in flight
/// finish, logins are left to other replicas; streams end with DRAINING and
/// connections close; all within `drain.limit`.
///
/// # Errors
/// When it cannot start. Outages of store or provider are no errors: it starts,
/// says that it is not ready, and recovers by itself.
pub async fn run(
    config: Config,
    listeners: Listeners,
    shutdown: impl Future<Output = ()> + Send,
) -> Result<(), RunError> {
    let (_nobody, changes) = mpsc::channel(1);
    run_changing(config, changes, listeners, shutdown).await
}

/// As [`run`], going by what `changes` brings: as far as that needs no restart.
///
/// # Errors
/// As [`run`]. A configuration that cannot be used on the way is no error: all goes
/// on as before it.
pub async fn run_changing(
    config: Config,
    changes: Changes,
    listeners: Listeners,
    shutdown: impl Future<Output = ()> + Send,
) -> Result<(), RunError> {
    let parts = Parts::assemble(&config, Clock::system())?;
    let enrolled = watch::Sender::new(Arc::new(parts.callers(&config)?));
    let readiness = Readiness::new(config.tenants.iter().map(|tenant| tenant.id.clone()));
    let stop = CancellationToken::new();
    let tasks = TaskTracker::new();
    keep_checking(&parts, &readiness, &tasks, &stop);
    survey_store(&parts, &config, &tasks, &stop);
    let mut peers = Peers::meet(&parts, &readiness);
    let tenants = config.tenants.iter().map(|tenant| tenant.id.clone()).collect();

    let routes = routes(&parts, &config, enrolled.subscribe(), &readiness, &tasks, &stop).await?;
    let dismissed = CancellationToken::new();
    // Until the last watcher is gone: what ends during a drain is told.
    let feeds = tasks.spawn(parts.ledger.clone().follow(tenants, dismissed.clone()));
    tasks.spawn(dismissed.clone().run_until_cancelled_owned(parts.poller.clone().hear_pings()));
    let metrics = Arc::clone(&parts.metrics);
    let grpc = Front::new(routes, &config.grpc, metrics, &tasks, stop.clone(), dismissed.clone())?;
    let router = http::router(readiness.clone(), Arc::clone(&parts.metrics));
    // Health and metrics are served while logins are handed over.
    let http = tasks.spawn(http::serve(listeners.http, router, tasks.clone(), dismissed.clone()));
    let world = World::assemble(&parts, &config)?;
    let fronts = Fronts { grpc: grpc.clone(), world: world.clone() };
    let world = World::serve(world, listeners.public, &tasks, &stop);
    let (bounds, running) = (config.drain, Running::new(&parts, config.clone(), enrolled, fronts));
    let grpc = tasks.spawn(grpc.serve(listeners.grpc));
    info!(tenants = config.tenants.len(), store = parts.ledger.store_kind(), "the gateway serves");

    tokio::pin!(grpc, http, world, feeds, shutdown);
    tokio::select! {
        () = &mut shutdown => {}
        never = running.follow(changes) => match never {},
        _ = &mut grpc => return Err(RunError::Stopped("the gRPC front")),
        _ = &mut http => return Err(RunError::Stopped("the HTTP front")),
        () = &mut world => return Err(RunError::Stopped("the public front")),
        // A process that gives no sign of life or hears nothing is better dead.
        _ = &mut feeds => return Err(RunError::Stopped("what follows the store")),
        () = peers.broke_off() => return Err(RunError::Stopped("what looks after the other replicas")),
    }
    drain(&parts, peers, &readiness, &bounds, &stop, &dismissed, &tasks).await;
    // Last: what happens during the drain is noted too.
    let closing = tokio::time::timeout(LAST_WORDS, parts.ledger.audit().close());
    let (closed, ()) = tokio::join!(closing, parts.signals.leave(LAST_WORDS));
    if closed != Ok(true) {
        warn!("the audit log could not be closed in good order");
    }
    Ok(())
}

/// The life among other replicas. It ends with this value.
struct Peers {
    replica: Replica,
    beats: JoinSet<()>,
    adopts: JoinSet<()>,
    no_more_beats: CancellationToken,
    no_more_adoptions: CancellationToken,
}

impl Peers {
    fn meet(parts: &Parts, readiness: &Readiness) -> Self {
        let (no_more_beats, no_more_adoptions) = (CancellationToken::new(), CancellationToken::new());
        let (metrics, poller, known) = (Arc::clone(&parts.metrics), parts.poller.clone(), readiness.clone());
        let (mut beats, mut adopts) = (JoinSet::new(), JoinSet::new());
        let heir = poller.clone();
        let store_is = move |result| {
            known.set_store(result);
            metrics.set_live_logins(poller.owned());
        };
        beats.spawn(parts.replica.clone().beats(store_is, no_more_beats.clone()));
        let adopting = parts.replica.clone().adopts(move |adopted| heir.adopt(adopted), no_more_adoptions.clone());
        adopts.spawn(adopting);
        Self { replica: parts.replica.clone(), beats, adopts, no_more_beats, no_more_adoptions }
    }

    /// Waits until one of its tasks ends untold, by a defect.
    async fn broke_off(&mut self) {
        tokio::select! {
            _ = self.beats.join_next() => {}
            _ = self.adopts.join_next() => {}
        }
    }

    async fn stop_adopting(&mut self) {
        self.no_more_adoptions.cancel();
        while self.adopts.join_next().await.is_some() {}
    }

    /// `may_rely`: others may take over what the store holds without waiting.
    async fn leave(mut self, may_rely: bool) {
        self.no_more_beats.cancel();
        while self.beats.join_next().await.is_some() {}
        if !may_rely {
            warn!("not everything could be written down; others take the logins over a little later");
        } else if let Err(error) = self.replica.leave().await {
            warn!(%error, "the store could not be told goodbye; others take the logins over a little later");
        }
    }
}

/// In this order, so that nobody is sent away before somebody else can serve him,
/// and no reader who does not read keeps the logins from being handed over.
async fn drain(
    parts: &Parts,
    peers: Peers,
    readiness: &Readiness,
    bounds: &Drain,
    stop: &CancellationToken,
    dismissed: &CancellationToken,
    tasks: &TaskTracker,
) {
    info!(notice_ms = millis(bounds.notice), limit_ms = millis(bounds.limit), "draining");
    let end = Instant::now() + bounds.limit;
    readiness.set_draining();
    tokio::time::sleep(bounds.notice).await;
    parts.logins.start_draining();
    stop.cancel();
    let goodbye = (bounds.limit - bounds.notice) / GOODBYE_SHARE;
    if tokio::time::timeout_at(end - goodbye, hand_over(parts, peers)).await.is_err() {
        warn!("not everything was finished in time; others take the logins over a little later");
    }
    parts.logins.dismiss();
    dismissed.cancel();
    tasks.close();
    match tokio::time::timeout_at(end, tasks.wait()).await {
        Ok(()) => info!("drained"),
        Err(_) => warn!("the drain took too long; what is still open is cut"),
    }
}

/// Finishes polls and starts that are under way, and leaves the logins to others.
async fn hand_over(parts: &Parts, mut peers: Peers) {
    peers.stop_adopting().await;
    let may_rely = parts.poller.stop().await;
    parts.logins.drained().await;
    peers.leave(may_rely).await;
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

fn keep_checking(parts: &Parts, readiness: &Readiness, tasks: &TaskTracker, stop: &CancellationToken) {
    for (tenant, credential) in &parts.credentials {
        let (tenant, credential) = (tenant.clone(), Arc::clone(credential));
        let (known, until) = (readiness.clone(), stop.clone());
        tasks.spawn(until.run_until_cancelled_owned(async move {
            loop {
                let result = credential.provider().check().await.map_err(|problem| problem.to_string());
                let pause = if result.is_ok() { PROVIDER_CHECK } else { PROVIDER_RECHECK };
                if let Err(problem) = &result {
                    warn!(%tenant, problem, "the provider is not ready");
                }
                known.set_provider(&tenant, result);
                tokio::time::sleep(pause).await;
            }
        }));
    }
}

/// Says, as soon as Redis can be asked, what is wrong with it; `check` says the same.
fn survey_store(parts: &Parts, config: &Config, tasks: &TaskTracker, stop: &CancellationToken) {
    let (Some(store), config::Store::Redis(redis)) = (parts.redis.clone(), &config.store) else { return };
    let wait_replicas = redis.wait_replicas;
    tasks.spawn(stop.clone().run_until_cancelled_owned(async move {
        let nodes = loop {
            match store.survey().await {
                Ok(nodes) => break nodes,
                Err(_) => tokio::time::sleep(STORE_SURVEY).await,
            }
        };
        for node in nodes {
            let redis = &node.node;
            for problem in node.faults(wait_replicas) {
                error!(redis, problem, "Redis is not as the gateway needs it");
            }
            for problem in node.notes() {
                warn!(redis, problem, "Redis is not as the gateway wants it");
            }
        }
    }));
}

async fn routes(
    parts: &Parts,
    config: &Config,
    enrolled: Enrolled,
    readiness: &Readiness,
    tasks: &TaskTracker,
    stop: &CancellationToken,
) -> Result<Routes, RunError> {
    let (reporter, health) = tonic_health::server::health_reporter();
    tasks.spawn(stop.clone().run_until_cancelled_owned(report_health(reporter, readiness.clone())));
    let shop_qrs = ShopQrApi::server(parts.logins.clone(), enrolled.clone(), Arc::clone(&parts.metrics));
    let api = LoginApi::server(parts.logins.clone(), enrolled, Arc::clone(&parts.metrics));
    let call_time = config.limits.call_time;
    let health = Shield::new(health, Arc::clone(&parts.metrics), call_time).ending_streams();
    let shop_qrs = Shield::new(shop_qrs, Arc::clone(&parts.metrics), call_time);
    let mut routes =
        Routes::new(Shield::new(api, Arc::clone(&parts.metrics), call_time)).add_service(shop_qrs).add_service(health);
    if config.grpc.reflection {
        let builder = || {
            tonic_reflection::server::Builder::configure()
                .register_encoded_file_descriptor_set(v1::FILE_DESCRIPTOR_SET)
                .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
        };
        // Clients in the field speak either version.
        let v1 = Shield::new(builder().build_v1()?, Arc::clone(&parts.metrics), call_time).ending_streams();
        let v1alpha = Shield::new(builder().build_v1alpha()?, Arc::clone(&parts.metrics), call_time).ending_streams();
        routes = routes.add_service(v1).add_service(v1alpha);
    }
    Ok(routes)
}

/// The standard health service says what `/readyz` says.
async fn report_health(reporter: HealthReporter, readiness: Readiness) {
    const SERVICES: [&str; 2] = ["ciba_gateway.v1.LoginService", "ciba_gateway.v1.ShopQrService"];
    let mut checks = readiness.subscribe();
    loop {
        let is_ready = checks.borrow_and_update().is_ready();
        let status = if is_ready { ServingStatus::Serving } else { ServingStatus::NotServing };
        reporter.set_service_status("", status).await;
        for service in SERVICES {
            reporter.set_service_status(service, status).await;
        }
        if checks.changed().await.is_err() {
            return;
        }
    }
}
