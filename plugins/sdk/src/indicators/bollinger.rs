//! Bollinger bands.

use super::window::Window;

/// Bollinger bands: the simple moving average of the last `period` values, and lines `width` standard
/// deviations (of the population: divided by `period`) above and below it.
#[derive(Clone, Debug)]
pub struct Bollinger {
    window: Window,
    width: f64,
}

/// The three lines of [`Bollinger`].
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Bands {
    /// The average minus `width` deviations.
    pub lower: f64,
    /// The average.
    pub middle: f64,
    /// The average plus `width` deviations.
    pub upper: f64,
}

impl Bollinger {
    /// Over that many values, that many deviations wide; Bollinger took 20 and 2.
    ///
    /// # Panics
    /// When the period is zero.
    pub fn new(period: usize, width: f64) -> Self {
        Self { window: Window::new(period), width }
    }

    /// Takes the next value.
    pub fn push(&mut self, value: f64) -> Option<Bands> {
        self.window.push(value);
        self.value()
    }

    /// The bands now; `None` before `period` values came.
    pub fn value(&self) -> Option<Bands> {
        let (middle, reach) = (self.window.mean()?, self.width * self.window.deviation()?);
        Some(Bands { lower: middle - reach, middle, upper: middle + reach })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{
        super::testing::{near, prices},
        *,
    };

    #[test]
    fn by_hand() {
        let mut bands = Bollinger::new(4, 2.0);
        for value in [2.0, 4.0, 4.0] {
            assert_eq!(bands.push(value), None);
        }
        // Mean 4, deviations -2, 0, 0, 2: the square root of 8 / 4.
        let Bands { lower, middle, upper } = bands.push(6.0).expect("four values came");
        near(Some(middle), Some(4.0));
        near(Some(upper), Some(4.0 + 2.0 * 2.0_f64.sqrt()));
        near(Some(lower), Some(4.0 - 2.0 * 2.0_f64.sqrt()));
    }

    #[test]
    fn a_flat_market_has_no_width() {
        let mut bands = Bollinger::new(3, 2.0);
        let last = (0..1000).fold(None, |_, _| bands.push(167.41)).expect("enough values came");
        assert_eq!((last.lower, last.upper), (last.middle, last.middle));
    }

    proptest! {
        #[test]
        fn as_by_definition(period in 1_usize..30, values in prices()) {
            let mut bands = Bollinger::new(period, 2.0);
            for end in 1..=values.len() {
                let found = bands.push(values[end - 1]);
                let Some(start) = end.checked_sub(period) else { continue };
                let (last, n) = (&values[start..end], period as f64);
                let mean = last.iter().sum::<f64>() / n;
                let deviation = (last.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / n).sqrt();
                let found = found.expect("enough values came");
                near(Some(found.middle), Some(mean));
                // A root of a difference keeps half the digits.
                prop_assert!((found.upper - mean - 2.0 * deviation).abs() < 1e-5);
                prop_assert!((mean - found.lower - 2.0 * deviation).abs() < 1e-5);
            }
        }
    }
}
