//! The start of a login, and the question whether a number can log in.
//!
//! Checks follow CIBA §7.1 and the narrower rules of Vipps's guide to
//! merchant-initiated login; refusals follow CIBA §13.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use serde_json::{Map, Value, json};
use url::Url;

use super::behaviour::Behaviour;
use super::fault::{Fault, RetryAfter};
use super::form::Form;
use super::journal::{Endpoint, Reply};
use super::login::{Login, Progress, Redirect};
use super::msisdn::Msisdn;
use super::open_points::{CustomerToken, OpenPoints, SecondStart, Spelling, Unlicensed};
use super::qr::NoCustomer;
use super::settings::ClientRegistration;
use super::state::Shared;
use super::{answer, answer::OauthError, claims, partners, random, webhooks};

/// Seconds a client may ask for.
const EXPIRY_RANGE: std::ops::RangeInclusive<u64> = 60..=900;

/// What a valid start request asks for.
#[derive(Debug)]
struct Asked {
    phone: Msisdn,
    scopes: Vec<String>,
    binding_message: Option<String>,
    expiry: Option<u64>,
    /// The web page that it ends on.
    page: Option<Url>,
}

/// `POST /vipps-login-ciba/api/backchannel/authentication`
pub(super) async fn start(State(shared): State<Shared>, headers: HeaderMap, body: Bytes) -> Result<Reply, Reply> {
    let form = Form::parse(&headers, &body)?;
    let client = partners::caller(&shared, &headers, &form)?;
    if let Some(fault) = shared.due(Endpoint::Backchannel) {
        return Ok(Reply::new("fault", &fault));
    }
    let open = shared.look(|state| state.open_points.clone());
    let asked = Asked::read(&shared, client, &form, &open)?;
    let phone = asked.phone.clone();
    let behaviour = open.applied_to(&shared.look(|state| state.behaviour_of(&phone)));
    if open.second_start == SecondStart::CancelsFirst {
        let now = shared.now();
        shared.change(|state| state.logins.expire_all(&phone, now));
    }
    let (outcome, response) = begin(&shared, client, asked, &behaviour)?;
    shared.linger(behaviour.start.latency_ms).await;
    Ok(Reply::new(outcome, response).about(&phone))
}

fn begin(
    shared: &Shared,
    client: &ClientRegistration,
    asked: Asked,
    behaviour: &Arc<Behaviour>,
) -> Result<(&'static str, Response), OauthError> {
    let fault = behaviour.start.fault.as_ref();
    if let Some(refusal) = fault.filter(|fault| !fault.hides_success()) {
        return Ok(("fault", refusal.into_response()));
    }
    if is_crowded(shared, &asked.phone) {
        let busy = Fault::status(429, "too_many_requests").retry_after(RetryAfter::Seconds(30));
        return Ok(("busy", busy.into_response()));
    }
    let answer = acknowledge(shared, client, asked, Arc::clone(behaviour))?;
    Ok(match fault {
        Some(fault) => ("fault", fault.into_response()),
        None => ("started", answer),
    })
}

/// Vipps limits the logins that wait on one phone at the same time.
fn is_crowded(shared: &Shared, phone: &Msisdn) -> bool {
    let now = shared.now();
    let is_one_enough = shared.look(|state| state.open_points.second_start == SecondStart::Busy);
    let most = shared.settings().max_waiting_per_number;
    most.or_else(|| is_one_enough.then_some(1)).is_some_and(|most| {
        shared.look(|state| {
            let waiting = state.logins.waiting(now);
            waiting.iter().filter(|login| &login.phone == phone).count() >= most
        })
    })
}

/// Makes the phone ring and answers with CIBA §7.3.
fn acknowledge(
    shared: &Shared,
    client: &ClientRegistration,
    asked: Asked,
    behaviour: Arc<Behaviour>,
) -> Result<Response, OauthError> {
    let settings = shared.settings();
    let now = shared.now();
    let expiry = asked.expiry.unwrap_or(settings.default_expiry_seconds);
    let answer = behaviour.start.answer.clone();
    let redirect = match asked.page {
        Some(uri) => Some(Redirect { uri, code: random::token()? }),
        None => None,
    };
    let mut login = Login {
        handle: random::token()?,
        auth_req_id: random::token()?,
        client_id: client.client_id.clone(),
        phone: asked.phone,
        scopes: asked.scopes,
        binding_message: asked.binding_message,
        expires: now + Duration::from_secs(expiry),
        interval: Duration::from_secs(settings.interval_seconds),
        behaviour,
        redirect,
        progress: Progress::default(),
    };
    login.decide_by_script(now);
    let fields = [
        ("auth_req_id", json!(login.auth_req_id)),
        ("expires_in", json!(expiry)),
        ("interval", json!(settings.interval_seconds)),
    ];
    let fields = fields.map(|(name, value)| (name.to_owned(), value));
    let body = answer.render(Map::from_iter(fields));
    let login = with_announced_interval(login, &answer.set);
    webhooks::tell_of_expiry(shared, login.auth_req_id.clone(), login.client_id.clone(), login.expires - now);
    shared.change(|state| state.logins.insert(login, now));
    Ok(answer::json(StatusCode::OK, body))
}

