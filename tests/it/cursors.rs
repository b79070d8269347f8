//! Watching all logins of a tenant with cursors: in order, without a gap or a
//! repetition, whatever breaks in between.

use std::collections::BTreeSet;

use ciba_gateway::grpc::v1;
use ciba_gateway::store::OUTCOME_RETENTION;
use tonic::Code;

use crate::support::client::{
    Client, NUMBER, OTHER_NUMBER, Refusal, Seen, Watch, after, at_the_box, at_the_till, on_a_call, standing,
};
use crate::support::fake_provider::SUBJECT;
use crate::support::stage::{IDENTITY_WINDOW, Stage, pass, secs};

fn everything() -> v1::WatchLoginsRequest {
    v1::WatchLoginsRequest::default()
}

/// Five logins that end in five ways; what of it one caller is told, each with
/// its cursor.
async fn a_busy_minute(stage: &Stage, desk: &Client) -> (String, Vec<(v1::Login, String)>) {
    let mut watch = desk.watch_all(everything()).await;
    let beginning = watch.cursor.clone();
    let denied = desk.start(at_the_till("r-1", "+4791234599")).await;
    let cancelled = desk.start(at_the_till("r-2", OTHER_NUMBER)).await;
    desk.cancel(&cancelled).await;
    stage.provider.person_denies();
    desk.wait_for_end(&denied).await;
    stage.provider.person_approves();
    let read_back = desk.start(on_a_call("r-3", NUMBER)).await;
    desk.confirm(&read_back, &stage.provider.wrong_code(0)).await;
    desk.confirm(&read_back, &stage.provider.code_in_the_app()).await;
    desk.wait_for_end(&read_back).await;
    let mut boxes = Vec::new();
    for i in 0..2 {
        boxes.push(desk.clone().start(at_the_till(&format!("r-4-{i}"), &format!("+479123450{i}"))).await);
    }
    for login in boxes {
        desk.wait_for_end(&login).await;
    }
    (beginning, told(&mut watch).await)
}

/// What a stream tells until nothing has happened for long.
async fn told(watch: &mut Watch) -> Vec<(v1::Login, String)> {
    let mut logins = Vec::new();
    loop {
        match watch.next().await {
            Seen::Login(login) => logins.push((*login, watch.cursor.clone())),
            Seen::Heartbeat => return logins,
            Seen::SnapshotEnd => {}
            other => panic!("the stream ended: {other:?}"),
        }
    }
}

fn refused(seen: Seen) -> Refusal {
    match seen {
        Seen::Refused(refusal) => refusal,
        other => panic!("expected a refusal, got {other:?}"),
    }
}

/// Why nobody can go on from there.
async fn refusal_of(desk: &Client, cursor: &str) -> Refusal {
    desk.try_watch_all(after(cursor)).await.err().expect("a refusal")
}

fn standings(told: &[(v1::Login, String)]) -> Vec<String> {
    told.iter().map(|(login, _)| standing(login)).collect()
}

/// G1: killed after any event and resumed, on any replica, a stream gives the
/// same list as one that was never killed.
#[tokio::test(start_paused = true)]
async fn a_stream_that_breaks_anywhere_and_goes_on_tells_the_same() {
    let (stage, gateway) = Stage::with_gateway();
    let other = stage.gateway();
    let (beginning, whole) = a_busy_minute(&stage, &gateway.desk()).await;
    assert_eq!(whole.len(), 15, "{:?}", standings(&whole));
    let cursors: BTreeSet<_> = whole.iter().map(|(_, cursor)| cursor).collect();
    assert_eq!(cursors.len(), whole.len(), "each message has its own cursor");
    for index in 0..=whole.len() {
        let cursor = index.checked_sub(1).map_or(&beginning, |last| &whole[last].1);
        let resumed = told(&mut other.desk().resume(cursor).await).await;
        assert_eq!(resumed, whole[index..], "killed before event {index}");
    }
}

