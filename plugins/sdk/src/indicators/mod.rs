//! Indicators: each takes a value in constant time and allocates only when it is made.
//!
//! A value that is not finite is skipped, as if it had not come. Every `push` returns the indicator's new
//! value, or `None` until enough values came.

mod atr;
mod bollinger;
mod ema;
mod rsi;
mod sma;
mod vwap;
mod window;
mod zscore;

pub use atr::Atr;
pub use bollinger::{Bands, Bollinger};
pub use ema::Ema;
pub use rsi::Rsi;
pub use sma::Sma;
pub use vwap::Vwap;
pub use zscore::ZScore;

/// Wilder's average: the mean of the first `period` values, then `(previous × (period − 1) + value) /
/// period`.
#[derive(Clone, Debug)]
struct Wilder {
    period: usize,
    count: usize,
    sum_or_average: f64,
}

impl Wilder {
    fn new(period: usize) -> Self {
        assert!(period > 0, "an average needs a period of at least one");
        Self { period, count: 0, sum_or_average: 0.0 }
    }

    fn push(&mut self, value: f64) -> Option<f64> {
        let period = self.period as f64;
        if self.count >= self.period {
            self.sum_or_average = (self.sum_or_average * (period - 1.0) + value) / period;
            return self.value();
        }
        self.sum_or_average += value;
        self.count += 1;
        if self.count == self.period {
            self.sum_or_average /= period;
        }
        self.value()
    }

    fn value(&self) -> Option<f64> {
        (self.count >= self.period).then_some(self.sum_or_average)
    }
}

#[cfg(test)]
pub(crate) mod testing {
    use proptest::prelude::*;

    /// Prices as markets have them.
    pub(crate) fn prices() -> impl Strategy<Value = Vec<f64>> {
        prop::collection::vec(1.0..1000.0_f64, 0..200)
    }

    /// Asserts that two optional figures agree to nine digits.
    #[track_caller]
    pub(crate) fn near(found: Option<f64>, expected: Option<f64>) {
        match (found, expected) {
            (Some(found), Some(expected)) => {
                let tolerance = 1e-9 * expected.abs().max(1.0);
                assert!((found - expected).abs() <= tolerance, "found {found}, expected {expected}");
            }
            (found, expected) => assert_eq!(found, expected),
        }
    }

    /// Wilder's average by its definition.
    pub(crate) fn naive_wilder(values: &[f64], period: usize) -> Option<f64> {
        let (first, rest) = values.split_at_checked(period)?;
        let seed = first.iter().sum::<f64>() / period as f64;
        Some(
            rest.iter()
                .fold(seed, |average, value| (average * (period as f64 - 1.0) + value) / period as f64),
        )
    }
}
