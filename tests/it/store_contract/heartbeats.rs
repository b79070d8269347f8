//! Who is alive.

use ciba_gateway::store::{Pulse, Sign};

use crate::support::reservations::{NOW, incarnation};
use crate::support::stores::Stage;

for_several_replicas!(
    every_beat_changes_ones_own_sign_alone,
    whoever_has_left_does_not_come_back_by_a_late_beat,
    whoever_was_buried_is_forgotten,
    goodbye_can_be_said_without_a_beat,
);

async fn every_beat_changes_ones_own_sign_alone(stage: &Stage) {
    let other = stage.replica();
    let one = beat(stage, "one").await;
    assert_eq!(one.signs.keys().collect::<Vec<_>>(), [&incarnation("one")]);

    let both = other.beat(&incarnation("other"), NOW).await.expect("the store answers");
    assert_eq!(sign(&both, "one"), sign(&one, "one"));
    assert!(matches!(sign(&both, "other"), Some(Sign::Beating(_))));

    let again = beat(stage, "one").await;
    assert!(matches!(sign(&again, "one"), Some(Sign::Beating(_))));
    assert_ne!(sign(&again, "one"), sign(&one, "one"));
    assert_eq!(sign(&again, "other"), sign(&both, "other"));
}

async fn whoever_has_left_does_not_come_back_by_a_late_beat(stage: &Stage) {
    beat(stage, "one").await;
    stage.store.leave(&incarnation("one")).await.expect("the store answers");
    assert_eq!(sign(&beat(stage, "other").await, "one"), Some(Sign::Left));
    assert_eq!(sign(&beat(stage, "one").await, "one"), Some(Sign::Left));
    assert_eq!(sign(&beat(stage, "other").await, "one"), Some(Sign::Left));
}

async fn whoever_was_buried_is_forgotten(stage: &Stage) {
    beat(stage, "one").await;
    beat(stage, "two").await;
    stage.store.leave(&incarnation("two")).await.expect("the store answers");
    for name in ["one", "two", "never-seen"] {
        stage.store.bury(&incarnation(name)).await.expect("the store answers");
    }
    let pulse = beat(stage, "other").await;
    assert_eq!(pulse.signs.keys().collect::<Vec<_>>(), [&incarnation("other")]);
}

async fn goodbye_can_be_said_without_a_beat(stage: &Stage) {
    stage.store.leave(&incarnation("one")).await.expect("the store answers");
    assert_eq!(sign(&beat(stage, "other").await, "one"), Some(Sign::Left));
}

async fn beat(stage: &Stage, name: &str) -> Pulse {
    stage.store.beat(&incarnation(name), NOW).await.expect("the store answers")
}

fn sign(pulse: &Pulse, name: &str) -> Option<Sign> {
    pulse.signs.get(&incarnation(name)).copied()
}
