//! The task that follows one login.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::{debug, warn};

use super::pings::{Ear, Pings};
use super::roster::Turn;
use super::{Brake, Credential, Parting};
use crate::audit::{Entry, What};
use crate::ciba::{DEFAULT_INTERVAL, PollAnswer, Schedule, Step, Tokens};
use crate::identity::Identity;
use crate::ledger::{Applied, Ledger, Subscription};
use crate::provider::IdentifyError;
use crate::replicas::{Replica, Standing};
use crate::session::{Ended, Event, FailureReason, Outcome, Pending, Redeemed, State};
use crate::store::Record;
use crate::timestamp::Timestamp;

/// Another replica may just be writing the result that makes a poll answer
/// `invalid_grant`.
const RESULT_LOST_AFTER: Duration = Duration::from_secs(3);
const FIRST_RETRY: Duration = Duration::from_millis(200);
const LONGEST_RETRY: Duration = Duration::from_secs(5);
/// Of writes: whoever brings a result late must not miss the time in which
/// another replica waits for it.
const LONGEST_WRITE_RETRY: Duration = Duration::from_secs(2);

/// Why a wait for the next poll ended.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Wait {
    Over,
    /// The provider has news.
    Pinged,
    /// The credential is another one.
    Renewed,
}

/// One login and what its task needs.
pub(super) struct Tending {
    pub(super) ledger: Ledger,
    pub(super) replica: Replica,
    pub(super) credential: Arc<Credential>,
    pub(super) subscription: Subscription,
    pub(super) record: Arc<Record>,
    /// Newer than the record's: an ordinary poll does not touch the store.
    pub(super) schedule: Option<Schedule>,
    /// When the next poll is due by that schedule, whatever a wall clock does
    /// in the meantime.
    pub(super) due: Option<Instant>,
    /// Tells that the credential has become another one.
    pub(super) brake: watch::Receiver<Brake>,
    pub(super) turn: Turn,
    pub(super) pings: Pings,
    /// Hears of news about the request, while it is polled for.
    pub(super) ear: Option<Ear>,
    pub(super) stop: CancellationToken,
    pub(super) parting: Arc<Parting>,
    pub(super) jitter: fn() -> f64,
}

impl Tending {
    pub(super) async fn run(mut self) {
        self.turn.begins().await;
        self.follow_through().await;
        self.part().await;
    }

    /// `silent_since`: when the former owner can have polled last, unless it has
    /// written its schedule down.
    pub(super) async fn run_adopted(mut self, silent_since: Option<Instant>) {
        self.turn.begins().await;
        self.catch_up();
        if !self.turn.is_superseded() && self.standing() != Standing::Foreign {
            match &self.record.session.state {
                // The phone may be ringing, and nobody has the handle.
                State::Starting(_) => self.happen(&Event::Failed(FailureReason::StartUnknown)).await,
                State::Pending(pending) => {
                    if let Some(silent_since) = silent_since {
                        self.stay_clear_of(pending.schedule, silent_since);
                    }
                }
                State::Redeemed(_) | State::AwaitingCode(_) | State::Ended(_) => {}
            }
        }
        self.follow_through().await;
        self.part().await;
    }

    /// After a panic: what was sent last is not known.
    pub(super) async fn run_rescued(mut self) {
        self.turn.begins().await;
        self.refresh().await;
        self.run_adopted(Some(Instant::now())).await;
    }

    /// What the former owner sent last is over, and an interval has passed, when
    /// we poll.
    fn stay_clear_of(&mut self, schedule: Schedule, silent_since: Instant) {
        let clear_at = silent_since + schedule.interval().max(DEFAULT_INTERVAL);
        self.turn.rests_until(clear_at);
        let wait = clear_at.saturating_duration_since(Instant::now());
        self.go_by(schedule.not_before(self.ledger.clock().now().plus(wait)));
    }

    fn go_by(&mut self, schedule: Schedule) {
        self.schedule = Some(schedule);
        self.due = Some(Instant::now() + schedule.next_poll_at().since(self.ledger.clock().now()));
    }

