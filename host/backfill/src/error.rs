//! Why a backfill ends before its time. Each is one sentence.

use std::path::PathBuf;

use jiff::civil::Date;
use sandpit_broker::BrokerError;

/// Why a backfill cannot start, or cannot go on.
#[derive(Debug, thiserror::Error)]
pub enum BackfillError {
    /// A file or folder cannot be read or written. What was written so far is whole.
    #[error("cannot use {path}: {cause}")]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        cause: std::io::Error,
    },
    /// Another backfill writes there.
    #[error("another backfill is writing to {path}; wait for it, or choose another --out")]
    InUse {
        /// The folder.
        path: PathBuf,
    },
    /// What lies in the folder was asked for differently.
    #[error("{path} holds data with {what} {found:?}, not {wanted:?}; choose another --out")]
    Incompatible {
        /// The checkpoint.
        path: PathBuf,
        /// Which parameter differs.
        what: &'static str,
        /// Its value there.
        found: String,
        /// Its value now.
        wanted: String,
    },
    /// The checkpoint cannot be read.
    #[error("the checkpoint {path} is broken: {message}; remove it to fetch everything again")]
    BrokenCheckpoint {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        message: String,
    },
    /// Rows cannot be put into Parquet.
    #[error("cannot write Parquet: {0}")]
    Parquet(#[from] parquet::errors::ParquetError),
    /// A day was asked for that is not over.
    #[error("{to} is not over in New York yet: the last whole day is {last}; use --to {last}")]
    NotOver {
        /// The day asked for.
        to: Date,
        /// The newest that can be had.
        last: Date,
    },
    /// More than one run can hold.
    #[error("{symbols} symbols on {days} days are too many for one run, at most {limit} files; split it")]
    TooMuch {
        /// How many symbols.
        symbols: usize,
        /// On how many days.
        days: usize,
        /// Files of one run.
        limit: usize,
    },
    /// The broker did not tell the time or the calendar.
    #[error(transparent)]
    Broker(#[from] BrokerError),
    /// No key pair is accepted any more.
    #[error("the broker accepts none of the key pairs: {message}")]
    NoKey {
        /// What it said to the last of them.
        message: String,
    },
    /// A request ended in a panic.
    #[error("a request broke down: {message}")]
    Broken {
        /// What it said.
        message: String,
    },
}
