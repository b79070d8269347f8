//! One login as the simulator sees it, and what a poll finds. Reads no clock:
//! every step takes the protocol time.

use std::sync::Arc;
use std::time::Duration;

use url::Url;

use super::behaviour::{Behaviour, EarlyPoll, OnDeny, Outcome};
use super::consents::Choices;
use super::fault::Fault;
use super::msisdn::Msisdn;

/// How much the interval grows with each `slow_down` (CIBA §11).
const SLOW_DOWN_STEP: Duration = Duration::from_secs(5);
/// One started login.
#[derive(Debug, Clone)]
pub(super) struct Login {
    /// What the phone page calls it. Not the `auth_req_id`, which is the
    /// client's secret.
    pub(super) handle: String,
    pub(super) auth_req_id: String,
    pub(super) client_id: String,
    pub(super) phone: Msisdn,
    pub(super) scopes: Vec<String>,
    pub(super) binding_message: Option<String>,
    pub(super) expires: Duration,
    pub(super) interval: Duration,
    pub(super) behaviour: Arc<Behaviour>,
    /// For a login that ends on a web page.
    pub(super) redirect: Option<Redirect>,
    pub(super) progress: Progress,
}

/// The page that a login ends on, and what is brought there.
#[derive(Debug, Clone)]
pub(super) struct Redirect {
    pub(super) uri: Url,
    pub(super) code: String,
}

/// What has happened to a login so far.
#[derive(Debug, Clone, Default)]
pub(super) struct Progress {
    decision: Option<Decision>,
    choices: Choices,
    pub(super) decided_at: Option<Duration>,
    redeemed: bool,
    polls: usize,
    pendings: u32,
    last_poll: Option<Duration>,
    /// Whoever asks for it was told to look now, and may.
    pinged: bool,
}

/// What the person decided.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Decision {
    Approved,
    Denied,
}

/// What a poll finds.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Found {
    Pending,
    /// Inside the interval; to be answered as pending.
    Early,
    /// Inside the interval; to be answered as `slow_down`.
    TooFast,
    Denied,
    Expired,
    /// It ends on a web page, and there alone.
    NotPolled,
    /// Already exchanged, or never to be.
    Spent,
    /// Approved, and by this poll exchanged.
    Approved,
    Fault(Fault),
}

impl Login {
    /// Whether the phone still shows the request.
    pub(super) fn is_waiting(&self, now: Duration) -> bool {
        self.progress.decision.is_none() && !self.progress.redeemed && now < self.expires
    }

    /// Settles a waiting login; says whether it was waiting.
    pub(super) fn decide(&mut self, decision: Decision, now: Duration) -> bool {
        let waiting = self.is_waiting(now);
        if waiting {
            self.progress.decision = Some(decision);
            self.progress.decided_at = Some(now);
        }
        waiting
    }

    /// What the person ticked, as far as that was said.
    pub(super) const fn choices(&self) -> &Choices {
        &self.progress.choices
    }

    /// As [`Login::decide`], with what the person ticked.
    pub(super) fn approve(&mut self, choices: &Choices, now: Duration) -> bool {
        let waited = self.decide(Decision::Approved, now);
        if waited {
            self.progress.choices.clone_from(choices);
        }
        waited
    }

    /// Whoever asks is told to look now: no poll is early any more.
    pub(super) const fn was_pinged(&mut self) {
        self.progress.pinged = true;
    }

    /// Whether the person has decided.
    pub(super) const fn is_decided(&self) -> bool {
        self.progress.decision.is_some()
    }

    /// What is told of it once the person has decided.
    pub(super) fn ended(&self) -> Ended {
        Ended {
            auth_req_id: self.auth_req_id.clone(),
            client_id: self.client_id.clone(),
            is_denied: self.progress.decision == Some(Decision::Denied),
        }
    }

