//! What will happen in one play.

use std::time::Duration;

use crate::support::dice::Dice;
use crate::support::flaky_store::Moment;

/// Everything that a seed decides. Times are from the beginning.
#[derive(Clone, Debug)]
pub(super) struct Plan {
    pub(super) replicas: usize,
    pub(super) logins: usize,
    /// An agent types the code; otherwise nobody does.
    pub(super) is_read_back: bool,
    pub(super) start_takes: Duration,
    pub(super) poll_takes: Duration,
    pub(super) identify_takes: Duration,
    /// What the first polls are answered.
    pub(super) polls: Vec<Poll>,
    /// What the person does, and when.
    pub(super) person: Option<(Duration, Person)>,
    pub(super) faults: Vec<Fault>,
    /// What callers do, and when, with which login, at which replica.
    pub(super) acts: Vec<(Duration, usize, usize, Act)>,
    /// Who watches from when on, which login, at which replica.
    pub(super) watchers: Vec<(Duration, usize, usize)>,
    /// For everything that is decided on the way.
    pub(super) dice: Dice,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Poll {
    Pending,
    SlowDown,
    Trouble,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Person {
    Approves,
    Denies,
}

/// Which replica has trouble, and which.
#[derive(Clone, Copy, Debug)]
pub(super) struct Fault {
    pub(super) replica: usize,
    pub(super) kind: Kind,
}

#[derive(Clone, Copy, Debug)]
pub(super) enum Kind {
    DiesAtCall(u64, Moment),
    DiesAt(Duration),
    DrainsAt(Duration),
    /// The line to the store, from when on and for how long.
    Line(Duration, Duration, Trouble),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Trouble {
    Down,
    AnswersLost,
    Frozen,
    BeatsLost,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Act {
    Cancel,
    Erase,
    TypeRight,
    TypeWrong,
    /// The same start once more.
    StartAgain,
    Look,
}

/// How long a login lives, with what it may take to type a code.
pub(super) const LIFETIME: Duration = Duration::from_secs(120);
/// Until when plans reach.
const LENGTH: u64 = 50;

impl Plan {
    pub(super) fn of(seed: u64) -> Self {
        let mut dice = Dice::new(seed);
        let replicas = 2 + dice.index(2);
        let logins = if dice.percent(25) { 2 } else { 1 };
        let is_read_back = dice.percent(40);
        let takes = |dice: &mut Dice| if dice.percent(50) { Duration::ZERO } else { dice.within(4) };
        Self {
            replicas,
            logins,
            is_read_back,
            start_takes: takes(&mut dice),
            poll_takes: takes(&mut dice),
            identify_takes: takes(&mut dice),
            polls: (0..dice.below(4)).map(|_| poll(&mut dice)).collect(),
            person: person(&mut dice),
            faults: (0..dice.below(3)).map(|_| fault(&mut dice, replicas)).collect(),
            acts: (0..dice.below(8)).map(|_| act(&mut dice, logins, replicas, is_read_back)).collect(),
            watchers: (0..=dice.below(3))
                .map(|_| (dice.within(LENGTH), dice.index(logins), dice.index(replicas)))
                .collect(),
            dice,
        }
    }

    pub(super) fn has_act(&self, acts: &[Act]) -> bool {
        self.acts.iter().any(|(_, _, _, act)| acts.contains(act))
    }
}

fn poll(dice: &mut Dice) -> Poll {
    [Poll::Pending, Poll::Pending, Poll::SlowDown, Poll::Trouble][dice.index(4)]
}

fn person(dice: &mut Dice) -> Option<(Duration, Person)> {
    match dice.below(10) {
        0..6 => Some((dice.within(LENGTH), Person::Approves)),
        6..9 => Some((dice.within(LENGTH), Person::Denies)),
        _ => None,
    }
}

fn fault(dice: &mut Dice, replicas: usize) -> Fault {
    let moment = if dice.percent(50) { Moment::Before } else { Moment::After };
    let line = |dice: &mut Dice| {
        let trouble = [Trouble::Down, Trouble::AnswersLost, Trouble::Frozen, Trouble::BeatsLost][dice.index(4)];
        Kind::Line(dice.within(LENGTH), dice.within(20), trouble)
    };
    let kind = match dice.below(10) {
        0..3 => Kind::DiesAtCall(1 + dice.below(12), moment),
        3..5 => Kind::DiesAt(dice.within(LENGTH)),
        5 => Kind::DrainsAt(dice.within(LENGTH)),
        _ => line(dice),
    };
    // The one that begins is the most likely to own something.
    Fault { replica: if dice.percent(60) { 0 } else { dice.index(replicas) }, kind }
}

fn act(dice: &mut Dice, logins: usize, replicas: usize, is_read_back: bool) -> (Duration, usize, usize, Act) {
    let act = match dice.below(10) {
        0 | 1 => Act::Cancel,
        2 if dice.percent(30) => Act::Erase,
        3..6 if is_read_back => Act::TypeRight,
        6 | 7 if is_read_back => Act::TypeWrong,
        3 | 4 => Act::StartAgain,
        _ => Act::Look,
    };
    (dice.within(LENGTH), dice.index(logins), dice.index(replicas), act)
}
