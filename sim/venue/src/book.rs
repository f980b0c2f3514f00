//! What the market shows of one symbol, and our open orders in it.

use std::sync::Arc;

use rust_decimal::{Decimal, RoundingStrategy};
use sandpit_types::{Bar, MarketTime, Price, Qty, Quote, Side, Symbol, Trade};

use crate::{
    Listing,
    tape::{is_price, made_offer, price},
};

/// The size shown by a quote that was made from a bar is its volume by this, at least [`MIN_BAR_SIZE`].
const BAR_SIZE_DIVISOR: u64 = 10;
const MIN_BAR_SIZE: u64 = 100;

/// An order's place in the venue's list, in order of submission.
pub(crate) type OrderIx = u32;

/// An open order as the book sorts it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Resting {
    pub(crate) ix: OrderIx,
    /// `None` for a market order, an elected sell stop or trailing stop.
    pub(crate) limit: Option<Price>,
    /// Whether it was a stop before.
    pub(crate) is_stop: bool,
}

/// What an order meets on the other side.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Level {
    pub(crate) price: Price,
    /// Shares shown and not yet taken.
    pub(crate) left: Qty,
}

/// One value for each side of orders.
#[derive(Clone, Copy, Debug, Default)]
struct Sides<T> {
    buy: T,
    sell: T,
}

impl<T> Sides<T> {
    fn of(&self, side: Side) -> &T {
        match side {
            Side::Buy => &self.buy,
            Side::Sell => &self.sell,
        }
    }

    fn of_mut(&mut self, side: Side) -> &mut T {
        match side {
            Side::Buy => &mut self.buy,
            Side::Sell => &mut self.sell,
        }
    }
}

/// One symbol.
#[derive(Debug)]
pub(crate) struct Book {
    pub(crate) symbol: Symbol,
    pub(crate) asset_id: Arc<str>,
    pub(crate) listing: Listing,
    quote: Quote,
    source: Source,
    /// Whether the quote is of the present phase: what stood before the open is not for sale in the session.
    is_current: bool,
    last: Option<(MarketTime, f64)>,
    /// Mark at the last close of a regular session.
    pub(crate) last_close: Option<Price>,
    /// What our orders took of the sizes shown.
    taken: Sides<Qty>,
    /// Open orders in price-time priority, stops that are not elected left out.
    open: Sides<Vec<Resting>>,
    /// Stops that are not elected, in order of submission.
    stops: Vec<(OrderIx, Side)>,
    /// How many of the open orders are elected stops.
    elected_stops: usize,
    /// Whether a trade with a price ever came: then bars elect no stops.
    has_trades: bool,
    /// Counts quotes, trades and bars: orders that filled in part by chance wait for the next.
    pub(crate) turn: u64,
    /// Whether an order waits for the next turn.
    pub(crate) has_waiting: bool,
    /// Nothing fills or is elected.
    is_halted: bool,
    /// Whether an immediate order waits for its first quote.
    pub(crate) has_immediate: bool,
}

/// Where the quote comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Source {
    None,
    Bars,
    Quotes,
}

impl Book {
    pub(crate) fn new(listing: Listing) -> Self {
        let symbol = listing.symbol.clone();
        Self {
            asset_id: crate::ids::asset_id(symbol.as_str()).to_string().into(),
            quote: Quote {
                symbol: symbol.clone(),
                time: MarketTime::from_nanos(i64::MIN),
                bid: 0.0,
                bid_size: 0,
                ask: 0.0,
                ask_size: 0,
            },
            symbol,
            listing,
            source: Source::None,
            is_current: false,
            last: None,
            last_close: None,
            taken: Sides::default(),
            open: Sides::default(),
            stops: Vec::new(),
            elected_stops: 0,
            has_trades: false,
            turn: 1,
            has_waiting: false,
            is_halted: false,
            has_immediate: false,
        }
    }

    /// Takes a quote; one that is older than the standing one is history and changes nothing.
    pub(crate) fn on_quote(&mut self, quote: &Quote) -> bool {
        if quote.time < self.quote.time && self.source == Source::Quotes {
            return false;
        }
        self.source = Source::Quotes;
        self.turn += 1;
        self.show(quote.time, (quote.bid, quote.bid_size), (quote.ask, quote.ask_size));
        true
    }

    /// Takes a trade; returns its price if it may elect stops.
    pub(crate) fn on_trade(&mut self, trade: &Trade) -> Option<Price> {
        let is_newest = self.set_last(trade.time, trade.price);
        self.turn += 1;
        self.has_trades |= is_price(trade.price);
        if !is_newest || self.stops.is_empty() {
            return None;
        }
        price(trade.price).filter(|&price| self.is_inside(price))
    }

