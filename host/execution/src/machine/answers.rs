//! What the broker answers about single orders.

use std::time::Duration;

use sandpit_broker::{BrokerError, GateError};
use sandpit_cores::orders::{INCONCLUSIVE, Order, OrderEvent, OrderState};
use sandpit_types::{BrokerOrder, ClientOrderId, MarketTime, Refusal};
use tracing::{field::display, info, warn};

use super::{ASK_AGAIN, Action, Machine, errands::Errand};
use crate::Review;

/// How often an order is asked for that the broker had and has forgotten. There may be hundreds, and
/// each question costs the request budget.
pub(super) const FORGOTTEN_EVERY: Duration = Duration::from_secs(600);

impl<R: Review> Machine<R> {
    pub(super) fn submitted(
        &mut self,
        id: &ClientOrderId,
        result: Result<BrokerOrder, BrokerError>,
        took: Duration,
        now: MarketTime,
    ) {
        self.sends.ended(id);
        self.stats.write(|counts| {
            counts.submits += 1;
            counts.submit_total += took;
            counts.submit_max = counts.submit_max.max(took);
        });
        match result {
            Ok(order) if order.ours().as_ref() == Some(id) => {
                self.see(id, &order, now);
                self.watch_taken(id, now);
                self.absorb(id, &OrderEvent::Accepted(order), now, "accepted");
            }
            Ok(order) => {
                self.alert(
                    format!("the broker answered order {id} with another one, {}", order.client_id),
                    now,
                );
                self.unknown(id, now, "answered with another order");
                if let Some(named) = self.name_of(&order) {
                    // It took the place of the old one. Every life of the host has to find the same name for
                    // it.
                    self.absorb(&named, &OrderEvent::Snapshot(order), now, "answered by it");
                }
            }
            Err(error @ (BrokerError::Rejected { .. } | BrokerError::NotFound { .. })) => {
                let (strategy, symbol) = (&id.strategy, self.symbol_of(id).map(display));
                warn!(order = %id, %strategy, symbol, %error, event = "order-rejected", "rejected");
                self.stats.write(|counts| counts.rejected += 1);
                self.absorb(id, &OrderEvent::Rejected, now, &error.to_string());
            }
            Err(error @ (BrokerError::OutcomeUnknown { .. } | BrokerError::Malformed { .. })) => {
                self.unknown(id, now, &error.to_string());
            }
            Err(
                error @ (BrokerError::NotSent(_)
                | BrokerError::RetryAfter { .. }
                | BrokerError::Unavailable { .. }
                | BrokerError::Unauthorized { .. }),
            ) => {
                if matches!(error, BrokerError::Unauthorized { .. }) {
                    self.alert(error.to_string(), now);
                }
                warn!(order = %id, %error, "not sent");
                self.not_sent(id, refusal_of(&error), now, &error.to_string());
            }
        }
        self.replace_ended(id, now, ASK_AGAIN);
        self.start_sends(now);
    }

    fn unknown(&mut self, id: &ClientOrderId, now: MarketTime, note: &str) {
        let (strategy, symbol) = (&id.strategy, self.symbol_of(id).map(display));
        let text = "the outcome is unknown; the broker is asked";
        warn!(order = %id, %strategy, symbol, note, event = "order-unknown", "{text}");
        self.stats.write(|counts| counts.unknown += 1);
        self.absorb(id, &OrderEvent::OutcomeUnknown { at: now }, now, note);
    }

    pub(super) fn run_errand(&mut self, errand: Errand, id: ClientOrderId, now: MarketTime) {
        match errand {
            Errand::LookUp => self.look_up(id),
            Errand::Cancel => {
                let broker_id = self.books.order(&id).and_then(|order| order.broker_id().cloned());
                match broker_id {
                    Some(broker_id) => {
                        self.stats.write(|counts| counts.cancels += 1);
                        self.actions.push(Action::Cancel { id, broker_id });
                    }
                    None => self.errands.done(Errand::Cancel, &id, now, self.chance.next()),
                }
            }
        }
    }

    /// Asks for an order by the broker's id where it is known: that shows the legs, too. For one that was
    /// replaced by what we do not know, it asks for that.
    fn look_up(&mut self, id: ClientOrderId) {
        let own = || self.books.order(&id)?.broker_id();
        let broker_id = self.books.owed(&id).or_else(own).cloned();
        self.actions.push(match broker_id {
            Some(broker_id) => Action::Ask { id, broker_id },
            None => {
                let is_leg = self.books.order(&id).is_some_and(Order::is_leg);
                debug_assert!(!is_leg, "{id} is a leg: the broker never heard that name");
                Action::LookUp(id)
            }
        });
    }

