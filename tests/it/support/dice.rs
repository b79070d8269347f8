//! Choices that come out the same way for the same seed.

use std::time::Duration;

/// A small generator (splitmix64).
#[derive(Clone, Debug)]
pub(crate) struct Dice(u64);

impl Dice {
    pub(crate) const fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// Other dice, which fall independently of these.
    pub(crate) fn fork(&mut self) -> Self {
        Self(self.roll())
    }

    /// Dice that fall the same way whenever they are taken for `what`.
    pub(crate) fn at(&self, what: u64) -> Self {
        Self(Self(self.0 ^ what.wrapping_mul(0xD6E8_FEB8_6659_FD93)).roll())
    }

    /// One of `0..bound`.
    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        self.roll() % bound
    }

    pub(crate) fn index(&mut self, bound: usize) -> usize {
        usize::try_from(self.below(bound as u64)).expect("a small number")
    }

    /// Whether it is one of `n` in a hundred.
    pub(crate) fn percent(&mut self, n: u64) -> bool {
        self.below(100) < n
    }

    /// Some time shorter than `limit` seconds.
    pub(crate) fn within(&mut self, limit: u64) -> Duration {
        Duration::from_millis(self.below(limit * 1000))
    }

    fn roll(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }
}
