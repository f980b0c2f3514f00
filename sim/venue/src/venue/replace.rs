//! A new order takes the place of an old one.

use sandpit_types::{BrokerOrderId, MarketTime, Price, Qty, Usd};

use super::{
    Entry, Task, Venue,
    admit::cost,
    enter::Draft,
    form::{check_distance, check_form, check_order_of_exits, opposite},
    legs::Role,
};
use crate::{
    Amount, Class, ClassKind, EventKind, NewOrder, OrderKind, OrderState, Reject, ReplaceReject, Replacement,
    Trail, VenueOrder, book::OrderIx,
};

impl Venue {
    /// Replaces a working order: a new order takes its place, with its fills and with new time priority.
    /// Returns the new order's id. The rules are in the crate's documentation.
    ///
    /// # Errors
    /// See [`ReplaceReject`]; nothing changed then.
    pub fn replace(
        &mut self,
        id: &BrokerOrderId,
        change: Replacement,
        now: MarketTime,
    ) -> Result<BrokerOrderId, ReplaceReject> {
        self.advance(now);
        let old = self.index(id).ok_or_else(|| ReplaceReject::NotFound { id: id.clone() })?;
        self.check_replaceable(old)?;
        let order = changed(&self.entry(old).order, &change)?;
        let draft = self.draft_replacement(old, order)?;
        let new = self.enter(draft);
        self.entry_mut(new).order.replaces = Some(self.entry(old).order.id.clone());
        let new_id = self.entry(new).order.id.clone();
        if !self.entry(old).is_dormant && self.takes_time(old) {
            let realism = self.config.realism;
            self.entry_mut(old).replacement = Some(new);
            self.emit(old, EventKind::PendingReplace, None);
            self.rehold(old);
            let at = self.now + self.chance.time(realism.latency_min, realism.latency_max);
            self.schedule(at, Task::ArriveReplace(new));
        } else {
            self.take_place(old, new);
        }
        Ok(new_id)
    }

    /// Whether an order stands so that it can be replaced.
    fn check_replaceable(&self, ix: OrderIx) -> Result<(), ReplaceReject> {
        let entry = self.entry(ix);
        match entry.order.state {
            OrderState::PendingNew if entry.is_dormant => return Err(ReplaceReject::ChainOpen),
            OrderState::PendingNew | OrderState::Accepted => return Err(ReplaceReject::NotSent),
            OrderState::Replaced => return Err(ReplaceReject::AlreadyReplaced),
            OrderState::Filled | OrderState::Canceled | OrderState::Expired | OrderState::Rejected => {
                return Err(ReplaceReject::NotOpen);
            }
            state @ (OrderState::PendingCancel
            | OrderState::PendingReplace
            | OrderState::DoneForDay
            | OrderState::Stopped
            | OrderState::Suspended
            | OrderState::Calculated) => return Err(ReplaceReject::WrongState { state }),
            OrderState::New | OrderState::PartiallyFilled | OrderState::Held => {}
        }
        match entry.order.amount {
            Amount::Notional(_) => Err(ReplaceReject::Notional),
            Amount::Qty(_) if !self.has_room(1) => Err(Reject::Full { limit: super::MAX_ORDERS }.into()),
            Amount::Qty(_) => Ok(()),
        }
    }

    /// Checks the order as it would be, against the account and its group.
    fn draft_replacement(&self, old: OrderIx, order: NewOrder) -> Result<Draft, ReplaceReject> {
        let entry = self.entry(old);
        check_form(&order)?;
        if self.suspended {
            return Err(Reject::Suspended.into());
        }
        self.check_client_id_free(order.client_order_id.as_deref())?;
        self.check_new_exits(old, order.kind)?;
        self.check_new_base(old, order.kind)?;
        let is_simple = entry.order.class == ClassKind::Simple;
        if order.time_in_force != entry.order.time_in_force {
            self.check_window(order.time_in_force)?;
        }
        let (symbol, intent) = (entry.symbol, entry.order.position_intent);
        if is_simple {
            self.check_wash(symbol, &order)?;
        }
        let reserve = if intent.opens() { self.reserve(symbol, &order, true)? } else { Price::ZERO };
        let hold = cost(intent, order.amount, entry.order.filled_qty, reserve, Qty::ZERO);
        if !entry.is_dormant {
            self.check_available(symbol, order.side, hold.shares, entry.hold.shares)?;
            self.check_more_power(symbol, entry.hold.power, hold.power)?;
        }
        Ok(Draft {
            client_order_id: order.client_order_id,
            symbol,
            side: order.side,
            intent,
            amount: order.amount,
            kind: order.kind,
            time_in_force: order.time_in_force,
            extended_hours: order.extended_hours,
            class: entry.order.class,
            reserve,
            notional_shares: Qty::ZERO,
            expires_at: match entry.order.expires_at {
                // The orders of a group end together.
                Some(at) if !is_simple => at,
                Some(_) | None => self.expires_at(order.time_in_force, order.extended_hours),
            },
            group: entry.group,
            is_dormant: true,
        })
    }

