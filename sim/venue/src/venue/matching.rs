//! Our orders against the quote. The rules are in the crate's documentation.

use sandpit_types::{Price, Qty, Side};

use super::{Venue, admit::crosses, form::shares_for};
use crate::{
    Amount, EventKind, OrderKind, TimeInForce,
    account::decimal,
    book::{Level, OrderIx, Resting, to_tick, up_to_tick},
};

/// The smallest price there is.
pub(super) const LEAST_PRICE: Price = Price::new(decimal(1, 4));

impl Venue {
    /// A new quote came: both sides take what they can, and immediate orders that waited for it end.
    pub(super) fn on_new_quote(&mut self, symbol: usize) {
        self.match_book(symbol);
        if self.books[symbol].has_immediate && !self.books[symbol].is_halted() {
            self.end_immediate(symbol);
        }
    }

    /// Both sides take what they can, buys first.
    pub(super) fn match_book(&mut self, symbol: usize) {
        self.books[symbol].has_waiting = false;
        self.match_side(symbol, Side::Buy);
        self.match_side(symbol, Side::Sell);
    }

    /// Our orders of one side take what is shown, in their priority.
    pub(super) fn match_side(&mut self, symbol: usize, side: Side) {
        let book = &self.books[symbol];
        if book.is_halted() || book.open(side).is_empty() {
            return;
        }
        let Some(mut level) = self.books[symbol].level(side) else { return };
        let mut place = 0;
        while let Some(&resting) = self.books[symbol].open(side).get(place) {
            if resting.limit.is_some_and(|limit| !crosses(side, limit, level.price)) {
                // The orders behind have no better limit.
                return;
            }
            if self.works(resting.ix) && self.meet(symbol, side, resting, level) {
                let Some(next) = self.books[symbol].level(side) else { return };
                level = next;
            }
            if self.books[symbol].open(side).get(place) == Some(&resting) {
                place += 1;
            }
        }
    }

    /// Whether an open order takes part now: it is at the exchange, its hours are on, nothing is in its way.
    fn works(&self, ix: OrderIx) -> bool {
        let entry = self.entry(ix);
        let order = &entry.order;
        entry.is_routed
            && !entry.is_aside
            && order.state.may_fill()
            && (order.time_in_force == TimeInForce::Cls) == self.in_auction
            && self.may_trade(order.extended_hours)
    }

    /// One order meets the quote, whose price it accepts. Returns whether something filled.
    fn meet(&mut self, symbol: usize, side: Side, resting: Resting, level: Level) -> bool {
        let order = &self.entry(resting.ix).order;
        let amount = order.amount;
        let is_all_or_none = order.time_in_force == TimeInForce::Fok;
        let realism = self.config.realism;
        match amount {
            Amount::Notional(_) => self.meet_whole(symbol, side, resting, level),
            Amount::Qty(_) if !realism.sizes_count => {
                self.meet_unsized(symbol, resting, level, is_all_or_none)
            }
            Amount::Qty(_) if amount.is_fractional() => self.meet_whole(symbol, side, resting, level),
            Amount::Qty(_) if realism.walks_the_book => {
                self.walk(symbol, side, resting, level, is_all_or_none)
            }
            Amount::Qty(_) => self.meet_size(symbol, side, resting, level, is_all_or_none),
        }
    }

    /// What is shown, no more; market orders fill on one tick away.
    fn meet_size(
        &mut self,
        symbol: usize,
        side: Side,
        resting: Resting,
        level: Level,
        is_all_or_none: bool,
    ) -> bool {
        let remaining = self.entry(resting.ix).order.remaining();
        let left = level.left.max(Qty::ZERO);
        let has_limit = resting.limit.is_some();
        if has_limit && (left.is_zero() || (is_all_or_none && remaining > left)) {
            return false;
        }
        let taken = remaining.min(left);
        if taken.is_positive() {
            self.books[symbol].take(side, taken);
            self.fill(resting.ix, taken, level.price);
        }
        if !has_limit && remaining > taken {
            self.fill(resting.ix, remaining - taken, ticks_worse(side, level.price, 1));
        }
        true
    }

