//! Who has checked in, and which start may have them.

use std::sync::Arc;
use std::time::Duration;

use ciba_gateway::session::{CheckInId, CheckedIn, CustomerToken, Person, RequestId, TenantId, TerminalId, Terms};
use ciba_gateway::shop_qr::ShopQrId;
use ciba_gateway::store::check_ins::{CHECK_IN_LIFE, CHECK_INS_KEPT, CheckIn, Taken};
use ciba_gateway::store::{Admitted, Asker, Reserved, SessionStore, Wake};
use ciba_gateway::timestamp::Timestamp;

use crate::support::eventually::eventually;
use crate::support::reservations::{NOW, limit, reservation, secs, tenant};
use crate::support::stores::{Stage, load, reserve};

for_both_stores!(
    a_check_in_that_is_told_twice_is_one,
    who_waits_longest_comes_first_and_nobody_waits_after_its_time,
    a_check_in_starts_one_login,
    a_check_in_that_started_nothing_waits_again,
    what_is_over_is_told_from_what_never_was,
    the_oldest_make_way_when_too_many_wait,
    a_login_by_check_in_is_read_as_it_was_written,
    what_a_request_stands_for_is_found_before_it_is_reserved,
);

for_several_replicas!(other_replicas_hear_of_a_check_in_and_have_it,);

fn check_in(seed: u32, at: Timestamp) -> CheckIn {
    let till = TerminalId::new("till-4").expect("a till");
    let token = CustomerToken::new(format!("c3VzYW4rLz09{seed:06}+/==")).expect("a token");
    CheckIn { qr: ShopQrId::of(&tenant("acme"), &till, None), token, at }
}

fn asker<'a>(tenant: &'a TenantId, terms: &'a Terms, request_id: &'a RequestId) -> Asker<'a> {
    Asker { tenant, client: &terms.client, request_id, person: None, agent: None, terminal: None }
}

async fn keep(store: &dyn SessionStore, check_in: &CheckIn, now: Timestamp) -> CheckInId {
    store.keep_check_in(&tenant("acme"), check_in, now).await.expect("the store answers")
}

async fn waiting(store: &dyn SessionStore, now: Timestamp) -> Vec<CheckInId> {
    let waiting = store.check_ins(&tenant("acme"), now).await.expect("the store answers");
    waiting.into_iter().map(|waiting| waiting.id).collect()
}

async fn take(store: &dyn SessionStore, tenant_name: &str, request: &str, id: &CheckInId, now: Timestamp) -> Taken {
    let (tenant, terms) = (tenant(tenant_name), reservation(1).session.terms);
    let request = RequestId::new(request).expect("a request id");
    store.take_check_in(asker(&tenant, &terms, &request), id, now).await.expect("the store answers")
}

async fn a_check_in_that_is_told_twice_is_one(store: &dyn SessionStore) {
    let first = keep(store, &check_in(1, NOW), NOW).await;
    assert_eq!(keep(store, &check_in(1, NOW), NOW.plus(secs(5))).await, first);
    assert_ne!(keep(store, &check_in(2, NOW.plus(secs(1))), NOW.plus(secs(1))).await, first);
    assert_eq!(waiting(store, NOW.plus(secs(5))).await.len(), 2);
    // Told again after it was used, it is used still.
    take(store, "acme", "one", &first, NOW).await;
    keep(store, &check_in(1, NOW), NOW.plus(secs(6))).await;
    assert_eq!(waiting(store, NOW.plus(secs(6))).await.len(), 1);
}

async fn who_waits_longest_comes_first_and_nobody_waits_after_its_time(store: &dyn SessionStore) {
    let later = keep(store, &check_in(1, NOW.plus(secs(10))), NOW.plus(secs(10))).await;
    let earlier = keep(store, &check_in(2, NOW), NOW.plus(secs(11))).await;
    assert_eq!(waiting(store, NOW.plus(secs(11))).await, [earlier, later.clone()]);
    assert_eq!(waiting(store, NOW.plus(CHECK_IN_LIFE)).await, [later]);
    assert_eq!(waiting(store, NOW.plus(CHECK_IN_LIFE + secs(10))).await, []);
    let others = store.check_ins(&tenant("other"), NOW).await.expect("the store answers");
    assert_eq!(others, []);
}

async fn a_check_in_starts_one_login(store: &dyn SessionStore) {
    let check_in = check_in(1, NOW);
    let id = keep(store, &check_in, NOW).await;
    let taken = Taken::Token(check_in.token.clone());
    assert_eq!(take(store, "other", "one", &id, NOW).await, Taken::Unknown);
    assert_eq!(take(store, "acme", "one", &id, NOW).await, taken);
    assert_eq!(waiting(store, NOW).await, []);
    assert_eq!(take(store, "acme", "two", &id, NOW).await, Taken::Used);
    // The same start, repeated because its answer was lost.
    assert_eq!(take(store, "acme", "one", &id, NOW.plus(CHECK_IN_LIFE)).await, taken);
}

