//! Cash, holdings and what open orders reserve of them. Exact decimals; every sum is kept by adding and
//! taking off the same numbers, so nothing drifts.

use rust_decimal::Decimal;
use sandpit_types::{Price, Qty, Usd};

use crate::account::decimal;

/// Below this equity there is neither margin nor short selling.
const MARGIN_EQUITY: Decimal = decimal(2000, 0);

/// Decimals to which the cost of a part of a holding is rounded. The rest keeps the difference.
const COST_DECIMALS: u32 = 9;

/// The account's money and shares; holdings are indexed like the venue's symbols.
#[derive(Debug)]
pub(crate) struct Ledger {
    pub(crate) cash: Usd,
    pub(crate) realized: Usd,
    /// What open orders for marginable symbols would cost, and what those for others would.
    held_marginable: Usd,
    held_unmarginable: Usd,
    pub(crate) holdings: Vec<Holding>,
    /// Of which symbols something is held, in their order.
    held: Vec<usize>,
}

/// What is held of one symbol.
#[derive(Clone, Debug, Default)]
pub(crate) struct Holding {
    /// Shares; negative when short.
    pub(crate) qty: Qty,
    /// What was paid; negative when short.
    pub(crate) cost: Usd,
    /// Shares that open orders mean to close, without sign; at most what is held.
    pub(crate) held: Qty,
    /// Whether all of its worth is margin.
    pub(crate) is_unmarginable: bool,
}

/// What an open order reserves.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Hold {
    /// Money, if it opens.
    pub(crate) power: Usd,
    /// Shares, if it closes.
    pub(crate) shares: Qty,
}

impl Hold {
    /// The larger of both, each for itself.
    pub(crate) fn max(self, other: Self) -> Self {
        Self { power: self.power.max(other.power), shares: self.shares.max(other.shares) }
    }
}

impl Holding {
    /// Shares that no open order reserves, without sign.
    pub(crate) fn available(&self) -> Qty {
        self.qty.abs() - self.held
    }
}

/// The worth of everything at some marks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Worth {
    pub(crate) equity: Usd,
    pub(crate) long: Usd,
    /// Negative.
    pub(crate) short: Usd,
    pub(crate) maintenance: Usd,
    /// What cannot be bought on margin, without sign.
    pub(crate) unmarginable: Usd,
}

impl Worth {
    /// Whether the equity is enough for margin and short sales.
    pub(crate) fn has_margin(&self) -> bool {
        self.equity.get() >= MARGIN_EQUITY
    }

    /// What is held, long and short, without sign.
    pub(crate) fn gross(&self) -> Usd {
        self.long - self.short
    }

    /// What the positions bind of a buying power that is so many times the equity.
    pub(crate) fn bound(&self, multiplier: u32) -> Usd {
        let gross = self.gross();
        if self.unmarginable.is_zero() {
            return gross;
        }
        gross + self.unmarginable * Decimal::from(multiplier.saturating_sub(1))
    }

    /// What the positions demand to be opened: half of their worth, all of what is not marginable.
    pub(crate) fn initial_margin(&self) -> Usd {
        (self.gross() + self.unmarginable) * decimal(5, 1)
    }

    /// Buying power of so many times the equity, before open orders.
    pub(crate) fn power(&self, multiplier: u32) -> Usd {
        (self.equity * Decimal::from(multiplier) - self.bound(multiplier)).max(Usd::ZERO)
    }
}

impl Ledger {
    /// A ledger with one holding for each symbol; the flag says which are not marginable.
    pub(crate) fn new(cash: Usd, unmarginable: impl Iterator<Item = bool>) -> Self {
        let holdings =
            unmarginable.map(|is_unmarginable| Holding { is_unmarginable, ..Holding::default() }).collect();
        Self {
            cash,
            realized: Usd::ZERO,
            held_marginable: Usd::ZERO,
            held_unmarginable: Usd::ZERO,
            holdings,
            held: Vec::new(),
        }
    }

    /// One symbol more.
    pub(crate) fn list(&mut self, is_unmarginable: bool) {
        self.holdings.push(Holding { is_unmarginable, ..Holding::default() });
    }

    /// Books an execution. `qty` has a sign and does not flip the holding; returns the shares held after it.
    pub(crate) fn execute(&mut self, symbol: usize, qty: Qty, price: Price) -> Qty {
        let holding = &mut self.holdings[symbol];
        let amount = price * qty;
        self.cash -= amount;
        let closes = !holding.qty.is_zero() && holding.qty.is_positive() != qty.is_positive();
        if closes {
            let part = holding.part_of_cost(qty.abs());
            holding.cost -= part;
            self.realized += -amount - part;
        } else {
            holding.cost += amount;
        }
        let was_flat = holding.qty.is_zero();
        holding.qty += qty;
        let after = holding.qty;
        if was_flat != after.is_zero() {
            self.note_held(symbol, was_flat);
        }
        after
    }

    fn note_held(&mut self, symbol: usize, is_held: bool) {
        let place = self.held.partition_point(|&other| other < symbol);
        if is_held {
            self.held.insert(place, symbol);
        } else {
            self.held.remove(place);
        }
    }

    /// The symbols of which something is held, in their order.
    pub(crate) fn held(&self) -> impl Iterator<Item = usize> {
        self.held.iter().copied()
    }

    /// Something leaves the cash that is no execution.
    pub(crate) fn pay(&mut self, amount: Usd) {
        self.cash -= amount;
    }

