//! Faults that come at a rate, whoever is asked about: every so manyth request to
//! an endpoint. They stand for what is in front of Vipps: the request has no effect.

use serde::{Deserialize, Serialize};

use super::fault::Fault;
use super::journal::Endpoint;

/// Which requests meet a fault, endpoint by endpoint.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Rates {
    /// Of the backchannel authentication endpoint.
    pub start: Option<Rate>,
    /// Of the token endpoint.
    pub token: Option<Rate>,
    /// Of the userinfo endpoint.
    pub userinfo: Option<Rate>,
    /// Of the user-exists endpoint.
    pub user_exists: Option<Rate>,
}

/// One request in so many.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rate {
    /// 1 for each request, 10 for each tenth; 0 for none.
    pub every: u64,
    /// What it is answered.
    pub fault: Fault,
    /// Requests so far.
    #[serde(skip)]
    counted: u64,
}

impl Rate {
    /// This fault at each `every`th request.
    #[must_use]
    pub const fn new(every: u64, fault: Fault) -> Self {
        Self { every, fault, counted: 0 }
    }

    fn next(&mut self) -> Option<Fault> {
        self.counted += 1;
        (self.every > 0 && self.counted.is_multiple_of(self.every)).then(|| self.fault.clone())
    }
}

impl Rates {
    /// Counts a request; the fault that it meets.
    pub(super) fn next(&mut self, endpoint: Endpoint) -> Option<Fault> {
        let rate = match endpoint {
            Endpoint::Backchannel => &mut self.start,
            Endpoint::Token => &mut self.token,
            Endpoint::Userinfo => &mut self.userinfo,
            Endpoint::UserExists => &mut self.user_exists,
            _ => return None,
        };
        rate.as_mut()?.next()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_request_in_so_many_meets_the_fault() {
        let mut rates = Rates { token: Some(Rate::new(3, Fault::gateway(503))), ..Rates::default() };
        let met: Vec<_> = (0..7).map(|_| rates.next(Endpoint::Token).is_some()).collect();
        assert_eq!(met, [false, false, true, false, false, true, false]);
        assert_eq!(rates.next(Endpoint::Backchannel), None);
    }
}
