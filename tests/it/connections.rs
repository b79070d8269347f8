//! The gateway behind load balancers: connections that reach their age, that are
//! cut when nothing is sent, and that stay silent.

use std::time::Duration;

use ciba_gateway::grpc::v1::watch_login_response::Event;
use ciba_gateway::grpc::v1::{LoginState, watch_logins_response};
use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::time::Instant;
use tonic::Code;
use tonic_types::StatusExt;

use crate::support::caller::{Caller, refusal, till, until_answered};
use crate::support::configuration::{Configuration, api_key};
use crate::support::gateway::Gateway;
use crate::support::idle_proxy::IdleProxy;
use crate::support::processes::Process;
use crate::support::simulators::Vipps;
use crate::support::tools::is_soak;

const NUMBER: &str = "+4712345678";
/// When the load balancer cuts an idle connection.
const CUT_AFTER: Duration = Duration::from_secs(3);

/// Code, reason, and whether it says when to come back.
type Ending = (Code, String, bool);

async fn gateway(vipps: &Vipps, grpc: &str) -> Gateway {
    let grpc = format!("listen = \"127.0.0.1:0\"\n{grpc}");
    Gateway::ready(&Configuration { grpc, ..Configuration::new(&vipps.issuer()) }).await
}

/// Follows the contract from `cursor` until `count` logins have ended, and comes
/// back when it is told to; gives back which, and how the streams ended.
async fn follow(caller: Caller, mut cursor: String, count: watch::Receiver<usize>) -> (Vec<String>, Vec<Ending>) {
    let (mut ended, mut endings) = (Vec::new(), Vec::new());
    while ended.len() < *count.borrow() {
        let resumed = until_answered(async || caller.try_resume(&cursor).await).await;
        let mut stream = resumed.expect("a stream");
        while ended.len() < *count.borrow() {
            let message = match stream.message().await {
                Ok(message) => message.expect("no stream ends without a word"),
                Err(status) => {
                    let again = status.get_error_details().retry_info().and_then(|info| info.retry_delay);
                    endings.push(refusal(&status));
                    tokio::time::sleep(again.unwrap_or_default()).await;
                    break;
                }
            };
            cursor = message.cursor;
            if let Some(watch_logins_response::Event::Login(login)) = message.event
                && login.state() == LoginState::Ended
            {
                ended.push(login.login_id);
            }
        }
    }
    (ended, endings)
}

/// The last message before a stream ends by our doing tells how to go on, and
/// whoever goes on loses nothing and sees no other error.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_that_follows_the_contract_notices_no_age() {
    const AGES: Duration = Duration::from_millis(4500);
    let vipps = Vipps::start().await;
    let gateway = gateway(&vipps, "max_connection_age = \"1s\"").await;
    let caller = gateway.caller();
    let beginning = caller.watch_all().await.message().await.expect("a message").expect("a message").cursor;
    let (done, count) = watch::channel(usize::MAX);
    let busy = async {
        let (began, mut ended) = (Instant::now(), Vec::new());
        while began.elapsed() < AGES {
            let number = format!("+47{:08}", 41_050_000 + ended.len());
            let start = till(&number);
            let login = until_answered(async || caller.start(start.clone()).await).await.expect("no age is noticed");
            let cancelled = until_answered(async || caller.try_cancel(&login.login_id).await).await;
            assert_eq!(cancelled.expect("no age is noticed").state(), LoginState::Ended);
            ended.push(login.login_id);
        }
        done.send_replace(ended.len());
        ended
    };
    let ((told, endings), ended) = tokio::join!(follow(gateway.caller(), beginning, count), busy);
    assert_eq!(told, ended, "each, once, in order");
    assert!(endings.len() >= 3, "{endings:?}");
    let expected = (Code::Unavailable, "CONNECTION_AGE".to_owned(), true);
    assert!(endings.iter().all(|ending| *ending == expected), "{endings:?}");
}

/// Our own clients follow the contract.
#[tokio::test]
async fn the_watch_command_goes_on_after_an_age() {
    let vipps = Vipps::start().await;
    let gateway = gateway(&vipps, "max_connection_age = \"1s\"").await;
    let (caller, url, key) = (gateway.caller(), gateway.url(), api_key());
    let first = caller.at_a_till(NUMBER).await;
    let watch = |of: &[&str]| Process::gateway(&[&["watch", "--server", &url, "--api-key", key.expose()], of].concat());
    let (all, mut one) = (watch(&[]), watch(&[&first.login_id]));
    for watch in [&all, &one] {
        watch.prints(&first.login_id).await;
        watch.logs("watching again").await;
    }
    let second = until_answered(async || caller.start(till("+4712345679")).await).await.expect("a login");
    all.prints(&second.login_id).await;
    until_answered(async || caller.try_cancel(&first.login_id).await).await.expect("an end");
    assert_eq!(one.ended().await.code, Some(12));
}

#[tokio::test]
async fn a_wait_on_an_old_connection_gives_the_present_state() {
    let vipps = Vipps::start().await;
    let gateway = gateway(&vipps, "max_connection_age = \"1s\"").await;
    let caller = gateway.caller();
    let login = caller.at_a_till(NUMBER).await;
    let waited = caller.wait(&login.login_id, 30).await.expect("an answer");
    assert_eq!(waited.state(), LoginState::Pending);
}

/// G6: alive behind a proxy that cuts what is idle, because heartbeats are messages.
#[tokio::test]
async fn heartbeats_keep_an_idle_stream_alive() {
    let vipps = Vipps::start().await;
    let gateway = gateway(&vipps, "").await;
    let proxy = IdleProxy::to(gateway.grpc, CUT_AFTER).await;
    let caller = Caller::new(&format!("http://{}", proxy.address), api_key().expose());
    let login = gateway.caller().at_a_till(NUMBER).await;
    let mut stream = caller.watch_every(&login.login_id, 1).await;
    let beats = if is_soak() { 30 } else { 10 };
    let (began, mut heard) = (Instant::now(), 0);
    while heard < beats {
        let message = stream.message().await.expect("alive").expect("the login lives");
        heard += usize::from(matches!(message.event, Some(Event::Heartbeat(_))));
    }
    assert!(began.elapsed() > 2 * CUT_AFTER);
}

/// The counterpart: the proxy of the test above does cut.
#[tokio::test]
async fn without_heartbeats_an_idle_stream_is_cut() {
    let vipps = Vipps::start().await;
    let gateway = gateway(&vipps, "").await;
    let proxy = IdleProxy::to(gateway.grpc, CUT_AFTER).await;
    let caller = Caller::new(&format!("http://{}", proxy.address), api_key().expose());
    let login = gateway.caller().at_a_till(NUMBER).await;
    let mut stream = caller.watch_every(&login.login_id, 60).await;
    assert!(matches!(stream.message().await, Ok(Some(_))), "the present state");
    assert!(stream.message().await.is_err(), "cut");
}

/// SR35.
#[tokio::test]
async fn there_are_no_more_connections_than_are_wanted() {
    let vipps = Vipps::start().await;
    let gateway = gateway(&vipps, "max_connections = 2").await;
    let (first, second) = (gateway.caller(), gateway.caller());
    first.at_a_till(NUMBER).await;
    second.at_a_till("+4712345679").await;
    let mut third = TcpStream::connect(gateway.grpc).await.expect("the port is open");
    assert!(matches!(third.read(&mut [0; 16]).await, Ok(0) | Err(_)), "closed at once");
    first.at_a_till("+4712345680").await;
}
