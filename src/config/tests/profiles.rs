//! What a provider does beyond the standard, and whose keys they are.

use super::super::{LoginHint, Profile, ProviderKeys};
use super::*;

const SECRET: &str = "client_secret = \"bank-secret\"";

fn with_provider(lines: &str) -> Result<Config, Mistakes> {
    parse(&LEAST.replace(SECRET, &format!("{SECRET}\n{lines}")))
}

fn profile(lines: &str) -> Profile {
    with_provider(lines).unwrap().tenants[0].provider.profile
}

/// What is wrong with the settings of the provider, one line each.
fn mistakes(lines: &str) -> String {
    with_provider(lines).unwrap_err().to_string()
}

#[test]
fn a_provider_is_vipps_with_a_sales_units_keys_unless_it_is_said() {
    let own = Profile::Vipps { keys: ProviderKeys::SalesUnit };
    assert_eq!(profile(""), own);
    assert_eq!(profile("profile = \"vipps\"\nkeys = \"sales-unit\""), own);
    let partner = "keys = \"partner\"\nsubscription_key = \"k\"\nmerchant_serial_number = \"123456\"";
    assert_eq!(profile(partner), Profile::Vipps { keys: ProviderKeys::Partner });
    for (form, login_hint) in [
        ("{msisdn}", LoginHint::Digits),
        ("+{msisdn}", LoginHint::Plus),
        ("urn:msisdn:{msisdn}", LoginHint::Urn),
        ("tel:+{msisdn}", LoginHint::Tel),
    ] {
        assert_eq!(
            profile(&format!("profile = \"generic\"\nlogin_hint = \"{form}\"")),
            Profile::Generic { login_hint }
        );
    }
}

#[test]
fn partner_keys_need_what_they_go_by_and_no_authentication() {
    let said = mistakes("keys = \"partner\"\nauthentication = \"client_secret_post\"");
    for part in [
        "tenants[0].provider.merchant_serial_number is missing; with keys = \"partner\" it says for which merchant",
        "tenants[0].provider.subscription_key is missing; with keys = \"partner\" it gets the access token",
        "tenants[0].provider.authentication is not for keys = \"partner\"",
    ] {
        assert!(said.contains(part), "{part}: {said}");
    }
    assert!(mistakes("keys = \"unit\"").contains("must be \"sales-unit\" or \"partner\""));
}

#[test]
fn each_profile_refuses_what_is_the_others() {
    let said = mistakes("profile = \"generic\"\nlogin_hint = \"{msisdn}\"\nkeys = \"partner\"\nplugin_name = \"x\"");
    for key in ["keys", "plugin_name"] {
        assert!(said.contains(&format!("tenants[0].provider.{key} is for Vipps MobilePay Login")), "{said}");
    }
    assert_eq!(said.lines().count(), 2, "{said}");
    assert!(mistakes("profile = \"generic\"").contains("login_hint is missing"));
    assert!(mistakes("profile = \"generic\"\nlogin_hint = \"{number}\"").contains("must be \"{msisdn}\""));
    assert!(mistakes("login_hint = \"{msisdn}\"").contains("goes with profile = \"generic\""));
    assert!(mistakes("profile = \"okta\"").contains("must be \"vipps\" or \"generic\""));
}

/// The standard has no scope for them, so they could never come.
#[test]
fn a_generic_provider_is_not_asked_for_what_vipps_alone_has() {
    let generic = format!("{SECRET}\nprofile = \"generic\"\nlogin_hint = \"{{msisdn}}\"");
    let tenant = |lines: &str| {
        parse(&LEAST.replace("default_country", &format!("{lines}\ndefault_country")).replace(SECRET, &generic))
    };
    assert!(tenant("default_claims = [\"name\", \"gender\", \"address\"]").is_ok());
    for key in ["default_claims", "required_claims"] {
        let said = tenant(&format!("{key} = [\"agreement\"]")).unwrap_err().to_string();
        assert!(said.contains(&format!("tenants[0].{key} has a claim that only Vipps MobilePay Login has")), "{said}");
    }
}
