//! Who has checked in and waits, as this process knows it: read once for all who
//! watch a tenant, when something is said to have changed and once in [`REREAD`].

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::watch;

use super::{Ledger, REREAD};
use crate::session::{CheckInId, TenantId};
use crate::store::check_ins::{CheckIn, Taken, Waiting};
use crate::store::{Asker, StoreError};
use crate::telemetry::StoreOperation;
use crate::timestamp::Timestamp;

/// All tenants' boards. Cheap to clone; all clones are one.
#[derive(Clone, Default)]
pub(super) struct Boards(Arc<Mutex<HashMap<TenantId, Arc<Board>>>>);

/// Who waits at one tenant's shops.
#[derive(Default)]
struct Board {
    /// Counts what was said to have changed.
    news: watch::Sender<u64>,
    seen: tokio::sync::Mutex<Option<Seen>>,
}

struct Seen {
    news: u64,
    at: Timestamp,
    waiting: Arc<[Waiting]>,
}

impl Boards {
    fn of(&self, tenant: &TenantId) -> Arc<Board> {
        Arc::clone(self.lock().entry(tenant.clone()).or_default())
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<TenantId, Arc<Board>>> {
        // Nothing in there can be left half done.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Something has changed for a tenant.
    pub(super) fn nudge(&self, tenant: &TenantId) {
        if let Some(board) = self.lock().get(tenant) {
            board.news.send_modify(|count| *count += 1);
        }
    }

    /// Something may have changed anywhere.
    pub(super) fn nudge_all(&self) {
        for board in self.lock().values() {
            board.news.send_modify(|count| *count += 1);
        }
    }
}

impl Ledger {
    /// Hears from now on when somebody may have checked in.
    #[must_use]
    pub fn check_in_news(&self, tenant: &TenantId) -> watch::Receiver<u64> {
        self.boards.of(tenant).news.subscribe()
    }

    /// Who has checked in and waits, oldest first.
    ///
    /// # Errors
    /// When the store cannot be asked.
    pub async fn waiting(&self, tenant: &TenantId) -> Result<Arc<[Waiting]>, StoreError> {
        let board = self.boards.of(tenant);
        let mut seen = board.seen.lock().await;
        let (news, now) = (*board.news.borrow(), self.clock.now());
        if let Some(seen) = &*seen
            && seen.news == news
            && now < seen.at.plus(REREAD)
        {
            return Ok(Arc::clone(&seen.waiting));
        }
        let found = self.store.check_ins(tenant, now).await;
        let waiting: Arc<[Waiting]> = self.counted(StoreOperation::CheckIns, found)?.into();
        *seen = Some(Seen { news, at: now, waiting: Arc::clone(&waiting) });
        Ok(waiting)
    }

    /// Keeps a check-in and tells who watches.
    ///
    /// # Errors
    /// When the store cannot be asked; the provider tells of it again.
    pub async fn keep_check_in(&self, tenant: &TenantId, check_in: &CheckIn) -> Result<CheckInId, StoreError> {
        let kept = self.store.keep_check_in(tenant, check_in, self.clock.now()).await;
        let id = self.counted(StoreOperation::CheckIns, kept)?;
        self.boards.nudge(tenant);
        Ok(id)
    }

    /// Takes a check-in for a start.
    ///
    /// # Errors
    /// When the store cannot be asked; the same start may take it again.
    pub async fn take_check_in(&self, asker: Asker<'_>, id: &CheckInId) -> Result<Taken, StoreError> {
        let taken =
            self.counted(StoreOperation::CheckIns, self.store.take_check_in(asker, id, self.clock.now()).await)?;
        if matches!(taken, Taken::Token(_)) {
            self.boards.nudge(asker.tenant);
        }
        Ok(taken)
    }

    /// Takes [`Ledger::take_check_in`] back.
    ///
    /// # Errors
    /// When the store cannot be asked; it then starts nothing but the same start.
    pub async fn put_check_in_back(&self, asker: Asker<'_>, id: &CheckInId) -> Result<(), StoreError> {
        let put = self.store.put_check_in_back(asker, id, self.clock.now()).await;
        self.counted(StoreOperation::CheckIns, put)?;
        self.boards.nudge(asker.tenant);
        Ok(())
    }
}
