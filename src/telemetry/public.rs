//! What is counted of the listener that the world reaches.

use http::StatusCode;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::registry::Registry;

/// Counters of what the world asks for. Routes, events and results are words that this
/// crate has, never what somebody sent.
#[derive(Debug, Default)]
pub struct PublicCounters {
    requests: Family<Answered, Counter>,
    webhooks: Family<Received, Counter>,
    pings: Family<Pinged, Counter>,
}

impl PublicCounters {
    pub(super) fn register(&self, registry: &mut Registry) {
        let requests = "Requests to the public listener, by route and status";
        registry.register("public_requests", requests, self.requests.clone());
        let webhooks = "Webhook requests, by registration, event and what was made of them";
        registry.register("webhooks", webhooks, self.webhooks.clone());
        let pings = "Pings of the provider that found their login, by whether it was polled for that reason";
        registry.register("pings", pings, self.pings.clone());
    }

    /// The provider has news of a login that is polled here, which is polled for that
    /// reason or is to be polled soon enough anyway.
    pub fn pinged(&self, is_polled: bool) {
        let result = if is_polled { "polled" } else { "too_soon" };
        self.pings.get_or_create(&Pinged { result }).inc();
    }

    /// A webhook request came. `webhook` is the name of a registration of the
    /// configuration or `none`, `event` the provider's name of an event that is known or
    /// `none`.
    pub fn webhook_received(&self, webhook: &str, event: &'static str, result: &'static str) {
        let labels = Received { webhook: webhook.to_owned(), event, result };
        self.webhooks.get_or_create(&labels).inc();
    }

    /// A request was answered; `route` is one of ours with its braces, or `none`.
    pub fn answered(&self, route: &str, status: StatusCode) {
        let labels = Answered { route: route.to_owned(), status: status.as_u16() };
        self.requests.get_or_create(&labels).inc();
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Answered {
    route: String,
    status: u16,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Received {
    webhook: String,
    event: &'static str,
    result: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Pinged {
    result: &'static str,
}
