//! What is known of numbers over all tenants; each method is one step under the lock.

use std::collections::HashMap;
use std::time::Duration;

use crate::phone::PhoneNumber;
use crate::session::{ClientId, RequestId, TenantId};
use crate::store::{Admitted, Asker, Limit};
use crate::timestamp::Timestamp;

/// Between two searches for what is past its time.
const SWEEP_EVERY: Duration = Duration::from_secs(60);

/// One tenant's name for a start.
type Start = (TenantId, ClientId, RequestId);

#[derive(Default)]
pub(super) struct Numbers {
    numbers: HashMap<PhoneNumber, Number>,
    next_sweep: Timestamp,
}

#[derive(Default)]
struct Number {
    /// Oldest first, with when each leaves the window.
    starts: Vec<(Timestamp, Start)>,
    back_off_until: Timestamp,
}

impl Numbers {
    pub(super) fn admit(&mut self, asker: Asker<'_>, limit: Limit, now: Timestamp) -> Admitted {
        self.sweep(now);
        // Nothing that is counted by number concerns somebody whose number is not known.
        let Some(phone) = asker.phone() else { return Admitted::Before };
        let (number, start) = (self.numbers.entry(phone.clone()).or_default(), start(asker));
        number.starts.retain(|(leaves, _)| now < *leaves);
        if number.starts.iter().any(|(_, counted)| *counted == start) {
            return Admitted::Before;
        }
        if now < number.back_off_until {
            return Admitted::BackedOff { retry_after: number.back_off_until.since(now) };
        }
        if let Some(excess) = number.starts.len().checked_sub(limit.max as usize) {
            let leaver = number.starts.get(excess);
            let retry_after = leaver.map_or(limit.window, |(leaves, _)| leaves.since(now));
            return Admitted::LimitReached { retry_after };
        }
        number.starts.push((now.plus(limit.window), start));
        number.starts.sort_by_key(|(leaves, _)| *leaves);
        Admitted::Counted
    }

    pub(super) fn give_back(&mut self, asker: Asker<'_>) {
        let start = start(asker);
        if let Some(number) = asker.phone().and_then(|phone| self.numbers.get_mut(phone)) {
            number.starts.retain(|(_, counted)| *counted != start);
        }
    }

    pub(super) fn back_off(&mut self, number: &PhoneNumber, until: Timestamp) {
        self.numbers.entry(number.clone()).or_default().back_off_until = until;
    }

    fn sweep(&mut self, now: Timestamp) {
        if now < self.next_sweep {
            return;
        }
        self.next_sweep = now.plus(SWEEP_EVERY);
        let matters = |number: &Number| now < number.back_off_until || number.starts.iter().any(|(at, _)| now < *at);
        self.numbers.retain(|_, number| matters(number));
    }
}

fn start(asker: Asker<'_>) -> Start {
    (asker.tenant.clone(), asker.client.clone(), asker.request_id.clone())
}
