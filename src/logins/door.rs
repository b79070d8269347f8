//! Who may come in with a code from a landing.
//!
//! Anybody can open a landing page with any code, and each code is one request to the
//! provider with the tenant's credential. So there are bounds for each tenant: codes
//! looked at within a time, codes under way at once, and no code twice, for a provider
//! may take back what it gave for the first. Counts what this process does; no one
//! waits here.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use sha2::{Digest, Sha256};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::Instant;

use super::{Error, Load};
use crate::ciba::RedirectCode;
use crate::session::TenantId;

/// Codes of one tenant that may be looked at in a row, and how soon there is room for
/// one more.
const BURST: u32 = 40;
const ROOM_EVERY: Duration = Duration::from_millis(50);
/// Codes of one tenant under way.
const UNDER_WAY: usize = 16;
/// A code lives 300 s at the most at the provider.
const KNOWN_FOR: Duration = Duration::from_secs(600);

type Hash = [u8; 32];

#[derive(Default)]
pub(super) struct Door(Mutex<HashMap<TenantId, Entrance>>);

/// One tenant's.
struct Entrance {
    places: Arc<Semaphore>,
    /// When all room there is would be used up by what has come in; may be past.
    full_until: Instant,
    /// Codes that came in, the newest last.
    order: VecDeque<(Instant, Hash)>,
    known: HashSet<Hash>,
}

/// A code that came in.
pub(super) struct Entered {
    hash: Hash,
    _place: OwnedSemaphorePermit,
}

impl Door {
    /// Lets the code in, unless it has been in before or there is no room.
    pub(super) fn enter(&self, tenant: &TenantId, code: &RedirectCode) -> Result<Entered, Error> {
        let (now, hash) = (Instant::now(), Sha256::digest(code.expose()).into());
        let mut doors = self.lock();
        let entrance = doors.entry(tenant.clone()).or_insert_with(|| Entrance::new(now));
        entrance.forget_old(now);
        if entrance.known.contains(&hash) {
            return Err(Error::RedirectCodeRefused);
        }
        let full_until = entrance.full_until.max(now) + ROOM_EVERY;
        if full_until > now + ROOM_EVERY * BURST {
            return Err(Error::Overloaded(Load::Landings));
        }
        let place = Arc::clone(&entrance.places).try_acquire_owned();
        let place = place.map_err(|_| Error::Overloaded(Load::Landings))?;
        entrance.full_until = full_until;
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
        let places = Arc::new(Semaphore::new(UNDER_WAY));
        Self { places, full_until: now, order: VecDeque::new(), known: HashSet::new() }
    }

    fn forget_old(&mut self, now: Instant) {
        while let Some((_, hash)) = self.order.pop_front_if(|(came, _)| *came + KNOWN_FOR <= now) {
            self.known.remove(&hash);
        }
    }
}

#[cfg(test)]
mod tests {
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
        let entered = door.enter(&acme, &code(1)).unwrap_or_else(|_| panic!("it is new"));
        assert!(matches!(door.enter(&acme, &code(1)), Err(Error::RedirectCodeRefused)));
        assert!(door.enter(&tenant("other"), &code(1)).is_ok(), "another tenant's page is another one");
        door.may_come_again(&acme, &entered);
        assert!(door.enter(&acme, &code(1)).is_ok());
        tokio::time::advance(KNOWN_FOR).await;
        assert!(door.enter(&acme, &code(1)).is_ok(), "it is known to be dead at the provider");
    }

    #[tokio::test(start_paused = true)]
    async fn made_up_codes_find_little_room() {
        let (door, acme) = (Door::default(), tenant("acme"));
        let came_in = (0..1000).filter(|seed| door.enter(&acme, &code(*seed)).is_ok()).count();
        assert_eq!(came_in, BURST as usize);
        assert!(is_full(&door.enter(&acme, &code(2000))));
        assert!(door.enter(&tenant("other"), &code(2000)).is_ok());
        tokio::time::advance(ROOM_EVERY * 3).await;
        let came_in = (3000..4000).filter(|seed| door.enter(&acme, &code(*seed)).is_ok()).count();
        assert_eq!(came_in, 3);
    }

    #[tokio::test(start_paused = true)]
    async fn only_so_many_are_under_way_at_once() {
        let (door, acme) = (Door::default(), tenant("acme"));
        let mut under_way: Vec<_> = (0..UNDER_WAY).map(|seed| door.enter(&acme, &code(seed))).collect();
        assert!(under_way.iter().all(Result::is_ok));
        assert!(is_full(&door.enter(&acme, &code(99))));
        under_way.pop();
        assert!(door.enter(&acme, &code(99)).is_ok());
    }
}
