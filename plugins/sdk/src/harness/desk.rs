//! The book of the harness: what the strategy is told and reads. The broker behind it is in `orders`.

mod orders;
mod rules;

use std::{
    cell::{Cell, Ref, RefCell},
    collections::{BTreeMap, BTreeSet, VecDeque},
    time::Duration,
};

use self::orders::{Key, Order};
use super::START_EQUITY;
use crate::{
    Account, Bar, Bars, Event, Fill, Host, Instrument, Intent, Level, OpenOrder, OrderId, OrderStatus,
    OrderUpdate, Position, Price, Qty, Quote, Time, TimeInForce, Trade, Usd,
};

pub(super) const MINUTE: Duration = Duration::from_secs(60);
const MAX_HISTORY: usize = 1_000;

pub(super) struct Desk {
    now: Time,
    minute: Time,
    symbols: Vec<Symbol>,
    cash: Usd,
    /// The orders at the broker.
    orders: Vec<Order>,
    /// The orders as the delivered events tell them.
    open: Vec<OpenOrder>,
    /// Every order and leg ever taken.
    taken: BTreeMap<Key, OpenOrder>,
    /// The id of every order ever wanted.
    seen: BTreeSet<OrderId>,
    timers: BTreeMap<u64, Time>,
    events: VecDeque<Event>,
    updates_first: bool,
    refuse: Option<String>,
    ignore_intents: bool,
    most_per_fill: Option<Qty>,
    intents: RefCell<Vec<Intent>>,
    logs: RefCell<Vec<(Level, String)>>,
    random: Cell<u64>,
}

#[derive(Default)]
struct Symbol {
    quote: Option<Quote>,
    /// Of the newest trade, or the close of the newest bar in its turn.
    last_price: Option<f64>,
    bars: VecDeque<Bar>,
    position: Position,
}

impl Desk {
    pub(super) fn new(symbols: usize) -> Self {
        Self {
            now: Time::default(),
            minute: Time::default(),
            symbols: (0..symbols).map(|_| Symbol::default()).collect(),
            cash: START_EQUITY,
            orders: Vec::new(),
            open: Vec::new(),
            taken: BTreeMap::new(),
            seen: BTreeSet::new(),
            timers: BTreeMap::new(),
            events: VecDeque::new(),
            updates_first: false,
            refuse: None,
            ignore_intents: false,
            most_per_fill: None,
            intents: RefCell::default(),
            logs: RefCell::default(),
            random: Cell::new(0),
        }
    }

    pub(super) fn next_minute(&self) -> Time {
        self.minute
    }

    pub(super) fn set_now(&mut self, now: Time) {
        self.now = self.now.max(now);
        self.minute = self.minute.max(self.now);
    }

    /// Of what a new life wants that is told what holds: the timers that are not due, unless they are set.
    pub(super) fn set_timers(&mut self, intents: Vec<Intent>) {
        for intent in intents {
            if let Intent::SetTimer { id, at } = intent
                && at > self.now
            {
                self.timers.entry(id).or_insert(at);
            }
        }
    }

    pub(super) fn refuse(&mut self, reason: Option<&str>) {
        self.refuse = reason.map(str::to_owned);
    }

    pub(super) fn is_refusing(&self) -> bool {
        self.refuse.is_some()
    }

    pub(super) fn updates_first(&mut self, first: bool) {
        self.updates_first = first;
    }

    pub(super) fn ignore_intents(&mut self, ignore: bool) {
        self.ignore_intents = ignore;
    }

    pub(super) fn limit_fills(&mut self, most: Option<Qty>) {
        self.most_per_fill = most;
    }

    pub(super) fn hold(&mut self, instrument: Instrument, position: Position) {
        self.symbols[instrument.index()].position = position;
    }

