//! Market data of the past, out of files: for a backtest, and to say what is wrong with the files.
//!
//! # Files
//! CSV, CSV.gz and Parquet (as `sandpit backfill` writes it); a header says what a file holds:
//!
//! | kind | columns, in any order |
//! |---|---|
//! | bars of one minute | `timestamp` (its start), `symbol`, `open`, `high`, `low`, `close`, `volume` |
//! | quotes | `timestamp`, `symbol`, `bid_price`, `bid_size`, `ask_price`, `ask_size` |
//! | trades | `timestamp`, `symbol`, `price`, `size` |
//!
//! Other columns are passed over. Prices are US dollars, sizes shares. A bar may have a `vwap`; without one,
//! or with zero, it gets the mean of high, low and close. A timestamp is RFC 3339 with its offset, or a whole
//! number since 1970 (seconds, milliseconds, microseconds or nanoseconds, by its size); one without any zone
//! is refused unless a [`Mend`] says what zone it means.
//! Of two files that hold the same bar, one is taken and that is told; if they differ, they are refused.
//!
//! # Time
//! An event is delivered when it is known: a bar at the end of its minute. Bars that are longer than a minute
//! are refused: taken for minutes they would show the future. Quotes that all lie on whole minutes are
//! samples of their minute, known at its end: they are moved to its last nanosecond.
#![forbid(unsafe_code)]

mod cadence;
mod columns;
mod csv_file;
mod day;
mod error;
mod files;
mod findings;
mod group;
mod import;
mod mend;
mod parquet_file;
mod render;
mod row;
mod source;
mod stamp;
mod survey;
mod table;

use sandpit_types::MarketEvent;

pub use columns::Kind;
pub use day::trading_days;
pub use error::{DataError, Place, Trouble};
pub use files::{Files, Wanted, open};
pub use findings::{Finding, Findings};
pub use import::{Imported, import};
pub use mend::Mend;
pub use survey::{Survey, SymbolSurvey, survey};

/// Events in order of the moment at which they are known ([`MarketEvent::time`]).
pub trait Reel {
    /// Appends the next events, some thousands at most; their times never go back, also across calls. Appends
    /// nothing at the end.
    ///
    /// # Errors
    /// When the data cannot be used; the rest of it is not read then.
    fn read(&mut self, into: &mut Vec<MarketEvent>) -> Result<(), DataError>;
}

/// Events that are there already, in their order.
impl Reel for std::vec::IntoIter<MarketEvent> {
    fn read(&mut self, into: &mut Vec<MarketEvent>) -> Result<(), DataError> {
        into.extend(self.by_ref().take(4_096));
        Ok(())
    }
}
