//! Ticks: the steps an order's price may take.

use crate::{Price, Side};

/// From this price upwards (1 USD) the tick is a cent, below it a hundredth of a cent.
const PENNY_FROM: Price = Price::from_nanos(1_000_000_000);
const PENNY: Price = Price::from_nanos(10_000_000);
const SUB_PENNY: Price = Price::from_nanos(100_000);

impl Price {
    /// The smallest step of an order's price here: 0.01 USD from 1 USD upwards, 0.0001 USD below.
    pub fn tick(self) -> Self {
        if self >= PENNY_FROM { PENNY } else { SUB_PENNY }
    }

    /// Whether this is a whole number of ticks.
    pub fn is_on_tick(self) -> bool {
        self.nanos() % self.tick().nanos() == 0
    }

    /// The nearest tick at or below.
    pub fn round_down_to_tick(self) -> Self {
        self - Self::from_nanos(self.nanos().rem_euclid(self.tick().nanos()))
    }

    /// The nearest tick at or above.
    pub fn round_up_to_tick(self) -> Self {
        let down = self.round_down_to_tick();
        if down == self { self } else { down + self.tick() }
    }

    /// To the tick that does not pay more: down for a buy, up for a sell.
    pub fn round_passive(self, side: Side) -> Self {
        match side {
            Side::Buy => self.round_down_to_tick(),
            Side::Sell => self.round_up_to_tick(),
        }
    }

    /// To the tick that still meets the market: up for a buy, down for a sell.
    pub fn round_marketable(self, side: Side) -> Self {
        self.round_passive(side.opposite())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn prices_round_to_their_tick() {
        let check = |price: f64, down: f64, up: f64| {
            let price = Price::from_f64(price).expect("fits");
            assert_eq!(price.round_down_to_tick().to_f64(), down);
            assert_eq!(price.round_up_to_tick().to_f64(), up);
            assert_eq!(price.round_passive(Side::Buy).to_f64(), down);
            assert_eq!(price.round_marketable(Side::Buy).to_f64(), up);
            assert_eq!(price.round_passive(Side::Sell).to_f64(), up);
            assert_eq!(price.round_marketable(Side::Sell).to_f64(), down);
        };
        check(167.41, 167.41, 167.41);
        check(167.414, 167.41, 167.42);
        check(1.0, 1.0, 1.0);
        check(0.12345, 0.1234, 0.1235);
        check(0.99995, 0.9999, 1.0);
        check(0.00001, 0.0, 0.0001);
    }

    proptest! {
        #[test]
        fn rounding_is_on_tick_and_near(nanos in 0_i64..1_000_000_000_000_000) {
            let price = Price::from_nanos(nanos);
            let (down, up) = (price.round_down_to_tick(), price.round_up_to_tick());
            prop_assert!(down.is_on_tick() && up.is_on_tick());
            prop_assert!(down <= price && price <= up);
            prop_assert!(up - down <= price.tick());
        }
    }
}