    /// A scripted person needs no poll to decide a login that is not polled.
    pub(super) fn decide_by_script(&mut self, now: Duration) {
        match self.behaviour.outcome {
            _ if self.redirect.is_none() => {}
            Outcome::Approve { .. } => drop(self.decide(Decision::Approved, now)),
            Outcome::Deny { .. } => drop(self.decide(Decision::Denied, now)),
            Outcome::Human | Outcome::Expire => {}
        }
    }

    /// Where the phone's browser is sent once the person has decided.
    pub(super) fn landing(&self) -> Option<Url> {
        let (redirect, knobs) = (self.redirect.as_ref()?, &self.behaviour.redirect);
        let mut url = redirect.uri.clone();
        match self.progress.decision? {
            Decision::Approved => drop(url.query_pairs_mut().append_pair("code", &redirect.code)),
            Decision::Denied if knobs.on_deny == OnDeny::Nothing => return None,
            Decision::Denied => {
                let mut query = url.query_pairs_mut();
                query.append_pair("error", &knobs.error).append_pair("error_description", "The user refused");
            }
        }
        Some(url)
    }

    /// What an exchange of its code finds.
    pub(super) fn exchange(&mut self, now: Duration) -> Found {
        let lifetime = Duration::from_secs(self.behaviour.redirect.code_seconds);
        let is_alive = self.progress.decided_at.is_some_and(|decided| now < decided + lifetime);
        if self.progress.redeemed || self.progress.decision != Some(Decision::Approved) || !is_alive {
            return Found::Spent;
        }
        self.progress.redeemed = true;
        Found::Approved
    }

    /// One poll at protocol time `now`.
    pub(super) fn poll(&mut self, now: Duration, enforce_interval: bool) -> Found {
        if self.progress.redeemed {
            return Found::Spent;
        }
        if self.redirect.is_some() && !self.behaviour.redirect.pollable {
            return Found::NotPolled;
        }
        let early = enforce_interval && self.is_early(now);
        self.progress.last_poll = Some(now);
        if let Some(fault) = self.next_fault() {
            return Found::Fault(fault);
        }
        if now >= self.expires && self.progress.decision != Some(Decision::Denied) {
            return Found::Expired;
        }
        if early {
            return self.early_answer();
        }
        self.answer()
    }

    /// Measured from arrival to arrival, the laxest reading of CIBA §7.3. The
    /// first poll may come at any time.
    fn is_early(&self, now: Duration) -> bool {
        if self.progress.pinged {
            return false;
        }
        let last = self.progress.last_poll;
        last.is_some_and(|last| now.saturating_sub(last) < self.interval)
    }

    fn next_fault(&mut self) -> Option<Fault> {
        let faults = &self.behaviour.token.faults;
        let fault = faults.get(self.progress.polls).cloned().flatten();
        self.progress.polls += 1;
        if fault.as_ref().is_some_and(Fault::is_slow_down) {
            self.interval += SLOW_DOWN_STEP;
        }
        fault
    }

    fn early_answer(&mut self) -> Found {
        match self.behaviour.token.early {
            EarlyPoll::Pending => Found::Early,
            EarlyPoll::SlowDown => {
                self.interval += SLOW_DOWN_STEP;
                Found::TooFast
            }
        }
    }

    fn answer(&mut self) -> Found {
        if self.progress.decision.is_none() {
            self.progress.decision = self.scripted_decision();
        }
        match self.progress.decision {
            Some(Decision::Approved) => {
                self.progress.redeemed = true;
                Found::Approved
            }
            Some(Decision::Denied) => Found::Denied,
            None => {
                self.progress.pendings += 1;
                Found::Pending
            }
        }
    }

    fn scripted_decision(&self) -> Option<Decision> {
        let due = |after| self.progress.pendings >= after;
        match self.behaviour.outcome {
            Outcome::Approve { after_pendings } if due(after_pendings) => Some(Decision::Approved),
            Outcome::Deny { after_pendings } if due(after_pendings) => Some(Decision::Denied),
            Outcome::Approve { .. } | Outcome::Deny { .. } | Outcome::Human | Outcome::Expire => None,
        }
    }
}

