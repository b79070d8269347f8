//! Consents come once: they are told typed, refusals apart, and not lost on the way.

use ciba_gateway::grpc::v1::{Claim, ConsentAnswer, Identity, Login, Outcome, StartLoginRequest};
use ciba_gateway::simulator::{Behaviour, Choices, Edit, UserinfoKnobs};
use serde_json::json;

use crate::support::caller::{Caller, till};
use crate::support::client::{NUMBER, at_the_till, on_a_call, standing};
use crate::support::configuration::Configuration;
use crate::support::gateway::Gateway;
use crate::support::redis_server::RedisServer;
use crate::support::simulators::Vipps;
use crate::support::stage::{IDENTITY_WINDOW, Stage, pass, secs};

const CONSENTS: [Claim; 3] = [Claim::DelegatedConsents, Claim::CustomFlow, Claim::Agreement];

fn asking(number: &str) -> StartLoginRequest {
    StartLoginRequest { claims: CONSENTS.map(i32::from).into(), ..till(number) }
}

async fn approved(vipps: &Vipps, caller: &Caller, number: &str, choices: &Choices) -> Identity {
    let login = caller.start(asking(number)).await.expect("a login");
    assert_eq!(vipps.simulator.approve_with(number, choices), 1);
    let login = caller.end_of(&login.login_id).await;
    assert_eq!(login.outcome(), Outcome::Approved);
    login.identity.expect("an identity")
}

fn missing(identity: &Identity) -> Vec<Claim> {
    identity.missing_claims().collect()
}

