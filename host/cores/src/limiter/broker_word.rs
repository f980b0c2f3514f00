//! What the broker said of its own count: it rules over ours.

use std::time::Duration;

use sandpit_types::MarketTime;

use super::quota::Quota;

/// The pause after a 429 that names none, and no reset of a count that has run out is known.
pub const DEFAULT_PAUSE: Duration = Duration::from_secs(60);

/// The shortest pause: "try again at once" is not an answer to too many tries.
pub const MIN_PAUSE: Duration = Duration::from_secs(1);

/// The longest pause that is believed; a longer one is cut to this.
pub const MAX_PAUSE: Duration = Duration::from_secs(3_600);

/// The count in force and the pause under way.
#[derive(Debug)]
pub(super) struct BrokerWord {
    count: Option<Count>,
    paused_until: MarketTime,
}

/// What the broker said remains, less what went out since and what is left to others.
#[derive(Clone, Copy, Debug)]
struct Count {
    left: u64,
    reset: MarketTime,
}

impl BrokerWord {
    /// Nothing was said yet.
    pub(super) const fn new() -> Self {
        Self { count: None, paused_until: MarketTime::from_nanos(i64::MIN) }
    }

    /// So many may still go out until `reset`, which is ahead.
    pub(super) fn remaining(&mut self, left: u64, reset: MarketTime) {
        self.count = match self.count {
            // Answers overtake each other: of one quota period the lowest count is true, an older period is
            // over.
            Some(known) if reset < known.reset => Some(known),
            Some(known) if reset == known.reset => Some(Count { left: left.min(known.left), reset }),
            Some(_) | None => Some(Count { left, reset }),
        };
    }

    /// Nothing may go out for `after`; a shorter pause never ends a longer one. Where the broker names none,
    /// its reset ends the pause if its count has run out, a little later because clocks differ.
    pub(super) fn pause(&mut self, after: Option<Duration>, now: MarketTime) {
        let run_out = self.count.filter(|count| count.left == 0);
        let reset = run_out.map(|count| (count.reset.since(now) + Quota::ON_THE_WAY).min(DEFAULT_PAUSE));
        let pause = after.or(reset).unwrap_or(DEFAULT_PAUSE).clamp(MIN_PAUSE, MAX_PAUSE);
        self.paused_until = self.paused_until.max(now + pause);
    }

    /// Forgets a count whose period is over.
    pub(super) fn advance(&mut self, now: MarketTime) {
        if self.count.is_some_and(|count| count.reset <= now) {
            self.count = None;
        }
    }

    /// One went out.
    pub(super) fn spend(&mut self) {
        if let Some(count) = &mut self.count {
            count.left = count.left.saturating_sub(1);
        }
    }

    /// When more than `kept` are left and there is no pause. It may be past.
    pub(super) fn opens(&self, kept: u64) -> MarketTime {
        let count = self.count.filter(|count| count.left <= kept);
        count.map_or(self.paused_until, |count| self.paused_until.max(count.reset))
    }

    pub(super) fn left(&self, now: MarketTime) -> Option<u64> {
        self.count.filter(|count| now < count.reset).map(|count| count.left)
    }

    pub(super) fn paused_until(&self, now: MarketTime) -> Option<MarketTime> {
        (now < self.paused_until).then_some(self.paused_until)
    }
}
