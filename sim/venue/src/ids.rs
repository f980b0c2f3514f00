//! Names out of a seed: the same seed gives the same names.

use rand_chacha::ChaCha8Rng;
use rand_core::{Rng, SeedableRng};
use uuid::{Builder, Uuid};

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
}
