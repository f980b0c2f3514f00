//! An order that was admitted is written into the venue's lists, its legs with it.

use std::sync::Arc;

use sandpit_types::{BrokerOrderId, MarketTime, Price, Qty, Side, Usd};

use super::{
    Entry, Task, Venue,
    admit::Admitted,
    form::opposite,
    legs::{Group, Role},
};
use crate::{
    Amount, Class, ClassKind, EventKind, NewOrder, OrderKind, OrderState, PositionIntent, TimeInForce,
    VenueOrder, book::OrderIx, ids::uuid_text, ledger::Hold,
};

/// What an order is, before it has a name.
pub(super) struct Draft {
    pub(super) client_order_id: Option<String>,
    pub(super) symbol: usize,
    pub(super) side: Side,
    pub(super) intent: PositionIntent,
    pub(super) amount: Amount,
    pub(super) kind: OrderKind,
    pub(super) time_in_force: TimeInForce,
    pub(super) extended_hours: bool,
    pub(super) class: ClassKind,
    pub(super) reserve: Price,
    pub(super) notional_shares: Qty,
    pub(super) expires_at: MarketTime,
    pub(super) group: Option<usize>,
    pub(super) is_dormant: bool,
}

impl Venue {
    /// Takes an order that was admitted: it works, is on its way, or is queued until its session.
    pub(super) fn take(&mut self, order: NewOrder, admitted: &Admitted) -> BrokerOrderId {
        let class = order.class;
        let group = (class != Class::Simple).then_some(self.groups.next_number());
        let ix = self.enter(Draft {
            client_order_id: order.client_order_id,
            symbol: admitted.symbol,
            side: order.side,
            intent: admitted.intent,
            amount: order.amount,
            kind: order.kind,
            time_in_force: order.time_in_force,
            extended_hours: order.extended_hours,
            class: class.kind(),
            reserve: admitted.reserve,
            notional_shares: admitted.notional_shares,
            expires_at: admitted.expires_at,
            group,
            is_dormant: false,
        });
        if class != Class::Simple {
            self.hang_legs(ix, class);
        }
        self.wake(ix);
        if !admitted.works_now {
            self.queue(ix);
        } else {
            self.emit(ix, EventKind::PendingNew, None);
            let realism = self.config.realism;
            if realism.has_latency() {
                let at = self.now + self.chance.time(realism.latency_min, realism.latency_max);
                self.entry_mut(ix).arrives_at = Some(at);
                self.schedule(at, Task::Arrive(ix));
            } else {
                self.route(ix);
            }
        }
        self.entry(ix).order.id.clone()
    }

    /// The legs of an order: held, on the other side (of an OCO, on the same), as many shares.
    fn hang_legs(&mut self, parent: OrderIx, class: Class) {
        let group = self.groups.next_number();
        let is_oco = matches!(class, Class::Oco { .. });
        let mut slots = Group::new(parent, is_oco);
        self.groups.push(slots);
        let take_profit = class.take_profit().map(|limit_price| OrderKind::Limit { limit_price });
        let stop_loss = class.stop_loss().map(crate::StopLoss::kind);
        let legs = [(Role::TakeProfit, take_profit), (Role::StopLoss, stop_loss)];
        let mut names = Vec::new();
        for (role, kind) in legs.into_iter().filter_map(|(role, kind)| Some((role, kind?))) {
            let Entry { order, symbol, .. } = self.entry(parent);
            let side = if is_oco { order.side } else { opposite(order.side) };
            let draft = Draft {
                client_order_id: None,
                symbol: *symbol,
                side,
                intent: PositionIntent::closing(side),
                amount: order.amount,
                kind,
                time_in_force: order.time_in_force,
                extended_hours: false,
                class: order.class,
                reserve: Price::ZERO,
                notional_shares: Qty::ZERO,
                expires_at: order.expires_at.expect("every order has an end"),
                group: Some(group),
                is_dormant: true,
            };
            let parent_id = order.id.clone();
            let leg = self.enter(draft);
            self.entry_mut(leg).order.parent = Some(parent_id);
            self.emit(leg, EventKind::Held, None);
            names.push(self.entry(leg).order.id.clone());
            slots.set(role, leg);
        }
        self.groups[group] = slots;
        self.entry_mut(parent).order.legs = names;
    }

