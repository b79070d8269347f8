//! The seam to shared state: one record per login, decided by compare-and-set.
//!
//! [`SessionStore`] is what `logins` and `poller` know of it; [`redis`] and
//! [`memory`] implement it and pass the same contract tests
//! (`tests/it/store_contract.rs`). A store keeps records, guards' counters and
//! indexes; it never decides what a transition means, nor who is dead. The
//! present is handed in with every call that needs it.
//!
//! Several processes may share a store. Each login has one owner, which says
//! by [`SessionStore::beat`] that it lives; when it does not, others take its
//! logins over by [`SessionStore::adopt`]. That raises the version, and so the
//! former owner's writes are [`Saved::Conflict`]: compare-and-set is the fence,
//! there is no other.

use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::broadcast;

use crate::ciba::AuthReqId;
use crate::phone::PhoneNumber;
use crate::session::{CallId, LoginId, Session, TenantId};
use crate::timestamp::Timestamp;

mod charge;
pub mod check_ins;
pub mod events;
pub mod hash;
pub mod memory;
mod ping;
mod record;
pub mod redis;
mod replicas;
mod retention;
pub mod seal;

pub use charge::{Admitted, Asker, Charge, CoolDown, Counted, Counter, DENIAL_RETENTION, Limit, Question};
pub use events::{Events, Happened, LoginEvent, Position};
pub use ping::Ping;
pub use record::Formats;
pub use replicas::{Batch, Pulse, Sign};

/// How long a record is kept after its login ended.
pub const OUTCOME_RETENTION: Duration = Duration::from_secs(3600);
/// How long a `request_id` is remembered.
pub const REQUEST_ID_RETENTION: Duration = Duration::from_secs(24 * 3600);

/// One process run of a gateway; names the owner of a login.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Incarnation(pub String);

/// A login as the store holds it.
#[derive(Clone, Debug, PartialEq)]
pub struct Record {
    /// The login.
    pub session: Session,
    /// The format that it was born with and keeps: see [`Formats`].
    pub format: u8,
    /// Raised by every write, starting at 1; what compare-and-set compares.
    pub version: u64,
    /// Raised by every change of owner, starting at 1.
    pub epoch: u64,
    /// The process run that polls it.
    pub owner: Incarnation,
}

impl Record {
    /// Orders the records of one login from old to new. An end is newer than
    /// every live state: nothing leaves it, so one with a lower version comes
    /// from a store that was rolled back, and is the truth there.
    #[must_use]
    pub const fn age(&self) -> (bool, u64) {
        (self.session.has_ended(), self.version)
    }
}

/// What a start does when its number or its phone call has a live login.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WhenBusy {
    /// It is refused.
    Refuse,
    /// It stands for that login, if the same client has asked for the same.
    Join,
    /// It is refused by the guards first: what it would replace must not go for
    /// nothing.
    Replace,
}

impl WhenBusy {
    /// A word for scripts.
    #[must_use]
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Refuse => "refuse",
            Self::Join => "join",
            Self::Replace => "replace",
        }
    }
}

/// Everything one start claims, in one atomic step.
#[derive(Clone, Debug, PartialEq)]
pub struct Reservation {
    /// The login in state `Starting`. It claims its number and its phone call (one
    /// live login for each) and its code (unique among the tenant's live logins).
    pub session: Session,
    /// Who will poll it.
    pub owner: Incarnation,
    /// What to do when its number or its phone call has a live login.
    pub when_busy: WhenBusy,
    /// The guards; counted once per `request_id`.
    pub charges: Vec<Charge>,
    /// How long those are left alone who have said no.
    pub cool_down: CoolDown,
    /// The present.
    pub now: Timestamp,
}

impl Reservation {
    /// The record that a store writes for it.
    #[must_use]
    pub fn first_record(&self) -> Record {
        let format = Formats::CURRENT.newest();
        Record { session: self.session.clone(), format, version: 1, epoch: 1, owner: self.owner.clone() }
    }
}

