use proptest::prelude::*;

use super::*;

const WINDOW_UPDATE: u8 = 8;
const RST_STREAM: u8 = 3;

fn frame(kind: u8, flags: u8, payload: usize) -> Vec<u8> {
    let length = u32::try_from(payload).unwrap().to_be_bytes();
    let mut frame = vec![length[1], length[2], length[3], kind, flags, 0, 0, 0, 1];
    frame.resize(FRAME_HEADER + payload, 0xff);
    frame
}

/// What is known after the preface and `count` such frames.
fn heard(frame: &[u8], count: usize) -> Frames {
    let mut frames = Frames::default();
    frames.hear(PREFACE);
    frames.hear(&frame.repeat(count));
    frames
}

/// SR34.
#[test]
fn frames_that_ask_for_nothing_are_a_flood_in_the_end() {
    for (name, frame) in [
        ("pings", frame(PING, 0, 8)),
        ("settings", frame(SETTINGS, 0, 6)),
        ("window updates", frame(WINDOW_UPDATE, 0, 4)),
        ("resets", frame(RST_STREAM, 0, 4)),
        ("data without data", frame(DATA, 0, 0)),
        ("frames nobody knows", frame(77, 0, 3)),
    ] {
        assert!(!heard(&frame, IDLE_FRAMES).are_a_flood(0), "{name}");
        assert!(heard(&frame, IDLE_FRAMES + 1).are_a_flood(0), "{name}");
    }
    let pings = heard(&frame(PING, 0, 8), IDLE_FRAMES + 1);
    assert!(pings.are_a_flood(PONG_BYTES * (IDLE_FRAMES + 1)), "the answers are no reason for more");
}

#[test]
fn frames_that_go_with_calls_and_answers_are_none() {
    let call = [frame(HEADERS, 0, 40), frame(DATA, 1, 100)].concat();
    assert!(!heard(&call, 100_000).are_a_flood(0));
    let cancelled = [call, frame(WINDOW_UPDATE, 0, 4), frame(RST_STREAM, 0, 4)].concat();
    assert!(!heard(&cancelled, 100_000).are_a_flood(0));
    // A stream of short messages, each with two window updates and a ping.
    let reading = [frame(WINDOW_UPDATE, 0, 4), frame(WINDOW_UPDATE, 0, 4), frame(PING, 0, 8)].concat();
    assert!(!heard(&reading, 100_000).are_a_flood(100_000 * (60 + PONG_BYTES)));
}

#[test]
fn other_protocols_are_not_listened_to() {
    let mut frames = Frames::default();
    frames.hear(b"GET / HTTP/1.1\r\n");
    frames.hear(&frame(PING, 0, 8).repeat(IDLE_FRAMES + 1));
    assert!(!frames.are_a_flood(0));
}

proptest! {
    /// However the bytes arrive, the same frames are heard.
    #[test]
    fn it_makes_no_difference_where_bytes_are_cut(
        kinds in prop::collection::vec((0_u8..12, 0_u8..2, 0_usize..40), 0..60),
        cuts in prop::collection::vec(1_usize..30, 1..40),
    ) {
        let spoken: Vec<u8> = kinds.iter().flat_map(|&(kind, flags, payload)| frame(kind, flags, payload)).collect();
        let spoken = [PREFACE, &spoken].concat();
        let (mut at_once, mut in_parts, mut rest) = (Frames::default(), Frames::default(), &spoken[..]);
        at_once.hear(&spoken);
        for cut in cuts.into_iter().cycle() {
            let (part, later) = rest.split_at(cut.min(rest.len()));
            in_parts.hear(part);
            rest = later;
            if rest.is_empty() {
                break;
            }
        }
        prop_assert_eq!(at_once.calls, in_parts.calls);
        prop_assert_eq!(at_once.idle, in_parts.idle);
        prop_assert_eq!(at_once.calls, kinds.iter().filter(|(kind, ..)| *kind == HEADERS).count());
    }
}
