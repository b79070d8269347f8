//! What the provider tells by itself: `POST /webhooks/{name}` on the public listener.
//!
//! A [`Receiver`] knows the registrations of the configuration, proves that a request is
//! the provider's, finds out which event it tells of, and hands it to whoever [hears](Hear)
//! of that event. Nothing that is not proven has any effect. It knows nothing about
//! logins or check-ins. Put together by `gateway`; `cli` makes the registrations at the
//! provider; the simulator signs as the provider does.
//!
//! To hear of one more event: a variant of [`EventKind`], an implementation of [`Hear`],
//! and [`Builder::on`] where the gateway is put together.

mod event;
pub mod proof;
mod seen;
#[cfg(test)]
mod tests;

use std::collections::{BTreeSet, HashMap};
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;

use async_trait::async_trait;
use axum::Router;
use axum::body::Bytes;
use axum::extract::rejection::BytesRejection;
use axum::extract::{OriginalUri, Path, State};
use axum::routing::post;
use http::{HeaderMap, Method, StatusCode};
use secrecy::SecretString;
use serde_json::Value;
use tracing::{debug, warn};

pub use event::EventKind;
use proof::{Request, Unproven};
use seen::Seen;

use crate::clock::Clock;
use crate::session::TenantId;
use crate::telemetry::Metrics;
use crate::timestamp::Timestamp;

/// Where the provider finds a registration, below the base URL.
const ROUTE: &str = "/webhooks/{registration}";

/// How often the log tells of requests that are refused: anybody can send them.
const REFUSALS_SAID: Duration = Duration::from_secs(60);

/// What a registration is called, in its path.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RegistrationName(String);

impl RegistrationName {
    /// Takes 1 to 64 lower-case letters, digits and hyphens.
    #[must_use]
    pub fn new(text: &str) -> Option<Self> {
        let allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        ((1..=64).contains(&text.len()) && text.bytes().all(allowed)).then(|| Self(text.to_owned()))
    }

    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Where the provider finds it, below the base URL.
    #[must_use]
    pub fn path(&self) -> String {
        ROUTE.replace("{registration}", &self.0)
    }
}

impl fmt::Display for RegistrationName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What the gateway knows of one registration at the provider.
#[derive(Clone, Debug)]
pub struct Registration {
    /// Unique over the gateway.
    pub name: RegistrationName,
    /// Whose sales unit it was made for.
    pub tenant: TenantId,
    /// What it tells of; everything else is ignored.
    pub events: BTreeSet<EventKind>,
    /// Each proves a request; none as long as it has not been made at the provider.
    pub secrets: Vec<SecretString>,
}

/// A proven event.
#[derive(Clone, Copy)]
pub struct Delivery<'d> {
    /// Through which registration it came.
    pub registration: &'d RegistrationName,
    /// Whose that is. A partner's registration may tell of other tenants' logins too.
    pub tenant: &'d TenantId,
    /// The body, JSON with the member that tells the event.
    pub body: &'d [u8],
}

/// What became of a proven event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Heard {
    /// It was taken: 200.
    Taken,
    /// There is nothing to be done about it, and will not be: 200.
    Ignored,
    /// A member is missing or unreadable: 400.
    Malformed,
    /// Not now; the provider shall send it again: 503.
    Unavailable,
}

/// Whoever is told of one kind of event.
#[async_trait]
pub trait Hear: Send + Sync {
    /// Deals with an event, or begins to, within a few seconds: the provider waits. The
    /// same event can come more than once, through another registration or replica.
    async fn hear(&self, delivery: Delivery<'_>) -> Heard;
}

/// See the module. Cheap to clone; all clones are one.
#[derive(Clone)]
pub struct Receiver(Arc<Shared>);

struct Shared {
    host: String,
    registrations: RwLock<Arc<Registrations>>,
    listeners: HashMap<EventKind, Arc<dyn Hear>>,
    seen: Seen,
    /// When the log has told last of a request that was refused.
    told: Mutex<Option<Timestamp>>,
    clock: Clock,
    metrics: Arc<Metrics>,
}

type Registrations = HashMap<String, Registration>;

/// Puts a [`Receiver`] together.
pub struct Builder(Shared);

impl Builder {
    /// Tells `listener` of every event of that kind. An event that nobody is told of is
    /// ignored.
    #[must_use]
    pub fn on(mut self, kind: EventKind, listener: Arc<dyn Hear>) -> Self {
        self.0.listeners.insert(kind, listener);
        self
    }

    /// The receiver.
    #[must_use]
    pub fn build(self) -> Receiver {
        Receiver(Arc::new(self.0))
    }
}

impl Receiver {
    /// A receiver without registrations, of what is sent to `host`: as a `Host` header
    /// has it, and as the provider signs it.
    #[must_use]
    pub fn builder(host: String, clock: Clock, metrics: Arc<Metrics>) -> Builder {
        let (registrations, listeners, seen) = (RwLock::default(), HashMap::new(), Seen::default());
        Builder(Shared { host, registrations, listeners, seen, told: Mutex::default(), clock, metrics })
    }

    /// Goes by these registrations from now on.
    pub fn go_by(&self, registrations: impl IntoIterator<Item = Registration>) {
        let named = |registration: Registration| {
            if registration.secrets.is_empty() {
                let webhook = registration.name.as_str();
                warn!(
                    webhook,
                    "a webhook has no secret yet, so nothing is proven; `ciba-gateway webhooks apply` registers it"
                );
            }
            (registration.name.0.clone(), registration)
        };
        let registrations: Registrations = registrations.into_iter().map(named).collect();
        *self.0.registrations.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(registrations);
    }

