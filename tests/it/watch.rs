//! Watching: the present at once, later states, then the end, whatever is lost
//! on the way.

use std::time::Duration;

use ciba_gateway::grpc::v1;
use ciba_gateway::ledger::REREAD;
use tonic::Code;

use crate::support::client::{NUMBER, OTHER_NUMBER, Seen, Watch, at_the_box, at_the_till, on_a_call, standing};
use crate::support::stage::{Stage, pass, secs};

fn everything() -> v1::WatchLoginsRequest {
    v1::WatchLoginsRequest::default()
}

async fn refusal(watch: &mut Watch) -> (Code, String) {
    match watch.next().await {
        Seen::Refused(refusal) => (refusal.code, refusal.reason),
        other => panic!("expected a refusal, got {other:?}"),
    }
}

#[tokio::test(start_paused = true)]
async fn a_watcher_sees_the_present_then_what_follows_then_the_end() {
    let (stage, gateway) = Stage::with_gateway();
    let desk = gateway.desk();
    stage.provider.identify_takes(secs(2));
    let login = desk.start(on_a_call("r-1", NUMBER)).await;
    let (mut early, mut other) = (desk.watch(&login).await, gateway.kiosk().watch(&login).await);
    stage.provider.person_approves();
    let confirming = async {
        pass(secs(20)).await;
        desk.confirm(&login, &stage.provider.code_in_the_app()).await
    };
    let (early, other, _) = tokio::join!(early.until_end(), other.until_end(), confirming);
    assert_eq!(early, ["pending", "redeemed", "awaiting_code", "approved"]);
    assert_eq!(other, early, "two watchers see the same");
    assert_eq!(desk.watch(&login).await.until_end().await, ["approved"], "also whoever comes late");
}

/// G6 (part): heartbeats at the wanted interval, counted from the last message.
#[tokio::test(start_paused = true)]
async fn a_quiet_stream_beats() {
    let (stage, gateway) = Stage::with_gateway();
    let desk = gateway.desk();
    let login = desk.start(at_the_till("r-1", NUMBER)).await;
    let mut watch = desk.try_watch(&login.login_id, 7).await.expect("a stream");
    watch.login().await;
    let begun = stage.clock.now();
    for beat in 1..=5 {
        assert_eq!(watch.next().await, Seen::Heartbeat);
        assert_eq!(stage.clock.now().since(begun), secs(7 * beat));
    }
}

/// Changes that a filter keeps out must not keep the heartbeat out as well.
#[tokio::test(start_paused = true)]
async fn a_filtered_stream_beats_while_others_are_busy() {
    let (stage, gateway) = Stage::with_gateway();
    let desk = gateway.desk();
    let filter = v1::WatchLoginsRequest {
        terminal_id: "till-9".to_owned(),
        heartbeat_interval: Some(prost_types::Duration { seconds: 5, nanos: 0 }),
        ..everything()
    };
    let mut watch = desk.watch_all(filter).await;
    let begun = stage.clock.now();
    let busy = async {
        for i in 10..40 {
            desk.start(at_the_till(&format!("r-{i}"), &format!("+47912345{i}"))).await;
            pass(secs(1)).await;
        }
    };
    let beating = async {
        assert_eq!(watch.next().await, Seen::Heartbeat);
        assert_eq!(stage.clock.now().since(begun), secs(5));
    };
    tokio::join!(busy, beating);
}

#[tokio::test(start_paused = true)]
async fn a_drain_ends_streams_and_waits_and_refuses_starts() {
    let (_stage, gateway) = Stage::with_gateway();
    let desk = gateway.desk();
    let login = desk.start(at_the_till("r-1", NUMBER)).await;
    let (mut one, mut all) = (desk.watch(&login).await, desk.watch_all(everything()).await);
    one.login().await;
    let draining = async {
        pass(secs(1)).await;
        gateway.logins.start_draining();
    };
    let (waited, ()) = tokio::join!(desk.try_wait(&login.login_id, 60), draining);
    assert_eq!(standing(&waited.expect("the present state")), "pending");
    let draining = (Code::Unavailable, "DRAINING".to_owned());
    assert_eq!((refusal(&mut one).await, refusal(&mut all).await), (draining.clone(), draining));
    assert_eq!(desk.refused(at_the_till("r-2", OTHER_NUMBER)).await.reason, "DRAINING");
    gateway.logins.drained().await;
}

