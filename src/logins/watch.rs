//! Waiting for one login and watching it.
//!
//! A stream begins with the present, so that a change between two calls is
//! never missed; states in between may be skipped, the end never. Nothing runs
//! while nobody reads: a slow reader sees the newest state, and disturbs nobody.

use std::sync::Arc;
use std::time::Duration;

use futures_util::Stream;
use futures_util::stream::unfold;
use tokio_util::sync::CancellationToken;

use super::capacity::Watching;
use super::{Caller, Error, LoginView, Logins};
use crate::ledger::Subscription;
use crate::session::LoginId;
use crate::store::Record;
use crate::timestamp::Timestamp;

/// One message of a stream.
#[derive(Clone, Debug)]
pub enum WatchEvent {
    /// The login as it is now.
    Login(Box<LoginView>),
    /// Nothing changed; the gateway's time.
    Heartbeat(Timestamp),
}

impl Logins {
    /// Returns when the login has ended, after `timeout`, when the gateway drains,
    /// or when the caller's connection is `leaving`.
    ///
    /// # Errors
    /// As [`Logins::get`].
    pub async fn wait(
        &self,
        caller: &Caller,
        login: &LoginId,
        timeout: Duration,
        leaving: CancellationToken,
    ) -> Result<LoginView, Error> {
        let give_up = self.0.ledger.clock().now().plus(timeout);
        let mut watcher = Watcher::begin(self, caller, login, leaving).await?;
        while !watcher.record.session.has_ended() && watcher.next(give_up).await? == News::Changed {}
        Ok(self.view(caller, &watcher.record))
    }

    /// The login at once, then its later states, then the end of the stream; which
    /// breaks off when the caller's connection is `leaving`.
    ///
    /// # Errors
    /// As [`Logins::get`]; a failure later on ends the stream with it.
    pub async fn watch(
        &self,
        caller: &Caller,
        login: &LoginId,
        heartbeat: Duration,
        leaving: CancellationToken,
    ) -> Result<impl Stream<Item = Result<WatchEvent, Error>> + Send + use<>, Error> {
        let watcher = Watcher::begin(self, caller, login, leaving).await?;
        let telling = Telling { watcher, caller: caller.clone(), heartbeat, stage: Stage::First };
        Ok(unfold(telling, |mut telling| async move { Some((telling.next().await?, telling)) }))
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum News {
    Changed,
    TimeIsUp,
    Draining,
    Leaving,
}

/// What one caller of `wait` or `watch` has seen of a login.
struct Watcher {
    logins: Logins,
    subscription: Subscription,
    record: Arc<Record>,
    leaving: CancellationToken,
    /// Counts it while it lives.
    _place: Watching,
}

impl Watcher {
    async fn begin(
        logins: &Logins,
        caller: &Caller,
        login: &LoginId,
        leaving: CancellationToken,
    ) -> Result<Self, Error> {
        let place = logins.watching(caller)?;
        let subscription = logins.0.ledger.subscribe(&caller.tenant, login);
        let record = logins.find(caller, login).await?;
        Ok(Self { logins: logins.clone(), subscription, record, leaving, _place: place })
    }

    /// Waits for a newer record, until `give_up` at the latest. A deadline of
    /// the login counts as news: it needs nobody alive to pass.
    async fn next(&mut self, give_up: Timestamp) -> Result<News, Error> {
        let ledger = &self.logins.0.ledger;
        loop {
            if let Some(latest) = self.subscription.latest()
                && latest.age() > self.record.age()
            {
                self.record = latest;
                return Ok(News::Changed);
            }
            let deadline = self.record.session.deadline().unwrap_or(give_up);
            tokio::select! {
                biased;
                () = self.subscription.changed() => {}
                () = self.logins.0.drain.cancelled() => return Ok(News::Draining),
                () = self.leaving.cancelled() => return Ok(News::Leaving),
                () = ledger.clock().sleep_until(give_up) => return Ok(News::TimeIsUp),
                () = ledger.clock().sleep_until(deadline) => {
                    let terms = &self.record.session.terms;
                    // Publishes what it finds, and so wakes this loop.
                    ledger.read(&terms.tenant, &self.record.session.id).await?.ok_or(Error::NotFound)?;
                }
            }
        }
    }
}

#[derive(Clone, Copy)]
enum Stage {
    First,
    Going,
    Over,
}

/// A stream of one login.
struct Telling {
    watcher: Watcher,
    caller: Caller,
    heartbeat: Duration,
    stage: Stage,
}

impl Telling {
    async fn next(&mut self) -> Option<Result<WatchEvent, Error>> {
        let news = match self.stage {
            Stage::First => Ok(News::Changed),
            Stage::Going => {
                let beat_at = self.watcher.logins.0.ledger.clock().now().plus(self.heartbeat);
                self.watcher.next(beat_at).await
            }
            Stage::Over => return None,
        };
        let Watcher { logins, record, .. } = &self.watcher;
        let message = match news {
            Ok(News::Changed) => Ok(WatchEvent::Login(Box::new(logins.view(&self.caller, record)))),
            Ok(News::TimeIsUp) => Ok(WatchEvent::Heartbeat(logins.0.ledger.clock().now())),
            Ok(News::Draining) => Err(Error::Draining),
            Ok(News::Leaving) => Err(Error::ConnectionAge),
            Err(error) => Err(error),
        };
        let is_end = matches!(&message, Ok(WatchEvent::Login(_))) && record.session.has_ended();
        self.stage = if is_end || message.is_err() { Stage::Over } else { Stage::Going };
        Some(message)
    }
}
