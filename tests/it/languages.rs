//! Agents and screens are spoken to in the language of the login.

use ciba_gateway::grpc::v1;
use ciba_gateway::language::Language;
use tonic::Code;
use v1::StartLoginRequest as Start;

use crate::support::client::{NUMBER, at_the_till, on_a_call};
use crate::support::stage::Stage;

fn spoken(language: &str, start: Start) -> Start {
    Start { language: language.to_owned(), ..start }
}

/// SR45: on every replica and every stream.
#[tokio::test(start_paused = true)]
async fn a_login_speaks_its_language_wherever_it_is_looked_at() {
    for (asked, tag, pending, approved) in [
        ("", "en", "Ask them to open Vipps", "It is the person."),
        ("nn-NO", "nb", "Be innringeren åpne Vipps", "Det er rett person."),
        ("sv", "sv", "Be personen öppna Vipps", "Det är rätt person."),
        ("da-DK", "da", "Bed kunden åbne Vipps", "Det er den rigtige person."),
        ("fi", "fi", "Pyydä asiakasta avaamaan Vipps", "Kyseessä on oikea henkilö."),
    ] {
        let (stage, gateway) = Stage::with_gateway();
        let (desk, elsewhere) = (gateway.desk(), stage.gateway().desk());
        let mut all = elsewhere.watch_all(v1::WatchLoginsRequest::default()).await;
        let login = desk.start(spoken(asked, on_a_call("r-1", NUMBER))).await;
        let mut watch = elsewhere.watch(&login).await;
        for seen in [login.clone(), elsewhere.get(&login).await, watch.login().await, all.login().await] {
            assert_eq!(seen.language, tag);
            assert!(seen.agent_text.starts_with(pending), "{asked}: {}", seen.agent_text);
        }
        stage.provider.person_approves();
        desk.confirm(&login, &stage.provider.code_in_the_app()).await;
        let ended = desk.wait_for_end(&login).await;
        assert!(ended.agent_text.starts_with(approved), "{asked}: {}", ended.agent_text);
    }
}

/// The tenant's default holds where the start says nothing; a start may say another.
#[tokio::test(start_paused = true)]
async fn a_tenant_has_a_language_of_its_own() {
    let (_stage, gateway) = Stage::with_rules(|acme| acme.default_language = Language::Danish);
    let desk = gateway.desk();
    let login = desk.start(at_the_till("r-1", NUMBER)).await;
    assert_eq!((login.language.as_str(), desk.cancel(&login).await.as_str()), ("da", "cancelled"));
    assert_eq!(desk.start(spoken("en-GB", at_the_till("r-2", NUMBER))).await.language, "en");
    let refusal = gateway.stranger().refused(spoken("de", at_the_till("r-1", NUMBER))).await;
    assert_eq!((refusal.code, refusal.fields), (Code::InvalidArgument, vec!["language".to_owned()]));
}

/// SR14: the spelled code is shown where the code is, and nowhere else.
#[tokio::test(start_paused = true)]
async fn a_code_is_spelled_where_it_is_shown() {
    let modes = [
        (v1::CodeMode::ReadOut, on_a_call("r-1", NUMBER), true),
        (v1::CodeMode::Display, at_the_till("r-1", NUMBER), true),
        (v1::CodeMode::ReadBack, on_a_call("r-1", NUMBER), false),
    ];
    for (mode, start, is_shown) in modes {
        let (stage, gateway) = Stage::with_gateway();
        let (desk, other) = (gateway.desk(), gateway.kiosk());
        let login = desk.start(spoken("nb", Start { code_mode: mode.into(), ..start })).await;
        let words: Vec<_> = login.code_spelled.split(' ').filter(|word| !word.is_empty()).collect();
        assert_eq!(login.code, if is_shown { stage.provider.code_in_the_app() } else { String::new() });
        assert_eq!(words.len(), login.code.len(), "{mode:?}: {words:?}");
        let seen = other.get(&login).await;
        assert_eq!((seen.code.as_str(), seen.code_spelled.as_str()), ("", ""), "{mode:?}: nobody's reader");
    }
}
