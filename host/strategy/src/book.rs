//! What a strategy may read, folded from the events it was given: a replay of the events rebuilds it.

#[cfg(test)]
mod desk_tests;
mod orders;

use std::collections::{HashMap, VecDeque};

use foldhash::fast::FixedState;
use sandpit_types::{Bar, MarketEvent, MarketTime, Price, Qty, Quote, SessionDay, StreamHealth, Symbol, Usd};

pub(crate) use self::orders::{OpenOrder, OpenOrders};
use crate::{StrategyEvent, bounds::HISTORY_BARS, event::MINUTE};

/// An instrument's number: its place in the list that `init` got.
pub(crate) type Instrument = u32;

/// Where a bar stands among all bars: they are told by minute, then by instrument.
pub(crate) type Place = (MarketTime, Instrument);

/// The reads of one strategy.
#[derive(Debug)]
pub(crate) struct Book {
    pub(crate) now: MarketTime,
    symbols: Vec<Symbol>,
    numbers: HashMap<Symbol, Instrument, FixedState>,
    slots: Vec<Slot>,
    pub(crate) orders: OpenOrders,
    pub(crate) equity: Usd,
    pub(crate) buying_power: Usd,
    /// What was told last of the market and still holds.
    pub(crate) standing: Standing,
    /// Bars from there on cannot be read: a new life is told of the time before them.
    pub(crate) veil: Option<Place>,
}

/// What a life has to know of the market though it was told before its time.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Standing {
    /// The session that is open, if one is.
    pub(crate) session: Option<SessionDay>,
    /// How data arrive and since when, while that is not live.
    pub(crate) health: Option<(StreamHealth, MarketTime)>,
}

impl Standing {
    /// Folds one event in.
    pub(crate) fn apply(&mut self, event: &MarketEvent) {
        match event {
            MarketEvent::SessionOpen(day) => self.session = Some(*day),
            MarketEvent::SessionClose(_) => self.session = None,
            MarketEvent::Health(health, since) => {
                self.health = (*health != StreamHealth::Live).then_some((*health, *since));
            }
            MarketEvent::Bar(_)
            | MarketEvent::MarkedBar(..)
            | MarketEvent::Quote(_)
            | MarketEvent::Trade(_)
            | MarketEvent::BarsComplete(_)
            | MarketEvent::News(_) => {}
        }
    }

    /// What tells of it.
    pub(crate) fn events(self) -> impl Iterator<Item = MarketEvent> {
        let health = self.health.map(|(health, since)| MarketEvent::Health(health, since));
        self.session.map(MarketEvent::SessionOpen).into_iter().chain(health)
    }
}

/// What is known of one instrument.
#[derive(Debug, Default)]
pub(crate) struct Slot {
    pub(crate) qty: Qty,
    pub(crate) avg_price: Price,
    pub(crate) quote: Option<Quote>,
    /// The price of the newest trade, or the close of the newest bar that came in its turn.
    pub(crate) last_price: Option<f64>,
    /// Complete bars, oldest first, one per minute.
    pub(crate) bars: VecDeque<Row>,
}

/// A bar without its symbol.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Row {
    pub(crate) start: MarketTime,
    pub(crate) open: f64,
    pub(crate) high: f64,
    pub(crate) low: f64,
    pub(crate) close: f64,
    pub(crate) volume: f64,
}

impl From<&Bar> for Row {
    fn from(bar: &Bar) -> Self {
        Self {
            start: bar.start,
            open: bar.open,
            high: bar.high,
            low: bar.low,
            close: bar.close,
            volume: bar.volume as f64,
        }
    }
}

impl Book {
    pub(crate) fn new(symbols: Vec<Symbol>) -> Self {
        let numbers = (0..).zip(&symbols).map(|(number, symbol)| (symbol.clone(), number)).collect();
        let slots = symbols.iter().map(|_| Slot::default()).collect();
        Self {
            now: MarketTime::EPOCH,
            symbols,
            numbers,
            slots,
            orders: OpenOrders::default(),
            equity: Usd::ZERO,
            buying_power: Usd::ZERO,
            standing: Standing::default(),
            veil: None,
        }
    }