    /// The route that the public listener serves.
    pub fn routes(&self) -> Router {
        Router::new().route(ROUTE, post(receive)).with_state(self.clone())
    }

    async fn receive(&self, name: &str, request: Result<Request<'_>, Verdict>) -> StatusCode {
        let registrations = Arc::clone(&self.0.registrations.read().unwrap_or_else(PoisonError::into_inner));
        let registration = registrations.get(name);
        let mut kind = None;
        let verdict = match (request, registration) {
            (Err(verdict), _) => verdict,
            (Ok(_), None) => Verdict::UnknownRegistration,
            (Ok(request), Some(registration)) => self.judge(registration, request, &mut kind).await,
        };
        // What somebody made up is no label.
        let known = registration.map_or("none", |registration| registration.name.as_str());
        self.0.metrics.public().webhook_received(known, kind.map_or("none", EventKind::name), verdict.name());
        if !verdict.status().is_success() && self.may_tell() {
            warn!(registration = known, result = verdict.name(), "webhook requests are refused");
        }
        debug!(registration = known, result = verdict.name(), "a webhook request was answered");
        verdict.status()
    }

    fn may_tell(&self) -> bool {
        let (now, mut told) = (self.0.clock.now(), self.0.told.lock().unwrap_or_else(PoisonError::into_inner));
        let may_tell = told.is_none_or(|at| now >= at.plus(REFUSALS_SAID));
        if may_tell {
            *told = Some(now);
        }
        may_tell
    }

    /// In this order: nothing is read before it is proven.
    async fn judge(&self, registration: &Registration, request: Request<'_>, kind: &mut Option<EventKind>) -> Verdict {
        let Shared { host, listeners, seen, clock, .. } = &*self.0;
        let now = clock.now();
        let signature = match request.verify(host, &registration.secrets, now) {
            Ok(signature) => signature,
            Err(Unproven::Forged) => return Verdict::Forged,
            Err(Unproven::Stale) => return Verdict::Stale,
        };
        let Ok(Value::Object(body)) = serde_json::from_slice(request.body) else { return Verdict::Malformed };
        *kind = EventKind::of(&Value::Object(body));
        let Some(kind) = *kind else { return Verdict::UnknownEvent };
        let Some(listener) = listeners.get(&kind).filter(|_| registration.events.contains(&kind)) else {
            return Verdict::Ignored;
        };
        if !seen.is_new(signature, now) {
            return Verdict::Repeated;
        }
        let unheard = seen.unless_heard(signature);
        let delivery = Delivery { registration: &registration.name, tenant: &registration.tenant, body: request.body };
        let verdict = match listener.hear(delivery).await {
            Heard::Taken => Verdict::Taken,
            Heard::Ignored => Verdict::Ignored,
            Heard::Malformed => Verdict::Malformed,
            Heard::Unavailable => return Verdict::Unavailable,
        };
        unheard.was_heard();
        verdict
    }
}

async fn receive(
    State(receiver): State<Receiver>,
    Path(name): Path<String>,
    OriginalUri(uri): OriginalUri,
    method: Method,
    headers: HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> StatusCode {
    let path_and_query = uri.path_and_query().map_or("/", |path| path.as_str());
    let request = match &body {
        Ok(body) => Ok(Request { method: &method, path_and_query, headers: &headers, body }),
        Err(rejection) if rejection.status() == StatusCode::PAYLOAD_TOO_LARGE => Err(Verdict::TooLong),
        Err(_) => Err(Verdict::Broken),
    };
    receiver.receive(&name, request).await
}

/// What is made of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verdict {
    Taken,
    /// Proven, and of no use: of an event that this registration is not for, or that
    /// nobody hears of.
    Ignored,
    /// Proven, and here before.
    Repeated,
    /// Proven, and of an event that is not known: 200 too, or it would come again for days
    /// and hold up what comes after it.
    UnknownEvent,
    /// Proven, and no JSON or without what the event must have.
    Malformed,
    Forged,
    Stale,
    UnknownRegistration,
    TooLong,
    Broken,
    Unavailable,
}

impl Verdict {
    const fn status(self) -> StatusCode {
        match self {
            Self::Taken | Self::Ignored | Self::Repeated | Self::UnknownEvent => StatusCode::OK,
            Self::Malformed | Self::Broken => StatusCode::BAD_REQUEST,
            Self::Forged | Self::Stale => StatusCode::UNAUTHORIZED,
            Self::UnknownRegistration => StatusCode::NOT_FOUND,
            Self::TooLong => StatusCode::PAYLOAD_TOO_LARGE,
            Self::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
        }
    }

    const fn name(self) -> &'static str {
        match self {
            Self::Taken => "taken",
            Self::Ignored => "ignored",
            Self::Repeated => "repeated",
            Self::UnknownEvent => "unknown_event",
            Self::Malformed => "malformed",
            Self::Forged => "forged",
            Self::Stale => "stale",
            Self::UnknownRegistration => "unknown_registration",
            Self::TooLong => "too_long",
            Self::Broken => "broken",
            Self::Unavailable => "unavailable",
        }
    }
}
