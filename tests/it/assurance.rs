//! What an approval is worth, and what nothing here may call it.

use ciba_gateway::grpc::v1;
use v1::{Assurance, CodeMode, StartLoginRequest as Start};

use crate::support::client::{NUMBER, at_the_till, on_a_call, standing};
use crate::support::stage::Stage;

/// SR47: the level in every result, by what was done with the code.
#[tokio::test(start_paused = true)]
async fn every_result_has_a_level() {
    for (start, level) in [
        (at_the_till("r-1", NUMBER), Assurance::CodeDisplayed),
        (Start { code_mode: CodeMode::ReadOut.into(), ..on_a_call("r-1", NUMBER) }, Assurance::CodeReadOut),
        (on_a_call("r-1", NUMBER), Assurance::CodeReadBack),
        (Start { code_mode: CodeMode::ReadBack.into(), ..at_the_till("r-1", NUMBER) }, Assurance::CodeReadBack),
    ] {
        let (stage, gateway) = Stage::with_gateway();
        let desk = gateway.desk();
        let login = desk.start(start).await;
        assert_eq!(login.assurance(), Assurance::Unspecified);
        if login.code_mode() == CodeMode::ReadBack {
            let pending = desk.try_confirm(&login.login_id, &stage.provider.code_in_the_app()).await;
            let pending = pending.expect("a verdict").login.expect("a login");
            assert_eq!(pending.assurance(), Assurance::Unspecified, "nobody has approved");
        }
        stage.provider.person_approves();
        let ended = desk.wait_for_end(&login).await;
        assert_eq!((standing(&ended).as_str(), ended.assurance()), ("approved", level));
        for seen in [desk.get(&login).await, desk.watch(&login).await.login().await, desk.list().await.remove(0)] {
            assert_eq!(seen.assurance(), level);
        }
    }
}

/// SR47.
#[tokio::test(start_paused = true)]
async fn a_login_that_is_not_approved_has_none() {
    let (stage, gateway) = Stage::with_gateway();
    stage.provider.person_denies();
    let desk = gateway.desk();
    let login = desk.start(at_the_till("r-1", NUMBER)).await;
    let ended = desk.wait_for_end(&login).await;
    assert_eq!((standing(&ended).as_str(), ended.assurance()), ("denied", Assurance::Unspecified));
}

const TEXTS: [(&str, &str); 9] = [
    ("proto", include_str!("../../proto/ciba_gateway/v1/login_service.proto")),
    ("README", include_str!("../../README.md")),
    ("security", include_str!("../../docs/security.md")),
    ("configuration", include_str!("../../docs/configuration.md")),
    ("decisions", include_str!("../../docs/decisions.md")),
    ("operations", include_str!("../../docs/operations.md")),
    ("simulator", include_str!("../../docs/simulator.md")),
    ("changelog", include_str!("../../CHANGELOG.md")),
    ("agents", include_str!("../../docs/agent-text/en.md")),
];

/// Sentences that speak of resistance to phishing.
fn claims(text: &str) -> Vec<String> {
    let lines = text.lines().map(|line| line.trim_start_matches([' ', '/']));
    let text = lines.collect::<Vec<_>>().join(" ").to_lowercase();
    let speaks = |sentence: &&str| sentence.contains("phishing") && sentence.contains("resistan");
    text.split(['.', ';', '|', ':']).filter(speaks).map(str::to_owned).collect()
}

/// Whether it says of no login here that it resists.
fn is_modest(sentence: &str) -> bool {
    let negations = ["none", "not ", "nothing", "never", "no "];
    let of_something_else = ["second step", "second, phishing-resistant step"];
    negations.iter().chain(&of_something_else).any(|word| sentence.contains(word))
}

/// SR47: no level and no text calls an approval resistant to phishing, and those that
/// speak of it say that it is not.
#[test]
fn nothing_calls_an_approval_resistant_to_phishing() {
    let levels = (0..100).filter_map(|number| Assurance::try_from(number).ok());
    for level in levels {
        let name = level.as_str_name();
        assert!(!["PHISHING", "RESISTANT", "STRONG", "HIGH"].iter().any(|word| name.contains(word)), "{name}");
    }
    for (place, text) in TEXTS {
        let proud: Vec<_> = claims(text).into_iter().filter(|sentence| !is_modest(sentence)).collect();
        assert!(proud.is_empty(), "{place}: {proud:#?}");
    }
    assert!(claims(TEXTS[0].1).len() == 1, "the API says it where the levels are");
    assert!(!is_modest(&claims("An approval with read-back is\nphishing-resistant.")[0]));
}
