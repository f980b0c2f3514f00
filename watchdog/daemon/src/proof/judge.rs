//! Which open orders a policy leaves alone, and which it does not.
//!
//! `cancel` leaves none. `cancel-keep-stops` leaves stops that reduce a position and do not exceed it,
//! together with what shares their fate: of a bracket's exits, one cancelled cancels the other. `flatten`
//! leaves plain market orders that reduce a position and do not exceed it: they close it, whoever sent them.
//! So every life of the watchdog knows the closing orders of the one before.

use std::collections::{BTreeMap, BTreeSet};

use sandpit_contract::Policy;

use super::vocabulary::{Kind, Order, Position, Sighting};

/// What is left of an order, and of the position on its symbol.
type Sizes = (Option<i128>, Option<i128>);

/// What a policy makes of a sighting.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Judged {
    /// Ids of orders that have to go, in the order seen.
    pub(super) unwanted: Vec<String>,
    /// Those of them that go only when the next read says the very same: a stop looks out of place for a
    /// moment when an execution falls between the two halves of a read.
    pub(super) doubtful: BTreeMap<String, Sizes>,
    /// Those of them that go with their entry: were it executed just now, they would be exits to keep.
    pub(super) legs: BTreeSet<String>,
    /// Orders that stay.
    pub(super) kept: BTreeSet<String>,
    /// Reasons for which the next read has to say the same of them: what is held may be another order's.
    pub(super) unsure: usize,
    /// Closing orders at work, with what is left of them.
    pub(super) closing: Vec<(String, i128)>,
    /// Keys of positions that nothing closes yet.
    pub(super) unclosed: Vec<String>,
    /// Positions that have to go.
    pub(super) positions: usize,
    /// Positions that are reserved for an order that was not listed.
    pub(super) reserved: usize,
}

impl Judged {
    /// How much is left to be done.
    pub(super) fn open(&self) -> usize {
        self.unwanted.len() + self.closing.len() + self.positions + self.reserved + self.unsure
    }

    /// A parent is listed before its legs.
    fn doubt(&mut self, order: &Order, group: &[&Order], room: &Room<'_>) {
        if group.iter().any(|other| other.buys != group[0].buys) {
            if order.buys != group[0].buys {
                self.legs.insert(order.id.clone());
            }
        } else if group.iter().any(|order| order.kind == Kind::Stop) && room.may_exit(group) {
            self.doubtful.insert(order.id.clone(), (order.left, room.qty(&order.symbol)));
        }
    }
}

/// What is to be done about what was seen.
pub(super) fn judge(policy: Policy, seen: &Sighting) -> Judged {
    let mut judged = Judged::default();
    let mut room = Room::of(&seen.positions);
    let mut stays = BTreeSet::new();
    let mut groups: BTreeMap<usize, Vec<&Order>> = BTreeMap::new();
    for order in &seen.open {
        groups.entry(order.group).or_default().push(order);
    }
    for group in groups.values() {
        let fits = match policy {
            Policy::Cancel => false,
            Policy::CancelKeepStops => group.iter().any(|order| order.kind == Kind::Stop),
            Policy::Flatten => group.iter().all(|order| order.kind == Kind::Market),
        };
        if fits && room.takes(group) {
            stays.extend(group.iter().map(|order| order.id.as_str()));
        }
    }
    for order in &seen.open {
        match (stays.contains(order.id.as_str()), policy) {
            (true, Policy::Flatten) => judged.closing.push((order.id.clone(), order.left.unwrap_or(0))),
            (true, Policy::Cancel | Policy::CancelKeepStops) => _ = judged.kept.insert(order.id.clone()),
            (false, Policy::CancelKeepStops) => {
                judged.unwanted.push(order.id.clone());
                judged.doubt(order, &groups[&order.group], &room);
            }
            (false, Policy::Cancel | Policy::Flatten) => judged.unwanted.push(order.id.clone()),
        }
    }
    let is_foreign = |position: &&Position| !seen.foreign.contains(&position.symbol);
    let hidden = |position: &&Position| position.held > room.taken(&position.symbol);
    judged.reserved = seen.positions.iter().filter(is_foreign).filter(hidden).count();
    judged.unsure = usize::from(policy == Policy::CancelKeepStops && seen.is_moving);
    if policy == Policy::Flatten {
        judged.positions = seen.positions.len();
        let idle = seen.positions.iter().filter(|position| room.taken(&position.symbol) == 0);
        judged.unclosed = idle.map(|position| position.key.clone()).collect();
    }
    judged
}

/// Ids of orders that have to go whatever is held, in the order seen.
pub(super) fn certain(policy: Policy, open: Vec<Order>) -> Vec<String> {
    let seen = Sighting { open, ..Sighting::default() };
    let judged = judge(policy, &seen);
    let may_close = |order: &&Order| policy == Policy::Flatten && order.kind == Kind::Market;
    let closing: BTreeSet<&str> = seen.open.iter().filter(may_close).map(|order| order.id.as_str()).collect();
    let is_certain = |id: &String| {
        !judged.doubtful.contains_key(id) && !judged.legs.contains(id) && !closing.contains(id.as_str())
    };
    judged.unwanted.iter().filter(|id| is_certain(id)).cloned().collect()
}

/// What is left of the positions beside the orders that stay.
struct Room<'a> {
    /// Signed size, and how much of it orders take.
    symbols: BTreeMap<&'a str, (i128, i128)>,
}

impl<'a> Room<'a> {
    fn of(positions: &'a [Position]) -> Self {
        let sized = positions.iter().filter_map(|position| Some((position.symbol.as_str(), position.qty?)));
        Self { symbols: sized.map(|(symbol, qty)| (symbol, (qty, 0))).collect() }
    }

    /// Takes the room for a group whose orders all reduce one position, if it is there. They share it: only
    /// one of them can be executed.
    fn takes(&mut self, group: &[&Order]) -> bool {
        let Some(first) = group.first() else {
            return false;
        };
        let Some((qty, taken)) = self.symbols.get_mut(first.symbol.as_str()) else {
            return false;
        };
        let size = group.iter().map(|order| order.left).try_fold(0, |size, left| Some(left?.max(size)));
        let is_exit = |order: &&Order| order.symbol == first.symbol && reduces(order, *qty);
        match size {
            Some(size) if group.iter().all(is_exit) && size > 0 && *taken + size <= qty.abs() => {
                *taken += size;
                true
            }
            Some(_) | None => false,
        }
    }

    /// Whether nothing says that a group of one side is not made of exits.
    fn may_exit(&self, group: &[&Order]) -> bool {
        group.iter().all(|order| self.qty(&order.symbol).is_none_or(|qty| reduces(order, qty)))
    }

    fn qty(&self, symbol: &str) -> Option<i128> {
        self.symbols.get(symbol).map(|(qty, _)| *qty)
    }

    fn taken(&self, symbol: &str) -> i128 {
        self.symbols.get(symbol).map_or(0, |(_, taken)| *taken)
    }
}

fn reduces(order: &Order, qty: i128) -> bool {
    match order.buys {
        Some(true) => qty < 0,
        Some(false) => qty > 0,
        None => false,
    }
}

#[cfg(test)]
#[path = "judge_tests.rs"]
mod tests;
