use std::collections::BTreeSet;
use std::time::Duration;

use super::*;
use crate::phone::{Country, PhoneNumber};
use crate::session::tests::terms;
use crate::store::Counter;
use crate::timestamp::Timestamp;

/// Every way in which a login can stand.
fn moments() -> Vec<(CodeMode, Moment)> {
    let failures = FailureReason::ALL.map(End::Failed);
    let ends = [End::Approved, End::Denied, End::Expired, End::Cancelled].into_iter().chain(failures);
    let ended = ends.map(|how| Phase::Ended { at: Timestamp::from_millis(1), how });
    let phases: Vec<_> =
        [Phase::Starting, Phase::Pending, Phase::Redeemed, Phase::AwaitingCode].into_iter().chain(ended).collect();
    let codes = [CodeProgress::Closed, CodeProgress::Open { tries: 1 }, CodeProgress::Matched];
    let mut moments = Vec::new();
    for mode in [CodeMode::ReadBack, CodeMode::ReadOut, CodeMode::Display] {
        for code in codes {
            moments.extend(phases.iter().map(|phase| (mode, Moment { phase: *phase, code, deadline: None })));
        }
    }
    moments
}

fn said(language: Language, number: &str, mode: CodeMode, moment: &Moment) -> String {
    let phone = PhoneNumber::parse(number, Country::Norway).unwrap();
    agent_text(&Terms { language, person: phone.into(), ..terms(mode) }, moment)
}

/// SR45: short sentences in each language, for whatever can happen, and none of
/// them another language's.
#[test]
fn every_moment_has_a_text_in_every_language() {
    for (mode, moment) in moments() {
        let texts = Language::ALL.map(|language| said(language, "+4790000001", mode, &moment));
        assert_eq!(texts.iter().collect::<BTreeSet<_>>().len(), texts.len(), "{texts:?}");
        for text in texts {
            assert!(text.ends_with(['.', '?']) && text.chars().count() <= 200, "{text}");
            assert!(!text.contains(['{', '}', '\n']) && !text.contains("  "), "{text}");
        }
    }
}

/// Every refusal that has a text.
fn refusals() -> Vec<Error> {
    let retry_after = Duration::from_secs(7);
    vec![
        Error::ProviderBusy { retry_after },
        Error::ProviderUnavailable,
        Error::ProviderCredentialsRefused,
        Error::ProviderRefused,
        Error::CheckNotOffered,
        Error::NumberBusy,
        Error::CallBusy,
        Error::TooManyStarts { counter: Counter::Number, retry_after },
        Error::CheckInNotFound,
        Error::CheckInExpired,
        Error::PersonalQrRefused,
        Error::ShopQrNotConfigured,
    ]
}

fn said_of(error: &Error, language: Language, number: &str) -> Option<String> {
    refusal_text(error, language, Some(&PhoneNumber::parse(number, Country::Norway).unwrap()))
}

/// SR45: also where nothing was started.
#[test]
fn a_refusal_that_agents_meet_has_a_text_in_every_language() {
    for error in refusals() {
        let texts = Language::ALL.map(|language| said_of(&error, language, "+4790000001").unwrap());
        assert_eq!(texts.iter().collect::<BTreeSet<_>>().len(), texts.len(), "{texts:?}");
        for text in texts {
            assert!(text.ends_with('.') && text.chars().count() <= 200 && !text.contains(['{', '}']), "{text}");
        }
    }
    for error in [Error::NotFound, Error::RequestIdReused, Error::Draining, Error::ChannelNotAllowed] {
        assert_eq!(said_of(&error, Language::English, "+4790000001"), None, "an agent can do nothing about it");
    }
}

/// The person is told the name that they know.
#[test]
fn the_app_has_the_name_of_the_numbers_country() {
    let pending = Moment { phase: Phase::Pending, code: CodeProgress::Closed, deadline: None };
    for (number, name) in [
        ("+4790000001", "Vipps"),
        ("+46700000001", "Vipps"),
        ("+4520000001", "MobilePay"),
        ("+358400000001", "MobilePay"),
        ("+299200001", "MobilePay"),
    ] {
        for language in Language::ALL {
            for mode in [CodeMode::ReadBack, CodeMode::ReadOut, CodeMode::Display] {
                let text = said(language, number, mode, &pending);
                assert!(text.contains(name), "{name} for {number}: {text}");
            }
        }
    }
}

/// SR45: who translates or approves the texts finds all of them in the documents,
/// but for those of screens before people.
#[test]
fn the_documents_have_every_text_for_agents() {
    for (language, document, number) in [
        (Language::English, include_str!("../../../docs/agent-text/en.md"), "+4790000001"),
        (Language::Norwegian, include_str!("../../../docs/agent-text/nb.md"), "+4790000001"),
        (Language::Swedish, include_str!("../../../docs/agent-text/sv.md"), "+4790000001"),
        (Language::Danish, include_str!("../../../docs/agent-text/da.md"), "+4520000001"),
        (Language::Finnish, include_str!("../../../docs/agent-text/fi.md"), "+358400000001"),
    ] {
        for (mode, moment) in moments().into_iter().filter(|(mode, _)| *mode != CodeMode::Display) {
            let text = said(language, number, mode, &moment);
            assert!(document.contains(&format!("\n- {text}\n")), "{language}: {text}");
        }
        for text in refusals().iter().filter_map(|error| said_of(error, language, number)) {
            assert!(document.contains(&format!("\n- {text}\n")), "{language}: {text}");
        }
    }
}
