//! How a gateway stops: told once it drains, told twice it ends.

use std::time::Duration;

use ciba_gateway::grpc::v1::watch_login_response::Event;
use ciba_gateway::grpc::v1::{Outcome, WatchLoginsResponse, watch_logins_response};
use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::Instant;
use tonic::transport::Endpoint;
use tonic::{Code, Status, Streaming};
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_client::HealthClient;
use tonic_reflection::pb::v1::server_reflection_client::ServerReflectionClient;

use crate::support::caller::{refusal, till};
use crate::support::configuration::Configuration;
use crate::support::eventually::eventually;
use crate::support::gateway::Serve;
use crate::support::http;
use crate::support::redis_server::RedisServer;
use crate::support::simulators::Vipps;
use crate::support::tools::is_soak;

const NUMBER: &str = "+4712345678";

async fn serve(vipps: &Vipps, notice: &str, limit: &str) -> Serve {
    let drain = format!("notice = \"{notice}\"\nlimit = \"{limit}\"");
    Serve::ready(&Configuration { drain, ..Configuration::new(&vipps.issuer()) }).await
}

async fn readiness(serve: &Serve) -> Option<u16> {
    Some(http::get(&format!("http://{}/readyz", serve.http)).await?.0)
}

/// How a stream ends, whatever it says before.
async fn end_of<T>(stream: &mut Streaming<T>) -> Option<Status> {
    loop {
        match stream.message().await {
            Ok(Some(_)) => {}
            Ok(None) => return None,
            Err(status) => return Some(status),
        }
    }
}

#[tokio::test]
async fn a_gateway_goes_on_serving_while_it_says_that_it_will_stop() {
    let vipps = Vipps::start().await;
    let mut serve = serve(&vipps, "4s", "10s").await;
    let caller = serve.caller();
    let login = caller.at_a_till(NUMBER).await;
    serve.process.signal("TERM");
    eventually("it is not ready", async || (readiness(&serve).await == Some(503)).then_some(())).await;

    // Within the notice everything works: a new start, and an approval.
    caller.at_a_till("+4712345679").await;
    vipps.simulator.approve(NUMBER);
    assert_eq!(caller.end_of(&login.login_id).await.outcome(), Outcome::Approved);
    assert_eq!(readiness(&serve).await, Some(503));
    assert_eq!(serve.process.ended().await.code, Some(0));
}

#[tokio::test]
async fn watchers_of_a_stopping_gateway_are_told_to_come_back() {
    let vipps = Vipps::start().await;
    let mut serve = serve(&vipps, "0s", "10s").await;
    let caller = serve.caller();
    let login = caller.at_a_till(NUMBER).await;
    let mut watch = caller.watch(&login.login_id).await;
    let first = watch.message().await.expect("a message").and_then(|message| message.event);
    assert!(matches!(first, Some(Event::Login(_))), "{first:?}");

    let began = Instant::now();
    serve.process.signal("TERM");
    let status = end_of(&mut watch).await.expect("a status");
    assert_eq!(refusal(&status), (Code::Unavailable, "DRAINING".into(), true), "{status}");
    assert_eq!(serve.process.ended().await.code, Some(0));
    // Well within the bound: the phone that is still asked holds nothing up.
    assert!(began.elapsed() < Duration::from_secs(5), "it took {:?}", began.elapsed());
    assert!(serve.process.stderr().contains("drained"), "{}", serve.process.stderr());
    assert_eq!(caller.start(till(NUMBER)).await.expect_err("nobody is there").code(), Code::Unavailable);
}

#[tokio::test]
async fn silent_connections_hold_nothing_up() {
    let vipps = Vipps::start().await;
    let mut serve = serve(&vipps, "0s", "10s").await;
    let mut silent = [TcpStream::connect(serve.grpc).await, TcpStream::connect(serve.http).await];
    serve.caller().at_a_till(NUMBER).await;

    let began = Instant::now();
    serve.process.signal("TERM");
    assert_eq!(serve.process.ended().await.code, Some(0));
    assert!(began.elapsed() < Duration::from_secs(5), "it took {:?}", began.elapsed());
    for stream in &mut silent {
        let stream = stream.as_mut().expect("a connection");
        // Closed or reset, but gone.
        let mut rest = Vec::new();
        let _ = stream.read_to_end(&mut rest).await;
    }
}

#[tokio::test]
async fn a_second_signal_ends_at_once() {
    let vipps = Vipps::start().await;
    let mut serve = serve(&vipps, "50s", "60s").await;
    serve.process.signal("TERM");
    serve.process.logs("draining").await;
    assert!(serve.process.runs());
    serve.process.signal("TERM");
    let ended = serve.process.ended().await;
    assert_eq!(ended.code, Some(70), "{ended:?}");
    assert!(ended.stderr.contains("a second time"), "{ended:?}");
}

