use std::collections::BTreeSet;
use std::time::Duration;

use super::super::{Config, FraudWebhook, Mistakes};
use super::{LEAST, line, lines, parse};
use crate::fraud::{Kind, Secret};

const SECRET: &str = "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";
const URL: &str = "url = \"https://fraud.example/signals\"";

/// [`LEAST`] with these lines about the fraud desk.
fn desk(text: &str) -> Result<Config, Mistakes> {
    parse(&LEAST.replace("[tenants.provider]", &format!("[tenants.fraud_webhook]\n{text}\n[tenants.provider]")))
}

fn webhook(text: &str) -> FraudWebhook {
    let mut config = desk(text).unwrap_or_else(|mistakes| panic!("{mistakes}"));
    config.tenants.remove(0).fraud_webhook.unwrap()
}

#[test]
fn a_fraud_desk_has_the_documented_defaults() {
    assert!(parse(LEAST).unwrap().tenants[0].fraud_webhook.is_none());
    let least = webhook(&format!("{URL}\nsecret = \"{SECRET}\""));
    assert_eq!(least.url.as_str(), "https://fraud.example/signals");
    assert_eq!(least.secrets, [Secret::parse(SECRET).unwrap()]);
    assert_eq!(least.signals, BTreeSet::from(Kind::ALL));
    assert_eq!((least.timeout, least.allow_private_addresses), (Duration::from_secs(5), false));
    assert!(!format!("{least:?}").contains("/signals"), "{least:?}");

    let chosen = format!("{URL}\nsecret = \"{SECRET}\"\nsignals = [\"login.denied\", \"code.exhausted\"]");
    assert_eq!(webhook(&chosen).signals, BTreeSet::from([Kind::Denied, Kind::CodeExhausted]));
    let next = Secret::from_random([9; 32]);
    let both = webhook(&format!("{URL}\nsecret = \"{SECRET}\"\nsecret_next = \"{}\"", *next.expose()));
    assert_eq!(both.secrets, [Secret::parse(SECRET).unwrap(), next]);
}

/// SR37
#[test]
fn a_fraud_desk_is_reached_by_https_alone() {
    for (url, said) in [
        ("http://fraud.example/signals", "url must begin with https://"),
        ("ftp://fraud.example/", "url must begin with https://"),
        ("fraud.example", "url must be a URL"),
        ("https://user@fraud.example/", "url must have no user name, query or fragment"),
        ("https://fraud.example/?token=t0ps3cret", "url must have no user name, query or fragment"),
    ] {
        let told = line(desk(&format!("url = \"{url}\"\nsecret = \"{SECRET}\"\nallow_private_addresses = true")));
        assert!(told.contains(said) && !told.contains("t0ps3cret"), "{told}");
    }
}

#[test]
fn mistakes_about_a_fraud_desk_are_told_without_the_secret() {
    let told = lines(desk("secret = \"whsec_dG9vIHNob3J0\"\nsignals = [\"login.approved\"]\ntimeout = \"1m\""));
    assert_eq!(told.len(), 4, "{told:#?}");
    for said in [
        "fraud_webhook.url is missing",
        "fraud_webhook.secret must be whsec_ and 24 to 64 bytes in base64",
        "fraud_webhook.signals[0] must be a kind of signal",
        "fraud_webhook.timeout must be between 1s and 30s",
    ] {
        assert!(told.iter().any(|line| line.contains(said) && !line.contains("dG9v")), "no {said} in {told:#?}");
    }
    let twice = desk(&format!("{URL}\nsecret = \"{SECRET}\"\nsecret_next = \"{SECRET}\""));
    assert!(line(twice).contains("secret_next is the same secret as the first one"));
    assert!(line(desk(URL)).contains("secret is missing; give secret or secret_file"));
}
