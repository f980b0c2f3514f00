//! What of each position is from before the last close, and what was opened since: the broker counts the
//! profit of the day apart.

use std::collections::BTreeMap;

use sandpit_types::{MarketTime, Price, Qty, Side, Symbol, Usd};

/// What happened to a position since the last close.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Day {
    /// The close that ends it.
    until: MarketTime,
    /// Shares still held that were held at the close before, without sign.
    overnight: Qty,
    /// Shares still held that were opened since, without sign.
    opened: Qty,
    /// What those cost, without sign.
    cost: Usd,
}

/// One entry a symbol that was ever traded.
#[derive(Debug, Default)]
pub(crate) struct Today(BTreeMap<Symbol, Day>);

/// An execution.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Execution {
    pub(crate) side: Side,
    pub(crate) qty: Qty,
    pub(crate) price: Price,
    /// Shares held after it, with sign.
    pub(crate) position: Qty,
}

/// A position as it stands.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Standing {
    /// With sign.
    pub(crate) qty: Qty,
    pub(crate) price: Price,
    /// The price at the last close; without one, what was paid on average.
    pub(crate) before: Price,
}

impl Today {
    /// An execution happened; `until` is the next close. What was held overnight is sold first.
    pub(crate) fn on_fill(&mut self, symbol: &Symbol, fill: Execution, until: MarketTime) {
        let change = match fill.side {
            Side::Buy => fill.qty,
            Side::Sell => -fill.qty,
        };
        let before = fill.position - change;
        let fresh = Day { until, overnight: before.abs(), opened: Qty::ZERO, cost: Usd::ZERO };
        let day = self.0.entry(symbol.clone()).or_insert(fresh);
        if day.until != until {
            *day = fresh;
        }
        if fill.position.abs() > before.abs() {
            day.opened += fill.qty;
            day.cost += fill.price * fill.qty;
            return;
        }
        let overnight = fill.qty.min(day.overnight);
        day.overnight = day.overnight - overnight;
        let opened = (fill.qty - overnight).min(day.opened);
        let part = day.cost.get().checked_div(day.opened.get()).unwrap_or_default();
        day.opened = day.opened - opened;
        day.cost = if day.opened.is_zero() { Usd::ZERO } else { day.cost - Price::new(part) * opened };
    }

    /// Profit of the day on what is held, and what it is counted against; `until` is the next close.
    pub(crate) fn profit(&self, symbol: &Symbol, standing: Standing, until: MarketTime) -> (Usd, Usd) {
        let held = standing.qty.abs();
        let against = match self.0.get(symbol).filter(|day| day.until == until) {
            Some(day) => standing.before * (held - day.opened) + day.cost,
            None => standing.before * held,
        };
        let gain = standing.price * held - against;
        (if standing.qty.is_positive() { gain } else { -gain }, against)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn overnight_shares_count_from_the_close_and_new_ones_from_what_they_cost() {
        // Executions (shares with sign, price), each with the number of its day; then the profit at a price
        // when the close before was at 10, on day 2.
        let check = |script: &[(i64, &str, &str)], price: &str, profit: &str, against: &str| {
            let (mut today, mut position, symbol) = (Today::default(), Qty::ZERO, Symbol::new("SPY"));
            for (day, shares, at) in script {
                let shares: Qty = shares.parse().expect("shares");
                position += shares;
                let side = if shares.is_positive() { Side::Buy } else { Side::Sell };
                let fill =
                    Execution { side, qty: shares.abs(), price: at.parse().expect("a price"), position };
                today.on_fill(&symbol, fill, MarketTime::from_secs(*day));
            }
            let price = price.parse().expect("a price");
            let standing = Standing { qty: position, price, before: Price::new(10.into()) };
            let (got, base) = today.profit(&symbol, standing, MarketTime::from_secs(2));
            assert_eq!((got.to_string(), base.to_string()), (profit.into(), against.into()), "{script:?}");
        };
        check(&[(1, "5", "8")], "11", "5", "50");
        check(&[(2, "5", "8")], "11", "15", "40");
        check(&[(1, "5", "8"), (2, "5", "12")], "11", "0", "110");
        check(&[(1, "5", "8"), (2, "5", "12"), (2, "-5", "12")], "11", "-5", "60");
        check(&[(1, "5", "8"), (2, "4", "12"), (2, "-7", "12")], "11", "-2", "24");
        check(&[(1, "-5", "8"), (2, "-5", "12")], "11", "0", "110");
        check(&[(1, "-5", "8")], "11", "-5", "50");
        check(&[(2, "3", "8"), (2, "-3", "9"), (2, "-2", "9")], "8", "2", "18");
        check(&[(0, "5", "8"), (1, "-2", "8"), (1, "2", "9")], "11", "5", "50");
    }
}
