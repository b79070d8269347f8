//! `[[tenants.purposes]]`, `[tenants.national_id]` and `[tenants.quiet_hours]`: what
//! a tenant has people asked for, by what right, and when it calls nobody.

use std::collections::BTreeSet;

use chrono::NaiveTime;
use chrono_tz::Tz;

use super::section::{Section, Table};
use super::setting::AnyClaim;
use crate::identity::Claim;
use crate::logins::{Purpose, QuietHours};
use crate::session::{Channel, PurposeId};

impl Table for Purpose {
    fn read(section: &mut Section<'_>) -> Option<Self> {
        let id: Option<PurposeId> = section.required("id");
        if let Some(id) = &id {
            section.unique("id", section.list_path(), id.as_str());
        }
        let reason = "it names what this purpose needs to know about the person";
        section.need("claims", reason);
        let claims = section.list_of_some::<AnyClaim>("claims", reason);
        let claims: BTreeSet<_> = claims.unwrap_or_default().into_iter().map(|AnyClaim(claim)| claim).collect();
        if claims.contains(&Claim::Nin) && !section.is_established(&stated_ground(tenant_path(section))) {
            section.wrong("claims", "has \"nin\", which needs the tenant's national_id.ground");
        }
        let default_claims = section.list("default_claims").map(BTreeSet::from_iter);
        let within = |asked: &BTreeSet<Claim>| asked.is_subset(&claims);
        section.check("default_claims", default_claims.as_ref(), within, "must be among the purpose's claims");
        let required_claims = required_claims(section);
        section.check("required_claims", Some(&required_claims), within, "must be among the purpose's claims");
        let channels = section.list_of_some("channels", "leave it out for all channels").map(BTreeSet::from_iter);
        let all = BTreeSet::from([Channel::CallCentre, Channel::PointOfSale, Channel::TvBox]);
        let but_nin = || claims.iter().copied().filter(|claim| *claim != Claim::Nin).collect();
        Some(Self {
            id: id?,
            default_claims: default_claims.unwrap_or_else(but_nin),
            claims,
            required_claims,
            channels: channels.unwrap_or(all),
        })
    }
}

/// The setting `required_claims` of a tenant or purpose.
pub(super) fn required_claims(section: &mut Section<'_>) -> BTreeSet<Claim> {
    let required = section.list("required_claims").map(BTreeSet::from_iter);
    // Those would fail all people who have answered before.
    let come_once = [Claim::DelegatedConsents, Claim::CustomFlow];
    let come_always = |required: &BTreeSet<Claim>| !come_once.iter().any(|claim| required.contains(claim));
    let problem =
        "must not have \"delegated_consents\" or \"custom_flow\": the provider sends them only when they are given";
    section.check("required_claims", required.as_ref(), come_always, problem);
    required.unwrap_or_default()
}

/// Established by a tenant that states a ground for national identity numbers.
pub(super) fn stated_ground(tenant: &str) -> String {
    format!("{tenant} states a ground for national identity numbers")
}

fn tenant_path<'a>(section: &'a Section<'_>) -> &'a str {
    section.path().split_once(".purposes").map_or("", |(tenant, _)| tenant)
}

/// `[tenants.national_id]`
pub(super) struct NationalId {
    /// 10 to 200 characters.
    pub(super) ground: String,
}

impl Table for NationalId {
    fn read(section: &mut Section<'_>) -> Option<Self> {
        let ground = section.required::<String>("ground");
        let is_a_ground =
            |text: &String| (10..=200).contains(&text.trim().chars().count()) && !text.chars().any(char::is_control);
        let problem =
            "must say in 10 to 200 characters by what law or other right national identity numbers are asked for";
        section.check("ground", ground.as_ref(), is_a_ground, problem);
        Some(Self { ground: ground? })
    }
}

impl Table for QuietHours {
    fn read(section: &mut Section<'_>) -> Option<Self> {
        let from = section.required::<NaiveTime>("from");
        let to = section.required::<NaiveTime>("to");
        let time_zone = section.required::<Tz>("time_zone");
        let hours = Self::new(from?, to?, time_zone?);
        if hours.is_none() {
            section.wrong("to", "must be another time than from; leave quiet_hours out for none");
        }
        hours
    }
}
