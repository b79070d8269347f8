//! What is sent to Redis to count starts and questions, for a tenant and over all of them.

use std::time::Duration;

use ::redis::{Cmd, cmd};

use super::super::names::{Names, NumberNames, member_of_all};
use super::super::script::{ADMIT, COUNT, Call};
use super::{CLEAN_UP_AFTER, Calls, millis, with_pairs};
use crate::phone::PhoneNumber;
use crate::store::hash::HashKeys;
use crate::store::{Asker, Charge, CoolDown, DENIAL_RETENTION, Limit, Question};
use crate::timestamp::Timestamp;

impl Calls {
    /// Under each hash key, the one that is used last: an answer that it was counted is
    /// to be followed by the next.
    pub(in crate::store::redis) fn admit(&self, asker: Asker<'_>, limit: Limit, now: Timestamp) -> Vec<Call> {
        let Some(number) = asker.phone() else { return Vec::new() };
        let call = |keys: &HashKeys| {
            let names = NumberNames::of(number, keys);
            Call::new(&ADMIT)
                .key(names.log())
                .key(names.back_off())
                .arg(now.as_millis())
                .arg(member_of_all(asker, keys))
                .arg(limit.max)
                .arg(millis(limit.window))
                .arg(millis(limit.window + CLEAN_UP_AFTER))
        };
        self.each_hash_key().map(call).collect()
    }

    pub(in crate::store::redis) fn give_back(&self, asker: Asker<'_>) -> Vec<Cmd> {
        let Some(number) = asker.phone() else { return Vec::new() };
        let command = |keys: &HashKeys| {
            let mut call = cmd("ZREM");
            call.arg(NumberNames::of(number, keys).log()).arg(member_of_all(asker, keys));
            call
        };
        self.each_hash_key().map(command).collect()
    }

    pub(in crate::store::redis) fn count(&self, question: &Question<'_>) -> Call {
        let Question { asker, charges, cool_down, now } = question;
        let names = self.names(asker.tenant);
        let call = Call::new(&COUNT).key(names.denials(asker.person)).arg(now.as_millis());
        let call = with_charges(with_cool_down(call, *cool_down), charges, &names, *asker);
        let other = self.other_names(asker.tenant);
        let pairs = other.as_ref().map(|other| [other, &names].map(|names| names.of_question(*asker)));
        with_pairs(call, pairs, "")
    }

    pub(in crate::store::redis) fn back_off(&self, number: &PhoneNumber, until: Timestamp, now: Timestamp) -> Vec<Cmd> {
        let ttl = millis(until.since(now) + CLEAN_UP_AFTER);
        let command = |keys: &HashKeys| {
            let mut call = cmd("SET");
            call.arg(NumberNames::of(number, keys).back_off()).arg(until.as_millis()).arg("PX").arg(ttl);
            call
        };
        self.each_hash_key().map(command).collect()
    }
}

pub(super) fn with_cool_down(call: Call, cool_down: CoolDown) -> Call {
    call.arg(millis(DENIAL_RETENTION)).arg(millis(cool_down.first)).arg(millis(cool_down.longest))
}

pub(super) fn with_charges(call: Call, charges: &[Charge], names: &Names, asker: Asker<'_>) -> Call {
    let logs = charges.iter().filter_map(|charge| Some((charge, names.log(charge.counter, asker)?)));
    let logs: Vec<_> = logs.collect();
    logs.iter().fold(call.arg(logs.len()), |call, (charge, log)| {
        let retention = charge.limits.iter().map(|limit| limit.window).fold(Duration::ZERO, Duration::max);
        let call = call
            .key(log.clone())
            .arg(charge.counter.name())
            .arg(names.member(charge.counter, asker))
            .arg(u8::from(charge.counter.counts_numbers()))
            .arg(millis(retention))
            .arg(millis(retention + CLEAN_UP_AFTER))
            .arg(charge.limits.len());
        charge.limits.iter().fold(call, |call, limit| call.arg(limit.max).arg(millis(limit.window)))
    })
}
