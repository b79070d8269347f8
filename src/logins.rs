//! The use cases: check a number, start, get, wait, watch, confirm a code, hand
//! over, complete a redirect, cancel, list, erase.
//!
//! Speaks the domain's words only: no gRPC, no JSON, no SQL. Takes a [`Caller`]
//! whose credential has been checked, decides what that caller may do and see,
//! and lets events happen through the `ledger`. Called by `grpc` and, for landings, `http`.

mod audited;
mod block_list;
mod caller;
mod capacity;
mod check;
mod check_ins;
mod cursor;
mod door;
mod error;
mod policy;
mod quiet_hours;
mod redirect;
mod rules;
mod shop_qr;
mod start;
mod transfer;
mod view;
mod watch;
mod watch_all;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch::Sender;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

pub use block_list::{BlockList, Blocked, Blocks};
pub use caller::{Caller, CallingAgent, Role};
use capacity::{Capacity, Place, Watching};
pub use capacity::{Limits, Load};
pub use check::CheckPhone;
pub use check_ins::{CheckInEvent, CheckInFilter, CheckInView, NotTakenIn, Scanned};
pub use cursor::{Cursor, InvalidCursor};
pub use error::Error;
pub use policy::Purpose;
pub use quiet_hours::QuietHours;
pub use redirect::{CompleteRedirect, Completion, Landed, Landing, Pages};
pub(crate) use rules::Rules;
pub use shop_qr::{CreateShopQr, ShopQrView};
pub use start::{CodeChoice, StartLogin, Whom};
pub use transfer::{TransferLogin, Whose};
pub use view::LoginView;
pub use watch::WatchEvent;
pub use watch_all::{Broken, From, TenantEvent, TenantMessage};

use crate::audit::What;
use crate::clock::Clock;
use crate::identity::Claim;
use crate::language::Language;
use crate::ledger::{Applied, Ledger};
use crate::phone::{BindingCode, Country, PhoneNumber};
use crate::poller::{Credential, Poller};
use crate::session::{
    AgentId, CallId, Channel, ClientId, CodeCheck, CodeMode, Event, LoginId, Moment, Outcome, PurposeId, State,
    TenantId, TerminalId, Terms,
};
use crate::store::{Charge, CoolDown, Limit, Page, Rank, Record};

/// Logins that one `ListLogins` looks through at most.
const LIST_DEPTH: usize = 1000;

/// What holds for one tenant.
pub struct Tenant {
    /// Its name.
    pub id: TenantId,
    /// What people call it.
    pub name: String,
    /// Country of numbers that are written without one.
    pub default_country: Country,
    /// Lifetime of logins whose caller names none.
    pub default_lifetime: Duration,
    /// Claims of logins whose caller names none.
    pub default_claims: BTreeSet<Claim>,
    /// Claims of every login, without which it fails.
    pub required_claims: BTreeSet<Claim>,
    /// What logins may be for; when there are any, each login is for one of them.
    pub purposes: Vec<Purpose>,
    /// The purpose of logins whose caller names none; among `purposes`.
    pub default_purpose: Option<PurposeId>,
    /// By what right national identity numbers are asked for; `None` for that they
    /// are not.
    pub national_id_ground: Option<String>,
    /// What agents and screens are spoken to in when the caller does not say.
    pub default_language: Language,
    /// Whether its call centres may choose [`CodeMode::ReadOut`] over read-back.
    pub may_read_out: bool,
    /// Whether its agents may call people and ask them to identify themselves.
    pub may_call_out: bool,
    /// When its agents call nobody.
    pub quiet_hours: Option<QuietHours>,
    /// The pages that its logins may end on.
    pub pages: Pages,
    /// Its systems.
    pub clients: BTreeSet<ClientId>,
    /// How much may be started.
    pub guards: Guards,
    /// Its sales unit at the provider, where it is configured.
    pub merchant_serial_number: Option<String>,
    /// Its credential at the provider.
    pub credential: Arc<Credential>,
}

/// Which logins of a tenant are meant.
#[derive(Clone, Debug, Default)]
pub struct LoginFilter {
    /// Only logins that have not ended.
    pub live_only: bool,
    /// Only this channel.
    pub channel: Option<Channel>,
    /// Only this terminal.
    pub terminal: Option<TerminalId>,
    /// Only what this agent has.
    pub agent: Option<AgentId>,
    /// Only this phone call.
    pub call: Option<CallId>,
}

impl LoginFilter {
    fn passes(&self, terms: &Terms, moment: &Moment) -> bool {
        (!self.live_only || !moment.has_ended())
            && self.channel.is_none_or(|channel| channel == terms.channel)
            && (self.terminal.is_none() || self.terminal == terms.terminal)
            && (self.agent.is_none() || self.agent.as_ref() == terms.holder().1)
            && (self.call.is_none() || self.call == terms.call)
    }
}

