//! What is wanted and known of each symbol.

use std::collections::{HashMap, VecDeque};

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
    quote: Newest<(f64, f64, u64, u64)>,
    trade: Newest<(f64, u64)>,
    /// What was delivered of its bars.
    pub(super) memory: Memory,
}

/// What an event of a kind means to a symbol.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    /// It is to be delivered.
    Deliver,
    /// It was delivered.
    Repeat,
    /// It is older than the newest of its symbol, and may never have been delivered.
    OutOfOrder,
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
        quote: Newest { time: NEVER, figures: (0.0, 0.0, 0, 0), others: VecDeque::new() },
        trade: Newest { time: NEVER, figures: (0.0, 0), others: VecDeque::new() },
        memory: Memory::new(),
    };

    const fn unwanted(&self) -> Fate {
        if self.canary { Fate::Pulse } else { Fate::Stranger }
    }

    /// What a quote means.
    pub(super) fn quote(&mut self, quote: &Quote, source: Source) -> Fate {
        if !self.quotes {
            return self.unwanted();
        }
        self.quote.judge(quote.time, (quote.bid, quote.ask, quote.bid_size, quote.ask_size), source)
    }

    /// What a trade means. Trades have no number here: of two of the same nanosecond, price and size, the
    /// second is taken for the first one sent twice, for a broker that repeats itself is more frequent than
    /// two equal prints of one sweep, and the bars have the true volume.
    pub(super) fn trade(&mut self, trade: &Trade, source: Source) -> Fate {
        if !self.trades {
            return self.unwanted();
        }
        self.trade.judge(trade.time, (trade.price, trade.size), source)
    }

    /// Whether bars are wanted; if not, why one is not delivered.
    pub(super) const fn bars(&self) -> Result<(), Fate> {
        if self.bars { Ok(()) } else { Err(self.unwanted()) }
    }
}

/// Figures of one stamp that are remembered. When full, the oldest is forgotten, and would be delivered
/// again.
const SAME_STAMP: usize = 32;

/// The newest of the quotes, or trades, of a symbol. Several of the stream may share one stamp, so there only
/// one with the figures of another is a repeat; over REST an equal stamp is the same one again.
#[derive(Debug)]
struct Newest<T> {
    time: MarketTime,
    figures: T,
    /// Other figures of the same stamp; nearly always empty.
    others: VecDeque<T>,
}

impl<T: Copy + PartialEq> Newest<T> {
    fn judge(&mut self, time: MarketTime, figures: T, source: Source) -> Fate {
        if time > self.time {
            self.time = time;
            self.figures = figures;
            if !self.others.is_empty() {
                self.others.clear();
            }
            return Fate::Deliver;
        }
        match source {
            Source::Rest { .. } => Fate::Repeat,
            Source::Stream if time < self.time => Fate::OutOfOrder,
            Source::Stream => self.same_stamp(figures),
        }
    }

    #[cold]
    fn same_stamp(&mut self, figures: T) -> Fate {
        if figures == self.figures || self.others.contains(&figures) {
            return Fate::Repeat;
        }
        if self.others.len() >= SAME_STAMP {
            self.others.pop_front();
        }
        self.others.push_back(std::mem::replace(&mut self.figures, figures));
        Fate::Deliver
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
