//! Starting a login: reserve, ask the provider once, hand over to the poller.
//!
//! A start has three ends. Nothing was started: an [`Error`], and everything
//! the reservation claimed is free again. Answered about the person or the
//! request: the login is `Ended`. Anything else: `Ended` as `StartUnknown`,
//! because the phone may be ringing; the gateway never repeats a start.

mod reserving;
mod whom;

use std::collections::BTreeSet;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures_util::{FutureExt, TryFutureExt};
use serde::Serialize;
use tracing::{Instrument, error, info, info_span, warn};

pub(super) use self::reserving::PROVIDER_BUSY_DEFAULT;
use super::audited::Asked;
use super::capacity::Place;
use super::{Caller, Error, LoginView, Logins, Tenant};
use crate::ciba::{StartAnswer, Unclear};
use crate::identity::{Claim, Subject};
use crate::language::Language;
use crate::ledger::Applied;
use crate::phone::PhoneNumber;
use crate::poller::Turn;
use crate::replicas::Standing;
use crate::session::{
    AgentId, CallDirection, CallId, Channel, CheckInId, CodeMode, Event, FailureReason, Finish, Labels, LoginId,
    PersonalQr, PurposeId, RequestId, START_LIMIT, State, TerminalId,
};
use crate::store::{Asker, Counter, Record, Reserved, StoreError, WhenBusy};
use crate::timestamp::Timestamp;

const STORE_RETRY: Duration = Duration::from_millis(250);

/// A checked request to log somebody in.
#[derive(Clone, Debug, Serialize)]
pub struct StartLogin {
    /// The caller's name for this start.
    #[serde(skip)]
    pub request_id: RequestId,
    /// Whose phone is asked.
    #[serde(flatten)]
    pub whom: Whom,
    /// Where the person is.
    pub channel: Channel,
    /// Who called whom.
    pub call_direction: Option<CallDirection>,
    /// The agent.
    pub agent: Option<AgentId>,
    /// The till or box.
    pub terminal: Option<TerminalId>,
    /// The phone call.
    pub call: Option<CallId>,
    /// What it is for; absent for the tenant's default, if it has one.
    pub purpose: Option<PurposeId>,
    /// What is wanted; empty for the purpose's or the tenant's default.
    pub claims: BTreeSet<Claim>,
    /// What is done with the code.
    pub code: CodeChoice,
    /// How long the login may take; the tenant's default when absent.
    pub lifetime: Option<Duration>,
    /// The only person that counts.
    pub expected_subject: Option<Subject>,
    /// The caller's notes.
    pub labels: Labels,
    /// What agent or screen is spoken to in; the tenant's default when absent.
    pub language: Option<Language>,
    /// Where the person is when they have answered.
    #[serde(skip_serializing_if = "Finish::is_in_app")]
    pub finish: Finish,
    /// What to do when the number or the call has a live login.
    #[serde(skip)]
    pub when_busy: WhenBusy,
}

/// How a caller names the person.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Whom {
    /// By number.
    Phone(PhoneNumber),
    /// By a check-in that `WatchCheckIns` delivered.
    CheckIn(CheckInId),
    /// By the text of the customer's own QR code.
    PersonalQr(PersonalQr),
}

impl Whom {
    /// The number, where it is named.
    #[must_use]
    pub const fn phone(&self) -> Option<&PhoneNumber> {
        match self {
            Self::Phone(phone) => Some(phone),
            Self::CheckIn(_) | Self::PersonalQr(_) => None,
        }
    }

    /// The check-in, where it is one.
    #[must_use]
    pub const fn check_in(&self) -> Option<&CheckInId> {
        match self {
            Self::CheckIn(check_in) => Some(check_in),
            Self::Phone(_) | Self::PersonalQr(_) => None,
        }
    }
}

/// What is done with the code.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub enum CodeChoice {
    /// What suits the channel.
    ByChannel,
    /// This.
    Mode(CodeMode),
}

impl CodeChoice {
    /// The mode for a channel: across a phone line comparing is not enough.
    #[must_use]
    pub const fn for_channel(self, channel: Channel) -> CodeMode {
        match (self, channel) {
            (Self::Mode(mode), _) => mode,
            (Self::ByChannel, Channel::CallCentre) => CodeMode::ReadBack,
            (Self::ByChannel, Channel::PointOfSale | Channel::TvBox) => CodeMode::Display,
        }
    }
}

