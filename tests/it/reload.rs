//! A configuration that changes while the gateway runs: `serve`, its files, and
//! whoever is connected.

use std::future::Future;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::time::Duration;

use ciba_gateway::config::ApiKey;
use ciba_gateway::grpc::v1::{LoginState, Outcome};
use ciba_gateway::simulator::{ClientRegistration, Endpoint, Settings};
use tokio::net::TcpStream;
use tokio::time::Instant;
use tonic::{Code, Status, Streaming};

use crate::support::caller::{Caller, call, refusal, till};
use crate::support::configuration::{Configuration, api_key, other_api_key, replace};
use crate::support::eventually::eventually;
use crate::support::gateway::{Serve, local};
use crate::support::http;
use crate::support::simulators::{Vipps, quick};

const NUMBER: &str = "+4712345678";
const OTHER_NUMBER: &str = "+4712345679";
const NOBODY: &str = "AAAAAAAAAAAAAAAAAAAAAAAAAAA";

/// A key that no configuration has at first.
fn new_key() -> ApiKey {
    ApiKey::from_random([9; 32])
}

/// How a stream ends, past whatever it tells before.
async fn end<T>(mut stream: Streaming<T>) -> Status {
    loop {
        match stream.message().await {
            Ok(message) => assert!(message.is_some(), "no stream ends without a word"),
            Err(status) => return status,
        }
    }
}

/// What is promised of a change: it holds within five seconds, and a little more where
/// the machine is busy.
async fn soon<T>(what: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(8), what).await.expect("a change that holds within five seconds")
}

/// A call with a login id of nobody: NOT_FOUND where the caller is known.
async fn is_known(caller: &Caller) -> bool {
    let status = caller.get(NOBODY).await.expect_err("nobody's login");
    match refusal(&status) {
        (Code::NotFound, ..) => true,
        (Code::Unauthenticated, reason, _) if reason == "CREDENTIAL_INVALID" => false,
        other => panic!("{other:?}"),
    }
}

/// SR2, SR31: with the key that is taken out everything ends that it opened, and on
/// the same connection nothing more is answered; nobody else notices.
#[tokio::test]
async fn what_a_removed_key_has_opened_ends_at_once() {
    let vipps = Vipps::start().await;
    let configuration = Configuration::new(&vipps.issuer());
    let serve = Serve::ready(&configuration).await;
    let desk = serve.caller();
    let neighbour = Caller::new(&serve.url(), other_api_key().expose());
    let login = desk.at_a_till(NUMBER).await.login_id;
    let (one, all, mut kept) = (desk.watch(&login).await, desk.watch_all().await, neighbour.watch_all().await);
    kept.message().await.expect("a message");

    let old = api_key().hash().to_string();
    let told = serve.file.text();
    serve.file.becomes(&told.replace(&old, &new_key().hash().to_string()));
    let began = Instant::now();
    let (one, all, waited) = soon(async { tokio::join!(end(one), end(all), desk.wait(&login, 30)) }).await;
    assert!(began.elapsed() > Duration::from_secs(1), "two looks at what is still being written");
    for status in [one, all, waited.expect_err("a refusal")] {
        assert_eq!(refusal(&status), (Code::Unauthenticated, "CREDENTIAL_INVALID".to_owned(), false), "{status:?}");
    }
    assert!(!is_known(&desk).await);
    let renewed = Caller::new(&serve.url(), new_key().expose());
    assert_eq!(renewed.get(&login).await.expect("the client's login").state(), LoginState::Pending);
    neighbour.at_a_till(OTHER_NUMBER).await;
    let message = kept.message().await.expect("the neighbour's stream goes on");
    assert!(message.is_some());
    serve.counts("ciba_gateway_config_reloads_total{result=\"taken\"} 1").await;
    serve.counts("ciba_gateway_config_differs 0").await;
}

/// SR31: nothing of a file with mistakes is taken, all mistakes are told, and the
/// service is as ready as before.
#[tokio::test]
async fn a_file_with_mistakes_changes_nothing() {
    let vipps = Vipps::start().await;
    let serve = Serve::ready(&Configuration::new(&vipps.issuer())).await;
    let right = serve.file.text();
    let (old, new) = (api_key().hash().to_string(), new_key().hash().to_string());
    let renewed = right.replace(&old, &new);
    serve.file.becomes(&renewed.replace("default_country", "default_contry").replace("[drain]", "[drain]\nwait = 1"));
    for mistake in
        ["drain.wait is not a setting", "tenants[0].default_contry is not a setting", "all goes on as before"]
    {
        serve.process.logs(mistake).await;
    }
    serve.counts("ciba_gateway_config_reloads_total{result=\"refused\"} 1").await;
    serve.counts("ciba_gateway_config_differs 1").await;
    let (status, _) = http::get(&format!("http://{}/readyz", serve.http)).await.expect("an answer");
    assert_eq!(status, 200);
    assert!(is_known(&serve.caller()).await);
    assert!(!is_known(&Caller::new(&serve.url(), new_key().expose())).await);

    serve.file.becomes(&renewed);
    serve.counts("ciba_gateway_config_differs 0").await;
    assert!(!is_known(&serve.caller()).await);
    assert!(is_known(&Caller::new(&serve.url(), new_key().expose())).await);
}

