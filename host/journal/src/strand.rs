//! What one strategy records, until the writer takes it: a bounded buffer under a lock that nobody else
//! holds for longer than a swap takes.

use std::sync::{
    Arc, Mutex, MutexGuard, PoisonError,
    atomic::{AtomicUsize, Ordering},
};

use postcard::ser_flavors::Flavor;
use sandpit_strategy::{EntryRef, Recorder, StrategyEvent};

/// Bytes that one strategy may have waiting; past them entries are lost until the writer has taken what
/// waits.
pub const STRAND_BYTES_MAX: usize = 8 << 20;
/// Bytes that all strategies together may have waiting.
pub const WAITING_BYTES_MAX: usize = 64 << 20;
/// So many bytes are reserved at once, so that strategies seldom meet at the counter.
const RESERVED_BYTES: usize = 64 << 10;
/// What is only ticks may wait longer than one round, up to so many bytes.
const QUIET_BYTES: usize = 64 << 10;
/// A buffer with more room than this is given back after it was emptied.
const KEPT_BYTES: usize = 1 << 20;

/// How many bytes wait in all strands together.
#[derive(Debug, Default)]
pub(crate) struct Waiting(AtomicUsize);

impl Waiting {
    /// Whether so many more may wait; they do, then.
    fn reserve(&self, bytes: usize) -> bool {
        let before = self.0.fetch_add(bytes, Ordering::Relaxed);
        let fits = before.saturating_add(bytes) <= WAITING_BYTES_MAX;
        if !fits {
            self.release(bytes);
        }
        fits
    }

    fn release(&self, bytes: usize) {
        self.0.fetch_sub(bytes, Ordering::Relaxed);
    }
}

/// The recorder of one strategy. Dropping it ends its strand.
#[derive(Debug)]
pub struct Strand {
    buffer: Arc<Buffer>,
}

/// The buffer of a strand, shared with the writer.
#[derive(Debug)]
pub(crate) struct Buffer {
    held: Mutex<Held>,
    waiting: Arc<Waiting>,
}

#[derive(Debug, Default)]
struct Held {
    taken: Taken,
    reserved: usize,
    /// Whether there is more than ticks.
    is_urgent: bool,
    has_ended: bool,
}

/// What the writer takes at a time: entries, and behind them what was lost.
#[derive(Debug, Default)]
pub(crate) struct Taken {
    /// Number of the first entry.
    pub(crate) first: u64,
    /// How many.
    pub(crate) count: u32,
    /// Their bytes.
    pub(crate) bytes: Vec<u8>,
    /// How many after them were lost.
    pub(crate) lost: u64,
    /// Whether nothing comes any more.
    pub(crate) is_last: bool,
}

impl Taken {
    fn next(&self) -> u64 {
        self.first + u64::from(self.count) + self.lost
    }
}

impl Strand {
    pub(crate) fn new(waiting: Arc<Waiting>) -> Self {
        Self { buffer: Arc::new(Buffer { held: Mutex::default(), waiting }) }
    }

    pub(crate) fn buffer(&self) -> Arc<Buffer> {
        Arc::clone(&self.buffer)
    }

    /// Adds an entry that `write` appends to the bytes; one that it does not want to write, or for which
    /// there is no room, is lost.
    pub(crate) fn add(&self, is_urgent: bool, write: impl FnOnce(&mut Vec<u8>) -> bool) {
        let mut held = self.buffer.lock();
        held.is_urgent |= is_urgent;
        let Held { taken, reserved, .. } = &mut *held;
        if taken.lost == 0 {
            let before = taken.bytes.len();
            let fits = write(&mut taken.bytes)
                && taken.bytes.len() <= STRAND_BYTES_MAX
                && self.buffer.room(reserved, taken.bytes.len());
            if fits {
                taken.count += 1;
                return;
            }
            taken.bytes.truncate(before);
        }
        taken.lost += 1;
    }
}

impl Drop for Strand {
    fn drop(&mut self) {
        self.buffer.lock().has_ended = true;
    }
}

impl Recorder for Strand {
    fn record(&mut self, entry: EntryRef<'_>) {
        let is_urgent = !matches!(entry, EntryRef::Event(StrategyEvent::Tick(_)));
        self.add(is_urgent, |bytes| postcard::serialize_with_flavor(&entry, Behind(bytes)).is_ok());
    }
}

impl Buffer {
    /// Takes out what waits, and leaves the empty `spare` in its place; `None` when there is nothing to say,
    /// or nothing but a few ticks, which only a `thorough` look takes.
    pub(crate) fn take(&self, spare: &mut Vec<u8>, thorough: bool) -> Option<Taken> {
        let mut held = self.lock();
        let is_last = held.has_ended;
        let is_empty = held.taken.count == 0 && held.taken.lost == 0;
        let may_wait = !thorough && !held.is_urgent && held.taken.bytes.len() < QUIET_BYTES;
        if !is_last && (is_empty || may_wait) {
            return None;
        }
        held.is_urgent = false;
        let next = Taken { first: held.taken.next(), bytes: std::mem::take(spare), ..Taken::default() };
        let taken = std::mem::replace(&mut held.taken, next);
        self.waiting.release(std::mem::take(&mut held.reserved));
        Some(Taken { is_last, ..taken })
    }

