//! Watching all logins of a tenant.
//!
//! A stream follows the tenant's events in their order, without a gap or a
//! repetition, from now on, from a cursor, or from a snapshot of the live logins.
//! Each message carries the cursor with which to go on after it, heartbeats too,
//! so that a reader to whom nothing happens stays within the window. Nothing runs
//! while nobody reads; a reader that falls behind what `ledger::feed` keeps at
//! hand is sent away with its cursor, and disturbs nobody.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use futures_util::Stream;
use futures_util::stream::unfold;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::capacity::Watching;
use super::view::is_reader;
use super::{Caller, Cursor, Error, LoginFilter, LoginView, Logins};
use crate::ledger::{Ahead, EVENTS_PAGE, Feed};
use crate::session::{End, LoginId, Moment, Phase, Terms};
use crate::store::{Events, Happened, LoginEvent, Page, Position, StoreError};
use crate::timestamp::Timestamp;

/// Events that are taken from the feed at once.
const BATCH: usize = 64;
/// Live logins that are read at once for a snapshot.
const SNAPSHOT_PAGE: usize = 200;

/// Where a stream begins.
#[derive(Clone, Debug)]
pub enum From {
    /// With what happens from now on.
    Now,
    /// With the live logins.
    Snapshot,
    /// After what this cursor came with.
    Cursor(Cursor),
}

/// One message of a stream.
#[derive(Clone, Debug)]
pub struct TenantMessage {
    /// What it tells.
    pub event: TenantEvent,
    /// Where to go on after it; none before the end of a snapshot.
    pub cursor: Option<Cursor>,
}

/// What a message tells.
#[derive(Clone, Debug)]
pub enum TenantEvent {
    /// How a login came to stand.
    Login(Box<LoginView>),
    /// Nothing happened; the gateway's time.
    Heartbeat(Timestamp),
    /// All live logins have been told.
    SnapshotEnd,
}

/// Why a stream broke off, and where to go on.
#[derive(Debug)]
pub struct Broken {
    /// Why.
    pub error: Error,
    /// After what was told; none before the end of a snapshot.
    pub cursor: Option<Cursor>,
}

impl Logins {
    /// The logins of the tenant that pass `filter`: see the module. It breaks off
    /// when the caller's connection is `leaving`.
    ///
    /// # Errors
    /// When the cursor leads nowhere any more, and store failures.
    pub async fn watch_all(
        &self,
        caller: &Caller,
        filter: LoginFilter,
        from: From,
        heartbeat: Duration,
        leaving: CancellationToken,
    ) -> Result<impl Stream<Item = Result<TenantMessage, Broken>> + Send + use<>, Error> {
        let place = self.watching(caller)?;
        let feed = self.0.ledger.feed(&caller.tenant);
        // Before anything is read, so that the feed is followed from now on.
        let news = feed.listen();
        let (mut ahead, mut live) = (VecDeque::new(), Vec::new());
        let has_cursor = !matches!(from, From::Snapshot);
        let position = match from {
            From::Now => {
                ahead.push_back(Step::Bookmark);
                self.newest(caller).await?
            }
            From::Cursor(cursor) => {
                let position = cursor.into_position();
                self.page(caller, &position, 0).await?;
                position
            }
            From::Snapshot => {
                let position;
                (live, position) = self.snapshot(caller).await?;
                position
            }
        };
        let mut watcher = TenantWatcher {
            logins: self.clone(),
            caller: caller.clone(),
            filter,
            heartbeat,
            leaving,
            feed,
            news,
            position,
            is_level: false,
            has_cursor,
            ahead,
            is_over: false,
            _place: place,
        };
        if !has_cursor {
            watcher.tell_snapshot(live);
        }
        Ok(unfold(watcher, |mut watcher| async move { Some((watcher.next().await?, watcher)) }))
    }

    async fn newest(&self, caller: &Caller) -> Result<Position, Error> {
        let Events { epoch, newest, .. } = self.0.ledger.events(&caller.tenant, u64::MAX, 0).await?;
        Ok(Position { epoch, number: newest })
    }

