//! Counters, gauges and histograms, each with labels from a fixed set.

use std::fmt;
use std::time::Duration;

use http::StatusCode;
use prometheus_client::encoding::text;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Registry, Unit};

use super::labels::{
    Called, Cut, Ended, Landed, Name, Panicked, Polled, ProviderOperation, Reload, Reloaded, Requested, Shed, Started,
    StoreOperation, Stored, poll_result, status_class,
};
use super::{FraudCounters, PublicCounters};
use crate::ciba::PollAnswer;
use crate::session::{Channel, Outcome};

/// Seconds; from a provider next door to one that times out.
const REQUEST_BUCKETS: [f64; 10] = [0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0];

/// Everything that is counted in this process.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    logins_started: Family<Started, Counter>,
    logins_ended: Family<Ended, Counter>,
    live_logins: Gauge,
    polls: Family<Polled, Counter>,
    provider_requests: Family<Requested, Histogram, fn() -> Histogram>,
    store_errors: Family<Stored, Counter>,
    grpc_calls: Family<Called, Counter>,
    open_watches: Gauge,
    open_connections: Gauge,
    refused_connections: Counter,
    cut_connections: Family<Cut, Counter>,
    shed_calls: Family<Shed, Counter>,
    panics: Family<Panicked, Counter>,
    audit_records_lost: Counter,
    audit_failing: Gauge,
    fraud: FraudCounters,
    public: PublicCounters,
    landings: Family<Landed, Counter>,
    config_reloads: Family<Reloaded, Counter>,
    config_differs: Gauge,
}

impl Metrics {
    /// Nothing counted yet.
    #[must_use]
    pub fn new() -> Self {
        let mut metrics = Self {
            registry: Registry::with_prefix("ciba_gateway"),
            logins_started: Family::default(),
            logins_ended: Family::default(),
            live_logins: Gauge::default(),
            polls: Family::default(),
            provider_requests: Family::new_with_constructor(|| Histogram::new(REQUEST_BUCKETS)),
            store_errors: Family::default(),
            grpc_calls: Family::default(),
            open_watches: Gauge::default(),
            open_connections: Gauge::default(),
            refused_connections: Counter::default(),
            cut_connections: Family::default(),
            shed_calls: Family::default(),
            panics: Family::default(),
            audit_records_lost: Counter::default(),
            audit_failing: Gauge::default(),
            fraud: FraudCounters::default(),
            public: PublicCounters::default(),
            landings: Family::default(),
            config_reloads: Family::default(),
            config_differs: Gauge::default(),
        };
        metrics.register();
        metrics
    }

    fn register(&mut self) {
        let registry = &mut self.registry;
        registry.register("logins_started", "Logins that the provider was asked for", self.logins_started.clone());
        registry.register("logins_ended", "Logins that ended, by outcome", self.logins_ended.clone());
        registry.register("live_logins", "Logins that this process polls", self.live_logins.clone());
        registry.register("polls", "Answered polls, by what they said", self.polls.clone());
        registry.register_with_unit(
            "provider_request",
            "Requests to the provider, by operation and class of status",
            Unit::Seconds,
            self.provider_requests.clone(),
        );
        registry.register("store_errors", "Calls to the store that failed", self.store_errors.clone());
        registry.register("grpc_calls", "Finished calls, by method and status code", self.grpc_calls.clone());
        registry.register("open_watches", "Open watch streams", self.open_watches.clone());
        registry.register("open_connections", "Open connections of callers", self.open_connections.clone());
        let refused = "Connections closed at once because there were too many";
        registry.register("refused_connections", refused, self.refused_connections.clone());
        let cut = "Connections of callers who flooded, gave up their calls or said nothing";
        registry.register("cut_connections", cut, self.cut_connections.clone());
        registry.register("shed_calls", "Calls refused because of too much load", self.shed_calls.clone());
        registry.register("landings", "Landings of redirect logins, by what became of them", self.landings.clone());
        registry.register("panics", "Defects that were caught, by where", self.panics.clone());
        let lost = "Audit records for which there was no room";
        registry.register("audit_records_lost", lost, self.audit_records_lost.clone());
        let failing = "1 while the audit log cannot be written";
        registry.register("audit_failing", failing, self.audit_failing.clone());
        self.fraud.register(registry);
        self.public.register(registry);
        let reloads = "Configurations that were read while running, by what became of them";
        registry.register("config_reloads", reloads, self.config_reloads.clone());
        let differs = "1 while the configuration that was read last is not, or not all, what runs";
        registry.register("config_differs", differs, self.config_differs.clone());
    }

