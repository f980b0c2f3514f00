//! From an event to the books, the ledger, the strategy, and what has to be done next.

use sandpit_cores::orders::{Applied, BookError, INCONCLUSIVE, Order, OrderEvent, OrderState, StoredOrder};
use sandpit_types::{ClientOrderId, MarketTime, OrderStatus};
use tracing::info;

use super::{ASK_AGAIN, Machine, errands::Errand};
use crate::{DeskError, DeskOutput, Review, rows};

impl<R: Review> Machine<R> {
    /// Takes in an order that an earlier life stored, and sees to it.
    pub(crate) fn restore(&mut self, order: StoredOrder, now: MarketTime) -> Result<(), DeskError> {
        let id = order.request.client_id.clone();
        self.is_changed = true;
        self.books.restore(order, now).map_err(|error| DeskError::Stored { what: error.to_string() })?;
        self.tend(&id, now);
        if let Some(old) = self.books.order(&id).and_then(|order| order.links.replaces.clone()) {
            self.tend(&old, now);
        }
        Ok(())
    }

    /// The same of one that was closed in the store, when the broker shows it again.
    pub(crate) fn restore_late(&mut self, order: StoredOrder, now: MarketTime) -> Result<(), DeskError> {
        let id = order.request.client_id.clone();
        self.restore(order, now)?;
        self.followed(&id, now);
        Ok(())
    }

    /// Has an order looked up as soon as there is room.
    pub(crate) fn hurry_look_up(&mut self, id: &ClientOrderId, now: MarketTime) {
        self.errands.hurry(Errand::LookUp, id, now);
    }

    /// Applies an event to an order, and records and tells what came of it.
    pub(crate) fn absorb(&mut self, id: &ClientOrderId, event: &OrderEvent, now: MarketTime, note: &str) {
        if event.shown().is_some() {
            self.errands.seen(id, now);
        }
        let before = self.books.update(id, now);
        let stood = self.books.order(id).map(|order| order.state().clone());
        match self.books.apply(id, event) {
            Ok(applied) => {
                if applied.changed {
                    self.errands.refresh(id, now);
                }
                let after = if applied.changed { self.books.update(id, now) } else { None };
                self.keep(id, &applied, now, note);
                if let Some(update) = after.filter(|after| Some(after) != before.as_ref()) {
                    self.tell(DeskOutput::Order { strategy: id.strategy.clone(), update });
                }
                if applied.revived {
                    self.alert(
                        format!("the broker has order {id}, which was taken for gone; it counts again"),
                        now,
                    );
                    self.ask_for_legs(id, now);
                }
                self.legs_moved(&applied.legs, now, note);
                if let Some(shown) = event.shown().filter(|shown| !shown.legs.is_empty()) {
                    self.legs_shown(id, &shown.legs, now, note);
                }
                self.tend(id, now);
                if let Some(stood) = stood.filter(OrderState::is_open) {
                    self.after_end(id, &stood, event, now);
                }
                if let Some(old) = applied.followed {
                    self.hand_wish_on(&old, now);
                }
            }
            Err(BookError::UnknownOrder { .. }) => self.stranger(id, event),
            Err(BookError::TooEarly { old, .. }) => {
                self.errands.hurry(Errand::LookUp, &old, now);
                self.errands.hurry(Errand::LookUp, id, now + ASK_AGAIN);
            }
            Err(BookError::NoPrice { .. }) => self.errands.hurry(Errand::LookUp, id, now + ASK_AGAIN),
            Err(
                error @ (BookError::Impossible { .. } | BookError::Twin { .. } | BookError::Duplicate { .. }),
            ) => {
                self.alert(error.to_string(), now);
            }
        }
    }

    /// Records a change and its fills, and tells the fills.
    pub(super) fn keep(&mut self, id: &ClientOrderId, applied: &Applied, now: MarketTime, note: &str) {
        if self.books.order(id).is_none() || !applied.changed {
            return;
        }
        let name = self.books.known_as(id);
        self.is_changed = true;
        if self.ledger.keeps() {
            self.record_change(id, applied, now, note);
        }
        self.review_fills(&applied.fills);
        if applied.fills.is_empty() {
            return;
        }
        for fill in &applied.fills {
            let side = fill.side.as_str();
            let (strategy, symbol, qty, price) = (&id.strategy, &fill.symbol, fill.qty, fill.price);
            info!(order = %id, %strategy, %symbol, side, %qty, %price, event = "order-filled", "fill");
            self.fill_counted(fill);
            let strategy = id.strategy.clone();
            // First what is held now, then the fill: whoever handles the fill reads the position after it.
            self.tell_sub_book(strategy.clone(), fill.symbol.clone());
            if let Some((id, leg)) = name {
                self.tell(DeskOutput::Fill { strategy, id, leg, fill: fill.clone() });
            }
            self.audit_fill(fill, now);
        }
        let is_whole = self.books.order(id).is_some_and(|order| order.rest().is_zero());
        self.watch_fills(id, &applied.fills, is_whole, now);
        if applied.fills.iter().any(|fill| self.books.disputed(&fill.symbol).is_some()) {
            self.positions.hurry(now);
        }
        let realised = self.books.realised(&id.strategy);
        self.stats.write(|counts| {
            counts.fills += applied.fills.len() as u64;
            let strategy = counts.strategies.entry(id.strategy.clone()).or_default();
            strategy.fills += applied.fills.len() as u64;
            strategy.realised = realised;
        });
    }