/// The result of typing a code.
#[derive(Clone, Debug)]
pub struct CodeVerdict {
    /// Whether it was right.
    pub matched: bool,
    /// Tries left when it was not.
    pub tries_left: u8,
    /// The login now.
    pub login: LoginView,
}

/// How much may be started in a tenant.
#[derive(Clone, Debug)]
pub struct Guards {
    /// What starts are counted by, and how many there may be.
    pub charges: Vec<Charge>,
    /// How long those are left alone who have said no.
    pub cool_down: CoolDown,
}

/// What holds over all tenants.
#[derive(Clone, Copy, Debug)]
pub struct Policy {
    /// Starts for one number, by whomever.
    pub starts_per_number: Limit,
    /// What this process takes on at once.
    pub limits: Limits,
}

/// The use cases. Cheap to clone.
#[derive(Clone)]
pub struct Logins(Arc<Shared>);

struct Shared {
    ledger: Ledger,
    poller: Poller,
    rules: Arc<Sender<Arc<Rules>>>,
    capacity: Capacity,
    /// For codes of landings.
    door: door::Door,
    reads: Arc<audited::Reads>,
    /// Starts under way.
    tasks: TaskTracker,
    /// No new starts.
    closing: CancellationToken,
    /// Waits and streams end.
    drain: CancellationToken,
}

impl Logins {
    /// The use cases over a ledger and a poller; nothing is shut out.
    #[must_use]
    pub fn new(ledger: Ledger, poller: Poller, tenants: Vec<Tenant>, policy: Policy) -> Self {
        let capacity = Capacity::new(policy.limits, tenants.iter().map(|tenant| &tenant.id));
        let rules = Arc::new(Sender::new(Rules::new(tenants, policy, BlockList::default())));
        let (tasks, closing, drain) = (TaskTracker::new(), CancellationToken::new(), CancellationToken::new());
        let (reads, door) = (Arc::default(), door::Door::default());
        Self(Arc::new(Shared { ledger, poller, rules, capacity, door, reads, tasks, closing, drain }))
    }

    /// The clock that all rules go by.
    #[must_use]
    pub fn clock(&self) -> &Clock {
        self.0.ledger.clock()
    }

    /// The login as it is now.
    ///
    /// # Errors
    /// [`Error::NotFound`] and store failures, which are never mistaken for each other.
    pub async fn get(&self, caller: &Caller, login: &LoginId) -> Result<LoginView, Error> {
        let _place = self.call()?;
        Ok(self.view(caller, &self.find(caller, login).await?))
    }

    /// Counts one try and compares; see `ConfirmCode` in the API.
    ///
    /// # Errors
    /// When the login takes no code, has ended, or is another agent's.
    pub async fn confirm_code(
        &self,
        caller: &Caller,
        login: &LoginId,
        typed: BindingCode,
    ) -> Result<CodeVerdict, Error> {
        let _place = self.call()?;
        let record = self.find(caller, login).await?;
        if !view::is_reader(caller, &record.session.terms) {
            return Err(self.not_yours(caller, &record, "ConfirmCode"));
        }
        let right = record.session.terms.code == typed;
        match record.session.code_check() {
            None => return self.typed_late(caller, &record, right),
            Some(CodeCheck::NotAsked) => return Err(Error::CodeNotAsked),
            Some(CodeCheck::Open { .. } | CodeCheck::Matched) => {}
        }
        match self.0.ledger.apply(&record, &Event::CodeTyped(typed)).await? {
            Applied::Done(record) => {
                let tries_left = if right { 0 } else { record.session.moment().code_tries_left() };
                self.note(caller, &record, What::CodeTried { matched: right, tries_left });
                Ok(CodeVerdict { matched: right, tries_left, login: self.view(caller, &record) })
            }
            Applied::Refused(record) => self.typed_late(caller, &record, right),
            Applied::Gone => Err(Error::NotFound),
        }
    }

    /// The right code once more, as after a lost answer, is as good as the first time.
    fn typed_late(&self, caller: &Caller, record: &Arc<Record>, right: bool) -> Result<CodeVerdict, Error> {
        let was_asked = record.session.terms.code_mode == CodeMode::ReadBack;
        let approved = matches!(&record.session.state,
            State::Ended(ended) if matches!(ended.outcome, Outcome::Approved { .. }));
        if right && was_asked && approved {
            Ok(CodeVerdict { matched: true, tries_left: 0, login: self.view(caller, record) })
        } else {
            Err(Error::LoginEnded)
        }
    }

