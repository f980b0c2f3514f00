//! What the guest can call, and what it may use.

use sandpit_types::{Leg, StrategyName, StrategyOrderId, Usd};
use wasmtime::{Error, ResourceLimiter, Result};

use crate::{
    Bounds, Failure, LogLevel,
    bindings::{host, types},
    book::{Book, OpenOrder, Slot},
    bounds::{HISTORY_BARS, INSTANCES, MEMORIES, TABLE_ELEMENTS, TEXT_BYTES, cut},
    deadline::Deadline,
    event::MINUTE,
    translate::status,
};

/// What passes from one life to the next.
#[derive(Debug)]
pub(crate) struct Estate {
    pub(crate) book: Book,
    pub(crate) calls: Calls,
    /// Lines logged since the last input, for the recorder; kept only where there is one.
    pub(crate) lines: Vec<(LogLevel, String)>,
    pub(crate) is_recorded: bool,
}

impl Estate {
    pub(crate) fn new(book: Book) -> Self {
        Self { book, calls: Calls::default(), lines: Vec::new(), is_recorded: false }
    }
}

/// The calls into guests since the last input, and which were cut off.
#[derive(Debug, Default)]
pub(crate) struct Calls {
    made: u32,
    cuts: Vec<(u32, Failure)>,
    /// In a replay: which calls of this input are to be cut off.
    script: Option<Vec<(u32, Failure)>>,
}

impl Calls {
    /// A new input begins; in a replay, with the cuts that were recorded behind it.
    pub(crate) fn begin(&mut self, script: Option<Vec<(u32, Failure)>>) {
        self.made = 0;
        self.cuts.clear();
        self.script = script;
    }

    pub(crate) fn is_scripted(&self) -> bool {
        self.script.is_some()
    }

    /// One more call. In a replay, the failure that it is to end with instead of being made.
    pub(crate) fn next(&mut self) -> Option<Failure> {
        let foreseen = if self.script.is_some() { self.foreseen().cloned() } else { None };
        let call = self.made;
        self.made += 1;
        self.cuts.extend(foreseen.iter().map(|failure| (call, failure.clone())));
        foreseen
    }

    /// In a replay: how the next call is to end, if it is not to be made.
    pub(crate) fn foreseen(&self) -> Option<&Failure> {
        self.script.as_ref()?.iter().find(|(at, _)| *at == self.made).map(|(_, failure)| failure)
    }

    /// The last call was cut off.
    pub(crate) fn cut(&mut self, failure: &Failure) {
        self.cuts.push((self.made.saturating_sub(1), failure.clone()));
    }

    pub(crate) fn take_cuts(&mut self) -> Vec<(u32, Failure)> {
        std::mem::take(&mut self.cuts)
    }
}

/// The host's side of one guest.
pub(crate) struct Host {
    pub(crate) estate: Box<Estate>,
    /// Events are told again: what it logs was logged before, but for errors.
    pub(crate) is_muted: bool,
    pub(crate) usage: Usage,
    pub(crate) deadline: Deadline,
    strategy: StrategyName,
    random: SplitMix,
    log: LogBudget,
}

impl Host {
    /// For life number `incarnation`: each has random numbers of its own.
    pub(crate) fn new(
        strategy: StrategyName,
        estate: Box<Estate>,
        bounds: &Bounds,
        seed: u64,
        incarnation: u32,
    ) -> Self {
        Self {
            estate,
            is_muted: false,
            usage: Usage { memory_limit: bounds.memory_bytes, memory: 0, table: 0 },
            deadline: Deadline::new(bounds.start_deadline, 0),
            strategy,
            random: SplitMix(SplitMix(seed.wrapping_add(u64::from(incarnation))).next()),
            log: LogBudget { limit: bounds.log_bytes, minute: i64::MIN, used: 0, dropped: 0 },
        }
    }

    fn slot(&self, read: &str, of: types::Instrument) -> Result<&Slot> {
        self.estate.book.slot(of).ok_or_else(|| self.unknown(read, of))
    }

    fn unknown(&self, read: &str, of: types::Instrument) -> Error {
        let known = self.estate.book.symbols().len();
        Error::msg(format!("{read}({of}): there is no such instrument, {known} were granted"))
    }
}

impl types::Host for Host {}

