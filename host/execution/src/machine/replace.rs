//! An order takes the place of a working one.
//!
//! The new order is an order of ours like any other: approved, recorded, and sent by a PATCH that is never
//! repeated. The old one stays what the broker says of it, also while both live.
//!
//! A replacement does not wait in the plan: there is at most one for each working order, it adds no order to
//! those that are open, and what it changes trades at the old price for as long as it waits.

use std::time::Duration;

use sandpit_cores::orders::Order;
use sandpit_types::{
    Change, ClientOrderId, Links, MarketTime, OrderClass, OrderKind, Qty, Refusal, Replace, StrategyName,
    Submit,
};

use super::{
    Action, Machine,
    log::{Refused, known},
    sends::Terms,
};
use crate::Review;

impl<R: Review> Machine<R> {
    /// A strategy wants another order in the place of a working one.
    pub(super) fn replace(
        &mut self,
        strategy: &StrategyName,
        incarnation: u32,
        replace: &Replace,
        now: MarketTime,
    ) {
        if let Err(refusal) = self.try_replace(strategy, incarnation, replace, now) {
            let old = self.books.find(self.config.epoch, strategy, incarnation, replace.id).map(known);
            self.refuse(strategy, Refused::about(replace.new_id, old.as_ref()), refusal, now);
        }
    }

    fn try_replace(
        &mut self,
        strategy: &StrategyName,
        incarnation: u32,
        replace: &Replace,
        now: MarketTime,
    ) -> Result<(), Refusal> {
        let order = self
            .books
            .find(self.config.epoch, strategy, incarnation, replace.id)
            .filter(|order| order.state().is_open())
            .ok_or(Refusal::UnknownOrder)?;
        if !self.is_replaceable(order) {
            return Err(Refusal::NotReplaceable);
        }
        let (qty, kind) = changed(order, &replace.change)?;
        let old = order.client_id().clone();
        // What the old order has filled is in the position already: the gates see what may come.
        let shape = Submit {
            id: replace.new_id,
            symbol: order.request.symbol.clone(),
            side: order.request.side,
            qty: qty - order.filled_in_all(),
            kind,
            time_in_force: order.request.time_in_force,
            extended_hours: order.request.extended_hours,
            time_to_live: replace.time_to_live,
            class: order.request.class,
            reprice: None,
        };
        self.may_begin(strategy, replace.new_id)?;
        let approved = self.approve(strategy, &shape, Some(&old), now)?;
        let links = Links { leg_of: None, replaces: Some(old) };
        let as_exit = approved.reduces();
        self.record_order(&approved, qty, links, (incarnation, as_exit), now);
        Ok(())
    }

    /// Whether the broker would take a replacement now.
    fn is_replaceable(&self, order: &Order) -> bool {
        order.state().is_replaceable()
            && order.broker_id().is_some()
            && self.books.open_replacement(order.client_id()).is_none()
    }

    /// How a recorded order leaves: by a POST, or by a PATCH of the order that it replaces. `None` when that
    /// one cannot be replaced any more.
    pub(super) fn way_out(&self, order: &Order, terms: Terms) -> Option<Action> {
        let (class, deadline) = (terms.class(), terms.deadline);
        let Some(old) = &order.links.replaces else {
            return Some(Action::Submit { request: order.request.clone(), class, deadline });
        };
        let old = self.books.order(old).filter(|old| old.state().is_replaceable())?;
        // Shares that filled since it was recorded may have left nothing for it.
        if order.remaining().is_zero() {
            return None;
        }
        let broker_id = old.broker_id()?.clone();
        let change = difference(old, order);
        Some(Action::Replace { id: order.client_id().clone(), broker_id, change, class, deadline })
    }

    /// The PATCH has ended: whatever the answer, where the old order stands now only the broker knows.
    pub(super) fn replace_ended(&mut self, id: &ClientOrderId, now: MarketTime, soon: Duration) {
        let old = self.books.order(id).and_then(|order| order.links.replaces.clone());
        let is_open =
            |old: &ClientOrderId| self.books.order(old).is_some_and(|order| order.state().is_at_broker());
        if let Some(old) = old.filter(is_open) {
            self.errands.urge(super::errands::Errand::LookUp, &old, now + soon);
        }
    }
}

/// The shape of the new order.
///
/// # Errors
/// [`Refusal::NotReplaceable`] when the broker would not take the change: nothing changes, no share would be
/// left, the quantity of an order with exits or of parts of shares changes. [`Refusal::UnsupportedOrder`]
/// when the order has no such price.
fn changed(order: &Order, change: &Change) -> Result<(Qty, OrderKind), Refusal> {
    let request = &order.request;
    let kind = changed_kind(request.kind, change).ok_or(Refusal::UnsupportedOrder)?;
    let qty = change.qty.unwrap_or(request.qty);
    let is_fraction = |qty: Qty| !qty.get().fract().is_zero();
    let may_resize = request.class == OrderClass::Simple && !is_fraction(qty) && !is_fraction(request.qty);
    let is_same = kind == request.kind && qty == request.qty;
    if is_same || qty <= order.filled_in_all() || (qty != request.qty && !may_resize) {
        return Err(Refusal::NotReplaceable);
    }
    Ok((qty, kind))
}

/// The kind with other prices; `None` when it has no such price.
fn changed_kind(kind: OrderKind, change: &Change) -> Option<OrderKind> {
    let has_none = |price: Option<_>| price.is_none();
    match kind {
        OrderKind::Market | OrderKind::TrailingStop { .. } => {
            (has_none(change.limit_price) && has_none(change.stop_price)).then_some(kind)
        }
        OrderKind::Limit { limit_price } => has_none(change.stop_price)
            .then(|| OrderKind::Limit { limit_price: change.limit_price.unwrap_or(limit_price) }),
        OrderKind::Stop { stop_price } => has_none(change.limit_price)
            .then(|| OrderKind::Stop { stop_price: change.stop_price.unwrap_or(stop_price) }),
        OrderKind::StopLimit { stop_price, limit_price } => Some(OrderKind::StopLimit {
            stop_price: change.stop_price.unwrap_or(stop_price),
            limit_price: change.limit_price.unwrap_or(limit_price),
        }),
    }
}

/// What the PATCH says: the prices and the total quantity in which the two orders differ.
fn difference(old: &Order, new: &Order) -> Change {
    let (old, new) = (&old.request, &new.request);
    Change {
        qty: Some(new.qty).filter(|qty| *qty != old.qty),
        limit_price: new.kind.limit_price().filter(|price| Some(*price) != old.kind.limit_price()),
        stop_price: new.kind.stop_price().filter(|price| Some(*price) != old.kind.stop_price()),
    }
}
