//! The open orders of one strategy, legs included: folded from what it wants and from what it is told.

use std::collections::BTreeMap;

use sandpit_types::{
    Change, Leg, OrderKind, OrderStatus, OrderUpdate, Qty, Refusal, Replace, Side, StrategyOrderId, Submit,
};

use super::Instrument;
use crate::bounds::OPEN_ORDERS_MAX;

/// An order, or a leg of one, that may still fill.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct OpenOrder {
    pub(crate) instrument: Instrument,
    pub(crate) side: Side,
    pub(crate) qty: Qty,
    pub(crate) filled_qty: Qty,
    pub(crate) kind: OrderKind,
    pub(crate) status: OrderStatus,
    /// Intents with this id that got no answer yet.
    unanswered: u32,
    /// Whether the broker has it: then a refusal is about a twin, not about this order.
    at_broker: bool,
    /// Whether it closes a position: until the broker has it, its shares are those held.
    closes: bool,
}

impl OpenOrder {
    /// An order that nobody has answered yet.
    pub(crate) const fn new(instrument: Instrument, side: Side, qty: Qty, kind: OrderKind) -> Self {
        Self {
            instrument,
            side,
            qty,
            filled_qty: Qty::ZERO,
            kind,
            status: OrderStatus::PendingNew,
            unanswered: 1,
            at_broker: false,
            closes: false,
        }
    }

    fn close(&mut self, held: Qty) {
        self.qty = held.abs();
        self.side = if held.is_positive() { Side::Sell } else { Side::Buy };
    }
}

/// At most [`OPEN_ORDERS_MAX`] that the strategy wanted, and those that were open before it started.
#[derive(Debug, Default)]
pub(crate) struct OpenOrders(BTreeMap<(StrategyOrderId, Option<Leg>), OpenOrder>);

impl OpenOrders {
    /// Which way an order goes, if it is open.
    pub(crate) fn side(&self, id: StrategyOrderId) -> Option<Side> {
        self.0.get(&(id, None)).map(|order| order.side)
    }

    /// Whether an order of that id, or a leg of it, is open.
    pub(crate) fn has(&self, id: StrategyOrderId) -> bool {
        self.0.range((id, None)..).next().is_some_and(|((other, _), _)| *other == id)
    }

    /// By id; each order before its legs.
    pub(crate) fn iter(&self) -> impl ExactSizeIterator<Item = (StrategyOrderId, Option<Leg>, &OpenOrder)> {
        self.0.iter().map(|((id, leg), order)| (*id, *leg, order))
    }

    /// Takes over an order that was open before.
    pub(super) fn restore(&mut self, id: StrategyOrderId, leg: Option<Leg>, order: OpenOrder) {
        self.0.insert((id, leg), OpenOrder { unanswered: 0, at_broker: true, ..order });
    }

    /// Notes an order that the strategy wants, with its legs.
    ///
    /// # Errors
    /// `open-orders` when it has too many already.
    pub(crate) fn submit(&mut self, submit: &Submit, instrument: Instrument) -> Result<(), Refusal> {
        let legs = submit.class.legs();
        if !self.make_room(submit.id, 1 + legs.len())? {
            return Ok(());
        }
        let order = OpenOrder::new(instrument, submit.side, submit.qty, submit.kind);
        // The exits of an entry go the other way, the second of two exits the same.
        let exits = match (submit.class, submit.side) {
            (sandpit_types::OrderClass::Oco { .. }, side) => side,
            (_, Side::Buy) => Side::Sell,
            (_, Side::Sell) => Side::Buy,
        };
        for (leg, kind) in legs {
            let status = OrderStatus::Held;
            let leg_order = OpenOrder { status, ..OpenOrder::new(instrument, exits, submit.qty, kind) };
            self.0.insert((submit.id, Some(leg)), OpenOrder { unanswered: 0, ..leg_order });
        }
        self.0.insert((submit.id, None), order);
        Ok(())
    }

