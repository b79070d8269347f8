//! A line to a server that can be slow, stall, swallow everything or be cut.

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::gateway::local;

/// How the line is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Weather {
    /// Everything arrives this much later, in each direction.
    Late(Duration),
    /// Everything waits until the weather changes.
    Stalled,
    /// Whatever is sent is lost, and a connection that lost something is dead for
    /// ever, without a word.
    BlackHole,
    /// There are no connections.
    Cut,
}

/// Passes on what comes to its own port. Ends with the test.
pub(crate) struct Proxy {
    pub(crate) port: u16,
    weather: watch::Sender<Weather>,
    _tasks: JoinSet<()>,
}

impl Proxy {
    /// A good line to that port of this machine.
    pub(crate) async fn to(target: u16) -> Self {
        let listener = local().await;
        let port = listener.local_addr().expect("an address").port();
        let (weather, seen) = watch::channel(Weather::Late(Duration::ZERO));
        let mut tasks = JoinSet::new();
        tasks.spawn(accept(listener, target, seen));
        Self { port, weather, _tasks: tasks }
    }

    pub(crate) fn becomes(&self, weather: Weather) {
        self.weather.send_replace(weather);
    }

    pub(crate) fn is_good_again(&self) {
        self.becomes(Weather::Late(Duration::ZERO));
    }
}

async fn accept(listener: TcpListener, target: u16, weather: watch::Receiver<Weather>) {
    let mut lines = JoinSet::new();
    loop {
        let (near, _) = listener.accept().await.expect("a connection");
        if *weather.borrow() != Weather::Cut {
            lines.spawn(connect(near, target, weather.clone()));
        }
        while lines.try_join_next().is_some() {}
    }
}

async fn connect(near: TcpStream, target: u16, mut weather: watch::Receiver<Weather>) {
    let Ok(far) = TcpStream::connect(("127.0.0.1", target)).await else { return };
    let ((near_in, near_out), (far_in, far_out)) = (near.into_split(), far.into_split());
    let (there, back) = (weather.clone(), weather.clone());
    tokio::select! {
        () = pass_on(near_in, far_out, there) => {}
        () = pass_on(far_in, near_out, back) => {}
        _ = weather.wait_for(|weather| *weather == Weather::Cut) => {}
    }
}

async fn pass_on(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, mut weather: watch::Receiver<Weather>) {
    let mut bytes = vec![0; 64 * 1024];
    while let Ok(count @ 1..) = from.read(&mut bytes).await {
        let Ok(now) = weather.wait_for(|weather| *weather != Weather::Stalled).await.map(|now| *now) else { return };
        match now {
            Weather::Late(delay) => tokio::time::sleep(delay).await,
            Weather::BlackHole => return std::future::pending().await,
            Weather::Stalled | Weather::Cut => return,
        }
        if to.write_all(&bytes[..count]).await.is_err() {
            return;
        }
    }
}
