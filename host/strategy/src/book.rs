//! What a strategy may read, folded from the events it was given: a replay of the events rebuilds it.

use std::collections::{BTreeMap, HashMap, VecDeque};

use sandpit_types::{
    Bar, MarketEvent, MarketTime, OrderStatus, OrderUpdate, Price, Qty, Quote, Refusal, Side,
    StrategyOrderId, Submit, Symbol, Usd,
};

use crate::{
    StrategyEvent,
    bounds::{HISTORY_BARS, OPEN_ORDERS_MAX},
    event::MINUTE,
};

/// An instrument's number: its place in the list that `init` got.
pub(crate) type Instrument = u32;

/// The reads of one strategy.
#[derive(Debug)]
pub(crate) struct Book {
    pub(crate) now: MarketTime,
    symbols: Vec<Symbol>,
    numbers: HashMap<Symbol, Instrument>,
    slots: Vec<Slot>,
    orders: BTreeMap<StrategyOrderId, OpenOrder>,
    pub(crate) equity: Usd,
    pub(crate) buying_power: Usd,
    /// Since when the session is open, while it is.
    pub(crate) session: Option<MarketTime>,
}

/// What is known of one instrument.
#[derive(Debug, Default)]
pub(crate) struct Slot {
    pub(crate) qty: Qty,
    pub(crate) avg_price: Price,
    pub(crate) quote: Option<Quote>,
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

/// An order that may still fill.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct OpenOrder {
    pub(crate) instrument: Instrument,
    pub(crate) side: Side,
    pub(crate) qty: Qty,
    pub(crate) filled_qty: Qty,
    pub(crate) limit_price: Option<Price>,
    /// Submits with this id that got no answer yet.
    unanswered: u32,
    /// Whether the broker has it: then a refusal is about a twin, not about this order.
    at_broker: bool,
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
            orders: BTreeMap::new(),
            equity: Usd::ZERO,
            buying_power: Usd::ZERO,
            session: None,
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

    pub(crate) fn orders(&self) -> impl ExactSizeIterator<Item = (StrategyOrderId, &OpenOrder)> {
        self.orders.iter().map(|(id, order)| (*id, order))
    }

    /// Moves the time on; it never goes back.
    pub(crate) fn advance(&mut self, to: MarketTime) {
        self.now = self.now.max(to);
    }

    /// Folds one event in.
    pub(crate) fn apply(&mut self, event: &StrategyEvent) {
        if let Some(time) = event.time() {
            self.advance(time);
        }
        match event {
            StrategyEvent::Market(MarketEvent::Bar(bar) | MarketEvent::MarkedBar(bar, _))
            | StrategyEvent::Warmup(bar) => {
                if let Some(number) = self.number(&bar.symbol) {
                    self.add_bar(number, bar.into());
                }
            }
            StrategyEvent::Market(MarketEvent::Quote(quote)) => {
                if let Some(slot) = self.slot_of(&quote.symbol) {
                    slot.quote = Some(quote.clone());
                }
            }
            StrategyEvent::Market(MarketEvent::SessionOpen(time)) => self.session = Some(*time),
            StrategyEvent::Market(MarketEvent::SessionClose(_)) => self.session = None,
            StrategyEvent::Position { symbol, qty, avg_price } => {
                if let Some(slot) = self.slot_of(symbol) {
                    (slot.qty, slot.avg_price) = (*qty, *avg_price);
                }
            }
            StrategyEvent::Account { equity, buying_power } => {
                (self.equity, self.buying_power) = (*equity, *buying_power);
            }
            StrategyEvent::OpenOrder { id, symbol, side, qty, filled_qty, limit_price } => {
                if let Some(instrument) = self.number(symbol) {
                    let order = OpenOrder {
                        instrument,
                        side: *side,
                        qty: *qty,
                        filled_qty: *filled_qty,
                        limit_price: *limit_price,
                        unanswered: 0,
                        at_broker: true,
                    };
                    self.orders.insert(*id, order);
                }
            }
            StrategyEvent::Order(update) => self.on_update(update),
            StrategyEvent::Refused { id, refusal, .. } => self.on_refusal(*id, *refusal),
            StrategyEvent::Market(
                MarketEvent::Trade(_)
                | MarketEvent::BarsComplete(_)
                | MarketEvent::News(_)
                | MarketEvent::Health(..),
            )
            | StrategyEvent::Fill { .. }
            | StrategyEvent::Tick(_)
            | StrategyEvent::Probe(_)
            | StrategyEvent::Stop(_) => {}
        }
    }

    /// Notes an order that the strategy wants. False when it has too many already.
    pub(crate) fn submit(&mut self, submit: &Submit, instrument: Instrument) -> bool {
        if let Some(twin) = self.orders.get_mut(&submit.id) {
            twin.unanswered += 1;
            return true;
        }
        if self.orders.len() >= OPEN_ORDERS_MAX {
            return false;
        }
        let order = OpenOrder {
            instrument,
            side: submit.side,
            qty: submit.qty,
            filled_qty: Qty::ZERO,
            limit_price: submit.kind.limit_price(),
            unanswered: 1,
            at_broker: false,
        };
        self.orders.insert(submit.id, order);
        true
    }

