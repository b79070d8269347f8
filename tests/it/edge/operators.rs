//! The listener for health and metrics, over real sockets.

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::Edge;
use crate::support::eventually::eventually;
use crate::support::http;

/// SR34: there are so many connections, and those that say nothing make room.
#[tokio::test]
async fn silent_connections_do_not_keep_health_from_being_asked() {
    let edge = Edge::begin().await;
    let mut silent = Vec::new();
    for _ in 0..300 {
        silent.push(TcpStream::connect(edge.serve.http).await.expect("the port is open"));
    }
    let mut last = silent.pop().expect("many");
    let closed = tokio::time::timeout(Duration::from_secs(5), last.read(&mut [0; 16])).await;
    assert!(matches!(closed, Ok(Ok(0) | Err(_))), "closed at once");
    let url = format!("http://{}/livez", edge.serve.http);
    eventually("they are let go", async || (http::get(&url).await?.0 == 200).then_some(())).await;
    edge.serves_others().await;
    assert!(edge.grown_by("300 silent connections for health") < 16 * 1024);
}

/// SR34: a body is not read, however long it is.
#[tokio::test]
async fn a_body_is_not_read() {
    let edge = Edge::begin().await;
    let mut peer = TcpStream::connect(edge.serve.http).await.expect("the port is open");
    let head = b"POST /metrics HTTP/1.1\r\nhost: gateway\r\ncontent-length: 10000000000\r\n\r\n";
    peer.write_all(head).await.expect("an open line");
    let mut sent = 0_usize;
    while sent < 100 << 20 && peer.write_all(&[b'x'; 1 << 16]).await.is_ok() {
        sent += 1 << 16;
    }
    assert!(sent < 100 << 20, "all of it was taken");
    assert!(edge.grown_by("a body without end") < 16 * 1024);
    edge.serves_others().await;
}
