//! What is on the block list is shut out, whatever its credential proves.

use std::collections::{HashMap, HashSet};

use ciba_gateway::grpc::v1;
use ciba_gateway::logins::{BlockList, Blocks};
use ciba_gateway::phone::PhoneNumber;
use ciba_gateway::session::{AgentId, ClientId, TenantId, TerminalId};
use serde_json::Value;
use tonic::Code;

use crate::support::audit_log::AuditLog;
use crate::support::client::{Client, NUMBER, OTHER_NUMBER, Refusal, Seen, about, at_the_box, at_the_till, on_a_call};
use crate::support::configuration::Configuration;
use crate::support::fake_provider::Asked;
use crate::support::gateway::Serve;
use crate::support::simulators::Vipps;
use crate::support::stage::{Stage, pass, secs};

fn one<T: Eq + std::hash::Hash>(name: T) -> HashSet<T> {
    HashSet::from([name])
}

/// Shut out in `acme`.
fn in_acme(blocks: Blocks) -> BlockList {
    BlockList::new(Blocks::default(), HashMap::from([(TenantId::new("acme").expect("a tenant"), blocks)]))
}

fn client(name: &str) -> Blocks {
    Blocks { clients: one(ClientId::new(name).expect("a client")), ..Blocks::default() }
}

fn agent(name: &str) -> Blocks {
    Blocks { agents: one(AgentId::new(name).expect("an agent")), ..Blocks::default() }
}

fn terminal(name: &str) -> Blocks {
    Blocks { terminals: one(TerminalId::new(name).expect("a terminal")), ..Blocks::default() }
}

fn number(number: &str) -> Blocks {
    Blocks { numbers: one(PhoneNumber::from_msisdn(number).expect("a number")), ..Blocks::default() }
}

fn assert_blocked(refusal: &Refusal, what: &str) {
    assert_eq!((refusal.code, refusal.reason.as_str(), refusal.retry_after), (Code::PermissionDenied, "BLOCKED", None));
    assert_eq!(refusal.told("blocked"), Some(what));
}

/// Every call there is, about one login.
async fn assert_shut_out(caller: &Client, login: &v1::Login, what: &str) {
    let id = login.login_id.as_str();
    let refusals = [
        caller.try_get(id).await.expect_err("a refusal"),
        caller.try_wait(id, 10).await.expect_err("a refusal"),
        caller.try_confirm(id, "AAAAA").await.expect_err("a refusal"),
        caller.try_cancel(id).await.expect_err("a refusal"),
        caller.try_erase(id).await.expect_err("a refusal"),
        caller.try_list(v1::ListLoginsRequest::default()).await.expect_err("a refusal"),
        caller.try_watch(id, 20).await.err().expect("a refusal"),
        caller.try_watch_all(v1::WatchLoginsRequest::default()).await.err().expect("a refusal"),
        caller.refused(on_a_call("r-blocked", OTHER_NUMBER)).await,
        caller.check(about(OTHER_NUMBER)).await.expect_err("a refusal"),
    ];
    refusals.iter().for_each(|refusal| assert_blocked(refusal, what));
}

/// SR2: streams end at once with where to go on, a wait too, and no call is answered.
#[tokio::test(start_paused = true)]
async fn a_client_that_is_shut_out_gets_nothing_more() {
    let (stage, gateway) = Stage::with_gateway();
    let (desk, kiosk) = (gateway.desk(), gateway.kiosk());
    let login = desk.start(on_a_call("r-1", NUMBER)).await;
    let (mut one, mut all) = (desk.watch(&login).await, desk.watch_all(v1::WatchLoginsRequest::default()).await);
    let mut kept = kiosk.watch_all(v1::WatchLoginsRequest::default()).await;
    let waiting = tokio::time::timeout(secs(1), desk.try_wait(&login.login_id, 60));
    let block = async {
        pass(secs(0)).await;
        gateway.shuts_out(in_acme(client("desk")));
    };
    let (waited, ()) = tokio::join!(waiting, block);
    assert_blocked(&waited.expect("at once").expect_err("a refusal"), "client");
    let cursor = all.cursor.clone();
    assert_blocked(&one.refusal().await, "client");
    let refusal = all.refusal().await;
    assert_blocked(&refusal, "client");
    assert_eq!(refusal.told("cursor"), Some(cursor.as_str()));
    assert_shut_out(&desk, &login, "client").await;
    assert_eq!(stage.provider.count(Asked::Start), 1);

    kiosk.start(at_the_box("r-2", OTHER_NUMBER)).await;
    assert!(matches!(kept.next().await, Seen::Login(_)), "others go on");
    gateway.stranger().start(on_a_call("r-1", OTHER_NUMBER)).await;
    gateway.shuts_out(BlockList::default());
    assert_eq!(desk.sees(&login).await, "pending", "it was nothing but shut out");
}

