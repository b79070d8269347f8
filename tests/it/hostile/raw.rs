//! A server that need not speak HTTP well.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

/// What is written to whoever asks.
#[derive(Clone, Copy)]
pub(super) enum Script {
    /// These bytes, and then the end.
    Bytes(&'static [u8]),
    /// The first, then the second over and over.
    Endless(&'static [u8], &'static [u8]),
    /// The first, then one byte of the second each second, over and over.
    Dripping(&'static [u8], &'static [u8]),
    /// Nothing: the connection is closed unread.
    Hangup,
}

/// Counts who calls. Ends with the test.
pub(super) struct RawServer {
    pub(super) url: String,
    calls: Arc<AtomicUsize>,
    _tasks: JoinSet<()>,
}

impl RawServer {
    pub(super) async fn start(script: Script) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let url = format!("http://{}/", listener.local_addr().expect("an address"));
        let (calls, mut tasks) = (Arc::new(AtomicUsize::new(0)), JoinSet::new());
        let counted = Arc::clone(&calls);
        tasks.spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                counted.fetch_add(1, Ordering::SeqCst);
                connections.spawn(play(stream, script));
            }
        });
        Self { url, calls, _tasks: tasks }
    }

    pub(super) fn calls(&self) -> usize {
        self.calls.load(Ordering::SeqCst)
    }
}

async fn play(mut stream: TcpStream, script: Script) {
    if matches!(script, Script::Hangup) {
        return;
    }
    let mut asked = [0; 4096];
    if stream.read(&mut asked).await.is_err() {
        return;
    }
    // Whoever hangs up has heard enough.
    let _ = tell(&mut stream, script).await;
}

async fn tell(stream: &mut TcpStream, script: Script) -> std::io::Result<()> {
    match script {
        Script::Bytes(bytes) => stream.write_all(bytes).await,
        Script::Endless(first, rest) => {
            stream.write_all(first).await?;
            let block = rest.repeat(64);
            loop {
                stream.write_all(&block).await?;
            }
        }
        Script::Dripping(first, rest) => {
            stream.write_all(first).await?;
            for byte in rest.iter().cycle() {
                stream.write_all(&[*byte]).await?;
                tokio::time::sleep(std::time::Duration::from_secs(1)).await;
            }
            Ok(())
        }
        Script::Hangup => Ok(()),
    }
}
