//! Names and chance out of a seed: the same seed gives the same ones.

use std::{sync::Arc, time::Duration};

use rand_chacha::ChaCha8Rng;
use rand_core::{Rng, SeedableRng};
use uuid::{Builder, Uuid, fmt::Hyphenated};

/// What sets the stream of chance apart from the stream of names.
const CHANCE: u64 = 0x6368_616e_6365_0001;

/// Draws UUIDs.
#[derive(Clone, Debug)]
pub(crate) struct Ids(ChaCha8Rng);

impl Ids {
    pub(crate) fn new(seed: u64) -> Self {
        Self(ChaCha8Rng::seed_from_u64(seed))
    }

    pub(crate) fn uuid(&mut self) -> Uuid {
        let mut bytes = [0; 16];
        self.0.fill_bytes(&mut bytes);
        Builder::from_random_bytes(bytes).into_uuid()
    }
}

/// Draws luck.
#[derive(Clone, Debug)]
pub(crate) struct Chance(ChaCha8Rng);

impl Chance {
    pub(crate) fn new(seed: u64) -> Self {
        Self(ChaCha8Rng::seed_from_u64(seed ^ CHANCE))
    }

    /// A number from `low` to `high`, both included; `low` without a draw when there is no choice. (The
    /// remainder favours small numbers by less than one part in 2^32.)
    pub(crate) fn between(&mut self, low: u64, high: u64) -> u64 {
        if high <= low { low } else { low + self.0.next_u64() % (high - low + 1) }
    }

    /// Whether something happens that happens so many times in a hundred.
    pub(crate) fn happens(&mut self, percent: u32) -> bool {
        percent > 0 && self.between(1, 100) <= u64::from(percent)
    }

    /// A time within these bounds, in whole microseconds.
    pub(crate) fn time(&mut self, least: Duration, most: Duration) -> Duration {
        let micros = |time: Duration| u64::try_from(time.as_micros()).unwrap_or(u64::MAX);
        Duration::from_micros(self.between(micros(least), micros(most)))
    }
}

/// A UUID as it is written, made in one piece.
pub(crate) fn uuid_text(uuid: Uuid) -> Arc<str> {
    let mut text = [0; Hyphenated::LENGTH];
    (&*uuid.hyphenated().encode_lower(&mut text)).into()
}

/// The id of an asset depends on its symbol only, so that it is the same in every run.
pub(crate) fn asset_id(symbol: &str) -> Uuid {
    // FNV-1a, 64 bits: any fixed spread of the text over the seeds will do.
    let seed = symbol.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    Ids::new(seed).uuid()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_follow_the_seed() {
        let draw = |seed| {
            let mut ids = Ids::new(seed);
            [ids.uuid(), ids.uuid()]
        };
        assert_eq!(draw(7), draw(7));
        assert_ne!(draw(7), draw(8));
        assert_ne!(asset_id("SPY"), asset_id("SPX"));
        assert_eq!(asset_id("SPY").get_version_num(), 4);
    }

    #[test]
    fn chance_keeps_its_bounds() {
        let mut chance = Chance::new(1);
        let draws: Vec<u64> = (0..1000).map(|_| chance.between(3, 5)).collect();
        assert!([3, 4, 5].iter().all(|n| draws.contains(n)) && draws.iter().all(|n| (3..=5).contains(n)));
        assert!((0..1000).all(|_| !chance.happens(0) && chance.happens(100)));
        let happened = (0..10_000).filter(|_| chance.happens(10)).count();
        assert!((800..1200).contains(&happened), "{happened}");
    }
}
