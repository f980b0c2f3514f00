//! The market applied to the venue, one event at a time. Pure: time comes in as an argument.

use std::{collections::BTreeMap, iter::Peekable, sync::Arc};

use sandpit_types::{MarketEvent, MarketTime, SessionDay, Symbol};
use sandpit_venue::{Listing, Venue, VenueConfig};

use crate::{
    data::{Feed, Tick},
    history::History,
    news::NewsDesk,
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
    /// What was.
    pub history: History,
    /// The news.
    pub news: NewsDesk,
    /// What was played.
    pub counts: DataCounts,
    feed: Peekable<Feed>,
    schedule: Arc<Schedule>,
    /// How far prices of the feed are from what is played.
    gaps: BTreeMap<Symbol, Gap>,
}

/// A price of the feed, made into one that is played: so many times, and so much more.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Gap {
    factor: f64,
    amount: f64,
}

impl Gap {
    /// Prices move by so many percent.
    pub fn percent(percent: f64) -> Self {
        Self { factor: 1.0 + percent / 100.0, amount: 0.0 }
    }

    /// Prices move by so many US dollars.
    pub const fn amount(amount: f64) -> Self {
        Self { factor: 1.0, amount }
    }

    /// This gap and after it another.
    fn then(self, next: Self) -> Self {
        Self { factor: self.factor * next.factor, amount: self.amount * next.factor + next.amount }
    }

    /// The price that is played: on the tick, and never down to nothing. A price of zero is an empty side.
    fn apply(self, price: &mut f64) {
        if *price <= 0.0 {
            return;
        }
        let moved = *price * self.factor + self.amount;
        let steps = if moved >= 1.0 { 100.0 } else { 10_000.0 };
        *price = (moved * steps).round().max(1.0) / steps;
    }

    fn apply_to(self, event: &mut MarketEvent) {
        let prices: &mut [&mut f64] = match event {
            MarketEvent::Quote(quote) => &mut [&mut quote.bid, &mut quote.ask],
            MarketEvent::Trade(trade) => &mut [&mut trade.price],
            MarketEvent::Bar(bar) => {
                &mut [&mut bar.open, &mut bar.high, &mut bar.low, &mut bar.close, &mut bar.vwap]
            }
            MarketEvent::BarsComplete(_)
            | MarketEvent::SessionOpen(_)
            | MarketEvent::SessionClose(_)
            | MarketEvent::Health(..) => &mut [],
        };
        prices.iter_mut().for_each(|price| self.apply(price));
    }
}

impl Engine {
    /// A venue at the start of `schedule`, or at the first event of the market if that lies before.
    pub fn new(
        config: VenueConfig,
        symbols: &[Symbol],
        days: &[SessionDay],
        feed: Feed,
        schedule: Arc<Schedule>,
    ) -> Self {
        let mut feed = feed.peekable();
        let listings: Vec<Listing> = symbols.iter().map(permissions).collect();
        let first = feed.peek().map_or(schedule.start(), |tick| tick.event.time());
        let news = NewsDesk::new(config.seed, symbols, days);
        let venue = Venue::with_listings(config, &listings, first.min(schedule.start()));
        Self {
            history: History::new(symbols.iter(), venue.calendar().clone()),
            venue,
            news,
            counts: DataCounts::default(),
            feed,
            schedule,
            gaps: BTreeMap::new(),
        }
    }

    /// Applies the next market event that is due and says whether it was played or jumped over: what lies
    /// before the start or in a night is known to the venue and to history, but nobody could have seen it
    /// live.
    pub fn step(&mut self, now: MarketTime) -> Option<(Tick, bool)> {
        let mut tick = self.feed.next_if(|tick| tick.event.time() <= now)?;
        if let Some(gap) = symbol(&tick.event).and_then(|symbol| self.gaps.get(symbol)) {
            gap.apply_to(&mut tick.event);
        }
        self.venue.on_market(&tick.event);
        let tick = self.history.record(tick);
        let played = self.schedule.is_played(tick.event.time());
        let count = match &tick.event {
            MarketEvent::Bar(_) => &mut self.counts.bars,
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

    /// Whether a moment is played, not jumped over.
    pub fn is_played(&self, at: MarketTime) -> bool {
        self.schedule.is_played(at)
    }

    /// From now on prices of the feed are played so far away, on top of the gaps before. Symbols of the venue
    /// only, so that the gaps are bounded.
    pub fn open_gap(&mut self, symbol: &Symbol, gap: Gap) {
        let before = self.gaps.get(symbol).copied().unwrap_or(Gap::amount(0.0));
        self.gaps.insert(symbol.clone(), before.then(gap));
    }

    /// When the next market event is due; `None` after the last.
    pub fn next_due(&mut self) -> Option<MarketTime> {
        self.feed.peek().map(|tick| tick.event.time())
    }
}

fn symbol(event: &MarketEvent) -> Option<&Symbol> {
    match event {
        MarketEvent::Bar(bar) => Some(&bar.symbol),
        MarketEvent::Quote(quote) => Some(&quote.symbol),
        MarketEvent::Trade(trade) => Some(&trade.symbol),
        MarketEvent::BarsComplete(_)
        | MarketEvent::SessionOpen(_)
        | MarketEvent::SessionClose(_)
        | MarketEvent::Health(..) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gaps_add_up_and_keep_prices_on_the_tick() {
        let check = |gap: Gap, price: f64, expected: f64| {
            let mut moved = price;
            gap.apply(&mut moved);
            assert_eq!(moved, expected, "{price} by {gap:?}");
        };
        check(Gap::percent(-5.0), 100.2, 95.19);
        check(Gap::amount(-3.25), 100.1, 96.85);
        check(Gap::percent(10.0).then(Gap::amount(1.0)), 100.0, 111.0);
        check(Gap::amount(1.0).then(Gap::percent(10.0)), 100.0, 111.1);
        check(Gap::percent(-99.999), 50.0, 0.0005);
        check(Gap::amount(-1_000.0), 50.0, 0.0001);
        check(Gap::amount(5.0), 0.0, 0.0);
    }
}
