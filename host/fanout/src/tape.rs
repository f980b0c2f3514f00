//! The newest price of everything, for the gates and for figures.

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

use foldhash::fast::FixedState;
use sandpit_risk::LastPrice;
use sandpit_types::{MarketEvent, MarketTime, Price, Quote, Symbol};

/// No price is above it, US dollars: far above any share, far below what a decimal cannot hold.
const PRICE_MAX: f64 = 1e12;

/// The newest of one symbol.
#[derive(Clone, Debug, Default)]
pub struct Last {
    /// The newest quote.
    pub quote: Option<Quote>,
    /// The newest price of a trade or a completed bar.
    pub price: Option<LastPrice>,
}

impl Last {
    /// What a share is worth now: the middle of the quote, else the last price.
    pub fn mark(&self) -> Option<Price> {
        let two_sided = self.quote.as_ref().filter(|quote| quote.bid > 0.0 && quote.ask > 0.0);
        let middle = two_sided.and_then(|quote| Price::from_f64((quote.bid + quote.ask) / 2.0).ok());
        middle.or(self.price.map(|last| last.price))
    }
}

/// The newest of all symbols of which data comes: what is traded, and what is held. Written by the fan-out,
/// read by the desk and the monitor.
#[derive(Debug, Default)]
pub struct Tape(Mutex<Lines>);

/// A symbol's place on the tape.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Place(usize);

#[derive(Debug, Default)]
struct Lines {
    places: HashMap<Symbol, Place, FixedState>,
    lines: Vec<Line>,
}

/// As the market said it: it is put into decimals when somebody reads it, which is rare.
#[derive(Debug, Default)]
struct Line {
    quote: Option<Quote>,
    price: Option<(f64, MarketTime)>,
}

/// The tape, held for writing.
pub(crate) struct Pen<'t>(MutexGuard<'t, Lines>);

impl Tape {
    /// The newest of `symbol`; empty when there is nothing.
    pub fn last(&self, symbol: &Symbol) -> Last {
        let (quote, price) = {
            let lines = self.lock();
            let Some(place) = lines.places.get(symbol) else { return Last::default() };
            let line = &lines.lines[place.0];
            (line.quote.clone(), line.price)
        };
        let price =
            price.and_then(|(price, time)| Some(LastPrice { price: Price::from_f64(price).ok()?, time }));
        Last { quote, price }
    }

    /// Takes note of these events.
    pub fn write(&self, events: &[MarketEvent]) {
        let mut pen = self.pen();
        for event in events {
            if let Some(symbol) = event.symbol() {
                let place = pen.place(symbol);
                pen.note(place, event);
            }
        }
    }

    /// The place of a symbol; made if there is none. There are as many as symbols subscribed to.
    pub(crate) fn place(&self, symbol: &Symbol) -> Place {
        self.pen().place(symbol)
    }

    /// Holds the tape for writing: nobody reads meanwhile.
    pub(crate) fn pen(&self) -> Pen<'_> {
        Pen(self.lock())
    }

    /// A line is whole at every moment, so a panic elsewhere does not spoil it.
    fn lock(&self) -> MutexGuard<'_, Lines> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Pen<'_> {
    /// As [`Tape::place`].
    pub(crate) fn place(&mut self, symbol: &Symbol) -> Place {
        let Lines { places, lines } = &mut *self.0;
        if let Some(place) = places.get(symbol) {
            return *place;
        }
        lines.push(Line::default());
        let place = Place(lines.len() - 1);
        places.insert(symbol.clone(), place);
        place
    }

    /// Takes note of an event of the symbol at `place`.
    pub(crate) fn note(&mut self, place: Place, event: &MarketEvent) {
        let line = &mut self.0.lines[place.0];
        match event {
            MarketEvent::Quote(quote) => line.quote = Some(quote.clone()),
            MarketEvent::Trade(trade) => line.set_price(trade.price, trade.time),
            // With trades flowing it comes after those of the next minute, and out of turn later still: it
            // tells the last price only where nothing newer did.
            MarketEvent::Bar(bar) | MarketEvent::MarkedBar(bar, _) => {
                if line.price.is_none_or(|(_, time)| time <= event.time()) {
                    line.set_price(bar.close, event.time());
                }
            }
            MarketEvent::BarsComplete(_)
            | MarketEvent::SessionOpen(_)
            | MarketEvent::SessionClose(_)
            | MarketEvent::News(_)
            | MarketEvent::Health(..) => {}
        }
    }
}

