use super::*;

struct Observer {
    census: Census,
    own: Incarnation,
}

fn named(name: &str) -> Incarnation {
    Incarnation(name.to_owned())
}

impl Observer {
    fn new() -> Self {
        Self { census: Census::default(), own: named("own") }
    }

    /// Reads the other's sign at once; how it went, if it did.
    fn reads(&mut self, millis: u64, sign: Option<Sign>) -> Option<Fate> {
        self.reads_slowly(millis, millis, sign)
    }

    fn reads_slowly(&mut self, asked: u64, answered: u64, sign: Option<Sign>) -> Option<Fate> {
        let mut signs = BTreeMap::from([(self.own.clone(), Sign::Beating(1))]);
        signs.extend(sign.map(|sign| (named("other"), sign)));
        let reading = Reading { asked: Duration::from_millis(asked), answered: Duration::from_millis(answered) };
        let gone = self.census.heard(&self.own, &signs, reading);
        assert!(!gone.contains_key(&self.own));
        gone.get(&named("other")).copied()
    }
}

const ONE: Option<Sign> = Some(Sign::Beating(1));
const TWO: Option<Sign> = Some(Sign::Beating(2));

#[test]
fn the_same_sign_for_three_seconds_is_death() {
    let mut observer = Observer::new();
    assert_eq!(observer.reads(0, ONE), None);
    assert_eq!(observer.reads(2999, ONE), None);
    assert_eq!(observer.reads(3000, ONE), Some(Fate::Dead));
}

#[test]
fn another_sign_is_life_even_a_lower_one() {
    let mut observer = Observer::new();
    observer.reads(0, TWO);
    assert_eq!(observer.reads(2900, ONE), None);
    assert_eq!(observer.reads(5800, ONE), None);
    assert_eq!(observer.reads(5900, ONE), Some(Fate::Dead));
    assert_eq!(observer.reads(6000, TWO), None, "it is back");
}

#[test]
fn no_sign_for_three_seconds_is_death() {
    let mut observer = Observer::new();
    observer.reads(0, ONE);
    assert_eq!(observer.reads(1000, None), None);
    assert_eq!(observer.reads(3900, None), None);
    assert_eq!(observer.reads(4000, None), Some(Fate::Dead));
}

#[test]
fn a_failed_reading_starts_all_counting_anew() {
    let mut observer = Observer::new();
    observer.reads(0, ONE);
    observer.census.missed();
    assert_eq!(observer.reads(3500, ONE), None);
    assert_eq!(observer.reads(6400, ONE), None);
    assert_eq!(observer.reads(6500, ONE), Some(Fate::Dead));
}

/// What counts is the least time that can lie between two readings.
#[test]
fn a_slow_reading_does_not_hasten_death() {
    let mut observer = Observer::new();
    observer.reads_slowly(0, 1000, ONE);
    assert_eq!(observer.reads_slowly(3500, 5000, ONE), None);
    assert_eq!(observer.reads_slowly(4000, 5000, ONE), Some(Fate::Dead));
}

#[test]
fn who_said_goodbye_is_gone_at_once() {
    let mut observer = Observer::new();
    assert_eq!(observer.reads(0, Some(Sign::Left)), Some(Fate::Left));
}

#[test]
fn the_buried_are_forgotten() {
    let mut observer = Observer::new();
    observer.reads(0, ONE);
    assert_eq!(observer.reads(3000, ONE), Some(Fate::Dead));
    observer.census.buried(&named("other"));
    assert_eq!(observer.reads(9000, None), None);
    assert_eq!(observer.reads(19_000, None), None);
}

#[test]
fn a_former_self_is_dead_until_it_is_buried() {
    let mut observer = Observer::new();
    observer.census.give_up(named("other"));
    assert_eq!(observer.reads(0, ONE), Some(Fate::Dead));
    assert_eq!(observer.reads(100, TWO), Some(Fate::Dead), "a late beat does not revive it");
    observer.census.buried(&named("other"));
    assert_eq!(observer.reads(200, None), None);
}
