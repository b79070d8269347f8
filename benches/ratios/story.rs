//! What a gateway noted in its audit log, and when, to note it again.

use std::time::Duration;

use ciba_gateway::audit::{Audit, By, Entry, What};
use ciba_gateway::phone::PhoneNumber;
use ciba_gateway::session::{Channel, ClientId, LoginId, TenantId, TerminalId};
use serde::Deserialize;
use tokio::time::Instant;

/// Records in order, each with its time after the first.
pub(crate) struct Story(Vec<(Duration, What)>);

#[derive(Deserialize)]
struct Line {
    time: String,
    what: String,
    answer: Option<String>,
}

impl Story {
    /// Reads lines of an audit log; what a run says about itself is left out.
    pub(crate) fn read(lines: &str) -> Self {
        let lines = lines.lines().map(|line| serde_json::from_str(line).expect("a line of an audit log"));
        let records: Vec<_> = lines.filter_map(|line: Line| Some((time(&line), what(&line)?))).collect();
        let begin = records.first().expect("something was noted").0;
        Self(records.into_iter().map(|(at, what)| (at - begin, what)).collect())
    }

    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    /// Notes everything again, as long after the first as it was.
    pub(crate) async fn tell(&self, audit: &Audit) {
        let begin = Instant::now();
        for (after, what) in &self.0 {
            if begin + *after > Instant::now() {
                tokio::time::sleep_until(begin + *after).await;
            }
            audit.note(entry(*what));
        }
    }
}

fn time(line: &Line) -> Duration {
    let time = humantime::parse_rfc3339(&line.time).expect("a time");
    time.duration_since(std::time::UNIX_EPOCH).expect("a time after 1970")
}

fn what(line: &Line) -> Option<What> {
    let what = match line.what.as_str() {
        "began" | "heartbeat" => return None,
        "start_asked" => What::StartAsked,
        "push_accepted" => What::PushAccepted,
        "provider_answered" => {
            assert_eq!(line.answer.as_deref(), Some("redeemed"), "somebody did not approve");
            What::ProviderAnswered { answer: "redeemed" }
        }
        "identity_read" => What::IdentityRead,
        "ended" => What::Ended { outcome: "approved", reason: None, denials: 0 },
        other => panic!("the logins went otherwise than planned: {other}"),
    };
    Some(what)
}

/// With everything that the gateway's own entries have.
fn entry(what: What) -> Entry {
    let client = || ClientId::new("till").expect("a client");
    let caused = matches!(what, What::StartAsked | What::IdentityRead);
    Entry {
        what,
        by: caused.then(|| By { client: client(), agent: None }),
        tenant: TenantId::new("acme").expect("a tenant"),
        login: (what != What::StartAsked).then(|| LoginId::from_random([7; 20])),
        client: Some(client()),
        agent: None,
        terminal: Some(TerminalId::new("till-3").expect("a till")),
        call: None,
        channel: Some(Channel::PointOfSale),
        call_direction: None,
        number: PhoneNumber::from_msisdn("4791234567").ok(),
        check_in: None,
        hands: None,
        agent_proven: None,
        purpose: None,
        ground: None,
    }
}
