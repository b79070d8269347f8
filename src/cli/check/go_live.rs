//! `check --go-live`: Vipps's checklist for merchant-initiated login, point by point.
//!
//! Each point is met, not met, or cannot be seen from here, with what to do. Where the
//! provider is asked, no phone rings: a start is sent that cannot be one, and
//! user-exists is asked about a number that the operator names.
//!
//! Source: the vendor's "Login API checklist" (October 2025) and its page on
//! merchant-initiated login.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use super::Report;
use crate::ciba::{CheckAnswer, Refusal, StartAnswer};
use crate::clock::Clock;
use crate::config::{self, CallGroup, Config};
use crate::gateway;
use crate::identity::Claim;
use crate::phone::PhoneNumber;
use crate::provider::Operated;
use crate::telemetry::Metrics;

/// The provider's two environments.
const PRODUCTION: &str = "https://api.vipps.no/access-management-1.0/access/";
const TEST: &str = "https://apitest.vipps.no/access-management-1.0/access/";

const PARTNER: config::Profile = config::Profile::Vipps { keys: config::ProviderKeys::Partner };

/// The longest window that can be set.
const LONGEST_WINDOW: Duration = Duration::from_secs(600);

/// How a point stands, and what to do or why it is met.
enum Point {
    Met(String),
    NotMet(String),
    Unseen(String),
}

use Point::{Met, NotMet, Unseen};

impl Report {
    /// The whole list for one tenant. `number` is asked about with user-exists.
    pub(super) async fn go_live(&mut self, config: &Config, tenant: &config::Tenant, number: Option<&str>) {
        if matches!(tenant.provider.profile, config::Profile::Generic { .. }) {
            let what = tenant.id.to_string();
            return self.note(&what, "go-live: the list is Vipps's, and this tenant logs in at another provider");
        }
        self.terminal.line(format!("\nGo-live checklist of Vipps for {}:", tenant.id));
        let vipps = gateway::provider(tenant, &Clock::system(), &Arc::new(Metrics::new())).ok();
        let mut points = vec![("environment", environment(tenant))];
        if let Some(vipps) = &vipps {
            points.extend(endpoints(tenant, &**vipps, number).await);
        }
        points.extend(settings(config, tenant));
        points.extend(outside());
        for (what, point) in points {
            match point {
                Met(text) => self.good(what, &format!("met: {text}")),
                NotMet(text) => self.bad(what, &format!("not met: {text}")),
                Unseen(text) => self.unseen(what, &format!("cannot be seen from here: {text}")),
            }
        }
    }
}

fn environment(tenant: &config::Tenant) -> Point {
    let provider = &tenant.provider;
    if provider.allow_insecure_hosts || !provider.additional_hosts.is_empty() {
        return NotMet("take allow_insecure_hosts and additional_hosts out; Vipps's hosts need neither".into());
    }
    match provider.issuer.as_str() {
        PRODUCTION => Met("production".into()),
        TEST => NotMet(format!("this is the test environment; set issuer = \"{PRODUCTION}\" and the production keys")),
        _ => NotMet(format!("the issuer is none of Vipps's; set issuer = \"{PRODUCTION}\", with the slash at its end")),
    }
}

async fn endpoints(tenant: &config::Tenant, vipps: &dyn Operated, number: Option<&str>) -> Vec<(&'static str, Point)> {
    let documents = match vipps.check().await {
        Ok(()) => Met("discovery and signing keys are read from Vipps and kept as long as it says".into()),
        Err(problem) => return vec![("discovery, keys", NotMet(problem.to_string()))],
    };
    vec![
        ("discovery, keys", documents),
        ("token, CIBA", started(vipps.try_start().await)),
        ("user-exists", user_exists(tenant, vipps, number).await),
    ]
}

/// What Vipps says of a start that cannot be one.
fn started(answer: StartAnswer) -> Point {
    match answer {
        StartAnswer::Refused(Refusal::InvalidRequest) => {
            Met("credentials are taken, and a wrong number is refused as that; no phone rang".into())
        }
        StartAnswer::CredentialsRefused => NotMet(
            "the credentials are refused; check client_id, client_secret, authentication, and that Login is on".into(),
        ),
        StartAnswer::Refused(Refusal::UnauthorizedClient) => {
            NotMet("the sales unit may not start logins by number; have Vipps turn merchant-initiated login on".into())
        }
        other => Unseen(format!("the answer is none that we know ({}); try a login by hand", name(&other))),
    }
}

const fn name(answer: &StartAnswer) -> &'static str {
    match answer {
        StartAnswer::Accepted(_) => "accepted",
        StartAnswer::Refused(_) => "refused for another reason",
        StartAnswer::Busy { .. } => "busy",
        StartAnswer::CredentialsRefused => "credentials refused",
        StartAnswer::NotSent => "not reached",
        StartAnswer::Unclear(_) => "unclear",
    }
}

