//! Why there is no backtest.

use sandpit_data::DataError;
use sandpit_execution::DeskError;
use sandpit_strategy::PluginError;
use sandpit_types::MarketTime;

/// Why a backtest cannot be run. Each is one sentence.
#[derive(Debug, thiserror::Error)]
pub enum BacktestError {
    /// The data cannot be used.
    #[error(transparent)]
    Data(#[from] DataError),
    /// The strategy does not start.
    #[error(transparent)]
    Plugin(#[from] PluginError),
    /// The desk does not open; a defect.
    #[error("the desk does not open over the venue: {0}; this is a defect, report it")]
    Desk(#[from] DeskError),
    /// Nothing to play.
    #[error("the data holds nothing of the strategy's instruments in that range: name other files or dates")]
    NoData,
    /// The data goes back in time: what comes later would be known too early.
    #[error("the data goes back in time, from {before} to {after}: sort it, or let it be sorted")]
    Unordered {
        /// The time that was reached.
        before: MarketTime,
        /// The earlier time that came after it.
        after: MarketTime,
    },
}