    /// Notes an order that is to take the place of another one; that one stays until its end is told.
    ///
    /// # Errors
    /// `unknown-order` when the other one is not open, `open-orders` when there are too many already.
    pub(crate) fn replace(&mut self, replace: &Replace) -> Result<(), Refusal> {
        let old = self.0.get(&(replace.id, None)).ok_or(Refusal::UnknownOrder)?.clone();
        if !self.make_room(replace.new_id, 1)? {
            return Ok(());
        }
        let (qty, kind) = (replace.change.qty.unwrap_or(old.qty), changed(old.kind, replace.change));
        let order = OpenOrder::new(old.instrument, old.side, qty, kind);
        self.0.insert((replace.new_id, None), OpenOrder { filled_qty: old.filled_qty, ..order });
        Ok(())
    }

    /// Notes an order that leaves a symbol of which `held` shares are held.
    ///
    /// # Errors
    /// `open-orders` when there are too many already.
    pub(crate) fn close(
        &mut self,
        id: StrategyOrderId,
        instrument: Instrument,
        held: Qty,
    ) -> Result<(), Refusal> {
        if self.make_room(id, 1)? {
            let mut order = OpenOrder::new(instrument, Side::Sell, Qty::ZERO, OrderKind::Market);
            order.close(held);
            self.0.insert((id, None), OpenOrder { closes: true, ..order });
        }
        Ok(())
    }

    /// The position is another one now.
    pub(super) fn hold(&mut self, instrument: Instrument, held: Qty) {
        let closing = |order: &&mut OpenOrder| order.closes && !order.at_broker;
        for order in self.0.values_mut().filter(|order| order.instrument == instrument).filter(closing) {
            order.close(held);
        }
    }

    /// Follows what is told of an order or leg.
    pub(super) fn on_update(&mut self, update: &OrderUpdate) {
        let key = (update.id, update.leg);
        if update.status.is_terminal() {
            let Some(ended) = self.0.remove(&key) else { return };
            // An entry that never filled takes its exits with it. The legs of a replaced one go on.
            if update.leg.is_none() && update.status != OrderStatus::Replaced && update.filled_qty.is_zero() {
                self.remove(update.id, |leg| leg.side != ended.side);
            }
        } else if let Some(order) = self.0.get_mut(&key) {
            order.filled_qty = update.filled_qty;
            order.status = update.status.clone();
            if update.status != OrderStatus::PendingNew && !order.at_broker {
                order.at_broker = true;
                order.unanswered = order.unanswered.saturating_sub(1);
            }
        }
    }

    /// Something with this id was not done.
    pub(super) fn on_refusal(&mut self, id: StrategyOrderId, refusal: Refusal) {
        // It is about a cancel of an order that is gone.
        let mut is_gone = refusal == Refusal::UnknownOrder;
        if let Some(order) = self.0.get_mut(&(id, None)) {
            order.unanswered = order.unanswered.saturating_sub(1);
            is_gone |= order.unanswered == 0 && !order.at_broker;
        }
        if is_gone {
            self.remove(id, |_| true);
        }
    }

    /// Whether `count` rows are to be added for this id; not when there is one of the same id already.
    fn make_room(&mut self, id: StrategyOrderId, count: usize) -> Result<bool, Refusal> {
        if let Some(twin) = self.0.get_mut(&(id, None)) {
            twin.unanswered += 1;
            return Ok(false);
        }
        if self.has(id) {
            // The order is over, its legs are not: the desk will refuse the twin, and they stay.
            return Ok(false);
        }
        if self.0.len() + count > OPEN_ORDERS_MAX { Err(Refusal::OpenOrders) } else { Ok(true) }
    }

    fn remove(&mut self, id: StrategyOrderId, which: impl Fn(&OpenOrder) -> bool) {
        self.0.retain(|(other, _), order| *other != id || !which(order));
    }
}

/// The kind with the prices that a replacement changes. One that the kind has not is for the desk to refuse.
fn changed(kind: OrderKind, change: Change) -> OrderKind {
    let Change { limit_price: limit, stop_price: stop, .. } = change;
    match kind {
        OrderKind::Market | OrderKind::TrailingStop { .. } => kind,
        OrderKind::Limit { limit_price } => OrderKind::Limit { limit_price: limit.unwrap_or(limit_price) },
        OrderKind::Stop { stop_price } => OrderKind::Stop { stop_price: stop.unwrap_or(stop_price) },
        OrderKind::StopLimit { stop_price, limit_price } => OrderKind::StopLimit {
            stop_price: stop.unwrap_or(stop_price),
            limit_price: limit.unwrap_or(limit_price),
        },
    }
}

#[cfg(test)]
mod tests;
