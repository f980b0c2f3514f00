//! What a symbol has earned or lost in a session.

use sandpit_sdk::{Fill, Price, Qty, Time, Usd};
use serde::{Deserialize, Serialize};

/// A session's profit and loss of one symbol, marked to the market. It has to outlive a restart.
///
/// Shares are counted by the fills, as the cash is: the position may know of a fill before the strategy has
/// heard of it, and the price of a share would look like a loss.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Ledger {
    /// When the session opened that it is about, nanoseconds since 1970, UTC.
    opened_nanos: i64,
    /// What fills brought and cost, units of 10^-9 USD.
    cash_nanos: i64,
    /// What fills left of shares, units of 10^-9.
    share_nanos: i64,
    /// Cash and inventory at the first price of the session.
    start_nanos: Option<i64>,
    /// Whether the loss was too large: over for this session.
    pub(crate) is_stopped: bool,
}

impl Ledger {
    /// A session opens: all at zero, unless it is the one that is known already.
    pub(crate) fn open(&mut self, at: Time) {
        if self.opened_nanos != at.nanos() {
            *self = Self { opened_nanos: at.nanos(), ..Self::default() };
        }
    }

    pub(crate) fn on_fill(&mut self, fill: &Fill) {
        let paid = fill.price * fill.side.signed(fill.quantity);
        self.cash_nanos = self.cash_nanos.saturating_sub(paid.nanos());
        let traded = fill.side.signed(fill.quantity);
        self.share_nanos = self.share_nanos.saturating_add(traded.nanos());
    }

    /// The profit since the session's first price, with the inventory at this price. What is held counts at
    /// that first price; from then on fills tell.
    pub(crate) fn profit(&mut self, held: Qty, mid: Price) -> Usd {
        if self.start_nanos.is_none() {
            self.share_nanos = held.nanos();
        }
        let worth = self.cash_nanos.saturating_add((mid * Qty::from_nanos(self.share_nanos)).nanos());
        let start = *self.start_nanos.get_or_insert(worth);
        Usd::from_nanos(worth.saturating_sub(start))
    }
}

#[cfg(test)]
mod tests {
    use sandpit_sdk::{Instrument, OrderId, Side};

    use super::*;

    #[test]
    fn profit_is_cash_and_inventory() {
        let price = |usd: i64| Price::from_nanos(usd * 1_000_000_000);
        let fill = |side, shares, at| {
            let (id, instrument, quantity) = (OrderId(1), Instrument(0), Qty::shares(shares));
            Fill { id, leg: None, instrument, side, quantity, price: price(at) }
        };
        let mut ledger = Ledger::default();
        ledger.open(Time::from_secs(1));
        // What was held before is no profit of this session, but its moves are.
        assert_eq!(ledger.profit(Qty::shares(10), price(100)), Usd::ZERO);
        assert_eq!(ledger.profit(Qty::shares(10), price(101)), Usd::dollars(10));
        // The position knows of a sale that is not heard yet.
        assert_eq!(ledger.profit(Qty::shares(3), price(101)), Usd::dollars(10));
        ledger.on_fill(&fill(Side::Buy, 5, 101));
        ledger.on_fill(&fill(Side::Sell, 15, 102));
        assert_eq!(ledger.profit(Qty::ZERO, price(500)), Usd::dollars(25));
        let before = ledger;
        ledger.open(Time::from_secs(1));
        assert_eq!(ledger, before, "the same session, told again");
        ledger.open(Time::from_secs(2));
        assert_eq!(ledger.profit(Qty::shares(10), price(100)), Usd::ZERO);
    }
}
