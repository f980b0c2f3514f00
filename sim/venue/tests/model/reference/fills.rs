//! Market data, and the fills it makes.

use rust_decimal::Decimal;
use sandpit_types::{MarketTime, Side};
use sandpit_venue::{EventKind, OrderState, Phase, TimeInForce};

use super::{Event, Level, Market, Model, Work, cut, tick};

impl Model {
    /// A new best bid and offer: `bid` and `ask` are price and size.
    pub(crate) fn quote(&mut self, symbol: usize, bid: (Decimal, u64), ask: (Decimal, u64), at: MarketTime) {
        self.advance(at);
        let market = &self.markets[symbol];
        if market.quote.is_some_and(|(time, ..)| at < time) && !market.made {
            return;
        }
        self.show(symbol, bid, ask, at, false);
        self.meet(symbol);
    }

    fn show(&mut self, symbol: usize, bid: (Decimal, u64), ask: (Decimal, u64), at: MarketTime, made: bool) {
        let level = |(price, size): (Decimal, u64)| {
            (!price.is_zero()).then(|| Level { price, size: Decimal::from(size) })
        };
        let market = &mut self.markets[symbol];
        market.quote = Some((at, bid.0, ask.0));
        market.made = made;
        (market.bid, market.ask) = (level(bid), level(ask));
    }

    /// A trade on the tape.
    pub(crate) fn trade(&mut self, symbol: usize, price: Decimal, at: MarketTime) {
        self.advance(at);
        let market = &mut self.markets[symbol];
        let late = market.seen.is_some_and(|newest| at < newest);
        market.see(price, at);
        market.traded = true;
        if late {
            return;
        }
        let beyond = |level: Option<Level>, way: Decimal| {
            level.is_some_and(|level| (price - level.price) * way > Decimal::ZERO)
        };
        let outside = !market.made && (beyond(market.ask, Decimal::ONE) || beyond(market.bid, -Decimal::ONE));
        if !outside {
            self.follow(symbol, price, price);
        }
    }

    /// A minute of trading that ends at `at`.
    pub(crate) fn bar(
        &mut self,
        symbol: usize,
        bar: (Decimal, Decimal, Decimal),
        volume: u64,
        at: MarketTime,
    ) {
        let (high, low, close) = bar;
        // The last minute of a phase belongs to it.
        self.advance(MarketTime::from_nanos(at.as_nanos() - 1));
        if self.calendar.next_change(self.now) != at {
            self.advance(at);
        }
        let market = &mut self.markets[symbol];
        market.see(close, at);
        let unquoted = market.quote.is_none() || market.made;
        if unquoted {
            let size = (volume / 10).max(100);
            self.show(symbol, (close, size), (close + tick(close), size), at, true);
        }
        let began = MarketTime::from_nanos(at.as_nanos() - 60_000_000_000);
        if !self.markets[symbol].traded && self.calendar.is_open(began) {
            self.follow(symbol, high, low);
        }
        if unquoted {
            self.meet(symbol);
        }
    }

    /// All working orders of a symbol meet what is shown: market orders first, then the better price, then
    /// the earlier one; buys before sells. What may be tried only once ends then.
    pub(crate) fn meet(&mut self, symbol: usize) {
        self.meet_side(symbol, Side::Buy);
        self.meet_side(symbol, Side::Sell);
        let queue = self.queue(symbol, |order| order.time_in_force != TimeInForce::Cls);
        let mut tried = queue;
        tried.retain(|&place| self.works(place));
        for place in tried {
            self.end_if_tried(place);
        }
    }

    /// One side of the above.
    pub(super) fn meet_side(&mut self, symbol: usize, side: Side) {
        let wanted = |order: &super::Order| order.side == side && order.time_in_force != TimeInForce::Cls;
        for place in self.queue(symbol, wanted) {
            if self.works(place) {
                self.take(place);
            }
        }
    }

    /// Some orders of a symbol that want to be filled, in the order of the right to it.
    pub(super) fn queue(&self, symbol: usize, wanted: impl Fn(&super::Order) -> bool) -> Vec<usize> {
        let mut queue = self.open();
        queue.retain(|&place| {
            let order = &self.orders[place];
            order.symbol == symbol && order.work != Work::Waits && wanted(order)
        });
        queue.sort_by_key(|&place| {
            let order = &self.orders[place];
            let rank = match order.work {
                Work::Limit(price) => (1, -price * order.sign()),
                Work::Market | Work::Waits => (0, Decimal::ZERO),
            };
            (order.side == Side::Sell, rank, place)
        });
        queue
    }

    /// Whether an order may fill now.
    pub(crate) fn works(&self, place: usize) -> bool {
        self.works_in(place, self.calendar.phase(self.now))
    }

    pub(super) fn works_in(&self, place: usize, phase: Phase) -> bool {
        let order = &self.orders[place];
        self.is_at_exchange(place)
            && !self.markets[order.symbol].halted
            && match phase {
                Phase::Open => true,
                Phase::Pre | Phase::Post => order.extended,
                Phase::Closed => false,
            }
    }

