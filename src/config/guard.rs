//! `[guard]` and `[tenants.guard]`: how much may be started.

use std::time::Duration;

use super::section::{Section, Table};
use super::service::seconds;

const DAY: Duration = seconds(86_400);

/// How much may be started in one tenant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Guard {
    /// Starts for one number within `per`; 1 to 5.
    pub starts_per_number: u32,
    /// 1 minute to 24 hours; looked back from the present, as everywhere here.
    pub per: Duration,
    /// Starts for one number within a day; 1 to 100.
    pub starts_per_number_a_day: u32,
    /// Starts by one agent within an hour; 1 to 600.
    pub starts_per_agent_an_hour: u32,
    /// Different numbers for which one agent starts logins within an hour; 1 to 600.
    pub numbers_per_agent_an_hour: u32,
    /// Starts from one terminal within an hour; 1 to 3 600.
    pub starts_per_terminal_an_hour: u32,
    /// Starts by one client within a minute; 1 to 60 000.
    pub starts_per_client_a_minute: u32,
    /// All starts within a minute; 1 to 60 000.
    pub starts_per_tenant_a_minute: u32,
    /// How long a number is left alone after its person has said no; 1 minute to
    /// 24 hours. Twice as long after each further no.
    pub cool_down: Duration,
    /// How long at most; not shorter than `cool_down`.
    pub longest_cool_down: Duration,
}

/// Every tenant's guard unless it has its own, and what holds over all of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CommonGuard {
    /// The common guard.
    pub common: Guard,
    /// Starts for one number by all tenants together within an hour; 1 to 100.
    pub starts_per_number_by_all_an_hour: u32,
}

/// What a tenant says otherwise.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct OwnGuard {
    starts_per_number: Option<u32>,
    per: Option<Duration>,
    starts_per_number_a_day: Option<u32>,
    starts_per_agent_an_hour: Option<u32>,
    numbers_per_agent_an_hour: Option<u32>,
    starts_per_terminal_an_hour: Option<u32>,
    starts_per_client_a_minute: Option<u32>,
    starts_per_tenant_a_minute: Option<u32>,
    cool_down: Option<Duration>,
    longest_cool_down: Option<Duration>,
}

impl Default for Guard {
    fn default() -> Self {
        Self {
            starts_per_number: 3,
            per: seconds(600),
            starts_per_number_a_day: 10,
            starts_per_agent_an_hour: 30,
            numbers_per_agent_an_hour: 20,
            starts_per_terminal_an_hour: 60,
            starts_per_client_a_minute: 600,
            starts_per_tenant_a_minute: 3000,
            cool_down: seconds(300),
            longest_cool_down: DAY,
        }
    }
}

impl OwnGuard {
    /// What holds, where `common` holds unless the tenant says otherwise.
    #[must_use]
    pub fn over(&self, common: &Guard) -> Guard {
        let cool_down = self.cool_down.unwrap_or(common.cool_down);
        Guard {
            starts_per_number: self.starts_per_number.unwrap_or(common.starts_per_number),
            per: self.per.unwrap_or(common.per),
            starts_per_number_a_day: self.starts_per_number_a_day.unwrap_or(common.starts_per_number_a_day),
            starts_per_agent_an_hour: self.starts_per_agent_an_hour.unwrap_or(common.starts_per_agent_an_hour),
            numbers_per_agent_an_hour: self.numbers_per_agent_an_hour.unwrap_or(common.numbers_per_agent_an_hour),
            starts_per_terminal_an_hour: self.starts_per_terminal_an_hour.unwrap_or(common.starts_per_terminal_an_hour),
            starts_per_client_a_minute: self.starts_per_client_a_minute.unwrap_or(common.starts_per_client_a_minute),
            starts_per_tenant_a_minute: self.starts_per_tenant_a_minute.unwrap_or(common.starts_per_tenant_a_minute),
            cool_down,
            longest_cool_down: self.longest_cool_down.unwrap_or(common.longest_cool_down).max(cool_down),
        }
    }
}

impl Table for CommonGuard {
    fn read(section: &mut Section<'_>) -> Option<Self> {
        let by_all = section.within("starts_per_number_by_all_an_hour", 10, 1..=100);
        let given = OwnGuard::read(section)?;
        Some(Self { common: given.over(&Guard::default()), starts_per_number_by_all_an_hour: by_all })
    }
}

impl Table for OwnGuard {
    fn read(section: &mut Section<'_>) -> Option<Self> {
        let given = Self {
            // Whatever is set, no number rings more than five times a minute.
            starts_per_number: section.within_if_given("starts_per_number", 1..=5),
            per: section.within_if_given("per", seconds(60)..=DAY),
            starts_per_number_a_day: section.within_if_given("starts_per_number_a_day", 1..=100),
            starts_per_agent_an_hour: section.within_if_given("starts_per_agent_an_hour", 1..=600),
            numbers_per_agent_an_hour: section.within_if_given("numbers_per_agent_an_hour", 1..=600),
            starts_per_terminal_an_hour: section.within_if_given("starts_per_terminal_an_hour", 1..=3600),
            starts_per_client_a_minute: section.within_if_given("starts_per_client_a_minute", 1..=60_000),
            starts_per_tenant_a_minute: section.within_if_given("starts_per_tenant_a_minute", 1..=60_000),
            cool_down: section.within_if_given("cool_down", seconds(60)..=DAY),
            longest_cool_down: section.within_if_given("longest_cool_down", seconds(60)..=DAY),
        };
        let shortest = given.cool_down.unwrap_or(seconds(60));
        let is_long_enough = |longest: &Duration| *longest >= shortest;
        section.check(
            "longest_cool_down",
            given.longest_cool_down.as_ref(),
            is_long_enough,
            "must not be shorter than cool_down",
        );
        Some(given)
    }
}