/// An interval that a behaviour announces is also the one that is enforced.
fn with_announced_interval(mut login: Login, overridden: &Map<String, Value>) -> Login {
    if let Some(seconds) = overridden.get("interval").and_then(Value::as_u64) {
        login.interval = Duration::from_secs(seconds);
    }
    login
}

impl Asked {
    fn read(shared: &Shared, client: &ClientRegistration, form: &Form, open: &OpenPoints) -> Result<Self, Refused> {
        if form.get("request").is_some() || form.get("user_code").is_some() {
            return Err(OauthError::invalid_request("Signed requests and user codes are not supported").into());
        }
        Ok(Self {
            phone: phone(shared, client, form, open)?,
            scopes: scopes(form, open)?,
            binding_message: binding_message(form)
                .map_err(|error| instead(open.bad_binding_message.as_ref(), error))?,
            expiry: expiry(form).map_err(|error| instead(open.bad_requested_expiry.as_ref(), error))?,
            page: page(form)?,
        })
    }
}

/// How a start is refused: as the standard says, or as an open point has it.
enum Refused {
    Plainly(OauthError),
    As(Box<Fault>),
}

impl From<OauthError> for Refused {
    fn from(error: OauthError) -> Self {
        Self::Plainly(error)
    }
}

impl From<Refused> for Reply {
    fn from(refused: Refused) -> Self {
        match refused {
            Refused::Plainly(error) => error.into(),
            Refused::As(fault) => Self::new("fault", &*fault),
        }
    }
}

fn instead(fault: Option<&Fault>, error: OauthError) -> Refused {
    fault.map_or(Refused::Plainly(error), |fault| Refused::As(Box::new(fault.clone())))
}

/// Exactly one hint (CIBA §7.1), of the kind and for the countries Vipps takes.
fn phone(shared: &Shared, client: &ClientRegistration, form: &Form, open: &OpenPoints) -> Result<Msisdn, OauthError> {
    let others = ["login_hint_token", "id_token_hint"];
    if others.iter().any(|name| form.get(name).is_some()) {
        return Err(OauthError::invalid_request("Exactly one hint, login_hint, is accepted"));
    }
    let hint = form.get("login_hint").ok_or(OauthError::invalid_request("login_hint is missing"))?;
    let Some(token) = hint.strip_prefix("urn:customer-token:") else {
        return hinted(hint, open);
    };
    let may_check_in = match open.customer_token {
        CustomerToken::Accepted => true,
        CustomerToken::WithoutBindingMessage => form.get("binding_message").is_none(),
        CustomerToken::Refused => false,
    };
    if !may_check_in {
        return Err(OauthError::invalid_request("login_hint.value: a customer token is not accepted here"));
    }
    customer(shared, client, token)
}

/// A customer token stands for one person at one sales unit, for its time.
fn customer(shared: &Shared, client: &ClientRegistration, token: &str) -> Result<Msisdn, OauthError> {
    let now = shared.now();
    shared.look(|state| state.codes.customer(token, &client.client_id, now)).map_err(|nobody| match nobody {
        NoCustomer::Unknown => OauthError::invalid_request("login_hint.value: no such customer token"),
        NoCustomer::Expired => OauthError::bad("expired_login_hint_token", "The customer token has expired"),
    })
}

fn hinted(hint: &str, open: &OpenPoints) -> Result<Msisdn, OauthError> {
    // The hint of before September 2023: Norwegian, without country code.
    let old = hint.strip_prefix("urn:mobilenumber:").filter(|digits| open.mobile_number_hint && digits.len() == 8);
    let phone = match old {
        Some(digits) => Msisdn::parse(&format!("47{digits}")),
        None => Msisdn::from_hint(hint),
    };
    phone.ok_or(OauthError::invalid_request(
        "login_hint.value: must be urn:msisdn: and a number starting with 46, 45, 47, 358 or 299",
    ))
}

