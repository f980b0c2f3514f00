//! What can be wrong with data. Each is one sentence: what, where, what to do.

use std::{fmt, io, path::PathBuf, sync::Arc};

use sandpit_types::{MarketTime, Symbol};

/// A line of a text, or a row of a table, counted from 1 with the header.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// Which file.
    pub file: Arc<PathBuf>,
    /// Which line, the header being the first; in Parquet the row.
    pub line: u64,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.file.display(), self.line)
    }
}

/// Why data cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum DataError {
    /// The system does not let us read.
    #[error("cannot read {}: {source}", path.display())]
    Io {
        /// Which file or folder.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// There is no file of data at all.
    #[error(
        "{} holds no .csv, .csv.gz or .parquet file: name files, or a folder that has \
         some", path.display()
    )]
    NoFiles {
        /// What was named.
        path: PathBuf,
    },
    /// Nothing is left of what is wanted.
    #[error("the files have no row{wanted}: name other files, symbols or days")]
    NoRows {
        /// Which symbols and days, with a space before; nothing if all are.
        wanted: String,
    },
    /// The system does not let us write.
    #[error("cannot write {}: {source}", path.display())]
    Write {
        /// Which file or folder.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Another import holds the folder.
    #[error("another import is writing to {}: wait until it ends, or name another folder", path.display())]
    InUse {
        /// Which folder.
        path: PathBuf,
    },
    /// There is a file in the way.
    #[error(
        "{} is there already with other rows: name another folder, or let it be replaced with --replace",
        path.display()
    )]
    Exists {
        /// Which.
        path: PathBuf,
    },
    /// A symbol that is no name of a folder.
    #[error("{symbol} cannot be the name of a folder: take a symbol of letters, digits, '.', '-' and '_'")]
    Name {
        /// Which.
        symbol: Symbol,
    },
    /// A file as a whole.
    #[error("{}: {what}", path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// What is wrong, and what to do.
        what: String,
    },
    /// One row.
    #[error("{place}: {trouble}")]
    Row {
        /// Where.
        place: Place,
        /// What is wrong, and what to do.
        trouble: Trouble,
    },
    /// A word that is no repair.
    #[error(
        "{word:?} is no repair: take sort, drop, first, last, offsets or zone=NAME such as \
         zone=America/New_York"
    )]
    Mend {
        /// The word.
        word: String,
    },
}

/// What is wrong with a row.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum Trouble {
    /// A cell that is not what its column is of.
    #[error(
        "{column} is {text:?}, no {wanted}: correct the file, or let such rows be left out with --repair drop"
    )]
    Cell {
        /// Which column.
        column: &'static str,
        /// What it holds.
        text: String,
        /// What it should be.
        wanted: &'static str,
    },
    /// Figures that cannot be.
    #[error("{what}: correct the file, or let such rows be left out with --repair drop")]
    Impossible {
        /// What.
        what: String,
    },
    /// A time before the one of the row before.
    #[error(
        "the time goes back from {before} to {after}: sort the file, or let it be sorted with --repair sort"
    )]
    Unsorted {
        /// The row before.
        before: MarketTime,
        /// This row.
        after: MarketTime,
    },
    /// Two rows of one symbol and time that differ.
    #[error(
        "{symbol} has {time} twice, with other figures: correct the file, or keep one with --repair first or \
         --repair last"
    )]
    Twice {
        /// Which symbol.
        symbol: Symbol,
        /// When.
        time: MarketTime,
    },
    /// A time that does not say where it is.
    #[error("the time {text:?} has no zone: say which one is meant, as in --repair zone=America/New_York")]
    NoZone {
        /// The text.
        text: String,
    },
    /// Times of one file that are written in several zones.
    #[error(
        "the time {text:?} is written in another zone than those before it: correct the file, or take \
        each as \
         it says with --repair offsets"
    )]
    MixedZones {
        /// The text.
        text: String,
    },
    /// A bar that does not begin with a minute, or a quote between samples.
    #[error("{time} is no whole minute, and all before it were: correct the file, or split it")]
    OffMinute {
        /// When.
        time: MarketTime,
    },
}

impl Trouble {
    /// Whether leaving the row out mends it.
    pub(crate) const fn is_of_the_row(&self) -> bool {
        matches!(self, Self::Cell { .. } | Self::Impossible { .. })
    }
}
