//! What one strategy holds of one symbol, at average cost.

use sandpit_types::{Price, Qty, Side, Usd};
use serde::{Deserialize, Serialize};

/// Position and money of one strategy in one symbol, from its own fills. Fees are not in it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SubBook {
    /// Shares; negative when short.
    pub qty: Qty,
    /// What the shares held have cost, with the position's sign.
    pub cost: Usd,
    /// Money received less money paid since the first fill.
    pub cash: Usd,
}

impl SubBook {
    /// Average price of the shares held; zero when flat.
    pub fn avg_price(&self) -> Price {
        self.cost.get().checked_div(self.qty.get()).map_or(Price::ZERO, |price| Price::new(price.normalize()))
    }

    /// Profit and loss of what was closed.
    pub fn realised(&self) -> Usd {
        self.cash + self.cost
    }

    /// Profit and loss, closed and open, with the shares held valued at `price`.
    pub fn profit(&self, price: Price) -> Usd {
        self.cash + price * self.qty
    }

    /// As an operator sets it: so many shares that have cost so much. Nothing is won or lost by it.
    #[must_use]
    pub fn corrected(&self, qty: Qty, cost: Usd) -> Self {
        Self { qty, cost, cash: self.realised() - cost }
    }

    /// Counts one fill of `qty` shares, above zero.
    pub fn apply(&mut self, side: Side, qty: Qty, price: Price) {
        let signed = side.signed(qty);
        let after = self.qty + signed;
        self.cash -= price * signed;
        let adds = self.qty.is_zero() || self.qty.is_positive() == signed.is_positive();
        self.cost = if adds {
            self.cost + price * signed
        } else if after.is_zero() {
            Usd::ZERO
        } else if after.is_positive() == self.qty.is_positive() {
            let closed = qty.get().checked_div(self.qty.abs().get()).unwrap_or_default();
            self.cost - self.cost * closed
        } else {
            price * after
        };
        self.qty = after;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_correction_wins_and_loses_nothing() {
        let mut book = SubBook::default();
        book.apply(Side::Buy, "10".parse().expect("qty"), "100".parse().expect("price"));
        book.apply(Side::Sell, "4".parse().expect("qty"), "110".parse().expect("price"));
        let split = book.corrected("12".parse().expect("qty"), book.cost);
        assert_eq!((split.avg_price().to_string(), split.realised().to_string()), ("50".into(), "40".into()));
        let gone = book.corrected(Qty::ZERO, Usd::ZERO);
        assert_eq!((gone.avg_price(), gone.realised().to_string()), (Price::ZERO, "40".into()));
    }

    #[test]
    fn closes_at_average_cost_and_turns_over() {
        let check = |fills: &[(Side, &str, &str)], qty: &str, average: &str, realised: &str| {
            let mut book = SubBook::default();
            for (side, qty, price) in fills {
                book.apply(*side, qty.parse().expect("qty"), price.parse().expect("price"));
            }
            let shown = (book.qty.to_string(), book.avg_price().to_string(), book.realised().to_string());
            assert_eq!(shown, (qty.to_owned(), average.to_owned(), realised.to_owned()), "{fills:?}");
        };
        use Side::{Buy, Sell};
        check(&[], "0", "0", "0");
        check(&[(Buy, "10", "100"), (Buy, "10", "110")], "20", "105", "0");
        check(&[(Buy, "10", "100"), (Sell, "4", "110")], "6", "100", "40");
        check(&[(Buy, "10", "100"), (Sell, "10", "99.5")], "0", "0", "-5");
        check(&[(Buy, "10", "100"), (Sell, "15", "110")], "-5", "110", "100");
        check(&[(Sell, "5", "110"), (Buy, "5", "100")], "0", "0", "50");
        check(&[(Sell, "5", "110"), (Sell, "5", "120"), (Buy, "4", "100")], "-6", "115", "60");
    }
}
