//! Seeded chance.

use std::time::Duration;

/// Numbers that a seed decides: SplitMix64.
#[derive(Clone, Debug)]
pub(crate) struct Dice(u64);

impl Dice {
    /// Dice of a seed, which whoever throws them prints.
    pub(crate) const fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// Some 64 bits.
    const fn roll(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// A number below `end`, which is above zero.
    pub(crate) const fn below(&mut self, end: u64) -> u64 {
        self.roll() % end
    }

    /// A span below `end` milliseconds.
    pub(crate) const fn below_ms(&mut self, end: u64) -> Duration {
        Duration::from_millis(self.below(end))
    }
}
