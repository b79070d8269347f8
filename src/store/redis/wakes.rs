//! Listening for changes and pings: one subscription for all tenants, for ever.
//!
//! It has a connection of its own, pings it, because a silent one looks like a
//! quiet one, and connects again when it is lost. What was published meanwhile
//! is gone, so every new subscription is announced as [`Wake::Missed`]. What this
//! process has announced itself is not passed on.
//!
//! It listens at the master that Sentinels name, as it is asked for with each new
//! connection, or at any node of a cluster, to all of which everything published
//! goes.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use ::redis::aio::PubSub;
use ::redis::{Msg, RedisError, RedisResult};
use futures_util::StreamExt;
use tokio::sync::broadcast;
use tokio::time::{interval, sleep, timeout};

use super::names::{PINGS, wake_channel};
use super::nodes::Nodes;
use super::settings::Settings;
use crate::session::{LoginId, TenantId};
use crate::store::{Ping, Wake};

const FIRST_RETRY: Duration = Duration::from_millis(100);
const LAST_RETRY: Duration = Duration::from_secs(5);

/// Passes on what is published.
pub(super) struct Listener {
    pub(super) nodes: Arc<Nodes>,
    pub(super) settings: Settings,
    pub(super) tenants: Vec<TenantId>,
    pub(super) wakes: broadcast::Sender<Wake>,
    pub(super) pings: broadcast::Sender<Ping>,
    /// How this process signs what it announces.
    pub(super) writer: String,
}

/// What a message says.
enum Heard {
    Own,
    Other(Wake),
}

/// Why listening ended.
#[derive(Debug, thiserror::Error)]
enum Lost {
    #[error("no answer in time")]
    Silent,
    #[error("the connection was closed")]
    Closed,
    #[error(transparent)]
    Failed(#[from] RedisError),
}

impl Listener {
    /// Listens until it is dropped.
    pub(super) async fn run(self) {
        let mut retry = FIRST_RETRY;
        loop {
            let reason = match self.subscribe().await {
                Ok(subscription) => {
                    retry = FIRST_RETRY;
                    self.pass_on(subscription).await
                }
                Err(reason) => reason,
            };
            tracing::warn!(%reason, retry_ms = retry.as_millis(), "not listening to the store's changes");
            sleep(retry).await;
            retry = (retry * 2).min(LAST_RETRY);
        }
    }

    async fn subscribe(&self) -> Result<PubSub, Lost> {
        let post = self.nodes.listening_post().await?;
        let mut subscription = within(self.settings.connect_timeout, post.get_async_pubsub()).await?;
        let channels: Vec<_> = self.tenants.iter().map(wake_channel).chain([PINGS.to_owned()]).collect();
        within(self.settings.response_timeout, subscription.subscribe(channels)).await?;
        self.tell(Wake::Missed);
        Ok(subscription)
    }

    async fn pass_on(&self, subscription: PubSub) -> Lost {
        let (mut sink, mut messages) = subscription.split();
        let mut pings = interval(self.settings.ping_interval);
        loop {
            tokio::select! {
                message = messages.next() => match message {
                    Some(message) if message.get_channel_name() == PINGS => self.pass_ping_on(&message),
                    Some(message) => match self.read(&message) {
                        Some(Heard::Own) => {}
                        Some(Heard::Other(wake)) => self.tell(wake),
                        // What cannot be read still says that something changed.
                        None => self.tell(Wake::Missed),
                    },
                    None => return Lost::Closed,
                },
                _ = pings.tick() => {
                    let pong: Result<(), _> = within(self.settings.response_timeout, sink.ping()).await;
                    if let Err(reason) = pong {
                        return reason;
                    }
                }
            }
        }
    }

    fn read(&self, message: &Msg) -> Option<Heard> {
        let tenant = self.tenants.iter().find(|tenant| wake_channel(tenant) == message.get_channel_name())?;
        let payload = std::str::from_utf8(message.get_payload_bytes()).ok()?;
        let mut words = payload.split(' ');
        let (login, version, writer) = (words.next()?, words.next()?, words.next()?);
        if writer == self.writer {
            return Some(Heard::Own);
        }
        if login == "check-in" {
            return Some(Heard::Other(Wake::CheckedIn { tenant: tenant.clone() }));
        }
        let (login, version) = (LoginId::parse(login).ok()?, version.parse().ok()?);
        Some(Heard::Other(Wake::Changed { tenant: tenant.clone(), login, version }))
    }

    fn pass_ping_on(&self, message: &Msg) {
        // One that cannot be read is as good as lost: it was a hint.
        if let Some(ping) = std::str::from_utf8(message.get_payload_bytes()).ok().and_then(Ping::read) {
            let _ = self.pings.send(ping);
        }
    }

    fn tell(&self, wake: Wake) {
        // Nobody listening is no failure.
        let _ = self.wakes.send(wake);
    }
}

async fn within<T>(limit: Duration, answer: impl Future<Output = RedisResult<T>>) -> Result<T, Lost> {
    timeout(limit, answer).await.map_err(|_| Lost::Silent)?.map_err(Lost::Failed)
}
