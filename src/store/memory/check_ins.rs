//! Check-ins of all tenants in memory; each method is one step under the lock.

use std::collections::{BTreeMap, HashMap};

use async_trait::async_trait;

use super::counting::Request;
use super::{MemoryStore, lock};
use crate::session::{CheckInId, TenantId};
use crate::store::check_ins::{CHECK_IN_LIFE, CHECK_INS_KEPT, CheckIn, CheckInStore, Taken, Waiting};
use crate::store::hash::HashKeys;
use crate::store::{Asker, StoreError, Wake};
use crate::timestamp::Timestamp;

/// As long again a check-in is known that is over.
const KEPT: std::time::Duration = CHECK_IN_LIFE.saturating_mul(2);

#[derive(Default)]
pub(super) struct CheckIns {
    tenants: HashMap<TenantId, BTreeMap<(Timestamp, CheckInId), Known>>,
    /// Names check-ins; of this process alone.
    hash_keys: Option<HashKeys>,
}

struct Known {
    check_in: CheckIn,
    taken_by: Option<Request>,
}

fn request_of(asker: Asker<'_>) -> Request {
    (asker.client.clone(), asker.request_id.clone())
}

impl CheckIns {
    fn name(&mut self, tenant: &TenantId, check_in: &CheckIn) -> Result<CheckInId, StoreError> {
        let keys = match &self.hash_keys {
            Some(keys) => keys,
            None => {
                let mut key = [0; 32];
                getrandom::fill(&mut key).map_err(|_| StoreError::Unavailable("no random bytes".into()))?;
                self.hash_keys.insert(HashKeys::new(key))
            }
        };
        let digest = keys.for_tenant(tenant).digest("check-in", &[check_in.token.expose().as_bytes()]);
        CheckInId::parse(&digest).map_err(|_| StoreError::Unreadable("a hash is no name of a check-in"))
    }

    /// Whether it is new.
    fn keep(&mut self, tenant: &TenantId, id: &CheckInId, check_in: &CheckIn, now: Timestamp) -> bool {
        let known = self.tenants.entry(tenant.clone()).or_default();
        known.retain(|(at, _), _| now < at.plus(KEPT));
        if known.keys().any(|(_, other)| other == id) {
            return false;
        }
        known.insert((check_in.at, id.clone()), Known { check_in: check_in.clone(), taken_by: None });
        let waiting: Vec<_> =
            known.iter().filter(|(_, known)| known.waits_at(now)).map(|(key, _)| key.clone()).collect();
        for oldest in waiting.iter().take(waiting.len().saturating_sub(CHECK_INS_KEPT)) {
            known.remove(oldest);
        }
        true
    }

    fn find(&mut self, tenant: &TenantId, id: &CheckInId) -> Option<&mut Known> {
        self.tenants.get_mut(tenant)?.iter_mut().find(|((_, other), _)| other == id).map(|(_, known)| known)
    }
}

impl Known {
    fn waits_at(&self, now: Timestamp) -> bool {
        self.taken_by.is_none() && now < self.check_in.at.plus(CHECK_IN_LIFE)
    }

    fn take(&mut self, request: Request, now: Timestamp) -> Taken {
        match &self.taken_by {
            Some(by) if *by == request => Taken::Token(self.check_in.token.clone()),
            Some(_) => Taken::Used,
            None if !self.waits_at(now) => Taken::Expired,
            None => {
                self.taken_by = Some(request);
                Taken::Token(self.check_in.token.clone())
            }
        }
    }
}

#[async_trait]
impl CheckInStore for MemoryStore {
    async fn keep_check_in(
        &self,
        tenant: &TenantId,
        check_in: &CheckIn,
        now: Timestamp,
    ) -> Result<CheckInId, StoreError> {
        let (id, is_new) = {
            let mut check_ins = lock(&self.shared.check_ins);
            let id = check_ins.name(tenant, check_in)?;
            let is_new = check_ins.keep(tenant, &id, check_in, now);
            (id, is_new)
        };
        if is_new {
            self.wake_others(&Wake::CheckedIn { tenant: tenant.clone() });
        }
        Ok(id)
    }

    async fn check_ins(&self, tenant: &TenantId, now: Timestamp) -> Result<Vec<Waiting>, StoreError> {
        let check_ins = lock(&self.shared.check_ins);
        let known = check_ins.tenants.get(tenant).into_iter().flatten().filter(|(_, known)| known.waits_at(now));
        let waiting = |((at, id), known): (&(Timestamp, CheckInId), &Known)| Waiting {
            id: id.clone(),
            qr: known.check_in.qr.clone(),
            at: *at,
        };
        Ok(known.map(waiting).collect())
    }

    async fn take_check_in(&self, asker: Asker<'_>, id: &CheckInId, now: Timestamp) -> Result<Taken, StoreError> {
        let taken = {
            let mut check_ins = lock(&self.shared.check_ins);
            let known = check_ins.find(asker.tenant, id).filter(|known| now < known.check_in.at.plus(KEPT));
            known.map_or(Taken::Unknown, |known| known.take(request_of(asker), now))
        };
        if matches!(taken, Taken::Token(_)) {
            self.wake_others(&Wake::CheckedIn { tenant: asker.tenant.clone() });
        }
        Ok(taken)
    }

    async fn put_check_in_back(&self, asker: Asker<'_>, id: &CheckInId, _now: Timestamp) -> Result<(), StoreError> {
        let request = Some(request_of(asker));
        if let Some(known) =
            lock(&self.shared.check_ins).find(asker.tenant, id).filter(|known| known.taken_by == request)
        {
            known.taken_by = None;
        }
        self.wake_others(&Wake::CheckedIn { tenant: asker.tenant.clone() });
        Ok(())
    }
}
