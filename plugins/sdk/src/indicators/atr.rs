//! Average true range.

use super::Wilder;

/// Wilder's average true range: the mean of the first `period` true ranges, then
/// `(previous × (period − 1) + range) / period`. The true range is the greatest of `high − low`,
/// `|high − previous close|` and `|low − previous close|`; of the first bar it is `high − low`.
#[derive(Clone, Debug)]
pub struct Atr {
    previous_close: Option<f64>,
    average: Wilder,
}

impl Atr {
    /// Over that many bars; Wilder took 14.
    ///
    /// # Panics
    /// When the period is zero.
    pub fn new(period: usize) -> Self {
        Self { previous_close: None, average: Wilder::new(period) }
    }

    /// Takes the next bar.
    pub fn push(&mut self, high: f64, low: f64, close: f64) -> Option<f64> {
        if !(high.is_finite() && low.is_finite() && close.is_finite()) {
            return self.value();
        }
        let within = high - low;
        let range = self
            .previous_close
            .map_or(within, |previous| within.max((high - previous).abs()).max((low - previous).abs()));
        self.previous_close = Some(close);
        self.average.push(range)
    }

    /// The average now; `None` before `period` bars came.
    pub fn value(&self) -> Option<f64> {
        self.average.value()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{
        super::testing::{naive_wilder, near, prices},
        *,
    };

    #[test]
    fn by_hand() {
        let check = |period: usize, bars: &[(f64, f64, f64)], expected: Option<f64>| {
            let mut atr = Atr::new(period);
            let last = bars.iter().fold(None, |_, &(high, low, close)| atr.push(high, low, close));
            near(last, expected);
        };
        check(2, &[(11.0, 10.0, 10.5)], None);
        // Ranges 1 and 2.
        check(2, &[(11.0, 10.0, 10.5), (12.0, 10.0, 11.0)], Some(1.5));
        // A gap up from 11 to 14..15 is a range of 4: (1.5 + 4) / 2.
        check(2, &[(11.0, 10.0, 10.5), (12.0, 10.0, 11.0), (15.0, 14.0, 14.5)], Some(2.75));
        // A gap down from 10.5 to 7..8 is a range of 3.5; the broken bar is skipped.
        check(2, &[(11.0, 10.0, 10.5), (f64::NAN, 1.0, 1.0), (8.0, 7.0, 7.5)], Some(2.25));
    }

    proptest! {
        #[test]
        fn as_by_definition(period in 1_usize..30, prices in prices()) {
            let bars: Vec<(f64, f64, f64)> = prices
                .chunks_exact(3)
                .map(|it| (it[0].max(it[1]).max(it[2]), it[0].min(it[1]).min(it[2]), it[2]))
                .collect();
            let mut atr = Atr::new(period);
            let last = bars.iter().fold(None, |_, &(high, low, close)| atr.push(high, low, close));
            let mut ranges: Vec<f64> = bars.first().map(|bar| bar.0 - bar.1).into_iter().collect();
            ranges.extend(bars.windows(2).map(|pair| {
                let ((_, _, previous), (high, low, _)) = (pair[0], pair[1]);
                high.max(previous) - low.min(previous)
            }));
            near(last, naive_wilder(&ranges, period));
        }
    }
}
