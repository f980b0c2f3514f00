//! The queue in front of one strategy. Pushing never waits: the ingest thread cannot be held up by a
//! strategy.
//!
//! Quotes and trades conflate once more than [`CONFLATE_ABOVE`] events wait: a new one takes out the newest
//! waiting one of its kind and instrument. A tick always takes out the one that waits: only the newest time
//! is of use. Everything else is never dropped; when [`WAITING_MAX`] such events wait, the queue gives up and
//! says so, and the strategy is quarantined, because its view of the world is wrong from then on.

use std::{
    collections::{BTreeMap, HashMap, HashSet, VecDeque},
    sync::{Condvar, Mutex, MutexGuard, PoisonError},
};

use sandpit_types::{MarketEvent, Symbol};

use crate::StrategyEvent;

/// How many events may wait before quotes and trades conflate.
pub const CONFLATE_ABOVE: usize = 256;
/// How many events may wait that are never dropped.
pub const WAITING_MAX: usize = 65_536;

/// What the strategy's thread takes out.
#[derive(Debug, PartialEq)]
pub(crate) enum Next {
    /// The oldest event.
    Event(StrategyEvent),
    /// Events were lost. Said once.
    Overflowed,
}

/// The queue of one strategy.
#[derive(Debug)]
pub struct Inbox {
    instruments: HashSet<Symbol>,
    queue: Mutex<Queue>,
    filled: Condvar,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Kind {
    Quote,
    Trade,
}

#[derive(Debug, Default)]
struct Queue {
    next: u64,
    kept: VecDeque<(u64, StrategyEvent)>,
    conflatable: BTreeMap<u64, StrategyEvent>,
    newest: HashMap<(Kind, Symbol), u64>,
    newest_tick: Option<u64>,
    conflated: u64,
    stop: Option<String>,
    overflow: Overflow,
}

#[derive(Debug, Default, PartialEq, Eq)]
enum Overflow {
    #[default]
    No,
    Unsaid,
    Said,
}

impl Inbox {
    /// A queue that takes market data of these instruments only.
    pub fn new(instruments: impl IntoIterator<Item = Symbol>) -> Self {
        Self {
            instruments: instruments.into_iter().collect(),
            queue: Mutex::default(),
            filled: Condvar::new(),
        }
    }

    /// Adds an event. Never waits for the strategy.
    pub fn push(&self, event: StrategyEvent) {
        if self.is_foreign(&event) {
            return;
        }
        self.lock().push(event);
        self.filled.notify_one();
    }

    /// Events that wait.
    pub fn waiting(&self) -> usize {
        self.lock().waiting()
    }

    /// Quotes and trades left out so far because newer ones came before the strategy got to them.
    pub fn conflated(&self) -> u64 {
        self.lock().conflated
    }

