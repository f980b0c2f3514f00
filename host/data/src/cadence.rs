//! How far apart bars are: bars that are longer than a minute would show the future if they were taken for
//! minutes.

use std::collections::{BTreeMap, VecDeque};

use sandpit_types::{MarketTime, Symbol};

use crate::row::{MINUTE, Row};

/// So unlikely, one in so many, are minutes that happen to lie on a coarser grid, before they are refused.
const UNLIKELY: u64 = 1_000_000;

/// So many steps that are all the same say as much.
const SAME_STEPS: u32 = 4;

/// The steps between times.
#[derive(Default)]
pub(crate) struct Cadence {
    /// The greatest common divisor, nanoseconds.
    common: i64,
    longest: i64,
    steps: u32,
    last: Option<MarketTime>,
}

impl Cadence {
    /// The next time of a whole file.
    pub(crate) fn see(&mut self, time: MarketTime) {
        if self.common == MINUTE {
            return;
        }
        if let Some(last) = self.last.replace(time) {
            self.step(last, time);
        }
    }

    /// The steps of each symbol by itself.
    pub(crate) fn of(rows: &VecDeque<Row>) -> Self {
        let (mut last, mut cadence) = (BTreeMap::<&Symbol, MarketTime>::new(), Self::default());
        for row in rows {
            if let Some(before) = last.insert(&row.symbol, row.stamp) {
                cadence.step(before, row.stamp);
            }
        }
        cadence
    }

    fn step(&mut self, from: MarketTime, to: MarketTime) {
        let step = to.as_nanos().abs_diff(from.as_nanos());
        let step = i64::try_from(step).unwrap_or(i64::MAX);
        if step > 0 {
            self.common = divisor(self.common, step);
            self.longest = self.longest.max(step);
            self.steps += 1;
        }
    }

    /// How many minutes apart the bars are, if that is more than one for sure. Of the k steps after
    /// the first of a symbol that seldom trades, all are multiples of g minutes by chance once in g^k.
    pub(crate) fn minutes(&self) -> Option<i64> {
        let minutes = self.common / MINUTE;
        let grid = u64::try_from(minutes).unwrap_or(0);
        let is_regular = self.steps >= SAME_STEPS && self.longest == self.common;
        (minutes > 1 && (is_regular || grid.saturating_pow(self.steps.saturating_sub(1)) >= UNLIKELY))
            .then_some(minutes)
    }
}

const fn divisor(a: i64, b: i64) -> i64 {
    if b == 0 { a } else { divisor(b, a % b) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn minutes_that_are_few_are_not_taken_for_longer_bars() {
        let check = |minutes: &[i64], expected: Option<i64>| {
            let mut cadence = Cadence::default();
            minutes.iter().for_each(|minute| cadence.see(MarketTime::from_secs(60 * minute)));
            assert_eq!(cadence.minutes(), expected, "{minutes:?}");
        };
        check(&[0, 5, 10, 15, 20], Some(5));
        check(&[0, 2, 8, 12], None);
        check(&[0, 2, 8, 12, 13], None);
        check(&[0, 1447], None);
        check(&[0, 1440, 4 * 1440, 5 * 1440], Some(1440));
        let bars: Vec<i64> = (0..30).map(|at| at * 2 + at / 7 * 20).collect();
        check(&bars, Some(2));
        check(&bars[..8], None);
        check(&[], None);
    }
}
