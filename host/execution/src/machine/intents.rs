//! What strategies want.

use sandpit_cores::{
    orders::{OrderEvent, OrderState},
    plan::Planned,
};
use sandpit_risk::Approved;
use sandpit_store::{Actor, Record};
use sandpit_types::{ClientOrderId, Intent, MarketTime, Refusal, StrategyName, StrategyOrderId, Submit};

use super::{
    ALL_ORDERS, Action, Machine, Mode, audit,
    log::{Known, Refused, known, log_refusal},
    story::Kind,
};
use crate::{DeskOutput, Review};

impl<R: Review> Machine<R> {
    /// Takes one batch: its new orders wait for each other, so that exits leave first and large entries
    /// before small ones. Everything else is done in turn.
    pub(super) fn intents(
        &mut self,
        strategy: &StrategyName,
        incarnation: u32,
        intents: Vec<Intent>,
        now: MarketTime,
    ) {
        // A new life knows what the one before asked for and has not heard the end of.
        self.planning.inherit(strategy, incarnation);
        self.closings.inherit(strategy, incarnation);
        let mut batch = Vec::new();
        for intent in intents {
            self.intent(strategy, incarnation, intent, &mut batch, now);
        }
        if !batch.is_empty() {
            self.plan(batch, now);
        }
    }

    fn intent(
        &mut self,
        strategy: &StrategyName,
        incarnation: u32,
        intent: Intent,
        batch: &mut Vec<Planned>,
        now: MarketTime,
    ) {
        match intent {
            Intent::Submit(submit) => {
                let is_twin = batch.iter().any(|planned| planned.submit.id == submit.id);
                match self.may_begin(strategy, submit.id) {
                    Ok(()) if is_twin => self.refuse(strategy, &submit, Refusal::DuplicateId, now),
                    Ok(()) if self.closings.is_leaving(strategy, &submit.symbol) => {
                        self.refuse(strategy, &submit, Refusal::Closing, now);
                    }
                    Ok(()) => {
                        self.hear_intent(strategy, &submit, now);
                        batch.push(self.planned(strategy, incarnation, submit, now));
                    }
                    Err(refusal) => self.refuse(strategy, &submit, refusal, now),
                }
            }
            Intent::Replace(replace) => {
                let waits = |planned: &&Planned| planned.submit.id == replace.id;
                let own = self.planning.all().filter(|planned| planned.strategy == *strategy);
                let waiting =
                    batch.iter().chain(own).find(waits).map(|planned| planned.submit.symbol.clone());
                if let Some(symbol) = waiting {
                    // It is no order yet.
                    self.refuse(strategy, (replace.new_id, &symbol), Refusal::NotReplaceable, now);
                } else {
                    self.replace(strategy, incarnation, &replace, now);
                }
            }
            Intent::ClosePosition { id, symbol } => {
                let withdrawn = batch.extract_if(.., |planned| planned.submit.symbol == symbol).collect();
                self.withdraw(withdrawn, now);
                self.close_position(strategy, incarnation, (id, symbol), now);
            }
            Intent::Cancel(id) => self.cancel_one(strategy, incarnation, id, batch, now),
            Intent::CancelAll => {
                self.cancel_all(strategy, &audit::strategy(strategy), ALL_ORDERS, batch, now);
            }
            Intent::Signal(signal) => {
                let record = Record::Signal { time: now, strategy: strategy.clone(), signal };
                self.keep_story(strategy, Kind::Signal, record, now);
            }
            Intent::SetTimer { .. } | Intent::CancelTimer(_) => {}
        }
    }

    /// Whether a strategy may begin an order under this id: what can be said before its turn comes.
    pub(super) fn may_begin(&self, strategy: &StrategyName, id: StrategyOrderId) -> Result<(), Refusal> {
        match self.mode {
            Mode::Draining | Mode::Stopping => Err(Refusal::Frozen),
            Mode::Open => self.is_new(strategy, id),
        }
    }

    /// Whether an order under this id can be written down.
    fn is_new(&self, strategy: &StrategyName, id: StrategyOrderId) -> Result<(), Refusal> {
        if !self.ledger.takes_orders() {
            return Err(Refusal::NotRecorded);
        }
        let is_known = self.books.is_known(strategy, id)
            || self.planning.holds(strategy, id)
            || self.closings.holds(strategy, id);
        if is_known { Err(Refusal::DuplicateId) } else { Ok(()) }
    }

    /// Has an order reviewed, now, whose time to begin it was.
    pub(super) fn approve(
        &mut self,
        strategy: &StrategyName,
        submit: &Submit,
        replaces: Option<&ClientOrderId>,
        now: MarketTime,
    ) -> Result<Approved, Refusal> {
        self.is_new(strategy, submit.id)?;
        self.review.review(strategy, submit, replaces, &self.books, now)
    }

