//! Who is told of the market first: the clock, and the venue of a dry run. Then the strategies.

use std::sync::{Arc, atomic::Ordering};

use sandpit_fanout::{DataCounts, FanOut, Listener, Roster, Tape};
use sandpit_ingest::MarketSink;
use sandpit_local::LocalBroker;
use sandpit_strategy::Inbox;
use sandpit_types::{MarketEvent, MarketTime, Symbol};

use crate::{clock::BrokerClock, strategies::Strategy};

/// Where ingest puts what it has. `venue` is given in a dry run: it fills from the same data.
pub(crate) fn fan_out(
    clock: Arc<BrokerClock>,
    venue: Option<LocalBroker>,
    tape: Arc<Tape>,
    counts: Arc<DataCounts>,
    roster: Arc<Roster<Strategy>>,
) -> impl MarketSink {
    let first = move |events: &[MarketEvent]| {
        if let Some(newest) = newest(events) {
            clock.observe(newest);
        }
        if let Some(venue) = &venue {
            venue.on_market(events);
        }
    };
    FanOut::new(first, tape, counts, roster)
}

/// How far these events show time to have come. News does not: nobody has checked its stamps.
fn newest(events: &[MarketEvent]) -> Option<MarketTime> {
    let checked = events.iter().filter(|event| !matches!(event, MarketEvent::News(_)));
    checked.map(MarketEvent::time).max()
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

#[cfg(test)]
mod tests {
    use sandpit_types::News;

    use super::*;

    #[test]
    fn news_does_not_tell_the_time() {
        let (noon, tomorrow) = (MarketTime::from_secs(1_000), MarketTime::from_secs(90_000));
        let text = String::new;
        let news = MarketEvent::News(Box::new(News {
            id: 1,
            created: tomorrow,
            updated: tomorrow,
            headline: text(),
            summary: text(),
            author: text(),
            source: text(),
            url: text(),
            symbols: Vec::new(),
        }));
        assert_eq!(newest(std::slice::from_ref(&news)), None);
        assert_eq!(newest(&[MarketEvent::SessionClose(noon), news]), Some(noon));
    }
}
