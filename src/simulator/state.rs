//! What one simulator remembers, behind one lock, with a wake-up for waiters.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::watch;
use tokio_util::task::TaskTracker;
use url::Url;

use super::behaviour::Behaviour;
use super::checked_in::CheckInWebhook;
use super::clock::Clock;
use super::consents::{Memory, Told};
use super::discovery::DiscoveryKnobs;
use super::fault::Fault;
use super::journal::{Endpoint, Journal};
use super::keys::{KeyError, KeyRing, SigningKeys};
use super::logins::Logins;
use super::magic;
use super::msisdn::Msisdn;
use super::open_points::OpenPoints;
use super::platform::{PlatformAccess, PlatformKnobs};
use super::qr::Codes;
use super::rates::Rates;
use super::settings::Settings;
use super::webhooks::{self, RegisteredWebhook, WebhookKnobs};

/// How often, in tokens, expired ones are looked for.
const SWEEP_EVERY: usize = 1024;

/// Shared by all handlers and all handles. Cheap to clone.
#[derive(Clone)]
pub(super) struct Shared(Arc<Inner>);

struct Inner {
    settings: Settings,
    base: Url,
    clock: Clock,
    state: Mutex<State>,
    changed: watch::Sender<()>,
    tasks: TaskTracker,
}

/// Everything that changes.
#[derive(Debug)]
pub(super) struct State {
    pub(super) keys: KeyRing,
    pub(super) discovery: DiscoveryKnobs,
    pub(super) default_behaviour: Arc<Behaviour>,
    pub(super) behaviours: HashMap<String, Arc<Behaviour>>,
    pub(super) logins: Logins,
    pub(super) access: HashMap<String, Access>,
    pub(super) platform: PlatformKnobs,
    pub(super) platform_access: HashMap<String, PlatformAccess>,
    pub(super) codes: Codes,
    pub(super) check_in_webhook: Option<CheckInWebhook>,
    pub(super) journal: Journal,
    pub(super) webhooks: Vec<RegisteredWebhook>,
    pub(super) webhook_knobs: WebhookKnobs,
    /// The status of each delivery; 0 where nobody has answered.
    pub(super) deliveries: Vec<u16>,
    pub(super) consents: Memory,
    pub(super) open_points: OpenPoints,
    pub(super) rates: Rates,
    /// How often user-exists was asked about a number.
    pub(super) questions: HashMap<Msisdn, u64>,
}

/// What an access token opens.
#[derive(Debug, Clone)]
pub(super) struct Access {
    pub(super) client_id: String,
    pub(super) phone: Msisdn,
    pub(super) scopes: Vec<String>,
    pub(super) behaviour: Arc<Behaviour>,
    /// Consents of this login, however often they are read.
    pub(super) told: Told,
    pub(super) expires: Duration,
    /// Userinfo requests made with it.
    pub(super) reads: usize,
}

impl State {
    /// What a number does: its own setting, else its magic, else the default.
    pub(super) fn behaviour_of(&self, phone: &Msisdn) -> Arc<Behaviour> {
        if let Some(own) = self.behaviours.get(phone.as_str()) {
            return Arc::clone(own);
        }
        magic::behaviour_of(phone).map(Arc::new).unwrap_or_else(|| Arc::clone(&self.default_behaviour))
    }

    /// Remembers a new access token; forgets expired ones now and then.
    pub(super) fn grant(&mut self, token: String, access: Access, now: Duration) {
        if self.access.len() % SWEEP_EVERY == SWEEP_EVERY - 1 {
            self.access.retain(|_, old| now < old.expires);
        }
        self.access.insert(token, access);
    }

    /// Forgets logins, tokens, requests and every knob; keeps keys and clients.
    fn reset(&mut self, settings: &Settings) {
        self.discovery = DiscoveryKnobs::default();
        self.default_behaviour = Arc::new(settings.default_behaviour.clone());
        self.open_points = settings.open_points.clone();
        self.rates = settings.rates.clone();
        self.consents.clear();
        self.questions.clear();
        self.behaviours.clear();
        self.logins.clear();
        self.access.clear();
        self.platform = PlatformKnobs::default();
        self.platform_access.clear();
        self.codes.clear();
        self.journal.clear();
        self.webhook_knobs = WebhookKnobs::default();
        self.deliveries.clear();
    }
}

