//! Logins that end on a page: the phone's browser lands with a code, or with an error.
//!
//! Neither says whose it is, and anybody can open a landing's address. A code is
//! exchanged at once, and what comes for it is verified before anything else is done
//! with it, because only the ID token says which login it is of. Then it is written, and
//! whoever owns the login goes on as after a poll. What fits no login logs nobody in: it
//! is revoked, noted and counted. An error ends a login only by the word of the client
//! that has it. Called by `grpc` (the tenant's page) and `http` (our own).

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;
use tracing::{Instrument, debug, info_span, warn};

use super::door::Bearer;
use super::{Caller, Error, LoginView, Logins, Tenant};
use crate::audit::{Entry, What};
use crate::ciba::{AuthReqId, PollAnswer, RedirectCode, RedirectError, Tokens};
use crate::language::Language;
use crate::ledger::Applied;
use crate::provider::{IdentifyError, Provider};
use crate::session::{End, Event, LoginId, Phase, RedirectUri, State, TenantId};
use crate::store::Record;

/// What came for a code is nowhere else: so long the store and the provider's keys are
/// waited for.
const PATIENCE: Duration = Duration::from_secs(5);
const RETRY: Duration = Duration::from_millis(250);
/// So long whoever landed waits for what becomes of the login.
const OUTCOME_WAIT: Duration = Duration::from_secs(4);

/// The pages that a tenant's logins may end on.
#[derive(Clone, Debug, Default)]
pub struct Pages {
    /// The tenant's own, as the provider knows them.
    pub own: Vec<RedirectUri>,
    /// The gateway's for this tenant, where it has one.
    pub gateways: Option<RedirectUri>,
}

impl Pages {
    /// Whether it is one of them, character for character.
    #[must_use]
    pub fn has(&self, uri: &str) -> bool {
        self.own.iter().chain(&self.gateways).any(|page| page.as_str() == uri)
    }
}

/// What the phone's browser brought to a page.
#[derive(Clone, Debug)]
pub enum Landed {
    /// The person said yes.
    With(RedirectCode),
    /// It is over without a yes.
    Without(RedirectError),
}

/// What a tenant's page hands over.
#[derive(Clone, Debug)]
pub struct CompleteRedirect {
    /// What was brought.
    pub landed: Landed,
    /// The login that the page believes it is about.
    pub login: Option<LoginId>,
}

/// What became of it.
#[derive(Clone, Debug)]
pub struct Completion {
    /// Whether it has done something to a login: the person has been taken at their word.
    pub completed: bool,
    /// That login as the caller may see it.
    pub login: Option<LoginView>,
}

/// What the page on the phone says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Landing {
    /// It is done. Whether it is enough for the login is not the phone's to know.
    Done,
    /// It did not work, for whatever reason.
    Failed,
    /// The code has been used, or is too old.
    Used,
    /// There is no room, or the provider cannot be asked: again in a moment.
    Busy,
}

impl Logins {
    /// What the tenant's page was given; see `CompleteRedirect` in the API.
    ///
    /// # Errors
    /// When nobody was logged in by it, and why.
    pub async fn complete_redirect(&self, caller: &Caller, request: CompleteRedirect) -> Result<Completion, Error> {
        let _place = self.call()?;
        match request.landed {
            Landed::With(code) => {
                let tenant = self.tenant(caller)?;
                let landed = self.land(tenant, code, request.login, Some(caller.clone())).await?;
                let record = self.outcome(landed).await;
                Ok(Completion { completed: true, login: Some(self.view(caller, &record)) })
            }
            Landed::Without(error) => match request.login {
                Some(login) => self.land_without(caller, &login, error).await,
                // Whose it was cannot be told.
                None => {
                    self.count("error");
                    Ok(Completion { completed: false, login: None })
                }
            },
        }
    }

    /// What the gateway's own page of a tenant was given; `None` when there is no such
    /// tenant.
    pub async fn landing(&self, tenant: &TenantId, landed: Option<Landed>) -> Option<Landing> {
        let tenant = Arc::clone(self.rules().tenants.get(tenant)?);
        let code = match landed {
            Some(Landed::With(code)) => code,
            Some(Landed::Without(error)) => {
                // Anybody can say so, as often as they like: counted, and in no log of a usual level.
                debug!(tenant = %tenant.id, error = error.name(), "a phone landed without a code");
                self.count("error");
                return Some(Landing::Failed);
            }
            None => return Some(Landing::Failed),
        };
        let landing = match self.land(tenant, code, None, None).await {
            Ok(landed) => match self.outcome(landed).await.session.moment().phase {
                Phase::Ended { how: End::Approved, .. } | Phase::Redeemed | Phase::AwaitingCode => Landing::Done,
                Phase::Ended { .. } | Phase::Starting | Phase::Pending => Landing::Failed,
            },
            Err(Error::RedirectCodeRefused) => Landing::Used,
            Err(Error::Overloaded(_) | Error::ProviderUnavailable) => Landing::Busy,
            Err(_) => Landing::Failed,
        };
        Some(landing)
    }

