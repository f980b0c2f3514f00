//! Orders that are over: how long the books remember them. The store has them for good.

use std::{collections::VecDeque, time::Duration};

use sandpit_types::{ClientOrderId, MarketTime};

use super::{Books, Order, books::Key, kin::was_not_made};

/// An order that is over is remembered so long, market time, for late and repeated events; and as long as
/// one is open that belongs to it.
pub const REMEMBERED: Duration = Duration::from_secs(20 * 60);

/// At most so many are remembered. Past it the oldest is forgotten, however young it is.
pub const MAX_CLOSED: usize = 10_000;

/// Ids of strategies whose orders are forgotten and that still count as used. Past it the oldest does not.
const MAX_USED: usize = 10_000;

/// Orders are forgotten this often.
const FORGETS_EVERY: Duration = Duration::from_secs(60);

/// The orders that are over, the one first that has been for longest.
#[derive(Clone, Debug, Default)]
pub(super) struct Closed {
    /// Since when each is known to be over; of the newest that is noted later.
    orders: VecDeque<(Option<MarketTime>, ClientOrderId)>,
    /// What strategies called orders that are forgotten.
    used: VecDeque<Key>,
    looked_at: Option<MarketTime>,
}

impl Closed {
    pub(super) fn reopened(&mut self, client_id: &ClientOrderId) {
        self.orders.retain(|(_, closed)| closed != client_id);
    }

    /// Notes since when the newest are over. Whether it is time to forget.
    fn look(&mut self, now: MarketTime) -> bool {
        if self.looked_at.is_some_and(|at| now.since(at) < FORGETS_EVERY) {
            return false;
        }
        self.looked_at = Some(now);
        for (since, _) in self.orders.iter_mut().rev().take_while(|(since, _)| since.is_none()) {
            *since = Some(now);
        }
        true
    }
}

impl Books {
    /// Forgets what has been over for [`REMEMBERED`] and nobody needs. To be called only while the store
    /// has all that happened: it is asked for what is not here.
    pub fn forget_old(&mut self, now: MarketTime) {
        if !self.closed.look(now) {
            return;
        }
        let is_old = |since: &Option<MarketTime>| since.is_some_and(|since| now.since(since) >= REMEMBERED);
        while self.closed.orders.front().is_some_and(|(since, _)| is_old(since)) {
            self.forget_oldest(Some(now));
        }
    }

    pub(super) fn close(&mut self, client_id: &ClientOrderId) {
        self.open.remove(client_id);
        self.closed.orders.push_back((None, client_id.clone()));
        if self.closed.orders.len() > MAX_CLOSED {
            self.forget_oldest(None);
        }
    }

    fn forget_oldest(&mut self, now: Option<MarketTime>) {
        let Some((_, oldest)) = self.closed.orders.pop_front() else { return };
        if self.is_needed(&oldest, now) {
            self.closed.orders.push_back((now, oldest));
        } else {
            self.forget(&oldest);
        }
    }

    /// Whether an order that is over still says something about one that is not: about one that stands in
    /// its place, a leg of it, or another leg of the same. Or it may yet come to light.
    fn is_needed(&self, id: &ClientOrderId, now: Option<MarketTime>) -> bool {
        let Some(order) = self.order(id) else { return false };
        if self.unsettled.contains(id) || self.owing.contains(id) {
            return true;
        }
        let root = order.links.leg_of.as_ref().map_or(id, |(parent, _)| parent);
        let parent = self.order(root);
        let was_sent = parent.is_some_and(|parent| parent.broker_id().is_some());
        let may_come = |leg: &Order| was_sent && now.is_some_and(|now| was_not_made(leg, now));
        let is_alive = |order: &Order| order.state().is_open() || may_come(order);
        let stands = || parent.map(|parent| self.standing(parent));
        (order.is_leg() || self.is_end_of_line(id))
            && (stands().is_some_and(is_alive) || self.legs(root).any(is_alive))
    }

    pub(super) fn forget(&mut self, client_id: &ClientOrderId) {
        self.open.remove(client_id);
        self.unsettled.remove(client_id);
        self.legs.remove(client_id);
        self.replacements.remove(client_id);
        self.leave_line(client_id);
        let Some(order) = self.orders.remove(client_id) else { return };
        if let Some(broker_id) = &order.broker_id {
            self.by_broker_id.remove(broker_id);
        }
        let parent = order.links.leg_of.as_ref().map(|(parent, _)| parent);
        for (lists, of) in [(&mut self.legs, parent), (&mut self.replacements, order.links.replaces.as_ref())]
        {
            let Some(list) = of.and_then(|of| lists.get_mut(of)) else { continue };
            list.retain(|listed| listed != client_id);
            if list.is_empty() {
                of.map(|of| lists.remove(of));
            }
        }
        let Some(id) = order.strategy_id else { return };
        self.closed.used.push_back((client_id.epoch, client_id.strategy.clone(), order.incarnation, id));
        if self.closed.used.len() > MAX_USED
            && let Some(unused) = self.closed.used.pop_front()
            && self.keys.get(&unused).is_some_and(|id| !self.orders.contains_key(id))
        {
            self.keys.remove(&unused);
        }
    }
}
