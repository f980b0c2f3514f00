//! A desk that answers orders at once: enough to see what a strategy does with fills, and no model of a
//! market. Market orders, and limits that the last price reaches, fill wholly at that price; others work
//! until a price reaches them, a cancel comes or the session closes. Legs are held until their entry has
//! filled, and then work or wait like other orders; one exit cancels the other.

use std::collections::BTreeMap;

use sandpit_strategy::StrategyEvent;
use sandpit_types::{
    Intent, Leg, MarketTime, OrderKind, OrderStatus, OrderUpdate, Price, Qty, Refusal, Replace, Side,
    StrategyOrderId, Submit, Symbol,
};

type Key = (StrategyOrderId, Option<Leg>);

/// Orders and positions of one strategy.
#[derive(Debug, Default)]
pub(crate) struct Desk {
    now: MarketTime,
    prices: BTreeMap<Symbol, Price>,
    held: BTreeMap<Symbol, (Qty, Price)>,
    orders: BTreeMap<Key, Order>,
}

#[derive(Clone, Debug)]
struct Order {
    symbol: Symbol,
    side: Side,
    qty: Qty,
    kind: OrderKind,
    /// Whether it may fill: legs of an entry wait for it.
    works: bool,
}

impl Desk {
    /// A price of the market. What it fills comes back.
    pub(crate) fn price(&mut self, symbol: &Symbol, price: f64, now: MarketTime) -> Vec<StrategyEvent> {
        self.now = self.now.max(now);
        let Ok(price) = Price::from_f64(price) else { return Vec::new() };
        self.prices.insert(symbol.clone(), price);
        self.match_all(symbol)
    }

    /// The session closes: what works expires.
    pub(crate) fn close(&mut self, now: MarketTime) -> Vec<StrategyEvent> {
        self.now = self.now.max(now);
        let orders = std::mem::take(&mut self.orders);
        orders.iter().map(|(key, order)| self.update(*key, order, OrderStatus::Expired, Qty::ZERO)).collect()
    }

    /// What a strategy wants, and what comes of it.
    pub(crate) fn perform(&mut self, intent: &Intent) -> Vec<StrategyEvent> {
        match intent {
            Intent::Submit(submit) => self.submit(submit),
            Intent::Replace(replace) => self.replace(replace),
            Intent::ClosePosition { id, symbol } => self.leave(*id, symbol),
            Intent::Cancel(id) => {
                let keys: Vec<Key> = self.orders.keys().filter(|key| key.0 == *id).copied().collect();
                if keys.is_empty() {
                    return vec![self.refusal(*id, Refusal::UnknownOrder)];
                }
                self.cancel(keys)
            }
            Intent::CancelAll => self.cancel(self.orders.keys().copied().collect()),
            Intent::SetTimer { .. } | Intent::CancelTimer(_) | Intent::Signal(_) => Vec::new(),
        }
    }

    fn submit(&mut self, submit: &Submit) -> Vec<StrategyEvent> {
        let Submit { id, ref symbol, side, qty, kind, class, .. } = *submit;
        if self.orders.contains_key(&(id, None)) {
            return vec![self.refusal(id, Refusal::DuplicateId)];
        }
        if !qty.is_positive() {
            return vec![self.refusal(id, Refusal::BadQuantity)];
        }
        let is_pair = matches!(class, sandpit_types::OrderClass::Oco { .. });
        let exits = match (is_pair, side) {
            (true, side) => side,
            (false, Side::Buy) => Side::Sell,
            (false, Side::Sell) => Side::Buy,
        };
        for (leg, kind) in class.legs() {
            let order = Order { symbol: symbol.clone(), side: exits, qty, kind, works: is_pair };
            self.orders.insert((id, Some(leg)), order);
        }
        self.work((id, None), Order { symbol: symbol.clone(), side, qty, kind, works: true })
    }

    fn work(&mut self, key: Key, order: Order) -> Vec<StrategyEvent> {
        let symbol = order.symbol.clone();
        let mut events = vec![self.update(key, &order, OrderStatus::New, Qty::ZERO)];
        self.orders.insert(key, order);
        events.extend(self.match_all(&symbol));
        events
    }

    fn replace(&mut self, replace: &Replace) -> Vec<StrategyEvent> {
        let Some(mut order) = self.orders.remove(&(replace.id, None)) else {
            return vec![self.refusal(replace.new_id, Refusal::UnknownOrder)];
        };
        let mut events = vec![self.update((replace.id, None), &order, OrderStatus::Replaced, Qty::ZERO)];
        order.qty = replace.change.qty.unwrap_or(order.qty);
        let (limit, stop) = (replace.change.limit_price, replace.change.stop_price);
        order.kind = match order.kind {
            OrderKind::Limit { limit_price } => {
                OrderKind::Limit { limit_price: limit.unwrap_or(limit_price) }
            }
            OrderKind::Stop { stop_price } => OrderKind::Stop { stop_price: stop.unwrap_or(stop_price) },
            OrderKind::StopLimit { stop_price, limit_price } => OrderKind::StopLimit {
                stop_price: stop.unwrap_or(stop_price),
                limit_price: limit.unwrap_or(limit_price),
            },
            other @ (OrderKind::Market | OrderKind::TrailingStop { .. }) => other,
        };
        events.extend(self.work((replace.new_id, None), order));
        events
    }

