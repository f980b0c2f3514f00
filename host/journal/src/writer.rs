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
//!
//! A strand may have as many bytes of the session as are left to all others, see [`Share`]: who floods it
//! ends the recording of nobody else.

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
/// What is missing of a share that is spent is told after so many rounds: ten minutes.
const TELL_ROUNDS: u32 = 12_000;
/// Small frames of several strands are written together up to here, bytes.
const BATCH_BYTES: usize = 256 << 10;

/// A strand as the writer knows it.
#[derive(Debug)]
pub(crate) struct Line {
    pub(crate) number: u32,
    pub(crate) strategy: StrategyName,
    pub(crate) buffer: Arc<Buffer>,
    share: Share,
}

/// What one strand has had of the session. It may not have more than is left: the first that floods the
/// session stops at half of it, the next at half of what is left then, and whoever writes little goes on to
/// the end. Room does not come back, so a share that is spent stays so.
#[derive(Clone, Copy, Debug)]
enum Share {
    /// Bytes that were written.
    Written(u64),
    /// Nothing is written any more. The log does not say yet that these are missing.
    Spent { first: u64, lost: u64 },
}

impl Line {
    pub(crate) fn new(number: u32, strategy: StrategyName, buffer: Arc<Buffer>) -> Self {
        Self { number, strategy, buffer, share: Share::Written(0) }
    }
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
        if self.rounds.is_multiple_of(TELL_ROUNDS) {
            self.tell_spent();
        }
        if let Err(error) = self.write(is_second) {
            self.fails(&error);
        } else if is_second {
            self.sync();
        }
    }

    /// Writes everything, once more, and the end behind it.
    pub(crate) fn close(&mut self) {
        let outcome = self.write(true).and_then(|()| {
            self.tell_spent();
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
        while at < self.lines.len() {
            let line = &mut self.lines[at];
            let Some(taken) = line.buffer.take(&mut self.spare, thorough) else {
                at += 1;
                continue;
            };
            let is_last = taken.is_last;
            self.accept(at, taken);
            if is_last {
                self.tell_spent();
                self.lines.remove(at);
            } else {
                at += 1;
            }
            if self.pending.len() >= BATCH_BYTES {
                self.flush()?;
            }
        }
        self.flush()
    }

    /// Frames what was taken from a line, if that may have so much more.
    fn accept(&mut self, at: usize, taken: Taken) {
        let (line, bytes) = (&mut self.lines[at], taken.bytes.len() as u64);
        let used = self.segments.bytes() + self.pending.len() as u64 + bytes;
        let missing = u64::from(taken.count) + taken.lost;
        match &mut line.share {
            Share::Written(had) if bytes == 0 || *had + bytes <= self.limit_bytes.saturating_sub(used) => {
                *had += bytes;
                let number = line.number;
                return self.frame(number, taken);
            }
            Share::Written(had) => {
                let (strategy, mib) = (line.strategy.as_str(), *had >> 20);
                tracing::error!(
                    strategy,
                    mib,
                    "it is recorded no further in this session: it has had as much of journal.max_mb as is \
                     left to all others; it trades on, but what comes now cannot be replayed"
                );
                line.share = Share::Spent { first: taken.first, lost: missing };
                self.tell_spent();
            }
            Share::Spent { first, lost } => {
                if *lost == 0 {
                    *first = taken.first;
                }
                *lost += missing;
            }
        }
        self.counters.lost.fetch_add(missing, Ordering::Relaxed);
        self.spare = emptied(taken.bytes);
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

    /// Says in the log what is missing of shares that are spent.
    fn tell_spent(&mut self) {
        for line in &mut self.lines {
            if let Share::Spent { first, lost } = &mut line.share
                && *lost > 0
            {
                let (first, lost) = (*first, std::mem::take(lost));
                frame::put(&mut self.pending, &Frame::Gap { strand: line.number, first, lost });
            }
        }
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
                event = "disk-full",
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
