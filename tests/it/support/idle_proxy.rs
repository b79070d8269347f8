//! A load balancer that cuts connections on which nothing was sent for a while.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;
use tokio::task::JoinSet;
use tokio::time::timeout;

use super::gateway::local;

/// Ends with the test.
pub(crate) struct IdleProxy {
    pub(crate) address: SocketAddr,
    _tasks: JoinSet<()>,
}

impl IdleProxy {
    /// Passes on to `target`, as long as something is sent within each `limit`.
    pub(crate) async fn to(target: SocketAddr, limit: Duration) -> Self {
        let listener = local().await;
        let address = listener.local_addr().expect("an address");
        let mut tasks = JoinSet::new();
        tasks.spawn(accept(listener, target, limit));
        Self { address, _tasks: tasks }
    }
}

async fn accept(listener: TcpListener, target: SocketAddr, limit: Duration) {
    let mut lines = JoinSet::new();
    loop {
        let (near, _) = listener.accept().await.expect("a connection");
        lines.spawn(pass_on(near, target, limit));
    }
}

async fn pass_on(near: TcpStream, target: SocketAddr, limit: Duration) {
    let Ok(far) = TcpStream::connect(target).await else { return };
    let sent = Arc::new(Notify::new());
    let ((near_in, near_out), (far_in, far_out)) = (near.into_split(), far.into_split());
    let idle = async { while timeout(limit, sent.notified()).await.is_ok() {} };
    tokio::select! {
        () = copy(near_in, far_out, &sent) => {}
        () = copy(far_in, near_out, &sent) => {}
        () = idle => {}
    }
}

async fn copy(mut from: impl AsyncRead + Unpin, mut to: impl AsyncWrite + Unpin, sent: &Notify) {
    let mut bytes = vec![0; 16 * 1024];
    while let Ok(count @ 1..) = from.read(&mut bytes).await {
        sent.notify_one();
        if to.write_all(&bytes[..count]).await.is_err() {
            return;
        }
    }
}
