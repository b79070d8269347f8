//! `[[tenants.webhooks]]`: what the provider tells by itself.

use std::collections::BTreeSet;

use secrecy::ExposeSecret;

use super::super::{Config, Mistakes, Webhook};
use super::{Folder, LEAST, line, lines, parse};
use crate::webhooks::EventKind;

const PUBLIC: &str = "[public]\nbase_url = \"https://bank.example\"\n";
const PING: &str = "events = [\"login.merchant-initiated.ping.v1\"]";
const SECRET: &str = "090a478d-37ff-4e77-970e-d457aeb26a3a";

fn text(lines: &str) -> String {
    let hooks = format!("[[tenants.webhooks]]\n{lines}\n[tenants.provider]");
    format!("{PUBLIC}{}", LEAST.replace("[tenants.provider]", &hooks))
}

fn webhook(config: Result<Config, Mistakes>) -> Webhook {
    config.unwrap_or_else(|mistakes| panic!("{mistakes}")).tenants.remove(0).webhooks.remove(0)
}

fn secrets(webhook: &Webhook) -> Vec<&str> {
    webhook.secrets().map(ExposeSecret::expose_secret).collect()
}

#[test]
fn a_registration_has_a_name_events_and_a_secret() {
    assert!(parse(LEAST).unwrap().tenants[0].webhooks.is_empty());
    let webhook = webhook(parse(&text(&format!("name = \"bank-1\"\n{PING}\nsecret = \"{SECRET}\""))));
    assert_eq!((webhook.name.as_str(), &webhook.events), ("bank-1", &BTreeSet::from([EventKind::LoginPing])));
    assert_eq!(secrets(&webhook), [SECRET]);
    assert!(!format!("{webhook:?}").contains(SECRET), "{webhook:?}");
}

/// The provider gives the secret when the registration is made, which takes the
/// configuration.
#[test]
fn a_secret_file_may_come_later() {
    let folder = Folder::new();
    let lines = format!("name = \"bank\"\n{PING}\nsecret_file = \"one\"\nsecret_next_file = \"two\"");
    let before = webhook(folder.parse(&text(&lines)));
    assert_eq!(secrets(&before), [""; 0]);
    assert_eq!(before.secret.file, Some(folder.0.join("one")));
    folder.file("two", &format!("{SECRET}\n"));
    assert_eq!(secrets(&webhook(folder.parse(&text(&lines)))), [SECRET]);
    folder.file("one", "another-one-of-16-or-more");
    assert_eq!(secrets(&webhook(folder.parse(&text(&lines)))), ["another-one-of-16-or-more", SECRET]);

    folder.file("one", "too short");
    assert!(line(folder.parse(&text(&lines))).contains("secret_file must be the secret that the provider gave"));
    folder.file("one", SECRET);
    assert!(line(folder.parse(&text(&lines))).contains("secret_next is the same secret as the first one"));
    let same = lines.replace("two", "one");
    assert!(self::lines(folder.parse(&text(&same))).iter().any(|line| line.contains("must be another file")));
    std::fs::create_dir(folder.0.join("three")).unwrap();
    let told = line(folder.parse(&text(&lines.replace("two", "three"))));
    assert!(told.contains("secret_next_file names a file that cannot be read"), "{told}");
}

#[test]
fn mistakes_about_registrations_are_told() {
    let whole = format!("name = \"bank\"\n{PING}\nsecret = \"{SECRET}\"");
    let told = line(parse(&text(&whole).replace(PUBLIC, "")));
    assert!(told.contains("tenants[0].webhooks needs [public]"), "{told}");
    let told = line(parse(&text(&format!("{whole}\n[[tenants.webhooks]]\n{whole}"))));
    assert!(told.contains("tenants[0].webhooks[1].name is taken already"), "{told}");
    for (lines, said) in [
        (whole.replace("bank", "Bank/1"), "name must be 1 to 64 lower-case letters, digits and hyphens"),
        (whole.replace(PING, "events = []"), "events is empty; without events it tells nothing"),
        (whole.replace(PING, ""), "events is missing"),
        (whole.replace("ping.v1", "pong.v1"), "events[0] must be \"login.merchant-initiated.ping.v1\" or"),
        (format!("name = \"bank\"\n{PING}"), "secret is missing; give secret or secret_file"),
        (whole.replace(SECRET, "with a space in it, long"), "secret must be the secret that the provider gave"),
    ] {
        let told = line(parse(&text(&lines)));
        assert!(told.contains(&format!("tenants[0].webhooks[0].{said}")), "{told}");
    }
}

/// SR31: secrets, events and whole registrations hold at once.
#[test]
fn registrations_need_no_restart() {
    let now = parse(&text(&format!("name = \"one\"\n{PING}\nsecret = \"{SECRET}\""))).unwrap();
    let next = parse(&text(&format!("name = \"two\"\n{PING}\nsecret = \"{SECRET}-2\""))).unwrap();
    let succession = now.succeeded_by(&next);
    assert_eq!(succession.waiting, [""; 0]);
    assert_eq!(succession.config.tenants[0].webhooks[0].name.as_str(), "two");

    // One that is another tenant's by now is not the old one's any more.
    let other = parse(&text(&format!("name = \"one\"\n{PING}\nsecret = \"{SECRET}\"")).replace("\"bank\"", "\"till\""));
    let succession = now.succeeded_by(&other.unwrap());
    assert!(succession.config.tenants[0].webhooks.is_empty());
}
