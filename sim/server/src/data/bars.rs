//! One-minute bars from trades.

use std::{collections::BTreeMap, time::Duration};

use sandpit_types::{Bar, MarketEvent, MarketTime, Symbol, Trade};

use super::Tick;

const MINUTE: Duration = Duration::from_secs(60);

/// Sums up trades to the bars of their minute, one minute at a time.
#[derive(Debug, Default)]
pub struct BarBuilder {
    minute: MarketTime,
    open: BTreeMap<Symbol, Building>,
}

#[derive(Debug)]
struct Building {
    bar: Bar,
    trades: u64,
    dollars: f64,
}

impl BarBuilder {
    /// When the minute under way is over; `None` while it has no trade.
    pub fn deadline(&self) -> Option<MarketTime> {
        (!self.open.is_empty()).then(|| self.minute + MINUTE)
    }

    /// Adds a trade. The minute before must have been closed.
    pub fn add(&mut self, trade: &Trade) {
        if self.open.is_empty() {
            self.minute = trade.time.minute();
        }
        debug_assert_eq!(self.minute, trade.time.minute(), "close the minute before adding to the next");
        let price = trade.price;
        let building = self.open.entry(trade.symbol.clone()).or_insert_with(|| Building {
            bar: Bar {
                symbol: trade.symbol.clone(),
                start: self.minute,
                open: price,
                high: price,
                low: price,
                close: price,
                volume: 0,
                vwap: price,
            },
            trades: 0,
            dollars: 0.0,
        });
        let bar = &mut building.bar;
        bar.high = bar.high.max(price);
        bar.low = bar.low.min(price);
        bar.close = price;
        bar.volume += trade.size;
        building.trades += 1;
        building.dollars += price * trade.size as f64;
    }

    /// The bars of the minute under way, in the order of their symbols; the next trade starts another minute.
    pub fn close(&mut self) -> impl Iterator<Item = Tick> + use<> {
        std::mem::take(&mut self.open).into_values().map(|Building { mut bar, trades, dollars }| {
            if bar.volume > 0 {
                bar.vwap = rounded(dollars / bar.volume as f64);
            }
            Tick { event: MarketEvent::Bar(bar), trades }
        })
    }
}

/// To six decimals, as average prices are printed.
pub(super) fn rounded(value: f64) -> f64 {
    (value * 1e6).round() / 1e6
}
