//! Who is told of the market first: the clock, and the venue of a dry run. Then the strategies.

use std::sync::{Arc, atomic::Ordering};

use sandpit_fanout::{DataCounts, FanOut, Listener, Tape};
use sandpit_ingest::MarketSink;
use sandpit_strategy::Inbox;
use sandpit_types::{MarketEvent, Symbol};

use crate::{clock::BrokerClock, dry_run::DryRun, strategies::Strategy};

/// Where ingest puts what it has. `venue` is given in a dry run: it fills from the same data.
pub(crate) fn fan_out(
    clock: Arc<BrokerClock>,
    venue: Option<DryRun>,
    tape: Arc<Tape>,
    counts: Arc<DataCounts>,
    strategies: Vec<Arc<Strategy>>,
) -> impl MarketSink {
    let first = move |events: &[MarketEvent]| {
        if let Some(newest) = events.iter().map(MarketEvent::time).max() {
            clock.observe(newest);
        }
        if let Some(venue) = &venue {
            venue.on_market(events);
        }
    };
    FanOut::new(first, tape, counts, strategies)
}

impl Listener for Strategy {
    fn instruments(&self) -> &[Symbol] {
        &self.instruments
    }

    fn wants_news(&self) -> bool {
        self.wants_news()
    }

    fn inbox(&self) -> &Inbox {
        &self.inbox
    }

    fn count(&self, events: u64) {
        self.counters.events.fetch_add(events, Ordering::Relaxed);
    }
}
