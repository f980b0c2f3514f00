//! Cancels, at once or under way, and events that come from outside.

use sandpit_types::{BrokerOrderId, MarketTime};

use super::{Task, Venue};
use crate::{CancelReject, EventKind, ForceReject, ImpossibleEvent, OrderState, book::OrderIx};

impl Venue {
    /// Cancels an order: at once, or when the request has arrived (it is `pending_cancel` until then). The id
    /// may be written with or without dashes. A cancel that is under way already is taken again.
    ///
    /// # Errors
    /// When there is no such order, it is done, or a replace of it is under way.
    pub fn cancel(&mut self, id: &BrokerOrderId, now: MarketTime) -> Result<(), CancelReject> {
        self.advance(now);
        let Some(ix) = self.index(id) else { return Err(CancelReject::NotFound { id: id.clone() }) };
        let entry = self.entry(ix);
        let state = entry.order.state;
        let is_replacement = entry.is_dormant && state != OrderState::Held;
        if state == OrderState::PendingCancel {
            return Ok(());
        }
        if state.is_terminal() || state == OrderState::PendingReplace || is_replacement {
            return Err(CancelReject::Terminal { state });
        }
        // A queued order and a held leg are with the broker: no way to go.
        let is_near = matches!(state, OrderState::Accepted | OrderState::Held);
        if !is_near && self.takes_time(ix) {
            let realism = self.config.realism;
            let at = self.now + self.chance.time(realism.latency_min, realism.latency_max);
            let at = entry_time(self.entry(ix).arrives_at, at);
            self.emit(ix, EventKind::PendingCancel, None);
            self.schedule(at, Task::ArriveCancel(ix));
        } else if self.has_stuck_cancels {
            self.emit(ix, EventKind::PendingCancel, None);
            self.stuck.insert(ix);
        } else {
            self.end(ix, EventKind::Canceled);
        }
        Ok(())
    }

    /// Whether a request about an order has a way to go: while its session is on.
    pub(super) fn takes_time(&self, ix: OrderIx) -> bool {
        self.config.realism.has_latency() && self.may_trade(self.entry(ix).order.extended_hours)
    }

    /// A cancel that was under way has arrived.
    pub(super) fn arrive_cancel(&mut self, ix: OrderIx) {
        match self.entry(ix).order.state {
            OrderState::Filled => self.emit(ix, EventKind::CancelRejected, None),
            state if state.is_terminal() => {}
            _ if self.has_stuck_cancels => {
                self.stuck.insert(ix);
            }
            _ => self.end(ix, EventKind::Canceled),
        }
    }

    /// While set, cancels end in `pending_cancel` and stay there; clearing it lets them finish, in order of
    /// submission. Orders may fill and expire meanwhile.
    pub fn set_stuck_cancels(&mut self, stuck: bool) {
        self.has_stuck_cancels = stuck;
        while !stuck && let Some(ix) = self.stuck.pop_first() {
            self.end(ix, EventKind::Canceled);
        }
    }

    /// Makes something happen to an order from outside: `new` (back to work, after one of the next four),
    /// `rejected`, `done_for_day`, `stopped`, `suspended`, `calculated`, `canceled` or `expired`.
    ///
    /// # Errors
    /// When there is no such order, or it cannot have that event; nothing changed then.
    pub fn force(
        &mut self,
        id: &BrokerOrderId,
        event: EventKind,
        now: MarketTime,
    ) -> Result<(), ForceReject> {
        self.advance(now);
        let ix = self.index(id).ok_or_else(|| ForceReject::NotFound { id: id.clone() })?;
        let order = &self.entry(ix).order;
        let state = order.state;
        let is_replacement = self.entry(ix).is_dormant && state == OrderState::PendingNew;
        let impossible = ImpossibleEvent { state, event };
        state.after(event, order.filled_qty.is_positive())?;
        match event {
            _ if is_replacement => return Err(impossible.into()),
            EventKind::Rejected | EventKind::Canceled | EventKind::Expired => self.end(ix, event),
            EventKind::DoneForDay | EventKind::Calculated => {
                self.aside.insert(ix);
                self.emit(ix, event, None);
            }
            EventKind::Stopped | EventKind::Suspended => self.emit(ix, event, None),
            EventKind::New if is_set_aside(state) => self.bring_back(ix),
            EventKind::New
            | EventKind::PendingNew
            | EventKind::Accepted
            | EventKind::PartialFill
            | EventKind::Fill
            | EventKind::PendingCancel
            | EventKind::PendingReplace
            | EventKind::Replaced
            | EventKind::Held
            | EventKind::CancelRejected
            | EventKind::ReplaceRejected => return Err(impossible.into()),
        }
        Ok(())
    }

    /// An order that was set aside works again, and meets the quote that stands.
    pub(super) fn bring_back(&mut self, ix: OrderIx) {
        self.aside.remove(&ix);
        self.emit(ix, EventKind::New, None);
        let (symbol, side) = (self.entry(ix).symbol, self.entry(ix).order.side);
        self.match_side(symbol, side);
        let order = &self.entry(ix).order;
        if order.time_in_force.is_immediate() && order.is_open() {
            self.end(ix, EventKind::Canceled);
        }
    }
}

/// A request about an order does not arrive before the order itself.
fn entry_time(order: Option<MarketTime>, request: MarketTime) -> MarketTime {
    order.map_or(request, |order| order.max(request))
}

const fn is_set_aside(state: OrderState) -> bool {
    matches!(
        state,
        OrderState::DoneForDay | OrderState::Stopped | OrderState::Suspended | OrderState::Calculated
    )
}
