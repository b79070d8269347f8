//! How a landing's request id finds its login.

use std::sync::Arc;

use ciba_gateway::ciba::AuthReqId;
use ciba_gateway::session::{Event, FailureReason, Finish, LoginId, RedirectUri, TenantId};
use ciba_gateway::store::{PutBack, Record, Reserved, Saved, SessionStore};

use crate::support::reservations::{
    AUTH_REQ_ID, NOW, accepted, after, identity, incarnation, login_id, redeemed, reservation, secs, tenant,
};

for_both_stores!(
    a_login_is_found_by_its_request_until_it_has_ended,
    a_login_that_ends_in_the_app_is_not_found,
    a_login_that_was_put_back_is_found,
    whoever_ends_it_frees_it,
);

async fn found(store: &dyn SessionStore, tenant: &TenantId) -> Option<LoginId> {
    let auth_req_id = AuthReqId::new(AUTH_REQ_ID).expect("a handle");
    store.login_of_request(tenant, &auth_req_id).await.expect("the store answers")
}

async fn saved(store: &dyn SessionStore, record: &Record) -> Record {
    match store.save(record, NOW, secs(120)).await.expect("the store answers") {
        Saved::Written { record, .. } => record,
        other => panic!("{other:?}"),
    }
}

async fn pending(store: &dyn SessionStore, seed: u8, on_a_page: bool) -> Record {
    let mut reservation = reservation(seed);
    if on_a_page {
        let page = RedirectUri::new("https://shop.example/landing").expect("a page");
        Arc::make_mut(&mut reservation.session.terms).finish = Finish::Redirect(page);
    }
    let reserved = store.reserve(&reservation).await.expect("the store answers");
    let Reserved::New(record) = reserved else { panic!("{reserved:?}") };
    saved(store, &after(&record, accepted(), NOW)).await
}

/// SR29
async fn a_login_is_found_by_its_request_until_it_has_ended(store: &dyn SessionStore) {
    let acme = tenant("acme");
    assert_eq!(found(store, &acme).await, None);
    let record = pending(store, 1, true).await;
    let read = store.load(&acme, &login_id(1), NOW).await.expect("the store answers").expect("a login");
    assert_eq!(read, record, "where it ends is kept with it");
    assert_eq!(found(store, &acme).await, Some(login_id(1)));
    assert_eq!(found(store, &tenant("other")).await, None);
    let stranger = AuthReqId::new("another-handle").expect("a handle");
    assert_eq!(store.login_of_request(&acme, &stranger).await.expect("the store answers"), None);
    let record = saved(store, &after(&record, redeemed(), NOW)).await;
    let record = saved(store, &after(&record, Event::Approved(identity()), NOW)).await;
    assert_eq!(found(store, &acme).await, Some(login_id(1)), "the code in the app is awaited");
    saved(store, &after(&record, Event::Cancelled, NOW)).await;
    assert_eq!(found(store, &acme).await, None);
}

async fn a_login_that_ends_in_the_app_is_not_found(store: &dyn SessionStore) {
    pending(store, 1, false).await;
    assert_eq!(found(store, &tenant("acme")).await, None);
}

async fn whoever_ends_it_frees_it(store: &dyn SessionStore) {
    let record = pending(store, 1, true).await;
    let (from, to) = (record.owner.clone(), incarnation("second-run"));
    let batch = store.adopt(&tenant("acme"), &from, &to, None, 10, NOW).await.expect("the store answers");
    assert_eq!(found(store, &tenant("acme")).await, Some(login_id(1)));
    saved(store, &after(&batch.records[0], Event::Failed(FailureReason::ProviderError), NOW)).await;
    assert_eq!(found(store, &tenant("acme")).await, None);
}

async fn a_login_that_was_put_back_is_found(store: &dyn SessionStore) {
    let record = pending(store, 1, true).await;
    let newer = Record { version: record.version + 5, ..record };
    let put = store.put_back(&newer, NOW, secs(120)).await.expect("the store answers");
    assert_eq!(put, PutBack::Written);
    assert_eq!(found(store, &tenant("acme")).await, Some(login_id(1)));
    let ended = after(&newer, Event::Cancelled, NOW);
    let ended = Record { version: newer.version + 1, ..ended };
    assert_eq!(store.put_back(&ended, NOW, secs(120)).await.expect("the store answers"), PutBack::Written);
    assert_eq!(found(store, &tenant("acme")).await, None);
}