    /// At most `limit` events after `position`, unless they cannot all be read.
    async fn page(&self, caller: &Caller, position: &Position, limit: usize) -> Result<Events, Error> {
        let found = self.0.ledger.events(&caller.tenant, position.number, limit).await?;
        let oldest = || {
            let number = found.oldest.saturating_sub(1);
            Box::new(Cursor::new(caller.tenant.clone(), Position { epoch: found.epoch.clone(), number }))
        };
        if found.epoch != position.epoch {
            return Err(Error::EpochChanged { oldest: oldest() });
        }
        if position.number > found.newest {
            self.0.ledger.begin_epoch(&caller.tenant, position).await?;
            let Position { epoch, number } = self.newest(caller).await?;
            let oldest = Cursor::new(caller.tenant.clone(), Position { epoch, number });
            return Err(Error::EpochChanged { oldest: Box::new(oldest) });
        }
        if found.oldest > position.number + 1 {
            return Err(Error::CursorTooOld { oldest: oldest() });
        }
        Ok(found)
    }

    /// The live logins as they stand at one place of the stream, oldest first.
    async fn snapshot(&self, caller: &Caller) -> Result<(Vec<Live>, Position), Error> {
        let mut position = self.newest(caller).await?;
        let mut live = self.live(caller).await?;
        // What happened while they were read belongs to them too.
        loop {
            let page = self.page(caller, &position, EVENTS_PAGE).await?;
            let is_all = page.entries.len() < EVENTS_PAGE;
            for event in page.entries {
                position.number = event.number;
                let is_news = live.get(&event.login).is_none_or(|known| known.version < event.version);
                match event.what {
                    Happened::Changed { moment, terms } if is_news && !moment.has_ended() => {
                        let login = event.login.clone();
                        live.insert(event.login, Live { login, version: event.version, moment, terms });
                    }
                    Happened::Changed { .. } if !is_news => {}
                    Happened::Changed { .. } | Happened::Withdrawn => drop(live.remove(&event.login)),
                    Happened::Foreign => return Err(FOREIGN.into()),
                }
            }
            if is_all {
                break;
            }
        }
        let mut live: Vec<_> = live.into_values().collect();
        live.sort_by(|one, other| one.order().cmp(&other.order()));
        Ok((live, position))
    }

    async fn live(&self, caller: &Caller) -> Result<BTreeMap<LoginId, Live>, Error> {
        let mut live = BTreeMap::new();
        let mut page = Page { after: None, live_only: true, limit: SNAPSHOT_PAGE };
        loop {
            let (records, next) = self.0.ledger.list(&caller.tenant, &page).await?;
            live.extend(records.into_iter().map(|record| {
                let session = &record.session;
                let (login, terms) = (session.id.clone(), Arc::clone(&session.terms));
                (session.id.clone(), Live { login, version: record.version, moment: session.moment(), terms })
            }));
            match next {
                Some(next) => page.after = Some(next),
                None => return Ok(live),
            }
        }
    }
}

const FOREIGN: StoreError = StoreError::Foreign("an event of another version of the gateway");

/// A live login of a snapshot.
struct Live {
    login: LoginId,
    version: u64,
    moment: Moment,
    terms: Arc<Terms>,
}

impl Live {
    fn order(&self) -> (Timestamp, &LoginId) {
        (self.terms.created_at, &self.login)
    }
}

/// What is to be told next.
enum Step {
    /// Where the stream is.
    Bookmark,
    Live(Box<LoginView>),
    SnapshotEnd,
    Event(Arc<LoginEvent>),
}

/// A stream of a tenant's logins.
struct TenantWatcher {
    logins: Logins,
    caller: Caller,
    filter: LoginFilter,
    heartbeat: Duration,
    /// The caller's connection is about to end.
    leaving: CancellationToken,
    feed: Feed,
    news: watch::Receiver<u64>,
    /// After what was told or passed over.
    position: Position,
    /// It has been level with the feed: to fall behind is to be slow.
    is_level: bool,
    /// Whether it can go on from its position: not within a snapshot.
    has_cursor: bool,
    ahead: VecDeque<Step>,
    is_over: bool,
    /// Counts it while it lives.
    _place: Watching,
}

impl TenantWatcher {
    fn tell_snapshot(&mut self, live: Vec<Live>) {
        for Live { login, moment, terms, .. } in live {
            if self.is_wanted(&moment, &terms) {
                let view = self.logins.view_at(&self.caller, &login, &terms, moment);
                self.ahead.push_back(Step::Live(Box::new(view)));
            }
        }
        self.ahead.push_back(Step::SnapshotEnd);
    }

