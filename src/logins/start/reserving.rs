//! What a start claims before anybody is asked, and how it is given back.

use std::sync::Arc;
use std::time::Duration;

use sha2::{Digest, Sha256};
use tracing::{Instrument, warn};

use super::super::policy::keeps_policy;
use super::super::{Caller, Error, Logins, Tenant};
use super::whom::Found;
use super::{STORE_RETRY, StartLogin};
use crate::audit::What;
use crate::ledger::Applied;
use crate::phone::{BindingCode, PhoneNumber};
use crate::poller::Turn;
use crate::session::{Event, LoginId, Person, START_LIMIT, Session, Terms};
use crate::store::{Admitted, Asker, Counter, Record, Reservation, Reserved, WhenBusy};
use crate::timestamp::Timestamp;

/// Codes that happen to be taken in a row before we give up.
const CODE_ATTEMPTS: usize = 8;
pub(in crate::logins) const PROVIDER_BUSY_DEFAULT: Duration = Duration::from_secs(30);

impl Logins {
    /// With the turn to tend what was reserved: should this process adopt it
    /// from a former self, the start goes on undisturbed.
    pub(super) async fn reserve(
        &self,
        caller: &Caller,
        request: &StartLogin,
    ) -> Result<(Reserved, Option<Turn>), Error> {
        let tenant = self.tenant(caller)?;
        let person = match self.find_person(caller, &tenant, request).await? {
            Found::Person(person) => person,
            Found::Before(reserved) => return Ok((reserved, None)),
        };
        let reservation = self.reservation(caller, &tenant, request, person)?;
        let terms = Arc::clone(&reservation.session.terms);
        let is_counted = self.admit(Asker::from(&*terms)).await?;
        let reserved = self.claim(caller, &tenant, request, reservation).await;
        let is_a_start = matches!(reserved, Ok((Reserved::New(_) | Reserved::Existing(_), _)));
        if is_counted && !is_a_start {
            self.give_back(Asker::from(&*terms)).await;
        }
        // Otherwise this request id has, or may have, a login that the check-in was taken for.
        let has_no_login = matches!(
            reserved,
            Ok((
                Reserved::NumberBusy(_)
                    | Reserved::CallBusy(_)
                    | Reserved::CoolingDown { .. }
                    | Reserved::LimitReached { .. }
                    | Reserved::CodeTaken,
                _
            ))
        );
        if has_no_login {
            self.put_check_in_back(&terms).await;
        }
        reserved.map(|(reserved, turn)| (reserved, Some(turn)))
    }

    /// Reserves with other codes while one is taken, and anew when another login has
    /// made way.
    async fn claim(
        &self,
        caller: &Caller,
        tenant: &Tenant,
        request: &StartLogin,
        mut reservation: Reservation,
    ) -> Result<(Reserved, Turn), Error> {
        // In quiet hours nothing would come in its place.
        let is_quiet = tenant.quiet_until(&reservation.session.terms, reservation.now).is_some();
        let may_replace = request.when_busy == WhenBusy::Replace && !is_quiet;
        for _ in 0..CODE_ATTEMPTS {
            let turn = self.0.poller.turn(&caller.tenant, &reservation.session.id);
            let reserved = match self.0.ledger.reserve(&reservation).await {
                Ok(reserved) => reserved,
                Err(error) => {
                    // The claim may have been made all the same: nobody would ring for it.
                    self.withdraw(&reservation.first_record(), true, turn).await;
                    return Err(error.into());
                }
            };
            match &reserved {
                Reserved::CodeTaken => {
                    let person = reservation.session.terms.person.clone();
                    reservation = self.reservation(caller, tenant, request, person)?;
                }
                Reserved::NumberBusy(busy) | Reserved::CallBusy(busy)
                    if may_replace && self.makes_way(caller, request, busy).await? => {}
                _ => return Ok((reserved, turn)),
            }
        }
        Err(Error::Internal("no free code was found"))
    }

    /// Ends the login that keeps a start out, if it is whose start it is; whether it
    /// is over.
    async fn makes_way(&self, caller: &Caller, request: &StartLogin, busy: &LoginId) -> Result<bool, Error> {
        let Some(record) = self.0.ledger.read(&caller.tenant, busy).await? else { return Ok(true) };
        let terms = &record.session.terms;
        let is_own = terms.is_held_by(&caller.client, request.agent.as_ref())
            && (terms.agent.is_some() || terms.terminal == request.terminal);
        if !is_own {
            return Ok(false);
        }
        if let Applied::Done(ended) = self.0.ledger.apply(&record, &Event::Cancelled).await? {
            self.note(caller, &ended, What::Replaced);
        }
        Ok(true)
    }

