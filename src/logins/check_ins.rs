//! Who has scanned a shop's QR code: taken in from the provider, told to whoever
//! watches.
//!
//! A stream tells each check-in once, at once when it begins for those that wait
//! already; so whoever watches again misses none. Nothing runs while nobody reads.

use std::collections::{HashSet, VecDeque};
use std::time::Duration;

use futures_util::Stream;
use futures_util::stream::unfold;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tracing::info;

use super::capacity::Watching;
use super::{Caller, Error, Logins};
use crate::ledger::REREAD;
use crate::session::{CheckInId, CustomerToken, TenantId, TerminalId};
use crate::shop_qr::ShopQrId;
use crate::store::StoreError;
use crate::store::check_ins::{CHECK_IN_LIFE, CheckIn, Waiting};
use crate::timestamp::Timestamp;

/// How far ahead of ours the provider's clock may be.
const AHEAD: Duration = Duration::from_secs(60);

/// What the provider says about a scan. All of it is untrusted.
#[derive(Clone)]
pub struct Scanned {
    /// `customerToken`.
    pub token: String,
    /// `merchantQrId`.
    pub qr: String,
    /// `msn`, as text.
    pub merchant_serial_number: Option<String>,
    /// `initiatedAt`.
    pub at: Timestamp,
}

/// Why a scan was not taken in.
#[derive(Debug, thiserror::Error)]
pub enum NotTakenIn {
    /// No tenant of that name.
    #[error("the tenant is not configured")]
    NoTenant,
    /// The token is none.
    #[error("the customer token is not base64")]
    Token,
    /// The code is not one of the tenant's.
    #[error("the code is not one that the gateway made for this tenant")]
    ForeignQr,
    /// Another sales unit's.
    #[error("it is about another sales unit")]
    ForeignSalesUnit,
    /// It can start nothing any more.
    #[error("it is older than 15 minutes")]
    TooOld,
    /// Nothing happens before its time.
    #[error("it comes from the future")]
    TooEarly,
    /// It cannot be kept now; it is to be told of again.
    #[error("the store failed")]
    Store(#[from] StoreError),
}

/// One message of a stream.
#[derive(Clone, Debug)]
pub enum CheckInEvent {
    /// Somebody waits to be asked.
    CheckedIn(CheckInView),
    /// Nobody new; the gateway's time.
    Heartbeat(Timestamp),
}

/// A check-in as callers see it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CheckInView {
    /// What `StartLogin` takes.
    pub id: CheckInId,
    /// Which code was scanned.
    pub qr: ShopQrId,
    /// Where it stands.
    pub terminal: TerminalId,
    /// When it was scanned.
    pub at: Timestamp,
    /// Until when it can start a login.
    pub until: Timestamp,
}

/// Which check-ins are meant.
#[derive(Clone, Debug, Default)]
pub struct CheckInFilter {
    /// Only at this terminal.
    pub terminal: Option<TerminalId>,
    /// Only by this code.
    pub qr: Option<ShopQrId>,
}

impl CheckInFilter {
    fn passes(&self, view: &CheckInView) -> bool {
        self.terminal.as_ref().is_none_or(|terminal| *terminal == view.terminal)
            && self.qr.as_ref().is_none_or(|qr| *qr == view.qr)
    }
}

impl Logins {
    /// Takes in what the provider says about a scan, for one tenant. The provider may
    /// say it twice.
    ///
    /// # Errors
    /// Why not; only after [`NotTakenIn::Store`] it helps to say it again.
    pub async fn checked_in(&self, tenant: &TenantId, scanned: Scanned) -> Result<CheckInId, NotTakenIn> {
        let rules = self.rules();
        let known = rules.tenants.get(tenant).ok_or(NotTakenIn::NoTenant)?;
        let qr = ShopQrId::new(&scanned.qr).map_err(|_| NotTakenIn::ForeignQr)?;
        qr.place_in(tenant).ok_or(NotTakenIn::ForeignQr)?;
        let own = known.merchant_serial_number.as_ref();
        if own.is_some() && scanned.merchant_serial_number.as_ref().is_some_and(|other| Some(other) != own) {
            return Err(NotTakenIn::ForeignSalesUnit);
        }
        let now = self.0.ledger.clock().now();
        if now >= scanned.at.plus(CHECK_IN_LIFE) {
            return Err(NotTakenIn::TooOld);
        }
        if scanned.at > now.plus(AHEAD) {
            return Err(NotTakenIn::TooEarly);
        }
        let token = CustomerToken::new(scanned.token).map_err(|_| NotTakenIn::Token)?;
        let check_in = CheckIn { qr, token, at: scanned.at.min(now) };
        let id = self.0.ledger.keep_check_in(tenant, &check_in).await?;
        info!(%tenant, check_in = %id, qr = %check_in.qr, "somebody has checked in");
        Ok(id)
    }

