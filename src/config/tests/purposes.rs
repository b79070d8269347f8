//! What people are asked for, by what right, and when nobody is called.

use super::super::{Config, Mistakes, Tenant};
use super::{changed, line, lines};
use crate::identity::Claim;
use crate::language::Language;
use crate::logins::{Purpose, QuietHours};
use crate::session::{Channel, PurposeId};

const GROUND: &str =
    "national_id = { ground = \"Personal Data Act, section 12: certain identification of borrowers\" }\n";

/// The least tenant with further lines.
fn tenant_with(lines: &str) -> Result<Config, Mistakes> {
    changed("default_country = \"NO\"\n", &format!("default_country = \"NO\"\n{lines}"))
}

fn tenant(lines: &str) -> Tenant {
    tenant_with(lines).unwrap_or_else(|mistakes| panic!("{mistakes}")).tenants.remove(0)
}

/// What an operator is told, without the place.
fn told(lines: &str) -> String {
    line(tenant_with(lines)).split_once("tenants[0].").unwrap().1.to_owned()
}

#[test]
fn a_purpose_has_its_claims_and_by_default_all_channels() {
    let purposes =
        "purposes = [{ id = \"loan\", claims = [\"name\", \"nin\", \"email\"] }]\ndefault_purpose = \"loan\"\n";
    let bank = tenant(&format!("{GROUND}{purposes}default_language = \"nn-NO\"\n"));
    let loan = Purpose {
        id: PurposeId::new("loan").unwrap(),
        claims: [Claim::Name, Claim::Nin, Claim::Email].into(),
        // Never the national identity number.
        default_claims: [Claim::Name, Claim::Email].into(),
        required_claims: [].into(),
        channels: [Channel::CallCentre, Channel::PointOfSale, Channel::TvBox].into(),
    };
    assert_eq!((bank.default_purpose, bank.default_language), (Some(loan.id.clone()), Language::Norwegian));
    assert_eq!(bank.purposes, [loan]);
    assert_eq!(
        bank.national_id_ground.as_deref(),
        Some("Personal Data Act, section 12: certain identification of borrowers")
    );
}

#[test]
fn what_does_not_go_together_is_a_mistake() {
    let purpose = |rest: &str| format!("purposes = [{{ id = \"loan\", claims = [\"name\"]{rest} }}]\n");
    for (lines, mistake) in [
        (purpose(", default_claims = [\"email\"]"), "purposes[0].default_claims must be among the purpose's claims"),
        (purpose(", required_claims = [\"email\"]"), "purposes[0].required_claims must be among the purpose's claims"),
        (purpose(", channels = []"), "purposes[0].channels is empty; leave it out for all channels"),
        (
            format!("{}required_claims = [\"email\"]\n", purpose("")),
            "required_claims must be among the claims of every purpose",
        ),
        (
            "required_claims = [\"name\", \"custom_flow\"]\n".to_owned(),
            "required_claims must not have \"delegated_consents\" or \"custom_flow\": the provider sends them only \
             when they are given",
        ),
        ("default_purpose = \"loan\"\n".to_owned(), "default_purpose must be the id of one of the purposes"),
        (
            "purposes = [{ id = \"a\", claims = [\"name\"] }, { id = \"a\", claims = [\"name\"] }]\n".to_owned(),
            "purposes[1].id is taken already; each must be different",
        ),
        (
            "purposes = [{ id = \"loan\", claims = [\"name\", \"nin\"] }]\n".to_owned(),
            "purposes[0].claims has \"nin\", which needs the tenant's national_id.ground",
        ),
        ("purposes = []\n".to_owned(), "purposes is empty; leave it out where nobody says what logins are for"),
        (
            "default_language = \"de\"\n".to_owned(),
            "default_language must be a BCP 47 tag of one of \"en\", \"nb\", \"sv\", \"da\", \"fi\"",
        ),
    ] {
        assert_eq!(told(&lines), mistake);
    }
}

/// SR41: a ground is a sentence; and nobody asks by default.
#[test]
fn a_ground_is_stated_in_words() {
    for ground in ["", "the law", "a\\nb then more", &"x".repeat(201)] {
        let told = told(&format!("national_id = {{ ground = \"{ground}\" }}\n"));
        assert!(told.starts_with("national_id.ground must "), "{told}");
    }
    assert!(told("national_id = {}\n").starts_with("national_id.ground is missing"));
    for key in ["default_claims", "required_claims"] {
        let told = told(&format!("{GROUND}{key} = [\"nin\"]\n"));
        assert!(told.starts_with(&format!("{key}[0] must not be \"nin\"")), "{told}");
    }
}

/// SR11.
#[test]
fn quiet_hours_have_two_times_and_a_place() {
    let bank = tenant("quiet_hours = { from = \"21:00\", to = \"08:00\", time_zone = \"Europe/Oslo\" }\n");
    let time = |hour| chrono::NaiveTime::from_hms_opt(hour, 0, 0).unwrap();
    assert_eq!(bank.quiet_hours, QuietHours::new(time(21), time(8), chrono_tz::Europe::Oslo));
    assert_eq!(
        lines(tenant_with("quiet_hours = { from = \"9 pm\", time_zone = \"Oslo\" }\n")),
        [
            "gateway.toml:8: tenants[0].quiet_hours.from must be a time of the day, in quotes, such as \"21:00\"",
            "gateway.toml:8: tenants[0].quiet_hours.time_zone must be a time zone of the IANA database, such as \
             \"Europe/Oslo\"",
            "gateway.toml:8: tenants[0].quiet_hours.to is missing; it must be a time of the day, in quotes, such as \
             \"21:00\"",
        ]
    );
    assert_eq!(
        told("quiet_hours = { from = \"21:00\", to = \"21:00\", time_zone = \"Europe/Oslo\" }\n"),
        "quiet_hours.to must be another time than from; leave quiet_hours out for none"
    );
}
