//! The broker of the harness: takes orders, matches them, keeps legs together.

use super::{Desk, rules};
use crate::{
    Amount, Event, Fill, Instrument, Leg, OpenOrder, OrderClass, OrderId, OrderKind, OrderStatus,
    OrderUpdate, Percent, Price, Qty, Refusal, Replace, Side, Submit, TimeInForce, Trail,
};

/// An order, or a leg of one.
pub(super) type Key = (OrderId, Option<Leg>);

/// An order at the broker.
pub(super) struct Order {
    id: OrderId,
    leg: Option<Leg>,
    /// What an order, its replacements and its legs have in common: the first id.
    group: OrderId,
    instrument: Instrument,
    side: Side,
    quantity: Qty,
    filled: Qty,
    kind: OrderKind,
    class: OrderClass,
    pub(super) time_in_force: TimeInForce,
    state: State,
    /// Whether its stop was reached.
    is_awake: bool,
    /// The best price that a trailing stop has seen.
    best: Option<Price>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Working,
    /// Waits for its entry.
    Held,
    /// Told as held, but its stop is watched.
    Watched,
}

impl Order {
    fn new(submit: &Submit, quantity: Qty) -> Self {
        Self {
            id: submit.id,
            leg: None,
            group: submit.id,
            instrument: submit.instrument,
            side: submit.side,
            quantity,
            filled: Qty::ZERO,
            kind: submit.kind,
            class: submit.class,
            time_in_force: submit.time_in_force,
            state: State::Working,
            is_awake: false,
            best: None,
        }
    }

    /// The order's legs, before it has filled.
    fn legs(&self) -> impl Iterator<Item = Self> {
        let state = if matches!(self.class, OrderClass::Oco(_)) { State::Watched } else { State::Held };
        let side = self.class.side_of_legs(self.side);
        let class = OrderClass::Simple;
        let of_leg =
            move |(leg, kind)| Self { leg: Some(leg), side, kind, class, state, best: None, ..*self };
        self.class.legs().map(of_leg)
    }

    /// Whether legs begin when it has filled.
    fn is_entry(&self) -> bool {
        match self.class {
            OrderClass::Bracket { .. } | OrderClass::OtoTakeProfit(_) | OrderClass::OtoStopLoss(_) => true,
            OrderClass::Simple | OrderClass::Oco(_) => false,
        }
    }

    fn key(&self) -> Key {
        (self.id, self.leg)
    }

    /// Sees a price at which it could fill; whether its stop wakes at it.
    fn wakes(&mut self, price: Price) -> bool {
        let (is_reached, better) = match self.side {
            Side::Buy => (price >= self.stop(), Price::min as fn(Price, Price) -> Price),
            Side::Sell => (price <= self.stop(), Price::max as fn(Price, Price) -> Price),
        };
        let has_stop = self.kind.stop_price().is_some() || self.best.is_some();
        if matches!(self.kind, OrderKind::TrailingStop(_)) {
            self.best = Some(self.best.map_or(price, |best| better(best, price)));
        }
        let wakes = has_stop && is_reached && !self.is_awake;
        self.is_awake |= wakes;
        wakes
    }

    /// Where its stop is now; zero when it has none.
    fn stop(&self) -> Price {
        match (self.kind, self.best) {
            (OrderKind::TrailingStop(trail), Some(best)) => match self.side {
                Side::Buy => best + distance(trail, best),
                Side::Sell => best - distance(trail, best),
            },
            (kind, _) => kind.stop_price().unwrap_or(Price::ZERO),
        }
    }

    /// Whether it would trade at this price.
    fn accepts(&self, price: Price) -> bool {
        let is_within = self.kind.limit_price().is_none_or(|limit| match self.side {
            Side::Buy => price <= limit,
            Side::Sell => price >= limit,
        });
        let waits = match self.kind {
            OrderKind::Market | OrderKind::Limit(_) => false,
            OrderKind::Stop(_) | OrderKind::StopLimit { .. } | OrderKind::TrailingStop(_) => !self.is_awake,
        };
        self.state == State::Working && is_within && !waits
    }
}

fn distance(trail: Trail, best: Price) -> Price {
    match trail {
        Trail::Price(price) => price,
        Trail::Percent(percent) => {
            let part = i128::from(best.nanos()) * i128::from(percent.nanos());
            let nanos = part / i128::from(Percent::basis_points(10_000).nanos());
            Price::from_nanos(i64::try_from(nanos).unwrap_or(i64::MAX))
        }
    }
}

