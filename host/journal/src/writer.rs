//! The one who writes: takes what waits in the strands, frames it and puts it into segments. It runs on a
//! thread of its own, so that no strategy ever waits for a disk.
//!
//! ```text
//!            a write fails                      it is tried again after RETRY_ROUNDS
//!   Writing --------------> Failing(rounds) ----------------------------------------> Writing
//! ```
//!
//! While it fails, what was taken is kept and nothing more is taken: strands fill up to their bounds, then
//! lose entries, and the gap is written into the log as soon as something can be written. Too little room on
//! the disk is a write that fails, before it does: see [`Room`].

use std::{
    io,
    sync::{Arc, Mutex, PoisonError, atomic::Ordering},
};

use sandpit_types::StrategyName;

use crate::{
    Counters,
    disk::Disk,
    frame::{self, Frame},
    room::{Room, reserve},
    segments::Segments,
    strand::{Buffer, Taken, emptied},
};

/// A failed write is tried again after so many rounds: a second.
pub(crate) const RETRY_ROUNDS: u32 = 20;
/// What was written is synced, and what is only ticks is taken, after so many rounds: a second.
pub(crate) const SYNC_ROUNDS: u32 = 20;
/// Small frames of several strands are written together up to here, bytes.
const BATCH_BYTES: usize = 256 << 10;

/// A strand as the writer knows it.
#[derive(Debug)]
pub(crate) struct Line {
    pub(crate) number: u32,
    pub(crate) strategy: StrategyName,
    pub(crate) buffer: Arc<Buffer>,
}

/// Strands that were opened, until the writer has seen them.
pub(crate) type Opened = Arc<Mutex<Vec<Line>>>;

/// Forgets old sessions, the oldest until so many bytes have become free.
pub(crate) type Prune = Box<dyn FnMut(u64) + Send>;

pub(crate) struct Writer<D: Disk> {
    segments: Segments<D>,
    /// The most bytes of this session.
    limit_bytes: u64,
    opened: Opened,
    lines: Vec<Line>,
    /// Frames that have to be written before anything else.
    pending: Vec<u8>,
    /// How many entries are in them, and how many are told as lost.
    pending_entries: u64,
    pending_lost: u64,
    spare: Vec<u8>,
    state: State,
    rounds: u32,
    room: Room,
    prune: Prune,
    counters: Arc<Counters>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Writing,
    /// So many rounds are left until it is tried again.
    Failing(u32),
}

impl<D: Disk> Writer<D> {
    pub(crate) fn new(
        segments: Segments<D>,
        limit_bytes: u64,
        opened: Opened,
        counters: Arc<Counters>,
        prune: Prune,
    ) -> Self {
        Self {
            segments,
            limit_bytes,
            opened,
            lines: Vec::new(),
            pending: Vec::new(),
            pending_entries: 0,
            pending_lost: 0,
            spare: Vec::new(),
            state: State::Writing,
            rounds: 0,
            room: Room::default(),
            prune,
            counters,
        }
    }

    /// How many segments were begun.
    pub(crate) fn segments(&self) -> u32 {
        self.segments.count()
    }

    /// Forgets old sessions, the oldest until so many bytes have become free.
    pub(crate) fn prune(&mut self, wanting_bytes: u64) {
        (self.prune)(wanting_bytes);
    }

    /// Writes what waits, and syncs when it is time.
    pub(crate) fn round(&mut self) {
        self.rounds = self.rounds.wrapping_add(1);
        match self.state {
            State::Failing(left) if left > 1 => {
                self.state = State::Failing(left - 1);
                return;
            }
            State::Failing(_) | State::Writing => {}
        }
        let is_second = self.rounds.is_multiple_of(SYNC_ROUNDS);
        if let Err(error) = self.write(is_second) {
            self.fails(&error);
        } else if is_second {
            self.sync();
        }
    }

    /// Writes everything, once more, and the end behind it.
    pub(crate) fn close(&mut self) {
        let outcome = self.write(true).and_then(|()| {
            frame::put(&mut self.pending, &Frame::Closed);
            self.flush()
        });
        match outcome {
            Ok(()) => self.sync(),
            Err(error) => {
                let unwritten = self.pending_entries;
                tracing::error!(%error, unwritten, "the end of the journal could not be written");
            }
        }
    }

