//! A generated market: always the same, with everything a strategy may handle. Prices walk at random, with
//! trends that last for a while; no strategy earns anything by them.

use std::time::Duration;

use sandpit_strategy::{Description, StrategyEvent};
use sandpit_types::{
    Bar, BarMark, MarketEvent, MarketTime, News, Quote, SessionDay, StreamHealth, Symbol, Trade, Usd,
};

/// Minutes of the session that are played.
const MINUTES: u32 = 120;
/// Quotes of each symbol in a minute; and half as many trades.
const QUOTES: u32 = 4;
/// Symbols that are played at most: a cost per event needs no more.
const SYMBOLS_MAX: usize = 20;
const MINUTE: Duration = Duration::from_secs(60);
/// 2026-03-02, a Monday: 09:30 in New York.
const OPEN: MarketTime = MarketTime::from_secs(1_772_461_800);

/// The events of a session, and before them what a host says at a start.
pub(crate) fn tape(symbols: &[Symbol], description: &Description) -> Vec<StrategyEvent> {
    let symbols = &symbols[..symbols.len().min(SYMBOLS_MAX)];
    let mut walks: Vec<_> = (0..).zip(symbols).map(|(seed, symbol)| Walk::new(symbol, seed)).collect();
    let mut events = vec![StrategyEvent::Account {
        equity: Usd::from_nanos(100_000_000_000_000),
        buying_power: Usd::from_nanos(200_000_000_000_000),
    }];
    let warmup = description.warmup_bars;
    for minute in 0..warmup {
        let start = OPEN - MINUTE * (warmup - minute);
        events.extend(walks.iter_mut().map(|walk| StrategyEvent::Warmup(walk.bar(start))));
    }
    let close = OPEN + MINUTE * MINUTES;
    events.push(market(MarketEvent::SessionOpen(SessionDay { open: OPEN, close })));
    for minute in 0..MINUTES {
        let start = OPEN + MINUTE * minute;
        for walk in &mut walks {
            for part in 0..QUOTES {
                let at = start + Duration::from_millis(u64::from(part) * 60_000 / u64::from(QUOTES));
                events.push(market(MarketEvent::Quote(walk.quote(at))));
                if part % 2 == 0 {
                    events.push(market(MarketEvent::Trade(walk.trade(at))));
                }
            }
        }
        let mut bars: Vec<_> = walks.iter_mut().map(|walk| walk.bar(start)).collect();
        oddities(minute, start, &mut bars, &mut events);
        events.extend(bars.into_iter().map(|bar| market(MarketEvent::Bar(bar))));
        events.push(market(MarketEvent::BarsComplete(start)));
    }
    events.push(market(MarketEvent::SessionClose(close)));
    events.push(StrategyEvent::Tick(close + MINUTE));
    events
}

/// What is rare, at fixed minutes: stale data, a corrected bar, news.
fn oddities(minute: u32, start: MarketTime, bars: &mut [Bar], events: &mut Vec<StrategyEvent>) {
    match minute {
        30 => events.push(market(MarketEvent::Health(StreamHealth::Stale, start))),
        31 => events.push(market(MarketEvent::Health(StreamHealth::Live, start))),
        40 => {
            if let Some(bar) = bars.first() {
                let bar = Bar { start: start - MINUTE, volume: bar.volume + 100, ..bar.clone() };
                events.push(market(MarketEvent::MarkedBar(bar, BarMark::Corrected)));
            }
        }
        50 => events.push(market(MarketEvent::News(Box::new(News {
            id: 1,
            created: start,
            updated: start,
            headline: "A headline".into(),
            summary: String::new(),
            author: "nobody".into(),
            source: "nowhere".into(),
            url: String::new(),
            symbols: bars.iter().map(|bar| bar.symbol.clone()).collect(),
        })))),
        _ => {}
    }
}

fn market(event: MarketEvent) -> StrategyEvent {
    StrategyEvent::Market(event)
}

/// A price that walks, in cents.
struct Walk {
    symbol: Symbol,
    random: SplitMix,
    cents: i64,
    trend: i64,
}

impl Walk {
    fn new(symbol: &Symbol, seed: u64) -> Self {
        let cents = 10_000 + 1_000 * i64::try_from(seed).unwrap_or(0);
        Self { symbol: symbol.clone(), random: SplitMix(seed), cents, trend: 0 }
    }

    fn step(&mut self) -> f64 {
        if self.random.below(40) == 0 {
            self.trend = self.random.below(7) - 3;
        }
        self.cents = (self.cents + self.trend + self.random.below(21) - 10).max(100);
        self.cents as f64 / 100.0
    }

    fn bar(&mut self, start: MarketTime) -> Bar {
        let prices: [f64; 4] = std::array::from_fn(|_| self.step());
        let high = prices.into_iter().fold(f64::MIN, f64::max);
        let low = prices.into_iter().fold(f64::MAX, f64::min);
        let (open, close) = (prices[0], prices[3]);
        let volume = 1_000 + self.random.below(9_000).unsigned_abs();
        Bar { symbol: self.symbol.clone(), start, open, high, low, close, volume, vwap: (high + low) / 2.0 }
    }

    fn quote(&mut self, time: MarketTime) -> Quote {
        let bid = self.step();
        let ask = (self.cents + 1) as f64 / 100.0;
        Quote { symbol: self.symbol.clone(), time, bid, bid_size: 200, ask, ask_size: 300 }
    }

    fn trade(&mut self, time: MarketTime) -> Trade {
        Trade { symbol: self.symbol.clone(), time, price: self.step(), size: 100 }
    }
}

/// Sebastiano Vigna's SplitMix64.
struct SplitMix(u64);

impl SplitMix {
    fn below(&mut self, end: i64) -> i64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) % end.unsigned_abs()).cast_signed()
    }
}

#[cfg(test)]
mod tests {
    use sandpit_strategy::Wants;

    use super::*;

    #[test]
    fn the_market_is_the_same_each_time_and_in_order() {
        let wants = Wants { bars: true, quotes: true, trades: true, news: true };
        let description = Description {
            name: String::new(),
            version: String::new(),
            parameters_schema: String::new(),
            instruments: Vec::new(),
            wants,
            warmup_bars: 3,
        };
        let symbols = ["A", "B"].map(Symbol::new);
        let events = tape(&symbols, &description);
        assert_eq!(events, tape(&symbols, &description));
        assert_eq!(OPEN.to_string(), "2026-03-02T14:30:00Z");
        let warmup = events.iter().filter(|event| matches!(event, StrategyEvent::Warmup(_))).count();
        assert_eq!(warmup, 6);
        let mut last = MarketTime::EPOCH;
        for time in events.iter().filter(|event| !is_quote_or_trade(event)).filter_map(StrategyEvent::time) {
            assert!(time >= last || time + MINUTE >= last, "{time} after {last}");
            last = last.max(time);
        }
    }

    fn is_quote_or_trade(event: &StrategyEvent) -> bool {
        matches!(event, StrategyEvent::Market(MarketEvent::Quote(_) | MarketEvent::Trade(_)))
    }
}
