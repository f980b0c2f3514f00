//! The synthetic market: quotes and trades of a seeded random walk with an intraday shape.
//!
//! Prices are `start × exp(market + own)`: one factor that all symbols share, stepped each second, and one of
//! each symbol's own, both with a U-shaped volatility over the day. Trades happen at the best bid or offer.
//! Everything depends on the seed, the dates and the symbol's name only, never on the speed or on the other
//! symbols.

use std::{
    cmp::Reverse,
    collections::{BinaryHeap, VecDeque},
    time::Duration,
};

use sandpit_types::{MarketEvent, MarketTime, Quote, SessionDay, Symbol, Trade};

use super::{Tick, chance::Chance};
use crate::listing;

/// The first quotes of a day come this long before the open.
const PRE_MARKET: Duration = Duration::from_secs(90 * 60);
/// The last ones this long after the close.
const POST_MARKET: Duration = Duration::from_secs(5 * 60);
/// Seconds of regular trading in a year.
const YEAR_SECS: f64 = 252.0 * 23_400.0;
/// Deviation of the move over a night, as a share of a day's.
const NIGHT: f64 = 0.6;
/// Share of a symbol's variance that it has in common with the market.
const COMMON: f64 = 0.35;
/// Deviation of the market's own return over a year.
const MARKET_VOLATILITY: f64 = 0.16;
/// Seconds between two trades of a symbol, on an average minute of the session.
const TRADE_MEAN_SECS: f64 = 6.0;
/// Least time between two events of one symbol.
const LEAST_STEP: Duration = Duration::from_millis(1);

/// How lively a moment of the day is, 1 being a session's average.
#[derive(Clone, Copy, Debug)]
struct Shape {
    volatility: f64,
    volume: f64,
    spread: f64,
}

impl Shape {
    /// The U of the session: wild at the open, calm at noon, busy into the close; sparse outside of it.
    fn at(time: MarketTime, day: SessionDay) -> Self {
        if time < day.open || time >= day.close {
            return Self { volatility: 0.25, volume: 0.08, spread: 3.0 };
        }
        let passed = time.since(day.open).as_secs_f64() / day.close.since(day.open).as_secs_f64();
        let open = (-passed / 0.07).exp();
        let close = (-(1.0 - passed) / 0.06).exp();
        Self {
            volatility: 0.75 + 1.6 * open + 0.5 * close,
            volume: 0.6 + 2.6 * open + 2.0 * close,
            spread: 1.0 + 1.5 * open,
        }
    }
}

/// What a symbol does next. At the same instant it quotes before it trades.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Act {
    Quote,
    Trade,
}

/// Makes the market's quotes and trades, one after the other.
pub struct Generator {
    makers: Vec<Maker>,
    common: Common,
    days: VecDeque<SessionDay>,
    day: SessionDay,
    /// Two acts a symbol: its next quote and its next trade.
    due: BinaryHeap<Reverse<(MarketTime, usize, Act)>>,
}

impl Generator {
    /// A market of these symbols over these days, in order.
    pub fn new(seed: u64, symbols: &[Symbol], days: &[SessionDay]) -> Self {
        let makers = symbols.iter().map(|symbol| Maker::new(seed, symbol.clone())).collect();
        let start = SessionDay { open: MarketTime::EPOCH, close: MarketTime::EPOCH };
        Self {
            makers,
            common: Common { value: 0.0, time: MarketTime::EPOCH, chance: Chance::new(seed, "the market") },
            days: days.iter().copied().collect(),
            day: start,
            due: BinaryHeap::with_capacity(2 * symbols.len()),
        }
    }

    /// Begins the next day, if there is one: everybody moves over the night and quotes.
    fn begin_day(&mut self) -> Option<()> {
        self.day = self.days.pop_front()?;
        let start = self.day.open - PRE_MARKET;
        self.common.time = start;
        for (index, maker) in self.makers.iter_mut().enumerate() {
            maker.wake(start);
            let first = start + Duration::from_secs_f64(5.0 * maker.chance.unit());
            self.due.push(Reverse((first, index, Act::Quote)));
            let wait = maker.trade_wait(Shape::at(start, self.day));
            self.due.push(Reverse((first + wait, index, Act::Trade)));
        }
        Some(())
    }
}

impl Iterator for Generator {
    type Item = Tick;

