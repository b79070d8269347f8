//! The listener that the world reaches, over real sockets.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::Instant;

use super::Edge;
use crate::support::eventually::eventually;
use crate::support::http;

const MOST_KIB: u64 = 48 * 1024;

impl Edge {
    async fn in_public() -> (Self, SocketAddr) {
        let edge = Self::of(|configuration| configuration.with_public_listener()).await;
        let public = edge.serve.public.expect("a public listener");
        (edge, public)
    }
}

async fn connect(to: SocketAddr) -> TcpStream {
    TcpStream::connect(to).await.expect("the port is open")
}

/// What is answered until the other side closes.
async fn answer(peer: &mut TcpStream) -> String {
    let mut answer = Vec::new();
    let _ = tokio::time::timeout(Duration::from_secs(20), peer.read_to_end(&mut answer)).await.expect("an end");
    String::from_utf8_lossy(&answer).into_owned()
}

/// SR34: whoever has nothing to say makes room, and health is served elsewhere.
#[tokio::test]
async fn silent_connections_from_the_world_are_let_go() {
    let (edge, public) = Edge::in_public().await;
    let mut silent = Vec::new();
    for _ in 0..600 {
        silent.push(connect(public).await);
    }
    let mut last = silent.pop().expect("many");
    let closed = tokio::time::timeout(Duration::from_secs(5), last.read(&mut [0; 16])).await;
    assert!(matches!(closed, Ok(Ok(0) | Err(_))), "closed at once");
    assert_eq!(http::get(&format!("http://{}/livez", edge.serve.http)).await.expect("health").0, 200);
    edge.serves_others().await;
    eventually("they are let go", async || (http::get(&format!("http://{public}/")).await?.0 == 404).then_some(()))
        .await;
    assert!(edge.grown_by("600 silent connections from the world") < MOST_KIB);
}

/// SR34: told at once where the length is told, and after 64 KiB where it is not.
#[tokio::test]
async fn a_long_body_is_not_taken() {
    let (edge, public) = Edge::in_public().await;
    for length in ["content-length: 10000000", "transfer-encoding: chunked"] {
        let mut peer = connect(public).await;
        let head = format!("POST /webhooks/bank HTTP/1.1\r\nhost: {public}\r\n{length}\r\n\r\n");
        peer.write_all(head.as_bytes()).await.expect("an open line");
        let chunk = [b"10000\r\n".to_vec(), vec![b'x'; 0x10000], b"\r\n".to_vec()].concat();
        let mut sent = 0_usize;
        while sent < 100 << 20 && peer.write_all(&chunk).await.is_ok() {
            sent += chunk.len();
        }
        assert!(sent < 100 << 20, "{length}: all of it was taken");
    }
    edge.serves_others().await;
    assert!(edge.grown_by("bodies without end from the world") < MOST_KIB);
}

/// SR34.
#[tokio::test]
async fn who_drips_to_the_public_listener_is_let_go() {
    let (edge, public) = Edge::in_public().await;
    let mut peer = connect(public).await;
    let began = Instant::now();
    while began.elapsed() < Duration::from_secs(20) && peer.write_all(b"x").await.is_ok() {
        // The pace of a slow peer; nothing is waited for.
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    assert!(began.elapsed() < Duration::from_secs(15), "{:?}", began.elapsed());
    edge.serves_others().await;
}

/// SR34: what is meant for operators and callers is not to be had here.
#[tokio::test]
async fn the_world_gets_neither_metrics_nor_calls() {
    let (edge, public) = Edge::in_public().await;
    for path in ["/metrics", "/readyz", "/livez", super::GET] {
        assert_eq!(http::get(&format!("http://{public}{path}")).await.expect("an answer").0, 404, "{path}");
    }
    let mut peer = connect(public).await;
    peer.write_all(crate::support::raw_http2::PREFACE).await.expect("an open line");
    assert!(!answer(&mut peer).await.contains("200 OK"));
    let lines = format!("GET / HTTP/1.1\r\n{}\r\n", "x-many: 1\r\n".repeat(100));
    let mut peer = connect(public).await;
    peer.write_all(lines.as_bytes()).await.expect("an open line");
    assert!(answer(&mut peer).await.starts_with("HTTP/1.1 431"));
    edge.serves_others().await;
}