    /// Writes down a change and its fills, with what changed beside it.
    fn record_change(&mut self, id: &ClientOrderId, applied: &Applied, now: MarketTime, note: &str) {
        let Some(order) = self.books.order(id) else { return };
        let mut records = vec![rows::change(&self.books, order, now, note)];
        let all_over = |parent: &ClientOrderId| self.books.legs(parent).all(|leg| leg.state().is_settled());
        if let Some((parent, _)) = order.links.leg_of.as_ref().filter(|(parent, _)| all_over(parent)) {
            // The parent, and what took its place, were kept for the sake of its legs.
            records.extend(self.books.line(parent).map(|order| rows::change(&self.books, order, now, note)));
        }
        // One that has not left may have no row.
        let has_left = |order: &&Order| {
            let state = order.state();
            *state != OrderState::Recorded && !state.is_concluded()
        };
        let taken = applied.replacements.iter().filter_map(|id| self.books.order(id)).filter(has_left);
        records.extend(taken.map(|order| rows::change(&self.books, order, now, "what it takes over")));
        let followed = applied.followed.iter().filter_map(|old| self.books.order(old));
        records
            .extend(followed.map(|old| rows::change(&self.books, old, now, "what took its place is known")));
        records.extend(applied.fills.iter().map(|fill| rows::fill(&self.books, fill)));
        records.into_iter().for_each(|record| self.ledger.record(record));
    }

    /// An order that was open is over, if it is.
    fn after_end(&mut self, id: &ClientOrderId, stood: &OrderState, event: &OrderEvent, now: MarketTime) {
        if self.books.order(id).is_none_or(|order| order.state().is_open()) {
            return;
        }
        self.audit_end(id, stood, now);
        let state = self.books.order(id).map(|order| order.state().clone());
        let is_ours = stood.is_unwanted()
            || !matches!(
                state,
                Some(OrderState::Terminal(
                    OrderStatus::Canceled | OrderStatus::Expired | OrderStatus::DoneForDay
                ))
            );
        self.watch_end(id, is_ours);
        self.log_end(id, stood, event);
        self.hand_wish_on(id, now);
        self.ended_in_family(id, now);
        if let Some(old) = self.books.order(id).and_then(|order| order.links.replaces.clone()) {
            // If this one did not take its place, another one may have.
            self.tend(&old, now);
        }
        // A replacement may have waited for this one's end to have its shares counted.
        let next = self.books.open_replacement(id).filter(|next| next.broker_id().is_some());
        if let Some(next) = next.map(|next| next.client_id().clone()) {
            self.errands.urge(Errand::LookUp, &next, now + ASK_AGAIN);
        }
    }

    /// An order of unknown outcome is asked for as soon as the answer is certain to say what became of it:
    /// until then it keeps its shares, and whoever leaves the symbol waits for it.
    fn ask_when_certain(&mut self, id: &ClientOrderId, now: MarketTime) {
        let Some(OrderState::Unknown { since, .. }) = self.books.order(id).map(Order::state) else { return };
        let certain = *since + INCONCLUSIVE;
        if now < certain {
            self.errands.hurry(Errand::LookUp, id, certain);
        }
    }

    /// Sees to it that what an order's state asks for is under way.
    pub(super) fn tend(&mut self, id: &ClientOrderId, now: MarketTime) {
        let Some(order) = self.books.order(id) else { return self.errands.forget(id) };
        if order.is_leg() && order.broker_id().is_none() && !order.state().is_settled() {
            return self.tend_unseen(id, now);
        }
        let owes = self.owes_legs(id) || self.books.owes_successor(order);
        match order.state() {
            // A rejected order may be there after all, so it is looked up once.
            OrderState::Unknown { .. } | OrderState::Rejected { confirmed: false, .. } => {
                self.errands.want(Errand::LookUp, id, now + ASK_AGAIN);
                self.ask_when_certain(id, now);
            }
            OrderState::Cancelling(_) if self.goes_with_parent(id) => {}
            OrderState::Cancelling(_) => self.errands.want(Errand::Cancel, id, now),
            OrderState::Recorded | OrderState::Sending { .. } | OrderState::Working(_) => {}
            OrderState::NotSent
            | OrderState::Rejected { confirmed: true, .. }
            | OrderState::NeverArrived { .. }
            | OrderState::Terminal(_) => {
                self.errands.drop(Errand::Cancel, id);
                if !owes {
                    self.errands.drop(Errand::LookUp, id);
                }
                self.hearing.over(id);
            }
        }
        if owes {
            self.errands.want(Errand::LookUp, id, now + ASK_AGAIN);
        }
    }
}
