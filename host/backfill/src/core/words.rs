//! What the core is told, and what it says.

use std::{ops::Range, time::Duration};

use sandpit_types::MarketTime;

use crate::{days::Day, fault::Fault};

/// What is to be fetched.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Every day of the run, in order.
    pub days: Vec<Day>,
    /// Of each symbol, which of them are wanted: places in `days`, in order, none twice.
    pub wanted: Vec<Vec<Range<usize>>>,
    /// How many key pairs there are.
    pub keys: usize,
}

/// A key pair by its place.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Key(pub usize);

/// One request; a later one has a larger ticket.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Ticket(pub(super) u64);

/// One page to ask for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// To answer with.
    pub ticket: Ticket,
    /// Whose budget pays.
    pub key: Key,
    /// Which symbol, by its place.
    pub symbol: usize,
    /// First moment.
    pub from: MarketTime,
    /// The moment after the last.
    pub to: MarketTime,
    /// Which page of this question; `None` for the first.
    pub page: Option<String>,
}

/// Something happened.
#[derive(Debug)]
pub enum Input<R> {
    /// Time passed.
    Tick,
    /// An answer came.
    Page {
        /// Of this request.
        ticket: Ticket,
        /// Its rows, oldest first.
        rows: Vec<R>,
        /// Rows of it that could not be read.
        unreadable: u64,
        /// What to ask the next page with.
        next: Option<String>,
    },
    /// A request brought nothing.
    Failed {
        /// Which.
        ticket: Ticket,
        /// Why.
        fault: Fault,
    },
    /// The user wants to stop: no request is made any more, those under way may come home.
    Stop,
}

/// Days that were given up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Skip {
    /// Of which symbol, by its place.
    pub symbol: usize,
    /// Which days, by their place.
    pub days: Range<usize>,
    /// Why.
    pub reason: String,
}

/// What a human may want to know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Note {
    /// A key pair rests.
    Waiting {
        /// Which.
        key: Key,
        /// For how long.
        pause: Duration,
        /// Why.
        reason: String,
    },
    /// A key pair is not accepted and is not used any more.
    KeyLost {
        /// Which.
        key: Key,
        /// The broker's words.
        reason: String,
    },
    /// Days were given up.
    Skipped(Skip),
}

/// How it ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum End {
    /// Every day is written or skipped.
    Done,
    /// Stopped as asked.
    Stopped,
    /// No key pair is left.
    NoKey {
        /// What was said to the last of them.
        reason: String,
    },
}

/// What to do, in this order.
#[derive(Debug)]
pub enum Output<R> {
    /// Ask.
    Ask(Request),
    /// Write a file: this day of this symbol is whole.
    Write {
        /// Which symbol, by its place.
        symbol: usize,
        /// Which day, by its place.
        day: usize,
        /// Its rows in order, none twice; often none.
        rows: Vec<R>,
        /// Whether rows of it may be missing, because one of these pages had some that could not be read: it
        /// is not done then.
        is_in_doubt: bool,
    },
    /// Rows of this day came after it was written, and are not in its file: it is not done.
    Forget {
        /// Which symbol, by its place.
        symbol: usize,
        /// Which day, by its place.
        day: usize,
    },
    /// Keep what was written so far as done.
    Checkpoint,
    /// Tell the human.
    Tell(Note),
    /// It is over; nothing comes after this.
    Over(End),
}
