//! Hearing of what happens to logins, here and elsewhere.
//!
//! Wake-ups say that something changed; the records say what. Each tenant's stream
//! is read when somebody watches and something is said to have changed, and once
//! in [`REREAD`] in any case, so that nothing depends on a wake-up.

use std::time::Duration;

use futures_util::future::join_all;
use tokio::sync::broadcast;
use tokio_util::sync::CancellationToken;
use tracing::warn;

use super::{EVENTS_PAGE, Feed, Ledger, REREAD};
use crate::session::{LoginId, TenantId};
use crate::store::{StoreError, Wake};

/// After a stream could not be read.
const READ_AGAIN: Duration = Duration::from_millis(250);

impl Ledger {
    /// Follows what happens to the logins of `tenants`, here and elsewhere, until
    /// `shutdown`.
    pub async fn follow(self, tenants: Vec<TenantId>, shutdown: CancellationToken) {
        let feeds = tenants.iter().map(|tenant| self.follow_stream(tenant, &shutdown));
        let keepers = tenants.iter().map(|tenant| self.keep_whole(tenant, &shutdown));
        tokio::join!(self.follow_wakes(&shutdown), join_all(feeds), join_all(keepers));
    }

    async fn follow_stream(&self, tenant: &TenantId, shutdown: &CancellationToken) {
        let feed = self.feeds.of(tenant);
        let mut pause = REREAD;
        loop {
            tokio::select! {
                biased;
                () = shutdown.cancelled() => return,
                () = feed.nudged() => {}
                () = tokio::time::sleep(pause) => {}
            }
            if !feed.is_wanted() && !self.hub.watches(tenant) {
                feed.forget();
                continue;
            }
            pause = match self.read_on(tenant, &feed).await {
                Ok(()) => REREAD,
                Err(error) => {
                    warn!(%tenant, %error, "the stream of changes cannot be read; trying again");
                    READ_AGAIN
                }
            };
        }
    }

    /// Reads what the stream has after what is known of it.
    async fn read_on(&self, tenant: &TenantId, feed: &Feed) -> Result<(), StoreError> {
        loop {
            let end = feed.end();
            let (after, limit) = end.as_ref().map_or((u64::MAX, 0), |end| (end.number, EVENTS_PAGE));
            let found = self.events(tenant, after, limit).await?;
            if let Some(end) = &end
                && end.epoch == found.epoch
                && found.newest < end.number
            {
                self.begin_epoch(tenant, end).await?;
                self.suspicion.raise();
                continue;
            }
            let is_all = found.entries.len() < limit || limit == 0;
            // A change that was not heard of.
            for event in &found.entries {
                if self.hub.wants(tenant, &event.login, event.version) {
                    self.refresh(tenant, &event.login).await;
                }
            }
            feed.take_in(found);
            if is_all {
                return Ok(());
            }
        }
    }

    async fn follow_wakes(&self, shutdown: &CancellationToken) {
        let mut wakes = self.store.wakes();
        while let Some(wake) = shutdown.run_until_cancelled(wakes.recv()).await {
            match wake {
                Ok(Wake::Changed { tenant, login, version }) => {
                    self.nudge(&tenant);
                    let is_wanted = self.hub.wants(&tenant, &login, version);
                    if is_wanted || self.memory.wants(&tenant, &login, version) {
                        self.refresh(&tenant, &login).await;
                    }
                }
                Ok(Wake::CheckedIn { tenant }) => self.boards.nudge(&tenant),
                Ok(Wake::Missed) | Err(broadcast::error::RecvError::Lagged(_)) => self.refresh_all().await,
                Err(broadcast::error::RecvError::Closed) => return,
            }
        }
    }

    async fn refresh_all(&self) {
        self.suspicion.raise();
        for (tenant, login) in self.hub.watched() {
            self.refresh(&tenant, &login).await;
        }
        self.feeds.nudge_all();
        self.boards.nudge_all();
    }

    /// Has the stream read on when somebody watches it.
    pub(super) fn nudge(&self, tenant: &TenantId) {
        let feed = self.feeds.of(tenant);
        if feed.is_wanted() {
            feed.nudge();
        }
    }

    async fn refresh(&self, tenant: &TenantId, login: &LoginId) {
        if let Err(error) = self.read(tenant, login).await {
            warn!(login.id = %login, %error, "a changed login could not be read; its watchers wait for the next change");
        }
    }
}