#[tokio::test(start_paused = true)]
async fn watching_all_tells_each_change_once() {
    let (stage, gateway) = Stage::with_gateway();
    let desk = gateway.desk();
    let mut all = desk.watch_all(everything()).await;
    stage.provider.person_approves();
    let login = desk.start(at_the_till("r-1", NUMBER)).await;
    desk.wait_for_end(&login).await;
    // Looking is no change.
    desk.get(&login).await;
    desk.list().await;
    let seen = all.within(secs(30)).await;
    assert_eq!(seen, ["pending", "redeemed", "approved"]);
}

/// Logins may come and go while the live ones are read.
#[tokio::test(start_paused = true)]
async fn live_logins_come_first_and_once() {
    let (stage, gateway) = Stage::with_gateway();
    let desk = gateway.desk();
    let ended = desk.start(at_the_till("r-1", NUMBER)).await;
    desk.cancel(&ended).await;
    desk.start(at_the_till("r-2", NUMBER)).await;
    desk.start(at_the_till("r-3", OTHER_NUMBER)).await;
    gateway.store.takes(secs(1));
    let starting = async {
        pass(Duration::from_millis(500)).await;
        stage.gateway().desk().start(at_the_till("r-4", "+4791234500")).await;
    };
    let (mut all, ()) = tokio::join!(desk.watch_from_snapshot(everything()), starting);
    assert_eq!(all.within(secs(60)).await, ["pending"; 3], "each of the three, once");
}

#[tokio::test(start_paused = true)]
async fn a_filter_keeps_the_others_out() {
    let (stage, gateway) = Stage::with_gateway();
    let desk = gateway.desk();
    let by_channel = v1::WatchLoginsRequest { channel: v1::Channel::TvBox.into(), ..everything() };
    let by_terminal = v1::WatchLoginsRequest { terminal_id: "till-1".to_owned(), ..everything() };
    let by_agent = v1::WatchLoginsRequest { agent_id: "ada".to_owned(), ..everything() };
    let mut streams = Vec::new();
    for filter in [by_channel, by_terminal, by_agent, everything()] {
        streams.push(desk.watch_all(filter).await);
    }
    let mut foreign = gateway.stranger().watch_all(everything()).await;
    gateway.kiosk().start(at_the_box("r-1", NUMBER)).await;
    desk.without_agent().start(at_the_till("r-2", OTHER_NUMBER)).await;
    gateway.desk().start(on_a_call("r-3", "+4791234500")).await;
    for (watch, channels) in streams.iter_mut().zip([
        vec![v1::Channel::TvBox],
        vec![v1::Channel::PointOfSale],
        vec![v1::Channel::CallCentre],
        vec![v1::Channel::TvBox, v1::Channel::PointOfSale, v1::Channel::CallCentre],
    ]) {
        for channel in channels {
            assert_eq!(watch.login().await.channel(), channel);
        }
        assert_eq!(watch.within(secs(3)).await, [""; 0]);
    }
    assert_eq!(foreign.within(secs(3)).await, [""; 0]);
    drop(stage);
}