/// A start that went well so far.
enum Begun {
    /// By this call.
    Now(Arc<Record>),
    /// By an earlier one with the same `request_id`.
    Before(LoginId),
}

impl Logins {
    /// Rings the phone once for each `request_id`; see `StartLogin` in the API.
    ///
    /// # Errors
    /// When nothing was started, and why.
    pub async fn start(&self, caller: &Caller, request: StartLogin) -> Result<LoginView, Error> {
        let asked = self.asked(caller, &request)?;
        if let Some(blocked) =
            self.blocked(caller, request.agent.as_ref(), request.terminal.as_ref(), request.whom.phone())
        {
            return Err(asked.refused(Error::Blocked(blocked)));
        }
        if !caller.may_name(request.agent.as_ref()) {
            return Err(asked.refused(Error::AgentNotProven));
        }
        if !caller.channels.contains(&request.channel) {
            return Err(asked.refused(Error::ChannelNotAllowed));
        }
        // Before the look: whoever drains waits for a start that has got past it.
        let _under_way = self.0.tasks.token();
        if self.0.closing.is_cancelled() {
            return Err(asked.refused(Error::Draining));
        }
        let place = Arc::new(self.starting(caller).map_err(|error| asked.refused(error))?);
        let record = match self.carry_out(caller, request, asked.clone(), Arc::clone(&place)).await? {
            Begun::Now(record) => record,
            Begun::Before(login) => self.started_before(caller, &login).await.map_err(|error| asked.refused(error))?,
        };
        Ok(self.view(caller, &record))
    }

    /// In a task of its own: a caller who hangs up does not stop a start, not
    /// even while the store makes the claim.
    async fn carry_out(
        &self,
        caller: &Caller,
        request: StartLogin,
        asked: Asked,
        place: Arc<Place>,
    ) -> Result<Begun, Error> {
        let (logins, caller, joining) = (self.clone(), caller.clone(), asked.clone());
        let start = async move {
            let _until_it_is_over = place;
            let (reserved, turn) = logins.reserve(&caller, &request).await?;
            match reserved {
                Reserved::New(record) => {
                    let turn = turn.ok_or(Error::Internal("a new login without a turn"))?;
                    logins.ask_provider(record, turn).await.map(Begun::Now)
                }
                Reserved::Existing(login) => Ok(Begun::Before(login)),
                Reserved::Joined(login) => {
                    joining.joined(&login);
                    Ok(Begun::Before(login))
                }
                Reserved::RequestIdReused => Err(Error::RequestIdReused),
                Reserved::NumberBusy(_) => Err(Error::NumberBusy),
                Reserved::CallBusy(_) => Err(Error::CallBusy),
                Reserved::CoolingDown { retry_after } => {
                    Err(Error::TooManyStarts { counter: Counter::Number, retry_after })
                }
                Reserved::LimitReached { counter, retry_after } => Err(Error::TooManyStarts { counter, retry_after }),
                Reserved::CodeTaken => Err(Error::Internal("no free code was found")),
            }
        };
        let start = start.map_err(move |error| asked.refused(error));
        let task = self.0.tasks.spawn(start.in_current_span());
        task.await.unwrap_or_else(|_| {
            self.0.ledger.metrics().panicked("start");
            Err(Error::Internal("the start was broken off"))
        })
    }

    async fn ask_provider(&self, record: Record, turn: Turn) -> Result<Arc<Record>, Error> {
        let span = info_span!("start", login.id = %record.session.id, tenant = %record.session.terms.tenant);
        let record = self.0.ledger.adopt(record);
        self.ring(record, turn).instrument(span).await
    }

    /// What is asked last, because a repetition is not asked: the phone of its start
    /// may be ringing, and whoever asks again is told about it at any hour.
    fn may_ring(&self, record: &Record, tenant: &Tenant, now: Timestamp) -> Result<(), Error> {
        if self.0.poller.replica().standing(&record.owner) != Standing::Clear {
            return Err(StoreError::Unavailable("no sign of life was confirmed of late".into()).into());
        }
        match tenant.quiet_until(&record.session.terms, now) {
            Some(end) => Err(Error::QuietHours { retry_after: end.since(now) }),
            None => Ok(()),
        }
    }

