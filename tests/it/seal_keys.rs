//! Seal keys are replaced while logins start and end the whole time.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use ciba_gateway::grpc::v1::Outcome;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::support::caller::{Caller, till};
use crate::support::configuration::Configuration;
use crate::support::eventually::eventually;
use crate::support::gateway::{Gateway, Serve};
use crate::support::redis_server::RedisServer;
use crate::support::simulators::Vipps;

/// Logins that are under way at any time.
const AT_ONCE: usize = 40;
/// Logins that end before the next step.
const BETWEEN_STEPS: u32 = 80;

/// Seals with `active`, opens with `keys`.
fn configuration(vipps: &Vipps, redis: &RedisServer, active: &str, keys: &[(&str, u8)]) -> Configuration {
    let configuration = Configuration::new(&vipps.issuer()).with_redis(redis);
    let (rest, _) = configuration.store.split_once("[keys.seal]").expect("seal keys");
    let keys = keys.iter().map(|(name, byte)| format!("{name} = \"{}\"\n", BASE64_STANDARD.encode([*byte; 32])));
    let store = rest.replace("active_seal_key = \"one\"", &format!("active_seal_key = \"{active}\""));
    Configuration { store: format!("{store}[keys.seal]\n{}", keys.collect::<String>()), ..configuration }
}

/// What all who log somebody in share.
struct Crowd {
    vipps: Vipps,
    desks: [Caller; 2],
    numbers: AtomicU32,
    ended: AtomicU32,
    /// The new key seals on every gateway.
    is_replaced: AtomicBool,
    stop: CancellationToken,
}

impl Crowd {
    /// One login after the other, started at one gateway and followed at the other,
    /// each of another person; the ids of those that began under the new key.
    async fn logs_people_in(&self, at: usize) -> Vec<String> {
        let mut late = Vec::new();
        while !self.stop.is_cancelled() {
            let number = format!("+4792{:06}", self.numbers.fetch_add(1, Ordering::Relaxed));
            let is_late = self.is_replaced.load(Ordering::Relaxed);
            let login = self.desks[at % 2].start(till(&number)).await.expect("no start is refused").login_id;
            self.vipps.simulator.approve(&number);
            let end = self.desks[(at + 1) % 2].end_of(&login).await;
            assert_eq!(end.outcome(), Outcome::Approved, "{end:?}");
            assert_eq!(end.identity.expect("an identity").phone_number, number);
            self.ended.fetch_add(1, Ordering::Relaxed);
            if is_late {
                late.push(login);
            }
        }
        late
    }

    async fn goes_on_for_a_while(&self) {
        let until = self.ended.load(Ordering::Relaxed) + BETWEEN_STEPS;
        let is_there = async || (self.ended.load(Ordering::Relaxed) >= until).then_some(());
        eventually("some more logins have ended", is_there).await;
    }
}

/// SR27, SR31: the two steps of the handbook on two gateways, without a restart. Not one
/// login is lost or refused, and none that began after them needs the old key.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_seal_key_is_replaced_under_load_without_a_restart() {
    let (vipps, redis) = (Vipps::start().await, RedisServer::start().await);
    let both = [("one", 2), ("two", 3)];
    let steps = [("one", &both[..1]), ("one", &both[..]), ("two", &both[..])]
        .map(|(active, keys)| configuration(&vipps, &redis, active, keys));
    let new_alone = configuration(&vipps, &redis, "two", &both[1..]);
    let serves = [Serve::ready(&steps[0]).await, Serve::ready(&steps[0]).await];
    let desks = [serves[0].caller(), serves[1].caller()];
    let crowd = Arc::new(Crowd {
        vipps,
        desks,
        // Clear of the numbers that the simulator has plans for.
        numbers: AtomicU32::new(1000),
        ended: AtomicU32::new(0),
        is_replaced: AtomicBool::new(false),
        stop: CancellationToken::new(),
    });
    // A Redis that is used for the first time takes a moment.
    for (at, desk) in crowd.desks.iter().enumerate() {
        let number = format!("+479300100{at}");
        eventually("the store takes starts", async || desk.start(till(&number)).await.ok()).await;
    }
    let mut people = JoinSet::new();
    for at in 0..AT_ONCE {
        let crowd = Arc::clone(&crowd);
        people.spawn(async move { crowd.logs_people_in(at).await });
    }
    crowd.goes_on_for_a_while().await;
    for (taken, step) in (1..).zip(&steps[1..]) {
        // One after the other: each step is on one gateway alone for a time.
        for serve in &serves {
            serve.file.becomes(&step.text());
            serve.counts(&format!("ciba_gateway_config_reloads_total{{result=\"taken\"}} {taken}")).await;
        }
        crowd.goes_on_for_a_while().await;
    }
    crowd.is_replaced.store(true, Ordering::Relaxed);
    crowd.goes_on_for_a_while().await;
    crowd.stop.cancel();
    let late = people.join_all().await.concat();

    let ended = crowd.ended.load(Ordering::Relaxed);
    assert!(ended >= 4 * BETWEEN_STEPS && late.len() >= AT_ONCE / 2, "{ended} logins, {} late", late.len());
    let after = Gateway::ready(&new_alone).await;
    for login in &late {
        assert_eq!(after.caller().get(login).await.expect("a login under the new key").outcome(), Outcome::Approved);
    }
    for serve in &serves {
        let told = serve.process.stderr();
        assert!(!told.contains("WARN ciba_gateway::config") && !told.contains("ERROR"), "{told}");
    }
}
