//! Stops are elected, trailing stops follow the market.

use sandpit_types::{Price, Side};

use super::{
    Venue,
    power::{limit_of_elected_buy, stop_of},
};
use crate::{OrderKind, Phase, book::OrderIx};

impl Venue {
    /// Prices between `low` and `high` were traded: stops that they reach are elected and matched, one after
    /// the other, and trailing stops follow.
    pub(super) fn on_prices(&mut self, symbol: usize, low: Price, high: Price) {
        if self.phase != Phase::Open || self.books[symbol].is_halted() {
            return;
        }
        let is_reached = |venue: &Self, ix: OrderIx, side: Side| {
            venue.entry(ix).order.stop_price.is_some_and(|stop| match side {
                Side::Buy => high >= stop,
                Side::Sell => low <= stop,
            })
        };
        let is_moved = |&(ix, side): &(OrderIx, Side)| {
            is_reached(self, ix, side) || matches!(self.entry(ix).order.kind, OrderKind::TrailingStop { .. })
        };
        let moved: Vec<_> = self.books[symbol].stops().iter().copied().filter(is_moved).collect();
        for (ix, side) in moved {
            // An election before this one may have ended it.
            if !self.is_watched(ix) {
                continue;
            }
            if is_reached(self, ix, side) {
                self.elect(ix);
                self.match_side(symbol, side);
            } else {
                self.follow(ix, low, high);
            }
        }
    }

    /// Whether a stop can be elected now: it works, or it is held beside a take-profit.
    fn is_watched(&self, ix: OrderIx) -> bool {
        let entry = self.entry(ix);
        let works = entry.is_routed && !entry.is_aside && entry.order.state.may_fill();
        !entry.is_elected && (works || self.is_held(ix))
    }

    fn elect(&mut self, ix: OrderIx) {
        if self.entry(ix).is_dormant {
            self.fire_stop_loss(ix);
        }
        self.unlist(ix);
        let entry = &mut self.entries[ix as usize];
        entry.is_elected = true;
        entry.limit = match (entry.order.kind, entry.order.side) {
            (OrderKind::StopLimit { limit_price, .. }, _) => Some(limit_price),
            (OrderKind::Stop { stop_price }, Side::Buy) => Some(limit_of_elected_buy(stop_price)),
            (OrderKind::Stop { .. }, Side::Sell) | (OrderKind::TrailingStop { .. }, _) => None,
            (OrderKind::Market | OrderKind::Limit { .. }, _) => unreachable!("not among the stops"),
        };
        self.list(ix);
    }

    /// A trailing stop follows the best price.
    fn follow(&mut self, ix: OrderIx, low: Price, high: Price) {
        let order = &mut self.entry_mut(ix).order;
        let OrderKind::TrailingStop { trail } = order.kind else { return };
        let best = match order.side {
            Side::Sell => order.hwm.map_or(high, |best| best.max(high)),
            Side::Buy => order.hwm.map_or(low, |best| best.min(low)),
        };
        order.hwm = Some(best);
        order.stop_price = Some(stop_of(order.side, best, trail));
    }
}