/// What became of a reservation. Anything but `New` left nothing behind.
#[derive(Clone, Debug, PartialEq)]
pub enum Reserved {
    /// It is ours to start.
    New(Record),
    /// This `request_id` has started this login already, with the same content.
    Existing(LoginId),
    /// It has joined this live login, which its `request_id` now stands for.
    Joined(LoginId),
    /// This `request_id` was used with other content.
    RequestIdReused,
    /// The number has this live login.
    NumberBusy(LoginId),
    /// The phone call has this live login.
    CallBusy(LoginId),
    /// The person has said no of late.
    CoolingDown {
        /// When they may be asked again.
        retry_after: Duration,
    },
    /// A guard refused.
    LimitReached {
        /// Which; of several the one that takes longest.
        counter: Counter,
        /// When the oldest counted start leaves the window.
        retry_after: Duration,
    },
    /// Another live login of the tenant has this code; try again with another.
    CodeTaken,
}

/// What became of a compare-and-set.
#[derive(Clone, Debug, PartialEq)]
pub enum Saved {
    /// Written.
    Written {
        /// The record now.
        record: Record,
        /// How often the person of that number has said no within
        /// [`DENIAL_RETENTION`], this time included; 0 when this is not a no.
        denials: u32,
    },
    /// Somebody else wrote first; load again.
    Conflict,
    /// There is no such login (any more).
    Gone,
}

/// What became of a login that was to be put back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PutBack {
    /// The store has it again.
    Written,
    /// The store has this version, a newer one or an end: nothing was written.
    Kept,
    /// Whoever reserved it has taken it back: it is to be forgotten.
    Withdrawn,
}

/// Which part of a tenant's logins is wanted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page {
    /// Those that come after this place, newest first; from the newest on when absent.
    pub after: Option<Rank>,
    /// Without those that have ended.
    pub live_only: bool,
    /// Look at no more than this many; at least 1.
    pub limit: usize,
}

/// Where a login stands in the order of a tenant's logins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rank {
    /// When it was asked for.
    pub created_at: Timestamp,
    /// Which it is, among those of the same time.
    pub login: LoginId,
}

/// A part of a tenant's logins.
#[derive(Clone, Debug, PartialEq)]
pub struct Listed {
    /// Newest first. There may be fewer than asked for, or none, although there
    /// is a `next`.
    pub records: Vec<Record>,
    /// Where to go on: `after` of the next page. `None` when that was all.
    pub next: Option<Rank>,
}

/// Says that another process changed something, not how. May be lost or come
/// twice.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Wake {
    /// A login has a new version.
    Changed {
        /// Whose login.
        tenant: TenantId,
        /// Which.
        login: LoginId,
        /// The version that was written.
        version: u64,
    },
    /// Somebody has checked in, is being asked, or can be asked again.
    CheckedIn {
        /// At whose shop.
        tenant: TenantId,
    },
    /// Changes may have been missed: read again whatever matters.
    Missed,
}

