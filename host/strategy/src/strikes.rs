//! How often a strategy may fail.
//!
//! ```text
//! running --failure--> resting --rest is over--> running
//!    |                                              |
//!    +---- failure that is the last one allowed ----+--> quarantined (until a new version takes over)
//! ```

use std::{collections::VecDeque, time::Duration};

use sandpit_types::MarketTime;

use crate::Bounds;

/// What follows a failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Start again at this time.
    RestUntil(MarketTime),
    /// No further events.
    Quarantine,
}

/// The failures that still count.
#[derive(Debug)]
pub(crate) struct Strikes {
    at: VecDeque<MarketTime>,
    limit: u32,
    window: Duration,
    rest: Duration,
}

impl Strikes {
    pub(crate) fn new(bounds: &Bounds) -> Self {
        Self { at: VecDeque::new(), limit: bounds.strikes, window: bounds.strike_window, rest: bounds.rest }
    }

    /// One more failure, at `now`.
    pub(crate) fn record(&mut self, now: MarketTime) -> Verdict {
        while self.at.front().is_some_and(|first| now.since(*first) >= self.window) {
            self.at.pop_front();
        }
        self.at.push_back(now);
        if self.count() >= self.limit {
            return Verdict::Quarantine;
        }
        let doublings = (self.count() - 1).min(16);
        Verdict::RestUntil(now + self.rest.saturating_mul(1 << doublings))
    }

    /// Failures that count.
    pub(crate) fn count(&self) -> u32 {
        u32::try_from(self.at.len()).unwrap_or(u32::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(failures_at: &[i64], expected: &[Option<i64>]) {
        let mut strikes = Strikes::new(&Bounds::default());
        for (at, rest) in failures_at.iter().zip(expected) {
            let expected =
                rest.map_or(Verdict::Quarantine, |until| Verdict::RestUntil(MarketTime::from_secs(until)));
            assert_eq!(strikes.record(MarketTime::from_secs(*at)), expected, "{failures_at:?} at {at}");
        }
    }

    #[test]
    fn the_third_within_an_hour_quarantines() {
        check(&[0, 10, 20], &[Some(5), Some(20), None]);
        check(&[0, 10, 3_599], &[Some(5), Some(20), None]);
        check(&[0, 10, 3_600, 3_605], &[Some(5), Some(20), Some(3_610), None]);
        check(&[0, 4_000, 8_000], &[Some(5), Some(4_005), Some(8_005)]);
    }
}
