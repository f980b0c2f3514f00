//! An order's way from beginning to work to its end, and what the passing of time does to all of them.

use sandpit_types::{ExecutionId, MarketTime, Price, Qty, Usd};

use super::{Entry, Task, Venue, admit::cost};
use crate::{
    EventKind, OrderKind, OrderState, Phase, TimeInForce, VenueEvent, book::OrderIx, ids::uuid_text,
    ledger::Hold,
};

/// What an execution adds to an event.
pub(super) struct Execution {
    qty: Qty,
    price: Price,
    position_qty: Qty,
    fees: Usd,
}

impl Venue {
    /// An order is at the exchange: from now on it may fill, or be elected.
    pub(super) fn begin_work(&mut self, ix: OrderIx) {
        let entry = &mut self.entries[ix as usize];
        entry.is_routed = true;
        if let OrderKind::TrailingStop { trail } = entry.order.kind
            && entry.order.hwm.is_none()
            && let Some(mark) = self.books[entry.symbol].mark()
        {
            entry.order.hwm = Some(mark);
            entry.order.stop_price = Some(super::power::stop_of(entry.order.side, mark, trail));
        }
        self.emit(ix, EventKind::New, None);
        self.after_routed(ix);
    }

    /// Books an execution of an open order.
    pub(super) fn fill(&mut self, ix: OrderIx, qty: Qty, price: Price) {
        let Entry { order, symbol, .. } = &mut self.entries[ix as usize];
        let symbol = *symbol;
        let (side, intent) = (order.side, order.position_intent);
        order.filled_qty += qty;
        order.filled_cost += price * qty;
        let is_whole = order.remaining().is_zero();
        let position_qty = self.ledger.execute(symbol, side.signed(qty), price);
        self.day_trades.on_fill(symbol, intent);
        let fees = self.accrue_fees(side, qty, price);
        if is_whole {
            self.leave(ix);
        }
        let kind = if is_whole { EventKind::Fill } else { EventKind::PartialFill };
        self.emit(ix, kind, Some(Execution { qty, price, position_qty, fees }));
        self.rehold(ix);
        self.after_fill(ix, is_whole);
    }

    /// Ends an open order that is not filled.
    pub(super) fn end(&mut self, ix: OrderIx, kind: EventKind) {
        self.leave(ix);
        self.emit(ix, kind, None);
        self.rehold(ix);
        self.after_end(ix);
    }

    /// Takes an order off every list of open ones.
    pub(super) fn leave(&mut self, ix: OrderIx) {
        self.unlist(ix);
        let order = &self.entry(ix).order;
        if let Some(at) = order.expires_at {
            self.tasks.remove(&(at, Task::End(ix)));
        }
        self.open.remove(&ix);
        self.queued.remove(&ix);
        self.closing.remove(&ix);
        self.aside.remove(&ix);
        self.stuck.remove(&ix);
        self.set_next_due();
    }

    /// What an order reserves follows what it is now.
    pub(super) fn rehold(&mut self, ix: OrderIx) {
        let wanted = self.wanted_hold(ix);
        let entry = &mut self.entries[ix as usize];
        self.ledger.rehold(entry.symbol, entry.hold, wanted);
        entry.hold = wanted;
    }

    fn wanted_hold(&self, ix: OrderIx) -> Hold {
        let entry = self.entry(ix);
        if entry.is_dormant || !entry.order.is_open() {
            return Hold::default();
        }
        let own = |entry: &Entry, filled: Qty| {
            let order = &entry.order;
            let filled = order.qty().map_or(filled, |qty| filled.min(qty));
            let (intent, amount) = (order.position_intent, order.amount);
            cost(intent, amount, filled, entry.reserve, entry.notional_shares)
        };
        let filled = entry.order.filled_qty;
        let hold = own(entry, filled);
        entry.replacement.map_or(hold, |new| hold.max(own(self.entry(new), filled)))
    }