    /// Who waits now, then who comes, until the caller's connection is `leaving`.
    ///
    /// # Errors
    /// Store failures, at once or later on.
    pub async fn watch_check_ins(
        &self,
        caller: &Caller,
        filter: CheckInFilter,
        heartbeat: Duration,
        leaving: CancellationToken,
    ) -> Result<impl Stream<Item = Result<CheckInEvent, Error>> + Send + use<>, Error> {
        let place = self.watching(caller)?;
        let news = self.0.ledger.check_in_news(&caller.tenant);
        let mut watcher = Watcher {
            logins: self.clone(),
            tenant: caller.tenant.clone(),
            filter,
            heartbeat,
            leaving,
            news,
            told: HashSet::new(),
            ahead: VecDeque::new(),
            is_over: false,
            _place: place,
        };
        watcher.look().await?;
        // The first message says that the stream is there.
        watcher.ahead.push_back(CheckInEvent::Heartbeat(self.0.ledger.clock().now()));
        Ok(unfold(watcher, |mut watcher| async move { Some((watcher.next().await?, watcher)) }))
    }
}

struct Watcher {
    logins: Logins,
    tenant: TenantId,
    filter: CheckInFilter,
    heartbeat: Duration,
    leaving: CancellationToken,
    news: watch::Receiver<u64>,
    /// Those that wait and were told.
    told: HashSet<CheckInId>,
    ahead: VecDeque<CheckInEvent>,
    is_over: bool,
    _place: Watching,
}

impl Watcher {
    async fn next(&mut self) -> Option<Result<CheckInEvent, Error>> {
        if self.is_over {
            return None;
        }
        let next = self.find().await;
        self.is_over = next.is_err();
        Some(next)
    }

    async fn find(&mut self) -> Result<CheckInEvent, Error> {
        let clock = self.logins.clock().clone();
        let beat_at = clock.now().plus(self.heartbeat);
        loop {
            if let Some(event) = self.ahead.pop_front() {
                return Ok(event);
            }
            let look_again = clock.now().plus(REREAD);
            tokio::select! {
                biased;
                () = self.logins.0.drain.cancelled() => return Err(Error::Draining),
                () = self.leaving.cancelled() => return Err(Error::ConnectionAge),
                () = clock.sleep_until(beat_at) => return Ok(CheckInEvent::Heartbeat(clock.now())),
                // The sender lives as long as the ledger.
                _ = self.news.changed() => {}
                () = clock.sleep_until(look_again) => {}
            }
            self.look().await?;
        }
    }

    async fn look(&mut self) -> Result<(), Error> {
        self.news.mark_unchanged();
        let waiting = self.logins.0.ledger.waiting(&self.tenant).await?;
        self.told.retain(|told| waiting.iter().any(|waiting| waiting.id == *told));
        for view in waiting.iter().filter_map(|waiting| view(&self.tenant, waiting)) {
            if self.filter.passes(&view) && self.told.insert(view.id.clone()) {
                self.ahead.push_back(CheckInEvent::CheckedIn(view));
            }
        }
        Ok(())
    }
}

fn view(tenant: &TenantId, waiting: &Waiting) -> Option<CheckInView> {
    let (terminal, _) = waiting.qr.place_in(tenant)?;
    let Waiting { id, qr, at } = waiting.clone();
    Some(CheckInView { id, qr, terminal, at, until: at.plus(CHECK_IN_LIFE) })
}
