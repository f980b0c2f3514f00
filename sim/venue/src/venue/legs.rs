//! Groups of orders: an entry and its exits, or two exits.

use sandpit_types::{Qty, Side};

use super::Venue;
use crate::{Amount, EventKind, OrderState, book::OrderIx};

/// The orders of a group, by what they do in it. A replacement takes the place of the order it replaces.
#[derive(Clone, Copy, Debug)]
pub(super) struct Group {
    entry: Option<OrderIx>,
    take_profit: Option<OrderIx>,
    stop_loss: Option<OrderIx>,
    /// Whether the exits are on: the entry is filled, or the take-profit of an OCO works.
    is_active: bool,
    /// Whether the stop-loss took over from the take-profit.
    is_fired: bool,
}

/// What an order does in its group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    Entry,
    TakeProfit,
    StopLoss,
}

impl Group {
    pub(super) const fn new(parent: OrderIx, is_oco: bool) -> Self {
        let (entry, take_profit) = if is_oco { (None, Some(parent)) } else { (Some(parent), None) };
        Self { entry, take_profit, stop_loss: None, is_active: false, is_fired: false }
    }

    pub(super) const fn set(&mut self, role: Role, ix: OrderIx) {
        match role {
            Role::Entry => self.entry = Some(ix),
            Role::TakeProfit => self.take_profit = Some(ix),
            Role::StopLoss => self.stop_loss = Some(ix),
        }
    }

    pub(super) fn role(&self, ix: OrderIx) -> Option<Role> {
        if self.entry == Some(ix) {
            Some(Role::Entry)
        } else if self.take_profit == Some(ix) {
            Some(Role::TakeProfit)
        } else if self.stop_loss == Some(ix) {
            Some(Role::StopLoss)
        } else {
            None
        }
    }

    pub(super) const fn stop_loss(&self) -> Option<OrderIx> {
        self.stop_loss
    }

    pub(super) const fn take_profit(&self) -> Option<OrderIx> {
        self.take_profit
    }

    pub(super) const fn entry(&self) -> Option<OrderIx> {
        self.entry
    }

    /// The orders that have a part in it now.
    pub(super) fn members(&self) -> impl Iterator<Item = OrderIx> {
        [self.entry, self.take_profit, self.stop_loss].into_iter().flatten()
    }

    pub(super) const fn is_oco(&self) -> bool {
        self.entry.is_none()
    }

    pub(super) const fn is_active(&self) -> bool {
        self.is_active
    }
}

impl Venue {
    /// The group of an order and what it does there.
    pub(super) fn place_in_group(&self, ix: OrderIx) -> Option<(usize, Role)> {
        let group = self.entry(ix).group?;
        Some((group, self.groups[group].role(ix)?))
    }

    /// An order began to work: with the take-profit of an OCO its stop-loss is on.
    pub(super) fn after_routed(&mut self, ix: OrderIx) {
        let Some((group, Role::TakeProfit)) = self.place_in_group(ix) else { return };
        if self.groups[group].is_oco() && !self.groups[group].is_active {
            self.groups[group].is_active = true;
            self.watch_stop_loss(group);
        }
    }

    /// An order filled, in part or wholly.
    pub(super) fn after_fill(&mut self, ix: OrderIx, is_whole: bool) {
        let Some((group, role)) = self.place_in_group(ix) else { return };
        match role {
            Role::Entry if is_whole => self.begin_exits(group),
            Role::TakeProfit if is_whole => self.cancel_leg(self.groups[group].stop_loss),
            Role::TakeProfit => self.shrink_stop_loss(group, ix),
            Role::Entry | Role::StopLoss => {}
        }
    }

    /// An order ended without being filled.
    pub(super) fn after_end(&mut self, ix: OrderIx) {
        let Some((group, role)) = self.place_in_group(ix) else { return };
        let Group { take_profit, stop_loss, is_active, is_fired, .. } = self.groups[group];
        match role {
            Role::Entry if !is_active => {
                self.cancel_leg(take_profit);
                self.cancel_leg(stop_loss);
            }
            Role::TakeProfit if !is_fired => self.cancel_leg(stop_loss),
            Role::StopLoss => self.cancel_leg(take_profit),
            Role::Entry | Role::TakeProfit => {}
        }
    }

    fn cancel_leg(&mut self, leg: Option<OrderIx>) {
        if let Some(ix) = leg
            && self.entry(ix).order.is_open()
        {
            self.end(ix, EventKind::Canceled);
        }
    }

    /// The entry is filled: the first exit begins to work. Both close no more than the whole shares that are
    /// free; if there are none the first is rejected.
    fn begin_exits(&mut self, group: usize) {
        self.groups[group].is_active = true;
        let Group { take_profit, stop_loss, .. } = self.groups[group];
        let open = |leg: Option<OrderIx>| leg.filter(|&ix| self.entry(ix).order.is_open());
        let Some(first) = open(take_profit).or(open(stop_loss)) else { return };
        let free = self.shares_for_exit(first);
        if free.is_zero() {
            self.end(first, EventKind::Rejected);
            return;
        }
        for leg in [open(take_profit), open(stop_loss)].into_iter().flatten() {
            let order = &mut self.entry_mut(leg).order;
            order.amount = Amount::Qty(order.remaining().min(free));
        }
        if Some(first) == take_profit {
            self.watch_stop_loss(group);
        }
        self.wake(first);
        self.route(first);
    }

    /// The whole shares that an exit can close: held and free.
    fn shares_for_exit(&self, ix: OrderIx) -> Qty {
        let entry = self.entry(ix);
        let holding = &self.ledger.holdings[entry.symbol];
        let closes = match entry.order.side {
            Side::Sell => holding.qty.is_positive(),
            Side::Buy => (-holding.qty).is_positive(),
        };
        if closes { Qty::new(holding.available().get().trunc()) } else { Qty::ZERO }
    }

    /// From now on the stop-loss beside the take-profit can be elected.
    fn watch_stop_loss(&mut self, group: usize) {
        if let Some(ix) = self.groups[group].stop_loss
            && self.entry(ix).order.is_open()
        {
            self.list(ix);
        }
    }

    /// The stop-loss protects what the take-profit has not sold yet.
    fn shrink_stop_loss(&mut self, group: usize, take_profit: OrderIx) {
        let left = self.entry(take_profit).order.remaining();
        if let Some(ix) = self.groups[group].stop_loss
            && self.entry(ix).order.is_open()
        {
            self.entry_mut(ix).order.amount = Amount::Qty(left);
        }
    }

    /// A held stop-loss takes over: the take-profit is cancelled, then it works itself.
    pub(super) fn fire_stop_loss(&mut self, ix: OrderIx) {
        let Some((group, Role::StopLoss)) = self.place_in_group(ix) else { return };
        self.groups[group].is_fired = true;
        self.cancel_leg(self.groups[group].take_profit);
        // It is in its book already: only its place there changes, with the election.
        self.unlist(ix);
        self.wake(ix);
        self.begin_work(ix);
    }

    /// Whether a stop-loss waits beside its take-profit.
    pub(super) fn is_held(&self, ix: OrderIx) -> bool {
        let entry = self.entry(ix);
        let is_open = matches!(entry.order.state, OrderState::Held | OrderState::PendingCancel);
        is_open && entry.is_dormant
    }
}
