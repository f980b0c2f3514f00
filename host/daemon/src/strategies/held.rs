//! Mail for a strategy between two versions of it: what became of its orders while none of them was there.
//!
//! The desk introduces the next version with what it holds and its open orders. An order that ended meanwhile
//! is in neither, and the state that the next version starts from may wait for that end for ever. So what
//! came is kept and told after the introduction.

use std::collections::BTreeMap;

use sandpit_strategy::StrategyEvent;
use sandpit_types::StrategyName;

/// Events that are kept for one strategy: more than its orders under way can cause in the minute that it is
/// away. What comes beyond is lost, and said to be.
const HELD_MAX: usize = 4_096;

/// Who is away, and what came for them.
#[derive(Debug, Default)]
pub(super) struct Held(BTreeMap<StrategyName, Kept>);

#[derive(Debug, Default)]
struct Kept {
    /// What the version before had in its queue.
    left: Vec<StrategyEvent>,
    /// What came since.
    came: Vec<StrategyEvent>,
}

impl Held {
    /// This strategy is away from now on, until it is introduced or forgotten.
    pub(super) fn begin(&mut self, name: &StrategyName) {
        self.0.entry(name.clone()).or_default();
    }

    /// Whether this strategy is away.
    pub(super) fn is_away(&self, name: &StrategyName) -> bool {
        self.0.contains_key(name)
    }

    /// Its version before had these in its queue when it ended: they are older than what came since.
    pub(super) fn left(&mut self, name: &StrategyName, events: impl IntoIterator<Item = StrategyEvent>) {
        if let Some(kept) = self.0.get_mut(name) {
            keep(name, &mut kept.left, events);
        }
    }

    /// These came for somebody who is not there; they are kept if he is away only.
    pub(super) fn came(&mut self, name: &StrategyName, events: impl IntoIterator<Item = StrategyEvent>) {
        if let Some(kept) = self.0.get_mut(name) {
            keep(name, &mut kept.came, events);
        }
    }

    /// It does not come back, or is there now: what was kept, in its order.
    pub(super) fn end(&mut self, name: &StrategyName) -> Vec<StrategyEvent> {
        self.0
            .remove(name)
            .map(|Kept { left, came }| left.into_iter().chain(came).collect())
            .unwrap_or_default()
    }
}

fn keep(name: &StrategyName, kept: &mut Vec<StrategyEvent>, events: impl IntoIterator<Item = StrategyEvent>) {
    for event in events.into_iter().filter(is_of_an_order) {
        if kept.len() >= HELD_MAX {
            let strategy = name.as_str();
            tracing::error!(strategy, "too much became of its orders while it was away: it is not told all");
            return;
        }
        kept.push(event);
    }
}

/// What it holds and the market are told anew by the introduction.
fn is_of_an_order(event: &StrategyEvent) -> bool {
    match event {
        StrategyEvent::Order(_) | StrategyEvent::Fill { .. } | StrategyEvent::Refused { .. } => true,
        StrategyEvent::Market(_)
        | StrategyEvent::Warmup(_)
        | StrategyEvent::Account { .. }
        | StrategyEvent::Position { .. }
        | StrategyEvent::OpenOrder { .. }
        | StrategyEvent::Tick(_)
        | StrategyEvent::Probe(_)
        | StrategyEvent::Stop(_) => false,
    }
}

#[cfg(test)]
mod tests {
    use sandpit_types::{MarketTime, Refusal, StrategyOrderId};

    use super::*;

    fn refused(id: u64) -> StrategyEvent {
        StrategyEvent::Refused { id: StrategyOrderId(id), refusal: Refusal::Late, time: MarketTime::EPOCH }
    }

    #[test]
    fn what_became_of_orders_meanwhile_is_told_in_its_order() {
        let [a, b] = ["a", "b"].map(StrategyName::new);
        let mut held = Held::default();
        held.came(&a, [refused(0)]);
        assert!(!held.is_away(&a));
        held.begin(&a);
        assert!(held.is_away(&a) && !held.is_away(&b));
        held.came(&a, [refused(3), StrategyEvent::Tick(MarketTime::EPOCH)]);
        held.came(&b, [refused(9)]);
        held.left(&a, [refused(1), StrategyEvent::Probe(7), refused(2)]);
        held.came(&a, [refused(4)]);
        held.begin(&a);
        assert_eq!(held.end(&b), [], "it is not away");
        assert_eq!(held.end(&a), [1, 2, 3, 4].map(refused));
        held.came(&a, [refused(5)]);
        assert_eq!(held.end(&a), [], "it is there");
    }

    #[test]
    fn there_is_an_end_to_what_is_kept() {
        let a = StrategyName::new("a");
        let mut held = Held::default();
        held.begin(&a);
        held.came(&a, (0..HELD_MAX as u64 + 5).map(refused));
        let kept = held.end(&a);
        assert_eq!(
            (kept.len(), kept.first(), kept.last()),
            (HELD_MAX, Some(&refused(0)), Some(&refused(4_095)))
        );
    }
}