/// SR2, SR3: an agent who is shut out reads no identity and types no code, by
/// whichever client; a colleague does not notice.
#[tokio::test(start_paused = true)]
async fn an_agent_who_is_shut_out_gets_nothing_more() {
    let (stage, gateway) = Stage::with_gateway();
    stage.provider.person_approves();
    let (ada, bob) = (gateway.desk(), gateway.desk().with_agent("bob"));
    let login = ada.start(on_a_call("r-1", NUMBER)).await;
    let mut stream = ada.watch(&login).await;
    assert!(matches!(stream.next().await, Seen::Login(_)));
    gateway.shuts_out(in_acme(agent("ada")));
    assert_blocked(&stream.refusal().await, "agent");
    assert_shut_out(&ada, &login, "agent").await;
    // Named in the request alone.
    assert_blocked(&gateway.desk().without_agent().refused(on_a_call("r-2", OTHER_NUMBER)).await, "agent");
    let request = v1::StartLoginRequest { agent_id: "bob".to_owned(), ..on_a_call("r-3", OTHER_NUMBER) };
    bob.start(request.clone()).await;
    let namesake = gateway.stranger();
    namesake.start(on_a_call("r-1", OTHER_NUMBER)).await;
    gateway.shuts_out(BlockList::new(agent("ada"), HashMap::new()));
    assert_blocked(&namesake.refused(on_a_call("r-4", OTHER_NUMBER)).await, "agent");
}

/// SR7: no phone rings, nothing is counted, and whoever is not on the list is served.
#[tokio::test(start_paused = true)]
async fn a_number_that_is_shut_out_is_not_rung_and_not_counted() {
    let (stage, gateway) = Stage::with_gateway();
    let desk = gateway.desk();
    gateway.shuts_out(in_acme(number(NUMBER)));
    for attempt in 0..10 {
        assert_blocked(&desk.refused(at_the_till(&format!("r-{attempt}"), NUMBER)).await, "number");
    }
    assert_blocked(&desk.check(about(NUMBER)).await.expect_err("a refusal"), "number");
    assert_eq!(stage.provider.journal().len(), 0, "the provider is not asked");
    desk.start(at_the_till("r-other", OTHER_NUMBER)).await;
    gateway.stranger().start(at_the_till("r-1", NUMBER)).await;
    gateway.shuts_out(BlockList::default());
    // Three in ten minutes, of which none was taken.
    for attempt in 0..3 {
        let login = desk.start(at_the_till(&format!("r-{attempt}"), NUMBER)).await;
        desk.cancel(&login).await;
    }
    gateway.shuts_out(BlockList::new(number(NUMBER), HashMap::new()));
    assert_blocked(&gateway.stranger().refused(at_the_till("r-2", NUMBER)).await, "number");
}

/// SR24: what is approved at a till that is shut out is told to nobody.
#[tokio::test(start_paused = true)]
async fn a_terminal_that_is_shut_out_starts_nothing_and_tells_nobody_who_it_was() {
    let (stage, gateway) = Stage::with_gateway();
    stage.provider.person_approves();
    let desk = gateway.desk();
    let login = desk.start(at_the_till("r-1", NUMBER)).await;
    let mut stream = desk.watch(&login).await;
    gateway.shuts_out(in_acme(terminal("till-1")));
    assert_blocked(&desk.refused(at_the_till("r-2", OTHER_NUMBER)).await, "terminal");
    assert_eq!(stream.until_end().await.last().map(String::as_str), Some("approved"));
    assert_eq!(desk.get(&login).await.identity, None);
    assert!(!desk.heard().contains("Testesen") && !desk.heard().contains("full_name"), "{}", desk.heard());
    desk.start(at_the_box("r-3", OTHER_NUMBER)).await;
    gateway.shuts_out(BlockList::default());
    assert!(desk.get(&login).await.identity.is_some(), "within its window");
}

