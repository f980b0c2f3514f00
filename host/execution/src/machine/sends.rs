//! Recorded orders on their way out: so many at a time, and those that lower the risk not behind the others.

use std::collections::{BTreeMap, VecDeque};

use sandpit_broker::Class;
use sandpit_types::{ClientOrderId, MarketTime};

/// POSTs under way at a time, of orders that came as exits, and again of the others.
const MAX_IN_FLIGHT: usize = 16;

/// Until when, and how urgent.
#[derive(Clone, Copy, Debug)]
pub(super) struct Terms {
    pub(super) deadline: MarketTime,
    pub(super) reduces: bool,
    /// Whose turn it was: that of an exit, whatever the gates say now. It takes a place among these.
    pub(super) as_exit: bool,
}

impl Terms {
    pub(super) const fn class(self) -> Class {
        if self.reduces { Class::Reduce } else { Class::Enter }
    }
}

/// Bounded by the plan, which lets so many be recorded and not answered at a time, and by the open orders
/// that the gates allow.
#[derive(Debug, Default)]
pub(super) struct Sends {
    terms: BTreeMap<ClientOrderId, Terms>,
    exits: Lane,
    entries: Lane,
}

#[derive(Debug, Default)]
struct Lane {
    /// Recorded, or about to be, and not answered.
    admitted: usize,
    waiting: VecDeque<ClientOrderId>,
    in_flight: usize,
}

impl Sends {
    /// An order is about to be recorded.
    pub(super) fn admit(&mut self, id: ClientOrderId, terms: Terms) {
        self.lane(terms).admitted += 1;
        self.terms.insert(id, terms);
    }

    /// Whether one more may be recorded: it would leave as soon as it is on the disk.
    pub(super) const fn has_room(&self, as_exit: bool) -> bool {
        let lane = if as_exit { &self.exits } else { &self.entries };
        lane.admitted < MAX_IN_FLIGHT
    }

    /// An order is recorded and may leave.
    pub(super) fn ready(&mut self, id: ClientOrderId) {
        if let Some(terms) = self.terms.get(&id).copied() {
            self.lane(terms).waiting.push_back(id);
        }
    }

    /// The next that leaves now.
    pub(super) fn next(&mut self) -> Option<(ClientOrderId, Terms)> {
        let id = self.exits.next().or_else(|| self.entries.next())?;
        let terms = *self.terms.get(&id)?;
        Some((id, terms))
    }

    /// An order's POST ended, or it does not leave after all.
    pub(super) fn ended(&mut self, id: &ClientOrderId) {
        if let Some(terms) = self.terms.remove(id) {
            let lane = self.lane(terms);
            lane.admitted -= 1;
            lane.in_flight = lane.in_flight.saturating_sub(1);
        }
    }

    /// An order is not recorded and never becomes ready.
    pub(super) fn dismiss(&mut self, id: &ClientOrderId) {
        if let Some(terms) = self.terms.remove(id) {
            self.lane(terms).admitted -= 1;
        }
    }

    const fn lane(&mut self, terms: Terms) -> &mut Lane {
        if terms.as_exit { &mut self.exits } else { &mut self.entries }
    }
}

impl Lane {
    fn next(&mut self) -> Option<ClientOrderId> {
        if self.in_flight >= MAX_IN_FLIGHT {
            return None;
        }
        let id = self.waiting.pop_front()?;
        self.in_flight += 1;
        Some(id)
    }
}
