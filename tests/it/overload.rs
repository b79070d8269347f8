//! More than one process can do: starts are refused first, with a word and a
//! time; what lives goes on, and no tenant takes another's places.

use std::collections::BTreeMap;
use std::time::Duration;

use ciba_gateway::grpc::v1::{self, LoginState};
use ciba_gateway::logins::Limits;
use futures_util::future::join_all;
use tonic::Code;

use crate::support::caller::{refusal, till};
use crate::support::client::{Client, NUMBER, Refusal, at_the_till, on_a_call};
use crate::support::configuration::Configuration;
use crate::support::eventually::eventually;
use crate::support::fake_provider::{Asked, FakeProvider};
use crate::support::gateway::Gateway;
use crate::support::simulators::Vipps;
use crate::support::stage::{CALL_TIME, LIMITS, Stage, pass, secs};

/// Own places of each of the two tenants, and those for both.
const OWN: usize = 3;
const ANY: usize = 6;
const TIGHT: Limits = Limits { starts: 12, ..LIMITS };
const INTERVAL: Duration = Duration::from_secs(5);

fn number(nth: usize) -> String {
    format!("+47{:08}", 41_070_000 + nth)
}

fn is_overload(refusal: &Refusal, limit: &str, retry_after: Duration) {
    assert_eq!((refusal.code, refusal.reason.as_str()), (Code::ResourceExhausted, "OVERLOADED"), "{refusal:?}");
    assert_eq!((refusal.told("limit"), refusal.retry_after), (Some(limit), Some(retry_after)), "{refusal:?}");
}

/// So many starts at the same time; those that were taken, and the refusals.
async fn rush(client: &Client, first: usize, count: usize) -> (Vec<String>, Vec<Refusal>) {
    let start = async |nth: usize| client.try_start(at_the_till(&format!("r-{nth}"), &number(nth))).await;
    let (mut taken, mut refused) = (Vec::new(), Vec::new());
    for answer in join_all((first..first + count).map(start)).await {
        match answer {
            Ok(login) => taken.push(login.login_id),
            Err(refusal) => refused.push(refusal),
        }
    }
    (taken, refused)
}

/// Whether that number can log in.
fn question(nth: usize) -> v1::CheckPhoneRequest {
    v1::CheckPhoneRequest {
        phone_number: number(nth),
        channel: v1::Channel::PointOfSale.into(),
        terminal_id: "till-1".to_owned(),
        ..Default::default()
    }
}

/// When each login was polled, login by login.
fn polls(provider: &FakeProvider) -> BTreeMap<usize, Vec<u64>> {
    let mut polls = BTreeMap::<_, Vec<_>>::new();
    for poll in provider.requests(Asked::Poll) {
        polls.entry(poll.about).or_default().push(poll.sent_at.as_millis());
    }
    polls
}

/// SR35, G5: three times what the process can start, for a minute, at a provider
/// that takes as long as it may. Who was here before notices nothing, nor does the
/// other tenant; whoever is taken ends well.
#[tokio::test(start_paused = true)]
async fn at_three_times_its_capacity_only_starts_are_refused() {
    const ROUNDS: usize = 12;
    const LIVING: usize = 5;
    let stage = Stage::with_limits(TIGHT);
    let (gateway, takes) = (stage.gateway(), secs(5));
    let (desk, stranger, agent) = (gateway.desk().without_agent(), gateway.stranger(), gateway.desk());
    let (living, _) = rush(&desk, 0, LIVING).await;
    let call = agent.start(on_a_call("r-call", NUMBER)).await;
    let code = stage.provider.code_in_the_app();
    let mut watch = agent.watch(&call).await;
    watch.login().await;
    stage.provider.start_takes(takes);

    let (mut taken, mut refused) = (living, 0);
    for round in 0..ROUNDS {
        let first = 1000 * (round + 1);
        let noisy = rush(&desk, first, 3 * (OWN + ANY));
        let quiet = rush(&stranger, first + 500, OWN);
        let besides = async {
            pass(takes / 2).await;
            let asked = stage.clock.now();
            assert_eq!(desk.try_get(&taken[0]).await.expect("reading goes on").login_id, taken[0]);
            desk.list().await;
            if round == 1 {
                assert!(agent.confirm(&call, &code).await.0, "codes go on");
            }
            assert!(stage.clock.now().since(asked) < secs(1), "at once");
        };
        let ((noisy, refusals), (quiet, quiet_refusals), ()) = tokio::join!(noisy, quiet, besides);
        assert_eq!((noisy.len(), refusals.len()), (OWN + ANY, 2 * (OWN + ANY)), "round {round}");
        refusals.iter().for_each(|refusal| is_overload(refusal, "starts", secs(1)));
        assert_eq!((quiet.len(), quiet_refusals), (OWN, vec![]), "the other tenant has places of its own");
        refused += refusals.len();
        taken.extend(noisy);
    }
    assert_eq!(refused, ROUNDS * 2 * (OWN + ANY));
    assert_eq!(watch.login().await.login_id, call.login_id, "a stream goes on");

    for (login, at) in polls(&stage.provider) {
        assert!(at.windows(2).all(|two| two[1] - two[0] == 5000), "login {login} is not polled on time: {at:?}");
        assert!(login > LIVING || at.len() >= 10, "login {login} is hardly polled: {at:?}");
    }
    stage.provider.person_approves();
    pass(2 * INTERVAL).await;
    for login in &taken {
        assert_eq!(desk.try_get(login).await.expect("a login").outcome().as_str_name(), "OUTCOME_APPROVED");
    }
    let page = gateway.metrics.encode().expect("metrics");
    let counted = format!("ciba_gateway_shed_calls_total{{limit=\"starts\"}} {refused}\n");
    assert!(page.contains(&counted), "{counted} in {page}");
}

