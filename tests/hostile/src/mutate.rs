//! Files that were damaged on their way, or by somebody who knows how they are made: cut short, bits flipped,
//! bytes and runs of bytes changed, moved or doubled. By seeded chance, so that each can be made again.

/// One way to damage a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Mutation {
    /// Only the first bytes are there.
    Cut(usize),
    /// One bit is another.
    Flip {
        /// Which byte.
        at: usize,
        /// Which bit of it.
        bit: u8,
    },
    /// Several bits are others.
    Flips(Vec<(usize, u8)>),
    /// A byte is this one: often the end of a range.
    Byte {
        /// Which byte.
        at: usize,
        /// What it is now.
        value: u8,
    },
    /// A run of bytes lies elsewhere, too, over what was there.
    Copied {
        /// Where it was.
        from: usize,
        /// Where it is as well.
        to: usize,
        /// How long it is.
        length: usize,
    },
    /// A run of bytes is missing.
    Missing {
        /// Where it was.
        at: usize,
        /// How long it was.
        length: usize,
    },
}

/// Bytes that mean most where a number is read: ends of ranges, and the longest of LEB128.
const TELLING: [u8; 8] = [0x00, 0x01, 0x7f, 0x80, 0xff, 0xfe, 0x40, 0x0b];
/// The number of the section with the code.
const CODE_SECTION: u8 = 10;
/// The longest run that is moved or missing, bytes.
const RUN_MAX: u64 = 64;

impl Mutation {
    /// The damaged file.
    pub fn of(&self, whole: &[u8]) -> Vec<u8> {
        let mut bytes = whole.to_vec();
        match self {
            Self::Cut(length) => bytes.truncate(*length),
            Self::Flip { at, bit } => bytes[*at] ^= 1 << bit,
            Self::Flips(flips) => flips.iter().for_each(|(at, bit)| bytes[*at] ^= 1 << bit),
            Self::Byte { at, value } => bytes[*at] = *value,
            Self::Copied { from, to, length } => {
                let run = whole[*from..(from + length).min(whole.len())].to_vec();
                let end = (to + run.len()).min(bytes.len());
                bytes[*to..end].copy_from_slice(&run[..end - to]);
            }
            Self::Missing { at, length } => drop(bytes.drain(*at..(at + length).min(whole.len()))),
        }
        bytes
    }
}

/// So many mutations of a WASM file. Half of them hit the part before the code: where a file says what it is
/// made of, a bit means more than in the code.
pub fn mutations(seed: u64, whole: &[u8], count: usize) -> impl Iterator<Item = Mutation> + use<> {
    let (mut dice, length, code) = (Dice(seed), whole.len(), code_at(whole));
    (0..count).map(move |_| {
        let anywhere = dice.below(2) == 0;
        let at = dice.index(if anywhere { length } else { code });
        let run = 1 + dice.index(RUN_MAX as usize);
        match dice.below(10) {
            0..3 => Mutation::Cut(at),
            3..6 => Mutation::Flip { at, bit: dice.bit() },
            6 => {
                let more =
                    (0..1 + dice.below(7)).map(|_| (dice.index(length), dice.bit())).collect::<Vec<_>>();
                Mutation::Flips([vec![(at, dice.bit())], more].concat())
            }
            7 => Mutation::Byte { at, value: TELLING[dice.index(TELLING.len())] },
            8 => Mutation::Copied { from: dice.index(length), to: at, length: run },
            _ => Mutation::Missing { at, length: run },
        }
    })
}

/// Where the code of a core module begins; the end, when it has none.
fn code_at(whole: &[u8]) -> usize {
    let mut at = 8;
    while at < whole.len() && whole[at] != CODE_SECTION {
        let (mut size, mut shift) = (0_usize, 0);
        loop {
            at += 1;
            let byte = whole.get(at).copied().unwrap_or(0);
            size |= usize::from(byte & 0x7f) << shift;
            shift += 7;
            if byte < 0x80 || shift > 28 {
                break;
            }
        }
        at += 1 + size;
    }
    at.min(whole.len())
}

/// Sebastiano Vigna's SplitMix64.
struct Dice(u64);

impl Dice {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, end: u64) -> u64 {
        self.next() % end
    }

    fn index(&mut self, length: usize) -> usize {
        usize::try_from(self.below(length as u64)).expect("below a length")
    }

    fn bit(&mut self) -> u8 {
        u8::try_from(self.below(8)).expect("below eight")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_makes_the_same_damage_again_and_all_of_it_is_damage_of_this_file() {
        let whole: Vec<u8> = b"\0asm\x01\0\0\0\x01\x02ab\x0a\x03xyz".to_vec();
        assert_eq!(code_at(&whole), 12);
        let all = |seed| mutations(seed, &whole, 1_000).collect::<Vec<_>>();
        assert_eq!(all(1), all(1));
        assert_ne!(all(1), all(2));
        let damaged = all(1).iter().filter(|mutation| mutation.of(&whole) != whole).count();
        assert!(damaged > 800, "{damaged}");
    }
}