async fn a_check_in_that_started_nothing_waits_again(store: &dyn SessionStore) {
    let id = keep(store, &check_in(1, NOW), NOW).await;
    take(store, "acme", "one", &id, NOW).await;
    let (tenant, terms) = (tenant("acme"), reservation(1).session.terms);
    for (request, waits) in [("two", 0), ("one", 1)] {
        let request = RequestId::new(request).expect("a request id");
        store.put_check_in_back(asker(&tenant, &terms, &request), &id, NOW).await.expect("the store answers");
        assert_eq!(waiting(store, NOW).await.len(), waits);
    }
    assert!(matches!(take(store, "acme", "two", &id, NOW).await, Taken::Token(_)));
}

async fn what_is_over_is_told_from_what_never_was(store: &dyn SessionStore) {
    let id = keep(store, &check_in(1, NOW), NOW).await;
    assert_eq!(take(store, "acme", "one", &id, NOW.plus(CHECK_IN_LIFE)).await, Taken::Expired);
    let unknown = CheckInId::parse("AAAAAAAAAAAAAAAAAAAAAA").expect("an id");
    assert_eq!(take(store, "acme", "one", &unknown, NOW).await, Taken::Unknown);
}

async fn the_oldest_make_way_when_too_many_wait(store: &dyn SessionStore) {
    let kept = u32::try_from(CHECK_INS_KEPT).expect("a number");
    let mut first = None;
    for seed in 0..=kept {
        let at = NOW.plus(Duration::from_millis(seed.into()));
        let id = keep(store, &check_in(seed, at), at).await;
        first.get_or_insert(id);
    }
    let now = NOW.plus(secs(10));
    let waiting = waiting(store, now).await;
    let first = first.expect("the first");
    assert_eq!((waiting.len(), waiting.contains(&first)), (CHECK_INS_KEPT, false));
    assert_eq!(take(store, "acme", "one", &first, now).await, Taken::Unknown);
}

/// Guards by number do not know it.
async fn a_login_by_check_in_is_read_as_it_was_written(store: &dyn SessionStore) {
    let check_in = check_in(1, NOW);
    let id = keep(store, &check_in, NOW).await;
    let mut asked = reservation(1);
    let person = Person::CheckIn(CheckedIn { id, token: check_in.token });
    Arc::make_mut(&mut asked.session.terms).person = person.clone();
    for _ in 0..2 {
        let admitted = store.admit((&*asked.session.terms).into(), limit(1, 60), NOW).await;
        assert_eq!(admitted.expect("the store answers"), Admitted::Before);
    }
    let record = reserve(store, &asked).await;
    assert_eq!(load(store, &record, NOW).await.expect("a login").session.terms.person, person);
    // While it lives no other login has this check-in.
    let mut again = reservation(2);
    Arc::make_mut(&mut again.session.terms).person = person;
    let busy = store.reserve(&again).await.expect("the store answers");
    assert_eq!(busy, Reserved::NumberBusy(record.session.id));
}

async fn what_a_request_stands_for_is_found_before_it_is_reserved(store: &dyn SessionStore) {
    let asked = reservation(1);
    let terms = &asked.session.terms;
    let before = async |content: &[u8; 32], now| {
        store.started_before(Asker::from(&**terms), content, now).await.expect("the store answers")
    };
    assert_eq!(before(&terms.content, NOW).await, None);
    let record = reserve(store, &asked).await;
    assert_eq!(before(&terms.content, NOW).await, Some(Reserved::Existing(record.session.id)));
    assert_eq!(before(&[9; 32], NOW).await, Some(Reserved::RequestIdReused));
    assert_eq!(before(&terms.content, NOW.plus(secs(86_401))).await, None);
}

async fn other_replicas_hear_of_a_check_in_and_have_it(stage: &Stage) {
    let (here, there) = (Arc::clone(&stage.store), stage.replica());
    let mut wakes = there.wakes();
    let heard = Wake::CheckedIn { tenant: tenant("acme") };
    let mut seed = 0;
    // A subscription takes a moment.
    eventually("the other replica hears of it", async || {
        seed += 1;
        keep(&*here, &check_in(seed, NOW), NOW).await;
        tokio::time::sleep(Duration::from_millis(20)).await;
        std::iter::from_fn(|| wakes.try_recv().ok()).any(|wake| wake == heard).then_some(())
    })
    .await;
    assert!(!waiting(&*there, NOW).await.is_empty());
}