/// A login is told as it stood, not as it is by the time it is told.
#[tokio::test(start_paused = true)]
async fn the_past_is_told_as_it_was() {
    let (stage, gateway) = Stage::with_gateway();
    let (beginning, whole) = a_busy_minute(&stage, &gateway.desk()).await;
    let late = told(&mut gateway.desk().resume(&beginning).await).await;
    assert_eq!(late, whole);
    let read_back = late.iter().map(|(login, _)| login).filter(|login| login.code_mode() == v1::CodeMode::ReadBack);
    let progress: Vec<_> = read_back
        .map(|login| (standing(login), login.code_tries_left, login.code_matched, login.identity.is_some()))
        .collect();
    let expected = [
        ("pending", 3, false, false),
        ("pending", 2, false, false),
        ("pending", 0, true, false),
        ("redeemed", 0, true, false),
        ("approved", 0, true, true),
    ];
    assert_eq!(
        progress,
        expected.map(|(standing, tries, matched, named)| (standing.to_owned(), tries, matched, named))
    );
}

/// SR25: within its window an identity is told again, later never.
#[tokio::test(start_paused = true)]
async fn a_resumed_stream_tells_an_identity_within_its_window() {
    let (stage, gateway) = Stage::with_gateway();
    let desk = gateway.desk();
    let beginning = desk.watch_all(everything()).await.cursor;
    stage.provider.person_approves();
    let login = desk.start(at_the_till("r-1", NUMBER)).await;
    desk.wait_for_end(&login).await;
    let identity = async |desk: &Client| {
        let (last, _) = told(&mut desk.resume(&beginning).await).await.pop().expect("an end");
        assert_eq!(standing(&last), "approved");
        last.identity.map(|identity| identity.sub)
    };
    assert_eq!(identity(&desk).await.as_deref(), Some(SUBJECT));
    assert_eq!(identity(&gateway.kiosk()).await, None, "another client's reader");
    pass(IDENTITY_WINDOW).await;
    assert_eq!(identity(&desk).await, None);
}

#[tokio::test(start_paused = true)]
async fn an_erased_identity_is_not_told_again() {
    let (stage, gateway) = Stage::with_gateway();
    let desk = gateway.desk();
    let beginning = desk.watch_all(everything()).await.cursor;
    stage.provider.person_approves();
    let login = desk.start(at_the_till("r-1", NUMBER)).await;
    desk.wait_for_end(&login).await;
    desk.erase(&login).await;
    let told = told(&mut desk.resume(&beginning).await).await;
    assert_eq!(standings(&told), ["pending", "redeemed", "approved"]);
    assert!(told.iter().all(|(login, _)| login.identity.is_none()));
}

/// An idle reader stays within the window by the cursors of its heartbeats.
#[tokio::test(start_paused = true)]
async fn a_heartbeat_brings_a_reader_on_to_whom_nothing_happens() {
    let (_stage, gateway) = Stage::with_gateway();
    let desk = gateway.desk();
    let filter = v1::WatchLoginsRequest { terminal_id: "till-9".to_owned(), ..everything() };
    let mut watch = desk.watch_all(filter).await;
    let old = watch.cursor.clone();
    let others = desk.start(at_the_till("r-1", NUMBER)).await;
    desk.cancel(&others).await;
    let mut newest = old.clone();
    for _ in 0..=OUTCOME_RETENTION.as_secs() / 20 {
        assert_eq!(watch.next().await, Seen::Heartbeat);
        newest = watch.cursor.clone();
    }
    assert_eq!(refusal_of(&desk, &old).await.reason, "CURSOR_TOO_OLD");
    assert_eq!(desk.resume(&newest).await.next().await, Seen::Heartbeat);
}

