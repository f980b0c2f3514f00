//! The life of a strategy as a list of entries: with these, it can be lived again bit for bit.
//!
//! ```text
//! Born  (what its start did)  { an input  (what it did) }  Left
//! ```
//!
//! Inputs are [`Entry::Event`], [`Entry::Lost`], [`Entry::Panicked`], [`Entry::Swap`], [`Entry::Lesson`] and
//! [`Entry::Left`]. What follows an input up to the next one is what the strategy, or the host on its behalf,
//! did about it.

use sandpit_types::{StrategyName, Symbol};
use serde::{Deserialize, Serialize};

use crate::{Bounds, Failure, Rounding, Snapshot, StrategyEvent, StrategyOutput};

/// One thing in the life of a strategy, in the order in which it happened.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Entry {
    /// Its first life begins. The first entry.
    Born(Birth),
    /// It was told something. Of ticks that caused nothing in a row, only the newest is here.
    Event(StrategyEvent),
    /// Events were lost: it is quarantined.
    Lost {
        /// So many of a kind could wait.
        limit: usize,
    },
    /// The host panicked on its behalf: it is quarantined. A replay plays the panic, not its cause.
    Panicked {
        /// Its words.
        message: String,
    },
    /// Another version was to take its place: at once, or after lessons.
    Swap(Birth),
    /// It was told to stop. The last input.
    Left {
        /// What `stop` is told.
        reason: String,
    },
    /// A guest call was cut off by its deadline or by the end of its stack. When that comes depends on the
    /// machine, so a replay plays it as recorded. What the call logged is not recorded.
    Cut {
        /// Which guest call since the input, the first being 0.
        call: u32,
        /// How it ended.
        failure: Failure,
    },
    /// It logged a line that its budget allowed.
    Log {
        /// How loud.
        level: LogLevel,
        /// The line, cut and without control characters.
        line: String,
    },
    /// It saved its state: instead of [`StrategyOutput::Snapshot`], whose bytes are too many to keep.
    Saved {
        /// How many bytes.
        bytes: usize,
        /// Their checksum, in hexadecimal digits.
        sha256: String,
    },
    /// What came out, but for snapshots. The pause of a swap is real time, and zero here.
    Output(StrategyOutput),
    /// The version that is to take the other's place was told some more of the past, or had been told all of
    /// it and took over.
    Lesson {
        /// How many bars and events: a lesson ends by real time.
        told: u32,
    },
}

