//! Market data as a strategy sees it.

use std::{ops, time::Duration};

use crate::{Price, Side};

/// A symbol, as a small number: its place in the list of symbols given to [`crate::Strategy::init`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Instrument(pub u32);

impl Instrument {
    /// The index into the list of symbols, and into any list kept alongside it.
    pub const fn index(self) -> usize {
        self.0 as usize
    }

    /// The instruments of a list of that many symbols.
    pub fn all(count: usize) -> impl DoubleEndedIterator<Item = Self> {
        (0..u32::try_from(count).unwrap_or(u32::MAX)).map(Self)
    }
}

/// An instant of market time: nanoseconds since 1970-01-01T00:00:00Z.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Time(i64);

impl Time {
    /// From nanoseconds since the start of 1970, UTC.
    pub const fn from_nanos(nanos: i64) -> Self {
        Self(nanos)
    }

    /// From whole seconds since the start of 1970, UTC.
    pub const fn from_secs(secs: i64) -> Self {
        Self(secs.saturating_mul(1_000_000_000))
    }

    /// Nanoseconds since the start of 1970, UTC.
    pub const fn nanos(self) -> i64 {
        self.0
    }

    /// How long after `earlier` this is; zero when it is not after.
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_nanos(u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0))
    }
}

/// Saturates at the end of the range, the year 2262.
impl ops::Add<Duration> for Time {
    type Output = Self;

    fn add(self, span: Duration) -> Self {
        Self(self.0.saturating_add(i64::try_from(span.as_nanos()).unwrap_or(i64::MAX)))
    }
}

/// One complete minute. Prices in US dollars a share, volume in shares.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Bar {
    /// Which symbol.
    pub instrument: Instrument,
    /// When the minute started.
    pub start: Time,
    /// The first price.
    pub open: f64,
    /// The highest price.
    pub high: f64,
    /// The lowest price.
    pub low: f64,
    /// The last price.
    pub close: f64,
    /// Shares traded.
    pub volume: f64,
}

/// The best prices on both sides. Prices in US dollars a share, sizes in shares.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Quote {
    /// Which symbol.
    pub instrument: Instrument,
    /// When.
    pub time: Time,
    /// What buyers pay.
    pub bid: f64,
    /// How many shares they want.
    pub bid_size: f64,
    /// What sellers ask.
    pub ask: f64,
    /// How many shares they offer.
    pub ask_size: f64,
}

impl Quote {
    /// Whether both sides are there and not crossed: a quote one may price an order from.
    pub fn is_two_sided(&self) -> bool {
        self.bid > 0.0 && self.ask >= self.bid && self.ask.is_finite()
    }

    /// Half way between bid and ask, US dollars a share.
    pub fn mid(&self) -> f64 {
        f64::midpoint(self.bid, self.ask)
    }

    /// The limit price that trades at once: the other side of the spread, on a tick. `None` unless
    /// [`Quote::is_two_sided`].
    pub fn across(&self, side: Side) -> Option<Price> {
        let price = match side {
            Side::Buy => self.ask,
            Side::Sell => self.bid,
        };
        self.priced(price).map(|price| price.round_marketable(side)).filter(|price| price.is_positive())
    }

    /// The limit price that waits beside the best: our own side of the spread, on a tick. `None` unless
    /// [`Quote::is_two_sided`].
    pub fn beside(&self, side: Side) -> Option<Price> {
        let price = match side {
            Side::Buy => self.bid,
            Side::Sell => self.ask,
        };
        self.priced(price).map(|price| price.round_passive(side)).filter(|price| price.is_positive())
    }

    fn priced(&self, price: f64) -> Option<Price> {
        Price::from_f64(price).filter(|_| self.is_two_sided())
    }
}

/// One trade of the market. Price in US dollars a share, size in shares.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Trade {
    /// Which symbol.
    pub instrument: Instrument,
    /// When.
    pub time: Time,
    /// At which price.
    pub price: f64,
    /// How many shares.
    pub size: f64,
}

/// A piece of news. The host cuts each text at 4 KiB; headline and summary may hold entities of HTML.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct News {
    /// The broker's id of it; a new version of it has the same.
    pub id: u64,
    /// When it was first published.
    pub created: Time,
    /// When this version of it came out.
    pub updated: Time,
    /// The headline.
    pub headline: String,
    /// A summary, often empty.
    pub summary: String,
    /// Whose wire it is.
    pub source: String,
    /// Where to read it; empty when the broker names no place.
    pub url: String,
    /// The symbols of this strategy that it speaks of; empty when it names no symbol at all.
    pub instruments: Vec<Instrument>,
}

/// Bars as columns of equal length, oldest first.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Bars {
    /// When each minute started.
    pub start: Vec<Time>,
    /// First prices.
    pub open: Vec<f64>,
    /// Highest prices.
    pub high: Vec<f64>,
    /// Lowest prices.
    pub low: Vec<f64>,
    /// Last prices.
    pub close: Vec<f64>,
    /// Shares traded.
    pub volume: Vec<f64>,
}

impl Bars {
    /// How many bars.
    pub fn len(&self) -> usize {
        self.start.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.start.is_empty()
    }
}

/// How market data arrives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StreamHealth {
    /// As it happens.
    Live,
    /// It should arrive and does not.
    Stale,
    /// By asking now and then, late and coarse.
    Fallback,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quote_prices_orders_on_ticks() {
        let check = |(bid, ask): (f64, f64), across: Option<[f64; 2]>, beside: Option<[f64; 2]>| {
            let (instrument, time) = (Instrument(0), Time::default());
            let quote = Quote { instrument, time, bid, bid_size: 1.0, ask, ask_size: 1.0 };
            let sides = [Side::Buy, Side::Sell];
            for (at, side) in sides.into_iter().enumerate() {
                let price = |of: Option<[f64; 2]>| of.and_then(|of| Price::from_f64(of[at]));
                assert_eq!(quote.across(side), price(across), "across {bid} {ask} {side:?}");
                assert_eq!(quote.beside(side), price(beside), "beside {bid} {ask} {side:?}");
            }
        };
        check((99.993, 100.021), Some([100.03, 99.99]), Some([99.99, 100.03]));
        check((0.5, 0.50001), Some([0.5001, 0.5]), Some([0.5, 0.5001]));
        for broken in [(0.0, 101.0), (102.0, 101.0), (101.0, f64::INFINITY), (f64::NAN, 101.0)] {
            check(broken, None, None);
        }
    }
}
