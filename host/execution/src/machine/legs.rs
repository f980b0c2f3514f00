//! Legs: the broker makes them for an order of ours, under ids of its own, and shows them in its reports of
//! that order.

use sandpit_cores::{
    orders::{INCONCLUSIVE, Order, OrderEvent, OrderState},
    reconcile::derived,
};
use sandpit_types::{BrokerOrder, ClientOrderId, MarketTime};

use super::{ASK_AGAIN, Machine, errands::Errand};
use crate::{DeskOutput, Review, rows};

impl<R: Review> Machine<R> {
    /// Whether an order that nobody knows may be a leg that the broker has not shown with its parent yet, as
    /// when the stream is faster than the POST's answer. Then the parents are asked for.
    pub(super) fn may_be_leg(&mut self, shown: &BrokerOrder, now: MarketTime) -> bool {
        let parents = self.books.may_be_leg_of(shown);
        for parent in &parents {
            // One that is not sent, or not answered yet, brings its legs with the answer.
            if self.books.order(parent).is_some_and(|order| order.broker_id().is_some()) {
                self.errands.hurry(Errand::LookUp, parent, now);
            }
        }
        !parents.is_empty()
    }

    /// Takes in the legs that a report of their parent shows.
    pub(super) fn legs_shown(
        &mut self,
        parent: &ClientOrderId,
        shown: &[BrokerOrder],
        now: MarketTime,
        note: &str,
    ) {
        // A leg that somebody has replaced is found by its role before what took its place.
        let (first, later) = shown.iter().partition::<Vec<_>, _>(|leg| leg.replaces.is_none());
        for leg in first.into_iter().chain(later) {
            if let Some(id) = self.books.leg_shown(parent, leg).cloned() {
                self.see(&id, leg, now);
                self.absorb(&id, &OrderEvent::Snapshot(leg.clone()), now, note);
            } else {
                self.unknown_leg_shown(parent, leg, now, note);
            }
        }
    }

    /// A leg that the books do not have: its parent was adopted, somebody else replaced the leg, or an
    /// earlier
    /// life was done with it, be it that it took the leg for never made. The store says which, and what it
    /// does not have is adopted.
    fn unknown_leg_shown(&mut self, parent: &ClientOrderId, leg: &BrokerOrder, now: MarketTime, note: &str) {
        let parent = self.books.origin(parent).clone();
        let replaces = leg.replaces.as_ref().is_some_and(|old| self.books.by_broker_id(old).is_some());
        let has_role =
            |known: &Order| known.links.leg_of.as_ref().is_some_and(|(_, role)| *role == leg.leg());
        let known =
            self.books.legs(&parent).filter(|known| has_role(known)).map(|known| known.client_id().clone());
        let known: Vec<ClientOrderId> = known.collect();
        if !replaces && !known.is_empty() {
            // More than once replaced: what it has filled includes what those before it did. Each leads to
            // the next.
            let still =
                known.iter().filter(|id| self.books.order(id).is_some_and(|leg| leg.state().is_at_broker()));
            still.for_each(|id| self.errands.hurry(Errand::LookUp, id, now));
            return;
        }
        let id = derived(&parent.strategy, &leg.id);
        self.absorb(&id, &OrderEvent::Snapshot(leg.clone()), now, note);
        if self.fetching.contains_key(&id) {
            self.fetching_legs.insert(id, (parent, leg.leg()));
        }
    }

    /// The broker was asked for the whole order and has shown it: a leg that it still lacks a while after the
    /// order was over was never made. Once proves nothing: some of the broker's machines are behind others.
    pub(super) fn whole_shown(&mut self, parent: &ClientOrderId, now: MarketTime) {
        self.unshown.remove(parent);
        let is_over = |order: &Order| {
            let stands = self.books.standing(order);
            stands.client_id() == order.client_id() && matches!(order.state(), OrderState::Terminal(_))
        };
        if !self.books.order(parent).is_some_and(is_over) || !self.books.has_unseen_legs(parent) {
            self.lacking_legs.remove(parent);
            return;
        }
        let since = *self.lacking_legs.entry(parent.clone()).or_insert(now);
        if now.since(since) < INCONCLUSIVE {
            return;
        }
        self.lacking_legs.remove(parent);
        let unseen = |leg: &&Order| leg.broker_id().is_none() && leg.state().is_open();
        let unseen: Vec<ClientOrderId> =
            self.books.legs(parent).filter(unseen).map(|leg| leg.client_id().clone()).collect();
        for leg in unseen {
            self.absorb(&leg, &OrderEvent::NotMade, now, "the broker shows its parent without it");
        }
    }