    fn next(&mut self) -> Option<Tick> {
        while self.due.is_empty() {
            self.begin_day()?;
        }
        let Reverse((time, index, act)) = self.due.pop()?;
        let shape = Shape::at(time, self.day);
        self.common.advance(time, self.day);
        let maker = &mut self.makers[index];
        let (event, wait) = match act {
            Act::Quote => (maker.quote(time, shape, self.common.value), maker.quote_wait(time, self.day)),
            Act::Trade => (maker.trade(time), maker.trade_wait(shape)),
        };
        let next = time + wait;
        if next < self.day.close + POST_MARKET {
            self.due.push(Reverse((next, index, act)));
        }
        Some(Tick::new(event))
    }
}

/// The factor all symbols share, stepped on whole seconds so that it does not depend on who asks.
struct Common {
    value: f64,
    time: MarketTime,
    chance: Chance,
}

impl Common {
    fn advance(&mut self, until: MarketTime, day: SessionDay) {
        const STEP: Duration = Duration::from_secs(1);
        while self.time + STEP <= until {
            self.time = self.time + STEP;
            let deviation = MARKET_VOLATILITY / YEAR_SECS.sqrt() * Shape::at(self.time, day).volatility;
            self.value += deviation * self.chance.normal();
        }
    }
}

/// One symbol's market.
struct Maker {
    symbol: Symbol,
    chance: Chance,
    start: f64,
    /// The symbol's own part of the logarithm of its price.
    own: f64,
    /// How strongly it follows the market.
    beta: f64,
    /// Deviation of the own part over one second of an average minute.
    deviation: f64,
    trade_shares: f64,
    moved: MarketTime,
    quote: Quote,
}

impl Maker {
    fn new(seed: u64, symbol: Symbol) -> Self {
        let listing = listing::find(symbol.as_str());
        let (bid, ask) = (listing.price, listing.price);
        let zero = MarketTime::EPOCH;
        Self {
            chance: Chance::new(seed, symbol.as_str()),
            start: listing.price,
            own: 0.0,
            beta: COMMON.sqrt() * listing.volatility / MARKET_VOLATILITY,
            deviation: (1.0 - COMMON).sqrt() * listing.volatility / YEAR_SECS.sqrt(),
            trade_shares: listing.trade_shares,
            moved: zero,
            quote: Quote { symbol: symbol.clone(), time: zero, bid, bid_size: 100, ask, ask_size: 100 },
            symbol,
        }
    }

    /// The move over the night.
    fn wake(&mut self, now: MarketTime) {
        self.own += NIGHT * self.deviation * 23_400_f64.sqrt() * self.chance.normal();
        self.moved = now;
    }

    /// Moves the price and quotes around it.
    fn quote(&mut self, now: MarketTime, shape: Shape, common: f64) -> MarketEvent {
        let secs = now.since(self.moved).as_secs_f64();
        self.moved = now;
        self.own += self.deviation * shape.volatility * secs.sqrt() * self.chance.normal();
        let middle = self.start * (self.beta * common + self.own).exp();
        let per_dollar = if middle >= 1.0 { 100.0 } else { 10_000.0 };
        // A basis point or two wide, wider for what moves more.
        let share = 0.2e-4 + 1.5 * self.deviation;
        let width =
            (middle * share * shape.spread * per_dollar * (0.7 + 0.6 * self.chance.unit())).round().max(1.0);
        let bid = (middle * per_dollar - width / 2.0).round().max(1.0);
        self.quote = Quote {
            symbol: self.symbol.clone(),
            time: now,
            bid: bid / per_dollar,
            bid_size: self.lots(3.0),
            ask: (bid + width) / per_dollar,
            ask_size: self.lots(3.0),
        };
        MarketEvent::Quote(self.quote.clone())
    }

    /// A trade at the bid or the offer.
    fn trade(&mut self, now: MarketTime) -> MarketEvent {
        let price = if self.chance.coin() { self.quote.ask } else { self.quote.bid };
        let size = self.lots(1.0);
        MarketEvent::Trade(Trade { symbol: self.symbol.clone(), time: now, price, size })
    }

    /// Round lots, `times` an average trade on average.
    fn lots(&mut self, times: f64) -> u64 {
        let shares = self.chance.exponential(self.trade_shares * times);
        (shares / 100.0).ceil().clamp(1.0, 1_000.0) as u64 * 100
    }

    /// Two to five seconds in the session, longer outside of it.
    fn quote_wait(&mut self, now: MarketTime, day: SessionDay) -> Duration {
        let slower = if (day.open..day.close).contains(&now) { 1.0 } else { 5.0 };
        Duration::from_secs_f64(slower * (2.0 + 3.0 * self.chance.unit()))
    }

    fn trade_wait(&mut self, shape: Shape) -> Duration {
        Duration::from_secs_f64(self.chance.exponential(TRADE_MEAN_SECS / shape.volume)).max(LEAST_STEP)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, HashSet};

