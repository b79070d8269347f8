//! From what a caller names somebody by to the person whose phone is asked.
//!
//! A check-in is taken, a customer's own code exchanged, before anything is
//! reserved; so what a `request_id` stands for already is looked up first.

use super::super::check::random_request;
use super::super::shop_qr::{provider_error, shop};
use super::super::{Caller, Error, Logins, Tenant};
use super::reserving::digest;
use super::{StartLogin, Whom};
use crate::audit::What;
use crate::phone::PhoneNumber;
use crate::provider::shop::ShopError;
use crate::session::{CheckInId, CheckedIn, Person, PersonalQr, Terms};
use crate::store::check_ins::Taken;
use crate::store::{Asker, Counted, Counter, Question, Reserved};
use tracing::warn;

/// Whose phone is to be asked, or what the start came to before.
pub(super) enum Found {
    Person(Person),
    Before(Reserved),
}

impl Logins {
    /// Who is meant. A check-in that is found is taken, for this start.
    pub(super) async fn find_person(
        &self,
        caller: &Caller,
        tenant: &Tenant,
        request: &StartLogin,
    ) -> Result<Found, Error> {
        if let Whom::Phone(phone) = &request.whom {
            return Ok(Found::Person(phone.clone().into()));
        }
        let asker = asker(caller, request);
        if let Some(before) = self.0.ledger.started_before(asker, &digest(request)?).await? {
            return Ok(Found::Before(before));
        }
        super::super::policy::keeps_policy(tenant, caller, request)?;
        let person = match &request.whom {
            Whom::Phone(phone) => phone.clone().into(),
            Whom::CheckIn(id) => self.take_check_in(asker, id).await?,
            Whom::PersonalQr(scanned) => self.exchange(caller, tenant, request, scanned).await?.into(),
        };
        Ok(Found::Person(person))
    }

    async fn take_check_in(&self, asker: Asker<'_>, id: &CheckInId) -> Result<Person, Error> {
        match self.0.ledger.take_check_in(asker, id).await? {
            Taken::Token(token) => Ok(Person::CheckIn(CheckedIn { id: id.clone(), token })),
            Taken::Used => Err(Error::CheckInUsed),
            Taken::Expired => Err(Error::CheckInExpired),
            Taken::Unknown => Err(Error::CheckInNotFound),
        }
    }

    /// Nothing was started by it: it may be asked again. Should that be lost, the same
    /// start may still be made.
    pub(super) async fn put_check_in_back(&self, terms: &Terms) {
        let Some(id) = terms.person.check_in() else { return };
        if let Err(error) = self.0.ledger.put_check_in_back(Asker::from(terms), id).await {
            warn!(%error, check_in = %id, "a check-in that started nothing stays taken");
        }
    }

    /// Whose code was scanned. Whoever may ask this freely can find out whose code is
    /// whose, so each question counts as a start does, but for the number.
    async fn exchange(
        &self,
        caller: &Caller,
        tenant: &Tenant,
        request: &StartLogin,
        scanned: &PersonalQr,
    ) -> Result<PhoneNumber, Error> {
        let shop = shop(tenant)?;
        let request_id = random_request("exchange")?;
        let question = Question {
            asker: Asker { request_id: &request_id, ..asker(caller, request) },
            charges: &tenant.guards.charges,
            cool_down: tenant.guards.cool_down,
            now: self.0.ledger.clock().now(),
        };
        match self.0.ledger.count(&question).await? {
            Counted::Counted => {}
            Counted::CoolingDown { retry_after } => {
                return Err(Error::TooManyStarts { counter: Counter::Number, retry_after });
            }
            Counted::LimitReached { counter, retry_after } => {
                return Err(Error::TooManyStarts { counter, retry_after });
            }
        }
        let phone = shop.exchange(scanned).await.map_err(|error| match error {
            ShopError::NotFound | ShopError::Refused => Error::PersonalQrRefused,
            other => provider_error(other),
        })?;
        self.note_call(caller, request.terminal.as_ref(), What::PersonalQrExchanged);
        match self.blocked(caller, request.agent.as_ref(), request.terminal.as_ref(), Some(&phone)) {
            Some(blocked) => Err(Error::Blocked(blocked)),
            None => Ok(phone),
        }
    }
}

/// Before it is known whose phone it is.
fn asker<'a>(caller: &'a Caller, request: &'a StartLogin) -> Asker<'a> {
    Asker {
        tenant: &caller.tenant,
        client: &caller.client,
        request_id: &request.request_id,
        person: None,
        agent: request.agent.as_ref(),
        terminal: request.terminal.as_ref(),
    }
}
