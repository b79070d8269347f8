//! Peers who take their time.

use std::time::Duration;

use tokio::time::Instant;

use super::{Edge, GET, allowed};
use crate::support::raw_http2::{CONTINUATION, DATA, HEADERS, PREFACE, RawHttp2, call, frame};

/// A second to be quiet, and one to answer a ping.
const WATCHFUL: &str = "keepalive_interval = \"1s\"\nkeepalive_timeout = \"1s\"";
const NO_MORE_THAN: Duration = Duration::from_secs(8);

/// Says these bytes one by one, with a pause after each, until nobody listens.
async fn drip(peer: &mut RawHttp2, bytes: &[u8]) -> Duration {
    let began = Instant::now();
    for byte in bytes.iter().cycle() {
        if peer.is_closed() || !peer.say(&[*byte]).await || began.elapsed() > 2 * NO_MORE_THAN {
            break;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    peer.closed().await;
    began.elapsed()
}

/// SR34: slow with what HTTP/2 begins with, and slow afterwards, within a head, a
/// body or a frame.
#[tokio::test]
async fn who_drips_is_let_go() {
    let edge = Edge::with(WATCHFUL).await;
    let beginnings: [(&str, Vec<u8>, &[u8]); 3] = [
        ("headers", frame(HEADERS, 0, 1, &call(GET, &[])), &frame(CONTINUATION, 0, 1, &[0; 200])),
        ("the head of a frame", vec![0, 0], &[0]),
        ("the body of a frame", frame(HEADERS, 0, 1, &[0; 2000])[..20].to_vec(), &[0]),
    ];
    for (what, beginning, more) in beginnings {
        let mut peer = RawHttp2::connect(edge.serve.grpc).await;
        peer.say(&beginning).await;
        let took = drip(&mut peer, more).await;
        println!("{what}, byte by byte: let go after {took:?}");
        assert!(took < NO_MORE_THAN, "{what}: {took:?}");
    }
    edge.serves_others().await;
}

/// SR34: the preface has ten seconds, and may not be dripped either.
#[tokio::test]
async fn who_drips_the_preface_is_let_go() {
    let edge = Edge::begin().await;
    let mut peer = RawHttp2::silent(edge.serve.grpc).await;
    let began = Instant::now();
    for byte in PREFACE {
        if !peer.say(&[*byte]).await {
            break;
        }
        tokio::time::sleep(Duration::from_millis(600)).await;
    }
    peer.closed().await;
    assert!(began.elapsed() < Duration::from_secs(16), "{:?}", began.elapsed());
    edge.has_cut("silence", 1).await;
    edge.serves_others().await;
}

/// SR34: a call whose message never comes has the time of a call and no more.
#[tokio::test]
async fn a_message_that_does_not_come_is_not_waited_for() {
    let edge = Edge::begin().await;
    let mut peer = RawHttp2::connect(edge.serve.grpc).await;
    peer.say(&frame(HEADERS, 4, 1, &allowed(GET))).await;
    peer.say(&frame(DATA, 0, 1, &[0, 0, 0, 0, 30, 1])).await;
    let began = Instant::now();
    let answer = crate::support::eventually::eventually("an answer", async || peer.answer(1)).await;
    println!("answered after {:?} with {} bytes of headers", began.elapsed(), answer.len());
    assert!((Duration::from_secs(9)..Duration::from_secs(15)).contains(&began.elapsed()));
    edge.serves_others().await;
}