    pub(crate) fn symbols(&self) -> &[Symbol] {
        &self.symbols
    }

    pub(crate) fn symbol(&self, instrument: Instrument) -> Option<&Symbol> {
        self.symbols.get(instrument as usize)
    }

    pub(crate) fn number(&self, symbol: &Symbol) -> Option<Instrument> {
        self.numbers.get(symbol).copied()
    }

    pub(crate) fn slot(&self, instrument: Instrument) -> Option<&Slot> {
        self.slots.get(instrument as usize)
    }

    /// By number.
    pub(crate) fn slots(&self) -> &[Slot] {
        &self.slots
    }

    /// Moves the time on; it never goes back.
    pub(crate) fn advance(&mut self, to: MarketTime) {
        self.now = self.now.max(to);
    }

    /// The number of the instrument that a bar, a quote or a trade is of.
    pub(crate) fn of(&self, event: &StrategyEvent) -> Option<Instrument> {
        event.priced().and_then(|symbol| self.number(symbol))
    }

    /// Folds one event in; what [`Book::of`] says of it, for whoever goes on with it.
    pub(crate) fn apply(&mut self, event: &StrategyEvent) -> Option<Instrument> {
        let of = self.of(event);
        if let Some(time) = event.time() {
            self.advance(time);
        }
        match event {
            StrategyEvent::Market(MarketEvent::Bar(bar)) | StrategyEvent::Warmup(bar) => {
                if let Some(number) = of {
                    self.add_bar(number, bar.into());
                    self.price(number, bar.close);
                }
            }
            StrategyEvent::Market(MarketEvent::MarkedBar(bar, _)) => {
                if let Some(number) = of {
                    self.add_bar(number, bar.into());
                }
            }
            StrategyEvent::Market(MarketEvent::Trade(trade)) => {
                if let Some(number) = of {
                    self.price(number, trade.price);
                }
            }
            StrategyEvent::Market(MarketEvent::Quote(quote)) => {
                if let Some(slot) = of.and_then(|number| self.slots.get_mut(number as usize)) {
                    slot.quote = Some(quote.clone());
                }
            }
            StrategyEvent::Market(
                event
                @ (MarketEvent::SessionOpen(_) | MarketEvent::SessionClose(_) | MarketEvent::Health(..)),
            ) => self.standing.apply(event),
            StrategyEvent::Position { symbol, qty, avg_price } => {
                if let Some(number) = self.number(symbol)
                    && let Some(slot) = self.slots.get_mut(number as usize)
                {
                    (slot.qty, slot.avg_price) = (*qty, *avg_price);
                    self.orders.hold(number, *qty);
                }
            }
            StrategyEvent::Account { equity, buying_power } => {
                (self.equity, self.buying_power) = (*equity, *buying_power);
            }
            StrategyEvent::OpenOrder { id, leg, symbol, side, qty, filled_qty, kind, status } => {
                if let Some(instrument) = self.number(symbol) {
                    let mut order = OpenOrder::new(instrument, *side, *qty, *kind);
                    (order.filled_qty, order.status) = (*filled_qty, status.clone());
                    self.orders.restore(*id, *leg, order);
                }
            }
            StrategyEvent::Order(update) => self.orders.on_update(update),
            StrategyEvent::Refused { id, refusal, .. } => self.orders.on_refusal(*id, *refusal),
            StrategyEvent::Market(MarketEvent::BarsComplete(_) | MarketEvent::News(_))
            | StrategyEvent::Fill { .. }
            | StrategyEvent::Tick(_)
            | StrategyEvent::Probe(_)
            | StrategyEvent::Stop(_) => {}
        }
        of
    }

    /// Adds a bar where its time says: late ones go between, a corrected one replaces.
    pub(crate) fn add_bar(&mut self, instrument: Instrument, row: Row) {
        let Some(slot) = self.slots.get_mut(instrument as usize) else { return };
        if slot.bars.back().is_none_or(|last| last.start < row.start) {
            // The usual one is the newest: no search.
            slot.bars.push_back(row);
        } else {
            let place = slot.bars.partition_point(|bar| bar.start < row.start);
            match slot.bars.get_mut(place) {
                Some(bar) if bar.start == row.start => *bar = row,
                _ => slot.bars.insert(place, row),
            }
        }
        if slot.bars.len() > HISTORY_BARS {
            slot.bars.pop_front();
        }
    }

