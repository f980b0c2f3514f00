//! Z-score.

use super::window::Window;

/// How many standard deviations (of the population: divided by `period`) the newest value lies above the mean
/// of the last `period` values, itself included.
#[derive(Clone, Debug)]
pub struct ZScore {
    window: Window,
    newest: Option<f64>,
}

impl ZScore {
    /// Over that many values.
    ///
    /// # Panics
    /// When the period is zero.
    pub fn new(period: usize) -> Self {
        Self { window: Window::new(period), newest: None }
    }

    /// Takes the next value.
    pub fn push(&mut self, value: f64) -> Option<f64> {
        self.window.push(value);
        self.newest = if value.is_finite() { Some(value) } else { self.newest };
        self.value()
    }

    /// The score now; `None` before `period` values came, and while they are all the same.
    pub fn value(&self) -> Option<f64> {
        Some((self.newest? - self.mean()?) / self.deviation()?)
    }

    /// The mean; `None` before `period` values came.
    pub fn mean(&self) -> Option<f64> {
        self.window.mean()
    }

    /// The standard deviation; `None` before `period` values came, and while they are all the same.
    pub fn deviation(&self) -> Option<f64> {
        // Beside the values, a difference of rounding is none.
        self.window.deviation().filter(|deviation| *deviation > 1e-9 * self.newest.unwrap_or(1.0).abs())
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
        let check = |values: &[f64], expected: Option<f64>| {
            let mut score = ZScore::new(4);
            near(values.iter().fold(None, |_, &value| score.push(value)), expected);
        };
        check(&[2.0, 4.0, 4.0], None);
        // Mean 4, deviation the square root of 2: 6 is 2 above.
        check(&[2.0, 4.0, 4.0, 6.0], Some(2.0_f64.sqrt()));
        check(&[9.0, 6.0, 4.0, 4.0, 2.0], Some(-2.0_f64.sqrt()));
        check(&[2.0, 4.0, 4.0, 6.0, f64::NAN], Some(2.0_f64.sqrt()));
        check(&[5.0; 9], None);
    }

    proptest! {
        #[test]
        fn as_by_definition(period in 2_usize..30, values in prices()) {
            let mut score = ZScore::new(period);
            for end in 1..=values.len() {
                let found = score.push(values[end - 1]);
                let Some(start) = end.checked_sub(period) else {
                    prop_assert_eq!(found, None);
                    continue;
                };
                let (last, n) = (&values[start..end], period as f64);
                let mean = last.iter().sum::<f64>() / n;
                let deviation = (last.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / n).sqrt();
                let Some(found) = found else {
                    prop_assert!(deviation < 1e-4);
                    continue;
                };
                prop_assert!((found * deviation - (values[end - 1] - mean)).abs() < 1e-3);
                // No single value can be further out.
                prop_assert!(found.abs() <= (n - 1.0).sqrt() + 1e-3);
            }
        }
    }
}
