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

use crate::phone::PhoneNumber;
use crate::session::{LoginId, RequestId, Session, TenantId};
use crate::timestamp::Timestamp;

pub mod events;
pub mod hash;
pub mod memory;
mod record;
pub mod redis;
mod replicas;
mod retention;
pub mod seal;

pub use events::{Events, LoginEvent};
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

/// A limit on how often something may happen in a sliding window.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limit {
    /// This many within `window`, at most.
    pub max: u32,
    /// Looked back from the present.
    pub window: Duration,
}

/// What a start counts against.
#[derive(Clone, Debug, PartialEq)]
pub struct Charge {
    /// The number whose phone would ring, within the tenant: the login's own.
    pub number: PhoneNumber,
    /// How often that may be.
    pub limit: Limit,
}

/// Everything one start claims, in one atomic step.
#[derive(Clone, Debug, PartialEq)]
pub struct Reservation {
    /// The login in state `Starting`. It claims its number (one live login for
    /// a number) and its code (unique among the tenant's live logins).
    pub session: Session,
    /// Who will poll it.
    pub owner: Incarnation,
    /// The caller's name for this start, unique within the client.
    pub request_id: RequestId,
    /// Digest of everything the request asked for, to tell a retry from a
    /// different request. It goes into the store keyed-hashed.
    pub content: [u8; 32],
    /// The guards; counted once per `request_id`.
    pub charges: Vec<Charge>,
    /// The present.
    pub now: Timestamp,
}

impl Reservation {
    /// The record that a store writes for it.
    #[must_use]
    pub fn first_record(&self) -> Record {
        Record { session: self.session.clone(), version: 1, epoch: 1, owner: self.owner.clone() }
    }
}

/// What became of a reservation. Anything but `New` left nothing behind.
#[derive(Clone, Debug, PartialEq)]
pub enum Reserved {
    /// It is ours to start.
    New(Record),
    /// This `request_id` has started this login already, with the same content.
    Existing(LoginId),
    /// This `request_id` was used with other content.
    RequestIdReused,
    /// The number has a live login.
    NumberBusy,
    /// A guard refused.
    LimitReached {
        /// When the oldest counted start leaves the window.
        retry_after: Duration,
    },
    /// Another live login of the tenant has this code; try again with another.
    CodeTaken,
}

/// What became of a compare-and-set.
#[derive(Clone, Debug, PartialEq)]
pub enum Saved {
    /// Written; this is the record now.
    Written(Record),
    /// Somebody else wrote first; load again.
    Conflict,
    /// There is no such login (any more).
    Gone,
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
    /// Changes may have been missed: read again whatever matters.
    Missed,
}

/// The store did not do what was asked. Says nothing about any login.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// It cannot be reached, timed out or is loading.
    #[error("the store cannot be reached")]
    Unavailable(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// It holds something that cannot be read: foreign format or unknown seal key.
    #[error("a record cannot be read: {0}")]
    Unreadable(&'static str),
}

/// Shared state of all replicas.
#[async_trait]
pub trait SessionStore: Send + Sync {
    /// Claims everything that one start needs, or nothing. Refusals come in the
    /// order of [`Reserved`]. Repeated for the same login, after an answer that
    /// was lost, it is [`Reserved::New`] again.
    async fn reserve(&self, reservation: &Reservation) -> Result<Reserved, StoreError>;

    /// Takes a reservation back: the record, its number, its code and its
    /// `request_id` are free again. The charges are given back only with
    /// `refund`. Does nothing when the login is not `Starting` any more.
    async fn release(&self, record: &Record, request_id: &RequestId, refund: bool) -> Result<(), StoreError>;

    /// The newest record of a login; without its identity once `identity_until`
    /// of [`SessionStore::save`] has passed.
    async fn load(&self, tenant: &TenantId, login: &LoginId, now: Timestamp) -> Result<Option<Record>, StoreError>;

    /// Writes `record`, its owner and epoch as they are, if the stored version is
    /// still `record.version`. Repeated by the same process with the same
    /// content, after an answer that was lost, it is [`Saved::Written`] again.
    /// A login that has ended frees its number and code, and keeps its identity
    /// for `identity_window`, its outcome for [`OUTCOME_RETENTION`].
    async fn save(&self, record: &Record, now: Timestamp, identity_window: Duration) -> Result<Saved, StoreError>;

    /// The tenant's logins, newest first, at most `limit`: the live ones and
    /// those that ended within [`OUTCOME_RETENTION`].
    async fn list(&self, tenant: &TenantId, now: Timestamp, limit: usize) -> Result<Vec<Record>, StoreError>;

    /// Hears of every change that another process makes, adoptions included; not
    /// of those made through this store. A receiver that lags has missed some,
    /// as after [`Wake::Missed`].
    fn wakes(&self) -> broadcast::Receiver<Wake>;

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
    /// its outcome or the check of the code; not by a new schedule, a new owner
    /// or an erasure. Entries can be read for [`OUTCOME_RETENTION`].
    async fn events(&self, tenant: &TenantId, after: u64, limit: usize, now: Timestamp) -> Result<Events, StoreError>;

    /// Gives the tenant's stream a new epoch, unless it is not `epoch` any more.
    /// For a reader that remembers a higher number of that epoch than the stream
    /// has given out: what the store lost is not missed silently. The stream
    /// begins anew, empty, and goes on after the number `remembered`.
    async fn new_epoch(&self, tenant: &TenantId, epoch: &str, remembered: u64) -> Result<(), StoreError>;

    /// Whether the store answers now.
    async fn ping(&self) -> Result<(), StoreError>;

    /// A word for logs and `check`: `memory` or `redis`.
    fn kind(&self) -> &'static str;
}
