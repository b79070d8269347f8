//! Much of what costs nothing to send.

use super::{Edge, GET, LIST, allowed};
use crate::support::caller::till;
use crate::support::raw_http2::{
    CONTINUATION, DATA, END_HEADERS, END_STREAM, HEADERS, PING, PRIORITY, RST_STREAM, RawHttp2, SETTINGS,
    WINDOW_UPDATE, call, frame,
};

const ENHANCE_YOUR_CALM: u32 = 11;
const CANCEL: [u8; 4] = [0, 0, 0, 8];
/// No flood may cost more.
const MOST_KIB: u64 = 32 * 1024;

/// Says it again and again, in heaps; how many times it could be said.
async fn flood(peer: &mut RawHttp2, once: impl Fn(u32) -> Vec<u8>, most: u32) -> u32 {
    const HEAP: u32 = 100;
    for first in (0..most).step_by(HEAP as usize) {
        let heap: Vec<u8> = (first..first + HEAP).flat_map(&once).collect();
        if peer.is_closed() || !peer.say(&heap).await {
            return first;
        }
    }
    most
}

const fn stream(nth: u32) -> u32 {
    2 * nth + 1
}

/// SR34, CVE-2023-44487.
#[tokio::test]
async fn who_resets_calls_before_they_are_seen_is_sent_away() {
    let edge = Edge::begin().await;
    let mut peer = RawHttp2::connect(edge.serve.grpc).await;
    let headers = call(GET, &[]);
    let reset = |nth| {
        let begin = frame(HEADERS, END_HEADERS, stream(nth), &headers);
        [begin, frame(RST_STREAM, 0, stream(nth), &CANCEL)].concat()
    };
    let said = flood(&mut peer, reset, 100_000).await;
    assert!(said < 100_000, "nobody minded");
    assert!(matches!(peer.closed().await, None | Some(ENHANCE_YOUR_CALM)));
    edge.serves_others().await;
    assert!(edge.grown_by(&format!("{said} rapid resets")) < MOST_KIB);
}

/// SR34, CVE-2023-44487: also when each call is seen before it is given up.
#[tokio::test]
async fn who_gives_up_one_call_after_the_other_is_cut() {
    let edge = Edge::begin().await;
    let mut peer = RawHttp2::connect(edge.serve.grpc).await;
    let headers = call(GET, &[]);
    let mut given_up = 0;
    while given_up < 5000 {
        for _ in 0..10 {
            peer.say(&frame(HEADERS, END_HEADERS, stream(given_up), &headers)).await;
            given_up += 1;
        }
        if !peer.is_heard().await {
            break;
        }
        for nth in given_up - 10..given_up {
            peer.say(&frame(RST_STREAM, 0, stream(nth), &CANCEL)).await;
        }
        if given_up == 500 {
            edge.serves_others().await;
        }
    }
    peer.closed().await;
    assert!((1000..1100).contains(&given_up), "{given_up}");
    edge.has_cut("calls_given_up", 1).await;
    edge.serves_others().await;
    assert!(edge.grown_by(&format!("{given_up} calls given up")) < MOST_KIB);
}

/// SR34, CVE-2024-27316.
#[tokio::test]
async fn headers_without_an_end_are_not_listened_to() {
    let edge = Edge::begin().await;
    let mut peer = RawHttp2::connect(edge.serve.grpc).await;
    peer.say(&frame(HEADERS, 0, 1, &call(GET, &[]))).await;
    let large = "x".repeat(16_000);
    let more = call(GET, &[("x-more", &large)]);
    let said = flood(&mut peer, |_| frame(CONTINUATION, 0, 1, &more[..16_000]), 10_000).await;
    assert!(said < 10_000, "nobody minded");
    peer.closed().await;

    let mut peer = RawHttp2::connect(edge.serve.grpc).await;
    peer.say(&frame(HEADERS, 0, 1, &call(GET, &[]))).await;
    let empty = flood(&mut peer, |_| frame(CONTINUATION, 0, 1, &[]), 1_000_000).await;
    assert!(empty < 1_000_000, "nobody minded");
    peer.closed().await;
    edge.serves_others().await;
    assert!(edge.grown_by(&format!("{said} large and {empty} empty continuations")) < MOST_KIB);
}

