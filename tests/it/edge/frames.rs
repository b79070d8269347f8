//! Frames that are wrong, and calls beyond their bounds.

use super::{Edge, GET, allowed};
use crate::support::eventually::eventually;
use crate::support::raw_http2::{
    DATA, END_HEADERS, END_STREAM, GOAWAY, HEADERS, PING, RST_STREAM, RawHttp2, SETTINGS, WINDOW_UPDATE, call, frame,
};

const REFUSED_STREAM: u32 = 7;

/// SR34: an error of the peer's ends his connection, and his alone.
#[tokio::test]
async fn frames_that_are_wrong_end_their_connection() {
    let edge = Edge::begin().await;
    let headers = call(GET, &[]);
    let wrong: [(&str, Vec<u8>); 14] = [
        ("data of no stream", frame(DATA, 0, 0, b"x")),
        ("data of a stream that was never opened", frame(DATA, 0, 5, b"x")),
        ("headers of no stream", frame(HEADERS, END_HEADERS, 0, &headers)),
        ("a stream of the other side", frame(HEADERS, END_HEADERS, 2, &headers)),
        ("a continuation of nothing", frame(9, END_HEADERS, 1, &headers)),
        ("headers within headers", [frame(HEADERS, 0, 1, &headers), frame(HEADERS, 0, 3, &headers)].concat()),
        ("headers that cannot be read", frame(HEADERS, END_HEADERS, 1, &[0xff; 40])),
        ("padding longer than the frame", frame(DATA, 8, 1, &[200, 0])),
        ("a reset of no stream", frame(RST_STREAM, 0, 0, &[0; 4])),
        ("settings of a wrong size", frame(SETTINGS, 0, 0, &[0; 5])),
        ("settings of a stream", frame(SETTINGS, 0, 1, &[])),
        ("a ping of a wrong size", frame(PING, 0, 0, &[0; 7])),
        ("a window beyond all bounds", frame(WINDOW_UPDATE, 0, 0, &[0x7f, 0xff, 0xff, 0xff]).repeat(2)),
        ("a frame larger than agreed", frame(DATA, 0, 1, &[0; 16_385])),
    ];
    for (name, bytes) in wrong {
        let mut peer = RawHttp2::connect(edge.serve.grpc).await;
        peer.say(&bytes).await;
        let error = peer.closed().await;
        assert!(error.is_none_or(|error| error != 0), "{name}: {error:?}");
    }
    edge.serves_others().await;
    let mut leaving = RawHttp2::connect(edge.serve.grpc).await;
    leaving.say(&frame(GOAWAY, 0, 0, &[0; 8])).await;
    leaving.closed().await;
    edge.grown_by("frames that are wrong");
}

/// SR34: something else than HTTP/2.
#[tokio::test]
async fn other_protocols_get_nowhere() {
    let edge = Edge::begin().await;
    for said in [&b"PRI * HTTP/2.0\r\n\r\nXX\r\n\r\n"[..], b"\x16\x03\x01\x00\x05hello", b"SSH-2.0-OpenSSH_9.2\r\n\r\n"]
    {
        let mut peer = RawHttp2::silent(edge.serve.grpc).await;
        peer.say(said).await;
        peer.closed().await;
    }
    edge.serves_others().await;
}

/// SR34.
#[tokio::test]
async fn a_call_has_so_much_metadata() {
    let edge = Edge::begin().await;
    let mut peer = RawHttp2::connect(edge.serve.grpc).await;
    for (stream, size) in [(1, 12_000), (3, 17_000)] {
        let block = call(GET, &[("x-large", &"x".repeat(size))]);
        let (first, rest) = block.split_at(block.len().min(16_000));
        let flags = if rest.is_empty() { END_HEADERS } else { 0 };
        peer.say(&frame(HEADERS, flags | END_STREAM, stream, first)).await;
        if !rest.is_empty() {
            peer.say(&frame(9, END_HEADERS, stream, rest)).await;
        }
    }
    let answer = async |stream| eventually("an answer", async || peer.answer(stream)).await;
    // Their first byte: `:status` 200 by the static table, or a status that is not in it.
    assert_eq!(answer(1).await[0], 0x88);
    assert!(String::from_utf8_lossy(&answer(3).await).contains("431") || answer(3).await[0] == 0x48);
    edge.serves_others().await;
}

/// SR34: further calls than were agreed are refused, and can be made again.
#[tokio::test]
async fn a_connection_has_so_many_calls_at_a_time() {
    let edge = Edge::with("max_concurrent_streams = 5").await;
    let mut peer = RawHttp2::connect(edge.serve.grpc).await;
    assert!(peer.is_heard().await, "what was agreed is known");
    for nth in 0..8 {
        peer.say(&frame(HEADERS, END_HEADERS, 2 * nth + 1, &allowed(GET))).await;
    }
    for nth in 0..8 {
        if nth < 5 {
            assert_eq!(peer.reset(2 * nth + 1), None);
        } else {
            let reset = eventually("a reset", async || peer.reset(2 * nth + 1)).await;
            assert_eq!(reset, REFUSED_STREAM);
        }
    }
    assert!(!peer.is_closed());
    edge.serves_others().await;
}

/// SR34: protobuf within protobuf has a depth, and no message of ours nests.
#[tokio::test]
async fn a_message_nested_without_end_is_refused() {
    let edge = Edge::begin().await;
    // Groups begin, one within the other, under a number that no field has.
    let mut message = vec![0];
    let nested = [0xfb, 0x01].repeat(20_000);
    message.extend(u32::try_from(nested.len()).expect("short").to_be_bytes());
    message.extend(nested);
    let mut peer = RawHttp2::connect(edge.serve.grpc).await;
    peer.say(&frame(HEADERS, END_HEADERS, 1, &allowed(GET))).await;
    let (last, parts) =
        message.chunks(16_000).collect::<Vec<_>>().split_last().map(|(l, p)| (*l, p.to_vec())).expect("parts");
    for part in parts {
        peer.say(&frame(DATA, 0, 1, part)).await;
    }
    peer.say(&frame(DATA, END_STREAM, 1, last)).await;
    let answer = eventually("an answer", async || peer.answer(1)).await;
    let text = String::from_utf8_lossy(&answer).into_owned();
    assert!(peer.answered() == 1 && !peer.is_closed(), "{text}");
    edge.serves_others().await;
}
