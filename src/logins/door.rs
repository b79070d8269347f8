//! Who may come in with a code from a landing.
//!
//! Anybody can open a landing page with any code, and each code is one request to the
//! provider with the tenant's credential. So there are bounds for each tenant: codes
//! looked at within a time, codes under way at once, and no code twice, for a provider
//! may take back what it gave for the first. What strangers bring to the gateway's page
//! and what the tenant's own callers hand over have bounds of their own, so that no
//! stranger takes a caller's room. Counts what this process does; no one waits here.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use sha2::{Digest, Sha256};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::Instant;

use super::{Error, Load};
use crate::ciba::RedirectCode;
use crate::session::TenantId;

/// Codes that may come one way to one tenant in a row, and how soon there is room for one
/// more.
const BURST: u32 = 40;
const ROOM_EVERY: Duration = Duration::from_millis(50);
/// Codes under way that came one way to one tenant.
const UNDER_WAY: usize = 16;
/// A code lives 300 s at the most at the provider.
const KNOWN_FOR: Duration = Duration::from_secs(600);

type Hash = [u8; 32];

#[derive(Default)]
pub(super) struct Door(Mutex<HashMap<TenantId, Entrance>>);

/// Who brings a code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Bearer {
    /// Whoever opens the gateway's own page.
    Anybody,
    /// A caller of the tenant.
    Caller,
}

/// One tenant's.
struct Entrance {
    strangers: Room,
    callers: Room,
    /// Codes that came in, the newest last.
    order: VecDeque<(Instant, Hash)>,
    known: HashSet<Hash>,
}

struct Room {
    places: Arc<Semaphore>,
    /// When all room there is would be used up by what has come in; may be past.
    full_until: Instant,
}

/// A code that came in.
pub(super) struct Entered {
    hash: Hash,
    _place: OwnedSemaphorePermit,
}

impl Door {
    /// Lets the code in, unless it has been in before or there is no room.
    pub(super) fn enter(&self, tenant: &TenantId, bearer: Bearer, code: &RedirectCode) -> Result<Entered, Error> {
        let (now, hash) = (Instant::now(), Sha256::digest(code.expose()).into());
        let mut doors = self.lock();
        let entrance = doors.entry(tenant.clone()).or_insert_with(|| Entrance::new(now));
        entrance.forget_old(now);
        if entrance.known.contains(&hash) {
            return Err(Error::RedirectCodeRefused);
        }
        let room = match bearer {
            Bearer::Anybody => &mut entrance.strangers,
            Bearer::Caller => &mut entrance.callers,
        };
        let place = room.take(now).ok_or(Error::Overloaded(Load::Landings))?;
        entrance.known.insert(hash);
        entrance.order.push_back((now, hash));
        Ok(Entered { hash, _place: place })
    }

    /// The provider could not be asked about the code: it may come once more.
    pub(super) fn may_come_again(&self, tenant: &TenantId, entered: &Entered) {
        if let Some(entrance) = self.lock().get_mut(tenant) {
            entrance.known.remove(&entered.hash);
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<TenantId, Entrance>> {
        // Nothing in there can be left half done.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Entrance {
    fn new(now: Instant) -> Self {
        let (strangers, callers) = (Room::new(now), Room::new(now));
        Self { strangers, callers, order: VecDeque::new(), known: HashSet::new() }
    }

    fn forget_old(&mut self, now: Instant) {
        while let Some((_, hash)) = self.order.pop_front_if(|(came, _)| *came + KNOWN_FOR <= now) {
            self.known.remove(&hash);
        }
    }
}

impl Room {
    fn new(now: Instant) -> Self {
        Self { places: Arc::new(Semaphore::new(UNDER_WAY)), full_until: now }
    }

    /// A place, if there is one.
    fn take(&mut self, now: Instant) -> Option<OwnedSemaphorePermit> {
        let full_until = self.full_until.max(now) + ROOM_EVERY;
        if full_until > now + ROOM_EVERY * BURST {
            return None;
        }
        let place = Arc::clone(&self.places).try_acquire_owned().ok()?;
        self.full_until = full_until;
        Some(place)
    }
}

#[cfg(test)]
mod tests {
    use super::Bearer::{Anybody, Caller};
    use super::*;

    fn code(seed: usize) -> RedirectCode {
        RedirectCode::new(&format!("code-{seed}")).unwrap()
    }

    fn tenant(name: &str) -> TenantId {
        TenantId::new(name).unwrap()
    }

    fn is_full(entered: &Result<Entered, Error>) -> bool {
        matches!(entered, Err(Error::Overloaded(Load::Landings)))
    }

    #[tokio::test(start_paused = true)]
    async fn no_code_comes_twice_unless_it_was_not_looked_at() {
        let (door, acme) = (Door::default(), tenant("acme"));
        let entered = door.enter(&acme, Anybody, &code(1)).unwrap_or_else(|_| panic!("it is new"));
        for bearer in [Anybody, Caller] {
            assert!(matches!(door.enter(&acme, bearer, &code(1)), Err(Error::RedirectCodeRefused)));
        }
        assert!(door.enter(&tenant("other"), Anybody, &code(1)).is_ok(), "another tenant's page is another one");
        door.may_come_again(&acme, &entered);
        assert!(door.enter(&acme, Anybody, &code(1)).is_ok());
        tokio::time::advance(KNOWN_FOR).await;
        assert!(door.enter(&acme, Anybody, &code(1)).is_ok(), "it is known to be dead at the provider");
    }

    #[tokio::test(start_paused = true)]
    async fn made_up_codes_find_little_room() {
        let (door, acme) = (Door::default(), tenant("acme"));
        let came_in = (0..1000).filter(|seed| door.enter(&acme, Anybody, &code(*seed)).is_ok()).count();
        assert_eq!(came_in, BURST as usize);
        assert!(is_full(&door.enter(&acme, Anybody, &code(2000))));
        assert!(door.enter(&acme, Caller, &code(2001)).is_ok(), "the tenant's own callers do not suffer from it");
        assert!(door.enter(&tenant("other"), Anybody, &code(2000)).is_ok());
        tokio::time::advance(ROOM_EVERY * 3).await;
        let came_in = (3000..4000).filter(|seed| door.enter(&acme, Anybody, &code(*seed)).is_ok()).count();
        assert_eq!(came_in, 3);
    }

    #[tokio::test(start_paused = true)]
    async fn only_so_many_are_under_way_at_once() {
        let (door, acme) = (Door::default(), tenant("acme"));
        let mut under_way: Vec<_> = (0..UNDER_WAY).map(|seed| door.enter(&acme, Anybody, &code(seed))).collect();
        assert!(under_way.iter().all(Result::is_ok));
        assert!(is_full(&door.enter(&acme, Anybody, &code(99))));
        assert!(door.enter(&acme, Caller, &code(100)).is_ok());
        under_way.pop();
        assert!(door.enter(&acme, Anybody, &code(99)).is_ok());
    }
}
