//! What is wanted and known of each symbol.

use std::collections::HashMap;

use foldhash::fast::FixedState;
use sandpit_broker::Subscription;
use sandpit_types::{MarketTime, Quote, Symbol, Trade};

use super::{Source, memory::Memory};

/// Earlier than anything.
const NEVER: MarketTime = MarketTime::from_nanos(i64::MIN);

/// One symbol.
#[derive(Debug)]
pub(super) struct Known {
    quotes: bool,
    trades: bool,
    bars: bool,
    canary: bool,
    quote: (MarketTime, f64, f64, u64, u64),
    trade: (MarketTime, f64, u64),
    /// What was delivered of its bars.
    pub(super) memory: Memory,
}

/// What an event of a kind means to a symbol.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    /// It is to be delivered.
    Deliver,
    /// It is older than, or the same as, what was delivered.
    Repeat,
    /// Nobody wants it, but it shows that the stream lives.
    Pulse,
    /// Nobody wants it.
    Stranger,
}

impl Known {
    const NEW: Self = Self {
        quotes: false,
        trades: false,
        bars: false,
        canary: false,
        quote: (NEVER, 0.0, 0.0, 0, 0),
        trade: (NEVER, 0.0, 0),
        memory: Memory::new(),
    };

    const fn unwanted(&self) -> Fate {
        if self.canary { Fate::Pulse } else { Fate::Stranger }
    }

    /// Several quotes of the stream may share one stamp, so there only the very same one is a repeat; over
    /// REST an equal stamp is the same quote again.
    pub(super) fn quote(&mut self, quote: &Quote, source: Source) -> Fate {
        if !self.quotes {
            return self.unwanted();
        }
        let fresh = (quote.time, quote.bid, quote.ask, quote.bid_size, quote.ask_size);
        if quote.time > self.quote.0
            || (quote.time == self.quote.0 && source == Source::Stream && fresh != self.quote)
        {
            self.quote = fresh;
            Fate::Deliver
        } else {
            Fate::Repeat
        }
    }

    /// As for quotes. Trades have no number here: of two of the same nanosecond, price and size in a row, the
    /// second is taken for the first one sent twice.
    pub(super) fn trade(&mut self, trade: &Trade, source: Source) -> Fate {
        if !self.trades {
            return self.unwanted();
        }
        let fresh = (trade.time, trade.price, trade.size);
        if trade.time > self.trade.0
            || (trade.time == self.trade.0 && source == Source::Stream && fresh != self.trade)
        {
            self.trade = fresh;
            Fate::Deliver
        } else {
            Fate::Repeat
        }
    }

    /// Whether bars are wanted; if not, why one is not delivered.
    pub(super) const fn bars(&self) -> Result<(), Fate> {
        if self.bars { Ok(()) } else { Err(self.unwanted()) }
    }
}

/// The symbols of a subscription: their number never grows.
#[derive(Debug)]
pub(super) struct Symbols {
    known: HashMap<Symbol, Known, FixedState>,
    /// How many of them have bars.
    pub(super) with_bars: usize,
}

impl Symbols {
    /// Those of `subscription`; the `canary` is known, but not wanted for that.
    pub(super) fn new(subscription: &Subscription, canary: Option<&Symbol>) -> Self {
        let mut symbols = Self { known: HashMap::with_hasher(FixedState::with_seed(0)), with_bars: 0 };
        for symbol in &subscription.quotes {
            symbols.entry(symbol).quotes = true;
        }
        for symbol in &subscription.trades {
            symbols.entry(symbol).trades = true;
        }
        for symbol in &subscription.bars {
            symbols.entry(symbol).bars = true;
        }
        if let Some(symbol) = canary {
            symbols.entry(symbol).canary = true;
        }
        symbols.with_bars = symbols.known.values().filter(|known| known.bars).count();
        symbols
    }

    fn entry(&mut self, symbol: &Symbol) -> &mut Known {
        self.known.entry(symbol.clone()).or_insert(Known::NEW)
    }

    /// One of them.
    pub(super) fn find(&mut self, symbol: &Symbol) -> Option<&mut Known> {
        self.known.get_mut(symbol)
    }
}
