//! Our orders against the quote. The rules are in the crate's documentation.

use sandpit_types::{Price, Qty, Side};

use super::{Venue, admit::crosses};
use crate::{
    EventKind, TimeInForce,
    account::decimal,
    book::{Book, OrderIx},
};

/// The smallest price there is.
const LEAST_PRICE: Price = Price::new(decimal(1, 4));

impl Venue {
    /// A new quote came: both sides take what they can, and immediate orders that waited for it end.
    pub(super) fn match_book(&mut self, symbol: usize) {
        self.match_side(symbol, Side::Buy);
        self.match_side(symbol, Side::Sell);
        if self.books[symbol].has_immediate {
            self.end_immediate(symbol);
        }
    }

    /// Our orders of one side take what is shown, in their priority.
    pub(super) fn match_side(&mut self, symbol: usize, side: Side) {
        let Some(shown) = self.books[symbol].level(side) else { return };
        let mut place = 0;
        while let Some(&resting) = self.books[symbol].open(side).get(place) {
            let left = shown_left(&self.books[symbol], side);
            let order = &self.entry(resting.ix).order;
            let remaining = order.remaining();
            if let Some(limit) = resting.limit
                && (!crosses(side, limit, shown.price) || left.is_zero())
            {
                // The orders behind have no better limit.
                return;
            }
            let is_all_or_none = resting.limit.is_some() && order.time_in_force == TimeInForce::Fok;
            if !self.works(resting.ix) || (is_all_or_none && remaining > left) {
                place += 1;
                continue;
            }
            let taken = remaining.min(left);
            if taken.is_positive() {
                self.books[symbol].take(side, taken);
                self.fill(resting.ix, taken, shown.price);
            }
            if resting.limit.is_none() && remaining > taken {
                self.fill(resting.ix, remaining - taken, one_tick_worse(side, shown.price));
            }
        }
    }

    /// Whether an open order takes part now: not queued, and its hours are on.
    fn works(&self, ix: OrderIx) -> bool {
        !self.queued.contains(&ix) && self.may_trade(self.entry(ix).order.extended_hours)
    }

    /// Immediate orders that waited for the first quote of their session have had it.
    fn end_immediate(&mut self, symbol: usize) {
        self.books[symbol].has_immediate = false;
        let book = &self.books[symbol];
        let open = book.open(Side::Buy).iter().chain(book.open(Side::Sell));
        let over: Vec<OrderIx> = open
            .map(|resting| resting.ix)
            .filter(|&ix| {
                let time_in_force = self.entry(ix).order.time_in_force;
                matches!(time_in_force, TimeInForce::Ioc | TimeInForce::Fok) && self.works(ix)
            })
            .collect();
        for ix in over {
            self.end(ix, EventKind::Canceled);
        }
    }
}

fn shown_left(book: &Book, side: Side) -> Qty {
    book.level(side).map_or(Qty::ZERO, |level| level.left)
}

fn one_tick_worse(side: Side, price: Price) -> Price {
    match side {
        Side::Buy => price + price.tick(),
        Side::Sell => (price - price.tick()).max(LEAST_PRICE),
    }
}