/// The store did not do what was asked. Says nothing about any login.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// It cannot be reached, timed out or is loading.
    #[error("the store cannot be reached")]
    Unavailable(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// It has lost data and is being put right, or is new: nothing can be said
    /// about what it does not have, and nothing is started.
    #[error("the store has lost data and is being put right")]
    Recovering {
        /// When it is over.
        retry_after: Duration,
    },
    /// Written by a newer version of the gateway, or under a seal key that is not
    /// known here: another replica can read it.
    #[error("a record is not for this replica: {0}")]
    Foreign(&'static str),
    /// It has no memory for what is new. Nothing was written, and what is there
    /// goes on.
    #[error("the store is full")]
    Full(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// It holds something that nobody can read.
    #[error("a record cannot be read: {0}")]
    Unreadable(&'static str),
}

/// Shared state of all replicas.
#[async_trait]
pub trait SessionStore: check_ins::CheckInStore + Send + Sync {
    /// Claims everything that one start needs, or nothing. Refusals come in the
    /// order of [`Reserved`]. Repeated for the same login, after an answer that
    /// was lost, it is [`Reserved::New`] again.
    async fn reserve(&self, reservation: &Reservation) -> Result<Reserved, StoreError>;

    /// Counts a start for its number over all tenants, once for each `request_id`,
    /// unless there are `limit.max` already or the provider wants to hear nothing
    /// for this number. Not part of [`SessionStore::reserve`], because tenants may
    /// be kept in different places; asked first.
    async fn admit(&self, asker: Asker<'_>, limit: Limit, now: Timestamp) -> Result<Admitted, StoreError>;

    /// Takes [`SessionStore::admit`] back, because no phone rang.
    async fn give_back(&self, asker: Asker<'_>) -> Result<(), StoreError>;

    /// What this `request_id` stands for already: [`Reserved::Existing`],
    /// [`Reserved::RequestIdReused`], or nothing. For starts that would have to ask
    /// others who the person is before they can be reserved.
    async fn started_before(
        &self,
        asker: Asker<'_>,
        content: &[u8; 32],
        now: Timestamp,
    ) -> Result<Option<Reserved>, StoreError>;

    /// Counts a question about a number by the guards that starts are counted by,
    /// unless one of them refuses. Claims nothing.
    async fn count(&self, question: &Question<'_>) -> Result<Counted, StoreError>;

    /// The provider wants to hear nothing for this number until `until`, from
    /// whatever tenant.
    async fn back_off(&self, number: &PhoneNumber, until: Timestamp, now: Timestamp) -> Result<(), StoreError>;

    /// Takes a reservation back: the record, its number, its call, its code and its
    /// `request_id` are free again. The charges are given back only with
    /// `refund`. Does nothing when the login has gone on. One that was adopted and
    /// ended as [`FailureReason::StartUnknown`](crate::session::FailureReason) keeps
    /// its end and gives up the rest: whoever takes it back knows more. What comes
    /// later, the reservation itself or a [`SessionStore::put_back`], is kept out.
    async fn release(&self, record: &Record, refund: bool) -> Result<(), StoreError>;

    /// The newest record of a login; without its identity once `identity_until`
    /// of [`SessionStore::save`] has passed.
    async fn load(&self, tenant: &TenantId, login: &LoginId, now: Timestamp) -> Result<Option<Record>, StoreError>;

    /// Writes `record`, its owner and epoch as they are, if the stored version is
    /// still `record.version`. Repeated by the same process with the same
    /// content, after an answer that was lost, it is [`Saved::Written`] again.
    /// A login that has ended frees its number and code, and keeps its identity
    /// for `identity_window`, its outcome for [`OUTCOME_RETENTION`].
    async fn save(&self, record: &Record, now: Timestamp, identity_window: Duration) -> Result<Saved, StoreError>;

    /// The login that a phone call of the tenant has, or had last; for as long as the
    /// login's record is kept.
    async fn login_of_call(&self, tenant: &TenantId, call: &CallId) -> Result<Option<LoginId>, StoreError>;

    /// The tenant's live login that ends by a landing and has this handle at the
    /// provider, from the write that says so until its end. Found by a keyed hash.
    async fn login_of_request(&self, tenant: &TenantId, auth_req_id: &AuthReqId)
    -> Result<Option<LoginId>, StoreError>;

    /// The tenant's logins for a number whose records may still be kept, in no order.
    async fn logins_of_number(
        &self,
        tenant: &TenantId,
        number: &PhoneNumber,
        now: Timestamp,
    ) -> Result<Vec<LoginId>, StoreError>;

    /// The tenant's logins, newest first: the live ones and, unless only those
    /// are wanted, the ones that ended within [`OUTCOME_RETENTION`]. Records that
    /// cannot be read are left out.
    async fn list(&self, tenant: &TenantId, now: Timestamp, page: &Page) -> Result<Listed, StoreError>;

    /// Hears of every change that another process makes, adoptions included; not
    /// of those made through this store. A receiver that lags has missed some,
    /// as after [`Wake::Missed`].
    fn wakes(&self) -> broadcast::Receiver<Wake>;

    /// How all replicas are told that the provider has news of that request.
    fn ping_of(&self, request: &AuthReqId) -> Ping;

    /// Tells all replicas, this one among them.
    async fn pass_on(&self, ping: &Ping) -> Result<(), StoreError>;

    /// Hears what is passed on. Nobody is told what was missed.
    fn pings(&self) -> broadcast::Receiver<Ping>;

    /// Gives a sign of life for `incarnation` and reads those of all others. One
    /// that has left stays so, however late a beat arrives. `now` is what a store
    /// without a clock of its own gives back as its time.
    async fn beat(&self, incarnation: &Incarnation, now: Timestamp) -> Result<Pulse, StoreError>;

    /// Says goodbye for `incarnation`: from now on its sign is [`Sign::Left`].
    async fn leave(&self, incarnation: &Incarnation) -> Result<(), StoreError>;

    /// Forgets the signs of `incarnation`, once it owns nothing anywhere. Should
    /// it beat again, it is there again.
    async fn bury(&self, incarnation: &Incarnation) -> Result<(), StoreError>;

    /// Takes live logins of the tenant over from `from` to `to`, looking at no
    /// more than `limit` of them that come after the login `after`: each has a
    /// new owner, a new epoch and a new version, as one step. Deadlines are not
    /// looked at: an overdue login is the new owner's to end.
    ///
    /// A record of a foreign format or under an unknown seal key stays with
    /// `from`, and is counted: another replica may be able to read it. One whose seals are
    /// broken is taken over but left out of the answer. After an answer that was
    /// lost, [`SessionStore::owned`] says what is `to`'s by now.
    async fn adopt(
        &self,
        tenant: &TenantId,
        from: &Incarnation,
        to: &Incarnation,
        after: Option<&LoginId>,
        limit: usize,
        now: Timestamp,
    ) -> Result<Batch, StoreError>;

    /// The live logins of the tenant that `incarnation` owns, looking at no more
    /// than `limit` that come after the login `after`. Records that cannot be
    /// read are left out.
    async fn owned(
        &self,
        tenant: &TenantId,
        incarnation: &Incarnation,
        after: Option<&LoginId>,
        limit: usize,
        now: Timestamp,
    ) -> Result<Batch, StoreError>;

    /// The tenant's stream of events after number `after`, at most `limit`, and
    /// which numbers there are. An entry is written in the same step as the
    /// change: by every reservation, release and save that changes the state,
    /// its outcome, the check of the code or the holder; not by a new schedule, a new owner
    /// or an erasure. Entries can be read for [`OUTCOME_RETENTION`].
    async fn events(&self, tenant: &TenantId, after: u64, limit: usize, now: Timestamp) -> Result<Events, StoreError>;

    /// Gives the tenant's stream a new epoch, unless it is not `lost.epoch` any
    /// more. For a reader that remembers a higher number of that epoch than the
    /// stream has given out: what the store lost is not missed silently. The
    /// stream begins anew, empty, and goes on after `lost.number`.
    async fn new_epoch(&self, tenant: &TenantId, lost: &Position, now: Timestamp) -> Result<(), StoreError>;

    /// Whether the store still has what it has acknowledged to this process of
    /// the tenant, as far as its stream tells. If not, the stream has a new epoch
    /// by now, and until [`SessionStore::is_put_right`] this process is told
    /// [`StoreError::Recovering`] instead of that a login is not there, and for
    /// reservations. The store itself says the same to everybody for a while
    /// after the beginning of each epoch.
    async fn still_has(&self, tenant: &TenantId, now: Timestamp) -> Result<bool, StoreError>;

    /// Puts a login back that the store has lost: the record, what it claims, its
    /// `request_id` and its charge.
    async fn put_back(&self, record: &Record, now: Timestamp, identity_window: Duration)
    -> Result<PutBack, StoreError>;

    /// Whatever this process remembers of the tenant has been put back: from now
    /// on the store is believed again.
    fn is_put_right(&self, tenant: &TenantId);

    /// Whether the store answers now.
    async fn ping(&self) -> Result<(), StoreError>;

    /// A word for logs and `check`: `memory` or `redis`.
    fn kind(&self) -> &'static str;
}
