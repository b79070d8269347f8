//! How a gateway stops: told once it drains, told twice it ends.

use std::time::Duration;

use ciba_gateway::grpc::v1::Outcome;
use ciba_gateway::grpc::v1::watch_login_response::Event;
use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;
use tokio::time::Instant;
use tonic::{Code, Status, Streaming};

use crate::support::caller::{refusal, till};
use crate::support::configuration::Configuration;
use crate::support::eventually::eventually;
use crate::support::gateway::Serve;
use crate::support::http;
use crate::support::simulators::Vipps;

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
