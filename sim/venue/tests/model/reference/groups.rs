//! Orders that hang together: bracket, OCO and OTO.

use rust_decimal::Decimal;
use sandpit_venue::{Class, EventKind, OrderState};

use super::{Model, Role, Work};

impl Model {
    /// The other exit of the group, while something may still happen to it.
    fn sibling(&self, place: usize) -> Option<usize> {
        let order = &self.orders[place];
        let other = |legs: &[usize]| legs.iter().copied().find(|&leg| leg != place);
        let found = match (order.role, order.parent) {
            (Role::TakeProfit, None) => other(&order.legs),
            (Role::TakeProfit | Role::StopLoss, Some(parent)) => {
                // An OCO's parent is its take-profit.
                if self.orders[parent].role == Role::TakeProfit {
                    Some(parent)
                } else {
                    other(&self.orders[parent].legs)
                }
            }
            (Role::Single | Role::Entry, _) | (Role::StopLoss, None) => None,
        };
        found.filter(|&found| self.orders[found].is_open())
    }

    /// The order is wholly filled.
    pub(super) fn after_fill(&mut self, place: usize) {
        match self.orders[place].role {
            Role::Single => {}
            Role::Entry => self.release_legs(place),
            Role::TakeProfit | Role::StopLoss => {
                if let Some(other) = self.sibling(place) {
                    self.turn(other, OrderState::Canceled, EventKind::Canceled);
                }
            }
        }
    }

    /// A part of the order is filled: the stop of a take-profit shrinks.
    pub(super) fn after_part(&mut self, place: usize) {
        if self.orders[place].role == Role::TakeProfit
            && let Some(stop) = self.sibling(place)
        {
            self.orders[stop].qty = Some(self.orders[place].left());
        }
    }

    /// The entry is filled: its exits begin.
    fn release_legs(&mut self, place: usize) {
        let bracket = matches!(self.orders[place].class, Class::Bracket { .. });
        for leg in self.orders[place].legs.clone() {
            let stop = self.orders[leg].role == Role::StopLoss;
            if !self.orders[leg].is_open() || (bracket && stop) {
                continue;
            }
            let free = self.free_for(leg);
            if free > Decimal::ZERO {
                for &exit in &self.orders[place].legs.clone() {
                    let left = self.orders[exit].left();
                    self.orders[exit].qty = Some(left.min(free));
                }
                self.turn_new(leg);
                if self.orders[leg].work != Work::Waits {
                    self.meet_side(self.orders[leg].symbol, self.orders[leg].side);
                }
            } else {
                self.end(leg, OrderState::Rejected, EventKind::Rejected);
            }
        }
    }

    /// The whole shares that are there and free for an exit to close.
    fn free_for(&self, leg: usize) -> Decimal {
        let leg = &self.orders[leg];
        let held = self.markets[leg.symbol].held;
        if held * leg.sign() < Decimal::ZERO {
            (held.abs() - self.reserved(leg.symbol)).trunc()
        } else {
            Decimal::ZERO
        }
    }

    /// An order ends without being filled; what hangs on it goes with it.
    pub(super) fn end(&mut self, place: usize, state: OrderState, kind: EventKind) {
        self.turn(place, state, kind);
        match self.orders[place].role {
            Role::Single => {}
            Role::Entry => {
                for leg in self.orders[place].legs.clone() {
                    if self.orders[leg].is_open() {
                        self.turn(leg, OrderState::Canceled, EventKind::Canceled);
                    }
                }
            }
            Role::TakeProfit | Role::StopLoss => {
                if let Some(other) = self.sibling(place) {
                    self.turn(other, OrderState::Canceled, EventKind::Canceled);
                }
            }
        }
    }

    /// Whether a stop may be elected: it works, or it is the held one of two exits.
    pub(crate) fn may_elect(&self, place: usize) -> bool {
        let order = &self.orders[place];
        if order.work != Work::Waits {
            return false;
        }
        if order.is_held_leg() {
            return order.is_open() && self.sibling(place).is_some_and(|other| self.orders[other].begun);
        }
        self.is_at_exchange(place)
    }

    /// A held stop begins to work because it is elected; the take-profit goes.
    pub(super) fn begin_stop(&mut self, place: usize) {
        if !self.orders[place].is_held_leg() {
            return;
        }
        if let Some(other) = self.sibling(place) {
            self.turn(other, OrderState::Canceled, EventKind::Canceled);
        }
        self.turn_new(place);
    }

    /// Shares that open orders reserve of a position.
    pub(crate) fn reserved(&self, symbol: usize) -> Decimal {
        let open = self.open();
        let closing = open
            .iter()
            .map(|&order| &self.orders[order])
            .filter(|order| order.symbol == symbol && !order.opens && !order.is_held_leg());
        closing.map(|order| order.left() + order.reserve).sum()
    }
}

impl super::Order {
    /// Whether this is a leg that waits for its group.
    pub(super) fn is_held_leg(&self) -> bool {
        self.parent.is_some() && !self.begun && !self.queued
    }
}
