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

/// Highest price that is played, US dollars, and the widest that gaps become together: as in data files.
const MAX_PRICE: f64 = 1e7;

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
    /// The first moment that the market knows.
    pub begin: MarketTime,
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

    /// This gap and after it another; `None` if that is out of all proportion.
    fn then(self, next: Self) -> Option<Self> {
        let Self { factor, amount } = next;
        let both = Self { factor: self.factor * factor, amount: self.amount * factor + amount };
        // A figure that is none is in no range.
        let is_sound = (0.0..=MAX_PRICE).contains(&both.factor) && both.amount.abs() <= MAX_PRICE;
        is_sound.then_some(both)
    }

    /// The price that is played: on the tick, never down to nothing and never above all prices. A price of
    /// zero is an empty side.
    fn apply(self, price: &mut f64) {
        if *price <= 0.0 {
            return;
        }
        let moved = (*price * self.factor + self.amount).min(MAX_PRICE);
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
            MarketEvent::MarkedBar(..)
            | MarketEvent::News(_)
            | MarketEvent::BarsComplete(_)
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
        let begin = first.min(schedule.start());
        let venue = Venue::with_listings(config, &listings, begin);
        Self {
            history: History::new(symbols.iter(), venue.calendar().clone()),
            venue,
            news,
            counts: DataCounts::default(),
            begin,
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
            MarketEvent::MarkedBar(..)
            | MarketEvent::News(_)
            | MarketEvent::BarsComplete(_)
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

    /// What the gaps of a symbol become with one more; `None` if they are too wide together.
    pub fn widened(&self, symbol: &Symbol, gap: Gap) -> Option<Gap> {
        self.gaps.get(symbol).copied().unwrap_or(Gap::amount(0.0)).then(gap)
    }

    /// From now on prices of the feed are played so far away, whatever was before. Symbols of the venue only,
    /// so that the gaps are bounded.
    pub fn set_gap(&mut self, symbol: &Symbol, gap: Gap) {
        self.gaps.insert(symbol.clone(), gap);
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
        MarketEvent::MarkedBar(..)
        | MarketEvent::News(_)
        | MarketEvent::BarsComplete(_)
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
        let both = |first: Gap, second: Gap| first.then(second).expect("not too wide");
        check(both(Gap::percent(10.0), Gap::amount(1.0)), 100.0, 111.0);
        check(both(Gap::amount(1.0), Gap::percent(10.0)), 100.0, 111.1);
        check(Gap::percent(-99.999), 50.0, 0.0005);
        check(Gap::amount(-1_000.0), 50.0, 0.0001);
        check(Gap::amount(5.0), 0.0, 0.0);
        check(Gap::percent(1e6), 9e6, MAX_PRICE);
        check(Gap::amount(MAX_PRICE), 100.0, MAX_PRICE);
    }

    #[test]
    fn gaps_do_not_add_up_without_bound() {
        for (gap, least) in [(Gap::percent(10_000.0), 3), (Gap::amount(-4e6), 2), (Gap::amount(4e6), 2)] {
            let mut gaps = Gap::amount(0.0);
            let count = (0..1_000).take_while(|_| {
                gaps.then(gap).is_some_and(|wider| {
                    gaps = wider;
                    true
                })
            });
            assert_eq!(count.count(), least, "{gap:?}");
            let mut price = 100.0;
            gaps.apply(&mut price);
            assert!(price > 0.0 && price <= MAX_PRICE, "{price}");
        }
    }
}