    async fn ring(&self, record: Arc<Record>, turn: Turn) -> Result<Arc<Record>, Error> {
        let terms = &record.session.terms;
        let rules = self.rules();
        let tenant = rules.tenants.get(&terms.tenant).ok_or(Error::Internal("the tenant is not configured"))?;
        let credential = Arc::clone(&tenant.credential);
        let sent_at = self.0.ledger.clock().now();
        if let Err(error) = self.may_ring(&record, tenant, sent_at) {
            self.give_back(Asker::from(&**terms)).await;
            self.withdraw(&record, true, turn).await;
            self.put_check_in_back(terms).await;
            return Err(error);
        }
        self.0.ledger.metrics().login_started(terms.channel);
        let asking = AssertUnwindSafe(Box::pin(credential.provider().start(terms))).catch_unwind();
        let answer = asking.await.unwrap_or_else(|_| self.broken_off());
        self.note_answer(&record, &answer);
        let (event, error) = match answer {
            StartAnswer::Accepted(accepted) => {
                let phone_or_check_in = &terms.person;
                info!(channel = %terms.channel, phone = %phone_or_check_in, expires_in_s = accepted.expires_in.as_secs(),
                    interval_s = accepted.interval.as_secs(), "the phone is asked");
                let event = Event::Accepted { accepted, sent_at };
                let record = self.settle(&record, &event, sent_at).await?;
                if matches!(record.session.state, State::Pending(_)) {
                    self.0.poller.own(&record);
                }
                return Ok(record);
            }
            StartAnswer::Refused(refusal) => (Event::Failed(refusal.into()), None),
            StartAnswer::Unclear(unclear) => {
                warn!(?unclear, "the provider's answer to a start is unknown");
                (Event::Failed(FailureReason::StartUnknown), None)
            }
            StartAnswer::Busy { retry_after } => {
                let error = self.provider_is_busy(terms.person.phone(), retry_after).await;
                self.give_back(Asker::from(&**terms)).await;
                (Event::Cancelled, Some((error, false)))
            }
            StartAnswer::CredentialsRefused => (Event::Cancelled, Some((Error::ProviderCredentialsRefused, false))),
            StartAnswer::NotSent => (Event::Cancelled, Some((Error::ProviderUnavailable, true))),
        };
        match error {
            None => self.settle(&record, &event, sent_at).await,
            Some((error, refund)) => {
                if refund {
                    self.give_back(Asker::from(&**terms)).await;
                }
                // Whoever takes the check-in then finds nobody in the way.
                self.withdraw(&record, refund, turn).await;
                self.put_check_in_back(terms).await;
                Err(error)
            }
        }
    }

    /// A defect of ours: the request may have been sent.
    fn broken_off(&self) -> StartAnswer {
        self.0.ledger.metrics().panicked("start");
        error!("a defect broke off the asking of the provider");
        StartAnswer::Unclear(Unclear::Interrupted)
    }

    /// Writes what the provider said; waits for the store, because the provider
    /// will not say it twice, but not longer than the start may take.
    async fn settle(&self, record: &Arc<Record>, event: &Event, since: Timestamp) -> Result<Arc<Record>, Error> {
        let clock = self.0.ledger.clock();
        loop {
            match self.0.ledger.apply(record, event).await {
                Ok(Applied::Done(record) | Applied::Refused(record)) => return Ok(record),
                Ok(Applied::Gone) => return Err(Error::Internal("the store lost a login while it was started")),
                Err(error) if clock.now().since(since) >= START_LIMIT => return Err(error.into()),
                Err(error) => warn!(%error, "the provider's answer to a start cannot be written; trying again"),
            }
            tokio::time::sleep(STORE_RETRY).await;
        }
    }

    /// A retry: waits for the start that is under way, here or elsewhere.
    async fn started_before(&self, caller: &Caller, login: &LoginId) -> Result<Arc<Record>, Error> {
        let mut subscription = self.0.ledger.subscribe(&caller.tenant, login);
        loop {
            let record = self.0.ledger.read(&caller.tenant, login).await?.ok_or(Error::StartWithdrawn)?;
            if !matches!(record.session.state, State::Starting(_)) {
                return Ok(record);
            }
            // A change that is not heard of (another replica's, a lost wake-up)
            // is found by looking again.
            const LOOK_AGAIN: Duration = Duration::from_secs(1);
            let _ = subscription.latest();
            let _ = tokio::time::timeout(LOOK_AGAIN, subscription.changed()).await;
        }
    }
}