/// SR34, CVE-2019-9511 to 9518: what is answered or passed over, but for nothing.
#[tokio::test]
async fn who_sends_frames_that_ask_for_nothing_is_cut() {
    let edge = Edge::begin().await;
    let setting = [0, 4, 0, 1, 0, 0];
    let floods: [(&str, Vec<u8>); 6] = [
        ("pings", frame(PING, 0, 0, &[1; 8])),
        ("settings", frame(SETTINGS, 0, 0, &setting)),
        ("empty settings", frame(SETTINGS, 0, 0, &[])),
        ("window updates", frame(WINDOW_UPDATE, 0, 0, &[0, 0, 0, 1])),
        ("priorities", frame(PRIORITY, 0, 1, &[0, 0, 0, 3, 7])),
        ("frames nobody knows", frame(0x77, 0, 0, &[0; 3])),
    ];
    for (name, once) in floods {
        let mut peer = RawHttp2::connect(edge.serve.grpc).await;
        let said = flood(&mut peer, |_| once.clone(), 1_000_000).await;
        assert!(said < 1_000_000, "nobody minds {name}");
        peer.closed().await;
        edge.serves_others().await;
        assert!(edge.grown_by(&format!("{said} {name}")) < MOST_KIB);
    }
    edge.has_cut("flood", 6).await;
}

/// SR34, CVE-2019-9518.
#[tokio::test]
async fn who_sends_data_without_data_is_cut() {
    let edge = Edge::begin().await;
    for headers in [allowed(GET), call("/nobody/Knows", &[])] {
        let mut peer = RawHttp2::connect(edge.serve.grpc).await;
        peer.say(&frame(HEADERS, END_HEADERS, 1, &headers)).await;
        let said = flood(&mut peer, |_| frame(DATA, 0, 1, &[]), 1_000_000).await;
        assert!(said < 1_000_000, "nobody minded");
        peer.closed().await;
        edge.serves_others().await;
        assert!(edge.grown_by(&format!("{said} empty data frames")) < MOST_KIB);
    }
}

/// SR34: data for nobody is credited to nobody.
#[tokio::test]
async fn more_data_than_the_window_lets_through_is_an_error() {
    let edge = Edge::begin().await;
    let mut peer = RawHttp2::connect(edge.serve.grpc).await;
    peer.say(&frame(HEADERS, END_HEADERS, 1, &allowed(GET))).await;
    // A message of many megabytes, of which nothing more is wanted after its head.
    let said = flood(&mut peer, |_| frame(DATA, 0, 1, &[0; 16_000]), 10_000).await;
    assert!(said < 10_000, "nobody minded");
    peer.closed().await;
    edge.serves_others().await;
    assert!(edge.grown_by("a window that was not kept to") < MOST_KIB);
}

/// SR34, SR35: answers that nobody takes are bounded, and end with the connection.
#[tokio::test]
async fn who_reads_nothing_costs_little() {
    const CALLS: u32 = 2000;
    let edge = Edge::begin().await;
    for nth in 0..50 {
        edge.neighbour.start(till(&format!("+47{:08}", 41_090_000 + nth))).await.expect("a login");
    }
    let mut peer = RawHttp2::without_window(edge.serve.grpc).await;
    let (headers, empty_message) = (allowed(LIST), [0; 5]);
    for nth in 0..CALLS {
        let begin = frame(HEADERS, END_HEADERS, stream(nth), &headers);
        let whole = [begin, frame(DATA, END_STREAM, stream(nth), &empty_message)].concat();
        assert!(peer.say(&whole).await);
    }
    assert!(peer.is_heard().await, "it may stay");
    edge.serves_others().await;
    let grown = edge.grown_by(&format!("{CALLS} lists of 50 logins that nobody reads"));
    assert!(grown < 4 * MOST_KIB, "{grown}");
}

/// SR34: thousands of connections that want nothing.
#[tokio::test]
async fn a_thousand_idle_connections_cost_little() {
    let edge = Edge::begin().await;
    let mut idle = Vec::new();
    for _ in 0..1000 {
        idle.push(RawHttp2::connect(edge.serve.grpc).await);
    }
    for peer in &mut idle {
        assert!(peer.is_heard().await);
    }
    edge.serves_others().await;
    let grown = edge.grown_by("1000 idle connections");
    assert!(grown < 64 * 1024, "{grown}");
}
