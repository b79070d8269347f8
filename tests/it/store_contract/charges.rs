//! How often a number may be rung, and how much others may start.

use std::sync::Arc;
use std::time::Duration;

use ciba_gateway::ciba::{Accepted, AuthReqId};
use ciba_gateway::session::{AgentId, ClientId, Event, TerminalId};
use ciba_gateway::store::{
    Asker, Charge, Counted, Counter, DENIAL_RETENTION, Limit, Question, Record, Reservation, Reserved, Saved,
    SessionStore,
};
use ciba_gateway::timestamp::Timestamp;

use crate::support::reservations::{
    NOW, accepted, after, charged, identity, limit, login_id, number, redeemed, reservation_at, secs,
};
use crate::support::stores::{WINDOW, advance, refusal, reserve};

for_both_stores!(
    starts_beyond_the_limit_are_refused,
    a_start_leaves_the_window,
    the_strictest_of_several_limits_holds,
    a_limit_of_none_refuses_all,
    a_request_id_is_charged_once,
    a_refund_gives_the_charge_back,
    without_a_refund_the_charge_stays,
    a_refused_start_is_not_charged,
    each_counter_counts_its_own,
    of_different_numbers_each_counts_once,
    a_login_without_an_agent_is_not_counted_by_agent,
    an_approval_sets_the_count_for_its_number_back,
    who_has_said_no_is_left_alone,
    each_denial_doubles_the_pause,
    an_approval_ends_the_pauses,
    who_writes_a_no_learns_how_many_there_were,
    a_question_is_counted_as_a_start_is,
    who_has_said_no_is_not_asked_about,
);

async fn starts_beyond_the_limit_are_refused(store: &dyn SessionStore) {
    ring_once(store, 1, NOW, limit(2, 600)).await;
    ring_once(store, 2, NOW.plus(secs(10)), limit(2, 600)).await;
    let third = start(3, NOW.plus(secs(20)), limit(2, 600));
    assert_eq!(
        refusal(store, &third).await,
        Reserved::LimitReached { counter: Counter::Number, retry_after: secs(580) }
    );
}

async fn a_start_leaves_the_window(store: &dyn SessionStore) {
    ring_once(store, 1, NOW, limit(1, 600)).await;
    let too_early = start(2, NOW.plus(secs(600)).minus(Duration::from_millis(1)), limit(1, 600));
    let wait = Duration::from_millis(1);
    assert_eq!(
        refusal(store, &too_early).await,
        Reserved::LimitReached { counter: Counter::Number, retry_after: wait }
    );
    ring_once(store, 2, NOW.plus(secs(600)), limit(1, 600)).await;
}

async fn the_strictest_of_several_limits_holds(store: &dyn SessionStore) {
    let both = [limit(1, 60), limit(2, 3600)];
    ring_once_within(store, 1, NOW, &both).await;
    let early = within(start(2, NOW.plus(secs(30)), both[0]), &both);
    assert_eq!(
        refusal(store, &early).await,
        Reserved::LimitReached { counter: Counter::Number, retry_after: secs(30) }
    );
    ring_once_within(store, 2, NOW.plus(secs(60)), &both).await;
    let third = within(start(3, NOW.plus(secs(130)), both[0]), &both);
    assert_eq!(
        refusal(store, &third).await,
        Reserved::LimitReached { counter: Counter::Number, retry_after: secs(3470) }
    );
}

async fn a_limit_of_none_refuses_all(store: &dyn SessionStore) {
    let first = start(1, NOW, limit(0, 600));
    assert_eq!(
        refusal(store, &first).await,
        Reserved::LimitReached { counter: Counter::Number, retry_after: secs(600) }
    );
}

async fn a_request_id_is_charged_once(store: &dyn SessionStore) {
    let record = reserve(store, &start(1, NOW, limit(2, 600))).await;
    reserve(store, &start(1, NOW, limit(2, 600))).await;
    store.release(&record, false).await.expect("the store answers");

    let mut again = start(1, NOW.plus(secs(1)), limit(2, 600));
    again.session.id = login_id(9);
    let record = reserve(store, &again).await;
    advance(store, &record, Event::Cancelled, NOW.plus(secs(1))).await;
    ring_once(store, 2, NOW.plus(secs(2)), limit(2, 600)).await;
}

async fn a_refund_gives_the_charge_back(store: &dyn SessionStore) {
    let record = reserve(store, &start(1, NOW, limit(1, 600))).await;
    store.release(&record, true).await.expect("the store answers");
    ring_once(store, 2, NOW, limit(1, 600)).await;
}

async fn without_a_refund_the_charge_stays(store: &dyn SessionStore) {
    let record = reserve(store, &start(1, NOW, limit(1, 600))).await;
    store.release(&record, false).await.expect("the store answers");
    let next = start(2, NOW, limit(1, 600));
    assert_eq!(
        refusal(store, &next).await,
        Reserved::LimitReached { counter: Counter::Number, retry_after: secs(600) }
    );
}