    /// An order that opens may hold more than before only as a new one might.
    fn check_more_power(&self, symbol: usize, before: Usd, after: Usd) -> Result<(), Reject> {
        if after <= before {
            return Ok(());
        }
        let worth = self.worth();
        if self.is_restricted(&worth) {
            return Err(Reject::LiquidationOnly);
        }
        let buying_power = self.power_for(symbol, &worth) + before;
        if after > buying_power {
            return Err(Reject::BuyingPower { buying_power, cost_basis: after });
        }
        Ok(())
    }

    /// The stop-loss of a group keeps its distance from the base price, whichever of both has changed.
    fn check_new_base(&self, ix: OrderIx, kind: OrderKind) -> Result<(), Reject> {
        let Some((group, role)) = self.place_in_group(ix) else { return Ok(()) };
        let (group, old) = (&self.groups[group], &self.entry(ix).order);
        let limit_of = |leg: Option<OrderIx>| leg.and_then(|leg| self.entry(leg).order.limit_price);
        let mark = self.books[self.entry(ix).symbol].mark();
        let stop_of = |leg: OrderIx| self.entry(leg).order.stop_price;
        let (bases, stop_loss) = match role {
            Role::StopLoss if kind.stop_price() == old.stop_price => return Ok(()),
            Role::StopLoss if group.is_oco() => ([limit_of(group.take_profit()), mark], kind.stop_price()),
            Role::StopLoss if group.is_active() => ([mark, None], kind.stop_price()),
            Role::StopLoss => ([limit_of(group.entry()).or(mark), None], kind.stop_price()),
            Role::TakeProfit if !group.is_oco() => return Ok(()),
            Role::Entry | Role::TakeProfit if kind.limit_price() == old.limit_price => return Ok(()),
            Role::Entry | Role::TakeProfit => {
                ([kind.limit_price(), None], group.stop_loss().and_then(stop_of))
            }
        };
        let exit_side = if role == Role::Entry { opposite(old.side) } else { old.side };
        stop_loss.map_or(Ok(()), |stop| check_distance(exit_side, stop, bases))
    }

    /// The exits of a group stay in order.
    fn check_new_exits(&self, ix: OrderIx, kind: OrderKind) -> Result<(), Reject> {
        let Some((group, role)) = self.place_in_group(ix) else { return Ok(()) };
        let group = &self.groups[group];
        let order_of =
            |leg: Option<OrderIx>| leg.map(|leg| &self.entry(leg).order).filter(|order| order.is_open());
        let side = self.entry(ix).order.side;
        match role {
            Role::Entry => Ok(()),
            Role::TakeProfit => match order_of(group.stop_loss()).and_then(|order| order.stop_price) {
                Some(stop) => check_order_of_exits(side, kind.limit_price().unwrap_or(stop), stop),
                None => Ok(()),
            },
            Role::StopLoss => match order_of(group.take_profit()).and_then(|order| order.limit_price) {
                Some(limit) => check_order_of_exits(side, limit, kind.stop_price().unwrap_or(limit)),
                None => Ok(()),
            },
        }
    }

    /// A replace that was under way has arrived.
    pub(super) fn arrive_replace(&mut self, new: OrderIx) {
        let replaces = self.entry(new).order.replaces.clone();
        let old = replaces.and_then(|id| self.index(&id)).expect("a replacement knows what it replaces");
        self.entry_mut(old).replacement = None;
        let is_waiting = self.entry(old).order.state == OrderState::PendingReplace;
        let filled = self.entry(old).order.filled_qty;
        if is_waiting && self.entry(new).order.qty().is_some_and(|qty| qty > filled) {
            self.take_place(old, new);
            return;
        }
        self.emit(old, EventKind::ReplaceRejected, None);
        self.rehold(old);
        self.end(new, EventKind::Rejected);
    }

    /// The new order works on in the place of the old one.
    fn take_place(&mut self, old: OrderIx, new: OrderIx) {
        let new_id = self.entry(new).order.id.clone();
        let order = &mut self.entry_mut(old).order;
        order.replaced_by = Some(new_id);
        let (old_id, legs, parent) = (order.id.clone(), order.legs.clone(), order.parent.clone());
        let (filled_qty, filled_cost, amount) = (order.filled_qty, order.filled_cost, order.amount);
        let was_dormant = self.entry(old).is_dormant;
        self.leave(old);
        self.emit(old, EventKind::Replaced, None);
        self.rehold(old);
        self.relink(old, new, &old_id, &legs, parent.as_ref());
        let order = &mut self.entry_mut(new).order;
        (order.filled_qty, order.filled_cost) = (filled_qty, filled_cost);
        (order.legs, order.parent) = (legs, parent);
        if order.class != ClassKind::Simple {
            // A stop-loss may have shrunk while the replace was under way.
            order.amount = amount;
        }
        if was_dormant {
            self.emit(new, EventKind::Held, None);
            let is_active = self.entry(new).group.is_some_and(|group| self.groups[group].is_active());
            if is_active {
                self.list(new);
            }
        } else {
            self.wake(new);
            self.begin_replacement(old, new);
        }
    }