/// Half a file can be without mistakes, and lack a client.
#[tokio::test]
async fn a_file_that_is_still_being_written_is_not_taken() {
    let vipps = Vipps::start().await;
    let serve = Serve::ready(&Configuration::new(&vipps.issuer())).await;
    let (desk, whole) = (serve.caller(), serve.file.text());
    let mut stream = desk.watch_all().await;
    stream.message().await.expect("a message");
    let client = "\n[[tenants.clients]]\nid = \"more\"\nchannels = [\"tv-box\"]\napi_keys = [{ sha256 = \"";
    let without_desk = whole.replace(&api_key().hash().to_string(), &new_key().hash().to_string());
    // Whoever writes goes on writing, past several looks.
    let mut ticks = tokio::time::interval(Duration::from_millis(200));
    for written in 0..20 {
        ticks.tick().await;
        serve.file.becomes(&format!("{without_desk}\n# {}", "-".repeat(written)));
    }
    assert!(is_known(&desk).await, "not before it is settled");
    serve.file.becomes(&format!("{whole}{client}{}\" }}]\n", new_key().hash()));
    let more = Caller::new(&serve.url(), new_key().expose());
    eventually("the new client is known", async || is_known(&more).await.then_some(())).await;
    assert!(is_known(&desk).await);
    assert!(!serve.process.stderr().contains("mistake"), "{}", serve.process.stderr());
}

/// What cannot change is told by name, and none of it is half there.
#[tokio::test]
async fn what_needs_a_restart_is_told_and_left_as_it_is() {
    let vipps = Vipps::start().await;
    let configuration = Configuration::new(&vipps.issuer());
    let serve = Serve::ready(&configuration).await;
    let free = local().await.local_addr().expect("an address");
    let old = api_key().hash().to_string();
    let text = serve.file.text();
    let tenant = text.split_once("[[tenants]]\nid = \"nordlys\"").expect("a tenant").1;
    let tenant = tenant.split_once("[[tenants]]").expect("another tenant").0;
    let newcomer = ApiKey::from_random([10; 32]);
    let tenant = tenant.replace(&old, &newcomer.hash().to_string());
    let changed = text
        .replace("[http]\nlisten = \"127.0.0.1:0\"", &format!("[http]\nlisten = \"{free}\""))
        .replace("notice = \"0s\"", "notice = \"1s\"")
        .replace(&old, &new_key().hash().to_string());
    serve.file.becomes(&format!("{changed}\n[[tenants]]\nid = \"newcomer\"{tenant}"));
    for setting in ["http.listen", "drain.notice", "tenants: newcomer is new"] {
        let line = serve.process.logs(setting).await;
        assert!(line.contains("WARN") && line.contains("waits for a restart"), "{line}");
    }
    serve.counts("ciba_gateway_config_reloads_total{result=\"taken_in_part\"} 1").await;
    serve.counts("ciba_gateway_config_differs 1").await;
    assert!(is_known(&Caller::new(&serve.url(), new_key().expose())).await, "the rest is taken");
    assert!(!is_known(&Caller::new(&serve.url(), newcomer.expose())).await);
    TcpStream::connect(free).await.expect_err("nobody listens there");

    serve.file.becomes(&text);
    serve.counts("ciba_gateway_config_differs 0").await;
}

/// SR31: secrets that a cluster mounts are swapped by a link above them.
#[tokio::test]
async fn a_secret_whose_folder_is_swapped_is_read_again() {
    let (vipps, folder) = (Vipps::start().await, tempfile::tempdir().expect("a folder"));
    let version = |name: &str, key: &ApiKey| {
        let version = folder.path().join(name);
        std::fs::create_dir(&version).expect("a folder");
        std::fs::write(version.join("key"), key.hash().to_string()).expect("a file");
        version
    };
    let link = |version: &Path| {
        let (beside, data) = (folder.path().join("..data_tmp"), folder.path().join("..data"));
        symlink(version, &beside).expect("a link");
        std::fs::rename(&beside, &data).expect("a link in its place");
    };
    link(&version("..1", &api_key()));
    symlink("..data/key", folder.path().join("key")).expect("a link");
    let configuration = Configuration::new(&vipps.issuer());
    let in_file = format!("sha256_file = \"{}\"", folder.path().join("key").display());
    let text = configuration.text().replace(&format!("sha256 = \"{}\"", api_key().hash()), &in_file);
    let serve = Serve::with_text(&text).await;
    assert!(is_known(&serve.caller()).await);
    link(&version("..2", &new_key()));
    let renewed = Caller::new(&serve.url(), new_key().expose());
    soon(eventually("the new key counts", async || is_known(&renewed).await.then_some(()))).await;
    assert!(!is_known(&serve.caller()).await);
}