async fn a_refused_start_is_not_charged(store: &dyn SessionStore) {
    let live = reserve(store, &start(1, NOW, limit(2, 600))).await;
    assert_eq!(refusal(store, &start(2, NOW, limit(2, 600))).await, Reserved::NumberBusy(live.session.id.clone()));
    advance(store, &live, Event::Cancelled, NOW).await;
    ring_once(store, 3, NOW, limit(2, 600)).await;
}

/// A start of its own that rings number 1.
fn start(seed: u8, now: Timestamp, limit: Limit) -> Reservation {
    let mut reservation = reservation_at(seed, now);
    Arc::make_mut(&mut reservation.session.terms).person = number(1).into();
    charged(reservation, limit)
}

fn within(reservation: Reservation, limits: &[Limit]) -> Reservation {
    let charge = Charge { counter: Counter::Number, limits: limits.to_vec() };
    Reservation { charges: vec![charge], ..reservation }
}

/// Rings number 1 and ends the login at once.
async fn ring_once(store: &dyn SessionStore, seed: u8, now: Timestamp, limit: Limit) {
    ring_once_within(store, seed, now, &[limit]).await;
}

async fn ring_once_within(store: &dyn SessionStore, seed: u8, now: Timestamp, limits: &[Limit]) {
    let record = reserve(store, &within(start(seed, now, limits[0]), limits)).await;
    advance(store, &record, Event::Cancelled, now).await;
}

/// A start by that agent at that till, for the number of its seed, that counts by `counter`.
fn start_by(seed: u8, agent: &str, counter: Counter, limit: Limit) -> Reservation {
    let mut reservation = reservation_at(seed, NOW.plus(secs(seed.into())));
    let terms = Arc::make_mut(&mut reservation.session.terms);
    terms.agent = Some(AgentId::new(agent).expect("an agent"));
    terms.terminal = Some(TerminalId::new(agent).expect("a terminal"));
    terms.client = ClientId::new(agent).expect("a client");
    Reservation { charges: vec![Charge { counter, limits: vec![limit] }], ..reservation }
}

/// SR8: an agent, a terminal and a client have budgets of their own; a tenant has
/// one for all.
async fn each_counter_counts_its_own(store: &dyn SessionStore) {
    let counters = [Counter::Agent, Counter::AgentNumbers, Counter::Terminal, Counter::Client, Counter::Tenant];
    for (counter, first) in counters.into_iter().zip([1, 5, 9, 13, 17]) {
        // Starts of the rounds before have left a window this narrow.
        let limit = limit(2, 4);
        reserve(store, &start_by(first, "ola", counter, limit)).await;
        reserve(store, &start_by(first + 1, "ola", counter, limit)).await;
        let refused = refusal(store, &start_by(first + 2, "ola", counter, limit)).await;
        assert_eq!(refused, Reserved::LimitReached { counter, retry_after: secs(2) });
        let other = store.reserve(&start_by(first + 2, "kari", counter, limit)).await.expect("the store answers");
        assert_eq!(matches!(other, Reserved::New(_)), counter != Counter::Tenant, "{counter:?}: {other:?}");
    }
}

/// SR8: whoever helps one person again and again sweeps no numbers.
async fn of_different_numbers_each_counts_once(store: &dyn SessionStore) {
    let by_agent = |seed: u8, number_of: u8| {
        let mut reservation = start_by(seed, "ola", Counter::AgentNumbers, limit(2, 3600));
        Arc::make_mut(&mut reservation.session.terms).person = number(number_of).into();
        reservation
    };
    for (seed, number_of) in [(1, 1), (2, 2), (3, 1), (4, 2), (5, 1)] {
        let record = reserve(store, &by_agent(seed, number_of)).await;
        advance(store, &record, Event::Cancelled, record.session.terms.created_at).await;
    }
    let third = refusal(store, &by_agent(6, 3)).await;
    let retry_after = secs(3600 - 2);
    assert_eq!(third, Reserved::LimitReached { counter: Counter::AgentNumbers, retry_after }, "4 s was number 2 again");
}

async fn a_login_without_an_agent_is_not_counted_by_agent(store: &dyn SessionStore) {
    for seed in [1, 2] {
        let charges = vec![Charge { counter: Counter::Agent, limits: vec![limit(1, 600)] }];
        reserve(store, &Reservation { charges, ..reservation_at(seed, NOW) }).await;
    }
}

/// SR7: reset only by a success.
async fn an_approval_sets_the_count_for_its_number_back(store: &dyn SessionStore) {
    let limit = limit(1, 600);
    let mut record = reserve(store, &start(1, NOW, limit)).await;
    for event in approval(&record) {
        record = advance(store, &record, event, NOW).await;
    }
    ring_once(store, 2, NOW.plus(secs(1)), limit).await;
    let third = refusal(store, &start(3, NOW.plus(secs(2)), limit)).await;
    assert!(matches!(third, Reserved::LimitReached { counter: Counter::Number, .. }), "{third:?}");
}

fn approval(record: &Record) -> [Event; 4] {
    let code = record.session.terms.code.clone();
    [accepted(), redeemed(), Event::CodeTyped(code), Event::Approved(identity())]
}

