//! The market as it is told: every event that is played, the bars that follow from it, the news, and what
//! somebody puts into the market.

use std::{collections::BTreeSet, time::Duration};

use sandpit_types::{MarketEvent, MarketTime, Quote, Symbol, Trade};

use crate::{
    data::Tick,
    desk::Told,
    engine::Engine,
    history::{Candle, StoredTrade},
    sim::Desk,
    wire::market::{BarMessage, EXCHANGE, MarketMessage, QuoteMessage, TradeMessage},
};

/// Bars that late trades have changed are told at the next half minute.
const HALF_MINUTE: Duration = Duration::from_secs(30);
const MINUTE: Duration = Duration::from_secs(60);
/// Most bars that wait to be told anew; beyond it the ones that are due last are not.
const MAX_PENDING: usize = 10_000;

/// How much older than the market's first moment a message from outside may be: data of a year before it.
const MAX_AGE: Duration = Duration::from_secs(366 * 86_400);

/// Bars that are still to be told because of trades from outside.
#[derive(Debug, Default)]
pub(crate) struct Pending(BTreeSet<(MarketTime, Symbol, MarketTime, Change)>);

/// Why a bar is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Change {
    /// Its minute is over, and perhaps only trades from outside were in it.
    Ended,
    /// It has been told before.
    Updated,
}

impl Pending {
    fn add(&mut self, due: MarketTime, symbol: &Symbol, minute: MarketTime, change: Change) {
        self.0.insert((due, symbol.clone(), minute, change));
        if self.0.len() > MAX_PENDING {
            self.0.pop_last();
        }
    }

    /// The next bar that is due before `end`.
    fn next(&mut self, end: MarketTime) -> Option<(MarketTime, Symbol, MarketTime, Change)> {
        if self.0.first()?.0 < end { self.0.pop_first() } else { None }
    }
}

impl Desk {
    /// Tells an event of the market, and before it what came between it and the event before.
    pub(crate) fn tell_tick(&mut self, tick: &Tick, is_played: bool) {
        let at = tick.event.time();
        self.tell_between(at);
        if !is_played {
            return;
        }
        let history = &mut self.engine.history;
        let message = match &tick.event {
            MarketEvent::Bar(bar) => {
                let candle = Candle::new(bar, tick.trades);
                return self.tell_bar(&bar.symbol, &candle, at);
            }
            MarketEvent::Quote(quote) => MarketMessage::Quote(QuoteMessage::from(quote)),
            MarketEvent::Trade(trade) => {
                let id = history.last_trade_id();
                let stored = StoredTrade { id, ..StoredTrade::ordinary(trade.time, trade.price, trade.size) };
                MarketMessage::Trade(TradeMessage::new(&trade.symbol, &stored))
            }
            MarketEvent::MarkedBar(..)
            | MarketEvent::News(_)
            | MarketEvent::BarsComplete(_)
            | MarketEvent::SessionOpen(_)
            | MarketEvent::SessionClose(_)
            | MarketEvent::Health(..) => return,
        };
        self.publish(message, at);
    }

    /// Tells the news and the late bars that are due before `end`.
    pub(crate) fn tell_between(&mut self, end: MarketTime) {
        let just_before = end - Duration::from_nanos(1);
        while let Some(article) = self.engine.news.publish_next(just_before) {
            let at = article.created_at.0;
            if self.engine.is_played(at) {
                self.publish(MarketMessage::News(Box::new(article)), at);
            }
        }
        while let Some((due, symbol, minute, change)) = self.pending.next(end) {
            let history = &mut self.engine.history;
            match change {
                Change::Ended => {
                    if let Some(candle) = history.close_extra(&symbol, minute) {
                        self.tell_bar(&symbol, &candle, due);
                    }
                }
                Change::Updated => {
                    if let Some(candle) = history.bar_of(&symbol, minute) {
                        let bar = BarMessage::new(&symbol, candle);
                        self.publish(MarketMessage::UpdatedBar(bar), due);
                    }
                }
            }
        }
    }

    /// Tells the bar of a minute, and after the open that of the day: nothing else changes it.
    fn tell_bar(&mut self, symbol: &Symbol, candle: &Candle, at: MarketTime) {
        self.publish(MarketMessage::Bar(BarMessage::new(symbol, candle)), at);
        let history = &mut self.engine.history;
        if history.is_after_open(candle.start)
            && let [Some(day), _] = history.days(symbol)
        {
            self.publish(MarketMessage::DailyBar(BarMessage::new(symbol, &day)), at);
        }
    }

