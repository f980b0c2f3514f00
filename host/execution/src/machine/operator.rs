//! What only people can judge: what they want themselves, and trades that the exchange takes back.

use std::collections::BTreeSet;

use sandpit_cores::orders::OrderEvent;
use sandpit_store::{Actor, Audit, Record};
use sandpit_types::{ClientOrderId, MarketTime, StrategyName, TradeEvent, TradeUpdate};

use super::Machine;
use crate::{Answer, CancelScope, Deed, DeskOutput, Instruction, Review};

impl<R: Review> Machine<R> {
    /// The order stream brought something.
    pub(super) fn updated(&mut self, update: TradeUpdate, now: MarketTime) {
        self.hear(&update, now);
        let Some(id) = self.name_of(&update.order) else { return self.foreigner(&update.order, now) };
        if let TradeEvent::Other(word) = &update.event
            && matches!(word.as_str(), "trade_bust" | "trade_correct")
        {
            self.trade_taken_back(&id, word, &update, now);
        }
        self.absorb(&id, &OrderEvent::from(update), now, "stream");
    }

    /// The exchange has cancelled or corrected a trade after the fact. What the message says of shares and
    /// prices is not known for certain (alpaca-api.md 3), so nothing is booked: the symbol is disputed
    /// until the broker's positions agree with the books, and a human is told.
    fn trade_taken_back(&mut self, id: &ClientOrderId, word: &str, update: &TradeUpdate, now: MarketTime) {
        let symbol = &update.order.symbol;
        if self.books.disputed(symbol).is_none() {
            let held = self.books.position(symbol);
            self.books.set_disputed(symbol, Some(held));
        }
        self.positions.hurry(now);
        let number = |number: Option<String>| number.unwrap_or_else(|| "?".to_owned());
        let qty = number(update.qty.map(|qty| qty.to_string()));
        let price = number(update.price.map(|price| price.to_string()));
        self.raise(
            format!(
                "the broker reports {word} of order {id} ({qty} {symbol} at {price}): it is not booked; only \
                 orders that reduce {symbol} are sent until the positions agree; compare the fills of this \
                 order with the broker's"
            ),
            now,
        );
    }

    /// A person wants something. The answer follows the records of what is done.
    pub(super) fn instructed(&mut self, instruction: Instruction, now: MarketTime) {
        let Instruction { ticket, operator, reason, deed } = instruction;
        let answer = match deed {
            Deed::Cancel(CancelScope::Order(id)) => self.cancel_by_hand(&id, operator, &reason, now),
            Deed::Cancel(scope) => self.cancel_many(&scope, operator, &reason, now),
            Deed::Freeze => self.freeze_by_hand(&operator, &reason, now),
            Deed::Unfreeze => self.unfreeze_by_hand(&operator, &reason, now),
            Deed::Pause(strategy) => self.pause(&strategy, operator, &reason, now),
            Deed::Resume(strategy) => self.resume(&strategy, operator, &reason, now),
        };
        self.tell(DeskOutput::Answer { ticket, answer });
    }

    fn cancel_by_hand(
        &mut self,
        id: &ClientOrderId,
        operator: String,
        reason: &str,
        now: MarketTime,
    ) -> Answer {
        let actor = Actor::Operator(operator);
        let orders = self.cancel_with_kin(id, &actor, reason, now);
        if !orders.is_empty() {
            return Answer::Cancelling { orders, withdrawn: 0 };
        }
        let reason = format!("{reason} (nothing of it is open)");
        self.audit_cancel(actor, id, &reason, now);
        match self.books.order(id).map(|order| self.books.standing(order)) {
            Some(order) => Answer::Over { status: order.state().status(), filled: order.filled_in_all() },
            None => Answer::Unknown,
        }
    }

    /// Cancels everything of a strategy, in a symbol, or of all.
    fn cancel_many(
        &mut self,
        scope: &CancelScope,
        operator: String,
        reason: &str,
        now: MarketTime,
    ) -> Answer {
        let actor = Actor::Operator(operator);
        let (mut orders, mut withdrawn) = (Vec::new(), 0);
        for strategy in self.strategies_with_orders() {
            let (open, waited) = match scope {
                CancelScope::Strategy(only) if *only != strategy => continue,
                CancelScope::Symbol(symbol) => {
                    self.cancel_in(&strategy, std::slice::from_ref(symbol), &actor, reason, now)
                }
                CancelScope::Order(_) | CancelScope::Strategy(_) | CancelScope::All => {
                    self.cancel_all(&strategy, &actor, reason, &mut Vec::new(), now)
                }
            };
            orders.extend(open);
            withdrawn += waited;
        }
        let (whose, symbol) = match scope {
            CancelScope::Strategy(strategy) => (format!("all of {strategy}"), None),
            CancelScope::Symbol(symbol) => (format!("all in {symbol}"), Some(symbol.clone())),
            CancelScope::Order(_) | CancelScope::All => ("all".to_owned(), None),
        };
        let detail = format!("{reason} ({whose}: {} open, {withdrawn} waiting)", orders.len());
        let (action, client_id) = ("cancel", None);
        self.ledger.record(Record::Audit(Audit { time: now, actor, action, client_id, symbol, detail }));
        Answer::Cancelling { orders, withdrawn }
    }

    /// Whoever has an order that is open, waits, or is waited for to leave a symbol.
    fn strategies_with_orders(&self) -> BTreeSet<StrategyName> {
        let open = self.books.open_orders().chain(self.books.owing_orders());
        let open = open.map(|order| order.strategy().clone());
        let planned = self.planning.all().map(|planned| planned.strategy.clone());
        let leaving = self.closings.all().map(|(strategy, _)| strategy.clone());
        open.chain(planned).chain(leaving).collect()
    }

    /// Cancels an order and what goes with it. Which that are; none when nothing of it is open.
    pub(super) fn cancel_with_kin(
        &mut self,
        id: &ClientOrderId,
        actor: &Actor,
        reason: &str,
        now: MarketTime,
    ) -> Vec<ClientOrderId> {
        let meant = self.meant_by_cancel(id);
        for id in &meant {
            self.ask_cancel(id, actor, reason, now);
        }
        meant
    }

    /// Notes that somebody wants one order cancelled.
    pub(super) fn ask_cancel(&mut self, id: &ClientOrderId, actor: &Actor, reason: &str, now: MarketTime) {
        self.stats.write(|counts| counts.strategies.entry(id.strategy.clone()).or_default().cancels += 1);
        if self.books.order(id).is_some_and(|order| !order.is_unwanted()) {
            self.audit_cancel(actor.clone(), id, reason, now);
        }
        self.absorb(id, &OrderEvent::CancelAsked, now, "cancel asked");
    }
}
