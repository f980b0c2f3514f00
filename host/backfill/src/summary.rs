//! What is said at the end.

use std::fmt;

use jiff::civil::Date;
use sandpit_types::Symbol;

use crate::{
    core::End,
    progress::{Figures, hms},
};

/// Days of one symbol that could not be had, or not for sure with all their rows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LostDays {
    /// Which symbol.
    pub symbol: Symbol,
    /// The first day.
    pub first: Date,
    /// The last day.
    pub last: Date,
    /// How many days that count.
    pub days: usize,
    /// Why.
    pub reason: String,
}

/// How it went.
#[derive(Clone, Debug)]
pub struct Summary {
    /// How it ended.
    pub end: End,
    /// The figures at the end.
    pub figures: Figures,
    /// What was given up; the next run tries it again.
    pub skipped: Vec<LostDays>,
    /// Days with files from which rows may be missing; the next run fetches them again.
    pub in_doubt: Vec<LostDays>,
    /// Rows that could not be read; the days around them are in doubt.
    pub unreadable: u64,
    /// Rows of no day that was asked for; they are in no file.
    pub strays: u64,
}

impl LostDays {
    /// A long outage is one line of the report, not one for each day.
    pub(crate) fn note(self, list: &mut Vec<Self>) {
        match list.last_mut() {
            Some(last) if last.symbol == self.symbol && last.reason == self.reason => {
                last.first = last.first.min(self.first);
                last.last = last.last.max(self.last);
                last.days += self.days;
            }
            Some(_) | None => list.push(self),
        }
    }
}

impl Summary {
    /// Whether every row of every day that was asked for is there.
    pub fn is_whole(&self) -> bool {
        let is_sound = self.skipped.is_empty() && self.in_doubt.is_empty() && self.unreadable == 0;
        self.end == End::Done && is_sound
    }
}

/// The final report.
impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Figures { days, days_done, days_skipped, days_before, rows, requests, elapsed, .. } =
            self.figures;
        write!(
            f,
            "{days_done} of {days} days written, {days_skipped} skipped, {days_before} there before; "
        )?;
        write!(f, "{rows} rows, {requests} requests, {}", hms(elapsed))?;
        for skipped in &self.skipped {
            write!(f, "\nskipped {skipped}")?;
        }
        for days in &self.in_doubt {
            write!(f, "\nincomplete {days}")?;
        }
        if self.unreadable > 0 {
            write!(f, "\n{} rows could not be read and are left out", self.unreadable)?;
        }
        if self.strays > 0 {
            write!(f, "\n{} rows of other days came along and are left out", self.strays)?;
        }
        if self.end == End::Stopped {
            write!(f, "\nstopped; the same command goes on from here")?;
        }
        Ok(())
    }
}

impl fmt::Display for LostDays {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { symbol, first, last, days, reason } = self;
        if first == last {
            write!(f, "{symbol} {first}: {reason}")
        } else {
            write!(f, "{symbol} {days} days within {first} to {last}: {reason}")
        }
    }
}
