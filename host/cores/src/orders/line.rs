//! Orders that stood in one place after each other: each took the place of the one before.
//!
//! One place may see thousands of them in a day, so nobody walks along it: where a chain of replacements
//! began, who stands there now and who was next to whom is kept as it changes.

use std::collections::BTreeMap;

use sandpit_types::{BrokerOrderId, ClientOrderId, OrderStatus};

use super::{Books, Order, OrderState};

/// Who took whose place. Of an order that the books have forgotten there is nothing here but its name, as
/// that of a chain.
#[derive(Clone, Debug, Default)]
pub(super) struct Lines {
    /// Where the chain that leads to each replacement began.
    origins: BTreeMap<ClientOrderId, ClientOrderId>,
    /// The first of those that came after each other without a gap; itself where nothing is said.
    firsts: BTreeMap<ClientOrderId, ClientOrderId>,
    /// By the first: the last.
    heads: BTreeMap<ClientOrderId, ClientOrderId>,
    neighbours: BTreeMap<ClientOrderId, Neighbours>,
}

#[derive(Clone, Debug, Default)]
struct Neighbours {
    before: Option<ClientOrderId>,
    next: Option<ClientOrderId>,
}

impl Lines {
    fn origin<'a>(&'a self, id: &'a ClientOrderId) -> &'a ClientOrderId {
        self.origins.get(id).unwrap_or(id)
    }

    fn first<'a>(&'a self, id: &'a ClientOrderId) -> &'a ClientOrderId {
        self.firsts.get(id).unwrap_or(id)
    }

    fn head(&self, id: &ClientOrderId) -> Option<&ClientOrderId> {
        self.heads.get(self.first(id))
    }

    fn next(&self, id: &ClientOrderId) -> Option<&ClientOrderId> {
        self.neighbours.get(id)?.next.as_ref()
    }

    /// `next`, which comes after nobody, comes after `last`, after whom nobody comes.
    fn join(&mut self, last: &ClientOrderId, next: &ClientOrderId) {
        let first = self.first(last).clone();
        let head = self.heads.remove(next).unwrap_or_else(|| next.clone());
        self.heads.insert(first.clone(), head);
        self.neighbours.entry(last.clone()).or_default().next = Some(next.clone());
        self.neighbours.entry(next.clone()).or_default().before = Some(last.clone());
        self.name_from(next, &first);
    }

    /// Nobody comes after `last` any more.
    fn cut_after(&mut self, last: &ClientOrderId) {
        let Some(next) = self.neighbours.get_mut(last).and_then(|own| own.next.take()) else { return };
        if let Some(own) = self.neighbours.get_mut(&next) {
            own.before = None;
        }
        let head = self.heads.insert(self.first(last).clone(), last.clone());
        self.heads.insert(next.clone(), head.unwrap_or_else(|| next.clone()));
        self.name_from(&next.clone(), &next);
    }

    /// Those from `id` on have this `first`.
    fn name_from(&mut self, id: &ClientOrderId, first: &ClientOrderId) {
        let mut at = Some(id.clone());
        while let Some(id) = at {
            #[cfg(test)]
            steps::count();
            at = self.next(&id).cloned();
            self.firsts.insert(id, first.clone());
        }
    }

    fn forget(&mut self, id: &ClientOrderId) {
        let first = self.first(id).clone();
        let Neighbours { before, next } = self.neighbours.remove(id).unwrap_or_default();
        if let Some(own) = before.as_ref().and_then(|before| self.neighbours.get_mut(before)) {
            own.next.clone_from(&next);
        }
        if let Some(own) = next.as_ref().and_then(|next| self.neighbours.get_mut(next)) {
            own.before.clone_from(&before);
        }
        if self.heads.get(&first) == Some(id) {
            match before {
                Some(before) => self.heads.insert(first, before),
                None => self.heads.remove(&first),
            };
        }
        self.firsts.remove(id);
        self.origins.remove(id);
    }
}

impl Books {
    /// Where the chain of replacements that leads to an order began.
    pub fn origin<'a>(&'a self, id: &'a ClientOrderId) -> &'a ClientOrderId {
        self.lines.origin(id)
    }

    /// The order that stands in the place of this one: itself, unless it was replaced.
    pub fn standing<'a>(&'a self, order: &'a Order) -> &'a Order {
        let head = self.lines.head(order.client_id());
        head.and_then(|head| self.order(head)).unwrap_or(order)
    }

    /// The orders that have stood in one place after each other, from the one that was sent first, unless
    /// that is forgotten, to the one that stands there now.
    pub fn line<'a>(&'a self, id: &'a ClientOrderId) -> impl Iterator<Item = &'a Order> {
        std::iter::successors(Some(self.origin(id)), |id| self.lines.next(id))
            .filter_map(|id| self.orders.get(id))
    }

    /// Whether an order stands, or stood, in the place that its chain leads to. One that was to take a place
    /// and did not is in none.
    pub(super) fn is_in_line(&self, id: &ClientOrderId) -> bool {
        self.lines.first(id) == self.lines.first(self.origin(id))
    }

    /// Whether an order is the first or the last that stood in its place.
    pub(super) fn is_end_of_line(&self, id: &ClientOrderId) -> bool {
        self.origin(id) == id || self.lines.head(id) == Some(id)
    }

    /// The orders that were to take the place of this one, the newest first. More than one was refused.
    pub fn replacements(&self, id: &ClientOrderId) -> impl Iterator<Item = &Order> {
        let newest_first = self.replacements.get(id).into_iter().flatten().rev();
        newest_first.filter_map(|id| self.orders.get(id))
    }