/// SR2: what may be done has changed, not who it is: whoever watches comes again.
#[tokio::test(start_paused = true)]
async fn a_stream_ends_when_its_client_may_do_something_else() {
    let (_stage, gateway) = Stage::with_gateway();
    let desk = gateway.desk();
    let login = desk.start(at_the_till("r-1", NUMBER)).await;
    let mut stream = desk.watch(&login).await;
    assert!(matches!(stream.next().await, Seen::Login(_)));
    gateway.reads_the_same_again();
    assert_eq!(stream.next().await, Seen::Heartbeat, "nothing has changed");
    gateway.keeps_the_desk_to_tills();
    let refusal = stream.refusal().await;
    assert_eq!((refusal.code, refusal.reason.as_str()), (Code::Unavailable, "CREDENTIAL_CHANGED"));
    assert!(refusal.retry_after.is_some());
    assert_eq!(desk.refused(on_a_call("r-2", OTHER_NUMBER)).await.reason, "CHANNEL_NOT_ALLOWED");
    gateway.takes_the_desk_out();
    assert_eq!(desk.try_get(&login.login_id).await.expect_err("a refusal").reason, "CREDENTIAL_INVALID");
}

const LIST: &str = "# Called the police on 2 May.\nnumbers = [\"+47 91 23 45 67\"]\n\n[[tenants]]\nid = \"nordlys\"\n\
                    agents = [\"ada\"]\nterminals = [\"till-1\"]\n";

/// SR2, SR39: by a file of its own that is read again, and noted with who asked.
#[tokio::test]
async fn the_list_is_a_file_that_is_read_again() {
    let (log, vipps) = (AuditLog::new(), Vipps::start().await);
    let list = log.path("block-list.toml");
    std::fs::write(&list, "# Nobody yet.\n").expect("a file");
    let configuration = Configuration::new(&vipps.issuer()).with_section(&format!("[block_list]\nfile = {list:?}"));
    let mut serve = Serve::ready(&log.kept_by(configuration, "audit.log")).await;
    let (ada, bob) = (serve.client().await.with_agent("ada"), serve.client().await.with_agent("bob"));
    let login = ada.start(on_a_call("r-1", OTHER_NUMBER)).await;
    let mut stream = ada.watch(&login).await;

    std::fs::write(&list, LIST).expect("a file");
    assert_blocked(&stream.refusal().await, "agent");
    assert_blocked(&ada.try_get(&login.login_id).await.expect_err("a refusal"), "agent");
    let numbered = v1::StartLoginRequest { terminal_id: "till-2".to_owned(), ..at_the_till("r-2", NUMBER) };
    assert_blocked(&bob.refused(numbered).await, "number");
    assert_blocked(&bob.refused(at_the_till("r-3", "+4791234569")).await, "terminal");
    assert_eq!(vipps.rings(NUMBER), 0);

    std::fs::write(&list, LIST.replace("+47 91 23 45 67", "91 23 45 67").replace("agents", "agent")).expect("a file");
    serve.process.logs("in line 2: numbers[0] must be a phone number with its country's code").await;
    serve.process.logs("in line 6: tenants[0].agent is not a setting").await;
    assert_blocked(&ada.try_get(&login.login_id).await.expect_err("as before"), "agent");
    assert!(!serve.process.stderr().contains("91 23"), "a number in the log: {}", serve.process.stderr());
    serve.process.signal("TERM");
    assert_eq!(serve.process.ended().await.code, Some(0));

    let lines: Vec<Value> =
        log.lines("audit.log").iter().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    let noted: Vec<_> = lines
        .iter()
        .filter(|line| line["reason"] == "BLOCKED")
        .map(|line| {
            ["what", "call", "limit", "by_client", "by_agent"].map(|name| line[name].as_str().unwrap_or_default())
        })
        .collect();
    assert_eq!(
        noted,
        [
            ["call_refused", "WatchLogin", "", "desk", "ada"],
            ["call_refused", "GetLogin", "", "desk", "ada"],
            ["start_refused", "", "number", "desk", "bob"],
            ["start_refused", "", "terminal", "desk", "bob"],
            ["call_refused", "GetLogin", "", "desk", "ada"],
        ]
    );
    let verified = log.verify(&["audit.log"]).await;
    assert_eq!(verified.code, Some(0), "{verified:?}");
}
