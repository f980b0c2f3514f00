//! A desk in memory, so that a strategy is unit-tested without WASM.

mod desk;
mod fate;

use std::{cell::Ref, time::Duration};

pub use self::fate::Fate;

use self::desk::{Desk, MINUTE};
use crate::{
    Account, Bar, Event, Host, Hours, Instrument, Intent, Level, News, OpenOrder, OrderId, Position, Qty,
    Quote, Runner, Strategy, StreamHealth, Time, Trade, Usd,
};

/// How long a session is that is no half day.
const WHOLE_DAY: Duration = Duration::from_secs(390 * 60);
/// What the desk starts with.
pub const START_EQUITY: Usd = Usd::dollars(100_000);

/// Events one fed event may cause (fills of orders sent on fills, and so on) before it must be a loop.
const MAX_CAUSED: usize = 10_000;

/// Runs a strategy on a desk in memory: feeds it events, fills its orders by a simple rule, records what it
/// wants.
///
/// The rule. An order is taken at once (`pending`, then `working`) and is matched when it is taken and at
/// every quote or bar of its symbol that follows. The market is the last quote; while there is none, both
/// sides are the last bar's close. A buy fills at the ask if it is a market order or its limit is at or above
/// the ask; a sell at the bid likewise. Sizes do not matter, but [`Harness::limit_fills`] caps each fill.
/// `ioc` and `fok` orders that did not fill at once are cancelled; the session's close expires day orders.
/// Every caused event is delivered after the one that caused it.
///
/// A stop wakes when the price at which it would fill is at or beyond its stop price; a trailing stop follows
/// that price. When an entry has filled wholly, its legs begin: of a bracket the take profit works and the
/// stop loss is watched over, still told as held. The first exit that fills, or wakes, cancels the other; a
/// take profit that fills in part shrinks the stop loss. A replacement takes its place at once and carries on
/// what is filled; the legs stay with the id that they were wanted under. [`crate::Ctx::close_position`]
/// cancels at once, then trades at the market what is held, fills not delivered yet included.
///
/// What is simpler than at a broker: nothing is ever under way, so nothing waits, nothing is late, no order
/// is repriced, and the orders of one event are sent in their order; a stop is elected by quotes and closes,
/// not by trades or a bar's extremes; a trailing stop is for what the quotes show, however short; every kind
/// of order fills at any hour; money and shorts have no limit.
///
/// Symbols are given by their index, times follow the fed events. Anything the strategy must not do (an id
/// twice, a quantity not above zero, a price between ticks, an unknown symbol, a combination that no broker
/// takes) panics: it is a mistake to find in a test.
pub struct Harness<S> {
    runner: Runner<S>,
    desk: Desk,
    parameters: String,
    symbols: Vec<String>,
    /// When the session opened, while it is open.
    session: Option<Hours>,
    /// How data arrive.
    health: StreamHealth,
}

impl<S: Strategy> Harness<S> {
    /// Starts a strategy on these symbols, with [`START_EQUITY`] in cash.
    ///
    /// # Errors
    /// What the strategy's `init` says.
    pub fn new(parameters: &str, symbols: &[&str]) -> Result<Self, String> {
        let symbols: Vec<String> = symbols.iter().map(|&symbol| symbol.to_owned()).collect();
        let mut runner = Runner::new();
        runner.init(parameters, &symbols)?;
        Ok(Self {
            runner,
            desk: Desk::new(symbols.len()),
            parameters: parameters.to_owned(),
            symbols,
            session: None,
            health: StreamHealth::Live,
        })
    }

    /// Feeds a bar. The time becomes the end of its minute; timers that fall due until then fire before it.
    ///
    /// # Panics
    /// Like every feeding method: when the strategy does what it must not, or answers for ever.
    pub fn bar(&mut self, bar: Bar) {
        self.fire(bar.start + MINUTE);
        self.desk.on_bar(&bar);
        let intents = self.runner.on_bar(&self.desk, &bar);
        self.settle(intents);
    }

    /// Feeds the next minute of a symbol as a bar that stays at one price, then `bars-complete`.
    pub fn close(&mut self, symbol: u32, price: f64) {
        self.closes(&[(symbol, price)]);
    }

