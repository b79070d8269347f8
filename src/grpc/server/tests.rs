//! The ends of connections, over pipes and with a clock that jumps when all wait.

use std::ops::RangeInclusive;

use axum::Router;
use axum::body::Body;
use axum::routing::get;
use hyper::client::conn::http2::{self, SendRequest};
use tokio::io::{AsyncWriteExt, DuplexStream, duplex};
use tokio::task::{JoinHandle, JoinSet};

use super::*;
use crate::config::Proxies;

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
/// An empty SETTINGS frame.
const SETTINGS: &[u8] = &[0, 0, 0, 4, 0, 0, 0, 0, 0];

/// A front whose `/quick` answers at once, `/never` never, and `/told` when told
/// that the connection is about to end.
struct Stage {
    front: Front,
    stop: CancellationToken,
    dismissed: CancellationToken,
    tasks: TaskTracker,
}

fn stage(max_connection_age: Duration) -> Stage {
    let settings = Grpc {
        listen: ([127, 0, 0, 1], 0).into(),
        tls: None,
        proxies: Proxies::default(),
        reflection: false,
        max_concurrent_streams: 10,
        max_connections: 10,
        max_connection_age,
        max_connection_age_grace: Duration::from_secs(7),
        keepalive_interval: Duration::from_secs(20),
        keepalive_timeout: Duration::from_secs(10),
    };
    let told = async |request: Request<Body>| {
        let Leaving(leaving) = request.extensions().get().cloned().expect("each request can be told");
        leaving.cancelled().await;
    };
    let routes = Router::new()
        .route("/quick", get(async || "done"))
        .route("/never", get(std::future::pending::<()>))
        .route("/told", get(told));
    let (stop, dismissed, tasks) = (CancellationToken::new(), CancellationToken::new(), TaskTracker::new());
    let metrics = Arc::new(Metrics::new());
    let front = Front::new(routes.into(), &settings, metrics, &tasks, stop.clone(), dismissed.clone());
    Stage { front: front.expect("a front"), stop, dismissed, tasks }
}

impl Stage {
    /// The peer's end of a connection, and how long the connection was served.
    fn connect(&self) -> (DuplexStream, JoinHandle<Duration>) {
        let (ours, theirs) = duplex(64 * 1024);
        let (front, began) = (self.front.clone(), Instant::now());
        let served = self.tasks.spawn(async move {
            front.attend(ours, None, None).await;
            began.elapsed()
        });
        (theirs, served)
    }

    /// A client on a connection of its own.
    async fn client(&self, tasks: &mut JoinSet<()>) -> (SendRequest<Body>, JoinHandle<Duration>) {
        let (peer, served) = self.connect();
        let (client, line) = http2::handshake(Tracked(self.tasks.clone()), TokioIo::new(peer)).await.expect("HTTP/2");
        tasks.spawn(async move { drop(line.await) });
        (client, served)
    }
}

/// How long the connection was served, or that it has no end.
async fn end(served: JoinHandle<Duration>) -> Duration {
    let served = tokio::time::timeout(Duration::from_secs(10_000), served).await;
    served.expect("an end within hours").expect("no panic")
}

fn call(path: &str) -> Request<Body> {
    Request::get(format!("http://gateway{path}")).body(Body::empty()).expect("a request")
}

fn assert_about(took: Duration, seconds: RangeInclusive<f64>) {
    assert!(seconds.contains(&took.as_secs_f64()), "it took {took:?}");
}

#[tokio::test(start_paused = true)]
async fn whoever_does_not_say_that_he_speaks_http_is_let_go() {
    for said in [&b""[..], b"P", &PREFACE[..23]] {
        let (mut peer, served) = stage(Duration::ZERO).connect();
        peer.write_all(said).await.expect("the line is open");
        assert_about(end(served).await, 10.0..=10.1);
    }
}

/// Long after the time for a first word, and only for want of an answer to pings.
#[tokio::test(start_paused = true)]
async fn whoever_answers_no_ping_is_let_go() {
    let (mut peer, served) = stage(Duration::ZERO).connect();
    peer.write_all(&[PREFACE, SETTINGS].concat()).await.expect("the line is open");
    assert_about(end(served).await, 30.0..=30.2);
}

#[tokio::test(start_paused = true)]
async fn a_quiet_client_is_kept_for_ever_where_no_age_is_set() {
    let (stage, mut tasks) = (stage(Duration::ZERO), JoinSet::new());
    let (mut client, served) = stage.client(&mut tasks).await;
    tokio::time::sleep(Duration::from_secs(86_400)).await;
    assert!(!served.is_finished());
    assert_eq!(client.send_request(call("/quick")).await.expect("an answer").status(), 200);
}

#[tokio::test(start_paused = true)]
async fn connections_end_at_ages_of_their_own() {
    let (stage, mut tasks, mut ages) = (stage(Duration::from_secs(1000)), JoinSet::new(), Vec::new());
    let mut clients = Vec::new();
    for _ in 0..30 {
        clients.push(stage.client(&mut tasks).await);
    }
    for (_client, served) in clients {
        let age = end(served).await;
        assert_about(age, 900.0..=1101.0);
        ages.push(age);
    }
    ages.sort_unstable();
    assert!(*ages.last().unwrap() - ages[0] > Duration::from_secs(50), "all of about one age: {ages:?}");
}

/// A call that does not come to its end is cut after the grace: not earlier, for
/// its answer may be under way, and not later.
#[tokio::test(start_paused = true)]
async fn what_goes_on_after_the_age_has_the_grace() {
    let (stage, mut tasks) = (stage(Duration::from_secs(100)), JoinSet::new());
    let (mut client, served) = stage.client(&mut tasks).await;
    client.send_request(call("/never")).await.expect_err("no answer");
    assert_about(end(served).await, 97.0..=117.2);
}

#[tokio::test(start_paused = true)]
async fn a_stopping_front_waits_for_calls_until_the_grace_after_the_dismissal() {
    let (stage, mut tasks) = (stage(Duration::ZERO), JoinSet::new());
    let (mut idle, idle_served) = stage.client(&mut tasks).await;
    let (mut busy, busy_served) = stage.client(&mut tasks).await;
    assert_eq!(idle.send_request(call("/quick")).await.expect("an answer").status(), 200);
    let call = tasks.spawn(async move { drop(busy.send_request(call("/never")).await) });
    tokio::time::sleep(Duration::from_secs(1)).await;

    stage.stop.cancel();
    assert_about(end(idle_served).await, 1.0..=1.1);
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert!(!call.is_finished() && !busy_served.is_finished());
    stage.dismissed.cancel();
    assert_about(end(busy_served).await, 68.0..=68.2);
}

#[tokio::test(start_paused = true)]
async fn streams_are_told_at_the_age_of_their_connection() {
    let (stage, mut tasks) = (stage(Duration::from_secs(100)), JoinSet::new());
    let (mut client, served) = stage.client(&mut tasks).await;
    assert_eq!(client.send_request(call("/told")).await.expect("the word").status(), 200);
    assert_about(end(served).await, 90.0..=110.1);
}
