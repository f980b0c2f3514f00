//! The past of the market, for requests about it: bounded in memory, answered in pages.
//!
//! Minute bars, trades and quotes are kept for a while, days for ten years. Bars of a day and more are made
//! of the days, shorter ones of the minutes. A day sums up all its minutes, those of extended hours too.

mod aggregate;
mod candle;
pub(crate) mod page;
mod shelf;
mod timeframe;

pub use candle::Candle;
pub use page::{Page, PageToken, Query, Span};
pub use shelf::{DayRecord, Print, StoredQuote, StoredTrade, TradeUpdate};
pub use timeframe::{NoTimeframe, Periods, Timeframe};

use std::{
    collections::{BTreeMap, VecDeque},
    sync::Arc,
};

use sandpit_types::{MarketEvent, MarketTime, Symbol, Trade};
use sandpit_venue::{Calendar, Phase, Session};

use self::{
    candle::Extra,
    page::Row,
    shelf::{Shelf, keep},
};
use crate::{
    data::Tick,
    wire::market::{CancelErrorMessage, CorrectionMessage, Word},
};

/// Most minute bars kept of all symbols together (about 200 MB), and of one (about fifty days).
const MAX_BARS: usize = 3_000_000;
const MAX_BARS_PER_SYMBOL: usize = 50_000;
/// Most trades kept of all symbols together (about 60 MB), and of one.
const MAX_TRADES: usize = 1_000_000;
const MAX_TRADES_PER_SYMBOL: usize = 100_000;
/// Most quotes kept of all symbols together (about 60 MB), and of one.
const MAX_QUOTES: usize = 1_500_000;
const MAX_QUOTES_PER_SYMBOL: usize = 100_000;

/// What was of the market so far.
#[derive(Debug)]
pub struct History {
    shelves: BTreeMap<Symbol, Shelf>,
    most: Most,
    calendar: Calendar,
    today: Today,
    trades: u64,
    /// Trades from outside of a minute whose bar is still to come.
    extras: BTreeMap<(Symbol, MarketTime), Extra>,
}

/// How much is kept of one symbol.
#[derive(Clone, Copy, Debug)]
struct Most {
    bars: usize,
    trades: usize,
    quotes: usize,
}

/// The day that was written last, so that New York is not asked for every event.
#[derive(Debug)]
struct Today {
    days: Periods,
    from: MarketTime,
    to: MarketTime,
    session: Option<Session>,
}

impl Today {
    fn move_to(&mut self, at: MarketTime, calendar: &Calendar) {
        if (self.from..self.to).contains(&at) {
            return;
        }
        let date = self.days.date(at);
        self.from = self.days.midnight(date);
        self.to = self.days.midnight(date.tomorrow().unwrap_or(date));
        self.session = calendar.session(date);
    }
}

