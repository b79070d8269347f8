//! Polls the logins that this process owns, each in a task of its own.
//!
//! A task follows one login from `Pending` to its end: it waits for the time
//! that `ciba::Schedule` allows, asks the provider once, lets the answer happen
//! to the login, and has the person identified. By construction two requests
//! for one `auth_req_id` are never in flight. It stops when the login ends by
//! other means. Called by `logins` with each login that the provider accepted.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{Instrument, debug, info_span, warn};

use crate::ciba::{DEFAULT_INTERVAL, PollAnswer, Schedule, Step, Tokens};
use crate::identity::Identity;
use crate::ledger::{Applied, Ledger, Subscription};
use crate::provider::{IdentifyError, Provider};
use crate::session::{Ended, Event, FailureReason, Outcome, Pending, Redeemed, State};
use crate::store::Record;
use crate::timestamp::Timestamp;

/// How long a credential that the provider refused is left alone.
const CREDENTIAL_BRAKE: Duration = Duration::from_secs(60);
/// Another replica may just be writing the result that makes a poll answer
/// `invalid_grant`.
const RESULT_LOST_AFTER: Duration = Duration::from_secs(3);
const FIRST_RETRY: Duration = Duration::from_millis(200);
const LONGEST_RETRY: Duration = Duration::from_secs(5);

/// A provider and what the poller knows about its credential.
pub struct Credential {
    provider: Arc<dyn Provider>,
    /// Milliseconds since the epoch before which nothing is polled.
    braked_until: AtomicU64,
}

impl Credential {
    /// A credential that has not been refused.
    #[must_use]
    pub fn new(provider: Arc<dyn Provider>) -> Self {
        Self { provider, braked_until: AtomicU64::new(0) }
    }

    /// The provider it is for.
    #[must_use]
    pub fn provider(&self) -> &dyn Provider {
        self.provider.as_ref()
    }

    /// Polls once, for one interval at the most, or the usual one where a
    /// provider wants to be asked more often: whoever takes a login over may rely
    /// on it that nothing older is in flight.
    async fn poll(&self, pending: &Pending, interval: Duration, now: Timestamp) -> PollAnswer {
        if now.as_millis() < self.braked_until.load(Ordering::Relaxed) {
            return PollAnswer::CredentialsRefused;
        }
        let polled =
            tokio::time::timeout(interval.max(DEFAULT_INTERVAL), self.provider.poll(&pending.auth_req_id)).await;
        let answer = polled.unwrap_or(PollAnswer::Trouble { retry_after: None });
        if answer == PollAnswer::CredentialsRefused {
            warn!("the provider refuses the credential; polling with it pauses");
            self.braked_until.store(now.plus(CREDENTIAL_BRAKE).as_millis(), Ordering::Relaxed);
        }
        answer
    }
}

/// Owns and polls logins. Cheap to clone.
#[derive(Clone)]
pub struct Poller {
    ledger: Ledger,
    tasks: TaskTracker,
    stop: CancellationToken,
}

impl Poller {
    /// A poller without logins.
    #[must_use]
    pub fn new(ledger: Ledger) -> Self {
        Self { ledger, tasks: TaskTracker::new(), stop: CancellationToken::new() }
    }

    /// Follows this login until it ends.
    pub fn own(&self, record: &Arc<Record>, credential: Arc<Credential>) {
        let session = &record.session;
        let span = info_span!(parent: None, "poll", login.id = %session.id, tenant = %session.terms.tenant);
        let subscription = self.ledger.subscribe_after(record);
        let task = Tending {
            ledger: self.ledger.clone(),
            credential,
            subscription,
            record: Arc::clone(record),
            schedule: None,
            stop: self.stop.clone(),
        };
        self.tasks.spawn(task.run().instrument(span));
    }

    /// How many logins are followed.
    #[must_use]
    pub fn owned(&self) -> usize {
        self.tasks.len()
    }

    /// Sends no further request; one in flight is seen through. Logins stay in
    /// the store as they are.
    pub async fn stop(&self) {
        self.stop.cancel();
        self.tasks.close();
        self.tasks.wait().await;
    }
}