    /// What an order reserves of a symbol changes.
    pub(crate) fn rehold(&mut self, symbol: usize, old: Hold, new: Hold) {
        let holding = &mut self.holdings[symbol];
        holding.held += new.shares - old.shares;
        let held =
            if holding.is_unmarginable { &mut self.held_unmarginable } else { &mut self.held_marginable };
        *held += new.power - old.power;
    }

    /// What open orders hold of a buying power that is so many times the equity: what is not marginable holds
    /// as many times its worth.
    pub(crate) fn held_of(&self, times: u32) -> Usd {
        self.held_marginable + self.held_unmarginable * Decimal::from(times)
    }

    /// What [`Worth`] has as equity, and nothing else of it.
    pub(crate) fn equity(&self, mark: impl Fn(usize, &Holding) -> Price) -> Usd {
        let (mut long, mut short) = (Usd::ZERO, Usd::ZERO);
        for (symbol, holding) in self.held().map(|symbol| (symbol, &self.holdings[symbol])) {
            let value = mark(symbol, holding) * holding.qty;
            *(if holding.qty.is_positive() { &mut long } else { &mut short }) += value;
        }
        self.cash + long + short
    }

    /// The worth of everything; `mark` prices a holding by its index.
    pub(crate) fn worth(&self, mark: impl Fn(usize, &Holding) -> Price) -> Worth {
        let mut worth = Worth::default();
        for (symbol, holding) in self.held().map(|symbol| (symbol, &self.holdings[symbol])) {
            let price = mark(symbol, holding);
            let value = price * holding.qty;
            if holding.qty.is_positive() {
                worth.long += value;
            } else {
                worth.short += value;
            }
            if holding.is_unmarginable {
                worth.unmarginable += value.abs();
                worth.maintenance += value.abs();
            } else {
                worth.maintenance += maintenance(price, holding.qty, value);
            }
        }
        worth.equity = self.cash + worth.long + worth.short;
        worth
    }
}

impl Holding {
    /// What `qty` of the shares cost; all of it for all of them, so that nothing is left behind.
    fn part_of_cost(&self, qty: Qty) -> Usd {
        if qty == self.qty.abs() {
            return self.cost;
        }
        let whole = self.qty.abs().get();
        let part = self.cost.get() / whole * qty.get();
        Usd::new(part.round_dp(COST_DECIMALS))
    }
}

/// What a holding demands to be kept. Long: 30 %, all of it below 2.50 USD a share. Short: 30 % and at least
/// 5 USD a share; below 5 USD a share all of it and at least 2.50 USD.
fn maintenance(price: Price, qty: Qty, value: Usd) -> Usd {
    let (rate, floor) = match (qty.is_positive(), price.get()) {
        (true, price) if price >= decimal(25, 1) => (decimal(3, 1), Decimal::ZERO),
        (true, _) => (Decimal::ONE, Decimal::ZERO),
        (false, price) if price >= decimal(5, 0) => (decimal(3, 1), decimal(5, 0)),
        (false, _) => (Decimal::ONE, decimal(25, 1)),
    };
    (value.abs() * rate).max(Price::new(floor) * qty.abs())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn qty(text: &str) -> Qty {
        text.parse().expect(text)
    }

    fn price(text: &str) -> Price {
        text.parse().expect(text)
    }

    #[test]
    fn executions_move_cash_cost_and_profit() {
        // Shares and price of each execution; cash, cost and profit after all of them.
        let check = |script: &[(&str, &str)], cash: &str, cost: &str, realized: &str| {
            let mut ledger = Ledger::new(Usd::new(decimal(1000, 0)), [false].into_iter());
            for (shares, at) in script {
                ledger.execute(0, qty(shares), price(at));
            }
            let got = (ledger.cash.to_string(), ledger.holdings[0].cost.to_string());
            assert_eq!(got, (cash.to_owned(), cost.to_owned()), "{script:?}");
            assert_eq!(ledger.realized.to_string(), realized, "{script:?}");
        };
        check(&[("10", "5")], "950", "50", "0");
        check(&[("10", "5"), ("10", "7")], "880", "120", "0");
        check(&[("10", "5"), ("10", "7"), ("-5", "8")], "920", "90", "10");
        check(&[("10", "5"), ("-10", "4")], "990", "0", "-10");
        check(&[("-10", "5")], "1050", "-50", "0");
        check(&[("-10", "5"), ("4", "3")], "1038", "-30", "8");
        check(&[("-10", "5"), ("10", "6")], "990", "0", "-10");
        check(&[("3", "1"), ("-1", "1"), ("-1", "1"), ("-1", "1")], "1000", "0", "0");
    }

    #[test]
    fn margin_and_maintenance() {
        let check = |cash: &str, shares: &str, at: &str, power: &str, maintenance: &str| {
            let mut ledger = Ledger::new(cash.parse().expect(cash), [false].into_iter());
            ledger.execute(0, qty(shares), price(at));
            let worth = ledger.worth(|_, _| price(at));
            let multiplier = if worth.has_margin() { 2 } else { 1 };
            let got = (worth.power(multiplier).to_string(), worth.maintenance.to_string());
            assert_eq!(got, (power.to_owned(), maintenance.to_owned()), "{cash} {shares} at {at}");
        };
        check("100000", "0", "1", "200000", "0");
        check("100000", "1000", "100", "100000", "30000");
        check("100000", "-1000", "100", "100000", "30000");
        check("100000", "2000", "100", "0", "60000");
        check("1999", "0", "1", "1999", "0");
        check("1999", "10", "100", "999", "300");
        check("100000", "100", "2", "199800", "200");
        check("100000", "-100", "10", "199000", "500");
        check("100000", "-100", "2", "199800", "250");
    }
}