impl Desk {
    pub(super) fn submit(&mut self, submit: &Submit) {
        assert!(submit.instrument.index() < self.symbols.len(), "an order for an unknown symbol: {submit:?}");
        self.claim_id(submit.id);
        rules::check(submit);
        if self.is_refused(submit.id) {
            return;
        }
        let quantity = match submit.amount {
            Amount::Shares(shares) => Ok(shares),
            Amount::Notional(usd) => {
                let symbol = &self.symbols[submit.instrument.index()];
                let held = self.held(submit.instrument);
                rules::shares_for(usd, submit, symbol.quote.as_ref(), symbol.last_price, held)
            }
        };
        match quantity {
            Ok(quantity) => self.take(Order::new(submit, quantity)),
            Err(reason) => self.tell_refusal(submit.id, reason),
        }
    }

    pub(super) fn replace(&mut self, replace: &Replace) {
        let Replace { id, new_id, quantity, limit, stop, .. } = *replace;
        self.claim_id(new_id);
        limit.into_iter().chain(stop).for_each(rules::check_price);
        if self.is_refused(new_id) {
            return;
        }
        let Some(at) = self.orders.iter().position(|order| order.key() == (id, None)) else {
            return self.tell_refusal(new_id, "unknown-order");
        };
        let old = &self.orders[at];
        let is_whole = |shares: Qty| shares.whole() == shares;
        let may_resize = |shares| {
            old.class == OrderClass::Simple
                && is_whole(old.quantity)
                && is_whole(shares)
                && shares > old.filled
        };
        let has_prices = (limit.is_none() || old.kind.limit_price().is_some())
            && (stop.is_none() || old.kind.stop_price().is_some());
        if !has_prices || quantity.is_some_and(|shares| !may_resize(shares)) {
            return self.tell_refusal(new_id, "not-replaceable");
        }
        let old = self.orders.remove(at);
        self.tell(&old, OrderStatus::Replaced);
        let (quantity, kind) = (quantity.unwrap_or(old.quantity), replace.changed(old.kind));
        self.take(Order { id: new_id, quantity, kind, is_awake: false, best: None, ..old });
    }

    pub(super) fn close(&mut self, id: OrderId, instrument: Instrument) {
        assert!(instrument.index() < self.symbols.len(), "an unknown symbol to close: {instrument:?}");
        self.claim_id(id);
        if self.is_refused(id) {
            return;
        }
        self.end(OrderStatus::Canceled, |order| order.instrument == instrument);
        let held = self.held(instrument);
        if held.is_zero() {
            return self.tell_refusal(id, "no-position");
        }
        let side = if held.is_positive() { Side::Sell } else { Side::Buy };
        let submit = Submit {
            id,
            instrument,
            side,
            amount: Amount::Shares(held.abs()),
            kind: OrderKind::Market,
            class: OrderClass::Simple,
            reprice: None,
            time_in_force: TimeInForce::Day,
            extended_hours: false,
            time_to_live: std::time::Duration::ZERO,
        };
        self.take(Order::new(&submit, held.abs()));
    }

    /// Cancels an order and its legs; of one that is over, its legs.
    pub(super) fn cancel(&mut self, id: OrderId) {
        let group =
            self.orders.iter().find(|order| order.key() == (id, None)).map_or(id, |order| order.group);
        let is_meant = |order: &Order| order.id == id || order.leg.is_some() && order.group == group;
        if !self.orders.iter().any(is_meant) {
            self.tell_refusal(id, "unknown-order");
        }
        self.end(OrderStatus::Canceled, is_meant);
    }

    pub(super) fn end(&mut self, status: OrderStatus, which: impl Fn(&Order) -> bool) {
        let (ended, open): (Vec<_>, _) = std::mem::take(&mut self.orders).into_iter().partition(which);
        self.orders = open;
        ended.iter().for_each(|order| self.tell(order, status));
    }

    pub(super) fn match_symbol(&mut self, instrument: Instrument) {
        let of_symbol = |order: &&Order| order.instrument == instrument;
        let keys: Vec<Key> = self.orders.iter().filter(of_symbol).map(Order::key).collect();
        keys.into_iter().for_each(|key| self.try_fill(key));
    }

    /// Takes an order, and its legs if it is the first of them.
    fn take(&mut self, order: Order) {
        let (id, instrument, group) = (order.id, order.instrument, order.group);
        let is_at_once = matches!(order.time_in_force, TimeInForce::Ioc | TimeInForce::Fok);
        let legs: Vec<Order> = if group == id { order.legs().collect() } else { Vec::new() };
        self.note(&order);
        self.tell(&order, OrderStatus::Pending);
        self.tell(&order, OrderStatus::Working);
        self.orders.push(order);
        for leg in legs {
            self.note(&leg);
            self.tell(&leg, OrderStatus::Held);
            self.orders.push(leg);
        }
        self.match_symbol(instrument);
        if is_at_once {
            self.end(OrderStatus::Canceled, |order| order.id == id);
        }
    }

    fn note(&mut self, order: &Order) {
        let Order { id, leg, instrument, side, quantity, filled, kind, .. } = *order;
        let status = OrderStatus::Pending;
        let row = OpenOrder { id, leg, instrument, side, quantity, filled, kind, status };
        self.taken.insert(order.key(), row);
    }