    /// The provider was asked for a login.
    pub fn login_started(&self, channel: Channel) {
        self.logins_started.get_or_create(&Started { channel: channel.name() }).inc();
    }

    /// A login ended.
    pub fn login_ended(&self, channel: Channel, outcome: &Outcome) {
        let reason = match outcome {
            Outcome::Failed(reason) => Some(Name(*reason)),
            Outcome::Approved { .. } | Outcome::Denied | Outcome::Expired | Outcome::Cancelled => None,
        };
        let labels = Ended { channel: channel.name(), outcome: outcome.name(), reason };
        self.logins_ended.get_or_create(&labels).inc();
    }

    /// This process now polls so many logins.
    pub fn set_live_logins(&self, count: usize) {
        self.live_logins.set(i64::try_from(count).unwrap_or(i64::MAX));
    }

    /// A poll was answered, or was not.
    pub fn polled(&self, answer: &PollAnswer) {
        self.polls.get_or_create(&Polled { result: poll_result(answer) }).inc();
    }

    /// A request to the provider took that long; `status` is `None` when there
    /// was no answer.
    pub fn provider_request(&self, operation: ProviderOperation, status: Option<StatusCode>, took: Duration) {
        let labels = Requested { operation: Name(operation), status: status_class(status) };
        self.provider_requests.get_or_create(&labels).observe(took.as_secs_f64());
    }

    /// The store did not do what was asked.
    pub fn store_failed(&self, operation: StoreOperation) {
        self.store_errors.get_or_create(&Stored { operation: Name(operation) }).inc();
    }

    /// A call was finished. `method` is one of the API's, never what a caller sent.
    pub fn grpc_call(&self, method: &'static str, code: tonic::Code) {
        self.grpc_calls.get_or_create(&Called { method, code: format!("{code:?}") }).inc();
    }

    /// A watch stream was opened; it counts until the value is dropped.
    #[must_use]
    pub fn watch_opened(&self) -> Open {
        self.open_watches.inc();
        Open(self.open_watches.clone())
    }

    /// A caller has connected; it counts until the value is dropped.
    #[must_use]
    pub fn connection_opened(&self) -> Open {
        self.open_connections.inc();
        Open(self.open_connections.clone())
    }

    /// A caller was turned away because there are too many.
    pub fn connection_refused(&self) {
        self.refused_connections.inc();
    }

    /// A caller was cut off: `why` is a word from a fixed set.
    pub fn connection_cut(&self, why: &'static str) {
        self.cut_connections.get_or_create(&Cut { why }).inc();
    }

    /// A call was refused because there was too much of `limit`, a word from a
    /// fixed set.
    pub fn call_shed(&self, limit: &'static str) {
        self.shed_calls.get_or_create(&Shed { limit }).inc();
    }

    /// A phone landed, and this became of it.
    pub fn landed(&self, result: &'static str) {
        self.landings.get_or_create(&Landed { result }).inc();
    }

    /// A defect made a call or a login's task panic; `place` is `call` or `login`.
    pub fn panicked(&self, place: &'static str) {
        self.panics.get_or_create(&Panicked { place }).inc();
    }

    /// There was no room for an audit record.
    pub fn audit_lost(&self) {
        self.audit_records_lost.inc();
    }

    /// The audit log cannot be written, or can be again.
    pub fn set_audit_failing(&self, is_failing: bool) {
        self.audit_failing.set(i64::from(is_failing));
    }

    /// What is counted of fraud signals.
    #[must_use]
    pub const fn fraud(&self) -> &FraudCounters {
        &self.fraud
    }

    /// What is counted of the public listener.
    #[must_use]
    pub const fn public(&self) -> &PublicCounters {
        &self.public
    }

    /// The configuration was read again.
    pub fn configuration_read(&self, reload: Reload) {
        self.config_reloads.get_or_create(&Reloaded { result: Name(reload) }).inc();
        self.config_differs.set(i64::from(reload != Reload::Taken));
    }

    /// Everything in the text form of OpenMetrics 1.0.
    ///
    /// # Errors
    /// When a label cannot be written.
    pub fn encode(&self) -> Result<String, fmt::Error> {
        let mut page = String::new();
        text::encode(&mut page, &self.registry)?;
        Ok(page)
    }
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

/// An open stream or connection.
#[derive(Debug)]
pub struct Open(Gauge);

impl Drop for Open {
    fn drop(&mut self) {
        self.0.dec();
    }
}