/// Says which simulator it is, not what it knows: a handle that ends up in a
/// log must not take secrets and numbers there.
impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shared").field("base", &self.0.base.as_str()).finish_non_exhaustive()
    }
}

impl Shared {
    pub(super) fn new(settings: Settings, base: Url, keys: SigningKeys) -> Self {
        let state = State {
            keys: KeyRing::new(keys),
            discovery: DiscoveryKnobs::default(),
            default_behaviour: Arc::new(settings.default_behaviour.clone()),
            behaviours: HashMap::new(),
            logins: Logins::default(),
            access: HashMap::new(),
            platform: PlatformKnobs::default(),
            platform_access: HashMap::new(),
            codes: Codes::default(),
            check_in_webhook: settings.check_in_webhook.clone(),
            journal: Journal::new(settings.journal_capacity),
            webhooks: Vec::new(),
            webhook_knobs: WebhookKnobs::default(),
            deliveries: Vec::new(),
            consents: Memory::default(),
            open_points: settings.open_points.clone(),
            rates: settings.rates.clone(),
            questions: HashMap::new(),
        };
        Self(Arc::new(Inner {
            clock: Clock::new(settings.speed),
            settings,
            base,
            state: Mutex::new(state),
            changed: watch::Sender::new(()),
            tasks: TaskTracker::new(),
        }))
    }

    pub(super) fn settings(&self) -> &Settings {
        &self.0.settings
    }

    pub(super) fn base(&self) -> &Url {
        &self.0.base
    }

    /// The address of a path at this simulator.
    pub(super) fn at(&self, path: &str) -> Url {
        let mut url = self.0.base.clone();
        let prefix = url.path().trim_end_matches('/').to_owned();
        url.set_path(&format!("{prefix}{path}"));
        url
    }

    pub(super) fn now(&self) -> Duration {
        self.0.clock.now()
    }

    pub(super) fn clock(&self) -> &Clock {
        &self.0.clock
    }

    /// What goes on by itself.
    pub(super) fn tasks(&self) -> &TaskTracker {
        &self.0.tasks
    }

    /// A delay given as a knob.
    pub(super) async fn linger(&self, protocol_ms: u64) {
        self.0.clock.sleep(Duration::from_millis(protocol_ms)).await;
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Reads the state.
    pub(super) fn look<T>(&self, read: impl FnOnce(&State) -> T) -> T {
        read(&self.lock())
    }

    /// Changes the state and wakes everyone in [`Shared::wait_for`].
    pub(super) fn change<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        let mut state = self.lock();
        let result = change(&mut state);
        let ended = state.logins.take_ended();
        drop(state);
        self.0.changed.send_replace(());
        webhooks::tell(self, ended);
        result
    }

    /// The fault that is due at this endpoint, whoever it is about.
    pub(super) fn due(&self, endpoint: Endpoint) -> Option<Fault> {
        self.lock().rates.next(endpoint)
    }

    /// Waits until `find` finds something, now or after a change.
    pub(super) async fn wait_for<T>(&self, mut find: impl FnMut(&State) -> Option<T>) -> T {
        let mut changes = self.0.changed.subscribe();
        loop {
            changes.borrow_and_update();
            if let Some(found) = self.look(&mut find) {
                return found;
            }
            if changes.changed().await.is_err() {
                // Cannot happen while `self` holds the sender.
                std::future::pending::<()>().await;
            }
        }
    }

    pub(super) fn reset(&self) {
        self.change(|state| state.reset(&self.0.settings));
    }

    /// Makes new keys off the async threads and signs with them from now on.
    pub(super) async fn rotate_keys(&self, keep_old: bool) -> Result<(), KeyError> {
        let next = tokio::task::spawn_blocking(SigningKeys::generate).await??;
        self.change(|state| state.keys.rotate(next, keep_old));
        Ok(())
    }
}
