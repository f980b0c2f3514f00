//! What was delivered of one symbol's bars, so that the next one can be judged.

use std::collections::VecDeque;

use sandpit_types::{Bar, MarketTime};

use super::Source;

/// Bars remembered of each symbol. When full, the oldest is forgotten: a bar that old is not delivered any
/// more, since nobody can tell whether it was. History is asked about every minute within this span, as long
/// as it answers at all.
pub(super) const REMEMBERED: usize = 128;

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
    /// It was delivered.
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
    /// Nothing is known of bars up to here.
    forgotten: MarketTime,
}

impl Memory {
    /// Nothing was delivered yet.
    pub(super) const fn new() -> Self {
        Self { kept: VecDeque::new(), forgotten: MarketTime::from_nanos(i64::MIN) }
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
        if bar.start <= self.forgotten {
            return Verdict::Forgotten;
        }
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
        let verdict = if at == self.kept.len() { Verdict::Next } else { Verdict::Overtaken };
        self.kept.insert(at, fresh);
        if self.kept.len() > REMEMBERED
            && let Some(oldest) = self.kept.pop_front()
        {
            self.forgotten = oldest.start;
        }
        verdict
    }
}

fn is_same(one: &[f64; 5], other: &[f64; 5]) -> bool {
    one.iter().zip(other).all(|(one, other)| (one - other).abs() <= ROUNDING * one.abs().max(other.abs()))
}
