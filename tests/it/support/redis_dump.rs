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
            "zset" => redis::cmd("ZRANGE").arg(&key).arg(0).arg(-1).clone(),
            // It has gone since it was listed.
            "none" => continue,
            other => panic!("a {other} at {key} cannot be dumped"),
        };
        let values: Vec<Vec<u8>> = match read.query_async(line).await.expect("an answer") {
            redis::Value::BulkString(value) => vec![value],
            several => redis::from_redis_value(several).expect("texts"),
        };
        writeln!(text, "{key}").expect("text");
        for value in values {
            writeln!(text, "  {}", value.escape_ascii()).expect("text");
        }
    }
    text
}
