//! A faithful local Vipps MobilePay Login, as far as a login by phone number
//! goes: discovery, keys, start, token, userinfo, user-exists, revocation; and
//! the access token of the vendor's other APIs.
//!
//! It serves the demonstration, the tests of the gateway and integrators who
//! want to try every ending of a login without a phone. Vipps's own test
//! environment cannot approve a login by itself, so automated runs need a
//! stand-in. Where Vipps's documentation leaves an answer open, the default is
//! the likeliest one and a knob gives the others.
//!
//! What happens to a login is decided in this order: the [`Behaviour`] set for
//! its number, the [magic number](magic_numbers) it ends in, the default
//! behaviour. That default is a person at the phone page (`/phone`).
//!
//! It is not a login provider: clients, people and secrets are made up, there
//! is no TLS, nothing survives a restart, and its control API is open to
//! everyone who can reach it. Not simulated: of webhooks all but the pings of logins and
//! check-ins. A web page that a login ends on may be anywhere: which ones are registered
//! is not kept.
//!
//! The command line and tests call [`start`] or [`run`]; nothing else in the
//! gateway knows this module.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use url::Url;

mod answer;
mod backchannel;
mod behaviour;
mod checked_in;
mod claims;
mod clock;
mod consents;
mod control;
mod delivery;
mod discovery;
mod edit;
mod endpoints;
mod fault;
mod form;
mod id_token;
mod journal;
mod keys;
mod login;
mod logins;
mod magic;
mod msisdn;
mod open_points;
mod partners;
mod people;
mod phone_page;
mod platform;
mod qr;
mod random;
mod rates;
mod settings;
mod state;
#[cfg(test)]
mod tests;
mod token;
mod userinfo;
mod webhooks;

pub use behaviour::{
    Behaviour, Consents, EarlyPoll, OnDeny, Outcome, Person, RedirectKnobs, StartKnobs, TokenKnobs, UserExistsKnobs,
    UserinfoKnobs,
};
pub use checked_in::CheckInWebhook;
pub use consents::{Choices, Question};
pub use discovery::DiscoveryKnobs;
pub use edit::Edit;
pub use fault::{ErrorAnswer, Fault, RawAnswer, RetryAfter};
pub use id_token::{Alg, AtHash, Audience, IdTokenShape, Kid, RequestIdClaim, Signature};
pub use journal::{Endpoint, ReceivedRequest};
pub use keys::{KeyError, SigningKeys};
pub use magic::{MagicNumber, magic_numbers};
pub use open_points::{CustomerToken, Fields, OpenPoints, Place, SecondStart, Spelling, Unlicensed};
pub use phone_page::WaitingLogin;
pub use platform::PlatformKnobs;
pub use qr::{PersonalQrKind, QrKnobs, Scan};
pub use rates::{Rate, Rates};
pub use settings::{AuthMethod, ClientRegistration, PartnerRegistration, Settings};
pub use webhooks::{MOST_REGISTRATIONS, RegisteredWebhook, WebhookKnobs};

use login::Decision;
use msisdn::{Msisdn, digits_of};
use state::Shared;

use crate::webhooks::EventKind;

/// How long answers in progress may take after the shutdown signal.
const SHUTDOWN_GRACE: Duration = Duration::from_secs(2);

/// Serves until `shutdown`. See [`start`] for a handle to the running simulator.
pub async fn run(
    listener: TcpListener,
    settings: Settings,
    shutdown: impl Future<Output = ()> + Send + 'static,
) -> io::Result<()> {
    let (_, serving) = start(listener, settings, shutdown).await?;
    serving.await
}

/// Prepares a simulator on a bound listener: a handle to steer it by, and the
/// future that serves until `shutdown`.
///
/// Generates signing keys unless the settings bring some.
pub async fn start(
    listener: TcpListener,
    settings: Settings,
    shutdown: impl Future<Output = ()> + Send + 'static,
) -> io::Result<(Simulator, impl Future<Output = io::Result<()>> + Send + 'static)> {
    if !(settings.speed.is_finite() && settings.speed > 0.0) {
        let problem = "the simulator's speed must be a positive number";
        return Err(io::Error::new(io::ErrorKind::InvalidInput, problem));
    }
    let keys = match settings.signing_keys.clone() {
        Some(keys) => keys,
        None => tokio::task::spawn_blocking(SigningKeys::generate).await?.map_err(io::Error::other)?,
    };
    let base = base_url(&settings, listener.local_addr()?)?;
    let shared = Shared::new(settings, base, keys);
    let serving = serve(listener, shared.clone(), shutdown);
    Ok((Simulator { shared }, serving))
}

