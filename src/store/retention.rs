//! Until when what is kept: the same rules for every store.
//!
//! Pure. A store asks here what may still be shown at `now`; when it cleans up
//! is its own business and decides nothing.

use std::time::Duration;

use super::OUTCOME_RETENTION;
use crate::ciba::MAX_LIFETIME;
use crate::session::{
    CODE_LIMIT, EXPIRY_GRACE, Ended, FailureReason, Outcome, REDEEM_LIMIT_WITH_CONSENTS, START_LIMIT, Session, State,
};
use crate::timestamp::Timestamp;

/// No login can live longer, whatever its terms.
pub(super) const LONGEST_LIFE: Duration = START_LIMIT
    .saturating_add(MAX_LIFETIME)
    .saturating_add(EXPIRY_GRACE)
    .saturating_add(REDEEM_LIMIT_WITH_CONSENTS)
    .saturating_add(CODE_LIMIT);

/// When the record is forgotten.
pub(super) fn kept_until(session: &Session) -> Timestamp {
    let end = match &session.state {
        State::Ended(ended) => ended.at,
        State::Starting(_) | State::Pending(_) | State::Redeemed(_) | State::AwaitingCode(_) => {
            session.deadline().unwrap_or_default()
        }
    };
    end.plus(OUTCOME_RETENTION)
}

/// When the identity is forgotten; `None` when there is none.
pub(super) fn identity_until(session: &Session, window: Duration) -> Option<Timestamp> {
    match &session.state {
        State::Ended(Ended { at, outcome: Outcome::Approved { identity: Some(_) } }) => Some(at.plus(window)),
        State::AwaitingCode(_) => session.deadline().map(|deadline| deadline.plus(window)),
        State::Ended(_) | State::Starting(_) | State::Pending(_) | State::Redeemed(_) => None,
    }
}

/// How a login stands that waited for its code past `deadline` and whose
/// identity is gone: as [`Session::overdue`] would leave it.
pub(super) const fn unconfirmed(deadline: Timestamp) -> State {
    State::Ended(Ended { at: deadline, outcome: Outcome::Failed(FailureReason::CodeNotConfirmed) })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// SR27: `docs/operations.md` says how long an old seal key is needed.
    #[test]
    fn no_record_outlives_its_seal_key_by_an_hour_and_a_quarter() {
        let longest = LONGEST_LIFE + OUTCOME_RETENTION;
        let said = Duration::from_secs(75 * 60);
        assert!(longest <= said && said < longest + Duration::from_secs(300), "{longest:?}");
    }
}
