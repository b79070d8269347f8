//! Every magic number of the simulator through the front door: whatever the
//! provider does, the login ends as it should, and never as a "no" that nobody
//! said.

use std::time::Duration;

use ciba_gateway::grpc::v1::{FailureReason as Reason, Outcome, StartLoginRequest};
use ciba_gateway::simulator::{MagicNumber, ReceivedRequest, Settings, Simulator, magic_numbers};
use futures_util::future::join_all;

use crate::support::caller::{Caller, refusal, till};
use crate::support::configuration::Configuration;
use crate::support::gateway::{Gateway, local};
use crate::support::simulators::{Vipps, quick};

/// Protocol seconds in a real one: unanswered logins expire at the provider
/// within seconds, and slow answers stay within the gateway's time-outs.
const SPEED: f64 = 5.0;

/// How a login ends.
#[derive(Debug, PartialEq)]
enum End {
    /// With a verified person, whose name was released or not.
    Approved {
        name: bool,
    },
    Denied,
    Expired,
    Failed(Reason),
    /// The start was refused with this reason, and says when to come back or not.
    Refused(&'static str, bool),
}

/// What the effect of each magic number must lead to.
fn expected(magic: &MagicNumber) -> End {
    match magic.name {
        "deny" | "deny-at-once" => End::Denied,
        "no-answer" | "early-expiry" => End::Expired,
        "busy-seconds" | "busy-date" | "busy-gateway" => End::Refused("PROVIDER_BUSY", true),
        "start-gateway-401" => End::Refused("PROVIDER_CREDENTIALS_REFUSED", false),
        // The phone may have rung.
        "start-outage" | "start-unavailable" | "start-cut" | "start-unreadable" | "start-no-id" | "start-no-expiry" => {
            End::Failed(Reason::StartUnknown)
        }
        "unknown-user"
        | "invalid-user"
        | "late-invalid-user"
        | "under-15"
        | "invalid-user-both"
        | "unknown-user-number" => End::Failed(Reason::PersonUnknown),
        "old-app" | "late-old-app" | "old-app-person" => End::Failed(Reason::AppTooOld),
        "start-forbidden" => End::Failed(Reason::PolicyRefused),
        "start-expired-hint" | "start-invalid-hint" | "poll-invalid-request" => End::Failed(Reason::RequestRefused),
        "not-enabled" => End::Failed(Reason::NotEnabled),
        "transaction-failed" | "poll-unknown-error" | "no-access-token" => End::Failed(Reason::ProviderError),
        // The single-use exchange happened, and what it gave is gone.
        "poll-invalid-grant" | "success-cut" | "success-unreadable" => End::Failed(Reason::ResultLost),
        "other-sub" | "userinfo-unreadable" | "userinfo-no-sub" => End::Failed(Reason::UserinfoInvalid),
        "other-phone" => End::Failed(Reason::PhoneMismatch),
        // A page of whatever is in front of the provider says nothing about the token.
        "userinfo-down" | "userinfo-401" => End::Failed(Reason::ProviderUnavailable),
        "userinfo-refused" => End::Failed(Reason::UserinfoRefused),
        "no-id-token" | "unknown-kid" | "broken-rs256" | "broken-es256" | "broken-hs256" | "hs256" | "alg-none"
        | "no-signature" | "wrong-iss" | "no-iss" | "wrong-aud" | "no-aud" | "extra-aud" | "expired-token"
        | "no-exp" | "old-iat" | "no-iat" | "no-sub" | "wrong-at-hash" => End::Failed(Reason::IdTokenInvalid),
        "claims-missing" => End::Approved { name: false },
        // Awkward, late or decorated, but a "yes" all the same.
        "approve"
        | "approve-at-once"
        | "start-slow"
        | "start-no-interval"
        | "long-interval"
        | "poll-gateway-401"
        | "poll-outage"
        | "poll-unavailable"
        | "slow-down"
        | "poll-busy"
        | "poll-cut"
        | "poll-slow"
        | "success-bare"
        | "success-lower-case"
        | "empty-address"
        | "userinfo-outage"
        | "consents-refused"
        | "consents-remembered"
        | "consents-mixed"
        | "agreement-refused"
        | "consents-misspelt"
        | "email-unverified"
        | "phone-missing"
        | "es256"
        | "aud-string"
        | "no-kid"
        | "no-at-hash"
        | "foreign-nonce"
        | "rotated-keys"
        | "foreign-request-id"
        | "user-data"
        | "other-msn"
        | "no-msn" => End::Approved { name: true },
        name => panic!("nobody has said how {name} must end"),
    }
}

async fn end(caller: &Caller, number: &str) -> End {
    // Expires at the provider within a minute, and yet after the latest poll.
    let lifetime = prost_types::Duration { seconds: 180, nanos: 0 };
    let started = match caller.start(StartLoginRequest { lifetime: Some(lifetime), ..till(number) }).await {
        Ok(login) => login,
        Err(status) => {
            let (_, reason, comes_back) = refusal(&status);
            return End::Refused(reason.leak(), comes_back);
        }
    };
    let login = caller.end_of(&started.login_id).await;
    let is_identified = login.identity.as_ref().is_some_and(|identity| !identity.sub.is_empty());
    assert_eq!(is_identified, login.outcome() == Outcome::Approved, "{login:?}");
    match login.outcome() {
        Outcome::Approved => End::Approved { name: login.identity.is_some_and(|identity| !identity.name.is_empty()) },
        Outcome::Denied => End::Denied,
        Outcome::Expired => End::Expired,
        Outcome::Failed => End::Failed(login.failure_reason()),
        other => panic!("{number} ended {other:?}"),
    }
}

/// With an interval of 31 s nobody waits for a third poll: the person decides
/// as soon as the phone rings.
async fn decide_early(simulator: &Simulator, number: &str) {
    let digits = number.trim_start_matches('+');
    let rings =
        |request: &ReceivedRequest| request.outcome == Some("started") && request.phone.as_deref() == Some(digits);
    simulator.wait_for_request(rings).await;
    assert_eq!(simulator.approve(number), 1);
}

async fn play(numbers: Vec<&'static MagicNumber>) -> Vec<String> {
    let settings = Settings { speed: SPEED, ..quick() };
    let vipps = Vipps::with(local().await, settings).await;
    let provider = "request_timeout = \"20s\"".into();
    let gateway = Gateway::ready(&Configuration { provider, ..Configuration::new(&vipps.issuer()) }).await;
    let (simulator, caller) = (&vipps.simulator, &gateway.caller());
    let stories = numbers.into_iter().enumerate().map(|(at, magic)| async move {
        // One of the five countries each, in turn.
        let number = format!("+{}", magic.examples()[at % 5]);
        let decision = async {
            if magic.name == "long-interval" {
                decide_early(simulator, &number).await;
            }
        };
        let (found, ()) = tokio::join!(end(caller, &number), decision);
        let wanted = expected(magic);
        (found != wanted).then(|| format!("{} {number} ({}): {found:?}, not {wanted:?}", magic.name, magic.effect))
    });
    let stories = tokio::time::timeout(Duration::from_secs(85), join_all(stories));
    stories.await.expect("every login ends in time").into_iter().flatten().collect()
}

#[tokio::test]
async fn every_magic_number_ends_as_its_effect_says() {
    // Whoever takes the keys away takes them away from everybody.
    let (alone, together) = magic_numbers().iter().partition(|magic| magic.name == "rotated-keys");
    let (alone, together) = tokio::join!(play(alone), play(together));
    let wrong = [alone, together].concat();
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}
