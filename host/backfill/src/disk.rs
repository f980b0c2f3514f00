//! The folder's end: files and checkpoint, off the loop.

use std::{ops::Range, sync::Arc};

use sandpit_types::Symbol;

use crate::{checkpoint::Checkpoint, days::Day, error::BackfillError, folder::Folder, kind::Kind};

/// What is to be done on the disk.
pub(crate) enum Deed<R> {
    /// Write the file of a day; one in doubt does not count as done.
    Write { symbol: Symbol, day: usize, rows: Vec<R>, is_in_doubt: bool },
    /// A day that was written is not done after all.
    Forget { symbol: Symbol, day: usize },
    /// Keep what is done.
    Checkpoint,
}

/// The folder and what it holds.
pub(crate) struct Disk {
    pub(crate) folder: Folder,
    pub(crate) checkpoint: Checkpoint,
    pub(crate) days: Arc<[Day]>,
}

impl Disk {
    /// The days of a symbol that are not written: those the checkpoint does not know, and those whose file
    /// has gone.
    pub(crate) fn missing(&self, symbol: &Symbol) -> Vec<Range<usize>> {
        let mut ranges: Vec<Range<usize>> = Vec::new();
        for (at, day) in self.days.iter().enumerate() {
            if self.checkpoint.has(symbol, day.date) && self.folder.day(symbol, day.date).exists() {
                continue;
            }
            match ranges.last_mut() {
                Some(range) if range.end == at => range.end += 1,
                Some(_) | None => ranges.push(at..at + 1),
            }
        }
        ranges
    }

    /// Does what is to be done, in order, on a thread that may wait for the disk. When something cannot be
    /// written, what was written before is kept as done.
    pub(crate) async fn perform<K: Kind>(mut self, deeds: Vec<Deed<K::Row>>) -> Result<Self, BackfillError> {
        if deeds.is_empty() {
            return Ok(self);
        }
        let work = move || match deeds.into_iter().try_for_each(|deed| self.do_one::<K>(deed)) {
            Ok(()) => Ok(self),
            Err(error) => {
                // The first error is the one to tell.
                let _ = self.folder.save(&self.checkpoint);
                Err(error)
            }
        };
        match tokio::task::spawn_blocking(work).await {
            Ok(done) => done,
            Err(error) => Err(BackfillError::Broken { message: error.to_string() }),
        }
    }

    fn do_one<K: Kind>(&mut self, deed: Deed<K::Row>) -> Result<(), BackfillError> {
        match deed {
            Deed::Write { symbol, day, rows, is_in_doubt } => {
                let bytes = K::encode(&symbol, &rows, self.folder.origin())?;
                self.folder.write_day(&symbol, self.days[day].date, &bytes)?;
                if is_in_doubt {
                    self.forget(&symbol, day);
                } else {
                    self.note(&symbol, day);
                }
                Ok(())
            }
            Deed::Forget { symbol, day } => {
                self.forget(&symbol, day);
                Ok(())
            }
            Deed::Checkpoint => self.folder.save(&self.checkpoint),
        }
    }

    fn note(&mut self, symbol: &Symbol, day: usize) {
        let date_at = |at: usize| self.days.get(at).map(|day| day.date);
        let (before, after) = (day.checked_sub(1).and_then(date_at), date_at(day + 1));
        self.checkpoint.note(symbol, self.days[day].date, before, after);
    }

    fn forget(&mut self, symbol: &Symbol, day: usize) {
        self.checkpoint.forget(symbol, self.days[day].date);
    }
}