async fn serve(
    listener: TcpListener,
    shared: Shared,
    shutdown: impl Future<Output = ()> + Send + 'static,
) -> io::Result<()> {
    let stopping = CancellationToken::new();
    let serving = axum::serve(listener, endpoints::router(shared))
        .with_graceful_shutdown(stopping.clone().cancelled_owned())
        .into_future();
    let deadline = async {
        shutdown.await;
        stopping.cancel();
        tokio::time::sleep(SHUTDOWN_GRACE).await;
    };
    tokio::select! {
        result = serving => result,
        () = deadline => Ok(()),
    }
}

/// The address clients are told: the public one, else the bound one.
fn base_url(settings: &Settings, bound: SocketAddr) -> io::Result<Url> {
    if let Some(public) = &settings.public_url {
        return Ok(public.clone());
    }
    let ip = match bound.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => IpAddr::V4(Ipv4Addr::LOCALHOST),
        IpAddr::V6(ip) if ip.is_unspecified() => IpAddr::V6(Ipv6Addr::LOCALHOST),
        ip => ip,
    };
    let text = format!("http://{}", SocketAddr::new(ip, bound.port()));
    Url::parse(&text).map_err(io::Error::other)
}

/// A handle to a running simulator: the hands of a test. Cheap to clone.
///
/// Phone numbers may be written with `+` and spaces.
#[derive(Debug, Clone)]
pub struct Simulator {
    shared: Shared,
}

impl Simulator {
    /// Where the simulator is reached.
    pub fn base_url(&self) -> Url {
        self.shared.base().clone()
    }

    /// The issuer identifier, with the slash at its end.
    pub fn issuer(&self) -> Url {
        self.shared.at(endpoints::ISSUER)
    }

    /// Sets what happens to the next logins of a number.
    pub fn set_behaviour(&self, msisdn: &str, behaviour: Behaviour) {
        let digits = digits_of(msisdn);
        self.shared.change(|state| state.behaviours.insert(digits, Arc::new(behaviour)));
    }

    /// Takes back [`set_behaviour`](Self::set_behaviour).
    pub fn clear_behaviour(&self, msisdn: &str) {
        let digits = digits_of(msisdn);
        self.shared.change(|state| state.behaviours.remove(&digits));
    }

    /// Sets what happens to the next logins of numbers that are neither magic
    /// nor set by themselves.
    pub fn set_default_behaviour(&self, behaviour: Behaviour) {
        self.shared.change(|state| state.default_behaviour = Arc::new(behaviour));
    }

    /// Sets what the discovery document and the key set say.
    pub fn set_discovery(&self, knobs: DiscoveryKnobs) {
        self.shared.change(|state| state.discovery = knobs);
    }

    /// Sets what the platform's token endpoint says.
    pub fn set_platform(&self, knobs: PlatformKnobs) {
        self.shared.change(|state| state.platform = knobs);
    }

    /// Sets when pings are sent, and what becomes of them and of check-ins.
    pub fn set_webhooks(&self, knobs: WebhookKnobs) {
        self.shared.change(|state| state.webhook_knobs = knobs);
    }

    /// Registers a webhook of that client for pings, past the API: with a secret of the
    /// caller's.
    pub fn register_webhook(&self, client_id: &str, url: Url, secret: &str) {
        self.register_webhook_for(EventKind::LoginPing, client_id, url, secret);
    }

    /// As [`register_webhook`](Self::register_webhook), for that event.
    pub fn register_webhook_for(&self, event: EventKind, client_id: &str, url: Url, secret: &str) {
        let registered = RegisteredWebhook::by_hand(client_id, event, url, secret);
        self.shared.change(|state| state.webhooks.push(registered));
    }

    /// The registrations that there are.
    pub fn webhooks(&self) -> Vec<RegisteredWebhook> {
        self.shared.look(|state| state.webhooks.clone())
    }

    /// How each attempt to deliver a ping or a check-in was answered, so far; 0 for not at all.
    pub fn deliveries(&self) -> Vec<u16> {
        self.shared.look(|state| state.deliveries.clone())
    }

    /// Sets what the QR API says.
    pub fn set_qr(&self, knobs: QrKnobs) {
        self.shared.change(|state| state.codes.knobs = knobs);
    }

    /// Somebody scans a shop's code, by its content or its id; the webhook is not sent.
    /// `None` when there is no such code or number.
    pub fn scan(&self, msisdn: &str, code: &str) -> Option<Scan> {
        qr::scan(&self.shared, msisdn, code)
    }