/// Number 1 says no at `now`; how often it then has, by whoever writes it down and
/// by whoever does so again because the answer was lost.
async fn say_no(store: &dyn SessionStore, seed: u8, now: Timestamp) -> [u32; 2] {
    let record = reserve(store, &start(seed, now, limit(9, 600))).await;
    let accepted = Event::Accepted {
        accepted: Accepted {
            auth_req_id: AuthReqId::new("a-handle").expect("a handle"),
            expires_in: secs(240),
            interval: secs(5),
        },
        sent_at: now,
    };
    let pending = advance(store, &record, accepted, now).await;
    let denied = after(&pending, Event::Denied, now);
    let mut counts = [0; 2];
    for count in &mut counts {
        match store.save(&denied, now, WINDOW).await.expect("the store answers") {
            Saved::Written { denials, .. } => *count = denials,
            other => panic!("expected a write, got {other:?}"),
        }
    }
    counts
}

async fn pause(store: &dyn SessionStore, now: Timestamp) -> Reserved {
    refusal(store, &start(27, now, limit(9, 600))).await
}

/// SR9
async fn who_has_said_no_is_left_alone(store: &dyn SessionStore) {
    say_no(store, 1, NOW).await;
    let at_the_end = NOW.plus(secs(299));
    assert_eq!(pause(store, at_the_end).await, Reserved::CoolingDown { retry_after: secs(1) });
    reserve(store, &start(2, NOW.plus(secs(300)), limit(9, 600))).await;
}

/// SR9
async fn each_denial_doubles_the_pause(store: &dyn SessionStore) {
    say_no(store, 1, NOW).await;
    let second = NOW.plus(secs(300));
    say_no(store, 2, second).await;
    assert_eq!(pause(store, second).await, Reserved::CoolingDown { retry_after: secs(600) });
    let third = second.plus(secs(600));
    say_no(store, 3, third).await;
    assert_eq!(pause(store, third).await, Reserved::CoolingDown { retry_after: secs(1200) });
    let long_after = third.plus(secs(86_400));
    say_no(store, 4, long_after).await;
    assert_eq!(pause(store, long_after).await, Reserved::CoolingDown { retry_after: secs(300) });
}

async fn an_approval_ends_the_pauses(store: &dyn SessionStore) {
    say_no(store, 1, NOW).await;
    let later = NOW.plus(secs(300));
    let mut record = reserve(store, &start(2, later, limit(9, 600))).await;
    for event in approval(&record) {
        record = advance(store, &record, event, later).await;
    }
    say_no(store, 3, later).await;
    assert_eq!(pause(store, later).await, Reserved::CoolingDown { retry_after: secs(300) }, "as after the first");
}

/// SR44
async fn who_writes_a_no_learns_how_many_there_were(store: &dyn SessionStore) {
    assert_eq!(say_no(store, 1, NOW).await, [1, 1]);
    let second = NOW.plus(secs(300));
    assert_eq!(say_no(store, 2, second).await, [2, 2]);
    let forgotten = second.plus(DENIAL_RETENTION);
    assert_eq!(say_no(store, 3, forgotten).await, [1, 1]);
    let login = reserve(store, &start(4, forgotten.plus(secs(300)), limit(9, 600))).await;
    let cancelled = after(&login, Event::Cancelled, forgotten.plus(secs(300)));
    let saved = store.save(&cancelled, forgotten.plus(secs(300)), WINDOW).await.expect("the store answers");
    assert!(matches!(saved, Saved::Written { denials: 0, .. }), "{saved:?}");
}

async fn ask(store: &dyn SessionStore, seed: u8, now: Timestamp, limit: Limit) -> Counted {
    let reservation = start(seed, now, limit);
    let asker = Asker::from(&*reservation.session.terms);
    let Reservation { charges, cool_down, .. } = &reservation;
    let question = Question { asker, charges, cool_down: *cool_down, now };
    store.count(&question).await.expect("the store answers")
}

/// SR8
async fn a_question_is_counted_as_a_start_is(store: &dyn SessionStore) {
    assert_eq!(ask(store, 1, NOW, limit(2, 600)).await, Counted::Counted);
    ring_once(store, 2, NOW.plus(secs(10)), limit(2, 600)).await;
    let reached = Counted::LimitReached { counter: Counter::Number, retry_after: secs(580) };
    assert_eq!(ask(store, 3, NOW.plus(secs(20)), limit(2, 600)).await, reached);
    let third = start(4, NOW.plus(secs(20)), limit(2, 600));
    let refused = Reserved::LimitReached { counter: Counter::Number, retry_after: secs(580) };
    assert_eq!(refusal(store, &third).await, refused);
    assert_eq!(ask(store, 5, NOW.plus(secs(600)), limit(2, 600)).await, Counted::Counted);
}

/// SR9
async fn who_has_said_no_is_not_asked_about(store: &dyn SessionStore) {
    say_no(store, 1, NOW).await;
    let cooling = Counted::CoolingDown { retry_after: secs(1) };
    assert_eq!(ask(store, 2, NOW.plus(secs(299)), limit(9, 600)).await, cooling);
    assert_eq!(ask(store, 3, NOW.plus(secs(300)), limit(9, 600)).await, Counted::Counted);
}
