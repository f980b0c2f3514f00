//! What was delivered of one symbol's bars, so that the next one can be judged.

use std::collections::VecDeque;

use sandpit_types::{Bar, MarketTime};

use super::Source;

/// Bars remembered of each symbol with their figures. When full, the oldest becomes a bit in [`Minutes`]: it
/// will not be corrected any more.
pub(super) const REMEMBERED: usize = 128;
/// Minutes of which is known whether they were delivered: more than a day with its early and late sessions,
/// so that a gap that could not be filled stays owed for as long. A bar older than that is not delivered, for
/// nobody can tell whether it was; it is counted, and the first is an error.
pub(super) const MINUTES: i64 = 1_024;
const WORDS: usize = MINUTES as usize / 64;

/// Prices that differ by less, relative to their size, are the same: a text and a binary form of one number
/// may be read with different roundings.
const ROUNDING: f64 = 1e-12;

/// What a bar is, seen from those before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It was not delivered, and it is the newest of its symbol.
    Next,
    /// It was not delivered, but a newer one of its symbol was.
    Overtaken,
    /// It was delivered with other figures.
    Corrected,
    /// It was delivered, as far as is known with the same figures.
    Repeat,
    /// It is so old that nobody can tell.
    Forgotten,
}

/// What is remembered of one bar.
#[derive(Clone, Copy, Debug)]
struct Kept {
    start: MarketTime,
    prices: [f64; 5],
    volume: u64,
    /// Requests begun when these figures came over the stream; 0 when they came over REST.
    asked: u32,
}

/// The newest bars of one symbol, in order of time.
#[derive(Debug)]
pub(super) struct Memory {
    kept: VecDeque<Kept>,
    minutes: Minutes,
}

/// Of the newest minutes, which were delivered: one bit each.
#[derive(Debug)]
struct Minutes {
    newest: i64,
    delivered: [u64; WORDS],
}

impl Minutes {
    const fn number(start: MarketTime) -> i64 {
        start.as_nanos().div_euclid(60_000_000_000)
    }

    const fn place(minute: i64) -> (usize, u64) {
        let slot = minute.rem_euclid(MINUTES) as usize;
        (slot / 64, 1 << (slot % 64))
    }

    /// Whether a minute was delivered; `None` of one that is too old.
    const fn has(&self, minute: i64) -> Option<bool> {
        let (word, bit) = Self::place(minute);
        if minute > self.newest {
            Some(false)
        } else if self.newest - minute < MINUTES {
            Some(self.delivered[word] & bit != 0)
        } else {
            None
        }
    }

    /// Takes note of a minute that is not too old.
    fn set(&mut self, minute: i64) {
        if minute > self.newest {
            // The minutes in between take the places of the oldest.
            for passed in (self.newest + 1).max(minute - MINUTES + 1)..=minute {
                let (word, bit) = Self::place(passed);
                self.delivered[word] &= !bit;
            }
            self.newest = minute;
        }
        let (word, bit) = Self::place(minute);
        self.delivered[word] |= bit;
    }
}

impl Memory {
    /// Nothing was delivered yet.
    pub(super) const fn new() -> Self {
        // Long before anything, and far from the ends of the numbers.
        let minutes = Minutes { newest: i64::MIN / 120_000_000_000, delivered: [0; WORDS] };
        Self { kept: VecDeque::new(), minutes }
    }

    /// Judges a bar and takes note of it. `correction` is a bar that the broker itself calls a correction;
    /// `asked` counts the requests begun so far.
    ///
    /// A plain bar of the stream never corrects one that is known: it was sent before whatever brought the
    /// other figures. An answer of REST does not correct what the stream said after the question.
    pub(super) fn judge(&mut self, bar: &Bar, source: Source, correction: bool, asked: u32) -> Verdict {
        let (told, stamp) = match source {
            Source::Stream => (None, asked),
            Source::Rest { request } => (Some(request), 0),
        };
        let prices = [bar.open, bar.high, bar.low, bar.close, bar.vwap];
        let fresh = Kept { start: bar.start, prices, volume: bar.volume, asked: stamp };
        let at = self.kept.partition_point(|kept| kept.start < bar.start);
        if let Some(kept) = self.kept.get_mut(at).filter(|kept| kept.start == bar.start) {
            let differs = !is_same(&kept.prices, &fresh.prices) || kept.volume != fresh.volume;
            let is_newer = told.map_or(correction, |request| kept.asked < request);
            if !differs || !is_newer {
                return Verdict::Repeat;
            }
            *kept = fresh;
            return Verdict::Corrected;
        }
        let minute = Minutes::number(bar.start);
        match self.minutes.has(minute) {
            Some(false) => {}
            Some(true) => return Verdict::Repeat,
            None => return Verdict::Forgotten,
        }
        self.minutes.set(minute);
        let verdict = if at == self.kept.len() { Verdict::Next } else { Verdict::Overtaken };
        self.kept.insert(at, fresh);
        if self.kept.len() > REMEMBERED {
            self.kept.pop_front();
        }
        verdict
    }
}

fn is_same(one: &[f64; 5], other: &[f64; 5]) -> bool {
    one.iter().zip(other).all(|(one, other)| (one - other).abs() <= ROUNDING * one.abs().max(other.abs()))
}
