//! Whose turn it is.

use std::{
    collections::{BTreeMap, BTreeSet},
    ops::Bound,
};

use sandpit_types::StrategyName;

use super::Ticket;

/// The requests of one priority.
#[derive(Debug, Default)]
pub(super) struct Lane {
    pub(super) by_owner: BTreeMap<Option<StrategyName>, BTreeSet<Ticket>>,
    pub(super) len: usize,
    /// Who went last: the turn passes to the next in order.
    pub(super) last: Option<Option<StrategyName>>,
}

impl Lane {
    pub(super) fn push(&mut self, owner: Option<StrategyName>, ticket: Ticket) {
        self.by_owner.entry(owner).or_default().insert(ticket);
        self.len += 1;
    }

    pub(super) fn remove(&mut self, owner: &Option<StrategyName>, ticket: Ticket) {
        let Some(tickets) = self.by_owner.get_mut(owner) else { return };
        self.len -= usize::from(tickets.remove(&ticket));
        if tickets.is_empty() {
            self.by_owner.remove(owner);
        }
    }

    /// Who waits, beginning after the one who went last.
    pub(super) fn in_turn(&self) -> impl Iterator<Item = (&Option<StrategyName>, &BTreeSet<Ticket>)> {
        let (after, until) = match &self.last {
            Some(last) => (Bound::Excluded(last), Bound::Included(last)),
            None => (Bound::Unbounded, Bound::Unbounded),
        };
        let wrapped = self.last.iter().flat_map(move |_| self.by_owner.range((Bound::Unbounded, until)));
        self.by_owner.range((after, Bound::Unbounded)).chain(wrapped)
    }
}