    /// Gives an order its names and its place among all orders.
    pub(super) fn enter(&mut self, draft: Draft) -> OrderIx {
        let uuid = self.ids.uuid();
        let client_order_id: Arc<str> = match draft.client_order_id {
            Some(id) if !id.is_empty() => id.into(),
            Some(_) | None => uuid_text(self.ids.uuid()),
        };
        let ix = OrderIx::try_from(self.entries.next_number()).expect("no order is taken without room");
        self.by_id.insert(uuid, ix);
        self.by_client_id.insert(client_order_id.clone(), ix);
        self.open.insert(ix);
        let book = &self.books[draft.symbol];
        let order = VenueOrder {
            id: BrokerOrderId::new(uuid_text(uuid)),
            client_order_id,
            asset_id: book.asset_id.clone(),
            symbol: book.symbol.clone(),
            side: draft.side,
            position_intent: draft.intent,
            amount: draft.amount,
            kind: draft.kind,
            class: draft.class,
            legs: Vec::new(),
            parent: None,
            replaces: None,
            replaced_by: None,
            time_in_force: draft.time_in_force,
            extended_hours: draft.extended_hours,
            limit_price: draft.kind.limit_price(),
            stop_price: draft.kind.stop_price(),
            hwm: None,
            state: OrderState::PendingNew,
            filled_qty: Qty::ZERO,
            filled_cost: Usd::ZERO,
            created_at: self.now,
            submitted_at: self.now,
            updated_at: self.now,
            filled_at: None,
            expired_at: None,
            expires_at: Some(draft.expires_at),
            canceled_at: None,
            failed_at: None,
            replaced_at: None,
        };
        self.entries.push(Entry {
            limit: draft.kind.limit_price().filter(|_| !draft.kind.is_stop()),
            order,
            symbol: draft.symbol,
            reserve: draft.reserve,
            notional_shares: draft.notional_shares,
            hold: Hold::default(),
            is_elected: false,
            is_routed: false,
            is_dormant: draft.is_dormant,
            is_aside: false,
            arrives_at: None,
            waits_since: 0,
            group: draft.group,
            replacement: None,
        });
        ix
    }

    /// An order that is not dormant, or not any more, reserves what it needs and gets its place in its book
    /// and its end.
    pub(super) fn wake(&mut self, ix: OrderIx) {
        self.entry_mut(ix).is_dormant = false;
        self.rehold(ix);
        self.list(ix);
        let order = &self.entry(ix).order;
        if order.time_in_force == TimeInForce::Cls {
            // It ends with the closing auction.
            self.closing.insert(ix);
        } else {
            let at = order.expires_at.expect("every order has an end");
            self.schedule(at, Task::End(ix));
        }
    }

    /// Puts an order into its book: among the stops, or where it can fill.
    pub(super) fn list(&mut self, ix: OrderIx) {
        let entry = &self.entries[ix as usize];
        let book = &mut self.books[entry.symbol];
        match entry.resting(ix) {
            Some(resting) => book.insert(entry.order.side, resting),
            None => book.insert_stop(entry.order.side, ix),
        }
    }

    /// Takes an order out of its book, if it is there.
    pub(super) fn unlist(&mut self, ix: OrderIx) {
        let entry = &self.entries[ix as usize];
        let book = &mut self.books[entry.symbol];
        match entry.resting(ix) {
            Some(resting) => book.remove(entry.order.side, resting),
            None => book.remove_stop(ix),
        }
    }

    /// An order waits for its session.
    pub(super) fn queue(&mut self, ix: OrderIx) {
        self.queued.insert(ix);
        if self.entry(ix).order.state == OrderState::PendingNew {
            self.emit(ix, EventKind::Accepted, None);
        }
    }

    /// An order that was on its way is at the exchange.
    pub(super) fn arrive(&mut self, ix: OrderIx) {
        let Entry { order, .. } = self.entry(ix);
        if !order.is_open() {
            return;
        }
        if self.may_trade(order.extended_hours) { self.route(ix) } else { self.queue(ix) }
    }

    /// An order begins to work and meets the quote.
    pub(super) fn route(&mut self, ix: OrderIx) {
        self.begin_work(ix);
        let Entry { order, symbol, .. } = self.entry(ix);
        let (symbol, side, is_stop) = (*symbol, order.side, order.kind.is_stop());
        let is_immediate = order.time_in_force.is_immediate();
        if !is_stop {
            self.match_side(symbol, side);
        }
        if is_immediate && self.entry(ix).order.is_open() {
            self.end(ix, EventKind::Canceled);
        }
    }

    pub(super) fn schedule(&mut self, at: MarketTime, task: Task) {
        self.tasks.insert((at, task));
        self.set_next_due();
    }
}