impl host::Host for Host {
    fn now(&mut self) -> Result<types::Time> {
        Ok(self.estate.book.now.as_nanos())
    }

    fn position(&mut self, of: types::Instrument) -> Result<types::Position> {
        let slot = self.slot("position", of)?;
        Ok(types::Position {
            quantity: nanos(slot.qty.to_nanos(), slot.qty.is_positive()),
            average_price: nanos(slot.avg_price.to_nanos(), slot.avg_price.is_positive()),
        })
    }

    fn open_orders(&mut self) -> Result<Vec<types::OpenOrder>> {
        let order = |(id, leg, order): (StrategyOrderId, Option<Leg>, &OpenOrder)| types::OpenOrder {
            id: id.0,
            leg: leg.map(types::Leg::from),
            instrument: order.instrument,
            side: order.side.into(),
            quantity: nanos(order.qty.to_nanos(), order.qty.is_positive()),
            filled: nanos(order.filled_qty.to_nanos(), true),
            kind: order.kind.into(),
            status: status(&order.status),
        };
        Ok(self.estate.book.orders.iter().map(order).collect())
    }

    fn account(&mut self) -> Result<types::Account> {
        let nanos = |amount: Usd| nanos(amount.to_nanos(), amount.is_positive());
        Ok(types::Account {
            equity: nanos(self.estate.book.equity),
            buying_power: nanos(self.estate.book.buying_power),
        })
    }

    fn last_quote(&mut self, of: types::Instrument) -> Result<Option<types::Quote>> {
        let slot = self.slot("last-quote", of)?;
        Ok(slot.quote.as_ref().map(types::Quote::from))
    }

    fn history(&mut self, of: types::Instrument, count: u32) -> Result<types::Bars> {
        let count = (count as usize).min(HISTORY_BARS);
        let rows = self.estate.book.history(of, count).ok_or_else(|| self.unknown("history", of))?;
        Ok(types::Bars {
            start: rows.clone().map(|row| row.start.as_nanos()).collect(),
            open: rows.clone().map(|row| row.open).collect(),
            high: rows.clone().map(|row| row.high).collect(),
            low: rows.clone().map(|row| row.low).collect(),
            close: rows.clone().map(|row| row.close).collect(),
            volume: rows.map(|row| row.volume).collect(),
        })
    }

    fn random(&mut self) -> Result<u64> {
        Ok(self.random.next())
    }

    fn log(&mut self, level: types::Level, message: String) -> Result<()> {
        let line = cut(&message, TEXT_BYTES);
        if self.is_muted && !matches!(level, types::Level::Error) {
            return Ok(());
        }
        // Time runs quickly while events are told again: all of them share one minute.
        let now = if self.is_muted { self.log.now() } else { self.estate.book.now.as_nanos() };
        let (allowed, dropped) = self.log.allow(now, line.len());
        let strategy = self.strategy.as_str();
        if dropped > 0 {
            tracing::warn!(strategy, dropped, "it logs too much: lines were dropped");
        }
        if !allowed {
            return Ok(());
        }
        // One line stays one line, whatever a strategy puts into it.
        let line = line.replace(char::is_control, " ");
        match level {
            types::Level::Debug => tracing::debug!(target: "plugin", strategy, "{line}"),
            types::Level::Info => tracing::info!(target: "plugin", strategy, "{line}"),
            types::Level::Warn => tracing::warn!(target: "plugin", strategy, "{line}"),
            types::Level::Error => tracing::error!(target: "plugin", strategy, "{line}"),
        }
        if self.estate.is_recorded {
            self.estate.lines.push((level.into(), line));
        }
        Ok(())
    }
}

impl From<types::Level> for LogLevel {
    fn from(level: types::Level) -> Self {
        match level {
            types::Level::Debug => Self::Debug,
            types::Level::Info => Self::Info,
            types::Level::Warn => Self::Warn,
            types::Level::Error => Self::Error,
        }
    }
}

/// Units of 10^-9 as they cross the interface; what does not fit is at the end of the range.
pub(crate) fn nanos(value: Option<i64>, is_positive: bool) -> i64 {
    value.unwrap_or(if is_positive { i64::MAX } else { i64::MIN })
}

/// Sebastiano Vigna's SplitMix64: eight bytes of state, every seed is as good as another. Not for secrets.
struct SplitMix(u64);

