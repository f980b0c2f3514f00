//! One order takes the place of another.

use sandpit_types::{MarketTime, Side};
use sandpit_venue::{
    Amount, Class, EventKind, NewOrder, OrderKind, OrderState, Replacement, TimeInForce, Trail,
};

use super::{
    Model, Order, Refusal, Role,
    admit::{FORBIDDEN, PARAMETER, UNPROCESSABLE, check_exits, check_figures, check_qty, check_stop},
};

impl Model {
    /// Replaces an order; the place of the new one.
    pub(crate) fn replace(
        &mut self,
        place: Option<usize>,
        with: &Replacement,
        now: MarketTime,
    ) -> Result<usize, Refusal> {
        self.advance(now);
        let place = place.ok_or((404, 40_410_000))?;
        let order = self.orders[place].clone();
        match order.state {
            OrderState::New | OrderState::PartiallyFilled | OrderState::Held => {}
            OrderState::Accepted | OrderState::PendingNew => return Err(PARAMETER),
            OrderState::Filled | OrderState::Canceled | OrderState::Expired | OrderState::Rejected => {
                return Err(PARAMETER);
            }
            _ => return Err(UNPROCESSABLE),
        }
        if order.notional.is_some() {
            return Err(UNPROCESSABLE);
        }
        let new = self.changed(&order, with)?;
        let opens = if order.role == Role::Single {
            self.admit(&new, Some(place))?
        } else {
            self.check_group(place, &new)?;
            order.opens
        };
        Ok(self.swap(place, &new, opens))
    }

    /// The order as it would be sent.
    fn changed(&self, order: &Order, with: &Replacement) -> Result<NewOrder, Refusal> {
        let kind = changed_kind(order.kind, with)?;
        let old_qty = order.qty.expect("orders by notional are refused before");
        let qty = with.qty.map_or(old_qty, |qty| qty.get());
        let time_in_force: TimeInForce = with.time_in_force.unwrap_or(order.time_in_force);
        if with.qty.is_some() && qty != old_qty {
            check_qty(qty)?;
            if !qty.fract().is_zero() || !old_qty.fract().is_zero() {
                return Err(PARAMETER);
            }
            if order.role != Role::Single || qty <= order.filled {
                return Err(UNPROCESSABLE);
            }
        }
        if order.role != Role::Single && time_in_force != order.time_in_force {
            return Err(UNPROCESSABLE);
        }
        if with.client_order_id.is_none()
            && kind == order.kind
            && qty == old_qty
            && time_in_force == order.time_in_force
        {
            return Err(UNPROCESSABLE);
        }
        Ok(NewOrder {
            client_order_id: with.client_order_id.clone(),
            symbol: self.markets[order.symbol].listing.symbol.clone(),
            side: order.side,
            amount: Amount::Qty(sandpit_types::Qty::new(qty)),
            kind,
            time_in_force,
            extended_hours: order.extended,
            class: Class::Simple,
            position_intent: None,
        })
    }

    fn swap(&mut self, place: usize, new: &NewOrder, opens: bool) -> usize {
        let old = self.orders[place].clone();
        // It is valued as if it went to work at once, whatever the hour.
        let hold = self.hold(old.symbol, new, true).unwrap_or_default();
        let next = self.put(new, opens);
        let order = &mut self.orders[next];
        (order.class, order.role, order.parent) = (old.class, old.role, old.parent);
        (order.filled, order.filled_cost) = (old.filled, old.filled_cost);
        (order.high_water, order.replaces) = (old.high_water, Some(place));
        order.opens = old.opens;
        order.legs = old.legs.clone();
        order.hold = hold;
        if old.role != Role::Single {
            order.expires = old.expires;
        }
        for &leg in &old.legs {
            self.orders[leg].parent = Some(next);
        }
        if let Some(parent) = old.parent {
            for leg in &mut self.orders[parent].legs {
                if *leg == place {
                    *leg = next;
                }
            }
        }
        self.orders[place].replaced_by = Some(next);
        self.turn(place, OrderState::Replaced, EventKind::Replaced);
        if old.state == OrderState::Held {
            self.orders[next].state = OrderState::Held;
            return next;
        }
        if is_immediate(new.time_in_force) && !self.in_session(next) {
            self.orders[next].state = OrderState::Accepted;
            self.orders[next].queued = true;
            return next;
        }
        self.turn_new(next);
        self.start_trail(next);
        // One that still waits for its first quote waits on.
        if !is_immediate(new.time_in_force) || !is_immediate(old.time_in_force) {
            self.attempt(next);
        }
        next
    }

