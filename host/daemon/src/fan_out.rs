//! From ingest to everybody who wants to know: the tape, the dry-run venue, the strategies' inboxes.

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use sandpit_ingest::MarketSink;
use sandpit_strategy::StrategyEvent;
use sandpit_types::{MarketEvent, Symbol};

use crate::{clock::BrokerClock, dry_run::DryRun, strategies::Strategy, tape::Tape};

/// Market data delivered since the start.
#[derive(Debug, Default)]
pub(crate) struct DataCounts {
    /// One-minute bars.
    pub(crate) bars: AtomicU64,
    /// Quotes.
    pub(crate) quotes: AtomicU64,
    /// Trades.
    pub(crate) trades: AtomicU64,
}

/// Delivers each event to whom it concerns. It never waits: an inbox takes or conflates at once.
pub(crate) struct FanOut {
    clock: Arc<BrokerClock>,
    tape: Arc<Tape>,
    counts: Arc<DataCounts>,
    venue: Option<DryRun>,
    strategies: Vec<Arc<Strategy>>,
    /// Symbol to the indices of the strategies that trade it.
    routes: BTreeMap<Symbol, Vec<usize>>,
}

impl FanOut {
    /// `venue` is given in a dry run: it fills from the same data.
    pub(crate) fn new(
        clock: Arc<BrokerClock>,
        tape: Arc<Tape>,
        counts: Arc<DataCounts>,
        venue: Option<DryRun>,
        strategies: Vec<Arc<Strategy>>,
    ) -> Self {
        let mut routes: BTreeMap<Symbol, Vec<usize>> = BTreeMap::new();
        for (index, strategy) in strategies.iter().enumerate() {
            for symbol in &strategy.instruments {
                routes.entry(symbol.clone()).or_default().push(index);
            }
        }
        Self { clock, tape, counts, venue, strategies, routes }
    }

    fn to_owners(&self, symbol: &Symbol, event: &MarketEvent) {
        for index in self.routes.get(symbol).into_iter().flatten() {
            self.strategies[*index].push_market(event);
        }
    }

    fn to_all(&self, event: &MarketEvent) {
        for strategy in &self.strategies {
            strategy.push_market(event);
        }
    }
}

impl MarketSink for FanOut {
    fn deliver(&mut self, events: &[MarketEvent]) {
        for event in events {
            self.one(event);
        }
    }
}

impl FanOut {
    fn one(&mut self, event: &MarketEvent) {
        self.clock.observe(event.time());
        self.tape.on(event);
        if let Some(venue) = &self.venue {
            venue.on_market(event);
        }
        let one = |counter: &AtomicU64| counter.fetch_add(1, Ordering::Relaxed);
        match event {
            MarketEvent::Bar(bar) => {
                one(&self.counts.bars);
                self.to_owners(&bar.symbol, event);
            }
            MarketEvent::Quote(quote) => {
                one(&self.counts.quotes);
                self.to_owners(&quote.symbol, event);
            }
            MarketEvent::Trade(trade) => {
                one(&self.counts.trades);
                self.to_owners(&trade.symbol, event);
            }
            MarketEvent::MarkedBar(bar, _) => self.to_owners(&bar.symbol, event),
            MarketEvent::News(_)
            | MarketEvent::BarsComplete(_)
            | MarketEvent::SessionOpen(_)
            | MarketEvent::SessionClose(_)
            | MarketEvent::Health(..) => self.to_all(event),
        }
    }
}

impl Strategy {
    fn push_market(&self, event: &MarketEvent) {
        self.counters.events.fetch_add(1, Ordering::Relaxed);
        self.inbox.push(StrategyEvent::Market(event.clone()));
    }
}