async fn user_exists(tenant: &config::Tenant, vipps: &dyn Operated, number: Option<&str>) -> Point {
    let may_check =
        |client: &config::Client| client.calls.as_ref().is_none_or(|calls| calls.contains(&CallGroup::Check));
    if !tenant.clients.iter().any(may_check) {
        return NotMet("Vipps wants it used before each start: add \"check\" to the calls of a client".into());
    }
    let Some(number) = number else {
        return Unseen("call again with --test-number and the number of a test user".into());
    };
    let Ok(phone) = PhoneNumber::parse(number, tenant.default_country) else {
        return NotMet("--test-number is no number of Norway, Sweden, Denmark, Finland or Greenland".into());
    };
    match vipps.user_exists(&phone).await {
        CheckAnswer::Usable(true) => Met("answers yes for --test-number; your system calls CheckPhone".into()),
        CheckAnswer::Usable(false) => Unseen("answers no for --test-number; is it a test user of this market?".into()),
        CheckAnswer::NotOffered if tenant.provider.profile == PARTNER => {
            Unseen("Vipps does not let these partner keys ask; a merchant's own keys would".into())
        }
        CheckAnswer::NotOffered => NotMet("Vipps has no such endpoint here; tell us".into()),
        CheckAnswer::Busy { .. } => Unseen("too many questions about this number; try again later".into()),
        CheckAnswer::CredentialsRefused => NotMet("the credentials are refused".into()),
        CheckAnswer::Refused(_) | CheckAnswer::Unavailable => Unseen("no usable answer; try again later".into()),
    }
}

fn settings(config: &Config, tenant: &config::Tenant) -> Vec<(&'static str, Point)> {
    let claims = all_claims(tenant);
    let names: Vec<_> = claims.iter().map(|claim| claim.name()).collect();
    let scopes =
        Unseen(format!("asked for are {}; take out what is not used, and have the rest granted", names.join(", ")));
    let mut points = vec![
        (
            "flow, channel",
            Met("only call centres, tills and TV boxes can start a login here, and none by web or app".into()),
        ),
        ("scopes", scopes),
        ("system headers", headers(tenant)),
        ("serial number", serial_number(tenant)),
        ("errors", Met("each failed call and login is logged; agent_text says it to staff in five languages".into())),
        (
            "support staff",
            match &config.audit {
                Some(_) => Met("the audit log says who asked whom and what came of it".into()),
                None => NotMet("support cannot look a login up: turn [audit] on".into()),
            },
        ),
    ];
    if claims.contains(&Claim::Nin) || tenant.national_id_ground.is_some() {
        points
            .push(("national id", Unseen("Vipps gives it to approved sales units alone; have yours approved".into())));
    }
    if claims.contains(&Claim::DelegatedConsents) || claims.contains(&Claim::CustomFlow) {
        points.push(("consents", consents(config)));
    }
    points
}

fn all_claims(tenant: &config::Tenant) -> BTreeSet<Claim> {
    let of_purposes = tenant.purposes.iter().flat_map(|purpose| &purpose.claims);
    tenant.default_claims.iter().chain(&tenant.required_claims).chain(of_purposes).copied().collect()
}

fn headers(tenant: &config::Tenant) -> Point {
    let systems = &tenant.provider.systems;
    match (&systems.plugin_name, &systems.plugin_version) {
        (Some(_), None) | (None, Some(_)) => NotMet("plugin_name and plugin_version go together; set both".into()),
        _ if systems.name == env!("CARGO_PKG_NAME") => {
            Met("Vipps-System-Name and -Version name this gateway; partners set system_name and system_version".into())
        }
        _ => Met(format!("Vipps-System-Name is {}, -Version {}", systems.name, systems.version)),
    }
}

fn serial_number(tenant: &config::Tenant) -> Point {
    match tenant.provider.merchant_serial_number {
        Some(_) => Met("Merchant-Serial-Number is sent along".into()),
        None => NotMet("set merchant_serial_number: Vipps asks everybody to send it, for finding faults".into()),
    }
}

fn consents(config: &Config) -> Point {
    if config.identity_window == LONGEST_WINDOW {
        return Met("told once by Vipps, and readable here for ten minutes".into());
    }
    NotMet(
        "Vipps tells consents once: set identity.window = \"10m\", so that a system that was away still reads them"
            .into(),
    )
}

/// What is the operator's own system's or the sales unit's.
fn outside() -> Vec<(&'static str, Point)> {
    [
        (
            "redirect URIs",
            "where a login ends on a web page: each one https, and on the sales unit's list to the letter",
        ),
        ("account linking", "link by sub; else by phone number and mail, with a look at the name"),
        (
            "design, texts",
            "button and words as in Vipps's design guidelines; the sales unit's text chosen in the portal",
        ),
        ("customers", "what customers see of an error is your screens'; agent_text says it to staff"),
        (
            "proof",
            "send a video with one success and one login that the person rejects, and requests under a month old: \
            `ciba-gateway login NUMBER --channel point-of-sale`, approved once and rejected once",
        ),
    ]
    .map(|(what, text)| (what, Unseen(text.into())))
    .into()
}
