//! Whose turn it is.

use std::{
    collections::{BTreeMap, BTreeSet},
    ops::Bound,
};

use sandpit_types::StrategyName;

use super::request::{QueueError, Ticket};

/// How many requests of one priority may wait.
pub const MAX_WAITING: usize = 1_024;

/// How many requests of one priority may wait for one strategy, so that none fills the lane. The host itself
/// may have the whole lane.
pub const MAX_WAITING_EACH: usize = 512;

/// The last places of a lane, for those of whom few wait: two busy strategies do not shut the others out.
pub const KEPT_PLACES: usize = 256;

/// How many may wait for one strategy that takes one of the kept places.
pub const FEW: usize = 16;

/// The requests of one priority.
#[derive(Debug, Default)]
pub(super) struct Lane {
    by_owner: BTreeMap<Option<StrategyName>, BTreeSet<Ticket>>,
    pub(super) len: usize,
    /// Who went last: the turn passes to the next in order.
    pub(super) last: Option<Option<StrategyName>>,
}

impl Lane {
    /// Whether one more of this owner finds a place.
    pub(super) fn admits(&self, owner: &Option<StrategyName>) -> Result<(), QueueError> {
        let own = self.by_owner.get(owner).map_or(0, BTreeSet::len);
        let limit = match owner {
            Some(_) if self.len + KEPT_PLACES >= MAX_WAITING && own >= FEW => own,
            Some(_) => MAX_WAITING_EACH,
            None => MAX_WAITING,
        };
        if self.len >= MAX_WAITING {
            Err(QueueError::Full { limit: MAX_WAITING })
        } else if own >= limit {
            Err(QueueError::Full { limit })
        } else {
            Ok(())
        }
    }

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

    /// The oldest request of each who waits, beginning after the one who went last.
    pub(super) fn in_turn(&self) -> impl Iterator<Item = Ticket> {
        let (after, until) = match &self.last {
            Some(last) => (Bound::Excluded(last), Bound::Included(last)),
            None => (Bound::Unbounded, Bound::Unbounded),
        };
        let wrapped = self.last.iter().flat_map(move |_| self.by_owner.range((Bound::Unbounded, until)));
        let owners = self.by_owner.range((after, Bound::Unbounded)).chain(wrapped);
        owners.filter_map(|(_, tickets)| tickets.first().copied())
    }
}
