//! Volume-weighted average price.

/// The volume-weighted average price of a session: the sum of `price × volume` divided by the sum of `volume`
/// since [`Vwap::reset`]. For a bar the price is `(high + low + close) / 3`.
#[derive(Clone, Debug, Default)]
pub struct Vwap {
    value: f64,
    volume: f64,
}

impl Vwap {
    /// At the start of a session.
    pub fn new() -> Self {
        Self::default()
    }

    /// Starts a new session.
    pub fn reset(&mut self) {
        *self = Self::default();
    }

    /// Takes the next bar.
    pub fn push_bar(&mut self, high: f64, low: f64, close: f64, volume: f64) -> Option<f64> {
        self.push((high + low + close) / 3.0, volume)
    }

    /// Takes shares traded at a price. A volume that is not above zero is skipped.
    pub fn push(&mut self, price: f64, volume: f64) -> Option<f64> {
        if price.is_finite() && volume.is_finite() && volume > 0.0 {
            self.value += price * volume;
            self.volume += volume;
        }
        self.value()
    }

    /// The average now; `None` before any shares were traded.
    pub fn value(&self) -> Option<f64> {
        (self.volume > 0.0).then(|| self.value / self.volume)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{super::testing::near, *};

    #[test]
    fn by_hand() {
        let mut vwap = Vwap::new();
        assert_eq!(vwap.value(), None);
        assert_eq!(vwap.push(10.0, 0.0), None);
        near(vwap.push(10.0, 100.0), Some(10.0));
        near(vwap.push(13.0, 50.0), Some(11.0));
        near(vwap.push(f64::NAN, 50.0), Some(11.0));
        // (12 + 9 + 9) / 3 = 10 for 50 shares more.
        near(vwap.push_bar(12.0, 9.0, 9.0, 50.0), Some(10.75));
        vwap.reset();
        assert_eq!(vwap.value(), None);
    }

    proptest! {
        #[test]
        fn lies_among_the_prices(trades in prop::collection::vec((1.0..1000.0_f64, 1.0..1e6_f64), 1..100)) {
            let mut vwap = Vwap::new();
            let last = trades.iter().fold(None, |_, &(price, volume)| vwap.push(price, volume));
            let value: f64 = trades.iter().map(|(price, volume)| price * volume).sum();
            let volume: f64 = trades.iter().map(|trade| trade.1).sum();
            near(last, Some(value / volume));
            let (low, high) = trades.iter().fold((f64::MAX, f64::MIN), |(low, high), &(price, _)| {
                (low.min(price), high.max(price))
            });
            prop_assert!(last.is_some_and(|it| it >= low - 1e-9 && it <= high + 1e-9));
        }
    }
}
