//! Which news was delivered.

use std::{
    collections::{HashSet, VecDeque},
    time::Duration,
};

use foldhash::fast::FixedState;
use sandpit_types::{MarketTime, News};

/// Versions remembered. When full, the oldest is forgotten, and would be delivered again if a request brought
/// it once more: that takes so many within [`OVERLAP`].
const REMEMBERED: usize = 4_096;
/// How far before the newest version a request begins: versions are not published in the order of their
/// stamps.
const OVERLAP: Duration = Duration::from_secs(600);

/// The versions delivered last.
#[derive(Debug)]
pub(super) struct Seen {
    since: MarketTime,
    newest: MarketTime,
    known: HashSet<(u64, MarketTime), FixedState>,
    order: VecDeque<(u64, MarketTime)>,
}

impl Seen {
    /// None yet; those before `since` are not asked for.
    pub(super) fn new(since: MarketTime) -> Self {
        Self { since, newest: since, known: HashSet::default(), order: VecDeque::new() }
    }

    /// Where a request begins.
    pub(super) fn from(&self) -> MarketTime {
        (self.newest - OVERLAP).max(self.since)
    }

    /// Whether this version is new; it is known then. A stamp of the future does not hide what comes before.
    pub(super) fn is_new(&mut self, news: &News, now: MarketTime) -> bool {
        let version = (news.id, news.updated);
        if !self.known.insert(version) {
            return false;
        }
        self.order.push_back(version);
        if self.order.len() > REMEMBERED
            && let Some(oldest) = self.order.pop_front()
        {
            self.known.remove(&oldest);
        }
        self.newest = self.newest.max(news.updated.min(now));
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn news(id: u64, updated: i64) -> News {
        let text = String::new;
        let updated = MarketTime::from_secs(updated);
        let (headline, summary, author, source, url) = (text(), text(), text(), text(), text());
        News { id, created: updated, updated, headline, summary, author, source, url, symbols: Vec::new() }
    }

    #[test]
    fn a_version_is_new_once() {
        let at = MarketTime::from_secs;
        let mut seen = Seen::new(at(1_000));
        assert_eq!(seen.from(), at(1_000));
        assert!(seen.is_new(&news(1, 1_010), at(1_010)));
        assert!(!seen.is_new(&news(1, 1_010), at(1_020)));
        assert!(seen.is_new(&news(1, 1_020), at(1_020)), "a new version");
        assert_eq!(seen.from(), at(1_000), "not before the start");
        assert!(seen.is_new(&news(2, 9_000), at(2_000)));
        assert_eq!(seen.from(), at(1_400), "a stamp of the future counts as now");
    }

    #[test]
    fn memory_is_bounded() {
        let mut seen = Seen::new(MarketTime::EPOCH);
        for id in 0..3 * REMEMBERED as u64 {
            assert!(seen.is_new(&news(id, 1), MarketTime::EPOCH));
        }
        assert_eq!((seen.known.len(), seen.order.len()), (REMEMBERED, REMEMBERED));
        assert!(!seen.is_new(&news(3 * REMEMBERED as u64 - 1, 1), MarketTime::EPOCH));
    }
}