/// Never silence: the client is told, and where it could go on.
#[tokio::test(start_paused = true)]
async fn a_cursor_that_is_too_old_is_refused_with_the_oldest_one() {
    let (_stage, gateway) = Stage::with_gateway();
    let desk = gateway.desk();
    let beginning = desk.watch_all(everything()).await.cursor;
    let old = desk.start(at_the_till("r-1", NUMBER)).await;
    desk.cancel(&old).await;
    pass(OUTCOME_RETENTION / 2).await;
    let young = desk.start(at_the_till("r-2", NUMBER)).await;
    desk.cancel(&young).await;
    pass(OUTCOME_RETENTION / 2).await;

    let refusal = refusal_of(&desk, &beginning).await;
    assert_eq!((refusal.code, refusal.reason.as_str()), (Code::OutOfRange, "CURSOR_TOO_OLD"));
    assert!(refusal.message.contains("snapshot"), "{}", refusal.message);
    let told = told(&mut desk.resume(refusal.told("oldest_cursor").expect("a cursor")).await).await;
    assert_eq!(standings(&told), ["pending", "cancelled"]);
    assert!(told.iter().all(|(login, _)| login.login_id == young.login_id));
}

#[tokio::test(start_paused = true)]
async fn what_is_no_cursor_of_this_tenant_is_refused() {
    let (_stage, gateway) = Stage::with_gateway();
    let desk = gateway.desk();
    let own = desk.watch_all(everything()).await.cursor;
    let foreign = gateway.stranger().watch_all(everything()).await.cursor;
    for cursor in [&foreign, "", "bait!", &own[1..], &own[..own.len() - 1], &"A".repeat(60_000)] {
        let refusal = refusal_of(&desk, cursor).await;
        assert_eq!((refusal.code, refusal.reason.as_str()), (Code::InvalidArgument, "INVALID_FIELD"));
        assert_eq!(refusal.fields, ["cursor"]);
        assert!(refusal.message.contains("snapshot") && !refusal.message.contains("bait"), "{}", refusal.message);
    }
    let unknown = v1::watch_logins_request::Position::From(77);
    let request = v1::WatchLoginsRequest { position: Some(unknown), ..everything() };
    assert_eq!(desk.try_watch_all(request).await.err().expect("a refusal").fields, ["from"]);
}

#[tokio::test(start_paused = true)]
async fn cursors_of_a_stream_that_began_anew_are_void() {
    let (stage, gateway) = Stage::with_gateway();
    let desk = gateway.desk();
    let mut running = desk.watch_all(everything()).await;
    desk.start(at_the_till("r-1", NUMBER)).await;
    assert_eq!(standing(&running.login().await), "pending");
    stage.begins_a_new_epoch().await;
    pass(secs(6)).await;
    let cursor = running.cursor.clone();
    for refusal in [refusal_of(&desk, &cursor).await, refused(running.next().await)] {
        assert_eq!((refusal.code, refusal.reason.as_str()), (Code::OutOfRange, "EPOCH_CHANGED"));
        assert!(refusal.message.contains("snapshot"), "{}", refusal.message);
        assert!(refusal.told("oldest_cursor").is_some());
    }
    let mut anew = desk.watch_from_snapshot(everything()).await;
    assert_eq!(standings(&told(&mut anew).await), ["pending"]);
}

/// First the live logins as they stand, oldest first, then a cursor, then events.
#[tokio::test(start_paused = true)]
async fn a_snapshot_is_the_present_and_what_follows_it() {
    let (_stage, gateway) = Stage::with_gateway();
    let desk = gateway.desk();
    let ended = desk.start(at_the_till("r-1", NUMBER)).await;
    desk.cancel(&ended).await;
    let mut live = Vec::new();
    for i in 10..30 {
        let number = format!("+47912345{i}");
        live.push(desk.start(at_the_till(&format!("r-{i}"), &number)).await.login_id);
        pass(std::time::Duration::from_millis(1)).await;
    }
    let mut watch = desk.watch_from_snapshot(everything()).await;
    let mut shown = Vec::new();
    loop {
        match watch.next().await {
            Seen::Login(login) => {
                assert_eq!(standing(&login), "pending");
                assert_eq!(watch.cursor, "", "a snapshot is begun anew, not gone on with");
                shown.push(login.login_id);
            }
            Seen::SnapshotEnd => break,
            other => panic!("expected the snapshot, got {other:?}"),
        }
    }
    assert_eq!(shown, live);
    let cursor = watch.cursor.clone();
    desk.try_cancel(&live[3]).await.expect("a login");
    assert_eq!(standing(&watch.login().await), "cancelled");
    assert_eq!(standings(&told(&mut desk.resume(&cursor).await).await), ["cancelled"]);
}

