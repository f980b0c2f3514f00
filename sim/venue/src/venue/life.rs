//! An order's way from being taken to its end, and what the passing of time does to all of them.

use std::sync::Arc;

use sandpit_types::{BrokerOrderId, ExecutionId, Price, Qty, Usd};

use super::{Entry, Venue, admit::Admitted};
use crate::{
    EventKind, NewOrder, OrderState, Phase, TimeInForce, VenueEvent, VenueOrder,
    book::{OrderIx, Resting},
};

/// What an execution adds to an event.
struct Execution {
    qty: Qty,
    price: Price,
    position_qty: Qty,
}

impl Venue {
    /// Takes an order that was admitted: it works at once, or is queued until its session.
    pub(super) fn take(&mut self, order: NewOrder, admitted: Admitted) -> BrokerOrderId {
        let (symbol, side) = (admitted.symbol, order.side);
        let is_immediate = matches!(order.time_in_force, TimeInForce::Ioc | TimeInForce::Fok);
        let limit = order.kind.limit_price();
        let ix = self.enter(order, &admitted);
        self.books[symbol].insert(side, Resting { ix, limit });
        if admitted.works_now {
            self.emit(ix, EventKind::PendingNew, None);
            self.emit(ix, EventKind::New, None);
            self.match_side(symbol, side);
            if is_immediate && self.entry(ix).order.is_open() {
                self.end(ix, EventKind::Canceled);
            }
        } else {
            self.queued.insert(ix);
            self.emit(ix, EventKind::Accepted, None);
        }
        self.entry(ix).order.id.clone()
    }

    /// Writes an admitted order into every list but its book.
    fn enter(&mut self, order: NewOrder, admitted: &Admitted) -> OrderIx {
        let uuid = self.ids.uuid();
        let client_order_id: Arc<str> = match order.client_order_id {
            Some(id) if !id.is_empty() => id.into(),
            Some(_) | None => self.ids.uuid().to_string().into(),
        };
        let ix = OrderIx::try_from(self.entries.len()).expect("the number of orders is bounded");
        self.by_id.insert(uuid, ix);
        self.by_client_id.insert(client_order_id.clone(), ix);
        self.open.insert(ix);
        self.timers.insert((admitted.expires_at, ix));
        self.set_next_due();
        self.ledger.hold(admitted.symbol, admitted.intent, admitted.qty, admitted.reserve);
        let order = VenueOrder {
            id: BrokerOrderId::new(uuid.to_string()),
            client_order_id,
            asset_id: self.books[admitted.symbol].asset_id.clone(),
            symbol: order.symbol,
            side: order.side,
            position_intent: admitted.intent,
            amount: order.amount,
            kind: order.kind,
            class: order.class.kind(),
            legs: Vec::new(),
            parent: None,
            replaces: None,
            replaced_by: None,
            limit_price: order.kind.limit_price(),
            stop_price: order.kind.stop_price(),
            hwm: None,
            time_in_force: order.time_in_force,
            extended_hours: order.extended_hours,
            state: OrderState::PendingNew,
            filled_qty: Qty::ZERO,
            filled_cost: Usd::ZERO,
            created_at: self.now,
            submitted_at: self.now,
            updated_at: self.now,
            filled_at: None,
            expired_at: None,
            expires_at: Some(admitted.expires_at),
            canceled_at: None,
            failed_at: None,
            replaced_at: None,
        };
        self.entries.push(Entry { order, symbol: admitted.symbol, reserve: admitted.reserve });
        ix
    }

    /// Books an execution of an open order.
    pub(super) fn fill(&mut self, ix: OrderIx, qty: Qty, price: Price) {
        let Entry { order, symbol, reserve } = &mut self.entries[ix as usize];
        let (symbol, reserve) = (*symbol, *reserve);
        let (side, intent) = (order.side, order.position_intent);
        order.filled_qty += qty;
        order.filled_cost += price * qty;
        let is_whole = order.remaining().is_zero();
        self.ledger.release(symbol, intent, qty, reserve);
        let position_qty = self.ledger.execute(symbol, side.signed(qty), price);
        let kind = if is_whole { EventKind::Fill } else { EventKind::PartialFill };
        if is_whole {
            self.leave(ix);
        }
        self.emit(ix, kind, Some(Execution { qty, price, position_qty }));
    }