    /// What a tenant is called, and what its people are spoken to in.
    #[must_use]
    pub fn title_of(&self, tenant: &TenantId) -> Option<(String, Language)> {
        let rules = self.rules();
        rules.tenants.get(tenant).map(|tenant| (tenant.name.clone(), tenant.default_language))
    }

    /// The login that has taken what came for the code. In a task of its own: a phone
    /// that hangs up does not lose it.
    async fn land(
        &self,
        tenant: Arc<Tenant>,
        code: RedirectCode,
        believed: Option<LoginId>,
        caller: Option<Caller>,
    ) -> Result<Arc<Record>, Error> {
        let span = info_span!(parent: None, "landing", tenant = %tenant.id);
        let attempt = Attempt { logins: self.clone(), tenant, believed, caller };
        let task = self.0.tasks.spawn(attempt.run(code).instrument(span));
        task.await.unwrap_or_else(|_| {
            self.0.ledger.metrics().panicked("landing");
            Err(Error::Internal("the landing was broken off"))
        })
    }

    /// The login once it is known who it was, or as it stands after a while.
    async fn outcome(&self, landed: Arc<Record>) -> Arc<Record> {
        let (until, ledger) = (Instant::now() + OUTCOME_WAIT, &self.0.ledger);
        let mut subscription = ledger.subscribe_after(&landed);
        let mut newest = landed;
        // It may have gone on before it was subscribed to.
        let (tenant, login) = (&newest.session.terms.tenant, &newest.session.id);
        if let Ok(Some(record)) = ledger.read(tenant, login).await {
            newest = record;
        }
        loop {
            newest = subscription.latest().filter(|record| record.age() > newest.age()).unwrap_or(newest);
            let is_under_way = matches!(newest.session.state, State::Redeemed(_));
            if !is_under_way || tokio::time::timeout_at(until, subscription.changed()).await.is_err() {
                return newest;
            }
        }
    }

    /// Whoever has the login says that its person landed so.
    async fn land_without(&self, caller: &Caller, login: &LoginId, error: RedirectError) -> Result<Completion, Error> {
        let record = self.find(caller, login).await?;
        if *record.session.terms.holder().0 != caller.client {
            return Err(self.not_yours(caller, &record, "CompleteRedirect"));
        }
        if record.session.terms.finish.is_in_app() {
            return Err(Error::RedirectRejected);
        }
        self.count("error");
        match self.0.ledger.apply(&record, &Event::LandedWithout(error)).await? {
            Applied::Done(record) => {
                self.note(caller, &record, What::LandedWithout { error: error.name() });
                Ok(Completion { completed: true, login: Some(self.view(caller, &record)) })
            }
            Applied::Refused(record) => Ok(Completion { completed: false, login: Some(self.view(caller, &record)) }),
            Applied::Gone => Err(Error::NotFound),
        }
    }

    fn count(&self, result: &'static str) {
        self.0.ledger.metrics().landed(result);
    }
}

/// One code that has landed.
struct Attempt {
    logins: Logins,
    tenant: Arc<Tenant>,
    /// The login that the tenant's page believes it is of.
    believed: Option<LoginId>,
    /// Whose page it is; `None` for our own.
    caller: Option<Caller>,
}

impl Attempt {
    async fn run(self, code: RedirectCode) -> Result<Arc<Record>, Error> {
        let door = &self.logins.0.door;
        let bearer = if self.caller.is_some() { Bearer::Caller } else { Bearer::Anybody };
        let entered = door.enter(&self.tenant.id, bearer, &code).inspect_err(|error| {
            self.logins.count(if matches!(error, Error::Overloaded(_)) { "shed" } else { "used" });
        })?;
        let tokens = match self.provider().exchange_code(&code).await {
            PollAnswer::Redeemed(tokens) => tokens,
            PollAnswer::CredentialsRefused => {
                door.may_come_again(&self.tenant.id, &entered);
                return Err(self.ends("credentials_refused", Error::ProviderCredentialsRefused));
            }
            PollAnswer::Trouble { .. } => {
                door.may_come_again(&self.tenant.id, &entered);
                return Err(self.ends("unavailable", Error::ProviderUnavailable));
            }
            PollAnswer::InvalidGrant | PollAnswer::Expired => {
                return Err(self.ends("refused", Error::RedirectCodeRefused));
            }
            PollAnswer::Denied | PollAnswer::Refused(_) | PollAnswer::Pending { .. } | PollAnswer::SlowDown { .. } => {
                return Err(self.ends("rejected", Error::RedirectRejected));
            }
        };
        let until = Instant::now() + PATIENCE;
        match self.find(&tokens, until).await {
            Ok(record) => self.hand_over(&record, tokens, until).await,
            Err(why) => Err(self.astray(tokens, why).await),
        }
    }

