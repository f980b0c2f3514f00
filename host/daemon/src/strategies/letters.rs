//! What the desk tells one strategy, put together so that nothing comes between what belongs together.
//!
//! The desk tells what a strategy holds after a fill, and then the fill. A market event between the two would
//! fire timers that read the new position and know nothing of its fill. So a position waits for its fill: for
//! what the desk tells next, or the end of [`FILL_WITHIN`].

use std::time::Duration;

use sandpit_strategy::StrategyEvent;
use sandpit_types::StrategyName;

/// How long a position waits for its fill, real time. The desk tells both in one go; positions that no fill
/// has made, such as corrected ones, come by so much later.
pub(super) const FILL_WITHIN: Duration = Duration::from_millis(100);

/// Events of one strategy that nothing comes between.
#[derive(Debug, PartialEq)]
pub(super) struct Letter {
    /// Whose they are.
    pub(super) to: StrategyName,
    /// In their order.
    pub(super) events: Vec<StrategyEvent>,
}

/// The position that waits for its fill, if one does.
#[derive(Default)]
pub(super) struct Letters {
    position: Option<(StrategyName, StrategyEvent)>,
}

impl Letters {
    /// Takes the next event in; gives out what goes now, in its order.
    pub(super) fn add(&mut self, to: StrategyName, event: StrategyEvent) -> Vec<Letter> {
        if let StrategyEvent::Position { .. } = event {
            let last = self.position.replace((to, event));
            return last.map(letter).into_iter().collect();
        }
        match self.position.take() {
            Some((of, position)) if of == to && is_made_by(&position, &event) => {
                vec![Letter { to, events: vec![position, event] }]
            }
            last => last.into_iter().chain([(to, event)]).map(letter).collect(),
        }
    }

    /// Gives up waiting: what is left goes now.
    pub(super) fn rest(&mut self) -> Option<Letter> {
        self.position.take().map(letter)
    }

    /// Whether a position waits for its fill.
    pub(super) fn is_waiting(&self) -> bool {
        self.position.is_some()
    }
}

fn letter((to, event): (StrategyName, StrategyEvent)) -> Letter {
    Letter { to, events: vec![event] }
}

fn is_made_by(position: &StrategyEvent, fill: &StrategyEvent) -> bool {
    matches!(
        (position, fill),
        (StrategyEvent::Position { symbol: of, .. }, StrategyEvent::Fill { symbol, .. }) if of == symbol
    )
}

#[cfg(test)]
mod tests {
    use sandpit_strategy::{Inbox, Next};
    use sandpit_types::{MarketTime, Price, Qty, Side, StrategyOrderId, Symbol};

    use super::*;

    fn position(symbol: &str, shares: i64) -> StrategyEvent {
        let (symbol, qty) = (Symbol::new(symbol), Qty::from_nanos(shares * 1_000_000_000));
        StrategyEvent::Position { symbol, qty, avg_price: Price::from_nanos(1) }
    }

    fn fill(symbol: &str) -> StrategyEvent {
        StrategyEvent::Fill {
            id: StrategyOrderId(1),
            leg: None,
            symbol: Symbol::new(symbol),
            side: Side::Buy,
            qty: Qty::from_nanos(1_000_000_000),
            price: Price::from_nanos(1),
            time: MarketTime::EPOCH,
        }
    }

    fn to(name: &str, events: impl IntoIterator<Item = StrategyEvent>) -> Letter {
        Letter { to: StrategyName::new(name), events: events.into_iter().collect() }
    }

    #[test]
    fn a_position_goes_with_its_fill_and_else_before_whatever_is_next() {
        let mut letters = Letters::default();
        let mut add = |name: &str, event| letters.add(StrategyName::new(name), event);
        assert_eq!(add("a", fill("A")), [to("a", [fill("A")])], "a fill whose position was told before");
        assert_eq!(add("a", position("A", 1)), []);
        assert_eq!(add("a", fill("A")), [to("a", [position("A", 1), fill("A")])]);
        // Others than its own fill do not wait for it, and do not overtake it.
        for (name, event) in
            [("b", fill("A")), ("a", fill("B")), ("a", StrategyEvent::Tick(MarketTime::EPOCH))]
        {
            assert_eq!(add("a", position("A", 2)), []);
            assert_eq!(add(name, event.clone()), [to("a", [position("A", 2)]), to(name, [event])]);
        }
        assert_eq!(add("a", position("A", 3)), []);
        assert_eq!(add("a", position("B", 4)), [to("a", [position("A", 3)])]);
        assert!(letters.is_waiting());
        assert_eq!(letters.rest(), Some(to("a", [position("B", 4)])));
        assert_eq!((letters.rest(), letters.is_waiting()), (None, false));
    }

    #[test]
    fn a_tick_of_the_market_does_not_come_between_a_position_and_its_fill() {
        let inbox = Inbox::new([Symbol::new("A")]);
        let mut letters = Letters::default();
        let tick = StrategyEvent::Tick(MarketTime::EPOCH);
        for (told, meanwhile) in [(position("A", 1), Some(&tick)), (fill("A"), None)] {
            for letter in letters.add(StrategyName::new("a"), told) {
                inbox.push_together(letter.events);
            }
            meanwhile.cloned().into_iter().for_each(|event| inbox.push(event));
        }
        let found = [inbox.pop(), inbox.pop(), inbox.pop()];
        assert_eq!(found, [tick, position("A", 1), fill("A")].map(Next::Event));
    }
}