    fn try_fill(&mut self, key: Key) {
        let Some(at) = self.orders.iter().position(|order| order.key() == key) else { return };
        let Some(price) = self.market(self.orders[at].instrument, self.orders[at].side) else { return };
        if self.orders[at].state != State::Held && self.orders[at].wakes(price) {
            self.on_awake(key);
        }
        // The other exit may have gone before it in the list.
        let Some(at) = self.orders.iter().position(|order| order.key() == key) else { return };
        let order = &mut self.orders[at];
        let left = order.quantity - order.filled;
        let quantity = self.most_per_fill.unwrap_or(left).min(left);
        let falls_short = order.time_in_force == TimeInForce::Fok && quantity < order.quantity;
        if !order.accepts(price) || !quantity.is_positive() || falls_short {
            return;
        }
        order.filled += quantity;
        self.on_fill(at, quantity, price);
    }

    /// A stop was reached: of two exits, the other one ends.
    fn on_awake(&mut self, key: Key) {
        let Some(order) = self.orders.iter_mut().find(|order| order.key() == key) else { return };
        if order.state != State::Watched {
            return;
        }
        order.state = State::Working;
        let group = order.group;
        self.end(OrderStatus::Canceled, |other| other.group == group && other.key() != key);
        let at = self.orders.iter().position(|order| order.key() == key).expect("it has just been found");
        let order = self.orders.remove(at);
        self.tell(&order, OrderStatus::Working);
        self.orders.insert(at, order);
    }

    /// Tells of a fill, and does what it causes among the orders that belong together.
    fn on_fill(&mut self, at: usize, quantity: Qty, price: Price) {
        let order = self.orders.remove(at);
        let Order { id, leg, group, instrument, side, .. } = order;
        let fill = Event::Fill(Fill { id, leg, instrument, side, quantity, price });
        let is_done = order.filled == order.quantity;
        let status = if is_done { OrderStatus::Filled } else { OrderStatus::PartiallyFilled };
        if self.updates_first {
            self.tell(&order, status);
            self.events.push_back(fill);
        } else {
            self.events.push_back(fill);
            self.tell(&order, status);
        }
        match (order.is_entry(), is_done) {
            (true, true) => self.begin_legs(group),
            (false, true) => self.end(OrderStatus::Canceled, |other| other.group == group),
            (true, false) => {}
            (false, false) => {
                self.orders
                    .iter_mut()
                    .filter(|other| other.group == group)
                    .for_each(|it| it.quantity -= quantity);
            }
        }
        if !is_done {
            self.orders.insert(at, order);
        }
    }

    /// The entry has filled: its exits begin, but of two the stop loss only watches.
    fn begin_legs(&mut self, group: OrderId) {
        let (legs, others): (Vec<_>, _) =
            std::mem::take(&mut self.orders).into_iter().partition(|order| order.group == group);
        self.orders = others;
        let is_pair = legs.len() > 1;
        for mut leg in legs {
            if is_pair && leg.leg == Some(Leg::StopLoss) {
                leg.state = State::Watched;
            } else {
                leg.state = State::Working;
                self.tell(&leg, OrderStatus::Working);
            }
            self.orders.push(leg);
        }
    }

    /// The price at which that side trades now.
    fn market(&self, instrument: Instrument, side: Side) -> Option<Price> {
        let symbol = &self.symbols[instrument.index()];
        let close = symbol.bars.back().map(|bar| bar.close);
        let price = match (side, &symbol.quote) {
            (Side::Buy, Some(quote)) => Some(quote.ask),
            (Side::Sell, Some(quote)) => Some(quote.bid),
            (Side::Buy | Side::Sell, None) => close,
        };
        Price::from_f64(price?)
    }

    /// What is held, fills that are not delivered yet included.
    fn held(&self, instrument: Instrument) -> Qty {
        let coming = self.events.iter().map(|event| match event {
            Event::Fill(fill) if fill.instrument == instrument => fill.side.signed(fill.quantity),
            _ => Qty::ZERO,
        });
        self.symbols[instrument.index()].position.quantity + coming.sum()
    }

    fn claim_id(&mut self, id: OrderId) {
        assert!(self.seen.insert(id), "an order with the id of another: {id:?}");
    }

    /// Refuses when the test wants it so.
    fn is_refused(&mut self, id: OrderId) -> bool {
        let Some(reason) = self.refuse.clone() else { return false };
        self.tell_refusal(id, &reason);
        true
    }

    fn tell_refusal(&mut self, id: OrderId, reason: &str) {
        self.events.push_back(Event::Refusal(Refusal { id, reason: reason.to_owned() }));
    }

    fn tell(&mut self, order: &Order, status: OrderStatus) {
        let Order { id, leg, instrument, filled, .. } = *order;
        self.events.push_back(Event::OrderUpdate(OrderUpdate { id, leg, instrument, status, filled }));
    }
}
