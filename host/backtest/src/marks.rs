//! What the account is worth from minute to minute, in floats: for the curve of the report, never for an
//! order.

use sandpit_report::{Fill, Prices};
use sandpit_types::{MarketEvent, MarketTime, Side, Symbol};
use sandpit_venue::{Venue, VenuePosition};

/// The newest price of a symbol, and what is held of it.
struct Mark {
    symbol: Symbol,
    /// Zero before the first.
    last: f64,
    /// Whether trades or bars tell it, not quotes.
    is_traded: bool,
    qty: f64,
    prices: Prices,
}

/// The newest prices, and what is held.
pub(crate) struct Marks {
    marks: Vec<Mark>,
    /// Where the last one was found.
    hint: usize,
    cash: f64,
    /// Whether anything is held.
    is_holding: bool,
}

/// What everything is worth.
pub(crate) struct Worth {
    pub(crate) equity: f64,
    pub(crate) gross: f64,
    pub(crate) net: f64,
}

impl Marks {
    /// Of these symbols, with this cash and nothing held.
    pub(crate) fn new(symbols: &[Symbol], cash: f64) -> Self {
        let mark = |symbol: &Symbol| Mark {
            symbol: symbol.clone(),
            last: 0.0,
            is_traded: false,
            qty: 0.0,
            prices: Prices::new(symbol.clone()),
        };
        Self { marks: symbols.iter().map(mark).collect(), hint: 0, cash, is_holding: false }
    }

    /// Takes note of what the market says.
    pub(crate) fn note(&mut self, event: &MarketEvent) {
        let Some(mark) = event.symbol().and_then(|symbol| self.find(symbol)) else { return };
        let (low, high, close) = match event {
            MarketEvent::Bar(bar) | MarketEvent::MarkedBar(bar, _) => (bar.low, bar.high, bar.close),
            MarketEvent::Trade(trade) => (trade.price, trade.price, trade.price),
            MarketEvent::Quote(quote) if !mark.is_traded && quote.bid > 0.0 && quote.ask > 0.0 => {
                let middle = f64::midpoint(quote.bid, quote.ask);
                (middle, middle, middle)
            }
            _ => return,
        };
        mark.is_traded |= !matches!(event, MarketEvent::Quote(_));
        mark.last = close;
        mark.prices.push(event.time(), low, high, close);
    }

    /// Reads cash and positions anew: after a fill, or when fees were booked.
    pub(crate) fn hold(&mut self, venue: &Venue) {
        self.cash = venue.account().cash.to_f64();
        self.is_holding = false;
        self.marks.iter_mut().for_each(|mark| mark.qty = 0.0);
        for VenuePosition { symbol, qty, .. } in venue.positions() {
            self.is_holding = true;
            if let Some(mark) = self.find(&symbol) {
                mark.qty = qty.to_f64();
            }
        }
    }

    /// Whether anything is held.
    pub(crate) const fn is_holding(&self) -> bool {
        self.is_holding
    }

    /// The newest price of a symbol, once there is one.
    pub(crate) fn last(&mut self, symbol: &Symbol) -> Option<f64> {
        self.find(symbol).map(|mark| mark.last).filter(|last| *last > 0.0)
    }

    /// What everything is worth now.
    pub(crate) fn worth(&self) -> Worth {
        let values = || self.marks.iter().map(|mark| mark.qty * mark.last);
        let net: f64 = values().sum();
        Worth { equity: self.cash + net, gross: values().map(f64::abs).sum(), net }
    }

    /// What is held at the end, in words.
    pub(crate) fn held(&self) -> Vec<String> {
        let held = self.marks.iter().filter(|mark| mark.qty != 0.0);
        held.map(|mark| format!("{} {} at {}", mark.qty, mark.symbol, mark.last)).collect()
    }

    /// What is held, as closed at the last price.
    pub(crate) fn sell_out(&mut self, now: MarketTime) -> Vec<Fill> {
        let held = self.marks.iter_mut().filter(|mark| mark.qty != 0.0);
        held.map(|mark| {
            let qty = std::mem::take(&mut mark.qty);
            Fill {
                time: now,
                symbol: mark.symbol.clone(),
                side: if qty > 0.0 { Side::Sell } else { Side::Buy },
                qty: qty.abs(),
                price: mark.last,
                reference: Some(mark.last),
                fee: 0.0,
                order: 0,
            }
        })
        .collect()
    }

    /// The prices, for the charts.
    pub(crate) fn into_prices(self) -> Vec<Prices> {
        self.marks.into_iter().map(|mark| mark.prices).collect()
    }

    fn find(&mut self, symbol: &Symbol) -> Option<&mut Mark> {
        if self.marks.get(self.hint).is_none_or(|mark| mark.symbol != *symbol) {
            self.hint = self.marks.iter().position(|mark| mark.symbol == *symbol)?;
        }
        self.marks.get_mut(self.hint)
    }
}