    fn leave(&mut self, id: StrategyOrderId, symbol: &Symbol) -> Vec<StrategyEvent> {
        let mut events = self.cancel(self.keys_of(symbol));
        let (held, _) = self.held.get(symbol).copied().unwrap_or_default();
        if held.is_zero() {
            events.push(self.refusal(id, Refusal::NoPosition));
            return events;
        }
        let side = if held.is_positive() { Side::Sell } else { Side::Buy };
        let order =
            Order { symbol: symbol.clone(), side, qty: held.abs(), kind: OrderKind::Market, works: true };
        events.extend(self.work((id, None), order));
        events
    }

    fn cancel(&mut self, keys: Vec<Key>) -> Vec<StrategyEvent> {
        let taken: Vec<_> =
            keys.into_iter().filter_map(|key| Some((key, self.orders.remove(&key)?))).collect();
        taken.iter().map(|(key, order)| self.update(*key, order, OrderStatus::Canceled, Qty::ZERO)).collect()
    }

    fn keys_of(&self, symbol: &Symbol) -> Vec<Key> {
        self.orders.iter().filter(|(_, order)| order.symbol == *symbol).map(|(key, _)| *key).collect()
    }

    /// Fills what the last price reaches. A fill may wake legs, so it looks again until nothing fills: each
    /// round takes an order away.
    fn match_all(&mut self, symbol: &Symbol) -> Vec<StrategyEvent> {
        let mut events = Vec::new();
        let Some(&price) = self.prices.get(symbol) else { return events };
        loop {
            let next = self.orders.iter().find(|(_, order)| order.symbol == *symbol && order.fills_at(price));
            let Some((&key, _)) = next else { return events };
            let order = self.orders.remove(&key).expect("it was just found");
            events.extend(self.fill(key, &order, price));
        }
    }

    fn fill(&mut self, key: Key, order: &Order, price: Price) -> Vec<StrategyEvent> {
        let (held, paid) = self.held.get(&order.symbol).copied().unwrap_or_default();
        let qty = held + order.side.signed(order.qty);
        let avg_price = average(held, paid, qty, price);
        self.held.insert(order.symbol.clone(), (qty, avg_price));
        let (id, leg, symbol) = (key.0, key.1, order.symbol.clone());
        let mut events = vec![
            StrategyEvent::Position { symbol: symbol.clone(), qty, avg_price },
            StrategyEvent::Fill { id, leg, symbol, side: order.side, qty: order.qty, price, time: self.now },
            self.update(key, order, OrderStatus::Filled, order.qty),
        ];
        let others: Vec<Key> = self.orders.keys().filter(|other| other.0 == id).copied().collect();
        let is_entry = leg.is_none()
            && others.iter().any(|other| self.orders.get(other).is_some_and(|order| !order.works));
        if is_entry {
            for other in others {
                if let Some(leg) = self.orders.get_mut(&other) {
                    leg.works = true;
                    let leg = leg.clone();
                    events.push(self.update(other, &leg, OrderStatus::New, Qty::ZERO));
                }
            }
        } else {
            events.extend(self.cancel(others));
        }
        events
    }

    fn update(&self, (id, leg): Key, order: &Order, status: OrderStatus, filled_qty: Qty) -> StrategyEvent {
        let symbol = order.symbol.clone();
        StrategyEvent::Order(OrderUpdate { id, leg, symbol, status, filled_qty, time: self.now })
    }

    fn refusal(&self, id: StrategyOrderId, refusal: Refusal) -> StrategyEvent {
        StrategyEvent::Refused { id, refusal, time: self.now }
    }
}

impl Order {
    fn fills_at(&self, price: Price) -> bool {
        let reaches_limit = |limit: Price| match self.side {
            Side::Buy => price <= limit,
            Side::Sell => price >= limit,
        };
        let reaches_stop = |stop: Price| match self.side {
            Side::Buy => price >= stop,
            Side::Sell => price <= stop,
        };
        self.works
            && match self.kind {
                OrderKind::Market => true,
                OrderKind::Limit { limit_price } => reaches_limit(limit_price),
                OrderKind::Stop { stop_price } => reaches_stop(stop_price),
                OrderKind::StopLimit { stop_price, limit_price } => {
                    reaches_stop(stop_price) && reaches_limit(limit_price)
                }
                // Where it stands depends on every price since it was sent: it works until the close.
                OrderKind::TrailingStop { .. } => false,
            }
    }
}

/// The average price paid: of a position that grows both, of one that shrinks the old, of one that turns the
/// new.
fn average(held: Qty, paid: Price, after: Qty, price: Price) -> Price {
    if after.is_zero() {
        return Price::ZERO;
    }
    if held.is_zero() || held.is_positive() != after.is_positive() {
        return price;
    }
    if after.abs() < held.abs() {
        return paid;
    }
    let cost = paid * held.abs() + price * (after.abs() - held.abs());
    cost.get().checked_div(after.abs().get()).map_or(price, |average| Price::new(average.round_dp(9)))
}

#[cfg(test)]
mod tests;
