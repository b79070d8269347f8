//! Asking whether a number can log in at all.

use super::{Caller, Error, Logins};
use crate::audit::What;
use crate::ciba::CheckAnswer;
use crate::phone::PhoneNumber;
use crate::session::{AgentId, CallId, Channel, Person, RequestId, TerminalId};
use crate::store::{Asker, Counted, Counter, Question};

/// A caller's question about a number.
#[derive(Clone, Debug)]
pub struct CheckPhone {
    /// Whose phone it is.
    pub phone: PhoneNumber,
    /// Where the person is.
    pub channel: Channel,
    /// The agent.
    pub agent: Option<AgentId>,
    /// The till or box.
    pub terminal: Option<TerminalId>,
    /// The phone call.
    pub call: Option<CallId>,
}

impl Logins {
    /// Whether the number has an account that can be asked; see `CheckPhone` in the
    /// API. Whoever may ask this freely can find out which numbers have one, so
    /// each question counts as a start does.
    ///
    /// # Errors
    /// When it cannot be said, and why.
    pub async fn check_phone(&self, caller: &Caller, check: CheckPhone) -> Result<bool, Error> {
        let asked = self.check_asked(caller, &check)?;
        let usable = self.check(caller, &check).await.map_err(|error| asked.refused(error))?;
        asked.answered(What::CheckAnswered);
        Ok(usable)
    }

    async fn check(&self, caller: &Caller, check: &CheckPhone) -> Result<bool, Error> {
        if let Some(blocked) = self.blocked(caller, check.agent.as_ref(), check.terminal.as_ref(), Some(&check.phone)) {
            return Err(Error::Blocked(blocked));
        }
        if !caller.may_name(check.agent.as_ref()) {
            return Err(Error::AgentNotProven);
        }
        if !caller.channels.contains(&check.channel) {
            return Err(Error::ChannelNotAllowed);
        }
        if self.0.closing.is_cancelled() {
            return Err(Error::Draining);
        }
        let _place = self.starting(caller)?;
        let tenant = self.tenant(caller)?;
        let (request_id, person) = (random_request("check")?, Person::from(check.phone.clone()));
        let asker = Asker {
            tenant: &caller.tenant,
            client: &caller.client,
            request_id: &request_id,
            person: Some(&person),
            agent: check.agent.as_ref(),
            terminal: check.terminal.as_ref(),
        };
        self.admit(asker).await?;
        let question = Question {
            asker,
            charges: &tenant.guards.charges,
            cool_down: tenant.guards.cool_down,
            now: self.0.ledger.clock().now(),
        };
        let counted = self.0.ledger.count(&question).await;
        if !matches!(counted, Ok(Counted::Counted)) {
            self.give_back(asker).await;
        }
        match counted? {
            Counted::Counted => {}
            Counted::CoolingDown { retry_after } => {
                return Err(Error::TooManyStarts { counter: Counter::Number, retry_after });
            }
            Counted::LimitReached { counter, retry_after } => {
                return Err(Error::TooManyStarts { counter, retry_after });
            }
        }
        match tenant.credential.provider().user_exists(&check.phone).await {
            CheckAnswer::Usable(usable) => Ok(usable),
            CheckAnswer::Busy { retry_after } => Err(self.provider_is_busy(Some(&check.phone), retry_after).await),
            CheckAnswer::CredentialsRefused => Err(Error::ProviderCredentialsRefused),
            CheckAnswer::Refused(_) => Err(Error::ProviderRefused),
            CheckAnswer::NotOffered => Err(Error::CheckNotOffered),
            CheckAnswer::Unavailable => Err(Error::ProviderUnavailable),
        }
    }
}

/// No two questions are one: each counts.
pub(super) fn random_request(what: &str) -> Result<RequestId, Error> {
    let random = getrandom::u64().and_then(|one| Ok((one, getrandom::u64()?)));
    let (one, other) = random.map_err(|_| Error::Internal("no randomness"))?;
    RequestId::new(format!("{what}-{one:016x}{other:016x}")).map_err(|_| Error::Internal("no name for a question"))
}