    /// Adds a bar where its time says: late ones go between, a corrected one replaces.
    pub(crate) fn add_bar(&mut self, instrument: Instrument, row: Row) {
        let Some(slot) = self.slots.get_mut(instrument as usize) else { return };
        let place = slot.bars.partition_point(|bar| bar.start < row.start);
        match slot.bars.get_mut(place) {
            Some(bar) if bar.start == row.start => *bar = row,
            _ => slot.bars.insert(place, row),
        }
        if slot.bars.len() > HISTORY_BARS {
            slot.bars.pop_front();
        }
    }

    /// Takes the history out, in the order in which it came in: by minute, then by instrument.
    pub(crate) fn take_bars(&mut self) -> Vec<(Instrument, Row)> {
        let mut rows: Vec<_> = (0..)
            .zip(&mut self.slots)
            .flat_map(|(number, slot)| slot.bars.drain(..).map(move |row| (number, row)))
            .collect();
        rows.sort_by_key(|(number, row)| (row.start, *number));
        rows
    }

    fn slot_of(&mut self, symbol: &Symbol) -> Option<&mut Slot> {
        let number = self.number(symbol)?;
        self.slots.get_mut(number as usize)
    }

    fn on_update(&mut self, update: &OrderUpdate) {
        if update.status.is_terminal() {
            self.orders.remove(&update.id);
        } else if let Some(order) = self.orders.get_mut(&update.id) {
            order.filled_qty = update.filled_qty;
            if update.status != OrderStatus::PendingNew && !order.at_broker {
                order.at_broker = true;
                order.unanswered = order.unanswered.saturating_sub(1);
            }
        }
    }

    fn on_refusal(&mut self, id: StrategyOrderId, refusal: Refusal) {
        let Some(order) = self.orders.get_mut(&id) else { return };
        // It is about a cancel of an order that is gone.
        let gone = refusal == Refusal::UnknownOrder;
        order.unanswered = order.unanswered.saturating_sub(1);
        if gone || (order.unanswered == 0 && !order.at_broker) {
            self.orders.remove(&id);
        }
    }
}

/// When a bar that started at `start` is complete.
pub(crate) fn bar_end(start: MarketTime) -> MarketTime {
    start + MINUTE
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use sandpit_types::{OrderKind, TimeInForce};

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
    fn taken_bars_come_by_minute_then_instrument() {
        let mut book = book();
        for (symbol, minute) in [("B", 1), ("B", 2), ("A", 1), ("A", 2)] {
            book.apply(&bar(symbol, minute, 0.0));
        }
        let order: Vec<_> =
            book.take_bars().iter().map(|(n, row)| (row.start.as_nanos() / 60_000_000_000, *n)).collect();
        assert_eq!(order, [(1, 0), (1, 1), (2, 0), (2, 1)]);
        assert!(book.take_bars().is_empty());
    }

    #[derive(Clone, Copy)]
    enum Step {
        Submit,
        Update(OrderStatus2),
        Refuse(Refusal),
    }
    type OrderStatus2 = fn() -> OrderStatus;

    #[test]
    fn open_orders_follow_submits_updates_and_refusals() {
        use Step::{Refuse, Submit as Sub, Update};
        let check = |steps: &[Step], open: bool| {
            let mut book = book();
            for step in steps {
                let id = StrategyOrderId(1);
                let (symbol, qty) = (Symbol::new("A"), Qty::from_nanos(1));
                match *step {
                    Sub => assert!(book.submit(
                        &Submit {
                            id,
                            symbol,
                            side: Side::Buy,
                            qty,
                            kind: OrderKind::Market,
                            time_in_force: TimeInForce::Day,
                            extended_hours: false,
                            time_to_live: Duration::ZERO,
                            class: sandpit_types::OrderClass::Simple,
                            reprice: None
                        },
                        0
                    )),
                    Update(status) => {
                        let update = OrderUpdate {
                            id,
                            leg: None,
                            symbol,
                            status: status(),
                            filled_qty: qty,
                            time: at(1),
                        };
                        book.apply(&StrategyEvent::Order(update));
                    }
                    Refuse(refusal) => book.apply(&StrategyEvent::Refused { id, refusal, time: at(1) }),
                }
            }
            assert_eq!(book.orders().len() == 1, open);
        };
        let new: OrderStatus2 = || OrderStatus::New;
        let pending: OrderStatus2 = || OrderStatus::PendingNew;
        let filled: OrderStatus2 = || OrderStatus::Filled;
        check(&[Sub], true);
        check(&[Sub, Update(new)], true);
        check(&[Sub, Update(new), Update(filled)], false);
        check(&[Sub, Refuse(Refusal::NoLease)], false);
        check(&[Sub, Update(pending), Refuse(Refusal::Late)], false);
        // A twin is refused, whatever the reason: the order itself goes on.
        check(&[Sub, Update(new), Sub, Refuse(Refusal::DuplicateId)], true);
        check(&[Sub, Update(new), Sub, Refuse(Refusal::NoLease)], true);
        check(&[Sub, Sub, Refuse(Refusal::NoLease)], true);
        check(&[Sub, Sub, Refuse(Refusal::NoLease), Refuse(Refusal::NoLease)], false);
        check(&[Sub, Update(new), Refuse(Refusal::UnknownOrder)], false);
        check(&[Update(new)], false);
        check(&[Refuse(Refusal::NoLease)], false);
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
