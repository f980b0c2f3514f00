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
    /// Bars before it were somebody else's to tell.
    pub(super) since: MarketTime,
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
    /// One whose bars are delivered from `since` on.
    const fn new(since: MarketTime) -> Self {
        let mut known = Self::NEW;
        known.since = since;
        known
    }

    const NEW: Self = Self {
        quotes: false,
        trades: false,
        bars: false,
        canary: false,
        since: NEVER,
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

/// The symbols of a subscription: there are as many as that names.
#[derive(Debug)]
pub(super) struct Symbols {
    known: HashMap<Symbol, Known, FixedState>,
    /// How many of them have bars.
    pub(super) with_bars: usize,
}

impl Symbols {
    /// Those of `subscription`, with bars from `since` on; the `canary` is known, but not wanted for that.
    pub(super) fn new(subscription: &Subscription, canary: Option<&Symbol>, since: MarketTime) -> Self {
        let mut symbols = Self { known: HashMap::with_hasher(FixedState::with_seed(0)), with_bars: 0 };
        symbols.want(subscription, canary, since);
        symbols
    }

    /// Another subscription: what it does not name is forgotten. Of what is new in it, and of the `fresh`
    /// ones, bars are delivered from `since` on, whether or not they were before: somebody else was told
    /// then.
    pub(super) fn change(
        &mut self,
        subscription: &Subscription,
        canary: Option<&Symbol>,
        fresh: &[Symbol],
        since: MarketTime,
    ) {
        let mut before = std::mem::replace(&mut self.known, HashMap::with_hasher(FixedState::with_seed(0)));
        fresh.iter().for_each(|symbol| drop(before.remove(symbol)));
        self.want(subscription, canary, since);
        for (symbol, known) in &mut self.known {
            if let Some(before) = before.remove(symbol) {
                let Known { since, quote, trade, memory, .. } = before;
                // A canary that nobody wanted before was not delivered: nothing of it is owed.
                let since = if before.bars { since } else { known.since };
                (known.since, known.quote, known.trade, known.memory) = (since, quote, trade, memory);
            }
        }
    }

    fn want(&mut self, subscription: &Subscription, canary: Option<&Symbol>, since: MarketTime) {
        for symbol in &subscription.quotes {
            self.entry(symbol, since).quotes = true;
        }
        for symbol in &subscription.trades {
            self.entry(symbol, since).trades = true;
        }
        for symbol in &subscription.bars {
            self.entry(symbol, since).bars = true;
        }
        if let Some(symbol) = canary {
            self.entry(symbol, since).canary = true;
        }
        self.with_bars = self.known.values().filter(|known| known.bars).count();
    }

    fn entry(&mut self, symbol: &Symbol, since: MarketTime) -> &mut Known {
        self.known.entry(symbol.clone()).or_insert_with(|| Known::new(since))
    }

    /// One of them.
    pub(super) fn find(&mut self, symbol: &Symbol) -> Option<&mut Known> {
        self.known.get_mut(symbol)
    }
}