    pub(super) fn cancelled(&mut self, id: &ClientOrderId, result: Result<(), BrokerError>, now: MarketTime) {
        // Whatever the answer, the order is over when a snapshot says so (alpaca-trade-api-python#330).
        self.errands.again(Errand::Cancel, id, now, self.chance.next());
        let is_cancelling =
            matches!(self.books.order(id).map(|order| order.state()), Some(OrderState::Cancelling(_)));
        if is_cancelling {
            let at = if result.is_ok() { now + ASK_AGAIN } else { now };
            self.errands.hurry(Errand::LookUp, id, at);
        }
        if let Err(error) = result {
            info!(order = %id, %error, "the cancel was not taken");
        }
    }

    /// An order was asked for; `is_whole` when the answer shows all its legs.
    pub(super) fn looked_up(
        &mut self,
        id: &ClientOrderId,
        result: Result<BrokerOrder, BrokerError>,
        is_whole: bool,
        now: MarketTime,
    ) {
        match result {
            Ok(order) if self.is_successor(id, &order) => self.successor_shown(id, order, now),
            Ok(order)
                if order.ours().is_some_and(|named| named != *id)
                    && self.books.by_broker_id(&order.id) != Some(id) =>
            {
                let text = format!("asked for order {id}, the broker shows {}", order.client_id);
                self.errands.again(Errand::LookUp, id, now, self.chance.next());
                self.alert(text, now);
            }
            Ok(order) => {
                self.errands.done(Errand::LookUp, id, now, self.chance.next());
                self.answered(id);
                self.see(id, &order, now);
                self.absorb(id, &OrderEvent::Snapshot(order), now, "looked up");
                if is_whole {
                    self.whole_shown(id, now);
                }
                self.tend(id, now);
            }
            Err(BrokerError::NotFound { .. }) => self.not_found(id, now),
            Err(error) => {
                info!(order = %id, %error, "the look-up has to be repeated");
                self.errands.again(Errand::LookUp, id, now, self.chance.next());
            }
        }
    }

    fn not_found(&mut self, id: &ClientOrderId, now: MarketTime) {
        let was_open = self.books.order(id).is_some_and(|order| order.state().is_open());
        self.errands.again(Errand::LookUp, id, now, self.chance.next());
        self.answered(id);
        if let Some(sync) = &mut self.sync {
            sync.unknown.insert(id.clone());
        }
        self.absorb(id, &OrderEvent::NotFound { at: now }, now, "the broker does not know it");
        match self.books.order(id).map(|order| order.state()) {
            Some(OrderState::NeverArrived { .. }) if was_open => {
                self.stats.write(|counts| counts.never_arrived += 1);
                self.alert(format!("order {id} never arrived at the broker; it was not sent again"), now);
            }
            Some(OrderState::Working(_) | OrderState::Cancelling(_)) => self.forgotten(id, now),
            Some(OrderState::Terminal(_))
                if self.books.order(id).is_some_and(|order| self.books.owes_successor(order)) =>
            {
                self.successor_missing(id, now);
            }
            Some(
                OrderState::Recorded
                | OrderState::Sending { .. }
                | OrderState::Unknown { .. }
                | OrderState::NotSent
                | OrderState::Rejected { .. }
                | OrderState::NeverArrived { .. }
                | OrderState::Terminal(_),
            )
            | None => {}
        }
    }

    /// The broker had the order and does not know it any more.
    fn forgotten(&mut self, id: &ClientOrderId, now: MarketTime) {
        let recorded_at = self.books.order(id).map_or(now, |order| order.recorded_at);
        if now.since(recorded_at) < INCONCLUSIVE {
            // Some of the broker's machines may not have heard of a young order yet.
            return;
        }
        if now.since(self.errands.missed(id, now)) < INCONCLUSIVE {
            // One of them may lag, and what was to be cancelled is still cancelled.
            return self.errands.put_off(Errand::LookUp, id, now + INCONCLUSIVE);
        }
        // Nor is it cancelled until it is seen again.
        for errand in [Errand::LookUp, Errand::Cancel] {
            self.errands.put_off(errand, id, now + FORGOTTEN_EVERY);
        }
        let text = format!(
            "the broker has forgotten order {id}, which it had; its exposure stays reserved and the broker \
             is asked again from time to time; was the account reset?"
        );
        self.alert(text, now);
    }
}

/// The reason a strategy is given for an order that did not leave; `None` when no named one fits.
const fn refusal_of(error: &BrokerError) -> Option<Refusal> {
    match error {
        BrokerError::NotSent(GateError::NoLease) => Some(Refusal::NoLease),
        BrokerError::NotSent(GateError::Late) => Some(Refusal::Late),
        BrokerError::NotSent(GateError::Full { .. }) | BrokerError::RetryAfter { .. } => {
            Some(Refusal::OrderRate)
        }
        BrokerError::NotSent(GateError::Stopping) => Some(Refusal::Frozen),
        BrokerError::Unavailable { .. }
        | BrokerError::Unauthorized { .. }
        | BrokerError::Rejected { .. }
        | BrokerError::NotFound { .. }
        | BrokerError::OutcomeUnknown { .. }
        | BrokerError::Malformed { .. } => None,
    }
}
