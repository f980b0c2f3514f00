//! What a source does not say is made from what it says: bars from trades, quotes from bars.

use std::collections::{HashSet, VecDeque};

use sandpit_types::{Bar, MarketEvent, Quote, Symbol};

use super::{BarBuilder, Tick};

/// Shares quoted on either side where only bars are known.
const QUOTED_SHARES: u64 = 1_000;

/// A feed with the bars and quotes its source lacks.
pub struct FillIn<I: Iterator<Item = Tick>> {
    source: std::iter::Peekable<I>,
    /// Symbols whose bars come from trades.
    bars_from_trades: HashSet<Symbol>,
    /// Symbols whose quotes come from bars: without a quote no order fills.
    quotes_from_bars: HashSet<Symbol>,
    builder: BarBuilder,
    /// At most two events a symbol: those of one minute's end.
    ready: VecDeque<Tick>,
}

impl<I: Iterator<Item = Tick>> FillIn<I> {
    /// Completes `source` for these symbols.
    pub fn new(source: I, bars_from_trades: HashSet<Symbol>, quotes_from_bars: HashSet<Symbol>) -> Self {
        let builder = BarBuilder::default();
        Self {
            source: source.peekable(),
            bars_from_trades,
            quotes_from_bars,
            builder,
            ready: VecDeque::new(),
        }
    }

    /// Puts a bar in line, behind the quote made from it.
    fn push_bar(&mut self, tick: Tick) {
        if let MarketEvent::Bar(bar) = &tick.event
            && self.quotes_from_bars.contains(&bar.symbol)
        {
            self.ready.push_back(Tick::new(MarketEvent::Quote(quote_from(bar, tick.event.time()))));
        }
        self.ready.push_back(tick);
    }

    /// Closes the minute under way if the source has gone past it.
    fn close_minute(&mut self) {
        let Some(deadline) = self.builder.deadline() else { return };
        if self.source.peek().is_none_or(|next| next.event.time() >= deadline) {
            for bar in self.builder.close() {
                self.push_bar(bar);
            }
        }
    }
}

impl<I: Iterator<Item = Tick>> Iterator for FillIn<I> {
    type Item = Tick;

    fn next(&mut self) -> Option<Tick> {
        if self.ready.is_empty() {
            self.close_minute();
        }
        if let Some(tick) = self.ready.pop_front() {
            return Some(tick);
        }
        let tick = self.source.next()?;
        match &tick.event {
            MarketEvent::Trade(trade) if self.bars_from_trades.contains(&trade.symbol) => {
                self.builder.add(trade);
            }
            MarketEvent::Bar(_) => {
                self.push_bar(tick);
                return self.ready.pop_front();
            }
            MarketEvent::Trade(_)
            | MarketEvent::Quote(_)
            | MarketEvent::MarkedBar(..)
            | MarketEvent::News(_)
            | MarketEvent::BarsComplete(_)
            | MarketEvent::SessionOpen(_)
            | MarketEvent::SessionClose(_)
            | MarketEvent::Health(..) => {}
        }
        Some(tick)
    }
}

/// One tick either side of the close.
fn quote_from(bar: &Bar, time: sandpit_types::MarketTime) -> Quote {
    let per_dollar = if bar.close >= 1.0 { 100.0 } else { 10_000.0 };
    let ticks = (bar.close * per_dollar).round();
    Quote {
        symbol: bar.symbol.clone(),
        time,
        bid: (ticks - 1.0).max(1.0) / per_dollar,
        bid_size: QUOTED_SHARES,
        ask: (ticks + 1.0) / per_dollar,
        ask_size: QUOTED_SHARES,
    }
}

#[cfg(test)]
mod tests {
    use sandpit_types::{MarketTime, Trade};

    use super::*;

    fn trade(secs: i64, price: f64, size: u64) -> Tick {
        let symbol = Symbol::new("SPY");
        Tick::new(MarketEvent::Trade(Trade { symbol, time: MarketTime::from_secs(secs), price, size }))
    }

    #[test]
    fn a_minute_of_trades_becomes_a_quote_and_a_bar_at_its_end() {
        let symbols = HashSet::from([Symbol::new("SPY")]);
        let source = [trade(61, 10.0, 100), trade(90, 12.0, 300), trade(200, 9.0, 100)];
        let ticks: Vec<_> = FillIn::new(source.into_iter(), symbols.clone(), symbols).collect();
        let names: Vec<_> =
            ticks.iter().map(|t| (t.event.time().as_nanos() / 1_000_000_000, t.rank())).collect();
        assert_eq!(names, [(61, 1), (90, 1), (120, 0), (120, 2), (200, 1), (240, 0), (240, 2)]);
        let MarketEvent::Bar(bar) = &ticks[3].event else { panic!("a bar is due") };
        assert_eq!((bar.open, bar.high, bar.low, bar.close), (10.0, 12.0, 10.0, 12.0));
        assert_eq!((bar.volume, bar.vwap, ticks[3].trades), (400, 11.5, 2));
        let MarketEvent::Quote(quote) = &ticks[2].event else { panic!("a quote is due") };
        assert_eq!((quote.bid, quote.ask), (11.99, 12.01));
    }
}
