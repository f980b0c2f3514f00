//! What the market shows of one symbol, and our open orders in it.

use std::sync::Arc;

use rust_decimal::Decimal;
use sandpit_types::{Bar, MarketTime, Price, Qty, Quote, Side, Symbol, Trade};

use crate::Listing;

/// Above this, a price of market data is nonsense and counts as none.
const MAX_PRICE: f64 = 1e9;

/// The size shown by a quote that was made from a bar is its volume by this, at least [`MIN_BAR_SIZE`].
const BAR_SIZE_DIVISOR: u64 = 10;
const MIN_BAR_SIZE: u64 = 100;

/// An order's place in the venue's list, in order of submission.
pub(crate) type OrderIx = u32;

/// An open order as the book sorts it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Resting {
    pub(crate) ix: OrderIx,
    /// `None` for a market order.
    pub(crate) limit: Option<Price>,
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
    /// Open orders in price-time priority.
    open: Sides<Vec<Resting>>,
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
            has_immediate: false,
        }
    }

    /// Takes a quote; one that is older than the standing one is history and changes nothing.
    pub(crate) fn on_quote(&mut self, quote: &Quote) -> bool {
        if quote.time < self.quote.time && self.source == Source::Quotes {
            return false;
        }
        self.source = Source::Quotes;
        self.show(quote.time, (quote.bid, quote.bid_size), (quote.ask, quote.ask_size));
        true
    }

    pub(crate) fn on_trade(&mut self, trade: &Trade) {
        self.set_last(trade.time, trade.price);
    }

    /// Takes a bar that was complete at `end`. Returns whether it made a quote, because no real one ever
    /// came.
    pub(crate) fn on_bar(&mut self, bar: &Bar, end: MarketTime) -> bool {
        self.set_last(end, bar.close);
        let Some(close) = price(bar.close) else { return false };
        if self.source == Source::Quotes || end < self.quote.time {
            return false;
        }
        let size = (bar.volume / BAR_SIZE_DIVISOR).max(MIN_BAR_SIZE);
        let tick = close.tick();
        // The close is the bid: one tick wide, and never at zero.
        self.source = Source::Bars;
        self.show(end, (bar.close, size), ((close + tick).to_f64(), size));
        true
    }

    fn show(&mut self, time: MarketTime, bid: (f64, u64), ask: (f64, u64)) {
        (self.quote.bid, self.quote.bid_size) = bid;
        (self.quote.ask, self.quote.ask_size) = ask;
        self.quote.time = time;
        self.is_current = true;
        self.taken = Sides::default();
    }

    fn set_last(&mut self, time: MarketTime, value: f64) {
        if self.last.is_none_or(|(newest, _)| newest <= time) && price(value).is_some() {
            self.last = Some((time, value));
        }
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

    /// What an order of this side meets now; `None` when nothing is shown there.
    pub(crate) fn level(&self, side: Side) -> Option<Level> {
        let (value, size) = match side {
            Side::Buy => (self.quote.ask, self.quote.ask_size),
            Side::Sell => (self.quote.bid, self.quote.bid_size),
        };
        let price = self.is_current.then(|| price(value))??;
        Some(Level { price, left: Qty::new(Decimal::from(size)) - *self.taken.of(side) })
    }

    /// An order of this side took so many of the shares shown.
    pub(crate) fn take(&mut self, side: Side, qty: Qty) {
        *self.taken.of_mut(side) += qty;
    }

    pub(crate) fn has_open(&self) -> bool {
        !self.open.buy.is_empty() || !self.open.sell.is_empty()
    }

    /// Open orders of one side in price-time priority, queued ones included.
    pub(crate) fn open(&self, side: Side) -> &[Resting] {
        self.open.of(side)
    }

    pub(crate) fn insert(&mut self, side: Side, resting: Resting) {
        let list = self.open.of_mut(side);
        let place = list.partition_point(|other| goes_before(side, *other, resting));
        list.insert(place, resting);
    }

    pub(crate) fn remove(&mut self, side: Side, ix: OrderIx) {
        self.open.of_mut(side).retain(|resting| resting.ix != ix);
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

/// A price of market data as money: whole cents as they are, anything else to six decimals; `None` for no
/// price.
pub(crate) fn price(value: f64) -> Option<Price> {
    if !(value > 0.0 && value < MAX_PRICE) {
        return None;
    }
    // Both products are below 10^15 and so exact in an i64.
    let cents = (value * 1e2).round();
    if (cents / 1e2 - value).abs() < 1e-9 {
        return (cents > 0.0).then(|| Price::new(Decimal::new(cents as i64, 2)));
    }
    let micros = (value * 1e6).round();
    (micros > 0.0).then(|| Price::new(Decimal::new(micros as i64, 6).normalize()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prices_of_market_data() {
        let check = |value: f64, expected: Option<&str>| {
            assert_eq!(price(value).map(|price| price.to_string()), expected.map(str::to_owned), "{value}");
        };
        check(167.41, Some("167.41"));
        check(0.1 + 0.2, Some("0.3"));
        check(0.0001, Some("0.0001"));
        check(12.345_678_9, Some("12.345679"));
        check(999_999_999.99, Some("999999999.99"));
        for bad in [0.0, -1.0, 1e-10, 1e9, f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
            check(bad, None);
        }
    }

    #[test]
    fn priority_is_market_then_price_then_time() {
        let check = |side: Side, expected: [OrderIx; 5]| {
            let mut book = Book::new(Listing::open(Symbol::new("SPY")));
            for (ix, limit) in [(4, Some("10")), (3, Some("11")), (2, None), (1, Some("11")), (0, None)] {
                book.insert(side, Resting { ix, limit: limit.map(|text| text.parse().expect("a price")) });
            }
            let order: Vec<OrderIx> = book.open(side).iter().map(|resting| resting.ix).collect();
            assert_eq!(order, expected, "{side:?}");
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
        assert!(book.on_bar(&bar, at(60)));
        let quote = book.quote().expect("made from the bar").clone();
        assert_eq!((quote.bid, quote.ask, quote.ask_size), (10.0, 10.01, 500));
        assert!(book.on_quote(&Quote { time: at(61), bid: 10.0, ask: 10.05, ..quote }));
        assert!(!book.on_bar(&bar, at(120)));
        assert_eq!(book.quote().expect("the real one").ask, 10.05);
        let older = Quote { time: at(60), ..book.quote().expect("a quote").clone() };
        assert!(!book.on_quote(&older));
    }
}
