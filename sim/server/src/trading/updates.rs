//! The trade updates of the run: a bounded record for replays, and whoever reads on from its end.

use std::{collections::VecDeque, sync::Arc, time::Duration};

use sandpit_types::MarketTime;
use sandpit_venue::VenueEvent;
use tokio::sync::mpsc;

use super::ulid::Ulid;

/// Most updates kept for replays (some 25 MB); the oldest go.
const MAX_KEPT: usize = 32_768;
/// Most readers at a time; one more is refused.
pub(crate) const MAX_READERS: usize = 256;
/// Most updates that wait for one reader; a reader that falls further behind is dropped.
const MAX_WAITING: usize = 16_384;

/// One trade update, as the event stream names it.
#[derive(Clone, Debug)]
pub(crate) struct Update {
    /// Sorts by time.
    pub(crate) id: Ulid,
    /// When it was announced. No two have the same time, so that a client that goes on a nanosecond after the
    /// last one it saw (the Go SDK) misses none.
    pub(crate) at: MarketTime,
    /// What happened.
    pub(crate) event: VenueEvent,
}

/// Since where a reader wants updates.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Since {
    /// Since now on.
    #[default]
    Now,
    /// Since this moment on, the moment included.
    Moment(MarketTime),
    /// What came after this one.
    After(Ulid),
}

/// How far a reader wants updates; both ends are included.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Until {
    /// There is no end.
    #[default]
    Ever,
    /// This moment.
    Moment(MarketTime),
    /// This update.
    Update(Ulid),
}

impl Since {
    fn wants(self, update: &Update) -> bool {
        match self {
            Self::Now => false,
            Self::Moment(moment) => update.at >= moment,
            Self::After(id) => update.id > id,
        }
    }
}

impl Until {
    fn wants(self, update: &Update) -> bool {
        match self {
            Self::Ever => true,
            Self::Moment(moment) => update.at <= moment,
            Self::Update(id) => update.id <= id,
        }
    }
}

/// What a reader gets.
#[derive(Debug)]
pub(crate) struct Reading {
    /// What is recorded already, in order.
    pub(crate) past: Vec<Arc<Update>>,
    /// What comes then; ends when the reader is too slow.
    pub(crate) coming: mpsc::Receiver<Arc<Update>>,
}

/// The record and its readers.
#[derive(Debug, Default)]
pub(crate) struct Updates {
    kept: VecDeque<Arc<Update>>,
    count: u64,
    last: Option<MarketTime>,
    readers: Vec<Reader>,
}

/// Who reads on from the end of the record.
#[derive(Debug)]
struct Reader {
    until: Until,
    /// The last update of the record from which it was told, if it was: what a fault holds back may be among
    /// them and is not told again.
    recorded: Option<Ulid>,
    queue: mpsc::Sender<Arc<Update>>,
}

impl Reader {
    fn wants(&self, update: &Update) -> bool {
        self.until.wants(update) && self.recorded.is_none_or(|last| update.id > last)
    }
}

impl Updates {
    /// Records what happened. The readers are told apart: on the way to them an update may get lost.
    pub(crate) fn record(&mut self, event: VenueEvent) -> Arc<Update> {
        self.count += 1;
        let next = self.last.map_or(event.time, |last| event.time.max(last + Duration::from_nanos(1)));
        self.last = Some(next);
        let update = Arc::new(Update { id: Ulid::new(next, self.count), at: next, event });
        if self.kept.len() == MAX_KEPT {
            self.kept.pop_front();
        }
        self.kept.push_back(update.clone());
        update
    }

    /// Hands an update to the readers; one that does not keep up is dropped.
    pub(crate) fn tell(&mut self, update: &Arc<Update>) {
        self.readers.retain(|reader| {
            if !reader.wants(update) {
                return !reader.queue.is_closed();
            }
            reader.queue.try_send(update.clone()).is_ok()
        });
    }

    /// Whether every reader has room for so many updates.
    pub(crate) fn have_room(&self, updates: usize) -> bool {
        self.readers.iter().all(|reader| reader.queue.is_closed() || reader.queue.capacity() >= updates)
    }

    /// Drops every reader who has no room for so many updates.
    pub(crate) fn drop_slow(&mut self, updates: usize) {
        self.readers.retain(|reader| reader.queue.capacity() >= updates);
    }

    /// Every reader's stream ends.
    pub(crate) fn cut(&mut self) {
        self.readers.clear();
    }

    /// Begins to read; `None` when there are too many readers.
    pub(crate) fn read(&mut self, since: Since, until: Until) -> Option<Reading> {
        self.readers.retain(|reader| !reader.queue.is_closed());
        if self.readers.len() >= MAX_READERS {
            return None;
        }
        let wanted = self.kept.iter().filter(|update| since.wants(update) && until.wants(update));
        let (queue, coming) = mpsc::channel(MAX_WAITING);
        let past = wanted.cloned().collect();
        let recorded = self.kept.back().filter(|_| since != Since::Now).map(|last| last.id);
        self.readers.push(Reader { until, recorded, queue });
        Some(Reading { past, coming })
    }

    /// Whether nothing more can come for a reader that reads so far.
    pub(crate) fn is_over(&self, until: Until, now: MarketTime) -> bool {
        match until {
            Until::Ever => false,
            Until::Moment(moment) => now > moment,
            Until::Update(id) => self.kept.back().is_some_and(|last| last.id >= id),
        }
    }
}