    fn provider(&self) -> &dyn Provider {
        self.tenant.credential.provider()
    }

    /// The login that the tokens are of, or what is wrong with them.
    async fn find(&self, tokens: &Tokens, until: Instant) -> Result<Arc<Record>, Astray> {
        let auth_req_id = self.request_of(tokens, until).await?;
        let (tenant, ledger) = (&self.tenant.id, &self.logins.0.ledger);
        loop {
            let found = async {
                let Some(login) = ledger.login_of_request(tenant, &auth_req_id).await? else { return Ok(None) };
                ledger.read(tenant, &login).await
            };
            match found.await {
                Ok(Some(record)) if record.session.landing_handle() == Some(&auth_req_id) => {
                    let is_believed = self.believed.as_ref().is_none_or(|login| *login == record.session.id);
                    return if is_believed { Ok(record) } else { Err(Astray::OtherLogin) };
                }
                Ok(_) => return Err(Astray::NoLogin),
                Err(error) if Instant::now() >= until => {
                    warn!(%error, "the login of a landing cannot be looked for");
                    return Err(Astray::Store);
                }
                Err(_) => tokio::time::sleep(RETRY).await,
            }
        }
    }

    async fn request_of(&self, tokens: &Tokens, until: Instant) -> Result<AuthReqId, Astray> {
        loop {
            match self.provider().request_of(tokens).await {
                Ok(auth_req_id) => return Ok(auth_req_id),
                Err(IdentifyError::Rejected(_)) => return Err(Astray::Unverified),
                Err(IdentifyError::Unavailable) if Instant::now() >= until => return Err(Astray::Keys),
                Err(IdentifyError::Unavailable) => tokio::time::sleep(RETRY).await,
            }
        }
    }

    /// Writes the tokens down, sealed; the login's owner goes on from there.
    async fn hand_over(&self, record: &Arc<Record>, tokens: Tokens, until: Instant) -> Result<Arc<Record>, Error> {
        let (ledger, event) = (&self.logins.0.ledger, Event::Redeemed(tokens.clone()));
        loop {
            match ledger.apply(record, &event).await {
                Ok(Applied::Done(landed)) => {
                    let entry = Entry::of(&landed.session.id, &landed.session.terms, What::Landed);
                    ledger.audit().note(self.by(entry));
                    self.logins.count("completed");
                    return Ok(landed);
                }
                Ok(Applied::Refused(_) | Applied::Gone) => return Err(self.astray(tokens, Astray::Ended).await),
                // It may have been written all the same: nothing is revoked.
                Err(error) if Instant::now() >= until => {
                    warn!(%error, "whether the store has what a landing gave is not known");
                    self.note_refused(Astray::Store);
                    return Err(self.ends(Astray::Store.name(), Error::RedirectLost));
                }
                Err(_) => tokio::time::sleep(RETRY).await,
            }
        }
    }

    /// Nobody is logged in by these tokens.
    async fn astray(&self, tokens: Tokens, why: Astray) -> Error {
        warn!(why = why.name(), "tokens of a landing fit no login; they are dropped and revoked");
        self.note_refused(why);
        self.provider().revoke(&tokens).await;
        self.ends(why.name(), why.error())
    }

    fn note_refused(&self, why: Astray) {
        let entry = Entry::of_landing(&self.tenant.id, What::LandingRefused { reason: why.name() });
        self.logins.0.ledger.audit().note_if_roomy(self.by(entry));
    }

    fn by(&self, entry: Entry) -> Entry {
        match &self.caller {
            Some(caller) => super::audited::by(entry, caller),
            None => entry,
        }
    }

    fn ends(&self, result: &'static str, error: Error) -> Error {
        self.logins.count(result);
        error
    }
}

/// Why what came for a code logs nobody in.
#[derive(Clone, Copy, Debug)]
enum Astray {
    NoLogin,
    OtherLogin,
    Ended,
    Unverified,
    /// The provider's keys could not be had.
    Keys,
    /// The store could not be asked.
    Store,
}

impl Astray {
    const fn name(self) -> &'static str {
        match self {
            Self::NoLogin => "no_login",
            Self::OtherLogin => "other_login",
            Self::Ended => "ended",
            Self::Unverified => "unverified",
            Self::Keys => "keys",
            Self::Store => "store",
        }
    }

    /// An outage is not told as if the page had brought something wrong.
    const fn error(self) -> Error {
        match self {
            Self::NoLogin | Self::OtherLogin | Self::Ended | Self::Unverified => Error::RedirectRejected,
            Self::Keys | Self::Store => Error::RedirectLost,
        }
    }
}