    /// Feeds the next minute of several symbols as bars that stay at one price, then `bars-complete`.
    pub fn closes(&mut self, prices: &[(u32, f64)]) {
        self.bars_of(self.desk.next_minute(), prices);
    }

    /// Feeds the next minute of several symbols with fresh quotes: one second before its end a quote of each
    /// symbol, that spread about its price, then the bars at these prices, then `bars-complete`.
    pub fn quoted_closes(&mut self, prices: &[(u32, f64)], spread: f64) {
        let start = self.desk.next_minute();
        self.pass(MINUTE - Duration::from_secs(1));
        for &(symbol, price) in prices {
            self.quote(symbol, price - spread / 2.0, price + spread / 2.0);
        }
        self.bars_of(start, prices);
    }

    fn bars_of(&mut self, start: Time, prices: &[(u32, f64)]) {
        for &(symbol, price) in prices {
            let instrument = Instrument(symbol);
            self.bar(Bar {
                instrument,
                start,
                open: price,
                high: price,
                low: price,
                close: price,
                volume: 100.0,
            });
        }
        self.bars_complete(start);
    }

    /// Tells that every bar of the minute that starts at `start` was fed.
    pub fn bars_complete(&mut self, start: Time) {
        self.event(Event::BarsComplete(start));
    }

    /// Feeds a bar that comes late, or that replaces one fed before; the history tells which, and so do the
    /// handlers. Time does not go back.
    pub fn bar_out_of_turn(&mut self, bar: Bar) {
        let event = if self.desk.has_bar(&bar) { Event::CorrectedBar(bar) } else { Event::LateBar(bar) };
        self.desk.on_marked_bar(&bar);
        self.event(event);
    }

    /// Feeds a piece of news, now: as in the host, its stamps do not tell the time.
    pub fn news(&mut self, news: News) {
        self.event(Event::News(news));
    }

    /// Feeds a quote of 100 shares on both sides, now.
    pub fn quote(&mut self, symbol: u32, bid: f64, ask: f64) {
        let (instrument, time) = (Instrument(symbol), self.now());
        let quote = Quote { instrument, time, bid, bid_size: 100.0, ask, ask_size: 100.0 };
        self.desk.on_quote(&quote);
        let intents = self.runner.on_quote(&self.desk, &quote);
        self.settle(intents);
    }

    /// Feeds a trade of the market, now.
    pub fn trade(&mut self, symbol: u32, price: f64, size: f64) {
        let trade = Trade { instrument: Instrument(symbol), time: self.now(), price, size };
        self.desk.on_trade(&trade);
        let intents = self.runner.on_trade(&self.desk, &trade);
        self.settle(intents);
    }

    /// Opens the session, now, for six and a half hours.
    pub fn open_session(&mut self) {
        self.open_session_for(WHOLE_DAY);
    }

    /// Opens the session, now; it is to close after that time, which half days have less of.
    pub fn open_session_for(&mut self, span: Duration) {
        let hours = Hours { open: self.now(), close: self.now() + span };
        self.session = Some(hours);
        self.event(Event::SessionOpen(hours));
    }

    /// Closes the session, now: day orders expire.
    pub fn close_session(&mut self) {
        self.session = None;
        self.desk.expire();
        self.event(Event::SessionClose(self.now()));
    }

    /// Tells of the stream's health.
    pub fn stream_health(&mut self, health: StreamHealth) {
        self.health = health;
        self.event(Event::StreamHealth(health));
    }

    /// Lets time pass; timers that fall due fire in their order.
    pub fn pass(&mut self, span: Duration) {
        let end = self.now() + span;
        self.fire(end);
        self.desk.set_now(end);
    }

    /// Refuses every order from now on with this reason; `None` takes them again.
    pub fn refuse(&mut self, reason: Option<&str>) {
        self.desk.refuse(reason);
    }

    /// Delivers an order's update before its fill instead of after it: a host may do either.
    pub fn updates_first(&mut self, first: bool) {
        self.desk.updates_first(first);
    }

    /// Ignores what the strategy wants from now on, as a host does during warm-up.
    pub fn ignore_intents(&mut self, ignore: bool) {
        self.desk.ignore_intents(ignore);
    }

