//! The broker and book of the harness.

use std::{
    cell::{Cell, Ref, RefCell},
    collections::{BTreeMap, VecDeque},
    time::Duration,
};

use super::START_EQUITY;
use crate::{
    Account, Bar, Bars, Event, Fill, Host, Instrument, Intent, Level, OpenOrder, OrderId, OrderKind,
    OrderStatus, OrderUpdate, Position, Price, Qty, Quote, Refusal, Side, Submit, Time, TimeInForce, Usd,
};

const MINUTE: Duration = Duration::from_secs(60);
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
    /// Every order ever taken or refused.
    seen: BTreeMap<OrderId, Submit>,
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
    bars: VecDeque<Bar>,
    position: Position,
}

struct Order {
    submit: Submit,
    filled: Qty,
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
            seen: BTreeMap::new(),
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

    pub(super) fn refuse(&mut self, reason: Option<&str>) {
        self.refuse = reason.map(str::to_owned);
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
        let bars = &mut self.symbols[bar.instrument.index()].bars;
        if bars.len() == MAX_HISTORY {
            bars.pop_front();
        }
        bars.push_back(*bar);
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

    /// Takes the first timer due by `end` and moves time to it.
    pub(super) fn next_timer(&mut self, end: Time) -> Option<u64> {
        let (&id, &at) = self.timers.iter().filter(|timer| *timer.1 <= end).min_by_key(|timer| timer.1)?;
        self.timers.remove(&id);
        self.set_now(at);
        Some(id)
    }

    /// The close: day orders are gone.
    pub(super) fn expire(&mut self) {
        self.end(OrderStatus::Expired, |order| order.submit.time_in_force == TimeInForce::Day);
    }

    pub(super) fn perform(&mut self, intents: Vec<Intent>) {
        self.intents.borrow_mut().extend(intents.iter().cloned());
        if self.ignore_intents {
            return;
        }
        for intent in intents {
            match intent {
                Intent::Submit(submit) => self.submit(submit),
                Intent::Cancel(id) => self.cancel(id),
                Intent::CancelAll => self.end(OrderStatus::Canceled, |_| true),
                Intent::SetTimer { id, at } => drop(self.timers.insert(id, at)),
                Intent::CancelTimer(id) => drop(self.timers.remove(&id)),
                Intent::Signal { .. } => {}
            }
        }
    }

    fn submit(&mut self, submit: Submit) {
        assert!(submit.instrument.index() < self.symbols.len(), "an order for an unknown symbol: {submit:?}");
        assert!(submit.quantity.is_positive(), "an order for nothing: {submit:?}");
        assert!(self.seen.insert(submit.id, submit).is_none(), "an order with the id of another: {submit:?}");
        if let OrderKind::Limit(price) = submit.kind {
            assert!(price.is_positive() && price.is_on_tick(), "an order off tick: {submit:?}");
        }
        if let Some(reason) = &self.refuse {
            self.events.push_back(Event::Refusal(Refusal { id: submit.id, reason: reason.clone() }));
            return;
        }
        let order = Order { submit, filled: Qty::ZERO };
        self.tell(&order, OrderStatus::Pending);
        self.tell(&order, OrderStatus::Working);
        self.orders.push(order);
        self.match_symbol(submit.instrument);
        if matches!(submit.time_in_force, TimeInForce::Ioc | TimeInForce::Fok) {
            self.end(OrderStatus::Canceled, |order| order.submit.id == submit.id);
        }
    }

    fn cancel(&mut self, id: OrderId) {
        if self.orders.iter().all(|order| order.submit.id != id) {
            let reason = "unknown-order".to_owned();
            self.events.push_back(Event::Refusal(Refusal { id, reason }));
        }
        self.end(OrderStatus::Canceled, |order| order.submit.id == id);
    }

    fn end(&mut self, status: OrderStatus, which: impl Fn(&Order) -> bool) {
        let (ended, open) = std::mem::take(&mut self.orders).into_iter().partition(which);
        self.orders = open;
        let ended: Vec<Order> = ended;
        ended.iter().for_each(|order| self.tell(order, status));
    }

    fn tell(&mut self, order: &Order, status: OrderStatus) {
        let Submit { id, instrument, .. } = order.submit;
        self.events.push_back(Event::OrderUpdate(OrderUpdate {
            id,
            instrument,
            status,
            filled: order.filled,
        }));
    }

    fn match_symbol(&mut self, instrument: Instrument) {
        for mut order in std::mem::take(&mut self.orders) {
            let submit = order.submit;
            let price = if submit.instrument == instrument { self.fill_price(&submit) } else { None };
            let most = self.most_per_fill.unwrap_or(submit.quantity);
            let quantity = most.min(submit.quantity - order.filled);
            let fok_falls_short = submit.time_in_force == TimeInForce::Fok && quantity < submit.quantity;
            let Some(price) = price.filter(|_| quantity.is_positive() && !fok_falls_short) else {
                self.orders.push(order);
                continue;
            };
            order.filled += quantity;
            let Submit { id, side, .. } = submit;
            let fill = Event::Fill(Fill { id, instrument, side, quantity, price });
            let is_done = order.filled == submit.quantity;
            let status = if is_done { OrderStatus::Filled } else { OrderStatus::PartiallyFilled };
            if self.updates_first {
                self.tell(&order, status);
                self.events.push_back(fill);
            } else {
                self.events.push_back(fill);
                self.tell(&order, status);
            }
            if !is_done {
                self.orders.push(order);
            }
        }
    }

    /// The market's price for this order, if the order accepts it.
    fn fill_price(&self, submit: &Submit) -> Option<Price> {
        let symbol = &self.symbols[submit.instrument.index()];
        let close = symbol.bars.back().map(|bar| bar.close);
        let market = match (submit.side, &symbol.quote) {
            (Side::Buy, Some(quote)) => Some(quote.ask),
            (Side::Sell, Some(quote)) => Some(quote.bid),
            (Side::Buy | Side::Sell, None) => close,
        };
        let price = Price::from_f64(market?)?;
        let accepted = match (submit.kind, submit.side) {
            (OrderKind::Market, Side::Buy | Side::Sell) => true,
            (OrderKind::Limit(limit), Side::Buy) => price <= limit,
            (OrderKind::Limit(limit), Side::Sell) => price >= limit,
        };
        accepted.then_some(price)
    }

    fn book(&mut self, fill: &Fill) {
        let signed = fill.side.signed(fill.quantity);
        self.cash -= fill.price * signed;
        let position = &mut self.symbols[fill.instrument.index()].position;
        *position = after(*position, signed, fill.price);
    }

    fn fold(&mut self, update: &OrderUpdate) {
        self.open.retain(|order| order.id != update.id);
        if update.status.is_terminal() {
            return;
        }
        let Submit { id, instrument, side, quantity, kind, .. } = self.seen[&update.id];
        let limit_price = kind.limit_price();
        self.open.push(OpenOrder { id, instrument, side, quantity, filled: update.filled, limit_price });
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