#[cfg(test)]
mod tests {
    use sandpit_types::Symbol;
    use sandpit_venue::{Venue, VenueConfig};

    use super::*;

    /// `count` updates at the same moment.
    fn events(count: usize) -> Vec<VenueEvent> {
        let symbol = Symbol::new("SPY");
        let mut venue = Venue::new(VenueConfig::default(), std::slice::from_ref(&symbol), MarketTime::EPOCH);
        let order = crate::trading::tests::resting_order(symbol);
        let open = MarketTime::parse("2026-03-16T14:00:00Z").expect("a time");
        venue.submit(order, open).expect("taken");
        let event = venue.drain_events().remove(0);
        std::iter::repeat_n(event, count).collect()
    }

    /// Something happens, and the readers hear of it.
    fn happen(updates: &mut Updates, event: VenueEvent) {
        let update = updates.record(event);
        updates.tell(&update);
    }

    #[test]
    fn replays_are_bounded_and_exact() {
        let mut updates = Updates::default();
        events(6).into_iter().for_each(|event| happen(&mut updates, event));
        let taken = Vec::from(updates.kept.clone());
        assert!(taken.is_sorted_by(|a, b| a.id < b.id && a.at < b.at));
        let mut check = |since, until, expected: &[usize]| {
            let reading = updates.read(since, until).expect("room");
            let got: Vec<Ulid> = reading.past.iter().map(|update| update.id).collect();
            assert_eq!(got, expected.iter().map(|&n| taken[n].id).collect::<Vec<_>>(), "{since:?} {until:?}");
        };
        check(Since::Now, Until::Ever, &[]);
        check(Since::Moment(MarketTime::EPOCH), Until::Ever, &[0, 1, 2, 3, 4, 5]);
        check(Since::Moment(taken[4].at), Until::Ever, &[4, 5]);
        check(Since::Moment(taken[4].at + Duration::from_nanos(1)), Until::Ever, &[5]);
        check(Since::After(taken[4].id), Until::Ever, &[5]);
        check(Since::After(taken[1].id), Until::Update(taken[3].id), &[2, 3]);
        check(Since::Moment(taken[1].at), Until::Moment(taken[2].at), &[1, 2]);
        for event in events(MAX_KEPT) {
            happen(&mut updates, event);
        }
        let reading = updates.read(Since::After(taken[0].id), Until::Ever).expect("room");
        assert_eq!(reading.past.len(), MAX_KEPT);
    }

    #[test]
    fn what_is_told_late_comes_once() {
        let mut updates = Updates::default();
        let late = updates.record(events(1).remove(0));
        let mut read = |since| updates.read(since, Until::Ever).expect("room");
        let (mut replayed, mut fresh) = (read(Since::Moment(MarketTime::EPOCH)), read(Since::Now));
        let mut after = read(Since::After(late.id));
        updates.tell(&late);
        assert_eq!((replayed.past.len(), fresh.past.len(), after.past.len()), (1, 0, 0));
        assert!(replayed.coming.try_recv().is_err(), "it was told from the record");
        assert!(after.coming.try_recv().is_err(), "it is not after itself");
        assert_eq!(fresh.coming.try_recv().map(|update| update.id), Ok(late.id));
        happen(&mut updates, events(1).remove(0));
        for reading in [&mut replayed, &mut fresh, &mut after] {
            assert!(reading.coming.try_recv().is_ok());
        }
    }

    #[test]
    fn readers_without_room_are_known_until_they_go() {
        let mut updates = Updates::default();
        let reading = updates.read(Since::Now, Until::Ever).expect("room");
        assert!(updates.have_room(MAX_WAITING));
        happen(&mut updates, events(1).remove(0));
        assert!(!updates.have_room(MAX_WAITING) && updates.have_room(MAX_WAITING - 1));
        updates.drop_slow(MAX_WAITING - 1);
        assert!(!reading.coming.is_closed() && !updates.have_room(MAX_WAITING));
        updates.drop_slow(MAX_WAITING);
        assert!(reading.coming.is_closed() && updates.have_room(MAX_WAITING));
        let reading = updates.read(Since::Now, Until::Ever).expect("room");
        happen(&mut updates, events(1).remove(0));
        assert!(!updates.have_room(MAX_WAITING));
        drop(reading);
        assert!(updates.have_room(MAX_WAITING));
    }

    #[test]
    fn a_slow_reader_is_dropped_and_readers_are_bounded() {
        let mut updates = Updates::default();
        let mut slow = updates.read(Since::Now, Until::Ever).expect("room").coming;
        let mut quick = updates.read(Since::Now, Until::Ever).expect("room").coming;
        let mut ended = updates.read(Since::Now, Until::Moment(MarketTime::EPOCH)).expect("room").coming;
        for event in events(MAX_WAITING + 1) {
            happen(&mut updates, event);
            assert!(quick.try_recv().is_ok());
        }
        assert!(slow.is_closed() && !quick.is_closed() && ended.try_recv().is_err());
        assert!(slow.try_recv().is_ok(), "what waits is still there");
        let mut others: Vec<_> = std::iter::from_fn(|| updates.read(Since::Now, Until::Ever)).collect();
        assert_eq!(others.len(), MAX_READERS - 2);
        others.pop();
        assert!(updates.read(Since::Now, Until::Ever).is_some());
    }
}
