//! Prices of a symbol for a chart, in bounded memory.

use sandpit_types::{MarketTime, Symbol};

/// Candles kept, at most. When full, two become one.
const CANDLES_MAX: usize = 1_024;

/// A stretch of prices.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Candle {
    /// When it begins.
    pub time: MarketTime,
    /// The lowest price.
    pub low: f64,
    /// The highest.
    pub high: f64,
    /// The last.
    pub close: f64,
}

/// Prices of one symbol.
#[derive(Clone, Debug)]
pub struct Prices {
    symbol: Symbol,
    stride: u64,
    in_candle: u64,
    candles: Vec<Candle>,
}

impl Prices {
    /// None yet.
    pub const fn new(symbol: Symbol) -> Self {
        Self { symbol, stride: 1, in_candle: 0, candles: Vec::new() }
    }

    /// Adds what was traded at a time; times never go back.
    pub fn push(&mut self, time: MarketTime, low: f64, high: f64, close: f64) {
        match self.candles.last_mut().filter(|_| self.in_candle > 0) {
            Some(last) => {
                (last.low, last.high, last.close) = (last.low.min(low), last.high.max(high), close);
            }
            None => self.candles.push(Candle { time, low, high, close }),
        }
        self.in_candle += 1;
        if self.in_candle < self.stride {
            return;
        }
        self.in_candle = 0;
        if self.candles.len() == CANDLES_MAX {
            let halved = self.candles.chunks(2).map(|pair| Candle {
                time: pair[0].time,
                low: pair.iter().map(|candle| candle.low).fold(f64::INFINITY, f64::min),
                high: pair.iter().map(|candle| candle.high).fold(f64::NEG_INFINITY, f64::max),
                close: pair[pair.len() - 1].close,
            });
            self.candles = halved.collect();
            self.stride *= 2;
        }
    }

    /// Of which symbol.
    pub const fn symbol(&self) -> &Symbol {
        &self.symbol
    }

    /// The candles, in order of time.
    pub fn candles(&self) -> &[Candle] {
        &self.candles
    }
}