/// Scopes outside a sales unit's plan are dropped without a word; the retired
/// `nnin` is refused (guide to merchant-initiated login).
fn scopes(form: &Form, open: &OpenPoints) -> Result<Vec<String>, OauthError> {
    let asked: Vec<&str> =
        form.get("scope").ok_or(OauthError::invalid_request("scope is missing"))?.split_whitespace().collect();
    if !asked.contains(&"openid") {
        return Err(OauthError::bad("invalid_scope", "scope must contain openid"));
    }
    if asked.contains(&"nnin") {
        return Err(OauthError::bad("invalid_scope", "nnin is not supported"));
    }
    let is_unlicensed = |scope: &str| open.unlicensed_scopes.iter().any(|unlicensed| unlicensed == scope);
    if open.unlicensed == Unlicensed::Refused && asked.iter().any(|scope| is_unlicensed(scope)) {
        return Err(OauthError::bad("invalid_scope", "A scope is not granted to this sales unit"));
    }
    let mut granted: Vec<String> = Vec::new();
    for scope in asked.into_iter().filter(|scope| !is_unlicensed(scope)) {
        if claims::SCOPES.contains(&scope) && !granted.iter().any(|other| other == scope) {
            granted.push(scope.to_owned());
        }
    }
    Ok(granted)
}

/// Five to eight of A-Z, 0-9 and the hyphen.
fn binding_message(form: &Form) -> Result<Option<String>, OauthError> {
    let Some(message) = form.get("binding_message") else {
        return Ok(None);
    };
    let allowed = |byte: u8| byte.is_ascii_uppercase() || byte.is_ascii_digit() || byte == b'-';
    if (5..=8).contains(&message.len()) && message.bytes().all(allowed) {
        return Ok(Some(message.to_owned()));
    }
    Err(OauthError::bad("invalid_binding_message", "binding_message must be 5 to 8 of A-Z, 0-9 and hyphen"))
}

/// The page of a login that ends on one (guide to merchant-initiated login).
fn page(form: &Form) -> Result<Option<Url>, OauthError> {
    match (form.get("requested_flow"), form.get("redirect_uri")) {
        (None, _) => Ok(None),
        (Some("login_to_webpage"), Some(uri)) => {
            let uri = Url::parse(uri).ok().filter(|uri| uri.has_host() && uri.fragment().is_none());
            uri.map(Some).ok_or(OauthError::invalid_request("redirect_uri must be a URI without fragment"))
        }
        (Some("login_to_webpage"), None) => Err(OauthError::invalid_request("redirect_uri is missing")),
        (Some(_), _) => Err(OauthError::invalid_request("requested_flow is not supported")),
    }
}

fn expiry(form: &Form) -> Result<Option<u64>, OauthError> {
    form.get("requested_expiry")
        .map(|text| {
            text.parse()
                .ok()
                .filter(|seconds| EXPIRY_RANGE.contains(seconds))
                .ok_or(OauthError::invalid_request("requested_expiry must be 60 to 900 seconds"))
        })
        .transpose()
}

/// `POST /vipps-login-ciba/api/v1/user-exists`
///
/// Takes the parameter in both spellings: the guide has `login_hint`, the
/// OpenAPI document `loginHint`.
pub(super) async fn user_exists(State(shared): State<Shared>, headers: HeaderMap, body: Bytes) -> Result<Reply, Reply> {
    let form = Form::parse(&headers, &body)?;
    partners::caller_of_user_exists(&shared, &headers, &form)?;
    if let Some(fault) = shared.due(Endpoint::UserExists) {
        return Ok(Reply::new("fault", &fault));
    }
    let open = shared.look(|state| state.open_points.clone());
    let spelled = |name: &str, other: Spelling| form.get(name).filter(|_| open.user_exists_parameter != other);
    let hint = spelled("login_hint", Spelling::CamelCase)
        .or_else(|| spelled("loginHint", Spelling::LoginHint))
        .ok_or(OauthError::invalid_request("login_hint is missing"))?;
    let phone = hinted(hint, &open)?;
    let asked = shared.change(|state| {
        let asked = state.questions.entry(phone.clone()).or_default();
        *asked += 1;
        *asked
    });
    if open.user_exists_limit.is_some_and(|limit| asked > limit) {
        let busy = Fault::status(429, "too_many_requests").retry_after(RetryAfter::Seconds(30));
        return Ok(Reply::new("busy", &busy).about(&phone));
    }
    let behaviour = shared.look(|state| state.behaviour_of(&phone));
    let knobs = &behaviour.user_exists;
    let reply = match &knobs.fault {
        Some(fault) => Reply::new("fault", fault),
        None => {
            let body = json!({ "exists": knobs.exists && open.exists(behaviour.person) }).to_string();
            Reply::new("answered", answer::json(StatusCode::OK, body))
        }
    };
    Ok(reply.about(&phone))
}
