//! Every pair of state and event, every deadline, and what no order of events
//! can do.

use proptest::prelude::*;

use super::*;
use crate::ciba::DEFAULT_INTERVAL;
use crate::identity::Claim;
use crate::language::Language;
use crate::phone::{Country, PhoneNumber};

const T0: Timestamp = Timestamp::from_millis(1_700_000_000_000);

pub(crate) fn terms(code_mode: CodeMode) -> Terms {
    Terms {
        tenant: TenantId::new("acme").unwrap(),
        client: ClientId::new("desktop").unwrap(),
        request_id: RequestId::new("r-1").unwrap(),
        content: [0; 32],
        agent: Some(AgentId::new("kari").unwrap()),
        terminal: None,
        call: None,
        channel: Channel::CallCentre,
        call_direction: Some(CallDirection::Inbound),
        person: PhoneNumber::parse("+4790000001", Country::Norway).unwrap().into(),
        code: code("ACDEF"),
        code_mode,
        purpose: None,
        claims: [Claim::Name].into(),
        required_claims: [].into(),
        lifetime: Duration::from_secs(300),
        expected_subject: None,
        labels: Labels::new(),
        language: Language::English,
        created_at: T0,
        handed_over: None,
        finish: Finish::InApp,
    }
}

fn code(text: &str) -> BindingCode {
    BindingCode::parse(text).unwrap()
}

