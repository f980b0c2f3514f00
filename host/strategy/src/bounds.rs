//! What a strategy may use. Everything is bounded; reaching a bound is named and costs a strike.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// Bars of history kept for each instrument, and the most that one read returns.
pub const HISTORY_BARS: usize = 1_000;
/// Instruments one strategy may have.
pub const INSTRUMENTS_MAX: usize = 1_000;
/// Open orders one strategy may have on its book; a further submit is refused as `open-orders`.
pub const OPEN_ORDERS_MAX: usize = 1_024;
/// Timers one strategy may have set at a time.
pub const TIMERS_MAX: usize = 1_024;
/// Bytes of one log line or one signal; the rest is cut.
pub const TEXT_BYTES: usize = 1_024;
/// Bytes of state that `save` may give.
pub const STATE_BYTES_MAX: usize = 4 << 20;
/// Events between two snapshots, and the most that are kept to be told again to a new life.
pub const KEPT_EVENTS_MAX: usize = 4_096;
/// Bytes that those may have, all together: of more, none is kept. Only news can reach this.
pub(crate) const KEPT_BYTES_MAX: usize = 8 << 20;
/// Market time between two snapshots.
pub const SNAPSHOT_EVERY: Duration = Duration::from_secs(60);
/// Bytes of each text of a piece of news; the rest is cut.
pub(crate) const NEWS_TEXT_BYTES: usize = 4 << 10;
/// Bytes a strategy may make the host copy in one call (intents, log lines). Reads such as history go the
/// other way and do not count.
pub(crate) const HOSTCALL_BYTES: usize = 1 << 20;
/// WASM stack of one strategy, bytes: interpreters need more than the default of half of it.
pub(crate) const STACK_BYTES: usize = 1 << 20;
/// Table elements of one strategy, all its tables together (8 bytes each).
pub(crate) const TABLE_ELEMENTS: usize = 1 << 17;
/// Core instances (and tables) in one component. Interpreters are linked from about twenty.
pub(crate) const INSTANCES: usize = 64;
/// Linear memories in one component.
pub(crate) const MEMORIES: usize = 8;

/// What one strategy may use.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bounds {
    /// Time for everything one event causes in the strategy: its handler, due timers, local refusals. At
    /// least half of it is processor time of its own, so that a busy machine strikes nobody; ten times of it
    /// is the end anyhow.
    pub event_deadline: Duration,
    /// Time, counted likewise, for a start: instantiation, `describe`, `init`.
    pub start_deadline: Duration,
    /// Time, counted likewise, for all that a new life is told of the past; each bar or event has
    /// [`Bounds::event_deadline`]. It goes on between the lessons of a version that is to take over.
    pub refeed_deadline: Duration,
    /// Linear memory, all memories together, bytes.
    pub memory_bytes: usize,
    /// Intents one event may cause.
    pub intents_per_event: usize,
    /// Intents one minute of market time may bring.
    pub intents_per_minute: u32,
    /// Bytes of log lines in one minute of market time; further lines are counted and dropped.
    pub log_bytes: usize,
    /// Failures within [`Bounds::strike_window`] that quarantine the strategy.
    pub strikes: u32,
    /// How long a strike counts, market time.
    pub strike_window: Duration,
    /// The rest after a first strike, market time; it doubles with each further one.
    pub rest: Duration,
    /// How long an order may wait in the host's queue when the strategy says nothing, market time.
    pub time_to_live: Duration,
}

impl Default for Bounds {
    fn default() -> Self {
        Self {
            event_deadline: Duration::from_millis(100),
            start_deadline: Duration::from_secs(2),
            refeed_deadline: Duration::from_secs(10),
            memory_bytes: 64 << 20,
            intents_per_event: 256,
            intents_per_minute: 6_000,
            log_bytes: 64 << 10,
            strikes: 3,
            strike_window: Duration::from_secs(3_600),
            rest: Duration::from_secs(5),
            time_to_live: Duration::from_secs(60),
        }
    }
}

/// What becomes of an order's price between two ticks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Rounding {
    /// It is refused as `off-tick`.
    #[default]
    Refuse,
    /// The host rounds it to the tick that pays less, or asks more. A stop price goes away from the market.
    Passive,
}

/// The longest start of `text` that has at most `bytes` bytes and ends between characters.
pub(crate) fn cut(text: &str, bytes: usize) -> &str {
    &text[..text.floor_char_boundary(bytes)]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cutting_keeps_characters_whole() {
        assert_eq!(cut("abc", 5), "abc");
        assert_eq!(cut("abc", 2), "ab");
        assert_eq!(cut("aß", 2), "a");
        assert_eq!(cut("ß", 0), "");
    }
}
