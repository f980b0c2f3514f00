//! Orders that took the place of one of ours although we did not ask for them, as when a human replaces an
//! order at the broker's own site. By the broker's word they are ours: they may fill what ours has left.
//!
//! An order that ends `replaced` tells by what. Until that one is in the books the rest of the old order
//! counts as open, its row stays open in the store, and the broker is asked for the new one.

use sandpit_cores::orders::{INCONCLUSIVE, Order, OrderEvent, OrderState};
use sandpit_types::{BrokerOrder, ClientOrderId, MarketTime, OrderStatus};

use super::{Machine, answers::FORGOTTEN_EVERY, errands::Errand};
use crate::{Review, rows};

impl<R: Review> Machine<R> {
    /// Whether what came when an order was asked for is what took its place.
    pub(super) fn is_successor(&self, id: &ClientOrderId, shown: &BrokerOrder) -> bool {
        let own = self.books.order(id).and_then(Order::broker_id);
        own.is_some_and(|own| *own != shown.id) && self.name_of(shown).is_some_and(|name| name != *id)
    }

    pub(super) fn successor_shown(&mut self, old: &ClientOrderId, shown: BrokerOrder, now: MarketTime) {
        self.errands.done(Errand::LookUp, old, now, self.chance.next());
        self.answered(old);
        if let Some(id) = self.name_of(&shown) {
            self.absorb(&id, &OrderEvent::Snapshot(shown), now, "replaced by it");
        }
        self.tend(old, now);
    }

    /// The broker does not show what took the place of an order by its own word.
    pub(super) fn successor_missing(&mut self, old: &ClientOrderId, now: MarketTime) {
        let since = self.books.order(old).and_then(Order::shown_at).unwrap_or(now);
        let Some(by) = self.books.owed(old).filter(|_| now.since(since) >= INCONCLUSIVE) else { return };
        let text = format!(
            "order {old} was replaced by {by}, not by us, and the broker does not show that one; the rest of \
             the old one stays reserved and the broker is asked again from time to time"
        );
        self.errands.put_off(Errand::LookUp, old, now + FORGOTTEN_EVERY);
        self.alert(text, now);
    }

    /// Whether an order that nobody knows may have taken the place of one of ours of which the broker has not
    /// told us its id yet. That one is being looked up.
    pub(super) fn may_be_successor(&self, shown: &BrokerOrder) -> bool {
        let is_unbound = |order: &Order| {
            order.request.symbol == shown.symbol && order.broker_id().is_none() && !order.is_leg()
        };
        shown.replaces.is_some() && self.books.unsettled().any(is_unbound)
    }

    /// An order came into the books: what it replaces, if that was over, waits for it no more.
    pub(super) fn followed(&mut self, id: &ClientOrderId, now: MarketTime) {
        let old = self.books.order(id).and_then(|order| self.books.order(order.links.replaces.as_ref()?));
        let was_replaced = |old: &&Order| *old.state() == OrderState::Terminal(OrderStatus::Replaced);
        let Some(old) = old.filter(was_replaced) else { return };
        self.ledger.record(rows::change(&self.books, old, now, "what took its place is known"));
        let old = old.client_id().clone();
        self.tend(&old, now);
    }
}