    /// Takes out the next event; waits until there is one.
    pub(crate) fn pop(&self) -> Next {
        let mut queue = self.lock();
        loop {
            if let Some(next) = queue.pop() {
                return next;
            }
            queue = self.filled.wait(queue).unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn is_foreign(&self, event: &StrategyEvent) -> bool {
        let symbol = match event {
            StrategyEvent::Market(MarketEvent::Bar(bar)) | StrategyEvent::Warmup(bar) => &bar.symbol,
            StrategyEvent::Market(MarketEvent::Quote(quote)) => &quote.symbol,
            StrategyEvent::Market(MarketEvent::Trade(trade)) => &trade.symbol,
            _ => return false,
        };
        !self.instruments.contains(symbol)
    }

    /// The queue holds whole events at every moment, so a panic elsewhere does not spoil it.
    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Queue {
    fn waiting(&self) -> usize {
        self.kept.len() + self.conflatable.len()
    }

    fn push(&mut self, event: StrategyEvent) {
        match event {
            StrategyEvent::Stop(reason) => self.stop = Some(reason),
            // A nonce is answered even when the events are lost: the thread is alive, the strategy is not.
            _ if self.overflow != Overflow::No && !matches!(event, StrategyEvent::Probe(_)) => {}
            StrategyEvent::Market(MarketEvent::Quote(quote)) => {
                let key = (Kind::Quote, quote.symbol.clone());
                self.conflate(key, StrategyEvent::Market(MarketEvent::Quote(quote)));
            }
            StrategyEvent::Market(MarketEvent::Trade(trade)) => {
                let key = (Kind::Trade, trade.symbol.clone());
                self.conflate(key, StrategyEvent::Market(MarketEvent::Trade(trade)));
            }
            StrategyEvent::Tick(_) => {
                if let Some(last) = self.newest_tick.replace(self.next) {
                    self.conflatable.remove(&last);
                }
                self.add_conflatable(event);
            }
            event => self.keep(event),
        }
    }

    fn keep(&mut self, event: StrategyEvent) {
        if self.kept.len() >= WAITING_MAX {
            self.kept.clear();
            self.conflatable.clear();
            self.newest.clear();
            self.newest_tick = None;
            self.overflow = if self.overflow == Overflow::Said { Overflow::Said } else { Overflow::Unsaid };
            return;
        }
        self.kept.push_back((self.next, event));
        self.next += 1;
    }

    fn conflate(&mut self, key: (Kind, Symbol), event: StrategyEvent) {
        let lags = self.waiting() >= CONFLATE_ABOVE;
        let last = self.newest.insert(key, self.next);
        if lags && last.and_then(|last| self.conflatable.remove(&last)).is_some() {
            self.conflated += 1;
        }
        self.add_conflatable(event);
    }

    fn add_conflatable(&mut self, event: StrategyEvent) {
        self.conflatable.insert(self.next, event);
        self.next += 1;
    }

    fn pop(&mut self) -> Option<Next> {
        if let Some(reason) = self.stop.take() {
            return Some(Next::Event(StrategyEvent::Stop(reason)));
        }
        if self.overflow == Overflow::Unsaid {
            self.overflow = Overflow::Said;
            return Some(Next::Overflowed);
        }
        let kept = self.kept.front().map_or(u64::MAX, |(sequence, _)| *sequence);
        let entry = self.conflatable.first_entry().filter(|entry| *entry.key() < kept);
        if let Some(entry) = entry {
            return Some(Next::Event(entry.remove()));
        }
        self.kept.pop_front().map(|(_, event)| Next::Event(event))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use sandpit_types::{Bar, MarketTime, Quote, Trade};

    use super::*;

    fn bar(symbol: &str, minute: i64) -> StrategyEvent {
        let start = MarketTime::from_secs(60 * minute);
        let symbol = Symbol::new(symbol);
        let bar = Bar { symbol, start, open: 1.0, high: 1.0, low: 1.0, close: 1.0, volume: 1, vwap: 1.0 };
        StrategyEvent::Market(MarketEvent::Bar(bar))
    }

    fn quote(symbol: &str, secs: i64) -> StrategyEvent {
        StrategyEvent::Market(MarketEvent::Quote(Quote {
            symbol: Symbol::new(symbol),
            time: MarketTime::from_secs(secs),
            bid: 1.0,
            bid_size: 1,
            ask: 2.0,
            ask_size: 1,
        }))
    }

    fn trade(symbol: &str, secs: i64) -> StrategyEvent {
        let (symbol, time) = (Symbol::new(symbol), MarketTime::from_secs(secs));
        StrategyEvent::Market(MarketEvent::Trade(Trade { symbol, time, price: 1.0, size: 1 }))
    }

    fn inbox() -> Inbox {
        Inbox::new(["A", "B"].map(Symbol::new))
    }

    fn drain(inbox: &Inbox) -> Vec<StrategyEvent> {
        let mut events = Vec::new();
        while inbox.waiting() > 0 {
            let Next::Event(event) = inbox.pop() else { panic!("it overflowed") };
            events.push(event);
        }
        events
    }

    #[test]
    fn a_strategy_that_keeps_up_sees_everything_in_order() {
        let inbox = inbox();
        let events = [quote("A", 1), quote("A", 2), bar("A", 1), trade("B", 3), quote("A", 4)];
        for event in &events {
            inbox.push(event.clone());
        }
        inbox.push(quote("FOREIGN", 5));
        inbox.push(bar("FOREIGN", 5));
        assert_eq!(drain(&inbox), events);
        assert_eq!(inbox.conflated(), 0);
    }

    #[test]
    fn a_lagging_one_gets_all_bars_and_the_newest_quotes() {
        let inbox = inbox();
        for minute in 0..1_000 {
            inbox.push(bar("A", minute));
        }
        for secs in 0..1_000 {
            inbox.push(quote("A", secs));
            inbox.push(quote("B", secs));
            inbox.push(trade("A", secs));
        }
        assert_eq!(inbox.waiting(), 1_003);
        assert_eq!(inbox.conflated(), 2_997);
        let events = drain(&inbox);
        assert_eq!(events[..1_000], (0..1_000).map(|minute| bar("A", minute)).collect::<Vec<_>>());
        assert_eq!(events[1_000..], [quote("A", 999), quote("B", 999), trade("A", 999)]);
    }

    #[test]
    fn only_the_newest_tick_waits() {
        let tick = |secs| StrategyEvent::Tick(MarketTime::from_secs(secs));
        let inbox = inbox();
        for event in [tick(1), bar("A", 1), tick(2), quote("A", 3), tick(4), bar("A", 2)] {
            inbox.push(event);
        }
        assert_eq!(drain(&inbox), [bar("A", 1), quote("A", 3), tick(4), bar("A", 2)]);
        // What was taken out is not taken for one that waits.
        inbox.push(tick(5));
        assert_eq!(drain(&inbox), [tick(5)]);
        (0..100_000).for_each(|secs| inbox.push(tick(secs)));
        assert_eq!((inbox.waiting(), inbox.conflated()), (1, 0));
    }

    #[test]
    fn stop_overtakes() {
        let inbox = inbox();
        inbox.push(bar("A", 1));
        inbox.push(StrategyEvent::Stop("enough".into()));
        assert_eq!(inbox.pop(), Next::Event(StrategyEvent::Stop("enough".into())));
        assert_eq!(inbox.pop(), Next::Event(bar("A", 1)));
    }

    #[test]
    fn overflow_is_said_once_and_probes_are_still_answered() {
        let inbox = inbox();
        for minute in 0..=WAITING_MAX as i64 {
            inbox.push(bar("A", minute));
        }
        inbox.push(bar("A", 1));
        inbox.push(quote("A", 1));
        inbox.push(StrategyEvent::Probe(7));
        assert_eq!(inbox.pop(), Next::Overflowed);
        assert_eq!(inbox.pop(), Next::Event(StrategyEvent::Probe(7)));
        assert_eq!(inbox.waiting(), 0);
    }

    proptest! {
        #[test]
        fn nothing_but_old_quotes_is_lost_and_order_holds(
            pushes in prop::collection::vec((0_u8..4, any::<bool>()), 0..2_000),
        ) {
            let inbox = inbox();
            let mut bars = Vec::new();
            let mut last_quote = None;
            for (at, (what, first)) in pushes.into_iter().enumerate() {
                let (symbol, at) = (if first { "A" } else { "B" }, at as i64);
                match what {
                    0 => { bars.push(bar(symbol, at)); inbox.push(bar(symbol, at)); }
                    1 => inbox.push(trade(symbol, 60 * at + 60)),
                    _ => { last_quote = Some(60 * at + 60); inbox.push(quote(symbol, 60 * at + 60)); }
                }
                prop_assert!(inbox.waiting() <= CONFLATE_ABOVE + bars.len() + 4);
            }
            let events = drain(&inbox);
            let times: Vec<_> = events.iter().map(|event| event.time().expect("market events")).collect();
            prop_assert!(times.is_sorted());
            let is_quote =
                |event: &&StrategyEvent| matches!(event, StrategyEvent::Market(MarketEvent::Quote(_)));
            let seen = events.iter().rfind(is_quote).and_then(StrategyEvent::time);
            prop_assert_eq!(seen, last_quote.map(MarketTime::from_secs));
            let seen: Vec<_> = events
                .into_iter()
                .filter(|event| matches!(event, StrategyEvent::Market(MarketEvent::Bar(_))))
                .collect();
            prop_assert_eq!(seen, bars);
        }
    }
}
