//! What one registration of the configuration needs, from what is there. Pure but for
//! what the configuration has read.

use std::path::PathBuf;

use crate::config::{Webhook, WebhookSecret};
use crate::provider::vipps::Registered;
use crate::webhooks::EventKind;

/// What is to be done.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Plan {
    pub(super) step: Step,
    /// What is registered for the same URL and not wanted any more, by id.
    pub(super) obsolete: Vec<String>,
}

#[derive(Debug, PartialEq, Eq)]
pub(super) enum Step {
    Keep,
    /// With the secret to this file, which does not exist.
    Register {
        secret_file: PathBuf,
    },
}

/// Where `found` is what the provider has; `url` is the registration's.
///
/// # Errors
/// What the operator has to do first.
pub(super) fn of(webhook: &Webhook, url: &str, found: &[Registered], is_rotated: bool) -> Result<Plan, String> {
    let same_url: Vec<_> = found.iter().filter(|registered| registered.url == url).collect();
    let ids = |of: &[&Registered]| of.iter().map(|registered| registered.id.clone()).collect::<Vec<_>>();
    let (right, wrong): (Vec<_>, Vec<_>) = same_url.into_iter().partition(|registered| has_events(webhook, registered));
    let secrets = webhook.secrets().count();
    match right.as_slice() {
        [first, ..] if !is_rotated => {
            if secrets == 0 {
                return Err(format!(
                    "it is registered as {}, but its secret is in no file, and the provider shows it once only; \
                     delete it (ciba-gateway webhooks delete {}) and apply again",
                    first.id, first.id
                ));
            }
            // Of two with as many secrets one replaces the other.
            let spare = if secrets > 1 { &[][..] } else { &right[1..] };
            Ok(Plan { step: Step::Keep, obsolete: [ids(spare), ids(&wrong)].concat() })
        }
        _ => {
            let secret_file = free_file(webhook)?;
            Ok(Plan { step: Step::Register { secret_file }, obsolete: [ids(&right), ids(&wrong)].concat() })
        }
    }
}

fn has_events(webhook: &Webhook, registered: &Registered) -> bool {
    let wanted = webhook.events.iter().map(|event| EventKind::name(*event));
    registered.events.len() == webhook.events.len()
        && wanted.into_iter().all(|event| registered.events.iter().any(|found| found == event))
}

/// The first of the two files that does not exist.
fn free_file(webhook: &Webhook) -> Result<PathBuf, String> {
    let is_free = |secret: &&WebhookSecret| secret.secret.is_none() && secret.file.is_some();
    let free = [&webhook.secret, &webhook.secret_next].into_iter().find(is_free);
    if let Some(file) = free.and_then(|secret| secret.file.clone()) {
        return Ok(file);
    }
    Err(match (&webhook.secret.file, &webhook.secret_next.file) {
        (None, None) => "it needs secret_file: the provider shows the secret once, and it must go somewhere".to_owned(),
        (Some(_), None) => "secret_file has a secret already, which is not overwritten; \
             add secret_next_file for the new one"
            .to_owned(),
        (None | Some(_), Some(_)) => "both secrets are there already, and none is overwritten; \
             move secret_next_file into the place of secret_file, or away, and apply again"
            .to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::webhooks::RegistrationName;

    const URL: &str = "https://bank.example/webhooks/pings";

    fn webhook(secrets: [Option<&str>; 2], files: [bool; 2]) -> Webhook {
        let secret = |nth: usize| WebhookSecret {
            secret: secrets[nth].map(Into::into),
            file: files[nth].then(|| PathBuf::from(["one", "two"][nth])),
        };
        Webhook {
            name: RegistrationName::new("pings").unwrap(),
            events: BTreeSet::from([EventKind::LoginPing]),
            secret: secret(0),
            secret_next: secret(1),
        }
    }

    fn registered(id: &str, url: &str, events: &[&str]) -> Registered {
        let events = events.iter().map(|event| (*event).to_owned()).collect();
        Registered { id: id.to_owned(), url: url.to_owned(), events }
    }

    fn plan(
        webhook: &Webhook,
        found: &[Registered],
        is_rotated: bool,
    ) -> Result<(Option<PathBuf>, Vec<String>), String> {
        of(webhook, URL, found, is_rotated).map(|Plan { step, obsolete }| match step {
            Step::Keep => (None, obsolete),
            Step::Register { secret_file } => (Some(secret_file), obsolete),
        })
    }

    #[test]
    fn what_is_missing_is_registered_and_what_is_there_is_kept() {
        let ping = [EventKind::LoginPing.name()];
        let (new, known) = (webhook([None; 2], [true, true]), webhook([Some("s"), None], [true, true]));
        let right = registered("1", URL, &ping);
        let elsewhere = registered("2", "https://bank.example/webhooks/other", &ping);
        let wrong = registered("3", URL, &["user.checked-in.v1"]);
        let (one, two) = (Some(PathBuf::from("one")), Some(PathBuf::from("two")));
        assert_eq!(plan(&new, &[], false), Ok((one.clone(), vec![])));
        assert_eq!(plan(&new, std::slice::from_ref(&elsewhere), false), Ok((one, vec![])), "others are left alone");
        assert_eq!(plan(&known, &[elsewhere, right.clone()], false), Ok((None, vec![])));
        assert_eq!(plan(&known, std::slice::from_ref(&wrong), false), Ok((two.clone(), vec!["3".to_owned()])));
        assert_eq!(plan(&known, &[right.clone(), wrong], true), Ok((two, vec!["1".to_owned(), "3".to_owned()])));
        let both = [right.clone(), registered("4", URL, &ping)];
        assert_eq!(plan(&known, &both, false), Ok((None, vec!["4".to_owned()])));
        assert!(plan(&new, &[right], false).unwrap_err().contains("its secret is in no file"));
    }

    #[test]
    fn no_secret_is_overwritten() {
        for (secrets, files, said) in [
            ([Some("s"), None], [false, false], "needs secret_file"),
            ([Some("s"), None], [true, false], "add secret_next_file"),
            ([Some("s"), Some("t")], [true, true], "both secrets are there already"),
        ] {
            let problem = plan(&webhook(secrets, files), &[], true).unwrap_err();
            assert!(problem.contains(said), "{problem}");
        }
    }
}
