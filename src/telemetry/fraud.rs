//! What is counted of fraud signals.

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::registry::Registry;

use super::labels::Name;
use crate::fraud::Kind;
use crate::session::TenantId;

/// Why a signal does not arrive at the fraud desk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Loss {
    /// Too many are on their way.
    NoRoom,
    /// It was tried often enough.
    GivenUp,
    /// The desk has said that it wants none any more.
    Gone,
    /// The gateway stops.
    Stopped,
}

impl Loss {
    /// The reason's name, for logs and metrics.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::NoRoom => "no_room",
            Self::GivenUp => "given_up",
            Self::Gone => "gone",
            Self::Stopped => "stopped",
        }
    }
}

/// Counters of signals and of what became of them. Tenants, kinds and limits are
/// what the configuration and this crate name.
#[derive(Debug, Default)]
pub struct FraudCounters {
    signals: Family<Signalled, Counter>,
    posts: Family<Posted, Counter>,
    lost: Family<Lost, Counter>,
}

impl FraudCounters {
    pub(super) fn register(&self, registry: &mut Registry) {
        registry.register("fraud_signals", "Things that look like fraud, by kind and limit", self.signals.clone());
        let posts = "Requests to fraud desks, by whether the signal was taken";
        registry.register("fraud_webhook_requests", posts, self.posts.clone());
        registry.register("fraud_signals_lost", "Signals that do not arrive at their fraud desk", self.lost.clone());
    }

    /// Something looks like fraud; `limit` is what there was too much of.
    pub fn signalled(&self, tenant: &TenantId, kind: Kind, limit: Option<&'static str>) {
        let labels = Signalled { tenant: tenant.to_string(), kind: Name(kind), limit };
        self.signals.get_or_create(&labels).inc();
    }

    /// A signal was sent, and taken or not.
    pub fn posted(&self, tenant: &TenantId, is_taken: bool) {
        let result = if is_taken { "taken" } else { "failed" };
        self.posts.get_or_create(&Posted { tenant: tenant.to_string(), result }).inc();
    }

    /// A signal does not arrive.
    pub fn lost(&self, tenant: &TenantId, loss: Loss) {
        self.lost.get_or_create(&Lost { tenant: tenant.to_string(), reason: loss.name() }).inc();
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Signalled {
    tenant: String,
    kind: Name<Kind>,
    limit: Option<&'static str>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Posted {
    tenant: String,
    result: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Lost {
    tenant: String,
    reason: &'static str,
}
