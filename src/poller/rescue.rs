//! What becomes of a login whose task panics.
//!
//! A defect that one login runs into is that login's alone. Its task is begun
//! again from what the store holds, a few times, for the defect may be one of
//! the moment; then the login ends as failed, so that its caller is told and its
//! number is free. What the panic said is not looked at: it may hold anything.

use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use futures_util::FutureExt;
use tracing::error;

use super::{Begin, Poller};
use crate::session::{Event, FailureReason};
use crate::store::Record;

/// Panics after which a login is given up.
const PATIENCE: u32 = 3;

impl Poller {
    /// Runs the task of a login, and goes on with the login should it panic.
    pub(super) async fn rescuing(self, run: impl Future<Output = ()>, record: Arc<Record>, begin: Begin) {
        if AssertUnwindSafe(run).catch_unwind().await.is_ok() {
            return;
        }
        self.ledger.metrics().panicked("login");
        let panics = if let Begin::Rescued { panics } = begin { panics + 1 } else { 1 };
        if panics < PATIENCE {
            error!(panics, "a defect broke off the polling of a login; it is taken up again");
            return self.tend(&record, Begin::Rescued { panics });
        }
        error!(panics, "a defect breaks off the polling of a login again and again; the login is ended");
        let event = Event::Failed(FailureReason::Internal);
        let ending = AssertUnwindSafe(self.ledger.apply(&record, &event)).catch_unwind().await;
        if !matches!(ending, Ok(Ok(_))) {
            error!("it could not be ended; its deadline will");
        }
    }
}