    /// Whether a trade's price lies within the standing real quote, if there is one.
    fn is_inside(&self, traded: Price) -> bool {
        !self.is_current
            || self.source != Source::Quotes
            || (price(self.quote.bid).is_none_or(|bid| bid <= traded)
                && price(self.quote.ask).is_none_or(|ask| traded <= ask))
    }

    /// Takes a bar that was complete at `end`. Returns whether it made a quote, because no real one ever
    /// came; it is at least `spread_bp` basis points wide.
    pub(crate) fn on_bar(&mut self, bar: &Bar, end: MarketTime, spread_bp: u32) -> bool {
        self.set_last(end, bar.close);
        self.turn += 1;
        if self.source == Source::Quotes || end < self.quote.time || !is_price(bar.close) {
            return false;
        }
        let size = (bar.volume / BAR_SIZE_DIVISOR).max(MIN_BAR_SIZE);
        // The close is the bid: one tick wide at least, and never at zero.
        self.source = Source::Bars;
        self.show(end, (bar.close, size), (made_offer(bar.close, spread_bp), size));
        true
    }

    /// The lowest and highest price of a bar, if it may elect stops.
    pub(crate) fn bar_range(&self, bar: &Bar) -> Option<(Price, Price)> {
        if self.has_trades || self.stops.is_empty() {
            return None;
        }
        Some((price(bar.low)?, price(bar.high)?))
    }

    pub(crate) fn is_halted(&self) -> bool {
        self.is_halted
    }

    /// After a halt what was shown before is not for sale any more.
    pub(crate) fn set_halted(&mut self, halted: bool) {
        if self.is_halted && !halted {
            self.forget_levels();
        }
        self.is_halted = halted;
    }

    fn show(&mut self, time: MarketTime, bid: (f64, u64), ask: (f64, u64)) {
        (self.quote.bid, self.quote.bid_size) = bid;
        (self.quote.ask, self.quote.ask_size) = ask;
        self.quote.time = time;
        self.is_current = true;
        self.taken = Sides::default();
    }

    fn set_last(&mut self, time: MarketTime, value: f64) -> bool {
        let is_newest = self.last.is_none_or(|(newest, _)| newest <= time) && is_price(value);
        if is_newest {
            self.last = Some((time, value));
        }
        is_newest
    }

    /// A new phase begins: what was shown is not for sale any more.
    pub(crate) fn forget_levels(&mut self) {
        self.is_current = false;
    }

    pub(crate) fn quote(&self) -> Option<&Quote> {
        (self.source != Source::None).then_some(&self.quote)
    }

    /// Price of the last trade or bar, else the middle of the quote.
    pub(crate) fn mark(&self) -> Option<Price> {
        if let Some((_, last)) = self.last {
            return price(last);
        }
        let (bid, ask) = (price(self.quote.bid)?, price(self.quote.ask)?);
        Some(Price::new((bid + ask).get() / Decimal::TWO))
    }

    /// The best guess at what a buyer would pay: the standing offer however old, else the mark.
    pub(crate) fn offer(&self) -> Option<Price> {
        price(self.quote.ask).or_else(|| self.mark())
    }

    /// The best guess at what a seller would get.
    pub(crate) fn bid(&self) -> Option<Price> {
        price(self.quote.bid).or_else(|| self.mark())
    }

    /// What an order of this side meets now; `None` when nothing is shown there.
    pub(crate) fn level(&self, side: Side) -> Option<Level> {
        let (value, size) = match side {
            Side::Buy => (self.quote.ask, self.quote.ask_size),
            Side::Sell => (self.quote.bid, self.quote.bid_size),
        };
        let price = self.is_current.then(|| price(value))??;
        Some(Level { price, left: Qty::new(Decimal::from(size)) - *self.taken.of(side) })
    }

    /// The size shown to orders of this side, and what they took of it and beyond.
    pub(crate) fn shown_and_taken(&self, side: Side) -> (Qty, Qty) {
        let size = match side {
            Side::Buy => self.quote.ask_size,
            Side::Sell => self.quote.bid_size,
        };
        (Qty::new(Decimal::from(size)), *self.taken.of(side))
    }

    /// An order of this side took so many of the shares shown.
    pub(crate) fn take(&mut self, side: Side, qty: Qty) {
        *self.taken.of_mut(side) += qty;
    }

    pub(crate) fn has_open(&self) -> bool {
        !self.open.buy.is_empty() || !self.open.sell.is_empty()
    }

    /// Open orders of one side in price-time priority, queued ones included, stops left out.
    pub(crate) fn open(&self, side: Side) -> &[Resting] {
        self.open.of(side)
    }

    /// Stops that are not elected, in order of submission.
    pub(crate) fn stops(&self) -> &[(OrderIx, Side)] {
        &self.stops
    }

    /// Stops of one side that are not elected.
    pub(crate) fn stops_of(&self, side: Side) -> impl Iterator<Item = OrderIx> {
        self.stops.iter().filter(move |stop| stop.1 == side).map(|stop| stop.0)
    }