    fn publish(&mut self, message: MarketMessage, at: MarketTime) {
        let is_night = self.engine.history.is_night(at);
        self.tell_market(Told { message, at, is_night });
    }

    /// Whether a message from outside has a stamp that this market can have seen. Quotes are stamped anew,
    /// and a trade is at the latest of now.
    ///
    /// # Errors
    /// When it has not; the text says what may be.
    pub(crate) fn check_time(&self, message: &MarketMessage, now: MarketTime) -> Result<(), String> {
        let earliest = self.engine.begin - MAX_AGE;
        let times = match message {
            MarketMessage::Quote(_) => return Ok(()),
            MarketMessage::Trade(trade) => [trade.t.0.min(now); 2],
            MarketMessage::News(article) => [article.created_at.0, article.updated_at.0],
            other => [other.time(); 2],
        };
        match times.into_iter().find(|time| !(earliest..=now).contains(time)) {
            Some(time) => Err(format!("{time} is not a time from {earliest} to {now}")),
            None => Ok(()),
        }
    }

    /// Puts a message into the market. A trade of the present minute and a quote move the venue as the
    /// market's own do; bars, statuses and the rest are told and, where the past shows them, kept.
    pub(crate) fn inject(&mut self, message: MarketMessage, now: MarketTime) {
        let message = match message {
            MarketMessage::Trade(trade) => self.inject_trade(trade, now),
            MarketMessage::Quote(quote) => inject_quote(&mut self.engine, quote, now),
            MarketMessage::Bar(bar) => {
                self.engine.history.add_bar(&bar.symbol, candle(&bar));
                MarketMessage::Bar(bar)
            }
            MarketMessage::UpdatedBar(bar) => {
                self.engine.history.add_bar(&bar.symbol, candle(&bar));
                MarketMessage::UpdatedBar(bar)
            }
            MarketMessage::Correction(correction) => {
                self.engine.history.correct(&correction);
                MarketMessage::Correction(correction)
            }
            MarketMessage::CancelError(cancel) => {
                self.engine.history.cancel(&cancel);
                MarketMessage::CancelError(cancel)
            }
            MarketMessage::News(article) => MarketMessage::News(Box::new(self.engine.news.publish(*article))),
            other @ (MarketMessage::DailyBar(_)
            | MarketMessage::Status(_)
            | MarketMessage::Luld(_)
            | MarketMessage::Imbalance(_)) => other,
        };
        self.publish(message, now);
    }

    fn inject_trade(&mut self, told: TradeMessage, now: MarketTime) -> MarketMessage {
        let TradeMessage { symbol, i: _, x, p: price, s: size, c, t, z } = told;
        let trade = Trade { symbol, time: t.0.min(now), price, size };
        if trade.time >= now.minute() {
            self.engine.venue.on_market(&MarketEvent::Trade(Trade { time: now, ..trade.clone() }));
        }
        let is_ordinary = x == EXCHANGE && c == ["@"];
        let marks = (!is_ordinary).then(|| (x, c).into());
        let history = &mut self.engine.history;
        let stored = history.add_trade(&trade, marks);
        if history.has(&trade.symbol) {
            let minute = trade.time.minute();
            if history.mix_in(&trade, now).is_some() {
                self.pending.add(half_minute_after(now), &trade.symbol, minute, Change::Updated);
            } else {
                self.pending.add(minute + MINUTE, &trade.symbol, minute, Change::Ended);
            }
        }
        let message = TradeMessage::new(&trade.symbol, &stored);
        MarketMessage::Trade(TradeMessage { z, ..message })
    }
}

/// A quote from outside stands from now on.
fn inject_quote(engine: &mut Engine, told: QuoteMessage, now: MarketTime) -> MarketMessage {
    let quote = Quote {
        symbol: told.symbol.clone(),
        time: now,
        bid: told.bp,
        bid_size: told.bs,
        ask: told.ap,
        ask_size: told.ask_size,
    };
    let tick = Tick::new(MarketEvent::Quote(quote));
    engine.venue.on_market(&tick.event);
    engine.history.record(tick);
    MarketMessage::Quote(QuoteMessage { t: now.into(), ..told })
}

fn candle(bar: &BarMessage) -> Candle {
    Candle {
        start: bar.t.0.minute(),
        open: bar.o,
        high: bar.h,
        low: bar.l,
        close: bar.c,
        volume: bar.v,
        trades: bar.n,
        dollars: bar.vw * bar.v as f64,
    }
}

/// The first half of a minute after this moment.
fn half_minute_after(now: MarketTime) -> MarketTime {
    let half = now.minute() + HALF_MINUTE;
    if half > now { half } else { half + 2 * HALF_MINUTE }
}