    /// The stop-loss of a group stays away from its base price, whichever of the two is new.
    fn check_base(&self, place: usize, new: &NewOrder) -> Result<(), Refusal> {
        let old = &self.orders[place];
        let price = |price: Option<sandpit_types::Price>| price.map(|price| price.get());
        let (stop, limit) = (price(new.kind.stop_price()), price(new.kind.limit_price()));
        let mark = self.mark(old.symbol);
        if old.role == Role::StopLoss {
            let parent = &self.orders[old.parent.expect("a stop-loss is a leg")];
            let base = price(parent.kind.limit_price());
            let bases = match parent.role {
                Role::TakeProfit => vec![base, mark],
                _ if parent.state == OrderState::Filled => vec![mark],
                _ => vec![base.or(mark)],
            };
            let same = stop == price(old.kind.stop_price());
            for base in bases.into_iter().flatten().filter(|_| !same) {
                check_stop(old.side == Side::Sell, base, stop.expect("it has one"))?;
            }
        } else if limit != price(old.kind.limit_price()) {
            // An entry, or the take-profit of an OCO: the stop hangs on it.
            for &leg in &old.legs {
                let leg = &self.orders[leg];
                if leg.role == Role::StopLoss {
                    let stop = price(leg.kind.stop_price()).expect("it has one");
                    check_stop(leg.side == Side::Sell, limit.expect("it changed"), stop)?;
                }
            }
        }
        Ok(())
    }

    /// A group's order as it would be: the prices of the group must still make sense, and an entry be paid.
    fn check_group(&self, place: usize, new: &NewOrder) -> Result<(), Refusal> {
        let old = &self.orders[place];
        check_figures(new)?;
        if self.suspended {
            return Err(FORBIDDEN);
        }
        self.check_client_id(new)?;
        let first = old.parent.unwrap_or(place);
        let mut members = vec![first];
        members.extend(&self.orders[first].legs);
        members.retain(|&member| self.orders[member].is_open());
        let kind = |role: Role| {
            let found = members.iter().find(|&&member| self.orders[member].role == role);
            found.map(|&member| if member == place { new.kind } else { self.orders[member].kind })
        };
        let take_profit = kind(Role::TakeProfit).and_then(OrderKind::limit_price).map(|price| price.get());
        if let Some(stop) = kind(Role::StopLoss).and_then(OrderKind::stop_price) {
            let exit = members.iter().find(|&&member| self.orders[member].role == Role::StopLoss);
            let long = self.orders[*exit.expect("it was just found")].side == Side::Sell;
            check_exits(long, take_profit, stop.get())?;
        }
        self.check_base(place, new)?;
        if old.role == Role::Entry && old.opens {
            self.check_opening(new, old.symbol, Some(place))?;
        }
        Ok(())
    }
}

const fn is_immediate(time_in_force: TimeInForce) -> bool {
    matches!(time_in_force, TimeInForce::Ioc | TimeInForce::Fok | TimeInForce::Opg)
}

fn changed_kind(kind: OrderKind, with: &Replacement) -> Result<OrderKind, Refusal> {
    if with.limit_price.is_some() && kind.limit_price().is_none() {
        return Err(PARAMETER);
    }
    if with.stop_price.is_some() && kind.stop_price().is_none() {
        return Err(PARAMETER);
    }
    if with.trail.is_some() && kind.trail().is_none() {
        return Err(PARAMETER);
    }
    Ok(match kind {
        OrderKind::Market => kind,
        OrderKind::Limit { limit_price } => {
            OrderKind::Limit { limit_price: with.limit_price.unwrap_or(limit_price) }
        }
        OrderKind::Stop { stop_price } => {
            OrderKind::Stop { stop_price: with.stop_price.unwrap_or(stop_price) }
        }
        OrderKind::StopLimit { stop_price, limit_price } => OrderKind::StopLimit {
            stop_price: with.stop_price.unwrap_or(stop_price),
            limit_price: with.limit_price.unwrap_or(limit_price),
        },
        OrderKind::TrailingStop { trail } => OrderKind::TrailingStop {
            trail: match (trail, with.trail) {
                (Trail::Price(_), Some(new)) => Trail::Price(sandpit_types::Price::new(new)),
                (Trail::Percent(_), Some(new)) => Trail::Percent(new),
                (trail, None) => trail,
            },
        },
    })
}
