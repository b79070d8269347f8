//! What is fixed when a simulator starts.

use url::Url;

use super::behaviour::Behaviour;
use super::checked_in::CheckInWebhook;
use super::keys::SigningKeys;
use super::open_points::OpenPoints;
use super::rates::Rates;

/// The set-up of one simulator. The default is the Vipps profile with one
/// demonstration client.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Who may call, one entry per sales unit.
    pub clients: Vec<ClientRegistration>,
    /// Who may call for sales units of several merchants.
    pub partners: Vec<PartnerRegistration>,
    /// How many protocol seconds pass in one real second. Values on the wire,
    /// such as `expires_in`, stay in protocol seconds.
    pub speed: f64,
    /// The `interval` of the start answer.
    pub interval_seconds: u64,
    /// Whether polls inside the interval are recorded as early and answered as
    /// the behaviour's `token.early` says.
    pub enforce_interval: bool,
    /// Lifetime of a login that asks for none.
    pub default_expiry_seconds: u64,
    /// Lifetime of an access token.
    pub access_token_seconds: u64,
    /// Above this many waiting logins of one number a further start gets a 429
    /// with `Retry-After`. Vipps has such a limit but publishes no number.
    pub max_waiting_per_number: Option<usize>,
    /// Where clients reach the simulator, when that is not the bound address.
    pub public_url: Option<Url>,
    /// What happens to numbers with no behaviour of their own.
    pub default_behaviour: Behaviour,
    /// What Vipps's documentation leaves open.
    pub open_points: OpenPoints,
    /// Faults that come at a rate.
    pub rates: Rates,
    /// Keys to sign with; generated at the start when `None`.
    pub signing_keys: Option<SigningKeys>,
    /// Where check-ins by a shop's QR code are told, besides the registrations for them.
    pub check_in_webhook: Option<CheckInWebhook>,
    /// How many received requests are remembered; the oldest go first.
    pub journal_capacity: usize,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            clients: vec![ClientRegistration::default()],
            partners: Vec::new(),
            speed: 1.0,
            interval_seconds: 5,
            enforce_interval: true,
            default_expiry_seconds: 600,
            access_token_seconds: 300,
            max_waiting_per_number: None,
            public_url: None,
            default_behaviour: Behaviour::default(),
            open_points: OpenPoints::default(),
            rates: Rates::default(),
            signing_keys: None,
            check_in_webhook: None,
            journal_capacity: 100_000,
        }
    }
}

/// One sales unit that may start logins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientRegistration {
    /// The client id.
    pub client_id: String,
    /// The client secret.
    pub client_secret: String,
    /// The name the phone shows.
    pub display_name: String,
    /// The sales unit's serial number (MSN).
    pub merchant_serial_number: String,
    /// The subscription key for the vendor's other APIs.
    pub subscription_key: String,
    /// The one way this client proves who it is, at every endpoint.
    pub auth_method: AuthMethod,
}

impl Default for ClientRegistration {
    fn default() -> Self {
        Self {
            client_id: "demo-client".to_owned(),
            client_secret: "demo-secret".to_owned(),
            display_name: "Nordlys Kundeservice".to_owned(),
            merchant_serial_number: "123456".to_owned(),
            subscription_key: "demo-subscription-key".to_owned(),
            auth_method: AuthMethod::Basic,
        }
    }
}

/// A partner with keys for the sales units of merchants.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PartnerRegistration {
    /// The partner's client id.
    pub client_id: String,
    /// The partner's client secret.
    pub client_secret: String,
    /// The partner's subscription key.
    pub subscription_key: String,
    /// Which sales units it may call for; each is one of the clients too.
    pub merchant_serial_numbers: Vec<String>,
    /// Whether it may ask if a number can log in, which Vipps does not say.
    pub may_check_numbers: bool,
}

/// How a client authenticates. Switched per sales unit in Vipps's business
/// portal and valid for all its logins (guide to merchant-initiated login).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum AuthMethod {
    /// `client_secret_basic`.
    #[default]
    Basic,
    /// `client_secret_post`.
    Post,
}
