use super::*;

struct Observer {
    census: Census,
    own: Incarnation,
    began: Instant,
}

fn named(name: &str) -> Incarnation {
    Incarnation(name.to_owned())
}

impl Observer {
    fn new() -> Self {
        Self { census: Census::default(), own: named("own"), began: Instant::now() }
    }

    fn at(&self, millis: u64) -> Instant {
        self.began + Duration::from_millis(millis)
    }

    /// Dead, and silent from then on.
    fn dead(&self, millis: u64) -> Option<Fate> {
        Some(Fate::Dead { silent_since: self.at(millis) })
    }

    /// Reads the other's sign at once; how it went, if it did.
    fn reads(&mut self, millis: u64, sign: Option<Sign>) -> Option<Fate> {
        self.reads_slowly(millis, millis, sign)
    }

    fn reads_slowly(&mut self, asked: u64, answered: u64, sign: Option<Sign>) -> Option<Fate> {
        let mut signs = BTreeMap::from([(self.own.clone(), Sign::Beating(1))]);
        signs.extend(sign.map(|sign| (named("other"), sign)));
        let reading = Reading { asked: self.at(asked), answered: self.at(answered) };
        let gone = self.census.heard(&self.own, &signs, reading);
        assert!(!gone.contains_key(&self.own));
        gone.get(&named("other")).copied()
    }
}

const ONE: Option<Sign> = Some(Sign::Beating(1));
const TWO: Option<Sign> = Some(Sign::Beating(2));

/// It was given no later than it was first read, and held for two seconds.
#[test]
fn the_same_sign_for_three_seconds_is_death() {
    let mut observer = Observer::new();
    assert_eq!(observer.reads(0, ONE), None);
    assert_eq!(observer.reads(2999, ONE), None);
    assert_eq!(observer.reads(3000, ONE), observer.dead(2000));
    assert_eq!(observer.reads(9000, ONE), observer.dead(2000), "as long as it is not buried");
}

#[test]
fn another_sign_is_life_even_a_lower_one() {
    let mut observer = Observer::new();
    observer.reads(0, TWO);
    assert_eq!(observer.reads(2900, ONE), None);
    assert_eq!(observer.reads(5800, ONE), None);
    assert_eq!(observer.reads(5900, ONE), observer.dead(4900));
    assert_eq!(observer.reads(6000, TWO), None, "it is back");
}

#[test]
fn no_sign_for_three_seconds_is_death() {
    let mut observer = Observer::new();
    observer.reads(0, ONE);
    assert_eq!(observer.reads(1000, None), None);
    assert_eq!(observer.reads(3900, None), None);
    assert_eq!(observer.reads(4000, None), observer.dead(3000));
}

#[test]
fn a_failed_reading_starts_all_counting_anew() {
    let mut observer = Observer::new();
    observer.reads(0, ONE);
    observer.census.missed();
    assert_eq!(observer.reads(3500, ONE), None);
    assert_eq!(observer.reads(6400, ONE), None);
    assert_eq!(observer.reads(6500, ONE), observer.dead(5500));
}

/// What counts is the least time that can lie between two readings, and the
/// latest at which the sign can have been given.
#[test]
fn a_slow_reading_does_not_hasten_death() {
    let mut observer = Observer::new();
    observer.reads_slowly(0, 1000, ONE);
    assert_eq!(observer.reads_slowly(3500, 5000, ONE), None);
    assert_eq!(observer.reads_slowly(4000, 5000, ONE), observer.dead(3000));
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
    assert_eq!(observer.reads(3000, ONE), observer.dead(2000));
    observer.census.buried(&named("other"));
    assert_eq!(observer.reads(9000, None), None);
    assert_eq!(observer.reads(19_000, None), None);
}

#[test]
fn a_former_self_is_dead_until_it_is_buried() {
    let mut observer = Observer::new();
    let silent_since = observer.at(0);
    observer.census.give_up(named("other"), silent_since);
    assert_eq!(observer.reads(0, ONE), observer.dead(0));
    assert_eq!(observer.reads(100, TWO), observer.dead(0), "a late beat does not revive it");
    observer.census.buried(&named("other"));
    assert_eq!(observer.reads(200, None), None);
}
