//! Orders that belong to each other: legs to their parent, a replacement to what it replaces.

use std::{cmp::Reverse, time::Duration};

use sandpit_types::{
    BrokerOrder, BrokerOrderId, ClientOrderId, Leg, Links, MarketTime, OrderClass, OrderKind, OrderRequest,
    Qty, Side,
};

use super::{BookError, Books, Order, OrderEvent, OrderState, Stage, advance, step};

/// Legs of which we concluded that the broker did not make them are remembered so long.
const CONCLUDED_WITHIN: Duration = Duration::from_secs(24 * 3_600);

/// Whether it is a leg of which we concluded, not long ago, that the broker did not make it.
pub(super) fn was_not_made(leg: &Order, now: MarketTime) -> bool {
    let is_concluded = leg.broker_id.is_none() && leg.state == OrderState::NotSent;
    leg.is_leg() && is_concluded && now.since(leg.recorded_at) < CONCLUDED_WITHIN
}

impl Books {
    /// The order that has this id at the broker, open or over.
    pub fn by_broker_id(&self, id: &BrokerOrderId) -> Option<&ClientOrderId> {
        self.by_broker_id.get(id)
    }

    /// Takes in a leg that the broker will make for `parent`, which is in the books, under an id of ours that
    /// the broker never sees.
    ///
    /// # Errors
    /// [`BookError::UnknownOrder`] without the parent, [`BookError::Duplicate`] when the id is taken.
    pub fn record_leg(
        &mut self,
        client_id: ClientOrderId,
        parent: &ClientOrderId,
        (leg, kind): (Leg, OrderKind),
        now: MarketTime,
    ) -> Result<(), BookError> {
        let whole =
            self.order(parent).ok_or_else(|| BookError::UnknownOrder { client_id: parent.clone() })?;
        if self.orders.contains_key(&client_id) {
            return Err(BookError::Duplicate { client_id });
        }
        let side = match (whole.request.class, whole.request.side) {
            // Both are exits.
            (OrderClass::Oco { .. }, side) => side,
            (_, Side::Buy) => Side::Sell,
            (_, Side::Sell) => Side::Buy,
        };
        let request = OrderRequest {
            client_id,
            symbol: whole.request.symbol.clone(),
            side,
            qty: whole.request.qty,
            kind,
            time_in_force: whole.request.time_in_force,
            extended_hours: false,
            class: OrderClass::Simple,
        };
        let links = Links { leg_of: Some((parent.clone(), leg)), replaces: None };
        let order = Order::leg(request, links, whole.incarnation, now);
        self.insert(order);
        Ok(())
    }

    /// The legs of an order, those included that it took over from the order that it replaces.
    pub fn legs(&self, id: &ClientOrderId) -> impl Iterator<Item = &Order> {
        let legs = self.legs.get(self.origin(id)).into_iter().flatten();
        legs.filter_map(|leg| self.orders.get(leg))
    }

    /// Whether the broker has not shown all legs of an order yet.
    pub fn has_unseen_legs(&self, id: &ClientOrderId) -> bool {
        self.legs(id).any(|leg| leg.broker_id.is_none() && leg.state.is_open())
    }

    /// Which of our legs a leg in the broker's report of their parent is.
    pub fn leg_shown(&self, parent: &ClientOrderId, shown: &BrokerOrder) -> Option<&ClientOrderId> {
        self.by_broker_id(&shown.id).or_else(|| {
            let fits = |leg: &&Order| {
                let role = leg.links.leg_of.as_ref().map(|(_, leg)| *leg);
                role == Some(shown.leg()) && leg.broker_id.is_none()
            };
            self.legs(parent).find(fits).map(Order::client_id)
        })
    }

    /// The orders of which an order that the broker shows, and that has no id of ours, may be a leg: the
    /// broker has not shown all of theirs, or we concluded not long ago that it did not make them.
    pub fn may_be_leg_of(&self, shown: &BrokerOrder) -> Vec<ClientOrderId> {
        let unseen = |leg: &&Order| {
            leg.broker_id.is_none() && (leg.state.is_open() || was_not_made(leg, shown.updated_at))
        };
        let legs = self.legs.values().flatten().filter_map(|leg| self.orders.get(leg));
        let mut parents: Vec<ClientOrderId> = legs
            .filter(|leg| leg.request.symbol == shown.symbol && leg.request.side == shown.side)
            .filter(unseen)
            .filter_map(|leg| self.head(leg))
            .map(|head| head.client_id().clone())
            .collect();
        parents.dedup();
        parents
    }

