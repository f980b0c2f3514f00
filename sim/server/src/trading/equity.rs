//! The equity of the account over the run, minute by minute.

use std::{collections::VecDeque, time::Duration};

use sandpit_types::{MarketTime, Usd};

/// Most changes kept (ten weeks of a position that moves every minute, or far longer); the oldest go.
const MAX_SAMPLES: usize = 65_536;
/// Length of the windows.
const MINUTE: Duration = Duration::from_secs(60);

/// What the account was worth at the end of each minute of market time. A minute that changed nothing takes
/// no room.
#[derive(Debug)]
pub(crate) struct EquityCurve {
    /// The starts of minutes, and the worth at their ends.
    samples: VecDeque<(MarketTime, Usd)>,
    /// What it was worth before the first of them.
    base: Usd,
    /// The end of the minute that is running.
    next: MarketTime,
}

impl EquityCurve {
    /// Begins with an account that is worth `base` at `now`.
    pub(crate) fn new(base: Usd, now: MarketTime) -> Self {
        Self { samples: VecDeque::new(), base, next: now.minute() + MINUTE }
    }

    /// Whether a minute has ended before `now`: then [`EquityCurve::sample`] wants the worth at its end.
    pub(crate) fn is_due(&self, now: MarketTime) -> bool {
        now >= self.next
    }

    /// The account is worth `equity` at the end of the minute that was running, and of all until the one of
    /// `now`.
    pub(crate) fn sample(&mut self, equity: Usd, now: MarketTime) {
        if self.samples.back().map_or(self.base, |&(_, last)| last) != equity {
            if self.samples.len() == MAX_SAMPLES
                && let Some((_, oldest)) = self.samples.pop_front()
            {
                self.base = oldest;
            }
            self.samples.push_back((self.next - MINUTE, equity));
        }
        self.next = now.minute() + MINUTE;
    }

    /// The worth at the end of the minutes that begin before `end`.
    pub(crate) fn before(&self, end: MarketTime) -> Usd {
        let after = self.samples.partition_point(|&(minute, _)| minute < end);
        after.checked_sub(1).map_or(self.base, |last| self.samples[last].1)
    }
}

#[cfg(test)]
mod tests {
    use rust_decimal::Decimal;

    use super::*;

    fn usd(dollars: i64) -> Usd {
        Usd::new(Decimal::from(dollars))
    }

    #[test]
    fn minutes_are_sampled_at_their_ends() {
        let at = MarketTime::from_secs;
        let mut curve = EquityCurve::new(usd(100), at(30));
        assert!(!curve.is_due(at(59)) && curve.is_due(at(60)));
        curve.sample(usd(100), at(65));
        curve.sample(usd(110), at(121));
        // Nothing happened for two minutes.
        curve.sample(usd(120), at(300));
        assert!(!curve.is_due(at(359)));
        curve.sample(usd(120), at(360));
        for (end, expected) in [(0, 100), (60, 100), (61, 110), (120, 110), (121, 120), (9_999, 120)] {
            assert_eq!(curve.before(at(end)), usd(expected), "before {end} s");
        }
        assert_eq!(curve.samples.len(), 2);
    }

    #[test]
    fn samples_are_bounded() {
        let mut curve = EquityCurve::new(usd(0), MarketTime::EPOCH);
        for minute in 1..=i64::try_from(MAX_SAMPLES + 5).expect("small") {
            curve.sample(usd(minute), MarketTime::from_secs(60 * minute));
        }
        assert_eq!(curve.samples.len(), MAX_SAMPLES);
        assert_eq!(curve.before(MarketTime::EPOCH), usd(5), "the oldest that went");
        assert_eq!(curve.before(MarketTime::from_secs(301)), usd(6));
    }
}