impl Line {
    fn set_price(&mut self, price: f64, time: MarketTime) {
        // A price that is no number is no price; the last good one stays and grows stale.
        if price.abs() <= PRICE_MAX {
            self.price = Some((price, time));
        }
    }
}

#[cfg(test)]
mod tests {
    use sandpit_types::{Bar, BarMark, Trade};

    use super::*;

    fn note(tape: &Tape, event: MarketEvent) {
        let place = tape.place(&Symbol::new("SPY"));
        tape.pen().note(place, &event);
    }

    fn trade(secs: i64, price: f64) -> MarketEvent {
        let time = MarketTime::from_secs(secs);
        MarketEvent::Trade(Trade { symbol: Symbol::new("SPY"), time, price, size: 1 })
    }

    fn bar(minute: i64, close: f64) -> Bar {
        let start = MarketTime::from_secs(60 * minute);
        let symbol = Symbol::new("SPY");
        Bar { symbol, start, open: 1.0, high: 1.0, low: 1.0, close, volume: 1, vwap: 1.0 }
    }

    fn mark(tape: &Tape) -> Option<String> {
        tape.last(&Symbol::new("SPY")).mark().map(|price| price.to_string())
    }

    #[test]
    fn marks_are_the_middle_of_a_two_sided_quote_else_the_last_price() {
        let tape = Tape::default();
        let check = |expected: Option<&str>| assert_eq!(mark(&tape).as_deref(), expected);
        check(None);
        note(&tape, trade(1, 10.5));
        check(Some("10.5"));
        let quote = |bid| Quote {
            symbol: Symbol::new("SPY"),
            time: MarketTime::from_secs(1),
            bid,
            bid_size: 1,
            ask: 10.4,
            ask_size: 1,
        };
        note(&tape, MarketEvent::Quote(quote(10.2)));
        check(Some("10.3"));
        note(&tape, MarketEvent::Quote(quote(0.0)));
        check(Some("10.5"));
        assert_eq!(tape.last(&Symbol::new("OTHER")).mark(), None);
    }

    #[test]
    fn a_price_that_is_no_number_leaves_the_last_good_one() {
        let tape = Tape::default();
        note(&tape, trade(1, 10.5));
        for (secs, bad) in (2..).zip([f64::NAN, f64::INFINITY, f64::NEG_INFINITY, 1e300]) {
            note(&tape, trade(secs, bad));
            let last = tape.last(&Symbol::new("SPY")).price.expect("a price");
            assert_eq!((last.price.to_string().as_str(), last.time), ("10.5", MarketTime::from_secs(1)));
        }
    }

    #[test]
    fn a_bar_counts_where_nothing_newer_came() {
        let tape = Tape::default();
        let price = |tape: &Tape| tape.last(&Symbol::new("SPY")).price.expect("a price").time;
        note(&tape, trade(61, 1.5));
        note(&tape, MarketEvent::Bar(bar(0, 1.0)));
        assert_eq!((mark(&tape).as_deref(), price(&tape)), (Some("1.5"), MarketTime::from_secs(61)));
        note(&tape, MarketEvent::Bar(bar(1, 2.0)));
        assert_eq!((mark(&tape).as_deref(), price(&tape)), (Some("2"), MarketTime::from_secs(120)));
        note(&tape, MarketEvent::MarkedBar(bar(3, 3.0), BarMark::Late));
        assert_eq!(mark(&tape).as_deref(), Some("3"));
        note(&tape, MarketEvent::Bar(bar(5, 5.0)));
        note(&tape, MarketEvent::MarkedBar(bar(4, 4.0), BarMark::Late));
        note(&tape, MarketEvent::MarkedBar(bar(3, 3.5), BarMark::Corrected));
        assert_eq!(mark(&tape).as_deref(), Some("5"));
        note(&tape, MarketEvent::MarkedBar(bar(5, 5.5), BarMark::Corrected));
        assert_eq!(mark(&tape).as_deref(), Some("5.5"));
    }
}