    pub(super) fn intents(&self) -> Ref<'_, [Intent]> {
        Ref::map(self.intents.borrow(), Vec::as_slice)
    }

    pub(super) fn logs(&self) -> Ref<'_, [(Level, String)]> {
        Ref::map(self.logs.borrow(), Vec::as_slice)
    }

    /// Takes the next event to deliver; from now on the reads know of it.
    pub(super) fn next_event(&mut self) -> Option<Event> {
        let event = self.events.pop_front()?;
        match &event {
            Event::Fill(fill) => self.book(fill),
            Event::OrderUpdate(update) => self.fold(update),
            Event::Refusal(_)
            | Event::BarsComplete(_)
            | Event::Timer(_)
            | Event::SessionOpen(_)
            | Event::SessionClose(_)
            | Event::StreamHealth(_)
            | Event::LateBar(_)
            | Event::CorrectedBar(_)
            | Event::News(_) => {}
        }
        Some(event)
    }

    pub(super) fn on_bar(&mut self, bar: &Bar) {
        self.set_now(bar.start + MINUTE);
        let symbol = &mut self.symbols[bar.instrument.index()];
        if symbol.bars.len() == MAX_HISTORY {
            symbol.bars.pop_front();
        }
        symbol.bars.push_back(*bar);
        symbol.last_price = Some(bar.close);
        self.match_symbol(bar.instrument);
    }

    /// Whether the history has a bar of that minute.
    pub(super) fn has_bar(&self, bar: &Bar) -> bool {
        self.symbols[bar.instrument.index()].bars.iter().any(|other| other.start == bar.start)
    }

    /// A bar out of turn: it takes its place in the history, or that of the bar it corrects. Nothing fills at
    /// the price of a past minute.
    pub(super) fn on_marked_bar(&mut self, bar: &Bar) {
        self.set_now(bar.start + MINUTE);
        let bars = &mut self.symbols[bar.instrument.index()].bars;
        let place = bars.partition_point(|other| other.start < bar.start);
        match bars.get_mut(place) {
            Some(other) if other.start == bar.start => *other = *bar,
            _ => bars.insert(place, *bar),
        }
        if bars.len() > MAX_HISTORY {
            bars.pop_front();
        }
    }

    pub(super) fn on_quote(&mut self, quote: &Quote) {
        self.symbols[quote.instrument.index()].quote = Some(*quote);
        self.match_symbol(quote.instrument);
    }

    pub(super) fn on_trade(&mut self, trade: &Trade) {
        self.symbols[trade.instrument.index()].last_price = Some(trade.price);
    }

    /// Takes the first timer due by `end` and moves time to it.
    pub(super) fn next_timer(&mut self, end: Time) -> Option<u64> {
        let (&id, &at) = self.timers.iter().filter(|timer| *timer.1 <= end).min_by_key(|timer| timer.1)?;
        self.timers.remove(&id);
        self.set_now(at);
        Some(id)
    }

    /// The close: day orders are gone.
    pub(super) fn expire(&mut self) {
        self.end(OrderStatus::Expired, |order| order.time_in_force == TimeInForce::Day);
    }

    pub(super) fn perform(&mut self, intents: Vec<Intent>) {
        self.intents.borrow_mut().extend(intents.iter().cloned());
        if self.ignore_intents {
            return;
        }
        for intent in intents {
            match intent {
                Intent::Submit(submit) => self.submit(&submit),
                Intent::Replace(replace) => self.replace(&replace),
                Intent::ClosePosition { id, instrument } => self.close(id, instrument),
                Intent::Cancel(id) => self.cancel(id),
                Intent::CancelAll => self.end(OrderStatus::Canceled, |_| true),
                Intent::SetTimer { id, at } => drop(self.timers.insert(id, at)),
                Intent::CancelTimer(id) => drop(self.timers.remove(&id)),
                Intent::Signal { .. } => {}
            }
        }
    }

    fn book(&mut self, fill: &Fill) {
        let signed = fill.side.signed(fill.quantity);
        self.cash -= fill.price * signed;
        let position = &mut self.symbols[fill.instrument.index()].position;
        *position = after(*position, signed, fill.price);
    }

    fn fold(&mut self, update: &OrderUpdate) {
        let OrderUpdate { id, leg, status, filled, .. } = *update;
        self.open.retain(|order| (order.id, order.leg) != (id, leg));
        if !status.is_terminal() {
            self.open.push(OpenOrder { status, filled, ..self.taken[&(id, leg)] });
        }
    }
}

/// A position after a trade: more of the same averages the price, less keeps it, a turn starts at the new
/// price.
fn after(held: Position, traded: Qty, price: Price) -> Position {
    let quantity = held.quantity + traded;
    let grows = held.quantity.nanos().signum() == traded.nanos().signum();
    let turns = held.quantity.nanos().signum() != quantity.nanos().signum();
    let average_price = if quantity.is_zero() {
        Price::ZERO
    } else if grows {
        let cost = held.average_price * held.quantity + price * traded;
        Price::from_f64(cost.to_f64() / quantity.to_f64()).unwrap_or(price)
    } else if turns {
        price
    } else {
        held.average_price
    };
    Position { quantity, average_price }
}

impl Host for Desk {
    fn now(&self) -> Time {
        self.now
    }

    fn position(&self, of: Instrument) -> Position {
        self.symbols[of.index()].position
    }

    fn open_orders(&self) -> Vec<OpenOrder> {
        self.open.clone()
    }

    fn account(&self) -> Account {
        let value = |symbol: &Symbol| {
            let mark = symbol.quote.map(|it| it.mid()).or(symbol.bars.back().map(|bar| bar.close));
            mark.and_then(Price::from_f64).map_or(Usd::ZERO, |price| price * symbol.position.quantity)
        };
        let equity = self.cash + self.symbols.iter().map(value).sum();
        Account { equity, buying_power: self.cash }
    }

    fn last_quote(&self, of: Instrument) -> Option<Quote> {
        self.symbols[of.index()].quote
    }

    fn history(&self, of: Instrument, count: u32) -> Bars {
        let bars = &self.symbols[of.index()].bars;
        let count = usize::try_from(count).unwrap_or(MAX_HISTORY).min(bars.len());
        let mut columns = Bars::default();
        for bar in bars.iter().skip(bars.len() - count) {
            columns.start.push(bar.start);
            columns.open.push(bar.open);
            columns.high.push(bar.high);
            columns.low.push(bar.low);
            columns.close.push(bar.close);
            columns.volume.push(bar.volume);
        }
        columns
    }

    /// SplitMix64 from zero: the same numbers in every test.
    fn random(&self) -> u64 {
        let state = self.random.get().wrapping_add(0x9e37_79b9_7f4a_7c15);
        self.random.set(state);
        let mixed = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn log(&self, level: Level, message: &str) {
        self.logs.borrow_mut().push((level, message.to_owned()));
    }
}
