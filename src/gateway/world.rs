//! What the world is served on the public listener, where there is one.
//!
//! Routes are added in [`World::assemble`], and who hears of the provider's events.

mod check_ins;
mod pings;

use std::future::{Future, pending};
use std::sync::Arc;

use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use check_ins::CheckIns;
use pings::Pings;

use super::parts::Parts;
use crate::config::{self, Config};
use crate::grpc::{TlsError, TlsIdentity};
use crate::http::public::Public;
use crate::webhooks::{EventKind, Receiver, Registration};

/// See the module. Cheap to clone; all clones are one.
#[derive(Clone)]
pub(super) struct World {
    public: Public,
    webhooks: Receiver,
}

impl World {
    pub(super) fn assemble(parts: &Parts, config: &Config) -> Result<Option<Self>, TlsError> {
        let Some(settings) = &config.public else { return Ok(None) };
        let clock = parts.logins.clock().clone();
        let webhooks = Receiver::builder(settings.base_url.host(), clock, Arc::clone(&parts.metrics))
            .on(EventKind::LoginPing, Arc::new(Pings(parts.poller.clone())))
            .on(EventKind::CheckedIn, Arc::new(CheckIns(parts.logins.clone())))
            .build();
        webhooks.go_by(registrations(config));
        let public = Public::new(settings, Arc::clone(&parts.metrics))?.with(webhooks.routes());
        let public = public.with(crate::http::landing::routes(parts.logins.clone()));
        Ok(Some(Self { public, webhooks }))
    }

    /// Goes by another configuration from now on, with that certificate.
    pub(super) fn go_by(&self, config: &Config, tls: Option<TlsIdentity>) {
        self.public.renew_tls(tls);
        self.webhooks.go_by(registrations(config));
    }

    /// Ends only with the listener; never where there is none. Nothing new is taken once
    /// the process stops: what comes by it is another replica's then.
    pub(super) fn serve(
        world: Option<Self>,
        listener: Option<TcpListener>,
        tasks: &TaskTracker,
        stop: &CancellationToken,
    ) -> impl Future<Output = ()> + Send + use<> {
        let serving = world.zip(listener);
        let serving = serving.map(|(world, listener)| world.public.serve(listener, tasks.clone(), stop.clone()));
        let serving = serving.map(|serving| tasks.spawn(serving));
        async {
            match serving {
                Some(serving) => {
                    let _ = serving.await;
                }
                None => pending().await,
            }
        }
    }
}

fn registrations(config: &Config) -> impl Iterator<Item = Registration> {
    config.tenants.iter().flat_map(|tenant| {
        let registration = |webhook: &config::Webhook| Registration {
            name: webhook.name.clone(),
            tenant: tenant.id.clone(),
            events: webhook.events.clone(),
            secrets: webhook.secrets().cloned().collect(),
        };
        tenant.webhooks.iter().map(registration)
    })
}