    /// Sends the webhook about a scan, once more each time: to the registrations of the
    /// code's sales unit for `user.checked-in.v1`, and to the address that was set. The
    /// status of the answer, of several the first that is not 2xx; `None` when there is
    /// nobody to tell or no answer.
    pub async fn tell(&self, scan: &Scan) -> Option<u16> {
        checked_in::tell(&self.shared, scan).await
    }

    /// Tells check-ins there too from now on, whatever is registered.
    pub fn set_check_in_webhook(&self, webhook: Option<CheckInWebhook>) {
        self.shared.change(|state| state.check_in_webhook = webhook);
    }

    /// The text of a person's own code; `None` for a number Vipps would not take.
    pub fn personal_qr(&self, msisdn: &str, kind: PersonalQrKind) -> Option<String> {
        qr::personal_qr(&self.shared, msisdn, kind)
    }

    /// Takes back every platform token: from now on each is refused.
    pub fn forget_platform_tokens(&self) {
        self.shared.change(|state| state.platform_access.clear());
    }

    /// Approves every login that waits on this phone; says how many there were.
    pub fn approve(&self, msisdn: &str) -> usize {
        self.decide(msisdn, Decision::Approved)
    }

    /// As [`approve`](Self::approve), with what the person ticks.
    pub fn approve_with(&self, msisdn: &str, choices: &Choices) -> usize {
        let (now, digits) = (self.shared.now(), digits_of(msisdn));
        self.shared.change(|state| state.logins.approve_all(&digits, choices, now))
    }

    /// The person takes back every consent, at every sales unit; says for how many
    /// scopes there was one.
    pub fn revoke_consents(&self, msisdn: &str) -> usize {
        let digits = digits_of(msisdn);
        self.shared.change(|state| state.consents.revoke(&digits))
    }

    /// Sets what Vipps's documentation leaves open.
    pub fn set_open_points(&self, points: OpenPoints) {
        self.shared.change(|state| state.open_points = points);
    }

    /// Sets which faults come at a rate.
    pub fn set_rates(&self, rates: Rates) {
        self.shared.change(|state| state.rates = rates);
    }

    /// Refuses every login that waits on this phone; says how many there were.
    pub fn deny(&self, msisdn: &str) -> usize {
        self.decide(msisdn, Decision::Denied)
    }

    fn decide(&self, msisdn: &str, decision: Decision) -> usize {
        let now = self.shared.now();
        let digits = digits_of(msisdn);
        self.shared.change(|state| state.logins.decide_all(&digits, decision, now))
    }

    /// Where the phone's browser was sent, if the newest login of the number that was
    /// decided ends on a web page.
    pub fn landing(&self, msisdn: &str) -> Option<Url> {
        let digits = digits_of(msisdn);
        self.shared.look(|state| state.logins.landing_of(&digits))
    }

    /// What the phones show at the moment.
    pub fn waiting(&self) -> Vec<WaitingLogin> {
        phone_page::waiting(&self.shared, None)
    }

    /// The `sub` that a number has at a client, or `None` for a number Vipps
    /// would not take.
    pub fn subject(&self, client_id: &str, msisdn: &str) -> Option<String> {
        let phone = Msisdn::parse(&digits_of(msisdn))?;
        Some(people::subject(client_id, &phone))
    }

    /// Everything received so far, oldest first.
    pub fn requests(&self) -> Vec<ReceivedRequest> {
        self.shared.look(|state| state.journal.entries().cloned().collect())
    }

    /// Waits for a request, past or future, in the state the predicate asks for.
    /// It is seen once when it arrives and again when it is answered.
    pub async fn wait_for_request(&self, mut predicate: impl FnMut(&ReceivedRequest) -> bool) -> ReceivedRequest {
        self.shared
            .wait_for(|state| {
                let mut entries = state.journal.entries();
                entries.find(|entry| predicate(entry)).cloned()
            })
            .await
    }

    /// Protocol time since the start: the scale of a request's `arrived_ms`.
    pub fn now(&self) -> Duration {
        self.shared.now()
    }

    /// Lets protocol time jump ahead: logins and access tokens age.
    pub fn advance(&self, by: Duration) {
        self.shared.clock().advance(by);
    }

    /// Signs with new keys from now on. The old ones stay published when
    /// `keep_old`, else every older one vanishes from the key set.
    pub async fn rotate_keys(&self, keep_old: bool) -> Result<(), KeyError> {
        self.shared.rotate_keys(keep_old).await
    }

    /// Forgets logins, tokens, requests, consents and all behaviours and discovery
    /// knobs; open points and rates are as at the start.
    /// Keys, clients and the clock stay.
    pub fn reset(&self) {
        self.shared.reset();
    }
}
