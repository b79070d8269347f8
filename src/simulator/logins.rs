//! All logins that the simulator has been asked for. Reads no clock: every step takes the
//! protocol time.

use std::collections::HashMap;
use std::time::Duration;

use url::Url;

use super::consents::Choices;
use super::login::{Decision, Ended, Login};
use super::msisdn::Msisdn;

/// How long a login is remembered after it expired.
const RETENTION: Duration = Duration::from_secs(3600);
/// How often, in logins, old ones are looked for.
const SWEEP_EVERY: usize = 1024;

/// All logins, by `auth_req_id`.
#[derive(Debug, Default)]
pub(super) struct Logins {
    by_id: HashMap<String, Login>,
    /// Those of which nobody has been told yet.
    ended: Vec<Ended>,
}

impl Logins {
    pub(super) fn insert(&mut self, login: Login, now: Duration) {
        if self.by_id.len() % SWEEP_EVERY == SWEEP_EVERY - 1 {
            self.by_id.retain(|_, old| now < old.expires + RETENTION);
        }
        self.by_id.insert(login.auth_req_id.clone(), login);
    }

    /// The login a client started under this identifier.
    pub(super) fn of_client(&mut self, auth_req_id: &str, client_id: &str) -> Option<&mut Login> {
        let login = self.by_id.get_mut(auth_req_id)?;
        (login.client_id == client_id).then_some(login)
    }

    /// The login of a client that ends on a web page with this code.
    pub(super) fn of_code(&mut self, code: &str, client_id: &str) -> Option<&mut Login> {
        let is_it = |login: &&mut Login| {
            login.client_id == client_id && login.redirect.as_ref().is_some_and(|redirect| redirect.code == code)
        };
        self.by_id.values_mut().find(is_it)
    }

    /// Where the newest decided login of a number sent the phone.
    pub(super) fn landing_of(&self, digits: &str) -> Option<Url> {
        let of_number = self.by_id.values().filter(|login| login.phone.as_str() == digits);
        let newest = of_number.filter(|login| login.progress.decided_at.is_some());
        newest.max_by_key(|login| login.progress.decided_at)?.landing()
    }

    pub(super) fn by_handle(&mut self, handle: &str) -> Option<&mut Login> {
        self.by_id.values_mut().find(|login| login.handle == handle)
    }

    /// What the phones show, the soonest to expire first.
    pub(super) fn waiting(&self, now: Duration) -> Vec<&Login> {
        let mut waiting: Vec<&Login> = self.by_id.values().filter(|login| login.is_waiting(now)).collect();
        waiting.sort_by(|a, b| (a.expires, &a.handle).cmp(&(b.expires, &b.handle)));
        waiting
    }

    /// Approves every waiting login of a number; says how many there were.
    pub(super) fn approve_all(&mut self, digits: &str, choices: &Choices, now: Duration) -> usize {
        let of_number = self.by_id.values_mut().filter(|login| login.phone.as_str() == digits);
        let ended = of_number.filter_map(|login| login.approve(choices, now).then(|| login.ended())).collect();
        self.tell(ended)
    }

    /// Whatever waits on this phone has expired from now on.
    pub(super) fn expire_all(&mut self, phone: &Msisdn, now: Duration) {
        for login in self.by_id.values_mut().filter(|login| &login.phone == phone && login.is_waiting(now)) {
            login.expires = now;
        }
    }

    /// Settles every waiting login of a number; says how many there were.
    pub(super) fn decide_all(&mut self, digits: &str, decision: Decision, now: Duration) -> usize {
        let ended = self
            .by_id
            .values_mut()
            .filter(|login| login.phone.as_str() == digits)
            .filter_map(|login| login.decide(decision, now).then(|| login.ended()))
            .collect();
        self.tell(ended)
    }

    fn tell(&mut self, ended: Vec<Ended>) -> usize {
        let count = ended.len();
        self.ended.extend(ended);
        count
    }

    /// Has it told that this one was decided.
    pub(super) fn note(&mut self, ended: Option<Ended>) {
        self.ended.extend(ended);
    }

    /// What was decided since the last time.
    pub(super) fn take_ended(&mut self) -> Vec<Ended> {
        std::mem::take(&mut self.ended)
    }

    pub(super) fn clear(&mut self) {
        self.by_id.clear();
    }
}