/// Whoever watches the gateway's health or asks it about itself has no reason to
/// go, and is told to.
#[tokio::test]
async fn watchers_of_a_stopping_gateways_health_are_told_to_come_back() {
    let vipps = Vipps::start().await;
    let configuration = Configuration::new(&vipps.issuer());
    let grpc = configuration.grpc.clone() + "\nreflection = true";
    let drain = "notice = \"0s\"\nlimit = \"50s\"".to_owned();
    let mut serve = Serve::ready(&Configuration { grpc, drain, ..configuration }).await;
    let channel = Endpoint::from_shared(serve.url()).expect("an address").connect_lazy();
    let request = HealthCheckRequest { service: String::new() };
    let mut health = HealthClient::new(channel.clone()).watch(request).await.expect("a stream").into_inner();
    assert!(health.message().await.expect("a message").is_some());

    let asking = ServerReflectionClient::new(channel).server_reflection_info(tokio_stream::pending()).await;
    let mut reflection = asking.expect("a stream").into_inner();

    let began = Instant::now();
    serve.process.signal("TERM");
    let asked = end_of(&mut reflection).await;
    // It may also end because nothing more can be asked.
    for status in [end_of(&mut health).await.expect("a status")].into_iter().chain(asked) {
        assert_eq!(refusal(&status), (Code::Unavailable, "DRAINING".into(), true), "{status}");
    }
    assert_eq!(serve.process.ended().await.code, Some(0));
    assert!(began.elapsed() < Duration::from_secs(5), "it took {:?}", began.elapsed());
    assert!(serve.process.stderr().contains("drained"), "{}", serve.process.stderr());
}

/// A client that stands still takes nothing in and acknowledges nothing.
#[tokio::test]
async fn a_client_that_stands_still_holds_nothing_up() {
    let vipps = Vipps::start().await;
    let mut serve = serve(&vipps, "0s", "4s").await;
    let login = serve.caller().at_a_till(NUMBER).await;
    let stuck = [serve.command(&["watch"]), serve.command(&["watch", &login.login_id])];
    for client in &stuck {
        client.prints("pending").await;
        client.signal("STOP");
    }
    let began = Instant::now();
    serve.process.signal("TERM");
    assert_eq!(serve.process.ended().await.code, Some(0));
    assert!(began.elapsed() < Duration::from_secs(6), "it took {:?}", began.elapsed());
    // Otherwise they cannot even be killed before the test ends.
    stuck.iter().for_each(|client| client.signal("CONT"));
}

/// One reader: every login that ended while it read, and how the stream ended.
struct Read {
    cancelled: usize,
    cursor: String,
    end: Status,
}

async fn read(mut stream: Streaming<WatchLoginsResponse>, began: watch::Sender<usize>) -> Read {
    let (mut cancelled, mut cursor) = (0, String::new());
    loop {
        match stream.message().await {
            Ok(message) => {
                let message = message.expect("no stream ends without a word");
                if cursor.is_empty() {
                    began.send_modify(|count| *count += 1);
                }
                cursor = message.cursor;
                cancelled += usize::from(is_cancelled(message.event));
            }
            Err(end) => return Read { cancelled, cursor, end },
        }
    }
}

fn is_cancelled(event: Option<watch_logins_response::Event>) -> bool {
    matches!(event, Some(watch_logins_response::Event::Login(login)) if login.outcome() == Outcome::Cancelled)
}

/// G5: all are told to move within the bound, and none loses an event on the way.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn thousands_of_streams_are_drained_within_the_bound() {
    const CONNECTIONS: usize = 10;
    let streams = if is_soak() { 10_000 } else { 1_000 };
    let (vipps, redis) = (Vipps::start().await, RedisServer::start().await);
    let drain = "notice = \"1s\"\nlimit = \"25s\"".to_owned();
    let configuration = Configuration { drain, ..Configuration::new(&vipps.issuer()).with_redis(&redis) };
    let (mut first, second) = (Serve::ready(&configuration).await, Serve::ready(&configuration).await);
    let login = second.caller().at_a_till(NUMBER).await;
    let callers: Vec<_> = (0..CONNECTIONS).map(|_| first.caller()).collect();
    let (began, mut count) = watch::channel(0);
    let mut readers = JoinSet::new();
    for index in 0..streams {
        let stream = callers[index % CONNECTIONS].watch_all().await;
        readers.spawn(read(stream, began.clone()));
    }
    count.wait_for(|count| *count == streams).await.expect("all have begun");

    let told = Instant::now();
    first.process.signal("TERM");
    first.process.logs("draining").await;
    second.caller().cancel(&login.login_id).await;
    let reads = readers.join_all().await;
    let took = told.elapsed();
    assert_eq!(first.process.ended().await.code, Some(0));
    println!("{streams} streams were drained in {took:?}, the process had ended after {:?}", told.elapsed());
    assert!(told.elapsed() < Duration::from_secs(25));
    assert!(first.process.stderr().contains("drained"), "within the bound");

    let caller = second.caller();
    for read in reads {
        assert_eq!(refusal(&read.end), (Code::Unavailable, "DRAINING".into(), true), "{}", read.end);
        let mut stream = caller.resume(&read.cursor).await;
        let mut cancelled = read.cancelled;
        while cancelled == 0 {
            let message = stream.message().await.expect("the other one serves").expect("a message");
            cancelled += usize::from(is_cancelled(message.event));
        }
        assert_eq!(cancelled, 1);
    }
}
