//! What a tenant allows whatever its clients ask for, and what a start is for.

use std::collections::BTreeSet;

use super::caller::Role;
use super::{Caller, Error, StartLogin, Tenant};
use crate::identity::Claim;
use crate::session::{CallDirection, Channel, CodeMode, PurposeId, Terms};
use crate::timestamp::Timestamp;

/// What logins of a tenant may be for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Purpose {
    /// Its name within the tenant.
    pub id: PurposeId,
    /// What may be asked about the person.
    pub claims: BTreeSet<Claim>,
    /// What is asked when the caller does not say; among `claims`, never the national
    /// identity number.
    pub default_claims: BTreeSet<Claim>,
    /// What is asked always, and must come back; among `claims`.
    pub required_claims: BTreeSet<Claim>,
    /// Where the people may be.
    pub channels: BTreeSet<Channel>,
}

/// What one start is for.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Wanted {
    pub(super) purpose: Option<PurposeId>,
    /// What is asked about the person.
    pub(super) claims: BTreeSet<Claim>,
    /// What must come back; among `claims`.
    pub(super) required: BTreeSet<Claim>,
}

impl Tenant {
    /// The purpose of a start that names this one, or none.
    pub(super) fn purpose_of(&self, named: Option<&PurposeId>) -> Option<PurposeId> {
        named.or(self.default_purpose.as_ref()).cloned()
    }

    /// When its agents may call people again, if they may not at `now`.
    pub(super) fn quiet_until(&self, terms: &Terms, now: Timestamp) -> Option<Timestamp> {
        let is_outbound = terms.call_direction == Some(CallDirection::Outbound);
        self.quiet_hours.filter(|_| is_outbound)?.end(now)
    }
}

/// What the caller may have of what it asks for.
///
/// # Errors
/// When the tenant does not allow it, or not this caller.
pub(super) fn keeps_policy(tenant: &Tenant, caller: &Caller, request: &StartLogin) -> Result<Wanted, Error> {
    let mode = request.code.for_channel(request.channel);
    if request.channel == Channel::CallCentre && mode != CodeMode::ReadBack && !tenant.may_read_out {
        return Err(Error::ReadOutNotAllowed);
    }
    if request.call_direction == Some(CallDirection::Outbound) && !tenant.may_call_out {
        return Err(Error::OutboundNotAllowed);
    }
    let wanted = wanted(tenant, request)?;
    if wanted.claims.contains(&Claim::Nin) {
        if tenant.national_id_ground.is_none() {
            return Err(Error::NationalIdNotAllowed);
        }
        if !caller.roles.contains(&Role::NationalId) {
            return Err(Error::RoleMissing(Role::NationalId));
        }
    }
    Ok(wanted)
}

fn wanted(tenant: &Tenant, request: &StartLogin) -> Result<Wanted, Error> {
    let id = tenant.purpose_of(request.purpose.as_ref());
    if id.is_none() && tenant.purposes.is_empty() {
        let claims = asked(request, &tenant.default_claims, &tenant.required_claims);
        return Ok(Wanted { purpose: None, claims, required: tenant.required_claims.clone() });
    }
    let is_it = |purpose: &&Purpose| Some(&purpose.id) == id.as_ref() && purpose.channels.contains(&request.channel);
    let purpose = tenant.purposes.iter().find(is_it).ok_or(Error::PurposeNotAllowed)?;
    let required = &tenant.required_claims | &purpose.required_claims;
    let claims = asked(request, &purpose.default_claims, &required);
    match claims.difference(&purpose.claims).next() {
        Some(claim) => Err(Error::ClaimNotAllowed(*claim)),
        None => Ok(Wanted { purpose: id, claims, required }),
    }
}

fn asked(request: &StartLogin, default: &BTreeSet<Claim>, required: &BTreeSet<Claim>) -> BTreeSet<Claim> {
    let chosen = if request.claims.is_empty() { default } else { &request.claims };
    chosen | required
}
