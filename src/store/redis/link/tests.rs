use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::time::Duration;

use ::redis::{RedisError, cmd};

use super::Link;
use crate::store::StoreError;
use crate::store::redis::nodes::Nodes;
use crate::store::redis::settings::Settings;

/// The address of a server that answers everything with that error.
fn server_that_says(error: &'static str) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address");
    std::thread::spawn(move || {
        for line in listener.incoming().flatten() {
            std::thread::spawn(move || answer(&line, error));
        }
    });
    format!("redis://{address}/?protocol=resp2")
}

/// A command is as many lines as it has words, times two, after the first.
fn answer(line: &TcpStream, error: &str) {
    let mut lines = BufReader::new(line).lines().map_while(Result::ok);
    while let Some(words) = lines.next().and_then(|first| first.strip_prefix('*')?.parse::<usize>().ok()) {
        let words: Vec<String> = lines.by_ref().take(words * 2).collect();
        let is_greeting = words.iter().any(|word| word == "CLIENT");
        let answer = if is_greeting { "+OK\r\n".to_owned() } else { format!("-{error}\r\n") };
        let mut line = line;
        if line.write_all(answer.as_bytes()).is_err() {
            return;
        }
    }
}

async fn ask(error: &'static str) -> Result<String, StoreError> {
    let nodes = Nodes::new(&Settings::new(server_that_says(error))).expect("an address");
    let link = Link::new(Arc::new(nodes), Duration::ZERO);
    link.command(cmd("GET").arg("key")).await
}

#[tokio::test]
async fn a_server_that_cannot_serve_now_is_unavailable() {
    for error in [
        "LOADING Redis is loading the dataset in memory",
        "TRYAGAIN Multiple keys request during rehashing of slot",
        "CLUSTERDOWN The cluster is down",
        "MASTERDOWN Link with MASTER is down and replica-serve-stale-data is set to 'no'.",
        "READONLY You can't write against a read only replica.",
        "BUSY Redis is busy running a script.",
        "MISCONF Redis is configured to save RDB snapshots, but it's currently unable to persist to disk.",
        "NOREPLICAS Not enough good replicas to write.",
        "SOMETHING new",
    ] {
        let failed = ask(error).await;
        let Err(StoreError::Unavailable(reason)) = failed else { panic!("{error}: {failed:?}") };
        let code = reason.downcast_ref::<RedisError>().and_then(RedisError::code);
        assert_eq!(code, error.split(' ').next());
    }
}

#[tokio::test]
async fn a_server_without_memory_is_full() {
    let failed = ask("OOM command not allowed when used memory > 'maxmemory'.").await;
    assert!(matches!(failed, Err(StoreError::Full(_))), "{failed:?}");
}
