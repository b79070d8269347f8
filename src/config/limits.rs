//! `[limits]`: what one process takes on at once.

use std::time::Duration;

use super::section::{Section, Table};
use super::service::seconds;

/// `[limits]`
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Starts under way, of all tenants.
    pub starts: u32,
    /// Logins of one tenant that this process polls.
    pub live_logins_per_tenant: u32,
    /// Calls under way, but for streams and waits.
    pub calls: u32,
    /// How long a call may take, but for starts, and beyond what a wait asked for.
    pub call_time: Duration,
    /// Streams and waits for one agent of a client.
    pub watches_per_agent: u32,
    /// Streams and waits of one client.
    pub watches_per_client: u32,
    /// Streams and waits of one tenant.
    pub watches_per_tenant: u32,
}

impl Table for Limits {
    fn read(section: &mut Section<'_>) -> Option<Self> {
        let limits = Self {
            starts: section.within("starts", 1000, 1..=100_000),
            live_logins_per_tenant: section.within("live_logins_per_tenant", 50_000, 1..=1_000_000),
            calls: section.within("calls", 10_000, 1..=1_000_000),
            call_time: section.within("call_time", seconds(10), seconds(1)..=seconds(60)),
            watches_per_agent: section.within("watches_per_agent", 200, 1..=1_000_000),
            watches_per_client: section.within("watches_per_client", 50_000, 1..=1_000_000),
            watches_per_tenant: section.within("watches_per_tenant", 50_000, 1..=1_000_000),
        };
        if limits.calls < limits.starts {
            section.wrong("calls", "must not be lower than starts: what is refused first is starts");
        }
        Some(limits)
    }
}
