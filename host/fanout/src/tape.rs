//! The newest price of everything, for the gates and for figures.

use std::{
    collections::BTreeMap,
    sync::{Mutex, PoisonError},
};

use sandpit_risk::LastPrice;
use sandpit_types::{MarketEvent, Price, Quote, Symbol};

/// The newest of one symbol.
#[derive(Clone, Debug, Default)]
pub(crate) struct Last {
    /// The newest quote.
    pub(crate) quote: Option<Quote>,
    /// The newest price of a trade or a completed bar.
    pub(crate) price: Option<LastPrice>,
}

impl Last {
    /// What a share is worth now: the middle of the quote, else the last price.
    pub(crate) fn mark(&self) -> Option<Price> {
        let two_sided = self.quote.as_ref().filter(|quote| quote.bid > 0.0 && quote.ask > 0.0);
        let middle = two_sided.and_then(|quote| Price::from_f64((quote.bid + quote.ask) / 2.0).ok());
        middle.or(self.price.map(|last| last.price))
    }
}

/// The newest of all symbols. Written by ingest, read by the desk and the monitor.
#[derive(Debug, Default)]
pub(crate) struct Tape(Mutex<BTreeMap<Symbol, Last>>);

impl Tape {
    /// Takes note of an event.
    pub(crate) fn on(&self, event: &MarketEvent) {
        match event {
            MarketEvent::Quote(quote) => self.with(&quote.symbol, |last| last.quote = Some(quote.clone())),
            MarketEvent::Trade(trade) => self.price(&trade.symbol, trade.price, event),
            MarketEvent::Bar(bar) => self.price(&bar.symbol, bar.close, event),
            MarketEvent::MarkedBar(..)
            | MarketEvent::BarsComplete(_)
            | MarketEvent::SessionOpen(_)
            | MarketEvent::SessionClose(_)
            | MarketEvent::News(_)
            | MarketEvent::Health(..) => {}
        }
    }

    /// The newest of `symbol`; empty when there is nothing.
    pub(crate) fn last(&self, symbol: &Symbol) -> Last {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get(symbol).cloned().unwrap_or_default()
    }

    fn price(&self, symbol: &Symbol, price: f64, event: &MarketEvent) {
        // A price that is no number is no price; the last good one stays and grows stale.
        if let Ok(price) = Price::from_f64(price) {
            let time = event.time();
            self.with(symbol, |last| last.price = Some(LastPrice { price, time }));
        }
    }

    fn with(&self, symbol: &Symbol, change: impl FnOnce(&mut Last)) {
        let mut map = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match map.get_mut(symbol) {
            Some(last) => change(last),
            None => change(map.entry(symbol.clone()).or_default()),
        }
    }
}

#[cfg(test)]
mod tests {
    use sandpit_types::{MarketTime, Trade};

    use super::*;

    #[test]
    fn marks_are_the_middle_of_a_two_sided_quote_else_the_last_price() {
        let tape = Tape::default();
        let symbol = Symbol::new("SPY");
        let time = MarketTime::from_secs(1);
        let check = |expected: Option<&str>| {
            let mark = tape.last(&symbol).mark().map(|price| price.to_string());
            assert_eq!(mark.as_deref(), expected);
        };
        check(None);
        tape.on(&MarketEvent::Trade(Trade { symbol: symbol.clone(), time, price: 10.5, size: 1 }));
        check(Some("10.5"));
        let quote = |bid| Quote { symbol: symbol.clone(), time, bid, bid_size: 1, ask: 10.4, ask_size: 1 };
        tape.on(&MarketEvent::Quote(quote(10.2)));
        check(Some("10.3"));
        tape.on(&MarketEvent::Quote(quote(0.0)));
        check(Some("10.5"));
    }
}
