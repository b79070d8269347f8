//! A line to Redis that keeps what passes, to tell what was sealed and opened.

use std::net::Ipv4Addr;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

use super::gateway::local_port;

/// What came one way over one connection.
type Kept = Arc<Mutex<Vec<u8>>>;

/// Passes on what comes to its own port.
pub(crate) struct Wire {
    port: u16,
    kept: Arc<Mutex<Vec<[Kept; 2]>>>,
    _lines: JoinSet<()>,
}

impl Wire {
    pub(crate) async fn to(target: u16) -> Self {
        let listener = local_port().await;
        let port = listener.local_addr().expect("an address").port();
        let (kept, mut lines) = (Arc::default(), JoinSet::new());
        lines.spawn(accept(listener, target, Arc::clone(&kept)));
        Self { port, kept, _lines: lines }
    }

    pub(crate) const fn port(&self) -> u16 {
        self.port
    }

    /// Forgets what has passed so far.
    pub(crate) fn forget(&self) {
        lock(&self.kept).iter().flatten().for_each(|kept| lock(kept).clear());
    }

    /// The lengths of all strings that began so: those that were sent, and those
    /// that came back.
    pub(crate) fn strings_with(&self, beginning: &[u8]) -> [Vec<usize>; 2] {
        let kept = lock(&self.kept);
        [0, 1].map(|way| kept.iter().flat_map(|ways| lengths(&lock(&ways[way]), beginning)).collect())
    }
}

async fn accept(listener: TcpListener, target: u16, kept: Arc<Mutex<Vec<[Kept; 2]>>>) {
    let mut lines = JoinSet::new();
    loop {
        let (near, _) = listener.accept().await.expect("a connection");
        let far = TcpStream::connect((Ipv4Addr::LOCALHOST, target)).await.expect("Redis");
        let (sent, received) = (Kept::default(), Kept::default());
        lock(&kept).push([Arc::clone(&sent), Arc::clone(&received)]);
        let ((near_read, near_write), (far_read, far_write)) = (near.into_split(), far.into_split());
        lines.spawn(pass(near_read, far_write, sent));
        lines.spawn(pass(far_read, near_write, received));
    }
}

async fn pass(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, kept: Kept) {
    let mut chunk = vec![0; 16 * 1024];
    while let Ok(length) = from.read(&mut chunk).await {
        lock(&kept).extend_from_slice(&chunk[..length]);
        if length == 0 || to.write_all(&chunk[..length]).await.is_err() {
            return;
        }
    }
}

/// A string is written as `$`, its length, a line end and its bytes.
fn lengths(bytes: &[u8], beginning: &[u8]) -> Vec<usize> {
    let places = bytes.windows(beginning.len()).enumerate().filter(|(_, found)| *found == beginning);
    let length = |(at, _): (usize, &[u8])| {
        let head = bytes[..at].strip_suffix(b"\r\n")?;
        let digits = head.rsplit(|byte| *byte == b'$').next()?;
        std::str::from_utf8(digits).ok()?.parse().ok()
    };
    places.filter_map(length).collect()
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
