//! What somebody sees who can read Redis.

use std::fmt::Write as _;

use redis::AsyncCommands;
use redis::aio::MultiplexedConnection;

/// Every key and value there is, as text; bytes that are no text as escapes.
pub(crate) async fn dump(line: &mut MultiplexedConnection) -> String {
    let mut keys = Vec::new();
    let mut cursor = 0_u64;
    loop {
        let (next, found): (u64, Vec<String>) =
            redis::cmd("SCAN").arg(cursor).query_async(line).await.expect("an answer");
        keys.extend(found);
        cursor = next;
        if cursor == 0 {
            break;
        }
    }
    let mut text = String::new();
    for key in keys {
        let read = match line.key_type::<_, String>(&key).await.expect("an answer").as_str() {
            "hash" => redis::cmd("HGETALL").arg(&key).clone(),
            "string" => redis::cmd("GET").arg(&key).clone(),
            "stream" => redis::cmd("XRANGE").arg(&key).arg("-").arg("+").clone(),
            "zset" => redis::cmd("ZRANGE").arg(&key).arg(0).arg(-1).clone(),
            // It has gone since it was listed.
            "none" => continue,
            other => panic!("a {other} at {key} cannot be dumped"),
        };
        let mut values = Vec::new();
        texts(read.query_async(line).await.expect("an answer"), &mut values);
        writeln!(text, "{key}").expect("text");
        for value in values {
            writeln!(text, "  {}", value.escape_ascii()).expect("text");
        }
    }
    text
}

/// The texts in an answer, however they are nested.
fn texts(answer: redis::Value, found: &mut Vec<Vec<u8>>) {
    match answer {
        redis::Value::BulkString(text) => found.push(text),
        redis::Value::Array(several) => several.into_iter().for_each(|one| texts(one, found)),
        // It went between two questions.
        redis::Value::Nil => {}
        other => panic!("{other:?} cannot be dumped"),
    }
}
