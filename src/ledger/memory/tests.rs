use super::*;
use crate::ledger::hub::tests::{T0, ended, record, tenant};
use crate::store::Incarnation;

fn versions(memory: &Memory, now: Timestamp) -> Vec<u64> {
    memory.of(&tenant(), now).iter().map(|record| record.version).collect()
}

fn others(record: Record) -> Arc<Record> {
    Arc::new(Record { owner: Incarnation("other-run".to_owned()), ..record })
}

#[test]
fn the_newest_is_remembered() {
    let memory = Memory::default();
    for version in [1, 3, 2] {
        memory.remember(&Arc::new(record(7, version)), T0);
    }
    memory.saw(&Arc::new(record(7, 4)));
    memory.saw(&Arc::new(record(8, 1)));
    assert_eq!(versions(&memory, T0), [4], "only what it answers for");
    assert!(memory.wants(&tenant(), &record(7, 1).session.id, 5));
    assert!(!memory.wants(&tenant(), &record(7, 1).session.id, 4));
}

#[test]
fn an_end_is_remembered_for_a_while() {
    let memory = Memory::default();
    memory.remember(&Arc::new(record(7, 5)), T0);
    memory.remember(&Arc::new(ended(record(7, 3))), T0);
    let until = T0.plus(ENDS_REMEMBERED);
    assert_eq!(versions(&memory, until.minus(Duration::from_millis(1))), [3], "whatever its version");
    assert_eq!(versions(&memory, until), [0; 0]);
}

#[test]
fn what_somebody_else_has_taken_over_or_ended_is_his_to_remember() {
    for newer in [others(record(7, 2)), Arc::new(ended(record(7, 2)))] {
        let memory = Memory::default();
        memory.remember(&Arc::new(record(7, 1)), T0);
        memory.saw(&newer);
        assert_eq!(versions(&memory, T0), [0; 0]);
    }
}

#[test]
fn what_was_taken_back_is_forgotten() {
    let memory = Memory::default();
    memory.remember(&Arc::new(record(7, 1)), T0);
    memory.forget(&record(7, 1));
    assert!(memory.recall(&tenant(), &record(7, 1).session.id).is_none());
}
