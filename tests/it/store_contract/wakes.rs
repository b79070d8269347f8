//! Who hears of which change.

use ciba_gateway::session::Event;
use ciba_gateway::store::{Record, Wake};

use crate::support::eventually::eventually;
use crate::support::reservations::{NOW, accepted, reservation, tenant};
use crate::support::stores::{Stage, adopt, advance, listening, reserve};

for_several_replicas!(every_write_of_others_is_announced, own_changes_are_not_announced);

async fn every_write_of_others_is_announced(stage: &Stage) {
    let other = stage.replica();
    let mut wakes = listening(&*other).await;

    let starting = reserve(&*stage.store, &reservation(1)).await;
    let released = reserve(&*stage.store, &reservation(2)).await;
    stage.store.release(&released, true).await.expect("the store answers");
    let pending = advance(&*stage.store, &starting, accepted(), NOW).await;
    let adopted = adopt(&*stage.store, "first-run", "second-run").await.remove(0);

    let gone = Record { version: 2, ..released.clone() };
    for record in [starting, released, gone, pending, adopted] {
        assert_eq!(eventually("the change is announced", async || wakes.try_recv().ok()).await, wake_of(&record));
    }
}

async fn own_changes_are_not_announced(stage: &Stage) {
    let other = stage.replica();
    let mut wakes = listening(&*stage.store).await;

    let ours = reserve(&*stage.store, &reservation(1)).await;
    advance(&*stage.store, &ours, accepted(), NOW).await;
    let adopted = adopt(&*stage.store, "first-run", "second-run").await.remove(0);
    advance(&*stage.store, &adopted, Event::Cancelled, NOW).await;
    let theirs = reserve(&*other, &reservation(2)).await;
    // Changes are announced in order: ours would have come before.
    assert_eq!(eventually("the change is announced", async || wakes.try_recv().ok()).await, wake_of(&theirs));
}

fn wake_of(record: &Record) -> Wake {
    Wake::Changed { tenant: tenant("acme"), login: record.session.id.clone(), version: record.version }
}