impl History {
    /// Of a market of these symbols; of others nothing is kept.
    pub fn new<'a>(symbols: impl Iterator<Item = &'a Symbol>, calendar: Calendar) -> Self {
        let shelves: BTreeMap<Symbol, Shelf> =
            symbols.map(|symbol| (symbol.clone(), Shelf::default())).collect();
        let share = |all: usize, one: usize| one.min(all / shelves.len().max(1));
        let most = Most {
            bars: share(MAX_BARS, MAX_BARS_PER_SYMBOL),
            trades: share(MAX_TRADES, MAX_TRADES_PER_SYMBOL),
            quotes: share(MAX_QUOTES, MAX_QUOTES_PER_SYMBOL),
        };
        let (from, to) = (MarketTime::EPOCH, MarketTime::EPOCH);
        let today = Today { days: Periods::new(Timeframe::Day), from, to, session: None };
        Self { shelves, most, calendar, today, trades: 0, extras: BTreeMap::new() }
    }

    /// Keeps an event of the market and returns it as it is to be told: a bar includes the trades that came
    /// from outside.
    pub fn record(&mut self, mut tick: Tick) -> Tick {
        match &mut tick.event {
            MarketEvent::Bar(bar) => {
                let mut candle = Candle::new(bar, tick.trades);
                if let Some(extra) = self.extras.remove(&(bar.symbol.clone(), bar.start)) {
                    candle.mix(&extra.candle);
                    *bar = candle.to_bar(&bar.symbol);
                    tick.trades = candle.trades;
                }
                self.add_bar(&bar.symbol, candle);
            }
            MarketEvent::Quote(quote) => {
                if let Some(shelf) = self.shelves.get_mut(&quote.symbol) {
                    keep(&mut shelf.quotes, StoredQuote::from(&*quote), self.most.quotes);
                }
            }
            MarketEvent::Trade(trade) => {
                self.add_trade(trade, None);
            }
            MarketEvent::MarkedBar(..)
            | MarketEvent::News(_)
            | MarketEvent::BarsComplete(_)
            | MarketEvent::SessionOpen(_)
            | MarketEvent::SessionClose(_)
            | MarketEvent::Health(..) => {}
        }
        tick
    }

    /// Keeps a trade and numbers it.
    pub fn add_trade(&mut self, trade: &Trade, marks: Option<Arc<(Word, Vec<Word>)>>) -> StoredTrade {
        self.trades += 1;
        let Trade { symbol, time, price, size } = trade;
        let (time, price, size) = (*time, *price, *size);
        let stored = StoredTrade { id: self.trades, marks, ..StoredTrade::ordinary(time, price, size) };
        self.today.move_to(time, &self.calendar);
        let Some(shelf) = self.shelves.get_mut(symbol) else { return stored };
        keep(&mut shelf.trades, stored.clone(), self.most.trades);
        let is_open = self.today.session.is_some_and(|s| (s.open..s.close).contains(&time));
        if is_open && let Some(day) = shelf.day(self.today.days.date(time), self.today.from) {
            day.opening = day.opening.filter(|first| first.0 <= time).or(Some((time, price, size)));
            day.closing = day.closing.filter(|last| last.0 > time).or(Some((time, price, size)));
        }
        stored
    }

    /// Keeps the bar of a minute, in the place of the one that was there.
    pub fn add_bar(&mut self, symbol: &Symbol, candle: Candle) {
        self.today.move_to(candle.start, &self.calendar);
        let Some(shelf) = self.shelves.get_mut(symbol) else { return };
        if let Some(old) = shelf.bar(candle.start) {
            *old = candle;
            self.sum_up_day(symbol);
            return;
        }
        let is_last = shelf.bars.back().is_none_or(|last| last.start < candle.start);
        keep(&mut shelf.bars, candle, self.most.bars);
        let (date, midnight) = (self.today.days.date(candle.start), self.today.from);
        let Some(day) = shelf.day(date, midnight) else { return };
        match &mut day.candle {
            Some(sum) if is_last => sum.append(&candle),
            Some(_) => self.sum_up_day(symbol),
            none => *none = Some(Candle { start: midnight, ..candle }),
        }
    }

    /// Makes the day that was written last anew out of its minutes.
    fn sum_up_day(&mut self, symbol: &Symbol) {
        let (from, to) = (self.today.from, self.today.to);
        let Some(shelf) = self.shelves.get_mut(symbol) else { return };
        let sum = shelf.sum(from, |bar| bar.start < to);
        if let Some(day) = shelf.day(self.today.days.date(from), from) {
            day.candle = sum;
        }
    }

    /// A trade from outside joins the bar of its minute: of one that is over, the changed bar is returned;
    /// one that is still to come will hold it. Its price is never the first or last of a bar of the market's
    /// own, nor of one that is over.
    pub fn mix_in(&mut self, trade: &Trade, now: MarketTime) -> Option<Candle> {
        let (symbol, print) = (&trade.symbol, Candle::of_trade(trade.time, trade.price, trade.size));
        if print.end() <= now {
            let old = self.shelves.get_mut(symbol).and_then(|shelf| shelf.bar(print.start).copied());
            let mut candle = old.unwrap_or(print);
            if old.is_some() {
                candle.mix(&print);
            }
            self.add_bar(symbol, candle);
            return Some(candle);
        }
        let extra = self.extras.entry((symbol.clone(), print.start));
        extra.and_modify(|sum| sum.add(trade)).or_insert_with(|| Extra::new(trade));
        None
    }

    /// The bar of a minute that is over and that only trades from outside had.
    pub fn close_extra(&mut self, symbol: &Symbol, minute: MarketTime) -> Option<Candle> {
        let candle = self.extras.remove(&(symbol.clone(), minute))?.candle;
        self.add_bar(symbol, candle);
        Some(candle)
    }

    /// A trade was corrected: the old one stays and says so, the new one follows it.
    pub fn correct(&mut self, correction: &CorrectionMessage) {
        let Some(shelf) = self.shelves.get_mut(&correction.symbol) else { return };
        let Some(old) = shelf.trade(correction.oi) else { return };
        old.update = TradeUpdate::Incorrect;
        let new = StoredTrade {
            time: old.time,
            price: correction.cp,
            size: correction.cs,
            id: correction.ci,
            update: TradeUpdate::Corrected,
            marks: Some(Arc::new((correction.x.clone(), correction.cc.clone()))),
        };
        keep(&mut shelf.trades, new, self.most.trades);
    }

    /// A trade does not count any more; it stays and says so.
    pub fn cancel(&mut self, cancel: &CancelErrorMessage) {
        let trade = self.shelves.get_mut(&cancel.symbol).and_then(|shelf| shelf.trade(cancel.i));
        if let Some(trade) = trade {
            trade.update = TradeUpdate::Canceled;
        }
    }

    /// The symbols that are kept.
    pub fn symbols(&self) -> impl Iterator<Item = &Symbol> {
        self.shelves.keys()
    }

    /// Whether the market has this symbol.
    pub fn has(&self, symbol: &Symbol) -> bool {
        self.shelves.contains_key(symbol)
    }

    /// The number of the last trade.
    pub fn last_trade_id(&self) -> u64 {
        self.trades
    }

    /// The last bar of a minute that had ended by then.
    pub fn bar_at(&self, symbol: &Symbol, at: MarketTime) -> Option<&Candle> {
        last(&self.shelves.get(symbol)?.bars, |bar| bar.end() <= at)
    }

    /// The last trade until then that still counts.
    pub fn trade_at(&self, symbol: &Symbol, at: MarketTime) -> Option<&StoredTrade> {
        let trades = &self.shelves.get(symbol)?.trades;
        let until = trades.partition_point(|trade| trade.time <= at);
        let counts =
            |trade: &&StoredTrade| matches!(trade.update, TradeUpdate::None | TradeUpdate::Corrected);
        trades.range(..until).rev().find(counts)
    }

    /// The quote that stood then.
    pub fn quote_at(&self, symbol: &Symbol, at: MarketTime) -> Option<&StoredQuote> {
        last(&self.shelves.get(symbol)?.quotes, |quote| quote.time <= at)
    }

    /// The bars of the last day with trades, and of the one before.
    pub fn days(&self, symbol: &Symbol) -> [Option<Candle>; 2] {
        let mut days = self.shelves.get(symbol).into_iter().flat_map(|shelf| &shelf.days).rev();
        let mut next = || days.find_map(|day| day.candle);
        [next(), next()]
    }

    /// The same, as they were known at a moment: of that day only the minutes that had ended.
    pub fn days_at(&self, symbol: &Symbol, at: MarketTime) -> [Option<Candle>; 2] {
        let Some(shelf) = self.shelves.get(symbol) else { return [None, None] };
        if shelf.bars.back().is_none_or(|bar| bar.end() <= at) {
            return self.days(symbol);
        }
        let days = shelf.days.iter().rev().filter(|day| day.midnight <= at);
        let mut days = days.filter_map(|day| match self.today.days.date(at) == day.date {
            true => shelf.sum(day.midnight, |bar| bar.end() <= at),
            false => day.candle,
        });
        [days.next(), days.next()]
    }

    /// The bar of a minute.
    pub fn bar_of(&mut self, symbol: &Symbol, minute: MarketTime) -> Option<&Candle> {
        self.shelves.get_mut(symbol)?.bar(minute).map(|bar| &*bar)
    }

    /// Whether the day's regular session has begun by then.
    pub fn is_after_open(&mut self, at: MarketTime) -> bool {
        self.today.move_to(at, &self.calendar);
        self.today.session.is_some_and(|session| session.open <= at)
    }

    /// Whether the exchange is closed then, extended hours too.
    pub fn is_night(&mut self, at: MarketTime) -> bool {
        self.today.move_to(at, &self.calendar);
        self.today.session.is_none_or(|session| session.phase(at) == Phase::Closed)
    }

    /// Bars of a timeframe.
    pub fn bars<'a>(
        &'a self,
        symbol: &Symbol,
        frame: Timeframe,
        span: Span,
    ) -> Box<dyn Iterator<Item = Candle> + 'a> {
        let Some(shelf) = self.shelves.get(symbol) else { return Box::new(std::iter::empty()) };
        let periods = Periods::new(frame);
        // Whole periods count: the one that begins last may reach far beyond the end.
        let until = |start: MarketTime| periods.start_of(start) <= span.end;
        if frame.is_of_days() {
            let from = shelf.days.partition_point(|day| day.midnight < span.start);
            let to = shelf.days.partition_point(|day| until(day.midnight)).max(from);
            let days = shelf.days.range(from..to).filter_map(|day| day.candle.as_ref());
            return Box::new(aggregate::sums(directed(days, span), periods, span));
        }
        let from = shelf.bars.partition_point(|bar| bar.start < span.start);
        let to = shelf.bars.partition_point(|bar| until(bar.start)).max(from);
        Box::new(aggregate::sums(directed(shelf.bars.range(from..to), span), periods, span))
    }

    /// Trades.
    pub fn trades<'a>(&'a self, symbol: &Symbol, span: Span) -> Box<dyn Iterator<Item = StoredTrade> + 'a> {
        let Some(shelf) = self.shelves.get(symbol) else { return Box::new(std::iter::empty()) };
        Box::new(directed(rows(&shelf.trades, span), span).cloned())
    }

    /// Quotes.
    pub fn quotes<'a>(&'a self, symbol: &Symbol, span: Span) -> Box<dyn Iterator<Item = StoredQuote> + 'a> {
        let Some(shelf) = self.shelves.get(symbol) else { return Box::new(std::iter::empty()) };
        Box::new(directed(rows(&shelf.quotes, span), span).copied())
    }

    /// Days with auctions; a close is known when `now` is past it.
    pub fn auctions<'a>(
        &'a self,
        symbol: &Symbol,
        span: Span,
        now: MarketTime,
    ) -> Box<dyn Iterator<Item = DayRecord> + 'a> {
        let Some(shelf) = self.shelves.get(symbol) else { return Box::new(std::iter::empty()) };
        let days = directed(rows(&shelf.days, span), span).filter(|day| day.opening.is_some());
        Box::new(days.map(move |day| {
            let is_over = self.calendar.session(day.date).is_some_and(|session| session.close <= now);
            DayRecord { closing: day.closing.filter(|_| is_over), ..*day }
        }))
    }
}

/// The last row for which `is_past` holds; it holds for none after the first for which it does not.
fn last<R>(rows: &VecDeque<R>, is_past: impl FnMut(&R) -> bool) -> Option<&R> {
    rows.get(rows.partition_point(is_past).checked_sub(1)?)
}

/// The rows of a stretch of time.
fn rows<R: Row>(rows: &VecDeque<R>, span: Span) -> std::collections::vec_deque::Iter<'_, R> {
    let from = rows.partition_point(|row| row.time() < span.start);
    rows.range(from..rows.partition_point(|row| row.time() <= span.end).max(from))
}

/// Rows in the direction of the span.
fn directed<'a, I: DoubleEndedIterator + 'a>(rows: I, span: Span) -> Box<dyn Iterator<Item = I::Item> + 'a> {
    if span.descending { Box::new(rows.rev()) } else { Box::new(rows) }
}

#[cfg(test)]
mod tests;
