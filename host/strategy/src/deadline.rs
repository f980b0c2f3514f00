//! When a guest has had its time.
//!
//! Real time alone would strike the innocent: on a busy machine a thread may wait long for a processor. So
//! the first half of the span is real time, which costs nothing to watch; the second half must be processor
//! time of the guest's own thread. A loop on an idle machine ends after exactly one span. [`PATIENCE`] spans
//! of real time end everything.

use std::time::Duration;

use crate::engine::in_ticks;

/// The most real time a group of calls may take, in spans.
const PATIENCE: u64 = 10;

/// The time of all calls that belong together: those of one event, or of one start.
#[derive(Debug)]
pub(crate) struct Deadline {
    span: Duration,
    gives_up_at: u64,
    next_look: u64,
    /// Processor time of the thread when half of the span was over.
    at_half: Option<Duration>,
}

impl Deadline {
    /// Starts at tick `now`.
    pub(crate) fn new(span: Duration, now: u64) -> Self {
        let patience = in_ticks(span).saturating_mul(PATIENCE);
        Self {
            span,
            gives_up_at: now.saturating_add(patience),
            next_look: now.saturating_add(in_ticks(span / 2)),
            at_half: None,
        }
    }

    /// What was granted.
    pub(crate) fn span(&self) -> Duration {
        self.span
    }

    /// Ticks until [`Deadline::look`] has to be called; zero if it has to be now.
    pub(crate) fn ticks_left(&self, now: u64) -> u64 {
        self.next_look.saturating_sub(now)
    }

    /// Ticks until the next look, or `None` when the time is used up. `processor` is the thread's processor
    /// time.
    pub(crate) fn look(&mut self, now: u64, processor: Duration) -> Option<u64> {
        let half = self.span / 2;
        let used = processor.saturating_sub(*self.at_half.get_or_insert(processor));
        if used >= half || now >= self.gives_up_at {
            return None;
        }
        let ticks = in_ticks(half - used);
        self.next_look = now.saturating_add(ticks);
        Some(ticks)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Looks at these (tick, processor milliseconds), of a span of 100 ticks that starts at tick 1,000.
    fn check(looks: &[(u64, u64)], expected: &[Option<u64>]) {
        let mut deadline = Deadline::new(Duration::from_millis(100), 1_000);
        assert_eq!(deadline.ticks_left(1_000), 50);
        assert_eq!(deadline.ticks_left(1_060), 0);
        for ((now, processor), expected) in looks.iter().zip(expected) {
            let found = deadline.look(*now, Duration::from_millis(*processor));
            assert_eq!(found, *expected, "{looks:?} at {now}");
            if let Some(ticks) = found {
                assert_eq!(deadline.ticks_left(*now), ticks);
            }
        }
    }

    #[test]
    fn a_loop_ends_after_one_span_and_waiting_for_a_processor_is_forgiven() {
        check(&[(1_050, 7), (1_100, 57)], &[Some(50), None]);
        check(&[(1_400, 7), (1_450, 8), (1_500, 40), (1_520, 57)], &[Some(50), Some(49), Some(17), None]);
        check(&[(1_050, 7), (1_999, 8), (2_000, 9)], &[Some(50), Some(49), None]);
    }
}