    /// What stands for an order: of a leg its parent, and of what was replaced what took its place.
    pub fn head<'a>(&'a self, order: &'a Order) -> Option<&'a Order> {
        match &order.links.leg_of {
            Some((parent, _)) => self.orders.get(parent).map(|parent| self.standing(parent)),
            None => Some(order),
        }
    }

    /// Whether nobody needs an order any more: neither for its own sake, nor for that of what took its place,
    /// nor for that of its legs, which have no other name.
    pub fn is_settled(&self, order: &Order) -> bool {
        let id = order.client_id();
        let is_needed = || self.is_in_line(id) && self.legs(id).any(|leg| !leg.state.is_settled());
        order.state.is_settled() && !self.awaits_successor(order) && !is_needed()
    }

    /// Shares that an open order may still fill beside those that belong to it. Of an order and its
    /// replacement only one lives on, and of exits that cancel each other one fills, and no more than the
    /// entry has filled.
    pub fn to_fill(&self, order: &Order) -> Qty {
        let own = order.remaining();
        if let Some((parent, _)) = &order.links.leg_of {
            return self.exit_to_fill(order, parent);
        }
        match self.open_replacement(order.client_id()) {
            Some(next) => (own - next.remaining()).max(Qty::ZERO),
            None => own,
        }
    }

    fn exit_to_fill(&self, leg: &Order, parent: &ClientOrderId) -> Qty {
        let exits = || self.legs(parent).filter(|leg| leg.state.is_open());
        let leads = exits().max_by_key(|leg| (leg.remaining(), Reverse(leg.client_id())));
        if leads.map(Order::client_id) != Some(leg.client_id()) {
            return Qty::ZERO;
        }
        let Some(head) = self.head(leg) else { return leg.remaining() };
        let (filled, _) = advance::in_all(head);
        // The parent of an OCO is an exit itself.
        let left = if head.request.side == leg.request.side {
            (leg.remaining() - filled).max(Qty::ZERO) - head.remaining()
        } else {
            let sold: Qty = self.legs(parent).map(|leg| leg.filled.qty()).sum();
            leg.remaining().min(filled - sold)
        };
        left.max(Qty::ZERO)
    }

    /// An order's report counts no shares when they are in that of the order that took its place.
    pub(super) fn counts_no_more(&self, id: &ClientOrderId) -> bool {
        self.replacements(id).any(|next| next.taken.stage == Stage::Fixed && !next.taken.apart)
    }

    /// What became of an order's POST became of the legs that the broker has not shown. Returns the legs that
    /// stand elsewhere now.
    pub(super) fn hand_on(&mut self, id: &ClientOrderId) -> Vec<ClientOrderId> {
        let Some(legs) = self.legs.get(self.origin(id)).cloned() else { return Vec::new() };
        let Some(parent) =
            self.orders.get(id).filter(|order| !order.is_leg() && order.links.replaces.is_none())
        else {
            return Vec::new();
        };
        let event = OrderEvent::ParentStands(parent.state.clone());
        let mut moved = Vec::new();
        for leg in legs {
            let Some(order) = self.orders.get_mut(&leg).filter(|leg| leg.broker_id.is_none()) else {
                continue;
            };
            let before = order.state.clone();
            order.state = step(before.clone(), &event).expect("a leg can follow its parent anywhere");
            if order.state != before {
                self.file(&leg, &before);
                moved.push(leg);
            }
        }
        moved
    }

    /// Tells the replacements of an order what it has filled, and whether that may still become more.
    /// Returns those for which that is new.
    pub(super) fn hand_over(&mut self, id: &ClientOrderId) -> Vec<ClientOrderId> {
        let Some(old) = self.orders.get(id) else { return Vec::new() };
        let Some(next) = self.replacements.get(id) else { return Vec::new() };
        let shown_at = old.shown_at;
        let (qty, value) = advance::in_all(old);
        let is_over = matches!(old.state, OrderState::Terminal(_));
        let mut changed = Vec::new();
        for next in next.clone() {
            if let Some(order) = self.orders.get_mut(&next)
                && order.taken.stage != Stage::Fixed
            {
                let before = order.taken.clone();
                order.old_shown_at = shown_at;
                (order.taken.qty, order.taken.value) = (qty, value);
                order.taken.stage = if is_over { Stage::Over } else { Stage::Open };
                if order.taken != before {
                    changed.push(next);
                }
            }
        }
        changed
    }
}