    /// Every open order of one side but held legs whose entry is not filled: stops last.
    pub(crate) fn all(&self, side: Side) -> impl Iterator<Item = OrderIx> {
        self.open(side).iter().map(|resting| resting.ix).chain(self.stops_of(side))
    }

    /// Whether an elected stop rests among the open orders.
    pub(crate) const fn has_elected_stops(&self) -> bool {
        self.elected_stops > 0
    }

    pub(crate) fn insert(&mut self, side: Side, resting: Resting) {
        let list = self.open.of_mut(side);
        let place = list.partition_point(|other| goes_before(side, *other, resting));
        list.insert(place, resting);
        self.elected_stops += usize::from(resting.is_stop);
    }

    pub(crate) fn insert_stop(&mut self, side: Side, ix: OrderIx) {
        let place = self.stops.partition_point(|stop| stop.0 < ix);
        self.stops.insert(place, (ix, side));
    }

    /// Takes an order off the open ones, if it is there.
    pub(crate) fn remove(&mut self, side: Side, resting: Resting) {
        let list = self.open.of_mut(side);
        let place = list.partition_point(|other| goes_before(side, *other, resting));
        if list.get(place) == Some(&resting) {
            list.remove(place);
            self.elected_stops -= usize::from(resting.is_stop);
        }
    }

    /// Takes a stop off those that are not elected, if it is there.
    pub(crate) fn remove_stop(&mut self, ix: OrderIx) {
        let place = self.stops.partition_point(|stop| stop.0 < ix);
        if self.stops.get(place).is_some_and(|stop| stop.0 == ix) {
            self.stops.remove(place);
        }
    }
}

/// Market orders first, then the better price, then the earlier order.
fn goes_before(side: Side, a: Resting, b: Resting) -> bool {
    match (a.limit, b.limit) {
        (None, Some(_)) => true,
        (Some(_), None) => false,
        (Some(x), Some(y)) if x != y => match side {
            Side::Buy => x > y,
            Side::Sell => x < y,
        },
        (None, None) | (Some(_), Some(_)) => a.ix < b.ix,
    }
}

/// The nearest price on a tick that is not below.
pub(crate) fn up_to_tick(price: Price) -> Price {
    to_tick(price, RoundingStrategy::ToPositiveInfinity)
}

/// The nearest price on a tick, rounded so.
pub(crate) fn to_tick(price: Price, strategy: RoundingStrategy) -> Price {
    let rounded = price.get().round_dp_with_strategy(price.tick().get().scale(), strategy);
    Price::new(rounded.normalize())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn priority_is_market_then_price_then_time() {
        let check = |side: Side, expected: [OrderIx; 5]| {
            let mut book = Book::new(Listing::open(Symbol::new("SPY")));
            for (ix, limit) in [(4, Some("10")), (3, Some("11")), (2, None), (1, Some("11")), (0, None)] {
                let limit = limit.map(|text| text.parse().expect("a price"));
                book.insert(side, Resting { ix, limit, is_stop: ix == 3 });
            }
            let order =
                |book: &Book| -> Vec<OrderIx> { book.open(side).iter().map(|resting| resting.ix).collect() };
            assert_eq!(order(&book), expected, "{side:?}");
            // Each can be found again, and only itself.
            while let Some(&last) = book.open(side).last() {
                assert_eq!(book.has_elected_stops(), order(&book).contains(&3));
                let before = order(&book);
                book.remove(side, Resting { ix: 9, ..last });
                assert_eq!(order(&book), before);
                book.remove(side, last);
                assert_eq!(order(&book), before[..before.len() - 1]);
            }
            assert!(!book.has_elected_stops());
        };
        check(Side::Buy, [0, 2, 1, 3, 4]);
        check(Side::Sell, [0, 2, 4, 1, 3]);
    }

    #[test]
    fn bars_quote_only_until_a_quote_comes() {
        let mut book = Book::new(Listing::open(Symbol::new("SPY")));
        let at = MarketTime::from_secs;
        let bar = Bar {
            symbol: Symbol::new("SPY"),
            start: at(0),
            open: 10.0,
            high: 10.0,
            low: 10.0,
            close: 10.0,
            volume: 5000,
            vwap: 10.0,
        };
        assert!(book.on_bar(&bar, at(60), 0));
        let quote = book.quote().expect("made from the bar").clone();
        assert_eq!((quote.bid, quote.ask, quote.ask_size), (10.0, 10.01, 500));
        assert!(book.on_quote(&Quote { time: at(61), bid: 10.0, ask: 10.05, ..quote }));
        assert!(!book.on_bar(&bar, at(120), 0));
        assert_eq!(book.quote().expect("the real one").ask, 10.05);
        let older = Quote { time: at(60), ..book.quote().expect("a quote").clone() };
        assert!(!book.on_quote(&older));
    }
}