    use super::*;
    use crate::data::FillIn;

    fn day(text: &str) -> SessionDay {
        let at = |clock: &str| MarketTime::parse(&format!("{text}T{clock}:00Z")).expect("a time");
        SessionDay { open: at("13:30"), close: at("20:00") }
    }

    fn symbols(names: &[&str]) -> Vec<Symbol> {
        names.iter().map(|name| Symbol::new(*name)).collect()
    }

    fn market(seed: u64, names: &[&str], days: &[SessionDay]) -> Vec<Tick> {
        let symbols = symbols(names);
        let all: HashSet<Symbol> = symbols.iter().cloned().collect();
        FillIn::new(Generator::new(seed, &symbols, days), all, HashSet::new()).collect()
    }

    #[test]
    fn the_seed_decides_everything() {
        let days = [day("2026-03-16"), day("2026-03-17")];
        let both = market(7, &["SPY", "F"], &days);
        assert_eq!(both, market(7, &["SPY", "F"], &days));
        assert_ne!(both, market(8, &["SPY", "F"], &days));
        let of_spy = |ticks: &[Tick]| -> Vec<Tick> {
            ticks.iter().filter(|tick| symbol_of(tick).as_str() == "SPY").cloned().collect()
        };
        assert_eq!(of_spy(&both), of_spy(&market(7, &["SPY"], &days)), "other symbols do not move SPY");
    }

    fn symbol_of(tick: &Tick) -> &Symbol {
        match &tick.event {
            MarketEvent::Quote(quote) => &quote.symbol,
            MarketEvent::Trade(trade) => &trade.symbol,
            MarketEvent::Bar(bar) => &bar.symbol,
            other => panic!("the market does not make {other:?}"),
        }
    }

    #[test]
    fn bars_are_exactly_the_trades_of_their_minute() {
        let ticks = market(3, &["AAPL", "T"], &[day("2026-03-16")]);
        let mut trades: BTreeMap<(Symbol, MarketTime), Vec<Trade>> = BTreeMap::new();
        for tick in &ticks {
            if let MarketEvent::Trade(trade) = &tick.event {
                trades.entry((trade.symbol.clone(), trade.time.minute())).or_default().push(trade.clone());
            }
        }
        let mut bars = 0;
        for tick in &ticks {
            let MarketEvent::Bar(bar) = &tick.event else { continue };
            let of_minute = trades.remove(&(bar.symbol.clone(), bar.start)).expect("a bar has trades");
            let prices = || of_minute.iter().map(|trade| trade.price);
            assert_eq!(bar.open, of_minute[0].price);
            assert_eq!(bar.close, of_minute[of_minute.len() - 1].price);
            assert_eq!(bar.high, prices().fold(f64::MIN, f64::max));
            assert_eq!(bar.low, prices().fold(f64::MAX, f64::min));
            assert_eq!(bar.volume, of_minute.iter().map(|trade| trade.size).sum::<u64>());
            assert_eq!(tick.trades, of_minute.len() as u64);
            bars += 1;
        }
        assert!(trades.is_empty(), "every minute with trades has its bar");
        assert!(bars > 700, "{bars} bars");
    }

    #[test]
    fn the_day_has_its_shape_and_its_rules() {
        let session = day("2026-03-16");
        let ticks = market(11, &["SPY", "TSLA", "F"], &[session]);
        let mut last = MarketTime::EPOCH;
        let mut half_hours = [0_u64; 13];
        let mut quotes = 0;
        for tick in &ticks {
            let time = tick.event.time();
            assert!(time >= last, "time goes on");
            last = time;
            match &tick.event {
                MarketEvent::Quote(quote) => {
                    assert!(quote.bid > 0.0 && quote.bid < quote.ask, "{quote:?}");
                    assert_eq!((quote.bid * 100.0).round() / 100.0, quote.bid, "on tick");
                    assert!(quote.ask - quote.bid < 0.01 * quote.bid, "{quote:?}");
                    quotes += u64::from((session.open..session.close).contains(&time));
                }
                MarketEvent::Trade(trade) if (session.open..session.close).contains(&time) => {
                    half_hours[time.since(session.open).as_secs() as usize / 1_800] += trade.size;
                }
                _ => {}
            }
        }
        let noon = half_hours[6];
        assert!(half_hours[0] > 2 * noon && half_hours[12] > noon, "{half_hours:?}");
        let each = 3.0 * 23_400.0 / quotes as f64;
        assert!((3.0..4.0).contains(&each), "a quote a symbol every {each} s");
    }
}