/// SR35: what was refused may be asked again under the same `request_id`.
#[tokio::test(start_paused = true)]
async fn who_comes_back_after_the_time_is_served() {
    let stage = Stage::with_limits(TIGHT);
    let gateway = stage.gateway();
    stage.provider.start_takes(secs(1));
    let (_, refused) = rush(&gateway.desk(), 0, OWN + ANY + 1).await;
    pass(refused[0].retry_after.expect("a time")).await;
    for nth in 0..=OWN + ANY {
        let (taken, refused) = rush(&gateway.desk(), nth, 1).await;
        assert_eq!((taken.len(), refused), (1, vec![]), "those of before again, and the one that was refused");
    }
    assert_eq!(stage.provider.count(Asked::Start), OWN + ANY + 1, "nobody is rung twice");
}

/// SR35: a caller who hangs up does not free the place of a start that goes on.
#[tokio::test(start_paused = true)]
async fn a_start_keeps_its_place_until_it_is_over() {
    let stage = Stage::with_limits(TIGHT);
    let (gateway, takes) = (stage.gateway(), secs(5));
    stage.provider.start_takes(takes);
    let hung_up = tokio::time::timeout(secs(1), rush(&gateway.desk(), 0, OWN + ANY)).await;
    assert!(hung_up.is_err());
    let refusal = gateway.desk().refused(at_the_till("r-late", &number(900))).await;
    is_overload(&refusal, "starts", secs(1));
    let refusal = gateway.desk().check(question(900)).await.expect_err("a question needs a place as well");
    is_overload(&refusal, "starts", secs(1));
    pass(takes).await;
    gateway.desk().start(at_the_till("r-late", &number(900))).await;
}

/// SR35.
#[tokio::test(start_paused = true)]
async fn a_tenant_has_so_many_live_logins_at_a_time() {
    let stage = Stage::with_limits(Limits { live_logins_per_tenant: 3, ..LIMITS });
    let gateway = stage.gateway();
    let (live, _) = rush(&gateway.desk(), 0, 3).await;
    let refusal = gateway.desk().refused(at_the_till("r-3", &number(3))).await;
    is_overload(&refusal, "live-logins", secs(10));
    gateway.stranger().start(at_the_till("r-3", &number(3))).await;
    gateway.desk().try_cancel(&live[0]).await.expect("what lives goes on");
    pass(secs(1)).await;
    gateway.desk().start(at_the_till("r-4", &number(4))).await;
}

/// SR35: streams and waits.
#[tokio::test(start_paused = true)]
async fn an_agent_and_a_client_have_so_many_watches() {
    let stage = Stage::with_limits(Limits { watches_per_agent: 2, watches_per_client: 3, ..LIMITS });
    let gateway = stage.gateway();
    let (ada, bob) = (gateway.desk(), gateway.desk().with_agent("bob"));
    let login = ada.start(at_the_till("r-1", NUMBER)).await;
    let (one, two) = (ada.watch(&login).await, ada.watch(&login).await);
    is_overload(&ada.try_watch(&login.login_id, 20).await.err().expect("no third"), "agent-watches", secs(10));
    is_overload(&ada.try_wait(&login.login_id, 1).await.expect_err("nor a wait"), "agent-watches", secs(10));
    let _third = bob.watch_all(Default::default()).await;
    is_overload(&bob.try_watch_all(Default::default()).await.err().expect("no more"), "client-watches", secs(10));
    // Whatever else they do goes on.
    assert_eq!(ada.sees(&login).await, "pending");
    ada.start(at_the_till("r-2", &number(1))).await;
    drop((one, two));
    pass(secs(1)).await;
    ada.watch(&login).await;
}

