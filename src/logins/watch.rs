//! Waiting for a login and watching logins.
//!
//! Every stream begins with the present, so that a change between two calls is
//! never missed; states in between may be skipped, the end never.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use futures_util::Stream;
use tokio::sync::{broadcast, mpsc};
use tokio_stream::wrappers::ReceiverStream;

use super::{Caller, Error, LIST_DEPTH, LoginView, Logins};
use crate::ledger::Subscription;
use crate::session::{AgentId, Channel, LoginId, Session, TerminalId};
use crate::store::Record;
use crate::timestamp::Timestamp;

/// Messages that a slow reader may be behind.
const STREAM_BUFFER: usize = 64;

/// One message of a stream.
#[derive(Clone, Debug)]
pub enum WatchEvent {
    /// A login as it is now.
    Login(Box<LoginView>),
    /// Nothing changed; the gateway's time.
    Heartbeat(Timestamp),
}

/// Which logins of a tenant are meant.
#[derive(Clone, Debug, Default)]
pub struct LoginFilter {
    /// Only logins that have not ended.
    pub live_only: bool,
    /// Only this channel.
    pub channel: Option<Channel>,
    /// Only this terminal.
    pub terminal: Option<TerminalId>,
    /// Only this agent.
    pub agent: Option<AgentId>,
}

impl LoginFilter {
    pub(super) fn passes(&self, session: &Session) -> bool {
        let terms = &session.terms;
        (!self.live_only || !session.has_ended())
            && self.channel.is_none_or(|channel| channel == terms.channel)
            && (self.terminal.is_none() || self.terminal == terms.terminal)
            && (self.agent.is_none() || self.agent == terms.agent)
    }
}

impl Logins {
    /// Returns when the login has ended, after `timeout`, or when the gateway drains.
    ///
    /// # Errors
    /// As [`Logins::get`].
    pub async fn wait(&self, caller: &Caller, login: &LoginId, timeout: Duration) -> Result<LoginView, Error> {
        let give_up = self.0.ledger.clock().now().plus(timeout);
        let mut watcher = Watcher::begin(self, caller, login).await?;
        while !watcher.record.session.has_ended() && watcher.next(give_up).await? == News::Changed {}
        Ok(self.view(caller, &watcher.record))
    }

    /// The login at once, then its later states, then the end of the stream.
    ///
    /// # Errors
    /// As [`Logins::get`]; a failure later on ends the stream with it.
    pub async fn watch(
        &self,
        caller: &Caller,
        login: &LoginId,
        heartbeat: Duration,
    ) -> Result<impl Stream<Item = Result<WatchEvent, Error>> + Send + use<>, Error> {
        let watcher = Watcher::begin(self, caller, login).await?;
        let (sender, receiver) = mpsc::channel(STREAM_BUFFER);
        self.0.tasks.spawn(watcher.run(caller.clone(), heartbeat, sender));
        Ok(ReceiverStream::new(receiver))
    }

    /// Every login of the tenant that passes `filter` and changes from now on;
    /// the live ones first, when wanted.
    ///
    /// # Errors
    /// Store failures, when the live ones are wanted.
    pub async fn watch_all(
        &self,
        caller: &Caller,
        filter: LoginFilter,
        include_live: bool,
        heartbeat: Duration,
    ) -> Result<impl Stream<Item = Result<WatchEvent, Error>> + Send + use<>, Error> {
        let changes = self.0.ledger.subscribe_tenant(&caller.tenant);
        let first = if include_live {
            let records = self.0.ledger.list(&caller.tenant, LIST_DEPTH).await?;
            records.into_iter().rev().filter(|r| !r.session.has_ended() && filter.passes(&r.session)).collect()
        } else {
            Vec::new()
        };
        let (sender, receiver) = mpsc::channel(STREAM_BUFFER);
        let task = TenantWatcher { logins: self.clone(), caller: caller.clone(), filter, heartbeat, sender };
        self.0.tasks.spawn(task.run(first, changes));
        Ok(ReceiverStream::new(receiver))
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum News {
    Changed,
    TimeIsUp,
    Draining,
}

struct Watcher {
    logins: Logins,
    subscription: Subscription,
    record: Arc<Record>,
}

impl Watcher {
    async fn begin(logins: &Logins, caller: &Caller, login: &LoginId) -> Result<Self, Error> {
        let subscription = logins.0.ledger.subscribe(&caller.tenant, login);
        let record = logins.find(caller, login).await?;
        Ok(Self { logins: logins.clone(), subscription, record })
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
                () = ledger.clock().sleep_until(give_up) => return Ok(News::TimeIsUp),
                () = ledger.clock().sleep_until(deadline) => {
                    let terms = &self.record.session.terms;
                    // Publishes what it finds, and so wakes this loop.
                    ledger.read(&terms.tenant, &self.record.session.id).await?.ok_or(Error::NotFound)?;
                }
            }
        }
    }

