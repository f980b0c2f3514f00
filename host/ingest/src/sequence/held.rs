//! The bars of the stream that wait while a gap is being filled.

use sandpit_types::MarketEvent;

/// Bars in the order they came; quotes and trades do not wait. None is ever let go: there is one a symbol and
/// minute, and a gap is given up after a while.
#[derive(Debug, Default)]
pub(super) struct Held {
    bars: Vec<MarketEvent>,
}

impl Held {
    /// Keeps a bar; anything else comes back.
    pub(super) fn push(&mut self, event: MarketEvent) -> Option<MarketEvent> {
        if matches!(event, MarketEvent::Bar(_) | MarketEvent::MarkedBar(..)) {
            self.bars.push(event);
            return None;
        }
        Some(event)
    }
}

impl IntoIterator for Held {
    type Item = MarketEvent;
    type IntoIter = std::vec::IntoIter<MarketEvent>;

    fn into_iter(self) -> Self::IntoIter {
        self.bars.into_iter()
    }
}
