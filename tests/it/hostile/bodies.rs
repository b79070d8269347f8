//! Bodies that are no answer anywhere.

use crate::support::lying_provider::Reply;

const JSON: &str = "application/json";

fn json(body: impl Into<Vec<u8>>) -> Reply {
    Reply::Whole(200, vec![("content-type", JSON.to_owned())], body.into())
}

/// Success with nonsense in it, by name.
pub(super) fn nonsense() -> Vec<(&'static str, Reply)> {
    let deep = |open: &str, times: usize| open.repeat(times);
    let utf16: Vec<u8> = "{\"a\":1}".encode_utf16().flat_map(u16::to_le_bytes).collect();
    vec![
        ("nothing", json("")),
        ("null", json("null")),
        ("a list", json("[]")),
        ("a text", json("\"approved\"")),
        ("a number", json("0")),
        ("true", json("true")),
        ("an empty object", json("{}")),
        ("half an object", json("{\"sub\":\"x\"")),
        ("two objects", json("{}{}")),
        ("a page", Reply::text(200, "<html>approved</html>")),
        ("a mark before it", json("\u{feff}{}")),
        ("UTF-16", json(utf16)),
        ("bytes that are no text", json(vec![0xff, 0xfe, 0x00, 0xc0, 0xaf])),
        ("zero bytes", json(vec![0; 4096])),
        ("lists in lists", json(deep("[", 100_000))),
        ("objects in objects", json(deep("{\"a\":", 100_000))),
        ("10 MiB of nothing", json(" ".repeat(10 << 20))),
        ("a text of 10 MiB", json(format!("{{\"error\":\"{}\"}}", "x".repeat(10 << 20)))),
        ("a number of 1000 digits", json(format!("{{\"expires_in\":{}}}", "9".repeat(1000)))),
        ("not a number", json("{\"expires_in\":NaN,\"interval\":Infinity}")),
        ("a compressed body", json(vec![0x1f, 0x8b, 8, 0, 0, 0, 0, 0]).with("content-encoding", "gzip")),
        ("nothing, ever", Reply::Silence),
        ("half, and then nothing", Reply::Stuck(200)),
        ("a body without end", Reply::Endless(200)),
        ("a body that breaks off", Reply::Cut(200)),
    ]
}

/// Statuses that say neither yes nor no about a person.
pub(super) fn statuses() -> Vec<Reply> {
    [201, 202, 204, 205, 206, 300, 304, 402, 404, 405, 410, 418, 451, 500, 501, 502, 503, 504, 599]
        .map(|status| Reply::Whole(status, vec![], Vec::new()))
        .into()
}