    /// Caps each fill at that many shares, so that orders fill in parts; zero stops filling, `None` fills
    /// wholly.
    pub fn limit_fills(&mut self, most: Option<Qty>) {
        self.desk.limit_fills(most);
    }

    /// Gives the strategy a position it did not trade for, as after a restart.
    pub fn hold(&mut self, symbol: u32, position: Position) {
        self.desk.hold(Instrument(symbol), position);
    }

    /// Saves the strategy, starts another life of it on the same desk and loads what was saved: a new version
    /// takes over. As a host does, it tells the new life of the session that is open and, unless they are
    /// live, how data arrive, ignores the orders that this makes it want, and adds the timers.
    ///
    /// After a failure a host does the same with a state that may be a minute old, and then tells again what
    /// came since.
    ///
    /// # Errors
    /// What the strategy's `init` or `load` says.
    pub fn restart(&mut self, parameters: &str, symbols: &[&str]) -> Result<(), String> {
        let state = self.runner.save();
        self.runner.stop("restart");
        let symbols: Vec<String> = symbols.iter().map(|&symbol| symbol.to_owned()).collect();
        self.runner = Runner::new();
        self.runner.init(parameters, &symbols)?;
        (self.parameters, self.symbols) = (parameters.to_owned(), symbols);
        self.runner.load(S::describe().version, &state)?;
        let health = (self.health != StreamHealth::Live).then_some(Event::StreamHealth(self.health));
        for event in self.session.map(Event::SessionOpen).into_iter().chain(health) {
            let intents = self.runner.on_event(&self.desk, &event);
            self.desk.set_timers(intents);
        }
        Ok(())
    }

    /// Everything wanted so far, oldest first.
    pub fn intents(&self) -> Ref<'_, [Intent]> {
        self.desk.intents()
    }

    /// The orders wanted so far, oldest first.
    pub fn submits(&self) -> Vec<crate::Submit> {
        let submit = |intent: &Intent| if let Intent::Submit(it) = intent { Some(*it) } else { None };
        self.intents().iter().filter_map(submit).collect()
    }

    /// The replacements wanted so far, oldest first.
    pub fn replaces(&self) -> Vec<crate::Replace> {
        let replace = |intent: &Intent| if let Intent::Replace(it) = intent { Some(*it) } else { None };
        self.intents().iter().filter_map(replace).collect()
    }

    /// The cancels wanted so far, oldest first.
    pub fn cancels(&self) -> Vec<OrderId> {
        let cancel = |intent: &Intent| if let Intent::Cancel(id) = intent { Some(*id) } else { None };
        self.intents().iter().filter_map(cancel).collect()
    }

    /// Every line logged so far, oldest first.
    pub fn logs(&self) -> Ref<'_, [(Level, String)]> {
        self.desk.logs()
    }

    /// The strategy's position.
    pub fn position(&self, symbol: u32) -> Position {
        self.desk.position(Instrument(symbol))
    }

    /// The strategy's orders that may still fill.
    pub fn open_orders(&self) -> Vec<OpenOrder> {
        self.desk.open_orders()
    }

    /// Equity and buying power.
    pub fn account(&self) -> Account {
        self.desk.account()
    }

    /// The desk as the strategy sees it.
    pub fn host(&self) -> &dyn Host {
        &self.desk
    }

    /// Market time.
    pub fn now(&self) -> Time {
        self.desk.now()
    }

    /// Fires the timers that are due by `end`, in their order.
    fn fire(&mut self, end: Time) {
        for _ in 0..MAX_CAUSED {
            let Some(id) = self.desk.next_timer(end) else { return };
            self.event(Event::Timer(id));
        }
        panic!("the strategy's timers fire for ever");
    }

    fn event(&mut self, event: Event) {
        let intents = self.runner.on_event(&self.desk, &event);
        self.settle(intents);
    }

    /// Performs what is wanted, and delivers what that causes until nothing is left.
    fn settle(&mut self, intents: Vec<Intent>) {
        self.desk.perform(intents);
        for _ in 0..MAX_CAUSED {
            let Some(event) = self.desk.next_event() else { return };
            let intents = self.runner.on_event(&self.desk, &event);
            self.desk.perform(intents);
        }
        panic!("the strategy answers its own orders for ever");
    }
}

#[cfg(test)]
mod tests;
