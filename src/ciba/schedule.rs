//! The poll rule: when one `auth_req_id` may be asked about again.
//!
//! One interval before the first poll, one interval from the end of an answer
//! to the next request (right under every reading of CIBA Core, section 10.1),
//! `slow_down` adds five seconds for good (section 11), `Retry-After` is obeyed,
//! trouble backs off, and one poll falls just before the end.
//!
//! A ping, by which the provider says that it has news, lets one poll go out at once, as
//! a client in ping mode asks once it is notified (CIBA Core, section 10.2): at most one
//! in each interval, and none against a brake.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::PollAnswer;
use crate::timestamp::Timestamp;

/// What `slow_down` adds to the interval (CIBA Core, section 11).
const SLOW_DOWN_STEP: Duration = Duration::from_secs(5);
const MAX_BACKOFF: Duration = Duration::from_secs(60);
/// The last poll is sent this long before the request expires.
const LAST_POLL_MARGIN: Duration = Duration::from_secs(1);

/// When one request is polled next, and how far apart polls must be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Schedule {
    interval: Duration,
    next_poll_at: Timestamp,
    expires_at: Timestamp,
    consecutive_troubles: u32,
    /// Nothing is sent before, ping or not.
    #[serde(default, skip_serializing_if = "is_beginning")]
    held_until: Timestamp,
    /// When the last poll that was sent because of a ping was due.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pinged_at: Option<Timestamp>,
}

fn is_beginning(at: &Timestamp) -> bool {
    *at == Timestamp::default()
}

/// What follows from an answer that did not end the request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Poll again at the time that the schedule says. `changed` tells that the
    /// interval grew or a brake reaches beyond it, so that another replica
    /// could not guess it.
    PollAgain {
        /// The schedule from now on.
        schedule: Schedule,
        /// Whether it must be written down.
        changed: bool,
    },
    /// There is no time for another poll before the request expires.
    OutOfTime,
}

impl Schedule {
    /// The schedule of a request that was accepted at `now` and expires at `expires_at`.
    #[must_use]
    pub fn new(interval: Duration, now: Timestamp, expires_at: Timestamp) -> Self {
        let schedule = Self {
            interval,
            next_poll_at: now,
            expires_at,
            consecutive_troubles: 0,
            held_until: Timestamp::default(),
            pinged_at: None,
        };
        Self { next_poll_at: schedule.stretch_to_last(now.plus(interval)), ..schedule }
    }

    /// The least time from an answer to the next request.
    #[must_use]
    pub const fn interval(&self) -> Duration {
        self.interval
    }

    /// When to send the next poll.
    #[must_use]
    pub const fn next_poll_at(&self) -> Timestamp {
        self.next_poll_at
    }

    /// When the request expires at the provider.
    #[must_use]
    pub const fn expires_at(&self) -> Timestamp {
        self.expires_at
    }

    /// Whether the newest answer said nothing about the person.
    #[must_use]
    pub const fn is_in_trouble(&self) -> bool {
        self.consecutive_troubles > 0
    }

    /// The step after an answer that arrived at `answered_at`.
    ///
    /// `jitter` in 0.0..=1.0 spreads back-offs of many requests; it only ever
    /// makes a poll later. Answers that end the request are not for here and
    /// count as pending.
    #[must_use]
    pub fn after(self, answer: &PollAnswer, answered_at: Timestamp, jitter: f64) -> Step {
        let (next, brake) = match answer {
            PollAnswer::SlowDown { retry_after } => {
                let interval = self.interval.saturating_add(SLOW_DOWN_STEP);
                (Self { interval, consecutive_troubles: 0, ..self }, *retry_after)
            }
            PollAnswer::Trouble { retry_after } => {
                (Self { consecutive_troubles: self.consecutive_troubles.saturating_add(1), ..self }, *retry_after)
            }
            PollAnswer::CredentialsRefused => {
                (Self { consecutive_troubles: self.consecutive_troubles.max(6), ..self }, None)
            }
            PollAnswer::Pending { retry_after } => (Self { consecutive_troubles: 0, ..self }, *retry_after),
            PollAnswer::Redeemed(_)
            | PollAnswer::Denied
            | PollAnswer::Expired
            | PollAnswer::InvalidGrant
            | PollAnswer::Refused(_) => (Self { consecutive_troubles: 0, ..self }, None),
        };
        let allowed_at = answered_at.plus(next.interval.max(brake.unwrap_or_default()));
        let wanted_at = answered_at.plus(next.backoff(jitter)).max(allowed_at);
        let Some(next_poll_at) = next.place(allowed_at, wanted_at) else {
            return Step::OutOfTime;
        };
        let held_until = match answer {
            // Whoever was told to be slower, or was not understood, is not faster for a ping.
            PollAnswer::SlowDown { .. } | PollAnswer::Trouble { .. } => allowed_at,
            PollAnswer::CredentialsRefused => wanted_at,
            PollAnswer::Pending { .. }
            | PollAnswer::Redeemed(_)
            | PollAnswer::Denied
            | PollAnswer::Expired
            | PollAnswer::InvalidGrant
            | PollAnswer::Refused(_) => brake.map_or(Timestamp::default(), |brake| answered_at.plus(brake)),
        };
        let changed = next.interval != self.interval || brake.is_some_and(|brake| brake > next.interval);
        Step::PollAgain { schedule: Self { next_poll_at, held_until, ..next }, changed }
    }

