//! How often a tenant's phones were asked, and who has said no.

use std::time::Duration;

use super::super::counting::{Denials, Log, log_of, member};
use super::Tenant;
use crate::session::{Ended, Outcome, Terms};
use crate::store::{Asker, Charge, Counted, Counter, Question};
use crate::timestamp::Timestamp;

impl Tenant {
    pub(in crate::store::memory) fn count(&mut self, question: &Question<'_>) -> Counted {
        let counted = self.weigh(question);
        if counted == Counted::Counted {
            self.charge(question);
        }
        counted
    }

    /// Whether one more fits now; counts nothing.
    pub(super) fn weigh(&self, question: &Question<'_>) -> Counted {
        let Question { asker, charges, cool_down, now } = question;
        let cooling = asker
            .person
            .and_then(|person| self.denials.get(person))
            .and_then(|denials| denials.wait_for(*cool_down, *now));
        if let Some(retry_after) = cooling {
            return Counted::CoolingDown { retry_after };
        }
        let waits = charges.iter().filter_map(|charge| Some((self.wait_for(charge, *asker, *now)?, charge.counter)));
        let longest = waits.reduce(|one, next| if next.0 > one.0 { next } else { one });
        longest.map_or(Counted::Counted, |(retry_after, counter)| Counted::LimitReached { counter, retry_after })
    }

    pub(super) fn charge(&mut self, question: &Question<'_>) {
        for charge in question.charges {
            let retention = charge.limits.iter().map(|limit| limit.window).fold(Duration::ZERO, Duration::max);
            self.add(charge.counter, question.asker, retention, question.now);
        }
    }

    /// How long until one more start fits; `None` when it fits now.
    fn wait_for(&self, charge: &Charge, asker: Asker<'_>, now: Timestamp) -> Option<Duration> {
        let (log, member) = (log_of(charge.counter, asker)?, member(charge.counter, asker));
        let none = Log::default();
        let log = self.logs.get(&log).unwrap_or(&none);
        charge.limits.iter().filter_map(|limit| log.wait_for(*limit, &member, now)).max()
    }

    pub(super) fn add(&mut self, counter: Counter, asker: Asker<'_>, retention: Duration, at: Timestamp) {
        if let Some(log) = log_of(counter, asker) {
            self.logs.entry(log).or_default().add(retention, member(counter, asker), at);
        }
    }

    /// What the person's own word means for the next who wants to ask.
    pub(super) fn remember_answer(&mut self, terms: &Terms, ended: &Ended) {
        match ended.outcome {
            Outcome::Approved { .. } => {
                self.denials.remove(&terms.person);
                log_of(Counter::Number, terms.into()).map(|log| self.logs.remove(&log));
            }
            Outcome::Denied => {
                let before = self.denials.get(&terms.person).filter(|denials| denials.count_at(ended.at));
                let count = before.map_or(0, |denials| denials.count).saturating_add(1);
                self.denials.insert(terms.person.clone(), Denials { count, last: ended.at });
            }
            Outcome::Expired | Outcome::Cancelled | Outcome::Failed(_) => {}
        }
    }
}