fn identity() -> Box<Identity> {
    Box::new(Identity::from_userinfo(br#"{"sub":"4f3c"}"#).unwrap())
}

fn tokens() -> Tokens {
    Tokens::new("access".into(), Some("id".into()))
}

fn accepted() -> Event {
    let accepted = Accepted {
        auth_req_id: AuthReqId::new("handle").unwrap(),
        expires_in: Duration::from_secs(600),
        interval: DEFAULT_INTERVAL,
    };
    Event::Accepted { accepted, sent_at: T0 }
}

fn schedule() -> Schedule {
    Schedule::new(Duration::from_secs(10), T0, T0.plus(Duration::from_secs(240)))
}

fn events() -> Vec<Event> {
    vec![
        accepted(),
        Event::Rescheduled(schedule()),
        Event::Redeemed(tokens()),
        Event::Approved(identity()),
        Event::Denied,
        Event::Expired,
        Event::ResultLost,
        Event::Failed(FailureReason::ProviderError),
        Event::Cancelled,
        Event::CodeTyped(code("ACDEF")),
        Event::HandedOver(ola()),
        Event::Erased,
        Event::LandedWithout(RedirectError::Denied),
    ]
}

fn ola() -> Holder {
    Holder { client: ClientId::new("desktop").unwrap(), agent: Some(AgentId::new("ola").unwrap()) }
}

fn new_session(mode: CodeMode) -> Session {
    Session::new(LoginId::from_random([7; 20]), terms(mode), T0)
}

fn after(mode: CodeMode, events: impl IntoIterator<Item = Event>) -> Session {
    events.into_iter().fold(new_session(mode), |session, event| session.apply(event, T0).unwrap())
}

fn states(mode: CodeMode) -> [Session; 5] {
    [
        new_session(mode),
        after(mode, [accepted()]),
        after(mode, [accepted(), Event::Redeemed(tokens())]),
        // Without a code to wait for this one has ended.
        after(mode, [accepted(), Event::Redeemed(tokens()), Event::Approved(identity())]),
        after(mode, [accepted(), Event::Denied]),
    ]
}

/// What each event makes of each state, in the order of [`events`]; `-` is illegal.
#[test]
fn every_pair_of_state_and_event_is_decided() {
    let expected = [
        ("starting", ["pending", "-", "-", "-", "-", "-", "-", "ended", "ended", "starting", "starting", "ended", "-"]),
        (
            "pending",
            [
                "-", "pending", "redeemed", "-", "ended", "ended", "ended", "ended", "ended", "pending", "pending",
                "ended", "-",
            ],
        ),
        (
            "redeemed",
            ["-", "-", "-", "awaiting_code", "-", "-", "-", "ended", "ended", "redeemed", "redeemed", "ended", "-"],
        ),
        (
            "awaiting_code",
            ["-", "-", "-", "-", "-", "-", "-", "ended", "ended", "ended", "awaiting_code", "ended", "-"],
        ),
        ("ended", ["-", "-", "-", "-", "-", "-", "-", "-", "-", "-", "-", "ended", "-"]),
    ];
    for (session, (name, row)) in states(CodeMode::ReadBack).into_iter().zip(expected) {
        assert_eq!(session.state.name(), name);
        for (event, expected) in events().into_iter().zip(row) {
            let event_name = event.name();
            let next = session.clone().apply(event, T0);
            let next = next.as_ref().map_or("-", |next| next.state.name());
            assert_eq!(next, expected, "{event_name} in {name}");
        }
    }
}

#[test]
fn a_login_without_read_back_ends_with_the_approval_and_takes_no_code() {
    for mode in [CodeMode::ReadOut, CodeMode::Display] {
        let [starting, pending, redeemed, approved, _] = states(mode);
        assert!(matches!(
            &approved.state,
            State::Ended(Ended { outcome: Outcome::Approved { identity: Some(_) }, .. })
        ));
        for session in [starting, pending, redeemed] {
            assert!(session.apply(Event::CodeTyped(code("ACDEF")), T0).is_err());
        }
    }
}

#[test]
fn a_code_typed_before_the_approval_lets_the_approval_end_the_login() {
    let typed = Event::CodeTyped(code("acd ef"));
    let session =
        after(CodeMode::ReadBack, [accepted(), typed, Event::Redeemed(tokens()), Event::Approved(identity())]);
    assert!(matches!(session.state, State::Ended(Ended { outcome: Outcome::Approved { identity: Some(_) }, .. })));
}

/// Whatever was done with the code, and whether or not it was typed by then.
#[test]
fn an_identity_without_a_required_claim_is_never_approved() {
    let typed = Event::CodeTyped(code("ACDEF"));
    let cases = [(CodeMode::ReadBack, Some(typed)), (CodeMode::ReadBack, None), (CodeMode::Display, None)];
    for (mode, typed) in cases {
        let terms = Terms { required_claims: [Claim::Name].into(), ..terms(mode) };
        let events = [accepted()].into_iter().chain(typed).chain([Event::Redeemed(tokens())]);
        let redeemed = events.fold(Session::new(LoginId::from_random([7; 20]), terms, T0), |session, event| {
            session.apply(event, T0).unwrap()
        });
        let without = redeemed.clone().apply(Event::Approved(identity()), T0).unwrap();
        assert_eq!(outcome(&without), Outcome::Failed(FailureReason::ClaimMissing));
        let named = Identity::from_userinfo(br#"{"sub":"4f3c","name":"Ada"}"#).unwrap();
        let with = redeemed.apply(Event::Approved(Box::new(named)), T0).unwrap();
        assert_ne!(with.state.name(), "redeemed");
        assert!(!matches!(with.state, State::Ended(Ended { outcome: Outcome::Failed(_), .. })));
    }
}

fn on_a_page(mode: CodeMode) -> Session {
    let page = RedirectUri::new("https://shop.example/landing").unwrap();
    let terms = Terms { finish: Finish::Redirect(page), ..terms(mode) };
    Session::new(LoginId::from_random([7; 20]), terms, T0).apply(accepted(), T0).unwrap()
}

#[test]
fn a_login_that_ends_on_a_page_is_never_polled() {
    let session = on_a_page(CodeMode::Display);
    let State::Pending(pending) = &session.state else { panic!("not pending") };
    // What a replica of an older version goes by, too.
    assert!(pending.schedule.is_finished());
    let deadline = T0.plus(Duration::from_secs(300)).plus(EXPIRY_GRACE);
    assert_eq!(session.deadline(), Some(deadline));
    assert_eq!(outcome(&session.overdue(deadline).unwrap()), Outcome::Expired);
    assert_eq!(session.landing_handle(), AuthReqId::new("handle").as_ref());
    assert_eq!(states(CodeMode::Display)[1].landing_handle(), None, "it ends in the app");
}

#[test]
fn only_a_login_that_waits_for_a_landing_ends_by_one_without_a_code() {
    use RedirectError::{AppTooOld, Denied, LoginRequired, Server, Unexplained, Unknown, UriRefused, WrongChallenge};
    let failed = Outcome::Failed;
    for (error, expected) in [
        (Denied, Outcome::Denied),
        (AppTooOld, failed(FailureReason::AppTooOld)),
        (UriRefused, failed(FailureReason::RequestRefused)),
        (Server, failed(FailureReason::ProviderError)),
        (LoginRequired, failed(FailureReason::ProviderError)),
        (WrongChallenge, failed(FailureReason::ProviderError)),
        (Unexplained, failed(FailureReason::ProviderError)),
        (Unknown, failed(FailureReason::ProviderError)),
    ] {
        let session = on_a_page(CodeMode::ReadBack);
        let landed = session.clone().apply(Event::LandedWithout(error), T0).unwrap();
        assert_eq!(outcome(&landed), expected);
        // Nor may anybody take a yes back by it.
        let approved = session.apply(Event::Redeemed(tokens()), T0).unwrap();
        assert!(approved.clone().apply(Event::LandedWithout(error), T0).is_err());
        let awaiting = approved.apply(Event::Approved(identity()), T0).unwrap();
        assert!(awaiting.apply(Event::LandedWithout(error), T0).is_err());
    }
}

#[test]
fn the_third_wrong_code_ends_the_login_whether_approved_or_not() {
    for approved in [false, true] {
        let mut session = states(CodeMode::ReadBack)[if approved { 3 } else { 1 }].clone();
        for wrong in ["QQQQQ", "WWWWW"] {
            session = session.apply(Event::CodeTyped(code(wrong)), T0).unwrap();
            assert!(!session.has_ended());
        }
        session = session.apply(Event::CodeTyped(code("EEEEE")), T0).unwrap();
        let Outcome::Failed(reason) = outcome(&session) else { panic!("not failed") };
        assert_eq!(reason, FailureReason::CodeMismatch);
    }
}

#[test]
fn the_same_wrong_code_again_is_not_another_try() {
    let mut session = states(CodeMode::ReadBack)[1].clone();
    for _ in 0..10 {
        session = session.apply(Event::CodeTyped(code("QQQQQ")), T0).unwrap();
    }
    assert!(matches!(session.code_check(), Some(CodeCheck::Open { tries: 1, .. })));
}

/// SR18: 600 s at most, and never longer than the caller asked.
#[test]
fn the_provider_cannot_make_a_login_last_longer_than_was_asked() {
    for (lifetime, expires_in, expected) in [(600, 900, 600), (120, 600, 120), (300, 60, 60)] {
        let terms = Terms { lifetime: Duration::from_secs(lifetime), ..terms(CodeMode::Display) };
        let session = Session::new(LoginId::from_random([7; 20]), terms, T0);
        let Event::Accepted { mut accepted, sent_at } = accepted() else { unreachable!() };
        accepted.expires_in = Duration::from_secs(expires_in);
        let session = session.apply(Event::Accepted { accepted, sent_at }, T0).unwrap();
        assert_eq!(session.deadline(), Some(T0.plus(Duration::from_secs(expected)).plus(EXPIRY_GRACE)));
    }
}

#[test]
fn in_read_back_mode_the_last_minute_is_left_for_the_code() {
    assert_eq!(terms(CodeMode::ReadBack).requested_expiry(), Duration::from_secs(240));
    assert_eq!(terms(CodeMode::Display).requested_expiry(), Duration::from_secs(300));
}

/// They come once, and are not given up for an outage of half a minute.
#[test]
fn a_login_that_asks_for_consents_waits_longer_for_them() {
    for (claim, limit) in [
        (Claim::Email, REDEEM_LIMIT),
        (Claim::Agreement, REDEEM_LIMIT),
        (Claim::DelegatedConsents, REDEEM_LIMIT_WITH_CONSENTS),
        (Claim::CustomFlow, REDEEM_LIMIT_WITH_CONSENTS),
    ] {
        let terms = Terms { claims: [Claim::Name, claim].into(), ..terms(CodeMode::Display) };
        assert_eq!(terms.redeem_limit(), limit, "{}", claim.name());
    }
}

#[test]
fn each_live_state_has_its_own_end_by_the_clock() {
    let expected = [
        Some((START_LIMIT, Outcome::Failed(FailureReason::StartUnknown))),
        Some((Duration::from_secs(245), Outcome::Expired)),
        Some((REDEEM_LIMIT, Outcome::Failed(FailureReason::ProviderUnavailable))),
        Some((CODE_LIMIT, Outcome::Failed(FailureReason::CodeNotConfirmed))),
        None,
    ];
    for (session, expected) in states(CodeMode::ReadBack).into_iter().zip(expected) {
        let Some((limit, expected)) = expected else {
            assert_eq!(session.overdue(T0.plus(Duration::from_secs(100_000))), None);
            continue;
        };
        let deadline = T0.plus(limit);
        assert_eq!(session.deadline(), Some(deadline));
        assert_eq!(session.overdue(deadline.minus(Duration::from_millis(1))), None);
        let ended = session.overdue(deadline.plus(Duration::from_secs(9))).unwrap();
        assert_eq!(outcome(&ended), expected);
        let State::Ended(Ended { at, .. }) = ended.state else { panic!("not ended") };
        assert_eq!(at, deadline, "it ended when its time was up, not when somebody looked");
    }
}

#[test]
fn erasing_removes_the_identity_and_keeps_the_outcome() {
    let approved = states(CodeMode::Display)[3].clone();
    let erased = approved.apply(Event::Erased, T0).unwrap();
    assert_eq!(outcome(&erased), Outcome::Approved { identity: None });
}

#[test]
fn who_has_a_login_is_whom_it_was_handed_to_last() {
    let session = states(CodeMode::ReadBack)[1].clone();
    let kari = session.terms.agent.clone();
    assert!(session.terms.is_held_by(&session.terms.client, kari.as_ref()));
    let handed = session.clone().apply(Event::HandedOver(ola()), T0).unwrap();
    assert!(handed.terms.is_held_by(&ola().client, ola().agent.as_ref()));
    assert!(!handed.terms.is_held_by(&ola().client, kari.as_ref()));
    assert_eq!((handed.terms.times_handed_over(), &handed.terms.agent), (1, &kari));
    assert_eq!(handed.state, session.state, "what was typed stays typed");
    assert_eq!(handed.clone().apply(Event::HandedOver(ola()), T0).unwrap(), handed, "again is harmless");
}

#[test]
fn an_identity_is_handed_over_while_it_is_there() {
    let approved = states(CodeMode::Display)[3].clone();
    let handed = approved.apply(Event::HandedOver(ola()), T0).unwrap();
    assert!(matches!(outcome(&handed), Outcome::Approved { identity: Some(_) }));
    let erased = handed.apply(Event::Erased, T0).unwrap();
    assert!(erased.apply(Event::HandedOver(ola()), T0).is_err());
}

#[test]
fn a_session_prints_without_number_code_token_or_person() {
    for session in states(CodeMode::ReadBack).into_iter().chain(states(CodeMode::Display)) {
        let printed = format!("{session:?}");
        for secret in ["4790000001", "ACDEF", "access", "\"id\"", "4f3c", "handle"] {
            assert!(!printed.contains(secret), "{secret} in {printed}");
        }
    }
}

fn outcome(session: &Session) -> Outcome {
    match &session.state {
        State::Ended(ended) => ended.outcome.clone(),
        _ => panic!("the login has not ended"),
    }
}

fn any_event() -> impl Strategy<Value = Event> {
    let wrong = prop::sample::select(vec!["QQQQQ", "WWWWW", "EEEEE", "ACDEF"]).prop_map(|c| Event::CodeTyped(code(c)));
    prop_oneof![prop::sample::select(events()), wrong]
}

proptest! {
    /// The first terminal outcome wins, whatever is tried afterwards.
    #[test]
    fn no_order_of_events_changes_an_outcome(events in prop::collection::vec(any_event(), 0..40)) {
        let mut session = new_session(CodeMode::ReadBack);
        let mut first: Option<&'static str> = None;
        for (step, event) in events.into_iter().enumerate() {
            let now = T0.plus(Duration::from_secs(step as u64));
            session = session.clone().apply(event, now).unwrap_or(session);
            if let State::Ended(ended) = &session.state {
                prop_assert_eq!(*first.get_or_insert(ended.outcome.name()), ended.outcome.name());
            }
        }
    }

    /// Nobody is approved in read-back mode without the right code.
    #[test]
    fn no_order_of_events_approves_without_the_code(
        events in prop::collection::vec(any_event().prop_filter("not the code", |e| *e != Event::CodeTyped(code("ACDEF"))), 0..40)
    ) {
        let mut session = new_session(CodeMode::ReadBack);
        for event in events {
            session = session.clone().apply(event, T0).unwrap_or(session);
            let approved = matches!(&session.state, State::Ended(Ended { outcome: Outcome::Approved { .. }, .. }));
            prop_assert!(!approved);
        }
    }
}
