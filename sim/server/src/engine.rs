//! The market applied to the venue, one event at a time. Pure: time comes in as an argument.

use std::{iter::Peekable, sync::Arc};

use sandpit_types::{MarketEvent, MarketTime};
use sandpit_venue::{Listing, Venue, VenueConfig};

use crate::{
    data::{Feed, Tick},
    history::{History, StoredBar},
    market::Market,
    schedule::Schedule,
    wire::asset::permissions,
};

/// Events that were played to the market so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DataCounts {
    /// One-minute bars.
    pub bars: u64,
    /// Quotes.
    pub quotes: u64,
    /// Trades.
    pub trades: u64,
}

/// The venue, and the market that moves it.
pub struct Engine {
    /// The matching engine.
    pub venue: Venue,
    /// The bars that are over.
    pub history: History,
    /// What was played.
    pub counts: DataCounts,
    feed: Peekable<Feed>,
    schedule: Arc<Schedule>,
}

impl Engine {
    /// A venue at the start of `schedule`, or at the first event of the market if that lies before.
    pub fn new(config: VenueConfig, market: Market, schedule: Arc<Schedule>) -> Self {
        let mut feed = market.feed.peekable();
        let listings: Vec<Listing> = market.symbols.iter().map(permissions).collect();
        let first = feed.peek().map_or(schedule.start(), |tick| tick.event.time());
        Self {
            venue: Venue::with_listings(config, &listings, first.min(schedule.start())),
            history: History::default(),
            counts: DataCounts::default(),
            feed,
            schedule,
        }
    }

    /// Applies the next market event that is due and says whether it was played or jumped over: what lies
    /// before the start or in a night is known to the venue and to history, but nobody could have seen it
    /// live.
    pub fn step(&mut self, now: MarketTime) -> Option<(Tick, bool)> {
        let tick = self.feed.next_if(|tick| tick.event.time() <= now)?;
        self.venue.on_market(&tick.event);
        let played = self.schedule.is_played(tick.event.time());
        let count = match &tick.event {
            MarketEvent::Bar(bar) => {
                self.history.push(StoredBar { bar: bar.clone(), trades: tick.trades });
                &mut self.counts.bars
            }
            MarketEvent::Quote(_) => &mut self.counts.quotes,
            MarketEvent::Trade(_) => &mut self.counts.trades,
            MarketEvent::BarsComplete(_)
            | MarketEvent::SessionOpen(_)
            | MarketEvent::SessionClose(_)
            | MarketEvent::Health(..) => return Some((tick, false)),
        };
        *count += u64::from(played);
        Some((tick, played))
    }

    /// When the next market event is due; `None` after the last.
    pub fn next_due(&mut self) -> Option<MarketTime> {
        self.feed.peek().map(|tick| tick.event.time())
    }
}
