//! Relative strength index.

use super::Wilder;

/// Wilder's relative strength index, 0 to 100: `100 − 100 / (1 + gain / loss)`, where gain and loss are
/// Wilder's averages (the mean of the first `period` changes, then `(previous × (period − 1) + change) /
/// period`) of the changes up and down. Without any loss it is 100, without any change 50.
#[derive(Clone, Debug)]
pub struct Rsi {
    previous: Option<f64>,
    gain: Wilder,
    loss: Wilder,
}

impl Rsi {
    /// Over that many changes; Wilder took 14.
    ///
    /// # Panics
    /// When the period is zero.
    pub fn new(period: usize) -> Self {
        Self { previous: None, gain: Wilder::new(period), loss: Wilder::new(period) }
    }

    /// Takes the next price.
    pub fn push(&mut self, price: f64) -> Option<f64> {
        if !price.is_finite() {
            return self.value();
        }
        if let Some(previous) = self.previous.replace(price) {
            let change = price - previous;
            self.gain.push(change.max(0.0));
            self.loss.push((-change).max(0.0));
        }
        self.value()
    }

    /// The index now; `None` before `period` + 1 prices came.
    pub fn value(&self) -> Option<f64> {
        let (gain, loss) = (self.gain.value()?, self.loss.value()?);
        let both = gain + loss;
        Some(if both > 0.0 { 100.0 * gain / both } else { 50.0 })
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
        let check = |period: usize, prices: &[f64], expected: Option<f64>| {
            let mut rsi = Rsi::new(period);
            near(prices.iter().fold(None, |_, &price| rsi.push(price)), expected);
        };
        check(2, &[10.0, 11.0], None);
        // Changes +1, -1: gain and loss 0.5 each.
        check(2, &[10.0, 11.0, 10.0], Some(50.0));
        // Then +3: gain (0.5 + 3) / 2 = 1.75, loss 0.25; 1.75 / 2 of 100.
        check(2, &[10.0, 11.0, 10.0, 13.0], Some(87.5));
        check(2, &[10.0, 11.0, 12.0], Some(100.0));
        check(2, &[12.0, 11.0, f64::NAN, 10.0], Some(0.0));
        check(2, &[10.0, 10.0, 10.0], Some(50.0));
    }

    /// The example that is widely copied from J. Welles Wilder's method, 14 periods.
    #[test]
    fn by_the_textbook() {
        let prices = [
            44.34, 44.09, 44.15, 43.61, 44.33, 44.83, 45.10, 45.42, 45.84, 46.08, 45.89, 46.03, 45.61, 46.28,
            46.28,
        ];
        let mut rsi = Rsi::new(14);
        let value = prices.iter().fold(None, |_, &price| rsi.push(price)).expect("14 changes came");
        assert!((value - 70.46).abs() < 0.01, "{value}");
    }

    proptest! {
        #[test]
        fn as_by_definition(period in 1_usize..30, prices in prices()) {
            let mut rsi = Rsi::new(period);
            let last = prices.iter().fold(None, |_, &price| rsi.push(price));
            let changes: Vec<f64> = prices.windows(2).map(|pair| pair[1] - pair[0]).collect();
            let gains: Vec<f64> = changes.iter().map(|change| change.max(0.0)).collect();
            let losses: Vec<f64> = changes.iter().map(|change| (-change).max(0.0)).collect();
            let expected = naive_wilder(&gains, period).zip(naive_wilder(&losses, period)).map(
                |(gain, loss)| if loss == 0.0 { 100.0 } else { 100.0 - 100.0 / (1.0 + gain / loss) },
            );
            near(last, expected);
        }
    }
}
