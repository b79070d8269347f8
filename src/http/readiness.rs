//! Whether this process should be given new calls, and if not, why.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::{Value, json};
use tokio::sync::watch;

use crate::session::TenantId;

/// A check nobody has made yet counts as failed.
const UNCHECKED: &str = "not checked yet";

/// What is known of the process's health, shared by whoever learns or wants to
/// know something of it.
#[derive(Clone, Debug)]
pub struct Readiness(Arc<watch::Sender<Checks>>);

/// The newest result of each check. What is wrong is said for an operator and
/// must be free of secrets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checks {
    store: Result<(), String>,
    providers: BTreeMap<TenantId, Result<(), String>>,
    draining: bool,
}

impl Readiness {
    /// Not ready: nothing has been checked yet.
    pub fn new(tenants: impl IntoIterator<Item = TenantId>) -> Self {
        let unchecked = || Err(UNCHECKED.to_owned());
        let providers = tenants.into_iter().map(|tenant| (tenant, unchecked())).collect();
        Self(Arc::new(watch::Sender::new(Checks { store: unchecked(), providers, draining: false })))
    }

    /// The store answered, or did not.
    pub fn set_store(&self, result: Result<(), String>) {
        self.change(|checks| checks.store = result);
    }

    /// The tenant's provider can take starts, or cannot.
    pub fn set_provider(&self, tenant: &TenantId, result: Result<(), String>) {
        self.change(|checks| {
            checks.providers.insert(tenant.clone(), result);
        });
    }

    /// The process is about to stop; there is no way back.
    pub fn set_draining(&self) {
        self.change(|checks| checks.draining = true);
    }

    /// See [`Checks::is_ready`].
    #[must_use]
    pub fn is_ready(&self) -> bool {
        self.0.borrow().is_ready()
    }

    /// What is known now.
    #[must_use]
    pub fn checks(&self) -> Checks {
        self.0.borrow().clone()
    }

    /// Hears of every change.
    #[must_use]
    pub fn subscribe(&self) -> watch::Receiver<Checks> {
        self.0.subscribe()
    }

    fn change(&self, change: impl FnOnce(&mut Checks)) {
        self.0.send_if_modified(|checks| {
            let before = checks.clone();
            change(checks);
            *checks != before
        });
    }
}

impl Checks {
    /// The store answers, one provider at least can take starts, and the process
    /// is not about to stop. One tenant's provider must not take the gateway
    /// away from the others.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        self.store.is_ok() && !self.draining && self.providers.values().any(Result::is_ok)
    }

    /// Each check by name with `ok` or what is wrong.
    #[must_use]
    pub fn report(&self) -> Value {
        let providers: BTreeMap<_, _> =
            self.providers.iter().map(|(tenant, result)| (tenant.as_str(), said(result))).collect();
        json!({
            "ready": self.is_ready(),
            "store": said(&self.store),
            "providers": providers,
            "draining": self.draining,
        })
    }
}

fn said(result: &Result<(), String>) -> &str {
    result.as_ref().map_or_else(String::as_str, |()| "ok")
}
