//! What the host offers a strategy: the imports of the WIT world, as a trait.

use crate::{Account, Bars, Instrument, OpenOrder, Position, Quote, Time};

/// How much a line in the log matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// For the author.
    Debug,
    /// For the record.
    Info,
    /// Worth a look.
    Warn,
    /// Something is wrong.
    Error,
}

/// The host as a strategy sees it. Strategies use it through [`crate::Ctx`]; it is implemented by the WASM
/// glue and by [`crate::Harness`], and by whoever wants to run a strategy on something else.
pub trait Host {
    /// Market time of the event being handled.
    fn now(&self) -> Time;
    /// The strategy's own position.
    fn position(&self, of: Instrument) -> Position;
    /// The strategy's orders that the host has taken and that may still fill.
    fn open_orders(&self) -> Vec<OpenOrder>;
    /// Money.
    fn account(&self) -> Account;
    /// The newest quote, if there was one.
    fn last_quote(&self, of: Instrument) -> Option<Quote>;
    /// The last complete one-minute bars, at most `count`, at most 1,000.
    fn history(&self, of: Instrument, count: u32) -> Bars;
    /// A seeded random number.
    fn random(&self) -> u64;
    /// A line in the log, cut at 1 KiB.
    fn log(&self, level: Level, message: &str);
}