    /// A replacement goes to work. An immediate one has a first quote to meet, of the session to come or, if
    /// the old order still waits for it, of this one.
    fn begin_replacement(&mut self, old: OrderIx, new: OrderIx) {
        let Entry { order, symbol, .. } = self.entry(new);
        let (symbol, is_immediate) = (*symbol, order.time_in_force.is_immediate());
        if is_immediate && !self.may_trade(order.extended_hours) {
            self.queue(new);
        } else if is_immediate && self.entry(old).order.time_in_force.is_immediate() {
            self.books[symbol].has_immediate = true;
            self.begin_work(new);
        } else {
            self.route(new);
        }
    }

    /// Whoever names the old order names the new one.
    fn relink(
        &mut self,
        old: OrderIx,
        new: OrderIx,
        old_id: &BrokerOrderId,
        legs: &[BrokerOrderId],
        parent: Option<&BrokerOrderId>,
    ) {
        if let Some((group, role)) = self.place_in_group(old) {
            self.groups[group].set(role, new);
        }
        let new_id = self.entry(new).order.id.clone();
        for leg in legs.iter().filter_map(|leg| self.index(leg)).collect::<Vec<_>>() {
            self.entry_mut(leg).order.parent = Some(new_id.clone());
        }
        if let Some(parent) = parent.and_then(|parent| self.index(parent)) {
            let legs = self.entry_mut(parent).order.legs.iter_mut();
            legs.filter(|leg| *leg == old_id).for_each(|leg| *leg = new_id.clone());
        }
    }
}

/// The order as it would be, without its class: its form is checked as that of an order alone.
fn changed(old: &VenueOrder, change: &Replacement) -> Result<NewOrder, ReplaceReject> {
    let kind = changed_kind(old.kind, change)?;
    let old_qty = old.qty().ok_or(ReplaceReject::Notional)?;
    let qty = change.qty.unwrap_or(old_qty);
    let time_in_force = change.time_in_force.unwrap_or(old.time_in_force);
    let client_order_id = change.client_order_id.clone().filter(|id| !id.is_empty());
    let is_same = kind == old.kind && qty == old_qty && time_in_force == old.time_in_force;
    if is_same && client_order_id.is_none() {
        return Err(ReplaceReject::Unchanged);
    }
    if old.class != ClassKind::Simple && time_in_force != old.time_in_force {
        return Err(ReplaceReject::TimeOfGroup);
    }
    if qty != old_qty {
        check_new_qty(old, old_qty, qty)?;
    }
    Ok(NewOrder {
        client_order_id,
        symbol: old.symbol.clone(),
        side: old.side,
        amount: Amount::Qty(qty),
        kind,
        time_in_force,
        extended_hours: old.extended_hours,
        class: Class::Simple,
        position_intent: None,
    })
}

fn check_new_qty(old: &VenueOrder, old_qty: Qty, qty: Qty) -> Result<(), ReplaceReject> {
    if old.class != ClassKind::Simple {
        return Err(ReplaceReject::QtyOfGroup);
    }
    if !qty.is_positive() {
        return Err(Reject::QtyNotPositive.into());
    }
    if Amount::Qty(qty).is_fractional() || Amount::Qty(old_qty).is_fractional() {
        return Err(ReplaceReject::QtyFractional);
    }
    if qty <= old.filled_qty {
        return Err(ReplaceReject::QtyFilled);
    }
    Ok(())
}

fn changed_kind(kind: OrderKind, change: &Replacement) -> Result<OrderKind, ReplaceReject> {
    let none = |field| ReplaceReject::NoSuchPrice { field, kind: kind.as_str() };
    if change.limit_price.is_some() && kind.limit_price().is_none() {
        return Err(none("limit_price"));
    }
    if change.stop_price.is_some() && kind.stop_price().is_none() {
        return Err(none("stop_price"));
    }
    if change.trail.is_some() && kind.trail().is_none() {
        return Err(none("trail"));
    }
    Ok(match kind {
        OrderKind::Market => OrderKind::Market,
        OrderKind::Limit { limit_price } => {
            OrderKind::Limit { limit_price: change.limit_price.unwrap_or(limit_price) }
        }
        OrderKind::Stop { stop_price } => {
            OrderKind::Stop { stop_price: change.stop_price.unwrap_or(stop_price) }
        }
        OrderKind::StopLimit { stop_price, limit_price } => OrderKind::StopLimit {
            stop_price: change.stop_price.unwrap_or(stop_price),
            limit_price: change.limit_price.unwrap_or(limit_price),
        },
        OrderKind::TrailingStop { trail: Trail::Price(trail) } => {
            OrderKind::TrailingStop { trail: Trail::Price(change.trail.map_or(trail, Price::new)) }
        }
        OrderKind::TrailingStop { trail: Trail::Percent(trail) } => {
            OrderKind::TrailingStop { trail: Trail::Percent(change.trail.unwrap_or(trail)) }
        }
    })
}