    async fn run(mut self, caller: Caller, heartbeat: Duration, sender: mpsc::Sender<Result<WatchEvent, Error>>) {
        let clock = self.logins.0.ledger.clock().clone();
        let mut news = News::Changed;
        loop {
            let message = match news {
                News::Changed => WatchEvent::Login(Box::new(self.logins.view(&caller, &self.record))),
                News::TimeIsUp => WatchEvent::Heartbeat(clock.now()),
                News::Draining => {
                    let _ = sender.send(Err(Error::Draining)).await;
                    return;
                }
            };
            let is_last = news == News::Changed && self.record.session.has_ended();
            if sender.send(Ok(message)).await.is_err() || is_last {
                return;
            }
            let next = tokio::select! {
                biased;
                () = sender.closed() => return,
                next = self.next(clock.now().plus(heartbeat)) => next,
            };
            news = match next {
                Ok(news) => news,
                Err(error) => {
                    let _ = sender.send(Err(error)).await;
                    return;
                }
            };
        }
    }
}

struct TenantWatcher {
    logins: Logins,
    caller: Caller,
    filter: LoginFilter,
    heartbeat: Duration,
    sender: mpsc::Sender<Result<WatchEvent, Error>>,
}

impl TenantWatcher {
    async fn run(self, first: Vec<Arc<Record>>, mut changes: broadcast::Receiver<Arc<Record>>) {
        let mut shown = HashMap::new();
        for record in first {
            shown.insert(record.session.id.clone(), record.age());
            if self.send(&record).await.is_err() {
                return;
            }
        }
        let clock = self.logins.0.ledger.clock().clone();
        let mut heartbeat_at = clock.now().plus(self.heartbeat);
        loop {
            let sent = tokio::select! {
                biased;
                () = self.sender.closed() => return,
                () = self.logins.0.drain.cancelled() => {
                    let _ = self.sender.send(Err(Error::Draining)).await;
                    return;
                }
                change = changes.recv() => match change {
                    // What changed while the first ones were read is among both.
                    Ok(record) if shown.get(&record.session.id).is_some_and(|shown| *shown >= record.age()) => continue,
                    Ok(record) if self.filter.passes(&record.session) => self.send(&record).await,
                    Ok(_) => continue,
                    Err(broadcast::error::RecvError::Closed) => return,
                    Err(broadcast::error::RecvError::Lagged(_)) => {
                        let _ = self.sender.send(Err(Error::SlowReader)).await;
                        return;
                    }
                },
                () = clock.sleep_until(heartbeat_at) => {
                    self.sender.send(Ok(WatchEvent::Heartbeat(clock.now()))).await.map_err(|_| ())
                }
            };
            if sent.is_err() {
                return;
            }
            heartbeat_at = clock.now().plus(self.heartbeat);
        }
    }

    async fn send(&self, record: &Arc<Record>) -> Result<(), ()> {
        let view = self.logins.view(&self.caller, record);
        self.sender.send(Ok(WatchEvent::Login(Box::new(view)))).await.map_err(|_| ())
    }
}
