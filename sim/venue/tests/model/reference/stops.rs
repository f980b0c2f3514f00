//! Stops and trailing stops.

use rust_decimal::{Decimal, RoundingStrategy};
use sandpit_types::Side;
use sandpit_venue::{OrderKind, OrderState, Phase, Trail};

use super::{Model, Order, Work, tick};

impl Model {
    /// The tape goes through a symbol's stops: a trade's price twice, or a bar's high and low. It first
    /// elects, then moves the best prices.
    pub(super) fn follow(&mut self, symbol: usize, high: Decimal, low: Decimal) {
        if self.markets[symbol].halted || self.calendar.phase(self.now) != Phase::Open {
            return;
        }
        let mut waiting = self.open();
        waiting.retain(|&order| self.orders[order].symbol == symbol);
        for &place in &waiting {
            if self.may_elect(place) && self.orders[place].reached(high, low) {
                self.elect(place);
            }
        }
        for place in waiting {
            if self.may_elect(place) {
                self.orders[place].trail(high, low);
            }
        }
    }

    fn elect(&mut self, place: usize) {
        self.begin_stop(place);
        let order = &mut self.orders[place];
        let (work, count) = match (order.kind, order.side) {
            (OrderKind::Stop { stop_price }, Side::Buy) => (Work::Limit(stop_limit(stop_price.get())), 0),
            (OrderKind::Stop { .. }, Side::Sell) => (Work::Market, 0),
            (OrderKind::StopLimit { limit_price, .. }, _) => (Work::Limit(limit_price.get()), 1),
            (OrderKind::TrailingStop { .. }, _) => (Work::Market, 2),
            (OrderKind::Market | OrderKind::Limit { .. }, _) => unreachable!("these have no stop"),
        };
        order.work = work;
        let (symbol, side) = (order.symbol, order.side);
        self.elections[count] += 1;
        self.meet_side(symbol, side);
    }

    /// A trailing stop that begins to work looks at the last price.
    pub(super) fn start_trail(&mut self, place: usize) {
        let order = &self.orders[place];
        if matches!(order.kind, OrderKind::TrailingStop { .. }) {
            let mark = self.mark(order.symbol);
            self.orders[place].high_water = mark;
        }
    }
}

/// What an elected buy stop pays at most: 4 % more below 50 USD, else 2.5 %, rounded up to the tick.
pub(super) fn stop_limit(stop: Decimal) -> Decimal {
    let part = if stop < Decimal::from(50) { Decimal::new(104, 2) } else { Decimal::new(1025, 3) };
    let limit = stop * part;
    let step = tick(limit);
    (limit / step).ceil() * step
}

/// The stop of a trailing stop, to the nearest tick.
pub(super) fn trailing_stop(side: Side, best: Decimal, trail: Trail) -> Decimal {
    let away = match trail {
        Trail::Price(price) => price.get(),
        Trail::Percent(percent) => best * percent / Decimal::ONE_HUNDRED,
    };
    let stop = if side == Side::Buy { best + away } else { best - away };
    let step = tick(stop);
    let ticks = (stop / step).round_dp_with_strategy(0, RoundingStrategy::MidpointAwayFromZero);
    (ticks * step).max(Decimal::new(1, 4))
}

impl Order {
    /// The price at which it is elected.
    pub(crate) fn stop(&self) -> Option<Decimal> {
        match self.kind {
            OrderKind::Stop { stop_price } | OrderKind::StopLimit { stop_price, .. } => {
                Some(stop_price.get())
            }
            OrderKind::TrailingStop { trail } => {
                self.high_water.map(|mark| trailing_stop(self.side, mark, trail))
            }
            OrderKind::Market | OrderKind::Limit { .. } => None,
        }
    }

    fn trail(&mut self, high: Decimal, low: Decimal) {
        if !matches!(self.kind, OrderKind::TrailingStop { .. }) || self.state == OrderState::Held {
            return;
        }
        self.high_water = Some(match (self.side, self.high_water) {
            (Side::Sell, None) => high,
            (Side::Sell, Some(mark)) => mark.max(high),
            (Side::Buy, None) => low,
            (Side::Buy, Some(mark)) => mark.min(low),
        });
    }

    fn reached(&self, high: Decimal, low: Decimal) -> bool {
        self.stop().is_some_and(|stop| match self.side {
            Side::Buy => high >= stop,
            Side::Sell => low <= stop,
        })
    }
}