    /// A login is told of once the phone shows it: before, it may yet turn out
    /// never to have been there.
    fn is_wanted(&self, moment: &Moment, terms: &Terms) -> bool {
        moment.phase != Phase::Starting && self.filter.passes(terms, moment)
    }

    async fn next(&mut self) -> Option<Result<TenantMessage, Broken>> {
        if self.is_over {
            return None;
        }
        let told = self.tell().await;
        self.is_over = told.is_err();
        Some(match told {
            Ok(event) => Ok(TenantMessage { event, cursor: self.cursor() }),
            Err(error) => Err(Broken { error, cursor: self.cursor() }),
        })
    }

    fn cursor(&self) -> Option<Cursor> {
        self.has_cursor.then(|| Cursor::new(self.caller.tenant.clone(), self.position.clone()))
    }

    async fn tell(&mut self) -> Result<TenantEvent, Error> {
        let clock = self.logins.0.ledger.clock().clone();
        let heartbeat_at = clock.now().plus(self.heartbeat);
        loop {
            // A reader that is told of an end must not get there event by event.
            if self.logins.0.drain.is_cancelled() {
                return Err(Error::Draining);
            }
            if self.leaving.is_cancelled() {
                return Err(Error::ConnectionAge);
            }
            match self.ahead.pop_front() {
                Some(Step::Bookmark) => return Ok(TenantEvent::Heartbeat(clock.now())),
                Some(Step::Live(view)) => return Ok(TenantEvent::Login(view)),
                Some(Step::SnapshotEnd) => {
                    self.has_cursor = true;
                    return Ok(TenantEvent::SnapshotEnd);
                }
                Some(Step::Event(event)) => {
                    let told = self.event(&event).await?;
                    self.position.number = event.number;
                    if let Some(view) = told {
                        return Ok(TenantEvent::Login(Box::new(view)));
                    }
                }
                None if self.look_ahead().await? => {}
                None => tokio::select! {
                    biased;
                    () = self.logins.0.drain.cancelled() => {}
                    () = self.leaving.cancelled() => {}
                    changed = self.news.changed() => changed.map_err(|_| Error::Internal("the feed is gone"))?,
                    () = clock.sleep_until(heartbeat_at) => return Ok(TenantEvent::Heartbeat(clock.now())),
                },
            }
        }
    }

    /// Whether there is something to tell or pass over.
    async fn look_ahead(&mut self) -> Result<bool, Error> {
        self.news.mark_unchanged();
        match self.feed.after(&self.position, BATCH) {
            Ahead::Events(events) => {
                self.is_level = true;
                self.ahead.extend(events.into_iter().map(Step::Event));
            }
            Ahead::Unknown => {
                let found = self.logins.page(&self.caller, &self.position, EVENTS_PAGE).await?;
                if self.is_level && !found.entries.is_empty() {
                    return Err(Error::SlowReader);
                }
                self.ahead.extend(found.entries.into_iter().map(Arc::new).map(Step::Event));
            }
        }
        Ok(!self.ahead.is_empty())
    }

    /// The event as this caller may see it; `None` when it is to be passed over.
    async fn event(&self, event: &LoginEvent) -> Result<Option<LoginView>, Error> {
        let (moment, terms) = match &event.what {
            Happened::Changed { moment, terms } => (*moment, terms),
            Happened::Withdrawn => return Ok(None),
            Happened::Foreign => return Err(FOREIGN.into()),
        };
        if !self.is_wanted(&moment, terms) {
            return Ok(None);
        }
        let view = self.logins.view_at(&self.caller, &event.login, terms, moment);
        if !self.may_have_identity(&moment, terms) {
            return Ok(Some(view));
        }
        let ledger = &self.logins.0.ledger;
        Ok(Some(match ledger.peek(&self.caller.tenant, &event.login).await? {
            Some(record) => view.with_identity_of(Arc::new(record)),
            None => view,
        }))
    }

    fn may_have_identity(&self, moment: &Moment, terms: &Terms) -> bool {
        let ledger = &self.logins.0.ledger;
        match moment.phase {
            Phase::Ended { at, how: End::Approved } => {
                is_reader(&self.caller, terms) && ledger.clock().now() < at.plus(ledger.identity_window())
            }
            Phase::Ended { .. } | Phase::Starting | Phase::Pending | Phase::Redeemed | Phase::AwaitingCode => false,
        }
    }
}