    /// Whether an order is where fills are made.
    pub(super) fn is_at_exchange(&self, place: usize) -> bool {
        let order = &self.orders[place];
        let state = matches!(
            order.state,
            OrderState::New
                | OrderState::PartiallyFilled
                | OrderState::PendingCancel
                | OrderState::PendingReplace
                | OrderState::Stopped
        );
        state && order.routed
    }

    /// One order meets what is shown.
    pub(crate) fn attempt(&mut self, place: usize) {
        let order = &self.orders[place];
        if order.work == Work::Waits || order.time_in_force == TimeInForce::Cls {
            return;
        }
        if self.works(place) {
            self.take(place);
        }
        self.end_if_tried(place);
    }

    /// What may be tried only once is over.
    fn end_if_tried(&mut self, place: usize) {
        let order = &self.orders[place];
        let once = matches!(order.time_in_force, TimeInForce::Ioc | TimeInForce::Fok | TimeInForce::Opg);
        if once && self.is_at_exchange(place) {
            self.end(place, OrderState::Canceled, EventKind::Canceled);
        }
    }

    /// Takes from the level what the order may have.
    pub(crate) fn take(&mut self, place: usize) {
        let order = self.orders[place].clone();
        let market = &self.markets[order.symbol];
        let Some(level) = (match order.side {
            Side::Buy => market.ask,
            Side::Sell => market.bid,
        }) else {
            return;
        };
        if let Work::Limit(limit) = order.work
            && (level.price - limit) * order.sign() > Decimal::ZERO
        {
            return;
        }
        if order.is_fractional() {
            let qty = match order.notional {
                Some(notional) if order.opens => cut(notional / level.price),
                Some(notional) => {
                    let free = self.markets[order.symbol].held.abs() - self.reserved(order.symbol);
                    cut(notional / level.price).min(order.reserve + free)
                }
                None => order.left(),
            };
            self.fill(place, qty, level.price, true);
            return;
        }
        let market_order = order.work == Work::Market;
        if order.time_in_force == TimeInForce::Fok && !market_order && level.size < order.left() {
            return;
        }
        let shown = level.size.min(order.left());
        if shown > Decimal::ZERO {
            let market = &mut self.markets[order.symbol];
            let size = level.size - shown;
            match order.side {
                Side::Buy => market.ask = Some(Level { size, ..level }),
                Side::Sell => market.bid = Some(Level { size, ..level }),
            }
            self.fill(place, shown, level.price, shown == order.left());
        }
        if market_order && shown < order.left() {
            let step = tick(level.price);
            let worse = (level.price + step * order.sign()).max(Decimal::new(1, 4));
            self.fill(place, order.left() - shown, worse, true);
        }
    }

    /// Shares change hands.
    fn fill(&mut self, place: usize, qty: Decimal, price: Decimal, last: bool) {
        let order = &mut self.orders[place];
        order.filled += qty;
        order.filled_cost += qty * price;
        let signed = qty * order.sign();
        let symbol = order.symbol;
        order.state = match order.state {
            _ if last => OrderState::Filled,
            OrderState::PendingCancel => OrderState::PendingCancel,
            _ => OrderState::PartiallyFilled,
        };
        let state = order.state;
        self.book(symbol, signed, price);
        let kind = if last { EventKind::Fill } else { EventKind::PartialFill };
        let execution = Some((qty, price, self.markets[symbol].held));
        self.events.push(Event { kind, order: place, execution, state });
        if last { self.after_fill(place) } else { self.after_part(place) }
    }

    /// Cash and position after an execution.
    fn book(&mut self, symbol: usize, signed: Decimal, price: Decimal) {
        self.cash -= signed * price;
        let today = self.fill_date();
        let market = &mut self.markets[symbol];
        if market.held.is_zero() || (market.held > Decimal::ZERO) == (signed > Decimal::ZERO) {
            market.held += signed;
            market.cost += signed * price;
            market.opened = Some(today);
            return;
        }
        assert!(
            signed.abs() <= market.held.abs(),
            "the model let an order flip a position {signed} {}",
            market.held
        );
        if market.opened == Some(today) {
            market.opened = None;
            self.day_trades.push(today);
            self.pattern |= self.day_trades() >= 4;
        }
        let market = &mut self.markets[symbol];
        // The part of the cost that goes with the shares; all of it with the last ones.
        let gone = if signed.abs() == market.held.abs() {
            market.cost
        } else {
            market.cost * signed.abs() / market.held.abs()
        };
        market.held += signed;
        market.cost -= gone;
        self.realized += -signed * price - gone;
    }
}

impl Market {
    /// The last price, unless a newer one is known.
    fn see(&mut self, price: Decimal, at: MarketTime) {
        if self.seen.is_none_or(|newest| at >= newest) {
            (self.last, self.seen) = (Some(price), Some(at));
        }
    }
}