    /// Ends the login unless it has ended; returns it as it then is.
    ///
    /// # Errors
    /// When it is not this client's.
    pub async fn cancel(&self, caller: &Caller, login: &LoginId) -> Result<LoginView, Error> {
        self.end(caller, login, &Event::Cancelled).await
    }

    /// Removes the identity, and ends the login if it lives.
    ///
    /// # Errors
    /// When it is not this client's.
    pub async fn erase(&self, caller: &Caller, login: &LoginId) -> Result<LoginView, Error> {
        self.end(caller, login, &Event::Erased).await
    }

    /// Removes the identities of all logins for a number that the caller's client
    /// has, and ends those that live; how many logins these were.
    ///
    /// # Errors
    /// Store failures; some may then have been erased.
    pub async fn erase_number(&self, caller: &Caller, phone: &PhoneNumber) -> Result<u32, Error> {
        let _place = self.call()?;
        let mut erased = 0;
        for login in self.0.ledger.logins_of_number(&caller.tenant, phone).await? {
            let Some(record) = self.0.ledger.read(&caller.tenant, &login).await? else { continue };
            if *record.session.terms.holder().0 != caller.client {
                continue;
            }
            if let Applied::Done(record) = self.0.ledger.apply(&record, &Event::Erased).await? {
                self.note_event(caller, &record, &Event::Erased);
                erased += 1;
            }
        }
        Ok(erased)
    }

    async fn end(&self, caller: &Caller, login: &LoginId, event: &Event) -> Result<LoginView, Error> {
        let _place = self.call()?;
        let record = self.find(caller, login).await?;
        if *record.session.terms.holder().0 != caller.client {
            let call = if *event == Event::Erased { "EraseLogin" } else { "CancelLogin" };
            return Err(self.not_yours(caller, &record, call));
        }
        match self.0.ledger.apply(&record, event).await? {
            Applied::Done(record) => {
                self.note_event(caller, &record, event);
                Ok(self.view(caller, &record))
            }
            Applied::Refused(record) => Ok(self.view(caller, &record)),
            Applied::Gone => Err(Error::NotFound),
        }
    }

    /// At most `size` of the tenant's logins that pass `filter`, newest first, and
    /// where to go on. There may be fewer although there are more to come: it
    /// looks through so many at once.
    ///
    /// # Errors
    /// Store failures.
    pub async fn list(
        &self,
        caller: &Caller,
        filter: &LoginFilter,
        mut after: Option<Rank>,
        size: usize,
    ) -> Result<(Vec<LoginView>, Option<Rank>), Error> {
        let _place = self.call()?;
        let (mut views, mut looked_at) = (Vec::new(), 0);
        loop {
            let page = Page { after, live_only: filter.live_only, limit: size - views.len() };
            let (records, next) = self.0.ledger.list(&caller.tenant, &page).await?;
            let wanted = records.iter().filter(|record| filter.passes(&record.session.terms, &record.session.moment()));
            views.extend(wanted.map(|record| self.view(caller, record)));
            looked_at += page.limit;
            if next.is_none() || views.len() >= size || looked_at >= LIST_DEPTH {
                return Ok((views, next));
            }
            after = next;
        }
    }

    /// Refuses new starts.
    pub fn start_draining(&self) {
        self.0.closing.cancel();
    }

    /// Ends every wait with the present state, and every stream with how to go on.
    pub fn dismiss(&self) {
        self.0.drain.cancel();
    }

    /// Waits for starts in flight.
    pub async fn drained(&self) {
        self.0.tasks.close();
        self.0.tasks.wait().await;
    }

    /// A place among the starts under way.
    fn starting(&self, caller: &Caller) -> Result<Place, Error> {
        let live = self.0.poller.owned_by(&caller.tenant);
        self.0.capacity.start(&caller.tenant, live).inspect_err(|error| self.count_shed(error))
    }

    /// A place among the calls under way.
    fn call(&self) -> Result<Place, Error> {
        self.0.capacity.call().inspect_err(|error| self.count_shed(error))
    }

    /// A place among the streams and waits.
    fn watching(&self, caller: &Caller) -> Result<Watching, Error> {
        self.0.capacity.watch(caller).inspect_err(|error| self.count_shed(error))
    }

    fn count_shed(&self, error: &Error) {
        if let Error::Overloaded(load) = error {
            self.0.ledger.metrics().call_shed(load.name());
        }
    }

    async fn find(&self, caller: &Caller, login: &LoginId) -> Result<Arc<Record>, Error> {
        self.0.ledger.read(&caller.tenant, login).await?.ok_or(Error::NotFound)
    }
}
