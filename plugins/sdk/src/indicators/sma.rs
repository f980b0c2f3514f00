//! Simple moving average.

use super::window::Window;

/// The simple moving average: the sum of the last `period` values divided by `period`.
#[derive(Clone, Debug)]
pub struct Sma(Window);

impl Sma {
    /// Over that many values.
    ///
    /// # Panics
    /// When the period is zero.
    pub fn new(period: usize) -> Self {
        Self(Window::new(period))
    }

    /// Takes the next value.
    pub fn push(&mut self, value: f64) -> Option<f64> {
        self.0.push(value);
        self.value()
    }

    /// The average now; `None` before `period` values came.
    pub fn value(&self) -> Option<f64> {
        self.0.mean()
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
        let check = |period: usize, values: &[f64], expected: Option<f64>| {
            let mut sma = Sma::new(period);
            near(values.iter().fold(None, |_, &value| sma.push(value)), expected);
        };
        check(3, &[1.0, 2.0], None);
        check(3, &[1.0, 2.0, 3.0], Some(2.0));
        check(3, &[1.0, 2.0, 3.0, 7.0], Some(4.0));
        check(3, &[1.0, f64::NAN, 2.0, 3.0], Some(2.0));
        check(1, &[5.0, 6.0], Some(6.0));
    }

    #[test]
    fn a_huge_value_leaves_no_trace() {
        let mut sma = Sma::new(4);
        sma.push(1e18);
        near((0..12).fold(None, |_, _| sma.push(0.1)), Some(0.1));
    }

    proptest! {
        #[test]
        fn as_by_definition(period in 1_usize..30, values in prices()) {
            let mut sma = Sma::new(period);
            for end in 1..=values.len() {
                let start = end.checked_sub(period);
                let expected = start.map(|start| values[start..end].iter().sum::<f64>() / period as f64);
                near(sma.push(values[end - 1]), expected);
            }
        }
    }
}