    /// Whether `bytes` may wait here, after what is reserved was made enough.
    fn room(&self, reserved: &mut usize, bytes: usize) -> bool {
        let Some(missing) = bytes.checked_sub(*reserved).filter(|missing| *missing > 0) else { return true };
        let more = missing.next_multiple_of(RESERVED_BYTES);
        let fits = self.waiting.reserve(more);
        if fits {
            *reserved += more;
        }
        fits
    }

    /// Counts and bytes agree at every moment at which something may panic.
    fn lock(&self) -> MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Empties a buffer that was taken, for the next time; a large one is given back to the system.
pub(crate) fn emptied(mut bytes: Vec<u8>) -> Vec<u8> {
    bytes.clear();
    bytes.shrink_to(KEPT_BYTES);
    bytes
}

/// Serializes behind what a buffer holds already.
struct Behind<'a>(&'a mut Vec<u8>);

impl Flavor for Behind<'_> {
    type Output = ();

    fn try_extend(&mut self, bytes: &[u8]) -> postcard::Result<()> {
        self.0.extend_from_slice(bytes);
        Ok(())
    }

    fn try_push(&mut self, byte: u8) -> postcard::Result<()> {
        self.0.push(byte);
        Ok(())
    }

    fn finalize(self) -> postcard::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn strands(count: usize) -> (Arc<Waiting>, Vec<Strand>) {
        let waiting = Arc::new(Waiting::default());
        let strands = (0..count).map(|_| Strand::new(Arc::clone(&waiting))).collect();
        (waiting, strands)
    }

    fn fill(strand: &Strand, bytes: usize) {
        strand.add(true, |to| {
            to.resize(to.len() + bytes, 7);
            true
        });
    }

    fn take(strand: &Strand) -> Option<(u64, u32, usize, u64)> {
        let taken = strand.buffer.take(&mut Vec::new(), false)?;
        Some((taken.first, taken.count, taken.bytes.len(), taken.lost))
    }

    #[test]
    fn entries_are_counted_and_taken_once() {
        let (waiting, strands) = strands(1);
        let strand = &strands[0];
        assert_eq!(take(strand), None);
        fill(strand, 10);
        fill(strand, 20);
        assert_eq!(waiting.0.load(Ordering::Relaxed), RESERVED_BYTES);
        assert_eq!(take(strand), Some((0, 2, 30, 0)));
        assert_eq!(waiting.0.load(Ordering::Relaxed), 0);
        assert_eq!(take(strand), None);
        fill(strand, 5);
        assert_eq!(take(strand), Some((2, 1, 5, 0)));
    }

    #[test]
    fn past_the_bound_entries_are_lost_until_it_is_emptied() {
        let (_, strands) = strands(1);
        let strand = &strands[0];
        fill(strand, STRAND_BYTES_MAX - 1);
        fill(strand, 2);
        // It would fit, but a gap is at one place only.
        fill(strand, 1);
        strand.add(true, |_| false);
        assert_eq!(take(strand), Some((0, 1, STRAND_BYTES_MAX - 1, 3)));
        fill(strand, STRAND_BYTES_MAX);
        assert_eq!(take(strand), Some((4, 1, STRAND_BYTES_MAX, 0)));
    }

    #[test]
    fn a_few_ticks_wait_for_a_thorough_look_or_company() {
        let (_, mut strands) = strands(1);
        let strand = &mut strands[0];
        let tick = StrategyEvent::Tick(sandpit_types::MarketTime::EPOCH);
        strand.record(EntryRef::Event(&tick));
        assert_eq!(take(strand), None);
        assert!(strand.buffer.take(&mut Vec::new(), true).is_some_and(|taken| taken.count == 1));
        strand.record(EntryRef::Event(&tick));
        strand.record(EntryRef::Lost { limit: 1 });
        assert!(take(strand).is_some_and(|(first, count, ..)| (first, count) == (1, 2)), "in their order");
        strand.record(EntryRef::Event(&tick));
        assert_eq!(take(strand), None);
        (0..QUIET_BYTES).for_each(|_| strand.record(EntryRef::Event(&tick)));
        assert!(take(strand).is_some(), "they are many");
    }

    #[test]
    fn all_strands_together_are_bounded() {
        let (waiting, strands) = strands(12);
        strands.iter().for_each(|strand| fill(strand, STRAND_BYTES_MAX));
        let lost: u64 = strands.iter().filter_map(take).map(|taken| taken.3).sum();
        assert_eq!(lost, 12 - (WAITING_BYTES_MAX / STRAND_BYTES_MAX) as u64);
        assert_eq!(waiting.0.load(Ordering::Relaxed), 0, "everything was given back");
    }

    #[test]
    fn an_ended_strand_says_so_once_it_was_taken() {
        let (_, mut strands) = strands(1);
        let strand = strands.pop().expect("one");
        let buffer = strand.buffer();
        fill(&strand, 3);
        drop(strand);
        let taken = buffer.take(&mut Vec::new(), false).expect("something waits");
        assert!(taken.is_last && taken.count == 1);
    }
}
