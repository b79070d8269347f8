//! How much all tenants together may start for one number.

use std::sync::Arc;

use ciba_gateway::session::Terms;
use ciba_gateway::store::{Admitted, SessionStore};
use ciba_gateway::timestamp::Timestamp;

use crate::support::reservations::{NOW, limit, number, reservation_at, secs, tenant};

for_both_stores!(
    starts_of_all_tenants_count_for_their_number,
    a_repetition_is_not_counted_again,
    what_is_given_back_may_be_started_by_others,
    while_the_provider_wants_a_pause_nobody_starts,
);

fn terms_of(tenant_name: &str, seed: u8) -> Terms {
    let mut reservation = reservation_at(seed, NOW);
    let terms = Arc::make_mut(&mut reservation.session.terms);
    (terms.tenant, terms.person) = (tenant(tenant_name), number(1).into());
    terms.clone()
}

async fn admit(store: &dyn SessionStore, terms: &Terms, now: Timestamp) -> Admitted {
    store.admit(terms.into(), limit(2, 3600), now).await.expect("the store answers")
}

/// SR8
async fn starts_of_all_tenants_count_for_their_number(store: &dyn SessionStore) {
    assert_eq!(admit(store, &terms_of("acme", 1), NOW).await, Admitted::Counted);
    assert_eq!(admit(store, &terms_of("other", 1), NOW.plus(secs(60))).await, Admitted::Counted);
    let third = terms_of("third", 1);
    let refused = Admitted::LimitReached { retry_after: secs(3480) };
    assert_eq!(admit(store, &third, NOW.plus(secs(120))).await, refused);
    let elsewhere = Terms { person: number(2).into(), ..third.clone() };
    assert_eq!(admit(store, &elsewhere, NOW.plus(secs(120))).await, Admitted::Counted);
    assert_eq!(admit(store, &third, NOW.plus(secs(3600))).await, Admitted::Counted);
}

async fn a_repetition_is_not_counted_again(store: &dyn SessionStore) {
    assert_eq!(admit(store, &terms_of("acme", 1), NOW).await, Admitted::Counted);
    assert_eq!(admit(store, &terms_of("acme", 1), NOW.plus(secs(1))).await, Admitted::Before);
    assert_eq!(admit(store, &terms_of("acme", 2), NOW.plus(secs(2))).await, Admitted::Counted);
}

async fn what_is_given_back_may_be_started_by_others(store: &dyn SessionStore) {
    let first = terms_of("acme", 1);
    admit(store, &first, NOW).await;
    admit(store, &terms_of("acme", 2), NOW).await;
    store.give_back((&first).into()).await.expect("the store answers");
    assert_eq!(admit(store, &terms_of("other", 3), NOW).await, Admitted::Counted);
}

async fn while_the_provider_wants_a_pause_nobody_starts(store: &dyn SessionStore) {
    let until = NOW.plus(secs(30));
    store.back_off(&number(1), until, NOW).await.expect("the store answers");
    let refused = Admitted::BackedOff { retry_after: secs(20) };
    assert_eq!(admit(store, &terms_of("acme", 1), NOW.plus(secs(10))).await, refused);
    assert_eq!(admit(store, &terms_of("other", 1), NOW.plus(secs(10))).await, refused);
    assert_eq!(admit(store, &terms_of("other", 1), until).await, Admitted::Counted);
}