#[tokio::test(start_paused = true)]
async fn a_watcher_on_another_replica_hears_at_once() {
    let (stage, owner) = Stage::with_gateway();
    let other = stage.gateway();
    let login = owner.desk().start(at_the_till("r-1", NUMBER)).await;
    let (mut one, mut all) = (other.desk().watch(&login).await, other.desk().watch_all(everything()).await);
    stage.provider.person_denies();
    let begun = stage.clock.now();
    assert_eq!(one.until_end().await, ["pending", "denied"]);
    assert_eq!(stage.clock.now().since(begun), secs(5));
    assert_eq!(standing(&all.login().await), "denied");
    assert_eq!(all.within(secs(30)).await, [""; 0]);
}

/// With every wake lost the end is found within one re-read of the stream, by
/// whoever watches this login and by whoever watches all.
#[tokio::test(start_paused = true)]
async fn a_watcher_who_hears_nothing_finds_the_end_all_the_same() {
    let (stage, owner) = Stage::with_gateway();
    let deaf = stage.deaf_gateway();
    let login = owner.desk().start(at_the_till("r-1", NUMBER)).await;
    let (mut watch, mut all) = (deaf.desk().watch(&login).await, deaf.desk().watch_all(everything()).await);
    stage.provider.person_denies();
    let begun = stage.clock.now();
    assert_eq!(watch.until_end().await, ["pending", "denied"]);
    assert!(stage.clock.now().since(begun) <= secs(5) + REREAD, "the poll, then one re-read");
    assert_eq!(standing(&all.login().await), "denied");
    assert!(stage.clock.now().since(begun) <= secs(5) + REREAD);
    assert_eq!(deaf.desk().sees(&login).await, "denied", "whoever asks gets the truth earlier");
}

/// Whoever learns that wakes were missed looks for what they may have said.
#[tokio::test(start_paused = true)]
async fn missed_wakes_are_made_up_for() {
    let (stage, owner) = Stage::with_gateway();
    let deaf = stage.deaf_gateway();
    let old = owner.desk().start(at_the_till("r-0", OTHER_NUMBER)).await;
    owner.desk().cancel(&old).await;
    pass(secs(1)).await;
    let watched = owner.desk().start(at_the_till("r-1", NUMBER)).await;
    let unwatched = owner.desk().start(at_the_till("r-2", "+4791234500")).await;
    let (mut one, mut all) = (deaf.desk().watch(&watched).await, deaf.desk().watch_all(everything()).await);
    one.login().await;
    owner.desk().cancel(&watched).await;
    owner.desk().cancel(&unwatched).await;
    for _ in 0..2 {
        deaf.store.wakes_were_missed();
    }
    assert_eq!(one.until_end().await, ["cancelled"]);
    assert_eq!(all.within(secs(1)).await, ["cancelled", "cancelled"], "what ended meanwhile, once");
}

/// Nobody polls, nobody lives: expiry is a fact about the clock.
#[tokio::test(start_paused = true)]
async fn a_login_expires_though_nobody_polls() {
    let (stage, gateway) = Stage::with_gateway();
    let desk = gateway.desk();
    let logins = [
        desk.start(at_the_till("r-1", NUMBER)).await,
        desk.start(at_the_till("r-2", OTHER_NUMBER)).await,
        desk.start(at_the_till("r-3", "+4791234500")).await,
        desk.start(at_the_till("r-4", "+4791234501")).await,
    ];
    gateway.stops_polling().await;
    let begun = stage.clock.now();
    let mut watch = desk.watch(&logins[0]).await;
    let (watched, waited) = tokio::join!(watch.until_end(), desk.wait_for_end(&logins[1]));
    assert_eq!((watched, standing(&waited)), (vec!["pending".to_owned(), "expired".to_owned()], "expired".to_owned()));
    assert_eq!(stage.clock.now().since(begun), secs(305));
    assert_eq!(desk.sees(&logins[2]).await, "expired");
    assert!(desk.list().await.iter().all(|login| standing(login) == "expired"));
    let end = desk.get(&logins[3]).await.end_time.expect("an end");
    assert_eq!(end.seconds, i64::try_from(begun.as_secs()).expect("a time") + 305, "it ended when its time was up");
}