    /// Moves the order on and announces it.
    pub(super) fn emit(&mut self, ix: OrderIx, kind: EventKind, execution: Option<Execution>) {
        let time = self.now;
        let has_id = kind.is_announced() && kind != EventKind::PendingNew;
        let execution_id = has_id.then(|| ExecutionId::new(uuid_text(self.ids.uuid())));
        let entry = &mut self.entries[ix as usize];
        let order = &mut entry.order;
        let has_filled = order.filled_qty.is_positive();
        order.state =
            order.state.after(kind, has_filled).expect("the venue makes only events that are possible");
        order.updated_at = time;
        match kind {
            // Nothing is announced of a queued order until its session begins or it ends (Alpaca-API#74).
            EventKind::Accepted | EventKind::Held => return,
            EventKind::New => entry.is_aside = false,
            EventKind::DoneForDay | EventKind::Suspended | EventKind::Calculated => entry.is_aside = true,
            EventKind::Fill => order.filled_at = Some(time),
            EventKind::Canceled => order.canceled_at = Some(time),
            EventKind::Expired => order.expired_at = Some(time),
            EventKind::Rejected => order.failed_at = Some(time),
            EventKind::Replaced => order.replaced_at = Some(time),
            EventKind::PendingNew
            | EventKind::PartialFill
            | EventKind::PendingCancel
            | EventKind::PendingReplace
            | EventKind::CancelRejected
            | EventKind::ReplaceRejected
            | EventKind::Stopped => {}
        }
        let (qty, price) = execution.as_ref().map(|fill| (fill.qty, fill.price)).unzip();
        let (position_qty, fees) = execution.map(|fill| (fill.position_qty, fill.fees)).unzip();
        let order = order.clone();
        self.events.push(VenueEvent { kind, execution_id, price, qty, position_qty, fees, time, order });
    }

    /// Does the one thing that falls due first, at `at`.
    pub(super) fn next_step(&mut self, at: MarketTime) {
        let ends_session = self.phase == Phase::Open && at == self.next_change;
        if self.fees.due().is_some_and(|due| due <= at) {
            self.book_fees();
        } else if ends_session && self.auctioned_at != at {
            self.auctioned_at = at;
            self.close_auction();
        } else if let Some((_, task)) = self.tasks.first().copied().filter(|&(due, _)| due <= at) {
            self.tasks.pop_first();
            self.perform(task);
        } else {
            self.change_phase();
        }
    }

    fn perform(&mut self, task: Task) {
        match task {
            Task::Arrive(ix) => self.arrive(ix),
            Task::ArriveCancel(ix) => self.arrive_cancel(ix),
            Task::ArriveReplace(ix) => self.arrive_replace(ix),
            Task::End(ix) => match self.entry(ix).order.time_in_force {
                TimeInForce::Day => self.end(ix, EventKind::Expired),
                TimeInForce::Gtc
                | TimeInForce::Ioc
                | TimeInForce::Fok
                | TimeInForce::Opg
                | TimeInForce::Cls => self.end(ix, EventKind::Canceled),
            },
        }
    }

    /// The calendar's next phase begins.
    fn change_phase(&mut self) {
        if self.phase == Phase::Open {
            self.note_close();
            for book in &mut self.books {
                book.last_close = book.mark().or(book.last_close);
            }
        }
        self.phase = self.calendar.phase(self.next_change);
        self.phase_since = self.next_change;
        self.next_change = self.calendar.next_change(self.next_change);
        if self.phase == Phase::Pre || self.calendar.is_always_open() {
            self.day_trades.next_day();
        }
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
        if self.phase == Phase::Open {
            for ix in std::mem::take(&mut self.aside) {
                let is_aside =
                    matches!(self.entry(ix).order.state, OrderState::DoneForDay | OrderState::Calculated);
                if is_aside {
                    self.bring_back(ix);
                }
            }
        }
        let may_trade = |ix: &OrderIx| {
            let order = &self.entry(*ix).order;
            self.may_trade(order.extended_hours)
        };
        let ready: Vec<OrderIx> = self.queued.iter().copied().filter(may_trade).collect();
        for ix in ready {
            self.queued.remove(&ix);
            let Entry { order, symbol, .. } = self.entry(ix);
            if order.time_in_force.is_immediate() {
                let symbol = *symbol;
                self.books[symbol].has_immediate = true;
            }
            self.begin_work(ix);
        }
    }

    pub(super) fn set_next_due(&mut self) {
        let task = self.tasks.first().map(|&(at, _)| at);
        let first = [task, self.fees.due()].into_iter().flatten().min();
        self.next_due = first.map_or(self.next_change, |at| at.min(self.next_change));
    }
}
