//! Listing: newest first, page by page, whatever happens in between.

use std::ops::Range;

use ciba_gateway::grpc::v1;
use ciba_gateway::grpc::v1::ListLoginsRequest;

use crate::support::client::{Client, at_the_box, at_the_till};
use crate::support::stage::{Stage, pass, secs};

async fn start_many(desk: &Client, which: Range<u32>) -> Vec<String> {
    let mut ids = Vec::new();
    for i in which {
        ids.push(desk.start(at_the_till(&format!("r-{i}"), &format!("+479123{i:04}"))).await.login_id);
    }
    ids
}

async fn page(desk: &Client, request: ListLoginsRequest) -> (Vec<String>, String) {
    let page = desk.try_list(request).await.expect("a page");
    (page.logins.into_iter().map(|login| login.login_id).collect(), page.next_page_token)
}

/// Logins of the same millisecond keep their order from page to page.
#[tokio::test(start_paused = true)]
async fn pages_hold_each_login_once() {
    let (_stage, gateway) = Stage::with_gateway();
    let desk = gateway.desk();
    let mut started = start_many(&desk, 0..20).await;
    let mut listed = Vec::new();
    let mut page_token = String::new();
    for newer in 1.. {
        let (ids, next) = page(&desk, ListLoginsRequest { page_size: 3, page_token, ..Default::default() }).await;
        listed.extend(ids);
        page_token = next;
        if page_token.is_empty() {
            break;
        }
        // Newer ones come before what is listed already.
        pass(secs(1)).await;
        start_many(&desk, newer * 100..newer * 100 + 9).await;
    }
    started.sort();
    listed.sort();
    assert_eq!(listed, started);
}

#[tokio::test(start_paused = true)]
async fn the_newest_comes_first() {
    let (_stage, gateway) = Stage::with_gateway();
    let desk = gateway.desk();
    let mut started = Vec::new();
    for i in 0..3 {
        started.insert(0, desk.start(at_the_till(&format!("r-{i}"), &format!("+479123000{i}"))).await.login_id);
        pass(secs(1)).await;
    }
    assert_eq!(page(&desk, ListLoginsRequest::default()).await, (started, String::new()));
}

/// The last login of a page ends before the next page is asked for.
#[tokio::test(start_paused = true)]
async fn a_page_follows_though_the_last_login_no_longer_passes() {
    let (_stage, gateway) = Stage::with_gateway();
    let desk = gateway.desk();
    start_many(&desk, 0..4).await;
    let live = ListLoginsRequest { page_size: 2, live_only: true, ..Default::default() };
    let (first, page_token) = page(&desk, live.clone()).await;
    desk.try_cancel(&first[1]).await.expect("cancelled");
    let (second, next) = page(&desk, ListLoginsRequest { page_token, ..live.clone() }).await;
    assert_eq!(second.len(), 2);
    let last = page(&desk, ListLoginsRequest { page_token: next, ..live }).await;
    assert_eq!(last, (Vec::new(), String::new()), "nothing more");
}

#[tokio::test(start_paused = true)]
async fn filters_narrow_a_list() {
    let (_stage, gateway) = Stage::with_gateway();
    let desk = gateway.desk();
    let ids = start_many(&desk, 0..2).await;
    let boxed = gateway.kiosk().start(at_the_box("r-9", "+4791239999")).await.login_id;
    desk.try_cancel(&ids[0]).await.expect("cancelled");
    let only = |request| async { page(&desk, request).await.0 };
    assert_eq!(
        only(ListLoginsRequest { channel: v1::Channel::TvBox.into(), ..Default::default() }).await,
        *std::slice::from_ref(&boxed)
    );
    assert_eq!(
        only(ListLoginsRequest { terminal_id: "box-1".to_owned(), ..Default::default() }).await,
        *std::slice::from_ref(&boxed)
    );
    let till = ListLoginsRequest { terminal_id: "till-1".to_owned(), live_only: true, ..Default::default() };
    assert_eq!(only(till).await, [ids[1].clone()]);
    assert_eq!(only(ListLoginsRequest { agent_id: "nobody".to_owned(), ..Default::default() }).await, [""; 0]);
    assert_eq!(only(ListLoginsRequest::default()).await.len(), 3);
}
