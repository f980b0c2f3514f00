//! One bar, compact: its symbol is known by where it is kept.

use std::time::Duration;

use sandpit_types::{Bar, MarketTime, Symbol, Trade};

use super::page::Row;

/// Prices, volume and trades of a stretch of time that begins at `start`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Candle {
    /// When it begins.
    pub start: MarketTime,
    /// First price.
    pub open: f64,
    /// Highest price.
    pub high: f64,
    /// Lowest price.
    pub low: f64,
    /// Last price.
    pub close: f64,
    /// Shares.
    pub volume: u64,
    /// Trades.
    pub trades: u64,
    /// Price times shares, summed up: averages of averages stay exact.
    pub dollars: f64,
}

impl Candle {
    /// From a bar of the market that holds so many trades.
    pub fn new(bar: &Bar, trades: u64) -> Self {
        Self {
            start: bar.start,
            open: bar.open,
            high: bar.high,
            low: bar.low,
            close: bar.close,
            volume: bar.volume,
            trades,
            dollars: bar.vwap * bar.volume as f64,
        }
    }

    /// Of one trade alone, in its minute.
    pub fn of_trade(time: MarketTime, price: f64, size: u64) -> Self {
        Self {
            start: time.minute(),
            open: price,
            high: price,
            low: price,
            close: price,
            volume: size,
            trades: 1,
            dollars: price * size as f64,
        }
    }

    /// Volume-weighted average price, to six decimals; without volume the close.
    pub fn vwap(&self) -> f64 {
        if self.volume == 0 {
            return self.close;
        }
        (self.dollars / self.volume as f64 * 1e6).round() / 1e6
    }

    /// The end of its minute.
    pub fn end(&self) -> MarketTime {
        self.start + Duration::from_secs(60)
    }

    /// Adds what came after it.
    pub fn append(&mut self, later: &Self) {
        self.mix(later);
        self.close = later.close;
    }

    /// Adds what came before it; the start stays.
    pub fn prepend(&mut self, earlier: &Self) {
        self.mix(earlier);
        self.open = earlier.open;
    }

    /// Adds what was reported too late to be its first or last price.
    pub fn mix(&mut self, other: &Self) {
        self.high = self.high.max(other.high);
        self.low = self.low.min(other.low);
        self.volume += other.volume;
        self.trades += other.trades;
        self.dollars += other.dollars;
    }

    /// As the venue knows it.
    pub fn to_bar(&self, symbol: &Symbol) -> Bar {
        Bar {
            symbol: symbol.clone(),
            start: self.start,
            open: self.open,
            high: self.high,
            low: self.low,
            close: self.close,
            volume: self.volume,
            vwap: self.vwap(),
        }
    }
}

/// The trades of one minute that came from outside, while the minute lasts.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Extra {
    /// Their bar.
    pub(super) candle: Candle,
    /// When the first of them happened, and the last.
    first: MarketTime,
    last: MarketTime,
}

impl Extra {
    /// One trade.
    pub(super) fn new(trade: &Trade) -> Self {
        Self {
            candle: Candle::of_trade(trade.time, trade.price, trade.size),
            first: trade.time,
            last: trade.time,
        }
    }

    /// Adds a trade of the same minute. Of those at one instant, the one told last happened last.
    pub(super) fn add(&mut self, trade: &Trade) {
        self.candle.mix(&Candle::of_trade(trade.time, trade.price, trade.size));
        if trade.time < self.first {
            (self.first, self.candle.open) = (trade.time, trade.price);
        }
        if self.last <= trade.time {
            (self.last, self.candle.close) = (trade.time, trade.price);
        }
    }
}

impl Row for Candle {
    fn time(&self) -> MarketTime {
        self.start
    }
}