    /// Ends an open order that is not filled.
    pub(super) fn end(&mut self, ix: OrderIx, kind: EventKind) {
        let Entry { order, symbol, reserve } = self.entry(ix);
        let (symbol, reserve) = (*symbol, *reserve);
        let (intent, remaining) = (order.position_intent, order.remaining());
        self.ledger.release(symbol, intent, remaining, reserve);
        self.leave(ix);
        self.emit(ix, kind, None);
    }

    /// Takes an order off every list of open ones.
    fn leave(&mut self, ix: OrderIx) {
        let Entry { order, symbol, .. } = &self.entries[ix as usize];
        self.books[*symbol].remove(order.side, ix);
        if let Some(at) = order.expires_at {
            self.timers.remove(&(at, ix));
        }
        self.open.remove(&ix);
        self.queued.remove(&ix);
        self.set_next_due();
    }

    /// Moves the order on and announces it.
    fn emit(&mut self, ix: OrderIx, kind: EventKind, execution: Option<Execution>) {
        let time = self.now;
        let has_id = !matches!(kind, EventKind::PendingNew | EventKind::Accepted);
        let execution_id = has_id.then(|| ExecutionId::new(self.ids.uuid().to_string()));
        let order = &mut self.entries[ix as usize].order;
        order.state = order
            .state
            .after(kind, order.filled_qty.is_positive())
            .expect("the venue makes only events that are possible");
        order.updated_at = time;
        match kind {
            // Nothing is announced of a queued order until its session begins or it ends (Alpaca-API#74).
            EventKind::Accepted | EventKind::Held => return,
            EventKind::Fill => order.filled_at = Some(time),
            EventKind::Canceled => order.canceled_at = Some(time),
            EventKind::Expired => order.expired_at = Some(time),
            EventKind::Rejected => order.failed_at = Some(time),
            EventKind::Replaced => order.replaced_at = Some(time),
            EventKind::PendingNew
            | EventKind::New
            | EventKind::PartialFill
            | EventKind::PendingCancel
            | EventKind::PendingReplace
            | EventKind::CancelRejected
            | EventKind::ReplaceRejected
            | EventKind::DoneForDay
            | EventKind::Stopped
            | EventKind::Suspended
            | EventKind::Calculated => {}
        }
        let (qty, price) = execution.as_ref().map(|fill| (fill.qty, fill.price)).unzip();
        let position_qty = execution.map(|fill| fill.position_qty);
        let order = order.clone();
        self.events.push(VenueEvent { kind, execution_id, price, qty, position_qty, time, order });
    }

    /// The time of an order has run out.
    pub(super) fn run_out(&mut self, ix: OrderIx) {
        match self.entry(ix).order.time_in_force {
            TimeInForce::Day => self.end(ix, EventKind::Expired),
            TimeInForce::Gtc | TimeInForce::Ioc | TimeInForce::Fok | TimeInForce::Opg | TimeInForce::Cls => {
                self.end(ix, EventKind::Canceled)
            }
        }
    }

    /// The calendar's next phase begins.
    pub(super) fn change_phase(&mut self) {
        if self.phase == Phase::Open {
            self.last_equity = self.worth().equity;
            for book in &mut self.books {
                book.last_close = book.mark().or(book.last_close);
            }
        }
        self.phase = self.calendar.phase(self.next_change);
        self.next_change = self.calendar.next_change(self.next_change);
        match self.phase {
            Phase::Pre | Phase::Open => self.begin_phase(),
            Phase::Post | Phase::Closed => {}
        }
    }

    /// Queued orders begin to work; they wait for the first quote of the phase.
    fn begin_phase(&mut self) {
        if !self.calendar.is_always_open() {
            self.books.iter_mut().for_each(crate::book::Book::forget_levels);
        }
        let may_trade = |ix: &OrderIx| self.may_trade(self.entry(*ix).order.extended_hours);
        let ready: Vec<OrderIx> = self.queued.iter().copied().filter(may_trade).collect();
        for ix in ready {
            self.queued.remove(&ix);
            let Entry { order, symbol, .. } = self.entry(ix);
            if matches!(order.time_in_force, TimeInForce::Ioc | TimeInForce::Fok) {
                let symbol = *symbol;
                self.books[symbol].has_immediate = true;
            }
            self.emit(ix, EventKind::New, None);
        }
    }

    pub(super) fn set_next_due(&mut self) {
        let timer = self.timers.first().map(|&(at, _)| at);
        self.next_due = timer.map_or(self.next_change, |at| at.min(self.next_change));
    }
}