/// An [`Entry`] that borrows what it is about. Its serialised form is the same.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[expect(missing_docs, reason = "see Entry")]
pub enum EntryRef<'a> {
    Born(&'a Birth),
    Event(&'a StrategyEvent),
    Lost { limit: usize },
    Panicked { message: &'a str },
    Swap(&'a Birth),
    Left { reason: &'a str },
    Cut { call: u32, failure: &'a Failure },
    Log { level: LogLevel, line: &'a str },
    Saved { bytes: usize, sha256: &'a str },
    Output(&'a StrategyOutput),
    Lesson { told: u32 },
}

/// Everything that a first life depends on.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Birth {
    /// Who.
    pub strategy: StrategyName,
    /// Checksum of its file, in hexadecimal digits.
    pub sha256: String,
    /// The version of the interface that the host offered it.
    pub interface: String,
    /// What `init` gets: a JSON object.
    pub parameters: String,
    /// What it may trade.
    pub instruments: Vec<Symbol>,
    /// Decides its random numbers.
    pub seed: u64,
    /// The number of this life. Of a swap, the least that it can be: it is higher if the one before has
    /// more lives during the lessons; and whatever it is, the random numbers are those of life 0 of the
    /// seed.
    pub incarnation: u32,
    /// What it may use.
    pub bounds: Bounds,
    /// What becomes of prices between two ticks.
    pub rounding: Rounding,
    /// What it starts from; of a swap, none: it takes over from the life before.
    pub snapshot: Option<Snapshot>,
}

/// How loud a line of a strategy's log is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the words say it")]
pub enum LogLevel {
    Debug,
    Info,
    Warn,
    Error,
}

/// Who keeps the entries. Called on the strategy's own thread in the middle of its work: it must not wait.
pub trait Recorder: Send {
    /// Keeps one entry.
    fn record(&mut self, entry: EntryRef<'_>);
}

impl Entry {
    /// The same, borrowed.
    pub fn as_ref(&self) -> EntryRef<'_> {
        match self {
            Self::Born(birth) => EntryRef::Born(birth),
            Self::Event(event) => EntryRef::Event(event),
            Self::Lost { limit } => EntryRef::Lost { limit: *limit },
            Self::Panicked { message } => EntryRef::Panicked { message },
            Self::Swap(birth) => EntryRef::Swap(birth),
            Self::Left { reason } => EntryRef::Left { reason },
            Self::Cut { call, failure } => EntryRef::Cut { call: *call, failure },
            Self::Log { level, line } => EntryRef::Log { level: *level, line },
            Self::Saved { bytes, sha256 } => EntryRef::Saved { bytes: *bytes, sha256 },
            Self::Output(output) => EntryRef::Output(output),
            Self::Lesson { told } => EntryRef::Lesson { told: *told },
        }
    }

    /// Whether it is something that was done to the strategy, not by it.
    pub fn is_input(&self) -> bool {
        matches!(
            self,
            Self::Born(_)
                | Self::Event(_)
                | Self::Lost { .. }
                | Self::Panicked { .. }
                | Self::Swap(_)
                | Self::Lesson { .. }
                | Self::Left { .. }
        )
    }
}

impl EntryRef<'_> {
    /// The same, owned.
    pub fn to_entry(self) -> Entry {
        match self {
            Self::Born(birth) => Entry::Born(birth.clone()),
            Self::Event(event) => Entry::Event(event.clone()),
            Self::Lost { limit } => Entry::Lost { limit },
            Self::Panicked { message } => Entry::Panicked { message: message.to_owned() },
            Self::Swap(birth) => Entry::Swap(birth.clone()),
            Self::Left { reason } => Entry::Left { reason: reason.to_owned() },
            Self::Cut { call, failure } => Entry::Cut { call, failure: failure.clone() },
            Self::Log { level, line } => Entry::Log { level, line: line.to_owned() },
            Self::Saved { bytes, sha256 } => Entry::Saved { bytes, sha256: sha256.to_owned() },
            Self::Output(output) => Entry::Output(output.clone()),
            Self::Lesson { told } => Entry::Lesson { told },
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use sandpit_types::{
        Bar, Intent, Leg, MarketEvent, MarketTime, News, OrderKind, OrderStatus, OrderUpdate, Price, Qty,
        Quote, Refusal, Side, Signal, StrategyOrderId, StreamHealth, Trade, Usd,
    };

    use super::*;

    fn name() -> StrategyName {
        StrategyName::new("alpha")
    }

    fn birth() -> Birth {
        let snapshot = Snapshot {
            version: "1.0".into(),
            time: MarketTime::from_secs(5),
            timers: vec![(MarketTime::from_secs(9), 3)],
            state: vec![0, 255, 7].into(),
        };
        Birth {
            strategy: name(),
            sha256: "ab".repeat(32),
            interface: "0.1.0".into(),
            parameters: "{\"n\":1}".into(),
            instruments: vec![Symbol::new("SPY"), Symbol::new("BRK.B")],
            seed: u64::MAX,
            incarnation: 3,
            bounds: Bounds::default(),
            rounding: Rounding::Passive,
            snapshot: Some(snapshot),
        }
    }

    fn events() -> Vec<StrategyEvent> {
        let (id, leg, symbol, time) =
            (StrategyOrderId(4), Some(Leg::StopLoss), Symbol::new("SPY"), MarketTime::from_secs(7));
        let (qty, price) = (Qty::from_nanos(1_500_000_000), Price::from_nanos(10_010_000_000));
        let (open, high, low, close, vwap) = (1.0, 2.5, 0.1 + 0.2, f64::MAX, -0.0);
        let bar = Bar { symbol: symbol.clone(), start: time, open, high, low, close, volume: 9, vwap };
        let quote = Quote { symbol: symbol.clone(), time, bid: 1.0, bid_size: 2, ask: 3.0, ask_size: 4 };
        let news = News {
            id: 9,
            created: time,
            updated: time,
            headline: "h".into(),
            summary: String::new(),
            author: "a".into(),
            source: "s".into(),
            url: "u".into(),
            symbols: vec![symbol.clone()],
        };
        let kind = OrderKind::StopLimit { stop_price: price, limit_price: price };
        let status = OrderStatus::Other("in_doubt".into());
        let update =
            OrderUpdate { id, leg, symbol: symbol.clone(), status: OrderStatus::New, filled_qty: qty, time };
        let side = Side::Sell;
        vec![
            StrategyEvent::Market(MarketEvent::Bar(bar.clone())),
            StrategyEvent::Market(MarketEvent::Quote(quote)),
            StrategyEvent::Market(MarketEvent::Trade(Trade {
                symbol: symbol.clone(),
                time,
                price: 4.0,
                size: 1,
            })),
            StrategyEvent::Market(MarketEvent::News(Box::new(news))),
            StrategyEvent::Market(MarketEvent::Health(StreamHealth::Stale, time)),
            StrategyEvent::Warmup(bar),
            StrategyEvent::Order(update),
            StrategyEvent::Fill { id, leg, symbol: symbol.clone(), side, qty, price, time },
            StrategyEvent::Refused { id, refusal: Refusal::OffTick, time },
            StrategyEvent::Account { equity: Usd::from_nanos(-1), buying_power: Usd::ZERO },
            StrategyEvent::Position { symbol: symbol.clone(), qty, avg_price: price },
            StrategyEvent::OpenOrder { id, leg: None, symbol, side, qty, filled_qty: qty, kind, status },
            StrategyEvent::Tick(time),
        ]
    }

    fn entries() -> Vec<Entry> {
        let reason = Failure::Timeout { call: "on-bar".into(), deadline: Duration::from_millis(100) };
        let signal = Signal { symbol: None, reason: "up".into() };
        let outputs = [
            StrategyOutput::Intents {
                strategy: name(),
                incarnation: 1,
                intents: vec![Intent::CancelAll, Intent::Signal(signal)],
                event_time: MarketTime::from_secs(1),
            },
            StrategyOutput::Struck {
                strategy: name(),
                reason: reason.clone(),
                strikes: 2,
                until: MarketTime::from_secs(9),
            },
            StrategyOutput::Stopped { strategy: name() },
        ];
        let mut entries = vec![Entry::Born(birth())];
        entries.extend(events().into_iter().map(Entry::Event));
        entries.extend([
            Entry::Lost { limit: 5 },
            Entry::Panicked { message: "oh".into() },
            Entry::Swap(Birth { snapshot: None, ..birth() }),
            Entry::Left { reason: "the end".into() },
            Entry::Cut { call: 2, failure: reason },
            Entry::Log { level: LogLevel::Warn, line: "careful".into() },
            Entry::Saved { bytes: 3, sha256: "cd".into() },
            Entry::Lesson { told: 32 },
        ]);
        entries.extend(outputs.map(Entry::Output));
        entries
    }

    #[test]
    fn entries_pass_through_bytes_and_text_borrowed_or_not() {
        for entry in entries() {
            let bytes = postcard::to_allocvec(&entry).expect("bytes");
            assert_eq!(postcard::to_allocvec(&entry.as_ref()).expect("bytes"), bytes, "{entry:?}");
            assert_eq!(postcard::from_bytes::<Entry>(&bytes).expect("the same bytes"), entry);
            let text = serde_json::to_string(&entry).expect("text");
            assert_eq!(serde_json::from_str::<Entry>(&text).expect("the same text"), entry);
            assert_eq!(entry.as_ref().to_entry(), entry);
        }
    }
}