    /// The replacement of an order of which it is not certain yet what became of it.
    pub fn open_replacement(&self, id: &ClientOrderId) -> Option<&Order> {
        self.replacements(id).find(|order| order.state.is_open())
    }

    /// What stands in the place of an order as far as this one and those that were to replace it tell.
    fn next_in_line(&self, order: &Order) -> Option<&Order> {
        #[cfg(test)]
        steps::count();
        let is_over = order.state == OrderState::Terminal(OrderStatus::Replaced);
        let failed = OrderState::Terminal(OrderStatus::Rejected);
        let has_come = |next: &&Order| !next.state.is_concluded() && next.state != failed;
        let mut next = self.replacements(order.client_id()).filter(has_come);
        next.next().filter(|_| is_over)
    }

    /// Notes where the chain of an order that comes into the books begins, as far as they have it.
    pub(super) fn begin_line(&mut self, order: &Order) {
        let id = order.client_id();
        if let Some(old) = order.links.replaces.as_ref().filter(|old| self.orders.contains_key(*old)) {
            let origin = self.origin(old).clone();
            self.lines.origins.insert(id.clone(), origin);
        }
        // Those after it may have come first.
        let origin = self.origin(id).clone();
        let mut later = self.replacements.get(id).cloned().unwrap_or_default();
        while let Some(next) = later.pop() {
            if *self.origin(&next) != origin {
                later.extend(self.replacements.get(&next).into_iter().flatten().cloned());
                self.lines.origins.insert(next, origin.clone());
            }
        }
    }

    pub(super) fn leave_line(&mut self, id: &ClientOrderId) {
        self.lines.forget(id);
        self.owed.remove(id);
        self.owing.remove(id);
    }

    /// Puts an order, and what it was to replace, where they stand after either changed.
    pub(super) fn realign(&mut self, id: &ClientOrderId) {
        let Some(order) = self.orders.get(id) else { return };
        let is_replaced = order.state == OrderState::Terminal(OrderStatus::Replaced);
        let old = order.links.replaces.clone();
        if old.is_none() && !is_replaced && self.lines.next(id).is_none() {
            // Alone in its line, as nearly all are: nobody comes before it or after it.
            self.owed.remove(id);
            self.owing.remove(id);
            return;
        }
        for id in old.iter().chain([id]) {
            self.realign_after(id);
            self.note_owed(id);
        }
    }

    fn realign_after(&mut self, id: &ClientOrderId) {
        let Some(order) = self.orders.get(id) else { return };
        let next = self.next_in_line(order).map(|next| next.client_id().clone());
        let known = self.lines.next(id);
        let replaces = |next: &ClientOrderId| self.orders.get(next)?.links.replaces.as_ref();
        // Those between them were over long ago and are forgotten.
        let is_far = known.is_some_and(|known| replaces(known) != Some(id));
        if known == next.as_ref() || is_far {
            return;
        }
        self.lines.cut_after(id);
        if let Some(next) = next {
            self.lines.join(id, &next);
        }
    }

    /// What took the place of an order by the broker's word, and the books do not have.
    pub fn owed(&self, id: &ClientOrderId) -> Option<&BrokerOrderId> {
        self.owed.get(id)
    }

    /// Orders that were replaced by what the books do not have: see [`Books::owes_successor`]. What that may
    /// fill is the rest of them.
    pub fn owing_orders(&self) -> impl Iterator<Item = &Order> {
        self.owing.iter().filter_map(|id| self.orders.get(id))
    }

    /// The order whose place this one took by the broker's word.
    pub fn owed_to(&self, successor: &BrokerOrderId) -> Option<&ClientOrderId> {
        self.owed.iter().find(|(_, owed)| *owed == successor).map(|(id, _)| id)
    }

    /// Whether the broker has to be asked what took the place of an order: by whom it was replaced, or for an
    /// order that the books do not have.
    pub fn owes_successor(&self, order: &Order) -> bool {
        let is_over = order.state == OrderState::Terminal(OrderStatus::Replaced);
        let is_unknown = || order.shown_at.is_none() || self.owed.contains_key(order.client_id());
        is_over && self.successor(order).is_none() && is_unknown()
    }

    /// Whether it has still to be learned what took the place of an order, be it of that order itself.
    pub(super) fn awaits_successor(&self, order: &Order) -> bool {
        let is_over = order.state == OrderState::Terminal(OrderStatus::Replaced);
        let is_unbound = || self.successor(order).is_some_and(|next| next.broker_id.is_none());
        self.owes_successor(order) || (is_over && is_unbound())
    }

    /// What came after an order that was replaced.
    pub fn successor(&self, order: &Order) -> Option<&Order> {
        self.lines.next(order.client_id()).and_then(|next| self.orders.get(next))
    }

    fn note_owed(&mut self, id: &ClientOrderId) {
        let Some(order) = self.orders.get(id) else { return };
        let is_over = order.state == OrderState::Terminal(OrderStatus::Replaced);
        let by = order.replaced_by.as_ref().filter(|by| is_over && !self.by_broker_id.contains_key(*by));
        match by.filter(|_| self.successor(order).is_none()).cloned() {
            Some(by) => self.owed.insert(id.clone(), by),
            None => self.owed.remove(id),
        };
        if self.orders.get(id).is_some_and(|order| self.owes_successor(order)) {
            self.owing.insert(id.clone());
        } else {
            self.owing.remove(id);
        }
    }
}

/// What the bookkeeping costs.
#[cfg(test)]
pub(super) mod steps {
    use std::cell::Cell;

    thread_local! {
        static STEPS: Cell<usize> = const { Cell::new(0) };
    }

    pub(in super::super) fn count() {
        STEPS.set(STEPS.get() + 1);
    }

    pub(in super::super) fn taken() -> usize {
        STEPS.take()
    }
}
