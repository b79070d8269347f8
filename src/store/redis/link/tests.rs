use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::time::Duration;

use ::redis::{Client, RedisError, cmd};

use super::Link;
use crate::store::StoreError;

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

#[tokio::test]
async fn a_server_that_cannot_serve_now_is_unavailable() {
    for error in [
        "LOADING Redis is loading the dataset in memory",
        "TRYAGAIN Multiple keys request during rehashing of slot",
        "CLUSTERDOWN The cluster is down",
        "MASTERDOWN Link with MASTER is down and replica-serve-stale-data is set to 'no'.",
        "READONLY You can't write against a read only replica.",
        "OOM command not allowed when used memory > 'maxmemory'.",
        "BUSY Redis is busy running a script.",
        "MISCONF Redis is configured to save RDB snapshots, but it's currently unable to persist to disk.",
        "NOREPLICAS Not enough good replicas to write.",
        "SOMETHING new",
    ] {
        let client = Client::open(server_that_says(error)).expect("an address");
        let second = Duration::from_secs(1);
        let link = Link::new(client, second, second).expect("a link");
        let failed = link.command::<String>(cmd("GET").arg("key")).await;
        let Err(StoreError::Unavailable(reason)) = failed else { panic!("{error}: {failed:?}") };
        let code = reason.downcast_ref::<RedisError>().and_then(RedisError::code);
        assert_eq!(code, error.split(' ').next());
    }
}