    /// The schedule once there is no time for another poll: `answer` was the
    /// last one.
    #[must_use]
    pub const fn finished(self, answer: &PollAnswer) -> Self {
        let in_trouble = matches!(answer, PollAnswer::Trouble { .. } | PollAnswer::CredentialsRefused);
        Self { next_poll_at: self.expires_at, consecutive_troubles: in_trouble as u32, ..self }
    }

    /// The same with no poll at all.
    #[must_use]
    pub const fn without_polls(self) -> Self {
        Self { next_poll_at: self.expires_at, ..self }
    }

    /// The same with no poll before `at`, for whoever does not know when the
    /// last one was sent.
    #[must_use]
    pub fn not_before(self, at: Timestamp) -> Self {
        // Also where it is due later: a ping would bring it forward.
        let held = Self { held_until: at.max(self.held_until), ..self };
        if at <= self.next_poll_at {
            return held;
        }
        Self { next_poll_at: self.place(at, at).unwrap_or(self.expires_at), ..held }
    }

    /// The same once the provider has said, at `now`, that it has news. The next poll is
    /// due at once, or as soon as a brake ends. Unchanged where that is not earlier, where
    /// a ping has had its poll within the interval, and where no interval would be left
    /// before the last poll, which is worth more: what a ping says may not be true.
    #[must_use]
    pub fn pinged(self, now: Timestamp) -> Self {
        let has_had_its_poll = self.pinged_at.is_some_and(|at| now < at.plus(self.interval));
        let at = now.max(self.held_until);
        let leaves_the_last = at.plus(self.interval) <= self.expires_at.minus(LAST_POLL_MARGIN);
        if has_had_its_poll || !leaves_the_last || at >= self.next_poll_at {
            return self;
        }
        Self { next_poll_at: at, pinged_at: Some(at), ..self }
    }

    /// Whether the next poll is sent because of a ping.
    #[must_use]
    pub fn is_pinged(&self) -> bool {
        self.pinged_at == Some(self.next_poll_at)
    }

    /// The same once what was in the way is gone: the next poll is due, and whoever
    /// sends it keeps the interval since the last one.
    #[must_use]
    pub fn without_trouble(self, now: Timestamp) -> Self {
        let at = now.min(self.next_poll_at);
        Self {
            consecutive_troubles: 0,
            next_poll_at: self.place(at, at).unwrap_or(self.next_poll_at),
            held_until: Timestamp::default(),
            ..self
        }
    }

    /// Whether the last poll has been sent.
    #[must_use]
    pub fn is_finished(&self) -> bool {
        self.next_poll_at >= self.expires_at
    }

    fn backoff(&self, jitter: f64) -> Duration {
        let doublings = self.consecutive_troubles.saturating_sub(1).min(6);
        if self.consecutive_troubles == 0 {
            return self.interval;
        }
        let base = self.interval.saturating_mul(1 << doublings).min(MAX_BACKOFF.max(self.interval));
        let jitter = if jitter.is_finite() { jitter.clamp(0.0, 1.0) } else { 1.0 };
        base.mul_f64(1.0 + jitter / 2.0)
    }

    /// The time of the next poll between the earliest allowed and the last
    /// useful moment.
    fn place(&self, allowed_at: Timestamp, wanted_at: Timestamp) -> Option<Timestamp> {
        let last = self.expires_at.minus(LAST_POLL_MARGIN);
        if allowed_at > last {
            return None;
        }
        Some(self.stretch_to_last(wanted_at.min(last)))
    }

    /// A poll that would leave no room for another before the end is moved to
    /// the end, so that an approval in the last seconds is still seen.
    fn stretch_to_last(&self, at: Timestamp) -> Timestamp {
        let last = self.expires_at.minus(LAST_POLL_MARGIN);
        if at.plus(self.interval) > last && at < last { last } else { at }
    }
}