    /// Writes what waits; a `thorough` look also takes what is only ticks.
    fn write(&mut self, thorough: bool) -> io::Result<()> {
        if thorough || self.state != State::Writing {
            self.look_for_room()?;
        }
        self.flush()?;
        let mut opened = std::mem::take(&mut *self.opened.lock().unwrap_or_else(PoisonError::into_inner));
        for line in &opened {
            let (strand, name) = (line.number, line.strategy.to_string());
            frame::put(&mut self.pending, &Frame::Named { strand, name });
        }
        self.lines.append(&mut opened);
        let mut at = 0;
        while let Some(line) = self.lines.get(at) {
            let number = line.number;
            let Some(taken) = line.buffer.take(&mut self.spare, thorough) else {
                at += 1;
                continue;
            };
            if taken.is_last {
                self.lines.remove(at);
            } else {
                at += 1;
            }
            self.frame(number, taken);
            if self.pending.len() >= BATCH_BYTES {
                self.flush()?;
            }
        }
        self.flush()
    }

    fn frame(&mut self, strand: u32, taken: Taken) {
        let Taken { first, count, bytes, lost, is_last: _ } = taken;
        if count > 0 {
            frame::put_entries(&mut self.pending, strand, first, count, &bytes);
            self.pending_entries += u64::from(count);
        }
        if lost > 0 {
            let first = first + u64::from(count);
            frame::put(&mut self.pending, &Frame::Gap { strand, first, lost });
            self.pending_lost += lost;
        }
        self.spare = emptied(bytes);
    }

    fn flush(&mut self) -> io::Result<()> {
        if self.pending.is_empty() {
            return Ok(());
        }
        if self.segments.bytes() + self.pending.len() as u64 > self.limit_bytes {
            return Err(io::Error::new(io::ErrorKind::QuotaExceeded, "it has reached journal.max_mb"));
        }
        if self.segments.begins(self.pending.len() as u64) {
            self.look_for_room()?;
        }
        self.segments.append(&self.pending)?;
        self.pending = emptied(std::mem::take(&mut self.pending));
        let (entries, lost) =
            (std::mem::take(&mut self.pending_entries), std::mem::take(&mut self.pending_lost));
        self.counters.bytes.store(self.segments.bytes(), Ordering::Relaxed);
        self.counters.entries.fetch_add(entries, Ordering::Relaxed);
        self.counters.lost.fetch_add(lost, Ordering::Relaxed);
        if lost > 0 {
            tracing::error!(lost, "entries are missing in the journal: what was lost cannot be replayed");
        }
        if self.state != State::Writing {
            self.state = State::Writing;
            tracing::warn!(lost, "the journal is written again");
        }
        Ok(())
    }

    /// Old sessions make room before nothing is written any more.
    fn look_for_room(&mut self) -> io::Result<()> {
        // A disk that does not even tell its room will tell the write what is wrong with it.
        let Ok(space) = self.segments.space() else { return Ok(()) };
        let wanting = self.room.on(space);
        if wanting == 0 {
            return Ok(());
        }
        (self.prune)(wanting);
        let Ok(space) = self.segments.space() else { return Ok(()) };
        if self.room.on(space) == 0 {
            return Ok(());
        }
        let (free, reserve) = (space.free >> 20, reserve(space) >> 20);
        let message = format!("{free} MiB are free, the last {reserve} MiB are left to the database");
        Err(io::Error::new(io::ErrorKind::StorageFull, message))
    }

    /// Says it once, until something could be written again.
    fn fails(&mut self, error: &io::Error) {
        if self.state == State::Writing {
            tracing::error!(
                %error,
                "the journal cannot be written: trading goes on, and what does not fit into memory will be \
                 missing; make room on the disk of state_dir, or raise journal.max_mb and restart"
            );
        }
        self.state = State::Failing(RETRY_ROUNDS);
        self.counters.failures.fetch_add(1, Ordering::Relaxed);
    }

    fn sync(&mut self) {
        if let Err(error) = self.segments.sync() {
            tracing::error!(%error, "the journal may not be on the disk");
        }
    }
}

#[cfg(test)]
#[path = "writer_tests.rs"]
mod tests;
