//! Counting in a sliding window, exactly.

use std::{collections::VecDeque, time::Duration};

use sandpit_types::MarketTime;

/// The moments of the newest happenings, so that no window of the given span ever holds more than a limit.
///
/// A happening at `t` counts in `[t, t + span)`. The caller asks [`Window::used`] before it
/// [`Window::note`]s, so the memory is as long as the limit the caller keeps.
#[derive(Clone, Debug)]
pub struct Window {
    span: Duration,
    moments: VecDeque<MarketTime>,
}

impl Window {
    /// An empty window of `span`.
    pub const fn new(span: Duration) -> Self {
        Self { span, moments: VecDeque::new() }
    }

    /// How many happened within the span that ends at `now`.
    pub fn used(&self, now: MarketTime) -> usize {
        self.moments.len() - self.moments.partition_point(|&moment| moment + self.span <= now)
    }

    /// One more happened at `now`. Time that goes back is taken to stand still.
    pub fn note(&mut self, now: MarketTime) {
        let now = self.moments.back().map_or(now, |&newest| newest.max(now));
        while self.moments.front().is_some_and(|&moment| moment + self.span <= now) {
            self.moments.pop_front();
        }
        self.moments.push_back(now);
    }

    /// When fewer than `ceiling` (above zero) are in the window; `None` when that is so whatever the time.
    pub fn below_at(&self, ceiling: usize) -> Option<MarketTime> {
        let surplus = (self.moments.len() + 1).checked_sub(ceiling.max(1))?;
        surplus.checked_sub(1).map(|newest_to_leave| self.moments[newest_to_leave] + self.span)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_counts_until_the_span_is_over() {
        let mut window = Window::new(Duration::from_secs(60));
        assert_eq!(window.below_at(1), None);
        for secs in [0, 10, 10, 59] {
            window.note(MarketTime::from_secs(secs));
        }
        let check = |secs, used| assert_eq!(window.used(MarketTime::from_secs(secs)), used, "at {secs}");
        check(59, 4);
        check(60, 3);
        check(69, 3);
        check(70, 1);
        check(119, 0);
        let below = |ceiling, secs: Option<i64>| {
            assert_eq!(window.below_at(ceiling), secs.map(MarketTime::from_secs), "below {ceiling}");
        };
        below(5, None);
        below(4, Some(60));
        below(3, Some(70));
        below(2, Some(70));
        below(1, Some(119));
    }
}
