//! The seam to check-ins: who has scanned a shop's QR code and waits to be asked.
//!
//! A check-in holds the provider's token for the person, which is a secret. It can
//! start one login within [`CHECK_IN_LIFE`]; a start takes it, and puts it back when
//! nothing was started. What a check-in is worth to whom is decided by `logins`.

use std::time::Duration;

use async_trait::async_trait;

use super::{Asker, StoreError};
use crate::session::{CheckInId, CustomerToken, TenantId};
use crate::shop_qr::ShopQrId;
use crate::timestamp::Timestamp;

/// How long a check-in can start a login, from when the provider says that the code
/// was scanned (vendor: the customer token is valid for 15 minutes).
pub const CHECK_IN_LIFE: Duration = Duration::from_secs(15 * 60);
/// Check-ins of one tenant that wait at once; the oldest make way for new ones.
pub const CHECK_INS_KEPT: usize = 1000;

/// That somebody has scanned a code.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CheckIn {
    /// Which code.
    pub qr: ShopQrId,
    /// What the provider knows the person by.
    pub token: CustomerToken,
    /// When.
    pub at: Timestamp,
}

/// A check-in that waits: everything of it that is no secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Waiting {
    /// The gateway's name for it.
    pub id: CheckInId,
    /// Which code was scanned.
    pub qr: ShopQrId,
    /// When.
    pub at: Timestamp,
}

/// What became of the wish to start a login by a check-in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Taken {
    /// It is the asker's, now or since before.
    Token(CustomerToken),
    /// Another start has it.
    Used,
    /// Its time is over.
    Expired,
    /// There is none of that name in the tenant, or none any more.
    Unknown,
}

/// Where check-ins are kept.
#[async_trait]
pub trait CheckInStore: Send + Sync {
    /// Keeps a check-in and tells the other replicas. The same token once more is the
    /// same check-in, and changes nothing.
    async fn keep_check_in(
        &self,
        tenant: &TenantId,
        check_in: &CheckIn,
        now: Timestamp,
    ) -> Result<CheckInId, StoreError>;

    /// The tenant's check-ins that can start a login at `now`, oldest first.
    async fn check_ins(&self, tenant: &TenantId, now: Timestamp) -> Result<Vec<Waiting>, StoreError>;

    /// Takes a check-in of the asker's tenant for a start, in one step. Repeated for
    /// the same start it gives the token again, also a little after its time.
    async fn take_check_in(&self, asker: Asker<'_>, id: &CheckInId, now: Timestamp) -> Result<Taken, StoreError>;

    /// Takes [`CheckInStore::take_check_in`] back, because nothing was started.
    async fn put_check_in_back(&self, asker: Asker<'_>, id: &CheckInId, now: Timestamp) -> Result<(), StoreError>;
}
