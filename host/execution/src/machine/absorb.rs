//! From an event to the books, the ledger, the strategy, and what has to be done next.

use sandpit_cores::orders::{Applied, BookError, OrderEvent, OrderState, StoredOrder};
use sandpit_types::{ClientOrderId, MarketTime};
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
        Ok(())
    }

    /// Has an order looked up as soon as there is room.
    pub(crate) fn hurry_look_up(&mut self, id: &ClientOrderId, now: MarketTime) {
        self.errands.hurry(Errand::LookUp, id, now);
    }

    /// Applies an event to an order, and records and tells what came of it.
    pub(crate) fn absorb(&mut self, id: &ClientOrderId, event: &OrderEvent, now: MarketTime, note: &str) {
        let before = self.books.order(id).and_then(|order| order.update(now));
        match self.books.apply(id, event) {
            Ok(applied) => {
                let after = self.books.order(id).and_then(|order| order.update(now));
                self.keep(id, &applied, now, note);
                let is_told = self.books.known_as(id).is_some();
                if let Some(update) = after.filter(|after| is_told && Some(after) != before.as_ref()) {
                    self.tell(DeskOutput::Order { strategy: id.strategy.clone(), update });
                }
                if applied.revived {
                    self.alert(
                        format!("the broker has order {id}, which was taken for gone; it counts again"),
                        now,
                    );
                }
                self.tend(id, now);
            }
            Err(BookError::UnknownOrder { .. }) => self.stranger(id, event),
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
        let Some(order) = self.books.order(id).filter(|_| applied.changed) else { return };
        let strategy_id = self.books.known_as(id);
        self.is_changed = true;
        let mut records = vec![rows::change(order, now, note)];
        records.extend(applied.fills.iter().map(|fill| rows::fill(&self.books, fill)));
        records.into_iter().for_each(|record| self.ledger.record(record));
        for fill in &applied.fills {
            let side = fill.side.as_str();
            info!(order = %id, symbol = %fill.symbol, side, qty = %fill.qty, price = %fill.price, "fill");
            self.fill_counted(fill);
            let strategy = id.strategy.clone();
            // First what is held now, then the fill: whoever handles the fill reads the position after it.
            self.tell_sub_book(strategy.clone(), fill.symbol.clone());
            if let Some(id) = strategy_id {
                self.tell(DeskOutput::Fill { strategy, id, leg: None, fill: fill.clone() });
            }
        }
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

    /// Sees to it that what an order's state asks for is under way.
    pub(super) fn tend(&mut self, id: &ClientOrderId, now: MarketTime) {
        match self.books.order(id).map(|order| order.state()) {
            // A rejected order may be there after all, so it is looked up once.
            Some(OrderState::Unknown { .. } | OrderState::Rejected { confirmed: false, .. }) => {
                self.errands.want(Errand::LookUp, id, now + ASK_AGAIN);
            }
            Some(OrderState::Cancelling(_)) => self.errands.want(Errand::Cancel, id, now),
            Some(OrderState::Recorded | OrderState::Sending { .. } | OrderState::Working(_)) => {}
            Some(
                OrderState::NotSent
                | OrderState::Rejected { confirmed: true, .. }
                | OrderState::NeverArrived { .. }
                | OrderState::Terminal(_),
            )
            | None => {
                self.errands.forget(id);
                self.hearing.over(id);
            }
        }
    }
}