impl SplitMix {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }
}

/// Bytes of log lines in the current minute of market time.
struct LogBudget {
    limit: usize,
    minute: i64,
    used: usize,
    dropped: u64,
}

impl LogBudget {
    /// A moment of the current minute.
    fn now(&self) -> i64 {
        self.minute.saturating_mul(MINUTE.as_nanos() as i64)
    }

    /// Whether a line of so many bytes may go out, and how many were dropped in the minute that just ended.
    fn allow(&mut self, now_nanos: i64, bytes: usize) -> (bool, u64) {
        let minute = now_nanos.div_euclid(MINUTE.as_nanos() as i64);
        let mut dropped = 0;
        if minute != self.minute {
            dropped = std::mem::take(&mut self.dropped);
            (self.minute, self.used) = (minute, 0);
        }
        // An empty line costs something too.
        let used = self.used + bytes.max(16);
        if used > self.limit {
            self.dropped += 1;
            return (false, dropped);
        }
        self.used = used;
        (true, dropped)
    }
}

/// Asked for more than granted. Crosses wasmtime as an error and is found again by type.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("{wanted} {unit} wanted, at most {limit} granted")]
pub(crate) struct OverLimit {
    pub(crate) wanted: usize,
    pub(crate) limit: usize,
    pub(crate) unit: &'static str,
}

/// What one guest has taken of memory and tables. Neither ever shrinks.
#[derive(Debug)]
pub(crate) struct Usage {
    memory_limit: usize,
    memory: usize,
    table: usize,
}

impl Usage {
    /// Linear memory, all memories together, bytes.
    pub(crate) fn memory(&self) -> usize {
        self.memory
    }
}

impl ResourceLimiter for Usage {
    fn memory_growing(&mut self, current: usize, desired: usize, _: Option<usize>) -> Result<bool> {
        take(&mut self.memory, desired.saturating_sub(current), self.memory_limit, "bytes of memory")
    }

    fn table_growing(&mut self, current: usize, desired: usize, _: Option<usize>) -> Result<bool> {
        take(&mut self.table, desired.saturating_sub(current), TABLE_ELEMENTS, "table elements")
    }

    fn instances(&self) -> usize {
        INSTANCES
    }

    fn tables(&self) -> usize {
        INSTANCES
    }

    fn memories(&self) -> usize {
        MEMORIES
    }
}

/// Refusing ends the guest: most allocators could only abort, and would not say why.
fn take(taken: &mut usize, more: usize, limit: usize, unit: &'static str) -> Result<bool> {
    let wanted = taken.saturating_add(more);
    if wanted > limit {
        return Err(OverLimit { wanted, limit, unit }.into());
    }
    *taken = wanted;
    Ok(true)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn random_numbers_are_those_of_the_reference() {
        // First outputs of the published C code for seed 1234567.
        let mut random = SplitMix(1_234_567);
        let first = [random.next(), random.next(), random.next()];
        assert_eq!(first, [6_457_827_717_110_365_317, 3_203_168_211_198_807_973, 9_817_491_932_198_370_423]);
    }

    #[test]
    fn log_lines_are_bounded_by_minute_of_market_time() {
        let mut budget = LogBudget { limit: 100, minute: i64::MIN, used: 0, dropped: 0 };
        let minute = 60_000_000_000;
        assert_eq!(budget.allow(0, 60), (true, 0));
        assert_eq!(budget.allow(1, 60), (false, 0));
        assert_eq!(budget.allow(2, 0), (true, 0));
        assert_eq!(budget.allow(3, 100), (false, 0));
        assert_eq!(budget.allow(minute, 100), (true, 2));
        assert_eq!(budget.allow(minute, 0), (false, 0));
    }

    #[test]
    fn memory_is_counted_over_all_memories() {
        let mut usage = Usage { memory_limit: 100, memory: 0, table: 0 };
        assert!(usage.memory_growing(0, 60, None).expect("granted"));
        assert!(usage.memory_growing(0, 40, None).expect("granted"));
        let error = usage.memory_growing(60, 61, None).expect_err("refused");
        assert_eq!(error.downcast_ref::<OverLimit>().expect("ours").wanted, 101);
        assert!(usage.table_growing(0, TABLE_ELEMENTS + 1, None).is_err());
    }
}
