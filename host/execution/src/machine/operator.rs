//! What only people can judge: their own cancels, and trades that the exchange takes back.

use sandpit_cores::orders::OrderEvent;
use sandpit_store::Actor;
use sandpit_types::{ClientOrderId, MarketTime, TradeEvent, TradeUpdate};

use super::Machine;
use crate::Review;

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

    /// A person wants an order cancelled.
    pub(super) fn cancel_by_hand(
        &mut self,
        id: &ClientOrderId,
        operator: String,
        reason: &str,
        now: MarketTime,
    ) {
        let actor = Actor::Operator(operator);
        if !self.cancel_with_kin(id, &actor, reason, now) {
            let reason = format!("{reason} (nothing of it is open)");
            self.audit_cancel(actor, id, &reason, now);
        }
    }

    /// Cancels an order and what goes with it. `false` when nothing of it is open.
    pub(super) fn cancel_with_kin(
        &mut self,
        id: &ClientOrderId,
        actor: &Actor,
        reason: &str,
        now: MarketTime,
    ) -> bool {
        let meant = self.meant_by_cancel(id);
        for id in &meant {
            self.ask_cancel(id, actor, reason, now);
        }
        !meant.is_empty()
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