    /// The newest bars of an instrument that can be read, `count` at most, oldest first.
    pub(crate) fn history(
        &self,
        instrument: Instrument,
        count: usize,
    ) -> Option<impl ExactSizeIterator<Item = &Row> + Clone> {
        let bars = &self.slot(instrument)?.bars;
        let shown = match self.veil {
            None => bars.len(),
            Some(veil) => bars.partition_point(|row| (row.start, instrument) < veil),
        };
        Some(bars.range(shown.saturating_sub(count)..shown))
    }

    fn price(&mut self, instrument: Instrument, price: f64) {
        if let Some(slot) = self.slots.get_mut(instrument as usize) {
            slot.last_price = Some(price);
        }
    }
}

/// When a bar that started at `start` is complete.
pub(crate) fn bar_end(start: MarketTime) -> MarketTime {
    start + MINUTE
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(secs: i64) -> MarketTime {
        MarketTime::from_secs(secs)
    }

    fn book() -> Book {
        Book::new(["A", "B"].map(Symbol::new).to_vec())
    }

    fn bar(symbol: &str, minute: i64, close: f64) -> StrategyEvent {
        let symbol = Symbol::new(symbol);
        let bar = Bar {
            symbol,
            start: at(60 * minute),
            open: 1.0,
            high: 2.0,
            low: 0.5,
            close,
            volume: 9,
            vwap: 1.0,
        };
        StrategyEvent::Market(MarketEvent::Bar(bar))
    }

    fn closes(book: &Book, instrument: Instrument) -> Vec<f64> {
        book.slot(instrument).expect("in range").bars.iter().map(|row| row.close).collect()
    }

    #[test]
    fn history_is_sorted_corrected_and_bounded() {
        let mut book = book();
        for (minute, close) in [(1, 1.0), (2, 2.0), (4, 4.0), (3, 3.0), (2, 2.5)] {
            book.apply(&bar("A", minute, close));
        }
        book.apply(&bar("C", 1, 1.0));
        assert_eq!(closes(&book, 0), [1.0, 2.5, 3.0, 4.0]);
        assert_eq!(closes(&book, 1), [0.0; 0]);
        assert_eq!(book.now, at(300), "time does not go back");
        for minute in 5..2_000 {
            book.apply(&bar("A", minute, minute as f64));
        }
        assert_eq!(closes(&book, 0).len(), HISTORY_BARS);
        assert_eq!(closes(&book, 0).first(), Some(&1_000.0));
    }

    #[test]
    fn no_bar_can_be_read_through_a_veil() {
        let mut book = book();
        for (symbol, minute) in [("A", 0), ("B", 1), ("B", 2), ("A", 1), ("A", 2)] {
            book.apply(&bar(symbol, minute, 0.0));
        }
        let read = |book: &Book, of, count| {
            let rows = book.history(of, count).expect("in range");
            rows.map(|row| row.start.as_nanos() / 60_000_000_000).collect::<Vec<_>>()
        };
        assert_eq!((read(&book, 0, 9), read(&book, 1, 1)), (vec![0, 1, 2], vec![2]));
        book.veil = Some((at(60), 1));
        assert_eq!((read(&book, 0, 9), read(&book, 0, 1), read(&book, 1, 9)), (vec![0, 1], vec![1], vec![]));
        assert!(book.history(2, 9).is_none());
    }

    #[test]
    fn positions_and_the_account_are_as_told() {
        let mut book = book();
        let (qty, avg_price) = (Qty::from_nanos(-5), Price::from_nanos(7));
        book.apply(&StrategyEvent::Position { symbol: Symbol::new("B"), qty, avg_price });
        let (equity, buying_power) = (Usd::from_nanos(1), Usd::from_nanos(2));
        book.apply(&StrategyEvent::Account { equity, buying_power });
        let slot = book.slot(1).expect("in range");
        assert_eq!(
            (slot.qty, slot.avg_price, book.equity, book.buying_power),
            (qty, avg_price, equity, buying_power)
        );
        assert!(book.slot(2).is_none());
    }
}
