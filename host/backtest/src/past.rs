//! What was before a run began: the newest bars of each symbol, for the strategy's warm-up.

use std::collections::{BTreeMap, VecDeque};

use sandpit_data::{DataError, Reel};
use sandpit_types::{Bar, MarketEvent, MarketTime, Symbol};

use crate::Settings;

/// Bars from before the run, as many of each symbol as the strategy wants.
pub(crate) struct Past {
    start: Option<MarketTime>,
    most: usize,
    bars: BTreeMap<Symbol, VecDeque<Bar>>,
}

impl Past {
    pub(crate) fn new(settings: &Settings) -> Self {
        let most = settings.plugin.description().warmup_bars as usize;
        Self { start: settings.start, most, bars: BTreeMap::new() }
    }

    /// Reads on to the first events that are not the past; they are none when everything is.
    pub(crate) fn until_start(&mut self, reel: &mut dyn Reel) -> Result<Vec<MarketEvent>, DataError> {
        let mut events = Vec::new();
        loop {
            reel.read(&mut events)?;
            if events.is_empty() {
                return Ok(events);
            }
            let Some(start) = self.start else { return Ok(events) };
            let count = events.partition_point(|event| event.time() < start);
            events.drain(..count).for_each(|event| self.keep(event));
            if !events.is_empty() {
                return Ok(events);
            }
        }
    }

    fn keep(&mut self, event: MarketEvent) {
        let MarketEvent::Bar(bar) = event else { return };
        if self.most == 0 {
            return;
        }
        if !self.bars.contains_key(&bar.symbol) {
            self.bars.insert(bar.symbol.clone(), VecDeque::new());
        }
        let bars = self.bars.get_mut(&bar.symbol).expect("it was put there");
        if bars.len() == self.most {
            bars.pop_front();
        }
        bars.push_back(bar);
    }

    /// The bars in order of time; those of one minute in order of symbols.
    pub(crate) fn into_bars(self) -> Vec<Bar> {
        let mut bars: Vec<Bar> = self.bars.into_values().flatten().collect();
        bars.sort_by_key(|bar| bar.start);
        bars
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bar(symbol: &str, minute: i64) -> MarketEvent {
        let symbol = Symbol::new(symbol);
        let start = MarketTime::from_secs(60 * minute);
        let (open, high, low, close, vwap) = (1.0, 1.0, 1.0, 1.0, 1.0);
        MarketEvent::Bar(Bar { symbol, start, open, high, low, close, volume: 1, vwap })
    }

    #[test]
    fn the_newest_bars_before_the_start_are_kept() {
        let check = |most: usize, start: Option<i64>, expected: &[(&str, i64)], first: Option<i64>| {
            let start = start.map(|minute| MarketTime::from_secs(60 * minute));
            let mut past = Past { start, most, bars: BTreeMap::new() };
            // A bar is known at the end of its minute.
            let events: Vec<_> =
                (0..10_000).flat_map(|minute| [bar("A", minute), bar("B", minute)]).collect();
            let rest = past.until_start(&mut events.into_iter()).expect("events");
            assert_eq!(rest.first().map(|event| event.time().as_nanos() / 60_000_000_000), first);
            let kept: Vec<_> = past.into_bars().into_iter().map(|bar| (bar.symbol, bar.start)).collect();
            let expected: Vec<(Symbol, MarketTime)> = expected
                .iter()
                .map(|(symbol, minute)| (Symbol::new(symbol), MarketTime::from_secs(60 * minute)))
                .collect();
            assert_eq!(kept, expected, "{most} {start:?}");
        };
        check(2, Some(9_001), &[("A", 8_998), ("B", 8_998), ("A", 8_999), ("B", 8_999)], Some(9_001));
        check(0, Some(9_001), &[], Some(9_001));
        check(2, Some(2), &[("A", 0), ("B", 0)], Some(2));
        check(2, Some(1), &[], Some(1));
        check(2, None, &[], Some(1));
        check(1, Some(20_000), &[("A", 9_999), ("B", 9_999)], None);
    }
}