/// SR35.
#[tokio::test(start_paused = true)]
async fn so_many_calls_are_answered_at_a_time() {
    let stage = Stage::with_limits(Limits { calls: 2, ..LIMITS });
    let gateway = stage.gateway();
    let login = gateway.desk().start(at_the_till("r-1", NUMBER)).await;
    gateway.store.takes(secs(1));
    let desk = gateway.desk();
    let answers = join_all((0..5).map(|_| desk.try_get(&login.login_id))).await;
    let refused: Vec<_> = answers.into_iter().filter_map(Result::err).collect();
    assert_eq!(refused.len(), 3);
    refused.iter().for_each(|refusal| is_overload(refusal, "calls", secs(1)));
    assert_eq!(desk.sees(&login).await, "pending");
}

/// SR34: every call comes to an end, whatever the store does.
#[tokio::test(start_paused = true)]
async fn no_call_waits_for_a_store_that_hangs() {
    let (stage, gateway) = Stage::with_gateway();
    let desk = gateway.desk();
    let login = desk.start(at_the_till("r-1", NUMBER)).await;
    let id = login.login_id.as_str();
    gateway.store.takes(secs(100_000));
    let begin = stage.clock.now();
    let took = |refusal: Option<Refusal>| {
        let refusal = refusal.expect("a refusal");
        assert_eq!((refusal.code, refusal.reason.as_str()), (Code::DeadlineExceeded, "CALL_TOOK_TOO_LONG"));
        assert!(refusal.retry_after.is_some());
        stage.clock.now().since(begin)
    };
    let took = |time: Duration, refusal| assert_eq!(took(refusal), time);
    let start = async { took(secs(45) + CALL_TIME, desk.try_start(at_the_till("r-2", &number(1))).await.err()) };
    let check = async { took(secs(45) + CALL_TIME, desk.check(question(2)).await.err()) };
    let get = async { took(CALL_TIME, desk.try_get(id).await.err()) };
    let wait = async { took(secs(60) + CALL_TIME, desk.try_wait(id, 1).await.err()) };
    let confirm = async { took(CALL_TIME, desk.try_confirm(id, "AAAAA").await.err()) };
    let cancel = async { took(CALL_TIME, desk.try_cancel(id).await.err()) };
    let erase = async { took(CALL_TIME, desk.try_erase(id).await.err()) };
    let list = async { took(CALL_TIME, desk.try_list(Default::default()).await.err()) };
    let watch = async { took(CALL_TIME, desk.try_watch(id, 20).await.err()) };
    let watch_all = async { took(CALL_TIME, desk.try_watch_all(Default::default()).await.err()) };
    tokio::join!(start, check, get, wait, confirm, cancel, erase, list, watch, watch_all);
}

/// SR34: a stream has no ceiling but that of its beginning.
#[tokio::test(start_paused = true)]
async fn a_stream_goes_on_beyond_the_ceiling_of_calls() {
    let (_stage, gateway) = Stage::with_gateway();
    let login = gateway.desk().start(at_the_till("r-1", NUMBER)).await;
    let mut watch = gateway.desk().watch(&login).await;
    pass(3 * CALL_TIME).await;
    gateway.desk().cancel(&login).await;
    assert_eq!(watch.until_end().await.last().map(String::as_str), Some("cancelled"));
}

/// SR35: the operator says how much.
#[tokio::test]
async fn the_limits_are_those_of_the_configuration() {
    let vipps = Vipps::start().await;
    let configuration = Configuration::new(&vipps.issuer());
    let limits = "[limits]\nlive_logins_per_tenant = 1\nwatches_per_client = 1";
    let log = format!("{}\n{limits}", configuration.log);
    let gateway = Gateway::ready(&Configuration { log, ..configuration }).await;
    let caller = gateway.caller();
    let login = caller.at_a_till(&number(1)).await;
    let _watch = caller.watch(&login.login_id).await;
    let overloaded = (Code::ResourceExhausted, "OVERLOADED".to_owned(), true);
    assert_eq!(refusal(&caller.wait(&login.login_id, 1).await.expect_err("no second watch")), overloaded);
    assert_eq!(refusal(&caller.start(till(&number(2))).await.expect_err("no second login")), overloaded);
    vipps.simulator.approve(&number(1));
    let ended =
        async || Some(caller.get(&login.login_id).await.ok()?.state() == LoginState::Ended).filter(|ended| *ended);
    eventually("what lives goes on", ended).await;
}