struct Tending {
    ledger: Ledger,
    credential: Arc<Credential>,
    subscription: Subscription,
    record: Arc<Record>,
    /// Newer than the record's: an ordinary poll does not touch the store.
    schedule: Option<Schedule>,
    stop: CancellationToken,
}

impl Tending {
    async fn run(mut self) {
        while !self.stop.is_cancelled() {
            self.catch_up();
            let record = Arc::clone(&self.record);
            match &record.session.state {
                State::Pending(pending) => self.wait_and_poll(pending).await,
                State::Redeemed(redeemed) => self.identify(redeemed).await,
                State::Starting(_) | State::AwaitingCode(_) => self.wait_for_deadline().await,
                State::Ended(_) => return,
            }
        }
    }

    fn catch_up(&mut self) {
        if let Some(latest) = self.subscription.latest()
            && latest.age() > self.record.age()
        {
            self.record = latest;
        }
    }

    async fn wait_and_poll(&mut self, pending: &Pending) {
        let schedule = self.schedule.unwrap_or(pending.schedule);
        let clock = self.ledger.clock().clone();
        if schedule.is_finished() {
            return self.wait_for_expiry(schedule).await;
        }
        if !self.quiet_until(schedule.next_poll_at()).await {
            return;
        }
        let answer = Box::pin(self.credential.poll(pending, schedule.interval(), clock.now())).await;
        self.ledger.metrics().polled(&answer);
        self.take(answer, schedule).await;
    }

    async fn take(&mut self, answer: PollAnswer, schedule: Schedule) {
        match answer {
            PollAnswer::Redeemed(tokens) => self.redeem(tokens).await,
            PollAnswer::Denied => self.happen(&Event::Denied).await,
            PollAnswer::Expired => self.happen(&Event::Expired).await,
            PollAnswer::Refused(refusal) => self.happen(&Event::Failed(refusal.into())).await,
            PollAnswer::InvalidGrant => self.look_for_result().await,
            PollAnswer::Pending { .. }
            | PollAnswer::SlowDown { .. }
            | PollAnswer::Trouble { .. }
            | PollAnswer::CredentialsRefused => self.reschedule(&answer, schedule).await,
        }
    }

    async fn reschedule(&mut self, answer: &PollAnswer, schedule: Schedule) {
        match schedule.after(answer, self.ledger.clock().now(), jitter()) {
            Step::PollAgain { schedule, changed } => {
                self.schedule = Some(schedule);
                if changed {
                    // Best effort: it matters only to a replica that takes over.
                    match self.ledger.apply(&self.record, &Event::Rescheduled(schedule)).await {
                        Ok(applied) => self.follow(applied),
                        Err(error) => warn!(%error, "a changed poll schedule could not be written"),
                    }
                }
            }
            Step::OutOfTime => self.schedule = Some(schedule.finished(answer)),
        }
    }

    /// Nothing more is sent; the login ends by its clock, or as unreachable
    /// when the last answer said nothing about the person.
    async fn wait_for_expiry(&mut self, schedule: Schedule) {
        let until = if schedule.is_in_trouble() { Some(schedule.expires_at()) } else { self.record.session.deadline() };
        if !self.quiet_until(until.unwrap_or_default()).await {
            return;
        }
        if schedule.is_in_trouble() {
            self.happen(&Event::Failed(FailureReason::ProviderUnavailable)).await;
        } else {
            self.refresh().await;
        }
    }

    /// The exchange is single-use: it is written before anything else is done
    /// with it, however long the store takes.
    async fn redeem(&mut self, tokens: Tokens) {
        self.happen(&Event::Redeemed(tokens.clone())).await;
        if matches!(self.record.session.state, State::Starting(_)) {
            // The store forgot that the provider took the request.
            warn!("the store was rolled back; what was approved cannot be kept");
            self.happen(&Event::Failed(FailureReason::ResultLost)).await;
        }
        if self.record.session.has_ended() {
            warn!("tokens came that the login cannot take; they are dropped and revoked");
            self.credential.provider().revoke(&tokens).await;
        }
    }