/// A login that a person has decided.
#[derive(Debug, Clone)]
pub(super) struct Ended {
    pub(super) auth_req_id: String,
    pub(super) client_id: String,
    pub(super) is_denied: bool,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::simulator::behaviour::TokenKnobs;
    use crate::simulator::logins::Logins;

    fn login(behaviour: Behaviour) -> Login {
        Login {
            handle: "handle".to_owned(),
            auth_req_id: "id".to_owned(),
            client_id: "client".to_owned(),
            phone: Msisdn::parse("4790000001").unwrap(),
            scopes: vec!["openid".to_owned()],
            binding_message: None,
            expires: Duration::from_secs(600),
            interval: Duration::from_secs(5),
            behaviour: Arc::new(behaviour),
            redirect: None,
            progress: Progress::default(),
        }
    }

    /// Polls every `step` seconds, the first at zero.
    fn polls(login: &mut Login, step: u64, count: u64) -> Vec<Found> {
        (0..count).map(|index| login.poll(Duration::from_secs(index * step), true)).collect()
    }

    #[test]
    fn approves_after_two_pendings_and_only_once() {
        let found = polls(&mut login(Behaviour::approve_after(2)), 5, 4);
        let expected = [Found::Pending, Found::Pending, Found::Approved, Found::Spent];
        assert_eq!(found, expected);
    }

    #[test]
    fn a_refusal_stays_a_refusal_past_expiry() {
        let mut login = login(Behaviour::deny_after(0));
        assert_eq!(login.poll(Duration::ZERO, true), Found::Denied);
        assert_eq!(login.poll(Duration::from_secs(700), true), Found::Denied);
    }

    #[test]
    fn an_approval_nobody_fetched_expires() {
        let mut login = login(Behaviour::default());
        assert!(login.decide(Decision::Approved, Duration::ZERO));
        assert_eq!(login.poll(Duration::from_secs(600), true), Found::Expired);
    }

    #[test]
    fn early_polls_are_seen_and_do_not_count() {
        let found = polls(&mut login(Behaviour::approve_after(1)), 4, 3);
        assert_eq!(found, [Found::Pending, Found::Early, Found::Early]);
    }

    #[test]
    fn slow_down_makes_the_interval_grow() {
        let mut login = login(Behaviour {
            token: TokenKnobs { early: EarlyPoll::SlowDown, ..TokenKnobs::default() },
            ..Behaviour::default()
        });
        let at = |seconds| Duration::from_secs(seconds);
        assert_eq!(login.poll(at(0), true), Found::Pending);
        assert_eq!(login.poll(at(3), true), Found::TooFast);
        assert_eq!(login.poll(at(12), true), Found::TooFast);
        assert_eq!(login.poll(at(27), true), Found::Pending);
    }

    #[test]
    fn the_interval_can_go_unenforced() {
        let mut login = login(Behaviour::approve_after(1));
        assert_eq!(login.poll(Duration::ZERO, false), Found::Pending);
        assert_eq!(login.poll(Duration::ZERO, false), Found::Approved);
    }

    #[test]
    fn faults_come_in_their_order() {
        let mut login = login(Behaviour {
            token: TokenKnobs { faults: vec![None, Some(Fault::error("slow_down"))], ..TokenKnobs::default() },
            ..Behaviour::approve_after(1)
        });
        let found = polls(&mut login, 10, 3);
        let slow_down = Found::Fault(Fault::error("slow_down"));
        assert_eq!(found, [Found::Pending, slow_down, Found::Approved]);
    }

    #[test]
    fn the_phone_shows_a_login_until_it_is_decided() {
        let mut logins = Logins::default();
        logins.insert(login(Behaviour::default()), Duration::ZERO);
        assert_eq!(logins.waiting(Duration::ZERO).len(), 1);
        assert_eq!(logins.waiting(Duration::from_secs(600)).len(), 0);
        let decided = logins.decide_all("4790000001", Decision::Denied, Duration::ZERO);
        assert_eq!(decided, 1);
        assert_eq!(logins.waiting(Duration::ZERO).len(), 0);
    }
}
