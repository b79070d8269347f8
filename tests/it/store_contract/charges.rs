//! How often a number may be rung.

use std::sync::Arc;
use std::time::Duration;

use ciba_gateway::session::Event;
use ciba_gateway::store::{Charge, Limit, Reservation, Reserved, SessionStore};
use ciba_gateway::timestamp::Timestamp;

use crate::support::reservations::{NOW, charged, limit, login_id, number, reservation_at, secs};
use crate::support::stores::{advance, refusal, reserve};

for_both_stores!(
    starts_beyond_the_limit_are_refused,
    a_start_leaves_the_window,
    the_strictest_of_several_limits_holds,
    a_limit_of_none_refuses_all,
    a_request_id_is_charged_once,
    a_refund_gives_the_charge_back,
    without_a_refund_the_charge_stays,
    a_refused_start_is_not_charged,
);

async fn starts_beyond_the_limit_are_refused(store: &dyn SessionStore) {
    ring_once(store, 1, NOW, limit(2, 600)).await;
    ring_once(store, 2, NOW.plus(secs(10)), limit(2, 600)).await;
    let third = start(3, NOW.plus(secs(20)), limit(2, 600));
    assert_eq!(refusal(store, &third).await, Reserved::LimitReached { retry_after: secs(580) });
}

async fn a_start_leaves_the_window(store: &dyn SessionStore) {
    ring_once(store, 1, NOW, limit(1, 600)).await;
    let too_early = start(2, NOW.plus(secs(600)).minus(Duration::from_millis(1)), limit(1, 600));
    let wait = Duration::from_millis(1);
    assert_eq!(refusal(store, &too_early).await, Reserved::LimitReached { retry_after: wait });
    ring_once(store, 2, NOW.plus(secs(600)), limit(1, 600)).await;
}

async fn the_strictest_of_several_limits_holds(store: &dyn SessionStore) {
    let both = [limit(1, 60), limit(2, 3600)];
    ring_once_within(store, 1, NOW, &both).await;
    let early = within(start(2, NOW.plus(secs(30)), both[0]), &both);
    assert_eq!(refusal(store, &early).await, Reserved::LimitReached { retry_after: secs(30) });
    ring_once_within(store, 2, NOW.plus(secs(60)), &both).await;
    let third = within(start(3, NOW.plus(secs(130)), both[0]), &both);
    assert_eq!(refusal(store, &third).await, Reserved::LimitReached { retry_after: secs(3470) });
}

async fn a_limit_of_none_refuses_all(store: &dyn SessionStore) {
    let first = start(1, NOW, limit(0, 600));
    assert_eq!(refusal(store, &first).await, Reserved::LimitReached { retry_after: secs(600) });
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
    assert_eq!(refusal(store, &next).await, Reserved::LimitReached { retry_after: secs(600) });
}

async fn a_refused_start_is_not_charged(store: &dyn SessionStore) {
    let live = reserve(store, &start(1, NOW, limit(2, 600))).await;
    assert_eq!(refusal(store, &start(2, NOW, limit(2, 600))).await, Reserved::NumberBusy);
    advance(store, &live, Event::Cancelled, NOW).await;
    ring_once(store, 3, NOW, limit(2, 600)).await;
}

/// A start of its own that rings number 1.
fn start(seed: u8, now: Timestamp, limit: Limit) -> Reservation {
    let mut reservation = reservation_at(seed, now);
    Arc::make_mut(&mut reservation.session.terms).phone = number(1);
    charged(reservation, limit)
}

fn within(reservation: Reservation, limits: &[Limit]) -> Reservation {
    let charges = limits.iter().map(|limit| Charge { number: number(1), limit: *limit }).collect();
    Reservation { charges, ..reservation }
}

/// Rings number 1 and ends the login at once.
async fn ring_once(store: &dyn SessionStore, seed: u8, now: Timestamp, limit: Limit) {
    ring_once_within(store, seed, now, &[limit]).await;
}

async fn ring_once_within(store: &dyn SessionStore, seed: u8, now: Timestamp, limits: &[Limit]) {
    let record = reserve(store, &within(start(seed, now, limits[0]), limits)).await;
    advance(store, &record, Event::Cancelled, now).await;
}
