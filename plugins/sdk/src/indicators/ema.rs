//! Exponential moving average.

/// The exponential moving average: the mean of the first `period` values, then
/// `previous + (value − previous) × 2 / (period + 1)`.
#[derive(Clone, Debug)]
pub struct Ema {
    period: usize,
    count: usize,
    sum_or_average: f64,
}

impl Ema {
    /// Over that many values.
    ///
    /// # Panics
    /// When the period is zero.
    pub fn new(period: usize) -> Self {
        assert!(period > 0, "an average needs a period of at least one");
        Self { period, count: 0, sum_or_average: 0.0 }
    }

    /// Takes the next value.
    pub fn push(&mut self, value: f64) -> Option<f64> {
        if !value.is_finite() {
            return self.value();
        }
        let period = self.period as f64;
        if self.count >= self.period {
            self.sum_or_average += (value - self.sum_or_average) * 2.0 / (period + 1.0);
            return self.value();
        }
        self.sum_or_average += value;
        self.count += 1;
        if self.count == self.period {
            self.sum_or_average /= period;
        }
        self.value()
    }

    /// The average now; `None` before `period` values came.
    pub fn value(&self) -> Option<f64> {
        (self.count >= self.period).then_some(self.sum_or_average)
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
            let mut ema = Ema::new(period);
            near(values.iter().fold(None, |_, &value| ema.push(value)), expected);
        };
        check(3, &[1.0, 2.0], None);
        check(3, &[1.0, 2.0, 3.0], Some(2.0));
        // 2 + (6 - 2) / 2 = 4, then 4 + (5 - 4) / 2 = 4.5.
        check(3, &[1.0, 2.0, 3.0, 6.0], Some(4.0));
        check(3, &[1.0, 2.0, 3.0, f64::INFINITY, 6.0, 5.0], Some(4.5));
        check(1, &[5.0, 6.0], Some(6.0));
    }

    proptest! {
        #[test]
        fn as_by_definition(period in 1_usize..30, values in prices()) {
            let mut ema = Ema::new(period);
            let last = values.iter().fold(None, |_, &value| ema.push(value));
            let expected = values.split_at_checked(period).map(|(first, rest)| {
                let alpha = 2.0 / (period as f64 + 1.0);
                let seed = first.iter().sum::<f64>() / period as f64;
                rest.iter().fold(seed, |average, value| alpha * value + (1.0 - alpha) * average)
            });
            near(last, expected);
        }
    }
}
