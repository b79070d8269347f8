//! Finding out that the store has lost something, and putting it right.
//!
//! Each tenant is looked after by one loop: it looks at the stream's number once
//! in a period, and at every login that is remembered whenever there is reason
//! to suspect a loss: a failed call, a new subscription.

use std::sync::Arc;
use std::time::Duration;

use futures_util::stream::{self, StreamExt, TryStreamExt};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use super::{Ledger, REREAD};
use crate::session::{LoginId, TenantId};
use crate::store::{PutBack, Record, StoreError};

/// After a look that failed.
const LOOK_AGAIN: Duration = Duration::from_millis(250);
/// Between two looks at everything.
const SHORTEST_PAUSE: Duration = Duration::from_secs(1);
/// Logins that are put back at once.
const AT_ONCE: usize = 16;

/// Counts the reasons to suspect a loss. Cheap to clone; all clones are one.
#[derive(Clone, Default)]
pub(super) struct Suspicion(Arc<watch::Sender<u64>>);

impl Suspicion {
    pub(super) fn raise(&self) {
        self.0.send_modify(|count| *count += 1);
    }
}

impl Ledger {
    /// Looks after one tenant until `shutdown`.
    pub(super) async fn keep_whole(&self, tenant: &TenantId, shutdown: &CancellationToken) {
        let mut suspicions = self.suspicion.0.subscribe();
        let (mut pause, mut is_suspicious) = (Duration::ZERO, false);
        loop {
            tokio::select! {
                biased;
                () = shutdown.cancelled() => return,
                raised = suspicions.changed(), if !is_suspicious => is_suspicious = raised.is_ok(),
                () = tokio::time::sleep(pause) => {}
            }
            match self.look_after(tenant, is_suspicious).await {
                Ok(()) if is_suspicious => {
                    let _ = shutdown.run_until_cancelled(tokio::time::sleep(SHORTEST_PAUSE)).await;
                    (pause, is_suspicious) = (REREAD, false);
                }
                Ok(()) => pause = REREAD,
                Err(_) => {
                    // Our own failed look is no further reason.
                    suspicions.mark_unchanged();
                    (pause, is_suspicious) = (LOOK_AGAIN, true);
                }
            }
        }
    }

    async fn look_after(&self, tenant: &TenantId, is_suspicious: bool) -> Result<(), StoreError> {
        let is_whole = self.store.still_has(tenant, self.clock.now()).await?;
        if is_whole && !is_suspicious {
            return Ok(());
        }
        let remembered = self.memory.of(tenant, self.clock.now());
        let put_back = stream::iter(remembered)
            .map(|record| async move { self.put_back(&record).await })
            .buffer_unordered(AT_ONCE)
            .try_fold(0_usize, |sum, wrote| async move { Ok(sum + usize::from(wrote)) });
        let put_back = put_back.await?;
        if is_whole && put_back > 0 {
            // Less was lost than the stream's number can tell; its readers must know all the same.
            let end = self.events(tenant, u64::MAX, 0).await?.end();
            self.begin_epoch(tenant, &end).await?;
            self.store.still_has(tenant, self.clock.now()).await?;
        }
        self.store.is_put_right(tenant);
        if !is_whole || put_back > 0 {
            warn!(%tenant, logins = put_back, "the store had lost data; what this process remembers was put back");
            self.feeds.nudge_all();
        }
        Ok(())
    }

    async fn put_back(&self, record: &Record) -> Result<bool, StoreError> {
        let put_back = self.store.put_back(record, self.clock.now(), self.identity_window).await?;
        match put_back {
            PutBack::Written => info!(login.id = %record.session.id, "the store had lost this login; it was put back"),
            PutBack::Withdrawn => self.memory.forget(record),
            PutBack::Kept => {}
        }
        Ok(put_back == PutBack::Written)
    }

    /// What is remembered of a login of which the store has less, put back.
    pub(super) async fn insist(
        &self,
        tenant: &TenantId,
        login: &LoginId,
        found: Option<&Record>,
    ) -> Result<Option<Record>, StoreError> {
        let Some(remembered) = self.memory.recall(tenant, login) else { return Ok(None) };
        if found.is_some_and(|found| found.age() >= remembered.age()) {
            return Ok(None);
        }
        self.suspicion.raise();
        self.put_back(&remembered).await?;
        self.store.load(tenant, login, self.clock.now()).await
    }
}
