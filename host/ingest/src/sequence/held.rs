//! What the stream brings while a gap is being filled.

use std::collections::VecDeque;

use sandpit_types::MarketEvent;

/// Quotes and trades held back at most; when full, the oldest goes. Bars are never let go: there is one a
/// symbol and minute, and a gap is given up after a while.
pub(super) const MAX_TICKS: usize = 65_536;

/// Events in the order they came.
#[derive(Debug, Default)]
pub(super) struct Held {
    came: u64,
    bars: VecDeque<(u64, MarketEvent)>,
    ticks: VecDeque<(u64, MarketEvent)>,
}

impl Held {
    /// Keeps an event; says whether an older one had to go for it.
    pub(super) fn push(&mut self, event: MarketEvent) -> bool {
        self.came += 1;
        if matches!(event, MarketEvent::Bar(_) | MarketEvent::MarkedBar(..)) {
            self.bars.push_back((self.came, event));
            return false;
        }
        let is_full = self.ticks.len() >= MAX_TICKS;
        if is_full {
            self.ticks.pop_front();
        }
        self.ticks.push_back((self.came, event));
        is_full
    }
}

impl Iterator for Held {
    type Item = MarketEvent;

    fn next(&mut self) -> Option<MarketEvent> {
        let order = |queue: &VecDeque<(u64, MarketEvent)>| queue.front().map_or(u64::MAX, |(came, _)| *came);
        let older = if order(&self.bars) < order(&self.ticks) { &mut self.bars } else { &mut self.ticks };
        older.pop_front().map(|(_, event)| event)
    }
}