    async fn follow_through(&mut self) {
        while !self.stop.is_cancelled() && !self.turn.is_superseded() {
            self.catch_up();
            let record = Arc::clone(&self.record);
            match (&record.session.state, self.standing()) {
                (State::Ended(_), _) | (_, Standing::Foreign) => return,
                (_, Standing::Paused) => self.wait_for_lease().await,
                (State::Pending(pending), Standing::Clear) => self.wait_and_poll(pending).await,
                (State::Redeemed(redeemed), Standing::Clear) => self.identify(redeemed).await,
                (State::Starting(_) | State::AwaitingCode(_), Standing::Clear) => self.wait_for_deadline().await,
            }
        }
    }

    fn standing(&self) -> Standing {
        self.replica.standing(&self.record.owner)
    }

    /// Writes down what whoever comes next must know.
    async fn part(&mut self) {
        if self.standing() == Standing::Foreign && !self.record.session.has_ended() {
            self.turn.parts();
        }
        let (State::Pending(pending), Some(schedule)) = (&self.record.session.state, self.schedule) else {
            return;
        };
        let is_ours = self.standing() != Standing::Foreign && !self.turn.is_superseded();
        if !self.stop.is_cancelled() || !is_ours || schedule == pending.schedule {
            return;
        }
        let _permit = self.parting.writes.acquire().await;
        if let Err(error) = self.ledger.apply(&self.record, &Event::Rescheduled(schedule)).await {
            warn!(%error, "the poll schedule could not be written");
            self.parting.is_incomplete.store(true, Ordering::Relaxed);
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
        // One that was written down by a former owner may be longer than ours.
        let schedule = match self.schedule {
            Some(own) if own.interval() >= pending.schedule.interval() => own,
            Some(_) | None => {
                self.go_by(pending.schedule);
                pending.schedule
            }
        };
        // Whoever lands exchanges; a poll could take that away.
        if schedule.is_finished() || !self.record.session.terms.finish.is_in_app() {
            return self.wait_for_expiry(schedule).await;
        }
        // A poll that the provider asks for need not keep the rest after the one before.
        let rest = if schedule.is_pinged() { None } else { self.turn.rest() };
        let at = self.due.max(rest).unwrap_or_else(Instant::now);
        let ledger = &self.ledger;
        let listen = || self.pings.listen(ledger.ping_of(&pending.auth_req_id));
        let ear = self.ear.take().unwrap_or_else(listen);
        let (mut brake, mut why) = (self.brake.clone(), Wait::Over);
        let wait = async {
            why = tokio::select! {
                () = tokio::time::sleep_until(at) => Wait::Over,
                () = ear.pinged() => Wait::Pinged,
                Ok(()) = brake.changed(), if schedule.is_in_trouble() => Wait::Renewed,
            };
        };
        let is_quiet = self.quiet_while(wait).await;
        self.ear = Some(ear);
        if !is_quiet || self.standing() != Standing::Clear {
            return;
        }
        let now = self.ledger.clock().now();
        match why {
            Wait::Over => self.brake.mark_unchanged(),
            Wait::Pinged => {
                let pinged = schedule.pinged(now);
                self.ledger.metrics().public().pinged(pinged.is_pinged());
                return self.go_by(pinged);
            }
            Wait::Renewed => {
                self.brake.mark_unchanged();
                return self.go_by(schedule.without_trouble(now));
            }
        }
        let now = self.ledger.clock().now();
        let answer = Box::pin(self.credential.poll(pending, schedule.interval(), now)).await;
        self.turn.rests_until(Instant::now() + schedule.interval());
        self.ledger.metrics().polled(&answer);
        self.take(answer, schedule).await;
    }

    async fn take(&mut self, answer: PollAnswer, schedule: Schedule) {
        self.note(&answer);
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

    /// Notes an answer after which nothing is asked any more.
    fn note(&self, answer: &PollAnswer) {
        let answer = match answer {
            PollAnswer::Redeemed(_) => "redeemed",
            PollAnswer::Denied => "denied",
            PollAnswer::Expired => "expired",
            PollAnswer::Refused(_) => "refused",
            PollAnswer::InvalidGrant => "invalid_grant",
            PollAnswer::Pending { .. }
            | PollAnswer::SlowDown { .. }
            | PollAnswer::Trouble { .. }
            | PollAnswer::CredentialsRefused => return,
        };
        let session = &self.record.session;
        self.ledger.audit().note(Entry::of(&session.id, &session.terms, What::ProviderAnswered { answer }));
    }

    async fn reschedule(&mut self, answer: &PollAnswer, schedule: Schedule) {
        match schedule.after(answer, self.ledger.clock().now(), (self.jitter)()) {
            Step::PollAgain { schedule, changed } => {
                self.go_by(schedule);
                if changed {
                    // Whoever takes over must know, also a later self. When the
                    // process stops it is written in parting.
                    let stop = self.stop.clone();
                    stop.run_until_cancelled(self.happen(&Event::Rescheduled(schedule))).await;
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
        tokio::time::sleep(RESULT_LOST_AFTER).await;
        self.refresh().await;
        if matches!(self.record.session.state, State::Pending(_)) && self.standing() != Standing::Foreign {
            // Whoever wrote the result in the meantime wins.
            self.happen(&Event::ResultLost).await;
        }
    }

    async fn identify(&mut self, redeemed: &Redeemed) {
        let deadline = self.record.session.deadline();
        let clock = self.ledger.clock().clone();
        let (record, credential) = (Arc::clone(&self.record), Arc::clone(&self.credential));
        let (replica, jitter) = (self.replica.clone(), self.jitter);
        let asking = async {
            let mut retry = FIRST_RETRY;
            while replica.standing(&record.owner) == Standing::Clear {
                match Box::pin(credential.provider().identify(&redeemed.tokens, &record.session.terms)).await {
                    Ok(identity) => return Some(approved(identity)),
                    Err(IdentifyError::Rejected(reason)) => return Some(Event::Failed(reason)),
                    Err(IdentifyError::Unavailable) => debug!("the person cannot be identified just now"),
                }
                tokio::time::sleep(retry.mul_f64(1.0 + jitter())).await;
                retry = (retry * 2).min(LONGEST_RETRY);
            }
            None
        };
        tokio::select! {
            biased;
            event = asking => match event {
                Some(event) => self.happen(&event).await,
                None => return,
            },
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

    /// Nothing is sent meanwhile. Afterwards the login is somebody's again, ours
    /// or not.
    async fn wait_for_lease(&mut self) {
        tokio::select! {
            biased;
            () = self.stop.cancelled() => {}
            () = self.turn.superseded() => {}
            () = self.subscription.changed() => {}
            () = self.replica.comes_back() => {}
        }
    }

    async fn quiet_until(&mut self, at: Timestamp) -> bool {
        let clock = self.ledger.clock().clone();
        self.quiet_while(clock.sleep_until(at)).await
    }

    /// Whether `wait` ended without a change of the login, a stop or a successor.
    async fn quiet_while(&mut self, wait: impl Future<Output = ()>) -> bool {
        tokio::select! {
            biased;
            () = self.stop.cancelled() => false,
            () = self.turn.superseded() => false,
            () = self.subscription.changed() => false,
            () = wait => true,
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
            retry = (retry * 2).min(LONGEST_WRITE_RETRY);
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
        let reason = match lost.session.state {
            // A claim that was taken back: nobody has approved anything.
            State::Starting(_) => FailureReason::StartUnknown,
            State::Pending(_) | State::Redeemed(_) | State::AwaitingCode(_) | State::Ended(_) => {
                FailureReason::ResultLost
            }
        };
        if let Ok(session) = lost.session.clone().apply(Event::Failed(reason), now) {
            lost.session = session;
            lost.version += 1;
            self.record = self.ledger.adopt(lost);
        }
    }
}

fn approved(identity: Identity) -> Event {
    Event::Approved(Box::new(identity))
}