    async fn look_for_result(&mut self) {
        let clock = self.ledger.clock().clone();
        clock.sleep_until(clock.now().plus(RESULT_LOST_AFTER)).await;
        self.refresh().await;
        if matches!(self.record.session.state, State::Pending(_)) {
            // Whoever wrote the result in the meantime wins.
            self.happen(&Event::ResultLost).await;
        }
    }

    async fn identify(&mut self, redeemed: &Redeemed) {
        let deadline = self.record.session.deadline();
        let clock = self.ledger.clock().clone();
        let (record, credential) = (Arc::clone(&self.record), Arc::clone(&self.credential));
        let asking = async {
            let mut retry = FIRST_RETRY;
            loop {
                match Box::pin(credential.provider().identify(&redeemed.tokens, &record.session.terms)).await {
                    Ok(identity) => return approved(identity),
                    Err(IdentifyError::Rejected(reason)) => return Event::Failed(reason),
                    Err(IdentifyError::Unavailable) => debug!("the person cannot be identified just now"),
                }
                clock.sleep_until(clock.now().plus(retry.mul_f64(1.0 + jitter()))).await;
                retry = (retry * 2).min(LONGEST_RETRY);
            }
        };
        tokio::select! {
            event = asking => self.happen(&event).await,
            () = clock.sleep_until(deadline.unwrap_or_default()) => {
                self.happen(&Event::Failed(FailureReason::ProviderUnavailable)).await;
            }
            () = self.subscription.ended() => self.catch_up(),
        }
        if matches!(&self.record.session.state, State::Ended(Ended { outcome: Outcome::Cancelled, .. })) {
            warn!("the login was cancelled; its tokens are dropped and revoked");
            credential.provider().revoke(&redeemed.tokens).await;
        }
    }

    async fn wait_for_deadline(&mut self) {
        let deadline = self.record.session.deadline().unwrap_or_default();
        if self.quiet_until(deadline).await {
            self.refresh().await;
        }
    }

    /// Whether `at` came without a change of the login and without a stop.
    async fn quiet_until(&mut self, at: Timestamp) -> bool {
        tokio::select! {
            biased;
            () = self.stop.cancelled() => false,
            () = self.subscription.changed() => false,
            () = self.ledger.clock().sleep_until(at) => true,
        }
    }

    /// Lets `event` happen; waits for the store when it is down, because the
    /// provider will not say it twice.
    async fn happen(&mut self, event: &Event) {
        let mut retry = FIRST_RETRY;
        loop {
            match self.ledger.apply(&self.record, event).await {
                Ok(applied) => return self.follow(applied),
                Err(error) => warn!(event = event.name(), %error, "the store cannot be written; trying again"),
            }
            tokio::time::sleep(retry).await;
            retry = (retry * 2).min(LONGEST_RETRY);
        }
    }

    async fn refresh(&mut self) {
        let session = &self.record.session;
        match self.ledger.read(&session.terms.tenant, &session.id).await {
            Ok(Some(record)) => self.record = record,
            Ok(None) => self.give_up(),
            Err(error) => {
                warn!(%error, "a login cannot be read; trying again");
                tokio::time::sleep(LONGEST_RETRY).await;
            }
        }
    }

    fn follow(&mut self, applied: Applied) {
        match applied {
            Applied::Done(record) | Applied::Refused(record) => self.record = record,
            Applied::Gone => self.give_up(),
        }
    }

    /// The store has lost the login: nothing may follow from it.
    fn give_up(&mut self) {
        warn!("the store no longer holds this login; it is not polled any more");
        let mut lost = Record::clone(&self.record);
        let now = self.ledger.clock().now();
        if let Ok(session) = lost.session.clone().apply(Event::Failed(FailureReason::ResultLost), now) {
            lost.session = session;
            lost.version += 1;
            self.record = self.ledger.adopt(lost);
        }
    }
}

fn approved(identity: Identity) -> Event {
    Event::Approved(Box::new(identity))
}

/// Between 0.0 and 1.0; without a random source no jitter is no harm.
fn jitter() -> f64 {
    let mut byte = [0_u8; 1];
    let _ = getrandom::fill(&mut byte);
    f64::from(byte[0]) / 255.0
}
