//! The provider over real sockets, against one that lies.

mod answers;
mod checks;
mod documents;
mod id_tokens;
mod network;
mod partners;
mod people;
mod platform;
mod requests;

use ciba_gateway::ciba::AuthReqId;
use ciba_gateway::provider::openid::InvalidSettings;
use ciba_gateway::provider::vipps::{Settings, Vipps};
use ciba_gateway::provider::{NewSecrets, Operated};
use secrecy::SecretString;

use crate::support::lying_provider::{LyingProvider, TestClock};

/// A provider that lies, a clock, and the gateway's side of it.
struct World {
    provider: LyingProvider,
    clock: TestClock,
    vipps: Vipps,
}

impl World {
    async fn new() -> Self {
        Self::with(|_| {}).await
    }

    async fn with(change: impl FnOnce(&mut Settings)) -> Self {
        let (provider, clock) = (LyingProvider::start().await, TestClock::new());
        let mut settings = provider.settings();
        change(&mut settings);
        let vipps = clock.provider(&settings);
        Self { provider, clock, vipps }
    }
}

/// Puts other secrets in the place of the present ones; whether they are others.
fn renew(vipps: &Vipps, first: &str, other: Option<&str>, key: Option<&str>) -> Result<bool, InvalidSettings> {
    let [first, other, key] = [Some(first), other, key].map(|text| text.map(SecretString::from));
    let given = NewSecrets {
        client_secret: first.as_ref().unwrap(),
        client_secret_next: other.as_ref(),
        subscription_key: key.as_ref(),
    };
    vipps.prepare(given).map(|replace| replace())
}

fn auth_req_id() -> AuthReqId {
    AuthReqId::new("a-1").unwrap()
}