    pub(super) fn refuse<'a>(
        &mut self,
        strategy: &StrategyName,
        refused: impl Into<Refused<'a>>,
        refusal: Refusal,
        now: MarketTime,
    ) {
        let refused = refused.into();
        self.note_refusal(strategy, refused, refusal, now);
        let strategy = strategy.clone();
        let output = DeskOutput::Refused { strategy, id: refused.id, refusal };
        if self.ledger.takes_orders() {
            self.tell(output);
        } else {
            // There may be many, and the disk may take nothing for long.
            self.actions.push(Action::Tell(output));
        }
    }

    /// Writes a refusal down, logs and counts it.
    pub(super) fn note_refusal(
        &mut self,
        strategy: &StrategyName,
        refused: Refused<'_>,
        refusal: Refusal,
        now: MarketTime,
    ) {
        let record = Record::Refusal { time: now, strategy: strategy.clone(), id: refused.id, refusal };
        if self.keep_story(strategy, Kind::Refusal, record, now) {
            log_refusal(strategy, refused, refusal);
        }
        self.stats.write(|counts| {
            *counts.refused.entry(refusal).or_default() += 1;
            counts.strategies.entry(strategy.clone()).or_default().refused += 1;
        });
    }

    fn cancel_one(
        &mut self,
        strategy: &StrategyName,
        incarnation: u32,
        id: StrategyOrderId,
        batch: &mut Vec<Planned>,
        now: MarketTime,
    ) {
        let mut withdrawn: Vec<Planned> = batch.extract_if(.., |planned| planned.submit.id == id).collect();
        withdrawn.extend(self.planning.take(strategy, |submit| submit.id == id));
        if !withdrawn.is_empty() {
            return self.withdraw(withdrawn, now);
        }
        let given_up = self.closings.give_up(strategy, |closing| closing == id);
        if !given_up.is_empty() {
            return self.tell_given_up(strategy, given_up, now);
        }
        let order = self.books.find(self.config.epoch, strategy, incarnation, id).map(known);
        let actor = audit::strategy(strategy);
        let has_open = |(order, _): &Known| !self.cancel_with_kin(order, &actor, "", now).is_empty();
        if !order.as_ref().is_some_and(has_open) {
            self.refuse(strategy, Refused::about(id, order.as_ref()), Refusal::UnknownOrder, now);
        }
    }

    /// Cancels everything of a strategy, what waits included. Which orders are open, and how many waited.
    pub(super) fn cancel_all(
        &mut self,
        strategy: &StrategyName,
        actor: &Actor,
        reason: &str,
        batch: &mut Vec<Planned>,
        now: MarketTime,
    ) -> (Vec<ClientOrderId>, usize) {
        let mut withdrawn = std::mem::take(batch);
        withdrawn.extend(self.planning.take(strategy, |_| true));
        let mut waited = withdrawn.len();
        self.withdraw(withdrawn, now);
        let given_up = self.closings.give_up(strategy, |_| true);
        waited += given_up.len();
        self.tell_given_up(strategy, given_up, now);
        let orders = self.to_end(strategy, None);
        for id in &orders {
            self.ask_cancel(id, actor, reason, now);
        }
        (orders, waited)
    }

    /// Hands recorded orders to the broker, as many as may be under way.
    pub(super) fn start_sends(&mut self, now: MarketTime) {
        while let Some((id, terms)) = self.sends.next() {
            let Some(order) = self.books.order(&id).filter(|order| *order.state() == OrderState::Recorded)
            else {
                // Cancelled before it left.
                self.sends.ended(&id);
                continue;
            };
            let way_out = self.way_out(order, terms);
            if self.mode == Mode::Stopping || now > terms.deadline {
                let refusal = if self.mode == Mode::Stopping { Refusal::Frozen } else { Refusal::Late };
                self.sends.ended(&id);
                self.not_sent(&id, Some(refusal), now, "it waited too long in our own queue");
                continue;
            }
            let Some(action) = way_out else {
                self.sends.ended(&id);
                let note = "the order that it was to replace cannot be replaced any more";
                self.not_sent(&id, Some(Refusal::NotReplaceable), now, note);
                continue;
            };
            // That it is under way is not written down: a recorded order may have been sent, whoever reads it
            // back.
            self.books.apply(&id, &OrderEvent::Sent).expect("a recorded order can be sent");
            self.hearing.sent(&id);
            self.actions.push(action);
        }
    }

    /// The order did not leave this machine.
    pub(super) fn not_sent(
        &mut self,
        id: &ClientOrderId,
        refusal: Option<Refusal>,
        now: MarketTime,
        note: &str,
    ) {
        self.stats.write(|counts| counts.not_sent += 1);
        self.absorb(id, &OrderEvent::NotSent, now, note);
        if let Some(refusal) = refusal {
            self.refuse_order(id, refusal, now);
        }
    }

    /// The order's record could not be written, so it is not sent. There is no row that could be changed.
    pub(super) fn unrecorded(&mut self, id: &ClientOrderId, now: MarketTime) {
        self.sends.dismiss(id);
        self.stats.write(|counts| counts.not_sent += 1);
        // An error means that it was cancelled before it left, and is over already.
        self.books.apply(id, &OrderEvent::NotSent).ok();
        self.is_changed = true;
        if let Some(old) = self.books.order(id).and_then(|order| order.links.replaces.clone()) {
            // Another one may have taken its place, and was not asked for because of this one.
            self.tend(&old, now);
        }
        self.refuse_order(id, Refusal::NotRecorded, now);
    }

    /// Refuses what was an order already, to the strategy that began it.
    fn refuse_order(&mut self, id: &ClientOrderId, refusal: Refusal, now: MarketTime) {
        let Some(order) = self.books.order(id) else { return };
        let Some(strategy_id) = order.strategy_id else { return };
        let order = known(order);
        self.refuse(&id.strategy, Refused::about(strategy_id, Some(&order)), refusal, now);
    }
}