    /// Legs stand elsewhere because their parent does: that is recorded and told.
    pub(super) fn legs_moved(&mut self, legs: &[ClientOrderId], now: MarketTime, note: &str) {
        for id in legs {
            let Some(order) = self.books.order(id) else { continue };
            self.ledger.record(rows::change(&self.books, order, now, note));
            if let Some(update) = self.books.update(id, now).filter(|_| !order.state().is_open()) {
                self.tell(DeskOutput::Order { strategy: id.strategy.clone(), update });
            }
            self.tend(id, now);
        }
    }

    /// A leg that the broker has not shown has no id to be asked for: its parent is asked for instead, unless
    /// its own outcome is being found out.
    pub(super) fn tend_unseen(&mut self, leg: &ClientOrderId, now: MarketTime) {
        let Some((parent, _)) = self.books.order(leg).and_then(|order| order.links.leg_of.clone()) else {
            return;
        };
        let asked = match self.books.order(&parent) {
            None => Some(parent),
            Some(order) => {
                let stands = self.books.standing(order);
                let is_known = stands.broker_id().is_some() && !stands.state().is_concluded();
                is_known.then(|| stands.client_id().clone())
            }
        };
        if let Some(id) = asked {
            self.errands.want(Errand::LookUp, &id, now + ASK_AGAIN);
        }
    }

    /// Whether anything is still to be learned of an order that is over: what became of its legs.
    pub(super) fn owes_legs(&self, id: &ClientOrderId) -> bool {
        let stands_for_itself = |order| self.books.standing(order).client_id() == id;
        let owes = self.unshown.contains(id) || self.books.has_unseen_legs(id);
        owes && self.books.order(id).is_some_and(stands_for_itself)
    }

    /// One of several orders that belong together is over. What that does to the others is not always
    /// streamed (alpaca-py#198), so they are asked for; and a cancel that was meant for all of them goes
    /// on.
    pub(super) fn ended_in_family(&mut self, id: &ClientOrderId, now: MarketTime) {
        let Some(order) = self.books.order(id) else { return };
        let parent = order.links.leg_of.as_ref().map_or(id, |(parent, _)| parent).clone();
        let head = self.books.order(&parent).map(|parent| self.books.standing(parent));
        let others = head.into_iter().chain(self.books.legs(&parent));
        let open: Vec<ClientOrderId> = others
            .filter(|other| other.client_id() != id && other.state().is_at_broker())
            .map(|other| other.client_id().clone())
            .collect();
        for other in open {
            self.errands.urge(Errand::LookUp, &other, now + ASK_AGAIN);
            self.tend(&other, now);
        }
    }

    /// What a cancel of an order means: itself; of one that was replaced, or is being replaced, what takes
    /// its place too, be it not in the books yet; of one that is over, its legs.
    pub(super) fn meant_by_cancel(&self, id: &ClientOrderId) -> Vec<ClientOrderId> {
        let Some(order) = self.books.order(id) else { return Vec::new() };
        let head = self.books.standing(order);
        let mut meant: Vec<ClientOrderId> = Vec::new();
        if head.state().is_open() {
            meant.push(head.client_id().clone());
            meant.extend(self.books.open_replacement(head.client_id()).map(|next| next.client_id().clone()));
        } else {
            // The wish is kept for what took its place.
            meant.extend(self.books.owes_successor(head).then(|| head.client_id().clone()));
            let open = self.books.legs(head.client_id()).filter(|leg| leg.state().is_open());
            meant.extend(open.map(|leg| leg.client_id().clone()));
        }
        meant
    }

    /// Whether a cancel of this leg waits: with its parent, the broker cancels it.
    pub(super) fn goes_with_parent(&self, id: &ClientOrderId) -> bool {
        let Some(leg) = self.books.order(id).filter(|order| order.is_leg()) else { return false };
        self.books.head(leg).is_some_and(|head| head.state().is_open())
    }
}