#[tokio::test(start_paused = true)]
async fn a_snapshot_passes_the_filter_too() {
    let (_stage, gateway) = Stage::with_gateway();
    let desk = gateway.desk();
    desk.start(at_the_till("r-1", NUMBER)).await;
    let boxed = gateway.kiosk().start(at_the_box("r-2", OTHER_NUMBER)).await;
    let filter = v1::WatchLoginsRequest { channel: v1::Channel::TvBox.into(), ..everything() };
    let told = told(&mut desk.watch_from_snapshot(filter).await).await;
    assert_eq!(told.iter().map(|(login, _)| &login.login_id).collect::<Vec<_>>(), [&boxed.login_id]);
}

/// G2, SR35: whoever reads too slowly is sent away with a cursor, and nobody else
/// notices; with the cursor nothing is lost.
#[tokio::test(start_paused = true)]
async fn a_slow_reader_is_sent_away_with_its_cursor_and_disturbs_nobody() {
    const CHANGES: usize = 3000;
    let (stage, gateway) = Stage::with_gateway();
    let desk = gateway.desk();
    // On a connection of its own, which fills up.
    let mut slow = gateway.desk().watch_all(everything()).await;
    let login = desk.start(on_a_call("r-1", NUMBER)).await;
    let mut fast = desk.watch_all(everything()).await;
    for _ in 0..CHANGES / 100 {
        stage.changes_often(&login.login_id, 100).await;
        for _ in 0..100 {
            fast.login().await;
        }
    }
    let mut seen = Vec::new();
    let refusal = loop {
        match slow.next().await {
            Seen::Login(login) => seen.push(login.code_tries_left),
            Seen::Heartbeat => {}
            Seen::Refused(refusal) => break refusal,
            other => panic!("the stream ended: {other:?}"),
        }
    };
    assert_eq!((refusal.code, refusal.reason.as_str()), (Code::Aborted, "SLOW_READER"), "{}", refusal.message);
    assert_eq!(refusal.told("cursor"), Some(slow.cursor.as_str()), "after what it has read");
    let rest = told(&mut desk.resume(&slow.cursor).await).await;
    seen.extend(rest.iter().map(|(login, _)| login.code_tries_left));
    let expected: Vec<_> = (0..=CHANGES).map(|change| if change % 2 == 0 { 3 } else { 2 }).collect();
    assert_eq!(seen, expected, "each event once, in order");
    assert_eq!(fast.next().await, Seen::Heartbeat);
}

/// The last message before a stream ends by our doing tells how to go on.
#[tokio::test(start_paused = true)]
async fn a_drain_sends_readers_away_with_their_cursor() {
    let (stage, gateway) = Stage::with_gateway();
    let other = stage.gateway();
    let desk = gateway.desk();
    let mut watch = desk.watch_all(everything()).await;
    let login = desk.start(at_the_till("r-1", NUMBER)).await;
    assert_eq!(standing(&watch.login().await), "pending");
    gateway.logins.dismiss();
    other.desk().cancel(&login).await;
    let refusal = refused(watch.next().await);
    assert_eq!((refusal.code, refusal.reason.as_str()), (Code::Unavailable, "DRAINING"));
    assert_eq!(refusal.told("cursor"), Some(watch.cursor.as_str()));
    let resumed = told(&mut other.desk().resume(&watch.cursor).await).await;
    assert_eq!(standings(&resumed), ["cancelled"]);
}

/// A start that was taken back was never there.
#[tokio::test(start_paused = true)]
async fn a_start_that_was_taken_back_is_not_told() {
    let (stage, gateway) = Stage::with_gateway();
    let desk = gateway.desk();
    let mut watch = desk.watch_all(everything()).await;
    stage.provider.answers_starts([ciba_gateway::ciba::StartAnswer::NotSent]);
    desk.refused(at_the_till("r-1", NUMBER)).await;
    desk.start(at_the_till("r-2", NUMBER)).await;
    assert_eq!(standings(&told(&mut watch).await), ["pending"]);
}
