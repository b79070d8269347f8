//! Another configuration while the gateway runs.
//!
//! What holds without a restart is put together whole, and only when all of it can
//! be used are the old values replaced, one after the other: keys first, then who
//! may call and what. Which settings those are is [`Config::succeeded_by`]'s to say.
//! Reads no file: configurations are handed in, by [`super::files`] or a test.

use std::convert::Infallible;
use std::future::pending;
use std::sync::Arc;

use tokio::sync::{mpsc, watch};
use tracing::{error, info, warn};

use super::parts::{self, AssemblyError, Parts};
use super::stores;
use super::world::World;
use crate::config::{Config, Mistakes, Store, Succession};
use crate::grpc::{Callers, Front, TlsIdentity};
use crate::telemetry::{Metrics, Reload, causes};

/// Each time that the configuration has been read again: what it says, or what is
/// wrong with it.
pub type Changes = mpsc::Receiver<Result<Config, Mistakes>>;

/// A running gateway as far as it can be changed.
pub(super) struct Running<'p> {
    parts: &'p Parts,
    config: Config,
    enrolled: watch::Sender<Arc<Callers>>,
    fronts: Fronts,
}

/// What callers and the world connect to.
pub(super) struct Fronts {
    pub(super) grpc: Front,
    pub(super) world: Option<World>,
}

impl<'p> Running<'p> {
    pub(super) const fn new(
        parts: &'p Parts,
        config: Config,
        enrolled: watch::Sender<Arc<Callers>>,
        fronts: Fronts,
    ) -> Self {
        Self { parts, config, enrolled, fronts }
    }

    /// Takes what comes, for as long as anything can come.
    pub(super) async fn follow(mut self, mut changes: Changes) -> Infallible {
        while let Some(read) = changes.recv().await {
            let metrics: &Metrics = &self.parts.metrics;
            match read {
                Ok(next) => metrics.configuration_read(self.take(&next)),
                Err(mistakes) => {
                    for mistake in mistakes.to_string().lines() {
                        error!(mistake, "the configuration that was read again has a mistake");
                    }
                    error!(mistakes = mistakes.list().len(), "the configuration is not taken; all goes on as before");
                    metrics.configuration_read(Reload::Refused);
                }
            }
        }
        pending().await
    }

    fn take(&mut self, next: &Config) -> Reload {
        let Succession { config, waiting } = self.config.succeeded_by(next);
        if let Err(error) = self.go_by(&config) {
            let reason = causes(&error);
            error!(reason, "the configuration that was read again cannot be used; all goes on as before");
            return Reload::Refused;
        }
        self.config = config;
        for setting in &waiting {
            warn!(setting, "a setting has changed that waits for a restart; until then the old value holds");
        }
        info!(waiting_for_restart = waiting.len(), "the configuration was read again and holds now");
        if waiting.is_empty() { Reload::Taken } else { Reload::TakenInPart }
    }

    /// All of it, or nothing.
    fn go_by(&self, config: &Config) -> Result<(), AssemblyError> {
        let parts = self.parts;
        let callers = Arc::new(parts.callers(config)?);
        let tls = config.grpc.tls.as_ref().map(TlsIdentity::from_config).transpose()?;
        let public_tls = config.public.as_ref().and_then(|public| public.tls.as_ref());
        let public_tls = public_tls.map(TlsIdentity::for_http1).transpose()?;
        let ring = match &config.store {
            Store::Redis(redis) => Some(stores::key_ring(&redis.keys)?),
            Store::Memory => None,
        };
        let secrets = parts.secrets(config)?;
        // From here on nothing fails.
        parts.renew_secrets(secrets);
        if let (Some(store), Some(ring)) = (&parts.redis, ring) {
            store.renew_seal_keys(ring);
        }
        self.fronts.grpc.renew_tls(tls);
        if let Some(world) = &self.fronts.world {
            world.go_by(config, public_tls);
        }
        let (tenants, policy) = parts::rules(config, &parts.credentials);
        parts.logins.go_by(tenants, policy, config.block_list.clone());
        self.enrolled.send_replace(callers);
        Ok(())
    }
}