    /// Asks whether all tenants together may start one more login for the number;
    /// whether this start has just been counted there.
    pub(in crate::logins) async fn admit(&self, asker: Asker<'_>) -> Result<bool, Error> {
        match self.0.ledger.admit(asker, self.rules().policy.starts_per_number).await? {
            Admitted::Counted => Ok(true),
            Admitted::Before => Ok(false),
            Admitted::LimitReached { retry_after } => {
                Err(Error::TooManyStarts { counter: Counter::Number, retry_after })
            }
            Admitted::BackedOff { retry_after } => Err(Error::ProviderBusy { retry_after }),
        }
    }

    /// No phone rang: the number may be rung by others instead. Should that be
    /// lost, it may be rung once less for a while.
    pub(in crate::logins) async fn give_back(&self, asker: Asker<'_>) {
        if let Err(error) = self.0.ledger.give_back(asker).await {
            warn!(%error, "a start that did not happen stays counted for its number");
        }
    }

    /// Nobody else asks for this person either, until the provider wants to hear of
    /// them again.
    pub(in crate::logins) async fn provider_is_busy(
        &self,
        phone: Option<&PhoneNumber>,
        retry_after: Option<Duration>,
    ) -> Error {
        let retry_after = retry_after.unwrap_or(PROVIDER_BUSY_DEFAULT);
        if let Some(phone) = phone
            && let Err(error) = self.0.ledger.back_off(phone, retry_after).await
        {
            warn!(%error, "the provider's wish for a pause is known to this caller alone");
        }
        Error::ProviderBusy { retry_after }
    }

    fn reservation(
        &self,
        caller: &Caller,
        tenant: &Tenant,
        request: &StartLogin,
        person: Person,
    ) -> Result<Reservation, Error> {
        let now = self.0.ledger.clock().now();
        let terms = terms(caller, tenant, request, person, now)?;
        let mut id = [0_u8; 20];
        getrandom::fill(&mut id).map_err(|_| Error::Internal("no randomness"))?;
        Ok(Reservation {
            charges: tenant.guards.charges.clone(),
            cool_down: tenant.guards.cool_down,
            when_busy: request.when_busy,
            session: Session::new(LoginId::from_random(id), terms, now),
            owner: self.0.poller.replica().incarnation(),
            now,
        })
    }

    /// Frees what a start claimed. When the store is down the caller does not
    /// wait for that.
    pub(super) async fn withdraw(&self, record: &Record, refund: bool, turn: Turn) {
        let Err(error) = self.0.ledger.release(record, refund).await else {
            return;
        };
        warn!(%error, "a reservation cannot be taken back; trying again");
        let (ledger, record) = (self.0.ledger.clone(), record.clone());
        let give_up = ledger.clock().now().plus(START_LIMIT);
        let withdrawing = async move {
            let _turn = turn;
            while ledger.clock().now() < give_up {
                tokio::time::sleep(STORE_RETRY).await;
                if ledger.release(&record, refund).await.is_ok() {
                    return;
                }
            }
            warn!("a reservation was not taken back; it ended by its deadline");
        };
        self.0.tasks.spawn(withdrawing.in_current_span());
    }
}

/// What was asked for, if the tenant allows it.
fn terms(
    caller: &Caller,
    tenant: &Tenant,
    request: &StartLogin,
    person: Person,
    now: Timestamp,
) -> Result<Terms, Error> {
    let wanted = keeps_policy(tenant, caller, request)?;
    let code = BindingCode::random(getrandom::fill).map_err(|_| Error::Internal("no randomness"))?;
    Ok(Terms {
        tenant: caller.tenant.clone(),
        client: caller.client.clone(),
        request_id: request.request_id.clone(),
        content: digest(request)?,
        agent: request.agent.clone(),
        terminal: request.terminal.clone(),
        call: request.call.clone(),
        channel: request.channel,
        call_direction: request.call_direction,
        person,
        code,
        code_mode: request.code.for_channel(request.channel),
        purpose: wanted.purpose,
        claims: wanted.claims,
        required_claims: wanted.required,
        lifetime: request.lifetime.unwrap_or(tenant.default_lifetime),
        expected_subject: request.expected_subject.clone(),
        labels: request.labels.clone(),
        language: request.language.unwrap_or(tenant.default_language),
        created_at: now,
        handed_over: None,
        finish: request.finish.clone(),
    })
}

/// Tells a retry from a different request under the same `request_id`.
pub(super) fn digest(request: &StartLogin) -> Result<[u8; 32], Error> {
    let content = serde_json::to_vec(request).map_err(|_| Error::Internal("a request cannot be digested"))?;
    Ok(Sha256::digest(content).into())
}
