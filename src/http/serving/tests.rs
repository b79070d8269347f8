//! How connections end, over pipes and with a clock that jumps when all wait.

use std::ops::RangeInclusive;

use axum::routing::get;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::*;

const PIPE_BYTES: usize = 1024;

/// The peer's end of a connection, and how long it was served. `/long` answers
/// with more than the pipe holds, `/never` not at all.
fn connect(stop: &CancellationToken) -> (DuplexStream, JoinSet<Duration>) {
    let router = Router::new()
        .route("/short", get(async || "done"))
        .route("/long", get(async || "x".repeat(100 * PIPE_BYTES)))
        .route("/never", get(std::future::pending::<()>));
    let ((ours, theirs), stop) = (duplex(PIPE_BYTES), stop.clone());
    let mut served = JoinSet::new();
    served.spawn(async move {
        let began = Instant::now();
        attend(ours, "tests", router, stop).await;
        began.elapsed()
    });
    (theirs, served)
}

async fn ask(peer: &mut DuplexStream, path: &str) {
    peer.write_all(format!("GET {path} HTTP/1.1\r\nhost: gateway\r\n\r\n").as_bytes()).await.expect("an open line");
}

async fn assert_served_for(mut served: JoinSet<Duration>, seconds: RangeInclusive<f64>) {
    let took = tokio::time::timeout(Duration::from_secs(10_000), served.join_next()).await.expect("an end");
    let took = took.expect("a task").expect("no panic");
    assert!(seconds.contains(&took.as_secs_f64()), "it took {took:?}");
}

/// SR34.
#[tokio::test(start_paused = true)]
async fn whoever_is_slow_with_the_head_of_a_request_is_let_go() {
    for said in [&b""[..], b"GET /sh", b"GET /short HTTP/1.1\r\nx-slow: "] {
        let (mut peer, served) = connect(&CancellationToken::new());
        peer.write_all(said).await.expect("an open line");
        assert_served_for(served, 10.0..=10.1).await;
    }
}

/// SR34: drop by drop is no better.
#[tokio::test(start_paused = true)]
async fn a_head_that_comes_byte_by_byte_has_no_more_time() {
    let (mut peer, served) = connect(&CancellationToken::new());
    let dripping = async {
        while peer.write_all(b"x").await.is_ok() {
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
    };
    tokio::join!(dripping, assert_served_for(served, 10.0..=10.1));
}

/// SR34.
#[tokio::test(start_paused = true)]
async fn whoever_does_not_read_his_answer_is_cut() {
    for path in ["/long", "/never"] {
        let (mut peer, served) = connect(&CancellationToken::new());
        ask(&mut peer, path).await;
        assert_served_for(served, 125.0..=125.1).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_stop_lets_an_answer_under_way_come_to_its_end() {
    let stop = CancellationToken::new();
    let (mut peer, served) = connect(&stop);
    ask(&mut peer, "/long").await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    stop.cancel();
    let mut answer = Vec::new();
    peer.read_to_end(&mut answer).await.expect("an answer");
    assert!(answer.len() > 100 * PIPE_BYTES && answer.starts_with(b"HTTP/1.1 200"));
    assert_served_for(served, 1.0..=1.1).await;
}

/// SR34: what is not there is not waited for.
#[tokio::test(start_paused = true)]
async fn no_body_is_read() {
    let (mut peer, served) = connect(&CancellationToken::new());
    peer.write_all(b"POST /short HTTP/1.1\r\nhost: gateway\r\ncontent-length: 1000000000\r\n\r\n").await.expect("open");
    let mut answer = Vec::new();
    peer.read_to_end(&mut answer).await.expect("an answer");
    assert!(answer.starts_with(b"HTTP/1.1 405"), "{}", String::from_utf8_lossy(&answer));
    assert_served_for(served, 0.0..=0.1).await;
}

/// SR34.
#[tokio::test(start_paused = true)]
async fn a_head_has_its_limits() {
    let lines = format!("GET /short HTTP/1.1\r\n{}\r\n", "x-many: 1\r\n".repeat(MAX_HEADER_LINES + 1));
    let large = format!("GET /short HTTP/1.1\r\nx-large: {}\r\n\r\n", "x".repeat(BUFFER_BYTES));
    for head in [lines, large] {
        let (mut peer, served) = connect(&CancellationToken::new());
        // It may be answered before it is whole.
        let _ = peer.write_all(head.as_bytes()).await;
        let mut answer = Vec::new();
        peer.read_to_end(&mut answer).await.expect("an answer");
        assert!(answer.starts_with(b"HTTP/1.1 431"), "{}", String::from_utf8_lossy(&answer));
        assert_served_for(served, 0.0..=0.1).await;
    }
}