#[tokio::test]
async fn what_was_agreed_to_is_told_once_with_refusals_apart() {
    let vipps = Vipps::start().await;
    let gateway = Gateway::ready(&Configuration::new(&vipps.issuer())).await;
    let (caller, number) = (gateway.caller(), "+4791111001");
    let choices: Choices = serde_json::from_value(json!({
        "delegatedConsents": { "email": true, "sms": false, "digital": false, "personal": true },
        "customFlow": { "email": false, "sms": true }, "agreement": true,
    }))
    .expect("choices");
    let first = approved(&vipps, &caller, number, &choices).await;
    let consents = first.delegated_consents.as_ref().expect("consents");
    assert_eq!(
        (consents.accepted_ids.join(" "), consents.refused_ids.join(" ")),
        ("email personal".into(), "sms digital".into())
    );
    let answers: Vec<_> = consents.consents.iter().map(|consent| (consent.accepted, consent.answer())).collect();
    let (yes, no) = ((true, ConsentAnswer::Accepted), (false, ConsentAnswer::Refused));
    assert_eq!(answers, [yes, no, no, yes]);
    assert_eq!((consents.heading.as_str(), consents.time_of_consent.is_empty()), ("Join the customer club", false));
    assert!(consents.links.as_ref().is_some_and(|links| links.terms_url == "https://example.com/terms"));
    let flow = first.custom_flow.as_ref().expect("answers");
    assert_eq!((flow.accepted_ids.join(" "), flow.refused_ids.join(" ")), ("sms".into(), "email".into()));
    assert_eq!((flow.screens[0].elements[0].r#type.as_str(), flow.screens[0].terms.len()), ("checkbox", 1));
    assert!(first.flow_result.is_some(), "as it came, too");
    assert_eq!(first.agreement.as_ref().map(|agreement| agreement.answer()), Some(ConsentAnswer::Accepted));
    assert_eq!(missing(&first), []);

    // The next login neither asks nor tells; terms are asked at every login.
    let again = approved(&vipps, &caller, number, &Choices { agreement: Some(false), ..Choices::default() }).await;
    assert_eq!(missing(&again), [Claim::DelegatedConsents, Claim::CustomFlow], "not asked is not refused");
    assert_eq!((again.delegated_consents, again.custom_flow), (None, None));
    let agreement = again.agreement.expect("terms");
    assert_eq!((agreement.accepted, agreement.answer()), (false, ConsentAnswer::Refused));

    assert_eq!(vipps.simulator.revoke_consents(number), 2);
    assert_eq!(missing(&approved(&vipps, &caller, number, &choices).await), []);
}

#[tokio::test]
async fn a_person_who_refuses_everything_is_asked_again() {
    let vipps = Vipps::start().await;
    let gateway = Gateway::ready(&Configuration::new(&vipps.issuer())).await;
    for _ in 0..2 {
        let refusing = Behaviour {
            userinfo: UserinfoKnobs {
                consents: ciba_gateway::simulator::Consents::Refused,
                ..UserinfoKnobs::default()
            },
            ..Behaviour::default()
        };
        vipps.simulator.set_behaviour("+4791111002", refusing);
        let identity = approved(&vipps, &gateway.caller(), "+4791111002", &Choices::default()).await;
        let consents = identity.delegated_consents.expect("refusals");
        assert_eq!((consents.accepted_ids.len(), consents.refused_ids.len()), (0, 4));
    }
}

/// What nobody has documented fails no login, and is passed on.
#[tokio::test]
async fn consents_in_another_shape_than_documented_are_passed_on() {
    let vipps = Vipps::start().await;
    let gateway = Gateway::ready(&Configuration::new(&vipps.issuer())).await;
    let element = json!({ "type": "slider", "id": "volume", "value": 7 });
    let odd = Edit::setting("delegatedConsents", "all of them")
        .and_set("flowResult", json!({ " language": "en", "screens": [{ "elements": [element] }] }))
        .and_set("agreement", json!({ "accepted": "certainly" }));
    let userinfo = UserinfoKnobs { claims: odd, ..UserinfoKnobs::default() };
    vipps.simulator.set_behaviour("+4791111003", Behaviour { userinfo, ..Behaviour::default() });
    let identity = approved(&vipps, &gateway.caller(), "+4791111003", &Choices::default()).await;
    assert_eq!(missing(&identity), [Claim::DelegatedConsents, Claim::Agreement]);
    assert!(identity.other_claims.expect("others").fields.contains_key("delegatedConsents"));
    let flow = identity.custom_flow.expect("answers");
    let element = &flow.screens[0].elements[0];
    assert_eq!((element.r#type.as_str(), element.answer()), ("slider", ConsentAnswer::Unspecified));
    assert!(element.more.as_ref().is_some_and(|more| more.fields.contains_key("value")));
    let agreement = identity.agreement.expect("terms");
    assert_eq!((agreement.accepted, agreement.answer()), (false, ConsentAnswer::Unspecified));
}

/// As large as userinfo may be, through a real Redis and a stream.
#[tokio::test]
async fn large_consents_arrive_whole() {
    let (vipps, redis) = (Vipps::start().await, RedisServer::start().await);
    let gateway = Gateway::ready(&Configuration::new(&vipps.issuer()).with_redis(&redis)).await;
    let elements: Vec<_> = (0..250)
        .map(|at| json!({ "type": "checkbox", "id": format!("e{at}"), "title": "x".repeat(180), "checked": at % 2 == 0 }))
        .collect();
    let claims = Edit::setting("flowResult", json!({ "language": "en", "screens": [{ "elements": elements }] }));
    let userinfo = UserinfoKnobs { claims, ..UserinfoKnobs::default() };
    vipps.simulator.set_behaviour("+4791111004", Behaviour { userinfo, ..Behaviour::default() });
    let identity = approved(&vipps, &gateway.caller(), "+4791111004", &Choices::default()).await;
    let flow = identity.custom_flow.expect("answers");
    assert_eq!((flow.accepted_ids.len(), flow.refused_ids.len()), (125, 125));
}

fn with_consents(start: StartLoginRequest) -> StartLoginRequest {
    StartLoginRequest { claims: vec![Claim::DelegatedConsents.into()], ..start }
}

fn assert_told(login: &Login) {
    let identity = login.identity.as_ref().expect("an identity");
    let consents = identity.delegated_consents.as_ref().expect("consents");
    assert_eq!((consents.accepted_ids.join(" "), consents.refused_ids.join(" ")), ("email".into(), "sms".into()));
}

/// Without consents half a minute is the end; they come once, so more is waited for.
#[tokio::test(start_paused = true)]
async fn two_minutes_without_userinfo_cost_no_consent() {
    let (stage, gateway) = Stage::with_gateway();
    stage.provider.person_approves();
    stage.provider.userinfo_goes_down();
    let desk = gateway.desk();
    let login = desk.start(with_consents(at_the_till("r-1", NUMBER))).await;
    pass(secs(125)).await;
    assert_eq!(desk.sees(&login).await, "redeemed");
    stage.provider.userinfo_comes_back();
    assert_told(&desk.wait_for_end(&login).await);
    // It is not waited for ever either.
    stage.provider.userinfo_goes_down();
    let begun = stage.clock.now();
    let login = desk.start(with_consents(at_the_till("r-2", NUMBER))).await;
    assert_eq!(standing(&desk.wait_for_end(&login).await), "provider_unavailable");
    assert_eq!(stage.clock.now().since(begun), secs(155));
}

/// Whoever dies between exchange and userinfo leaves the tokens to the others.
#[tokio::test(start_paused = true)]
async fn a_replica_that_dies_after_the_exchange_costs_no_consent() {
    for userinfo_is_slow in [false, true] {
        let stage = Stage::new();
        let (first, second) = (stage.gateway(), stage.gateway());
        stage.provider.person_approves();
        if userinfo_is_slow {
            stage.provider.identify_takes(secs(4));
        } else {
            stage.provider.userinfo_goes_down();
        }
        let login = first.desk().start(with_consents(at_the_till("r-1", NUMBER))).await;
        pass(secs(7)).await;
        assert_eq!(second.desk().sees(&login).await, "redeemed");
        first.dies();
        stage.provider.userinfo_comes_back();
        assert_told(&second.desk().wait_for_end(&login).await);
    }
}

#[tokio::test(start_paused = true)]
async fn consents_wait_for_the_code_also_with_another_replica() {
    let stage = Stage::new();
    let (first, second) = (stage.gateway(), stage.gateway());
    stage.provider.person_approves();
    let login = first.desk().start(with_consents(on_a_call("r-1", NUMBER))).await;
    pass(secs(7)).await;
    assert_eq!(first.desk().sees(&login).await, "awaiting_code");
    assert_eq!(first.desk().get(&login).await.identity, None);
    first.dies();
    pass(secs(40)).await;
    let (matched, _, _) = second.desk().confirm(&login, &stage.provider.code_in_the_app()).await;
    assert!(matched);
    assert_told(&second.desk().get(&login).await);
}

/// A caller that was away comes back within the window, and says itself when it has
/// stored them.
#[tokio::test(start_paused = true)]
async fn consents_are_told_again_until_the_window_ends_or_they_are_erased() {
    let (stage, gateway) = Stage::with_gateway();
    stage.provider.person_approves();
    let desk = gateway.desk();
    let mut watch = desk.watch_all(Default::default()).await;
    let login = desk.start(with_consents(at_the_till("r-1", NUMBER))).await;
    watch.login().await;
    let cursor = watch.cursor.clone();
    drop(watch);
    desk.wait_for_end(&login).await;
    pass(IDENTITY_WINDOW - secs(5)).await;
    let mut resumed = desk.resume(&cursor).await;
    let told = loop {
        let login = resumed.login().await;
        if login.identity.is_some() {
            break login;
        }
    };
    assert_told(&told);
    pass(secs(5)).await;
    assert_eq!(desk.get(&login).await.identity, None);

    let login = desk.start(with_consents(at_the_till("r-2", NUMBER))).await;
    assert_told(&desk.wait_for_end(&login).await);
    desk.erase(&login).await;
    assert_eq!(desk.get(&login).await.identity, None, "who erases has stored");
}