    /// The broker fills a fraction or a notional itself, whatever is shown.
    fn meet_whole(&mut self, symbol: usize, side: Side, resting: Resting, level: Level) -> bool {
        let price = self.slipped(side, resting, level.price);
        let entry = self.entry(resting.ix);
        let qty = match entry.order.amount {
            Amount::Qty(_) => entry.order.remaining(),
            Amount::Notional(notional) => {
                let shares = shares_for(notional.get(), price);
                if entry.order.position_intent.opens() {
                    shares
                } else {
                    shares.min(entry.hold.shares + self.ledger.holdings[symbol].available())
                }
            }
        };
        if !qty.is_positive() {
            return false;
        }
        self.fill(resting.ix, qty, price);
        true
    }

    /// As the broker's paper engine has it: whatever the size, sometimes a part.
    fn meet_unsized(&mut self, symbol: usize, resting: Resting, level: Level, is_all_or_none: bool) -> bool {
        let turn = self.books[symbol].turn;
        if self.entry(resting.ix).waits_since == turn {
            self.books[symbol].has_waiting = true;
            return false;
        }
        let remaining = self.entry(resting.ix).order.remaining();
        let most = most_of_a_part(remaining);
        let percent = self.config.realism.partial_percent;
        if most == 0 || is_all_or_none || !self.chance.happens(percent) {
            self.fill(resting.ix, remaining, level.price);
            return true;
        }
        let part = self.chance.between(1, most);
        self.entry_mut(resting.ix).waits_since = turn;
        self.books[symbol].has_waiting = true;
        self.fill(resting.ix, Qty::new(part.into()), level.price);
        true
    }

    /// The price after slippage: of market orders, elected stops and trailing stops, to the tick against the
    /// client, never through the limit that an elected buy stop has.
    pub(super) fn slipped(&mut self, side: Side, resting: Resting, price: Price) -> Price {
        let kind = self.entry(resting.ix).order.kind;
        let (least, most) = (self.config.realism.slippage_min_bp, self.config.realism.slippage_max_bp);
        if most == 0 || matches!(kind, OrderKind::Limit { .. } | OrderKind::StopLimit { .. }) {
            return price;
        }
        let basis_points = self.chance.between(least.into(), most.into());
        let slip = price.get() * rust_decimal::Decimal::new(i64::try_from(basis_points).unwrap_or(0), 4);
        match side {
            Side::Buy => {
                let worse = up_to_tick(Price::new(price.get() + slip));
                // The offer itself may lie between two ticks: never better than it.
                resting.limit.map_or(worse, |limit| worse.min(limit)).max(price)
            }
            Side::Sell => {
                let worse = Price::new(price.get() - slip);
                to_tick(worse, rust_decimal::RoundingStrategy::ToZero).max(LEAST_PRICE).min(price)
            }
        }
    }

    /// Immediate orders that waited for the first quote of their session have had it.
    fn end_immediate(&mut self, symbol: usize) {
        self.books[symbol].has_immediate = false;
        let book = &self.books[symbol];
        let open = book.open(Side::Buy).iter().chain(book.open(Side::Sell));
        let over: Vec<OrderIx> = open
            .map(|resting| resting.ix)
            .filter(|&ix| self.entry(ix).order.time_in_force.is_immediate() && self.works(ix))
            .collect();
        for ix in over {
            self.end(ix, EventKind::Canceled);
        }
    }

    /// The session ends: orders for the close meet what stands, then they end.
    pub(super) fn close_auction(&mut self) {
        let mut symbols: Vec<usize> = self.closing.iter().map(|&ix| self.entry(ix).symbol).collect();
        symbols.sort_unstable();
        symbols.dedup();
        self.in_auction = true;
        for symbol in symbols {
            self.match_book(symbol);
        }
        self.in_auction = false;
        let today = self.next_change;
        let closing = self.closing.iter().copied();
        let over: Vec<OrderIx> =
            closing.filter(|&ix| self.entry(ix).order.expires_at.is_some_and(|at| at <= today)).collect();
        for ix in over {
            self.end(ix, EventKind::Canceled);
        }
    }
}

/// The most shares that a random part may have: whole ones, and not all; none if there is no part.
fn most_of_a_part(remaining: Qty) -> u64 {
    let shares = remaining.get();
    let whole = u64::try_from(shares.trunc()).unwrap_or(0);
    if shares.fract().is_zero() { whole.saturating_sub(1) } else { whole }
}

/// A price so many ticks further from the client.
pub(super) fn ticks_worse(side: Side, price: Price, ticks: u32) -> Price {
    let distance = Price::new(price.tick().get() * rust_decimal::Decimal::from(ticks));
    match side {
        Side::Buy => price + distance,
        Side::Sell => (price - distance).max(LEAST_PRICE),
    }
}