/// Whoever does not want to wait for the next look sends a signal.
#[tokio::test]
async fn a_hangup_reads_at_once() {
    let vipps = Vipps::start().await;
    let serve = Serve::ready(&Configuration::new(&vipps.issuer())).await;
    serve.process.signal("HUP");
    let line = serve.process.logs("is read again").await;
    assert!(line.contains("on_signal=true"), "{line}");
    serve.counts("ciba_gateway_config_reloads_total{result=\"taken\"} 1").await;
    serve.caller().at_a_till(NUMBER).await;
}

/// A provider that knows this secret alone.
async fn vipps_with(client_secret: &str) -> Vipps {
    let client = ClientRegistration { client_secret: client_secret.to_owned(), ..ClientRegistration::default() };
    Vipps::with(local().await, Settings { clients: vec![client], ..quick() }).await
}

/// SR31: before the provider's secret changes the next one is put beside it, and
/// nobody notices when it does.
#[tokio::test]
async fn of_two_client_secrets_the_one_is_used_that_the_provider_takes() {
    let vipps = vipps_with("the-next-secret").await;
    let configuration = Configuration {
        provider: "client_secret_next = \"the-next-secret\"".to_owned(),
        ..Configuration::new(&vipps.issuer())
    };
    let serve = Serve::ready(&configuration).await;
    let desk = serve.caller();
    for number in [NUMBER, OTHER_NUMBER] {
        let login = desk.at_a_till(number).await;
        vipps.simulator.approve(number);
        assert_eq!(desk.end_of(&login.login_id).await.outcome(), Outcome::Approved);
        assert_eq!(vipps.rings(number), 1);
    }
    let requests = vipps.simulator.requests();
    let starts = requests.iter().filter(|request| request.endpoint == Endpoint::Backchannel).count();
    assert_eq!(starts, 3, "one was refused, and it is remembered which");
    let told = serve.process.stderr();
    assert!(told.contains("takes the other") && !told.contains("the-next-secret"), "{told}");
}

/// SR31: a secret in a file is read again when it changes.
#[tokio::test]
async fn a_new_client_secret_is_used_as_soon_as_it_is_there() {
    let (vipps, folder) = (vipps_with("the-new-secret").await, tempfile::tempdir().expect("a folder"));
    let file = folder.path().join("secret");
    std::fs::write(&file, "the-old-secret\n").expect("a file");
    let line = "client_secret = \"demo-secret\"";
    let text = Configuration::new(&vipps.issuer()).text();
    let serve = Serve::with_text(&text.replace(line, &format!("client_secret_file = {file:?}"))).await;
    let desk = serve.caller();
    let refused = desk.start(till(NUMBER)).await.expect_err("the provider refuses the old one");
    assert_eq!(refusal(&refused).1, "PROVIDER_CREDENTIALS_REFUSED");
    replace(&file, "the-new-secret\n");
    serve.process.logs("holds now").await;
    desk.at_a_till(NUMBER).await;
}

/// Policies of a tenant hold for the next start.
#[tokio::test]
async fn a_tenants_policy_holds_for_the_next_start() {
    let vipps = Vipps::start().await;
    let configuration = Configuration::new(&vipps.issuer());
    let serve = Serve::ready(&configuration).await;
    let desk = serve.caller().with_agent("kari");
    let outbound = || {
        let direction = ciba_gateway::grpc::v1::CallDirection::Outbound.into();
        let call_id = "call-1".to_owned();
        ciba_gateway::grpc::v1::StartLoginRequest { call_direction: direction, call_id, ..call(NUMBER) }
    };
    let refused = desk.start(outbound()).await.expect_err("nobody has said why");
    assert_eq!(refusal(&refused).1, "OUTBOUND_NOT_ALLOWED");
    let because = "outbound_calls_because = \"the customer booked this call\"";
    serve.file.becomes(&configuration.with_tenant_line("nordlys", because).text());
    serve.process.logs("holds now").await;
    desk.start(outbound()).await.expect("a started login");
}
