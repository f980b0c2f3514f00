//! The timers of one strategy: they fire once, in order of time, then of id.

use std::collections::{BTreeSet, HashMap};

use sandpit_types::{Intent, MarketTime};

/// Timers set and not fired yet.
#[derive(Clone, Debug, Default)]
pub(crate) struct Timers {
    by_time: BTreeSet<(MarketTime, u64)>,
    by_id: HashMap<u64, MarketTime>,
}

impl Timers {
    /// Does what an intent says of timers.
    pub(crate) fn follow(&mut self, intent: &Intent) {
        match intent {
            Intent::SetTimer { id, at } => self.set(*id, *at),
            Intent::CancelTimer(id) => self.cancel(*id),
            Intent::Submit(_)
            | Intent::Replace(_)
            | Intent::ClosePosition { .. }
            | Intent::Cancel(_)
            | Intent::CancelAll
            | Intent::Signal(_) => {}
        }
    }

    /// Sets a timer; one with the same id moves.
    pub(crate) fn set(&mut self, id: u64, at: MarketTime) {
        self.cancel(id);
        self.by_id.insert(id, at);
        self.by_time.insert((at, id));
    }

    /// Forgets a timer, if it is set.
    pub(crate) fn cancel(&mut self, id: u64) {
        if let Some(at) = self.by_id.remove(&id) {
            self.by_time.remove(&(at, id));
        }
    }

    /// Takes out the first timer that is due at `now`.
    pub(crate) fn pop_due(&mut self, now: MarketTime) -> Option<(MarketTime, u64)> {
        let first = *self.by_time.first()?;
        if first.0 > now {
            return None;
        }
        self.cancel(first.1);
        Some(first)
    }

    /// Forgets those that were due by then.
    pub(crate) fn drop_until(&mut self, time: MarketTime) {
        while self.pop_due(time).is_some() {}
    }

    /// Adds those of others, in order of time and up to `limit` in all; of one id its own stays.
    pub(crate) fn join(&mut self, others: &Self, limit: usize) {
        for (at, id) in &others.by_time {
            if self.len() < limit && !self.by_id.contains_key(id) {
                self.set(*id, *at);
            }
        }
    }

    /// Those of a snapshot.
    pub(crate) fn restored(list: &[(MarketTime, u64)]) -> Self {
        let mut timers = Self::default();
        list.iter().for_each(|(at, id)| timers.set(*id, *at));
        timers
    }

    /// All of them, by time and then by id.
    pub(crate) fn list(&self) -> Vec<(MarketTime, u64)> {
        self.by_time.iter().copied().collect()
    }

    /// When the first is due.
    pub(crate) fn first(&self) -> Option<MarketTime> {
        self.by_time.first().map(|(at, _)| *at)
    }

    /// Whether one is due at `now`.
    pub(crate) fn is_due(&self, now: MarketTime) -> bool {
        self.by_time.first().is_some_and(|(at, _)| *at <= now)
    }

    /// How many are set.
    pub(crate) fn len(&self) -> usize {
        self.by_id.len()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn at(secs: i64) -> MarketTime {
        MarketTime::from_secs(secs)
    }

    fn due(timers: &mut Timers, now: i64) -> Vec<u64> {
        std::iter::from_fn(|| timers.pop_due(at(now)).map(|(_, id)| id)).collect()
    }

    #[test]
    fn they_fire_once_in_order_move_and_cancel() {
        let mut timers = Timers::default();
        for (id, secs) in [(3, 10), (1, 10), (2, 5), (4, 20), (5, 7)] {
            timers.set(id, at(secs));
        }
        timers.set(5, at(30));
        timers.cancel(3);
        timers.cancel(99);
        assert!(due(&mut timers, 4).is_empty());
        assert_eq!(due(&mut timers, 10), [2, 1]);
        assert!(due(&mut timers, 10).is_empty());
        assert_eq!(due(&mut timers, 60), [4, 5]);
        assert_eq!(timers.len(), 0);
    }

    proptest! {
        #[test]
        fn each_id_fires_at_most_once_at_its_last_time(
            sets in prop::collection::vec((0_u64..8, 0_i64..100), 0..64),
        ) {
            let mut timers = Timers::default();
            let mut expected = std::collections::BTreeMap::new();
            for (id, secs) in sets {
                timers.set(id, at(secs));
                expected.insert(id, at(secs));
            }
            let fired: Vec<_> = std::iter::from_fn(|| timers.pop_due(at(100))).collect();
            let mut wanted: Vec<_> = expected.into_iter().map(|(id, time)| (time, id)).collect();
            wanted.sort();
            prop_assert_eq!(fired, wanted);
        }
    }
}
