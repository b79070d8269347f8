//! Tokens of the tenants' own identity providers: whether one holds, and whom it
//! names.
//!
//! An [`Issuer`] is one identity provider as one tenant uses it. It has its keys at
//! hand and fetches them in the background; a token is checked by its rules, which
//! read no clock and know no network. Which client of ours a token is of is not
//! known here. Called by `grpc`, which asks for every call; set up by `gateway`.

mod key;
mod keys;
mod rules;
mod source;

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use crate::clock::Clock;
use crate::config::Tokens;
use crate::telemetry::Metrics;
use crate::timestamp::Timestamp;

use keys::Keys;
use rules::Rules;
pub use rules::{Refused, Statement, stated_issuer};
use source::Source;
pub use source::Unusable;

/// One identity provider as one tenant uses it. Its keys are fetched for as long as
/// it lives.
pub struct Issuer {
    settings: Tokens,
    rules: Rules,
    keys: Keys,
}

impl Issuer {
    /// Begins to fetch the keys. Must be called in a runtime.
    ///
    /// # Errors
    /// When the settings cannot work, in words for an operator.
    pub fn new(settings: &Tokens, clock: &Clock, metrics: &Arc<Metrics>) -> Result<Self, Unusable> {
        let source = Source::new(settings, clock, metrics)?;
        let keys = Keys::fetched_from(source, settings, clock.clone());
        Ok(Self { settings: settings.clone(), rules: Rules::new(settings), keys })
    }

    /// The issuer, as its tokens write it.
    #[must_use]
    pub fn name(&self) -> &str {
        self.settings.issuer.as_str()
    }

    /// What the token says, once everything holds. Waits a moment where its key may be
    /// so new that it has not been fetched.
    ///
    /// # Errors
    /// The rule that it breaks, or that there are no keys.
    pub async fn verify(&self, token: &str, now: Timestamp) -> Result<Statement, Refused> {
        let keys = self.keys.at_hand(now).await?;
        match self.rules.verify(token, &keys, now) {
            Err(Refused::UnknownKey) => match self.keys.renewed(now).await {
                Some(keys) => self.rules.verify(token, &keys, now),
                None => Err(Refused::UnknownKey),
            },
            settled => settled,
        }
    }
}

impl fmt::Debug for Issuer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Issuer").field(&self.name()).finish()
    }
}

/// The identity providers in use. One whose settings have not changed keeps its keys
/// when the configuration is read again.
#[derive(Default)]
pub struct Issuers(Mutex<Vec<Weak<Issuer>>>);

impl Issuers {
    /// The one with these settings.
    ///
    /// # Errors
    /// As [`Issuer::new`].
    pub fn get(&self, settings: &Tokens, clock: &Clock, metrics: &Arc<Metrics>) -> Result<Arc<Issuer>, Unusable> {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.retain(|issuer| issuer.strong_count() > 0);
        let same = known.iter().filter_map(Weak::upgrade).find(|issuer| issuer.settings == *settings);
        if let Some(issuer) = same {
            return Ok(issuer);
        }
        let issuer = Arc::new(Issuer::new(settings, clock, metrics)?);
        known.push(Arc::downgrade(&issuer));
        Ok(issuer)
    }
}
